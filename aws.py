"""The little that every script needs beside boto3: pages, clients, whose a resource is, one look, one way to call and to wait.

A page is a function with `@page(...)`, which says what it is about, and a last line that runs it as a command:
settings are checked first, an AWS error becomes one or two lines, and the exit code says which of a few ends it was.
"""

import interrupts

# isort: split
import argparse
import atexit
import functools
import gc
import hashlib
import os
import re
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent import futures
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, NoReturn, ParamSpec, TypedDict, TypeVar, overload

import botocore.exceptions
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

import answers
import console
import constants
import dry_run
import fresh
import service_models
import texts
from console import NEW, say

if TYPE_CHECKING:
    import boto3
    from typing_extensions import Unpack

P = ParamSpec("P")
T = TypeVar("T")
#: AWS throttles the reads of a busy account; 3 attempts, boto3's own, are too few for that
ATTEMPTS = 10
#: reads at the same time: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html
THREADS = 8
CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    connect_timeout=10,
    read_timeout=60,
    max_pool_connections=2 * THREADS,
)
#: for what a page can do without: asked once, and waited for no longer than a person does
BRIEF = Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=1, read_timeout=3)
#: boto3's own name of a service -> how its actions begin in a policy, where the two differ
ACTION_PREFIXES = {
    "efs": "elasticfilesystem",
    "elbv2": "elasticloadbalancing",
    "service-quotas": "servicequotas",
    "resourcegroupstaggingapi": "tag",
}


#: how a page ends; beside these 128 and the number of the signal that interrupted it
DONE, FAILED, WRONG_SETTING, NOT_READY, TASK_FAILED = range(5)
EXIT_CODES = (
    "exit: 0 done, 1 AWS said no or something failed, 2 a setting is wrong, 3 not ready in time,\n"
    "      4 the task ended with another code than 0, which the result tells; 129, 130 and 143 interrupted"
)


class Problem(Exception):
    """Something that the reader can put right, told in one sentence: what, where, what to do.

    `result` goes to stdout all the same: a task that failed has its exit code.
    """

    def __init__(self, sentence: str, result: dict[str, Any] | None = None, exit_code: int = FAILED) -> None:
        super().__init__(sentence)
        self.result, self.exit_code = result, exit_code


#: what ends a page: `explain` tells any of them
FAILURES = (Problem, BotoCoreError, ClientError)
Failure = Problem | BotoCoreError | ClientError

# ------------------------------------------------------------------------------------------------ session and clients

_lock, _asking, _choosing = threading.RLock(), threading.RLock(), threading.RLock()
_clients: dict[str, Any] = {}
_last = threading.local()  # the last call of this thread, for the sentence about its error
#: how many changing calls this process has made
changes = 0


# AWS's descriptions of its services are some hundred thousand small things that all stay: to search them for garbage
# while they are read, and once more when the process ends, takes a quarter of a page's time
gc.set_threshold(100_000)
atexit.register(gc.freeze)
#: the settings for which it was made, and the session
_last_session: list[Any] = [None, None]


@functools.cache
def _session(environment: tuple[tuple[str, str], ...], region: str) -> Session:
    """Profiles, SSO, roles and AWS_ENDPOINT_URL are its business. It is botocore's, on which boto3 stands: its clients
    are the same, and a page starts sooner without what boto3 has beside them."""
    made = Session()
    if region:
        made.set_config_variable("region", region)
    service_models.attach(made)
    events = made.get_component("event_emitter")
    events.register("provide-client-params.*.*", _note)
    events.register("after-call.*.*", _note_refusal)
    events.register("after-call-error.*.*", _note_failure)
    answers.attach(events)
    dry_run.attach(events)
    fresh.attach(events)
    return made


def session() -> Session:
    """The one of this environment: another profile or region in it makes another one. Settings are checked first."""
    with _choosing:  # threads that come first at the same time have the same one
        if _last_session[0] is not constants.KNOWN:
            constants.check()
            environment = tuple(sorted((name, text) for name, text in os.environ.items() if name.startswith("AWS_")))
            _last_session[:] = [constants.KNOWN, _session(environment, constants.AWS_REGION)]
    return _last_session[1]  # type: ignore[no-any-return]


