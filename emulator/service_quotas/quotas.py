"""Service Quotas: the few that decide whether a GPU can be had, and what else a small cluster runs into.

https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/Welcome.html
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from emulator.core import partitions, rules
from emulator.core.rules import AwsError, Call, Params, on

rules.SENTENCES.update(
    {
        "quota-001": "The vCPU quotas of EC2 are those of the emulated account; one never applied is "
        "NoSuchResourceException, and only its default (0 for GPUs) is told.",
    }
)

SERVICES = {
    "ec2": "Amazon Elastic Compute Cloud (Amazon EC2)",
    "vpc": "Amazon Virtual Private Cloud (Amazon VPC)",
    "ecs": "Amazon Elastic Container Service (Amazon ECS)",
    "elasticloadbalancing": "Elastic Load Balancing (ELB)",
    "elasticfilesystem": "Amazon Elastic File System (EFS)",
    "fargate": "AWS Fargate",
}


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
]


def _of_service(call: Call) -> list[Quota]:
    service = call.params["ServiceCode"]
    if service not in SERVICES:
        raise AwsError("NoSuchResourceException", f"The request failed because the service {service} does not exist.")
    return [quota for quota in QUOTAS if quota.service == service]


def _quota(call: Call) -> Quota:
    for quota in _of_service(call):
        if quota.code == call.params["QuotaCode"]:
            return quota
    raise _unknown(call)


def _unknown(call: Call) -> AwsError:
    service, code = call.params["ServiceCode"], call.params["QuotaCode"]
    return AwsError(
        "NoSuchResourceException",
        f"The request failed because the specified quota does not exist: {service}/{code}.",
    )


def _value(call: Call, quota: Quota) -> float | None:
    """The value that is in force for the account, or None if there is only a default."""
    applied = call.world.settings.vcpu_quotas.get(quota.code)
    if applied is not None:
        return float(applied)
    return float(quota.default) if quota.applied else None


def _shown(call: Call, quota: Quota, value: float) -> Params:
    return {
        "ServiceCode": quota.service,
        "ServiceName": SERVICES[quota.service],
        "QuotaArn": f"arn:{partitions.here()}:servicequotas:{call.region}:{call.account}:{quota.service}/{quota.code}",
        "QuotaCode": quota.code,
        "QuotaName": quota.name,
        "Value": value,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
        "QuotaAppliedAtLevel": "ACCOUNT",
    }


def _page(call: Call, items: list[Params], key: str) -> Params:
    start = int(call.params.get("NextToken") or 0)
    end = start + (call.params.get("MaxResults") or 100)
    return {key: items[start:end], **({"NextToken": str(end)} if end < len(items) else {})}


@on("service-quotas", "GetServiceQuota", rules="quota-001")
def get_service_quota(call: Call) -> Params:
    quota = _quota(call)
    value = _value(call, quota)
    if value is None:
        raise _unknown(call)
    return {"Quota": _shown(call, quota, value)}


@on("service-quotas", "GetAWSDefaultServiceQuota", rules="quota-001")
def get_aws_default_service_quota(call: Call) -> Params:
    quota = _quota(call)
    return {"Quota": _shown(call, quota, float(quota.default))}


@on("service-quotas", "ListServiceQuotas", rules="quota-001")
def list_service_quotas(call: Call) -> Params:
    values = [(quota, _value(call, quota)) for quota in _of_service(call)]
    return _page(call, [_shown(call, quota, value) for quota, value in values if value is not None], "Quotas")


@on("service-quotas", "ListAWSDefaultServiceQuotas")
def list_aws_default_service_quotas(call: Call) -> Params:
    return _page(call, [_shown(call, quota, float(quota.default)) for quota in _of_service(call)], "Quotas")


@on("service-quotas", "ListServices")
def list_services(call: Call) -> Params:
    services = [{"ServiceCode": code, "ServiceName": name} for code, name in SERVICES.items()]
    return _page(call, services, "Services")


# --- requests for more: they stay pending, since a person at AWS answers them


@on("service-quotas", "RequestServiceQuotaIncrease")
def request_service_quota_increase(call: Call) -> Params:
    quota, wanted = _quota(call), call.params["DesiredValue"]
    asked: list[Params] = call.world.state["quotas"].setdefault(call.region, [])
    if any(one["QuotaCode"] == quota.code for one in asked):
        raise AwsError("ResourceAlreadyExistsException", "Only one open service quota increase request is allowed.")
    if wanted <= (_value(call, quota) or 0):
        raise AwsError("IllegalArgumentException", "The desired value must be greater than the current quota value.")
    shown = {key: value for key, value in _shown(call, quota, wanted).items() if key not in ("Value", "Adjustable")}
    now = call.world.timestamp()
    shown |= {"Id": uuid.uuid4().hex, "DesiredValue": wanted, "Status": "PENDING", "Created": now, "LastUpdated": now}
    asked.append({**shown, "QuotaRequestedAtLevel": shown.pop("QuotaAppliedAtLevel")})
    return {"RequestedQuota": asked[-1]}


@on("service-quotas", "ListRequestedServiceQuotaChangeHistory", "ListRequestedServiceQuotaChangeHistoryByQuota")
def list_requested_service_quota_change_history(call: Call) -> Params:
    asked: list[Params] = call.world.state["quotas"].get(call.region, [])
    for key in ("ServiceCode", "QuotaCode", "Status"):
        if key in call.params:
            asked = [one for one in asked if one[key] == call.params[key]]
    return _page(call, asked, "RequestedQuotas")


@on("service-quotas", "GetRequestedServiceQuotaChange")
def get_requested_service_quota_change(call: Call) -> Params:
    for one in call.world.state["quotas"].get(call.region, []):
        if one["Id"] == call.params["RequestId"]:
            return {"RequestedQuota": one}
    raise AwsError("NoSuchResourceException", "The request failed because the specified request does not exist.")
