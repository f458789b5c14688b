"""The load balancer's rule for the service: which host names and paths lead to its target group. It must be there before
the service.

With TRAFFIC_WEIGHT a part of another endpoint's requests comes here too: its rule then forwards to both groups.
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-rules.html
"""

from typing import Any

import constants
from aws import Problem, Resource, call, client, endpoint_tags, mine, ours, part, resource, tags_of
from console import say
from infrastructure.cluster import load_balancer
from infrastructure.cluster.load_balancer import rules
from infrastructure.service import target_group

PART = "rule"
#: what a rule asks of a request here: the field, and the member that bears its values
HOST, PATH = ("host-header", "HostHeaderConfig"), ("path-pattern", "PathPatternConfig")


LOOKS = (rules, *target_group.LOOKS)


def own() -> list[Any]:
    """The endpoint's: one, or none; two where it was made again for another LISTENER_PROTOCOL."""
    return [rule for rule in rules() if mine(rule) and part(rule) == PART]


def beside() -> list[Any]:
    """All that are at the listener to which the services add theirs."""
    listener_arn = load_balancer.service_listener_arn()
    return [rule for rule in rules() if rule["ListenerArn"] == listener_arn]


def find() -> Any | None:
    return next((rule for rule in beside() if rule in own()), None)


def answering(host_name: str) -> Any | None:
    """The rule that answers a host name, whoever's it is."""
    return next((rule for rule in rules() if host_name in hosts(rule)), None)


def hosts(rule: Any) -> list[str]:
    return values(rule, *HOST)


def paths(rule: Any) -> list[str]:
    return values(rule, *PATH)


def values(rule: Any, field: str, config: str) -> list[str]:
    found = [each for each in rule["Conditions"] if each["Field"] == field]
    return [value for each in found for value in each.get(config, each).get("Values", [])]


def leads_from(rule: Any) -> str:
    return ", ".join(hosts(rule) + paths(rule))


def shares(rule: Any) -> dict[str, int]:
    """Target group -> its part of what the rule forwards."""
    found: dict[str, int] = {}
    for action in rule["Actions"]:
        alone = [action] if "TargetGroupArn" in action else []
        groups = action.get("ForwardConfig", {}).get("TargetGroups") or alone
        found |= {group["TargetGroupArn"]: group.get("Weight", 1) for group in groups}
    return found


def leads_to(rule: Any) -> str:
    """In words: the names of its target groups."""
    return ", ".join(map(name_of, shares(rule))) or "another action"


def name_of(target_group_arn: str) -> str:
    """For a person: arn:aws:elasticloadbalancing:REGION:ACCOUNT:targetgroup/NAME/ID."""
    return target_group_arn.split("/")[-2]


def endpoint_of(thing: Any) -> str:
    return tags_of(thing).get(constants.ENDPOINT_TAG, "")


def owner_of(rule: Any) -> str:
    """The group of the endpoint whose rule it is, by the tags of both; empty for a rule of someone else."""
    if not ours(rule) or part(rule) != PART:
        return ""
    same = [each for each in target_group.groups() if ours(each) and endpoint_of(each) == endpoint_of(rule)]
    return next((each["TargetGroupArn"] for each in same if each["TargetGroupArn"] in shares(rule)), "")


def group_arn() -> str:
    return str((target_group.find() or {}).get("TargetGroupArn", ""))


def create(target_group_arn: str) -> None:
    """HOST_NAME and LISTENER_PATH lead to the group. RULE_PRIORITY, or the next free number, says when it is asked."""
    if not constants.LISTENER_PROTOCOL:
        return
    rule, what = find(), f"listener rule {where()}"
    for other in [each for each in own() if each is not rule]:
        delete_rule(other)  # at the listener of another LISTENER_PROTOCOL
    if rule:
        update(rule, target_group_arn)
        return
    made = call(client("elbv2").create_rule, what, there="PriorityInUse")(
        ListenerArn=load_balancer.service_listener_arn(),
        Conditions=conditions(),
        Priority=constants.RULE_PRIORITY or next_priority(),
        Actions=[forward({target_group_arn: 1})],
        Tags=endpoint_tags(PART),
    )
    if made:
        say("created", what)
    else:  # another run took the priority: look again
        refuse_taken()
        create(target_group_arn)


