"""Jobs that run a function of the client's (``@remote``, ``@step``): they need the client's own SDK.

The SDK pickles the function and has the job run its module ``remote_function.invoke_function``, with the versions of
Python and of itself among the arguments. Images of SageMaker carry some version of the SDK; here the job gets the very
one that the client has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_VERSION_ARGUMENT = "--client_sagemaker_pysdk_version"
_VERSION = re.compile(r"\d{1,4}(\.\d{1,6}){1,3}")


def packages_of(algorithm_specification: Mapping[str, Any]) -> tuple[str, ...]:
    """Requirements of pip's for the job: the client's version of the SDK, nothing for jobs of any other kind."""
    arguments = list(algorithm_specification.get("ContainerArguments", ()))
    if _VERSION_ARGUMENT not in arguments[:-1]:
        return ()
    version = arguments[arguments.index(_VERSION_ARGUMENT) + 1]
    # A client built from source has a version that no index knows.
    return (f"sagemaker=={version}" if _VERSION.fullmatch(version) else "sagemaker",)
