"""What tests have in common is done once: the account that the others are given is the one that it left."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Runbook, new_account
from tests.pictures import put_back, take

WALK = ("create_cluster.py", "register_task_definition.py", "run_task.py")


def everything(runbook: Runbook) -> Any:
    return runbook.account(), list(runbook.emulator.calls), runbook.emulator.world.now()


@pytest.fixture
def counted(runbook: Runbook, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The scripts that were really run from now on."""
    ran: list[str] = []
    run = Runbook.run

    def counting(self: Runbook, script: str, *flags: str, **settings: str) -> Any:
        ran.append(script)
        return run(self, script, *flags, **settings)

    monkeypatch.setattr(Runbook, "run", counting)
    runbook.remembers = True
    return ran


def test_an_account_that_was_put_back_is_as_it_was(runbook: Runbook) -> None:
    runbook.has_run(*WALK)
    picture = take(runbook.emulator)
    before = everything(runbook)
    put_back(runbook.emulator, picture)
    runbook.run("stop_task.py", "--all")
    runbook.aws("s3").create_bucket(Bucket="another")
    runbook.run("delete_cluster.py", "--yes")
    put_back(runbook.emulator, picture)
    assert everything(runbook) == before
    assert runbook.aws("s3").list_buckets()["Buckets"] == []


def test_what_was_about_to_happen_happens_after_it_was_put_back(runbook: Runbook) -> None:
    ecs = runbook.has_run(*WALK).aws("ecs")
    for arn in ecs.list_tasks(cluster="gpu")["taskArns"]:
        ecs.stop_task(cluster="gpu", task=arn)
    put_back(runbook.emulator, take(runbook.emulator))
    runbook.settle()
    assert ecs.list_tasks(cluster="gpu")["taskArns"] == []


def test_a_script_is_run_once_for_the_same_account_and_settings(runbook: Runbook, counted: list[str]) -> None:
    runbook.has_run("create_cluster.py", MAX_INSTANCES="7")
    first = everything(runbook)
    put_back(runbook.emulator, new_account())
    runbook.has_run("create_cluster.py", MAX_INSTANCES="7")
    assert counted == ["create_cluster.py"]
    assert everything(runbook) == first


def test_another_account_or_another_setting_is_another_run(runbook: Runbook, counted: list[str]) -> None:
    runbook.has_run("create_cluster.py", MAX_INSTANCES="8")
    put_back(runbook.emulator, new_account())
    runbook.has_run("create_cluster.py", MAX_INSTANCES="9")
    put_back(runbook.emulator, new_account())
    runbook.emulator.world.settings.lingering_interfaces = 1
    runbook.has_run("create_cluster.py", MAX_INSTANCES="8")
    assert counted == ["create_cluster.py"] * 3


def test_a_run_knows_nothing_of_what_an_earlier_one_has_made(runbook: Runbook) -> None:
    runbook.emulator.world.clock.skip(86400)
    runbook.run("create_cluster.py")
    put_back(runbook.emulator, new_account())
    begun = runbook.emulator.world.now()
    assert runbook.run("create_cluster.py", "--dry-run").code == 0
    assert runbook.emulator.world.now() == begun
