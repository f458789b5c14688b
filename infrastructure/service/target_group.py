"""The target group of the service, and the listener rule that leads to it. The rule must be there before the service.

With TRAFFIC_WEIGHT a part of another endpoint's requests comes here too: its rule then forwards to both groups.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html
"""

from typing import Any

import constants
from aws import Problem, accepted, client, endpoint_name, endpoint_tags, insist, missing, name, ours
from console import say
from infrastructure.cluster import load_balancer
from infrastructure.cluster.network import Network

NAME = endpoint_name("tg")
RULE = endpoint_name("rule")
WHERE = f"{constants.HOST_NAME}{constants.LISTENER_PATH.removesuffix('*') if constants.HOST_NAME else constants.LISTENER_PATH}"
HEALTH_CHECK = {
    "HealthCheckProtocol": constants.TARGET_PROTOCOL,
    "HealthCheckPath": constants.HEALTH_CHECK_PATH,
    "HealthCheckIntervalSeconds": constants.HEALTH_CHECK_INTERVAL,
    "HealthCheckTimeoutSeconds": constants.HEALTH_CHECK_TIMEOUT,
    "HealthyThresholdCount": constants.HEALTHY_THRESHOLD,
    "UnhealthyThresholdCount": constants.UNHEALTHY_THRESHOLD,
    "Matcher": {"HttpCode": constants.HEALTH_CHECK_CODES},
}


def create(network: Network) -> str:
    """Make or complete the group and its rule; the health check and the rule's host name and path follow the settings."""
    if not constants.LISTENER_PROTOCOL:
        return ""
    elb = client("elbv2")
    group = find()
    if group and not is_ours(group["TargetGroupArn"]):
        raise Problem(
            f"the target group {NAME} exists already, and is not of this runbook: choose another CLUSTER_NAME"
        )
    listener_arn = load_balancer.service_listener_arn()
    if not group:
        group = elb.create_target_group(
            Name=NAME,
            Protocol=constants.TARGET_PROTOCOL,
            Port=constants.CONTAINER_PORTS[0][1],
            VpcId=network.vpc_id,
            TargetType="ip" if constants.NETWORK_MODE == "awsvpc" else "instance",
            Tags=endpoint_tags("tg"),
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
    create_rule(listener_arn, arn)
    return arn


def set_delay(arn: str) -> None:
    """How long a target that leaves may finish its requests; AWS's own 300 seconds make every deploy slow."""
    elb = client("elbv2")
    wanted = {"Key": "deregistration_delay.timeout_seconds", "Value": str(constants.DEREGISTRATION_DELAY)}
    if wanted not in elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]:
        elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[wanted])
        say("updated", f"target group {NAME}", f"deregistration delay {constants.DEREGISTRATION_DELAY} s")


def create_rule(listener_arn: str, arn: str) -> None:
    """HOST_NAME and LISTENER_PATH lead to the group. RULE_PRIORITY, or the next free number, says when it is asked."""
    elb = client("elbv2")
    present = rules(listener_arn)
    mine = next((rule for rule in present if rule["Name"] == RULE), None)
    if mine:
        return update_rule(mine)
    request = {
        "ListenerArn": listener_arn,
        "Conditions": conditions(),
        "Priority": constants.RULE_PRIORITY or next_priority(present),
        "Actions": [forward({arn: 1})],
        "Tags": endpoint_tags("rule"),
    }
    if accepted(lambda: elb.create_rule(**request), "PriorityInUse"):
        return say("created", f"listener rule {WHERE}")
    refuse_taken()
    return create_rule(listener_arn, arn)  # another run took the priority: look again


