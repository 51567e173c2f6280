"""``sagemaker_training``, as far as training scripts import it."""
