"""One job on several hosts: all or none, in one zone, each on its own host; one that fails ends all and is told."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.core.faults import Fault
from emulator.ecs import life
from tests.conftest import READS, Runbook
from tests.infrastructure.test_overrides import log_of
from tests.infrastructure.test_retries import interrupting, notice
from tests.infrastructure.test_sweeps import Killed
from tests.pages.test_run_task import REGISTERED, requests, tasks

TORCHRUN = "sh -c 'torchrun --nnodes=$NNODES --node-rank=$NODE_RANK --master-addr=$MASTER_ADDR --master-port=$MASTER_PORT train.py'"
JOB = {"NODE_PORTS": "29500-65535", "RUN_UNTIL": "STOPPED", "COMMAND": TORCHRUN, "POLL_SECONDS": "15"}
HOSTS = {**JOB, "NETWORK_MODE": "awsvpc", "MAX_INSTANCES": "3", "IMAGE": "example.com/ml:v1"}
NODES = ("run_task.py", "--nodes", "2")


@pytest.fixture
def job(fargate: Runbook) -> Runbook:
    fargate.settings |= JOB
    return fargate.has_run(*REGISTERED)


@pytest.fixture
def hosts(runbook: Runbook) -> Runbook:
    """In two zones, with a way to the registry for what is private."""
    runbook.settings |= HOSTS
    return runbook


def environment(task: Any) -> dict[str, str]:
    [override] = task["overrides"]["containerOverrides"]
    return {pair["name"]: pair["value"] for pair in override["environment"]}


def by_rank(found: list[Any]) -> dict[str, Any]:
    return {environment(task)["NODE_RANK"]: task for task in found}


def address(task: Any) -> str:
    details = {pair["name"]: pair["value"] for pair in task["attachments"][0]["details"]}
    return str(details["privateIPv4Address"])


def rules_of(runbook: Runbook) -> list[tuple[int, int, bool]]:
    """What the tasks' group lets in: from, to, and whether from itself."""
    ec2 = runbook.aws("ec2")
    name = f"{runbook.settings['CLUSTER_NAME']}-tasks"
    [group] = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [name]}])["SecurityGroups"]
    return [
        (rule["FromPort"], rule["ToPort"], group["GroupId"] in [each["GroupId"] for each in rule["UserIdGroupPairs"]])
        for rule in group["IpPermissions"]
    ]


# ------------------------------------------------------------------------------------------------------------- it runs


def test_nodes_know_their_rank_and_the_address_of_node_0(job: Runbook) -> None:
    ran = job.run("run_task.py", "--nodes", "3", "--env", "LR=1")
    assert ran.code == 0, ran.err
    found = by_rank(tasks(job, "STOPPED"))
    told = [environment(found[rank]) for rank in sorted(found)]
    common = {"LR": "1", "MASTER_PORT": "29500", "NNODES": "3"}
    head = address(found["0"])
    assert told == [
        {**common, "NODE_RANK": str(rank), "MASTER_ADDR": "127.0.0.1" if rank == 0 else head} for rank in range(3)
    ]
    assert [(each["node"], each["exitCodes"]) for each in ran.result["tasks"]] == [(n, {"main": 0}) for n in range(3)]
    assert ran.result["tasks"][0]["privateIp"] == head
    assert log_of(job, ran.result["tasks"][2]["taskArn"])[-1] == f"[rank 2] 3 nodes have met at {head}:29500"


def test_each_node_has_a_host_of_its_own_in_one_zone(hosts: Runbook) -> None:
    """Each host has room for all nodes; there are two zones."""
    hosts.settings |= {
        "GPU_COUNT": "0",
        "INSTANCE_TYPE": "m5.xlarge",
        "PUBLIC_SUBNET_CIDRS": "10.0.0.0/24,10.0.1.0/24",
        "CLUSTER_SIZE": "3",
    }
    hosts.has_run(*REGISTERED)
    seen = requests(hosts)
    ran = hosts.run(*NODES)
    assert ran.code == 0, ran.err
    found = tasks(hosts, "STOPPED")
    assert len({task["containerInstanceArn"] for task in found}) == 2
    [zone] = {task["availabilityZone"] for task in found}
    assert [request["placementConstraints"][1:] for request in seen] == [
        [],
        [{"type": "memberOf", "expression": f"attribute:ecs.availability-zone == {zone}"}],
    ]
    assert len(seen[0]["networkConfiguration"]["awsvpcConfiguration"]["subnets"]) == 2
    assert len(seen[1]["networkConfiguration"]["awsvpcConfiguration"]["subnets"]) == 1


