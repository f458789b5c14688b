"""What a schedule does when it is due: it starts an ECS task, or makes any one call of AWS's, with the rights of its role.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets.html
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from typing import Any

import botocore.session
from botocore.exceptions import ClientError
from botocore.model import Shape

from emulator.application_autoscaling import scaling
from emulator.autoscaling import calls as autoscaling
from emulator.core import partitions, rules
from emulator.core.ask import ask, asking
from emulator.core.rules import AwsError, Call, Params
from emulator.core.world import ACCOUNT, World
from emulator.iam import requests
from emulator.iam.policies import may
from emulator.iam.trust import assumable

rules.SENTENCES.update(
    {
        "sch-007": "A universal target names a call by its SDK, and its Input the request's members in PascalCase: without "
        "a required one the schedule is refused. The call is judged as the schedule's role.",
    }
)
rules.held("sch-007", "scheduler.targets: what is due")

PRINCIPAL = "scheduler.amazonaws.com"
CLUSTER = re.compile(r"arn:aws[a-z-]*:ecs:[a-z0-9-]+:\d{12}:cluster/[\w-]+")
UNIVERSAL = re.compile(r"arn:aws[a-z-]*:scheduler:::aws-sdk:([a-z0-9]+):([a-z]\w+)")
#: https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html
READ_ONLY = ("get", "describe", "list", "poll", "receive", "search", "scan", "query", "select", "read", "lookup")
#: a service as universal targets name it -> as botocore does
SERVICES = {"ecs": "ecs", "autoscaling": "autoscaling", "applicationautoscaling": "application-autoscaling"}


def check(target: Params) -> None:
    """Refuse what CreateSchedule refuses of a target, but for its role."""
    if UNIVERSAL.fullmatch(target["Arn"]):
        _check_universal(target)
        return
    if not CLUSTER.fullmatch(target["Arn"]):
        raise AwsError("NotImplemented", f"the emulator starts no {target['Arn']}", 501)
    if not target.get("EcsParameters"):
        raise _invalid("EcsParameters is required for an ECS target.")
    if not 1 <= target["EcsParameters"].get("TaskCount", 1) <= 10:
        raise _invalid("TaskCount must be between 1 and 10.")
    if target["EcsParameters"].get("LaunchType") and target["EcsParameters"].get("CapacityProviderStrategy"):
        raise _invalid("LaunchType and CapacityProviderStrategy cannot both be specified.")


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)


def _check_universal(target: Params) -> None:
    """AWS's words: terraform and cdk users meet them where they spell a member as ECS does, `taskDefinition`."""
    service, operation = _called(target["Arn"])
    if operation.lower().startswith(READ_ONLY):
        raise _invalid(f"{operation} is not a supported api for {service}.")
    try:
        given = json.loads(target.get("Input") or "{}")
    except ValueError:
        raise _invalid("Invalid RequestJson provided. Reason The request payload is no JSON.") from None
    required = [_pascal(name) for name in _shape(service, operation).required_members]
    if missing := [name for name in required if name not in given]:
        told = f"Request payload is missing the following field(s): {', '.join(missing)}."
        raise _invalid(f"Invalid RequestJson provided. Reason {told}")


def _called(arn: str) -> tuple[str, str]:
    """Service and operation as botocore names them."""
    match = UNIVERSAL.fullmatch(arn)
    assert match
    service, operation = SERVICES.get(match[1], ""), _pascal(match[2])
    if not service:
        raise AwsError("NotImplemented", f"the emulator makes no calls of {match[1]} for a schedule", 501)
    if operation not in _model(service).operation_names:
        raise _invalid(f"{match[2]} is not a supported api for {match[1]}.")
    return service, operation


def _pascal(name: str) -> str:
    return name[0].upper() + name[1:]


@functools.cache
def _model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


def _shape(service: str, operation: str) -> Any:
    return _model(service).operation_model(operation).input_shape


def run(world: World, region: str, group_arn: str, name: str, target: Params) -> list[str]:
    """Do it, with what the role may do looked at first: the ARNs of the tasks that were started."""
    if not assumable(world, target["RoleArn"], PRINCIPAL, group_arn):
        raise AwsError("AccessDeniedException", "The execution role cannot be assumed.")
    if CLUSTER.fullmatch(target["Arn"]):
        return _run_task(world, region, name, target)
    service, operation = _called(target["Arn"])
    params = _spelt(json.loads(target.get("Input") or "{}"), _shape(service, operation))
    asked = Call(world, service, operation, params, region, ACCOUNT, asking(world, region, service).moto)
    for action, arn in _needed(asked):
        context = requests.context_of(asked, target["RoleArn"]) | requests.resource_tags(asked, arn)
        _demand(target["RoleArn"], action, arn, context)
    try:
        ask(asking(world, region, "scheduler"), service, operation, **params)
    except ClientError as error:
        told = error.response["Error"]
        raise AwsError(told["Code"], told["Message"]) from error
    return []


