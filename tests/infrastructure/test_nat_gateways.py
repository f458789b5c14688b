"""The private subnets: each with a way out of its own, and image layers past the NAT gateways."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Runbook

NO_HOSTS = {"CLUSTER_SIZE": ""}


def of_the_cluster(runbook: Runbook, call: str, key: str) -> list[Any]:
    ec2 = runbook.aws("ec2")
    found: list[Any] = getattr(ec2, call)(Filters=[{"Name": "tag:gpu-ecs-cluster", "Values": ["clara-train"]}])[key]
    return found


def ways_out(runbook: Runbook) -> dict[str, str]:
    """Name of each route table -> the gateway that everything else goes to."""
    found = {}
    for table in of_the_cluster(runbook, "describe_route_tables", "RouteTables"):
        [name] = [tag["Value"] for tag in table["Tags"] if tag["Key"] == "Name"]
        routes = [route for route in table["Routes"] if route.get("DestinationCidrBlock") == "0.0.0.0/0"]
        found[name] = "".join(route.get("NatGatewayId") or route["GatewayId"] for route in routes)
    return found


def gateways(runbook: Runbook) -> list[Any]:
    found = of_the_cluster(runbook, "describe_nat_gateways", "NatGateways")
    return [gateway for gateway in found if gateway["State"] == "available"]


@pytest.mark.parametrize(("nat_gateways", "count"), [("per-zone", 2), ("single", 1), ("none", 0)])
def test_each_nat_gateway_has_an_elastic_ip(clara: Runbook, nat_gateways: str, count: int) -> None:
    clara.has_run("create_cluster.py", NAT_GATEWAYS=nat_gateways, **NO_HOSTS)
    addresses = of_the_cluster(clara, "describe_addresses", "Addresses")
    used = [each["NatGatewayAddresses"][0]["AllocationId"] for each in gateways(clara)]
    assert len(used) == count
    assert sorted(address["AllocationId"] for address in addresses) == sorted(used)


def test_each_zone_goes_out_through_the_gateway_in_that_zone(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", **NO_HOSTS)
    subnets = of_the_cluster(clara, "describe_subnets", "Subnets")
    zones = {subnet["SubnetId"]: subnet["AvailabilityZone"] for subnet in subnets}
    zone_of = {gateway["NatGatewayId"]: zones[gateway["SubnetId"]] for gateway in gateways(clara)}
    out = ways_out(clara)
    assert out["clara-train-public"].startswith("igw-")
    assert zone_of[out["clara-train-private-1"]] == "us-east-1a"
    assert zone_of[out["clara-train-private-2"]] == "us-east-1b"


def test_a_single_gateway_serves_both_zones(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", NAT_GATEWAYS="single", **NO_HOSTS)
    out = ways_out(clara)
    assert out["clara-train-private-1"] == out["clara-train-private-2"] == gateways(clara)[0]["NatGatewayId"]


def test_without_gateways_the_private_subnets_have_no_way_out(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", NAT_GATEWAYS="none", **NO_HOSTS)
    out = ways_out(clara)
    assert (out["clara-train-private-1"], out["clara-train-private-2"]) == ("", "")


def test_a_gateway_that_is_no_longer_wanted_goes(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", **NO_HOSTS).has_run("create_cluster.py", NAT_GATEWAYS="single", **NO_HOSTS)
    [gateway] = gateways(clara)
    out = ways_out(clara)
    assert out["clara-train-private-1"] == out["clara-train-private-2"] == gateway["NatGatewayId"]
    assert len(of_the_cluster(clara, "describe_addresses", "Addresses")) == 1


def test_image_layers_come_through_an_s3_endpoint_in_each_route_table(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", **NO_HOSTS)
    [endpoint] = of_the_cluster(clara, "describe_vpc_endpoints", "VpcEndpoints")
    tables = of_the_cluster(clara, "describe_route_tables", "RouteTables")
    assert (endpoint["VpcEndpointType"], endpoint["ServiceName"]) == ("Gateway", "com.amazonaws.us-east-1.s3")
    assert sorted(endpoint["RouteTableIds"]) == sorted(table["RouteTableId"] for table in tables)


def test_a_dead_gateway_is_replaced_and_the_route_with_it(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", **NO_HOSTS)
    dead = ways_out(clara)["clara-train-private-1"]
    clara.aws("ec2").delete_nat_gateway(NatGatewayId=dead)
    clara.settle()
    clara.has_run("create_cluster.py", **NO_HOSTS)
    assert ways_out(clara)["clara-train-private-1"] not in ("", dead)
    assert len(gateways(clara)) == 2


def test_no_gateway_and_no_address_is_paid_for_after_the_delete(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", **NO_HOSTS).has_run("delete_cluster.py --yes", **NO_HOSTS)
    assert gateways(clara) == []
    assert clara.aws("ec2").describe_addresses()["Addresses"] == []
