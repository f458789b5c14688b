"""One emulated account for each test, and boto3 clients that talk to it in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from emulator.wire import Emulator, attach
from emulator.world import VirtualClock


@pytest.fixture
def emulator() -> Emulator:
    return Emulator(VirtualClock())


@pytest.fixture
def client(emulator: Emulator) -> Iterator[Callable[[str], Any]]:
    session = boto3.Session(region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y")
    detach = attach(session, emulator)
    made: dict[str, Any] = {}

    def make(service: str) -> Any:
        if service not in made:
            made[service] = session.client(service)
        return made[service]

    yield make
    detach()
