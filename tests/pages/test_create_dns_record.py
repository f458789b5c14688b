"""create_dns_record.py: the host name leads to the load balancer, or it is told how it can."""

from __future__ import annotations

import json

import pytest

from emulator.core.faults import Fault
from emulator.front_door.proxy import Answer, Request, route
from tests.conftest import Runbook
from tests.zones import ml_endpoints, record, records, zone

HOST = "a.ml.example.com"


@pytest.fixture
def made(endpoints: Runbook) -> Runbook:
    """A cluster with its load balancer, and the zone of the host names."""
    zone(endpoints, "ml.example.com")
    return endpoints.has_run("create_cluster.py")


def balancer(runbook: Runbook) -> str:
    [found] = runbook.aws("elbv2").describe_load_balancers()["LoadBalancers"]
    return str(found["DNSName"])


def test_an_alias_leads_to_the_load_balancer_and_a_second_run_changes_nothing(made: Runbook) -> None:
    calls = len(made.emulator.calls)
    ran = made.run("create_dns_record.py", "--dry-run", ENDPOINT="a")
    assert (ran.code, made.changes(calls), records(made)) == (0, [], []), ran.err
    before = made.emulator.world.now()
    ran = made.run("create_dns_record.py", ENDPOINT="a")
    assert ran.code == 0, ran.err
    assert [(name, kind, value.rstrip(".")) for name, kind, value in records(made)] == [
        (f"{HOST}.", "A", balancer(made))
    ]
    assert 60 <= made.emulator.world.now() - before < 120  # until all name servers know it
    assert (ran.result["hostName"], ran.result["value"], ran.result["toMake"]) == (HOST, balancer(made), False)
    for flags in ((), ("--dry-run",)):
        calls = len(made.emulator.calls)
        ran = made.run("create_dns_record.py", *flags, ENDPOINT="a")
        assert (ran.code, made.changes(calls), f"found DNS record {HOST}" in ran.err) == (0, [], True)
    made.has_run("create_dns_record.py", ENDPOINT="b")
    assert [name for name, _, _ in records(made)] == [f"{HOST}.", "b.ml.example.com."]


def test_a_name_that_leads_elsewhere_is_taken_only_when_told_so(made: Runbook) -> None:
    [only] = made.aws("route53").list_hosted_zones()["HostedZones"]
    record(made, only["Id"], HOST, "CNAME", "old.example.org")
    ran = made.run("create_dns_record.py", ENDPOINT="a")
    assert ran.code == 1
    assert f"HOST_NAME={HOST} leads elsewhere already: CNAME old.example.org, in zone ml.example.com" in ran.err
    assert records(made) == [(f"{HOST}.", "CNAME", "old.example.org")]
    made.has_run("create_dns_record.py --overwrite", ENDPOINT="a")
    assert [kind for _, kind, _ in records(made)] == ["A"]
    for kind, value in (("A", "192.0.2.1"), ("AAAA", "2001:db8::1")):
        record(made, only["Id"], "b.ml.example.com", kind, value)
    ran = made.run("create_dns_record.py", ENDPOINT="b")
    assert "leads elsewhere already: A 192.0.2.1 and AAAA 2001:db8::1" in ran.err
    made.has_run("create_dns_record.py --overwrite", ENDPOINT="b")
    assert [kind for _, kind, _ in records(made)] == ["A", "A"]


def test_a_record_of_an_earlier_load_balancer_follows_the_new_one(made: Runbook) -> None:
    made.has_run("create_dns_record.py", ENDPOINT="a")
    [found] = made.aws("elbv2").describe_load_balancers()["LoadBalancers"]
    made.aws("elbv2").delete_load_balancer(LoadBalancerArn=found["LoadBalancerArn"])
    ran = made.run("create_dns_record.py", ENDPOINT="a")
    assert (ran.code, "there is no load balancer ml-alb to lead to: run create_cluster.py first" in ran.err) == (
        1,
        True,
    )
    made.settle()
    made.has_run("create_cluster.py")
    ran = made.run("create_dns_record.py", ENDPOINT="a")
    assert f"updated DNS record {HOST}" in ran.err
    assert records(made)[0][2].rstrip(".") == balancer(made) != found["DNSName"]


def test_a_change_that_overlaps_with_another_is_made_again(made: Runbook) -> None:
    fault = Fault("ChangeResourceRecordSets", "PriorRequestNotComplete", times=12)  # boto3 itself tries 10 times
    made.emulator.faults.planned.append(fault)
    ran = made.run("create_dns_record.py", ENDPOINT="a")
    assert (ran.code, [kind for _, kind, _ in records(made)]) == (0, ["A"]), ran.err


def test_from_the_certificate_on_each_name_reaches_its_own_endpoint(runbook: Runbook) -> None:
    ml = ml_endpoints(runbook, "example.com")
    ml.settings |= {"IMAGE_TAG": "", "IMAGE": "example.com/ml:v1"}
    ml.has_run("create_certificate.py", "create_cluster.py")
    for endpoint in ("a", "b"):
        ml.has_run("register_task_definition.py", "create_service.py", "create_dns_record.py", ENDPOINT=endpoint)

    def ask(host: str, scheme: str = "https", port: int = 443) -> Answer:
        return route(ml.emulator, Request("GET", scheme, host, port, host, "/ping"))

    for endpoint in ("a", "b"):
        answer = ask(f"{endpoint}.ml.example.com")
        assert (answer.status, json.loads(answer.body)["targetGroup"]) == (200, f"ml-{endpoint}-tg")
    moved = ask(HOST, "http", 80)
    assert (moved.status, moved.headers["Location"]) == (301, f"https://{HOST}:443/ping")
    assert ask(balancer(ml)).status == 404
    assert ask("c.ml.example.com").status == 502  # no record leads anywhere


def test_without_a_zone_the_record_is_told_to_be_made_elsewhere(endpoints: Runbook) -> None:
    endpoints.has_run("create_cluster.py")
    ran = endpoints.run("create_dns_record.py", ENDPOINT="a")
    assert (ran.code, ran.result["type"], ran.result["toMake"]) == (0, "CNAME", True)
    assert f"  {HOST}. 300 IN CNAME {balancer(endpoints)}." in ran.err


def test_a_name_that_the_certificate_does_not_cover_is_refused(made: Runbook) -> None:
    for name in ("a.b.ml.example.com", "ml.example.com", "a.example.org"):
        ran = made.run("create_dns_record.py", ENDPOINT="a", HOST_NAME=name)
        assert ran.code == 1
        assert f"HOST_NAME={name} is not covered by the certificate, which is for *.ml.example.com" in ran.err
    assert records(made) == []


def test_it_needs_a_load_balancer_and_a_host_name(endpoints: Runbook, clara: Runbook) -> None:
    ran = clara.run("create_dns_record.py")
    assert (ran.code, "HOST_NAME is not set: say which name is to lead" in ran.err) == (1, True)
    ran = clara.run("create_dns_record.py", HOST_NAME="clara.example.com")
    assert (ran.code, "there is no load balancer clara-train-alb" in ran.err) == (1, True)
