"""The one world behind the emulator: its clock, what will happen next, and what moto does not remember.

Nothing here runs by itself. Each request first lets time pass (`World.advance`), which runs every event that has
become due, in order, each at the time at which it was due: who looks rarely sees the same AWS as who looks often.
So there are no threads, and two requests never see half of a change.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

ACCOUNT = "123456789012"


class Clock:
    """AWS seconds: real seconds divided by the scale (0.02: a 90 s wait takes 1.8 s). Scale 0: every wait is over at once."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale
        self._real = time.time()
        self.start = self._real

    def now(self) -> float:
        if self.scale == 0:
            return time.time()
        return self.start + (time.time() - self._real) / self.scale

    def delay(self, seconds: float) -> float:
        return 0.0 if self.scale == 0 else seconds

    def skip(self, seconds: float) -> None:
        """So many AWS seconds go by at once."""
        self.start += seconds


class VirtualClock(Clock):
    """A clock that moves only when it is told to: AWS's own times, and no real waiting. For tests in one process."""

    def __init__(self) -> None:
        super().__init__(1.0)
        self._now = time.time()

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds

    skip = sleep


@dataclass
class Settings:
    """The account that is emulated: what differs from one user's account to the next. Set over /_emulator/settings."""

    #: vCPU quotas of EC2 by quota code; a launch beyond one fails as it does on AWS, in the scaling activities only
    vcpu_quotas: dict[str, float] = field(
        default_factory=lambda: {
            "L-1216C47A": 256.0,  # On-Demand Standard (A, C, D, H, I, M, R, T, Z)
            "L-34B43A08": 256.0,  # Spot Standard
            "L-DB2E81BA": 64.0,  # On-Demand G and VT
            "L-3819A6DF": 64.0,  # Spot G and VT
            "L-417A185B": 64.0,  # On-Demand P
            "L-7212CCBC": 64.0,  # Spot P
            "L-3032A538": 64.0,  # Fargate On-Demand
            "L-36FBB829": 64.0,  # Fargate Spot
        }
    )
    #: other quotas by their codes, where they are not AWS's defaults: {"L-F678F1CE": 1}, one VPC
    quotas: dict[str, float] = field(default_factory=dict)
    #: Availability Zones, or "zone:instance type", in which no instance can be launched: InsufficientInstanceCapacity. With
    #: "spot:zone" there is no Spot capacity, and there is some on demand
    without_capacity: list[str] = field(default_factory=list)
    #: False: instances boot, but the ECS agent on them never registers
    agents_register: bool = True
    #: so many of a host's GPUs its driver does not show: its agent registers the others
    lost_gpus: int = 0
    #: False: instances run, but their status checks fail in the end (their group, which would replace them, leaves them)
    checks_pass: bool = True
    #: False: a new account, the first call of a service fails while its service-linked role is being made
    service_linked_roles: bool = True
    # https://github.com/hashicorp/terraform-provider-aws/pull/48156
    #: so many times DeleteCapacityProvider answers 200, and yet the provider stays, ACTIVE and DELETE_FAILED
    failing_provider_deletions: int = 0
    #: extra seconds for which a network interface lingers after its owner is gone
    lingering_interfaces: float = 0.0
    #: how many tasks of one cluster may wait in PROVISIONING for managed scaling; one more is a ClientException
    provisioning_tasks: int = 500
    #: for so many seconds whatever a create call has made is unknown to every other call, and in no list: core/unseen.py
    unseen_seconds: float = 0.0
    #: paths that no container knows: asked for one of them through a load balancer, or by its health check, it answers 404
    unknown_paths: list[str] = field(default_factory=list)
    #: seconds of one vCPU that a container takes for each request which a load balancer passes to it
    request_cpu_seconds: float = 5.0
    #: how busy a GPU is while a task has it, in percent
    gpu_percent: float = 87.0
    #: the best Spot placement score of any type, 1 to 10, in the zones that have capacity; in the others it is 1
    spot_score: int = 10
    #: GiB of the root disk of the ECS-optimized AMIs
    image_gib: int = 30
    #: Regions in which AWS Backup is missing: EFS refuses a backup policy there
    regions_without_backup: list[str] = field(default_factory=list)


Ticker = Callable[["World"], None]


class World:
    """What moto does not hold. `state["ecs"]` and so on belong to the module of that service, by region."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock(0)
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._numbers = itertools.count()
        #: when the running event was due
        self._moment: float | None = None
        self._looks: set[float] = set()
        #: what follows from the state and not from one call (schedulers): run after whatever may have changed it. One
        #: that waits for a time says so with `look_at`.
        self.tickers: list[Ticker] = []
        self.state: dict[str, Any] = defaultdict(dict)
        self.settings = Settings()
        #: in which the account is; "" until something is made
        self.partition = ""

    def now(self) -> float:
        """The time; while an event runs, the time at which it was due."""
        return self.clock.now() if self._moment is None else self._moment

    def timestamp(self) -> datetime:
        """The emulated time of day, as AWS stamps it on what it makes."""
        return datetime.fromtimestamp(self.now(), timezone.utc)

    def after(self, seconds: float, event: Callable[..., None], *args: Any) -> None:
        """Let `event(*args)` happen that many AWS seconds from now, at the earliest at the next request."""
        self._at(self.now() + self.clock.delay(seconds), event, *args)

    def _at(self, due: float, event: Callable[..., None], *args: Any) -> None:
        heapq.heappush(self._events, (due, next(self._numbers), event, args))

    def look_at(self, due: float) -> None:
        """Let the tickers run at that time, though nothing may have changed until then."""
        if self.clock.scale and due not in self._looks:
            self._looks.add(due)
            self._at(due, self._looks.discard, due)

    def advance(self) -> None:
        """Let happen what is due. An event that another one schedules in passing happens now too, if it is due."""
        if not self.clock.scale:
            self._advance_at_once()
            return
        until = self.clock.now()
        try:
            while self._events and self._events[0][0] <= until:
                self._moment, _, event, args = heapq.heappop(self._events)
                event(*args)
                if not self._events or self._events[0][0] > self._moment:
                    self.tick()
        finally:
            self._moment = None

    def _advance_at_once(self) -> None:
        """Without time all is due always, and what never comes to rest goes on a little at each request."""
        for _ in range(10_000):
            if not self._events:
                break
            _, _, event, args = heapq.heappop(self._events)
            event(*args)
        self.tick()

    def changed(self) -> None:
        """A call or a hand has changed something: let the schedulers see it now and not when someone asks again."""
        if self.clock.scale:
            self.tick()

    def tick(self) -> None:
        for ticker in self.tickers:
            ticker(self)

    def in_seconds(self, seconds: float) -> datetime:
        return self.timestamp() + timedelta(seconds=seconds)
