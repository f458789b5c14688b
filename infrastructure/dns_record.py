"""The DNS record that leads from HOST_NAME to the load balancer: an alias, which follows it and costs no lookups.

https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-to-elb-load-balancer.html
"""

import re
from typing import Any

from aws import Problem, region
from console import say
from constants import HOST_NAME
from infrastructure import hosted_zone, load_balancer

KINDS = ("A", "AAAA", "CNAME")


def create(zone: dict[str, Any], balancer: dict[str, Any], overwrite: bool = False) -> None:
    """Make the record, or let it lead here. What leads elsewhere is somebody's: only when told so."""
    wanted = {
        "Name": HOST_NAME,
        "Type": "A",
        "AliasTarget": {
            "HostedZoneId": balancer["CanonicalHostedZoneId"],
            "DNSName": balancer["DNSName"],
            "EvaluateTargetHealth": False,
        },
    }
    present = [each for each in hosted_zone.records(zone, HOST_NAME) if each["Type"] in KINDS]
    foreign = [each for each in present if not is_ours(each)]
    if foreign and not overwrite:
        leads = " and ".join(f"{each['Type']} {hosted_zone.value(each)}" for each in foreign)
        raise Problem(
            f"HOST_NAME={HOST_NAME} leads elsewhere already: {leads}, in zone {hosted_zone.plain(zone['Name'])}. "
            "Choose another name, or take this one with --overwrite"
        )
    here = hosted_zone.plain(balancer["DNSName"])
    if {target(each) for each in present} == {here} and "A" in [each["Type"] for each in present]:
        return say("found", f"DNS record {HOST_NAME}", f"to {here}")
    in_the_way = [("DELETE", each) for each in present if each["Type"] != "A" or "SetIdentifier" in each]
    change_id = hosted_zone.change(zone, *in_the_way, ("UPSERT", wanted))
    say("updated" if present else "created", f"DNS record {HOST_NAME}", f"to {balancer['DNSName']}")
    return hosted_zone.wait_insync(change_id)


def target(record: dict[str, Any]) -> str:
    """Where an alias leads; the console writes dualstack. before a load balancer's name."""
    return hosted_zone.value(record).removeprefix("dualstack.") if "AliasTarget" in record else ""


def is_ours(record: dict[str, Any]) -> bool:
    """An alias to our load balancer, or to an earlier one of its name: records bear no tags, but its name tells."""
    domain = rf"({region()}\.elb|elb\.{region()})\.amazonaws\.com(\.cn)?"
    return bool(re.fullmatch(rf"{load_balancer.NAME.lower()}-[0-9a-z]+\.{domain}", target(record)))


def places() -> list[str] | None:
    """Where HOST_NAME leads by its own records, or by those of the wildcard beside it; None: its DNS is elsewhere."""
    zone = hosted_zone.find(HOST_NAME)
    if not zone:
        return None
    wildcard = f"*.{HOST_NAME.partition('.')[2]}"
    present = hosted_zone.records(zone, HOST_NAME) or hosted_zone.records(zone, wildcard)
    kinds = [each for each in present if each["Type"] in KINDS]
    return sorted({hosted_zone.plain(hosted_zone.value(each)).removeprefix("dualstack.") for each in kinds})


def find() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The zone, and the record of HOST_NAME that leads to our load balancer, or led to it."""
    zone = hosted_zone.find(HOST_NAME) if HOST_NAME else None
    return [(zone, each) for each in hosted_zone.records(zone, HOST_NAME) if is_ours(each)] if zone else []


def delete() -> None:
    """Only what leads to our load balancer, which may be gone by now."""
    found = find()
    if not found and HOST_NAME:
        leads = ", ".join(places() or [])
        say("kept" if leads else "already gone", f"DNS record {HOST_NAME}", f"it leads to {leads}" if leads else "")
    for zone, record in found:
        hosted_zone.change(zone, ("DELETE", record))
        say("deleted", f"DNS record {HOST_NAME}", f"{record['Type']} to {target(record)}")


def left_over() -> list[str]:
    return [f"DNS record {HOST_NAME} {record['Type']}" for _, record in find()]
