"""resume_cluster.py brings back exactly what ran before pause_cluster.py."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.codepipeline import pipelines
from emulator.codestar_connections import connections
from tests.conftest import Runbook, issued
from tests.interruptions.test_interruptions import has_run, now
from tests.laws.test_two_at_once import both
from tests.pictures import put_back, take
from tests.zones import ml_endpoints, records

RAN = ("create_cluster.py", "register_task_definition.py", "run_task.py")
SERVED = (*RAN[:2], "create_service.py")
RESUME = "resume_cluster.py"
#: two endpoints: the one asleep until a request wakes it, of which the other takes a tenth
ENDPOINTS = (
    "create_cluster.py",
    *("ENDPOINT=a create_repository.py", "ENDPOINT=a create_pipeline.py"),
    *("ENDPOINT=a register_task_definition.py", "ENDPOINT=a sync_weights.py", "ENDPOINT=a create_service.py"),
    *("ENDPOINT=a create_dns_record.py", "ENDPOINT=b register_task_definition.py"),
    "ENDPOINT=b TRAFFIC_FROM=a TRAFFIC_WEIGHT=10 create_service.py",
    "ENDPOINT=b run_task.py --env LR=0.1",
)


@pytest.fixture
def ml(runbook: Runbook) -> Runbook:
    """examples/ml-endpoints as it is after all of its pages, with a schedule, a pipeline, and scaling by requests."""
    ml_endpoints(runbook, "example.com")
    runbook.aws("s3").create_bucket(Bucket="example-ml-weights")
    for endpoint in "ab":
        runbook.aws("s3").put_object(Bucket="example-ml-weights", Key=f"{endpoint}/model.bin", Body=b"weights")
    made = runbook.aws("codeconnections").create_connection(ProviderType="GitHub", ConnectionName="theirs")
    connections.finish_handshakes(runbook.emulator.world)
    runbook.settings |= {
        "CERTIFICATE_DOMAINS": "",
        "CERTIFICATE_ARN": issued(runbook, "*.ml.example.com"),
        "CONNECTION_ARN": made["ConnectionArn"],
        **{"IMAGE": "nginx:1.27", "IMAGE_TAG": "", "DESIRED_COUNT": "1", "MIN_TASKS": "1", "POLL_SECONDS": "30"},
        **{"SYNC_SCHEDULE": "every 1 hours", "SCALING": "requests", "REQUESTS_PER_TASK": "50", "IDLE_MINUTES": "10"},
    }
    has_run(runbook, ENDPOINTS)
    runbook.settle()
    return runbook


def same(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Of several tasks none is the first; and AWS chooses in which subnets they are."""
    assert after.keys() == before.keys()
    assert kinds(after) == kinds(before)


def kinds(account: dict[str, Any]) -> list[str]:
    named = [(name.replace(" (again)", ""), found) for name, found in account.items()]
    return sorted(f"{name} {found}" for name, found in named if "attachment/(id)" not in name)


def overridden(runbook: Runbook) -> list[tuple[Any, Any]]:
    """Of each task what it has in place of its revision, and its tags."""
    ecs = runbook.aws("ecs")
    found = ecs.list_tasks(cluster=runbook.settings["CLUSTER_NAME"])["taskArns"]
    listed = ecs.describe_tasks(cluster=runbook.settings["CLUSTER_NAME"], tasks=found, include=["TAGS"])["tasks"]
    return sorted((str(task["overrides"]), str(sorted(map(str, task["tags"])))) for task in listed)


def test_tasks_of_a_gpu_cluster_come_back_each_with_its_overrides(runbook: Runbook) -> None:
    runbook.settings.update(MAX_INSTANCES="4", TASK_COUNT="2")
    runbook.has_run(*RAN, "run_task.py --env LR=0.1 --detach").settle()
    before, given = runbook.account(), overridden(runbook)
    assert len(given) == 4
    runbook.has_run("pause_cluster.py")
    resumed = runbook.run(RESUME)
    assert resumed.code == 0, resumed.err
    assert [each["lastStatus"] for each in resumed.result["tasks"]] == ["RUNNING"] * 4
    assert "host g4dn.xlarge 0 to 4 0.526 an hour 2.1040" in " ".join(resumed.err.split())
    runbook.settle()
    same(before, runbook.account())
    assert overridden(runbook) == given


