"""The target group: where the load balancer reaches the tasks, how it asks whether they are well, how they leave. Free.

The rule that leads to it is listener_rule.py. https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html
"""

from typing import Any

import aws
import constants
from aws import Problem, Resource, call, client, endpoint_name, endpoint_tags, every, mine, part, resource
from console import say
from infrastructure.cluster import load_balancer
from infrastructure.cluster.load_balancer import with_tags

PART = "tg"
#: of a new one: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html
DEFAULTS = {
    "deregistration_delay.timeout_seconds": "300",
    "load_balancing.algorithm.type": "round_robin",
    "slow_start.duration_seconds": "0",
    "stickiness.enabled": "false",
    "stickiness.lb_cookie.duration_seconds": "86400",
}


def its_name() -> str:
    return endpoint_name(PART)


@aws.shared_look
def groups() -> list[Any]:
    """Those whose names begin as the cluster's do, whoever's they are, with their tags."""
    listed = every(client("elbv2").get_paginator("describe_target_groups").paginate(), "TargetGroups")
    return with_tags([group for group in listed if group["TargetGroupName"].startswith(aws.name(""))], "TargetGroupArn")


LOOKS = (groups,)


def find() -> Any | None:
    """The endpoint's."""
    return next((group for group in groups() if mine(group) and part(group) == PART), None)


def named() -> Any | None:
    """The one of our name, which is given once in a Region, whoever's it is."""
    return next((group for group in groups() if group["TargetGroupName"] == its_name()), None)


@aws.look
def attributes() -> dict[str, str]:
    """The endpoint's group's; none where there is no group."""
    group = named()
    describe = client("elbv2").describe_target_group_attributes
    found = describe(TargetGroupArn=group["TargetGroupArn"])["Attributes"] if group else []
    return {each["Key"]: each["Value"] for each in found}


def health(arn: str) -> list[dict[str, Any]]:
    """Each target of a group with its state now, and AWS's reason where it is not healthy."""
    found: Any = client("elbv2").describe_target_health(TargetGroupArn=arn)
    return [
        {
            "target": f"{each['Target']['Id']}:{each['Target']['Port']}",
            "state": each["TargetHealth"]["State"],
            "reason": " ".join(each["TargetHealth"].get(key, "") for key in ("Reason", "Description")).strip(),
        }
        for each in found["TargetHealthDescriptions"]
    ]


def fixed() -> dict[str, tuple[str, Any]]:
    """Setting -> what follows from it, and can't be changed any more."""
    return {
        "TARGET_PROTOCOL": ("Protocol", constants.TARGET_PROTOCOL),
        "TARGET_PROTOCOL_VERSION": ("ProtocolVersion", constants.TARGET_PROTOCOL_VERSION),
        "NETWORK_MODE": ("TargetType", "ip" if constants.NETWORK_MODE == "awsvpc" else "instance"),
    }


def refuse_changes() -> None:
    """Before anything is changed: what is another's, and what AWS can't change.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ModifyTargetGroup.html
    """
    group = named() if constants.LISTENER_PROTOCOL else None
    aws.refuse_foreign(f"target group {its_name()}", group)
    for setting, (key, value) in fixed().items():
        if group and group[key] != value:
            wrong = f"the target group {its_name()} is to have {key} {value}, but has {group[key]}"
            undo = f"set it back, or run {aws.command('delete_service.py')} first"
            raise Problem(f"{setting}: {wrong}, which can't be changed: {undo}")


def create() -> str:
    """Make the group, or bring its health check and attributes to the settings. Its ARN; none without a load balancer."""
    if not constants.LISTENER_PROTOCOL:
        return ""
    what, group, elb = f"target group {its_name()}", named(), client("elbv2")
    present = attributes() if group else DEFAULTS
    if not group:
        port = constants.CONTAINER_PORTS[0][1]  # ECS registers each task with its own, also where this is another one
        where = {"Port": port, "VpcId": load_balancer.required()["VpcId"]}
        request: Any = {**dict(fixed().values()), **health_check(), **where}
        [made] = elb.create_target_group(Name=its_name(), Tags=endpoint_tags(PART), **request)["TargetGroups"]
        group = {**made, "Tags": endpoint_tags(PART)}
        say("created", what)
    elif changed := [key for key, value in health_check().items() if group.get(key) != value]:
        call(elb.modify_target_group, what, of=group)(TargetGroupArn=group["TargetGroupArn"], **health_check())
        say("updated", what, ", ".join(changed))
    else:
        say("found", what)
    set_attributes(group, present)
    return str(group["TargetGroupArn"])


def set_attributes(group: Any, present: dict[str, str]) -> None:
    """AWS's own 300 seconds, for targets that leave, make every deploy slow."""
    wanted = DEFAULTS | {
        "deregistration_delay.timeout_seconds": str(constants.DEREGISTRATION_DELAY),
        "load_balancing.algorithm.type": constants.ALGORITHM,
        "slow_start.duration_seconds": str(constants.SLOW_START),
    }
    if constants.STICKINESS_SECONDS:
        seconds = str(constants.STICKINESS_SECONDS)
        wanted |= {"stickiness.enabled": "true", "stickiness.lb_cookie.duration_seconds": seconds}
    changes: Any = [{"Key": key, "Value": value} for key, value in wanted.items() if present.get(key) != value]
    if changes:
        what = f"target group {its_name()}"
        modify = call(client("elbv2").modify_target_group_attributes, what, of=group)
        modify(TargetGroupArn=group["TargetGroupArn"], Attributes=changes)
        say("updated", what, ", ".join(f"{each['Key']} {each['Value']}" for each in changes))


def health_check() -> Any:
    return {
        "HealthCheckProtocol": constants.TARGET_PROTOCOL,
        "HealthCheckPath": constants.HEALTH_CHECK_PATH,
        "HealthCheckPort": str(constants.HEALTH_CHECK_PORT or "traffic-port"),
        "HealthCheckIntervalSeconds": constants.HEALTH_CHECK_INTERVAL,
        "HealthCheckTimeoutSeconds": constants.HEALTH_CHECK_TIMEOUT,
        "HealthyThresholdCount": constants.HEALTHY_THRESHOLD,
        "UnhealthyThresholdCount": constants.UNHEALTHY_THRESHOLD,
        "Matcher": {"GrpcCode" if constants.GRPC else "HttpCode": constants.HEALTH_CHECK_CODES},
    }


def delete() -> None:
    """Once no rule leads to it any more; AWS sees that some seconds later."""
    what, group = f"target group {its_name()}", find()
    if not group:
        aws.spare_foreign(what, named())
        return
    elb, free = client("elbv2"), f"{what} to be free"
    delete_group = call(elb.delete_target_group, free, of=group, gone="TargetGroupNotFound", busy="ResourceInUse")
    delete_group(TargetGroupArn=group["TargetGroupArn"])
    say("deleted", what)


def left_over() -> list[Resource]:
    own = [group for group in groups() if mine(group)]
    return [resource(f"target group {each['TargetGroupName']}", each["TargetGroupArn"], each) for each in own]
