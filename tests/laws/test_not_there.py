"""A page that asks about something that is not there ends with exit code 1 and one sentence that says what and where."""

from __future__ import annotations

import pytest

from tests.conftest import ROOT, Runbook

SETTINGS = {
    "SOURCE_REPOSITORY": "example/ml",
    "BUILDSPEC": "buildspec.yml",
    "LISTENER_PROTOCOL": "HTTP",
    "PUBLIC_SUBNET_CIDRS": "10.0.0.0/24,10.0.1.0/24",
}
ASKING = sorted(path.name for kind in ("describe", "list", "stop") for path in ROOT.glob(f"{kind}_*.py"))
#: what they ask about, where it is not the cluster alone
ID = "0123456789abcdef0123456789abcdef"
FLAGS = {"stop_task.py": ("--task", ID)}
#: page -> what must be there for it to have an answer: an empty list is one
ANSWERED: dict[str, tuple[str, ...]] = {
    "describe_clusters.py": ("create_cluster.py",),
    "describe_costs.py": ("create_cluster.py",),
    "list_tasks.py": ("create_cluster.py",),
    "list_task_definition.py": (),
}


@pytest.mark.parametrize("page", ASKING)
@pytest.mark.parametrize("before", [(), ("create_cluster.py",)], ids=["nothing", "cluster"])
def test_what_is_not_there_is_told_with_exit_1(fargate: Runbook, page: str, before: tuple[str, ...]) -> None:
    fargate.settings |= SETTINGS
    fargate.has_run(*before)
    begun = len(fargate.emulator.calls)
    ran = fargate.run(page, *FLAGS.get(page, ()))
    assert fargate.changes(begun) == []
    if page in ANSWERED and set(ANSWERED[page]) <= set(before):
        assert ran.code == 0, ran.err
        return
    assert ran.code == 1, ran.err
    [told] = [line for line in ran.err.splitlines() if line.startswith("failed:")]
    assert "there is no " in told or " is registered" in told or "has started no task" in told


def test_a_second_stop_of_all_is_no_failure(fargate: Runbook) -> None:
    assert fargate.has_run("create_cluster.py").run("stop_task.py", "--all").code == 0