def made_once(service: str, region_name: str = "", config: Config = CONFIG) -> Any:
    """A boto3 client, made once for all who ask for it; of another Region where one is named."""
    made_by, its_name = session(), f"{service} {region_name}{' brief' if config is BRIEF else ''}"
    if _clients.get("session") is made_by and its_name in _clients:
        return _clients[its_name]
    with _lock:
        if _clients.get("session") is not made_by:
            _clients.clear()
            _clients["session"] = made_by
        if its_name not in _clients:
            make: Any = made_by.create_client
            try:
                _clients[its_name] = make(service, region_name=region_name or None, config=config)
            except ValueError as error:  # botocore's answer to an address without http://
                sentence = f"{error}: AWS_ENDPOINT_URL must be a URL, for example http://127.0.0.1:5000"
                raise Problem(sentence) from error
        return _clients[its_name]


def courtesy(service: str, region_name: str = "") -> Any:
    """The same for what a page can do without, a price, a quota: it does not wait for that. See `at_best`."""
    return made_once(service, region_name, BRIEF)


if TYPE_CHECKING:
    client = boto3.Session().client  # boto3-stubs tell the type checker every method and parameter
else:
    client = made_once


def region() -> str:
    return str(client("ecs").meta.region_name)


def partition() -> str:
    """aws, aws-cn or aws-us-gov: the first part of every ARN."""
    return str(session().get_partition_for_region(region()))


def account() -> str:
    return str(caller()["Account"])


def caller() -> Any:
    """Who calls, as AWS knows it."""
    with _asking:  # who is asked by two threads at once asks AWS once
        return _caller(session())


@functools.cache
def _caller(of: Session) -> Any:
    return client("sts").get_caller_identity()


def arn(service: str, resource: str) -> str:
    return f"arn:{partition()}:{service}:{region()}:{account()}:{resource}"


def _note(params: dict[str, Any], model: Any, **_: Any) -> None:
    """Each call, before it is made: what a sentence about it needs, and what it makes untrue of what was looked at."""
    global changes
    service = model.service_model.service_name
    _last.operation = f"{service} {model.name}"
    about = frozenset((key, value) for key, value in params.items() if isinstance(value, str))
    for looking in getattr(_last, "looks", ()):
        looking.calls.add((service, model.name, about))
    if not model.name.startswith(dry_run.READS):
        changes += 1
        _forget_what(service, model.name, dict(about))


def _note_refusal(http_response: Any, parsed: dict[str, Any], model: Any, **_: Any) -> None:
    """Which call it was stands in the error itself: others may be made before it is told, and in other threads."""
    if http_response.status_code >= 300:
        parsed["operation"], parsed["where"] = f"{model.service_model.service_name} {model.name}", answers.where()


def _note_failure(exception: Any, **_: Any) -> None:
    exception.operation = _last.operation


# ------------------------------------------------------------------------------------------------------- names and tags


def name(suffix: str) -> str:
    return f"{constants.CLUSTER_NAME}-{suffix}"


def endpoint_name(suffix: str) -> str:
    """The name of what belongs to the endpoint; without endpoints that of the cluster."""
    return f"{constants.PREFIX}-{suffix}"


def tags(part: str = "", key: str = "Key", value: str = "Value", of: str = "cluster") -> list[Any]:
    """The tags of one resource, as a list; ECS spells the two words `key` and `value`.

    `part` is what the resource is to us, `private-1`: it is found again by that. Its Name is for people.
    """
    its_name, given = (name, constants.TAGS) if of == "cluster" else (endpoint_name, constants.ENDPOINT_TAGS)
    named = {**given, constants.PART_TAG: part, "Name": its_name(part)} if part else given
    return [{key: tag, value: text} for tag, text in named.items()]


