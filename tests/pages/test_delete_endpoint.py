"""delete_endpoint.py takes away what belongs to one endpoint, from any state, and nothing else."""

from __future__ import annotations

import io
import sys

import pytest

from emulator.ecr import repositories
from tests.conftest import Runbook
from tests.examples.test_endpoints import SMALL, account, small, with_everything
from tests.pages.test_create_cluster import TRUST
from tests.pages.test_delete_cluster import Terminal

__all__ = ["small"]  # a fixture
SERVED = ("register_task_definition.py", "create_service.py")


def push(runbook: Runbook, *tags: str) -> None:
    for tag in tags:
        repositories.put_image(runbook.emulator.world, "us-east-1", "ml-b", tag)


def test_it_asks_for_the_name_shows_what_goes_and_leaves_the_account_as_before(
    small: Runbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.settings["ENDPOINT"] = "b"
    before = account(small)
    small.has_run("create_repository.py", *SERVED)
    push(small, "v1", "v2")
    begun = len(small.emulator.calls)
    for terminal, sentence in (
        (io.StringIO(""), "there is no terminal to ask on: pass --yes"),
        (Terminal("ml\n"), "that is not the name; nothing was deleted"),
        (Terminal("a\n"), "that is not the name; nothing was deleted"),
    ):
        monkeypatch.setattr(sys, "stdin", terminal)
        ran = small.run("delete_endpoint.py")
        assert (ran.code, ran.out, small.changes(begun)) == (1, "", [])
        assert sentence in ran.err
    ran = small.run("delete_endpoint.py", "--dry-run")
    assert (ran.code, small.changes(begun)) == (0, []), ran.err
    assert "would have deleted target group ml-b-tg" in ran.err and "nothing was deleted" in ran.err
    monkeypatch.setattr(sys, "stdin", Terminal("b\n"))
    ran = small.run("delete_endpoint.py")
    assert ran.code == 0, ran.err
    assert "Type the endpoint's name, b, to delete all this: " in ran.err
    shown = [line.strip() for line in ran.err.splitlines() if line.startswith("  ")]
    for kind in ("service ml-b", "target group ml-b-tg", "security group sg-", "task definition ml-b:1", "role ml-b-"):
        assert any(line.startswith(kind) for line in shown), kind
    kept = "repository ml-b, 2 images of 2.4 GB, about $0.24 a month"
    assert f"kept: {kept}" in shown
    assert f"kept {kept}  to delete it too: ENDPOINT=b python delete_repository.py --images" in ran.err
    assert (ran.result["kept"], ran.result["left"]) == ([kept], [])
    small.settle()
    assert account(small).keys() - before.keys() == {"repository ml-b"}
    begun = len(small.emulator.calls)
    again = small.run("delete_endpoint.py", "--yes")
    assert (again.code, again.result["deleted"], small.changes(begun)) == (0, [], [])
    assert again.result["kept"] == [kept], "it still costs"
    assert "\ndeleted" not in again.err
    small.has_run("delete_endpoint.py --yes --images")
    assert account(small) == before


#: what there is of the endpoint when it is deleted
HALF: dict[str, tuple[str, ...]] = {
    "nothing": (),
    "a repository": ("create_repository.py",),
    "a task definition": ("register_task_definition.py",),
    "a pipeline": ("create_repository.py", "create_pipeline.py"),
    "weights": ("create_repository.py", "register_task_definition.py", "sync_weights.py"),
}


def test_it_works_from_any_half_built_state(endpoints: Runbook) -> None:
    ml = with_everything(endpoints).has_run("create_cluster.py")
    ml.settings |= {"ENDPOINT": "b", "WAIT": "false"}
    ml.settle()
    before = account(ml)
    for state, scripts in HALF.items():
        alone = SMALL if state == "a task definition" else {}
        ml.has_run(*scripts, **alone)
        assert (account(ml) != before) == bool(scripts), state
        ran = ml.run("delete_endpoint.py", "--yes", "--images")
        assert ran.code == 0 and bool(ran.result["deleted"]) == bool(scripts), f"{state}: {ran.err}"
        ml.settle()
        assert account(ml) == before, state


def test_it_can_be_made_again_at_once_and_finds_its_data(small: Runbook) -> None:
    """The directories stay; the access points that lead to them are new, and none that is on its way out is used."""
    small.settings["ENDPOINT"] = "b"
    small.has_run(*SERVED)
    efs = small.aws("efs")
    first = {
        each["AccessPointId"]: each["RootDirectory"]["Path"] for each in efs.describe_access_points()["AccessPoints"]
    }
    ran = small.run("delete_endpoint.py", "--yes")
    assert "its data stays, in /b/weights of fs-" in ran.err
    small.has_run("register_task_definition.py")
    volumes = small.aws("ecs").describe_task_definition(taskDefinition="ml-b")["taskDefinition"]["volumes"]
    used = {each["efsVolumeConfiguration"]["authorizationConfig"]["accessPointId"] for each in volumes}
    assert not used & first.keys()
    small.settle(60)
    second = {
        each["AccessPointId"]: each["RootDirectory"]["Path"] for each in efs.describe_access_points()["AccessPoints"]
    }
    assert second.keys() == used and sorted(second.values()) == sorted(first.values())
    ran = small.run("create_service.py")
    assert (ran.code, ran.result["runningCount"]) == (0, 1), ran.err


def test_what_bears_its_names_but_is_not_of_this_runbook_is_left_alone(small: Runbook) -> None:
    small.settings["ENDPOINT"] = "b"
    small.aws("iam").create_role(RoleName="ml-b-task-us-east-1", AssumeRolePolicyDocument=TRUST)
    small.aws("logs").create_log_group(logGroupName="/ecs/ml-b")
    small.aws("ecr").create_repository(repositoryName="ml-b")
    vpc_id = small.aws("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    small.aws("elbv2").create_target_group(Name="ml-b-tg", Protocol="HTTP", Port=80, VpcId=vpc_id, TargetType="ip")
    before = account(small)
    ran = small.run("delete_endpoint.py", "--yes", "--images")
    assert (ran.code, ran.result["deleted"]) == (0, []), ran.err
    assert account(small) == before


def test_without_endpoints_it_says_what_to_run(runbook: Runbook) -> None:
    ran = runbook.run("delete_endpoint.py", "--yes")
    assert (ran.code, ran.out, runbook.changes(0)) == (1, "", [])
    assert "there are no endpoints here: SHARED_CLUSTER is not true. For the cluster: delete_cluster.py" in ran.err
