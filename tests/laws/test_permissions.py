"""docs/permissions.md is enough: who may do just what it lists for a page can run that page."""

from __future__ import annotations

import re
from typing import Any
from unittest import mock

import pytest

from emulator.core.doors import DOORS
from emulator.iam import caller
from tests.conftest import ROOT, Runbook

TEXT = (ROOT / "docs" / "permissions.md").read_text()
ROW = re.compile(r"^\| `?(\w+\.py)`? \| (.+) \|$", re.MULTILINE)
WALKS = {
    "runbook": (
        "create_cluster.py",
        "register_task_definition.py",
        "run_task.py",
        "describe_clusters.py",
        "create_cluster.py --dry-run",
        "stop_task.py --all",
        "delete_cluster.py --yes",
    ),
    "clara": (
        "create_cluster.py",
        "register_task_definition.py",
        "create_service.py",
        "update_service.py",
        "delete_service.py",
        "delete_cluster.py --yes",
    ),
}


def actions(page: str) -> list[str]:
    """Those of the page's row."""
    [row] = [row for its_page, row in ROW.findall(TEXT) if its_page == page]
    services = [part.split(": ") for part in row.split("; ")]
    return [f"{service}:{each}" for service, listed in services for each in listed.split(", ")]


def demanded(runbook: Runbook, page: str, actions: set[str]) -> None:
    """Run it, and note which actions AWS asked about."""
    demand = caller.demand

    def noting(call: Any, action: str, *rest: Any) -> None:
        actions.add(action)
        demand(call, action, *rest)

    with mock.patch.object(caller, "demand", noting):
        ran = runbook.run(*page.split())
    assert ran.code == 0, f"{page}: {ran.err}"


def simulated(runbook: Runbook) -> set[str]:
    """The actions about which check_account.py asks IAM."""
    asked: set[str] = set()
    answer = runbook.emulator._answer

    def noting(call: Any, *rest: Any) -> Any:
        asked.update(call.params["ActionNames"] if call.operation == "SimulatePrincipalPolicy" else ())
        return answer(call, *rest)

    with mock.patch.object(runbook.emulator, "_answer", noting):
        assert runbook.run("check_account.py").code == 0
    return asked


#: what the pages do without, and what anyone may ask
COURTESIES = (
    *("pricing:", "servicequotas:", "sts:GetCallerIdentity", "ec2:DescribeImages"),
    *("autoscaling:LaunchInstances", "ec2:CreateFleet", "ec2:GetSpotPlacementScores"),  # managed scaling does without
)


@pytest.mark.parametrize("example", WALKS)
def test_what_the_page_lists_is_enough_for_its_scripts(example: str, request: pytest.FixtureRequest) -> None:
    """And the preflight asks IAM about each action that the walk needs."""
    runbook: Runbook = request.getfixturevalue(example)
    known, needed = simulated(runbook), set[str]()
    for line in WALKS[example]:
        page = line.split()[0]
        statement: dict[str, Any] = {"Effect": "Allow", "Action": actions(page), "Resource": "*"}
        DOORS["POST", "/_emulator/caller"](runbook.emulator, {"policy": {"Statement": statement}})
        demanded(runbook, line, needed)
    assert {each for each in needed - known if not each.startswith(COURTESIES)} == set()
