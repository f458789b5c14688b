"""describe_task.py says where a task is and how to reach it, and of one that does not run, why."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from emulator.core.faults import Fault
from infrastructure.service import gpus
from tests.conftest import ROOT, Runbook

REGISTERED = ("create_cluster.py", "register_task_definition.py")


def start(runbook: Runbook, seconds: float = 0) -> None:
    """Ask for a task, whose host is managed scaling's to bring, and do not wait for it; then let this time pass."""
    runbook.emulator.faults.planned.append(Fault("LaunchInstances", "denied", times=-1))
    ran = runbook.run("run_task.py", WAIT_TIMEOUT_SECONDS="5")
    assert "gave up waiting" in ran.err, ran.err
    if seconds:
        runbook.settle(seconds)


def why(runbook: Runbook) -> str:
    ran = runbook.run("describe_task.py")
    assert ran.code == 0, ran.err
    return str(ran.result["why"])


def interfaces(runbook: Runbook, **filters: str) -> list[Any]:
    asked = [{"Name": key.replace("_", "-"), "Values": [value]} for key, value in filters.items()]
    found: list[Any] = runbook.aws("ec2").describe_network_interfaces(Filters=asked)["NetworkInterfaces"]
    return found


# ---------------------------------------------------------------------------------------------------- how to reach it


def test_on_fargate_it_tells_the_addresses_of_the_interface(fargate: Runbook) -> None:
    fargate.has_run(*REGISTERED, "run_task.py")
    told = fargate.run("describe_task.py").result
    [interface] = interfaces(fargate, network_interface_id=told["networkInterfaceId"])
    assert told["publicIp"] == interface["Association"]["PublicIp"]
    assert told["privateIp"] == interface["PrivateIpAddress"]
    assert "note" not in told


def test_in_bridge_mode_it_tells_the_hosts_address_and_a_port_for_each_container_port(runbook: Runbook) -> None:
    runbook.settings.update(CONTAINER_PORTS="8080:80,9090", ALLOWED_CIDR="203.0.113.7/32")
    runbook.has_run(*REGISTERED, "run_task.py")
    told = runbook.run("describe_task.py").result
    [reservation] = runbook.aws("ec2").describe_instances(InstanceIds=[told["instanceId"]])["Reservations"]
    host = reservation["Instances"][0]
    assert (told["publicIp"], told["privateIp"]) == (host["PublicIpAddress"], host["PrivateIpAddress"])
    ports = {each["containerPort"]: each["hostPort"] for each in told["ports"]}
    assert ports[80] == 8080
    assert 32768 <= ports[9090] <= 65535


def test_in_host_mode_the_ports_are_the_same(runbook: Runbook) -> None:
    runbook.settings.update(NETWORK_MODE="host", CONTAINER_PORTS="9090", ALLOWED_CIDR="203.0.113.7/32")
    runbook.has_run(*REGISTERED, "run_task.py")
    told = runbook.run("describe_task.py").result
    assert told["ports"] == [{"containerPort": 9090, "hostPort": 9090}]
    assert told["publicIp"]


def test_awsvpc_on_ec2_tells_a_private_address_and_says_so(runbook: Runbook) -> None:
    runbook.settings.update(NETWORK_MODE="awsvpc", CONTAINER_PORTS="9090", ALLOWED_CIDR="203.0.113.7/32")
    runbook.has_run(*REGISTERED, "run_task.py")
    told = runbook.run("describe_task.py").result
    [interface] = interfaces(runbook, network_interface_id=told["networkInterfaceId"])
    assert (told["publicIp"], told["privateIp"]) == (None, interface["PrivateIpAddress"])
    assert "the address is private" in told["note"]


def test_it_tells_state_containers_and_gpus(runbook: Runbook) -> None:
    runbook.has_run(*REGISTERED, "run_task.py")
    told = runbook.run("describe_task.py").result
    [container] = told["containers"]
    assert (told["lastStatus"], told["desiredStatus"], container["lastStatus"]) == ("RUNNING",) * 3
    assert container["gpuIds"][0].startswith("GPU-")
    assert "why" not in told


# ------------------------------------------------------------------------------------------------------------ which one


