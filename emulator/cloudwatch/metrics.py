"""What CloudWatch is told of each minute: every service says it of its own metrics, when an alarm asks."""

from __future__ import annotations

from collections.abc import Callable

from emulator.core.world import World

MINUTE = 60
Dimensions = dict[str, str]
#: (world, Region, metric, dimensions) -> its value in the minute that has just ended, or None: no data point. It is the
#: one statistic that is of use: the sum of what is counted, the average of what is a percentage
Source = Callable[[World, str, str, Dimensions], float | None]

#: by namespace
SOURCES: dict[str, Source] = {}


def minute_before(now: float) -> int:
    """The number of the minute that has ended at this time."""
    return int(now // MINUTE) - 1


def value(world: World, region: str, namespace: str, metric: str, dimensions: Dimensions) -> float | None:
    source = SOURCES.get(namespace)
    return source(world, region, metric, dimensions) if source else None