def _spelt(given: Any, shape: Shape) -> Any:
    """An Input as the service's own API spells it. What is not in PascalCase is no member of it."""
    if shape.type_name == "list":
        return [_spelt(each, shape.member) for each in given]  # type: ignore[attr-defined]
    if shape.type_name != "structure":
        return given
    members = {_pascal(name): name for name in shape.members}  # type: ignore[attr-defined]
    if unknown := [name for name in given if name not in members]:
        raise _invalid(f"the request has no member {', '.join(unknown)}")
    return {members[name]: _spelt(value, shape.members[members[name]]) for name, value in given.items()}  # type: ignore[attr-defined]


def _needed(asked: Call) -> Iterator[tuple[str, str]]:
    """Actions and the resources that they are about."""
    resources = requests.resources_of(asked)
    if asked.service == "autoscaling":
        resources = [autoscaling.find(asked, asked.params["AutoScalingGroupName"]).arn]
    if asked.service == "application-autoscaling":
        given = asked.params
        key = (given["ServiceNamespace"], given["ResourceId"], given["ScalableDimension"])
        known = scaling.region_of(asked.world, asked.region).targets.get(key)
        resources = [known["ScalableTargetARN"]] if known else resources
        service = f"arn:{partitions.here()}:ecs:{asked.region}:{ACCOUNT}:{given['ResourceId']}"
        # https://docs.aws.amazon.com/autoscaling/application/userguide/security_iam_id-based-policy-examples.html
        yield from [("ecs:DescribeServices", service), ("ecs:UpdateService", service)]
    yield from ((requests.action_of(asked), arn) for arn in resources)


def _run_task(world: World, region: str, name: str, target: Params) -> list[str]:
    request = _request(name, target)
    definition = request["taskDefinition"]
    _demand(target["RoleArn"], "ecs:RunTask", definition, {"ecs:cluster": target["Arn"]})
    if request.get("propagateTags") or request.get("tags"):
        created = f"{target['Arn'].replace(':cluster/', ':task/')}/new"
        _demand(target["RoleArn"], "ecs:TagResource", created, {"ecs:CreateAction": "RunTask"})
    described = ask(asking(world, region, "scheduler"), "ecs", "DescribeTaskDefinition", taskDefinition=definition)[
        "taskDefinition"
    ]
    for key in ("taskRoleArn", "executionRoleArn"):
        if described.get(key):
            _demand(
                target["RoleArn"], "iam:PassRole", described[key], {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
            )
    answer = ask(asking(world, region, "scheduler"), "ecs", "RunTask", **request)
    if answer["failures"]:
        raise AwsError("InternalServerException", str(answer["failures"][0].get("reason")))
    return [task["taskArn"] for task in answer["tasks"]]


def _request(name: str, target: Params) -> Params:
    """EcsParameters as RunTask spells them."""
    given = target["EcsParameters"]
    network = (given.get("NetworkConfiguration") or {}).get("awsvpcConfiguration")
    renamed = {
        "taskDefinition": given["TaskDefinitionArn"],
        "count": given.get("TaskCount", 1),
        "launchType": given.get("LaunchType"),
        "capacityProviderStrategy": given.get("CapacityProviderStrategy"),
        "platformVersion": given.get("PlatformVersion"),
        "group": given.get("Group"),
        "enableECSManagedTags": given.get("EnableECSManagedTags"),
        "enableExecuteCommand": given.get("EnableExecuteCommand"),
        "propagateTags": given.get("PropagateTags"),
        "tags": [{"key": k, "value": v} for tag in given.get("Tags") or [] for k, v in [(tag["key"], tag["value"])]],
        "networkConfiguration": network
        and {"awsvpcConfiguration": {key[0].lower() + key[1:]: value for key, value in network.items()}},
        "overrides": json.loads(target["Input"]) if target.get("Input") else None,
    }
    request = {key: value for key, value in renamed.items() if value}
    return {**request, "cluster": target["Arn"], "startedBy": f"chronon-schedule/{name}"[:128]}


def _demand(role_arn: str, action: str, resource: str, context: dict[str, Any]) -> None:
    role = role_arn.rpartition("/")[2]
    if not may(role, action, resource, context):
        raise AwsError(
            "AccessDeniedException",
            f"User: arn:{partitions.here()}:sts::{ACCOUNT}:assumed-role/{role} is not authorized to perform: {action} on resource: "
            f"{resource}",
        )
