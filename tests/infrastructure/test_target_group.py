"""The target group: how tasks are reached, how they are asked whether they are well, and how they leave."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Runbook

SERVED = ("create_cluster.py", "register_task_definition.py", "create_service.py")


def target_group(runbook: Runbook) -> Any:
    [found] = runbook.aws("elbv2").describe_target_groups(Names=["clara-train-tg"])["TargetGroups"]
    return found


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
    assert found["HealthCheckPort"] == "traffic-port", "the one with which ECS registers each task"


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


def test_a_target_group_of_somebody_else_is_left_alone(clara: Runbook) -> None:
    made = clara.has_run("create_cluster.py", "register_task_definition.py").run("create_cluster.py").result
    request = {"Protocol": "HTTP", "Port": 80, "VpcId": made["vpcId"]}
    clara.aws("elbv2").create_target_group(Name="clara-train-tg", **request)
    ran = clara.run("create_service.py")
    assert ran.code == 1
    assert (
        "the target group clara-train-tg exists already, and does not bear the tag gpu-ecs-cluster=clara-train"
        in ran.err
    )


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("TARGET_PROTOCOL", "HTTP", "is to have Protocol HTTP, but has HTTPS"),
        ("NETWORK_MODE", "awsvpc", "is to have TargetType ip, but has instance"),
    ],
)
def test_what_can_not_be_changed_is_refused_before_anything_is(
    clara: Runbook, setting: str, value: str, told: str
) -> None:
    clara.has_run(*SERVED)
    begun = len(clara.emulator.calls)
    ran = clara.run("create_service.py", **{setting: value})
    assert (ran.code, clara.changes(begun)) == (1, [])
    assert f"{setting}: the target group clara-train-tg {told}, which can't be changed" in ran.err


def test_a_revision_that_is_not_as_the_service_is_to_be_is_refused_before_anything_is_changed(clara: Runbook) -> None:
    clara.has_run(*SERVED)
    begun = len(clara.emulator.calls)
    for page in ("create_service.py", "update_service.py"):
        ran = clara.run(page, CONTAINER_PORTS="8443", HEALTH_CHECK_PATH="/other")
        assert (ran.code, clara.changes(begun)) == (1, [])
        assert "CONTAINER_PORTS: clara:1 has no port 8443: set it back, or run register_task_definition.py" in ran.err
    for page in ("create_service.py", "update_service.py"):
        ran = clara.run(page, NETWORK_MODE="host", HEALTH_CHECK_PATH="/other")
        assert (ran.code, clara.changes(begun)) == (1, [])
        assert "NETWORK_MODE=host, but clara:1 has bridge: set it back, or run register_task_definition.py" in ran.err


def attributes(runbook: Runbook) -> dict[str, str]:
    arn = target_group(runbook)["TargetGroupArn"]
    found = runbook.aws("elbv2").describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
    return {each["Key"]: each["Value"] for each in found}


def test_grpc_has_a_health_check_of_its_own(clara: Runbook) -> None:
    clara.settings["HEALTH_CHECK_PATH"] = ""
    clara.has_run(*SERVED, TARGET_PROTOCOL_VERSION="GRPC")
    found = target_group(clara)
    assert (found["ProtocolVersion"], found["Matcher"]) == ("GRPC", {"GrpcCode": "12"})
    assert (found["HealthCheckPath"], found["Protocol"]) == ("/AWS.ALB/healthcheck", "HTTPS")


def test_how_a_task_is_chosen_is_as_the_settings_say(clara: Runbook) -> None:
    clara.has_run(*SERVED)
    ran = clara.run("create_service.py", STICKINESS_SECONDS="3600", SLOW_START="120")
    assert ran.code == 0, ran.err
    found = attributes(clara)
    assert (found["stickiness.enabled"], found["stickiness.lb_cookie.duration_seconds"]) == ("true", "3600")
    assert found["slow_start.duration_seconds"] == "120"
    clara.has_run("create_service.py", ALGORITHM="least_outstanding_requests")
    found = attributes(clara)
    assert found["load_balancing.algorithm.type"] == "least_outstanding_requests"
    assert (found["stickiness.enabled"], found["slow_start.duration_seconds"]) == ("false", "0")


def test_health_is_asked_at_another_port_of_the_task(fargate: Runbook) -> None:
    fargate.settings |= {"LISTENER_PROTOCOL": "HTTP", "PUBLIC_SUBNET_CIDRS": "10.0.0.0/24,10.0.1.0/24"}
    fargate.settings |= {"CONTAINER_PORTS": "9090,9091", "HEALTH_CHECK_PORT": "9091"}
    fargate.has_run(*SERVED)
    [group] = fargate.aws("elbv2").describe_target_groups()["TargetGroups"]
    [health] = fargate.aws("elbv2").describe_target_health(TargetGroupArn=group["TargetGroupArn"])[
        "TargetHealthDescriptions"
    ]
    assert (health["HealthCheckPort"], health["Target"]["Port"]) == ("9091", 9090)
    assert health["TargetHealth"]["State"] == "healthy"
