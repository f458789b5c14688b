"""One way to call what AWS may refuse, and one way to wait."""

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypedDict, TypeVar, overload

from botocore.exceptions import BotoCoreError, ClientError

import console
import constants
from aws import record
from aws.failures import NOT_READY, Codes, Problem, as_tuple, code, explain, is_any, last, message
from aws.looks import forget, look
from aws.ownership import ours, refuse_foreign
from console import NEW

if TYPE_CHECKING:
    from typing_extensions import Unpack

P = ParamSpec("P")
T = TypeVar("T")


#: `of` for what can bear no tags: the caller has made sure in another way that it is ours, and says how
UNTAGGED: Any = "untagged"
#: `of` of a call that makes something new: there is nothing yet that could be another's
NOTHING: Any = "nothing"


class How(TypedDict, total=False):
    of: Any
    busy: Codes
    why: Callable[[], str]
    seconds: float


@overload
def call(method: Callable[P, T], what: str = "", **how: "Unpack[How]") -> Callable[P, T]: ...
@overload
def call(
    method: Callable[P, T], what: str = "", *, gone: Codes = (), there: Codes = (), **how: "Unpack[How]"
) -> Callable[P, T | None]: ...
def call(
    method: Callable[P, T],
    what: str = "",
    *,
    of: Any = NOTHING,
    gone: Codes = (),
    there: Codes = (),
    busy: Codes = (),
    why: Callable[[], str] = str,
    seconds: float = 0,
) -> Callable[P, T | None]:
    """One call that AWS may refuse: call(ec2.delete_subnet, of=subnet, gone="InvalidSubnetID.NotFound")(SubnetId=...).

    `what` it is about, for a person. `of`: the resource that it changes, with its tags: one that is not ours is never
    changed. Each of these is codes of errors, or parts of their text: `gone`, with which AWS says that there is no such
    thing (any more); `there`, with which it says that it is made already, by another run: the answer is then None; and
    `busy`, with which it refuses for a while (fresh roles, new ids, network interfaces that linger after their owner):
    the call is made again, until `seconds` or WAIT_TIMEOUT_SECONDS are over, and `why` says what holds it.
    """

    def made(*args: P.args, **kwargs: P.kwargs) -> T | None:
        new = console.dry_run and (not of or NEW in str(of))  # nothing is changed anyway
        if of is not NOTHING and of is not UNTAGGED and not new and not ours(of):
            tag = f"its tag {constants.CLUSTER_TAG}"
            raise Problem(f"{what or 'a resource'} is not of this runbook: it does not bear {tag}")
        refusal = ""

        def attempt() -> list[T | None]:
            nonlocal refusal
            try:
                return [method(*args, **kwargs)]
            except ClientError as error:
                if is_any(error, as_tuple(gone) + as_tuple(there)):
                    return [None]
                refusal = f"{code(error)}: {message(error)}"
                if not is_any(error, as_tuple(busy)):
                    error.about = what  # type: ignore[attr-defined]
                    raise
                return []

        with record.about(what, patient=bool(busy)):
            if console.dry_run or not busy:
                return next(iter(attempt()), None)
            return wait(what or method.__name__, attempt, lambda: "; ".join(filter(None, [refusal, why()])), seconds)[0]

    return made


def at_best(read: Callable[[], T]) -> tuple[T | None, str]:
    """What `read` answers; or None, and why, in one line: AWS did not tell it, or told what can't be read."""
    try:
        return read(), ""
    except (BotoCoreError, ClientError) as error:
        return None, explain(error).partition("\n")[0]
    except (LookupError, TypeError, ValueError) as error:
        return None, repr(error)


def wait(
    what: str,
    attempt: Callable[[], T],
    why: Callable[[], str],
    seconds: float = 0,
    done: Callable[[], tuple[int, int]] = lambda: (0, 0),
) -> T:
    """Look again until `attempt` answers something true, and return that.

    The one way to wait: after 1, 2 and 3 seconds, then every POLL_SECONDS, up to `seconds` or WAIT_TIMEOUT_SECONDS.
    When the time is over `why` says what AWS says. `done`: how many of how many are there, where that is known: a
    terminal shows it as a bar. Under --dry-run one look must do, whatever it shows.
    """
    limit = seconds or constants.WAIT_TIMEOUT_SECONDS
    deadline = time.monotonic() + limit
    looks, seen, outer = 0, set[look[Any]](), getattr(last, "waits", ())
    progress, recorded = None, record.begin_wait(what)
    last.waits = (*outer, seen)
    try:
        while not (answer := attempt()) and not console.dry_run:
            if time.monotonic() >= deadline:
                raise Problem(f"gave up waiting for {what} after {limit:.0f} s: {why()}", exit_code=NOT_READY)
            looks += 1
            if looks == 3:  # most things are there at the third look
                up_to = f"up to {in_words(limit)}"
                console.say("waiting", f"for {what}", f"({up_to})" if math.isfinite(limit) else "(as long as it takes)")
                progress = console.Progress(what)
            elif progress:
                progress.show(why, done)
            interval = min(looks, constants.POLL_SECONDS) if looks <= 3 else constants.POLL_SECONDS
            time.sleep(interval)
            forget(*seen)
        return answer
    finally:
        last.waits = outer
        record.end_wait(recorded, looks)
        if progress:
            progress.close()


def in_words(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.0f} s"


def pause(seconds: float) -> None:
    """Let AWS and other runs catch up; what was seen is to be forgotten then."""
    if not console.dry_run:
        time.sleep(seconds)


def listed(what: str, look: Callable[[], T], service: str = "AWS") -> T:
    """What another run made at the same moment, as `service` says: it lists it soon, and it is ours too."""
    found = wait(what, look, lambda: f"{service} says that it exists, but does not list it")
    refuse_foreign(what, found)
    return found


def holds(present: Any, wanted: Any) -> bool:
    """Whether what AWS shows has all that we want. It may show more, and a list in another order; empty is as absent."""
    if isinstance(wanted, dict) and isinstance(present, dict):
        return all(holds(present.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(present, list):
        return len(wanted) == len(present) and all(any(holds(p, w) for p in present) for w in wanted)
    return bool(present == wanted or (not present and not wanted))