def test_what_comes_back_is_priced_and_not_what_the_settings_say_by_now(runbook: Runbook) -> None:
    """A changed setting waits for create_cluster.py and update_cluster.py: hosts come as they were."""
    runbook.has_run(*RAN, "pause_cluster.py")
    resumed = runbook.run(RESUME, INSTANCE_TYPE="g5.xlarge", CAPACITY_TYPE="spot")
    assert resumed.code == 0, resumed.err
    assert "host g4dn.xlarge 0 to 1 0.526 an hour 0.5260" in " ".join(resumed.err.split())


def test_a_deadline_ends_nothing_while_it_is_paused_and_counts_anew(runbook: Runbook) -> None:
    runbook.settings["MAX_CLUSTER_HOURS"] = "12"
    scheduler = runbook.has_run(*RAN, "pause_cluster.py").aws("scheduler")
    assert scheduler.list_schedules(GroupName="gpu-stop")["Schedules"] == []
    runbook.settle(15 * 3600)
    resumed = runbook.run(RESUME)
    assert (resumed.code, len(resumed.result["tasks"])) == (0, 1), resumed.err
    kinds = sorted(
        each["Name"].partition("-")[0] for each in scheduler.list_schedules(GroupName="gpu-stop")["Schedules"]
    )
    assert kinds == ["hosts", "stop"]


@pytest.mark.parametrize("flags", ["", " --deep"])
def test_a_service_with_its_scaling_and_its_balancer_comes_back(clara: Runbook, flags: str) -> None:
    clara.has_run(*SERVED).settle()
    before = clara.account()
    ran = clara.has_run("pause_cluster.py" + flags).run(RESUME)
    assert ran.code == 0, ran.err
    assert ("NAT gateway 2 0.045 an hour" in " ".join(ran.err.split())) == bool(flags)
    clara.settle()
    same(before, clara.account())
    checked = clara.run("create_service.py")
    assert checked.code == 0 and "updated" not in checked.err, checked.err


@pytest.mark.parametrize("protocol", ["HTTP", ""])
def test_a_balancer_that_would_not_have_its_ports_is_refused_before_anything_is_made(
    clara: Runbook, protocol: str
) -> None:
    paused = clara.has_run(*SERVED, "pause_cluster.py --deep").account()
    ran = clara.run(RESUME, LISTENER_PROTOCOL=protocol, HOST_NAME="")
    there = "the cluster was paused with a load balancer whose rules are at port 443"
    assert (ran.code, clara.account()) == (1, paused), ran.err
    assert f"failed: LISTENER_PROTOCOL={protocol}, but {there}, which can't be changed: set it back" in ran.err, ran.err
    if protocol:
        assert clara.run(RESUME).code == 0
    else:
        clara.has_run("delete_service.py")
        assert clara.run(RESUME, LISTENER_PROTOCOL="", HOST_NAME="").code == 0


def test_private_subnets_that_get_no_way_out_again_are_told(clara: Runbook) -> None:
    ran = clara.has_run(*SERVED[:1], "pause_cluster.py --deep").run(RESUME, NAT_GATEWAYS="none", WAIT="false")
    assert (ran.code, "warning NAT_GATEWAYS=none: the private subnets have no way out: " in ran.err) == (0, True), (
        ran.err
    )


def test_endpoints_come_back_with_all_that_leads_to_them(ml: Runbook) -> None:
    before, elb = now(ml), ml.aws("elbv2")
    [former] = elb.describe_load_balancers()["LoadBalancers"]
    paused = ml.run("pause_cluster.py", "--deep")
    assert paused.code == 0, paused.err
    assert "run resume_cluster.py" in ml.run("check_service.py", ENDPOINT="a").err
    [schedule] = ml.aws("scheduler").list_schedules(GroupName="ml-a-sync")["Schedules"]
    stages = ml.aws("codepipeline").get_pipeline_state(name="ml-a")["stageStates"]
    [into] = [each["inboundTransitionState"] for each in stages if each["stageName"] == "Deploy"]
    assert (schedule["State"], into["enabled"]) == ("DISABLED", False)
    resumed = ml.run(RESUME)
    assert (resumed.code, "created listener rule a.ml.example.com" in resumed.err) == (0, True), resumed.err
    same(before, now(ml))
    [balancer] = elb.describe_load_balancers()["LoadBalancers"]
    aliases = [value for _, kind, value in records(ml) if kind == "A"]
    assert aliases == [balancer["DNSName"]] and balancer["DNSName"] != former["DNSName"]
    looked_at = str(
        [
            ml.aws("cloudwatch").describe_alarms()["MetricAlarms"],
            ml.aws("application-autoscaling").describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"],
        ]
    )
    ids = [each["LoadBalancerArn"].rpartition("/")[2] for each in (former, balancer)]
    assert [its_id in looked_at for its_id in ids] == [False, True]