def endpoint_tags(part: str = "", key: str = "Key", value: str = "Value") -> list[Any]:
    """The same for what belongs to the endpoint."""
    return tags(part, key, value, of="endpoint")


def tag_specification(resource_type: Any, part: str) -> list[Any]:
    """TagSpecifications of EC2's create calls: a resource tagged later can be orphaned by a crash in between."""
    return [{"ResourceType": resource_type, "Tags": tags(part)}]


def tag_filters() -> list[Any]:
    """Filters with which EC2's Describe calls find everything of one kind that bears our tag."""
    return [{"Name": f"tag:{constants.CLUSTER_TAG}", "Values": [constants.CLUSTER_NAME]}]


def tags_of(thing: Any) -> dict[str, str]:
    """The tags of a resource, or a list of them, however the service spells them."""
    found = thing
    if isinstance(thing, Mapping) and (kind := {"Tags", "tags", "TagList", "TagSet"} & thing.keys()):
        found = thing[kind.pop()]
    elif isinstance(thing, Mapping) and not all(isinstance(text, str) for text in thing.values()):
        return {}  # a resource that shows none
    if isinstance(found, Mapping):
        return dict(found)
    spelt = [{word.lower().removeprefix("tag"): text for word, text in tag.items()} for tag in found or ()]
    return {tag["key"]: tag.get("value", "") for tag in spelt}


def ours(thing: Any) -> bool:
    """Whether a resource, or its tags, belongs to this CLUSTER_NAME: the one place where that is asked."""
    return tags_of(thing).get(constants.CLUSTER_TAG) == constants.CLUSTER_NAME


def mine(thing: Any) -> bool:
    """Whether it belongs to this endpoint; without endpoints, to this cluster and none of its endpoints."""
    return ours(thing) and tags_of(thing).get(constants.ENDPOINT_TAG, "") == constants.ENDPOINT


def part(thing: Any) -> str:
    """What a resource is to us: private-1, the rule of an endpoint. Earlier versions said it in the Name alone."""
    found = tags_of(thing)
    prefix = "-".join(filter(None, [constants.CLUSTER_NAME, found.get(constants.ENDPOINT_TAG)]))
    return found.get(constants.PART_TAG) or found.get("Name", "").removeprefix(f"{prefix}-")


def refuse_foreign(what: str, thing: Any) -> None:
    """Something has the name that ours would have, and is another's: told before anything is made."""
    if thing and not ours(thing):
        tag = f"{constants.CLUSTER_TAG}={constants.CLUSTER_NAME}"
        raise Problem(f"the {what} exists already, and does not bear the tag {tag}: choose another CLUSTER_NAME")


def refuse_change(setting: str, found: str, undo: str = "run delete_cluster.py first") -> NoReturn:
    """A setting has been changed that AWS can't change any more on what there is: told before anything is made."""
    raise Problem(f"{setting}, but {found}, which can't be changed: set it back, or {undo}")


def spare_foreign(what: str, thing: Any) -> bool:
    """The same before a deletion: another's stays, and is named."""
    if not thing or ours(thing):
        return False
    say("kept", what, "not of this runbook")
    return True


def only(found: list[T], what: str, key: str) -> T | None:
    """The one match, or None; two are a problem that a person must look at, by their ids."""
    if len(found) > 1:
        ids = sorted(str(dict(each)[key]) for each in found)  # type: ignore[call-overload]
        way = f"Delete the one that is not wanted, or remove its tag {constants.CLUSTER_TAG}"
        raise Problem(f"two matches for {what}: {' and '.join(ids)}. {way}")
    return found[0] if found else None


def token(*parts: object) -> str:
    """A client token that is the same whenever the same thing is asked for: 32 characters."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:32]


def this_hour() -> str:
    """For the token of what may be made again later under the same name."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H")


class Resource(NamedTuple):
    """Something that stands in the account, as an inventory lists it: made by `resource`."""

    what: str  # as a person is told: subnet subnet-0abc
    arn: str
    tags: dict[str, str]
    part: str = ""
    kept: str = ""  # why a deletion leaves it, what it costs, and how to remove it


