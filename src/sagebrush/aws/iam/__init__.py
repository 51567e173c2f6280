"""IAM: roles, users, access keys, policies, and simulations of what they allow.

The rows, the evaluator and the words of the errors are in ``substrate/identity``; here is only the API of them.
Groups, instance profiles, login profiles, MFA and federation are not served.
"""

from __future__ import annotations

from sagebrush.aws.iam import arns
from sagebrush.aws.iam.operations import entity_policies, policies, roles, simulation, tags, users
from sagebrush.substrate.calls import Capability, Service

_ROLE_OPERATIONS = {
    "GetRole": roles.get_role,
    "UpdateRole": roles.update_role,
    "UpdateAssumeRolePolicy": roles.update_assume_role_policy,
    "DeleteRole": roles.delete_role,
    "PutRolePolicy": entity_policies.put_role_policy,
    "GetRolePolicy": entity_policies.get_role_policy,
    "DeleteRolePolicy": entity_policies.delete_role_policy,
    "ListRolePolicies": entity_policies.list_role_policies,
    "AttachRolePolicy": entity_policies.attach_role_policy,
    "DetachRolePolicy": entity_policies.detach_role_policy,
    "ListAttachedRolePolicies": entity_policies.list_attached_role_policies,
    "PutRolePermissionsBoundary": entity_policies.put_role_permissions_boundary,
    "DeleteRolePermissionsBoundary": entity_policies.delete_role_permissions_boundary,
    "TagRole": tags.tag_role,
    "UntagRole": tags.untag_role,
    "ListRoleTags": tags.list_role_tags,
}
_USER_OPERATIONS = {
    "GetUser": users.get_user,
    "DeleteUser": users.delete_user,
    "CreateAccessKey": users.create_access_key,
    "ListAccessKeys": users.list_access_keys,
    "UpdateAccessKey": users.update_access_key,
    "DeleteAccessKey": users.delete_access_key,
    "PutUserPolicy": entity_policies.put_user_policy,
    "GetUserPolicy": entity_policies.get_user_policy,
    "DeleteUserPolicy": entity_policies.delete_user_policy,
    "ListUserPolicies": entity_policies.list_user_policies,
    "AttachUserPolicy": entity_policies.attach_user_policy,
    "DetachUserPolicy": entity_policies.detach_user_policy,
    "ListAttachedUserPolicies": entity_policies.list_attached_user_policies,
    "PutUserPermissionsBoundary": entity_policies.put_user_permissions_boundary,
    "DeleteUserPermissionsBoundary": entity_policies.delete_user_permissions_boundary,
    "TagUser": tags.tag_user,
    "UntagUser": tags.untag_user,
    "ListUserTags": tags.list_user_tags,
}
_POLICY_OPERATIONS = {
    "GetPolicy": policies.get_policy,
    "DeletePolicy": policies.delete_policy,
    "CreatePolicyVersion": policies.create_policy_version,
    "GetPolicyVersion": policies.get_policy_version,
    "ListPolicyVersions": policies.list_policy_versions,
    "SetDefaultPolicyVersion": policies.set_default_policy_version,
    "DeletePolicyVersion": policies.delete_policy_version,
}

CAPABILITY = Capability(
    name="iam",
    services=(
        Service(
            name="iam",
            iam_prefix="iam",
            operations={
                "CreateRole": roles.create_role,
                "ListRoles": roles.list_roles,
                "CreateUser": users.create_user,
                "ListUsers": users.list_users,
                "CreatePolicy": policies.create_policy,
                "ListPolicies": policies.list_policies,
                "SimulatePrincipalPolicy": simulation.simulate_principal_policy,
                "SimulateCustomPolicy": simulation.simulate_custom_policy,
                **_ROLE_OPERATIONS,
                **_USER_OPERATIONS,
                **_POLICY_OPERATIONS,
            },
            resource_arns={
                "CreateRole": arns.new_role,
                "CreateUser": arns.new_user,
                "CreatePolicy": arns.new_policy,
                "SimulatePrincipalPolicy": arns.policy_source,
                **dict.fromkeys(_ROLE_OPERATIONS, arns.role),
                **dict.fromkeys(_USER_OPERATIONS, arns.user),
                **dict.fromkeys(_POLICY_OPERATIONS, arns.policy),
            },
        ),
    ),
)
