"""The runbook in one process: each script is run as its user runs it, against an emulator with a clock of its own.

Time is AWS's own, but no one waits for it: a script that sleeps moves the emulator's clock instead.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import io
import json
import os
import runpy
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.endpoint
import botocore.hooks
import botocore.loaders
import botocore.session
import pytest

from emulator import dns
from emulator.account import resources
from emulator.wire import Emulator, attach
from emulator.world import VirtualClock

ROOT = Path(__file__).parent.parent
OURS = {path.stem for path in ROOT.glob("*.py")} | {"infrastructure"}
READS = ("BatchGet", "Describe", "Get", "List", "AssumeRole", "GET", "HEAD")


def pytest_collection_finish() -> None:
    """What is imported by now stays: looking through it for garbage again and again costs a fifth of the time."""
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)


class Killed(BaseException):
    """The process dies here: no `except` of the product sees it."""


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
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
    watch: Callable[[str], None] = lambda when: None

    def run(self, script: str, *flags: str, **settings: str) -> Ran:
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
            patch.setattr(botocore.session, "create_loader", _shared_loader)  # service models are read once
            if [environment, id(self.emulator), "--dry-run" in flags] != _imported:
                for name in [name for name in sys.modules if name.split(".")[0] in OURS]:
                    del sys.modules[name]
            _imported[:] = environment, id(self.emulator), "--dry-run" in flags and "never the same"
            code = self._execute(script, patch)
        return Ran(code, out.getvalue(), err.getvalue())

    def has_run(self, *commands: str, **settings: str) -> Runbook:
        """What a user has run before: each of these ends well."""
        for command in commands:
            ran = self.run(*command.split(), **settings)
            assert ran.code == 0, f"{command}: {ran.err}"
        return self

    def _execute(self, script: str, patch: pytest.MonkeyPatch) -> int:
        import aws
        import console

        def session(*args: Any, **kwargs: Any) -> boto3.Session:
            made = boto3.Session(*args, **kwargs)
            attach(made, self.emulator)
            return made

        patch.setattr(aws, "boto3", SimpleNamespace(Session=session))
        fake: Any = FakeTime(self.emulator.world.clock)  # type: ignore[arg-type]
        patch.setattr(aws, "time", fake)
        patch.setattr(console, "time", fake)
        patch.setattr(botocore.endpoint, "time", fake)  # boto3's own pauses before it tries again
        import infrastructure.mount_targets

        patch.setattr(infrastructure.mount_targets, "time", fake)
        patch.setattr(self.emulator, "handle", functools.partial(self._handle, type(self.emulator).handle))
        try:
            runpy.run_path(str(ROOT / script), run_name="__main__")
        except SystemExit as end:
            return int(end.code or 0) if isinstance(end.code, int | None) else 1
        return 0

    def _handle(self, handle: Callable[..., Any], method: str, url: str, headers: Any, body: bytes) -> Any:
        self.watch("before")
        answer = handle(self.emulator, method, url, headers, body)
        self.watch("after")
        return answer

    def aws(self, service: str) -> Any:
        """A boto3 client of the emulated account, for looking at it and for changing it behind the scripts' back."""
        _current.emulator = self.emulator
        return _client(service)

    def account(self) -> dict[str, Any]:
        """Everything in the account but what it always has, by name, without ids and times."""
        return resources(self.aws)

    def settle(self, seconds: float = 600) -> None:
        """Let AWS finish what it is doing."""
        clock = self.emulator.world.clock
        assert isinstance(clock, VirtualClock)
        for _ in range(8):
            clock.sleep(seconds / 8)
            self.aws("sts").get_caller_identity()

    def changes(self, since: int) -> list[str]:
        """The changing calls since the emulator's call of this number, as service:operation."""
        calls = self.emulator.calls[since:]
        return [f"{service}:{operation}" for service, operation, _ in calls if not operation.startswith(READS)]


#: for which settings and emulator the product's modules were imported: for the same ones they are used again
_imported: list[Any] = []


@functools.cache
def _loader() -> Any:
    return botocore.loaders.Loader()


def _shared_loader(*_: Any, **__: Any) -> Any:
    return _loader()


#: what botocore asks of each of its handlers for each new session: remembered, since every test has new ones
botocore.hooks.accepts_kwargs = functools.cache(botocore.hooks.accepts_kwargs)  # type: ignore[attr-defined]


class _Current(Emulator):
    """Passes each request to the emulator of the running test, so that a client is made once for all tests."""

    emulator: Emulator

    def __init__(self) -> None:
        pass

    def handle(self, method: str, url: str, headers: Any, body: bytes) -> Any:
        return self.emulator.handle(method, url, headers, body)


_current = _Current()


@functools.cache
def _client(service: str) -> Any:
    session: Any = boto3.Session("emulator", "emulator", region_name="us-east-1")
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


@pytest.fixture
def runbook() -> Iterator[Runbook]:
    """A GPU cluster's settings, and a new AWS account."""
    yield Runbook(Emulator(VirtualClock()), dict(GPU))


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
    """The settings of examples/ml-endpoints.env, with a certificate that is issued, and a new AWS account.

    Scripts of an endpoint are run with ENDPOINT="a" or "b".
    """
    runbook.settings = {
        "ENV_FILE": str(ROOT / "examples" / "ml-endpoints.env"),
        "CERTIFICATE_DOMAINS": "",
        "CERTIFICATE_ARN": issued(runbook, "*.ml.example.com"),
    }
    return runbook


def issued(runbook: Runbook, domain: str = "clara.example.com") -> str:
    """The ARN of a certificate whose owner has answered ACM's question for its domain."""
    request = {"DomainName": domain, "ValidationMethod": "DNS"}
    arn = str(runbook.aws("acm").request_certificate(**request)["CertificateArn"])
    dns.issue(runbook.emulator.world, "us-east-1", arn)
    return arn


@pytest.fixture
def adopted(runbook: Runbook) -> Runbook:
    """The GPU cluster's settings with a VPC and a subnet that are there already."""
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
    runbook.settings.update(VPC_ID=vpc_id, SUBNET_IDS=subnet_id)
    return runbook
