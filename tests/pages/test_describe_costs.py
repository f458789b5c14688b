"""describe_costs.py tells what stands, since when, so far and an hour; other pages end with one line of it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

import aws
from emulator.core.doors import DOORS
from emulator.core.faults import Fault
from emulator.ecr import repositories
from infrastructure.service import bill
from tests.conftest import Runbook
from tests.everything import ALONE, PAGES, prepared

RUNNING = ("create_cluster.py", "register_task_definition.py", "run_task.py")


def last(err: str) -> str:
    """Of the lines about costs."""
    return " ".join([line for line in err.splitlines() if line.startswith("costs ")][-1].split())


@pytest.fixture
def running(runbook: Runbook) -> Runbook:
    """A host with a task, for some hours."""
    runbook.has_run(*RUNNING)
    runbook.settle(3 * 3600)
    return runbook


def test_what_stands_is_told_and_a_deletion_ends_with_what_it_cost(running: Runbook) -> None:
    ran = running.run("describe_costs.py")
    told, rows = ran.result, ran.result["rows"]
    assert told["currency"] == "USD" and "1 host g4dn.xlarge" in ran.err
    by_name = {row["what"]: row for row in rows}
    assert {"host g4dn.xlarge", "public address", "GB of disk", "GB on EFS"} <= by_name.keys()
    [host] = running.aws("ec2").describe_instances()["Reservations"]
    assert by_name["host g4dn.xlarge"]["since"] == host["Instances"][0]["LaunchTime"].strftime("%Y-%m-%dT%H:%M:%SZ")
    assert round(sum(row["perHour"] for row in rows), 4) == told["perHour"] == 0.542
    assert round(sum(row["soFar"] or 0 for row in rows), 4) == told["soFar"]
    assert 3 * 0.54 < told["soFar"] < 3.2 * 0.55
    assert by_name["GB on EFS"]["soFar"] is None, "how much there was nobody knows"

    stop = f"1 x host g4dn.xlarge; to stop: {bill.STOP}"
    assert last(running.run("describe_clusters.py").err) == f"costs $0.54 an hour now: {stop}"
    ran = running.run("delete_cluster.py", "--yes", EFS_DELETION_POLICY="Retain")
    assert "costs what is kept: $0.30 a GB and month of EFS" in " ".join(ran.err.split())
    assert last(ran.err).startswith("costs it ran 3 h ") and ", about $1.6" in last(ran.err)
    again = running.run("delete_cluster.py", "--yes", EFS_DELETION_POLICY="Retain")
    assert "it ran" not in again.err


def test_a_clock_that_is_behind_aws_s_tells_no_length(capsys: pytest.CaptureFixture[str]) -> None:
    bill.tell_end(([], aws.now() + timedelta(hours=1)), [])
    assert "how long it ran is not known" in capsys.readouterr().err


def test_what_starts_something_ends_with_its_price_and_the_command_that_stops_it(fargate: Runbook) -> None:
    made, _, started = [fargate.run(page).err for page in RUNNING]
    assert last(made) == "costs nothing by the hour now: what is stored and moved does, until python delete_cluster.py"
    assert last(started).startswith("costs $0.02 an hour now: 1 x task; to stop: python stop_task.py --all;")
    told = fargate.run("describe_costs.py").result
    assert {"vCPU of tasks", "GB of tasks", "public address"} <= {row["what"] for row in told["rows"]}
    assert told["perHour"] == round(0.25 * 0.04048, 4) + round(0.5 * 0.004445, 4) + 0.005


@pytest.mark.parametrize(
    ("units", "figures"), [(1.0, "1"), (100.0, "100"), (0.25, "0.25"), (5.7e-06, "under 0.01"), (1234567, "1234567")]
)
def test_a_number_is_told_as_people_write_it(units: float, figures: str) -> None:
    assert bill.in_short(units) == figures


def test_a_host_that_managed_scaling_has_started_is_in_the_last_line(runbook: Runbook) -> None:
    runbook.has_run(*RUNNING[:2])
    runbook.emulator.faults.planned.append(Fault("ec2:CreateFleet", "denied", times=-1))
    assert last(runbook.run(RUNNING[2]).err).startswith("costs $0.54 an hour now: 1 x host g4dn.xlarge;")


def test_without_prices_no_sum_is_told(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    runbook.emulator.faults.planned.append(Fault("pricing:GetProducts", "denied", times=-1))
    ran = runbook.run("describe_costs.py")
    told = ran.result
    assert (told["currency"], told["perHour"], told["soFar"]) == (None, None, None)
    shown = [line.split() for line in ran.err.splitlines() if line.startswith("  ")]
    assert len(shown) == len(told["rows"]) + len(told["byUse"]) + 2, "what stands is shown all the same"
    assert shown[-1][-2:] == ["?", "?"]
    assert all(line.startswith(("  ", "account", "costs", "stops", "next", "environ")) for line in ran.err.splitlines())


def test_what_is_paused_is_told_and_not_to_be_paused_again(fargate: Runbook) -> None:
    fargate.has_run(*RUNNING, "pause_cluster.py")
    for page in ("describe_costs.py", "describe_clusters.py"):
        ran = fargate.run(page)
        assert "pausedSince" in ran.result and "python resume_cluster.py" in ran.err, ran.err
        assert "next python pause_cluster.py" not in ran.err
    fargate.has_run("resume_cluster.py")
    assert "pausedSince" not in fargate.run("describe_costs.py").result


def test_spot_hosts_cost_what_their_zone_does(runbook: Runbook) -> None:
    runbook.settings |= {"CAPACITY_TYPE": "spot", "MIN_INSTANCES": "1"}
    runbook.has_run("create_cluster.py")
    [host] = [row for row in runbook.run("describe_costs.py").result["rows"] if "host" in row["what"]]
    zone = host["what"].partition("Spot, ")[2].rstrip(")")
    request: Any = {"InstanceTypes": ["g4dn.xlarge"], "AvailabilityZone": zone}
    history = runbook.aws("ec2").describe_spot_price_history(**request)["SpotPriceHistory"]
    newest = max(history, key=lambda each: each["Timestamp"])
    assert host["unitPrice"] == float(newest["SpotPrice"]) < 0.526


def test_what_aws_has_billed_is_asked_for_by_our_tag(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    runbook.settle(30)
    day = runbook.emulator.world.timestamp().date()
    bill = {"tag": "gpu-ecs-cluster", "value": "gpu", "day": str(day), "service": "EC2 - Other", "amount": 1.25}
    for each in (bill, {**bill, "value": "another"}):
        DOORS["POST", "/_emulator/bill"](runbook.emulator, each)
    ran = runbook.run("describe_costs.py", "--billed")
    assert (ran.code, ran.result["billed"]["services"], ran.result["billed"]["total"]) == (0, {}, 0)
    assert "AWS has billed nothing by the tag gpu-ecs-cluster" in ran.err and "payer account" in ran.err
    active: Any = [{"TagKey": "gpu-ecs-cluster", "Status": "Active"}]
    runbook.aws("ce").update_cost_allocation_tags_status(CostAllocationTagsStatus=active)
    billed = runbook.run("describe_costs.py", "--billed").result["billed"]
    assert (billed["services"], billed["total"], billed["currency"]) == ({"EC2 - Other": 1.25}, 1.25, "USD")
    assert "billed" not in runbook.run("describe_costs.py").result, "AWS charges for each request"
    statement: Any = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": ["ce:*", "pricing:*"], "Resource": "*"},
    ]
    DOORS["POST", "/_emulator/caller"](runbook.emulator, {"policy": {"Statement": statement}})
    ran = runbook.run("describe_costs.py", "--billed")
    assert (ran.code, ran.result["billed"], ran.result["perHour"]) == (0, None, None)
    assert "could not look at what AWS has billed:" in ran.err and "could not look at AWS's price list:" in ran.err


def test_where_there_is_nothing_it_says_so(runbook: Runbook) -> None:
    ran = runbook.run("describe_costs.py")
    assert (ran.code, "there is no cluster gpu in this region" in ran.err) == (1, True)


def test_all_that_costs_is_listed_what_is_paid_by_use_with_its_price(runbook: Runbook) -> None:
    """In an account in which every page has run: each thing that AWS bills is a row."""
    prepared(runbook, ALONE | {"EFS_BACKUP": "enabled", "CONTAINER_INSIGHTS": "enabled"}).has_run(*PAGES)
    repositories.put_image(runbook.emulator.world, "us-east-1", "gpu", "v1")
    runbook.settle(300)
    ran = runbook.run("describe_costs.py")
    assert ran.code == 0, ran.err
    numbered = {row["what"]: row["number"] for row in ran.result["rows"]}
    assert numbered["GB of bastion's disk"] == 8 and numbered["GB of images, at the most"] > 0
    by_use = {row["what"].partition(" sync by")[0]: row["unitPrice"] for row in ran.result["byUse"]}
    [artifacts] = [name for name in by_use if name.startswith("bucket gpu-artifacts-")]
    assert by_use == {
        **{"read from EFS": 0.03, "written to EFS": 0.06, "backups of EFS": 0.05, "through a NAT gateway": 0.045},
        **{"what the balancer passes": 0.008, "metrics of CloudWatch": 0.3, "alarms of scaling": 0.1},
        **{"logs": 0.5},
        **{artifacts: 0.023, "bucket example-weights": 0.023, "0.5 vCPU of each": 0.04048, "1 GB of each": 0.004445},
    }
    lines = [" ".join(line.split()) for line in ran.err.splitlines()]
    assert "bucket example-weights 0.023 a GB and month by use" in lines
    assert any(line.startswith("under 0.01 GB on EFS 0.3 a GB and month") for line in lines), ran.err
    assert not re.search(r"[0-9]e[-+]", ran.err), "no one reads such numbers"