def update(rule: Any, target_group_arn: str) -> None:
    elb, what, arn = client("elbv2"), f"listener rule {where()}", rule["RuleArn"]
    changed = []
    if not asks(rule, wanted()):
        call(elb.modify_rule, what, of=rule)(RuleArn=arn, Conditions=conditions())
        changed.append("where it leads from")
    if target_group_arn not in shares(rule):
        call(elb.modify_rule, what, of=rule)(RuleArn=arn, Actions=[forward({target_group_arn: 1})])
        changed.append("where it leads to")
    if constants.RULE_PRIORITY and rule["Priority"] != str(constants.RULE_PRIORITY):
        set_rule_priorities = call(elb.set_rule_priorities, what, of=rule)
        set_rule_priorities(RulePriorities=[{"RuleArn": arn, "Priority": constants.RULE_PRIORITY}])
        changed.append(f"priority {constants.RULE_PRIORITY}")
    say("updated" if changed else "found", what, ", ".join(changed))


def where() -> str:
    """What leads to the service, in words: the host names, or the paths, or both."""
    paths, names = constants.LISTENER_PATHS, constants.HOST_NAMES
    return ", ".join([f"{host}{path.removesuffix('*')}" for host in names for path in paths] or paths)


def wanted() -> tuple[list[str], list[str]]:
    """Host names and paths. A rule needs a condition; beside a host name the path that is every path is none."""
    all_paths = "/*" in constants.LISTENER_PATHS
    if not constants.HOST_NAMES:
        return [], ["/*"] if all_paths else constants.LISTENER_PATHS
    return constants.HOST_NAMES, [] if all_paths else constants.LISTENER_PATHS


def asks(rule: Any, these: tuple[list[str], list[str]]) -> bool:
    """Whether it asks for exactly these host names and paths, in whatever order."""
    return (set(hosts(rule)), set(paths(rule))) == (set(these[0]), set(these[1]))


def conditions() -> list[Any]:
    asked = zip((HOST, PATH), wanted(), strict=True)
    return [{"Field": field, member: {"Values": texts}} for (field, member), texts in asked if texts]


def forward(parts: dict[str, int]) -> Any:
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-action-types.html#forward-actions"""
    if len(parts) == 1:
        return {"Type": "forward", "TargetGroupArn": next(iter(parts))}
    groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in parts.items()]
    return {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}


def next_priority() -> int:
    taken = {rule["Priority"] for rule in beside()}
    return next(number for number in range(1, 50001) if str(number) not in taken)


def refuse_taken() -> None:
    """Two rules for the same requests: the second would never be asked. And a priority is given once."""
    if not constants.LISTENER_PROTOCOL:
        return
    own_rule, asked = find(), constants.RULE_PRIORITY
    others = [rule for rule in beside() if rule is not own_rule]
    rule_to_split()
    for rule in others:
        if asks(rule, wanted()):
            setting, other = ("HOST_NAME", "host name") if constants.HOST_NAME else ("LISTENER_PATH", "path")
            value = ",".join(constants.HOST_NAMES or constants.LISTENER_PATHS)
            raise Problem(f"{setting}={value} leads to {leads_to(rule)} already: choose another {other}")
        if asked and rule["Priority"] == str(asked):
            taken = f"RULE_PRIORITY={asked} is taken by the rule to {leads_to(rule)}"
            raise Problem(f"{taken}: choose another, or leave it empty")
    number = asked or int(own_rule["Priority"] if own_rule else next_priority())
    if not own_rule or not asks(own_rule, wanted()) or int(own_rule["Priority"]) != number:
        refuse_hidden(number, others)


def refuse_hidden(number: int, others: list[Any]) -> None:
    """The load balancer takes the first rule that fits: one that fits more must come later."""
    of_host, of_path = wanted()
    each_alone = [
        ([host] if host else [], [path] if path else []) for host in of_host or [""] for path in of_path or [""]
    ]
    for rule in others:
        theirs, priority, owner = (hosts(rule), paths(rule)), int(rule["Priority"]), leads_to(rule)
        plain = all(each["Field"] in dict((HOST, PATH)) for each in rule["Conditions"])
        hidden = [each for each in each_alone if plain and priority < number and covers(theirs, each)]
        if hidden:
            lost = where() if len(hidden) == len(each_alone) else "".join(hidden[0][0] + hidden[0][1])
            raise Problem(
                f"{lost} would never be asked for: the rule to {owner}, priority {priority}, comes first and takes "
                "all of it. Set RULE_PRIORITY below that; RULE_PRIORITY with create_service.py moves the other one"
            )
        if number < priority and covers(wanted(), theirs):
            takes = f"{where()} with priority {number} would take all from the rule to {owner}, priority {priority}"
            raise Problem(f"{takes}: set RULE_PRIORITY above that")


