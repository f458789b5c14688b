"""Tasks: where they go, what is refused, how they start, fail and stop."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.core.wire import Emulator
from emulator.ecs import tasks
from tests.emulator.ecs_account import Account, Client, refused

GROUP = {"awslogs-group": "/work", "awslogs-region": "us-east-1"}
LOGS = {"logDriver": "awslogs", "options": GROUP}
FARGATE_LOGS = {"logDriver": "awslogs", "options": {**GROUP, "awslogs-stream-prefix": "p"}}


@pytest.fixture
def gpu_host(account: Account) -> Account:
    account.instance("g4dn.xlarge")
    return account


def run(account: Account, definition: str = "work", **changes: Any) -> Any:
    return account.ecs.run_task(**{"cluster": "main", "taskDefinition": definition, **changes})


# ---------------------------------------------------------------------------------------------- what is refused


def test_an_empty_cluster_is_an_exception(account: Account) -> None:
    account.register()
    for changes in ({}, {"launchType": "EC2"}):
        code, message = refused(run, account, **changes)
        assert (code, message) == (
            "InvalidParameterException",
            "No Container Instances were found in your cluster.",
        )


@pytest.mark.parametrize(
    "changes",
    [
        {"count": 11},
        {"count": 0},
        {"launchType": "EC2", "capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1}]},
        {"capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1}]},
        {"propagateTags": "SERVICE"},
        {"startedBy": "x" * 129},
        {"clientToken": "x" * 65},
        {"launchType": "FARGATE"},
        {"overrides": {"containerOverrides": [{"name": "no"}]}},
        {"placementConstraints": [{"type": "memberOf", "expression": "attribute:x =="}]},
        {"placementStrategy": [{"type": "binpack", "field": "x"}]},
        {"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}},
        {"enableExecuteCommand": True},
    ],
)
def test_a_call_that_makes_no_sense_is_refused(host: Account, changes: dict[str, Any]) -> None:
    host.register()
    assert refused(run, host, **changes)[0] == "InvalidParameterException"


def test_awsvpc_needs_a_network_and_gives_no_public_address_on_ec2(host: Account) -> None:
    host.register(networkMode="awsvpc")
    code, message = refused(run, host)
    assert (code, message) == (
        "InvalidParameterException",
        "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
    )
    code, message = refused(run, host, networkConfiguration=host.network())
    assert (code, message) == (
        "InvalidParameterException",
        "Assign public IP is not supported for this launch type.",
    )
    many = {"awsvpcConfiguration": {"subnets": [f"subnet-{n}" for n in range(17)]}}
    assert refused(run, host, networkConfiguration=many)[0] == "InvalidParameterException"
    unknown = {"awsvpcConfiguration": {"subnets": ["subnet-0123456789abcdef0"]}}
    assert "subnet-0123456789abcdef0" in refused(run, host, networkConfiguration=unknown)[1]


def test_fargate_takes_what_was_registered_for_it(account: Account) -> None:
    account.register()
    code, message = refused(run, account, launchType="FARGATE", networkConfiguration=account.network())
    assert (code, message) == (
        "InvalidParameterException",
        "Task definition does not support launch_type FARGATE.",
    )


def test_a_strategy_has_weights_and_providers_of_the_cluster(account: Account) -> None:
    account.register_fargate()
    network = account.network()

    def start(*strategy: dict[str, Any]) -> Any:
        return run(account, "fargate", capacityProviderStrategy=list(strategy), networkConfiguration=network)

    assert "not associated with the cluster" in refused(start, {"capacityProvider": "FARGATE", "weight": 1})[1]
    account.ecs.put_cluster_capacity_providers(
        cluster="main", capacityProviders=["FARGATE", "FARGATE_SPOT"], defaultCapacityProviderStrategy=[]
    )
    account.sleep(30)
    assert refused(start, {"capacityProvider": "FARGATE", "weight": 0})[0] == "InvalidParameterException"
    both = [{"capacityProvider": name, "weight": 0} for name in ("FARGATE", "FARGATE_SPOT")]
    assert refused(start, *both)[0] == "InvalidParameterException"
    task = start({"capacityProvider": "FARGATE_SPOT", "weight": 1})["tasks"][0]
    assert (task["launchType"], task["capacityProviderName"]) == ("FARGATE", "FARGATE_SPOT")


def test_a_strategy_shares_tasks_by_base_and_weight(account: Account) -> None:
    account.register_fargate()
    strategy = [
        {"capacityProvider": "FARGATE", "base": 2, "weight": 1},
        {"capacityProvider": "FARGATE_SPOT", "weight": 3},
    ]
    account.ecs.put_cluster_capacity_providers(
        cluster="main", capacityProviders=["FARGATE", "FARGATE_SPOT"], defaultCapacityProviderStrategy=strategy
    )
    account.sleep(30)
    tasks = run(account, "fargate", count=10, networkConfiguration=account.network())["tasks"]
    names = [task["capacityProviderName"] for task in tasks]
    assert (names.count("FARGATE"), names.count("FARGATE_SPOT")) == (4, 6)


def test_a_client_token_gives_the_same_tasks_again(host: Account) -> None:
    host.register()
    first = run(host, clientToken="t", count=2)
    again = run(host, clientToken="t", count=2)
    arns = [task["taskArn"] for task in first["tasks"]]
    assert [task["taskArn"] for task in again["tasks"]] == arns
    with pytest.raises(host.ecs.exceptions.ConflictException) as error:
        run(host, clientToken="t", count=1)
    assert error.value.response["resourceIds"] == arns


def test_a_deregistered_definition_starts_tasks_for_ten_minutes(host: Account) -> None:
    host.register()
    host.ecs.deregister_task_definition(taskDefinition="work:1")
    host.run("work:1")
    host.sleep(590)
    host.run("work:1")
    host.sleep(20)
    code, message = refused(run, host, "work:1")
    assert (code, message) == ("ClientException", "TaskDefinition is inactive")


def test_too_many_calls_at_once_are_throttled(account: Account, emulator: Emulator) -> None:
    from emulator.ecs.tasks import RUN_TASK_CALLS

    account.register_fargate()
    for _ in range(RUN_TASK_CALLS):
        account.run_fargate()
    assert refused(account.run_fargate) == ("ThrottlingException", "Rate exceeded")
    account.sleep(1)
    account.run_fargate()


def test_what_is_not_imitated_says_so(account: Account) -> None:
    assert refused(account.ecs.describe_task_sets, cluster="main", service="x")[0] == "NotImplemented"


def test_a_role_that_is_not_known_yet_can_not_be_assumed(host: Account) -> None:
    role = host.role("fresh", "ecs-tasks.amazonaws.com")
    host.register(taskRoleArn="arn:aws:iam::123456789012:role/fresh")
    assert role
    code, message = refused(run, host)
    assert code == "ClientException"
    assert message.startswith("ECS was unable to assume the role 'arn:aws:iam::123456789012:role/fresh'")
    host.sleep(30)
    host.run()


def test_a_role_for_another_service_can_not_be_assumed(host: Account) -> None:
    host.register(taskRoleArn="arn:aws:iam::123456789012:role/instances")
    assert "unable to assume the role" in refused(run, host)[1]


# ---------------------------------------------------------------------------------------------- placement


def test_a_task_without_room_is_a_failure_not_an_error(host: Account) -> None:
    instance = host.host()["containerInstanceArn"]
    for key, value in (("memory", 100_000), ("cpu", 100_000)):
        host.register("big", container={key: value})
        answer = run(host, "big")
        assert answer["tasks"] == []
        assert answer["failures"] == [{"arn": instance, "reason": f"RESOURCE:{key.upper()}"}]


def test_a_gpu_belongs_to_one_task_until_that_is_stopped(gpu_host: Account) -> None:
    gpu_host.register_gpu(command=["sleep", "infinity"])
    task = gpu_host.run("gpu")
    assert run(gpu_host, "gpu")["failures"][0]["reason"] == "RESOURCE:GPU"
    found = gpu_host.wait(task, "RUNNING")
    assert found["containers"][0]["gpuIds"] == gpu_host.resource("registeredResources", "GPU")
    assert gpu_host.free("GPU") == []
    gpu_host.ecs.stop_task(cluster="main", task=task)
    gpu_host.sleep(20)
    assert gpu_host.status(task) == "STOPPING"
    assert run(gpu_host, "gpu")["failures"][0]["reason"] == "RESOURCE:GPU"
    stopped = gpu_host.wait(task, "STOPPED")
    assert stopped["containers"][0]["exitCode"] == 137
    gpu_host.run("gpu")


def test_more_tasks_than_room_is_partly_a_success(account: Account) -> None:
    account.instance("g4dn.12xlarge")
    account.register_gpu()
    answer = run(account, "gpu", count=6)
    assert (len(answer["tasks"]), [failure["reason"] for failure in answer["failures"]]) == (4, ["RESOURCE:GPU"])
    ids = [task["containers"][0]["gpuIds"][0] for task in answer["tasks"]]
    assert sorted(ids) == sorted(account.resource("registeredResources", "GPU"))


def test_all_gpus_need_an_instance_on_which_all_are_free(account: Account) -> None:
    account.instance("g4dn.12xlarge")
    account.register_gpu("ALL")
    account.run("gpu")
    assert account.free("GPU") == []
    assert run(account, "gpu")["failures"][0]["reason"] == "RESOURCE:GPU"


def test_a_gpu_is_shared_by_its_memory(gpu_host: Account) -> None:
    sharing = {"type": "GPU", "sharingStrategy": {"nvidiaMps": {"memory": 6000}}}
    gpu_host.register("part", container={"resourceRequirements": [sharing]})
    gpu_host.register_gpu()
    answer = run(gpu_host, "part", count=3)
    assert (len(answer["tasks"]), answer["failures"][0]["reason"]) == (2, "RESOURCE:GPU")
    assert answer["tasks"][0]["containers"][0]["gpuIds"] == answer["tasks"][1]["containers"][0]["gpuIds"]
    assert run(gpu_host, "gpu")["failures"][0]["reason"] == "RESOURCE:GPU"
    [device] = gpu_host.host()["gpuDevices"]
    assert (device["sharingMode"], device["containerCount"], device["remainingMemoryInMiB"]) == (
        "NVIDIA_MPS",
        2,
        15360 - 12000,
    )


def test_instances_that_drain_do_not_count(host: Account) -> None:
    host.register()
    instance = host.host()["containerInstanceArn"]
    host.ecs.update_container_instances_state(cluster="main", containerInstances=[instance], status="DRAINING")
    assert refused(run, host, launchType="EC2") == (
        "InvalidParameterException",
        "No Container Instances were found in your cluster.",
    )


def test_a_deleted_definition_goes_with_the_last_task_that_uses_it(host: Account) -> None:
    """ecs-040"""
    host.register()
    task = host.run()
    host.ecs.deregister_task_definition(taskDefinition="work:1")
    host.ecs.delete_task_definitions(taskDefinitions=["work:1"])
    host.sleep(300)
    told = host.ecs.describe_task_definition(taskDefinition="work:1")["taskDefinition"]
    assert told["status"] == "DELETE_IN_PROGRESS"
    host.ecs.stop_task(cluster="main", task=task)
    host.wait(task, "STOPPED")
    assert refused(host.ecs.describe_task_definition, taskDefinition="work:1")[0] == "ClientException"


def test_gpus_and_sharing_need_the_right_host(host: Account) -> None:
    host.register_gpu()
    assert run(host, "gpu")["failures"][0]["reason"] == "RESOURCE:GPU"
    sharing = {"type": "GPU", "sharingStrategy": {"nvidiaMps": {"memory": 6000}}}
    host.register("part", container={"resourceRequirements": [sharing]})
    assert run(host, "part")["failures"][0]["reason"] == "ATTRIBUTE"


def test_host_ports_are_taken_once_and_dynamic_ones_are_found(host: Account) -> None:
    host.register("fixed", container={"portMappings": [{"containerPort": 80, "hostPort": 8080}]})
    host.register("dynamic", container={"portMappings": [{"containerPort": 80}]})
    host.register("ssh", container={"portMappings": [{"containerPort": 22, "hostPort": 22}]})
    first = host.run("fixed")
    assert run(host, "fixed")["failures"][0]["reason"] == "RESOURCE:PORTS"
    assert run(host, "ssh")["failures"][0]["reason"] == "RESOURCE:PORTS"
    tasks = [task["taskArn"] for task in run(host, "dynamic", count=2)["tasks"]]
    bindings = [host.wait(task, "RUNNING")["containers"][0]["networkBindings"][0] for task in (first, *tasks)]
    assert [one["hostPort"] for one in bindings] == [8080, 32768, 32769]
    assert {"8080", "32768", "32769"} <= set(host.free("PORTS"))


def test_tasks_with_interfaces_of_their_own_are_few_on_an_instance(host: Account) -> None:
    host.register(networkMode="awsvpc")
    answer = run(host, count=5, networkConfiguration=host.network(public="DISABLED"))
    assert (len(answer["tasks"]), answer["failures"][0]["reason"]) == (2, "RESOURCE:ENI")


def test_constraints_are_obeyed(account: Account) -> None:
    account.instance("t3.medium")
    account.instance("t3.large")
    account.register()

    def kind(task: str) -> str:
        arn = account.task(task)["containerInstanceArn"]
        [found] = account.ecs.describe_container_instances(cluster="main", containerInstances=[arn])[
            "containerInstances"
        ]
        return str(next(one["value"] for one in found["attributes"] if one["name"] == "ecs.instance-type"))

    def member(expression: str) -> dict[str, Any]:
        return {"placementConstraints": [{"type": "memberOf", "expression": expression}]}

    for expression in (
        "attribute:ecs.instance-type == t3.large",
        "attribute:ecs.instance-type =~ t3.l.*",
        "attribute:ecs.instance-type in [t3.large, m5.large] and not attribute:stack exists",
    ):
        task = account.run(**member(expression))
        account.sleep(5)
        assert kind(task) == "t3.large"
    failures = run(account, **member("attribute:ecs.instance-type == m5.large"))["failures"]
    assert {failure["reason"] for failure in failures} == {"MemberOf placement constraint unsatisfied."}
    distinct: dict[str, Any] = {"placementConstraints": [{"type": "distinctInstance"}], "group": "one-each"}
    answer = run(account, count=3, **distinct)
    assert len(answer["tasks"]) == 2
    assert answer["failures"][0]["reason"] == "DistinctInstance placement constraint unsatisfied."


def test_strategies_pack_or_spread(account: Account) -> None:
    account.instance()
    account.instance(SubnetId=account.b)
    account.register()
    packed = run(account, count=4, placementStrategy=[{"type": "binpack", "field": "memory"}], group="packed")["tasks"]
    assert len({task["containerInstanceArn"] for task in packed}) == 1
    spread = run(account, count=4, group="spread")["tasks"]
    assert {task["availabilityZone"] for task in spread} == {"us-east-1a", "us-east-1b"}


def test_start_task_names_its_instances(host: Account) -> None:
    host.register()
    instance = host.host()["containerInstanceArn"]
    answer = host.ecs.start_task(cluster="main", taskDefinition="work", containerInstances=[instance, "no"])
    assert answer["tasks"][0]["containerInstanceArn"] == instance
    assert answer["failures"][0]["reason"] == "MISSING"


# ---------------------------------------------------------------------------------------------- up and down


def test_a_new_task_is_missing_for_two_seconds(host: Account) -> None:
    host.register()
    task = host.run()
    assert host.ecs.describe_tasks(cluster="main", tasks=[task])["failures"][0]["reason"] == "MISSING"
    host.sleep(3)
    assert host.status(task) == "PENDING"


def test_a_fargate_task_gets_an_interface_then_its_image_then_runs(account: Account) -> None:
    account.register_fargate()
    task = account.run_fargate()
    account.sleep(5)
    assert account.status(task) == "PROVISIONING"
    account.sleep(5)
    assert account.status(task) == "PENDING"
    account.sleep(20)
    assert account.status(task) == "PENDING"
    found = account.wait(task, "RUNNING", most=60)
    details = {one["name"]: one["value"] for one in found["attachments"][0]["details"]}
    assert details["subnetId"] == account.a
    [interface] = account.ec2.describe_network_interfaces(NetworkInterfaceIds=[details["networkInterfaceId"]])[
        "NetworkInterfaces"
    ]
    assert interface["PrivateIpAddress"] == details["privateIPv4Address"]
    assert interface["Association"]["PublicIp"]
    assert found["connectivity"] == "CONNECTED"
    assert found["createdAt"] < found["pullStartedAt"] < found["pullStoppedAt"] < found["startedAt"]
    assert found["platformVersion"] == "1.4.0"


def test_a_stopped_task_ends_by_sigterm_then_loses_its_interface(account: Account) -> None:
    account.register_fargate()
    task = account.run_fargate()
    account.wait(task, "RUNNING")
    answer = account.ecs.stop_task(cluster="main", task=task, reason="enough")["task"]
    assert (answer["desiredStatus"], answer["lastStatus"]) == ("STOPPED", "RUNNING")
    states: list[str] = []
    while not states or states[-1] != "STOPPED":
        account.sleep(1)
        states.append(account.status(task))
    assert list(dict.fromkeys(states)) == ["DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED"]
    found = account.task(task)
    assert (found["stopCode"], found["stoppedReason"]) == ("UserInitiated", "enough")
    assert found["containers"][0]["exitCode"] == 143
    assert account.ecs.list_tasks(cluster="main")["taskArns"] == []
    assert account.ecs.list_tasks(cluster="main", desiredStatus="STOPPED")["taskArns"] == [task]
    filters = [{"Name": "subnet-id", "Values": [account.a]}]
    assert account.ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"] == []


def test_a_stopped_task_is_seen_for_an_hour(host: Account) -> None:
    host.register(container={"command": ["true"]})
    task = host.run()
    host.wait(task, "STOPPED")
    host.sleep(3500)
    assert host.status(task) == "STOPPED"
    host.sleep(200)
    assert host.ecs.describe_tasks(cluster="main", tasks=[task])["failures"][0]["reason"] == "MISSING"


def test_a_client_token_is_remembered_until_an_hour_after_the_end_of_its_task(host: Account) -> None:
    host.register(container={"command": ["true"]})
    task = host.run(clientToken="one")
    host.wait(task, "STOPPED")
    host.sleep(3500)
    assert host.run(clientToken="one") == task
    host.sleep(200)
    assert host.run(clientToken="one") != task


def test_and_for_a_day_at_most(host: Account) -> None:
    host.register()
    task = host.run(clientToken="one")
    host.world.clock.sleep(86000)  # type: ignore[attr-defined]
    assert host.run(clientToken="one") == task
    host.world.clock.sleep(1000)  # type: ignore[attr-defined]
    assert host.run(clientToken="one") != task


@pytest.mark.parametrize(("command", "code"), [("exit 3", 3), ("sleep 60", 0), ("nvidia-smi", 127), ("echo hi", 0)])
def test_a_command_ends_with_its_own_exit_code(host: Account, command: str, code: int) -> None:
    host.register(container={"command": ["sh", "-c", command]})
    found = host.wait(host.run(), "STOPPED")
    assert (found["stopCode"], found["stoppedReason"]) == (
        "EssentialContainerExited",
        "Essential container in task exited",
    )
    assert found["containers"][0]["exitCode"] == code


def test_a_container_that_takes_too_much_memory_is_killed(host: Account) -> None:
    host.register(container={"command": ["out-of-memory"]})
    [container] = host.wait(host.run(), "STOPPED")["containers"]
    assert (container["exitCode"], container["reason"]) == (
        137,
        "OutOfMemoryError: Container killed due to memory usage",
    )


def test_what_a_container_writes_is_in_its_log(gpu_host: Account) -> None:
    gpu_host.logs.create_log_group(logGroupName="/work")
    gpu_host.register_gpu(command=["nvidia-smi", "-L"], logConfiguration=FARGATE_LOGS)
    task = gpu_host.run("gpu")
    found = gpu_host.wait(task, "STOPPED")
    stream = f"p/main/{task.rpartition('/')[2]}"
    [event] = gpu_host.logs.get_log_events(logGroupName="/work", logStreamName=stream)["events"]
    assert event["message"] == f"GPU 0: NVIDIA T4 (UUID: {found['containers'][0]['gpuIds'][0]})"


def test_overrides_change_command_environment_and_resources(gpu_host: Account) -> None:
    gpu_host.logs.create_log_group(logGroupName="/work")
    gpu_host.register(container={"logConfiguration": FARGATE_LOGS, "environment": [{"name": "A", "value": "1"}]})
    override = {
        "name": "main",
        "command": ["sh", "-c", "echo $A $B"],
        "environment": [{"name": "B", "value": "2"}],
        "resourceRequirements": [{"type": "GPU", "value": "1"}],
    }
    task = gpu_host.run(overrides={"containerOverrides": [override]})
    gpu_host.sleep(3)
    assert gpu_host.free("GPU") == []
    found = gpu_host.wait(task, "STOPPED")
    assert found["overrides"]["containerOverrides"][0]["command"] == ["sh", "-c", "echo $A $B"]
    stream = f"p/main/{task.rpartition('/')[2]}"
    events = gpu_host.logs.get_log_events(logGroupName="/work", logStreamName=stream)["events"]
    assert [event["message"] for event in events] == ["1 2"]


def test_a_container_waits_for_the_one_before_it(host: Account) -> None:
    def task(code: int) -> dict[str, Any]:
        first = {"name": "init", "image": "busybox", "memory": 32, "essential": False}
        second = {"name": "main", "image": "busybox", "memory": 32}
        host.ecs.register_task_definition(
            family="two",
            containerDefinitions=[
                {**first, "command": ["sh", "-c", f"sleep 40; exit {code}"]},
                {**second, "dependsOn": [{"containerName": "init", "condition": "SUCCESS"}]},
            ],
        )
        arn = host.run("two")
        host.wait(arn, "PENDING")
        while host.task(arn)["containers"][0]["lastStatus"] == "PENDING":
            host.sleep(5)
        assert [one["lastStatus"] for one in host.task(arn)["containers"]] == ["RUNNING", "PENDING"]
        assert host.status(arn) == "PENDING"
        return host.wait(arn, "STOPPED" if code else "RUNNING")

    assert [one["lastStatus"] for one in task(0)["containers"]] == ["STOPPED", "RUNNING"]
    failed = task(1)
    assert failed["stopCode"] == "TaskFailedToStart"
    assert failed["containers"][0]["exitCode"] == 1


def test_a_health_check_makes_a_container_healthy_or_not(host: Account) -> None:
    check = {"command": ["CMD-SHELL", "true"], "interval": 10}
    host.register(container={"healthCheck": check})
    task = host.run()
    found = host.wait(task, "RUNNING")
    assert found["healthStatus"] == "UNKNOWN"
    host.sleep(15)
    assert host.task(task)["healthStatus"] == "HEALTHY"
    host.register(container={"healthCheck": {"command": ["CMD-SHELL", "exit 1"], "interval": 10}})
    task = host.run()
    host.wait(task, "RUNNING")
    host.sleep(20)
    assert host.task(task)["healthStatus"] == "UNKNOWN"
    host.sleep(15)
    assert (host.task(task)["healthStatus"], host.status(task)) == ("UNHEALTHY", "RUNNING"), "RunTask's goes on"


def test_tasks_are_found_by_what_they_are(host: Account) -> None:
    host.register()
    host.register("other")
    one = host.run(startedBy="me")
    two = host.run("other", group="mine")
    host.sleep(5)

    def listed(**filters: Any) -> list[str]:
        return list(host.ecs.list_tasks(cluster="main", **filters)["taskArns"])

    assert listed() == [one, two]
    assert listed(family="other") == [two]
    assert listed(startedBy="me") == [one]
    assert listed(launchType="FARGATE") == []
    assert listed(containerInstance=host.host()["containerInstanceArn"]) == [one, two]
    assert listed(maxResults=1) == [one]
    assert host.task(two)["group"] == "mine"
    assert host.task(one)["group"] == "family:work"


def test_tags_come_from_the_call_the_definition_and_ecs(host: Account) -> None:
    host.register(tags=[{"key": "from", "value": "definition"}])
    tags = [{"key": "own", "value": "1"}]
    task = host.run(tags=tags, propagateTags="TASK_DEFINITION", enableECSManagedTags=True)
    host.sleep(3)
    assert {tag["key"]: tag["value"] for tag in host.task(task)["tags"]} == {
        "from": "definition",
        "own": "1",
        "aws:ecs:clusterName": "main",
    }


def test_unknown_tasks_are_refused_or_missing(host: Account) -> None:
    assert refused(host.ecs.stop_task, cluster="main", task="x") == (
        "InvalidParameterException",
        "The referenced task was not found.",
    )
    assert refused(host.ecs.describe_tasks, cluster="main", tasks=[]) == (
        "InvalidParameterException",
        "Tasks cannot be empty.",
    )
    assert host.ecs.describe_tasks(cluster="main", tasks=["x"])["failures"][0]["reason"] == "MISSING"
    many = [str(number) for number in range(101)]
    assert refused(host.ecs.describe_tasks, cluster="main", tasks=many)[0] == "InvalidParameterException"


# ---------------------------------------------------------------------------------------------- what fails


def fails(account: Account, task: str) -> str:
    """The reason why a task never came up."""
    found = account.wait(task, "STOPPED")
    assert found["stopCode"] == "TaskFailedToStart"
    assert "startedAt" not in found
    return str(found["stoppedReason"])


def test_an_image_that_is_not_there_stops_the_task(host: Account) -> None:
    host.register(container={"image": "does-not-exist/image:1"})
    task = host.run()
    assert fails(host, task).startswith("CannotPullContainerError: ")
    assert host.task(task)["containers"][0]["reason"].startswith("CannotPullContainerError: ")
    assert "exitCode" not in host.task(task)["containers"][0]


def test_an_ecr_image_must_have_been_pushed(account: Account, client: Client) -> None:
    account.register_fargate(image="123456789012.dkr.ecr.us-east-1.amazonaws.com/app:1")
    reason = fails(account, account.run_fargate())
    assert reason == (
        "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref "
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/app:1: 123456789012.dkr.ecr.us-east-1.amazonaws.com/app:1: "
        "not found"
    )
    ecr = client("ecr")
    ecr.create_repository(repositoryName="app")
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = {"schemaVersion": 2, "mediaType": kind, "config": {"digest": "sha256:0"}, "layers": []}
    ecr.put_image(repositoryName="app", imageManifest=json.dumps(manifest), imageTag="1")
    account.wait(account.run_fargate(), "RUNNING")


def test_fargate_without_a_way_out_can_not_pull(account: Account) -> None:
    account.register_fargate()
    for network in (account.network(public="DISABLED"), account.network(account.private)):
        reason = fails(account, account.run_fargate(networkConfiguration=network))
        assert reason.startswith("CannotPullContainerError: ")
        assert reason.endswith("i/o timeout")


def test_fargate_behind_a_nat_gateway_can_pull(account: Account) -> None:
    address = account.ec2.allocate_address()["AllocationId"]
    account.sleep(10)
    nat = account.ec2.create_nat_gateway(SubnetId=account.a, AllocationId=address)["NatGateway"]["NatGatewayId"]
    account.sleep(200)
    table = account.ec2.create_route_table(VpcId=account.vpc)["RouteTable"]["RouteTableId"]
    account.sleep(10)
    account.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
    account.ec2.associate_route_table(RouteTableId=table, SubnetId=account.private)
    account.register_fargate()
    network = account.network(account.private, public="DISABLED")
    account.wait(account.run_fargate(networkConfiguration=network), "RUNNING")


def test_a_log_group_must_be_there(account: Account) -> None:
    account.instance()
    account.register(container={"logConfiguration": LOGS})
    reason = fails(account, account.run())
    assert reason == (
        "CannotStartContainerError: Error response from daemon: failed to initialize logging driver: failed to create "
        "Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist."
    )
    account.register_fargate(logConfiguration=FARGATE_LOGS)
    reason = fails(account, account.run_fargate())
    assert reason.startswith("ResourceInitializationError: failed to validate logger args: ")
    account.logs.create_log_group(logGroupName="/work")
    account.wait(account.run(), "RUNNING")


def test_a_log_group_is_made_only_by_a_role_that_may(account: Account) -> None:
    options = {**GROUP, "awslogs-stream-prefix": "p", "awslogs-create-group": "true"}
    create = {"logDriver": "awslogs", "options": options}
    account.register_fargate(logConfiguration=create)
    assert "logs:CreateLogGroup" in fails(account, account.run_fargate())
    statement = {"Effect": "Allow", "Action": "logs:CreateLogGroup", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    account.iam.put_role_policy(RoleName="execution", PolicyName="logs", PolicyDocument=document)
    account.wait(account.run_fargate(), "RUNNING")
    assert [group["logGroupName"] for group in account.logs.describe_log_groups()["logGroups"]] == ["/work"]


def test_an_execution_role_needs_its_rights(account: Account) -> None:
    account.logs.create_log_group(logGroupName="/work")
    account.iam.detach_role_policy(
        RoleName="execution",
        PolicyArn="arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy",
    )
    account.register_fargate(logConfiguration=FARGATE_LOGS)
    assert "is not authorized to perform: logs:CreateLogStream" in fails(account, account.run_fargate())


def test_an_efs_volume_needs_its_mount_target(account: Account, client: Client) -> None:
    efs = client("efs")
    system = efs.create_file_system(CreationToken="x")["FileSystemId"]
    account.sleep(30)
    volume = {"name": "data", "efsVolumeConfiguration": {"fileSystemId": system}}
    mount = {"mountPoints": [{"sourceVolume": "data", "containerPath": "/data"}]}
    account.register(
        "efs",
        container=mount,
        volumes=[volume],
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
    )
    account.ec2.authorize_security_group_ingress(
        GroupId=account.group, IpProtocol="tcp", FromPort=2049, ToPort=2049, CidrIp="10.0.0.0/16"
    )
    efs.create_mount_target(FileSystemId=system, SubnetId=account.a, SecurityGroups=[account.group])
    reason = fails(account, account.run_fargate("efs"))
    assert reason.startswith("ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes")
    account.sleep(200)
    account.wait(account.run_fargate("efs"), "RUNNING")


# ---------------------------------------------------------------------------------------------- exec


def test_exec_needs_to_be_enabled_and_a_role_and_some_seconds(host: Account) -> None:
    def command(task: str) -> Any:
        return host.ecs.execute_command(cluster="main", task=task, command="sh", interactive=True)

    host.register()
    plain = host.run()
    host.wait(plain, "RUNNING")
    code, message = refused(command, plain)
    assert code == "InvalidParameterException"
    assert message.startswith("The execute command failed because execute command was not enabled")
    statement = {"Effect": "Allow", "Action": "ssmmessages:*", "Resource": "*"}
    host.role("exec", "ecs-tasks.amazonaws.com")
    host.register(taskRoleArn="exec")
    host.sleep(30)
    powerless = host.run(enableExecuteCommand=True)
    host.wait(powerless, "RUNNING")
    host.sleep(60)
    assert refused(command, powerless)[0] == "TargetNotConnectedException"
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    host.iam.put_role_policy(RoleName="exec", PolicyName="ssm", PolicyDocument=document)
    task = host.run(enableExecuteCommand=True)
    host.wait(task, "RUNNING")
    assert refused(command, task)[0] == "TargetNotConnectedException"
    host.sleep(30)
    assert command(task)["session"]["sessionId"].startswith("ecs-execute-command-")
    host.ecs.stop_task(cluster="main", task=task)
    host.wait(task, "STOPPED")
    assert refused(command, task)[0] == "InvalidParameterException"


CHANNELS = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["ssmmessages:*", "s3:*"], "Resource": "*"}]}
)


AWS_CLI = "public.ecr.aws/aws-cli/aws-cli:2.31.0"


def in_public(account: Account, mode: str, **container: Any) -> str:
    """A task on a host in a public subnet, with a role that may use ECS Exec and S3, 5 minutes after its start."""
    account.role("reaching", "ecs-tasks.amazonaws.com")
    account.iam.put_role_policy(RoleName="reaching", PolicyName="all", PolicyDocument=CHANNELS)
    account.sleep(20)
    account.register(f"in-{mode}", networkMode=mode, taskRoleArn="reaching", container=container)
    network: Any = {"networkConfiguration": account.network(public="DISABLED")} if mode == "awsvpc" else {}
    task = account.run(f"in-{mode}", enableExecuteCommand=True, **network)
    account.sleep(300)
    return task


@pytest.mark.parametrize(
    ("mode", "endpoint"), [("bridge", ""), ("host", ""), ("awsvpc", ""), ("awsvpc", "ssmmessages")]
)
def test_exec_goes_by_the_tasks_own_interface_which_has_no_public_address(
    host: Account, mode: str, endpoint: str
) -> None:
    """The image was pulled, and the task runs: for that its host has a public address."""
    if endpoint:
        name = f"com.amazonaws.us-east-1.{endpoint}"
        host.ec2.create_vpc_endpoint(VpcEndpointType="Interface", VpcId=host.vpc, ServiceName=name, SubnetIds=[host.a])
        host.sleep(60)
    [container] = host.task(task := in_public(host, mode))["containers"]
    assert host.status(task) == "RUNNING"
    reached = mode != "awsvpc" or bool(endpoint)
    assert container["managedAgents"][0]["lastStatus"] == ("RUNNING" if reached else "STOPPED")


@pytest.mark.parametrize(("mode", "endpoint"), [("bridge", False), ("awsvpc", False), ("awsvpc", True)])
def test_so_does_s3(host: Account, client: Client, mode: str, endpoint: bool) -> None:
    client("s3").create_bucket(Bucket="weights")
    if endpoint:
        filters = [{"Name": "association.subnet-id", "Values": [host.a]}]
        tables = [each["RouteTableId"] for each in host.ec2.describe_route_tables(Filters=filters)["RouteTables"]]
        host.ec2.create_vpc_endpoint(VpcId=host.vpc, ServiceName="com.amazonaws.us-east-1.s3", RouteTableIds=tables)
        host.sleep(60)
    task = in_public(host, mode, image=AWS_CLI, command=["s3", "ls", "s3://weights"])
    reached = mode != "awsvpc" or endpoint
    assert host.status(task) == ("STOPPED" if reached else "RUNNING")  # it still tries
    ended = host.task(task) if reached else host.wait(task, "STOPPED")
    assert ended["containers"][0]["exitCode"] == (0 if reached else 1)


OPEN: Any = {"HttpTokens": "optional"}
FAR: Any = {"HttpTokens": "required", "HttpPutResponseHopLimit": 2}
CLOSED: Any = {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
BLOCKED = (
    "#!/bin/bash\necho ECS_CLUSTER=main >> /etc/ecs/ecs.config\necho ECS_AWSVPC_BLOCK_IMDS=true >> /etc/ecs/ecs.config"
)
METADATA = {
    "bridge": ("bridge", CLOSED, BLOCKED, False),
    "bridge, hop limit 2": ("bridge", FAR, BLOCKED, True),
    "bridge, IMDSv1": ("bridge", OPEN, BLOCKED, True),
    "host": ("host", CLOSED, BLOCKED, True),
    "host, none": ("host", {"HttpEndpoint": "disabled"}, BLOCKED, False),
    "awsvpc": ("awsvpc", CLOSED, BLOCKED, False),
    "awsvpc, not blocked": ("awsvpc", CLOSED, BLOCKED.replace("true", "false"), True),
}


@pytest.mark.parametrize(("mode", "options", "user_data", "reached"), METADATA.values(), ids=METADATA)
def test_a_container_has_its_hosts_rights_where_the_metadata_is_open_to_it(
    account: Account, client: Client, mode: str, options: Any, user_data: str, reached: bool
) -> None:
    client("s3").create_bucket(Bucket="weights")
    account.iam.put_role_policy(RoleName="instances", PolicyName="s3", PolicyDocument=CHANNELS)
    name = "com.amazonaws.us-east-1.s3"
    account.ec2.create_vpc_endpoint(
        VpcEndpointType="Interface", VpcId=account.vpc, ServiceName=name, SubnetIds=[account.a]
    )
    account.instance(MetadataOptions=options, UserData=user_data)
    account.register(networkMode=mode, container={"image": AWS_CLI, "command": ["s3", "ls", "s3://weights"]})
    network: Any = {"networkConfiguration": account.network(public="DISABLED")} if mode == "awsvpc" else {}
    ended = account.wait(account.run(**network), "STOPPED")
    assert ended["containers"][0]["exitCode"] == (0 if reached else 253)


@pytest.mark.parametrize(
    "overrides",
    [
        {"memory": "777"},
        {"cpu": "1024"},
        {"containerOverrides": [{"name": "main", "resourceRequirements": [{"type": "GPU", "value": "1"}]}]},
    ],
    ids=str,
)
def test_fargate_takes_its_own_sizes_alone_by_overrides_too(account: Account, overrides: Any) -> None:
    account.register_fargate()
    code, _ = refused(account.run_fargate, overrides=overrides)
    assert code == "ClientException"
    assert account.run_fargate(overrides={"cpu": "512", "memory": "1024"})


def test_fargate_starts_no_more_than_the_account_s_vcpus(account: Account) -> None:
    """256 units each: of one vCPU four tasks. A service tells it in an event."""
    account.world.settings.quotas = {"L-3032A538": 1}
    account.register_fargate()
    started = account.run_fargate(count=4)
    request = {"cluster": "main", "taskDefinition": "fargate", "launchType": "FARGATE"}
    code, told = refused(account.ecs.run_task, **request, networkConfiguration=account.network())
    assert (code, told) == ("ClientException", tasks.FARGATE_FULL)
    service = {**request, "serviceName": "web", "desiredCount": 1, "networkConfiguration": account.network()}
    account.ecs.create_service(**service)
    account.sleep(60)
    assert any(f"(service web) was unable to place a task. Reason: {told}" in each for each in account.events())
    account.ecs.stop_task(cluster="main", task=started)
    account.sleep(400)
    assert account.service()["runningCount"] == 1
