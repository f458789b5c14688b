"""How many calls each page makes, so that none creeps in. What is asked again only to wait, a poll, does not count."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tests.conftest import READS, Runbook

SERVED = ("create_cluster.py", "register_task_definition.py", "create_service.py")
DELETED = (*SERVED, "delete_service.py", "delete_cluster.py --yes")
#: example, what has run before, and the page -> its calls
COUNTS: dict[tuple[str, tuple[str, ...], str], int] = {
    ("clara", SERVED, "delete_service.py"): 26,
    ("clara", DELETED[:-1], DELETED[-1]): 125,
    ("clara", DELETED, DELETED[-1]): 36,
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
