"""The DNS records that lead from HOST_NAME to the load balancer: aliases, which follow it and cost no lookups.

https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-to-elb-load-balancer.html
"""

import re
from typing import Any

import aws
import constants
from aws import Problem, Resource, mine, ours, region, tags_of
from console import say
from infrastructure.cluster import hosted_zone, load_balancer
from infrastructure.service import listener_rule

KINDS = ("A", "AAAA", "CNAME")
#: the zone, and a record in it
Found = tuple[Any, Any]


@aws.look
def of_endpoint() -> list[Found]:
    """Those of each name of this endpoint, HOST_NAME's and its rule's, that lead to our load balancer."""
    asked = {*constants.HOST_NAMES, *(host for rule in listener_rule.own() for host in listener_rule.hosts(rule))}
    names = sorted(name for name in asked if name and not is_anothers(name))
    zones = [(zone, name) for name in names if (zone := hosted_zone.find(name))]
    return [(zone, each) for zone, name in zones for each in hosted_zone.records(zone, name) if is_ours(each)]


@aws.look
def of_cluster() -> list[Found]:
    """Every alias to our load balancer, in the zones of HOST_NAME and of the certificate's names."""
    names = {name.removeprefix("*.") for name in [*constants.HOST_NAMES, *constants.CERTIFICATE_DOMAINS]}
    zones = {zone["Id"]: zone for name in sorted(names) if (zone := hosted_zone.find(name))}
    return [(zone, each) for zone in zones.values() for each in hosted_zone.every_record(zone) if is_ours(each)]


@aws.look
def standing() -> list[Found]:
    """What the deletion of the endpoint, or of the cluster, takes away."""
    return of_endpoint() if constants.ENDPOINT else of_cluster()


LOOKS = (standing,)


def target(record: Any) -> str:
    """Where an alias leads; the console writes dualstack. before a load balancer's name."""
    return hosted_zone.value(record).removeprefix("dualstack.") if "AliasTarget" in record else ""


def is_ours(record: Any) -> bool:
    """An alias to our load balancer, or to one of its name that is gone: records bear no tags, but where they lead tells."""
    named = load_balancer.named()
    if named and named["DNSName"].lower() == target(record):
        return ours(named)
    domain = rf"({region()}\.elb|elb\.{region()})\.{re.escape(aws.dns_suffix())}"
    return bool(re.fullmatch(rf"(internal-)?{load_balancer.its_name().lower()}-[0-9a-z]+\.{domain}", target(record)))


def is_anothers(host_name: str) -> bool:
    """Whether the load balancer leads a name to another endpoint."""
    rule = listener_rule.answering(host_name)
    return ours(rule) and not mine(rule)


def places(host: str) -> list[str] | None:
    """Where a name leads by its own records, or by those of the wildcard beside it; None: its DNS is elsewhere."""
    zone = hosted_zone.find(host)
    if not zone:
        return None
    present = hosted_zone.records(zone, host) or hosted_zone.records(zone, f"*.{host.partition('.')[2]}")
    kinds = [each for each in present if each["Type"] in KINDS]
    return sorted({hosted_zone.plain(hosted_zone.value(each)).removeprefix("dualstack.") for each in kinds})


def refuse_anothers() -> None:
    """A name that the load balancer leads to another endpoint is that one's."""
    for host in filter(is_anothers, constants.HOST_NAMES):
        owner = tags_of(listener_rule.answering(host)).get("Name", "").removesuffix("-rule")
        raise Problem(f"HOST_NAME={host} leads to {owner} already: choose another host name")


def standing_at(host: str, zone: Any) -> list[Any]:
    """What leads from a name to anywhere."""
    return [each for each in hosted_zone.records(zone, host) if each["Type"] in KINDS]


def refuse_elsewhere(host: str, zone: Any, present: list[Any]) -> None:
    """What leads elsewhere is somebody's."""
    if foreign := [each for each in present if not is_ours(each)]:
        leads = " and ".join(f"{each['Type']} {hosted_zone.value(each)}" for each in foreign)
        there = f"leads elsewhere already: {leads}, in zone {hosted_zone.plain(zone['Name'])}"
        other = "Choose another name, or take this one with --overwrite"
        raise Problem(f"HOST_NAME={host} {there}. {other}")


def create(host: str, zone: Any, balancer: Any, present: list[Any]) -> str:
    """Make the record, or let it lead here. The id of the change, for the wait; "" where there is none."""
    what, its_zone = f"DNS record {host}", balancer["CanonicalHostedZoneId"]
    alias = {"HostedZoneId": its_zone, "DNSName": balancer["DNSName"], "EvaluateTargetHealth": False}
    here = hosted_zone.plain(balancer["DNSName"])
    if {target(each) for each in present} == {here} and "A" in [each["Type"] for each in present]:
        say("found", what, f"to {here}")
        return ""
    in_the_way = [("DELETE", each) for each in present if each["Type"] != "A" or "SetIdentifier" in each]
    wanted = {"Name": host, "Type": "A", "AliasTarget": alias}
    change_id = hosted_zone.change(zone, *in_the_way, ("UPSERT", wanted))
    say("updated" if present else "created", what, f"to {balancer['DNSName']}")
    return change_id


def delete_former() -> None:
    """Those of a former HOST_NAME, to which the rule leads until now: before the rule leads there no more."""
    if {host for rule in listener_rule.own() for host in listener_rule.hosts(rule)} - {*constants.HOST_NAMES}:
        for zone, record in of_endpoint():
            if hosted_zone.plain(record["Name"]) not in constants.HOST_NAMES:
                remove(zone, record)


def delete_elsewhere(host: str, zone: Any) -> None:
    """Those of a name in the other zones that it is in, where a former HOSTED_ZONE_ID made them."""
    others = [each for each in hosted_zone.public_zones() if hosted_zone.is_in(host, each) and each["Id"] != zone["Id"]]
    for other in others:
        for record in filter(is_ours, hosted_zone.records(other, host)):
            remove(other, record)


def delete() -> None:
    """Only what leads to our load balancer, which may be gone by now, and is not another endpoint's."""
    found = of_endpoint()
    for host in [] if found else constants.HOST_NAMES:
        if leads := ", ".join(places(host) or []):
            say("kept", f"DNS record {host}", f"it leads to {leads}")
    for zone, record in found:
        remove(zone, record)


def delete_all() -> None:
    """With the cluster: every alias to its load balancer, also that of a host name which no setting knows any more."""
    for zone, record in of_cluster():
        remove(zone, record)


def remove(zone: Any, record: Any) -> None:
    hosted_zone.change(zone, ("DELETE", record))
    say("deleted", f"DNS record {hosted_zone.plain(record['Name'])}", f"{record['Type']} to {target(record)}")


def in_words(record: Any) -> str:
    return f"DNS record {hosted_zone.plain(record['Name'])} {record['Type']}"


def left_over() -> list[Resource]:
    """A record has no ARN, and bears no tags: its zone's stands here with its name."""
    found = [(hosted_zone.zone_id(zone), in_words(each)) for zone, each in standing()]
    arn = f"arn:{aws.partition()}:route53:::hostedzone"
    return [Resource(what, f"{arn}/{zone_id}/{what}", {}) for zone_id, what in found]
