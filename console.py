"""What a person sees: steps, waits and warnings on stderr, one line each; the result as one JSON document on stdout."""

import contextlib
import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TextIO

#: --dry-run: a step is told as what it would be
dry_run = False
#: how the ids begin of what a dry run would have made; as long as the ids and ARNs that AWS gives, since botocore checks that
NEW = "(new-in-this-dry-run"
NEW_ID = re.compile(r"\(new-in-this-dry-run(-[\w-]+\))?")
#: who hears each step besides
listeners: list[Callable[[str, str, str], None]] = []
#: --show-calls: stdout has something else in place of the result
without_result = False
#: what is told before anything else, once
_opening: list[Callable[[], None]] = []
_lock = threading.RLock()
_CHANGES = ("created", "updated", "uploaded", "deleted", "started", "stopped", "registered", "deregistered")
#: whose log lines were shown: each has its colour
_writers: list[str] = []
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
    for listener in listeners:
        listener(verb, what, detail)
    tell(verb, what, detail)


def tell(verb: str, what: str, detail: str = "") -> None:
    """The same, of what was said already, and held."""
    lines: list[Line] | None = getattr(_thread, "lines", None)
    if lines is not None and verb != "waiting":
        lines.append((verb, what, detail))
        return
    first()
    if dry_run and verb in _CHANGES:
        verb = "would have " + verb
    line = NEW_ID.sub("(new)", f"{verb} {what}" + (f"  {detail}" if detail else ""))
    if not _terminal() or os.environ.get("NO_COLOR"):
        _write(line)
        return
    from rich.text import Text

    text = Text(line)
    text.stylize(_COLOURS.get(verb, "dim" if verb in ("found", "already gone") else ""), 0, len(verb))
    with contextlib.suppress(OSError):
        _screen().print(text, soft_wrap=True, highlight=False)


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
    _write(text, end)


def show_table(lines: list[list[str]]) -> None:
    """Lines of cells, in columns; what is in a cell stands to its left, but for the last three, which are numbers."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for cells in lines:
        numbers = len(cells) - 3
        padded = [
            cell.ljust(width) if place < numbers else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        show(f"  {'  '.join(padded)}".rstrip())


def log(at: str, who: str, text: str) -> None:
    """A line that a container has written, beside the page's own: when, which container, what."""
    first()
    _write(_log_line(at, who, text, sys.stderr))


def line(at: str, who: str, text: str) -> None:
    """The same where such lines are the page's result."""
    if without_result:
        log(at, who, text)
        return
    first()
    print(_log_line(at, who, text, sys.stdout), flush=True)


def _log_line(at: str, who: str, text: str, stream: TextIO) -> str:
    """On a terminal each container has a colour; elsewhere the line is plain."""
    if not stream.isatty() or os.environ.get("NO_COLOR"):
        return f"{at} {who} {text}"
    if who not in _writers:
        _writers.append(who)
    return f"\x1b[2m{at}\x1b[0m \x1b[{36 - _writers.index(who) % 6}m{who}\x1b[0m {text}"


def _write(text: str, end: str = "\n") -> None:
    """Whoever read stderr may have gone, as after `2>&1 | head -1`: the work goes on all the same."""
    with contextlib.suppress(OSError):
        if not _live:
            print(text, end=end, file=sys.stderr, flush=True)
            return
        from rich.text import Text

        _screen().print(Text.from_ansi(text), soft_wrap=True, highlight=False, end=end)


def result(document: dict[str, Any]) -> None:
    """Print the result, all that goes to stdout but for --show-calls. Times are ISO 8601, in UTC: 2026-11-26T14:09:09Z"""
    with contextlib.suppress(BrokenPipeError):  # `| head -1` has read what it wanted
        if not without_result:
            print(NEW_ID.sub("(new)", json.dumps(document, indent=2, default=_plain)), flush=True)


def output(text: str) -> None:
    """A result that is no JSON, or what stands in place of one."""
    with contextlib.suppress(BrokenPipeError):
        print(text, end="", flush=True)


