"""The answer of a handler."""

from sagebrush.runtime.toolkits import Response

__all__ = ["Response"]