def test_what_is_pushed_meanwhile_starts_nothing_and_is_deployed_afterwards(ml: Runbook) -> None:
    ecs = ml.aws("ecs")
    former = ecs.describe_services(cluster="ml", services=["ml-a"])["services"][0]["taskDefinition"]
    has_run(ml, ("pause_cluster.py",))
    pipelines.push(ml.emulator.world, "example/ml-endpoints", "main", "Better", {}, "")
    ml.settle(3600)
    tasks = ecs.describe_tasks(cluster="ml", tasks=ecs.list_tasks(cluster="ml")["taskArns"] or ["none"])["tasks"]
    assert [task["startedBy"] for task in tasks] == []
    has_run(ml, (RESUME,))
    ml.settle(3600)
    [service] = ecs.describe_services(cluster="ml", services=["ml-a"])["services"]
    assert (service["taskDefinition"] > former, service["runningCount"]) == (True, 1)


def test_what_was_deleted_meanwhile_is_left_out(ml: Runbook) -> None:
    assert ml.run("pause_cluster.py", "--deep").code == 0
    deleted = ml.run("delete_endpoint.py", "--yes", "--images", ENDPOINT="a")
    assert deleted.code == 0, deleted.err
    resumed = ml.run(RESUME)
    assert resumed.code == 0, resumed.err
    assert {*resumed.result["services"]} == {"ml-b", "ml-a"}
    assert [each for each in now(ml) if each.startswith("service ")] == ["service ml-b"]


def test_what_was_asleep_or_disabled_stays_so(ml: Runbook) -> None:
    scheduler = ml.aws("scheduler")
    found = scheduler.get_schedule(GroupName="ml-a-sync", Name="ml-a-sync")
    told = ("Arn", "CreationDate", "LastModificationDate", "ResponseMetadata")
    scheduler.update_schedule(**{key: found[key] for key in found if key not in told} | {"State": "DISABLED"})
    transition = {"pipelineName": "ml-a", "stageName": "Deploy", "transitionType": "Inbound"}
    ml.aws("codepipeline").disable_stage_transition(**transition, reason="theirs")
    ml.aws("ecs").update_service(cluster="ml", service="ml-b", desiredCount=0)
    before = now(ml)
    has_run(ml, ("pause_cluster.py", RESUME))
    same(before, now(ml))


def test_of_two_at_once_the_one_whose_address_is_in_use_already_has_made_it(endpoints: Runbook) -> None:
    """The other one has seen no address, makes some too, and may not release the first; by their ids it would, mostly."""
    endpoints.settings |= {"POLL_SECONDS": "30", "NAT_GATEWAYS": "per-zone"}
    has_run(endpoints, ("create_cluster.py", "pause_cluster.py --deep"))
    picture, start = take(endpoints.emulator), len(endpoints.emulator.calls)
    has_run(endpoints, (RESUME,))
    point = [operation for _, operation, _ in endpoints.emulator.calls[start:]].index("AllocateAddress")
    expected = now(endpoints)
    put_back(endpoints.emulator, picture)
    ends, found = both(endpoints, RESUME, point)
    assert [code for code, _ in ends] == [0, 0], ends
    same(expected, found)


def test_a_revision_that_is_deregistered_meanwhile_does_not_hold_the_rest(fargate: Runbook) -> None:
    fargate.has_run(*RAN, "pause_cluster.py")
    fargate.aws("ecs").deregister_task_definition(taskDefinition="api:1")
    resumed = fargate.run(RESUME)
    assert (resumed.code, resumed.result["tasks"]) == (0, []), resumed.err
    assert "already gone task definition api:1  its tasks do not come back" in resumed.err


def test_a_second_resume_says_that_nothing_is_paused(fargate: Runbook) -> None:
    before = fargate.has_run(*RAN, "pause_cluster.py", RESUME).account()
    again = fargate.run(RESUME)
    assert again.code == 0 and "nothing is paused" in again.err
    assert fargate.account() == before
