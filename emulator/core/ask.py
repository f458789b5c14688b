"""How one service of the emulator calls another, as AWS's services call each other."""

from __future__ import annotations

import functools
from typing import Any

from emulator.core.rules import HANDLERS, Call, Params
from emulator.core.wire import _ask_moto, _moto
from emulator.core.world import ACCOUNT, World


def ask(call: Call, service: str, operation: str, /, **params: Any) -> Params:
    """The answer of another emulated service, its rules included; it raises AwsError or ClientError."""
    chain = [*HANDLERS[service, operation], _ask_moto]
    inner = Call(call.world, service, operation, params, call.region, call.account, call.moto, chain)
    return inner.proceed()


def asking(world: World, region: str, service: str) -> Call:
    """A call that none of the users has made: this service of AWS asks another one."""
    return Call(world, service, "", {}, region, ACCOUNT, functools.partial(_moto, region))
