"""Roles of a company's own: limited by its boundary, under its path, or made by it all, so that IAM is asked nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import FARGATE, GPU, Runbook
from tests.everything import LIGHT, prepared
from tests.laws.test_change import adoptable

TASK_RUN = ("create_cluster.py", "register_task_definition.py", "run_task.py", "stop_task.py --all")
SERVED = ("create_cluster.py", "register_task_definition.py", "create_service.py", "delete_service.py")
BEHIND = {
    **FARGATE,
    "CLUSTER_NAME": "gpu",
    "COMMAND": "sleep infinity",
    "LISTENER_PROTOCOL": "HTTP",
    "PUBLIC_SUBNET_CIDRS": "10.0.0.0/24,10.0.1.0/24",
}
BOUNDARY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


@pytest.fixture
def adopting(runbook: Runbook) -> Runbook:
    """All the roles that a cluster with tasks needs are there, and named."""
    theirs: dict[str, str] = runbook.once(("adoptable",), lambda: adoptable(runbook))
    roles = {"TASK_EXECUTION_ROLE_ARN": theirs["sync_role"], "TASK_ROLE_ARN": theirs["sync_role"]}
    runbook.settings = {**GPU, "COMMAND": "sleep infinity", **roles, "HOST_ROLE": theirs["profile"]}
    return runbook


def asked_of_iam(runbook: Runbook, since: int) -> list[str]:
    return [operation for service, operation, _ in runbook.emulator.calls[since:] if service == "iam"]


@pytest.mark.parametrize("service", [False, True], ids=["a task on a host", "a service on Fargate"])
def test_where_every_role_is_named_iam_is_asked_nothing(adopting: Runbook, service: bool) -> None:
    if service:
        roles = {name: adopting.settings[name] for name in ("TASK_EXECUTION_ROLE_ARN", "TASK_ROLE_ARN")}
        adopting.settings = {**BEHIND, **roles}
    before, begun = adopting.account(), len(adopting.emulator.calls)
    for page in (
        *(SERVED if service else TASK_RUN),
        "create_cluster.py",
        "describe_clusters.py",
        "delete_cluster.py --yes",
    ):
        ran = adopting.run(*page.split())
        assert ran.code == 0, ran.err
    assert asked_of_iam(adopting, begun) == []
    adopting.settle(3600)
    assert adopting.account() == before


def test_a_host_has_the_profile_that_is_named(adopting: Runbook) -> None:
    adopting.has_run("create_cluster.py", MIN_INSTANCES="1")
    [reservation] = adopting.aws("ec2").describe_instances()["Reservations"]
    [host] = reservation["Instances"]
    assert host["IamInstanceProfile"]["Arn"].endswith(":instance-profile/theirs/their-profile")
    names = [each["InstanceProfileName"] for each in adopting.aws("iam").list_instance_profiles()["InstanceProfiles"]]
    assert names == ["their-profile"]


def test_what_was_made_before_every_role_was_named_stays_until_they_are_named_no_more(adopting: Runbook) -> None:
    named = {**adopting.settings, "HOST_ROLE": "", "TASK_ROLE_ARN": "", "TASK_EXECUTION_ROLE_ARN": ""}
    adopting.has_run("create_cluster.py", **named)
    ours = {"gpu-host-us-east-1", "gpu-task-us-east-1", "gpu-task-execution-us-east-1"}
    adopting.has_run("create_cluster.py", "delete_cluster.py --yes")
    assert ours <= {role["RoleName"] for role in adopting.aws("iam").list_roles()["Roles"]}
    adopting.has_run("delete_cluster.py --yes", **named)
    assert not ours & {role["RoleName"] for role in adopting.aws("iam").list_roles()["Roles"]}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"HOST_ROLE": "none-such"}, "HOST_ROLE=none-such: there is no such instance profile"),
        ({"HOST_ROLE": "empty"}, "HOST_ROLE=empty: it has no role"),
        ({"HOST_ROLE": "a b"}, "HOST_ROLE: 'a b' is not an instance profile's name or ARN"),
        (
            {"ROLE_PERMISSIONS_BOUNDARY": "arn:aws:iam::123456789012:policy/none-such"},
            "ROLE_PERMISSIONS_BOUNDARY=arn:aws:iam::123456789012:policy/none-such: there is no such policy",
        ),
        ({"ROLE_PERMISSIONS_BOUNDARY": "mine"}, "ROLE_PERMISSIONS_BOUNDARY: 'mine' is not the ARN of a policy"),
        ({"ROLE_PATH": "team"}, "ROLE_PATH: 'team' is not a path such as /team/"),
        ({"ROLE_PATH": "/aws-service-role/"}, "ROLE_PATH: '/aws-service-role/' is not a path"),
    ],
)
def test_what_is_not_there_or_no_name_is_told_before_anything_is_made(
    runbook: Runbook, change: dict[str, str], sentence: str
) -> None:
    runbook.aws("iam").create_instance_profile(InstanceProfileName="empty")
    begun = len(runbook.emulator.calls)
    ran = runbook.run("create_cluster.py", **change)
    assert (ran.code in (1, 2), sentence in ran.err, runbook.changes(begun)) == (True, True, []), ran.err


def test_a_boundary_and_a_path_are_of_every_role_that_is_made(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", ROLE_PERMISSIONS_BOUNDARY=BOUNDARY, ROLE_PATH="/team/ml/")
    iam = runbook.aws("iam")
    roles = [role for role in iam.list_roles()["Roles"] if role["RoleName"].startswith("gpu-")]
    found: list[Any] = [iam.get_role(RoleName=role["RoleName"])["Role"] for role in roles]
    assert len(found) == 3
    assert {role["Path"] for role in found} == {"/team/ml/"}
    assert {role["PermissionsBoundary"]["PermissionsBoundaryArn"] for role in found} == {BOUNDARY}
    profile = iam.get_instance_profile(InstanceProfileName="gpu-host-us-east-1")["InstanceProfile"]
    assert profile["Path"] == "/team/ml/"


def test_a_task_runs_and_all_goes_with_roles_under_a_path(runbook: Runbook) -> None:
    before = runbook.account()
    runbook.settings["ROLE_PATH"] = "/team/ml/"
    runbook.has_run(*TASK_RUN, "create_cluster.py")
    begun = len(runbook.emulator.calls)
    assert "nothing changed" in runbook.run("create_cluster.py").err
    assert runbook.changes(begun) == []
    runbook.has_run("delete_cluster.py --yes")
    runbook.settle(3600)
    assert runbook.account() == before


def test_a_role_may_no_more_than_its_boundary_lets_it(runbook: Runbook) -> None:
    """A host whose role is limited to S3 never joins: the boundary is no ornament."""
    ran = runbook.run(
        "create_cluster.py", ROLE_PERMISSIONS_BOUNDARY=BOUNDARY, MIN_INSTANCES="1", WAIT_TIMEOUT_SECONDS="900"
    )
    assert (ran.code, "has not joined the cluster" in ran.err) == (3, True), ran.err


def test_a_cluster_that_endpoints_share_asks_iam_where_an_endpoint_makes_its_roles(adopting: Runbook) -> None:
    """The cluster has no role of its own on Fargate, but the account needs its service-linked roles."""
    shared = {"SHARED_CLUSTER": "true", "LISTENER_PROTOCOL": "", "TASK_ROLE_ARN": adopting.settings["TASK_ROLE_ARN"]}
    adopting.settings = {**BEHIND, **shared}
    begun = len(adopting.emulator.calls)
    adopting.has_run("create_cluster.py")
    assert "ListRoles" in asked_of_iam(adopting, begun)


def test_a_role_with_which_a_build_still_runs_stays_until_it_has_ended(runbook: Runbook) -> None:
    theirs: dict[str, str] = runbook.once(("adoptable",), lambda: adoptable(runbook))
    prepared(runbook, LIGHT).has_run("create_cluster.py", "create_repository.py")
    runbook.has_run("create_pipeline.py", WAIT="false")
    named = {"BUILD_ROLE_ARN": theirs["build_role"], "PIPELINE_ROLE_ARN": theirs["pipeline_role"], "WAIT": "false"}
    ran = runbook.run("create_pipeline.py", **named)
    for each in ("build", "pipeline"):
        assert f"kept role gpu-{each}-us-east-1  free; " in ran.err and "still runs with it" in ran.err, ran.err
    runbook.settle(1800)
    runbook.has_run("create_pipeline.py", **named)
    names = {role["RoleName"] for role in runbook.aws("iam").list_roles()["Roles"]}
    assert not names & {"gpu-build-us-east-1", "gpu-pipeline-us-east-1"}
    runbook.has_run("delete_cluster.py --yes --everything", **named)
    assert {"their-build_role", "their-pipeline_role"} <= {
        role["RoleName"] for role in runbook.aws("iam").list_roles()["Roles"]
    }
