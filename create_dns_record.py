"""Let HOST_NAME lead to the load balancer: an alias record in the Route 53 zone that the name is in; each of several names.

Needs create_cluster.py. Where no zone of the name is in this account, prints the record to make in the DNS elsewhere.
A record that leads elsewhere is left alone, unless --overwrite. Waits until Route 53 knows it everywhere, a minute.

    ENDPOINT=a python create_dns_record.py             next: python check_service.py
    ENDPOINT=a python create_dns_record.py --dry-run   what would be made
    python create_dns_record.py                        without endpoints

It costs nothing. To undo: python delete_dns_record.py
"""

import sys
from typing import Any

import aws
import constants
from aws import Problem
from console import say, show
from infrastructure.cluster import certificate, hosted_zone, load_balancer
from infrastructure.service import dns_record


@aws.page(changes=True, undo="delete_dns_record.py", overwrite="take the name from where it leads now")
def create_dns_record(overwrite: bool = False) -> dict[str, Any]:
    if not constants.HOST_NAME:
        raise Problem("HOST_NAME is not set: say which name is to lead to the load balancer")
    balancer = load_balancer.find()
    if not balancer:
        raise Problem(f"there is no load balancer {load_balancer.its_name()} to lead to: run create_cluster.py first")
    certificate.refuse_uncovered()
    dns_record.refuse_anothers()
    zones = {host: hosted_zone.find(host) for host in constants.HOST_NAMES}
    present = {host: dns_record.standing_at(host, zone) for host, zone in zones.items() if zone}
    for host in present if not overwrite else ():
        dns_record.refuse_elsewhere(host, zones[host], present[host])
    changes = [dns_record.create(host, zones[host], balancer, present[host]) for host in present]
    for change_id in filter(None, changes):
        hosted_zone.wait_insync(change_id)
    for host in present:
        dns_record.delete_elsewhere(host, zones[host])
    for host in [host for host in zones if host not in present]:
        say("warning", f"no zone of {host} is in Route 53:", "make this record where its DNS is")
        show(f"  {host}. {hosted_zone.TTL} IN CNAME {balancer['DNSName']}.")
    say("next", aws.command("check_service.py"), f"to undo: {aws.command('delete_dns_record.py')}")
    records = [described(host, zone, balancer) for host, zone in zones.items()]
    return {**records[0], "records": records} if len(records) > 1 else records[0]


def described(host: str, zone: Any, balancer: Any) -> dict[str, Any]:
    return {
        "hostName": host,
        "type": "A" if zone else "CNAME",
        "value": balancer["DNSName"],
        "hostedZoneId": hosted_zone.zone_id(zone) if zone else None,
        "toMake": not zone,
    }


if __name__ == "__main__":
    sys.exit(aws.main(create_dns_record, __doc__))
