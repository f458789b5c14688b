"""What bears tags, for the Resource Groups Tagging API: each service says it of its own resources, beside its handlers.

And which tags a service takes: botocore's models tell the length and the characters of each service.
https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from emulator.core import limits, rules
from emulator.core.rules import AwsError, Call
from emulator.core.world import World

rules.SENTENCES["iam-012"] = (
    "Names of roles and profiles, and the tag keys of one, are equal without regard to case; tags have 128 and 256 "
    "characters of a small set, and are 50."
)
rules.held("iam-012", "core.tags: every call that brings tags")

Tags = dict[str, str]
#: the ARNs of a service's resources in a Region, with the tags of each; also of those that have none
Bearer = Callable[[World, str], Iterator[tuple[str, Tags]]]

#: to look at for whatever bears tags in a Region
BEARERS: list[Bearer] = []

#: the services whose models allow letters, digits, spaces and SIGNS only; the others take any character
STRICT = ("acm", "codebuild", "ecs", "efs", "elbv2", "iam", "logs", "ssm")
SIGNS = "_.:/=+-@"
MOST, LONGEST_KEY, LONGEST_VALUE = 50, 128, 256


def bearer(found: Bearer) -> Bearer:
    """Let the Tagging API know of these resources."""
    BEARERS.append(found)
    return found


def plain(tags: Iterable[dict[str, str]]) -> Tags:
    """Tags as a dict, whichever way a service spells them."""
    return {(tag.get("Key") or tag.get("key", "")): (tag.get("Value") or tag.get("value", "")) for tag in tags}


def check(call: Call) -> None:
    """Refuse a call whose tags its service does not take."""
    for tags in given(call.params):
        keys = [key for key, _ in tags]
        same = [key.lower() for key in keys] if call.service == "iam" else keys
        if len(set(same)) < len(same):
            if call.service == "iam":
                raise AwsError(
                    "InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive."
                )
            raise AwsError(_code(call), f"A tag key is given twice: {', '.join(sorted(keys))}")
        if len(tags) > MOST:
            raise AwsError(_code(call), f"A resource can have up to {MOST} tags.")
        for key, value in tags:
            if problem := _problem(call.service, key, value):
                raise AwsError(_code(call), problem)


def _code(call: Call) -> str:
    return "InvalidTagParameterException" if call.service == "ecr" else limits.code(call.service)


def given(params: dict[str, Any]) -> Iterator[list[tuple[str, str]]]:
    """The tags in a call's parameters, list by list."""
    specifications = params.get("TagSpecifications")
    nested = specifications if isinstance(specifications, list) else []
    for tags in (params.get("Tags"), params.get("tags"), *(each.get("Tags") for each in nested)):
        if isinstance(tags, dict):
            yield [(str(key), str(value or "")) for key, value in tags.items()]
        elif isinstance(tags, list) and all(isinstance(tag, dict) and {"Key", "key"} & tag.keys() for tag in tags):
            yield [(tag.get("Key") or tag.get("key") or "", tag.get("Value") or tag.get("value") or "") for tag in tags]


def _problem(service: str, key: str, value: str) -> str:
    """What is wrong with a tag, or nothing."""
    if not 1 <= len(key) <= LONGEST_KEY:
        return f"The tag key {key!r} must have 1 to {LONGEST_KEY} characters."
    if len(value) > LONGEST_VALUE:
        return f"The value of tag {key!r} can have up to {LONGEST_VALUE} characters."
    if key.lower().startswith("aws:"):
        return f"Tag keys starting with 'aws:' are reserved for internal use: {key}"
    if service in STRICT and not all(unicodedata.category(c)[0] in "LNZ" or c in SIGNS for c in key + value):
        return f"Tag {key!r} can only have letters, numbers, spaces and {' '.join(SIGNS)}: {value!r}"
    return ""
