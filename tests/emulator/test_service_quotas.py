"""Quotas."""

from __future__ import annotations

from emulator.core.wire import Emulator
from tests.emulator.common import Client, refused


def test_quotas_are_those_of_the_account(emulator: Emulator, client: Client) -> None:
    quotas = client("service-quotas")
    emulator.world.settings.vcpu_quotas["L-DB2E81BA"] = 8.0
    assert quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-DB2E81BA")["Quota"]["Value"] == 8
    assert quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-0263D0A3")["Quota"]["Value"] == 5
    assert quotas.get_service_quota(ServiceCode="vpc", QuotaCode="L-F678F1CE")["Quota"]["Value"] == 5
    spot = {"ServiceCode": "ec2", "QuotaCode": "L-C4BD4855"}
    assert refused(quotas.get_service_quota, **spot) == "NoSuchResourceException"
    assert quotas.get_aws_default_service_quota(**spot)["Quota"]["Value"] == 0
    default = quotas.get_aws_default_service_quota(ServiceCode="ec2", QuotaCode="L-DB2E81BA")
    assert default["Quota"]["Value"] == 0
    unknown = {"ServiceCode": "ec2", "QuotaCode": "L-00000000"}
    assert refused(quotas.get_service_quota, **unknown) == "NoSuchResourceException"
    listed = quotas.get_paginator("list_service_quotas").paginate(ServiceCode="ec2").build_full_result()["Quotas"]
    assert {one["QuotaCode"]: one["Value"] for one in listed}["L-DB2E81BA"] == 8
