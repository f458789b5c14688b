"""What a container needs before and while it starts: a registry's credentials, files of variables, others that are healthy."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.registry import images
from tests.emulator.ecs_account import Account, refused

APP = "ghcr.io/team/app:v1"
TRUE, FALSE = {"command": ["CMD-SHELL", "true"], "interval": 10}, {"command": ["CMD-SHELL", "false"], "interval": 10}


def allow(account: Account, **actions: list[str] | str) -> None:
    statements = [{"Effect": "Allow", "Action": each.replace("_", ":"), "Resource": on} for each, on in actions.items()]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    account.iam.put_role_policy(RoleName="execution", PolicyName="more", PolicyDocument=document)


# ------------------------------------------------------------------------------------------------- private registries


@pytest.fixture
def private(account: Account) -> Any:
    """Runs a task of an image that wants us:right, with a secret of this text: why it ended, or "" where it runs."""
    images.add(account.world, APP, access="private", login="us:right")

    def run(text: str | None, allowed: bool = True) -> str:
        given: dict[str, Any] = {}
        if text is not None:
            arn = account.client("secretsmanager").create_secret(Name=f"registry-{len(text)}", SecretString=text)["ARN"]
            given = {"repositoryCredentials": {"credentialsParameter": arn}}
            allow(account, **{"secretsmanager_GetSecretValue" if allowed else "s3_GetObject": arn})
        account.register_fargate(image=APP, **given)
        task = account.run_fargate()
        account.sleep(300)
        found = account.task(task)
        return "" if found["lastStatus"] == "RUNNING" else str(found["stoppedReason"])

    return run


RIGHT = '{"username": "us", "password": "right"}'


def test_a_private_registry_lets_in_who_names_a_secret_with_the_right_credentials(private: Any) -> None:
    assert private(RIGHT) == ""


@pytest.mark.parametrize(
    ("text", "allowed", "words"),
    [
        (None, True, "401 Unauthorized"),
        ('{"username": "us", "password": "wrong"}', True, "401 Unauthorized"),
        ('{"user": "us"}', True, "has not the keys username and password"),
        ("us:right", True, "has not the keys username and password"),
        (RIGHT, False, "AccessDeniedException"),
    ],
)
def test_a_private_registry_refuses_all_others(private: Any, text: str | None, allowed: bool, words: str) -> None:
    assert words in private(text, allowed)


def test_an_image_that_anyone_may_pull_needs_a_secret_that_can_be_read_all_the_same(account: Account) -> None:
    gone = "arn:aws:secretsmanager:us-east-1:123456789012:secret:gone-AbCdEf"
    account.register_fargate(image="nginx:1", repositoryCredentials={"credentialsParameter": gone})
    found = account.wait(account.run_fargate(), "STOPPED")
    assert found["stoppedReason"].startswith("ResourceInitializationError")


# --------------------------------------------------------------------------------------------------- files of variables


def variables(account: Account, *rights: str) -> dict[str, Any]:
    """A task that shows its MODE, whose role may this of a file: the task, and the lines of its log."""
    s3, logs = account.client("s3"), account.client("logs")
    s3.create_bucket(Bucket="files")
    s3.put_object(Bucket="files", Key="a.env", Body=b"# a comment\nMODE=fast\nOTHER=x\n")
    logs.create_log_group(logGroupName="here")
    on = {"s3_GetObject": "arn:aws:s3:::files/a.env", "s3_GetBucketLocation": "arn:aws:s3:::files"}
    allow(account, **{each: on[each] for each in rights}, logs_PutLogEvents="*", logs_CreateLogStream="*")
    options = {"awslogs-group": "here", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "p"}
    account.register_fargate(
        image="busybox:1",
        command=["sh", "-c", "printenv MODE OTHER; sleep 600"],
        environment=[{"name": "OTHER", "value": "ours"}],
        environmentFiles=[{"type": "s3", "value": "arn:aws:s3:::files/a.env"}],
        logConfiguration={"logDriver": "awslogs", "options": options},
    )
    task = account.run_fargate()
    account.sleep(200)
    events = logs.filter_log_events(logGroupName="here")["events"]
    return {**account.task(task), "log": [each["message"] for each in events]}


def test_variables_come_from_a_file_in_s3_and_the_definition_s_own_win(account: Account) -> None:
    found = variables(account, "s3_GetObject", "s3_GetBucketLocation")
    assert (found["lastStatus"], found["log"][:2]) == ("RUNNING", ["fast", "ours"])


@pytest.mark.parametrize("lacks", ["s3_GetObject", "s3_GetBucketLocation"])
def test_without_both_rights_to_its_file_a_task_does_not_start(account: Account, lacks: str) -> None:
    found = variables(account, *({"s3_GetObject", "s3_GetBucketLocation"} - {lacks}))
    assert lacks.replace("_", ":") in found["stoppedReason"]


# --------------------------------------------------------------------------------------------------- health, and order


def two(account: Account, first: dict[str, Any], condition: str, **second: Any) -> str:
    """A task whose main container depends on `first`."""
    depends = [{"containerName": "first", "condition": condition}]
    base = {"name": "first", "image": "busybox:1", "memory": 64, "essential": False, "command": ["sleep", "600"]}
    main = {"name": "main", "image": "nginx:1", "memory": 256, "dependsOn": depends, **second}
    account.ecs.register_task_definition(family="two", containerDefinitions=[{**base, **first}, main])
    return account.run("two")


def test_a_container_waits_until_the_one_that_it_depends_on_is_healthy(host: Account) -> None:
    task = two(host, {"healthCheck": TRUE}, "HEALTHY")
    host.sleep(5)
    while host.task(task)["containers"][0]["lastStatus"] == "PENDING":
        host.sleep(2)
    host.sleep(6)
    assert [each["lastStatus"] for each in host.task(task)["containers"]] == ["RUNNING", "PENDING"]
    host.sleep(6)
    assert [each["lastStatus"] for each in host.task(task)["containers"]] == ["RUNNING", "RUNNING"]


def test_it_waits_for_as_long_as_the_other_s_start_timeout_says(host: Account) -> None:
    slow = {"command": ["CMD-SHELL", "true"], "interval": 300}
    found = host.wait(two(host, {"healthCheck": slow, "startTimeout": 60}, "HEALTHY"), "STOPPED")
    assert (found["stopCode"], "timed out" in found["containers"][1]["reason"]) == ("TaskFailedToStart", True)


@pytest.mark.parametrize(
    ("check", "after", "health"),
    [
        ({"command": ["CMD-SHELL", "sleep 8"], "interval": 10}, 50, "UNHEALTHY"),  # longer than its timeout
        ({"command": ["CMD-SHELL", "sleep 8"], "interval": 10, "timeout": 10}, 50, "HEALTHY"),
        ({"command": ["CMD", "curl", "-f", "localhost"], "interval": 10}, 50, "UNHEALTHY"),  # busybox has none
        ({**FALSE, "startPeriod": 60}, 50, "UNKNOWN"),
        ({**FALSE, "startPeriod": 60}, 100, "UNHEALTHY"),
        ({**FALSE, "retries": 1}, 15, "UNHEALTHY"),
        ({"command": ["NONE"]}, 50, "UNKNOWN"),
    ],
)
def test_health_follows_the_command_and_its_times(host: Account, check: Any, after: int, health: str) -> None:
    busybox = {"image": "busybox:1", "command": ["sleep", "3600"], "healthCheck": check}
    host.register(container=busybox)
    task = host.run()
    host.sleep(5)
    while host.status(task) != "RUNNING":
        host.sleep(1)
    host.sleep(after)
    assert (host.task(task)["healthStatus"], host.status(task)) == (health, "RUNNING")


def test_an_ill_sidecar_that_is_not_essential_makes_no_task_ill(host: Account) -> None:
    task = two(host, {"healthCheck": {**FALSE, "retries": 1}}, "START", healthCheck=TRUE)
    host.wait(task, "RUNNING")
    host.sleep(30)
    found = host.task(task)
    assert ([each.get("healthStatus") for each in found["containers"]], found["healthStatus"]) == (
        ["UNHEALTHY", "HEALTHY"],
        "HEALTHY",
    )


@pytest.mark.parametrize(("essential", "status"), [(False, "RUNNING"), (True, "STOPPED")])
def test_with_a_sidecar_that_ends_the_task_ends_only_where_it_is_essential(
    host: Account, essential: bool, status: str
) -> None:
    task = two(host, {"command": ["sleep", "20"], "essential": essential}, "START")
    host.wait(task, "RUNNING")
    host.sleep(120)
    assert host.task(task)["lastStatus"] == status


# ------------------------------------------------------------------------------------------------------------- its end


def seconds_to_stop(account: Account, task: str) -> float:
    account.wait(task, "RUNNING")
    before = account.world.now()
    account.ecs.stop_task(cluster="main", task=task)
    while account.status(task) != "STOPPED":
        account.sleep(1)
    return float(account.world.now() - before)


def test_containers_stop_in_the_reverse_order_of_their_start(host: Account) -> None:
    deaf = {"command": ["sleep", "600"], "stopTimeout": 40}
    apart = two(host, deaf, "START", image="busybox:1", **{**deaf, "dependsOn": []})
    one = seconds_to_stop(host, apart)
    both = seconds_to_stop(host, two(host, deaf, "START", image="busybox:1", **deaf))
    assert 39 < both - one < 46


def test_the_agent_s_own_stop_timeout_counts_where_a_container_says_nothing(account: Account) -> None:
    data = account.user_data("main") + "\necho ECS_CONTAINER_STOP_TIMEOUT=2m >> /etc/ecs/ecs.config\n"
    account.instance(UserData=data)
    account.register(container={"image": "busybox:1", "command": ["sleep", "600"]})
    assert seconds_to_stop(account, account.run()) > 120
    account.register(container={"image": "busybox:1", "command": ["sleep", "600"], "stopTimeout": 300})
    assert seconds_to_stop(account, account.run()) > 300


# -------------------------------------------------------------------------------------------------------- what is refused

REFUSED: dict[str, dict[str, Any]] = {
    "a soft limit above the hard one": {"ulimits": [{"name": "nofile", "softLimit": 9, "hardLimit": 8}]},
    "a tmpfs without a size": {"linuxParameters": {"tmpfs": [{"containerPath": "/tmp", "size": 0}]}},
    "a health check too often": {"healthCheck": {"command": ["CMD", "true"], "interval": 1}},
    "a health check that is no command": {"healthCheck": {"command": ["true"]}},
    "a file that is no .env": {"environmentFiles": [{"type": "s3", "value": "arn:aws:s3:::b/a.txt"}]},
    "eleven files": {"environmentFiles": [{"type": "s3", "value": f"arn:aws:s3:::b/{n}.env"} for n in range(11)]},
    "a log option": {
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": "g",
                "awslogs-region": "us-east-1",
                "awslogs-stream-prefix": "p",
                "awslogs-grup": "x",
            },
        }
    },
}
ON_FARGATE: dict[str, dict[str, Any]] = {
    "another ulimit": {"ulimits": [{"name": "memlock", "softLimit": -1, "hardLimit": -1}]},
    "another capability": {"linuxParameters": {"capabilities": {"add": ["NET_ADMIN"]}}},
    "a long stop": {"stopTimeout": 121},
    "swap": {"linuxParameters": {"maxSwap": 5}},
    "hosts": {"extraHosts": [{"hostname": "a", "ipAddress": "10.0.0.1"}]},
}


@pytest.mark.parametrize("what", [*REFUSED, *ON_FARGATE])
def test_fargate_refuses(what: str, account: Account) -> None:
    assert refused(account.register_fargate, **{**REFUSED, **ON_FARGATE}[what])[0] == "ClientException"


@pytest.mark.parametrize("what", ON_FARGATE)
def test_a_host_takes_what_fargate_does_not(what: str, account: Account) -> None:
    account.register(container=ON_FARGATE[what])


def test_fargate_takes_tmpfs_since_2026_and_drops_capabilities(account: Account) -> None:
    tmpfs = [{"containerPath": "/tmp", "size": 64}]
    account.register_fargate(linuxParameters={"tmpfs": tmpfs, "capabilities": {"add": ["SYS_PTRACE"], "drop": ["ALL"]}})


def test_credentials_need_an_execution_role(account: Account) -> None:
    secret = {"credentialsParameter": "arn:aws:secretsmanager:us-east-1:123456789012:secret:a-AbCdEf"}
    assert refused(account.register, container={"repositoryCredentials": secret})[0] == "ClientException"


# --------------------------------------------------------------------------------------------- what an image demands


def test_a_container_starts_only_where_the_driver_has_the_cuda_that_its_image_demands(account: Account) -> None:
    """Words are alternatives; without a GPU, or with NVIDIA_DISABLE_REQUIRE, nothing is demanded."""
    account.instance("g4dn.xlarge")
    newer, by_branch = "cuda>=13.1 brand=tesla,driver>=535,driver<536", "cuda>=13.1 brand=tesla,driver>=580,driver<581"
    off = [{"name": "NVIDIA_DISABLE_REQUIRE", "value": "true"}]
    told = []
    for demand, gpus, environment in ((newer, "1", []), (newer, "", []), (newer, "1", off), (by_branch, "1", [])):
        images.add(account.world, APP, demand=demand)
        container: dict[str, Any] = {"image": APP, "environment": environment}
        task = account.run(account.register_gpu(**container) if gpus else account.register(container=container))
        account.sleep(300)
        told.append(account.task(task))
        account.ecs.stop_task(cluster="main", task=task)
        account.sleep(120)
    assert [each["lastStatus"] for each in told] == ["STOPPED", "RUNNING", "RUNNING", "RUNNING"]
    assert told[0]["stoppedReason"].startswith("CannotStartContainerError: ")
    assert "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=13.1" in told[0]["stoppedReason"]
