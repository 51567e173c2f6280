"""``sagemaker_sklearn_container``, as far as handlers import it."""
