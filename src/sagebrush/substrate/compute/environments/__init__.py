"""Environments: what an image URI means here, and the Python environments that are built for it.

``images``    an image's repository and tag -> which environment, which version was asked for and which there is
``specs/``    one locked list of packages for each environment; a new environment is a file here and a row in images
``sources``   where pip finds a pin that its own configuration knows no source of
``building``  a venv built aside, renamed, under a file lock
``layers``    virtual environments that look through to another one: each job has one; ``overlays`` are shared ones
``preloads``  what the zygote of an environment imports
``inventory`` what lies there: of today, of older versions, cut off
``snapshot``  the code that runs inside jobs (sagebrush.runtime, sagebrush.algorithms), apart from the platform
"""

from sagebrush.substrate.compute.environments.building import EnvironmentBuildFailed
from sagebrush.substrate.compute.environments.environments import Environments
from sagebrush.substrate.compute.environments.images import EnvironmentSpec

__all__ = ["EnvironmentBuildFailed", "EnvironmentSpec", "Environments"]
