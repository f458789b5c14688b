"""What becomes of values that go over the wire and come back: the same, without the wire.

A request or an answer that stays in this process need not become XML or JSON and be parsed again. What such a journey
does to the values is done here directly, shape by shape, as botocore's and moto's serializers and parsers do it
together: what is unknown or None falls away, numbers that are text become numbers, times lose their microseconds.
What is not carried here (S3, HTTP headers, streams, blobs that are sent) says `NotCarried`, and takes the long way.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from enum import Enum
from typing import Any

from botocore.utils import parse_timestamp
from moto.core.serialize import (
    SERIALIZERS,
    AttributePickerContext,
    ResponseSerializer,
    XFormedAttributePicker,
)
from moto.core.utils import MISSING, get_service_model, get_value

Carry = Callable[[Any], Any]
Pick = Callable[[Any], Any]
Transforms = Mapping[str, Callable[[Any], Any]]

XML = ("ec2", "query", "rest-xml")
JSON = ("json", "rest-json")
#: botocore's names of the protocols that are carried -> moto's
PROTOCOLS = {"smithy-rpc-v2-cbor": "cbor", **{name: name for name in (*XML, *JSON)}}


class NotCarried(Exception):
    """This must go over the wire."""


@functools.cache
def request(service: str, operation: str, protocol: str) -> Carry:
    """Parameters as a client gives them -> as a handler receives them."""
    shape = get_service_model(service).operation_model(operation).input_shape
    if shape is None:
        return lambda params: {}
    if {"payload", "eventstream"} & shape.serialization.keys():
        raise NotCarried(operation)
    carry = _Request(protocol).of(shape)
    return lambda params: {} if (found := carry(params)) is MISSING else found


def answer(service: str, operation: str, protocol: str, transforms: Transforms | None = None) -> Carry:
    """What a handler answers -> what a client receives. With `transforms`: what a class of moto answers."""
    return _answer(service, operation, protocol, None if transforms is None else tuple(transforms.items()))


@functools.cache
def _answer(service: str, operation: str, protocol: str, transforms: Any) -> Carry:
    shape = get_service_model(service).operation_model(operation).output_shape
    if shape is None:
        return lambda result: {}
    bound = any("location" in member.serialization for member in shape.members.values())
    if bound or {"payload", "eventstream"} & shape.serialization.keys():
        raise NotCarried(operation)
    kind: type[_Answer] = _CborAnswer if protocol == "cbor" else _XmlAnswer if protocol in XML else _JsonAnswer
    carry = kind(protocol, transforms).of(shape, f"{operation}.{shape.name}")
    return lambda result: {} if result is None else carry(result)


# --- requests


class _Request:
    """As botocore's serializer writes parameters, which it has looked through, and as moto's parser reads them."""

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        #: in these protocols an empty structure or map is not there
        self.flat = protocol in ("ec2", "query")

    def of(self, shape: Any) -> Carry:
        make: Callable[[Any], Carry] = getattr(self, f"_{shape.type_name}", self._unknown)
        return make(shape)

    def _unknown(self, shape: Any) -> Carry:
        def refuse(value: Any) -> Any:
            raise NotCarried(shape.type_name)

        return refuse

    def _structure(self, shape: Any) -> Carry:
        if shape.is_document_type:
            return self._unknown(shape)
        known: dict[str, Carry] = {}

        def carry(value: Any) -> Any:
            made = {}
            for name, inner in value.items():
                if name not in known:
                    known[name] = self._member(shape.members[name])
                if (found := known[name](inner)) is not MISSING:
                    made[name] = found
            ordered = {name: made[name] for name in shape.members if name in made} if len(made) > 1 else made
            return MISSING if self.flat and not ordered else ordered

        return carry

    def _member(self, shape: Any) -> Carry:
        """Lists in a query string are not there when they are empty; headers are the wire's own."""
        location = shape.serialization.get("location")
        if location in ("header", "headers") or shape.serialization.get("hostLabel"):
            return self._unknown(shape)
        carry = self.of(shape)
        if location == "querystring" and shape.type_name in ("list", "map"):
            return lambda value: carry(value) if value else MISSING
        return carry

    def _list(self, shape: Any) -> Carry:
        member = self.of(shape.member)

        def carry(value: Any) -> Any:
            if not value:
                return MISSING if self.protocol == "ec2" else []
            made = [member(item) for item in value]
            if any(item is MISSING for item in made):  # the parser stops there
                made = made[: made.index(MISSING)]
            return MISSING if self.flat and not made else made

        return carry

    def _map(self, shape: Any) -> Carry:
        member = self.of(shape.value)

        def carry(value: Any) -> Any:
            made = {str(key): member(item) for key, item in value.items()}
            if any(item is MISSING for item in made.values()):
                raise NotCarried(shape.name)
            return MISSING if self.flat and not made else made

        return carry

    def _string(self, shape: Any) -> Carry:
        return str

    def _integer(self, shape: Any) -> Carry:
        return int

    def _boolean(self, shape: Any) -> Carry:
        return bool

    def _double(self, shape: Any) -> Carry:
        return float

    _long = _integer