def update_rule(rule: dict[str, Any]) -> None:
    elb = client("elbv2")
    changed = []
    if (hosts(rule), paths(rule)) != ([constants.HOST_NAME] if constants.HOST_NAME else [], wanted_paths()):
        elb.modify_rule(RuleArn=rule["RuleArn"], Conditions=conditions())
        changed.append("where it leads from")
    if constants.RULE_PRIORITY and rule["Priority"] != str(constants.RULE_PRIORITY):
        elb.set_rule_priorities(RulePriorities=[{"RuleArn": rule["RuleArn"], "Priority": constants.RULE_PRIORITY}])
        changed.append(f"priority {constants.RULE_PRIORITY}")
    return say("updated" if changed else "found", f"listener rule {WHERE}", ", ".join(changed))


def split(rule: dict[str, Any], arn: str, weight: int) -> None:
    """Give the group `weight` percent of what another endpoint's rule forwards; that endpoint keeps the rest.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-action-types.html#forward-actions
    """
    present = weights(rule)
    owner = owner_of(rule)
    if rule["Name"] == RULE or not owner or present.get(arn, 0) == weight:
        return
    others = {each: part for each, part in present.items() if each not in (owner, arn)}
    rest = 100 - weight - sum(others.values())
    wanted = {owner: rest, **others, **({arn: weight} if weight else {})}
    client("elbv2").modify_rule(RuleArn=rule["RuleArn"], Actions=[forward(wanted)])
    say("updated", f"listener rule {', '.join(hosts(rule))}", f"{weight} % of its requests come to {NAME}")


def owner_of(rule: dict[str, Any]) -> str:
    """The group of the endpoint to which a rule belongs; empty for a rule of someone else."""
    return next((each for each in weights(rule) if each.split("/")[-2] == f"{rule['Name'].removesuffix('rule')}tg"), "")


