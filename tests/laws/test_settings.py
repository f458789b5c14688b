"""Settings are loaded again whenever a page begins: from a notebook too, and for another endpoint."""

from __future__ import annotations

import ast
import json
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import ROOT, Runbook

NOTEBOOK = """
import json, os, sys
sys.path.insert(0, {root!r})
import constants
from create_repository import create_repository
from delete_repository import delete_repository
from list_task_definition import list_task_definition

told = []
for name, kept in (("first", "5"), ("second", "7"), ("first", "5")):
    os.environ.update(CLUSTER_NAME=name, IMAGES_KEPT=kept)
    told.append((create_repository()["repositoryName"], constants.IMAGES_KEPT, list_task_definition()["family"]))
os.environ["AWS_REGION"] = "eu-west-1"
told.append((create_repository()["repositoryUri"].split(".")[3], delete_repository()["left"]))
with constants.of(CLUSTER_NAME="third"):
    told.append(create_repository()["repositoryName"])
told.append(constants.CLUSTER_NAME)
print(json.dumps(told))
"""


def test_a_page_that_a_notebook_calls_sees_what_its_environment_says_by_then(runbook: Runbook, tmp_path: Path) -> None:
    notebook = tmp_path / "notebook.py"
    notebook.write_text(NOTEBOOK.format(root=str(ROOT)))
    ran = runbook.run(str(notebook))
    assert ran.code == 0, ran.err
    assert json.loads(ran.out) == [
        ["first", 5, "first"],
        ["second", 7, "second"],
        ["first", 5, "first"],
        ["eu-west-1", []],
        "third",
        "first",
    ]
    [here] = [runbook.aws("ecr").describe_repositories()["repositories"]]
    assert sorted(each["repositoryName"] for each in here) == ["first", "second"]


@pytest.mark.parametrize("wrong", ["1.5", "-1"])
def test_a_mistake_is_told_once_and_gone_when_it_is_put_right(runbook: Runbook, wrong: str) -> None:
    for _ in range(2):
        ran = runbook.run("list_task_definition.py", DESIRED_COUNT=wrong)
        assert (ran.code, ran.err.count("DESIRED_COUNT: ")) == (2, 1)
    assert runbook.run("list_task_definition.py", DESIRED_COUNT="1").code == 0


def test_what_a_page_finds_wrong_with_a_setting_is_no_other_page_s_problem(runbook: Runbook) -> None:
    assert "SOURCE_REPOSITORY: is not set" in runbook.run("create_pipeline.py").err
    assert runbook.run("list_task_definition.py").code == 0


def test_no_name_of_constants_is_bound_twice() -> None:
    tree = ast.parse((ROOT / "constants.py").read_text())
    bound = Counter(
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id.isupper()
    )
    assert [name for name, count in bound.items() if count > 1] == []
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Global)]


def test_what_belongs_to_the_cluster_is_said_at_the_setting(runbook: Runbook) -> None:
    """Not by where it stands: and an endpoint's file can't set it."""
    tree = ast.parse((ROOT / "constants.py").read_text())
    settings = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == "setting"]
    said = {
        ast.literal_eval(node.args[0])
        for node in settings
        if any(each.arg == "of" and ast.literal_eval(each.value) == "cluster" for each in node.keywords)
    }
    assert {"CLUSTER_NAME", "VPC_CIDR", "EFS_DELETION_POLICY"} <= said
    assert not {"GPU_COUNT", "IMAGE", "DESIRED_COUNT", "HOST_NAME"} & said
    runbook.run("list_task_definition.py")
    import constants

    assert said == constants.OF_CLUSTER
