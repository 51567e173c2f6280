"""The built-in algorithms. They run inside jobs and import only ``sagebrush.runtime`` and their libraries.

A folder each. Where to start: ``<algorithm>/training.py``, whose ``train(environment)`` is what the runtime calls.
``rules.py`` holds what all of them validate hyperparameters with.
"""
