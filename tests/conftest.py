"""The runbook in one process: each script is run as its user runs it, against an emulator with a clock of its own.

Time is AWS's own, but no one waits for it: a script that sleeps moves the emulator's clock instead.

A test says with `has_run` what its user has run before, and that costs next to nothing where another test said the same
with the same settings; `account` and `settle` are cheap after it in the same way. `run` always runs the script.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import gc
import importlib
import importlib.machinery
import inspect
import io
import json
import os
import pickle
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import boto3
import botocore.auth
import botocore.endpoint
import botocore.hooks
import botocore.loaders
import botocore.session
import botocore.useragent
import botocore.utils
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import EndpointConnectionError
from botocore.httpsession import URLLib3Session
from botocore.retries.quota import RetryQuota

from emulator.account import resources
from emulator.acm import certificates
from emulator.core.wire import Emulator, _Raw, attach
from emulator.core.world import VirtualClock
from emulator.registry import http as registries
from emulator.registry import images
from tests.pictures import Picture, put_back, take

ROOT = Path(__file__).parent.parent
USERS_OF_TIME = (
    *(
        "aws.calls",
        "aws.clock",
        "aws.looks",
        "aws.fresh",
        "aws.record",
        "console",
        "infrastructure.clean_up",
        "infrastructure.cluster.network",
    ),
    *(
        "infrastructure.cluster.mount_targets",
        "infrastructure.cluster.auto_scaling_group",
    ),
)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
READS = ("BatchGet", "Describe", "Filter", "Get", "List", "Simulate", "AssumeRole", "GET", "HEAD")


def pytest_collection_finish() -> None:
    """What is imported by now stays: looking through it for garbage again and again costs a fifth of the time."""
    gc.freeze()
    gc.set_threshold(200_000, 10, 1_000)


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        assert self.out, f"ended with {self.code}: {self.err}"
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


class FakeTime:
    """What the product takes for `time`: the emulator's clock."""

    def __init__(self, clock: VirtualClock) -> None:
        self.monotonic = clock.now
        self.sleep = clock.sleep
        self.time = clock.now