def resource(what: str, its_arn: str, thing: Any, kept: str = "") -> Resource:
    """What `left_over` of a part lists, of something with its tags as AWS shows it."""
    return Resource(what, its_arn, tags_of(thing), part(thing), kept)


# ------------------------------------------------------------------------------------------------------------- looking


class look(Generic[T]):  # noqa: N801 - a decorator
    """Makes of a function that reads one that remembers what it has read, until something of that kind is changed.

    For what only our own calls change. What AWS changes by itself (the health of a target, the state of a task) is read
    by a plain function each time. A `wait` forgets before each look what its looks have seen.
    """

    #: the same whatever endpoint the settings are those of
    shared = False

    def __init__(self, read: Callable[[], T]) -> None:
        self.read = read
        self.calls: set[tuple[str, str, frozenset[tuple[str, str]]]] = set()  # service, operation, its plain parameters
        self.lock = threading.RLock()
        self.seen: list[T] = []
        self.settings: Any = None  # with which it was read
        self.began = 0.0  # by the monotonic clock

    def __call__(self) -> T:
        outer: tuple[look[Any], ...] = getattr(_last, "looks", ())
        waits: tuple[set[look[Any]], ...] = getattr(_last, "waits", ())
        for touched in waits:
            touched.add(self)
        with self.lock:
            if waits and self in _outdated:
                forget(self)
            if not self.remembers():
                self.calls.clear()
                self.began = time.monotonic()
                _last.looks = (*outer, self)
                try:
                    self.seen[:], self.settings = [self.read()], constants.KNOWN
                finally:
                    _last.looks = outer
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


def _forget_what(service: str, operation: str, about: dict[str, str]) -> None:
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
            say(*line)
    return [each.result() for each in asked]


def together(*reads: Callable[[], Any]) -> list[Any]:
    """What each of these answers, all asked at the same time."""
    return side_by_side(lambda read: read(), reads)


def beside(function: Callable[..., T], *things: Any) -> "futures.Future[T]":
    """Begin this in a thread; its `result()` is what it answers."""
    looks, waits, depth = getattr(_last, "looks", ()), getattr(_last, "waits", ()), getattr(_last, "depth", 0)

    def safely() -> T:
        _last.looks, _last.waits, _last.depth = looks, waits, depth + 1
        try:
            return function(*things)
        except (BotoCoreError, ClientError) as error:
            of_call(error)
            raise

    return _threads(depth).submit(safely)


def of_call(error: Any) -> None:
    """Note at an error which call of this thread it is of: another one may come before it is told."""
    error.operation = getattr(error, "operation", "") or getattr(_last, "operation", "")


def look_at(*looks: look[Any]) -> None:
    """All of these at the same time; each then answers from memory."""
    side_by_side(look.__call__, [each for each in looks if not each.remembers()])


def every(pages: Iterable[Any], key: str) -> list[Any]:
    """What a paginator lists, in one list."""
    return [each for page in pages for each in page[key]]


# ------------------------------------------------------------------------------------------------ calling and waiting

#: `of` for what can bear no tags: the caller has made sure in another way that it is ours, and says how
UNTAGGED: Any = "untagged"
#: `of` of a call that makes something new: there is nothing yet that could be another's
NOTHING: Any = "nothing"
Codes = str | tuple[str, ...]


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

        if console.dry_run or not busy:
            return next(iter(attempt()), None)
        return wait(what or method.__name__, attempt, lambda: f"{refusal} {why()}".strip(), seconds)[0]

    return made


def at_best(read: Callable[[], T]) -> tuple[T | None, str]:
    """What `read` answers; or None, and why, in words: AWS did not tell it, or told what can't be read."""
    try:
        return read(), ""
    except (BotoCoreError, ClientError) as error:
        return None, explain(error)
    except (LookupError, TypeError, ValueError) as error:
        return None, repr(error)


def is_any(error: ClientError, codes: tuple[str, ...]) -> bool:
    """Whether it is of one of these codes, or has one of these words in its text."""
    return any(text == code(error) or (" " in text and text in message(error)) for text in codes)


