"""Declared resources: one table for all nouns, one declaration per noun, the plain verbs for free.

Start with :class:`Resource`; ``rows.py`` reads, ``changing.py`` creates and moves, ``listing.py`` is the ListQuery,
``tagging.py`` the tag operations, ``plain.py`` the verbs that need no code of a capability's own.
"""

from sagebrush.substrate.resources.changing import answered, insert, soft_delete, transition, update_body
from sagebrush.substrate.resources.checking import check
from sagebrush.substrate.resources.history import transitions_of
from sagebrush.substrate.resources.lease import Conflict, Lease, LeaseLost
from sagebrush.substrate.resources.listing import page
from sagebrush.substrate.resources.plain import described, echo, plain_operations, plain_resource_arns
from sagebrush.substrate.resources.resource import IllegalTransition, ListSpec, Resource, Row, StateMachine
from sagebrush.substrate.resources.rows import fetch, fetch_by_arn, fetch_by_id, find
from sagebrush.substrate.resources.tag_rows import check_tags, put_tags, remove_tags, tags_of
from sagebrush.substrate.resources.tagging import TAG_OPERATIONS

__all__ = [
    "TAG_OPERATIONS",
    "Conflict",
    "IllegalTransition",
    "Lease",
    "LeaseLost",
    "ListSpec",
    "Resource",
    "Row",
    "StateMachine",
    "answered",
    "check",
    "check_tags",
    "described",
    "echo",
    "fetch",
    "fetch_by_arn",
    "fetch_by_id",
    "find",
    "insert",
    "page",
    "plain_operations",
    "plain_resource_arns",
    "put_tags",
    "remove_tags",
    "soft_delete",
    "tags_of",
    "transition",
    "transitions_of",
    "update_body",
]
