"""Loads every module that holds handlers.

Which services there are, and in which order their clocks tick, is said in one place: emulator.SERVICES.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable

import emulator
from emulator.core.rules import STARTERS
from emulator.core.world import World


@functools.cache
def load() -> None:
    """Import all modules of all packages: each registers its handlers, doors and starters."""
    there = {found.name for found in pkgutil.iter_modules(emulator.__path__) if found.ispkg} - {"core"}
    if there != set(emulator.SERVICES):
        raise ImportError(f"emulator.SERVICES does not agree with the folder: {there ^ set(emulator.SERVICES)}")
    for service in emulator.SERVICES:
        package = importlib.import_module(f"emulator.{service}")
        for found in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"emulator.{service}.{found.name}")


def starters() -> list[Callable[[World], None]]:
    """What is called once for each new World, in the order of the services."""
    return sorted(STARTERS, key=lambda start: emulator.SERVICES.index(start.__module__.split(".")[1]))
