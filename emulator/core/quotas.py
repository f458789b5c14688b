"""How many of each kind an account may have: AWS's defaults, and what was granted to the emulated account.

Each service holds its own at the call that makes one more; Service Quotas tells them.
https://docs.aws.amazon.com/general/latest/gr/aws-service-information.html
"""

from __future__ import annotations

from dataclasses import dataclass

from emulator.core import rules
from emulator.core.rules import AwsError
from emulator.core.world import World

rules.SENTENCES["quota-reached"] = (
    "One more VPC, internet gateway, NAT gateway, Elastic IP, security group, network interface, mount target, load balancer, "
    "target group or file system than the quota allows is refused by the call that makes it."
)
rules.SENTENCES["quota-fargate"] = (
    "Fargate tasks beyond the account's vCPUs do not start: a service says so in an event; that RunTask is refused with a "
    "ClientException of the same words is proven by nothing that could be read."
)
rules.held("quota-reached", "core.quotas: refuse_more, at each of these calls")


@dataclass(frozen=True)
class Quota:
    service: str
    code: str
    name: str
    default: float
    applied: bool = True  # False: GetServiceQuota knows it only once an increase was granted


#: names and defaults of a new account: https://docs.aws.amazon.com/general/latest/gr/ec2-service.html
QUOTAS = [
    Quota("ec2", "L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 5),
    Quota("ec2", "L-34B43A08", "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", 5),
    Quota("ec2", "L-DB2E81BA", "Running On-Demand G and VT instances", 0),
    Quota("ec2", "L-3819A6DF", "All G and VT Spot Instance Requests", 0),
    Quota("ec2", "L-417A185B", "Running On-Demand P instances", 0),
    Quota("ec2", "L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests", 0),
    Quota("ec2", "L-C4BD4855", "All P5 Spot Instance Requests", 0, applied=False),
    Quota("ec2", "L-74FC7D96", "Running On-Demand F instances", 0, applied=False),
    Quota("ec2", "L-88CF9481", "All F Spot Instance Requests", 0, applied=False),
    Quota("ec2", "L-7295265B", "Running On-Demand X instances", 0, applied=False),
    Quota("ec2", "L-E3A00192", "All X Spot Instance Requests", 0, applied=False),
    Quota("ec2", "L-1945791B", "Running On-Demand Inf instances", 0, applied=False),
    Quota("ec2", "L-B5D1601B", "All Inf Spot Instance Requests", 0, applied=False),
    Quota("ec2", "L-2C3B7624", "Running On-Demand Trn instances", 0, applied=False),
    Quota("ec2", "L-6B0D517C", "All Trn Spot Instance Requests", 0, applied=False),
    Quota("ec2", "L-6E869C2A", "Running On-Demand DL instances", 0, applied=False),
    Quota("ec2", "L-85EED4F7", "All DL Spot Instance Requests", 0, applied=False),
    Quota("ec2", "L-F7808C92", "Running On-Demand HPC instances", 0, applied=False),
    Quota("ec2", "L-43DA4232", "Running On-Demand High Memory instances", 0, applied=False),
    Quota("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs", 5),
    Quota("vpc", "L-F678F1CE", "VPCs per Region", 5),
    Quota("vpc", "L-A4707A72", "Internet gateways per Region", 5),
    Quota("vpc", "L-FE5A380F", "NAT gateways per Availability Zone", 5),
    Quota("vpc", "L-DF5E4CA3", "Network interfaces per Region", 5000),
    Quota("vpc", "L-407747CB", "Subnets per VPC", 200),
    Quota("vpc", "L-E79EC296", "VPC security groups per Region", 2500),
    Quota("vpc", "L-2AFB9258", "Security groups per network interface", 5),
    Quota("ecs", "L-21C621EB", "Clusters per account", 10000),
    Quota("ecs", "L-9EF96962", "Services per cluster", 5000),
    Quota("elasticloadbalancing", "L-53DA6B97", "Application Load Balancers per Region", 50),
    Quota("elasticloadbalancing", "L-B22855CB", "Target Groups per Region", 3000),
    Quota("elasticfilesystem", "L-848C634D", "File systems per account", 1000),
    Quota("fargate", "L-3032A538", "Fargate On-Demand vCPU resource count", 6),
    Quota("fargate", "L-36FBB829", "Fargate Spot vCPU resource count", 6),
]


def applied(world: World, quota: Quota) -> float | None:
    """What is in force for the account; None where there is only a default."""
    granted = {**world.settings.vcpu_quotas, **world.settings.quotas}.get(quota.code)
    if granted is not None:
        return float(granted)
    return float(quota.default) if quota.applied else None


def limit_of(world: World, code: str) -> float | None:
    [quota] = [each for each in QUOTAS if each.code == code]
    return applied(world, quota)


def refuse_more(world: World, code: str, there: int, error: str, message: str, status: int = 400) -> None:
    """Refuse one more than the account may have. The message may name the quota: {limit}."""
    limit = limit_of(world, code)
    if limit is not None and there >= limit:
        raise AwsError(error, message.format(limit=f"{limit:.0f}"), status)
