"""A price and a quota are told where AWS tells them; where it does not, a page goes on without, and does not wait."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from typing import Any

import pytest

from emulator.core.faults import Fault
from emulator.core.wire import Emulator
from emulator.server import serve
from tests.conftest import GPU, ROOT, Runbook

COURTESIES = ("pricing:*", "service-quotas:*")
FAULTS = ("throttle", "unavailable", "InternalFailure", "denied", "invalid", "cut", "NotFoundException")


@pytest.mark.parametrize("error", FAULTS)
def test_without_price_and_quota_a_cluster_is_made_as_with_them(runbook: Runbook, error: str) -> None:
    runbook.emulator.faults.planned += [Fault(each, error, times=-1) for each in COURTESIES]
    ran = runbook.run("create_cluster.py", MIN_INSTANCES="1")
    assert ran.code == 0, ran.err
    assert "see https://aws.amazon.com/ec2/pricing/on-demand/" in ran.err
    assert "warning the vCPU quota L-DB2E81BA could not be read: " in ran.err
    asked = [service for service, _, _ in runbook.emulator.calls if f"{service}:*" in COURTESIES]
    assert sorted(asked) == [*["pricing"] * 6, *["service-quotas"] * 2], "each once: what may cost is of six kinds"
    told = runbook.run("describe_clusters.py", MIN_INSTANCES="1").result
    assert (told["hostsUsdPerHour"], told["status"]) == (None, "ACTIVE")


@pytest.mark.parametrize(
    "odd", [b"<html>Sign in</html>", b"", b'{"PriceList": ["{}"]}', b'{"PriceList": [7]}', b'{"Quota": {}}']
)
def test_a_price_and_a_quota_that_can_not_be_read_are_none(
    runbook: Runbook, monkeypatch: pytest.MonkeyPatch, odd: bytes
) -> None:
    handle = Emulator.handle

    def answer(emulator: Emulator, *request: Any) -> Any:
        true = handle(emulator, *request)
        return (200, {}, odd) if f"{emulator.calls[-1][0]}:*" in COURTESIES else true

    monkeypatch.setattr(Emulator, "on_the_wire", True)
    monkeypatch.setattr(Emulator, "handle", answer)
    ran = runbook.run("create_cluster.py", "--dry-run")
    assert ran.code == 0, ran.err
    assert "see https://aws.amazon.com/ec2/pricing/on-demand/" in ran.err


def test_a_fargate_cluster_is_described_without_the_price_of_its_tasks(fargate: Runbook) -> None:
    fargate.has_run("create_cluster.py", "register_task_definition.py", "run_task.py")
    fargate.emulator.faults.planned.append(Fault("pricing:*", "throttle", times=-1))
    told = fargate.run("describe_clusters.py").result
    assert (told["runningTasks"], told["tasksUsdPerHour"]) == (1, None)


@pytest.mark.parametrize("listens", [True, False])
def test_who_does_not_answer_is_not_waited_for(listens: bool) -> None:
    """One that takes the connection and is silent, and one that refuses it: less than 5 seconds more than with an answer."""
    with serve(time_scale=0) as (url, _), socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listens:
            silent.listen()
        elsewhere = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environment = {
            **GPU,
            "PATH": os.environ["PATH"],
            "ENV_FILE": "/dev/null",
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_REGION": "us-east-1",
        }
        seconds = {}
        for at in (url, elsewhere):
            began = time.monotonic()
            of_courtesies = {"AWS_ENDPOINT_URL_PRICING": at, "AWS_ENDPOINT_URL_SERVICE_QUOTAS": at}
            command = [sys.executable, "create_cluster.py", "--dry-run"]
            settings = environment | of_courtesies
            ran = subprocess.run(command, env=settings, cwd=ROOT, capture_output=True, text=True, check=False)
            assert ran.returncode == 0 and json.loads(ran.stdout), ran.stderr
            seconds[at] = time.monotonic() - began
        assert seconds[elsewhere] - seconds[url] < 5, seconds