def test_without_task_it_is_the_newest_that_lives(fargate: Runbook) -> None:
    fargate.has_run(*REGISTERED, "run_task.py")
    fargate.has_run("run_task.py", TASK_COUNT="2")
    told = fargate.run("describe_task.py").result
    listed = fargate.run("list_tasks.py").result["tasks"]
    assert told["taskArn"].endswith(max(listed, key=lambda task: task["since"])["taskId"])


def test_a_task_is_chosen_by_its_id_or_its_arn(fargate: Runbook) -> None:
    arn = fargate.has_run(*REGISTERED).run("run_task.py").result["tasks"][0]["taskArn"]
    for task in (arn, arn.rsplit("/", 1)[-1]):
        assert fargate.run("describe_task.py", "--task", task).result["taskArn"] == arn


def test_a_task_that_is_not_there_is_a_sentence(fargate: Runbook) -> None:
    fargate.has_run("create_cluster.py")
    ran = fargate.run("describe_task.py", "--task", "0123456789abcdef0123456789abcdef")
    assert (ran.code, ran.out) == (1, "")
    assert "there is no task 0123456789abcdef0123456789abcdef in cluster api" in ran.err


def test_before_any_task_it_says_what_to_run(fargate: Runbook) -> None:
    ran = fargate.has_run("create_cluster.py").run("describe_task.py")
    assert ran.code == 1
    assert "python run_task.py" in ran.err


# ------------------------------------------------------------------------------------------------- stopped: why


def test_a_stopped_task_tells_its_stop_code_its_reason_and_its_exit_codes(fargate: Runbook) -> None:
    fargate.has_run(*REGISTERED, "run_task.py", "stop_task.py --all")
    told = fargate.run("describe_task.py").result
    assert told["lastStatus"] == "STOPPED"
    for part in ("UserInitiated", "stop_task.py", "container main: exit code 143"):
        assert part in told["why"]


def test_a_container_that_failed_tells_its_exit_code(fargate: Runbook) -> None:
    fargate.settings["COMMAND"] = "sh -c 'sleep 20; exit 42'"
    fargate.has_run(*REGISTERED, "run_task.py").settle(120)
    told = why(fargate)
    assert "EssentialContainerExited" in told
    assert "exit code 42" in told


def test_an_image_that_can_not_be_pulled_is_told(fargate: Runbook) -> None:
    fargate.settings["IMAGE"] = "example.com/does-not-exist:1"
    fargate.has_run(*REGISTERED)
    start(fargate, 300)
    told = why(fargate)
    assert "CannotPullContainerError" in told
    assert "Look at IMAGE" in told


def test_an_image_that_can_not_be_pulled_on_a_host_is_told(runbook: Runbook) -> None:
    runbook.settings["IMAGE"] = "example.com/does-not-exist:1"
    runbook.has_run(*REGISTERED)
    start(runbook, 900)
    assert "CannotPullContainerError" in why(runbook)


def test_a_task_that_waited_too_long_tells_that_it_was_never_placed_and_why(runbook: Runbook) -> None:
    runbook.emulator.world.settings.without_capacity = [f"us-east-1{zone}" for zone in "abcdef"]
    runbook.has_run(*REGISTERED)
    start(runbook)
    for _ in range(30):
        runbook.settle(120)
    told = why(runbook)
    assert "TaskFailedToStart" in told
    assert "it was never placed" in told and ".;" not in told
    assert "sufficient g4dn.xlarge capacity" in told


# ------------------------------------------------------------------------------------- waiting: every link of the chain


def test_it_waits_for_managed_scaling_to_ask_for_a_host(runbook: Runbook) -> None:
    runbook.has_run(*REGISTERED)
    start(runbook)
    assert why(runbook).startswith("no host has joined the cluster yet")


def test_it_waits_for_a_host_that_is_starting(runbook: Runbook) -> None:
    runbook.has_run(*REGISTERED)
    start(runbook)
    seen = set()
    for _ in range(12):
        runbook.settle(10)
        seen.add(runbook.run("describe_task.py").result.get("why", "").partition(": ")[2][:6])
    assert "host i" in seen


