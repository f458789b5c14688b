"""Zones of Route 53 and certificates of ACM, for the tests that need them."""

from __future__ import annotations

from typing import Any

from tests.conftest import ROOT, Runbook

NAMES = ["ml.example.com", "*.ml.example.com"]


def ml_endpoints(runbook: Runbook, *zones: str) -> Runbook:
    """The settings of examples/ml-endpoints/.env as they are, and these zones in Route 53."""
    runbook.settings = {"ENV_FILE": str(ROOT / "examples" / "ml-endpoints" / ".env")}
    for name in zones:
        zone(runbook, name)
    return runbook


def zone(runbook: Runbook, name: str, private: bool = False) -> str:
    """A zone of the user's; its id."""
    config: dict[str, Any] = {}
    if private:
        vpc = runbook.aws("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
        config = {"HostedZoneConfig": {"PrivateZone": True}, "VPC": {"VPCRegion": "us-east-1", "VPCId": vpc}}
    reference = f"{name} {len(runbook.emulator.calls)}"
    made = runbook.aws("route53").create_hosted_zone(Name=name, CallerReference=reference, **config)
    return str(made["HostedZone"]["Id"]).rpartition("/")[2]


def records(runbook: Runbook, zone_id: str = "") -> list[tuple[str, str, str]]:
    """Name, type and value of each record of a zone, the only one if none is named, but for its own NS and SOA."""
    route53 = runbook.aws("route53")
    if not zone_id:
        [only] = route53.list_hosted_zones()["HostedZones"]
        zone_id = only["Id"]
    found = route53.list_resource_record_sets(HostedZoneId=zone_id)["ResourceRecordSets"]
    return [
        (each["Name"], each["Type"], value)
        for each in found
        if each["Type"] not in ("NS", "SOA")
        for value in [each.get("AliasTarget", {}).get("DNSName") or each["ResourceRecords"][0]["Value"]]
    ]


def record(runbook: Runbook, zone_id: str, name: str, kind: str, value: str) -> None:
    """A record that somebody else makes."""
    shown = {"Name": name, "Type": kind, "TTL": 60, "ResourceRecords": [{"Value": value}]}
    batch = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": shown}]}
    runbook.aws("route53").change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch=batch)


def certificates(runbook: Runbook) -> list[Any]:
    """All of the account, as ACM describes them."""
    acm = runbook.aws("acm")
    arns = [each["CertificateArn"] for each in acm.list_certificates()["CertificateSummaryList"]]
    return [acm.describe_certificate(CertificateArn=arn)["Certificate"] for arn in arns]


def validation(detail: Any) -> tuple[str, str, str]:
    """The record that proves the first name of a certificate."""
    told = detail["DomainValidationOptions"][0]["ResourceRecord"]
    return told["Name"], told["Type"], told["Value"]
