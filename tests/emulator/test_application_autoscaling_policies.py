"""Services that follow their load: metrics, alarms on the clock, and what policies do with the count."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.core.wire import Emulator
from emulator.front_door.proxy import Request, route
from tests.emulator.common import refused
from tests.emulator.ecs_account import Account, Client

TARGET = {
    "ServiceNamespace": "ecs",
    "ResourceId": "service/main/web",
    "ScalableDimension": "ecs:service:DesiredCount",
}
OF_SERVICE = [{"Name": "ClusterName", "Value": "main"}, {"Name": "ServiceName", "Value": "web"}]


class Served:
    """A Fargate service called web with 256 CPU units, behind a load balancer, and its scalable target: 1 to 4 tasks."""

    def __init__(self, emulator: Emulator, client: Client) -> None:
        self.emulator, self.account = emulator, Account(emulator, client)
        self.scaling, self.cloudwatch, self.elb = (
            client("application-autoscaling"),
            client("cloudwatch"),
            client("elbv2"),
        )
        self.account.sleep(60)
        anyone = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        self.account.ec2.authorize_security_group_ingress(GroupId=self.account.group, IpPermissions=[anyone])
        zones, groups = [self.account.a, self.account.b], [self.account.group]
        made = self.elb.create_load_balancer(Name="web", Subnets=zones, SecurityGroups=groups)["LoadBalancers"][0]
        self.host, self.balancer = made["DNSName"], made["LoadBalancerArn"].partition("loadbalancer/")[2]
        where = {"Protocol": "HTTP", "Port": 80, "VpcId": self.account.vpc, "TargetType": "ip"}
        self.arn = self.elb.create_target_group(Name="web", **where)["TargetGroups"][0]["TargetGroupArn"]
        self.group = self.arn.rpartition(":")[2]
        forward = [{"Type": "forward", "TargetGroupArn": self.arn}]
        where = {"LoadBalancerArn": made["LoadBalancerArn"], "Protocol": "HTTP", "Port": 80}
        self.elb.create_listener(**where, DefaultActions=forward)
        self.account.register_fargate(portMappings=[{"containerPort": 80}])
        self.create()
        self.account.sleep(300)
        self.limit(1, 4)
        self.account.sleep(10)

    def create(self) -> None:
        balanced = [{"targetGroupArn": self.arn, "containerName": "main", "containerPort": 80}]
        self.account.ecs.create_service(
            cluster="main",
            serviceName="web",
            taskDefinition="fargate",
            desiredCount=1,
            launchType="FARGATE",
            networkConfiguration=self.account.network(),
            loadBalancers=balanced,
        )

    def limit(self, least: int, most: int, **more: Any) -> None:
        self.scaling.register_scalable_target(**TARGET, MinCapacity=least, MaxCapacity=most, **more)

    def desired(self) -> int:
        return int(self.account.service()["desiredCount"])

    def scale(self, count: int) -> None:
        self.account.ecs.update_service(cluster="main", service="web", desiredCount=count)

    def ask(self, minutes: int, requests: int) -> list[int]:
        """So many requests in each of so many minutes: what was answered to the last."""
        status = []
        for _ in range(minutes):
            status = [
                route(self.emulator, Request("GET", "http", self.host, 80, self.host)).status for _ in range(requests)
            ]
            self.account.sleep(60)
        return status

    def step(self, name: str, adjustment: int, bound: str, kind: str = "ChangeInCapacity", cooldown: int = 300) -> str:
        made = self.scaling.put_scaling_policy(
            **TARGET,
            PolicyName=name,
            PolicyType="StepScaling",
            StepScalingPolicyConfiguration={
                "AdjustmentType": kind,
                "Cooldown": cooldown,
                "StepAdjustments": [{f"MetricInterval{bound}Bound": 0.0, "ScalingAdjustment": adjustment}],
            },
        )
        return str(made["PolicyARN"])

    def alarm(self, name: str, policy: str, comparison: str, threshold: float, periods: int, **more: Any) -> None:
        metric = {
            "Namespace": "AWS/ECS",
            "MetricName": "CPUUtilization",
            "Dimensions": OF_SERVICE,
            "Statistic": "Average",
        }
        self.cloudwatch.put_metric_alarm(
            AlarmName=name,
            **{**metric, **more},
            Period=60,
            EvaluationPeriods=periods,
            Threshold=threshold,
            ComparisonOperator=f"{comparison}Threshold",
            AlarmActions=[policy],
        )

    def steps(self) -> None:
        """One task more above 80 % of CPU for 2 minutes, one less below 40 % for 5."""
        self.alarm("out", self.step("out", 1, "Lower"), "GreaterThan", 80.0, 2)
        self.alarm("in", self.step("in", -1, "Upper"), "LessThan", 40.0, 5)

    def track(self, name: str, metric: str, target: float, label: str = "") -> Any:
        specification = {"PredefinedMetricType": metric, **({"ResourceLabel": label} if label else {})}
        tracking = {"TargetValue": target, "ScaleOutCooldown": 300, "ScaleInCooldown": 60}
        return self.scaling.put_scaling_policy(
            **TARGET,
            PolicyName=name,
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={**tracking, "PredefinedMetricSpecification": specification},
        )

    @property
    def label(self) -> str:
        return f"{self.balancer}/{self.group}"

    def state(self, name: str) -> str:
        return str(self.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"])

    def causes(self) -> list[str]:
        found = self.scaling.describe_scaling_activities(ServiceNamespace="ecs")["ScalingActivities"]
        return [f"{each['Description']} {each['Cause']}" for each in found]


@pytest.fixture
def served(emulator: Emulator, client: Client) -> Served:
    return Served(emulator, client)


def test_steps_follow_the_requests_out_and_in_within_the_limits(served: Served) -> None:
    served.steps()
    assert served.state("out") == "INSUFFICIENT_DATA"
    served.account.sleep(180)
    assert (served.state("out"), served.desired()) == ("OK", 1)
    served.ask(3, 10)  # 50 seconds of a CPU in a minute: four times what the task has
    assert (served.state("out"), served.desired()) == ("ALARM", 2)
    served.ask(12, 30)
    assert served.desired() == 4
    served.account.sleep(1500)
    assert (served.state("out"), served.state("in"), served.desired()) == ("OK", "ALARM", 1)
    assert "Setting desired count to 2. monitor alarm out in state ALARM triggered policy out" in served.causes()
    assert "Setting desired count to 1. monitor alarm in in state ALARM triggered policy in" in served.causes()


def test_within_the_cooldown_a_step_is_taken_once(served: Served) -> None:
    served.alarm("out", served.step("out", 1, "Lower", cooldown=3600), "GreaterThan", 80.0, 2)
    served.ask(10, 10)
    assert (served.desired(), len(served.causes())) == (2, 1)


def test_at_0_tasks_there_is_no_cpu_and_nothing_wakes_the_service(served: Served) -> None:
    """aas-005"""
    served.limit(0, 4)
    served.steps()
    served.account.sleep(600)
    assert served.desired() == 0
    assert set(served.ask(20, 30)) == {503}
    assert (served.state("out"), served.desired()) == ("INSUFFICIENT_DATA", 0)


def test_a_pause_below_the_limit_is_ended_by_the_next_alarm(served: Served) -> None:
    """So the limits must come down first."""
    served.steps()
    served.account.sleep(600)
    assert (served.state("in"), served.desired()) == ("ALARM", 1)
    served.scale(0)
    served.account.sleep(60)
    assert served.desired() == 1


def test_without_cpu_units_the_percentage_is_in_the_thousands(emulator: Emulator, client: Client) -> None:
    """aas-006"""
    account = Account(emulator, client)
    account.instance()
    account.register()
    account.ecs.create_service(cluster="main", serviceName="web", taskDefinition="work", desiredCount=1)
    account.sleep(120)
    client("application-autoscaling").register_scalable_target(**TARGET, MinCapacity=1, MaxCapacity=4)
    account.sleep(10)
    step = {
        "AdjustmentType": "ChangeInCapacity",
        "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
    }
    policy = client("application-autoscaling").put_scaling_policy(
        **TARGET, PolicyName="out", PolicyType="StepScaling", StepScalingPolicyConfiguration=step
    )
    client("cloudwatch").put_metric_alarm(
        AlarmName="out",
        Namespace="AWS/ECS",
        MetricName="CPUUtilization",
        Dimensions=OF_SERVICE,
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=3,
        Threshold=1000.0,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[policy["PolicyARN"]],
    )
    account.sleep(300)
    assert account.service()["desiredCount"] == 2


def test_target_tracking_makes_its_alarms_and_keeps_the_requests_of_each_task(served: Served) -> None:
    made = served.track("requests", "ALBRequestCountPerTarget", 10.0, served.label)["Alarms"]
    high, low = (served.cloudwatch.describe_alarms(AlarmNames=[each["AlarmName"]])["MetricAlarms"][0] for each in made)
    assert (high["Namespace"], high["MetricName"], high["Statistic"]) == (
        "AWS/ApplicationELB",
        "RequestCountPerTarget",
        "Sum",
    )
    assert {each["Name"]: each["Value"] for each in high["Dimensions"]} == {
        "LoadBalancer": served.balancer,
        "TargetGroup": served.group,
    }
    assert (high["EvaluationPeriods"], high["Threshold"]) == (3, 10.0)
    assert (low["EvaluationPeriods"], low["Threshold"]) == (15, 9.0)
    served.ask(4, 28)
    assert served.desired() == 3
    served.ask(18, 6)
    assert served.desired() == 1
    served.scaling.delete_scaling_policy(**TARGET, PolicyName="requests")
    assert served.cloudwatch.describe_alarms()["MetricAlarms"] == []


def test_without_any_request_there_is_nothing_to_scale_in_on(served: Served) -> None:
    """elb-018: the low alarm of target tracking has insufficient data."""
    low = served.track("requests", "ALBRequestCountPerTarget", 10.0, served.label)["Alarms"][1]["AlarmName"]
    served.ask(4, 28)
    served.account.sleep(3600)
    assert (served.state(low), served.desired()) == ("INSUFFICIENT_DATA", 3)


def test_target_tracking_scales_in_only_when_all_its_policies_would(served: Served) -> None:
    served.track("cpu", "ECSServiceAverageCPUUtilization", 60.0)
    served.track("memory", "ECSServiceAverageMemoryUtilization", 52.0)
    served.scale(3)
    served.account.sleep(1800)
    assert served.desired() == 3, "the CPU is idle, but of the memory half is used"
    served.track("memory", "ECSServiceAverageMemoryUtilization", 100.0)
    served.account.sleep(1800)
    assert served.desired() == 1


def test_one_metric_has_one_policy_of_target_tracking(served: Served) -> None:
    served.track("cpu", "ECSServiceAverageCPUUtilization", 60.0)
    assert (
        refused(served.track, name="other", metric="ECSServiceAverageCPUUtilization", target=60.0)
        == "ValidationException"
    )
    wrong = {"name": "requests", "metric": "ALBRequestCountPerTarget", "target": 10.0}
    assert refused(served.track, **wrong) == "ValidationException"
    other = f"{served.balancer}/targetgroup/other/0123456789abcdef"
    assert refused(served.track, **wrong, label=other) == "ValidationException"


def test_to_zero_on_no_requests_and_back_on_a_503(served: Served) -> None:
    served.limit(0, 4)
    elb = {"Namespace": "AWS/ApplicationELB", "Statistic": "Sum"}
    balancer = {"Name": "LoadBalancer", "Value": served.balancer}
    both = [balancer, {"Name": "TargetGroup", "Value": served.group}]
    idle = {**elb, "MetricName": "RequestCount", "Dimensions": both, "TreatMissingData": "breaching"}
    wake = {**elb, "MetricName": "HTTPCode_ELB_503_Count", "Dimensions": [balancer], "TreatMissingData": "notBreaching"}
    served.ask(1, 1)
    served.alarm("wake", served.step("wake", 1, "Lower"), "GreaterThanOrEqualTo", 1.0, 1, **wake)
    served.alarm("idle", served.step("idle", 0, "Upper", "ExactCapacity"), "LessThan", 1.0, 10, **idle)
    served.ask(12, 1)
    assert (served.state("idle"), served.desired()) == ("OK", 1)
    served.account.sleep(900)
    assert (served.state("idle"), served.desired()) == ("ALARM", 0)
    assert served.ask(1, 1) == [503]
    assert "Setting desired count to 1. monitor alarm wake in state ALARM triggered policy wake" in served.causes()


def test_what_is_suspended_does_not_scale(served: Served) -> None:
    served.steps()
    served.limit(1, 4, SuspendedState={"DynamicScalingOutSuspended": True})
    served.ask(6, 10)
    assert (served.state("out"), served.desired()) == ("ALARM", 1)


def test_nothing_scales_in_while_a_deployment_goes_on(served: Served) -> None:
    served.steps()
    served.scale(2)
    served.account.sleep(120)
    served.account.register_fargate(image="busybox:unhealthy", portMappings=[{"containerPort": 80}])
    served.account.ecs.update_service(cluster="main", service="web", taskDefinition="fargate")
    served.account.sleep(600)
    assert (served.state("in"), served.desired()) == ("ALARM", 2)
