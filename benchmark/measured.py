"""An emulated AWS whose every call is noted, and on which time passes also while no one asks."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmark.processes import Ran
from emulator.core.faults import Faults
from emulator.core.rules import Call
from emulator.core.wire import Emulator
from emulator.ecs import state as ecs
from emulator.elbv2 import state as elbv2
from emulator.server import serve
from rehearse import READS, client

REGION = "us-east-1"
#: seconds that one call to AWS is on its way, at time scale 1
LATENCY = 0.08
#: AWS seconds between two looks at what AWS does by itself
OBSERVED_SECONDS = 0.5


@dataclass
class Asked:
    """A call, with the AWS seconds since the emulator began."""

    at: float
    service: str
    operation: str
    params: str

    @property
    def changing(self) -> bool:
        return not self.operation.startswith(READS)


@dataclass
class Notes(Faults):
    """Every call passes here, whether it is refused or not."""

    asked: list[Asked] = field(default_factory=list)

    def before(self, call: Call) -> None:
        at = call.world.now() - call.world.clock.start
        self.asked.append(Asked(at, call.service, call.operation, json.dumps(call.params, sort_keys=True, default=str)))
        super().before(call)


@dataclass
class Figures:
    """One run of one or more commands: AWS seconds, calls by operation, and memory."""

    seconds: float
    calls: Counter[str]
    changing: int
    polls: int
    mebibytes: float
    first: dict[str, float] = field(default_factory=dict)  # operation -> AWS seconds after which it was first asked for

    @property
    def count(self) -> int:
        return self.calls.total()

    @property
    def without_polls(self) -> int:
        return self.count - self.polls

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            self.seconds + other.seconds,
            self.calls + other.calls,
            self.changing + other.changing,
            self.polls + other.polls,
            max(self.mebibytes, other.mebibytes),
            {**{name: self.seconds + at for name, at in other.first.items()}, **self.first},
        )


def polls(asked: list[Asked]) -> int:
    """How many of these calls were made only to wait.

    A read that was asked before with the same parameters, since the last change of the same service; and a changing
    call that was made before with the same parameters: AWS had refused it for now.
    """
    seen: dict[str, set[tuple[str, str]]] = {}
    changes: set[tuple[str, str, str]] = set()
    found = 0
    for each in asked:
        if each.changing:
            found += (each.service, each.operation, each.params) in changes
            changes.add((each.service, each.operation, each.params))
            seen.pop(each.service, None)
        else:
            known = seen.setdefault(each.service, set())
            found += (each.operation, each.params) in known
            known.add((each.operation, each.params))
    return found


class Measured:
    """The emulator at its URL, and what has been seen of it."""

    def __init__(self, url: str, emulator: Emulator, scale: float) -> None:
        self.url, self.emulator, self.scale = url, emulator, scale
        self.notes = emulator.faults = Notes()
        #: what -> the AWS seconds since the emulator began, when it first was so
        self.seen: dict[str, float] = {}

    def client(self, service: str) -> Any:
        """A boto3 client of the account: for what a person does besides."""
        return client(self.url, service)

    def now(self) -> float:
        clock = self.emulator.world.clock
        return clock.now() - clock.start

    def figures(self, do: Callable[[], Ran]) -> Figures:
        """Do this, and say what it took."""
        calls, begun = len(self.notes.asked), self.now()
        ran = do()
        asked = self.notes.asked[calls:]
        first: dict[str, float] = {}
        for each in asked:
            first.setdefault(each.operation, each.at - begun)
        counted = Counter(f"{each.service}:{each.operation}" for each in asked)
        changing = sum(each.changing for each in asked)
        return Figures(ran.seconds / (self.scale or 1), counted, changing, polls(asked), ran.mebibytes, first)

    def observe(self) -> None:
        """What AWS has come to by itself."""
        world = self.emulator.world
        clusters = ecs.region_of(world, REGION).clusters.values()
        hosts = sum(host.connected for cluster in clusters for host in cluster.instances.values())
        targets = [target for group in elbv2.here(world, REGION).groups.values() for target in group.targets.values()]
        found = {f"{hosts} hosts": True, "a healthy target": any(each.verdict == "healthy" for each in targets)}
        for what in [what for what, so in found.items() if so]:
            self.seen.setdefault(what, self.now())


@contextmanager
def measured(scale: float, latency: float | None = None) -> Iterator[Measured]:
    """An emulator at this time scale, a call's way in proportion; it goes on by itself for as long as the block lasts."""
    with serve(time_scale=scale, latency=LATENCY * scale if latency is None else latency) as (url, emulator):
        found, over = Measured(url, emulator, scale), threading.Event()

        def go_on() -> None:
            while not over.wait(max(0.02, OBSERVED_SECONDS * scale)):
                with emulator.still():
                    found.observe()

        thread = threading.Thread(target=go_on, daemon=True)
        if scale:  # where AWS takes no time, nothing comes by itself
            thread.start()
        try:
            yield found
        finally:
            over.set()
            if scale:
                thread.join()
