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


def test_one_more_than_the_quota_is_refused_by_the_call_that_makes_it(emulator: Emulator, client: Client) -> None:
    """The default VPC has an internet gateway and a group already."""
    ec2, elb, efs = client("ec2"), client("elbv2"), client("efs")
    subnets = [each["SubnetId"] for each in ec2.describe_subnets()["Subnets"][:2]]
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    emulator.world.clock.sleep(60)  # type: ignore[attr-defined]
    nothing = dict.fromkeys(("L-DF5E4CA3", "L-0263D0A3", "L-FE5A380F", "L-53DA6B97", "L-B22855CB", "L-848C634D"), 0.0)
    emulator.world.settings.quotas = {**dict.fromkeys(("L-F678F1CE", "L-A4707A72", "L-E79EC296"), 1.0), **nothing}
    assert refused(ec2.create_vpc, CidrBlock="10.0.0.0/16") == "VpcLimitExceeded"
    assert refused(ec2.create_internet_gateway) == "InternetGatewayLimitExceeded"
    assert refused(ec2.create_security_group, GroupName="a", Description="a") == "SecurityGroupLimitExceeded"
    assert refused(ec2.allocate_address, Domain="vpc") == "AddressLimitExceeded"
    assert refused(ec2.create_network_interface, SubnetId=subnets[0]) == "NetworkInterfaceLimitExceeded"
    gateway = {"SubnetId": subnets[0], "AllocationId": address}
    assert refused(ec2.create_nat_gateway, **gateway) == "NatGatewayLimitExceeded"
    assert refused(elb.create_load_balancer, Name="a", Subnets=subnets) == "TooManyLoadBalancers"
    target_group = {"Name": "a", "Protocol": "HTTP", "Port": 80, "TargetType": "ip"}
    vpc_id = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    assert refused(elb.create_target_group, **target_group, VpcId=vpc_id) == "TooManyTargetGroups"
    assert refused(efs.create_file_system, CreationToken="a") == "FileSystemLimitExceeded"
    emulator.world.settings.quotas = {}
    ec2.create_nat_gateway(**gateway)


def test_a_list_of_quotas_has_those_that_apply(emulator: Emulator, client: Client) -> None:
    quotas = client("service-quotas")
    of_one = quotas.list_service_quotas(ServiceCode="ec2", QuotaCode="L-0263D0A3")["Quotas"]
    assert [each["Value"] for each in of_one] == [5]
    assert quotas.list_service_quotas(ServiceCode="ec2", QuotaCode="L-C4BD4855")["Quotas"] == []
    emulator.world.settings.quotas["L-F678F1CE"] = 7
    told = quotas.list_service_quotas(ServiceCode="vpc")["Quotas"]
    assert {each["QuotaCode"]: each["Value"] for each in told}["L-F678F1CE"] == 7
