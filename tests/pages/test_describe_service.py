"""describe_service.py tells where the service stands, at any time."""

from __future__ import annotations

from tests.conftest import Runbook

SERVED = ("create_cluster.py", "register_task_definition.py", "create_service.py")


def test_it_tells_counts_deployments_targets_events_and_the_url(clara: Runbook) -> None:
    found = clara.has_run(*SERVED).run("describe_service.py").result
    [deployment] = found["deployments"]
    assert (found["desiredCount"], found["runningCount"], deployment["rolloutState"]) == (1, 1, "COMPLETED")
    assert [(target["state"], target["reason"]) for target in found["targets"]] == [("healthy", "")]
    assert found["events"][0] == "(service clara) has reached a steady state."
    assert found["url"].startswith("https://clara-train-alb-")
    assert found["fileSystemDnsName"].endswith(".efs.us-east-1.amazonaws.com")


def test_it_tells_what_create_service_told(clara: Runbook) -> None:
    made = clara.has_run(*SERVED[:2]).run("create_service.py").result
    assert clara.run("describe_service.py").result == made


def test_a_target_that_is_not_healthy_has_a_reason(clara: Runbook) -> None:
    clara.has_run(*SERVED[:2]).has_run("create_service.py", WAIT="false")
    for _ in range(40):
        clara.settle(10)
        if targets := clara.run("describe_service.py").result["targets"]:
            break
    assert [(target["state"], target["reason"].split()[0]) for target in targets] == [
        ("initial", "Elb.RegistrationInProgress")
    ]


def test_it_changes_nothing_and_needs_a_service(clara: Runbook) -> None:
    clara.has_run(*SERVED[:2])
    calls = len(clara.emulator.calls)
    ran = clara.run("describe_service.py")
    assert (ran.code, clara.changes(calls)) == (1, [])
    assert "there is no service clara in cluster clara-train: run create_service.py first" in ran.err
