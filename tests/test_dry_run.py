"""--dry-run says what would be created, changed, deleted; nothing is."""

from __future__ import annotations

import pytest

from tests.conftest import FARGATE, GPU, Runbook

SCRIPTS = (
    "create_cluster.py",
    "register_task_definition.py",
    "run_task.py",
    "stop_task.py --all",
    "delete_cluster.py --yes",
)
FULL = SCRIPTS[:3]
CHANGED = ("created", "updated", "deleted", "started", "stopped", "registered", "deregistered")


def dry(runbook: Runbook, command: str, **settings: str) -> tuple[int, str, list[str]]:
    """Exit code, stderr, and the changing calls that reached AWS."""
    begun = len(runbook.emulator.calls)
    script, *flags = command.split()
    ran = runbook.run(script, *flags, "--dry-run", **settings)
    return ran.code, ran.err, runbook.changes(begun)


@pytest.mark.parametrize("settings", [GPU, FARGATE], ids=["gpu", "fargate"])
def test_nothing_is_changed_in_a_new_account(runbook: Runbook, settings: dict[str, str]) -> None:
    runbook.settings = dict(settings)
    before = runbook.account()
    for command in SCRIPTS:
        code, err, changes = dry(runbook, command)
        assert changes == [], command
        assert "Traceback" not in err
        assert code == 0 or "run create_cluster.py first" in err, err
    assert runbook.account() == before


@pytest.mark.parametrize("settings", [GPU, FARGATE], ids=["gpu", "fargate"])
def test_nothing_is_changed_in_a_full_account(runbook: Runbook, settings: dict[str, str]) -> None:
    runbook.settings = dict(settings)
    before = runbook.has_run(*FULL).account()
    for command in SCRIPTS:
        code, err, changes = dry(runbook, command, TASK_COUNT="2", LOG_RETENTION_DAYS="7", MAX_INSTANCES="3")
        assert (code, changes) == (0, []), err
        assert "would have" in err, command
    assert runbook.account() == before


@pytest.mark.parametrize("command", SCRIPTS)
def test_its_lines_say_would_have_and_none_says_that_it_was_done(fargate: Runbook, command: str) -> None:
    fargate.has_run(*FULL)
    _, err, _ = dry(fargate, command, TASK_COUNT="2", LOG_RETENTION_DAYS="7", IMAGE="example.com/a:1")
    assert not [line for line in err.splitlines() if line.split()[0] in CHANGED]
    assert "would have" in err


def test_a_dry_create_tells_everything_that_a_create_then_makes(runbook: Runbook) -> None:
    _, err, _ = dry(runbook, "create_cluster.py")
    would = [line.removeprefix("would have ") for line in err.splitlines() if line.startswith("would have created")]
    done = [line for line in runbook.run("create_cluster.py").err.splitlines() if line.startswith("created")]
    assert [line.split()[:2] for line in would] == [line.split()[:2] for line in done]


def test_a_dry_create_waits_for_nothing(runbook: Runbook) -> None:
    begun = runbook.emulator.world.now()
    _, err, _ = dry(runbook, "create_cluster.py", MIN_INSTANCES="1")
    assert "waiting" not in err
    assert runbook.emulator.world.now() == begun


def test_a_dry_create_of_what_is_right_changes_nothing_and_says_so(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    _, err, _ = dry(runbook, "create_cluster.py")
    assert "would have" not in err
    assert "nothing changed" in err


def test_a_dry_delete_lists_what_would_go_and_asks_nothing(runbook: Runbook) -> None:
    runbook.has_run(*FULL)
    code, err, changes = dry(runbook, "delete_cluster.py")
    assert (code, changes) == (0, [])
    for kind in ("VPC vpc-", "role gpu-task-us-east-1", "file system fs-", "cluster gpu"):
        assert kind in err
    assert "Type the cluster's name" not in err


def test_no_invented_id_is_shown(runbook: Runbook) -> None:
    ran = runbook.run("create_cluster.py", "--dry-run")
    assert "new-in-this-dry-run" not in ran.err + ran.out
    assert ran.result["vpcId"] == "(new)"


def test_a_refusal_is_told_in_a_dry_run_too(runbook: Runbook) -> None:
    code, err, changes = dry(runbook, "create_cluster.py", INSTANCE_TYPE="t3.micro")
    assert (code, changes) == (1, [])
    assert "has no NVIDIA GPU" in err


@pytest.mark.parametrize("script", ["describe_task.py", "list_tasks.py", "describe_clusters.py"])
def test_a_script_that_changes_nothing_has_no_dry_run(runbook: Runbook, script: str) -> None:
    assert runbook.run(script, "--dry-run").code == 2