def test_hosts_come_for_the_nodes_from_none(hosts: Runbook) -> None:
    ran = hosts.has_run(*REGISTERED).run(*NODES)
    assert ran.code == 0, ran.err
    assert len({task["containerInstanceArn"] for task in tasks(hosts, "STOPPED")}) == 2


def test_with_run_until_running_they_are_up_and_stay(job: Runbook) -> None:
    ran = job.run(*NODES, "--command", "sleep infinity", RUN_UNTIL="RUNNING")
    assert ran.code == 0, ran.err
    begun = len(job.emulator.calls)
    again = job.run(*NODES, "--command", "sleep infinity", RUN_UNTIL="RUNNING")
    assert (again.result, job.changes(begun)) == (ran.result, [])
    assert len(job.run("stop_task.py", "--all").result["stopped"]) == 2


def test_when_node_0_has_done_its_work_the_others_are_ended(job: Runbook) -> None:
    ran = job.run(*NODES, "--command", "sh -c 'test $NODE_RANK = 0 && exec sleep 60; sleep infinity'")
    assert ran.code == 0, ran.err
    found = by_rank(tasks(job, "STOPPED"))
    assert found["0"]["stopCode"] == "EssentialContainerExited"
    assert found["1"]["stoppedReason"] == "run_task.py --nodes: node 0 of the job has done its work"


# ----------------------------------------------------------------------------------------------------- its group's rule


def test_the_tasks_group_is_open_to_itself_for_these_ports_only(job: Runbook) -> None:
    assert (29500, 65535, True) in rules_of(job)
    job.has_run("create_cluster.py", NODE_PORTS="30000-31000")
    assert [rule for rule in rules_of(job) if rule[2]] == [(30000, 31000, True)]
    job.has_run("create_cluster.py", NODE_PORTS="")
    assert [rule for rule in rules_of(job) if rule[2]] == []


def test_it_opens_them_itself_where_the_setting_came_later(fargate: Runbook) -> None:
    fargate.has_run(*REGISTERED)
    fargate.settings |= JOB
    assert fargate.has_run("register_task_definition.py").run(*NODES).code == 0
    assert (29500, 65535, True) in rules_of(fargate)


def test_a_cluster_whose_group_is_open_to_itself_can_be_deleted(job: Runbook) -> None:
    assert job.run(*NODES).code == 0
    assert job.run("delete_cluster.py", "--yes").result["left"] == []


RAY = (
    "test $NODE_RANK = 0 && exec ray start --head --port={0} --block; exec ray start --address=$MASTER_ADDR:{0} --block"
)
CLOSED = {
    "torchrun": (TORCHRUN.replace("$MASTER_PORT", "29400"), 0, "waiting for clients. 1/2 clients joined."),
    "ray": (f"sh -c '{RAY.format(6379)}'", 1, "Failed to connect to GCS at address"),
}


@pytest.mark.parametrize(("command", "node", "words"), CLOSED.values(), ids=CLOSED)
def test_where_the_port_is_closed_they_give_up_and_are_told_of_node_ports(
    job: Runbook, command: str, node: int, words: str
) -> None:
    ran = job.run(*NODES, "--command", command)
    assert ran.code == 4
    assert f"node {node} of 2 has failed, and the others are ended" in ran.err
    assert words in ran.err
    assert "The nodes of a job reach each other on NODE_PORTS only" in ran.err


def test_a_ray_cluster_stands_where_the_port_is_open(job: Runbook) -> None:
    command = f"sh -c '{RAY.format('$MASTER_PORT')}'"
    ran = job.run(*NODES, "--command", command, RUN_UNTIL="RUNNING")
    assert ran.code == 0, ran.err
    job.settle(120)
    head, worker = ran.result["tasks"]
    assert log_of(job, head["taskArn"])[-1] == f"Ray runtime started at {head['privateIp']}:29500."
    assert log_of(job, worker["taskArn"])[-1] == f"Ray runtime started; it has joined {head['privateIp']}:29500."
    assert len(tasks(job)) == 2


