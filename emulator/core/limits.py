"""What AWS's own models say of each text and list: how long it may be, and of which characters.

botocore has these limits in its models, and checks the least length only: AWS refuses what the client lets pass.
https://smithy.io/2.0/spec/constraint-traits.html
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

from moto.core.utils import get_service_model

from emulator.core import rules
from emulator.core.rules import AwsError, Call

rules.SENTENCES["core-limits"] = "Texts and lists have the length, and texts the characters, that AWS's models tell."
rules.held("core-limits", "core.limits: every call that changes something")

#: service -> how it refuses what its model does not allow; all others say ValidationException
CODES = {
    "autoscaling": "ValidationError",
    "cloudwatch": "ValidationError",
    "codebuild": "InvalidInputException",
    "ec2": "InvalidParameterValue",
    "ecr": "InvalidParameterException",
    "ecs": "InvalidParameterException",
    "efs": "BadRequest",
    "elbv2": "ValidationError",
    "iam": "ValidationError",
    "logs": "InvalidParameterException",
    "resourcegroupstaggingapi": "InvalidParameterException",
    "route53": "InvalidInput",
}


def code(service: str) -> str:
    return CODES.get(service, "ValidationException")


def check(call: Call) -> None:
    """Refuse a call for what its service's model does not allow, worded as most services word it."""
    shape = _input(call.service, call.operation)
    for where, value, constraint in _broken(shape, call.params, "") if shape else ():
        raise AwsError(
            code(call.service),
            f"1 validation error detected: Value '{value}' at '{where}' failed to satisfy constraint: {constraint}",
        )


@functools.cache
def _input(service: str, operation: str) -> Any:
    model = get_service_model(service)
    return model.operation_model(operation).input_shape if operation in model.operation_names else None


def _broken(shape: Any, value: Any, where: str) -> Iterator[tuple[str, Any, str]]:
    """Each place where a value is not as its shape says: where, the value, and the constraint."""
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, member in shape.members.items():
            if value.get(name) is not None:
                yield from _broken(member, value[name], f"{where}.{name}".lstrip("."))
    elif shape.type_name == "list" and isinstance(value, list):
        yield from _too_long(shape, value, where)
        for number, each in enumerate(value, 1):
            yield from _broken(shape.member, each, f"{where}.{number}.member")
    elif shape.type_name == "string" and isinstance(value, str):
        yield from _too_long(shape, value, where)
        allowed = _pattern(shape.metadata.get("pattern", ""))
        if allowed and not allowed.fullmatch(value):
            yield where, value, f"Member must satisfy regular expression pattern: {allowed.pattern}"


def _too_long(shape: Any, value: Any, where: str) -> Iterator[tuple[str, Any, str]]:
    most = shape.metadata.get("max")
    if most is not None and len(value) > most:
        yield where, value, f"Member must have length less than or equal to {most}"


@functools.cache
def _pattern(text: str) -> re.Pattern[str] | None:
    r"""None where there is none, or where it has what Python does not know: \p{L}, of tags (see tags.py)."""
    try:
        return re.compile(text, re.DOTALL) if text else None
    except re.error:
        return None
