"""Declared resources: one table for all nouns, one declaration per noun, the plain verbs for free.

Start with :class:`Resource`; ``rows.py`` reads and changes, ``listing.py`` is the ListQuery, ``tagging.py`` the tags.
"""

from sagebrush.substrate.resources.listing import page
from sagebrush.substrate.resources.resource import IllegalTransition, ListSpec, Resource, Row, StateMachine, check
from sagebrush.substrate.resources.rows import (
    Conflict,
    Lease,
    LeaseLost,
    fetch,
    fetch_by_arn,
    fetch_by_id,
    insert,
    soft_delete,
    transition,
    transitions_of,
    update_body,
)

__all__ = [
    "Conflict",
    "IllegalTransition",
    "Lease",
    "LeaseLost",
    "ListSpec",
    "Resource",
    "Row",
    "StateMachine",
    "check",
    "fetch",
    "fetch_by_arn",
    "fetch_by_id",
    "insert",
    "page",
    "soft_delete",
    "transition",
    "transitions_of",
    "update_body",
]
