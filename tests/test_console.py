"""The result is one JSON document on stdout; everything for the eye is on stderr, with colour on a terminal only."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest

from tests.conftest import Runbook

SCRIPTS = (
    "create_cluster.py",
    "describe_clusters.py",
    "register_task_definition.py",
    "list_task_definition.py",
    "run_task.py",
    "list_tasks.py",
    "describe_task.py",
    "stop_task.py --all",
    "delete_cluster.py --yes",
)


def test_stdout_of_every_script_is_exactly_one_json_object(fargate: Runbook) -> None:
    for command in SCRIPTS:
        script, *flags = command.split()
        ran = fargate.run(script, *flags)
        assert ran.code == 0, ran.err
        found, end = json.JSONDecoder().raw_decode(ran.out)
        assert isinstance(found, dict), command
        assert ran.out[end:].strip() == "", command
        assert "ResponseMetadata" not in ran.out, command


def test_the_first_line_of_every_script_says_account_region_and_cluster(fargate: Runbook) -> None:
    for command in SCRIPTS:
        script, *flags = command.split()
        first = fargate.run(script, *flags).err.splitlines()[0]
        where = "account 123456789012  region us-east-1  cluster api"
        assert first == f"{where}  caller user/emulator  settings /dev/null", command


def test_a_long_wait_says_its_limit_and_every_30_seconds_what_aws_says(fargate: Runbook) -> None:
    lines = fargate.run("create_cluster.py").err.splitlines()
    at = lines.index("waiting for mount targets to be available  (up to 30 min)")
    first, second = (line.split() for line in lines[at + 1 : at + 3])
    assert (first[1], second[1]) == ("s", "s")
    assert 30 <= int(first[0]) < 35 <= 60 <= int(second[0]) < 67
    assert lines[at + 1].endswith("is creating")


def test_elsewhere_than_on_a_terminal_there_is_no_colour(fargate: Runbook) -> None:
    assert "\x1b" not in fargate.run("create_cluster.py").err


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("no_colour", [False, True])
def test_on_a_terminal_there_is_colour_unless_no_color_says_no(
    monkeypatch: pytest.MonkeyPatch, no_colour: bool
) -> None:
    import console

    screen: Any = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1") if no_colour else monkeypatch.delenv("NO_COLOR", raising=False)
    console.say("created", "VPC vpc-1", "10.0.0.0/16")
    text = screen.getvalue()
    assert ("\x1b[32m" in text) is not no_colour
    assert "VPC vpc-1" in text


def test_on_a_terminal_a_wait_is_one_live_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import console

    screen: Any = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    progress = console.Progress("hosts", 600)
    begun = screen.tell()
    progress.show(lambda: "it boots")
    progress.show(lambda: "it boots")
    assert "\n" not in screen.getvalue()[begun:]
    assert screen.getvalue()[begun:].count("\r") == 2


def test_on_a_terminal_a_table_stands_below_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import console

    screen: Any = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    rows = [["0", "waiting"]]
    with console.live_table(lambda: (["row", "state"], rows)):
        console.say("started", "row 0: task 1")
        console.Progress("1 rows to end", 60).show(lambda: "it boots")
        rows[0][1] = "succeeded"
    text = screen.getvalue()
    assert text.index("started row 0") < text.index("waiting for 1 rows") < text.rindex("succeeded")
    assert text[text.index("started row 0") - 1] != "┘"  # the table is cleared before a line, and drawn anew below it
    assert "it boots" not in text  # the table is what lives
    console.say("next", "python list_tasks.py")
    assert screen.getvalue().endswith("python list_tasks.py\n")


def test_elsewhere_a_table_is_not_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    import console

    with console.live_table(lambda: (["row"], [["0"]])):
        console.show("a line")
    assert capsys.readouterr().err == "a line\n"


def test_the_last_line_suggests_what_to_run_next(fargate: Runbook) -> None:
    for command in ("create_cluster.py", "register_task_definition.py", "run_task.py", "stop_task.py --all"):
        script, *flags = command.split()
        assert fargate.run(script, *flags).err.splitlines()[-1].startswith("next python "), command
