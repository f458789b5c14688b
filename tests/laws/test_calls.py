"""How many calls each page makes, so that none creeps in. A poll, the same question again in a wait, does not count."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import READS, Runbook

SERVED = ("create_cluster.py", "register_task_definition.py", "create_service.py")
#: example, and what has run before -> page -> its calls
COUNTS: dict[tuple[str, tuple[str, ...], str], int] = {
    ("clara", SERVED, "delete_service.py"): 34,
    ("clara", (*SERVED, "delete_service.py"), "delete_cluster.py --yes"): 116,
    ("clara", (*SERVED, "delete_service.py", "delete_cluster.py --yes"), "delete_cluster.py --yes"): 50,
}


def calls(runbook: Runbook, page: str) -> list[str]:
    """Those of this page, without polls: what it asked before, and has changed nothing since."""
    made: list[str] = []
    since_change: set[str] = set()
    answer = runbook.emulator._answer

    def counted(call: Any, *rest: Any) -> Any:
        asked = f"{call.service}:{call.operation} {json.dumps(call.params, sort_keys=True, default=str)}"
        if asked not in since_change:
            made.append(asked)
        since_change.add(asked)
        given = answer(call, *rest)
        if not call.operation.startswith(READS):
            since_change.clear()
        return given

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
    runbook: Runbook = request.getfixturevalue(example).has_run(*before)
    made = calls(runbook, page)
    print(*made, sep="\n")
    assert len(made) == COUNTS[example, before, page]
