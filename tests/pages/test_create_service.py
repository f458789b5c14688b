"""create_service.py: what the service and its tasks are, when it is stable, and why it is not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Runbook

READY = ("create_cluster.py", "register_task_definition.py")


def service(runbook: Runbook) -> Any:
    [found] = runbook.aws("ecs").describe_services(cluster="clara-train", services=["clara"])["services"]
    return found


def definition(runbook: Runbook) -> Any:
    return runbook.aws("ecs").describe_task_definition(taskDefinition="clara")["taskDefinition"]


def container(runbook: Runbook, name: str) -> Any:
    return next(each for each in definition(runbook)["containerDefinitions"] if each["name"] == name)


def percents(runbook: Runbook) -> tuple[int, int]:
    found = service(runbook)["deploymentConfiguration"]
    return found["minimumHealthyPercent"], found["maximumPercent"]


# ------------------------------------------------------------------------------------------------- what is made


def test_the_container_is_as_the_settings_say(clara: Runbook) -> None:
    found = container(clara.has_run(*READY), "main")
    assert found["image"] == "nvcr.io/nvidia/clara-train-sdk:v3.1.01"
    assert found["entryPoint"] == ["sh", "-c"]
    assert found["command"][0].startswith("start_aas.sh --debug 1 --ssl true")
    assert found["resourceRequirements"] == [{"type": "GPU", "value": "1"}]
    assert definition(clara)["memory"] == "24576"


def test_its_data_is_on_efs_at_workspace(clara: Runbook) -> None:
    found = container(clara.has_run(*READY), "main")
    [volume] = definition(clara)["volumes"]
    assert [(mount["containerPath"], mount["readOnly"]) for mount in found["mountPoints"]] == [("/workspace", False)]
    assert volume["efsVolumeConfiguration"]["transitEncryption"] == "ENABLED"


def test_its_logs_are_kept_for_a_year(clara: Runbook) -> None:
    found = container(clara.has_run(*READY), "main")["logConfiguration"]["options"]["awslogs-group"]
    [group] = clara.aws("logs").describe_log_groups(logGroupNamePrefix=found, limit=1)["logGroups"]
    assert (group["logGroupName"], group["retentionInDays"]) == ("/ecs/clara-train", 365)


def test_a_small_container_makes_the_certificate_on_efs_before_the_other_starts(clara: Runbook) -> None:
    certificate = container(clara.has_run(*READY), "certificate")
    waits = container(clara, "main")["dependsOn"]
    assert waits == [{"containerName": "certificate", "condition": "SUCCESS"}]
    assert not certificate["essential"]
    assert "openssl x509 -checkend" in certificate["command"][0]
    assert "-out /workspace/certs/clara.crt" in certificate["command"][0]
    assert certificate["mountPoints"] == container(clara, "main")["mountPoints"]


def test_the_service_is_stable_behind_the_load_balancer(clara: Runbook) -> None:
    made = clara.has_run(*READY).run("create_service.py").result
    found = service(clara)
    assert (found["runningCount"], found["desiredCount"], len(found["deployments"])) == (1, 1, 1)
    assert found["deployments"][0]["rolloutState"] == "COMPLETED"
    assert [target["state"] for target in made["targets"]] == ["healthy"]
    assert made["url"].startswith("https://clara-train-alb-")


def test_zones_are_balanced_where_a_deploy_starts_the_new_task_first(clara: Runbook) -> None:
    found = service(clara.has_run(*READY, "create_service.py"))
    assert (percents(clara), found["availabilityZoneRebalancing"]) == ((100, 200), "ENABLED")


def test_zones_are_not_balanced_where_every_gpu_is_in_use(clara: Runbook) -> None:
    found = service(clara.has_run(*READY).has_run("create_service.py", DESIRED_COUNT="2"))
    assert (percents(clara), found["availabilityZoneRebalancing"]) == ((0, 100), "DISABLED")


def test_grace_period_and_circuit_breaker(clara: Runbook) -> None:
    found = service(clara.has_run(*READY, "create_service.py"))
    assert found["healthCheckGracePeriodSeconds"] == 180
    assert found["deploymentConfiguration"]["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}


@pytest.mark.parametrize("enabled", ["true", "false"])
def test_ecs_exec_is_a_setting(clara: Runbook, enabled: str) -> None:
    clara.has_run(*READY, "create_service.py", ENABLE_EXECUTE_COMMAND=enabled)
    assert service(clara)["enableExecuteCommand"] == (enabled == "true")


def test_its_json_has_the_url_and_the_dns_name_of_the_file_system(clara: Runbook) -> None:
    made = clara.has_run(*READY).run("create_service.py").result
    [balancer] = clara.aws("elbv2").describe_load_balancers()["LoadBalancers"]
    [system] = clara.aws("efs").describe_file_systems()["FileSystems"]
    assert made["url"] == f"https://{balancer['DNSName']}"
    assert made["fileSystemDnsName"] == f"{system['FileSystemId']}.efs.us-east-1.amazonaws.com"


def test_a_second_run_changes_nothing(clara: Runbook) -> None:
    clara.has_run(*READY, "create_service.py")
    calls = len(clara.emulator.calls)
    ran = clara.run("create_service.py")
    assert (ran.code, clara.changes(calls)) == (0, [])
    assert "found service clara  1 of 1 tasks run" in ran.err


def test_a_dry_run_changes_nothing(clara: Runbook) -> None:
    clara.has_run(*READY)
    calls = len(clara.emulator.calls)
    ran = clara.run("create_service.py", "--dry-run")
    assert (ran.code, clara.changes(calls)) == (0, []), ran.err


def test_without_a_wait_it_ends_at_once(clara: Runbook) -> None:
    clara.has_run(*READY)
    before = clara.emulator.world.now()
    ran = clara.run("create_service.py", WAIT="false")
    assert (ran.code, ran.result["runningCount"]) == (0, 0)
    assert clara.emulator.world.now() - before < 30


def test_each_event_is_shown_once(clara: Runbook) -> None:
    ran = clara.has_run(*READY).run("create_service.py")
    events = [line for line in ran.err.splitlines() if line.startswith("event ")]
    assert len(events) == len(set(events)) >= 2
    assert events[-1] == "event (service clara) has reached a steady state."


# ------------------------------------------------------------------------------------------------- room for a deploy


def test_with_a_free_gpu_a_deploy_starts_the_new_task_first(clara: Runbook) -> None:
    ran = clara.has_run(*READY).run("create_service.py")
    assert percents(clara) == (100, 200)
    assert "warning" not in ran.err


def test_with_every_gpu_in_use_a_deploy_stops_the_old_task_first_and_says_so(clara: Runbook) -> None:
    one = {"CLUSTER_SIZE": "1"}
    ran = clara.has_run(*READY, **one).run("create_service.py", **one)
    assert (ran.code, percents(clara)) == (0, (0, 100))
    assert "warning every GPU is in use:  a deploy stops the old task first, with an outage of " in ran.err


#: one host with four GPUs, and the memory of one task
LARGE = {"INSTANCE_TYPE": "g4dn.12xlarge", "CLUSTER_SIZE": "1", "TASK_MEMORY": "100000"}


def test_with_no_memory_for_another_task_a_deploy_stops_the_old_one_first(clara: Runbook) -> None:
    ran = clara.has_run(*READY, **LARGE).run("create_service.py", **LARGE)
    assert (ran.code, percents(clara)) == (0, (0, 100))
    assert "warning every place in memory is in use:  a deploy stops the old task first" in ran.err
    clara.has_run("register_task_definition.py", **LARGE, IMAGE="nvcr.io/nvidia/clara-train-sdk:v4.1")
    assert clara.run("update_service.py", **LARGE).code == 0


#: one host with four GPUs, and more than half of its CPU for each task
HALF = {**LARGE, "TASK_MEMORY": "24576", "TASK_CPU": "30000"}


def test_with_no_cpu_for_another_task_a_deploy_stops_the_old_one_first(clara: Runbook) -> None:
    ran = clara.has_run(*READY, **HALF).run("create_service.py", **HALF)
    assert (ran.code, percents(clara)) == (0, (0, 100))
    assert "warning every share of the CPU is in use:  a deploy stops the old task first" in ran.err
    clara.has_run("register_task_definition.py", **HALF, IMAGE="nvcr.io/nvidia/clara-train-sdk:v4.1")
    assert clara.run("update_service.py", **HALF).code == 0


def test_more_tasks_than_the_hosts_have_cpu_for_are_refused_before_anything_is_made(clara: Runbook) -> None:
    ran = clara.run("create_cluster.py", **HALF, DESIRED_COUNT="2")
    assert (ran.code, clara.changes(0)) == (1, ["acm:RequestCertificate"])
    assert "DESIRED_COUNT=2 tasks need 2 shares of the CPU, but 1 g4dn.12xlarge hosts have 1" in ran.err


def test_more_tasks_than_the_hosts_have_memory_for_are_refused_before_anything_is_made(clara: Runbook) -> None:
    ran = clara.run("create_cluster.py", **LARGE, DESIRED_COUNT="2")
    assert (ran.code, clara.changes(0)) == (1, ["acm:RequestCertificate"])
    assert "DESIRED_COUNT=2 tasks need 2 places in memory, but 1 g4dn.12xlarge hosts have 1" in ran.err


def test_a_deploy_with_an_outage_is_refused_where_it_is_not_allowed(clara: Runbook) -> None:
    one = {"CLUSTER_SIZE": "1", "ALLOW_DOWNTIME": "false"}
    ran = clara.has_run(*READY, **one).run("create_service.py", **one)
    assert ran.code == 1
    assert "no GPU would be free for a new task beside 1 running ones, and ALLOW_DOWNTIME=false" in ran.err


@pytest.mark.parametrize("script", ["create_cluster.py", "create_service.py"])
def test_more_gpus_than_the_hosts_have_are_refused_before_anything_is_made(clara: Runbook, script: str) -> None:
    clara.has_run(*READY)
    before = clara.account()
    ran = clara.run(script, DESIRED_COUNT="3", MAX_TASKS="3")
    assert ran.code == 1
    assert "DESIRED_COUNT=3 tasks need 3 GPUs, but 2 g4dn.2xlarge hosts have 2: raise CLUSTER_SIZE" in ran.err
    assert clara.account() == before


# ------------------------------------------------------------------------------------------------- what goes wrong


def test_a_task_that_its_health_check_kills_is_told_as_that(clara: Runbook) -> None:
    ill = {"IMAGE": "example.com/unhealthy:v1"}
    ran = clara.has_run(*READY, **ill).run("create_service.py", **ill)
    assert (ran.code, ran.out) == (1, "")
    assert "the health check of /docs/ killed" in ran.err
    assert "raise HEALTH_CHECK_GRACE_SECONDS=180 if the container needs longer to start" in ran.err
    assert " s old" in ran.err


def test_a_container_that_ends_is_told_with_its_exit_code_and_its_last_lines(clara: Runbook) -> None:
    ends = {"ENTRY_POINT": "sh -c", "COMMAND": "'echo no model found; exit 3'"}
    ran = clara.has_run(*READY, **ends).run("create_service.py", **ends)
    assert ran.code == 1
    assert "container main: exit code 3" in ran.err
    assert "log: no model found" in ran.err


def test_it_needs_a_cluster_and_a_task_definition(clara: Runbook) -> None:
    assert "there is no cluster clara-train in this region: run create_cluster.py" in clara.run("create_service.py").err
    clara.has_run("create_cluster.py")
    assert "no task definition clara is registered: run register_task" in clara.run("create_service.py").err


def test_a_service_of_somebody_else_is_left_alone(clara: Runbook) -> None:
    clara.has_run(*READY)
    clara.aws("ecs").create_service(cluster="clara-train", serviceName="clara", taskDefinition="clara", desiredCount=0)
    ran = clara.run("create_service.py")
    assert ran.code == 1
    assert "the service clara exists already, and is not of this runbook" in ran.err
