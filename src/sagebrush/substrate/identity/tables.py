"""The SQL of identities, in the state database: roles, users and groups, their policies, access keys.

AWS managed policies are not here: they are package data (``aws_managed.py``), the same for every account.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text, UniqueConstraint

from sagebrush.substrate.store import STATE
from sagebrush.substrate.store.text import sorted_text

#: Roles, users and groups. ``name_key`` is the name in lower case: IAM tells names apart by more than case.
iam_entities = Table(
    "iam_entities",
    STATE.metadata,
    Column("arn", sorted_text(2048), primary_key=True),
    Column("account", String(12), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("name", sorted_text(128), nullable=False),
    Column("name_key", String(128), nullable=False),
    Column("unique_id", String(32), nullable=False),
    Column("path", sorted_text(512), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("boundary_arn", sorted_text(2048)),
    Column("tags", Text, nullable=False),
    # Roles only.
    Column("description", Text),
    Column("max_session_seconds", Integer),
    Column("trust_policy", Text),
    UniqueConstraint("account", "kind", "name_key", name="uq_iam_entities_name"),
    Index("ix_iam_entities_listing", "account", "kind", "name"),
)

iam_group_members = Table(
    "iam_group_members",
    STATE.metadata,
    Column("group_arn", sorted_text(2048), primary_key=True),
    Column("user_arn", sorted_text(2048), primary_key=True),
    Index("ix_iam_group_members_user", "user_arn"),
)

iam_inline_policies = Table(
    "iam_inline_policies",
    STATE.metadata,
    Column("entity_arn", sorted_text(2048), primary_key=True),
    Column("name", sorted_text(128), primary_key=True),
    Column("document", Text, nullable=False),
)

iam_attachments = Table(
    "iam_attachments",
    STATE.metadata,
    Column("entity_arn", sorted_text(2048), primary_key=True),
    Column("policy_arn", sorted_text(2048), primary_key=True),
    Index("ix_iam_attachments_policy", "policy_arn"),
)

iam_policies = Table(
    "iam_policies",
    STATE.metadata,
    Column("arn", sorted_text(2048), primary_key=True),
    Column("account", String(12), nullable=False),
    Column("name", sorted_text(128), nullable=False),
    Column("name_key", String(128), nullable=False),
    Column("unique_id", String(32), nullable=False),
    Column("path", sorted_text(512), nullable=False),
    Column("description", Text),
    Column("default_version", Integer, nullable=False),
    Column("newest_version", Integer, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
    Column("tags", Text, nullable=False),
    UniqueConstraint("account", "name_key", name="uq_iam_policies_name"),
)

iam_policy_versions = Table(
    "iam_policy_versions",
    STATE.metadata,
    Column("policy_arn", sorted_text(2048), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
)

#: ``secret`` is encrypted with the platform key ``key_id``.
iam_access_keys = Table(
    "iam_access_keys",
    STATE.metadata,
    Column("access_key_id", sorted_text(32), primary_key=True),
    Column("user_arn", sorted_text(2048), nullable=False),
    Column("active", Integer, nullable=False),
    Column("key_id", String(16), nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    # The last use that was written (key_uses.py).
    Column("used_us", BigInteger),
    Column("used_service", String(64)),
    Index("ix_iam_access_keys_user", "user_arn"),
)

#: One row, ``policies``: counts changes of anything above, so that caches of other processes can tell.
identity_versions = Table(
    "identity_versions",
    STATE.metadata,
    Column("name", String(32), primary_key=True),
    Column("version", BigInteger, nullable=False),
)
