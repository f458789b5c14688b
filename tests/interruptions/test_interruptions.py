"""Every changing script may die at any call, and be run again, or be undone: the account is as if it had not died.

A death before call k leaves AWS as the last changing call before k left it; so a death right after each changing call,
and one before the first call, are all the states there are. A picture of the account is taken at each of them.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import READS, Ran, Runbook
from tests.pictures import Picture, put_back, take

#: script -> what a user has run before it
BEFORE = {
    "create_cluster.py": (),
    "register_task_definition.py": ("create_cluster.py",),
    "run_task.py": ("create_cluster.py", "register_task_definition.py"),
    "stop_task.py --all": ("create_cluster.py", "register_task_definition.py", "run_task.py"),
    "delete_cluster.py --yes": ("create_cluster.py", "register_task_definition.py", "run_task.py"),
}
DEADLINES = {"MAX_RUN_HOURS": "8", "MAX_CLUSTER_HOURS": "12"}
SERVED = ("create_cluster.py", "register_task_definition.py", "create_service.py")
#: the same for a service behind a load balancer; a setting in front of a command is for that command alone
BEFORE_SERVICE = {
    "ROOT_VOLUME_GIB=200 update_cluster.py": ("create_cluster.py",),
    "create_service.py": ("create_cluster.py", "register_task_definition.py"),
    "update_service.py": (*SERVED, "TASK_MEMORY=20000 register_task_definition.py"),
    "delete_service.py": SERVED,
}
#: a bastion for a cluster that stands, and its end where it is no longer asked for
BASTION = "BASTION_KEY_NAME=ops BASTION_ALLOWED_CIDR=198.51.100.7/32 create_cluster.py"
#: a job on two hosts, and a run with variables of its own
BEFORE_RUNS = {
    "NODE_PORTS=29500-65535 run_task.py --nodes 2": BEFORE["run_task.py"],
    "run_task.py --env LR=0.1 --memory 1024": BEFORE["run_task.py"],
}
#: from no host, where more than one may be, to none again
BEFORE_ONE_SHOT = {
    "RUN_UNTIL=STOPPED run_task.py -- true": ("MAX_INSTANCES=2 create_cluster.py", "register_task_definition.py"),
}
#: one on demand where there is no Spot capacity; and the end of the group that is beside Spot
BEFORE_SPOT_FIRST = {
    "run_task.py": BEFORE["run_task.py"],
    "CAPACITY_TYPE=on-demand create_cluster.py": ("create_cluster.py",),
}
BEFORE_BASTION = {BASTION: ("create_cluster.py",), "create_cluster.py": (BASTION,)}
if os.environ.get("EVERY_CALL"):  # the two largest, over a minute each
    BEFORE_SERVICE |= {"create_cluster.py": (), "delete_cluster.py --yes": SERVED}


@pytest.fixture
def keyed(runbook: Runbook) -> Runbook:
    """The GPU cluster's settings, and an account with a key pair."""
    runbook.aws("ec2").create_key_pair(KeyName="ops")
    return runbook


@pytest.fixture
def spot_first(runbook: Runbook) -> Runbook:
    """CAPACITY_TYPE=spot-first, and an account in which AWS has no Spot host."""
    runbook.settings |= {"CAPACITY_TYPE": "spot-first", "MAX_INSTANCES": "2"}
    runbook.emulator.world.settings.without_capacity = ["spot:us-east-1a"]
    return runbook


def run(runbook: Runbook, command: str) -> Ran:
    words = command.split()
    settings = dict(word.split("=", 1) for word in itertools.takewhile(lambda word: "=" in word, words))
    script, *flags = words[len(settings) :]
    return runbook.run(script, *flags, **settings)


def ended(runbook: Runbook, command: str) -> int:
    return run(runbook, command).code


def has_run(runbook: Runbook, commands: Iterable[str]) -> None:
    """What a user has run before; a picture of it serves the other tests that begin in the same way."""
    for command in commands:
        about = ("ended", command, *sorted(runbook.settings.items()))
        assert runbook.once(about, functools.partial(ended, runbook, command)) == 0