def how_many(count: int, what: str) -> str:
    """1 host; 2 hosts."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


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


class Progress:
    """A wait, or work of a known size, on screen: a live row on a terminal, elsewhere a line every 30 seconds.

    The row has the seconds so far, what AWS says meanwhile, in as many lines as that needs, and a bar where it is known
    how many of how many are done.
    """

    def __init__(self, what: str, total: float = 0, in_bytes: bool = False) -> None:
        self.what, self.news, self.in_bytes = what, "", in_bytes
        self.done, self.total = 0.0, total
        self.begun = self.told = time.monotonic()
        if _terminal():
            _rows.append(self)
            _draw()

    def show(self, why: Callable[[], str], done: Callable[[], tuple[float, float]] = lambda: (0, 0)) -> None:
        """Tell the seconds, and every 30 of them what AWS says meanwhile. `done`, how many of how many, is for a row."""
        now = time.monotonic()
        if due := now - self.told >= 30:
            self.told, self.news = now, why()
        if self in _rows:
            self.done, self.total = done()
            _draw()
        elif due:
            _write(f"  {now - self.begun:4.0f} s  {self.news or self.what}")

    def advance(self, done: float) -> None:
        self.done += done

    def close(self) -> None:
        if self in _rows:
            _draw()
            _rows.remove(self)
            _draw()


#: what is being waited for, on a terminal, a table above it, and rich's live display of both
_rows: list[Progress] = []
_tables: list[Callable[[], tuple[list[str], list[list[str]]]]] = []
_live: list[Any] = []


@contextlib.contextmanager
def bar(what: str, total: float) -> Iterator[Callable[[float], None]]:
    """So many bytes to move: call what this gives with those that were. Drawn on a terminal only."""
    row = Progress(what, total, in_bytes=True)
    try:
        yield row.advance
    finally:
        row.close()


@contextlib.contextmanager
def live_table(cells: Callable[[], tuple[list[str], list[list[str]]]]) -> Iterator[None]:
    """While it lasts, a terminal shows this table as it is by then, below all that is said; elsewhere nothing is shown."""
    if not _terminal() or os.environ.get("NO_COLOR"):
        yield
        return
    _tables.append(cells)
    _draw()
    try:
        yield
    finally:
        _tables.remove(cells)
        _draw()
        _screen().print(_table(cells))


def _draw() -> None:
    """Begin rich's live display with the first row, end it after the last: it stands below what is told meanwhile."""
    from rich.console import Console
    from rich.live import Live

    with _lock, contextlib.suppress(OSError):
        if (_rows or _tables) and not _live:
            screen = Console(stderr=True)
            kept: Any = {"redirect_stdout": False, "redirect_stderr": False, "transient": True}
            _live.append(Live(get_renderable=_drawn, console=screen, refresh_per_second=4, **kept))
            _live[0].start()
        elif _rows or _tables:
            _live[0].refresh()
        elif _live:
            _live.pop().stop()


def _drawn() -> Any:
    from rich.console import Group
    from rich.filesize import pick_unit_and_suffix
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2), expand=True)
    for how in ({"no_wrap": True}, {"ratio": 1, "overflow": "fold"}, {"no_wrap": True}, {"no_wrap": True}):
        grid.add_column(**how)
    for row in [*_rows]:
        unit, suffix = pick_unit_and_suffix(int(row.total), ["bytes", "KB", "MB", "GB", "TB"], 1000)
        count = f"{row.done / unit:.4g}/{row.total / unit:.4g}{f' {suffix}' if row.in_bytes else ''}"
        bars = (ProgressBar(total=row.total, completed=row.done, width=20), count) if row.total else ("", "")
        grid.add_row(f"  {time.monotonic() - row.begun:4.0f} s", Text(row.news or row.what), *bars)
    return Group(*map(_table, _tables), grid)


def _table(cells: Callable[[], tuple[list[str], list[list[str]]]]) -> Any:
    from rich.table import Table

    names, rows = cells()
    table = Table(*names)
    for row in rows:
        table.add_row(*row)
    return table


def _screen() -> Any:
    """Where to draw: above the live display where there is one."""
    from rich.console import Console

    live = _live[:1]  # another thread may end it meanwhile
    return live[0].console if live else Console(stderr=True)


def at_a_terminal() -> bool:
    """Whether a person types, and reads what comes to stdout."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
