"""The side door: what no AWS API does, but a rehearsal needs.

The calls seen so far, faults, the account's settings; and what people do by hand, which stands beside its service, as
handlers do. All of it is reached under /_emulator/ (see server.py), after time has passed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

from emulator.core.faults import Fault
from emulator.core.wire import Emulator

Json = dict[str, Any]
Door = Callable[[Emulator, Json], Any]

#: method and path -> what is done, given the JSON of the request
DOORS: dict[tuple[str, str], Door] = {}


def door(method: str, path: str) -> Callable[[Door], Door]:
    """Open a way in beside AWS's APIs."""

    def register(what: Door) -> Door:
        if (method, path) in DOORS:
            raise ValueError(f"{method} {path} is there already")
        DOORS[method, path] = what if method == "GET" else functools.partial(_changing, what)
        return what

    return register


def _changing(what: Door, emulator: Emulator, given: Json) -> Any:
    answer = what(emulator, given)
    emulator.world.changed()
    return answer


@door("GET", "/_emulator/calls")
def _calls(emulator: Emulator, given: Json) -> Any:
    """The AWS calls so far: service, operation, region."""
    return emulator.calls


@door("DELETE", "/_emulator/calls")
def _drop_calls(emulator: Emulator, given: Json) -> Json:
    """Forget the calls so far."""
    emulator.calls.clear()
    return {}


@door("GET", "/_emulator/faults")
def _faults(emulator: Emulator, given: Json) -> Any:
    """The faults that are planned."""
    return [asdict(fault) for fault in emulator.faults.planned]


@door("POST", "/_emulator/faults")
def _plan_fault(emulator: Emulator, given: Json) -> Json:
    """Plan a fault of an operation: {"operation": "RunTask", "error": "throttle", "times": 2}. See core/faults.py."""
    emulator.faults.planned.append(Fault(**given))
    return {}


@door("DELETE", "/_emulator/faults")
def _drop_faults(emulator: Emulator, given: Json) -> Json:
    """No more faults."""
    emulator.faults.planned.clear()
    return {}


@door("GET", "/_emulator/settings")
def _settings(emulator: Emulator, given: Json) -> Json:
    """The properties of the account."""
    return asdict(emulator.world.settings)


@door("POST", "/_emulator/settings")
def _set_settings(emulator: Emulator, given: Json) -> Json:
    """Set properties of the account, by their names below: {"agents_register": false}."""
    settings = emulator.world.settings
    known = {field.name for field in fields(settings)}
    if unknown := given.keys() - known:
        raise ValueError(f"no such setting: {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
    for name, value in given.items():
        setattr(settings, name, value)
    return asdict(settings)


@door("GET", "/_emulator/time")
def _time(emulator: Emulator, given: Json) -> Json:
    """The clock, and its scale."""
    return {"now": emulator.world.now(), "scale": emulator.world.clock.scale}


@door("GET", "/_emulator/front-door")
def _front_door(emulator: Emulator, given: Json) -> Json:
    """The HTTP proxy through which load balancers and public addresses answer."""
    return {"url": emulator.front_door_url}


@door("GET", "/_emulator/certificate-authority")
def _certificate_authority(emulator: Emulator, given: Json) -> Json:
    """The file of the authority that has signed their certificates."""
    return {"path": emulator.certificate_authority}
