"""A sample of AWS's price list beside instance types: what a small cluster is billed for, and what a lax filter finds too.

Recorded from public copies of AWS's offer files of us-east-1 (published 2026-07-20 to 2026-09-25), that of AWS Backup from
its page: https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AWSELB/current/us-east-1/index.json and its siblings. No copy
had the productFamily of each row of AmazonEFS and AmazonVPC: filters should not lean on those. In us-east-1 some usage types
begin with USE1- and some with nothing; elsewhere all begin with the Region's short name.
https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_pricing_GetProducts.html
"""

from __future__ import annotations

from typing import NamedTuple

DATE = "2026-09-25"
ALB, NLB = "LoadBalancing:Application", "LoadBalancing:Network"


class Row(NamedTuple):
    """One product: `usage` as us-east-1 calls it; `price` of its first tier, `tiers` those from a quantity on."""

    service: str
    family: str
    usage: str
    unit: str
    price: float
    attributes: dict[str, str]
    tiers: dict[int, float] = {}  # noqa: RUF012 - none is ever put in


def _nat(usage: str, unit: str, price: float, operation: str, what: str) -> Row:
    of_group = {"group": "NGW:NatGateway", "operation": operation, "groupDescription": what}
    return Row("AmazonEC2", "NAT Gateway", usage, unit, price, of_group)


def _balancer(usage: str, unit: str, price: float, operation: str = ALB, place: str = "AWS Region") -> Row:
    family = {ALB: "Load Balancer-Application", NLB: "Load Balancer-Network"}.get(operation, "Load Balancer")
    return Row("AWSELB", family, usage, unit, price, {"operation": operation, "locationType": place})


def _address(kind: str, price: float) -> Row:
    group = {"group": "VPCPublicIPv4Address", "operation": ""}
    return Row("AmazonVPC", "", f"USE1-PublicIPv4:{kind}", "Hrs", price, group)


def _efs(usage: str, unit: str, price: float, **attributes: str) -> Row:
    return Row("AmazonEFS", "Storage", f"USE1-{usage}", unit, price, attributes)


def _fargate(usage: str, unit: str, price: float, system: str = "Linux") -> Row:
    return Row("AmazonECS", "Compute", f"USE1-{usage}", unit, price, {"operatingSystem": system, "operation": ""})


def _watch(family: str, usage: str, unit: str, price: float, tiers: dict[int, float] | None = None) -> Row:
    return Row("AmazonCloudWatch", family, usage, unit, price, {}, tiers or {})


def _backup(usage: str, price: float) -> Row:
    return Row("AWSBackup", "AWS Backup Storage", f"USE1-{usage}", "GB-Mo", price, {"operation": "Storage"})


def _bucket(usage: str, price: float, tiers: dict[int, float], kind: str) -> Row:
    return Row("AmazonS3", "Storage", usage, "GB-Mo", price, {"volumeType": kind}, tiers)


