"""The conditions of policy statements: operators, wildcards, variables.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

import functools
import ipaddress
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

#: condition keys of a request, in small letters, and their value or values
Context = Mapping[str, str | Sequence[str]]
Compare = Callable[[str, str], bool]
VARIABLE = re.compile(r"\$\{(?P<key>[^}*?$,]+)(?:,\s*'(?P<default>[^']*)')?\}")


def several(value: Any) -> list[Any]:
    """Policies write one thing as itself, and several as a list."""
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]


def like(value: str, pattern: str) -> bool:
    return bool(_form(pattern).fullmatch(value))


@functools.lru_cache(maxsize=4096)
def _form(pattern: str) -> re.Pattern[str]:
    """* and ? are wildcards; ${*}, ${?} and ${$} are these characters themselves."""
    parts = [found[0] for found in re.finditer(r"\$\{[*?$]\}|.", pattern, re.DOTALL)]
    forms = {"*": ".*", "?": "."}
    return re.compile(
        "".join(forms.get(each) or re.escape(each[2] if len(each) > 1 else each) for each in parts), re.DOTALL
    )


def is_like(value: str, pattern: str, context: Context, compare: Compare = like) -> bool:
    """Compare with what a pattern is once its variables have values; without a value nothing is like it."""
    for found in VARIABLE.finditer(pattern):
        known = several(context.get(found["key"].strip().lower(), found["default"]))
        if not known:
            return False
        pattern = pattern.replace(found[0], re.sub(r"[*?$]", r"${\g<0>}", known[0]))
    return compare(value, pattern)


def _plain(pattern: str) -> str:
    return re.sub(r"\$\{([*?$])\}", r"\1", pattern)


def _ordered(read: Callable[[str], Any], holds: Callable[[Any, Any], bool], value: str, wanted: str) -> bool:
    return holds(read(value), read(_plain(wanted)))


def _equal_letters(value: str, wanted: str) -> bool:
    return value.lower() == _plain(wanted).lower()


def _arn_like(value: str, pattern: str) -> bool:
    """The six parts of an ARN one by one: a wildcard does not reach over a colon, but in the last."""
    pairs = list(zip(value.split(":", 5), pattern.split(":", 5), strict=False))
    return len(pairs) == 6 and all(like(*pair) for pair in pairs)


def _address_in(value: str, block: str) -> bool:
    return ipaddress.ip_address(value) in ipaddress.ip_network(block, strict=False)


KINDS: dict[str, Callable[[str], Any]] = {"String": str, "Numeric": float, "Date": datetime.fromisoformat}
ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}
COMPARE: dict[str, Compare] = {
    f"{kind}{order}": functools.partial(_ordered, read, holds)
    for kind, read in KINDS.items()
    for order, holds in ORDERS.items()
} | {
    "StringEqualsIgnoreCase": _equal_letters,
    "StringLike": like,
    "ArnLike": _arn_like,
    "ArnEquals": _arn_like,
    "Bool": _equal_letters,
    "IpAddress": _address_in,
}


def met(name: str, key: str, wanted: list[Any], context: Context) -> bool:
    """Is one key of a request as one condition operator wants it? Several wanted values are alternatives."""
    quantifier, _, name = name.rpartition(":")
    plain = name.removesuffix("IfExists")
    values = several(context.get(key.lower()))
    texts = [str(each).lower() if isinstance(each, bool) else str(each) for each in wanted]
    if plain == "Null":
        return (not values) == (texts[0] == "true")
    compare = COMPARE[plain.replace("Not", "", 1)]
    negated = "Not" in plain
    if not values:
        return quantifier == "ForAllValues" or plain != name or (negated and not quantifier)
    results = [any(is_like(value, text, context, compare) for text in texts) != negated for value in values]
    some = quantifier == "ForAnyValue" or not (negated or quantifier)
    return any(results) if some else all(results)
