"""Compute: how and where jobs run.

``shim/``          the tiny program that runs one host of a job and outlives the control plane
``launcher``       starts shims, finds them again, passes requests on; ``observing`` and ``watching`` are its eyes
``zygotes``        interpreters with an environment's packages loaded, which fork shims: warm starts
``isolation``      'sandbox' or 'process', found out by doing; ``limits``: control groups or resource limits
``placing``        objects of S3 as files of a job; ``output_reading``, ``user_files``, ``failure``: what it left
``environments/``  what an image URI means and the Python environments built for it
``instances``, ``capacity``, ``host``   the catalogue of ``ml.*`` types, and admission to what this host really has

Start reading in ``specification`` (what crosses the seam), then ``launcher``, then ``shim/main``.
"""

from sagebrush.substrate.compute.capacity import Capacity, Fit
from sagebrush.substrate.compute.compute import Compute
from sagebrush.substrate.compute.environments import EnvironmentBuildFailed, Environments, EnvironmentSpec
from sagebrush.substrate.compute.instances import Catalogue, InstanceType
from sagebrush.substrate.compute.launcher import Launcher
from sagebrush.substrate.compute.probing import Check
from sagebrush.substrate.compute.specification import Bind, Environment, LaunchSpec, Limits, Observation, Phase

__all__ = [
    "Bind",
    "Capacity",
    "Catalogue",
    "Check",
    "Compute",
    "Environment",
    "EnvironmentBuildFailed",
    "EnvironmentSpec",
    "Environments",
    "Fit",
    "InstanceType",
    "LaunchSpec",
    "Launcher",
    "Limits",
    "Observation",
    "Phase",
]
