"""docs/permissions.md is enough: who may do just what it lists for a page can run that page."""

from __future__ import annotations

import re
from typing import Any

import pytest

from emulator.core.doors import DOORS
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


@pytest.mark.parametrize("example", WALKS)
def test_what_the_page_lists_is_enough_for_its_scripts(example: str, request: pytest.FixtureRequest) -> None:
    runbook: Runbook = request.getfixturevalue(example)
    for line in WALKS[example]:
        page = line.split()[0]
        statement: dict[str, Any] = {"Effect": "Allow", "Action": actions(page), "Resource": "*"}
        DOORS["POST", "/_emulator/caller"](runbook.emulator, {"policy": {"Statement": statement}})
        ran = runbook.run(*line.split())
        assert ran.code == 0, f"{line}: {ran.err}"
