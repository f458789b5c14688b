"""delete_dns_record.py: only what leads to our load balancer, also when that is gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from emulator.core.faults import Fault
from tests.conftest import ROOT, Runbook
from tests.zones import record, records, zone

HOST = "a.ml.example.com"


@pytest.fixture
def made(endpoints: Runbook) -> Runbook:
    """A cluster with its load balancer, the zone of the host names, and the record of endpoint a."""
    zone(endpoints, "ml.example.com")
    return endpoints.has_run("create_cluster.py").has_run("create_dns_record.py", ENDPOINT="a")


def test_the_record_goes_and_a_second_run_finds_nothing(made: Runbook) -> None:
    made.has_run("create_dns_record.py", ENDPOINT="b")
    calls = len(made.emulator.calls)
    ran = made.run("delete_dns_record.py", "--dry-run", ENDPOINT="a")
    assert (ran.code, made.changes(calls)) == (0, []), ran.err
    ran = made.run("delete_dns_record.py", ENDPOINT="a")
    assert (ran.code, ran.result["left"]) == (0, [])
    assert [name for name, _, _ in records(made)] == ["b.ml.example.com."]
    ran = made.run("delete_dns_record.py", ENDPOINT="a")
    assert (ran.code, f"already gone DNS record {HOST}" in ran.err) == (0, True)


def test_a_delete_whose_answer_was_lost_is_no_error(made: Runbook) -> None:
    made.emulator.faults.planned.append(Fault("ChangeResourceRecordSets", "cut", when="after"))
    made.has_run("delete_dns_record.py", ENDPOINT="a")
    assert records(made) == []


def test_a_record_whose_load_balancer_is_gone_is_deleted_too(made: Runbook) -> None:
    [found] = made.aws("elbv2").describe_load_balancers()["LoadBalancers"]
    made.aws("elbv2").delete_load_balancer(LoadBalancerArn=found["LoadBalancerArn"])
    made.has_run("delete_dns_record.py", ENDPOINT="a")
    assert records(made) == []


def test_a_record_that_leads_elsewhere_is_left_alone(endpoints: Runbook) -> None:
    record(endpoints, zone(endpoints, "ml.example.com"), HOST, "A", "192.0.2.1")
    ran = endpoints.run("delete_dns_record.py", ENDPOINT="a")
    assert (ran.code, records(endpoints)) == (0, [(f"{HOST}.", "A", "192.0.2.1")])
    assert f"kept DNS record {HOST}  it leads to 192.0.2.1" in ran.err


def test_the_name_of_another_endpoint_is_that_ones(made: Runbook) -> None:
    small = {"DESIRED_COUNT": "0", "IMAGE": "nginx:1.27", "IMAGE_TAG": ""}
    made.has_run("register_task_definition.py", "create_service.py", ENDPOINT="a", **small)
    before = records(made)
    for script in ("delete_dns_record.py", "delete_endpoint.py --yes"):
        ran = made.run(*script.split(), ENDPOINT="b", HOST_NAME=HOST)
        assert (ran.code, records(made)) == (0, before)
    ran = made.run("create_dns_record.py", ENDPOINT="b", HOST_NAME=HOST)
    assert ran.code == 1 and f"HOST_NAME={HOST} leads to ml-a already: choose another host name" in ran.err


def test_the_record_of_a_former_host_name_goes_with_the_cluster(made: Runbook) -> None:
    made.settings |= {"CERTIFICATE_DOMAINS": "ml.example.com,*.ml.example.com", "CERTIFICATE_ARN": ""}
    ran = made.run("delete_cluster.py", "--yes")
    assert ran.code == 0, ran.err
    assert f"DNS record {HOST} A" in ran.result["deleted"] and records(made) == []


def test_an_endpoint_whose_file_is_gone_can_be_deleted(made: Runbook, tmp_path: Path) -> None:
    made.settings["ENV_FILE"] = str(shutil.copytree(ROOT / "examples" / "ml-endpoints", tmp_path / "own") / ".env")
    small = {"DESIRED_COUNT": "0", "IMAGE": "nginx:1.27", "IMAGE_TAG": ""}
    named = {"ENDPOINT": "a", **small}
    made.has_run("register_task_definition.py", "create_service.py", **named)
    zz = tmp_path / "own" / "endpoints" / "zz.env"
    zz.write_text("HOST_NAME=zz.ml.example.com\n")
    made.has_run(
        "register_task_definition.py", "create_service.py", "create_dns_record.py", **{**named, "ENDPOINT": "zz"}
    )
    zz.unlink()
    assert "there is no endpoints/zz.env" in made.run("delete_service.py", ENDPOINT="zz").err
    ran = made.run("delete_endpoint.py", "--yes", ENDPOINT="zz")
    assert (ran.code, ran.result["left"]) == (0, [])
    assert [name for name, _, _ in records(made)] == [f"{HOST}."]
    [service] = made.aws("ecs").list_services(cluster="ml")["serviceArns"]
    assert service.endswith("/ml-a")