def as_tuple(codes: Codes) -> tuple[str, ...]:
    return (codes,) if isinstance(codes, str) else codes


def wait(what: str, attempt: Callable[[], T], why: Callable[[], str], seconds: float = 0) -> T:
    """Look again until `attempt` answers something true, and return that.

    The one way to wait: after 1, 2 and 3 seconds, then every POLL_SECONDS, up to `seconds` or WAIT_TIMEOUT_SECONDS.
    When the time is over `why` says what AWS says. Under --dry-run one look must do, whatever it shows.
    """
    limit = seconds or constants.WAIT_TIMEOUT_SECONDS
    deadline = time.monotonic() + limit
    looks, seen, outer = 0, set[look[Any]](), getattr(_last, "waits", ())
    _last.waits = (*outer, seen)
    try:
        while not (answer := attempt()) and not console.dry_run:
            if time.monotonic() >= deadline:
                raise Problem(f"gave up waiting for {what} after {limit:.0f} s: {why()}", exit_code=NOT_READY)
            looks += 1
            if looks == 3:  # most things are there at the third look
                progress = console.Progress(what, limit)
            elif looks > 3:
                progress.show(why)
            interval = min(looks, constants.POLL_SECONDS) if looks <= 3 else constants.POLL_SECONDS
            time.sleep(interval)
            forget(*seen)
        return answer
    finally:
        _last.waits = outer


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


