"""The Clara example from nothing to nothing, page by page, each its own process, as its user runs it."""

from __future__ import annotations

import sys
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

    @property
    def mebibytes(self) -> float:
        return max(each.mebibytes for steps in (self.create, self.again, self.delete) for each in steps.values())


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


def page(command: str, its_environment: dict[str, str]) -> Ran:
    ran = run([sys.executable, *command.split()], its_environment)
    if ran.code:
        raise Failed(f"{command} ended with {ran.code}: {ran.err[-2000:]}")
    return ran


def live(measured: Measured) -> Life:
    """Create, the same again, delete."""
    its_environment = environment(measured)

    def pages(commands: tuple[str, ...]) -> dict[str, Figures]:
        return {each: measured.figures(lambda each=each: page(each, its_environment)) for each in commands}

    before, begun = set(account(measured.url)), measured.now()
    create = pages(CREATE)
    made = account(measured.url)
    again, delete = pages(CREATE), pages(DELETE)
    left = sorted(set(account(measured.url)) - before)
    seen = {what: at - begun for what, at in measured.seen.items()}
    return Life(create, again, delete, seen, made, left)
