"""The target group of the service, and the listener rule that leads to it. The rule must be there before the service.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html
"""

from typing import Any

from aws import Problem, accepted, client, insist, missing, name, ours, tags
from console import say
from constants import (
    CONTAINER_PORTS,
    DEREGISTRATION_DELAY,
    HEALTH_CHECK_CODES,
    HEALTH_CHECK_INTERVAL,
    HEALTH_CHECK_PATH,
    HEALTH_CHECK_TIMEOUT,
    HEALTHY_THRESHOLD,
    LISTENER_PATH,
    LISTENER_PROTOCOL,
    NETWORK_MODE,
    TARGET_PROTOCOL,
    UNHEALTHY_THRESHOLD,
)
from infrastructure import load_balancer
from infrastructure.network import Network

NAME = name("tg")
HEALTH_CHECK = {
    "HealthCheckProtocol": TARGET_PROTOCOL,
    "HealthCheckPath": HEALTH_CHECK_PATH,
    "HealthCheckIntervalSeconds": HEALTH_CHECK_INTERVAL,
    "HealthCheckTimeoutSeconds": HEALTH_CHECK_TIMEOUT,
    "HealthyThresholdCount": HEALTHY_THRESHOLD,
    "UnhealthyThresholdCount": UNHEALTHY_THRESHOLD,
    "Matcher": {"HttpCode": HEALTH_CHECK_CODES},
}


def create(network: Network) -> str:
    """Make or complete the group and its rule; the health check and the rule's path follow the settings."""
    if not LISTENER_PROTOCOL:
        return ""
    elb = client("elbv2")
    group = find()
    if group and not is_ours(group["TargetGroupArn"]):
        raise Problem(
            f"the target group {NAME} exists already, and is not of this runbook: choose another CLUSTER_NAME"
        )
    check_path(load_balancer.service_listener_arn(), group["TargetGroupArn"] if group else "")
    if not group:
        group = elb.create_target_group(
            Name=NAME,
            Protocol=TARGET_PROTOCOL,
            Port=CONTAINER_PORTS[0][1],
            VpcId=network.vpc_id,
            TargetType="ip" if NETWORK_MODE == "awsvpc" else "instance",
            Tags=tags("tg"),
            **HEALTH_CHECK,
        )["TargetGroups"][0]
        say("created", f"target group {NAME}")
    elif changed := [key for key, value in HEALTH_CHECK.items() if group.get(key) != value]:
        elb.modify_target_group(TargetGroupArn=group["TargetGroupArn"], **HEALTH_CHECK)
        say("updated", f"target group {NAME}", ", ".join(changed))
    else:
        say("found", f"target group {NAME}")
    arn = str(group["TargetGroupArn"])
    set_delay(arn)
    create_rule(arn)
    return arn


def set_delay(arn: str) -> None:
    """How long a target that leaves may finish its requests; AWS's own 300 seconds make every deploy slow."""
    elb = client("elbv2")
    wanted = {"Key": "deregistration_delay.timeout_seconds", "Value": str(DEREGISTRATION_DELAY)}
    if wanted not in elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]:
        elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[wanted])
        say("updated", f"target group {NAME}", f"deregistration delay {DEREGISTRATION_DELAY} s")


def create_rule(arn: str) -> None:
    """LISTENER_PATH leads to the group. A path that leads to another service is that one's."""
    elb = client("elbv2")
    listener_arn = load_balancer.service_listener_arn()
    present = rules(listener_arn)
    conditions = [{"Field": "path-pattern", "PathPatternConfig": {"Values": [LISTENER_PATH]}}]
    mine = next((rule for rule in present if target_of(rule) == arn), None)
    if mine and paths(mine) == [LISTENER_PATH]:
        return say("found", f"listener rule {LISTENER_PATH}")
    if mine:
        elb.modify_rule(RuleArn=mine["RuleArn"], Conditions=conditions)
        return say("updated", f"listener rule {LISTENER_PATH}")
    taken = {rule["Priority"] for rule in present}
    request = {
        "ListenerArn": listener_arn,
        "Conditions": conditions,
        "Priority": next(number for number in range(1, 50001) if str(number) not in taken),
        "Actions": [{"Type": "forward", "TargetGroupArn": arn}],
        "Tags": tags("rule"),
    }
    if accepted(lambda: elb.create_rule(**request), "PriorityInUse"):
        return say("created", f"listener rule {LISTENER_PATH}")
    return create_rule(arn)  # another run took the priority: look again


