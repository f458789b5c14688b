"""The one world behind the emulator: its clock, what will happen next, and what moto does not remember.

Nothing here runs by itself. Each request first lets time pass (`World.advance`), which runs every event that has
become due, in order. So there are no threads, and two requests never see half of a change.
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


class VirtualClock(Clock):
    """A clock that moves only when it is told to: AWS's own times, and no real waiting. For tests in one process."""

    def __init__(self) -> None:
        super().__init__(1.0)
        self._now = time.time()

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds


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
        }
    )
    #: Availability Zones, or "zone:instance type", in which no instance can be launched: InsufficientInstanceCapacity
    without_capacity: list[str] = field(default_factory=list)
    #: False: instances boot, but the ECS agent on them never registers
    agents_register: bool = True
    #: False: a new account, the first call of a service fails while its service-linked role is being made
    service_linked_roles: bool = True
    #: extra seconds for which a network interface lingers after its owner is gone
    lingering_interfaces: float = 0.0
    #: how many tasks of one cluster may wait in PROVISIONING for managed scaling; one more is a ClientException
    provisioning_tasks: int = 500
    #: paths that no container knows: asked for one of them through a load balancer, or by its health check, it answers 404
    unknown_paths: list[str] = field(default_factory=list)
    #: Regions in which AWS Backup is missing: EFS refuses a backup policy there
    regions_without_backup: list[str] = field(default_factory=list)


class World:
    """What moto does not hold. `state["ecs"]` and so on belong to the module of that service, by region."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock(0)
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._numbers = itertools.count()
        #: run at every request, before the events: what is derived from the state and not from one call (schedulers)
        self.tickers: list[Callable[[World], None]] = []
        self.state: dict[str, Any] = defaultdict(dict)
        self.settings = Settings()

    def now(self) -> float:
        return self.clock.now()

    def timestamp(self) -> datetime:
        """The emulated time of day, as AWS stamps it on what it makes."""
        return datetime.fromtimestamp(self.now(), timezone.utc)

    def after(self, seconds: float, event: Callable[..., None], *args: Any) -> None:
        """Let `event(*args)` happen that many AWS seconds from now, at the earliest at the next request."""
        heapq.heappush(self._events, (self.now() + self.clock.delay(seconds), next(self._numbers), event, args))

    def advance(self) -> None:
        """Let happen what is due. An event that another one schedules in passing happens now too, if it is due."""
        for _ in range(10_000):
            if not self._events or self._events[0][0] > self.now():
                break
            _, _, event, args = heapq.heappop(self._events)
            event(*args)
        for ticker in self.tickers:
            ticker(self)

    def in_seconds(self, seconds: float) -> datetime:
        return self.timestamp() + timedelta(seconds=seconds)
