"""What hangs on the load balancer where a pause takes that too, and is to lead to the new one: rules, scaling, DNS.

Target groups stay, and services keep theirs. A new balancer has another name in the DNS, and another id in its metrics.
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-delete.html
"""

import json
from typing import Any

import constants
from aws import Problem, call, client, every, ours, refuse_change, spare_foreign
from console import say
from infrastructure.cluster import hosted_zone, load_balancer
from infrastructure.service import dns_record, listener_rule, scaling, target_group

#: what PutScalingPolicy and PutMetricAlarm take of what AWS tells
OF_POLICY = (
    *("PolicyName", "PolicyType", "ServiceNamespace", "ResourceId", "ScalableDimension"),
    *("StepScalingPolicyConfiguration", "TargetTrackingScalingPolicyConfiguration"),
)
OF_ALARM = (
    *("AlarmName", "AlarmDescription", "ActionsEnabled", "OKActions", "AlarmActions", "InsufficientDataActions"),
    *("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Dimensions", "Period", "Unit", "Metrics"),
    *("EvaluationPeriods", "DatapointsToAlarm", "Threshold", "ComparisonOperator", "TreatMissingData"),
)
#: LISTENER_PROTOCOL -> the ports at which the balancer has listeners
PORTS = {"HTTP": {80}, "HTTPS": {80, 443}}
#: AWS makes these, and makes them anew with their policy
OF_AWS = "TargetTracking-"
LOOKS = (*load_balancer.LOOKS, load_balancer.rules, target_group.groups)


def refuse() -> None:
    """What could not be brought back, before anything is changed."""
    if not load_balancer.find():
        return
    if load_balancer.attributes().get("deletion_protection.enabled") == "true":
        way = "run create_cluster.py with LOAD_BALANCER_PROTECTION=off first, or pause without --deep"
        raise Problem(f"--deep, but the load balancer {load_balancer.its_name()} is protected: {way}")
    for listener in load_balancer.all_listeners():
        if not ours(load_balancer.tags_by_arn().get(listener["ListenerArn"])):
            what = f"the listener {listener['Protocol']} {listener['Port']} of {load_balancer.its_name()}"
            raise Problem(f"--deep, but {what} is another's, and would not come back: pause without --deep")
    for rule in load_balancer.rules():
        if secret := [each["Type"] for each in rule["Actions"] if each["Type"].startswith("authenticate-")]:
            there = f"the listener rule {load_balancer.words(rule)} has an action {secret[0]}, whose secret AWS does not tell"
            raise Problem(f"--deep, but {there}, so that it would not come back: pause without --deep")


def refuse_changes(ran: dict[str, Any]) -> None:
    """The balancer is made anew by the settings; services wait until it leads to them. Told before anything is made."""
    ports = {each["port"] for each in ran["rules"] if ran["deep"] and any(map(standing, each["Actions"]))}
    if lacking := ", ".join(map(str, sorted(ports - PORTS.get(constants.LISTENER_PROTOCOL, set())))):
        there = f"the cluster was paused with a load balancer whose rules are at port {lacking}"
        refuse_change(f"LISTENER_PROTOCOL={constants.LISTENER_PROTOCOL}", there, "run delete_service.py first")


def seen() -> dict[str, Any]:
    """The rules of the balancer, with their ports, and how metrics name it."""
    balancer = load_balancer.find()
    if not balancer:
        return {"balancer": "", "rules": []}
    ports = {each["ListenerArn"]: each["Port"] for each in load_balancer.all_listeners()}
    return {"balancer": in_metrics(balancer), "rules": [rule(each, ports) for each in load_balancer.rules()]}


def in_metrics(balancer: Any) -> str:
    """app/NAME/ID, the end of its ARN."""
    return str(balancer["LoadBalancerArn"]).partition("loadbalancer/")[2]


def rule(found: Any, ports: dict[str, int]) -> dict[str, Any]:
    """As CreateRule takes it."""
    actions = [{key: value for key, value in each.items() if key != "Order"} for each in found["Actions"]]
    conditions = [load_balancer.condition(each) for each in found["Conditions"]]
    its_tags = {"Tags": found["Tags"]} if found["Tags"] else {}
    its_own = {"Priority": int(found["Priority"]), "Conditions": conditions, "Actions": actions, **its_tags}
    return {"port": ports[found["ListenerArn"]], **its_own}


