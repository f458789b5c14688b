"""Scalable targets of a service."""

from __future__ import annotations

import pytest

from emulator.core.wire import Emulator
from tests.emulator.common import Client, refused, sleep


@pytest.fixture
def service(emulator: Emulator, client: Client) -> dict[str, str]:
    """An ECS service with no tasks, known to all by now; the parameters of its scalable target."""
    ecs = client("ecs")
    ecs.create_cluster(clusterName="c")
    sleep(emulator, 60)
    container = {"name": "app", "image": "nginx:1", "memory": 64, "essential": True}
    ecs.register_task_definition(family="f", containerDefinitions=[container])
    ecs.create_service(cluster="c", serviceName="s", taskDefinition="f", desiredCount=0)
    return {"ServiceNamespace": "ecs", "ResourceId": "service/c/s", "ScalableDimension": "ecs:service:DesiredCount"}


def desired(client: Client) -> int:
    return int(client("ecs").describe_services(cluster="c", services=["s"])["services"][0]["desiredCount"])


def test_a_scalable_target_moves_the_service_into_its_bounds(
    emulator: Emulator, client: Client, service: dict[str, str]
) -> None:
    scaling = client("application-autoscaling")
    bounds = {"MinCapacity": 1, "MaxCapacity": 3}
    assert refused(scaling.register_scalable_target, **service, **bounds) == "ValidationException"
    sleep(emulator, 6)
    scaling.register_scalable_target(**service, **bounds)
    assert desired(client) == 1
    client("ecs").update_service(cluster="c", service="s", desiredCount=0)
    scaling.register_scalable_target(**service, MaxCapacity=4)
    assert desired(client) == 1
    sleep(emulator, 3)
    [target] = scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 4)


def test_a_target_takes_its_policies_and_alarms_along(
    emulator: Emulator, client: Client, service: dict[str, str]
) -> None:
    scaling = client("application-autoscaling")
    sleep(emulator, 6)
    scaling.register_scalable_target(**service, MinCapacity=0, MaxCapacity=3)
    metric = {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}
    policy = {
        "PolicyName": "cpu",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 50.0, "PredefinedMetricSpecification": metric},
    }
    assert refused(scaling.put_scaling_policy, **service, **policy) == "ObjectNotFoundException"
    sleep(emulator, 3)
    made = scaling.put_scaling_policy(**service, **policy)
    assert len(made["Alarms"]) == 2
    assert len(client("cloudwatch").describe_alarms(AlarmNamePrefix="TargetTracking-")["MetricAlarms"]) == 2
    scaling.deregister_scalable_target(**service)
    assert client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    assert scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"] == []
    assert refused(scaling.deregister_scalable_target, **service) == "ObjectNotFoundException"