def now(runbook: Runbook) -> Any:
    """The account once AWS has finished; no other test comes to the same one, so no picture is taken of it."""
    runbook._settle(600)
    return json.loads(json.dumps(runbook.look(), default=str))


def end_of(runbook: Runbook, command: str) -> Any:
    """Run a command to its end: the account afterwards, or what the command said when it failed."""
    ran = run(runbook, command)
    return f"{command} ended with {ran.code}: {ran.err[-1500:]}" if ran.code else now(runbook)


@dataclass
class Deaths:
    """Where a command may die: a picture of the account at each point, and the account when it did not die."""

    pictures: dict[str, Picture]
    undisturbed: Any

    def then(self, runbook: Runbook, command: str) -> dict[str, Any]:
        """What is there when this command is run after each death. Equal accounts have the same end."""
        answers: dict[Picture, Any] = {}
        for picture in self.pictures.values():
            if picture not in answers:
                put_back(runbook.emulator, picture)
                answers[picture] = end_of(runbook, command)
        return {point: answers[picture] for point, picture in self.pictures.items()}


def deaths_of(runbook: Runbook, command: str) -> Deaths:
    """Let the command die before its first call and after each changing one; done once for all that may follow."""
    about = ("deaths", command, *sorted(runbook.settings.items()))
    found: Deaths = runbook.once(about, lambda: _die_everywhere(runbook, command))
    return found


def _die_everywhere(runbook: Runbook, command: str) -> Deaths:
    pictures: dict[str, Picture] = {}

    def watch(when: str) -> None:
        service, operation, _ = runbook.emulator.calls[-1] if runbook.emulator.calls[start:] else ("", "the start", "")
        if pictures if when == "before" else operation.startswith(READS):
            return
        pictures[f"call {len(runbook.emulator.calls) - start} {service} {operation}"] = _taken(runbook)

    start = len(runbook.emulator.calls)
    runbook.watch = watch
    ran = run(runbook, command)
    runbook.watch = None
    assert ran.code == 0, ran.err
    return Deaths(pictures, now(runbook))


def _taken(runbook: Runbook) -> Picture:
    """A picture without the list of calls: two points between which nothing has changed are the same account."""
    calls = list(runbook.emulator.calls)
    runbook.emulator.calls.clear()
    picture = take(runbook.emulator)
    runbook.emulator.calls.extend(calls)
    return picture


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
        pytest.param(
            settings, before[command], command, then, id=f"{command.split('=')[0].split('.')[0]}-{then}-{settings}"
        )
        for command, then in thens
    ]


@pytest.mark.parametrize(
    ("settings", "before", "command", "then"),
    [
        *cases(BEFORE_SERVICE, "clara"),
        *cases(BEFORE, "runbook"),
        *cases(BEFORE, "fargate"),
        *cases(BEFORE_RUNS, "fargate"),
        *cases(BEFORE_ONE_SHOT, "runbook"),
        *cases(BEFORE_BASTION, "keyed"),
        *cases(BEFORE_SPOT_FIRST, "spot_first"),
    ],
)
def test_a_script_that_died_at_any_call_can_be_run_again_or_undone(
    request: pytest.FixtureRequest, settings: str, before: tuple[str, ...], command: str, then: str
) -> None:
    runbook: Runbook = request.getfixturevalue(settings)
    runbook.settings |= {"POLL_SECONDS": "30", **(DEADLINES if settings == "fargate" else {})}
    empty = json.loads(json.dumps(runbook.account(), default=str))
    has_run(runbook, before)
    deaths = deaths_of(runbook, command)
    expected = deaths.undisturbed if then == "again" else empty
    answers = deaths.then(runbook, command if then == "again" else "delete_cluster.py --yes")
    wrong = {point: found for point, answer in answers.items() if (found := differences(expected, answer))}
    assert not wrong, json.dumps(wrong, indent=1)[:4000]
    assert len(answers) > 1
