"""The session and its clients: made once, with what stands between boto3 and AWS; whose account it is, and where."""

import atexit
import functools
import gc
import os
import threading
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.session import Session

import constants
from aws import answers, clock, dry_run, fresh, looks, record, service_models
from aws.failures import ATTEMPTS, Problem, last

if TYPE_CHECKING:
    import boto3


CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    connect_timeout=10,
    read_timeout=60,
    max_pool_connections=2 * looks.THREADS,
)
#: for what a page can do without: asked once, and waited for no longer than a person does
BRIEF = Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=1, read_timeout=3)
_lock, _asking, _choosing = threading.RLock(), threading.RLock(), threading.RLock()
_clients: dict[str, Any] = {}
#: the changing calls of this process
_changes: list[str] = []
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
    record.attach(events)
    answers.attach(events)
    clock.attach(events)
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


def dns_suffix() -> str:
    """How AWS's host names end here: amazonaws.com, and in China amazonaws.com.cn."""
    return str(session().get_component("endpoint_resolver").get_partition_dns_suffix(partition()))


def account() -> str:
    return str(caller()["Account"])


def caller() -> Any:
    """Who calls, as AWS knows it."""
    with _asking:  # who is asked by two threads at once asks AWS once
        return _caller(session())


@functools.cache
def _caller(of: Session) -> Any:
    return client("sts").get_caller_identity()


def changes() -> int:
    """How many changing calls this process has made."""
    return len(_changes)


def arn(service: str, resource: str) -> str:
    return f"arn:{partition()}:{service}:{region()}:{account()}:{resource}"


def _note(params: dict[str, Any], model: Any, **_: Any) -> None:
    """Each call, before it is made: what a sentence about it needs, and what it makes untrue of what was looked at."""
    service = model.service_model.service_name
    last.operation = f"{service} {model.name}"
    about = frozenset((key, value) for key, value in params.items() if isinstance(value, str))
    for looking in getattr(last, "looks", ()):
        looking.calls.add((service, model.name, about))
    if not model.name.startswith(dry_run.READS) and not params.get("DryRun"):  # EC2 then only says what it would do
        _changes.append(last.operation)
        looks.forget_what(service, model.name, dict(about))


def _note_refusal(http_response: Any, parsed: dict[str, Any], model: Any, **_: Any) -> None:
    """Which call it was stands in the error itself: others may be made before it is told, and in other threads."""
    if http_response.status_code >= 300:
        parsed["operation"], parsed["where"] = f"{model.service_model.service_name} {model.name}", answers.where()


def _note_failure(exception: Any, **_: Any) -> None:
    exception.operation = last.operation
