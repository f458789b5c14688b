"""How many calls each page makes, so that none creeps in. What is asked again only to wait, a poll, does not count."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

import aws
from tests.conftest import READS, Runbook

SERVED = ("create_cluster.py", "register_task_definition.py", "create_service.py")
STARTED = (*SERVED[:2], "run_task.py")
#: example, what has run before, and the page -> its calls
COUNTS: dict[tuple[str, tuple[str, ...], str], int] = {
    ("clara", SERVED[:1], SERVED[1]): 9,
    ("clara", SERVED[:2], SERVED[1]): 8,
    ("clara", SERVED[:2], SERVED[2]): 42,
    ("clara", SERVED, SERVED[2]): 23,
    ("clara", SERVED, "update_service.py"): 19,
    ("clara", SERVED, "describe_service.py"): 6,
    ("runbook", STARTED[:2], STARTED[2]): 14,
    ("runbook", STARTED, STARTED[2]): 5,
    ("runbook", STARTED, "describe_task.py"): 7,
    ("runbook", STARTED, "describe_clusters.py"): 6,
    ("runbook", STARTED, "list_tasks.py"): 5,
}


def calls(runbook: Runbook, page: str) -> Counter[str]:
    """Operation -> how often the page asks for it.

    A poll is a read that was made before with the same parameters, since the last change of the same service; and a
    change that was: AWS had refused it for now.
    """
    made: Counter[str] = Counter()
    known: dict[str, set[str]] = {}
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
        ran = runbook.run(script, *flags)
    assert ran.code == 0, ran.err
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
    monkeypatch.setattr(aws, "_clients", {})
    ran = runbook.run(page)
    assert ran.code == 0, ran.err
    assert [name for name in aws._clients if name.startswith("ec2")] == []
