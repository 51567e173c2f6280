"""The built-in XGBoost algorithm, as SageMaker's ``sagemaker-xgboost`` image has it, on a current xgboost.

``training.py`` is the whole course of a job. ``hyperparameters.py`` (pure) says what may be set,
``booster_parameters.py`` what becomes of it in today's xgboost, ``content.py`` and ``reading.py`` turn channels into
matrices, ``metrics.py`` has the metrics that xgboost lacks, ``callbacks.py`` what happens in every round,
``checkpoints.py`` saving and resuming, ``cluster.py`` several hosts. ``metric_definitions.json`` is for the platform:
the regular expressions that find the metrics in the log.

Behaviour follows aws/sagemaker-xgboost-container and the developer guide's XGBoost pages; where the two cannot both be
kept, the module says which and why.
"""
