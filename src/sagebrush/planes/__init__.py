"""The network faces: ``front`` (the one URL), ``control`` (operations), ``objects`` (S3, streaming)."""

from typing import Final

#: The front door writes the caller's address here (and strips any that a client sent); the planes behind it read it.
SOURCE_IP_HEADER: Final = "x-sagebrush-source-ip"
