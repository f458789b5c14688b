"""What something is going to cost, before it is made: a table by AWS's price list, whose sums are those of its rows."""

from __future__ import annotations

import io
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from emulator.core.doors import DOORS
from tests.conftest import ROOT, Runbook
from tests.pages.test_delete_cluster import Terminal

EXAMPLES = ("gpu-cluster.env", "apiserver.env", "clara-train.env", "ml-endpoints/.env", "training.env")
BY_USE = "by use"
TABLES = """
import json, sys
sys.path.insert(0, {root!r})
import constants
from infrastructure.cluster import costs, prices

told = {{"tables": {{}}, "found": {{}}, "several": {{}}}}
for example in {examples!r}:
    with constants.of(ENV_FILE=f"{root}/examples/{{example}}"):
        rows = costs.of_cluster()
        told["tables"][example] = costs.table(rows, costs.currency_of(rows))
for region in ("us-east-1", "eu-west-1", "eu-central-1"):
    with constants.of(AWS_REGION=region):
        items = prices.ITEMS | {{"host": prices.host("g5.xlarge")}}
        told["found"][region] = {{name: len(prices.found(item)) for name, item in items.items()}}
        told[region] = {{name: prices.price(item).amount for name, item in items.items()}}
with constants.of(WEIGHTS_BUCKET="weights", SYNC_SCHEDULE="every 3 hours"):
    told["schedule"] = costs.table(costs.of_schedule(512, 1024), "USD")
several = {{"CLUSTER_NAME": "gpu", "IMAGE": "nginx:1.27", "INSTANCE_TYPES": "g4dn.xlarge,g5.xlarge,g6.xlarge"}}
for capacity in ("on-demand", "spot", "spot-first"):
    with constants.of(**several, CAPACITY_TYPE=capacity, MAX_INSTANCES="2"):
        rows = costs.of_cluster()
        told["several"][capacity] = costs.table(rows, costs.currency_of(rows))
        told["several"][capacity].append(costs.total(rows))
told["asked"] = len(prices.products("AmazonEC2", prices.NAT)()[0])
print(json.dumps(told))
"""


@pytest.fixture
def told(runbook: Runbook, tmp_path: Path) -> Any:
    script = tmp_path / "tables.py"
    script.write_text(TABLES.format(root=str(ROOT), examples=EXAMPLES))
    ran = runbook.run(str(script))
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def test_the_sums_are_those_of_the_rows_and_each_row_is_one_product_of_the_list(told: Any) -> None:
    for example, (names, *rows, sums) in told["tables"].items():
        assert (names[2], len(rows) > 5) == ("USD for each", True), example
        for column in (3, 4, 5):
            known = [Decimal(row[column]) for row in rows if row[3] != BY_USE]
            assert known and sum(known) == Decimal(sums[column]), f"{example}: {names[column]}"
        assert all(row[2] != "could not look" for row in rows), example
    assert {count for found in told["found"].values() for count in found.values()} == {1}
    assert told["asked"] > 1, "a lax filter finds more"
    here, dearer = told["us-east-1"], told["eu-central-1"]
    assert (here["host"], here["EFS"], here["EFS written"], here["LCU"]) == (1.006, 0.3, 0.06, 0.008)
    assert all(dearer[name] > here[name] for name in here)


def test_of_types_and_terms_of_which_one_comes_the_dearest_is_in_the_sums(told: Any) -> None:
    for capacity in ("on-demand", "spot", "spot-first"):
        _, *rows, sums, total = told["several"][capacity]
        hosts = [row for row in rows if "host " in row[0]]
        price = [float(row[2].removesuffix(" an hour").rpartition(" to ")[2]) for row in hosts]
        [counted] = [row for row in hosts if row[3] != "or"]
        assert float(counted[3]) == pytest.approx(2 * max(price), abs=1e-4), capacity
        for column in (3, 4, 5):
            known = [Decimal(row[column]) for row in rows if row[3] not in (BY_USE, "or")]
            assert sum(known) == Decimal(sums[column]), f"{capacity}: {rows}"
        widths = [max(map(len, column)) for column in zip(*rows, told["several"][capacity][0], sums, strict=True)]
        assert sum(widths) + 2 * len(widths) <= 124, f"as wide as a screen: {widths}"
        assert (float(sums[3]), sums[0].startswith("at most,")) == (total, True)
    names = [row[0] for row in told["several"]["spot-first"] if isinstance(row, list) and "host " in row[0]]
    assert names[:4] == ["host g4dn.xlarge (Spot)", "or host g5.xlarge (Spot)", "or host g6.xlarge (Spot)", names[3]]
    assert names[3] == "or host g4dn.xlarge (on demand)" and len(names) == 6


