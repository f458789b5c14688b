"""The listener rule: which paths lead to the service, in which order, and whose rule it is."""

from __future__ import annotations

from tests.conftest import Runbook

SERVED = ("create_cluster.py", "register_task_definition.py", "create_service.py")


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


def retag(runbook: Runbook, arn: str, remove: str = "", **add: str) -> None:
    """What somebody does in the console."""
    elb = runbook.aws("elbv2")
    if add:
        elb.add_tags(ResourceArns=[arn], Tags=[{"Key": key, "Value": value} for key, value in add.items()])
    if remove:
        elb.remove_tags(ResourceArns=[arn], TagKeys=[remove])


def rule_and_group(runbook: Runbook) -> list[str]:
    elb = runbook.aws("elbv2")
    found = elb.describe_rules(ListenerArn=https_listener(runbook))["Rules"]
    [rule_arn] = [rule["RuleArn"] for rule in found if not rule["IsDefault"]]
    return [rule_arn, *(each["TargetGroupArn"] for each in elb.describe_target_groups()["TargetGroups"])]


def test_a_rule_and_a_group_are_known_by_their_tags_whatever_their_names(clara: Runbook) -> None:
    """Their Name is for people, who may change it; earlier versions said in it alone what they are."""
    clara.has_run(*SERVED)
    for arn in rule_and_group(clara):
        retag(clara, arn, Name="ours in blue")
    begun = len(clara.emulator.calls)
    clara.has_run("create_service.py")
    assert clara.changes(begun) == []
    clara.has_run("delete_service.py")
    assert clara.aws("elbv2").describe_target_groups()["TargetGroups"] == rules(clara) == []


def test_a_rule_and_a_group_of_an_earlier_version_are_known_by_their_names(clara: Runbook) -> None:
    clara.has_run(*SERVED)
    for arn in rule_and_group(clara):
        retag(clara, arn, remove="gpu-ecs-part")
    begun = len(clara.emulator.calls)
    clara.has_run("create_service.py")
    assert clara.changes(begun) == ["resourcegroupstaggingapi:TagResources"] * 2
    begun = len(clara.emulator.calls)
    clara.has_run("create_service.py")
    assert clara.changes(begun) == []
    clara.has_run("delete_service.py")
    assert clara.aws("elbv2").describe_target_groups()["TargetGroups"] == rules(clara) == []


def test_a_rule_that_bears_our_name_and_not_our_tag_is_never_changed(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", "register_task_definition.py")
    other_service(clara, "/other/*")
    [rule_arn, _] = rule_and_group(clara)
    retag(clara, rule_arn, **{"Name": "clara-train-rule", "gpu-ecs-part": "rule"})
    clara.has_run("create_service.py", LISTENER_PATH="/clara/*").has_run("delete_service.py")
    assert rules(clara) == [("/other/*", "other")]


def test_a_rule_that_someone_let_lead_elsewhere_leads_here_again(clara: Runbook) -> None:
    clara.has_run(*SERVED)
    elb = clara.aws("elbv2")
    [balancer] = elb.describe_load_balancers()["LoadBalancers"]
    [group] = elb.create_target_group(Name="other", Protocol="HTTP", Port=80, VpcId=balancer["VpcId"])["TargetGroups"]
    rule_arn = rule_and_group(clara)[0]
    elb.modify_rule(RuleArn=rule_arn, Actions=[{"Type": "forward", "TargetGroupArn": group["TargetGroupArn"]}])
    ran = clara.run("create_service.py")
    assert (ran.code, rules(clara)) == (0, [("/*", "clara-train-tg")]), ran.err
    assert "updated listener rule /*  where it leads to" in ran.err


def test_with_https_nothing_is_answered_in_the_clear_any_more(clara: Runbook) -> None:
    """The rule of LISTENER_PROTOCOL=HTTP would go on to answer at port 80, before the redirect."""
    clara.has_run(*SERVED, LISTENER_PROTOCOL="HTTP")
    clara.has_run("create_cluster.py", "create_service.py")
    elb = clara.aws("elbv2")
    [balancer] = elb.describe_load_balancers()["LoadBalancers"]
    listeners = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    found = {
        each["Port"]: [rule["Priority"] for rule in elb.describe_rules(ListenerArn=each["ListenerArn"])["Rules"]]
        for each in listeners
    }
    assert found == {80: ["default"], 443: ["1", "default"]}