def bring_back(ran: dict[str, Any]) -> None:
    """Once the balancer has its listeners; a dry run has made none. The rules come before the services' tasks."""
    if not load_balancer.find():
        return
    listeners = load_balancer.listeners()
    there = {(each["ListenerArn"], int(each["Priority"])) for each in load_balancer.rules()}
    for each in ran["rules"]:
        arn = listeners[each["port"]]["ListenerArn"]
        if (arn, each["Priority"]) not in there:
            make_rule(arn, each)
    if ran["balancer"]:
        move_scaling(ran["balancer"], in_metrics(load_balancer.required()))
        move_records(ran["rules"])


def make_rule(listener_arn: str, wanted: dict[str, Any]) -> None:
    """Without the target groups that are gone meanwhile."""
    request: Any = {key: value for key, value in wanted.items() if key != "port"}
    request["Actions"] = [led for each in wanted["Actions"] if (led := standing(each))]
    what = f"listener rule {load_balancer.words(wanted)}"
    if not request["Actions"]:
        say("already gone", what, "where it led is deleted")
        return
    made = call(client("elbv2").create_rule, what, there="PriorityInUse")(ListenerArn=listener_arn, **request)
    say("created" if made else "found", what)


def standing(action: Any) -> Any | None:
    shares = listener_rule.shares({"Actions": [action]})
    left = {
        arn: weight for arn, weight in shares.items() if arn in {g["TargetGroupArn"] for g in target_group.groups()}
    }
    if left == shares:
        return action
    return listener_rule.forward(left) if left else None


def move_scaling(former: str, now: str) -> None:
    """Policies and alarms that look at the requests of the former balancer look at those of the new one."""
    own = {each["ResourceId"]: each for each in scaling.targets() if ours(each)}
    pages = client("application-autoscaling").get_paginator("describe_scaling_policies")
    for each in every(pages.paginate(ServiceNamespace="ecs"), "ScalingPolicies"):
        if each["ResourceId"] in own and (moved := moved_to(each, OF_POLICY, former, now)):
            target, what = own[each["ResourceId"]], f"scaling policy {each['PolicyName']}"
            put = call(client("application-autoscaling").put_scaling_policy, what, of=target, busy=scaling.BUSY)
            put(**moved)
            say("updated", what, f"by the requests of {now}")
    listed = every(client("cloudwatch").get_paginator("describe_alarms").paginate(), "MetricAlarms")
    looking = [each for each in listed if moved_to(each, OF_ALARM, former, now)]
    looking = [each for each in looking if not each["AlarmName"].startswith(OF_AWS)]
    for each in scaling.with_tags(looking, "AlarmArn", client("cloudwatch").list_tags_for_resource):
        what = f"alarm {each['AlarmName']}"
        if not spare_foreign(what, each):
            call(client("cloudwatch").put_metric_alarm, what, of=each)(**moved_to(each, OF_ALARM, former, now))
            say("updated", what, f"by the requests of {now}")


def moved_to(thing: Any, kept: tuple[str, ...], former: str, now: str) -> Any:
    """With the new balancer in the place of the former; {} where it does not look at that."""
    text = json.dumps({key: thing[key] for key in kept if thing.get(key) not in (None, [])})
    return json.loads(text.replace(former, now)) if former in text and former != now else {}


def move_records(rules: list[dict[str, Any]]) -> None:
    """The aliases that lead to a balancer of our name, which was deleted, follow it: about a minute, and then resolvers'."""
    names = {host for each in rules for host in listener_rule.hosts(each)} | {*constants.CERTIFICATE_DOMAINS}
    zones = {zone["Id"]: zone for name in sorted(names) if (zone := hosted_zone.find(name.removeprefix("*.")))}
    balancer = load_balancer.required()
    to = {"HostedZoneId": balancer["CanonicalHostedZoneId"], "DNSName": balancer["DNSName"]}
    for zone in zones.values():
        for record in filter(dns_record.is_ours, hosted_zone.every_record(zone)):
            if dns_record.target(record) != balancer["DNSName"].lower():
                alias = {**record["AliasTarget"], **to}
                hosted_zone.change(zone, ("UPSERT", {**record, "AliasTarget": alias}))
                say("updated", f"DNS record {hosted_zone.plain(record['Name'])}", f"to {balancer['DNSName']}")
