"""--show-calls: what a page does as lines to paste. Run by a shell with the real AWS CLI they do what the page does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command_line import CommandLine
from tests.conftest import ROOT, Runbook
from tests.pictures import put_back, take

#: example -> the fixture with its account
EXAMPLES = {"gpu-cluster": "runbook", "apiserver": "runbook", "clara-train": "clara", "ml-endpoints": "endpoints"}


@pytest.fixture(scope="module")
def shell() -> Iterator[CommandLine]:
    started = CommandLine()
    yield started
    started.end()


@pytest.fixture
def account(request: pytest.FixtureRequest, example: str) -> Runbook:
    """With the settings of the example."""
    runbook: Runbook = request.getfixturevalue(EXAMPLES[example])
    if EXAMPLES[example] == "runbook":
        runbook.settings = {"ENV_FILE": str(ROOT / "examples" / f"{example}.env")}
    return runbook


def compare(runbook: Runbook, page: str, shell: CommandLine, folder: Path, *flags: str) -> None:
    """The page on one account, its lines on an equal one."""
    before = take(runbook.emulator)
    ran = runbook.run(*page.split(), "--show-calls")
    assert ran.code == 0, ran.err
    runbook.settle()
    wanted = runbook.look()
    put_back(runbook.emulator, before)
    lines = runbook.run(*page.split(), "--show-calls", *flags).out if flags else ran.out
    code, told = shell.run(lines, runbook.emulator, folder)
    assert code == 0, told
    runbook.settle()
    assert runbook.look() == wanted


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_lines_alone_make_the_account_that_the_page_makes(
    example: str, account: Runbook, shell: CommandLine, tmp_path: Path
) -> None:
    compare(account, "create_cluster.py", shell, tmp_path)


@pytest.mark.parametrize("example", ["gpu-cluster"])
def test_those_of_a_dry_run_too(example: str, account: Runbook, shell: CommandLine, tmp_path: Path) -> None:
    compare(account, "create_cluster.py", shell, tmp_path, "--dry-run")


@pytest.mark.parametrize(("example", "flags"), [("clara-train", []), ("gpu-cluster", ["--dry-run"])])
def test_and_those_of_the_deletion_leave_nothing(
    example: str, flags: list[str], account: Runbook, shell: CommandLine, tmp_path: Path
) -> None:
    begun = "run_task.py" if flags else "create_service.py"
    account.has_run("create_cluster.py", "register_task_definition.py", begun)
    account.settle()
    compare(account, "delete_cluster.py --yes", shell, tmp_path, *flags)