def covers(wide: tuple[list[str], list[str]], narrow: tuple[list[str], list[str]]) -> bool:
    """Whether a rule with these host names and paths, no host or path being any, fits all that the other one fits."""

    def within(path: str) -> bool:
        return any(path == each or (each.endswith("*") and path.startswith(each[:-1])) for each in wide[1])

    fits = not wide[1] or (narrow[1] and all(within(path) for path in narrow[1])) or "/*" in wide[1]
    return bool(fits and (not wide[0] or (narrow[0] and set(narrow[0]) <= set(wide[0]))))


def share_traffic() -> None:
    """Take TRAFFIC_WEIGHT percent of TRAFFIC_FROM's requests, and no others, once a task can answer them.

    A load balancer sends a group its part even when nobody there is healthy: that part would get 503.
    """
    if not constants.ENDPOINT or not constants.LISTENER_PROTOCOL or not group_arn():
        return
    splitting = rule_to_split()
    for rule in rules():
        if rule is not splitting:
            split(rule, 0)
    if not splitting or shares(splitting).get(group_arn()) == constants.TRAFFIC_WEIGHT:
        return
    if any(each["state"] == "healthy" for each in target_group.health(group_arn())):
        split(splitting, constants.TRAFFIC_WEIGHT)
        return
    keeps = f"no task can answer yet, so {constants.TRAFFIC_FROM} keeps all"
    later = "with DESIRED_COUNT, or create_service.py again, it takes them"
    say("warning", f"TRAFFIC_WEIGHT={constants.TRAFFIC_WEIGHT}:", f"{keeps}; {later}")


def give_back() -> None:
    """Before the tasks go: what came here of other endpoints' requests is answered there again."""
    for rule in rules() if group_arn() else []:
        split(rule, 0)


def split(rule: Any, weight: int) -> None:
    """Give our group `weight` percent of what another endpoint's rule forwards; that endpoint keeps the rest."""
    present, arn, owner = shares(rule), group_arn(), owner_of(rule)
    if mine(rule) or not owner or present.get(arn, 0) == weight:
        return
    others = {each: share for each, share in present.items() if each not in (owner, arn)}
    parts = {owner: 100 - weight - sum(others.values()), **others, **({arn: weight} if weight else {})}
    what = f"listener rule {', '.join(hosts(rule))}"
    call(client("elbv2").modify_rule, what, of=rule)(RuleArn=rule["RuleArn"], Actions=[forward(parts)])
    say("updated", what, f"{weight} % of its requests come to {target_group.its_name()}")


def rule_to_split() -> Any | None:
    """The rule of TRAFFIC_FROM, of which TRAFFIC_WEIGHT percent come here; the others leave so much of it."""
    if not constants.TRAFFIC_WEIGHT:
        return None
    rule = next((rule for rule in beside() if owner_of(rule) and endpoint_of(rule) == constants.TRAFFIC_FROM), None)
    if not rule:
        raise Problem(f"TRAFFIC_FROM={constants.TRAFFIC_FROM}: no such endpoint is at the load balancer")
    others = {arn: share for arn, share in shares(rule).items() if arn not in (owner_of(rule), group_arn())}
    if constants.TRAFFIC_WEIGHT + sum(others.values()) > 100:
        given = ", ".join(f"{share} to {name_of(arn)}" for arn, share in others.items())
        theirs = f"of its 100 % {constants.TRAFFIC_FROM} gives {given} already"
        raise Problem(f"TRAFFIC_WEIGHT={constants.TRAFFIC_WEIGHT} is too much: {theirs}")
    return rule


def delete() -> None:
    """After the tasks, and before the target group to which it leads."""
    give_back()
    for rule in own() if target_group.left_over() else []:
        delete_rule(rule)


def delete_rule(rule: Any) -> None:
    what = f"listener rule {leads_from(rule)}"
    call(client("elbv2").delete_rule, what, of=rule, gone="RuleNotFound")(RuleArn=rule["RuleArn"])
    say("deleted", "listener rule", leads_from(rule))


def left_over() -> list[Resource]:
    """Where the target group is gone there is none: AWS deletes no group to which a rule leads."""
    found = [rule for rule in rules() if mine(rule)] if target_group.left_over() else []
    return [resource(f"listener rule {leads_from(rule)}", rule["RuleArn"], rule) for rule in found]