#: "hour", "GB" and so on as the list spells them: Hrs in one offer, hours in the next
ROWS = (
    Row("AmazonEC2", "Storage", "EBS:VolumeUsage.gp3", "GB-Mo", 0.08, {"volumeApiName": "gp3"}),
    Row("AmazonEC2", "Storage", "EBS:VolumeUsage.gp2", "GB-Mo", 0.10, {"volumeApiName": "gp2"}),
    Row("AmazonEC2", "System Operation", "EBS:VolumeP-IOPS.gp3", "IOPS-Mo", 0.005, {"volumeApiName": "gp3"}),
    Row(
        "AmazonEC2", "Provisioned Throughput", "EBS:VolumeP-Throughput.gp3", "GiBps-mo", 40.96, {"volumeApiName": "gp3"}
    ),
    _nat("NatGateway-Hours", "Hrs", 0.045, "NatGateway", "Hourly charge for NAT Gateways"),
    _nat("NatGateway-Bytes", "GB", 0.045, "NatGateway", "Charge for per GB data processed by NatGateways"),
    _nat("NatGateway-Prvd-Gbps", "Gbps-hrs", 1.076, "NatGateway", "Provisioned bandwidth"),
    _nat("NatGateway-Prvd-Bytes", "GB", 0.0, "NatGateway", "Provisioned bandwidth"),
    _nat("RegionalNatGateway-Hours", "Hrs", 0.045, "RegionalNatGateway", "Hourly charge for Regional NAT Gateways"),
    _nat("USE1-RegionalNatGateway-Bytes", "GB", 0.045, "RegionalNatGateway", "Regional NAT Gateways"),
    _balancer("LoadBalancerUsage", "Hrs", 0.0225),
    _balancer("LCUUsage", "LCU-Hrs", 0.008),
    _balancer("ReservedLCUUsage", "LCU-Hrs", 0.008),
    _balancer("TS-LoadBalancerUsage", "Hrs", 0.005),
    _balancer("Outposts-LoadBalancerUsage", "Hrs", 0.0225, place="AWS Outposts"),
    _balancer("LoadBalancerUsage", "Hrs", 0.0225, NLB),
    _balancer("LCUUsage", "LCU-Hrs", 0.006, NLB),
    _balancer("LoadBalancerUsage", "Hrs", 0.025, "LoadBalancing"),
    _address("InUseAddress", 0.005),
    _address("IdleAddress", 0.005),
    _address("ContiguousBlock", 0.008),
    _efs("TimedStorage-ByteHrs", "GB-Mo", 0.30, storageClass="General Purpose"),
    _efs("TimedStorage-Z-ByteHrs", "GB-Mo", 0.16, storageClass="One Zone-General Purpose"),
    _efs("IATimedStorage-ByteHrs", "GB-Mo", 0.025, storageClass="Infrequent Access"),
    _efs("IADataAccess-Bytes", "GB", 0.01, storageClass="Infrequent Access", accessType="Read"),
    _efs("IADataAccess-Bytes", "GB", 0.01, storageClass="Infrequent Access", accessType="Write"),
    _efs("IATimedStorage-ET-ByteHrs", "GB-Mo", 0.016, storageClass="Infrequent Access-ET"),
    _efs("ETDataAccess-Bytes", "GB", 0.03, accessType="Read"),
    _efs("ETDataAccess-Bytes", "GB", 0.06, accessType="Write"),
    _efs("ProvisionedTP-MiBpsHrs", "MiBps-Mo", 6.0, throughputClass="Provisioned"),
    # https://aws.amazon.com/fargate/pricing/
    _fargate("Fargate-vCPU-Hours:perCPU", "hours", 0.04048),
    _fargate("Fargate-GB-Hours", "hours", 0.004445),
    _fargate("Fargate-ARM-vCPU-Hours:perCPU", "hours", 0.03238),
    _fargate("Fargate-ARM-GB-Hours", "hours", 0.00356),
    _fargate("Fargate-EphemeralStorage-GB-Hours", "GB-Hours", 0.000111),
    _fargate("Fargate-Windows-vCPU-Hours:perCPU", "hours", 0.09148, "Windows"),
    _fargate("ECS-EC2-vCPU-Hours", "hours", 0.0, ""),
    _fargate("ECS-EC2-GB-Hours", "hours", 0.0, ""),
    _watch("Data Payload", "USE1-DataProcessing-Bytes", "GB", 0.50),
    _watch("Data Payload", "USE1-DataProcessingIA-Bytes", "GB", 0.25),
    _watch("Data Payload", "USE1-VendedLog-Bytes", "GB", 0.50, {10240: 0.25, 30720: 0.10, 51200: 0.05}),
    _watch("Storage Snapshot", "USE1-TimedStorage-ByteHrs", "GB-Mo", 0.03),
    _watch("Metric", "CW:MetricMonitorUsage", "Metrics", 0.30, {10000: 0.10, 250000: 0.05, 1000000: 0.02}),
    _watch("Alarm", "CW:AlarmMonitorUsage", "Alarms", 0.10),
    Row("AmazonECR", "EC2 Container Registry", "TimedStorage-ByteHrs", "GB-Mo", 0.10, {"storageType": "S3"}),
    # https://aws.amazon.com/s3/pricing/
    _bucket("TimedStorage-ByteHrs", 0.023, {51200: 0.022, 512000: 0.021}, "Standard"),
    _bucket("TimedStorage-SIA-ByteHrs", 0.0125, {}, "Standard - Infrequent Access"),
    # https://aws.amazon.com/backup/pricing/
    _backup("WarmStorage-ByteHrs-EFS", 0.05),
    _backup("WarmStorage-ByteHrs-EFS-LAGV", 0.06),
    _backup("ColdStorage-ByteHrs-EFS", 0.01),
    _backup("WarmStorage-ByteHrs-EBS", 0.05),
)
