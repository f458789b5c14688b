"""describe_clusters.py tells the cluster's status, its hosts, its GPUs in all and free, and what an hour costs."""

from __future__ import annotations

from typing import Any

from tests.conftest import Runbook

RUNNING = ("create_cluster.py", "register_task_definition.py", "run_task.py")


def test_a_missing_cluster_is_told_as_missing(runbook: Runbook) -> None:
    ran = runbook.run("describe_clusters.py")
    assert (ran.code, ran.result) == (1, {"clusterName": "gpu", "status": "MISSING"})
    assert "failed: there is no cluster gpu in this region: run create_cluster.py first" in ran.err


def test_a_deleted_cluster_is_told_as_inactive(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", "delete_cluster.py --yes")
    ran = runbook.run("describe_clusters.py")
    assert (ran.code, ran.result["status"] in ("INACTIVE", "MISSING")) == (1, True)


def test_without_hosts_nothing_costs(runbook: Runbook) -> None:
    told = runbook.has_run("create_cluster.py").run("describe_clusters.py").result
    assert (told["status"], told["hosts"], told["gpus"], told["hostsUsdPerHour"]) == ("ACTIVE", [], 0, 0.0)


def test_hosts_gpus_tasks_and_costs_are_told(runbook: Runbook) -> None:
    runbook.settings.update(INSTANCE_TYPE="g4dn.12xlarge", GPU_COUNT="1")
    told = runbook.has_run(*RUNNING).run("describe_clusters.py").result
    [host] = told["hosts"]
    assert (host["instanceType"], host["gpus"], host["agentConnected"]) == ("g4dn.12xlarge", 4, True)
    assert (told["gpus"], told["gpusFree"], told["runningTasks"]) == (4, 3, 1)
    assert (told["hostsUsdPerHour"], told["bastionUsdPerHour"]) == (3.912, 0.0)


def test_a_host_costs_what_its_own_type_does(runbook: Runbook) -> None:
    runbook.settings.update(MIN_INSTANCES="1")
    runbook.has_run("create_cluster.py")
    told = runbook.run("describe_clusters.py", INSTANCE_TYPE="p3.8xlarge").result
    assert told["hostsUsdPerHour"] == 0.526


def test_tasks_on_fargate_cost_by_their_vcpus_and_their_memory(fargate: Runbook) -> None:
    assert fargate.has_run("create_cluster.py").run("describe_clusters.py").result["tasksUsdPerHour"] == 0.0
    fargate.settings.update(TASK_CPU="1024", TASK_MEMORY="2048", TASK_COUNT="2")
    told = fargate.has_run(*RUNNING).run("describe_clusters.py").result
    assert told["tasksUsdPerHour"] == round(2 * 0.04048 + 4 * 0.004445, 4)
    assert "hostsUsdPerHour" not in told


def test_services_are_counted(fargate: Runbook) -> None:
    made = fargate.has_run("create_cluster.py", "register_task_definition.py").run("create_cluster.py").result
    network = {"subnets": made["subnetIds"], "securityGroups": made["securityGroupIds"], "assignPublicIp": "ENABLED"}
    fargate.aws("ecs").create_service(
        cluster="api",
        serviceName="theirs",
        taskDefinition="api",
        desiredCount=1,
        networkConfiguration={"awsvpcConfiguration": network},
    )
    fargate.settle()
    told = fargate.run("describe_clusters.py").result
    assert (told["activeServices"], told["runningTasks"]) == (1, 1)


def test_fewer_registered_gpus_than_the_type_has_are_told(runbook: Runbook, monkeypatch: Any) -> None:
    from emulator.core import rules
    from emulator.core.rules import Call, Params

    runbook.settings.update(INSTANCE_TYPE="g4dn.12xlarge")
    runbook.has_run(*RUNNING)

    def one_is_broken(call: Call) -> Params:
        answer = call.proceed()
        for host in answer["containerInstances"]:
            for resource in host["registeredResources"]:
                if resource["name"] == "GPU":
                    resource["stringSetValue"] = resource["stringSetValue"][:3]
        return answer

    key = ("ecs", "DescribeContainerInstances")
    monkeypatch.setitem(rules.HANDLERS, key, [one_is_broken, *rules.HANDLERS[key]])
    assert "registered 3 of the 4 GPUs of a g4dn.12xlarge" in runbook.run("describe_clusters.py").err
