"""The benchmark's own parts: what it counts and sums must be so. The measuring itself is bench.py's."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter

import pytest
from dotenv import dotenv_values

import bench
from benchmark import clara, critical_path, growth, imports
from benchmark.clara import Life
from benchmark.measured import Asked, Figures, measured, polls
from benchmark.processes import run
from benchmark.table import Row, markdown, missed
from emulator.ecs import agent
from emulator.elbv2 import balancers
from rehearse import client
from tests.conftest import ROOT, Runbook


def asked(*operations: str) -> list[Asked]:
    """ec2:DescribeVpcs, or ec2:DescribeVpcs:params."""
    parts = [[*operation.split(":"), ""][:3] for operation in operations]
    return [Asked(0.0, service, operation, params) for service, operation, params in parts]


# ------------------------------------------------------------------------------------------------------- what is a poll


def test_a_read_that_is_asked_again_is_a_poll() -> None:
    assert polls(asked("ec2:DescribeVpcs", "ec2:DescribeVpcs", "ec2:DescribeVpcs")) == 2


def test_the_same_read_of_something_else_is_none() -> None:
    assert polls(asked("iam:GetRole:a", "iam:GetRole:b")) == 0


def test_a_look_at_what_was_just_changed_is_none() -> None:
    assert polls(asked("ec2:DescribeVpcs", "ec2:CreateVpc", "ec2:DescribeVpcs")) == 0


def test_a_change_elsewhere_makes_a_poll_no_look() -> None:
    assert polls(asked("ec2:DescribeNatGateways", "ecs:CreateCluster", "ec2:DescribeNatGateways")) == 1


def test_a_change_that_was_refused_and_is_tried_again_is_a_poll() -> None:
    assert polls(asked("ec2:DeleteVpc:a", "ec2:DeleteVpc:a", "ec2:DeleteVpc:b")) == 1


# --------------------------------------------------------------------------------------------------- seconds and memory


def test_a_command_is_measured_whole() -> None:
    ran = run([sys.executable, "-S", "-c", "import time; time.sleep(0.3); print('done'); raise SystemExit(3)"], {})
    assert (ran.code, ran.out) == (3, "done\n")
    assert 0.3 <= ran.seconds < 5


def test_memory_is_that_of_the_command_and_not_of_what_started_it() -> None:
    ballast = bytearray(100 * 2**20)
    ballast[::4096] = b"x" * len(ballast[::4096])
    assert run([sys.executable, "-S", "-c", "pass"], {}).mebibytes < 60
    assert run([sys.executable, "-S", "-c", "b'x' * 100 * 2**20"], {}).mebibytes > 100


def test_memory_of_a_family_has_its_children() -> None:
    child = "import time; held = b'x' * 100 * 2**20; time.sleep(2)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {child!r}])"
    assert run([sys.executable, "-S", "-c", parent], {}, family=True).mebibytes > 105


# ----------------------------------------------------------------------------------------------------- the emulated AWS


def test_a_request_takes_its_way_and_holds_up_no_other() -> None:
    with measured(0, latency=0.5) as account:
        ask = account.client("sts").get_caller_identity
        ask()  # what is made at the first call is made
        callers = [threading.Thread(target=ask) for _ in range(3)]
        begun = time.monotonic()
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        assert 0.5 <= time.monotonic() - begun < 1.5


def test_the_emulator_as_a_program_has_the_same_latency() -> None:
    command = [sys.executable, "-m", "emulator", "--port", "0", "--latency", "0.5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        url = process.stdout.readline().split()[4]
        begun = time.monotonic()
        client(url, "sts").get_caller_identity()
        assert time.monotonic() - begun >= 0.5
        process.terminate()


def test_every_call_of_a_command_is_counted_also_one_that_is_refused() -> None:
    script = (
        "import boto3; ec2 = boto3.client('ec2'); ec2.create_vpc(CidrBlock='10.0.0.0/16')\n"
        "try: ec2.describe_subnets(SubnetIds=['subnet-00000001'])\n"
        "except ec2.exceptions.ClientError: ec2.describe_vpcs(); ec2.describe_vpcs()"
    )
    with measured(0, 0) as account:
        environment = {"AWS_ENDPOINT_URL": account.url, "AWS_DEFAULT_REGION": "us-east-1", "PATH": ""}
        environment |= {"AWS_ACCESS_KEY_ID": "emulator", "AWS_SECRET_ACCESS_KEY": "emulator"}
        found = account.figures(lambda: run([sys.executable, "-c", script], environment))
    assert found.calls == {"ec2:CreateVpc": 1, "ec2:DescribeSubnets": 1, "ec2:DescribeVpcs": 2}
    assert (found.count, found.changing, found.polls, found.without_polls) == (4, 1, 1, 3)


def test_aws_goes_on_while_no_one_asks() -> None:
    with measured(0.001) as account:
        elb, ec2 = account.client("elbv2"), account.client("ec2")
        subnets = [each["SubnetId"] for each in ec2.describe_subnets()["Subnets"]][:2]
        elb.create_load_balancer(Name="one", Subnets=subnets)
        time.sleep(0.001 * balancers.PROVISIONING + 0.5)
        calls = len(account.notes.asked)
        with account.emulator._lock:
            [made] = account.emulator.world.state["elbv2"]["us-east-1"].balancers.values()
    assert (made.shown["State"]["Code"], len(account.notes.asked)) == ("active", calls)


def test_requests_are_sent_again_as_they_were() -> None:
    with measured(0, 0) as account:
        requests = growth.noted(account, account.client("ec2").describe_vpcs)
        account.notes.asked.clear()
        per_second = growth.replayed(requests, seconds=0.5)
        assert {each.operation for each in account.notes.asked} == {"DescribeVpcs"}
        assert len(account.notes.asked) >= per_second * 0.5 > 1


# ----------------------------------------------------------------------------------------------------- AWS's own seconds


def test_the_critical_path_is_the_longest_chain_step_by_step() -> None:
    for what, chains in critical_path.CHAINS.items():
        longest = critical_path.longest(what)
        assert critical_path.seconds(longest) == sum(step.seconds for step in longest)
        assert all(critical_path.seconds(longest) >= critical_path.seconds(chain) for chain in chains)
        assert all(step.seconds > 0 and step.what in critical_path.told() for step in longest)
    assert agent.REGISTER_GPU in [step.seconds for step in critical_path.longest("create to hosts joined")]


def test_no_page_is_faster_than_the_path_says_that_aws_is(clara: Runbook) -> None:
    """On a clock that only waits move: what is not waited for takes no time."""

    def seconds(*commands: str) -> float:
        begun = clara.emulator.world.now()
        clara.has_run(*commands)
        return clara.emulator.world.now() - begun

    path = {what: critical_path.seconds(critical_path.longest(what)) for what in critical_path.CHAINS}
    cluster = seconds("create_cluster.py")
    service = seconds("register_task_definition.py", "create_service.py")
    gone = seconds("delete_service.py", "delete_cluster.py --yes")
    assert cluster >= path["create to hosts joined"]
    assert cluster + service >= path["create to a healthy target"]
    assert gone >= path["delete"]


# ------------------------------------------------------------------------------------------------------------- the table


def test_a_goal_is_reached_missed_or_not_judged() -> None:
    rows = [
        Row("calls", "calls", 48, 108, 48),
        Row("speed", "requests a second", 599, None, 600, at_least=True),
        Row("seconds", "s", 99, None, 1, judged=False),
    ]
    assert [row.reached for row in rows] == [True, False, None]
    assert missed(rows) == ["speed"]
    assert "| calls, calls | 48 | 108 | at most 48 | reached |" in markdown(rows)


def life(seconds: float, calls: int, memory: float) -> Life:
    def figures(*names: str) -> dict[str, Figures]:
        return {name: Figures(seconds, Counter({"ec2:DescribeVpcs": calls}), 0, 0, memory) for name in names}

    seen = {clara.HOSTS: seconds, clara.TARGET: 2 * seconds}
    return Life(figures(*clara.CREATE), figures(*clara.CREATE), figures(*clara.DELETE), seen, {}, [])


@pytest.mark.parametrize(("scale", "judged"), [(1.0, True), (0.2, False)])
def test_goals_in_seconds_are_judged_at_aws_s_own_times(scale: float, judged: bool) -> None:
    rows = bench.rows_of(life(10_000, 1, 1), None, scale)
    assert {row.judged for row in rows if row.unit.startswith("s")} == {judged}
    assert bool(missed(rows)) is judged
    assert missed(bench.rows_of(life(1, 1, 1), None, scale)) == []


def test_figures_of_several_pages_are_their_sum_and_the_most_of_their_memory() -> None:
    one, other = (Figures(10, Counter({"ec2:CreateVpc": 1}), 1, 0, memory) for memory in (90, 80))
    both = clara.total({"one": one, "other": other})
    assert (both.seconds, both.count, both.changing, both.mebibytes) == (20, 2, 2, 90)


# --------------------------------------------------------------------------------------------------------- the twin


def test_two_accounts_are_told_apart_by_what_they_mean() -> None:
    ours = {"parameter": {"value": '{"a": 1}'}, "mount target": "x", "mount target (again)": "y", "VPC": {"Cidr": 1}}
    theirs = {"parameter": {"value": '{"a":1}'}, "mount target": "y", "mount target (again)": "x", "VPC": {"Cidr": 2}}
    assert clara.differences(clara.alike(ours), clara.alike(theirs)) == ["VPC Cidr: 1 here, 2 there"]


#: settings of the example whose values the twin repeats
REPEATED = (
    *("CLUSTER_NAME", "VPC_CIDR", "PRIVATE_SUBNET_CIDRS", "PUBLIC_SUBNET_CIDRS", "INSTANCE_TYPE", "ALLOWED_CIDR"),
    *(
        "TASK_FAMILY",
        "IMAGE",
        "TASK_CPU",
        "TASK_MEMORY",
        "LOG_RETENTION_DAYS",
        "HEALTH_CHECK_PATH",
        "HEALTH_CHECK_GRACE_SECONDS",
    ),
)


def test_the_twin_is_of_the_example_as_it_is() -> None:
    example = dotenv_values(ROOT / "examples" / "clara-train.env")
    text = "\n".join(path.read_text() for path in (ROOT / "benchmark" / "clara").glob("*.tf"))
    for name in REPEATED:
        for value in (example[name] or "").split(","):
            assert value in text, name


def test_what_is_imported_differs_by_what_it_means() -> None:
    same = {"value": '{"a": [1]}', "description": "", "size": 0, "force_delete": None}
    other = {"value": '{"a":[1]}', "description": None, "size": 0, "force_delete": True}
    assert imports.of_change("aws_x.y", {"actions": ["update"], "before": same, "after": other}).places == []
    resized = imports.of_change("aws_x.y", {"actions": ["update"], "before": same, "after": {**other, "size": 300}})
    assert resized.places == ["size: 0 here, 300 there"]
    assert imports.of_change("aws_x.y", {"actions": ["create"], "before": None, "after": same}).places
    assert "1 planned without a change, 0 with one of words only, 1 differ" in imports.told(
        [imports.Planned("aws_x.y", False, []), resized]
    )
    assert imports.of_change("aws_x.y", {"actions": ["delete", "create"], "before": same, "after": other}).places