def rule_to_split(present: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The rule of TRAFFIC_FROM, of which TRAFFIC_WEIGHT percent come here; the others leave so much of it."""
    if not constants.TRAFFIC_WEIGHT:
        return None
    found = next((rule for rule in present if rule["Name"] == name(f"{constants.TRAFFIC_FROM}-rule")), None)
    if not found:
        raise Problem(f"TRAFFIC_FROM={constants.TRAFFIC_FROM}: no such endpoint is at the load balancer")
    others = {arn: part for arn, part in weights(found).items() if arn != owner_of(found) and f"/{NAME}/" not in arn}
    if constants.TRAFFIC_WEIGHT + sum(others.values()) > 100:
        given = ", ".join(f"{part} to {arn.split('/')[-2]}" for arn, part in others.items())
        raise Problem(
            f"TRAFFIC_WEIGHT={constants.TRAFFIC_WEIGHT} is too much: of its 100 % {constants.TRAFFIC_FROM} gives {given} already"
        )
    return found


def share_traffic() -> None:
    """Take TRAFFIC_WEIGHT percent of TRAFFIC_FROM's requests, and no others, once a task can answer them.

    A load balancer sends a group its part even when nobody there is healthy: that part would get 503.
    """
    group = find() if constants.LISTENER_PROTOCOL else None
    if not group:
        return
    present = all_rules()
    splitting = rule_to_split(present)
    for rule in present:
        if rule is not splitting:
            split(rule, group["TargetGroupArn"], 0)
    if not splitting or weights(splitting).get(group["TargetGroupArn"]) == constants.TRAFFIC_WEIGHT:
        return
    if any(target["state"] == "healthy" for target in health()):
        return split(splitting, group["TargetGroupArn"], constants.TRAFFIC_WEIGHT)
    again = "with DESIRED_COUNT, or create_service.py again, it takes them"
    return say(
        "warning",
        f"TRAFFIC_WEIGHT={constants.TRAFFIC_WEIGHT}:",
        f"no task can answer yet, so {constants.TRAFFIC_FROM} keeps all; {again}",
    )


def give_back() -> None:
    """Before the tasks go: what came here of other endpoints' requests is answered there again."""
    group = find() if constants.LISTENER_PROTOCOL else None
    if group and is_ours(group["TargetGroupArn"]):
        for rule in all_rules():
            split(rule, group["TargetGroupArn"], 0)


def refuse_taken() -> None:
    """Two rules for the same requests: the second would never be asked. And a priority is given once."""
    present = rules(load_balancer.service_listener_arn()) if constants.LISTENER_PROTOCOL else []
    rule_to_split(present)
    for rule in present:
        if rule["Name"] == RULE:
            continue
        owner = ", ".join(each.split("/")[-2] for each in weights(rule)) or "another action"
        if (hosts(rule), paths(rule)) == ([constants.HOST_NAME] if constants.HOST_NAME else [], wanted_paths()):
            setting = (
                f"HOST_NAME={constants.HOST_NAME}"
                if constants.HOST_NAME
                else f"LISTENER_PATH={constants.LISTENER_PATH}"
            )
            raise Problem(
                f"{setting} leads to {owner} already: choose another {'host name' if constants.HOST_NAME else 'path'}"
            )
        if constants.RULE_PRIORITY and rule["Priority"] == str(constants.RULE_PRIORITY):
            raise Problem(
                f"RULE_PRIORITY={constants.RULE_PRIORITY} is taken by the rule to {owner}: choose another, or leave it empty"
            )
    refuse_hidden(present)


def refuse_hidden(present: list[dict[str, Any]]) -> None:
    """The load balancer takes the first rule that fits: one that fits more must come later."""
    mine = next((rule for rule in present if rule["Name"] == RULE), None)
    wanted = ([constants.HOST_NAME] if constants.HOST_NAME else [], wanted_paths())
    number = constants.RULE_PRIORITY or int(mine["Priority"] if mine else next_priority(present))
    if mine and (hosts(mine), paths(mine), int(mine["Priority"])) == (*wanted, number):
        return
    for rule in [rule for rule in present if rule["Name"] != RULE]:
        theirs, priority = (hosts(rule), paths(rule)), int(rule["Priority"])
        owner = ", ".join(each.split("/")[-2] for each in weights(rule)) or "another action"
        plain = all(each["Field"] in ("host-header", "path-pattern") for each in rule["Conditions"])
        if plain and priority < number and covers(theirs, wanted):
            raise Problem(
                f"{WHERE} would never be asked for: the rule to {owner}, priority {priority}, comes first and takes "
                "all of it. Set RULE_PRIORITY below that; RULE_PRIORITY with create_service.py moves the other one"
            )
        if number < priority and covers(wanted, theirs):
            raise Problem(
                f"{WHERE} with priority {number} would take all from the rule to {owner}, priority {priority}: "
                "set RULE_PRIORITY above that"
            )


def covers(wide: tuple[list[str], list[str]], narrow: tuple[list[str], list[str]]) -> bool:
    """Whether a rule with these host names and paths, no host or path being any, fits all that the other one fits."""

    def within(path: str) -> bool:
        return any(path == each or (each.endswith("*") and path.startswith(each[:-1])) for each in wide[1])

    fits = not wide[1] or (narrow[1] and all(within(path) for path in narrow[1])) or "/*" in wide[1]
    return bool(fits and (not wide[0] or (narrow[0] and set(narrow[0]) <= set(wide[0]))))


def next_priority(present: list[dict[str, Any]]) -> int:
    taken = {rule["Priority"] for rule in present}
    return next(number for number in range(1, 50001) if str(number) not in taken)


def conditions() -> list[dict[str, Any]]:
    host = (
        [{"Field": "host-header", "HostHeaderConfig": {"Values": [constants.HOST_NAME]}}] if constants.HOST_NAME else []
    )
    path = [{"Field": "path-pattern", "PathPatternConfig": {"Values": paths}} for paths in [wanted_paths()] if paths]
    return host + path


def wanted_paths() -> list[str]:
    """A rule needs a condition; beside a host name the path that is every path is none."""
    return [] if constants.HOST_NAME and constants.LISTENER_PATH == "/*" else [constants.LISTENER_PATH]


def forward(weights: dict[str, int]) -> dict[str, Any]:
    if len(weights) == 1:
        return {"Type": "forward", "TargetGroupArn": next(iter(weights))}
    groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
    return {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}


def rules(listener_arn: str) -> list[dict[str, Any]]:
    """All but the default one, each with the Name that we gave it."""
    elb = client("elbv2")
    pages = elb.get_paginator("describe_rules").paginate(ListenerArn=listener_arn)
    found = [rule for page in pages for rule in page["Rules"] if not rule["IsDefault"]]
    names: dict[str, str] = {}
    for start in range(0, len(found), 20):  # as many as DescribeTags takes
        arns = [rule["RuleArn"] for rule in found[start : start + 20]]
        for each in elb.describe_tags(ResourceArns=arns)["TagDescriptions"]:
            words = {tag["Key"]: tag["Value"] for tag in each["Tags"]}
            names[each["ResourceArn"]] = words.get("Name", "") if ours(each["Tags"]) else ""
    return [{**rule, "Name": names.get(rule["RuleArn"], "")} for rule in found]


def weights(rule: dict[str, Any]) -> dict[str, int]:
    """Target group -> its part of what the rule forwards."""
    found: dict[str, int] = {}
    for action in rule["Actions"]:
        groups = action.get("ForwardConfig", {}).get("TargetGroups") or []
        if not groups and "TargetGroupArn" in action:
            groups = [{"TargetGroupArn": action["TargetGroupArn"]}]
        found |= {group["TargetGroupArn"]: group.get("Weight", 1) for group in groups}
    return found


def paths(rule: dict[str, Any]) -> list[str]:
    return _values(rule, "path-pattern", "PathPatternConfig")


def hosts(rule: dict[str, Any]) -> list[str]:
    return _values(rule, "host-header", "HostHeaderConfig")


def _values(rule: dict[str, Any], field: str, config: str) -> list[str]:
    found = [each for each in rule["Conditions"] if each["Field"] == field]
    return [value for each in found for value in each.get(config, each).get("Values", [])]


def find() -> dict[str, Any] | None:
    found = missing(lambda: client("elbv2").describe_target_groups(Names=[NAME]), "TargetGroupNotFound")
    return found["TargetGroups"][0] if found else None  # a name is given once


def is_ours(arn: str) -> bool:
    [found] = client("elbv2").describe_tags(ResourceArns=[arn])["TagDescriptions"]
    return ours(found["Tags"])


def health() -> list[dict[str, Any]]:
    """Each target with its state, and AWS's reason where it is not healthy."""
    group = find() if constants.LISTENER_PROTOCOL else None
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
    for rule in all_rules():
        split(rule, arn, 0)
        if rule["Name"] == RULE:
            accepted(lambda: elb.delete_rule(RuleArn=rule["RuleArn"]), "RuleNotFound")
            say("deleted", "listener rule", ", ".join(hosts(rule) + paths(rule)))
    insist(
        f"target group {NAME} to be free",
        lambda: accepted(lambda: elb.delete_target_group(TargetGroupArn=arn), "TargetGroupNotFound"),
        "ResourceInUse",
    )
    return say("deleted", f"target group {NAME}")


def answers(host_name: str) -> str:
    """The name of the rule that answers a host name; empty where none does."""
    return next((rule["Name"] for rule in all_rules() if host_name in hosts(rule)), "")


def own_hosts() -> list[str]:
    return [host for rule in all_rules() if rule["Name"] == RULE for host in hosts(rule)]


def all_rules() -> list[dict[str, Any]]:
    return [rule for each in load_balancer.listeners().values() for rule in rules(each["ListenerArn"])]


def left_over() -> list[str]:
    group = find()
    return [f"target group {NAME}"] if group and is_ours(group["TargetGroupArn"]) else []