# --- answers


class _Answer:
    """As moto's serializer writes a result, and as botocore's parser reads it."""

    def __init__(self, protocol: str, transforms: Any) -> None:
        self.protocol = protocol
        self.transforms = transforms
        kind: type[ResponseSerializer] | None = SERIALIZERS.get(protocol)
        self.time_format = kind.DEFAULT_TIMESTAMP_FORMAT if kind else ""
        self.times = kind and kind(get_service_model("sts").operation_model("GetCallerIdentity"))._timestamp_serializer

    def of(self, shape: Any, path: str) -> Carry:
        make: Callable[[Any, str], Carry] = getattr(self, f"_{shape.type_name}", self._plain)
        return make(shape, path)

    def _plain(self, shape: Any, path: str) -> Carry:
        return lambda value: value

    def _unknown(self, shape: Any, path: str) -> Carry:
        raise NotCarried(shape.type_name)

    def _structure(self, shape: Any, path: str) -> Carry:
        """Members are made ready when they are first met: shapes may contain themselves."""
        if shape.is_document_type:
            return self._unknown(shape, path)
        members: dict[str, Any] = {}
        picks: dict[type, list[tuple[str, Pick]]] = {}
        carries: dict[str, Carry] = {}
        union = shape.is_tagged_union

        def carry(value: Any) -> Any:
            if not members:
                members.update(self._members(shape))
            made = {}
            for name, found in self._found(value, members, picks, path):
                if name not in carries:
                    carries[name] = self.of(members[name], f"{path}.{name}")
                if (come := carries[name](found)) is not MISSING:
                    made[name] = come
            if union and len(made) != 1:  # botocore looks closer at these
                raise NotCarried(shape.name)
            return made

        return carry

    def _found(
        self, value: Any, members: dict[str, Any], picks: dict[type, list[tuple[str, Pick]]], path: str
    ) -> list[tuple[str, Any]]:
        """The members that a value has, in the order of the shape."""
        kind = type(value)
        if kind is dict and self.transforms is None:
            return [(name, found) for name in members if (found := value.get(name)) is not None]
        if kind not in picks:
            picks[kind] = [(name, self._pick(value, name, members[name], f"{path}.{name}")) for name in members]
        return [(name, found) for name, pick in picks[kind] if (found := pick(value)) is not None]

    def _pick(self, first: Any, name: str, member: Any, path: str) -> Pick:
        """How the member of this name is found in values of the type of this first one."""
        if self.transforms is None:
            return _picked(type(first), (name,))
        [transform] = [do for end, do in self.transforms if path.endswith(end)][:1] or [None]
        pick = _picked(type(first), _aliases(first, name, member))
        return pick if transform is None else lambda value: transform(pick(value))

    def _members(self, shape: Any) -> dict[str, Any]:
        for name, member in shape.members.items():
            if {"xmlAttribute", "location", "eventheader"} & member.serialization.keys():
                raise NotCarried(name)
            member.parent = shape
        return dict(shape.members)

    def _boolean(self, shape: Any, path: str) -> Carry:
        return self._plain(shape, path)

    def _integer(self, shape: Any, path: str) -> Carry:
        return int

    def _float(self, shape: Any, path: str) -> Carry:
        return float

    def _timestamp(self, shape: Any, path: str) -> Carry:
        return functools.partial(
            _carried_time, self.times, shape.serialization.get("timestampFormat", self.time_format)
        )

    def _blob(self, shape: Any, path: str) -> Carry:
        return lambda value: value.encode() if isinstance(value, str) else base64.b64decode(base64.b64encode(value))

    _long = _integer
    _double = _float


class _JsonAnswer(_Answer):
    def _string(self, shape: Any, path: str) -> Carry:
        return _json_text

    def _list(self, shape: Any, path: str) -> Carry:
        if shape.member.serialization.get("name", shape.member.name) != shape.member.name:
            return self._unknown(shape, path)
        member = _when_met(functools.partial(self.of, shape.member, f"{path}.{shape.member.name}"))
        return lambda value: [None if item is None else member(item) for item in value]

    def _map(self, shape: Any, path: str) -> Carry:
        member = _when_met(functools.partial(self.of, shape.value, path))
        return lambda value: {str(key): member(item) for key, item in value.items() if item is not None}

    def _plain(self, shape: Any, path: str) -> Carry:
        return lambda value: value if type(value) in (bool, int, float) else json.loads(json.dumps(value))


