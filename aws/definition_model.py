"""A task definition's file beside botocore's model of RegisterTaskDefinition: names, types, what is needed, what is allowed.

botocore asks the same of the request before it sends it, but for what an enum allows; its sentences hold the values, which
may be secrets. https://botocore.amazonaws.com/v1/documentation/api/latest/reference/services/ecs/client/register_task_definition.html
"""

import functools
from collections.abc import Iterator
from typing import Any

from botocore.session import Session

import constants
import definition
import texts
from aws import service_models

TYPES: dict[str, tuple[type, ...]] = {
    **{"structure": (dict,), "map": (dict,), "list": (list,), "string": (str,), "boolean": (bool,)},
    **{"integer": (int,), "long": (int,), "double": (int, float), "float": (int, float)},
}
#: as JSON calls them
IN_JSON = {
    **{"structure": "an object", "map": "an object", "list": "a list", "string": "a text", "boolean": "true or false"},
    **{"integer": "a whole number", "long": "a whole number", "double": "a number", "float": "a number"},
}


@functools.cache
def request() -> Any:
    """The shape of it, as botocore has it in its files."""
    session = Session()
    service_models.attach(session)
    return session.get_service_model("ecs").operation_model("RegisterTaskDefinition").input_shape


def check() -> None:
    """Note what is wrong with the task definition; constants.check tells it. Without a file the rules are enough."""
    found = []
    if constants.TASK_DEFINITION_FILE:
        found = list(wrong(definition.to_check(), request(), ""))
    for place, sentence in found:
        constants.problem("TASK_DEFINITION_FILE", f"{place}: {sentence}")
    if not found:  # the rules know little of what has another form
        definition.check()


def wrong(value: Any, shape: Any, place: str) -> Iterator[tuple[str, str]]:
    kind = shape.type_name
    is_of_kind = isinstance(value, TYPES[kind]) and (not isinstance(value, bool) or kind == "boolean")
    if not is_of_kind:
        yield place, f"is not {IN_JSON[kind]}"
    elif kind == "structure":
        yield from wrong_members(value, shape, place)
    elif kind == "map":
        for key, each in value.items():
            yield from wrong(each, shape.value, f"{place}.{key}")
    elif kind == "list":
        for at, each in enumerate(value):
            yield from wrong(each, shape.member, f"{place}[{at}]")
    elif kind == "string" and shape.enum and value not in shape.enum:
        yield place, f"{texts.shortened(value)} is unknown: use {' or '.join(shape.enum)}"
    elif kind in ("integer", "long"):
        low, high = shape.metadata.get("min", -(2**63)), shape.metadata.get("max", 2**63)
        if not low <= value <= high:
            yield place, f"{value} is outside {low} to {high}"


def wrong_members(value: dict[str, Any], shape: Any, place: str) -> Iterator[tuple[str, str]]:
    import difflib

    begin = f"{place}." if place else ""
    for key in [key for key in value if key not in shape.members]:
        near = difflib.get_close_matches(key, shape.members, 1, 0.7) or [key[:1].lower() + key[1:]]
        meant = f"; did you mean {near[0]}?" if near[0] in shape.members else ""
        yield f"{begin}{key}", f"is no member of a task definition there{meant}"
    for key in [key for key in shape.required_members if key not in value]:
        yield f"{begin}{key}", "is not set, and is needed"
    if getattr(shape, "is_tagged_union", False) and len(value) != 1:
        yield place, f"has not one of {', '.join(shape.members)}"
    for key in [key for key in value if key in shape.members]:
        yield from wrong(value[key], shape.members[key], f"{begin}{key}")