# -------------------------------------------------------------------------------------------------------- all or none


def test_one_that_fails_ends_all_and_is_the_one_that_is_told(job: Runbook) -> None:
    ran = job.run(
        *NODES, "--command", "sh -c 'test $NODE_RANK = 0 && exec sleep infinity; echo no data; sleep 30; exit 3'"
    )
    assert ran.code == 4
    assert "node 1 of 2 has failed, and the others are ended: task" in ran.err
    assert "log: no data" in ran.err
    found = by_rank(tasks(job, "STOPPED"))
    assert found["0"]["stoppedReason"] == "run_task.py --nodes: node 1 of the job has failed"
    assert [each["exitCodes"] for each in ran.result["tasks"]] == [{"main": 137}, {"main": 3}]


def test_where_not_all_start_in_time_none_is_left(hosts: Runbook) -> None:
    """There are two hosts, and another task has the GPU of one of them."""
    hosts.settings["MAX_INSTANCES"] = "2"
    hosts.has_run(*REGISTERED)
    assert hosts.run("run_task.py", "--command", "sleep infinity", RUN_UNTIL="RUNNING").code == 0
    [other] = tasks(hosts)
    ran = hosts.run(*NODES, WAIT_TIMEOUT_SECONDS="300")
    assert ran.code == 3
    assert "gave up waiting for 2 nodes to run after 300 s: node 1:" in ran.err
    assert [task["taskArn"] for task in tasks(hosts)] == [other["taskArn"]]


@pytest.mark.parametrize("skip", [0, 1])
def test_where_aws_refuses_one_of_them_none_is_left(job: Runbook, skip: int) -> None:
    job.emulator.faults.planned.append(Fault("RunTask", "ClientException", "no more", skip=skip))
    ran = job.run("run_task.py", "--nodes", "3")
    assert ran.code == 1
    assert "no more" in ran.err
    job.settle(60)
    assert tasks(job) == []


def test_one_whose_answer_was_lost_is_ended_too(job: Runbook) -> None:
    """It runs, and its ARN is not known: only its tag tells of it."""
    job.emulator.faults.planned.append(Fault("RunTask", "cut", when="after", skip=1, times=-1))
    ran = job.run(*NODES)
    assert ran.code == 1
    assert "can't reach AWS" in ran.err
    job.settle(60)
    assert (tasks(job), len(tasks(job, "STOPPED"))) == ([], 2)


def test_a_spot_interruption_starts_all_again(hosts: Runbook) -> None:
    hosts.settings["CAPACITY_TYPE"] = "spot"
    hosts.has_run(*REGISTERED)
    interrupting(hosts, 1, lambda task: notice(hosts, instance=task.instance.ec2_id))
    ran = hosts.run(*NODES, "--command", "sleep 600", RETRIES="1", POLL_SECONDS="5")
    hosts.watch = None
    assert ran.code == 0, ran.err
    assert "node 0: task" in ran.err
    assert "AWS took its Spot capacity back  again in 30 s, 1 of RETRIES=1" in ran.err
    assert len(tasks(hosts, "STOPPED")) == 4


def test_a_second_node_that_once_fails_to_start_starts_all_again(job: Runbook) -> None:
    failed: list[str] = []

    def watch(when: str) -> None:
        clusters = job.emulator.world.state["ecs"]["us-east-1"].clusters.values()
        for task in [task for cluster in clusters for task in cluster.tasks.values()]:
            if task.last == "PENDING" and environment({"overrides": task.overrides})["NODE_RANK"] == "1" and not failed:
                failed.append(task.arn)
                life.fail(job.emulator.world, task, "CannotPullContainerError: the registry did not answer", "main")

    job.watch = watch
    ran = job.run(*NODES, RETRIES="1", POLL_SECONDS="5")
    job.watch = None
    assert ran.code == 0, ran.err
    assert "node 1: task" in ran.err
    assert "its image could not be pulled  again in 30 s, 1 of RETRIES=1" in ran.err
    reasons = [task["stoppedReason"] for task in tasks(job, "STOPPED")]
    assert reasons.count("run_task.py --nodes: node 1 of the job has failed") == 1
    assert len(reasons) == 4


