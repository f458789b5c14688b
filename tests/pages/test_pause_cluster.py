"""pause_cluster.py: nothing runs any more, what ran is remembered, and what still costs is told."""

from __future__ import annotations

import json

from tests.conftest import Runbook

RAN = ("create_cluster.py", "register_task_definition.py", "run_task.py")


def test_a_pause_and_a_resume_leave_the_account_as_it_was(runbook: Runbook) -> None:
    before = runbook.has_run(*RAN).account()
    paused = runbook.run("pause_cluster.py")
    assert paused.code == 0, paused.err
    resumed = runbook.run("resume_cluster.py")
    assert resumed.code == 0, resumed.err
    assert json.dumps(runbook.account(), indent=1, default=str) == json.dumps(before, indent=1, default=str)
