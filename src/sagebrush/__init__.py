"""Sagebrush: your own machine-learning platform, compatible with the Amazon SageMaker API.

Start reading in ``ARCHITECTURE.md``; in code, ``sagebrush.server`` shows how everything is put together.
"""

__version__ = "0.1.0"
