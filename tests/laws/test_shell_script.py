"""--show-calls: what a page does as lines to paste. Run by a shell with the real AWS CLI they make what the page makes."""

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


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_lines_alone_make_the_account_that_the_page_makes(
    example: str, shell: CommandLine, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    runbook: Runbook = request.getfixturevalue(EXAMPLES[example])
    if EXAMPLES[example] == "runbook":
        runbook.settings = {"ENV_FILE": str(ROOT / "examples" / f"{example}.env")}
    before = take(runbook.emulator)
    ran = runbook.run("create_cluster.py", "--show-calls")
    assert ran.code == 0, ran.err
    runbook.settle()
    wanted = runbook.look()
    put_back(runbook.emulator, before)
    code, told = shell.run(ran.out, runbook.emulator, tmp_path)
    assert code == 0, told
    runbook.settle()
    assert runbook.look() == wanted
