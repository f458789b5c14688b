"""show_logs.py: what containers write, in order, each line once; --follow ends with the task, as the task did."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from moto.logs.models import logs_backends

from emulator.logs import log_groups
from emulator.registry import images
from tests.conftest import Runbook

LINE = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (\S+) (.*)")
JOB = {"RUN_UNTIL": "STOPPED"}
REGISTERED = ("create_cluster.py", "register_task_definition.py")


def shown(text: str) -> list[tuple[str, str]]:
    """(container, line) of each."""
    found = [LINE.fullmatch(line) for line in text.splitlines()]
    assert all(found), text
    return [(each[1], each[2]) for each in found if each]


def start(runbook: Runbook, command: str, seconds: float = 0) -> str:
    """The id of a task that was started and not waited for."""
    runbook.settings["COMMAND"] = command
    runbook.has_run(*REGISTERED)
    ran = runbook.run("run_task.py", WAIT_TIMEOUT_SECONDS="5")
    assert "gave up waiting" in ran.err, ran.err
    runbook.settle(seconds)
    return str(runbook.aws("ecs").list_tasks(cluster="api")["taskArns"][0]).rpartition("/")[2]


def test_it_shows_all_that_a_task_has_written_as_lines(fargate: Runbook) -> None:
    start(fargate, "sh -c 'echo one; sleep 5; echo two; sleep 100000'", 120)
    ran = fargate.run("show_logs.py")
    assert ran.code == 0, ran.err
    assert shown(ran.out) == [("main", "one"), ("main", "two")]
    assert "\x1b" not in ran.out


def test_follow_tells_each_line_once_and_ends_with_the_task(fargate: Runbook) -> None:
    words = [f"echo line{n}; sleep {n % 4}" for n in range(30)]
    start(fargate, f"sh -c '{'; '.join(words)}'")
    ran = fargate.run("show_logs.py", "--follow")
    assert ran.code == 0, ran.err
    assert shown(ran.out) == [("main", f"line{n}") for n in range(30)]


@pytest.mark.parametrize(("end", "code"), [("exit 0", 0), ("exit 3", 4)])
def test_follow_ends_as_the_task_did(fargate: Runbook, end: str, code: int) -> None:
    task = start(fargate, f"sh -c 'echo begun; sleep 60; echo last words; {end}'")
    ran = fargate.run("show_logs.py", "--follow", "--task", task)
    assert ran.code == code, ran.err
    assert shown(ran.out) == [("main", "begun"), ("main", "last words")], "the last lines come late"
    assert not code or (f"task {task} stopped: EssentialContainerExited" in ran.err and "exit code 3" in ran.err)


def test_a_task_that_never_ran_is_told_with_its_reason(fargate: Runbook) -> None:
    fargate.settings["IMAGE"] = "public.ecr.aws/nobody/has-this:v1"
    fargate.has_run("create_cluster.py")
    fargate.settings["IMAGE"] = "public.ecr.aws/j6h6k0h7/ml/sd-apiserver:latest"
    task = start(fargate, "sleep 100000", 60)
    fargate.aws("ecs").stop_task(cluster="api", task=task)
    ran = fargate.run("show_logs.py", "--follow")
    assert ran.code in (1, 4) and f"task {task} stopped: UserInitiated" in ran.err


def test_follow_of_a_task_whose_image_is_not_there_fails(fargate: Runbook) -> None:
    """Its containers have no exit code: that is not an end with 0."""
    fargate.settings["IMAGE"] = "example.com/does-not-exist:1"
    task = start(fargate, "sleep 100000")
    ran = fargate.run("show_logs.py", "--follow")
    assert ran.code == 1 and f"task {task} stopped: TaskFailedToStart" in ran.err, ran.err


def test_lines_that_come_late_and_out_of_order_are_neither_lost_nor_told_twice(fargate: Runbook) -> None:
    task = start(fargate, "sh -c 'sleep 200; echo end'", 60)
    world, written = fargate.emulator.world, iter(range(40))

    def write(when: str) -> None:
        """Each with the time of some seconds before, as what another driver has held back."""
        if when == "after" and (number := next(written, None)) is not None:
            log_groups.write(world, "us-east-1", "/ecs/api", f"main/main/{task}", [f"late{number}"])
            events: Any = logs_backends["123456789012"]["us-east-1"].groups["/ecs/api"].streams
            events[f"main/main/{task}"].events[-1].timestamp -= 1000 * (number * 7 % 25)

    fargate.watch = write
    ran = fargate.run("show_logs.py", "--follow")
    assert ran.code == 0, ran.err
    told = [line for _, line in shown(ran.out)]
    assert sorted(told) == sorted(["end", *(f"late{n}" for n in range(40))])


def test_since_and_grep_choose_lines(fargate: Runbook) -> None:
    start(fargate, "sh -c 'echo loss 3; sleep 600; echo loss 2; echo epoch 2; sleep 100000'", 900)
    assert [line for _, line in shown(fargate.run("show_logs.py").out)] == ["loss 3", "loss 2", "epoch 2"]
    assert [line for _, line in shown(fargate.run("show_logs.py", "--since", "10m").out)] == ["loss 2", "epoch 2"]
    assert [line for _, line in shown(fargate.run("show_logs.py", "--grep", "loss [23]").out)] == ["loss 3", "loss 2"]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--since", "yesterday"), "--since yesterday is no age such as 30s, 10m, 2h or 1d"),
        (("--grep", "(loss"), "--grep (loss is no regular expression"),
    ],
)
def test_a_wrong_flag_is_refused_before_aws_is_asked(fargate: Runbook, flags: tuple[str, ...], told: str) -> None:
    ran = fargate.run("show_logs.py", *flags)
    assert (ran.code, ran.out) == (2, "") and told in ran.err


def test_several_tasks_are_told_apart(fargate: Runbook) -> None:
    fargate.settings["TASK_COUNT"] = "2"
    start(fargate, "sh -c 'echo one; sleep 100000'", 120)
    labels = {label for label, _ in shown(fargate.run("show_logs.py").out)}
    ids = {arn.rpartition("/")[2] for arn in fargate.aws("ecs").list_tasks(cluster="api")["taskArns"]}
    assert labels == {f"{each[:8]}/main" for each in ids}


def test_all_containers_are_shown_in_order_of_time(fargate: Runbook, tmp_path: Path) -> None:
    """Each by the log configuration of its own; one that writes elsewhere is not among them."""
    image, elsewhere = "public.ecr.aws/docker/library/busybox:1.36", {"logDriver": "splunk", "options": {}}
    containers = [
        {"name": "app", "image": image, "command": ["sh", "-c", "echo a; sleep 20; echo c; sleep 100000"]},
        {"name": "side", "image": image, "command": ["sh", "-c", "sleep 10; echo b; sleep 20; echo d; sleep 100000"]},
        {
            "name": "other",
            "image": image,
            "command": ["sh", "-c", "echo no; sleep 100000"],
            "logConfiguration": elsewhere,
        },
    ]
    images.add(fargate.emulator.world, image)
    (tmp_path / "task.json").write_text(json.dumps({"containerDefinitions": containers}))
    fargate.settings |= {"TASK_DEFINITION_FILE": str(tmp_path / "task.json"), "EFS_VOLUMES": "", "CONTAINER_PORTS": ""}
    fargate.settings.pop("IMAGE")
    fargate.has_run(*REGISTERED, "run_task.py")
    fargate.settle(120)
    ran = fargate.run("show_logs.py")
    assert shown(ran.out) == [("app", "a"), ("side", "b"), ("app", "c"), ("side", "d")], ran.err


def test_a_long_log_is_read_page_by_page(fargate: Runbook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_groups, "PAGE", 3)
    task = start(fargate, "sleep 100000", 120)
    log_groups.write(
        fargate.emulator.world, "us-east-1", "/ecs/api", f"main/main/{task}", [f"line{n}" for n in range(10)]
    )
    fargate.settle(60)
    assert [line for _, line in shown(fargate.run("show_logs.py").out)][-10:] == [f"line{n}" for n in range(10)]


def test_where_there_is_no_task_that_is_told(fargate: Runbook) -> None:
    fargate.has_run(*REGISTERED)
    ran = fargate.run("show_logs.py")
    assert ran.code == 1 and "there is no task of api; AWS forgets a stopped one after an hour" in ran.err
    ran = fargate.run("show_logs.py", "--task", "0" * 32)
    assert ran.code == 1 and f"there is no task {'0' * 32}" in ran.err


def test_run_task_shows_the_log_while_it_waits(fargate: Runbook) -> None:
    fargate.settings |= {"COMMAND": "sh -c 'echo epoch 1; sleep 90; echo epoch 2'", **JOB}
    fargate.has_run(*REGISTERED)
    ran = fargate.run("run_task.py")
    assert ran.code == 0, ran.err
    lines = [line.split(" ", 2)[1:] for line in ran.err.splitlines() if LINE.fullmatch(line)]
    assert lines == [["main", "epoch 1"], ["main", "epoch 2"]]
    assert ran.result["tasks"][0]["exitCodes"] == {"main": 0}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_each_container_has_a_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    import console

    screen: Any = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(console, "_writers", [])
    for who in ("web", "proxy", "web"):
        console.line("2026-11-26T14:09:09.000Z", who, "hello")
    web, proxy, again = screen.getvalue().splitlines()
    assert web == again and "\x1b[36mweb\x1b[0m hello" in web and "\x1b[35mproxy\x1b[0m" in proxy
    monkeypatch.setenv("NO_COLOR", "1")
    console.line("2026-11-26T14:09:09.000Z", "web", "plain")
    assert screen.getvalue().splitlines()[-1] == "2026-11-26T14:09:09.000Z web plain"


def test_a_reader_that_has_gone_ends_it_well(fargate: Runbook, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `| head -1`, which would else keep --follow up for ever."""
    start(fargate, "sh -c 'echo one; sleep 100000'", 120)

    def gone(*_: str) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("console.line", gone)
    ran = fargate.run("show_logs.py", "--follow")
    assert (ran.code, ran.out) == (0, "") and "failed" not in ran.err
