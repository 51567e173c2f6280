"""The errors of the toolkit."""

from sagebrush.runtime.toolkits import ClientError, UnsupportedFormatError

__all__ = ["ClientError", "UnsupportedFormatError"]
