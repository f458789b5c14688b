"""How the service scales: in steps, after a target, or not at all; each can take the place of another."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.front_door.proxy import Request, route
from tests.conftest import Runbook

#: ten requests a minute for each task, and none when there are none
REQUESTS = {"SCALING": "requests", "REQUESTS_PER_TASK": "10", "MIN_TASKS": "0"}
SERVED = ("create_cluster.py", "register_task_definition.py", "create_service.py")


@pytest.fixture
def clara(clara: Runbook) -> Runbook:
    """Without its deadline, which each run moves."""
    clara.settings["MAX_CLUSTER_HOURS"] = ""
    return clara


def policies(runbook: Runbook) -> dict[str, Any]:
    scaling = runbook.aws("application-autoscaling")
    found = scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]
    return {policy["PolicyName"]: policy for policy in found}


def limits(runbook: Runbook) -> list[tuple[int, int]]:
    scaling = runbook.aws("application-autoscaling")
    found = scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    return [(target["MinCapacity"], target["MaxCapacity"]) for target in found]


def alarms(runbook: Runbook) -> dict[str, Any]:
    return {alarm["AlarmName"]: alarm for alarm in runbook.aws("cloudwatch").describe_alarms()["MetricAlarms"]}


def test_steps_are_one_task_more_and_one_task_less(clara: Runbook) -> None:
    found = policies(clara.has_run(*SERVED))
    steps = {name: policy["StepScalingPolicyConfiguration"] for name, policy in found.items()}
    out, back = steps["clara-train-scale-out"], steps["clara-train-scale-in"]
    assert limits(clara) == [(1, 2)]
    assert out["StepAdjustments"] == [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}]
    assert back["StepAdjustments"] == [{"MetricIntervalUpperBound": 0.0, "ScalingAdjustment": -1}]
    assert (out["Cooldown"], back["Cooldown"]) == (1800, 1800)


def test_the_alarms_of_the_steps_watch_the_cpu_of_the_service(clara: Runbook) -> None:
    found = alarms(clara.has_run(*SERVED))
    out, back = found["clara-train-scale-out"], found["clara-train-scale-in"]
    assert (out["Threshold"], out["EvaluationPeriods"], out["ComparisonOperator"]) == (90.0, 3, "GreaterThanThreshold")
    assert (back["Threshold"], back["EvaluationPeriods"], back["ComparisonOperator"]) == (70.0, 10, "LessThanThreshold")
    assert out["AlarmActions"] == [policies(clara)["clara-train-scale-out"]["PolicyARN"]]
    assert {each["Name"]: each["Value"] for each in out["Dimensions"]} == {
        "ClusterName": "clara-train",
        "ServiceName": "clara",
    }


def test_target_tracking_keeps_the_percent(clara: Runbook) -> None:
    clara.has_run(*SERVED, SCALING="target-tracking", SCALE_OUT_CPU="60")
    [policy] = policies(clara).values()
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]
    assert (policy["PolicyType"], tracking["TargetValue"]) == ("TargetTrackingScaling", 60.0)


@pytest.mark.parametrize(
    ("scaling", "left"),
    [
        ("step", {"clara-train-scale-out", "clara-train-scale-in"}),
        ("target-tracking", {"clara-train-cpu-target"}),
        ("requests", {"clara-train-requests-target", "clara-train-idle", "clara-train-wake"}),
        ("none", set()),
    ],
)
@pytest.mark.parametrize("before", ["step", "target-tracking", "requests", "none"])
def test_one_way_to_scale_takes_the_place_of_another(clara: Runbook, before: str, scaling: str, left: set[str]) -> None:
    clara.settings |= {"REQUESTS_PER_TASK": "100"}
    lowest = {each: "0" if each == "requests" else "1" for each in (before, scaling)}
    clara.has_run(*SERVED, SCALING=before, MIN_TASKS=lowest[before])
    clara.has_run("create_service.py", SCALING=scaling, MIN_TASKS=lowest[scaling])
    ours = {name for name in alarms(clara) if name.startswith("clara-train")}
    assert policies(clara).keys() == left
    assert ours == {name for name in left if not name.endswith("-target")}
    assert limits(clara) == ([] if scaling == "none" else [(int(lowest[scaling]), 2)])


def test_other_limits_are_brought_into_line(clara: Runbook) -> None:
    clara.has_run(*SERVED).has_run("create_service.py", MIN_TASKS="2", MAX_TASKS="3", DESIRED_COUNT="2")
    assert limits(clara) == [(2, 3)]
    clara.has_run("create_service.py", MIN_TASKS="1", MAX_TASKS="1")
    assert limits(clara) == [(1, 1)]


def test_an_alarm_that_someone_removed_is_made_again(clara: Runbook) -> None:
    clara.has_run(*SERVED)
    clara.aws("cloudwatch").delete_alarms(AlarmNames=["clara-train-scale-in"])
    clara.has_run("create_service.py")
    assert alarms(clara).keys() == {"clara-train-scale-out", "clara-train-scale-in"}


def test_a_count_outside_the_limits_is_a_wrong_setting(clara: Runbook) -> None:
    ran = clara.run("create_service.py", DESIRED_COUNT="3")
    assert ran.code == 2
    assert "DESIRED_COUNT: 3 is outside MIN_TASKS=1 to MAX_TASKS=2" in ran.err


def test_cpu_and_memory_are_both_kept_each_with_both_cooldowns(endpoints: Runbook) -> None:
    image = {"ENDPOINT": "a", "IMAGE_TAG": "", "IMAGE": "example.com/ml:v1", "POLL_SECONDS": "15"}
    endpoints.has_run("create_cluster.py").has_run(*SERVED[1:], **image)
    found = {name: each["TargetTrackingScalingPolicyConfiguration"] for name, each in policies(endpoints).items()}
    assert {name: each["TargetValue"] for name, each in found.items()} == {
        "ml-a-cpu-target": 60.0,
        "ml-a-memory-target": 90.0,
    }
    assert {(each["ScaleOutCooldown"], each["ScaleInCooldown"]) for each in found.values()} == {(60, 120)}
    assert limits(endpoints) == [(2, 4)]
    begun = len(endpoints.emulator.calls)
    endpoints.has_run("create_service.py", **image)
    assert endpoints.changes(begun) == []
    endpoints.has_run("create_service.py", **image, SCALE_OUT_MEMORY="")
    assert policies(endpoints).keys() == {"ml-a-cpu-target"}


def test_a_pause_lets_scaling_rest_and_a_count_wakes_it(endpoints: Runbook) -> None:
    image = {"ENDPOINT": "a", "IMAGE_TAG": "", "IMAGE": "example.com/ml:v1", "POLL_SECONDS": "15"}
    endpoints.has_run("create_cluster.py").has_run(*SERVED[1:], **image)
    endpoints.has_run("update_service.py", **image, DESIRED_COUNT="0")
    endpoints.settle(3600)
    [service] = endpoints.aws("ecs").describe_services(cluster="ml", services=["ml-a"])["services"]
    assert (limits(endpoints), service["desiredCount"]) == ([(0, 4)], 0)
    ran = endpoints.run("update_service.py", **image, DESIRED_COUNT="1")
    assert (ran.code, "DESIRED_COUNT: 1 is outside MIN_TASKS=2 to MAX_TASKS=4" in ran.err) == (2, True)
    endpoints.has_run("update_service.py", **image, DESIRED_COUNT="3")
    [service] = endpoints.aws("ecs").describe_services(cluster="ml", services=["ml-a"])["services"]
    assert (limits(endpoints), service["runningCount"]) == ([(2, 4)], 3)


def test_an_alarm_of_our_name_that_is_anothers_is_refused_and_never_deleted(clara: Runbook) -> None:
    clara.has_run(*SERVED[:2])
    request = {"Namespace": "AWS/ECS", "MetricName": "CPUUtilization", "Statistic": "Maximum", "Period": 60}
    clara.aws("cloudwatch").put_metric_alarm(
        AlarmName="clara-train-scale-out",
        **request,
        EvaluationPeriods=1,
        Threshold=50.0,
        ComparisonOperator="GreaterThanThreshold",
        Tags=[{"Key": "gpu-ecs-cluster", "Value": "another"}],
    )
    begun = len(clara.emulator.calls)
    ran = clara.run("create_service.py")
    assert (ran.code, clara.changes(begun)) == (1, [])
    assert "the alarm clara-train-scale-out exists already, and does not bear the tag gpu-ecs-cluster=clara" in ran.err
    for scaling in ("none", "target-tracking"):
        clara.has_run("create_service.py", SCALING=scaling)
        assert alarms(clara)["clara-train-scale-out"]["Threshold"] == 50.0
    ran = clara.run("delete_service.py")
    assert (ran.code, ran.result["left"]) == (0, [])
    assert "kept alarm clara-train-scale-out  not of this runbook" in ran.err
    ran = clara.run("delete_cluster.py", "--yes")
    assert (ran.code, ran.result["left"], [*alarms(clara)]) == (0, [], ["clara-train-scale-out"]), ran.err


def test_the_scaling_that_somebody_gave_our_service_is_refused_and_never_ended(clara: Runbook) -> None:
    clara.has_run(*SERVED, SCALING="none")
    where = {"ServiceNamespace": "ecs", "ResourceId": "service/clara-train/clara"}
    where["ScalableDimension"] = "ecs:service:DesiredCount"
    clara.aws("application-autoscaling").register_scalable_target(**where, MinCapacity=1, MaxCapacity=3)
    clara.settle(60)
    begun = len(clara.emulator.calls)
    for script in ("create_service.py", "update_service.py"):
        ran = clara.run(script)
        assert (ran.code, clara.changes(begun)) == (1, [])
        assert "the scaling of clara exists already, and does not bear the tag gpu-ecs-cluster" in ran.err
    ran = clara.run("delete_service.py")
    assert (ran.code, ran.result["left"], limits(clara)) == (0, [], [(1, 3)])
    assert "kept scaling of clara  not of this runbook" in ran.err


def test_all_of_it_bears_our_tags(clara: Runbook) -> None:
    clara.has_run(*SERVED)
    scaling, cloudwatch = clara.aws("application-autoscaling"), clara.aws("cloudwatch")
    [target] = scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    found = scaling.list_tags_for_resource(ResourceARN=target["ScalableTargetARN"])["Tags"]
    assert (found["gpu-ecs-cluster"], found["gpu-ecs-part"]) == ("clara-train", "scaling")
    for name, alarm in alarms(clara).items():
        tags = cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
        assert {"Key": "gpu-ecs-cluster", "Value": "clara-train"} in tags
        assert {"Key": "gpu-ecs-part", "Value": name.removeprefix("clara-train-")} in tags


# ------------------------------------------------------------------------------------------------- what can't work


def test_more_tasks_are_a_setting_of_a_target_that_exists(clara: Runbook) -> None:
    clara.has_run(*SERVED).has_run("create_service.py", MAX_TASKS="3")
    assert limits(clara) == [(1, 3)]


WAYS = [{}, {"SCALING": "target-tracking"}, {"SCALING": "none"}, REQUESTS, {**REQUESTS, "MIN_TASKS": "1"}]


@pytest.mark.parametrize("requests", [0, 80])
@pytest.mark.parametrize("settings", WAYS, ids=lambda each: " ".join(each.values()) or "step")
def test_a_pause_lasts_whatever_the_alarms_have_seen(clara: Runbook, settings: dict[str, str], requests: int) -> None:
    """Also for a minute or two after it has begun, and when somebody asks."""
    clara.has_run(*SERVED, **settings)
    ask(clara, minutes=20, requests=requests)
    clara.has_run("update_service.py", DESIRED_COUNT="0", **settings)
    ask(clara, minutes=5, requests=2)
    clara.settle(3600)
    assert desired(clara) == 0


@pytest.mark.parametrize("scaling", ["step", "target-tracking"])
def test_scaling_on_cpu_needs_a_share_of_it(clara: Runbook, scaling: str) -> None:
    ran = clara.run("create_service.py", SCALING=scaling, TASK_CPU="")
    assert (ran.code, clara.emulator.calls) == (2, clara.emulator.calls[:1])
    assert f"TASK_CPU: is not set, but SCALING={scaling}: without a share of its own" in ran.err


@pytest.mark.parametrize("scaling", ["step", "target-tracking"])
def test_scaling_on_cpu_has_a_floor_above_0(clara: Runbook, scaling: str) -> None:
    ran = clara.run("create_service.py", SCALING=scaling, MIN_TASKS="0")
    assert (ran.code, f"MIN_TASKS: 0, but SCALING={scaling}: at 0 tasks nothing is told of the CPU" in ran.err) == (
        2,
        True,
    )


def test_requests_are_counted_by_a_load_balancer_and_have_a_number(clara: Runbook) -> None:
    ran = clara.run("create_service.py", SCALING="requests", LISTENER_PROTOCOL="")
    assert ran.code == 2
    assert "SCALING: requests, but LISTENER_PROTOCOL is not set" in ran.err
    assert "REQUESTS_PER_TASK: is not set, but SCALING=requests" in ran.err


def test_where_endpoints_share_a_load_balancer_none_of_them_goes_to_0(endpoints: Runbook) -> None:
    ran = endpoints.run("create_service.py", ENDPOINT="a", **REQUESTS)
    assert (ran.code, "MIN_TASKS: 0, but SHARED_CLUSTER=true: endpoints share the load balancer" in ran.err) == (
        2,
        True,
    )


def test_where_another_s_rule_is_at_the_load_balancer_it_does_not_go_to_0(clara: Runbook) -> None:
    clara.has_run(*SERVED[:2])
    elb = clara.aws("elbv2")
    [balancer] = elb.describe_load_balancers()["LoadBalancers"]
    listeners = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    [arn] = [each["ListenerArn"] for each in listeners if each["Port"] == 443]
    action = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "ContentType": "text/plain"}}
    condition = {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/theirs"]}}
    elb.create_rule(ListenerArn=arn, Priority=7, Conditions=[condition], Actions=[action])
    begun = len(clara.emulator.calls)
    ran = clara.run("create_service.py", **REQUESTS, RULE_PRIORITY="9")
    assert (ran.code, clara.changes(begun)) == (1, [])
    assert "MIN_TASKS=0, but the load balancer has a rule to another action too" in ran.err
    clara.has_run("create_service.py", **REQUESTS | {"MIN_TASKS": "1", "RULE_PRIORITY": "9"})


# ------------------------------------------------------------------------------------------------- what it does


def desired(runbook: Runbook) -> int:
    [arn] = runbook.aws("ecs").list_services(cluster="clara-train")["serviceArns"]
    [found] = runbook.aws("ecs").describe_services(cluster="clara-train", services=[arn])["services"]
    return int(found["desiredCount"])


def ask(runbook: Runbook, minutes: int, requests: int) -> list[int]:
    """So many requests in each of so many minutes; what is answered in the last."""
    [balancer] = runbook.aws("elbv2").describe_load_balancers()["LoadBalancers"]
    found: list[int] = []
    for _ in range(minutes):
        asked = Request("GET", "https", balancer["DNSName"], 443, balancer["DNSName"], "/docs/")
        found = [route(runbook.emulator, asked).status for _ in range(requests)]
        runbook.emulator.world.clock.skip(60)
        runbook.emulator.world.advance()
    return found


def test_an_idle_service_does_not_scale_out(clara: Runbook) -> None:
    clara.has_run(*SERVED).settle(3600)
    assert desired(clara) == 1


def test_steps_follow_the_cpu_out_and_in(clara: Runbook) -> None:
    clara.has_run(*SERVED)
    ask(clara, minutes=5, requests=80)
    assert desired(clara) == 2
    clara.settle(1200)
    assert desired(clara) == 1


def test_requests_are_followed_out_and_in_to_the_floor(clara: Runbook) -> None:
    settings = {**REQUESTS, "MIN_TASKS": "1"}
    clara.has_run(*SERVED, **settings)
    found = policies(clara)["clara-train-requests-target"]["TargetTrackingScalingPolicyConfiguration"]
    [balancer] = clara.aws("elbv2").describe_load_balancers()["LoadBalancers"]
    [group] = clara.aws("elbv2").describe_target_groups()["TargetGroups"]
    label = found["PredefinedMetricSpecification"]["ResourceLabel"]
    assert label.startswith("app/clara-train-alb/")
    assert f"{balancer['LoadBalancerArn']} {group['TargetGroupArn']}".count(label.partition("/targetgroup")[0]) == 1
    assert group["TargetGroupArn"].endswith(label[label.index("targetgroup") :])
    ask(clara, minutes=5, requests=15)
    assert desired(clara) == 2
    clara.settle(3600)
    assert desired(clara) == 1, "without any request target tracking has nothing to go by"
    begun = len(clara.emulator.calls)
    clara.has_run("create_service.py", **settings)
    assert clara.changes(begun) == []


def test_it_goes_to_0_without_requests_and_one_wakes_it(clara: Runbook) -> None:
    ran = clara.has_run(*SERVED[:2]).run("create_service.py", **REQUESTS)
    assert "created alarm clara-train-idle  no request for 15 min: 0 tasks" in ran.err
    assert "created alarm clara-train-wake  a request that gets 503 starts a task" in ran.err
    ask(clara, minutes=20, requests=1)
    assert desired(clara) == 1, "one a minute is enough"
    clara.settle(1200)
    assert (desired(clara), limits(clara)) == (0, [(0, 2)])
    assert ask(clara, minutes=1, requests=1) == [503]
    assert desired(clara) == 1
    clara.settle(300)
    assert (ask(clara, minutes=1, requests=1), desired(clara)) == ([200], 1)
    begun = len(clara.emulator.calls)
    clara.has_run("create_service.py", **REQUESTS)
    assert clara.changes(begun) == []


def test_a_service_that_sleeps_is_let_sleep_until_a_request_or_a_new_revision(clara: Runbook) -> None:
    clara.has_run(*SERVED, **REQUESTS).settle(1800)
    assert desired(clara) == 0
    begun = len(clara.emulator.calls)
    for script in ("create_service.py", "update_service.py"):
        ran = clara.run(script, **REQUESTS)
        assert (ran.code, clara.changes(begun)) == (0, []), ran.err
        assert "found service clara  asleep: a request wakes it" in ran.err
    clara.has_run("register_task_definition.py", IMAGE="nvcr.io/nvidia/clara-train-sdk:v4.1", **REQUESTS)
    ran = clara.run("update_service.py", **REQUESTS)
    assert (ran.code, ran.result["runningCount"]) == (0, 1)
    clara.settle(600)
    assert desired(clara) == 1, "it has 15 minutes for a first request"
    clara.settle(600)
    assert desired(clara) == 0


def test_a_pause_ends_with_a_count_also_where_the_floor_is_0(clara: Runbook) -> None:
    clara.has_run(*SERVED, **REQUESTS).has_run("update_service.py", DESIRED_COUNT="0", **REQUESTS).settle()
    clara.has_run("update_service.py", **REQUESTS)
    assert desired(clara) == 1
    clara.settle(1800)
    assert (desired(clara), ask(clara, minutes=1, requests=1), desired(clara)) == (0, [503], 1), "it scales again"
