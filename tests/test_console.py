"""The result is one JSON document on stdout; everything for the eye is on stderr, with colour on a terminal only."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import ROOT, Runbook

SCRIPTS = (
    "create_cluster.py",
    "describe_clusters.py",
    "describe_costs.py",
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


def terminal(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A terminal of 80 columns on stderr."""
    screen: Any = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "20")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return screen


def words(screen: Any, since: int = 0) -> str:
    """What it shows, without the codes of colours and of moving about."""
    return " ".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", " ", screen.getvalue()[since:]).split())


def test_on_a_terminal_a_wait_is_a_live_row_that_goes_when_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    import console

    screen = terminal(monkeypatch)
    row = console.Progress("2 hosts to join the cluster")
    row.show(lambda: "it boots", lambda: (1, 2))
    assert "0 s 2 hosts to join the cluster ━" in words(screen) and "1/2" in words(screen)
    row.close()
    at = screen.tell()
    console.say("created", "cluster gpu")
    assert words(screen, at) == "created cluster gpu"
    assert screen.getvalue()[:at].endswith("\x1b[2K\x1b[?25h\r"), "the row is taken away, and the cursor is back"


def test_what_is_told_during_a_wait_stands_above_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    import console

    screen = terminal(monkeypatch)
    row = console.Progress("the service to be stable")
    at = screen.tell()
    console.say("event", "(service api) has started 1 tasks, and this line is longer than the terminal is wide.")
    console.log("2026-11-26T14:09:09.000Z", "api", "\x1b[31mepoch 1\x1b[0m")
    shown = words(screen, at)
    assert "has started 1 tasks, and this line is longer than the terminal is wide." in shown
    assert shown.index("epoch 1") < shown.rindex("the service to be stable")
    row.close()


def test_a_long_reason_is_wrapped_and_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    import console

    screen = terminal(monkeypatch)
    row = console.Progress("hosts")
    row.told -= 30
    reason = "no g5.xlarge capacity in us-east-1a: " + " ".join(f"word{n}" for n in range(30)) + " THE-END"
    row.show(lambda: reason)
    assert all(word in words(screen) for word in reason.split())
    row.close()


def test_bytes_that_are_moved_have_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    import console

    screen = terminal(monkeypatch)
    with console.bar("uploading", 3_000_000_000) as advance:
        advance(1_500_000_000)
    assert "1.5/3 GB" in words(screen)


def test_two_waits_at_once_are_two_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    import console

    screen = terminal(monkeypatch)
    first, second = console.Progress("hosts"), console.Progress("mount targets")
    at = screen.tell()
    second.show(lambda: "")
    assert "hosts" in words(screen, at) and "mount targets" in words(screen, at)
    first.close()
    at = screen.tell()
    second.show(lambda: "")
    assert "hosts" not in words(screen, at) and "mount targets" in words(screen, at)
    second.close()
    assert console._live == []


def test_a_terminal_that_can_not_move_its_cursor_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    import console

    screen = terminal(monkeypatch)
    monkeypatch.setenv("TERM", "dumb")
    row = console.Progress("hosts")
    row.told -= 30
    row.show(lambda: "it boots")
    assert screen.getvalue() == "     0 s  it boots\n"


def test_rich_is_imported_only_where_something_is_drawn() -> None:
    """Start-up is felt on every command."""
    code = "import sys, show_logs, push_image, describe_task, run_task; sys.exit('rich' in sys.modules)"
    environment = {"CLUSTER_NAME": "gpu", "ENV_FILE": "/dev/null", "PYTHONPATH": str(ROOT), "IMAGE": "nginx:1"}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_on_a_terminal_a_table_stands_below_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import console

    screen: Any = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    rows = [["0", "waiting"]]
    with console.live_table(lambda: (["row", "state"], rows)):
        console.say("started", "row 0: task 1")
        progress = console.Progress("1 rows to end")
        progress.show(lambda: "it boots")
        rows[0][1] = "succeeded"
        progress.close()
    text = screen.getvalue()
    assert text.index("started row 0") < text.index("1 rows to end") < text.rindex("succeeded")
    assert text[text.index("started row 0") - 1] != "┘"  # the table is cleared before a line, and drawn anew below it
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
