"""Answers that are not AWS's, to any call of any page: one sentence that names the endpoint, and exit code 1."""

from __future__ import annotations

import re
from typing import Any

import pytest

from emulator.core.wire import Emulator
from tests.conftest import Ran, Runbook
from tests.everything import LIGHT, PAGES, prepared, with_needs
from tests.pictures import put_back, take

#: what answers with 200 in AWS's place
ODD = {
    "a sign-in page": b"<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body><p>Sign in<br></body></html>",
    "a page that is XML": b"<html><body><p>Sign in</p></body></html>",
    "words": b"It works!\nBut not as you think.",
    "nothing": b"",
    "other XML": b"<?xml version='1.0'?><feed><title>News</title></feed>",
    "other JSON": b'{"error": {"code": 407}}',
    "a list": b"[]",
    "an empty answer": b"{}",
    "bytes": b"\x00\xff\xfe\x80",
    "half of it": None,
}
#: those that look, change or delete what there is
OTHERS = (
    *(
        "describe_clusters.py",
        "describe_costs.py",
        "list_tasks.py",
        "describe_task.py",
        "list_task_definition.py",
        "describe_service.py",
    ),
    *("describe_pipeline.py", "update_cluster.py", "update_service.py", "stop_task.py --all", "execute_command.py"),
    *("delete_dns_record.py", "delete_sync.py", "delete_copy.py", "delete_service.py", "delete_pipeline.py"),
    *("delete_repository.py --images", "deregister_task_definition.py", "delete_cluster.py --yes"),
)
#: without an answer of these a page goes on
COURTESIES = {"pricing", "service-quotas"}
#: read for the last line alone, when all is done: it is told that this could not be looked at
LAST_LINE = {"stop_task.py --all": {"elbv2"}, "describe_clusters.py": {"elbv2"}}


class Elsewhere:
    """Between the scripts and AWS: it answers for one service, what no AWS would."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.service, handle, self.has_answered = "", Emulator.handle, False
        self.odd: bytes | None = b""
        patch.setattr(Emulator, "on_the_wire", property(lambda _: bool(self.service)))
        patch.setattr(Emulator, "handle", lambda emulator, *request: self.answer(emulator, handle(emulator, *request)))

    def ran(self, runbook: Runbook, command: str, service: str, odd: bytes | None) -> Ran:
        """Run this while such an answer comes from the service."""
        self.service, self.odd, self.has_answered = service, odd, False
        script, *flags = command.split()
        ran = runbook.run(script, *flags)
        self.service = ""
        return ran

    def answer(self, emulator: Emulator, true: Any) -> Any:
        if emulator.calls[-1][0] != self.service or true[0] >= 300:
            return true
        self.has_answered = True
        return 200, {}, true[2][: len(true[2]) // 2] if self.odd is None else self.odd


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    return Elsewhere(monkeypatch)


def before(runbook: Runbook, command: str) -> None:
    """What a user has run before it."""
    needs = with_needs((command,))[:-1] if command in PAGES else list(PAGES)
    prepared(runbook, LIGHT).has_run(*needs)


def told_well(ran: Ran, what: str) -> None:
    assert (ran.code, ran.out) == (1, ""), f"{what}: {ran.err}"
    sentence = ran.err[ran.err.index("failed:") :].strip()
    assert len(sentence.splitlines()) == 1, f"{what}: {sentence}"
    assert re.search(r"https://[\w.-]+\.amazonaws\.com does not answer \w", sentence), f"{what}: {sentence}"


@pytest.mark.parametrize("command", [*PAGES, *OTHERS])
def test_whichever_service_does_not_answer_as_aws_the_page_says_so(
    runbook: Runbook, elsewhere: Elsewhere, command: str
) -> None:
    runbook.remembers = True
    before(runbook, command)
    picture, start = take(runbook.emulator), len(runbook.emulator.calls)
    script, *flags = command.split()
    runbook.run(script, *flags)
    services = list(dict.fromkeys(service for service, _, _ in runbook.emulator.calls[start:]))
    assert services
    for number, service in enumerate(each for each in services if each not in COURTESIES):
        put_back(runbook.emulator, picture)
        kind = [*ODD][number % len(ODD)]
        ran = elsewhere.ran(runbook, command, service, ODD[kind])
        if elsewhere.has_answered and service in LAST_LINE.get(command, ()):
            assert ran.code == 0 and "costs could not look at what stands:" in ran.err, ran.err
        elif elsewhere.has_answered:
            told_well(ran, f"{service}: {kind}")


@pytest.mark.parametrize("kind", ODD)
def test_whatever_is_answered_in_place_of_aws_is_told(runbook: Runbook, elsewhere: Elsewhere, kind: str) -> None:
    """In each of AWS's protocols: EC2's, query, JSON, REST with JSON and with XML."""
    runbook.remembers, new = True, take(runbook.emulator)
    for service, command in PROTOCOLS.items():
        put_back(runbook.emulator, new)
        before(runbook, command)
        told_well(elsewhere.ran(runbook, command, service, ODD[kind]), service)


#: a service -> a page that needs it
PROTOCOLS = {
    "ec2": "create_cluster.py",
    "sts": "list_tasks.py",
    "elbv2": "create_service.py",
    "ecs": "list_tasks.py",
    "efs": "create_cluster.py",
    "route53": "create_dns_record.py",
    "s3": "create_pipeline.py",
    "cloudwatch": "create_service.py",
    "scheduler": "sync_weights.py",
}
