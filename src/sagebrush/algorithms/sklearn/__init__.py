"""What the scikit-learn image does without user code."""