# ---------------------------------------------------------------------------------------------------- killed, run again


def killed(runbook: Runbook, call: int, when: str = "after") -> None:
    """The process of a job dies at this call of those that change something, before or after it took effect."""
    count = [0]

    def watch(moment: str) -> None:
        count[0] += moment == "after" and not runbook.emulator.calls[-1][1].startswith(READS)
        if count[0] >= call and moment == when:
            raise Killed

    runbook.watch = watch
    with pytest.raises(Killed):
        runbook.run("run_task.py", "--nodes", "3")
    runbook.watch = None


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_killed_and_run_again_it_is_the_same_job(job: Runbook, call: int, when: str) -> None:
    killed(job, call, when)
    ran = job.run("run_task.py", "--nodes", "3")
    assert ran.code == 0, ran.err
    assert len(tasks(job, "STOPPED")) == 3


def test_a_failure_while_nobody_looked_ends_all_too(job: Runbook) -> None:
    killed(job, 3)
    job.settle(5)
    one = by_rank(tasks(job))["1"]["taskArn"]
    job.aws("ecs").stop_task(cluster="api", task=one, reason="by hand")
    job.settle(120)
    ran = job.run("run_task.py", "--nodes", "3")
    assert ran.code != 0
    assert "node 1 of 3 has failed" in ran.err
    assert "by hand" in ran.err
    assert tasks(job) == []


def test_one_that_ended_while_this_machine_slept_is_told(job: Runbook) -> None:
    def watch(when: str) -> None:
        found = job.emulator.world.state["ecs"]["us-east-1"].clusters["api"].tasks.values()
        if found and all(task.last == "RUNNING" for task in found):
            job.watch = None
            job._settle(3 * 3600)

    job.watch = watch
    ran = job.run(*NODES, "--command", "sleep 600")
    assert ran.code == 1
    assert "has ended more than an hour ago, and AWS has forgotten how" in ran.err


def test_a_job_that_has_ended_is_a_new_one_the_next_time(job: Runbook) -> None:
    first, second = job.run(*NODES), job.run(*NODES)
    assert (first.code, second.code, len(tasks(job, "STOPPED"))) == (0, 0, 4)


# ------------------------------------------------------------------------------------------------------------ mistakes

MISTAKES: dict[str, Any] = {
    "one": (("--nodes", "1"), {}, "--nodes: '1' is outside 2 to 100"),
    "ports": (NODES[1:], {"NODE_PORTS": ""}, "NODE_PORTS is not set"),
    "sweep": ((*NODES[1:], "--sweep", "rows.csv"), {}, "do not go together"),
    "detach": ((*NODES[1:], "--detach"), {}, "do not go together"),
    "their variable": ((*NODES[1:], "--env", "NODE_RANK=7"), {}, "--env NODE_RANK is what --nodes sets"),
}


@pytest.mark.parametrize(("flags", "settings", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_before_anything_is_started(
    job: Runbook, flags: tuple[str, ...], settings: dict[str, str], words: str
) -> None:
    begun = len(job.emulator.calls)
    ran = job.run("run_task.py", *flags, **settings)
    assert (ran.code, job.changes(begun), ran.out) == (2, [], "")
    assert words in ran.err


def test_each_node_needs_its_host_and_its_address(hosts: Runbook) -> None:
    ran = hosts.run(*NODES, MAX_INSTANCES="1")
    assert "--nodes 2, but MAX_INSTANCES=1: each node has its own host" in ran.err
    ran = hosts.run(*NODES, NETWORK_MODE="bridge")
    assert "NODE_PORTS: is set, but NETWORK_MODE=bridge" in ran.err
    ran = hosts.run(*NODES, NETWORK_MODE="bridge", NODE_PORTS="")
    assert "--nodes needs NETWORK_MODE=awsvpc" in ran.err
    assert hosts.changes(0) == []


def test_a_dry_run_tells_all_nodes_and_changes_nothing(job: Runbook) -> None:
    begun = len(job.emulator.calls)
    ran = job.run("run_task.py", "--nodes", "3", "--dry-run")
    assert (ran.code, job.changes(begun)) == (0, []), ran.err
    assert ran.err.count("would have started node") == 3
