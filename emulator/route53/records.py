"""Route 53: zones and records are moto's; the emulator checks a batch of changes as AWS does and lets it take its time.

https://docs.aws.amazon.com/Route53/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import copy
import re
import uuid
from typing import Any

from moto.route53.models import RecordSet, route53_backends

from emulator.core import partitions, rules
from emulator.core.ask import ask
from emulator.core.rules import AwsError, Call, Params, on
from emulator.core.world import ACCOUNT, World

rules.SENTENCES.update(
    {
        "r53-001": "A batch of record changes is all or nothing; CREATE of what is there, and DELETE of other values, are "
        "InvalidChangeBatch.",
        "r53-002": "A change is PENDING for about 60 s before it is INSYNC.",
        "r53-003": "Throttling and PriorRequestNotComplete of Route 53 come as faults on request.",
        "r53-004": "An alias to a load balancer names the load balancer's own hosted zone, and stays when that is deleted.",
    }
)
rules.held("r53-003", "faults.py")

SYNCING = 60


def _route53() -> Any:
    return route53_backends[ACCOUNT][partitions.here()]


def public_cnames() -> set[tuple[str, str]]:
    """Name and value of each CNAME record in the public zones."""
    zones = [zone for zone in _route53().zones.values() if not zone.private_zone]
    return {
        (rrset.name.lower(), value.rstrip("."))
        for zone in zones
        for rrset in zone.rrsets
        if rrset.type == "CNAME"
        for value in rrset.records or []
    }


def leads_to(world: World, host: str) -> str | None:
    """The name that a name's public CNAME or alias record leads to; of weighted records the heaviest.

    Route 53's name servers answer with what they know: the records of a change that is INSYNC by now."""
    name, parent = _name(host), _name(host).partition(".")[2]
    known: dict[str, list[RecordSet]] = world.state["route53_servers"]
    public = [zone for zone in _route53().zones.values() if not zone.private_zone]
    records = [record for zone in public for record in known.get(zone.id, [])]
    for wanted in (name, f"\\052.{parent}"):
        found = [
            record for record in records if record.name.lower() == wanted and record.type in ("A", "AAAA", "CNAME")
        ]
        for record in sorted(found, key=lambda one: (one.type, -int(one.weight or 0))):
            if record.alias_target:
                return str(record.alias_target["DNSName"]).rstrip(".").lower()
            if record.type == "CNAME" and record.records:
                return str(record.records[0]).rstrip(".").lower()
    return None


def _changes(world: World) -> dict[str, Params]:
    state: dict[str, Params] = world.state["route53"]
    return state


def _submit(call: Call, comment: str | None = None) -> Params:
    """A change that takes its time to reach all of Route 53's name servers."""
    shown = {
        "Id": f"/change/C{uuid.uuid4().hex[:20].upper()}",
        "Status": "PENDING",
        "SubmittedAt": call.world.timestamp(),
        **({"Comment": comment} if comment else {}),
    }
    _changes(call.world)[str(shown["Id"])] = shown
    call.world.after(SYNCING, shown.update, {"Status": "INSYNC"})
    return dict(shown)


@on("route53", "CreateHostedZone", "DeleteHostedZone", rules="r53-002")
def change_hosted_zone(call: Call) -> Params:
    answer = call.proceed()
    if call.operation == "CreateHostedZone":  # AWS's ids begin with Z
        made = _route53().zones.pop(answer["HostedZone"]["Id"].rpartition("/")[2])
        made.resource_id = f"Z{made.resource_id[1:]}"
        _route53().zones[made.resource_id] = made
        answer["HostedZone"]["Id"] = made.id
        answer["Location"] = f"https://route53.amazonaws.com/2013-04-01{made.id}"
    answer["ChangeInfo"] = _submit(call)
    return answer


@on("route53", "GetChange", rules="r53-002")
def get_change(call: Call) -> Params:
    name = f"/change/{call.params['Id'].rpartition('/')[2]}"
    found = _changes(call.world).get(name)
    if found is None:
        raise AwsError("NoSuchChange", f"Could not find resource with ID: {name}", 404)
    return {"ChangeInfo": found}


def _name(name: str) -> str:
    """A record's name as Route 53 keeps it: lower case, with the last dot, and * written as \\052."""
    name = name.lower().replace("*", "\\052")
    return name if name.endswith(".") else f"{name}."


