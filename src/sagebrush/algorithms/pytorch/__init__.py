"""What the PyTorch image does without user code."""