def code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def message(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message", ""))


# ------------------------------------------------------------------------------------------------------------ the edge


@dataclass(frozen=True)
class _Page:
    """What a page says of itself, for its command line and for the sentences about it."""

    of: str
    changes: bool
    undo: str
    unlisted: bool
    flags: dict[str, str | tuple[str, str]]


_pages: dict[str, _Page] = {}


def page(
    *,
    of: str = "endpoint",
    changes: bool = False,
    undo: str = "",
    unlisted: bool = False,
    **flags: str | tuple[str, str],
) -> Callable[[Callable[P, dict[str, Any]]], Callable[P, dict[str, Any]]]:
    """Makes a page of a function: its settings are loaded anew and checked, and AWS is looked at anew, whenever it begins.

    `of="cluster"`: it is about what endpoints share. `changes`: it has --dry-run. `undo`: the command that takes away
    what it makes. `unlisted`: it can do without the endpoint's file. `flags`: its parameters that the command line
    takes: what each means; for one that takes a value, the value's name too: ("ID", "the task's id or ARN").
    """

    def of_function(function: Callable[P, dict[str, Any]]) -> Callable[P, dict[str, Any]]:
        about = _pages[function.__name__] = _Page(of, changes, undo, unlisted, flags)

        @functools.wraps(function)
        def begun(*args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
            _begin(function.__name__, about)
            try:
                return function(*args, **kwargs)
            finally:
                from_one_look(False)
                forget_all()

        return begun

    return of_function


def _begin(name: str, about: _Page) -> None:
    constants.load()
    constants.check(ENDPOINT=_wrong_scope(name, about))
    forget_all()


def _wrong_scope(name: str, about: _Page) -> str:
    """A page about the cluster takes no endpoint; where endpoints share one, every other page needs one."""
    endpoint = constants.ENDPOINT
    if about.of == "cluster":
        return f"{endpoint}, but {name}.py is about the cluster: run it without ENDPOINT" if endpoint else ""
    if constants.CLUSTER_ONLY:
        return f"is not set: which endpoint? {constants.endpoint_files()}"
    if endpoint and not about.unlisted and not constants.ENDPOINT_PATH.is_file():
        return f"{endpoint}: there is no {constants.ENDPOINT_NAME}; {constants.endpoint_files()}"
    return ""


def main(function: Callable[..., dict[str, Any]], manual: str | None) -> int:
    """Run one page as a command: flags, settings, banner, the page, its result; errors end here, as sentences."""
    interrupts.listen()
    console.open_streams()
    about, before = _pages[function.__name__], changes
    try:
        options = vars(_parser(function.__name__, manual or "", about).parse_args())
        console.dry_run = options.pop("dry_run", False)
        dry_run.begin()
        _begin(function.__name__, about)
        beside(caller)  # AWS tells it while the page asks already what else it needs
        console.begin_with(_tell_where)
        console.result(_run(function, options))
        return DONE
    except texts.WrongSettings as wrong:  # before anything else, so without the first line, for which AWS is asked
        console.begin_with()
        console.show(str(wrong))
        return WRONG_SETTING
    except Problem as problem:
        if problem.result:
            console.result(problem.result)
        return _fail(str(problem), problem.exit_code)
    except KeyboardInterrupt as interrupt:
        console.begin_with()  # not even that: AWS would be asked for it
        again = "run it again, it goes on where it stopped"
        return _fail(f"interrupted; {again}{_stays(about, before)}", interrupts.exit_code(interrupt))
    except (BotoCoreError, ClientError) as error:
        if os.environ.get("DEBUG"):
            raise
        return _fail(explain(error) + (_stays(about, before) if is_expired(error) else ""))
    except OSError as error:  # this machine's: no space is left for the result
        return _fail(str(error))
    finally:
        console.flush_streams()
        interrupts.end()


def _stays(about: _Page, before: int) -> str:
    """The end of a sentence about a page that was cut short: what it has made costs on, until it is undone."""
    made = changes > before and about.undo and not console.dry_run
    return f"; what it made so far stays, and may cost, until {command(about.undo)}" if made else ""


def _run(function: Callable[..., dict[str, Any]], options: dict[str, Any]) -> dict[str, Any]:
    try:
        result = function(**options)
    except (Problem, BotoCoreError, ClientError) as error:
        of_call(error)
        console.first()  # who can't tell the account is told that, and nothing else
        raise
    console.first()
    return result


def _tell_where() -> None:
    """The first lines: whose account, as whom, where, about what, with which settings; and what is odd about these."""
    endpoint = f"  endpoint {constants.ENDPOINT}" if constants.ENDPOINT else ""
    who = str(caller()["Arn"]).split(":", 5)[-1]
    urls = {text for name, text in os.environ.items() if name.startswith("AWS_ENDPOINT_URL") and text}
    urls |= {url for service in ("sts", "ecs") if "amazonaws" not in (url := client(service).meta.endpoint_url)}
    elsewhere = f"  at {', '.join(sorted(urls))}" if urls else ""
    where = f"region {region()}  cluster {constants.CLUSTER_NAME}{endpoint}  caller {who}{elsewhere}"
    say("account", account(), f"{where}  settings {constants.files()}")
    if instead := constants.from_environment():
        say("environment", instead)
    for each in constants.ODD:
        say("warning", each)


def command(line: str) -> str:
    """How a page is run, as a person types it: `command("run_task.py")`; one of an endpoint with ENDPOINT in front."""
    script = line.partition(".py")[0]
    endpoint = constants.ENDPOINT and script not in CLUSTER_PAGES
    return f"ENDPOINT={constants.ENDPOINT} python {line}" if endpoint else f"python {line}"


#: the pages about what endpoints share: they are run without ENDPOINT
CLUSTER_PAGES = (
    *("create_cluster", "update_cluster", "delete_cluster", "describe_clusters"),
    *("create_certificate", "delete_certificate"),
)


def _fail(sentence: str, exit_code: int = FAILED) -> int:
    say("failed:", sentence)
    return exit_code


def _parser(name: str, manual: str, about: _Page) -> argparse.ArgumentParser:
    as_written = argparse.RawDescriptionHelpFormatter
    undo = f"undo: python {about.undo}\n" if about.undo else ""
    more = undo + EXIT_CODES + (_settings_of(name) if {"-h", "--help"} & {*sys.argv} else "")
    parser = argparse.ArgumentParser(description=manual, formatter_class=as_written, epilog=more)
    if about.changes:
        parser.add_argument("--dry-run", action="store_true", help="say what would be changed, and change nothing")
    for flag, meaning in about.flags.items():
        if isinstance(meaning, tuple):
            parser.add_argument(f"--{flag}", metavar=meaning[0], default="", help=meaning[1])
        else:
            parser.add_argument(f"--{flag}", action="store_true", help=meaning)
    return parser


def _settings_of(page: str) -> str:
    """The settings that a page reads, by the table of docs/settings.md."""
    table = Path(__file__).parent / "docs" / "settings.md"
    rows = [row.strip("| ").split(" | ") for row in table.read_text().splitlines()] if table.exists() else []
    read = [row[0].strip("`") for row in rows if len(row) == 4 and {page, "every page"} & {*row[3].split(", ")}]
    lines = textwrap.wrap(", ".join(read), 100, initial_indent="settings: ", subsequent_indent=" " * 10)
    return "\n".join(["", *lines, " " * 10 + "each is explained in docs/settings.md"])


def is_expired(error: BotoCoreError | ClientError) -> bool:
    return isinstance(error, ClientError) and code(error) in EXPIRED


#: how services say that the credentials were good until a while ago
EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired")


def explain(error: Failure) -> str:
    """An AWS error in one or two lines: which call, on what, AWS's reason, and what to change."""
    if isinstance(error, Problem):
        return str(error)
    operation = str(getattr(error, "operation", "") or getattr(_last, "operation", ""))
    if not isinstance(error, ClientError):
        return _explain_botocore(error, operation)
    operation = str(error.response.get("operation", operation))
    reason, text, about = code(error), message(error), getattr(error, "about", "")
    call = f"{operation} for {about}" if about else operation
    if is_expired(error):
        return f"the credentials have expired ({call}): sign in again, for example with aws sso login, and run it again"
    if reason in ("InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure", "SignatureDoesNotMatch"):
        return f"AWS does not accept these credentials ({reason} in {call}): look at aws sts get-caller-identity"
    if reason in ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation"):
        service, _, action = operation.partition(" ")
        lacking = re.search(r"not authorized to perform: ([\w-]+:\w+)", text)  # a call may need iam:PassRole besides
        right = lacking[1] if lacking else f"{ACTION_PREFIXES.get(service, service)}:{action}"
        return f"access denied: your credentials may not {right}\n{text}"
    if "Throttl" in reason or reason in ("RequestLimitExceeded", "TooManyRequestsException", "SlowDown"):
        return f"AWS throttles {call} ({reason}), after {ATTEMPTS} attempts: run it again in some minutes"
    if "LimitExceeded" in reason or "QuotaExceeded" in reason or reason in ("AddressLimitExceeded", "VpcLimitExceeded"):
        return f"a quota of the account is used up ({reason} in {call}): {text}\nraise it in the Service Quotas console"
    if reason.isdigit():  # no code of AWS's, but the HTTP status of whatever stands between
        return f"{error.response.get('where')} does not answer {call} as AWS does: {text} ({reason})"
    return f"{call}: {text} ({reason})"


def _explain_botocore(error: BotoCoreError, operation: str) -> str:
    kinds = botocore.exceptions
    if isinstance(error, kinds.NoCredentialsError | kinds.PartialCredentialsError | kinds.CredentialRetrievalError):
        return f"no credentials: {error}. Set AWS_PROFILE, or sign in with aws configure or aws sso login"
    if isinstance(error, answers.NotAws):
        return str(error)
    if isinstance(error, kinds.NoRegionError):
        return "no region: set AWS_REGION, for example AWS_REGION=us-east-1"
    if isinstance(error, kinds.ProfileNotFound):
        return f"{error}: look at aws configure list-profiles"
    if isinstance(error, kinds.SSOError | kinds.TokenRetrievalError):
        return f"not signed in: {error}. Sign in with aws sso login"
    if isinstance(error, kinds.ConnectionError | kinds.HTTPClientError):
        return f"can't reach AWS: {error}. Look at the region, the network, and AWS_ENDPOINT_URL"
    return f"{operation}: {error}"
