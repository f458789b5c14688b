"""What a person sees: steps, waits and warnings on stderr, one line each; the result as one JSON document on stdout."""

import contextlib
import json
import math
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

#: --dry-run: a step is told as what it would be
dry_run = False
#: the id of what a dry run would have made; as long as the ids and ARNs that AWS gives, since botocore checks their length
NEW = "(new-in-this-dry-run)"
#: what is told before anything else, once
_opening: list[Callable[[], None]] = []
_lock = threading.RLock()
#: where a terminal has a table below: all is drawn there, and no line lives
_screens: list[Any] = []
_CHANGES = ("created", "updated", "uploaded", "deleted", "started", "stopped", "registered", "deregistered")
_COLOURS = {"created": "green", "updated": "yellow", "deleted": "red", "kept": "cyan", "warning": "bold yellow"}

Line = tuple[str, str, str]
_thread = threading.local()


def begin_with(*opening: Callable[[], None]) -> None:
    """Tell this before the first line that is told."""
    _opening[:] = opening


def first() -> None:
    """What the page begins with, where it is not told yet."""
    with _lock:  # threads tell too
        if _opening:
            _opening.pop()()


def say(verb: str, what: str, detail: str = "") -> None:
    """One step, past tense: created, found, updated, deleted, already gone, kept, waiting, warning, next."""
    lines: list[Line] | None = getattr(_thread, "lines", None)
    if lines is not None and verb != "waiting":
        lines.append((verb, what, detail))
        return
    first()
    _clear()
    if dry_run and verb in _CHANGES:
        verb = "would have " + verb
    line = (f"{verb} {what}" + (f"  {detail}" if detail else "")).replace(NEW, "(new)")
    if not _terminal() or os.environ.get("NO_COLOR"):
        _write(line)
        return
    from rich.console import Console
    from rich.text import Text

    text = Text(line)
    text.stylize(_COLOURS.get(verb, "dim" if verb in ("found", "already gone") else ""), 0, len(verb))
    screen = _screens[-1] if _screens else Console(stderr=True)
    with contextlib.suppress(OSError):
        screen.print(text, soft_wrap=True, highlight=False)


@contextlib.contextmanager
def held() -> Iterator[list[Line]]:
    """What this thread says meanwhile: who does many things at the same time tells them in their order, afterwards."""
    before, lines = getattr(_thread, "lines", None), list[Line]()
    _thread.lines = lines
    try:
        yield lines
    finally:
        _thread.lines = before


def show(text: str, end: str = "\n") -> None:
    """What is no step: a list, a record to copy, a question."""
    first()
    _clear()
    _write(text, end)


def _write(text: str, end: str = "\n") -> None:
    """Whoever read stderr may have gone, as after `2>&1 | head -1`: the work goes on all the same."""
    with contextlib.suppress(OSError):
        print(text, end=end, file=sys.stderr, flush=True)


def result(document: dict[str, Any]) -> None:
    """Print the result; the only thing that ever goes to stdout. Times are ISO 8601, in UTC: 2026-11-26T14:09:09Z"""
    _clear()
    with contextlib.suppress(BrokenPipeError):  # `| head -1` has read what it wanted
        print(json.dumps(document, indent=2, default=_plain).replace(NEW, "(new)"), flush=True)


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value)


def open_streams() -> None:
    """One that is closed (`2>&-`) is there, and leads nowhere."""
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115


def flush_streams() -> None:
    """At the end. What no one reads any more is let go: Python would try once more to write it, and complain."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def live_table(cells: Callable[[], tuple[list[str], list[list[str]]]]) -> Iterator[None]:
    """While it lasts, a terminal shows this table as it is by then, below all that is said; elsewhere nothing is shown."""
    if not _terminal() or os.environ.get("NO_COLOR"):
        yield
        return
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

    def drawn() -> Table:
        names, rows = cells()
        table = Table(*names)
        for row in rows:
            table.add_row(*row)
        return table

    first()
    _screens.append(Console(stderr=True))
    try:
        with Live(get_renderable=drawn, console=_screens[-1], refresh_per_second=1):
            yield
    finally:
        _screens.pop()


class Progress:
    """A wait, on screen: a live line with the seconds so far on a terminal, elsewhere a line every 30 seconds."""

    def __init__(self, what: str, limit: float) -> None:
        self.what = what
        self.begun = self.told = time.monotonic()
        self.news = ""
        up_to = f"up to {limit / 60:.0f} min" if limit >= 60 else f"up to {limit:.0f} s"
        say("waiting", f"for {what}", f"({up_to})" if math.isfinite(limit) else "(as long as it takes)")

    def show(self, why: Callable[[], str]) -> None:
        """Tell the seconds, and every 30 of them what AWS says meanwhile."""
        now = time.monotonic()
        due = now - self.told >= 30
        if due:
            self.told, self.news = now, why()
        line = f"  {now - self.begun:4.0f} s  {self.news or self.what}"
        if _screens:
            return
        if _terminal():
            width = _columns()
            _write(f"\r{line[:width]:<{width}}", end="")
        elif due:
            _write(line)


def _terminal() -> bool:
    return sys.stderr.isatty()


def _columns() -> int:
    """The width of the live line: one less than the terminal's, which would wrap it."""
    return max(20, min(110, shutil.get_terminal_size().columns - 1))


def _clear() -> None:
    if _terminal() and not _screens:
        _write("\r" + " " * _columns() + "\r", end="")
