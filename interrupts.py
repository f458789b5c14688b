"""Ctrl-C, SIGTERM (a CI that cancels) and SIGHUP (a laptop that is closed) end a page alike: in a sentence, with its undo.

Imported before all else, since what boto3 imports takes a while: a Ctrl-C in it ends the process, and says nothing.
"""

import signal
import sys
from types import FrameType, TracebackType

#: those that would end the process without a word
LISTENED = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


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
    for number in LISTENED:
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _interrupt)


def end() -> None:
    """The page has ended: what comes now, while its threads end, ends the process at once."""
    for number in (signal.SIGINT, *LISTENED):
        if signal.getsignal(number) in (_interrupt, signal.default_int_handler):
            signal.signal(number, signal.SIG_DFL)


def _interrupt(number: int, _: FrameType | None) -> None:
    raise Interrupted(number)


def _quietly(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


if sys.excepthook is sys.__excepthook__:  # a notebook has its own
    sys.excepthook = _quietly
