"""``python -m sagebrush.runtime.serving``."""

import sys

from sagebrush.runtime.serving.server import main

if __name__ == "__main__":
    sys.exit(main())
