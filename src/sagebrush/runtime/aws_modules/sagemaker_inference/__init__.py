"""``sagemaker_inference``, as far as handlers import it."""

import sys

from . import request_headers as utils

# ``utils`` is what handlers call it; a file of that name says nothing here.
sys.modules[f"{__name__}.utils"] = utils