@dataclass
class Runbook:
    """Runs scripts by their file name: `runbook.run("stop_task.py", "--all", MAX_INSTANCES="2")`."""

    emulator: Emulator
    settings: dict[str, str] = field(default_factory=dict)
    #: called with "before" and "after" around each AWS call of a script
    watch: Callable[[str], None] | None = None
    #: False in a test that changes more than the account (monkeypatch): it shares nothing with other tests
    remembers: bool = True

    def run(self, script: str, *flags: str, **settings: str) -> Ran:
        """Run it as its user does: what it printed, and how it ended."""
        out, err = io.StringIO(), io.StringIO()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "ENV_FILE": "/dev/null",
            "AWS_ACCESS_KEY_ID": "emulator",
            "AWS_SECRET_ACCESS_KEY": "emulator",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            **self.settings,
            **settings,
        }
        with (
            mock.patch.dict(os.environ),  # a script puts the AWS_* of its .env there
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            for name in [name for name in os.environ if not name.startswith("MOTO_")]:  # these are the emulator's
                patch.delenv(name)
            for name, value in environment.items():
                if value != "(unset)":
                    patch.setenv(name, value)
            patch.setattr(sys, "argv", [script, *flags])
            code = self._execute(script, patch)
        return Ran(code, out.getvalue(), err.getvalue())

    def has_run(self, *commands: str, **settings: str) -> Runbook:
        """What a user has run before: each of these ends well. See `once`: it costs time in the first test only."""
        known = sorted({**self.settings, **settings}.items())
        steps = [((command, *known), functools.partial(self._ended, command, settings)) for command in commands]
        for ended in self._each_once(steps):
            assert ended is None, ended
        return self

    def _ended(self, command: str, settings: dict[str, str]) -> str | None:
        ran = self.run(*command.split(), **settings)
        return f"{command}: {ran.err}" if ran.code else None

    def once(self, what: tuple[Any, ...], do: Callable[[], Any]) -> Any:
        """Do this once for all tests of the process that do it to the same account: its answer.

        The others are given the answer, and the account as it was afterwards. What a test is about is run by `run`,
        and so each time; this is for what comes before and after that.
        """
        [answer] = self._each_once([(what, do)])
        return answer

    def _each_once(self, steps: Iterable[tuple[tuple[Any, ...], Callable[[], Any]]]) -> Iterator[Any]:
        """The same for one after the other: the account is put back when it is needed, after the last of them."""
        now: Picture | None = None
        seen: Picture | None = None
        for what, do in steps:
            if now is None:
                now = seen = self._picture()
            if now and (now.digest, what) in _remembered:
                now, answer = _remembered[now.digest, what]
                yield copy.deepcopy(answer)
                continue
            self._go_on_from(now, seen)
            answer = do()
            if now:
                seen = take(self.emulator)
                _remembered[now.digest, what] = seen, answer
                now, answer = seen, copy.deepcopy(answer)
            yield answer
        self._go_on_from(now, seen)

    def _picture(self) -> Picture | None:
        try:
            return None if self.watch or not self.remembers else take(self.emulator)
        except pickle.PicklingError:  # a test has put a function of its own into the account
            return None

    def _go_on_from(self, wanted: Picture | None, seen: Picture | None) -> None:
        """Put the account back, if it is not as it was seen last."""
        if wanted and seen and wanted.differs_in_calls_only(seen):
            self.emulator.calls[:] = wanted.calls
        elif wanted:
            put_back(self.emulator, wanted)

    def _execute(self, script: str, patch: pytest.MonkeyPatch) -> int:
        _current.emulator = self.emulator
        users = {name: importlib.import_module(name) for name in USERS_OF_TIME}
        clients, fresh = importlib.import_module("aws.clients"), users["aws.fresh"]
        fresh.forget()
        clients._last_session[:] = [None, None]  # a thread of an earlier run may have chosen it without its environment
        patch.setattr(clients, "Session", _session)
        clients._caller.cache_clear()  # as in a new process
        owner = None if self.remembers else self
        if owner is not _owner_of_clients[0]:
            _owner_of_clients[0] = owner
            _choose_clients(clients, owner)
        for quota in _quotas:
            quota._available_capacity = quota._max_capacity
        fake = FakeTime(self.emulator.world.clock)  # type: ignore[arg-type]
        for module in (*users.values(), botocore.endpoint):  # the last for boto3's own pauses
            patch.setattr(module, "time", fake)
        patch.setattr(URLLib3Session, "send", functools.partial(_send, self.emulator))
        for door in ("handle", "ask"):
            patch.setattr(self.emulator, door, functools.partial(self._watched, getattr(type(self.emulator), door)))
        handlers = [(number, signal.getsignal(number)) for number in SIGNALS]
        try:
            _run_as_main(ROOT / script, patch)
        except SystemExit as end:
            return int(end.code or 0) if isinstance(end.code, int | None) else 1
        finally:
            if threading.current_thread() is threading.main_thread():
                for number, handler in handlers:  # a script's process would end here
                    signal.signal(number, handler)
        return 0

    def _watched(self, door: Callable[..., Any], *asked: Any) -> Any:
        if self.watch:
            self.watch("before")
        answer = door(self.emulator, *asked)
        if self.watch:
            self.watch("after")
        return answer

    def aws(self, service: str) -> Any:
        """A boto3 client of the emulated account, for looking at it and for changing it behind the scripts' back."""
        _current.emulator = self.emulator
        return _client(service)

    def regional(self, service: str, region: str) -> Any:
        """The same client, of another Region."""
        _current.emulator = self.emulator
        return _client(service, region)

    def account(self, after: float = 0) -> dict[str, Any]:
        """Everything in the account but what it always has, by name, without ids and times; when so many seconds are over."""
        *_, found = self._each_once([*([self._settling(after)] if after else ()), (("account",), self.look)])
        return dict(found)

    def look(self) -> dict[str, Any]:
        """The same, without a picture for those who come to the same account."""
        with self.emulator.still():
            return resources(self.aws)

    def settle(self, seconds: float = 600) -> None:
        """Let AWS finish what it is doing."""
        self.once(*self._settling(seconds))

    def _settling(self, seconds: float) -> tuple[tuple[Any, ...], Callable[[], Any]]:
        return ("settle", seconds), functools.partial(self._settle, seconds)

    def _settle(self, seconds: float) -> None:
        clock = self.emulator.world.clock
        assert isinstance(clock, VirtualClock)
        for _ in range(8):
            clock.sleep(seconds / 8)
            self.emulator.world.advance()

    def changes(self, since: int) -> list[str]:
        """The changing calls since the emulator's call of this number, as service:operation."""
        calls = self.emulator.calls[since:]
        made = [(service, operation) for service, operation, outcome in calls if outcome != "DryRunOperation"]
        return [f"{service}:{operation}" for service, operation in made if not operation.startswith(READS)]


def _send(emulator: Emulator, request: Any) -> AWSResponse:
    """What comes over HTTP and not from AWS's APIs: container registries, which the emulator imitates, and nothing else."""
    headers = {name.lower(): str(value) for name, value in request.headers.items()}
    with emulator._lock:
        answered = registries.answer(emulator.world, request.method, request.url, headers)
    if answered is None:
        raise EndpointConnectionError(endpoint_url=request.url)
    status, told, content = answered
    return AWSResponse(request.url, status, HTTPHeaders.from_dict(told), _Raw(content))


#: the test for which alone the clients of the product were made
_owner_of_clients: list[Runbook | None] = [None]
#: an account and what was done to it -> the account afterwards, and the answer
_remembered: dict[Any, tuple[Picture, Any]] = {}


@functools.cache
def _loader() -> Any:
    return botocore.loaders.Loader()


# What botocore does at length, and no one here looks at: it asks each handler of each new session which arguments it
# takes, composes a User-Agent, signs, and reads the same times again and again. (The rehearsals, and tests that start
# processes, have all that.)
def _accepts_kwargs(handler: Any) -> bool:
    code = getattr(handler, "__code__", None)
    return bool(code.co_flags & inspect.CO_VARKEYWORDS if code else inspect.getfullargspec(handler).varkw)


@functools.cache
def _aliased(event: str) -> str:
    return str(_alias(botocore.hooks.EventAliaser(botocore.hooks.HierarchicalEmitter()), event))


_botocore: Any = botocore
_alias = _botocore.hooks.EventAliaser._alias_event_name
_botocore.hooks.EventAliaser._alias_event_name = lambda _, event: _aliased(event)
_botocore.hooks.accepts_kwargs = _accepts_kwargs
_botocore.utils._parse_timestamp_with_tzinfo = functools.lru_cache(10_000)(_botocore.utils._parse_timestamp_with_tzinfo)
_botocore.useragent.UserAgentString.to_string = lambda _: "tests"
_botocore.auth.SigV4Auth.canonical_request = lambda *_: ""
_botocore.auth.SigV4Auth.signature = lambda *_: "0"


# Each run of a page reads its file and, where settings have changed, constants.py: what Python compiles of a text is the same.
_Files: Any = importlib.machinery.SourceFileLoader
_Files.source_to_code = functools.lru_cache(200)(_Files.source_to_code)


def _run_as_main(path: Path, patch: pytest.MonkeyPatch) -> None:
    """As `python path` does."""
    main: Any = ModuleType("__main__")
    main.__file__ = str(path)
    patch.setitem(sys.modules, "__main__", main)
    patch.setattr(sys, "argv", [str(path), *sys.argv[1:]])
    loader = _Files("__main__", str(path))
    exec(loader.source_to_code(loader.get_data(str(path)), str(path)), vars(main))


class _Current(Emulator):
    """Passes each request to the emulator of the running test, so that a client is made once for all tests."""

    emulator: Emulator

    def __init__(self) -> None:
        pass

    def handle(self, method: str, url: str, headers: Any, body: bytes) -> Any:
        return self.emulator.handle(method, url, headers, body)

    @property
    def on_the_wire(self) -> bool:
        return self.emulator.on_the_wire

    def ask(self, *asked: Any) -> Any:
        return self.emulator.ask(*asked)


_current = _Current()


def _choose_clients(clients: Any, owner: Runbook | None) -> None:
    """Those that all tests share, or new ones that no other test has."""
    if not _shared_clients:
        _shared_clients.extend([clients._session, clients._clients])
    own = [functools.cache(_shared_clients[0].__wrapped__), {}]
    clients._session, clients._clients = own if owner else _shared_clients


#: the product's sessions and clients for all tests that need none of their own
_shared_clients: list[Any] = []
#: what faults leave in a client: how often it still may try again; a page begins with all of that, as in a new process
_quotas: weakref.WeakSet[Any] = weakref.WeakSet()


class _Quota(RetryQuota):
    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        _quotas.add(self)


_botocore.retries.quota.RetryQuota = _Quota


def _session() -> botocore.session.Session:
    """The product's, whose clients are made once for all tests that have the same environment."""
    made = botocore.session.Session()
    events: Any = SimpleNamespace(events=made.get_component("event_emitter"))
    attach(events, _current)
    return made


@functools.cache
def _client(service: str, region: str = "us-east-1") -> Any:
    session: Any = boto3.Session("emulator", "emulator", region_name=region)
    session._session.register_component("data_loader", _loader())
    attach(session, _current)
    return session.client(service)


GPU = {
    "CLUSTER_NAME": "gpu",
    "IMAGE": "nvidia/cuda:12.8.1-base-ubuntu24.04",
    "COMMAND": "sh -c 'nvidia-smi; sleep infinity'",
    "EFS_DELETION_POLICY": "Delete",
}
FARGATE = {
    "CLUSTER_NAME": "api",
    "LAUNCH_TYPE": "FARGATE",
    "GPU_COUNT": "0",
    "TASK_CPU": "256",
    "TASK_MEMORY": "512",
    "CONTAINER_PORTS": "9090",
    "ALLOWED_CIDR": "203.0.113.7/32",
    "IMAGE": "public.ecr.aws/j6h6k0h7/ml/sd-apiserver:latest",
    "EFS_VOLUMES": "data:/var/data",
    "EFS_DELETION_POLICY": "Delete",
}


#: what no one has published, and tests run: each runs whatever it is asked to
IMAGES = ("example.com/ml:v1", "example.com/unhealthy:v1", "app:1", "app:broken-1", "unhealthy:1")


@functools.cache
def new_account() -> Picture:
    """An account with nothing in it, in which moto has read the list of AMIs already."""
    emulator = _current.emulator = Emulator(VirtualClock())
    for image in IMAGES:
        images.add(emulator.world, image)
    _client("ssm").get_parameter(Name="/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended")
    emulator.calls.clear()
    return take(emulator)


@pytest.fixture
def runbook(request: pytest.FixtureRequest) -> Runbook:
    """A GPU cluster's settings, and a new AWS account."""
    emulator = Emulator(VirtualClock())
    put_back(emulator, new_account())
    return Runbook(emulator, dict(GPU), remembers="monkeypatch" not in request.fixturenames)


@pytest.fixture
def fargate(runbook: Runbook) -> Runbook:
    """The API server's settings, and a new AWS account."""
    runbook.settings = dict(FARGATE)
    return runbook


@pytest.fixture
def clara(runbook: Runbook) -> Runbook:
    """The settings of examples/clara-train.env with a certificate that is issued, and a new AWS account."""
    runbook.settings = {"ENV_FILE": str(ROOT / "examples" / "clara-train.env"), "CERTIFICATE_ARN": issued(runbook)}
    return runbook


@pytest.fixture
def endpoints(runbook: Runbook) -> Runbook:
    """The settings of examples/ml-endpoints/.env, with a certificate that is issued, and a new AWS account.

    Scripts of an endpoint are run with ENDPOINT="a" or "b".
    """
    runbook.settings = {
        "ENV_FILE": str(ROOT / "examples" / "ml-endpoints" / ".env"),
        "CERTIFICATE_DOMAINS": "",
        "CERTIFICATE_ARN": issued(runbook, "*.ml.example.com"),
    }
    return runbook


def issued(runbook: Runbook, domain: str = "clara.example.com") -> str:
    """The ARN of a certificate whose owner has answered ACM's question for its domain."""

    def issue() -> str:
        request = {"DomainName": domain, "ValidationMethod": "DNS"}
        arn = str(runbook.aws("acm").request_certificate(**request)["CertificateArn"])
        certificates.issue(runbook.emulator.world, "us-east-1", arn)
        return arn

    return str(runbook.once(("issued", domain), issue))


@pytest.fixture
def adopted(runbook: Runbook) -> Runbook:
    """The GPU cluster's settings with a VPC and a subnet that are there already."""
    runbook.settings.update(runbook.once(("adopted",), lambda: _vpc_of_another(runbook)))
    return runbook


def _vpc_of_another(runbook: Runbook) -> dict[str, str]:
    ec2 = runbook.aws("ec2")
    vpc_id = ec2.create_vpc(CidrBlock="172.20.0.0/16")["Vpc"]["VpcId"]
    gateway_id = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    subnet = {"VpcId": vpc_id, "CidrBlock": "172.20.0.0/24", "AvailabilityZone": "us-east-1a"}
    runbook.settle(60)
    subnet_id = ec2.create_subnet(**subnet)["Subnet"]["SubnetId"]
    [table] = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])["RouteTables"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc_id)
    ec2.create_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway_id)
    runbook.settle(60)
    ec2.modify_vpc_attribute(VpcId=vpc_id, EnableDnsHostnames={"Value": True})
    ec2.modify_subnet_attribute(SubnetId=subnet_id, MapPublicIpOnLaunch={"Value": True})
    runbook.settle(60)
    return {"VPC_ID": vpc_id, "SUBNET_IDS": subnet_id}
