"""How many calls each page makes, so that none creeps in. What is asked again only to wait, a poll, does not count."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from aws import clients
from tests.conftest import READS, ROOT, Runbook

SERVED = ("create_cluster.py", "register_task_definition.py", "create_service.py")
STARTED = (*SERVED[:2], "run_task.py")
DELETED = (*SERVED, "delete_service.py", "delete_cluster.py --yes")
#: example, what has run before, and the page -> its calls
COUNTS: dict[tuple[str, tuple[str, ...], str], int] = {
    ("clara", SERVED[:1], SERVED[1]): 9,
    ("clara", SERVED[:2], SERVED[1]): 8,
    ("runbook", (), SERVED[0]): 77,
    ("clara", (), SERVED[0]): 137,
    ("clara", SERVED[:1], SERVED[0]): 63,
    ("clara", SERVED[:2], SERVED[2]): 42,
    ("clara", SERVED, SERVED[2]): 31,
    ("clara", SERVED, "update_service.py"): 28,
    ("clara", SERVED, "describe_service.py"): 7,
    ("runbook", STARTED[:1], STARTED[0]): 39,
    ("adopted", STARTED[:1], STARTED[0]): 45,
    ("runbook", STARTED[:2], STARTED[2]): 19,
    ("runbook", STARTED, STARTED[2]): 10,
    ("runbook", STARTED, "describe_task.py"): 7,
    ("runbook", STARTED, "describe_clusters.py"): 8,
    ("runbook", STARTED, "list_tasks.py"): 5,
    ("clara", SERVED, "delete_service.py"): 37,
    ("clara", DELETED[:-1], DELETED[-1]): 142,
    ("clara", DELETED, DELETED[-1]): 38,
}


def calls(runbook: Runbook, page: str, code: int = 0) -> Counter[str]:
    """Operation -> how often the page asks for it.

    A poll is a read that was made before with the same parameters, since the last change of the same service; and a
    change that was: AWS had refused it for now.
    """
    made: Counter[str] = Counter()
    known: dict[str, set[str]] = {}
    ended: list[int] = []
    answer = runbook.emulator._answer

    def counted(call: Any, *rest: Any) -> Any:
        asked = f"{call.operation} {json.dumps(call.params, sort_keys=True, default=str)}"
        of_service = known.setdefault(call.service, set())
        made[f"{call.service}:{call.operation}"] += asked not in of_service
        if not call.operation.startswith(READS):
            of_service -= {each for each in of_service if each.startswith(READS)}
        of_service.add(asked)
        return answer(call, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runbook.emulator, "_answer", counted)
        script, *flags = page.split()
        ended.append(runbook.run(script, *flags).code)
    assert ended == [code]
    return made


@pytest.mark.parametrize(("example", "before", "page"), COUNTS)
def test_a_page_makes_so_many_calls(
    example: str, before: tuple[str, ...], page: str, request: pytest.FixtureRequest
) -> None:
    made = calls(request.getfixturevalue(example).has_run(*before), page)
    assert made.total() == COUNTS[example, before, page], "\n".join(f"{n:4} {each}" for each, n in sorted(made.items()))


@pytest.mark.parametrize("page", ["describe_clusters.py", "list_tasks.py", "describe_service.py", "create_service.py"])
def test_where_ecs_knows_the_answer_no_client_of_ec2_is_made(
    page: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be the largest: a tenth of a second, and 16 MiB."""
    of_service = page.endswith("_service.py")
    runbook: Runbook = request.getfixturevalue("clara" if of_service else "runbook")
    runbook.has_run(*(SERVED if of_service else STARTED))
    monkeypatch.setattr(clients, "_clients", {})
    ran = runbook.run(page)
    assert ran.code == 0, ran.err
    assert [name for name in clients._clients if name.startswith("ec2")] == []


# -------------------------------------------------------------------------------------------- however much there is of it


def revisions(runbook: Runbook, count: int) -> None:
    """So many more of the family, as the pipeline and people make them in a year."""
    ecs = runbook.aws("ecs")
    newest = ecs.describe_task_definition(taskDefinition="gpu", include=["TAGS"])
    kept = ("family", "containerDefinitions", "volumes", "networkMode", "executionRoleArn", "taskRoleArn")
    for _ in range(count):
        request = {key: newest["taskDefinition"][key] for key in kept}
        ecs.register_task_definition(**request, tags=newest["tags"])


def test_a_revision_costs_one_call_and_a_tenth(runbook: Runbook) -> None:
    """Those that AWS's index of tags does not know yet are asked about too, each once. 500 of them are some 700 calls."""
    runbook.has_run(*SERVED[:2])
    revisions(runbook, 39)
    runbook.settle()
    revisions(runbook, 10)
    made = calls(runbook, "delete_cluster.py --yes")
    of_them = ("DescribeTaskDefinition", "DeregisterTaskDefinition", "DeleteTaskDefinitions")
    assert [made[f"ecs:{each}"] for each in of_them] == [10, 50, 5]
    assert made["ecs:ListTaskDefinitions"] == 3  # those that can be run, those that can't any more, and what is left
    assert made.total() < 110 + 65


@pytest.fixture
def many(endpoints: Runbook, tmp_path: Path) -> Runbook:
    """A cluster, and the files of seven endpoints."""
    (tmp_path / ".env").write_text((ROOT / "examples" / "ml-endpoints" / ".env").read_text())
    (tmp_path / "endpoints").mkdir()
    for endpoint in "abcdefg":
        text = f"HOST_NAME={endpoint}.ml.example.com\nIMAGE=example.com/ml:v1\nDESIRED_COUNT=0\n"
        (tmp_path / "endpoints" / f"{endpoint}.env").write_text(text)
    endpoints.settings |= {"ENV_FILE": str(tmp_path / ".env"), "IMAGE_TAG": ""}
    return endpoints.has_run("create_cluster.py")


def test_many_endpoints_cost_no_more_calls_than_two(many: Runbook) -> None:
    """The cluster's creation again, and the look before its deletion. A hundred of a kind are one more page."""
    found = []
    for some in ("ab", "cde"):
        for endpoint in some:
            many.has_run("register_task_definition.py", "create_service.py", ENDPOINT=endpoint)
        many.settle()
        found.append([calls(many, "create_cluster.py"), calls(many, "delete_cluster.py --yes", code=1)])
    assert found[0] == found[1]
    assert [made.total() <= 60 for made in found[0]] == [True, True]


def test_files_of_endpoints_of_which_nothing_stands_cost_no_calls(many: Runbook) -> None:
    few = calls(many.has_run("delete_cluster.py --yes"), "delete_cluster.py --yes")
    for endpoint in "hijkl":
        (Path(many.settings["ENV_FILE"]).parent / "endpoints" / f"{endpoint}.env").write_text("")
    assert calls(many, "delete_cluster.py --yes") == few
    assert few.total() <= 60


def test_tasks_are_stopped_side_by_side(fargate: Runbook) -> None:
    fargate.has_run(*SERVED[:2])
    fargate.has_run("run_task.py", TASK_COUNT="10")
    at_once = []
    answer = fargate.emulator._answer

    def seen(call: Any, *rest: Any) -> Any:
        at_once.append((call.operation, threading.current_thread() is not threading.main_thread()))
        return answer(call, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fargate.emulator, "_answer", seen)
        made = calls(fargate, "stop_task.py --all")
    assert made["ecs:StopTask"] == 10
    assert at_once.count(("StopTask", True)) == 10
    assert made.total() <= 10 + 8
