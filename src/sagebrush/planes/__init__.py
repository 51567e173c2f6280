"""The network faces: ``front`` (the one URL), ``control`` (operations), ``objects`` (S3, streaming)."""

from typing import Final

#: The front door writes the caller's address here (and strips any that a client sent); the planes behind it read it.
SOURCE_IP_HEADER: Final = "x-sagebrush-source-ip"

#: Says that a request was sent to a plane's own socket. The front door strips this header from whatever it passes on,
#: so nobody can say it through the one URL.
DIRECT_HEADER: Final = "x-sagebrush-direct"
