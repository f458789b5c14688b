"""Two runs of the same page at the same moment end with one of each, and both end well.

The second one runs, from its beginning to its end, between two calls of the first: after each of them in turn with
EVERY_CALL=1, after some of them without. What is there afterwards is what one run alone leaves.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.conftest import ROOT, Runbook
from tests.everything import COPY, LIGHT, prepared
from tests.interruptions.test_interruptions import SERVED, differences, has_run, now, run
from tests.pictures import put_back, take
from tests.test_aws import another_run

REGISTERED = ("create_cluster.py", "register_task_definition.py")
STARTED = (*REGISTERED, "run_task.py")
#: settings, what has run before, and the page
PAGES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("fargate", REGISTERED, "run_task.py"),
    ("runbook", REGISTERED, "run_task.py"),
    ("runbook", ("MAX_INSTANCES=3 create_cluster.py", REGISTERED[1]), "run_task.py"),
    ("runbook", STARTED, "stop_task.py --all"),
    ("job", REGISTERED, "run_task.py"),
    ("fargate", STARTED, "TASK_COUNT=2 run_task.py"),
    ("fargate", REGISTERED, "run_task.py --env LR=0.1"),
    ("fargate", REGISTERED, "NODE_PORTS=29500-65535 run_task.py --nodes 2"),
    ("fargate", (*STARTED, "TASK_MEMORY=1024 register_task_definition.py"), "run_task.py --replace"),
    ("fargate", STARTED, "stop_task.py --all"),
    ("fargate", REGISTERED[:1], "register_task_definition.py"),
    ("fargate", REGISTERED, "TASK_MEMORY=1024 register_task_definition.py"),
    ("clara", REGISTERED, "create_service.py"),
    ("clara", (*SERVED, "TASK_MEMORY=20000 register_task_definition.py"), "update_service.py"),
    ("clara", SERVED, "delete_service.py"),
    ("fargate", STARTED, "delete_cluster.py --yes"),
    ("clara", SERVED, "delete_cluster.py --yes"),
    ("clara", REGISTERED[:1], "ROOT_VOLUME_GIB=200 update_cluster.py"),
    ("everything", REGISTERED, "sync_weights.py"),
    ("everything", REGISTERED, COPY),
    ("everything", REGISTERED, f"copy_data.py {ROOT / 'LICENSE'} data:/in"),
    ("everything", (*REGISTERED, COPY), "delete_copy.py"),
    ("fargate", (), "create_cluster.py"),
    ("everything", (), "CERTIFICATE_DOMAINS=a.example.com create_certificate.py"),
    (
        "everything",
        ("CERTIFICATE_DOMAINS=a.example.com create_certificate.py",),
        "CERTIFICATE_DOMAINS=a.example.com delete_certificate.py",
    ),
    ("everything", (), "create_repository.py"),
    ("everything", (), f"PATH=/nowhere push_image.py --dockerfile {ROOT / 'tests' / 'app'}"),
    ("everything", ("create_repository.py",), "create_pipeline.py"),
    ("everything", ("create_repository.py", "create_pipeline.py"), "delete_pipeline.py"),
    ("everything", ("create_repository.py",), "delete_repository.py --images"),
    ("everything", REGISTERED[:1], "create_dns_record.py"),
    ("everything", (*REGISTERED[:1], "create_dns_record.py"), "delete_dns_record.py"),
    ("everything", (*REGISTERED, "sync_weights.py"), "delete_sync.py"),
    ("fargate", REGISTERED, "deregister_task_definition.py"),
    ("fargate", STARTED, "pause_cluster.py"),
    ("fargate", (*STARTED, "pause_cluster.py"), "resume_cluster.py"),
    ("clara", SERVED, "pause_cluster.py --deep"),
    ("clara", (*SERVED, "pause_cluster.py --deep"), "resume_cluster.py"),
)
#: those that ask for something by a token, since it has no name: around a full hour too
BY_TOKEN: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("fargate", REGISTERED, "run_task.py"),
    ("runbook", REGISTERED, "run_task.py"),
    ("job", REGISTERED, "run_task.py"),
    ("everything", REGISTERED, "sync_weights.py"),
    ("everything", REGISTERED, COPY),
    ("clara", REGISTERED, "create_service.py"),
)
BY_A_TOKEN = ("RunTask", "CreateService")
#: so many points of each page, where not all of them are tried
SOME = 3


def account_of(request: pytest.FixtureRequest, settings: str) -> Runbook:
    if settings == "everything":
        return prepared(request.getfixturevalue("runbook"), LIGHT)
    runbook: Runbook = request.getfixturevalue("fargate" if settings == "job" else settings)
    if settings == "job":
        runbook.settings |= {"RUN_UNTIL": "STOPPED", "COMMAND": "sh -c 'sleep 30'"}
    runbook.settings["POLL_SECONDS"] = "30"
    return runbook


def both(runbook: Runbook, command: str, after: int, wait: float = 0) -> tuple[list[tuple[int, str]], Any]:
    """How the two end, the first and the one that is run after so many calls of it and this wait; and the account then."""
    start, second = len(runbook.emulator.calls), list[tuple[int, str]]()

    def watch(when: str) -> None:
        if when == "before" and not second and len(runbook.emulator.calls) - start >= after:
            runbook.emulator.world.clock.sleep(wait)  # type: ignore[attr-defined]
            second.append((-1, ""))
            second[0] = another_run(runbook, command)

    runbook.watch = watch
    ran = run(runbook, command)
    runbook.watch = None
    return [(ran.code, ran.err), *second], now(runbook)


@pytest.mark.parametrize(
    ("settings", "before", "command"), PAGES, ids=[f"{s}-{c.replace(' ', '-')}-{len(b)}" for s, b, c in PAGES]
)
def test_two_at_once_end_with_one_of_each(
    request: pytest.FixtureRequest, settings: str, before: tuple[str, ...], command: str
) -> None:
    runbook = account_of(request, settings)
    has_run(runbook, before)
    picture, start = take(runbook.emulator), len(runbook.emulator.calls)
    assert (ran := run(runbook, command)).code == 0, ran.err
    count, expected = len(runbook.emulator.calls) - start, now(runbook)
    operations = ["the start", *(operation for _, operation, _ in runbook.emulator.calls[start:])]
    points = range(count) if os.environ.get("EVERY_CALL") else sorted({count * n // SOME for n in range(SOME)})
    wrong = {}
    for point in points:
        put_back(runbook.emulator, picture)
        ends, found = both(runbook, command, point)
        if bad := [f"ended with {code}: {err[-600:]}" for code, err in ends if code] or differences(expected, found):
            wrong[f"after call {point} of {count}, {operations[point]}"] = bad
    assert not wrong, json.dumps(wrong, indent=1)[:6000]


def stopped(runbook: Runbook) -> int:
    """How many tasks have been run and are over: the account does not show them."""
    ecs, clusters = runbook.aws("ecs"), runbook.aws("ecs").list_clusters()["clusterArns"]
    return sum(len(ecs.list_tasks(cluster=each, desiredStatus="STOPPED")["taskArns"]) for each in clusters)


@pytest.mark.parametrize(
    ("settings", "before", "command"), BY_TOKEN, ids=[f"{s}-{c.replace(' ', '-')}" for s, _, c in BY_TOKEN]
)
def test_so_do_they_where_a_full_hour_is_between_the_two(
    request: pytest.FixtureRequest, settings: str, before: tuple[str, ...], command: str
) -> None:
    """The hour turns when the first has made up its mind, and is about to make the call."""
    runbook = account_of(request, settings)
    has_run(runbook, before)
    picture, start, clock = take(runbook.emulator), len(runbook.emulator.calls), runbook.emulator.world.clock
    times: dict[int, float] = {}
    runbook.watch = lambda when: times.update(
        {len(runbook.emulator.calls) - start: clock.now()} if when == "before" else {}
    )
    assert (ran := run(runbook, command)).code == 0, ran.err
    runbook.watch = None
    points = [number for number, call in enumerate(runbook.emulator.calls[start:]) if call[1] in BY_A_TOKEN]
    expected, count, wrong = now(runbook), stopped(runbook), {}
    for point in {*points[:1], *points[-1:]}:
        put_back(runbook.emulator, picture)
        runbook._settle(3600 - (times[point] + 1) % 3600)
        ends, found = both(runbook, command, point, wait=2)
        if bad := [f"ended with {code}: {err[-600:]}" for code, err in ends if code] or differences(expected, found):
            wrong[f"before call {point}"] = bad
        assert stopped(runbook) == count
    assert points
    assert not wrong, json.dumps(wrong, indent=1)[:6000]
