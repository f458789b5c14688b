"""What else a caller must be allowed to, besides the action of the call itself: tags on create, roles, other services.

Where the caller has a policy (iam/caller.py) it must allow these too; and a fault that denies one of them by its full name
("ec2:CreateTags") strikes the calls that imply it. Actions are named by boto3's names of the services.
https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html
"""

from __future__ import annotations

from emulator.core import rules
from emulator.core.rules import Call, Params

rules.SENTENCES.update(
    {
        "tag-004": "A create call with tags is authorised twice: denying the tagging action denies it too.",
        "tag-005": "Some calls need actions of other services, such as iam:PassRole and ec2:RunInstances: denying these denies "
        "the calls.",
    }
)
rules.held("tag-004 tag-005", "faults: an action that is denied by its full name")

#: service -> the action that puts tags on what it creates
TAGGING = {
    "ec2": "ec2:CreateTags",
    "ecs": "ecs:TagResource",
    "elbv2": "elbv2:AddTags",
    "efs": "efs:TagResource",
    "autoscaling": "autoscaling:CreateOrUpdateTags",
    "ecr": "ecr:TagResource",
    "acm": "acm:AddTagsToCertificate",
    "logs": "logs:TagResource",
    "scheduler": "scheduler:TagResource",
    "application-autoscaling": "application-autoscaling:TagResource",
    "codepipeline": "codepipeline:TagResource",
    "codeconnections": "codeconnections:TagResource",
    "codestar-connections": "codestar-connections:TagResource",
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    "cloudwatch": "cloudwatch:TagResource",
    # https://github.com/pepperize/cdk-ssm-parameters-cross-region/issues/442
    "ssm": "ssm:AddTagsToResource",
}
IAM_TAGGING = {"CreateRole": "iam:TagRole", "CreateInstanceProfile": "iam:TagInstanceProfile"}
#: the calls that create, beside Create...
CREATING = (
    *("AllocateAddress", "AuthorizeSecurityGroupIngress", "RunInstances", "RunTask", "RegisterTaskDefinition"),
    *("RegisterScalableTarget", "RequestCertificate", "PutMetricAlarm", "PutParameter"),
)
#: how a call names its tags, in one service or another
TAGS = ("Tags", "tags", "TagSpecifications", "TagSpecification")
#: parameters with which a role is handed over
ROLES = (
    *("executionRoleArn", "taskRoleArn", "serviceRole", "roleArn", "RoleArn", "RoleARN", "IamInstanceProfile"),
    *("infrastructureRoleArn", "ec2InstanceProfileArn"),
)
#: a call -> the actions of other services that are done in the caller's name
ELSEWHERE = {
    ("ecs", "CreateCapacityProvider"): ("autoscaling:CreateOrUpdateTags",),
    ("efs", "CreateMountTarget"): ("ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces"),
    ("efs", "DeleteMountTarget"): ("ec2:DeleteNetworkInterface",),
    ("efs", "ModifyMountTargetSecurityGroups"): ("ec2:ModifyNetworkInterfaceAttribute",),
    ("autoscaling", "StartInstanceRefresh"): ("ec2:RunInstances",),
    ("autoscaling", "LaunchInstances"): (
        *("ec2:CreateFleet", "ec2:DescribeLaunchTemplateVersions", "ec2:RunInstances"),
        *("ec2:CreateTags", "iam:PassRole"),
    ),
    ("iam", "AddRoleToInstanceProfile"): ("iam:PassRole",),
}


def implied(call: Call) -> set[str]:
    """The actions that a call needs besides its own."""
    found = set(ELSEWHERE.get((call.service, call.operation), ()))
    creates = call.operation in CREATING or (call.operation.startswith("Create") and call.operation != "CreateTags")
    if creates and any(call.params.get(name) for name in TAGS):
        found.add(IAM_TAGGING.get(call.operation, "") if call.service == "iam" else TAGGING.get(call.service, ""))
    if call.service == "autoscaling" and any(
        call.params.get(name) for name in ("LaunchTemplate", "MixedInstancesPolicy")
    ):
        found.add("ec2:RunInstances")
    if call.service != "iam" and _hands_over(call.params):
        found.add("iam:PassRole")
    return found - {""}


def _hands_over(params: Params) -> bool:
    """Is a role named in a call, at the top, or in what it declares?"""
    inner = [value for value in params.values() if isinstance(value, dict)]
    return any(each.get(name) for each in (params, *inner) for name in ROLES)