def check_path(listener_arn: str, arn: str) -> None:
    """Two rules for one path: the second would never be asked."""
    for rule in rules(listener_arn):
        if target_of(rule) != arn and LISTENER_PATH in paths(rule):
            owner = target_of(rule).split("/")[-2] if target_of(rule) else "another action"
            raise Problem(f"LISTENER_PATH={LISTENER_PATH} leads to {owner} already: choose another path")


def rules(listener_arn: str) -> list[dict[str, Any]]:
    """All but the default one."""
    pages = client("elbv2").get_paginator("describe_rules").paginate(ListenerArn=listener_arn)
    return [rule for page in pages for rule in page["Rules"] if not rule["IsDefault"]]


def target_of(rule: dict[str, Any]) -> str:
    return next((str(action["TargetGroupArn"]) for action in rule["Actions"] if "TargetGroupArn" in action), "")


def paths(rule: dict[str, Any]) -> list[str]:
    conditions = [each for each in rule["Conditions"] if each["Field"] == "path-pattern"]
    return [value for each in conditions for value in each.get("PathPatternConfig", each).get("Values", [])]


def find() -> dict[str, Any] | None:
    found = missing(lambda: client("elbv2").describe_target_groups(Names=[NAME]), "TargetGroupNotFound")
    return found["TargetGroups"][0] if found else None  # a name is given once


def is_ours(arn: str) -> bool:
    [found] = client("elbv2").describe_tags(ResourceArns=[arn])["TagDescriptions"]
    return ours(found["Tags"])


def health() -> list[dict[str, Any]]:
    """Each target with its state, and AWS's reason where it is not healthy."""
    group = find() if LISTENER_PROTOCOL else None
    if not group:
        return []
    found = client("elbv2").describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
    return [
        {
            "target": f"{each['Target']['Id']}:{each['Target']['Port']}",
            "state": each["TargetHealth"]["State"],
            "reason": " ".join(each["TargetHealth"].get(key, "") for key in ("Reason", "Description")).strip(),
        }
        for each in found
    ]


def delete() -> None:
    """The rule first, then the group; AWS sees some seconds later that nothing uses it."""
    elb = client("elbv2")
    group = find()
    if not group:
        return say("already gone", f"target group {NAME}")
    arn = group["TargetGroupArn"]
    if not is_ours(arn):
        return say("kept", f"target group {NAME}", "not of this runbook")
    for rule in rules_to(arn):
        accepted(lambda: elb.delete_rule(RuleArn=rule["RuleArn"]), "RuleNotFound")
        say("deleted", "listener rule", ", ".join(paths(rule)))
    insist(
        f"target group {NAME} to be free",
        lambda: accepted(lambda: elb.delete_target_group(TargetGroupArn=arn), "TargetGroupNotFound"),
        "ResourceInUse",
    )
    return say("deleted", f"target group {NAME}")


def rules_to(arn: str) -> list[dict[str, Any]]:
    balancer = load_balancer.find()
    listeners = load_balancer.listeners(balancer["LoadBalancerArn"]).values() if balancer else []
    return [rule for each in listeners for rule in rules(each["ListenerArn"]) if target_of(rule) == arn]


def left_over() -> list[str]:
    group = find()
    return [f"target group {NAME}"] if group and is_ours(group["TargetGroupArn"]) else []
