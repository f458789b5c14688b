"""What AWS refuses is one or two lines and exit 1, never a traceback; and two runs at once end with one of each."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

import aws
from emulator.core.doors import DOORS
from emulator.core.faults import Fault
from emulator.server import serve
from tests.conftest import GPU, ROOT, Runbook
from tests.pictures import put_back, take

PRODUCT = {path.stem for path in ROOT.glob("*.py")} | {"aws", "infrastructure"}

CHANGING = (
    "create_cluster.py",
    "register_task_definition.py",
    "run_task.py",
    "stop_task.py --all",
    "delete_cluster.py --yes",
)


def failed(runbook: Runbook, command: str = "create_cluster.py", **settings: str) -> str:
    """What a script says after its first line, when it ends with exit code 1 and no result."""
    script, *flags = command.split()
    ran = runbook.run(script, *flags, **settings)
    assert ran.code == 1, ran.err
    assert not ran.out or set(ran.result) == {"left"}
    assert "Traceback" not in ran.err
    told = ran.err[ran.err.index("failed:") :]
    assert len(told.strip().splitlines()) <= 2, told
    return told


# ----------------------------------------------------------------------------------------------- credentials and region

NO_KEYS = {"AWS_ACCESS_KEY_ID": "(unset)", "AWS_SECRET_ACCESS_KEY": "(unset)"}


def test_no_credentials(runbook: Runbook) -> None:
    told = failed(runbook, **NO_KEYS)
    assert "no credentials" in told
    assert "Set AWS_PROFILE, or sign in with aws configure or aws sso login" in told
    assert runbook.emulator.calls == []


def test_half_of_the_credentials(runbook: Runbook) -> None:
    assert "no credentials" in failed(runbook, AWS_SECRET_ACCESS_KEY="(unset)")


def test_a_profile_that_is_not_there(runbook: Runbook) -> None:
    told = failed(runbook, AWS_PROFILE="theirs")
    assert "theirs" in told
    assert "aws configure list-profiles" in told


def test_no_region(runbook: Runbook) -> None:
    told = failed(runbook, AWS_REGION="(unset)")
    assert "no region: set AWS_REGION, for example AWS_REGION=us-east-1" in told


def test_the_region_of_boto3_counts_where_aws_region_is_empty(runbook: Runbook) -> None:
    ran = runbook.run("describe_clusters.py", AWS_REGION="(unset)", AWS_DEFAULT_REGION="eu-west-1")
    where = "account 123456789012  region eu-west-1  cluster gpu"
    assert ran.err.splitlines()[0] == f"{where}  caller user/emulator  settings /dev/null"


@pytest.mark.parametrize("operation", ["GetCallerIdentity", "DescribeVpcs", "CreateCluster", "DescribeFileSystems"])
def test_an_expired_token(runbook: Runbook, operation: str) -> None:
    runbook.emulator.faults.planned.append(Fault(operation, "expired", times=-1))
    told = failed(runbook)
    assert "the credentials have expired" in told
    assert "aws sso login" in told


def test_a_token_that_expires_on_the_way_says_what_stays_and_its_undo(runbook: Runbook) -> None:
    runbook.emulator.faults.planned.append(Fault("CreateLaunchTemplate", "expired", times=-1))
    stays = "and run it again; what it made so far stays, and may cost, until python delete_cluster.py"
    assert stays in failed(runbook)
    runbook.emulator.faults.planned[:] = [Fault("DescribeVpcs", "expired", times=-1)]
    assert "what it made so far stays" not in failed(runbook), "this run has made nothing"


def test_a_wait_for_a_task_that_a_token_ends_says_what_runs_and_its_undo(fargate: Runbook) -> None:
    fargate.has_run("create_cluster.py", "register_task_definition.py")
    fargate.emulator.faults.planned.append(Fault("DescribeTasks", "expired", times=-1))
    assert "what it made so far stays, and may cost, until python stop_task.py --all" in failed(fargate, "run_task.py")


def test_credentials_that_aws_does_not_accept(runbook: Runbook) -> None:
    runbook.emulator.faults.planned.append(Fault("GetCallerIdentity", "invalid", times=-1))
    assert "AWS does not accept these credentials" in failed(runbook)


# -------------------------------------------------------------------------------------------------------- access denied

DENIED = {
    "CreateVpc": "ec2:CreateVpc",
    "CreateRole": "iam:CreateRole",
    "CreateFileSystem": "efs:CreateFileSystem",
    "CreateCluster": "ecs:CreateCluster",
    "CreateAutoScalingGroup": "autoscaling:CreateAutoScalingGroup",
    "CreateLogGroup": "logs:CreateLogGroup",
}


@pytest.mark.parametrize(("operation", "action"), DENIED.items(), ids=DENIED)
def test_access_denied_names_the_action(runbook: Runbook, operation: str, action: str) -> None:
    runbook.emulator.faults.planned.append(Fault(operation, "denied", times=-1))
    told = failed(runbook)
    service, _, name = action.partition(":")
    prefix = {"efs": "elasticfilesystem"}.get(service, service)
    assert f"access denied: your credentials may not {prefix}:{name}" in told


@pytest.mark.parametrize("command", CHANGING)
def test_any_script_ends_well_told_when_it_may_do_nothing(fargate: Runbook, command: str) -> None:
    fargate.has_run("create_cluster.py", "register_task_definition.py", "run_task.py")
    fargate.emulator.faults.planned.append(Fault("ecs:*", "denied", times=-1))
    assert "access denied: your credentials may not ecs:" in failed(fargate, command)


# ------------------------------------------------------------------------------------------- throttled, out of reach


def test_a_throttle_that_passes_is_ridden_out(runbook: Runbook) -> None:
    for operation in ("CreateVpc", "CreateFileSystem", "CreateRole", "CreateAutoScalingGroup", "CreateCluster"):
        runbook.emulator.faults.planned.append(Fault(operation, "throttle", times=4))
    assert runbook.run("create_cluster.py").code == 0


def test_throttled_for_too_long(runbook: Runbook) -> None:
    runbook.emulator.faults.planned.append(Fault("CreateVpc", "throttle", times=-1))
    told = failed(runbook)
    assert "AWS throttles ec2 CreateVpc" in told
    assert "after 10 attempts: run it again in some minutes" in told


def test_a_quota_that_is_used_up(runbook: Runbook) -> None:
    text = "The maximum number of VPCs has been reached."
    runbook.emulator.faults.planned.append(Fault("CreateVpc", "VpcLimitExceeded", text))
    told = failed(runbook)
    assert "a quota of the account is used up (VpcLimitExceeded" in told
    assert text in told


def test_an_endpoint_that_can_not_be_reached() -> None:
    environment = {
        "CLUSTER_NAME": "gpu",
        "ENV_FILE": "/dev/null",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    quick = "import botocore.endpoint as e, types, runpy, sys; e.time = types.SimpleNamespace(sleep=lambda s: None);"
    code = f"{quick} sys.path.insert(0, '.'); sys.argv = ['list_tasks.py']; runpy.run_path('list_tasks.py', run_name='__main__')"
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "failed: can't reach AWS" in ran.stderr
    assert "AWS_ENDPOINT_URL" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_connection_that_is_cut_again_and_again(runbook: Runbook) -> None:
    runbook.emulator.faults.planned.append(Fault("*", "cut", times=-1))
    assert "can't reach AWS" in failed(runbook)


def test_aws_in_trouble_is_told_with_the_call(runbook: Runbook) -> None:
    runbook.emulator.faults.planned.append(Fault("CreateSubnet", "InternalError", "An internal error", times=-1))
    told = failed(runbook)
    assert "ec2 CreateSubnet" in told
    assert "An internal error (InternalError)" in told


def test_ctrl_c_is_no_traceback(runbook: Runbook) -> None:
    def interrupt(when: str) -> None:
        if len(runbook.emulator.calls) == 30:
            raise KeyboardInterrupt

    runbook.watch = interrupt
    ran = runbook.run("create_cluster.py")
    assert ran.code == 130
    assert "interrupted; run it again, it goes on where it stopped" in ran.err


# --------------------------------------------------------------------------------------------- which call it was


COURTESIES = ("GetProducts", "GetServiceQuota", "ListServiceQuotas")


@pytest.mark.parametrize(
    "command",
    [
        *(
            "create_cluster.py",
            "register_task_definition.py",
            "run_task.py",
            "describe_clusters.py",
            "describe_task.py",
        ),
        *("list_tasks.py", "stop_task.py --all", "delete_cluster.py --yes"),
    ],
)
def test_whichever_call_is_refused_it_is_named(fargate: Runbook, command: str) -> None:
    """Those of threads too, where others are made at the same time."""
    if command != "create_cluster.py":
        before = CHANGING[: CHANGING.index(command)] if command in CHANGING else CHANGING[:3]
        fargate.has_run(*before)
    picture, start = take(fargate.emulator), len(fargate.emulator.calls)
    script, *flags = command.split()
    assert fargate.run(script, *flags).code == 0
    calls = dict.fromkeys((s, o) for s, o, refusal in fargate.emulator.calls[start:] if not refusal and s != "s3")
    for service, operation in calls:
        if operation in COURTESIES:
            continue
        put_back(fargate.emulator, picture)
        fargate.emulator.faults.planned[:] = [Fault(f"{service}:{operation}", "OddRefusal", "it is odd", times=-1)]
        told = failed(fargate, command)
        assert f"{service} {operation}" in told and "it is odd (OddRefusal)" in told, f"{service} {operation}: {told}"


# ------------------------------------------------------------------------------------------ the answer that got lost

LOST = (
    "CreateVpc",
    "CreateSubnet",
    "CreateInternetGateway",
    "AttachInternetGateway",
    "CreateRouteTable",
    "CreateRoute",
    "CreateSecurityGroup",
    "AuthorizeSecurityGroupIngress",
    "CreateFileSystem",
    "CreateMountTarget",
    "CreateAccessPoint",
    "CreateRole",
    "CreateInstanceProfile",
    "AddRoleToInstanceProfile",
    "CreateLogGroup",
    "CreateCluster",
    "CreateLaunchTemplate",
    "CreateAutoScalingGroup",
    "CreateCapacityProvider",
    "PutClusterCapacityProviders",
)


@pytest.fixture(scope="module")
def undisturbed() -> Any:
    from emulator.core.wire import Emulator
    from emulator.core.world import VirtualClock

    return sorted(Runbook(Emulator(VirtualClock()), dict(GPU)).has_run("create_cluster.py").account())


def test_creates_whose_answers_are_lost_make_no_second_one(undisturbed: Any, runbook: Runbook) -> None:
    runbook.emulator.faults.planned += [Fault(operation, "cut", when="after") for operation in LOST]
    ran = runbook.run("create_cluster.py")
    assert ran.code == 0, ran.err
    assert [fault.operation for fault in runbook.emulator.faults.planned if fault.times] == []
    runbook.settle()
    assert sorted(runbook.account()) == undisturbed


# --------------------------------------------------------------------------------------------- two runs at the same time


def another_run(runbook: Runbook, command: str) -> tuple[int, str]:
    """A second run of the product, with modules of its own, in the middle of the first one."""
    first = {name: module for name, module in sys.modules.items() if name.split(".")[0] in PRODUCT}
    for name in first:
        del sys.modules[name]
    words = command.split()
    settings = dict(word.split("=", 1) for word in itertools.takewhile(lambda word: "=" in word, words))
    script, *flags = words[len(settings) :]
    ran = Runbook(runbook.emulator, runbook.settings).run(script, *flags, **settings)
    for name in [name for name in sys.modules if name.split(".")[0] in PRODUCT]:
        del sys.modules[name]
    sys.modules.update(first)
    return ran.code, ran.err


@pytest.mark.parametrize("after", ["CreateFileSystem", "CreateVpc", "DescribeSubnets"])
def test_a_second_create_in_the_middle_of_the_first_ends_with_one_of_each(
    undisturbed: Any, runbook: Runbook, after: str
) -> None:
    seconds: list[tuple[int, str]] = []

    def watch(when: str) -> None:
        if when == "after" and not seconds and runbook.emulator.calls[-1][1] == after:
            seconds.append((0, ""))
            seconds[0] = another_run(runbook, "create_cluster.py")

    runbook.watch = watch
    ran = runbook.run("create_cluster.py")
    assert [(ran.code, ran.err), *seconds] == [(0, ran.err), (0, seconds[0][1])]
    runbook.settle()
    assert sorted(runbook.account()) == undisturbed


def test_two_processes_at_the_same_moment_end_with_one_of_each(undisturbed: Any) -> None:
    with serve(time_scale=0) as (url, emulator):
        environment = {
            **GPU,
            "ENV_FILE": "/dev/null",
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_REGION": "us-east-1",
            "POLL_SECONDS": "0.2",
            "EFS_DNS_SECONDS": "0",
        }
        command = [sys.executable, "create_cluster.py"]
        runs = [
            subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(2)
        ]
        told = [run.communicate(timeout=60)[1].decode() for run in runs]
        assert [run.returncode for run in runs] == [0, 0], told
        assert sorted(Runbook(emulator).account()) == undisturbed


# ------------------------------------------------------------------------------------------------- looks at the same time


def test_where_one_look_fails_the_others_have_ended_when_the_page_does(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    runbook.emulator.faults.planned.append(Fault("DescribeVpcs", "denied", times=-1))
    assert "access denied: your credentials may not ec2:DescribeVpcs" in failed(runbook)
    made = len(runbook.emulator.calls)
    time.sleep(0.2)
    assert len(runbook.emulator.calls) == made


@pytest.mark.parametrize(
    ("denied", "page"),
    [
        ("iam:PassRole", "run_task.py"),
        ("ecs:TagResource", "run_task.py"),
        ("ecs:RunTask", "run_task.py"),
        ("ec2:CreateTags", "create_cluster.py"),
        ("elasticfilesystem:TagResource", "create_cluster.py"),
        ("iam:TagRole", "create_cluster.py"),
    ],
)
def test_a_right_that_a_call_needs_besides_its_own_is_the_one_that_is_named(
    fargate: Runbook, denied: str, page: str
) -> None:
    """tag-004, tag-005: what to allow is not the action of the call."""
    if page == "run_task.py":
        fargate.has_run("create_cluster.py", "register_task_definition.py")
    allowed = {"Effect": "Allow", "NotAction": denied, "Resource": "*"}
    DOORS["POST", "/_emulator/caller"](fargate.emulator, {"policy": {"Statement": [allowed]}})
    ran = fargate.run(page)
    assert ran.code == 1
    assert f"failed: access denied: your credentials may not {denied}\n" in ran.err
    assert f"is not authorized to perform: {denied} on resource: arn:aws:" in ran.err
    DOORS["POST", "/_emulator/caller"](fargate.emulator, {"policy": None})
    assert fargate.run(page).code == 0


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        ({"ResponseMetadata": {"HTTPStatusCode": 400}}, True),
        ({"ResponseMetadata": {"HTTPStatusCode": 503}}, False),
        ({}, True),  # told within an answer, as LaunchInstances does
    ],
)
def test_after_a_failure_of_aws_own_it_may_have_been_done(answer: Any, refused: bool) -> None:
    told: Any = {"Error": {"Code": "A", "Message": "b"}, **answer}
    assert aws.refused(ClientError(told, "RunTask")) is refused
