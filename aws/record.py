"""What a run did: each call as botocore makes it, what was waited for, what was told. Kept only where a flag asks for it.

`--show-calls` makes a shell script of it (shell_script.py), `--timeline` a picture of where the time went (timeline.py), and
`--record` a line in a log for each change. No page and no part knows of it. Values of environments, secrets and sign-ins are
never in it.
"""

import copy
import itertools
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from botocore.hooks import BaseEventHooks

import console
from aws.dry_run import READS
from aws.failures import last

#: in place of a value of a container's environment, or of a SecureString: its name between these; a second value is NAME_2
SECRET, SECRET_ENDS = "\ue000", "\ue001"
_secrets: dict[str, list[str]] = {}
#: what signs in, to a registry or to a shell
SIGN_INS = ("authorizationToken", "tokenValue")
#: ids that AWS gives: i-0abc..., and ARNs
ID = re.compile(r"arn:\S+|[a-z]+-[0-9a-f]{8,}|[0-9a-f-]{32,}")


@dataclass
class Call:
    """One call. `what` it is about, and whether it is `patient`: AWS may refuse it for a while, and it is made again."""

    number: int
    service: str
    operation: str
    region: str
    params: Any
    began: float  # by the monotonic clock
    ended: float = 0
    answer: Any = None
    error: str = ""  # AWS's code
    what: str = ""
    patient: bool = False
    waits: tuple[int, ...] = ()  # the numbers of those during which it was made
    thread: int = 0

    @property
    def changes(self) -> bool:
        return not self.operation.startswith(READS) and not self.params.get("DryRun")  # EC2 then says what it would do


@dataclass
class Wait:
    """Something that was waited for: from the first look to the last."""

    number: int
    what: str
    began: float
    ended: float = 0
    looks: int = 0  # after the first
    waits: tuple[int, ...] = ()
    thread: int = 0


@dataclass
class Told:
    """One step, as the page told it after its calls."""

    number: int
    verb: str
    what: str
    detail: str
    thread: int = 0


@dataclass
class Record:
    """Of one run of a page."""

    page: str
    began: float
    dry_run: bool = False
    ended: float = 0
    exit: int = 0
    calls: list[Call] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)


_numbers = itertools.count(1)
#: the one of this process, where there is one
_current: list[Record] = []
#: where changes are noted as they are made, and by whom
_log: list[tuple[Path, Callable[[], str]]] = []


def attach(events: BaseEventHooks) -> None:
    events.register("provide-client-params.*.*", _begin)
    events.register("after-call.*.*", _end)


def begin(page: str, dry_run: bool, log: str | None = None, who: Callable[[], str] = str) -> None:
    """From now on. `log`: the file to which each change is added as soon as it is made; `who` makes it."""
    _secrets.clear()
    _current[:] = [Record(page, time.monotonic(), dry_run)]
    _log[:] = [(Path(log), who)] if log else []
    console.listeners[:] = [_tell]


def end(exit_code: int) -> Record | None:
    """The record, where one was kept; nothing is added to it any more."""
    console.listeners.clear()
    if not _current:
        return None
    record = _current.pop()
    record.ended, record.exit = time.monotonic(), exit_code
    if any(call.changes for call in record.calls) and not record.dry_run:
        _note(record.page, {"exit": exit_code})
    _log.clear()
    return record


def saved(record: Record) -> str:
    """As JSON, for who draws several pages as one."""
    return json.dumps(asdict(record), default=str)


def restored(text: str) -> Record:
    found = json.loads(text)
    lists = {"calls": Call, "waits": Wait, "told": Told}
    for key, kind in lists.items():
        found[key] = [kind(**each) for each in found[key]]
    for each in [*found["calls"], *found["waits"]]:
        each.waits = tuple(each.waits)
    return Record(**found)


@contextmanager
def about(what: str, patient: bool) -> Iterator[None]:
    """The calls of this thread meanwhile are about this."""
    before = getattr(last, "about", ("", False))
    last.about = what, patient
    try:
        yield
    finally:
        last.about = before


