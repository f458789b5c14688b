"""Delete the record that leads from HOST_NAME to the load balancer, also when that is gone already.

A record of that name that leads elsewhere is not touched. Resolvers may keep the old answer for a minute.

    ENDPOINT=a python delete_dns_record.py             next: python delete_service.py
    ENDPOINT=a python delete_dns_record.py --dry-run   what would be deleted
    python delete_dns_record.py                        without endpoints

Works twice.
"""

import sys
from typing import Any

import aws
import constants
from console import say
from infrastructure.service import dns_record


@aws.page(changes=True)
def delete_dns_record() -> dict[str, Any]:
    for host in [] if dns_record.of_endpoint() else constants.HOST_NAMES:
        if not dns_record.places(host):
            say("already gone", f"DNS record {host}")
    dns_record.delete()
    say("next", aws.command("delete_service.py"))
    return {
        "hostName": constants.HOST_NAME or None,
        "left": [dns_record.in_words(record) for _, record in dns_record.of_endpoint()],
    }


if __name__ == "__main__":
    sys.exit(aws.main(delete_dns_record, __doc__))