@pytest.mark.parametrize("mistake", ["no capacity", "no quota"])
def test_the_groups_last_failed_activity_is_told(runbook: Runbook, mistake: str) -> None:
    runbook.has_run(*REGISTERED)
    settings = runbook.emulator.world.settings
    if mistake == "no capacity":
        settings.without_capacity = [f"us-east-1{zone}" for zone in "abcdef"]
    else:
        settings.vcpu_quotas["L-DB2E81BA"] = 0
    start(runbook, 300)
    told = why(runbook)
    words = {
        "no capacity": ("sufficient g4dn.xlarge capacity", "Name other AVAILABILITY_ZONES"),
        "no quota": ("vCPU limit of 0", "Ask for a higher quota in the Service Quotas console"),
    }
    for part in ("the Auto Scaling group could not launch a host", *words[mistake]):
        assert part in told


def test_a_host_whose_agent_never_registers_is_told(runbook: Runbook) -> None:
    runbook.emulator.world.settings.agents_register = False
    runbook.has_run(*REGISTERED)
    start(runbook, 600)
    told = why(runbook)
    assert "runs, but its ECS agent has not joined the cluster" in told
    for look_at in ("internet", "role", "user data"):
        assert look_at in told


def test_no_free_gpu_is_told_with_the_limit(runbook: Runbook) -> None:
    runbook.has_run(*REGISTERED, "run_task.py")
    assert "gave up" in runbook.run("run_task.py", TASK_COUNT="2", WAIT_TIMEOUT_SECONDS="100").err
    told = why(runbook)
    assert "no free GPU: the hosts have 0 free, the task needs 1" in told
    assert "the host is full, and MAX_INSTANCES=1" in told


def test_a_stopping_task_is_seen_as_still_holding_its_gpu(runbook: Runbook) -> None:
    arn = runbook.has_run(*REGISTERED).run("run_task.py").result["tasks"][0]["taskArn"]
    runbook.aws("ecs").stop_task(cluster="gpu", task=arn)
    assert "gave up" in runbook.run("run_task.py", WAIT_TIMEOUT_SECONDS="5").err
    assert "1 stopping tasks still hold theirs" in why(runbook)
    told = runbook.run("describe_task.py", "--task", arn).result["why"]
    assert "it is stopping" in told
    assert "holds its GPU" in told


def test_no_room_is_told_with_what_the_task_needs(runbook: Runbook) -> None:
    runbook.settings.update(GPU_COUNT="0", INSTANCE_TYPE="t3.medium", TASK_MEMORY="3000")
    runbook.has_run(*REGISTERED, "run_task.py")
    assert "gave up" in runbook.run("run_task.py", TASK_COUNT="2", WAIT_TIMEOUT_SECONDS="100").err
    told = why(runbook)
    assert "no host has room for it" in told
    assert "TASK_MEMORY=3000" in told


def test_a_task_that_pulls_its_image_says_so(fargate: Runbook) -> None:
    fargate.has_run(*REGISTERED)
    start(fargate, 30)
    assert why(fargate) == "the image is being pulled, or a volume is being mounted"


# ------------------------------------------------------------------------------------------------------------ its GPUs


@pytest.fixture
def watched(runbook: Runbook, tmp_path: Path) -> Runbook:
    """Two GPUs of a host that tells CloudWatch, one of them a task's; and the emulator's Session Manager plugin."""
    script = tmp_path / "session-manager-plugin"
    program = ROOT / "emulator" / "programs" / "session_manager_plugin.py"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} {program} "$@"\n')
    script.chmod(0o755)
    runbook.settings |= {"PATH": f"{tmp_path}:{os.environ['PATH']}", "INSTANCE_TYPE": "g4dn.12xlarge"}
    runbook.settings |= {"HOST_MONITORING": "enabled", "ENABLE_EXECUTE_COMMAND": "true"}
    return runbook.has_run(*REGISTERED, "run_task.py")


