"""--dry-run: the page runs as ever, but no changing call leaves this machine.

botocore lets a handler answer a call in AWS's place. Reads go through; a changing call is answered with a stand-in of
the right shape, whose ids say that they are new. A read that asks about such an id, or about a name that this run
would have given, finds nothing.
"""

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

from botocore.hooks import BaseEventHooks
from botocore.model import Shape

import console
from console import NEW

READS = ("BatchGet", "Describe", "Get", "Head", "List", "Search", "Lookup", "Filter", "Simulate")
#: lists that are empty in an answer of AWS's: nothing failed, and what is new is attached to nothing
EMPTY = ("failures", "Errors", "Attachments", "Associations")
_numbers = itertools.count(1)
#: parameter and value: names of what this run would have made; AWS does not know them
_made: set[tuple[str, Any]] = set()


def begin() -> None:
    _made.clear()


def attach(events: BaseEventHooks) -> None:
    """Under --dry-run, answer every changing call of these clients with a stand-in."""
    events.register("before-parameter-build.*.*", _note)
    events.register("before-call.*.*", _answer)


@contextlib.contextmanager
def suspended() -> Iterator[None]:
    """For a step that changes nothing although its calls are no reads: in it calls are made, and waits wait."""
    console.dry_run = False
    try:
        yield
    finally:
        console.dry_run = True


def _note(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    context["dry_run_params"] = params


def _answer(model: Any, context: dict[str, Any], **_: Any) -> Any:
    if not console.dry_run:
        return None
    params = context.get("dry_run_params", {})
    named = {(key, value) for key, value in params.items() if key.lower().endswith("name")}
    reads = model.name.startswith(READS)
    if reads and NEW not in str(params) and not named & _made:
        return None
    if model.name.startswith("Create"):
        _made.update(named)
    new = f"{NEW}-{next(_numbers)}"  # members of one name have one id
    answer = _stand_in(model.output_shape, params, reads, new) if model.output_shape else {}
    return _Response(), answer


class _Response:
    status_code = 200
    headers: dict[str, str] = {}  # noqa: RUF012


def _stand_in(shape: Shape, params: dict[str, Any], empty: bool, new: str, key: str = "", depth: int = 0) -> Any:
    """An answer of this shape: what was asked for where a member bears its name, else "(new)"; reads find nothing."""
    if shape.type_name == "structure":
        members = shape.members if depth < 6 else {}  # type: ignore[attr-defined]
        texts = [name for name, member in members.items() if member.type_name == "string"]
        asked = {name: params[name] for name in texts if isinstance(params.get(name), str)}
        return {
            name: _stand_in(member, params, empty or name in EMPTY, new, name, depth + 1)
            for name, member in members.items()
        } | asked
    if shape.type_name == "list":
        return [] if empty else [_stand_in(shape.member, params, empty, new, key, depth + 1)]  # type: ignore[attr-defined]
    if shape.type_name == "string":
        return "" if empty else f"{new}-{key})"
    return {"map": {}, "boolean": False, "integer": 0, "long": 0}.get(shape.type_name)
