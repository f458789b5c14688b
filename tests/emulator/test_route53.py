"""Records: batches, their time, aliases."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.core.wire import Emulator
from emulator.route53 import records as route53_records
from tests.emulator.common import Client, change, record, sleep


def names_in(client: Client, zone: str) -> list[str]:
    found = client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    return [one["Name"] for one in found if one["Type"] not in ("SOA", "NS")]


def test_a_batch_of_record_changes_is_all_or_nothing(client: Client, zone: str) -> None:
    a, b = record("a.example.com", "192.0.2.1"), record("b.example.com", "192.0.2.2")
    change(client, zone, ("CREATE", a))
    for wrong in (
        [("UPSERT", b), ("CREATE", a)],
        [("UPSERT", b), ("DELETE", {**a, "TTL": 61})],
        [("UPSERT", b), ("DELETE", record("c.example.com", "192.0.2.3"))],
        [("UPSERT", b), ("CREATE", record("a.example.org", "192.0.2.3"))],
    ):
        with pytest.raises(ClientError) as error:
            change(client, zone, *wrong)
        assert error.value.response["Error"]["Code"] == "InvalidChangeBatch"
    assert names_in(client, zone) == ["a.example.com."]
    change(client, zone, ("UPSERT", b), ("DELETE", a))
    assert names_in(client, zone) == ["b.example.com."]


def test_a_change_is_pending_for_a_minute(emulator: Emulator, client: Client, zone: str) -> None:
    made = change(client, zone, ("CREATE", record("a.example.com", "192.0.2.1")))
    assert made["Status"] == "PENDING"
    assert client("route53").get_change(Id=made["Id"])["ChangeInfo"]["Status"] == "PENDING"
    sleep(emulator, 61)
    assert client("route53").get_change(Id=made["Id"])["ChangeInfo"]["Status"] == "INSYNC"


def test_name_servers_answer_with_a_change_once_it_is_in_sync(emulator: Emulator, client: Client, zone: str) -> None:
    change(client, zone, ("CREATE", record("a.example.com", "b.example.org", "CNAME")))
    assert names_in(client, zone) == ["a.example.com."]
    assert route53_records.leads_to(emulator.world, "a.example.com") is None
    sleep(emulator, 61)
    client("route53").list_hosted_zones()
    assert route53_records.leads_to(emulator.world, "A.example.com.") == "b.example.org"
    assert zone.startswith("/hostedzone/Z")


def test_an_alias_names_the_zone_of_its_load_balancer(client: Client, zone: str, emulator: Emulator) -> None:
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    sleep(emulator, 10)
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"us-east-1{letter}")["Subnet"]
        for n, letter in enumerate("ab")
    ]
    sleep(emulator, 10)
    made = client("elbv2").create_load_balancer(
        Name="web", Scheme="internal", Subnets=[subnet["SubnetId"] for subnet in subnets]
    )["LoadBalancers"][0]

    def alias(hosted_zone: str) -> Any:
        target = {"HostedZoneId": hosted_zone, "DNSName": made["DNSName"], "EvaluateTargetHealth": False}
        return {"Name": "www.example.com", "Type": "A", "AliasTarget": target}

    with pytest.raises(ClientError) as error:
        change(client, zone, ("CREATE", alias("Z00000000000000000000")))
    assert error.value.response["Error"]["Code"] == "InvalidChangeBatch"
    change(client, zone, ("CREATE", alias(made["CanonicalHostedZoneId"])))
    client("elbv2").delete_load_balancer(LoadBalancerArn=made["LoadBalancerArn"])
    assert names_in(client, zone) == ["www.example.com."]  # left dangling
    change(client, zone, ("DELETE", alias(made["CanonicalHostedZoneId"])))
