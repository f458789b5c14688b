"""Let HOST_NAME lead to the load balancer: an alias record in the Route 53 zone that the name is in.

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
    zone = hosted_zone.find(constants.HOST_NAME)
    if zone:
        dns_record.create(zone, balancer, overwrite)
        dns_record.delete_elsewhere(zone)
    else:
        say("warning", f"no zone of {constants.HOST_NAME} is in Route 53:", "make this record where its DNS is")
        show(f"  {constants.HOST_NAME}. {hosted_zone.TTL} IN CNAME {balancer['DNSName']}.")
    say("next", aws.command("check_service.py"), f"to undo: {aws.command('delete_dns_record.py')}")
    return {
        "hostName": constants.HOST_NAME,
        "type": "A" if zone else "CNAME",
        "value": balancer["DNSName"],
        "hostedZoneId": hosted_zone.zone_id(zone) if zone else None,
        "toMake": not zone,
    }


if __name__ == "__main__":
    sys.exit(aws.main(create_dns_record, __doc__))
