"""One emulated account for each test, and boto3 clients that talk to it in this process."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from emulator.core.wire import Answer, Emulator, attach
from emulator.core.world import VirtualClock
from tests.conftest import new_account
from tests.emulator.ecs_account import Account
from tests.pictures import put_back


class Current(Emulator):
    """Passes each request to the emulator of the running test, so that a client is made once for all tests."""

    emulator: Emulator

    def __init__(self) -> None:
        pass

    def handle(self, method: str, url: str, headers: Any, body: bytes) -> Answer:
        return self.emulator.handle(method, url, headers, body)

    @property
    def on_the_wire(self) -> bool:
        return self.emulator.on_the_wire

    def ask(self, *asked: Any) -> Any:
        return self.emulator.ask(*asked)


CURRENT = Current()


@functools.cache
def clients() -> Callable[[str], Any]:
    session = boto3.Session(region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y")
    attach(session, CURRENT)
    return functools.cache(session.client)


@pytest.fixture
def emulator() -> Emulator:
    CURRENT.emulator = Emulator(VirtualClock())
    put_back(CURRENT.emulator, new_account())
    return CURRENT.emulator


@pytest.fixture
def client(emulator: Emulator) -> Callable[[str], Any]:
    return clients()


@pytest.fixture
def zone(client: Callable[[str], Any]) -> str:
    made = client("route53").create_hosted_zone(Name="example.com", CallerReference="1")
    return str(made["HostedZone"]["Id"])


@pytest.fixture
def account(emulator: Emulator, client: Callable[[str], Any]) -> Account:
    """What tests of ECS need in an account: a cluster, a network, roles."""
    return Account(emulator, client)


@pytest.fixture
def host(account: Account) -> Account:
    """The account with one small instance in its cluster."""
    account.instance()
    return account