class _XmlAnswer(_Answer):
    def _string(self, shape: Any, path: str) -> Carry:
        return _xml_text

    def _boolean(self, shape: Any, path: str) -> Carry:
        return lambda value: value is True or str(value).lower() == "true"

    def _list(self, shape: Any, path: str) -> Carry:
        member = _when_met(functools.partial(self.of, shape.member, f"{path}.{shape.member.name}"))
        empty = (lambda: MISSING) if shape.is_flattened else list

        def carry(value: Any) -> Any:
            structure = shape.member.type_name == "structure"
            made = [member(item) for item in value if not (structure and item is None)]
            return [item for item in made if item is not MISSING and item != {}] or empty()

        return carry

    def _map(self, shape: Any, path: str) -> Carry:
        if shape.is_flattened:
            return self._unknown(shape, path)
        member = _when_met(functools.partial(self.of, shape.value, path))
        return lambda value: {_xml_text(key): member(item) for key, item in value.items() if item is not None}


class _CborAnswer(_Answer):
    """CBOR has types of its own: values are what they are, but for what the shape does not know."""

    def _integer(self, shape: Any, path: str) -> Carry:
        return self._plain(shape, path)

    def _plain(self, shape: Any, path: str) -> Carry:
        return lambda value: _cbor_time(value) if isinstance(value, datetime) else value

    def _list(self, shape: Any, path: str) -> Carry:
        member = _when_met(functools.partial(self.of, shape.member, path))
        return lambda value: [None if item is None else member(item) for item in value]

    def _map(self, shape: Any, path: str) -> Carry:
        member = _when_met(functools.partial(self.of, shape.value, path))
        return lambda value: {key: member(item) for key, item in value.items() if item is not None}

    _long = _float = _double = _timestamp = _boolean = _string = _blob = _plain


def _when_met(make: Callable[[], Carry]) -> Carry:
    """A shape that is made ready at its first value."""
    made: list[Carry] = []

    def carry(value: Any) -> Any:
        if not made:
            made.append(make())
        return made[0](value)

    return carry


def _json_text(value: Any) -> Any:
    if type(value) is str:
        return value
    value = value.value if isinstance(value, Enum) else value
    return str(value) if value not in [None, {}, []] else value


def _xml_text(value: Any) -> str:
    text = value if type(value) is str else str(value)
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _carried_time(times: Any, way: str, value: Any) -> Any:
    """As moto's serializer writes a time, and as botocore reads that."""
    return (
        _time_of(times, way, value, value.utcoffset()) if isinstance(value, datetime) else _written(times, way, value)
    )


def _written(times: Any, way: str, value: Any, _: Any = None) -> Any:
    return _time(times._convert_timestamp_to_str(value, way))


#: times of resources never change; those of two time zones are equal, and are not written equally
_time_of = functools.lru_cache(10_000)(_written)


@functools.lru_cache(10_000)
def _time(written: Any) -> Any:
    return parse_timestamp(written)


def _cbor_time(value: datetime) -> Any:
    aware = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
    return _time(aware.timestamp())


def _aliases(value: Any, name: str, shape: Any) -> tuple[str, ...]:
    """The names under which moto's serializer looks for a member in one of its objects."""
    return tuple(XFormedAttributePicker().get_possible_keys(AttributePickerContext(obj=value, key=name, shape=shape)))


def _picked(kind: type, names: tuple[str, ...]) -> Pick:
    """What moto's `get_value` finds under the first of these names that a value of this type has, or None."""
    if any("." in name for name in names) or not (kind is dict or _is_plain(kind)):
        return lambda value: next(
            (found for name in names if (found := get_value(value, name, MISSING)) is not MISSING), None
        )
    if kind is dict:
        return lambda value: next((value[name] for name in names if name in value), None)
    steps = [(name, hasattr(kind, name)) for name in names]

    def pick(value: Any) -> Any:
        """What is not in the class is in the object itself or nowhere."""
        own = value.__dict__
        for name, of_class in steps:
            if of_class:
                if (found := getattr(value, name, MISSING)) is not MISSING:
                    return found
            elif name in own:
                return own[name]
        return None

    return pick


def _is_plain(kind: type) -> bool:
    """Whether things of this type have attributes, and find them as Python does."""
    return (
        kind.__dictoffset__ != 0
        and not hasattr(kind, "__getitem__")
        and not hasattr(kind, "__getattr__")
        and "__getattribute__" not in {name for each in kind.__mro__[:-1] for name in vars(each)}
        and not any("__slots__" in vars(each) for each in kind.__mro__)
    )
