"""Pictures of the whole emulated account, as bytes: taken in a few milliseconds, and put back as often as wanted.

What tests have in common is a cluster that was built before they begin. The first of them builds it by running the
script; to the others the account is given back as it was then (Runbook.has_run). The state is that of moto's backends
and of the emulator's world, all of it plain objects, so pickle can write it down. Objects to which others hold on (the
backends, the world, its clock and settings) stay the same ones, and only what is in them is put back.
"""

from __future__ import annotations

import functools
import hashlib
import io
import pickle
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.s3.models import s3_backends
from moto.ssm.models import ParameterDict

from emulator.core.wire import Emulator

#: what never changes and can't, or need not, be written down: code, keys, the parameters that AWS itself publishes
_kept: dict[Any, Any] = {}


class Picture(bytes):
    """The account as bytes, and which calls had been made till then."""

    calls: tuple[tuple[str, str, str], ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Picture) and self.calls == other.calls and bytes(self) == bytes(other)

    def __hash__(self) -> int:
        return hash((bytes.__hash__(self), self.calls))

    def __deepcopy__(self, _: Any) -> Picture:
        return self

    @functools.cached_property
    def digest(self) -> tuple[bytes, int]:
        return hashlib.sha256(self).digest(), hash(self.calls)

    def differs_in_calls_only(self, other: Picture) -> bool:
        return self.digest[0] == other.digest[0]


def take(emulator: Emulator) -> Picture:
    """The account as it is now. Two equal pictures are of equal accounts."""
    fixed = dict(_fixed(emulator))
    written = io.BytesIO()
    writer = _Writer(written, {id(thing): name for name, thing in fixed.items()})
    writer.dump({name: _inside(thing) for name, thing in fixed.items()})
    picture = Picture(written.getbuffer())
    picture.calls = tuple(emulator.calls)
    return picture


def put_back(emulator: Emulator, picture: Picture) -> None:
    """Make the account again what it was when the picture was taken."""
    reset_model_data()
    _own_ones[:] = [dict(_own_things(emulator))]
    emulator.calls[:] = picture.calls
    insides = pickle.loads(picture)
    for name, inside in insides.items():
        thing = _fixed_one(name)
        thing.__dict__ = {**inside, **_own(thing)}
    for moto in BackendDict._instances:
        for account, regions in moto.items():
            for region in [region for region in regions if f"{moto.service_name} {account} {region}" not in insides]:
                del regions[region]
    s3_backends.bucket_accounts = {
        bucket: (partition, account)
        for account, partition, backend in s3_backends.iter_backends()
        for bucket in backend.buckets
    }


def _fixed(emulator: Emulator) -> Iterator[tuple[str, Any]]:
    """The objects that stay the same ones, each with a name for it."""
    yield from _own_things(emulator)
    for moto in sorted(BackendDict._instances, key=lambda moto: moto.service_name):
        _kept[moto.service_name] = moto
        for account, region, backend in sorted(moto.iter_backends(), key=lambda found: found[:2]):
            yield f"{moto.service_name} {account} {region}", backend


def _own(thing: Any) -> dict[str, Any]:
    """What an emulator keeps for itself."""
    own = ("calls", "_lock") if isinstance(thing, Emulator) else ()
    return {name: value for name, value in vars(thing).items() if name in own or name in ("handle", "ask")}


def _inside(thing: Any) -> dict[str, Any]:
    inside: dict[str, Any] = vars(thing)
    if not isinstance(thing, Emulator):
        return inside
    own = _own(thing)
    return {name: value for name, value in inside.items() if name not in own}


class _Writer(pickle.Pickler):
    def __init__(self, file: io.BytesIO, names: dict[int, str]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.names = names

    def reducer_override(self, thing: Any) -> Any:
        if id(thing) in self.names:
            return _fixed_one, (self.names[id(thing)],)
        kind = type(thing)
        if kind not in _ways:
            _ways[kind] = _kept_thing if kind.__module__.startswith("cryptography.") else None
        way = _ways[kind]
        return way(thing) if way else NotImplemented


def _function_within(thing: Any) -> Any:
    """A lambda, a function in a function; any other is found by its name."""
    if "<" not in thing.__qualname__:
        return NotImplemented
    if not thing.__module__.startswith(("emulator.", "moto.")):
        raise pickle.PicklingError(f"{thing.__qualname__} is of a test")
    inside = thing.__code__, thing.__module__, thing.__name__, thing.__defaults__, thing.__closure__
    return _function, inside


def _kept_thing(thing: Any) -> Any:
    _kept[id(thing)] = thing
    return _kept_one, (id(thing),)


def _own_parameters(thing: ParameterDict) -> Any:
    """AWS's own are thousands, and none of them ever goes: while their number is the same no one looks through them again."""
    attributes = vars(thing)
    names, number = attributes.pop("_names_of_own", ((), -1))
    if number != len(thing) or not all(name in thing for name in names):
        names = tuple(name for name in thing if not name.startswith("/aws/service/"))
    own = {name: thing[name] for name in names}
    loaded = "parameters", thing.region_name, len(thing) - len(own)
    if loaded not in _kept:
        _kept[loaded] = {name: value for name, value in thing.items() if name not in own}
    written = dict(attributes), own, loaded
    attributes["_names_of_own"] = names, len(thing)
    return _parameters, written


#: how things of a type are written down, where it is not as pickle does it
_ways: dict[type, Callable[[Any], Any] | None] = {
    types.FunctionType: _function_within,
    types.CellType: lambda thing: (_cell, (), thing.cell_contents, None, None, _fill),
    types.CodeType: _kept_thing,
    type(threading.RLock()): lambda thing: (threading.RLock, ()),
    ParameterDict: _own_parameters,
}


def _own_things(emulator: Emulator) -> Iterator[tuple[str, Any]]:
    world = emulator.world
    yield from {
        "emulator": emulator,
        "world": world,
        "clock": world.clock,
        "settings": world.settings,
        "faults": emulator.faults,
    }.items()


#: those of the emulator whose account is being put back
_own_ones: list[dict[str, Any]] = []


def _fixed_one(name: str) -> Any:
    if name in _own_ones[0]:
        return _own_ones[0][name]
    service, account, region = name.split()
    return _kept[service][account][region]


def _kept_one(name: Any) -> Any:
    return _kept[name]


def _function(code: types.CodeType, module: str, *inside: Any) -> types.FunctionType:
    return types.FunctionType(code, vars(sys.modules[module]), *inside)


def _cell() -> types.CellType:
    return types.CellType()


def _fill(cell: types.CellType, contents: Any) -> None:
    cell.cell_contents = contents


def _parameters(attributes: dict[str, Any], own: dict[str, Any], loaded: Any) -> ParameterDict:
    made = ParameterDict(attributes["account_id"], attributes["region_name"])
    vars(made).update(attributes)
    made.update(_kept[loaded])
    made.update(own)
    vars(made)["_names_of_own"] = tuple(own), len(made)
    return made