def test_gpu_tells_what_it_does_now_and_did_in_the_last_hour(watched: Runbook) -> None:
    watched.settle(3600)
    ran = watched.run("describe_task.py", "--gpu")
    [gpu] = ran.result["gpus"]
    assert (gpu["name"], gpu["utilizationPercent"], gpu["memoryTotalMiB"]) == ("NVIDIA T4", 87, 15360)
    assert gpu["temperatureCelsius"] > 60 and gpu["powerWatts"] > 60
    [container] = ran.result["containers"]
    assert [gpu["uuid"]] == container["gpuIds"]
    assert "found GPU 0  NVIDIA T4: 87 % busy, 13363 of 15360 MiB" in ran.err
    hour = ran.result["lastHour"]
    assert [(each["index"], set(each["percent"][-50:])) for each in hour] == [
        ("0", {87}),
        *((str(n), {0}) for n in (1, 2, 3)),
    ]
    assert "▇" * 50 in ran.err


def test_a_gpu_that_is_idle_for_long_is_said_with_what_its_host_costs(watched: Runbook) -> None:
    watched.settle(3600)
    ran = watched.run("describe_task.py", "--gpu")
    told = [line for line in ran.err.splitlines() if "has done nothing" in line]
    assert len(told) == 3 and all("$3.91 an hour" in line for line in told), ran.err
    assert [each["idleMinutes"] for each in ran.result["lastHour"]] == [0, 60, 60, 60]
    watched.emulator.world.settings.gpu_percent = 0
    assert "GPU 0 of host" in watched.run("describe_task.py", "--gpu").err


def test_what_the_gpus_did_before_the_task_is_in_the_last_hour_too(watched: Runbook) -> None:
    """A minute of which nothing was told, before the host was there, is a gap."""
    watched.settle(600)
    hour = watched.run("describe_task.py", "--gpu").result["lastHour"][0]["percent"]
    assert hour[0] is None and hour[-1] == 87


def test_without_exec_and_without_monitoring_it_is_said_what_lacks(runbook: Runbook) -> None:
    runbook.settings["PATH"] = "/nowhere"
    runbook.has_run(*REGISTERED, "run_task.py")
    ran = runbook.run("describe_task.py", "--gpu")
    assert (ran.code, ran.result["gpus"], ran.result["lastHour"]) == (0, None, None)
    assert "what the GPUs do now is not known: the Session Manager plugin" in " ".join(ran.err.split())
    assert "HOST_MONITORING=enabled has hosts tell CloudWatch" in ran.err


def test_a_broken_gpu_is_named(runbook: Runbook) -> None:
    runbook.settings["INSTANCE_TYPE"] = "g4dn.12xlarge"
    runbook.emulator.world.settings.lost_gpus = 1
    runbook.has_run(*REGISTERED, "run_task.py")
    assert "registered 3 of the 4 GPUs of a g4dn.12xlarge" in runbook.run("describe_task.py", "--gpu").err


def test_the_gpus_of_a_task_that_does_not_run_are_not_waited_for(watched: Runbook) -> None:
    watched.has_run("stop_task.py --all")
    begun = watched.emulator.world.now()
    told = watched.run("describe_task.py", "--gpu").result
    assert (told["lastStatus"], told["gpus"]) == ("STOPPED", None)
    assert watched.emulator.world.now() == begun


def test_without_the_flag_no_more_is_asked(watched: Runbook) -> None:
    since = len(watched.emulator.calls)
    assert "gpus" not in watched.run("describe_task.py").result
    asked = {operation for _, operation, _ in watched.emulator.calls[since:]}
    assert not asked & {"ExecuteCommand", "GetMetricData"}


@pytest.mark.parametrize(
    ("values", "line"),
    [([0.0, 50.0, 100.0], "▁▅█"), ([None, 87.0, None], " ▇"), ([], ""), ([12.4, 12.6], "▁▂")],
)
def test_a_sparkline_has_a_character_a_minute(values: list[float | None], line: str) -> None:
    assert gpus.sparkline(values) == line


def test_what_a_gpu_does_not_tell_is_null() -> None:
    read = gpus.read(["0", "GPU-1", "NVIDIA T4", "[N/A]", "1", "2", "33", "[Not Supported]"])
    assert (read["utilizationPercent"], read["powerWatts"], read["temperatureCelsius"]) == (None, None, 33)