def test_what_the_examples_cost_is_what_is_paid_for(told: Any) -> None:
    rows = {example: {row[0]: row for row in table[1:]} for example, table in told["tables"].items()}
    assert rows["clara-train.env"]["host g4dn.2xlarge"][1:5] == ["2", "0.752 an hour", "1.5040", "1.5040"]
    assert rows["clara-train.env"]["public address of these"][1] == "4", "two gateways, a balancer in two zones"
    assert rows["gpu-cluster.env"]["their public address"][1] == "0 to 1"
    assert rows["gpu-cluster.env"]["written to EFS"][2:4] == ["0.06 a GB", BY_USE]
    assert "written to EFS" not in rows["ml-endpoints/.env"], "bursting: what is moved is free"
    assert rows["ml-endpoints/.env"]["backups of EFS"][3] == BY_USE
    [_, vcpu, _, sums] = told["schedule"]
    month = 0.5 * 0.04048 / 180 * 730  # a minute every three hours
    assert (vcpu[0], vcpu[5], sums[0]) == ("vCPU of each sync", f"{month:.2f}", "in all, without what is by use")
    spot = rows["training.env"]["host g4dn.xlarge (Spot)"][2]
    assert " to " in spot and spot.endswith(" an hour"), "by zone"


def test_a_price_that_may_not_be_read_is_told_and_no_obstacle(runbook: Runbook) -> None:
    nothing: Any = {"Effect": "Deny", "Action": ["pricing:*", "ec2:DescribeSpotPriceHistory"], "Resource": "*"}
    all_else = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    DOORS["POST", "/_emulator/caller"](runbook.emulator, {"policy": {"Statement": [nothing, all_else]}})
    ran = runbook.run("create_cluster.py", "--dry-run", CAPACITY_TYPE="spot")
    assert ran.code == 0, ran.err
    assert "costs could not look at AWS's price list:" in ran.err and "may not" in ran.err


def test_above_confirm_above_a_person_at_a_terminal_is_asked(fargate: Runbook, monkeypatch: pytest.MonkeyPatch) -> None:
    fargate.settings["CONFIRM_ABOVE"] = "0.01"
    monkeypatch.setattr(sys, "stdin", Terminal("no\n"))
    ran = fargate.run("create_cluster.py")
    assert (ran.code, ran.out, fargate.changes(0)) == (1, "", [])
    assert "It costs up to $0.02 an hour, more than CONFIRM_ABOVE=0.01. Type yes to go on: " in ran.err
    for flags in (("--dry-run",), ("--dry-run", "--yes")):
        assert "Type yes" not in fargate.run("create_cluster.py", *flags).err
    monkeypatch.setattr(sys, "stdin", Terminal("yes\n"))
    assert fargate.run("create_cluster.py").code == 0
    assert fargate.run("register_task_definition.py").code == 0
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    ran = fargate.run("run_task.py", "--yes")
    assert (ran.code, "Type yes" in ran.err) == (0, False)
    assert fargate.run("run_task.py").code == 0, "nothing is started: nothing is asked"


@pytest.mark.parametrize(
    "page", ["create_service.py", "run_task.py --sweep", "run_task.py --nodes", "resume_cluster.py"]
)
def test_an_answer_that_is_not_yes_starts_nothing(
    fargate: Runbook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, page: str
) -> None:
    """Whatever starts tasks asks, and --yes goes on without."""
    (rows := tmp_path / "rows.csv").write_text("LR\n0.1\n0.2\n")
    script, *flags = page.split()
    flags += {"--sweep": [str(rows)], "--nodes": ["2"]}.get(flags[0] if flags else "", [])
    fargate.settings |= {"NODE_PORTS": "29500-65535", "COMMAND": "sleep 60", "POLL_SECONDS": "15"}
    before = ["create_cluster.py", "register_task_definition.py"]
    fargate.has_run(*before, *(["run_task.py", "pause_cluster.py"] if script == "resume_cluster.py" else []))
    begun, kept = len(fargate.emulator.calls), fargate.look()
    monkeypatch.setattr(sys, "stdin", Terminal("no\n"))
    ran = fargate.run(script, *flags, CONFIRM_ABOVE="0.01")
    assert (ran.code, ran.out, fargate.changes(begun)) == (1, "", []), ran.err
    assert "more than CONFIRM_ABOVE=0.01. Type yes to go on: " in ran.err and "nothing was started" in ran.err
    assert fargate.look() == kept
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    ran = fargate.run(script, *flags, "--yes", CONFIRM_ABOVE="0.01")
    assert (ran.code, "Type yes" in ran.err) == (0, False), ran.err


def test_without_a_terminal_it_goes_on_and_says_so(fargate: Runbook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    ran = fargate.run("create_cluster.py", "--dry-run", CONFIRM_ABOVE="0")
    assert "there is no terminal" not in ran.err
    ran = fargate.run("create_cluster.py", CONFIRM_ABOVE="0")
    assert ran.code == 0
    assert "CONFIRM_ABOVE=0: there is no terminal to ask on, so it goes on" in " ".join(ran.err.split())