def begin_wait(what: str) -> Wait:
    """The calls from now on, of this thread and of those that it begins, are looks at what is waited for."""
    outer: tuple[int, ...] = getattr(last, "recorded_waits", ())
    one = Wait(next(_numbers), what, time.monotonic(), waits=outer, thread=threading.get_ident())
    last.recorded_waits = (*outer, one.number)
    if _current:
        _current[0].waits.append(one)
    return one


def end_wait(one: Wait, looks: int) -> None:
    last.recorded_waits = one.waits
    one.ended, one.looks = time.monotonic(), looks


def _begin(params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
    if _current:
        what, patient = getattr(last, "about", ("", False))
        context["recorded"] = Call(
            next(_numbers),
            model.service_model.service_name,
            model.name,
            str(context.get("client_region", "")),
            _without_secrets(params),
            time.monotonic(),
            what=what,
            patient=patient,
            waits=getattr(last, "recorded_waits", ()),
            thread=threading.get_ident(),
        )


def _end(parsed: Any, context: dict[str, Any], **_: Any) -> None:
    call: Call | None = context.pop("recorded", None)
    if call is None or not _current:
        return
    call.ended = time.monotonic()
    call.error = str((parsed.get("Error") or {}).get("Code", "")) if _is_error(parsed) else ""
    call.answer = {} if call.error else _without_secrets({k: v for k, v in parsed.items() if k != "ResponseMetadata"})
    _current[0].calls.append(call)
    if call.changes and not _current[0].dry_run:
        refused = {"refused": call.error} if call.error else {}
        _note(_current[0].page, {"call": f"{call.service} {call.operation}", "ids": _ids(call), **refused})


def _is_error(parsed: Any) -> bool:
    return int(parsed.get("ResponseMetadata", {}).get("HTTPStatusCode", 200)) >= 300 or set(parsed) == {"Error"}


def _note(page: str, what: dict[str, Any]) -> None:
    """One line of the log, whole or not at all: several runs may write to the same file."""
    for path, who in _log:
        when = datetime.fromtimestamp(time.time(), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        with path.open("a") as file:
            file.write(json.dumps({"when": when, "who": who(), "page": page, **what}) + "\n")


def _tell(verb: str, what: str, detail: str) -> None:
    if _current and verb != "waiting":
        _current[0].told.append(Told(next(_numbers), verb, what, detail, threading.get_ident()))


def _ids(call: Call) -> list[str]:
    """The ids, ARNs and names that it was given and answered."""
    named = {text for key, text in strings(call.params) if key.lower().rstrip("s").endswith("name")}
    ids = {text for _, text in (*strings(call.params), *strings(call.answer)) if ID.fullmatch(text)}
    return sorted(named | ids)


def strings(thing: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text in it, with the name of its member."""
    if isinstance(thing, dict):
        for name, value in thing.items():
            yield from strings(value, name)
    elif isinstance(thing, list | tuple):
        for value in thing:
            yield from strings(value, key)
    elif isinstance(thing, str):
        yield key, thing


def _without_secrets(thing: Any, key: str = "") -> Any:
    """A copy, in which secrets are only named: values of containers' environments, and what Systems Manager encrypts."""
    if key in SIGN_INS:
        return ""
    if isinstance(thing, dict):
        if key == "environment" and {*thing} == {"name", "value"}:
            return {"name": thing["name"], "value": _named_secret(thing["name"], thing["value"])}
        if thing.get("Type") == "SecureString" and "Value" in thing:
            thing = {**thing, "Value": _named_secret(thing["Name"], thing["Value"])}
        return {name: _without_secrets(value, name) for name, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [_without_secrets(each, key) for each in thing]
    if hasattr(thing, "read"):  # the contents of a file: its name, by whatever reads it
        while thing and not isinstance(getattr(thing, "name", None), str):
            thing = getattr(thing, "_fileobj", None)
        return thing.name if thing else ""
    return copy.copy(thing)


def _named_secret(name: str, value: str) -> str:
    values = _secrets.setdefault(name, [])
    if value not in values:
        values.append(value)
    number = values.index(value) + 1
    return f"{SECRET}{name}{f'_{number}' if number > 1 else ''}{SECRET_ENDS}"
