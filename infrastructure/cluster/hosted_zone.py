"""Route 53: the public zone that a host name is in, and changes of its records. Zones are the user's: none is made here.

https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/hosted-zones-working-with.html
"""

import itertools
from typing import Any

from botocore.exceptions import ClientError

import aws
import constants
from aws import Problem, call, client, code, every, message, wait

#: seconds for which resolvers may keep what we write
TTL = 300


@aws.look
def public_zones() -> list[Any]:
    listed = every(client("route53").get_paginator("list_hosted_zones").paginate(), "HostedZones")
    return [zone for zone in listed if not zone["Config"].get("PrivateZone")]


@aws.look
def zone_of_setting() -> Any | None:
    """The zone that HOSTED_ZONE_ID names."""
    found = call(client("route53").get_hosted_zone, gone="NoSuchHostedZone")(Id=constants.HOSTED_ZONE_ID)
    return found["HostedZone"] if found else None


def find(host_name: str) -> Any | None:
    """The public zone whose name is the longest end of the host name, or HOSTED_ZONE_ID; None: the DNS is elsewhere."""
    if constants.HOSTED_ZONE_ID:
        return chosen(host_name)
    inside = [zone for zone in public_zones() if is_in(host_name, zone)]
    longest = max((len(zone["Name"]) for zone in inside), default=0)
    found = [zone for zone in inside if len(zone["Name"]) == longest]
    if len(found) > 1:
        ids = " and ".join(sorted(zone_id(zone) for zone in found))
        way = "Say with HOSTED_ZONE_ID to which one the domain's name servers lead"
        raise Problem(f"two public zones {plain(found[0]['Name'])}: {ids}. {way}")
    return found[0] if found else None


def chosen(host_name: str) -> Any:
    zone, setting = zone_of_setting(), f"HOSTED_ZONE_ID={constants.HOSTED_ZONE_ID}"
    if not zone:
        raise Problem(f"{setting}: there is no such zone in this account")
    if zone["Config"].get("PrivateZone"):
        raise Problem(f"{setting} is a private zone: the internet does not see what is in it")
    if not is_in(host_name, zone):
        raise Problem(f"{setting} is the zone {plain(zone['Name'])}, and {host_name} is not in it")
    return zone


def is_in(host_name: str, zone: Any) -> bool:
    return f".{plain(host_name)}".endswith(f".{plain(zone['Name'])}")


def zone_id(zone: Any) -> str:
    return str(zone["Id"]).rpartition("/")[2]  # Route 53 shows it as /hostedzone/Z123


def plain(name: str) -> str:
    """A name as people write it: Route 53 ends it with a dot, and writes * as \\052."""
    return name.replace("\\052", "*").rstrip(".").lower()


def records(zone: Any, name: str) -> list[Any]:
    """The records of this name. Route 53 lists a zone by its names, so they come first when it begins there."""
    pages = client("route53").get_paginator("list_resource_record_sets")
    begin: Any = {"HostedZoneId": zone_id(zone), "StartRecordName": name}
    listed = (record for page in pages.paginate(**begin) for record in page["ResourceRecordSets"])
    return list(itertools.takewhile(lambda record: plain(record["Name"]) == plain(name), listed))


def every_record(zone: Any) -> list[Any]:
    pages = client("route53").get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone_id(zone))
    return every(pages, "ResourceRecordSets")


def value(record: Any) -> str:
    """Where a record leads, in words."""
    alias = record.get("AliasTarget")
    return plain(alias["DNSName"]) if alias else ", ".join(one["Value"] for one in record["ResourceRecords"])


def change(zone: Any, *changes: tuple[str, Any]) -> str:
    """UPSERT or DELETE records, all or nothing. The id of the change; empty where what was to go is gone already.

    Records bear no tags: that one is ours the caller knows by its value, which names our load balancer or certificate.
    """
    batch: Any = {"Changes": [{"Action": action, "ResourceRecordSet": record} for action, record in changes]}
    what, busy = f"the zone {plain(zone['Name'])} to take the change", "PriorRequestNotComplete"
    change_them = call(client("route53").change_resource_record_sets, what, of=aws.UNTAGGED, busy=busy)
    try:
        answer = change_them(HostedZoneId=zone_id(zone), ChangeBatch=batch)
    except ClientError as error:
        if code(error) != "InvalidChangeBatch" or "but it was not found" not in message(error):
            raise
        return ""
    return answer["ChangeInfo"]["Id"].rpartition("/")[2]


def wait_insync(change_id: str) -> None:
    """Until all name servers of Route 53 know a change: about a minute. Resolvers may keep the old answer for longer."""

    def status() -> str:
        return client("route53").get_change(Id=change_id)["ChangeInfo"]["Status"]

    wait("Route 53 to know the record everywhere", lambda: status() == "INSYNC", lambda: f"the change is {status()}")