def _key(record: Params) -> tuple[str, str, str | None]:
    return _name(record["Name"]), record["Type"], record.get("SetIdentifier")


def _values(record: Params) -> Params:
    """What has to agree, for a record to be deleted."""
    shown = {key: value for key, value in record.items() if key not in ("Name", "Type", "SetIdentifier")}
    if "ResourceRecords" in shown:
        shown["ResourceRecords"] = sorted(one["Value"] for one in shown["ResourceRecords"])
    if alias := shown.get("AliasTarget"):
        shown["AliasTarget"] = {**alias, "DNSName": _name(alias["DNSName"])}
    return shown


@on("route53", "ChangeResourceRecordSets", rules="r53-001 r53-002 r53-004")
def change_resource_record_sets(call: Call) -> Params:
    """https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html"""
    zone_id = call.params["HostedZoneId"].rpartition("/")[2]
    zone = _route53().get_hosted_zone(zone_id)
    records = {_key(record): record for record in _records(call, zone_id)}
    problems = []
    for change in call.params["ChangeBatch"]["Changes"]:
        problem = _change(call, zone, records, change["Action"], change["ResourceRecordSet"])
        problems += [problem] if problem else []
    if problems:
        raise AwsError("InvalidChangeBatch", f"[{', '.join(problems)}]")
    zone.rrsets[:] = [_as_moto(record) for record in records.values()]
    call.world.after(SYNCING, call.world.state["route53_servers"].update, {zone.id: list(zone.rrsets)})
    return {"ChangeInfo": _submit(call, call.params["ChangeBatch"].get("Comment"))}


def _records(call: Call, zone_id: str) -> list[Params]:
    pages = call.moto("route53").get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone_id)
    return [record for page in pages for record in page["ResourceRecordSets"]]


def _as_moto(record: Params) -> RecordSet:
    values = [one["Value"] for one in record.get("ResourceRecords") or []]
    return RecordSet({**record, "Name": _name(record["Name"]), "ResourceRecords": values})


def _change(
    call: Call, zone: Any, records: dict[tuple[str, str, str | None], Params], action: str, record: Params
) -> str | None:
    """Make one change in `records`, or tell what is wrong with it."""
    key, name, kind = _key(record), _name(record["Name"]), record["Type"]
    known, which = records.get(key), f"resource record set [name='{name}', type='{kind}']"
    if not f".{name}".endswith(f".{_name(zone.name)}"):
        return f"RRSet with DNS name {name} is not permitted in zone {_name(zone.name)}"
    if action == "DELETE":
        if known is None:
            return f"Tried to delete {which} but it was not found"
        if _values(known) != _values(record):
            return f"Tried to delete {which} but the values provided do not match the current values"
        del records[key]
        return None
    if action == "CREATE" and known is not None:
        return f"Tried to create {which} but it already exists"
    others = {other[1] for other in records if other[0] == name and other != key}
    if (kind == "CNAME" and others - {"CNAME"}) or (kind != "CNAME" and "CNAME" in others):
        return (
            f"RRSet of type {kind} with DNS name {name} is not permitted as it conflicts with other records with the "
            f"same DNS name in zone {_name(zone.name)}"
        )
    if alias := record.get("AliasTarget"):
        problem = _alias_problem(call, alias, kind)
        if problem:
            return problem
    records[key] = record
    return None


def _alias_problem(call: Call, alias: Params, kind: str) -> str | None:
    """An alias to a load balancer must name that load balancer's hosted zone."""
    target = _name(alias["DNSName"])
    host = target.rstrip(".").removeprefix("dualstack.")
    match = re.search(r"\.([a-z]+-[a-z]+-\d)\.elb\.amazonaws\.com(?:\.cn)?$", host)
    if match is None:
        return None
    elsewhere = copy.copy(call)
    elsewhere.region = match[1]
    found = [
        one
        for one in ask(elsewhere, "elbv2", "DescribeLoadBalancers")["LoadBalancers"]
        if one["DNSName"].lower() == host
    ]
    zone, start = alias["HostedZoneId"].rpartition("/")[2], "Tried to create an alias that targets"
    if found and found[0]["CanonicalHostedZoneId"] != zone:
        return (
            f"{start} {target}, type {kind} in zone {zone}, "
            "but the alias target name does not lie within the target zone"
        )
    if not found:
        return f"{start} {target}, type {kind} in zone {zone}, but that target was not found"
    return None
