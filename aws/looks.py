"""Reading AWS: looks that remember until something of their kind is changed, and calls made side by side."""

import functools
import threading
import time
from collections.abc import Callable, Iterable
from concurrent import futures
from typing import Any, Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

import console
import constants
from aws import fresh
from aws.failures import last, of_call

T = TypeVar("T")


#: reads at the same time: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html
THREADS = 8


class look(Generic[T]):  # noqa: N801 - a decorator
    """Makes of a function that reads one that remembers what it has read, until something of that kind is changed.

    For what only our own calls change. What AWS changes by itself (the health of a target, the state of a task) is read
    by a plain function each time. A `wait` forgets before each look what its looks have seen.
    """

    #: the same whatever endpoint the settings are those of
    shared = False
    #: what it sees does not change while one waits
    steady = False

    def __init__(self, read: Callable[[], T]) -> None:
        self.read = read
        self.calls: set[tuple[str, str, frozenset[tuple[str, str]]]] = set()  # service, operation, its plain parameters
        self.lock = threading.RLock()
        self.seen: list[T] = []
        self.settings: Any = None  # with which it was read
        self.began = 0.0  # by the monotonic clock

    def __call__(self) -> T:
        outer: tuple[look[Any], ...] = getattr(last, "looks", ())
        waits: tuple[set[look[Any]], ...] = getattr(last, "waits", ())
        for touched in () if self.steady else waits:
            touched.add(self)
        with self.lock:
            if waits and self in _outdated:
                forget(self)
            if not self.remembers():
                self.calls.clear()
                self.began = time.monotonic()
                last.looks = (*outer, self)
                try:
                    self.seen[:], self.settings = [self.read()], constants.KNOWN
                finally:
                    last.looks = outer
                _looks.add(self)
            for each in outer:
                each.calls |= self.calls
            return self.seen[0]

    def learn(self, answer: T) -> None:
        """What our own change has made of what was seen, or what another call has told, in place of another read."""
        forget(self)
        self.seen[:], self.settings = [answer], constants.KNOWN
        _looks.add(self)

    def remembers(self) -> bool:
        return bool(self.seen) and (self.shared or self.settings is constants.KNOWN)


class shared_look(look[T]):  # noqa: N801 - a decorator
    """The same for what the settings of an endpoint do not change: all security groups of the cluster."""

    shared = True


class steady_look(look[T]):  # noqa: N801 - a decorator
    """For what does not change while one waits: no wait reads it again, poll by poll. A price."""

    steady = True


#: those that have seen something
_looks: set[look[Any]] = set()
#: those of which a change has made untrue what they have seen, while `from_one_look` lets them remember it
_outdated: set[look[Any]] = set()
_from_one_look = False


def forget(*these: look[Any]) -> None:
    """What these looks have seen is not true any more."""
    for each in these:
        each.seen.clear()
        _looks.discard(each)
        _outdated.discard(each)


def from_one_look(yes: bool) -> None:
    """Whether what goes is taken from what was seen before the first of it went: many deletions, one look.

    Until this is over a change makes nothing be read again but by a `wait`; then all that was changed is.
    """
    global _from_one_look
    _from_one_look = yes
    for each in [] if yes else [*_outdated]:
        forget(each)


def forget_all() -> None:
    forget(*_looks)


def forget_what(service: str, operation: str, about: dict[str, str]) -> None:
    """A change makes untrue what was read of the same kind: AttachInternetGateway what DescribeInternetGateways told.

    Not what was read of another one by its name: CreateRole of one RoleName leaves GetRole of another as it is.
    """
    changed = fresh.noun(operation)
    for each in [*_looks]:
        kinds = [fresh.noun(read) for of, read, its in each.calls if of == service and not differ(its, about)]
        if any("Tag" in changed or changed in kind or kind in changed for kind in kinds):
            _outdated.add(each)
    from_one_look(_from_one_look)


def differ(read: frozenset[tuple[str, str]], changed: dict[str, str]) -> bool:
    """Whether the two are of different things: RoleName a and b; logGroupNamePrefix /ecs and logGroupName /aws."""
    begins = [(changed.get(key.removesuffix("Prefix"), text), text) for key, text in read if key.endswith("Prefix")]
    other = any(changed.get(key, text) != text for key, text in read)
    return other or any(not name.startswith(prefix) for name, prefix in begins)


@functools.cache
def _threads(depth: int) -> futures.ThreadPoolExecutor:
    """Its own for each depth: what one asks side by side may itself ask side by side, and waits for that."""
    return futures.ThreadPoolExecutor(THREADS)


def side_by_side(function: Callable[[Any], T], things: Iterable[Any]) -> list[T]:
    """What it answers of each of these, eight asked at the same time: the one place where calls are made side by side."""
    wanted = list(things)
    told: list[list[console.Line]] = [[] for _ in wanted]

    def telling(number: int) -> T:
        with console.held() as told[number]:
            return function(wanted[number])

    asked = [beside(telling, number) for number in range(len(wanted))]
    try:
        futures.wait(asked)  # also where one of them fails: none goes on behind the page's back
    finally:
        for each in asked:
            each.cancel()
        for line in [line for lines in told for line in lines]:
            console.tell(*line)
    return [each.result() for each in asked]


def together(*reads: Callable[[], Any]) -> list[Any]:
    """What each of these answers, all asked at the same time."""
    return side_by_side(lambda read: read(), reads)


def beside(function: Callable[..., T], *things: Any) -> "futures.Future[T]":
    """Begin this in a thread; its `result()` is what it answers."""
    looks, waits, depth = getattr(last, "looks", ()), getattr(last, "waits", ()), getattr(last, "depth", 0)
    recorded = getattr(last, "recorded_waits", ())

    def safely() -> T:
        last.looks, last.waits, last.depth, last.recorded_waits = looks, waits, depth + 1, recorded
        try:
            return function(*things)
        except (BotoCoreError, ClientError) as error:
            of_call(error)
            raise

    return _threads(depth).submit(safely)


def look_at(*looks: look[Any]) -> None:
    """All of these at the same time; each then answers from memory."""
    side_by_side(look.__call__, [each for each in looks if not each.remembers()])


def every(pages: Iterable[Any], key: str) -> list[Any]:
    """What a paginator lists, in one list."""
    return [each for page in pages for each in page[key]]
