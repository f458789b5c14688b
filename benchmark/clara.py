"""The Clara example from nothing to nothing, page by page, each its own process, as its user runs it."""

from __future__ import annotations

import functools
import json
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import constants
from benchmark.measured import Figures, Measured
from benchmark.processes import Ran, run
from rehearse import account, environment_for, prerequisites

CREATE = ("create_cluster.py", "register_task_definition.py", "create_service.py")
DELETE = ("delete_service.py", "delete_cluster.py --yes")
HOSTS = "2 hosts"  # as many as the example has
TARGET = "a healthy target"
Names = tuple[str, ...]


class Failed(Exception):
    """A page, or terraform, did not do its work: there is nothing to measure."""


@dataclass
class Life:
    """What it takes to make the example, to see that nothing is to be done, and to take it away: step by step."""

    create: dict[str, Figures]
    again: dict[str, Figures]
    delete: dict[str, Figures]
    #: AWS seconds since the first step began, by what had come then
    seen: dict[str, float]
    account: dict[str, Any] = field(repr=False)  # as it was made
    left: list[str]

    def steps(self) -> dict[str, Figures]:
        named = {"create": self.create, "again": self.again, "delete": self.delete}
        return {f"{when} {step}": found for when, steps in named.items() for step, found in steps.items()}

    @property
    def mebibytes(self) -> float:
        return max(each.mebibytes for each in self.steps().values())


def total(steps: dict[str, Figures]) -> Figures:
    first, *rest = steps.values()
    for each in rest:
        first = first + each
    return first


def environment(measured: Measured) -> dict[str, str]:
    """A user's shell, with the example's file and a certificate. Settings that are AWS's seconds are scaled with them."""
    found = environment_for("clara-train", measured.url, measured.scale)
    for name in ("POLL_SECONDS", "EFS_DNS_SECONDS"):
        found[name] = str(float(constants.KNOWN[name]) * measured.scale)
    return found | prerequisites("clara-train", measured.url, measured.emulator)


def page(command: str, its_environment: dict[str, str], code: int = 0) -> Ran:
    """One page, run as its user runs it; `code`: how it must end."""
    ran = run([sys.executable, *command.split()], its_environment)
    if ran.code != code:
        raise Failed(f"{command} ended with {ran.code}: {ran.err[-2000:]}")
    return ran


def live(measured: Measured) -> Life:
    """Create, the same again, delete: by the pages."""
    its_environment = environment(measured)
    return lived(measured, CREATE, CREATE, DELETE, lambda command: page(command, its_environment))


def lived(measured: Measured, create: Names, again: Names, delete: Names, do: Callable[[str], Ran]) -> Life:
    """The commands of each, measured; what stands after the first of them, and what is left after the last."""

    def steps(commands: Names) -> dict[str, Figures]:
        return {each: measured.figures(functools.partial(do, each)) for each in commands}

    before, begun = set(account(measured.url)), measured.now()
    created, made = steps(create), account(measured.url)
    looked, deleted = steps(again), steps(delete)
    left = sorted(set(account(measured.url)) - before)
    seen = {what: at - begun for what, at in measured.seen.items()}
    return Life(created, looked, deleted, seen, {k: v for k, v in made.items() if k not in before}, left)


def differences(ours: Any, theirs: Any, where: str = "") -> list[str]:
    """Where two accounts, or properties in them, are not the same: each place with both. JSON in a text is read."""
    ours, theirs = parsed(ours), parsed(theirs)
    if isinstance(ours, dict) and isinstance(theirs, dict):
        found = [differences(ours.get(key), theirs.get(key), f"{where} {key}") for key in sorted({*ours, *theirs})]
        return [line for lines in found for line in lines]
    return [] if ours == theirs else [f"{where.strip()}: {ours} here, {theirs} there"]


def parsed(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) and value.startswith(("{", "[")) else value
    except ValueError:
        return value


def alike(account: dict[str, Any]) -> dict[str, Any]:
    """An account in which those of the same name are in no order: which of two mount targets is first is chance."""
    found: dict[str, list[Any]] = defaultdict(list)
    for name, properties in account.items():
        found[name.replace(" (again)", "")].append(properties)
    return {name: sorted(each, key=str) if len(each) > 1 else each[0] for name, each in found.items()}
