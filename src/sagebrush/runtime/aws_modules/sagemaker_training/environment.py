"""What the training job was given."""

from sagebrush.runtime.toolkits import JobEnvironment as Environment

__all__ = ["Environment"]
