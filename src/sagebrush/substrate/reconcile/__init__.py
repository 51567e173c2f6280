"""The lease loop: load a resource, do one step, apply under the lease; for everything that lives in the background.

Start with :class:`Reconciler` (the contract of a step), then :class:`ReconcileLoop`.
"""

from sagebrush.substrate.reconcile.loop import ReconcileLoop
from sagebrush.substrate.reconcile.owner import process_identity
from sagebrush.substrate.reconcile.reconciler import Again, Done, Outcome, Reconciler
from sagebrush.substrate.reconcile.wakeups import Wakeups
from sagebrush.substrate.resources.lease import Lease

__all__ = ["Again", "Done", "Lease", "Outcome", "ReconcileLoop", "Reconciler", "Wakeups", "process_identity"]
