"""Who has started something, or leaves it running, is told its price an hour and the command that stops it."""

from __future__ import annotations

import ast

import pytest

from infrastructure.service import bill
from tests.conftest import Runbook
from tests.laws.test_style import TREES

AS_BEFORE = "what stands, and costs, is what stood before"
#: pages that change something, and why no such line is among the last that they tell
NOTHING_BY_THE_HOUR = {
    "copy_data.py": "its task has ended, and the bucket on its way is empty",
    "create_certificate.py": "what ACM issues for AWS's services is free",
    "create_dns_record.py": AS_BEFORE,
    "create_pipeline.py": "it costs by the run, and by what its bucket stores",
    "create_repository.py": "it costs by what it stores",
    "delete_certificate.py": AS_BEFORE,
    "delete_cluster.py": "nothing that costs by the hour is left; what is kept is told with its price",
    "delete_copy.py": AS_BEFORE,
    "delete_dns_record.py": AS_BEFORE,
    "delete_pipeline.py": AS_BEFORE,
    "delete_repository.py": AS_BEFORE,
    "delete_sync.py": AS_BEFORE,
    "deregister_task_definition.py": AS_BEFORE,
    "push_image.py": "an image costs by what is stored",
    "register_task_definition.py": AS_BEFORE,
}
TELLS = ("bill.tell_cluster", "bill.tell_now", "bill.tell_tasks", "costs.tell_now")


def changing() -> list[str]:
    pages = {name: tree for name, tree in TREES.items() if "/" not in name}
    keywords = {
        name: [each for each in ast.walk(tree) if isinstance(each, ast.keyword)] for name, tree in pages.items()
    }
    return [name for name, found in keywords.items() if "changes=True" in map(ast.unparse, found)]


@pytest.mark.parametrize("page", changing())
def test_a_page_ends_with_what_it_leaves_costing_or_leaves_nothing(page: str) -> None:
    """The price first, then what to run next: it is the last line that a person reads."""
    functions = [each for each in TREES[page].body if isinstance(each, ast.FunctionDef)]
    told = [lines for lines in map(lines_of_ends, functions) if lines[0]]
    assert bool(told) != (page in NOTHING_BY_THE_HOUR), page
    assert [bool(following) and max(prices) > min(following) for prices, following in told] == [False] * len(told)


def lines_of_ends(function: ast.FunctionDef) -> tuple[list[int], list[int]]:
    """In which lines it tells a price, and in which what is next."""
    calls = [(each.lineno, ast.unparse(each)) for each in ast.walk(function) if isinstance(each, ast.Call)]
    prices = [line for line, text in calls if text.partition("(")[0] in TELLS]
    return prices, [line for line, text in calls if text.startswith("say('next'")]


#: pages that look, and do not tell the time left
WITHOUT_TIME = {
    "check_account.py": "it looks at what is not made yet",
    "draw_cluster.py": "deadlines are in the picture",
    "execute_command.py": "its last lines are the command's own",
    "show_policy.py": "it looks at nothing that runs",
}


def test_each_page_that_looks_tells_the_time_left() -> None:
    looking = {name for name, tree in TREES.items() if "/" not in name and "aws.page(" in ast.unparse(tree)} - {
        *changing()
    }
    silent = {name for name in looking if "deadlines.tell(" not in ast.unparse(TREES[name])}
    assert silent == WITHOUT_TIME.keys()


def test_the_reasons_are_of_pages_that_there_are() -> None:
    assert NOTHING_BY_THE_HOUR.keys() <= {*changing()}


def costs(err: str) -> list[str]:
    return [" ".join(line.split()) for line in err.splitlines() if line.startswith(("costs ", "next "))]


def test_what_stop_task_leaves_is_told(runbook: Runbook) -> None:
    """The host that is kept, and the one that ECS lets go within seconds; where that is all, nothing is to be stopped."""
    runbook.settings |= {"MIN_INSTANCES": "1", "MAX_INSTANCES": "2", "TASK_COUNT": "2"}
    runbook.has_run("create_cluster.py", "register_task_definition.py", "run_task.py")
    hosts = "1 x host g4dn.xlarge that ends by itself, 1 x host g4dn.xlarge"
    told, following = costs(runbook.run("stop_task.py", "--all").err)
    assert told == f"costs $1.08 an hour now: {hosts}; to stop: {bill.STOP}"
    assert following.startswith("next python delete_cluster.py")
    runbook.has_run("create_cluster.py", "run_task.py", MIN_INSTANCES="0")
    told, _ = costs(runbook.run("stop_task.py", "--all", MIN_INSTANCES="0").err)
    assert told.endswith("an hour now: 2 x host g4dn.xlarge that ends by itself")


def test_what_delete_endpoint_leaves_is_told(endpoints: Runbook) -> None:
    endpoints.has_run("create_cluster.py", MIN_INSTANCES="0")
    told, _ = costs(endpoints.run("delete_endpoint.py", "--yes", ENDPOINT="a").err)
    assert "an hour now: 1 x NAT gateway, 1 x load balancer; to stop: python pause_cluster.py --deep" in told
