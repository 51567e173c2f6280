"""``sagemaker_xgboost_container``, as far as handlers and training scripts import it."""
