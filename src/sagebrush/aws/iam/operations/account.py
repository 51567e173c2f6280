"""The account as a whole: how much of everything there is, and all of it at once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select

from sagebrush.aws.iam import documents, paging, views
from sagebrush.substrate.calls import Call
from sagebrush.substrate.identity import entities, entity_policies, groups, managed
from sagebrush.substrate.identity.access_keys import MAX_KEYS
from sagebrush.substrate.identity.entities import GROUP, ROLE, USER, Entity
from sagebrush.substrate.identity.managed import ManagedPolicy
from sagebrush.substrate.identity.tables import iam_entities, iam_policies, iam_policy_versions

_OWN_POLICIES, _AWS_POLICIES = "LocalManagedPolicy", "AWSManagedPolicy"
_DETAIL_MEMBERS = {
    "User": "UserDetailList",
    "Group": "GroupDetailList",
    "Role": "RoleDetailList",
    _OWN_POLICIES: "Policies",
    _AWS_POLICIES: "Policies",
}


def get_account_summary(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """What there is, and those quotas that are enforced here; what is not served counts nothing."""

    def read(connection: Connection) -> dict[str, int]:
        of_kind = select(iam_entities.c.kind, func.count()).where(iam_entities.c.account == call.account)
        counted = {row[0]: row[1] for row in connection.execute(of_kind.group_by(iam_entities.c.kind))}
        own = select(func.count()).select_from(iam_policies).where(iam_policies.c.account == call.account)
        versions = select(func.count()).select_from(
            iam_policies.join(iam_policy_versions, iam_policies.c.arn == iam_policy_versions.c.policy_arn)
        )
        return {
            "Users": counted.get(USER, 0),
            "Groups": counted.get(GROUP, 0),
            "Roles": counted.get(ROLE, 0),
            "Policies": connection.execute(own).scalar_one(),
            "PolicyVersionsInUse": connection.execute(
                versions.where(iam_policies.c.account == call.account)
            ).scalar_one(),
        }

    enforced = {
        "AccessKeysPerUserQuota": MAX_KEYS,
        "AssumeRolePolicySizeQuota": documents.TRUST_LIMIT,
        "AttachedPoliciesPerGroupQuota": entity_policies.MAX_ATTACHED,
        "AttachedPoliciesPerRoleQuota": entity_policies.MAX_ATTACHED,
        "AttachedPoliciesPerUserQuota": entity_policies.MAX_ATTACHED,
        "GroupPolicySizeQuota": documents.INLINE_LIMITS[GROUP],
        "GroupsPerUserQuota": groups.MAX_GROUPS,
        "PolicySizeQuota": documents.MANAGED_LIMIT,
        "RolePolicySizeQuota": documents.INLINE_LIMITS[ROLE],
        "UserPolicySizeQuota": documents.INLINE_LIMITS[USER],
        "VersionsPerPolicyQuota": managed.MAX_VERSIONS,
    }
    absent = dict.fromkeys(
        ("AccountAccessKeysPresent", "AccountMFAEnabled", "InstanceProfiles", "MFADevices", "Providers"), 0
    )
    return {"SummaryMap": {**call.platform.store.read(read), **enforced, **absent}}


def get_account_authorization_details(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Users, groups, roles and policies with everything that hangs on them, page by page; ``Filter`` chooses kinds.

    Of AWS's policies those that are attached or a boundary, of the account's own all.
    """
    wanted = set(request.get("Filter") or _DETAIL_MEMBERS)

    def read(connection: Connection) -> tuple[list[tuple[str, str, dict[str, Any]]], dict[str, Any]]:
        keys: list[tuple[str, Entity | ManagedPolicy]] = [
            *((f"{entity.kind}:{entity.arn}", entity) for entity in _entities(connection, call.account, wanted)),
            *((f"policy:{policy.arn}", policy) for policy in _policies(connection, call.account, wanted)),
        ]
        page, more = paging.listed(call, request, keys, lambda item: item[0])
        return [(key, *_detail(connection, found)) for key, found in page], more

    details, more = call.platform.store.read(read)
    shown: dict[str, Any] = {member: [] for member in dict.fromkeys(_DETAIL_MEMBERS.values())}
    for _, member, detail in details:
        shown[member].append(detail)
    return {**shown, **more}


def _entities(connection: Connection, account: str, wanted: set[str]) -> list[Entity]:
    kinds = [kind for kind in (USER, GROUP, ROLE) if kind.capitalize() in wanted]
    chosen = select(iam_entities.c.arn).where(iam_entities.c.account == account, iam_entities.c.kind.in_(kinds))
    return entities.of_arns(connection, chosen)


def _policies(connection: Connection, account: str, wanted: set[str]) -> list[ManagedPolicy]:
    found = managed.own(connection, account) if _OWN_POLICIES in wanted else []
    if _AWS_POLICIES in wanted:
        used = {**managed.attachment_counts(connection), **managed.boundary_counts(connection)}
        found += [policy for policy in managed.of_aws() if policy.arn in used]
    return found


def _detail(connection: Connection, found: Entity | ManagedPolicy) -> tuple[str, dict[str, Any]]:
    if isinstance(found, ManagedPolicy):
        return "Policies", _policy_detail(connection, found)
    noun = found.kind.capitalize()
    detail = {
        f"{noun}PolicyList": [
            {"PolicyName": name, "PolicyDocument": views.encoded(text)}
            for name, text in entity_policies.all_inline(connection, found).items()
        ],
        "AttachedManagedPolicies": [
            {"PolicyName": arn.rsplit("/", 1)[-1], "PolicyArn": arn}
            for arn in entity_policies.attached(connection, found)
        ],
    }
    if found.kind == USER:
        names = [group.name for group in groups.groups_of(connection, found)]
        return _DETAIL_MEMBERS[noun], {**views.user(found, whole=True), **detail, "GroupList": names}
    if found.kind == GROUP:
        return _DETAIL_MEMBERS[noun], {**views.group(found), **detail}
    role = views.role(found, whole=True)
    for member in ("Description", "MaxSessionDuration"):
        role.pop(member, None)
    return _DETAIL_MEMBERS[noun], {**role, **detail, "InstanceProfileList": []}


def _policy_detail(connection: Connection, policy: ManagedPolicy) -> dict[str, Any]:
    shown = views.policy(
        policy,
        attachments=managed.attachment_counts(connection).get(policy.arn, 0),
        boundaries=managed.boundary_counts(connection).get(policy.arn, 0),
        whole=True,
    )
    shown.pop("Tags", None)
    shown["PolicyVersionList"] = [
        views.policy_version(version, policy.default_version, with_document=True)
        for version in managed.versions(connection, policy)
    ]
    return shown
