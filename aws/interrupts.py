"""Ctrl-C, SIGTERM (a CI that cancels) and SIGHUP (a laptop that is closed) end a page alike: in a sentence, with its undo.

Imported before all else, since what boto3 imports takes a while: a Ctrl-C in it ends the process, and says nothing.
"""

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

#: those that would end the process without a word
LISTENED = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
#: what a page stands on
NEEDED = ("boto3", "botocore", "dotenv", "rich")


class Interrupted(KeyboardInterrupt):
    """Another signal than Ctrl-C's: what is written for a Ctrl-C is good for it too."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """As shells count: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
    return 128 + (interrupt.number if isinstance(interrupt, Interrupted) else signal.SIGINT)


def listen() -> None:
    """From now on each of them is an exception. One that is ignored, as under nohup, stays so."""
    _replace(LISTENED, (signal.SIG_DFL,), _interrupt)


def end() -> None:
    """The page has ended: what comes now, while its threads end, ends the process at once."""
    _replace([signal.SIGINT, *LISTENED], (_interrupt, signal.default_int_handler), signal.SIG_DFL)


def _replace(numbers: list[int], these: tuple[Any, ...], handler: Any) -> None:
    if threading.current_thread() is threading.main_thread():  # Python gives signals to no other
        for number in [number for number in numbers if signal.getsignal(number) in these]:
            signal.signal(number, handler)


def _interrupt(number: int, _: FrameType | None) -> None:
    raise Interrupted(number)


def _quietly(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    lacking = str(getattr(error, "name", "")).partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and lacking in NEEDED:
        print(f"{lacking} is not installed: make .venv, then . .venv/bin/activate", file=sys.stderr)
    elif not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


if sys.excepthook is sys.__excepthook__:  # a notebook has its own
    sys.excepthook = _quietly
