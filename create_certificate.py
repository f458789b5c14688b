"""Ask ACM for the certificate of CERTIFICATE_DOMAINS, make the DNS records that prove it, and wait until it is issued.

Where a zone of these names is in Route 53 the records are made there; elsewhere they are printed, to be made by hand.
Run it again at any time, and after a change of CERTIFICATE_DOMAINS: create_cluster.py then puts the new one at the
listener. Prints the certificate's ARN, status and records.

    python create_certificate.py             next: python create_cluster.py
    python create_certificate.py --dry-run   what would be asked for
    WAIT=false python create_certificate.py  does not wait until it is issued

It costs nothing; leave the records, since ACM renews it with them. To undo: python delete_certificate.py
"""

import sys
from typing import Any

import aws
import constants
from aws import Problem
from console import say, show
from infrastructure import parts
from infrastructure.cluster import certificate, hosted_zone

PARTS = (certificate,)


@aws.page(of="cluster", changes=True, undo="delete_certificate.py")
def create_certificate() -> dict[str, Any]:
    if constants.CERTIFICATE_ARNS:
        another = "to ask for another set CERTIFICATE_DOMAINS"
        raise Problem(f"CERTIFICATE_ARN={','.join(constants.CERTIFICATE_ARNS)} is there already; {another}")
    if not constants.CERTIFICATE_DOMAINS:
        example = "ml.example.com,*.ml.example.com"
        raise Problem(f"CERTIFICATE_DOMAINS is not set: say for which host names, such as {example}")
    for domain in constants.CERTIFICATE_DOMAINS:
        hosted_zone.find(domain.removeprefix("*."))  # a zone that can't be told is a mistake that costs nothing here
    arn = certificate.create()
    records = [(each, hosted_zone.find(each["Name"])) for each in certificate.validation_records(arn)]
    here, elsewhere = [(each, zone) for each, zone in records if zone], [each for each, zone in records if not zone]
    for record, zone in here:
        certificate.create_record(zone, record)
    tell(elsewhere)
    result = {
        "certificateArn": arn,
        "domains": constants.CERTIFICATE_DOMAINS,
        "status": (certificate.describe(arn) or {}).get("Status"),
        "recordsInRoute53": [shown(record) for record, _ in here],
        "recordsToMake": [shown(record) for record in elsewhere],
    }
    if constants.WAIT:
        try:
            certificate.wait_issued(arn, [zone for _, zone in here])
        except Problem as problem:
            raise Problem(str(problem), result, problem.exit_code) from problem
        result["status"] = (certificate.describe(arn) or {}).get("Status")
    if result["status"] == "ISSUED":
        certificate.delete_superseded(arn)
    parts.retag(PARTS)
    say("next", "python create_cluster.py", "to undo: python delete_certificate.py")
    return result


def tell(elsewhere: list[dict[str, Any]]) -> None:
    """As lines of a zone file, to copy into the DNS elsewhere."""
    if elsewhere:
        say("warning", "no zone of these names is in Route 53:", "make these records where their DNS is")
    for record in elsewhere:
        show(f"  {record['Name']} {record['TTL']} IN CNAME {hosted_zone.value(record)}")


def shown(record: dict[str, Any]) -> dict[str, str]:
    return {"name": record["Name"], "type": record["Type"], "value": hosted_zone.value(record)}


if __name__ == "__main__":
    sys.exit(aws.main(create_certificate, __doc__))
