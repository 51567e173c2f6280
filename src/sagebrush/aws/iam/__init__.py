"""IAM: roles, users, groups, access keys, policies, and simulations of what they allow.

The rows, the evaluator and the words of the errors are in ``substrate/identity``; here is only the API of them.
Instance profiles, login profiles, MFA and federation are not served.
"""

from __future__ import annotations

from sagebrush.aws.iam import arns, condition_keys
from sagebrush.aws.iam.operations import account, groups, policies, roles, simulation, tags, users
from sagebrush.aws.iam.operations.entity_policies import policy_operations
from sagebrush.substrate.calls import Capability, Service
from sagebrush.substrate.identity.entities import GROUP, ROLE, USER

_ROLE_OPERATIONS = {
    **policy_operations(ROLE),
    "GetRole": roles.get_role,
    "UpdateRole": roles.update_role,
    "UpdateRoleDescription": roles.update_role_description,
    "UpdateAssumeRolePolicy": roles.update_assume_role_policy,
    "DeleteRole": roles.delete_role,
    "TagRole": tags.tag_role,
    "UntagRole": tags.untag_role,
    "ListRoleTags": tags.list_role_tags,
}
_USER_OPERATIONS = {
    **policy_operations(USER),
    "GetUser": users.get_user,
    "DeleteUser": users.delete_user,
    "CreateAccessKey": users.create_access_key,
    "ListAccessKeys": users.list_access_keys,
    "UpdateAccessKey": users.update_access_key,
    "DeleteAccessKey": users.delete_access_key,
    "TagUser": tags.tag_user,
    "UntagUser": tags.untag_user,
    "ListUserTags": tags.list_user_tags,
    "ListGroupsForUser": groups.list_groups_for_user,
}
_GROUP_OPERATIONS = {
    **policy_operations(GROUP),
    "GetGroup": groups.get_group,
    "DeleteGroup": groups.delete_group,
    "AddUserToGroup": groups.add_user_to_group,
    "RemoveUserFromGroup": groups.remove_user_from_group,
}
_POLICY_OPERATIONS = {
    "GetPolicy": policies.get_policy,
    "DeletePolicy": policies.delete_policy,
    "CreatePolicyVersion": policies.create_policy_version,
    "GetPolicyVersion": policies.get_policy_version,
    "ListPolicyVersions": policies.list_policy_versions,
    "SetDefaultPolicyVersion": policies.set_default_policy_version,
    "DeletePolicyVersion": policies.delete_policy_version,
    "ListEntitiesForPolicy": policies.list_entities_for_policy,
}

CAPABILITY = Capability(
    name="iam",
    services=(
        Service(
            name="iam",
            iam_prefix="iam",
            condition_keys=condition_keys.of_request,
            operations={
                "CreateRole": roles.create_role,
                "ListRoles": roles.list_roles,
                "CreateUser": users.create_user,
                "ListUsers": users.list_users,
                "CreateGroup": groups.create_group,
                "ListGroups": groups.list_groups,
                "CreatePolicy": policies.create_policy,
                "ListPolicies": policies.list_policies,
                "SimulatePrincipalPolicy": simulation.simulate_principal_policy,
                "CreateServiceLinkedRole": roles.create_service_linked_role,
                "UpdateUser": users.update_user,
                "GetAccessKeyLastUsed": users.get_access_key_last_used,
                "UpdateGroup": groups.update_group,
                "GetAccountSummary": account.get_account_summary,
                "GetAccountAuthorizationDetails": account.get_account_authorization_details,
                "GetContextKeysForPrincipalPolicy": simulation.get_context_keys_for_principal_policy,
                "GetContextKeysForCustomPolicy": simulation.get_context_keys_for_custom_policy,
                "SimulateCustomPolicy": simulation.simulate_custom_policy,
                **_ROLE_OPERATIONS,
                **_USER_OPERATIONS,
                **_GROUP_OPERATIONS,
                **_POLICY_OPERATIONS,
            },
            resource_arns={
                "CreateRole": arns.new_role,
                "CreateUser": arns.new_user,
                "CreateGroup": arns.new_group,
                "CreatePolicy": arns.new_policy,
                "CreateServiceLinkedRole": arns.service_linked_role,
                "UpdateUser": arns.user_renamed,
                "GetAccessKeyLastUsed": arns.user_of_key,
                "UpdateGroup": arns.group_renamed,
                "GetContextKeysForPrincipalPolicy": arns.policy_source,
                "SimulatePrincipalPolicy": arns.policy_source,
                **dict.fromkeys(_ROLE_OPERATIONS, arns.role),
                **dict.fromkeys(_USER_OPERATIONS, arns.user),
                **dict.fromkeys(_GROUP_OPERATIONS, arns.group),
                **dict.fromkeys(_POLICY_OPERATIONS, arns.policy),
            },
        ),
    ),
)
