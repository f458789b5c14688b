"""Service Quotas: the few that decide whether a GPU can be had, and what else a small cluster runs into.

https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/Welcome.html
"""

from __future__ import annotations

import uuid

from emulator.core import partitions, quotas, rules
from emulator.core.quotas import QUOTAS, Quota
from emulator.core.rules import AwsError, Call, Params, on

rules.SENTENCES.update(
    {
        "quota-001": "The vCPU quotas of EC2 are those of the emulated account; one never applied is "
        "NoSuchResourceException, and only its default (0 for GPUs) is told.",
        "quota-applied": "A list of quotas has those that were applied, and not those of which there is a default only.",
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
    return quotas.applied(call.world, quota)


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


@on("service-quotas", "ListServiceQuotas", rules="quota-001 quota-applied")
def list_service_quotas(call: Call) -> Params:
    wanted = call.params.get("QuotaCode")
    values = [(quota, _value(call, quota)) for quota in _of_service(call) if wanted in (None, quota.code)]
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
