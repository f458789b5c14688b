"""The target group and its listener rule: how tasks are asked whether they are well, and which paths lead to them."""

from __future__ import annotations

from typing import Any

from tests.conftest import Runbook

SERVED = ("create_cluster.py", "register_task_definition.py", "create_service.py")


def target_group(runbook: Runbook) -> Any:
    [found] = runbook.aws("elbv2").describe_target_groups(Names=["clara-train-tg"])["TargetGroups"]
    return found


def https_listener(runbook: Runbook) -> str:
    elb = runbook.aws("elbv2")
    [balancer] = elb.describe_load_balancers()["LoadBalancers"]
    found = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    return next(str(listener["ListenerArn"]) for listener in found if listener["Port"] == 443)


def rules(runbook: Runbook) -> list[tuple[str, str]]:
    """Path and target group of each rule."""
    found = runbook.aws("elbv2").describe_rules(ListenerArn=https_listener(runbook))["Rules"]
    return [
        (rule["Conditions"][0]["PathPatternConfig"]["Values"][0], rule["Actions"][0]["TargetGroupArn"].split("/")[-2])
        for rule in found
        if not rule["IsDefault"]
    ]


def test_the_health_check_is_as_the_settings_say(clara: Runbook) -> None:
    clara.has_run(*SERVED)
    found = target_group(clara)
    assert (found["HealthCheckPath"], found["HealthCheckProtocol"]) == ("/docs/", "HTTPS")
    assert (found["HealthCheckIntervalSeconds"], found["HealthCheckTimeoutSeconds"]) == (30, 5)
    assert (found["HealthyThresholdCount"], found["Matcher"]["HttpCode"]) == (2, "200-299")


def test_the_load_balancer_speaks_https_with_the_container(clara: Runbook) -> None:
    clara.has_run(*SERVED)
    found = target_group(clara)
    assert (found["Protocol"], found["Port"], found["TargetType"]) == ("HTTPS", 443, "instance")


def test_a_health_check_that_was_changed_is_brought_into_line(clara: Runbook) -> None:
    ran = clara.has_run(*SERVED).run("create_service.py", HEALTH_CHECK_PATH="/ready", HEALTH_CHECK_INTERVAL="10")
    found = target_group(clara)
    assert "updated target group clara-train-tg  HealthCheckPath, HealthCheckIntervalSeconds" in ran.err
    assert (found["HealthCheckPath"], found["HealthCheckIntervalSeconds"]) == ("/ready", 10)


def test_a_task_that_leaves_is_given_the_delay_of_the_settings(clara: Runbook) -> None:
    clara.has_run(*SERVED)
    arn = target_group(clara)["TargetGroupArn"]
    found = clara.aws("elbv2").describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
    assert {"Key": "deregistration_delay.timeout_seconds", "Value": "60"} in found


def test_the_path_leads_to_the_service(clara: Runbook) -> None:
    clara.has_run(*SERVED)
    assert rules(clara) == [("/*", "clara-train-tg")]


def test_another_path_takes_the_place_of_the_first(clara: Runbook) -> None:
    clara.has_run(*SERVED).has_run("create_service.py", LISTENER_PATH="/clara/*")
    assert rules(clara) == [("/clara/*", "clara-train-tg")]


def other_service(runbook: Runbook, path: str) -> None:
    """What somebody else has put behind the same listener."""
    elb = runbook.aws("elbv2")
    [balancer] = elb.describe_load_balancers()["LoadBalancers"]
    [group] = elb.create_target_group(Name="other", Protocol="HTTP", Port=80, VpcId=balancer["VpcId"])["TargetGroups"]
    elb.create_rule(
        ListenerArn=https_listener(runbook),
        Priority=1,
        Conditions=[{"Field": "path-pattern", "Values": [path]}],
        Actions=[{"Type": "forward", "TargetGroupArn": group["TargetGroupArn"]}],
    )


def test_a_path_that_leads_to_another_service_is_refused_before_anything_is_made(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", "register_task_definition.py")
    other_service(clara, "/*")
    before = clara.account()
    ran = clara.run("create_service.py")
    assert ran.code == 1
    assert "LISTENER_PATH=/* leads to other already: choose another path" in ran.err
    assert clara.account() == before


def test_two_services_share_a_listener_by_their_paths(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", "register_task_definition.py")
    other_service(clara, "/other/*")
    clara.has_run("create_service.py", LISTENER_PATH="/clara/*").has_run("delete_service.py")
    assert rules(clara) == [("/other/*", "other")]


def test_a_target_group_of_somebody_else_is_left_alone(clara: Runbook) -> None:
    made = clara.has_run("create_cluster.py", "register_task_definition.py").run("create_cluster.py").result
    request = {"Protocol": "HTTP", "Port": 80, "VpcId": made["vpcId"]}
    clara.aws("elbv2").create_target_group(Name="clara-train-tg", **request)
    ran = clara.run("create_service.py")
    assert ran.code == 1
    assert "the target group clara-train-tg exists already, and does not bear the tag gpu-ecs-cluster=clara-train" in ran.err


def test_a_priority_that_another_run_takes_at_the_same_moment_is_told_or_passed_over(clara: Runbook) -> None:
    """Between the look at the rules and the rule's creation another one takes the number."""
    clara.has_run("create_cluster.py", "register_task_definition.py")

    def watch(when: str) -> None:
        if when == "after" and clara.emulator.calls[-1][1] == "CreateTargetGroup":
            clara.watch = None
            other_service(clara, "/other/*")

    clara.watch = watch
    ran = clara.run("create_service.py", RULE_PRIORITY="1")
    assert (ran.code, "RULE_PRIORITY=1 is taken by the rule to other" in ran.err) == (1, True)
    clara.has_run("create_service.py")
    assert sorted(rules(clara)) == [("/*", "clara-train-tg"), ("/other/*", "other")]


def test_a_rule_that_would_take_all_from_a_narrower_one_is_refused(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", "register_task_definition.py")
    other_service(clara, "/other/*")
    clara.has_run("create_service.py")
    begun = len(clara.emulator.calls)
    elb = clara.aws("elbv2")
    found = elb.describe_rules(ListenerArn=https_listener(clara))["Rules"]
    [other] = [rule["RuleArn"] for rule in found if rule["Priority"] == "1"]
    elb.set_rule_priorities(RulePriorities=[{"RuleArn": other, "Priority": 9}])
    begun = len(clara.emulator.calls)
    ran = clara.run("create_service.py", RULE_PRIORITY="1")
    assert (ran.code, clara.changes(begun)) == (1, [])
    assert "/* with priority 1 would take all from the rule to other, priority 9: set RULE_PRIORITY above" in ran.err
