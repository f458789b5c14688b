"""Every changing script may die at any call, and be run again, or be undone: the account is as if it had not died.

A death before call k leaves AWS as the last changing call before k left it; so a death right after each changing call,
and one before the first call, are all the states there are. A picture of the account is taken at each of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import READS, Ran, Runbook
from tests.pictures import put_back, take

#: script -> what a user has run before it
BEFORE = {
    "create_cluster.py": (),
    "register_task_definition.py": ("create_cluster.py",),
    "run_task.py": ("create_cluster.py", "register_task_definition.py"),
    "stop_task.py --all": ("create_cluster.py", "register_task_definition.py", "run_task.py"),
    "delete_cluster.py --yes": ("create_cluster.py", "register_task_definition.py", "run_task.py"),
}
SERVED = ("create_cluster.py", "register_task_definition.py", "create_service.py")
#: the same for a service behind a load balancer; a setting in front of a command is for that command alone
BEFORE_SERVICE = {
    "ROOT_VOLUME_GIB=200 update_cluster.py": ("create_cluster.py",),
    "create_service.py": ("create_cluster.py", "register_task_definition.py"),
    "update_service.py": (*SERVED, "TASK_MEMORY=20000 register_task_definition.py"),
    "delete_service.py": SERVED,
}
if os.environ.get("EVERY_CALL"):  # the two largest, over a minute each
    BEFORE_SERVICE |= {"create_cluster.py": (), "delete_cluster.py --yes": SERVED}


def run(runbook: Runbook, command: str) -> Ran:
    words = command.split()
    settings = dict(word.split("=", 1) for word in words if "=" in word)
    script, *flags = words[len(settings) :]
    return runbook.run(script, *flags, **settings)


def in_fork(look: Callable[[], Any]) -> Any:
    """What `look` answers in a copy of this process and its AWS; here nothing changes."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = json.dumps(look(), default=str).encode()
        except BaseException as error:  # noqa: BLE001 - told to the parent, which fails the test with it
            answer = json.dumps(f"{type(error).__name__}: {error}").encode()
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(answer)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return json.loads(told)


def end_of(runbook: Runbook, command: str) -> Callable[[], Any]:
    """Run a command to its end: the account afterwards, or what the command said when it failed."""

    def look() -> Any:
        ran = run(runbook, command)
        if ran.code:
            return f"{command} ended with {ran.code}: {ran.err[-1500:]}"
        runbook.settle()
        return runbook.account()

    return look


def die_everywhere(runbook: Runbook, command: str, afterwards: Callable[[], Any]) -> dict[str, Any]:
    """Let the command die before its first call and after each changing one: what `afterwards` answered each time."""
    deaths: dict[str, bytes] = {}

    def watch(when: str) -> None:
        service, operation, _ = runbook.emulator.calls[-1] if runbook.emulator.calls[start:] else ("", "the start", "")
        if deaths if when == "before" else operation.startswith(READS):
            return
        deaths[f"call {len(runbook.emulator.calls) - start} {service} {operation}"] = take(runbook.emulator)

    start = len(runbook.emulator.calls)
    runbook.watch = watch
    ran = run(runbook, command)
    assert ran.code == 0, ran.err
    runbook.watch = None
    answers = {}
    for point, picture in deaths.items():
        put_back(runbook.emulator, picture)
        answers[point] = json.loads(json.dumps(afterwards(), default=str))
    return answers


def differences(expected: Any, found: Any) -> list[str]:
    """What is not as it should be, by the names of the resources."""
    if isinstance(found, str):
        return [found]
    keys = sorted(expected.keys() | found.keys())
    return [f"{key}: {expected.get(key)} != {found.get(key)}" for key in keys if expected.get(key) != found.get(key)]


def cases(before: dict[str, Any], settings: str) -> list[Any]:
    thens = [
        (command, then) for command in before for then in ("again", "delete") if not command.startswith("delete_c")
    ]
    thens += [(command, "again") for command in before if command.startswith("delete_c")]
    return [
        pytest.param(settings, before[command], command, then, id=f"{command.split('.')[0]}-{then}-{settings}")
        for command, then in thens
    ]


@pytest.mark.parametrize(
    ("settings", "before", "command", "then"),
    [*cases(BEFORE_SERVICE, "clara"), *cases(BEFORE, "runbook"), *cases(BEFORE, "fargate")],
)
def test_a_script_that_died_at_any_call_can_be_run_again_or_undone(
    request: pytest.FixtureRequest, settings: str, before: tuple[str, ...], command: str, then: str
) -> None:
    runbook: Runbook = request.getfixturevalue(settings)
    runbook.settings["POLL_SECONDS"] = "30"
    empty = json.loads(json.dumps(runbook.account(), default=str))
    for earlier in before:
        assert run(runbook, earlier).code == 0
    expected = in_fork(end_of(runbook, command)) if then == "again" else empty
    afterwards = end_of(runbook, command if then == "again" else "delete_cluster.py --yes")
    answers = die_everywhere(runbook, command, afterwards)
    wrong = {point: found for point, answer in answers.items() if (found := differences(expected, answer))}
    assert not wrong, json.dumps(wrong, indent=1)[:4000]
    assert len(answers) > 1
