"""Auto Scaling groups: their failures are told in activities only, and they let go slowly."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.autoscaling import groups as autoscaling_groups
from emulator.core.faults import Fault
from emulator.core.rules import HELD
from emulator.core.wire import Emulator

REGION = "us-east-1"
ENDING = "autoscaling:EC2_INSTANCE_TERMINATING"
ECS_HOOK = "ecs-managed-draining-termination-hook"


def refused(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    """Code and message that a call is refused with."""
    with pytest.raises(ClientError) as error:
        call(**params)
    told = error.value.response["Error"]
    return str(told["Code"]), str(told["Message"])


class Account:
    """What the tests look at and do, in short words."""

    def __init__(self, emulator: Emulator, client: Callable[[str], Any]) -> None:
        self.emulator, self.world = emulator, emulator.world
        self.ec2, self.asg, self.iam = client("ec2"), client("autoscaling"), client("iam")
        name = "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"
        self.image = client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
        zones = {one["AvailabilityZone"]: one["SubnetId"] for one in self.ec2.describe_subnets()["Subnets"]}
        self.subnets = [zones["us-east-1a"], zones["us-east-1b"]]
        self.template("gpu")

    def sleep(self, seconds: float, step: float = 5) -> None:
        """Let time pass as a program that polls sees it: a request now and then."""
        for _ in range(int(seconds / step)):
            self.world.clock.sleep(step)  # type: ignore[attr-defined]
            self.world.advance()

    def template(self, name: str, **data: Any) -> None:
        wanted = {"ImageId": self.image, "InstanceType": "g4dn.xlarge", **data}
        self.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=wanted)
        self.world.clock.sleep(5)  # type: ignore[attr-defined]

    def create(self, name: str = "box", **params: Any) -> None:
        wanted: dict[str, Any] = {
            "AutoScalingGroupName": name,
            "MinSize": 0,
            "MaxSize": 4,
            "DesiredCapacity": 1,
            "VPCZoneIdentifier": ",".join(self.subnets),
            "LaunchTemplate": {"LaunchTemplateName": "gpu", "Version": "$Latest"},
            **params,
        }
        self.asg.create_auto_scaling_group(**{key: value for key, value in wanted.items() if value is not None})

    def group(self, name: str = "box") -> Any:
        found = self.asg.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        return found[0] if found else None

    def states(self, name: str = "box") -> list[str]:
        return sorted(one["LifecycleState"] for one in self.group(name)["Instances"])

    def ids(self, name: str = "box") -> list[str]:
        return [one["InstanceId"] for one in self.group(name)["Instances"]]

    def activities(self, name: str = "box") -> Any:
        return self.asg.describe_scaling_activities(AutoScalingGroupName=name)["Activities"]

    def delete(self, name: str = "box", **params: Any) -> None:
        self.asg.delete_auto_scaling_group(AutoScalingGroupName=name, **params)

    def resize(self, desired: int, name: str = "box") -> None:
        self.asg.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=desired)

    def protect(self, protected: bool, ids: list[str] | None = None) -> None:
        self.asg.set_instance_protection(
            AutoScalingGroupName="box", InstanceIds=ids or self.ids(), ProtectedFromScaleIn=protected
        )

    def hook(self, name: str = "drain", **params: Any) -> None:
        self.asg.put_lifecycle_hook(
            AutoScalingGroupName="box", LifecycleHookName=name, LifecycleTransition=ENDING, **params
        )


@pytest.fixture
def account(emulator: Emulator, client: Callable[[str], Any]) -> Account:
    return Account(emulator, client)


def test_a_name_is_taken_until_the_group_is_gone(account: Account) -> None:
    """asg-001, asg-007"""
    account.create()
    assert refused(account.create)[0] == "AlreadyExists"
    account.sleep(60)
    account.delete(ForceDelete=True)
    assert account.group()["Status"] == "Delete in progress"
    error, text = refused(account.create)
    assert error == "AlreadyExists" and "pending delete" in text
    error, text = refused(account.asg.update_auto_scaling_group, AutoScalingGroupName="box", MaxSize=1)
    assert (error, text) == ("ValidationError", "The AutoScaling group may not be modified while it is pending delete")
    account.sleep(120)
    assert account.group() is None
    account.create()


def test_a_fresh_profile_is_refused(account: Account) -> None:
    """asg-002"""
    account.template("with-profile", IamInstanceProfile={"Name": "box"})
    error, text = refused(account.create, LaunchTemplate={"LaunchTemplateName": "with-profile"})
    assert error == "ValidationError"
    assert text == (
        "You must use a valid fully-formed launch template. Value (box) for parameter iamInstanceProfile.name is "
        "invalid. Invalid IAM Instance Profile name"
    )
    statement = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    account.iam.create_role(RoleName="box", AssumeRolePolicyDocument=document)
    account.iam.create_instance_profile(InstanceProfileName="box")
    account.iam.add_role_to_instance_profile(InstanceProfileName="box", RoleName="box")
    assert refused(account.create, LaunchTemplate={"LaunchTemplateName": "with-profile"})[0] == "ValidationError"
    account.sleep(15)
    account.create(LaunchTemplate={"LaunchTemplateName": "with-profile"})


@pytest.mark.parametrize(
    "params",
    [
        {"name": "a:b"},
        {"name": "a" * 256},
        {"MinSize": 3, "MaxSize": 2},
        {"DesiredCapacity": 9},
        {"VPCZoneIdentifier": "subnet-0"},
        {"VPCZoneIdentifier": None},
        {"LaunchTemplate": None},
        {"LaunchTemplate": {"LaunchTemplateName": "none"}},
        {"LaunchTemplate": {"LaunchTemplateName": "gpu", "Version": "7"}},
        {"LaunchTemplate": None, "LaunchConfigurationName": "none"},
    ],
)
def test_a_group_checks_its_settings(account: Account, params: dict[str, Any]) -> None:
    """asg-014, asg-003"""
    assert refused(account.create, **params)[0] == "ValidationError"


def test_failed_launches_are_told_in_activities_only(account: Account) -> None:
    """asg-004"""
    account.world.settings.vcpu_quotas["L-DB2E81BA"] = 0.0
    account.create(MinSize=1)
    account.sleep(20)
    assert account.ids() == []
    [failed] = account.activities()
    assert failed["StatusCode"] == "Failed" and failed["Progress"] == 100
    assert failed["StatusMessage"] == (
        "Could not launch On-Demand Instances. VcpuLimitExceeded - "
        "You have requested more vCPU capacity than your current vCPU limit of 0 allows for the instance bucket that "
        "the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request "
        "an adjustment to this limit. Launching EC2 instance failed."
    )
    assert failed["Description"].startswith("Launching a new EC2 instance.  Status Reason: Could not launch")
    account.sleep(300)
    assert 2 <= len(account.activities()) <= 8, "tried again, ever more seldom"
    account.world.settings.vcpu_quotas["L-DB2E81BA"] = 64.0
    account.sleep(400)
    assert account.states() == ["InService"]


def test_a_zone_without_capacity_is_left_for_another(account: Account) -> None:
    """asg-004"""
    account.world.settings.without_capacity = ["us-east-1a"]
    account.create(DesiredCapacity=2)
    account.sleep(300)
    assert {one["AvailabilityZone"] for one in account.group()["Instances"]} == {"us-east-1b"}
    failed = [one for one in account.activities() if one["StatusCode"] == "Failed"]
    assert failed[0]["StatusMessage"].startswith(
        "Could not launch On-Demand Instances. InsufficientInstanceCapacity - "
        "We currently do not have sufficient g4dn.xlarge capacity in the Availability Zone you requested (us-east-1a)."
    )
    assert failed[0]["StatusMessage"].endswith("Launching EC2 instance failed.")


def test_instances_are_pending_before_they_are_in_service(account: Account) -> None:
    """asg-005"""
    account.create(
        DesiredCapacity=2, Tags=[{"Key": "a", "Value": "b", "PropagateAtLaunch": True}, {"Key": "c", "Value": "d"}]
    )
    account.sleep(10)
    assert account.states() == ["Pending", "Pending"]
    assert account.activities()[0]["StatusCode"] == "PreInService"
    account.sleep(40)
    assert account.states() == ["InService", "InService"]
    assert {one["AvailabilityZone"] for one in account.group()["Instances"]} == {"us-east-1a", "us-east-1b"}
    [newest, oldest] = account.activities()
    assert newest["StatusCode"] == oldest["StatusCode"] == "Successful"
    assert "a user request created an AutoScalingGroup" in oldest["Cause"]
    ids = account.ids()
    found = account.ec2.describe_instances(InstanceIds=ids[:1])["Reservations"][0]["Instances"][0]
    tags = {tag["Key"]: tag["Value"] for tag in found["Tags"]}
    assert tags["a"] == "b" and tags["aws:autoscaling:groupName"] == "box" and "c" not in tags
    shown = account.asg.describe_auto_scaling_instances(InstanceIds=ids)["AutoScalingInstances"]
    assert {one["AutoScalingGroupName"] for one in shown} == {"box"}


def test_without_force_a_group_must_be_empty_and_quiet(account: Account) -> None:
    """asg-006"""
    account.create()
    account.sleep(60)
    assert refused(account.delete)[0] == "ResourceInUse"
    account.resize(0)
    account.sleep(10)
    assert refused(account.delete)[0] == "ScalingActivityInProgress"
    account.sleep(120)
    account.delete()
    account.sleep(20)
    assert account.group() is None
    error, text = refused(account.delete)
    assert error == "ValidationError" and text.startswith("AutoScalingGroup name not found")


def test_force_ends_instances_protected_ones_too(account: Account) -> None:
    """asg-007"""
    account.create(NewInstancesProtectedFromScaleIn=True)
    account.hook(HeartbeatTimeout=3600)
    account.sleep(60)
    ids = account.ids()
    account.delete(ForceDelete=True)
    account.sleep(30)
    assert account.group()["Status"] == "Delete in progress"
    account.sleep(120)
    assert account.group() is None
    found = account.ec2.describe_instances(InstanceIds=ids)["Reservations"][0]["Instances"][0]
    assert found["State"]["Name"] == "terminated"


def test_protected_instances_stay_whatever_is_desired(account: Account) -> None:
    """asg-008, asg-011"""
    account.create(NewInstancesProtectedFromScaleIn=True)
    account.sleep(60)
    account.asg.update_auto_scaling_group(
        AutoScalingGroupName="box", DesiredCapacity=0, NewInstancesProtectedFromScaleIn=False
    )
    account.sleep(300)
    assert account.states() == ["InService"] and account.group()["DesiredCapacity"] == 0
    assert "protected from scale-in" in account.activities()[0]["StatusMessage"]
    account.protect(False)
    account.sleep(120)
    assert account.ids() == []


def test_protection_is_set_for_members_only_and_fifty_at_once(account: Account) -> None:
    """asg-008, asg-009"""
    account.create()
    account.sleep(60)
    assert refused(account.protect, protected=True, ids=["i-0"])[0] == "ValidationError"
    assert "is not part of Auto Scaling group" in refused(account.protect, protected=True, ids=["i-0"])[1]
    assert refused(account.protect, protected=True, ids=[f"i-{n}" for n in range(51)])[0] == "LimitExceeded"


def test_a_termination_hook_holds_instances(account: Account) -> None:
    """asg-010"""
    seen: list[str] = []
    account.create()
    autoscaling_groups.add_hook(account.world, REGION, "box", ECS_HOOK)
    autoscaling_groups.WAITING.append(lambda world, region, group, instance_id: seen.append(instance_id))
    try:
        account.sleep(60)
        ids = account.ids()
        account.resize(0)
        account.sleep(600)
    finally:
        autoscaling_groups.WAITING.pop()
    assert account.states() == ["Terminating:Wait"] and seen == ids
    found = account.ec2.describe_instances(InstanceIds=ids)["Reservations"][0]["Instances"][0]
    assert found["State"]["Name"] == "running"
    account.asg.complete_lifecycle_action(
        AutoScalingGroupName="box",
        LifecycleHookName=ECS_HOOK,
        LifecycleActionResult="CONTINUE",
        InstanceId=ids[0],
    )
    assert account.states() == ["Terminating:Proceed"]
    account.sleep(120)
    assert account.ids() == []


def test_a_hook_lets_go_when_its_time_is_over(account: Account) -> None:
    """asg-010"""
    account.create()
    account.hook(HeartbeatTimeout=300)
    account.sleep(60)
    account.resize(0)
    account.sleep(200)
    assert account.states() == ["Terminating:Wait"]
    account.sleep(200)
    assert account.ids() == []


def test_ecs_lets_its_own_hook_go(account: Account) -> None:
    account.create()
    autoscaling_groups.add_hook(account.world, REGION, "box", ECS_HOOK)
    autoscaling_groups.add_tag(account.world, REGION, "box", "AmazonECSManaged", "")
    account.sleep(60)
    ids = account.ids()
    autoscaling_groups.set_protection(account.world, REGION, "box", ids, True)
    assert account.group()["Instances"][0]["ProtectedFromScaleIn"]
    autoscaling_groups.set_protection(account.world, REGION, "box", ids, False)
    autoscaling_groups.set_desired(account.world, REGION, "box", 0)
    account.sleep(20)
    assert account.states() == ["Terminating:Wait"]
    autoscaling_groups.complete_lifecycle(account.world, REGION, "box", ids[0])
    account.sleep(120)
    assert account.ids() == []
    assert [tag["Key"] for tag in account.group()["Tags"]] == ["AmazonECSManaged"]


def test_a_launch_hook_holds_and_may_abandon(account: Account) -> None:
    launching = "autoscaling:EC2_INSTANCE_LAUNCHING"
    hook = {"LifecycleHookName": "boot", "LifecycleTransition": launching, "HeartbeatTimeout": 60}
    account.create(LifecycleHookSpecificationList=[hook])
    account.sleep(30)
    assert account.states() == ["Pending:Wait"]
    [first] = account.ids()
    account.sleep(60)
    left = {one["InstanceId"]: one["LifecycleState"] for one in account.group()["Instances"]}
    assert left.get(first, "Terminating").startswith("Terminating"), "abandoned by default"
    account.sleep(60)
    assert account.ids() and first not in account.ids()


def test_contention_comes_as_a_fault_only(account: Account) -> None:
    """asg-012: boto3 itself tries three times, since the status is 500."""
    account.create()
    account.emulator.faults.planned.append(Fault("UpdateAutoScalingGroup", "ResourceContention", times=3))
    update = account.asg.update_auto_scaling_group
    assert refused(update, AutoScalingGroupName="box", MaxSize=5)[0] == "ResourceContention"
    update(AutoScalingGroupName="box", MaxSize=5)


def test_deletion_protection_refuses_the_delete(account: Account) -> None:
    """asg-013"""
    account.create(DesiredCapacity=0, DeletionProtection="prevent-force-deletion")
    account.create("other", DesiredCapacity=0, DeletionProtection="prevent-all-deletion")
    assert account.group()["DeletionProtection"] == "prevent-force-deletion"
    assert refused(account.delete, ForceDelete=True)[0] == refused(account.delete, name="other")[0] == "ValidationError"
    account.delete()
    account.asg.update_auto_scaling_group(AutoScalingGroupName="other", DeletionProtection="none")
    account.delete("other", ForceDelete=True)


def test_launch_configurations_are_of_the_past(account: Account) -> None:
    """asg-015"""
    create = account.asg.create_launch_configuration
    assert refused(create, LaunchConfigurationName="old", ImageId=account.image)[0] == "UnsupportedOperation"
    assert account.asg.describe_launch_configurations()["LaunchConfigurations"] == []


def test_an_instance_that_someone_ends_is_replaced(account: Account) -> None:
    account.create()
    account.sleep(60)
    [first] = account.ids()
    account.ec2.terminate_instances(InstanceIds=[first])
    account.sleep(180)
    [second] = account.ids()
    assert second != first and account.states() == ["InService"]
    assert any("EC2 health check" in one["Cause"] for one in account.activities())


def test_ending_a_member_may_lower_the_desired_capacity(account: Account) -> None:
    account.create(MinSize=1, DesiredCapacity=2)
    account.sleep(60)
    end = account.asg.terminate_instance_in_auto_scaling_group
    end(InstanceId=account.ids()[0], ShouldDecrementDesiredCapacity=True)
    account.sleep(120)
    assert len(account.ids()) == account.group()["DesiredCapacity"] == 1
    wrong = refused(end, InstanceId=account.ids()[0], ShouldDecrementDesiredCapacity=True)
    assert wrong[0] == "ValidationError" and "min size constraint" in wrong[1]
    assert refused(end, InstanceId="i-0", ShouldDecrementDesiredCapacity=False)[0] == "ValidationError"


def test_sizes_pull_the_desired_capacity_along(account: Account) -> None:
    account.create(DesiredCapacity=2)
    account.asg.update_auto_scaling_group(AutoScalingGroupName="box", MaxSize=1)
    assert account.group()["DesiredCapacity"] == 1
    error, text = refused(account.resize, desired=3)
    assert (error, text) == (
        "ValidationError",
        "New SetDesiredCapacity value 3 is above max value 1 for the AutoScalingGroup.",
    )


def test_a_mixed_group_takes_types_in_turn_and_spot(account: Account) -> None:
    policy = {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {"LaunchTemplateName": "gpu", "Version": "$Default"},
            "Overrides": [{"InstanceType": "g5.xlarge"}, {"InstanceType": "g4dn.xlarge"}],
        },
        "InstancesDistribution": {"OnDemandBaseCapacity": 1, "OnDemandPercentageAboveBaseCapacity": 0},
    }
    account.world.settings.without_capacity = ["us-east-1a:g5.xlarge", "us-east-1b:g5.xlarge"]
    account.create(LaunchTemplate=None, MixedInstancesPolicy=policy, DesiredCapacity=3)
    account.sleep(90)
    assert {one["InstanceType"] for one in account.group()["Instances"]} == {"g4dn.xlarge"}
    found = account.ec2.describe_instances(InstanceIds=account.ids())["Reservations"]
    kinds = [one.get("InstanceLifecycle") for reservation in found for one in reservation["Instances"]]
    assert kinds.count("spot") == 2
    account.world.settings.vcpu_quotas["L-3819A6DF"] = 0.0
    account.resize(4)
    account.sleep(30)
    assert account.activities()[0]["StatusMessage"].startswith("Could not launch Spot Instances. ")


def test_a_refresh_replaces_one_after_the_other(account: Account) -> None:
    account.create(DesiredCapacity=2)
    account.sleep(60)
    before = set(account.ids())
    account.ec2.create_launch_template_version(
        LaunchTemplateName="gpu", SourceVersion="1", LaunchTemplateData={"InstanceType": "g5.xlarge"}
    )
    start = account.asg.start_instance_refresh
    refresh = start(AutoScalingGroupName="box", Preferences={"SkipMatching": True})["InstanceRefreshId"]
    assert refused(start, AutoScalingGroupName="box")[0] == "InstanceRefreshInProgress"
    account.sleep(60)
    assert before & set(account.ids())
    account.sleep(300)
    [found] = account.asg.describe_instance_refreshes(AutoScalingGroupName="box")["InstanceRefreshes"]
    assert (found["InstanceRefreshId"], found["Status"]) == (refresh, "Successful")
    assert not before & set(account.ids())
    assert {one["LaunchTemplate"]["Version"] for one in account.group()["Instances"]} == {"2"}
    assert refused(account.asg.cancel_instance_refresh, AutoScalingGroupName="box")[0] == (
        "ActiveInstanceRefreshNotFound"
    )


def test_groups_are_found_by_tags(account: Account) -> None:
    account.create(DesiredCapacity=0, Tags=[{"Key": "cluster", "Value": "demo", "PropagateAtLaunch": False}])
    account.create("other", DesiredCapacity=0)
    found = account.asg.describe_auto_scaling_groups(Filters=[{"Name": "tag:cluster", "Values": ["demo"]}])
    assert [one["AutoScalingGroupName"] for one in found["AutoScalingGroups"]] == ["box"]
    tag = {"ResourceId": "other", "ResourceType": "auto-scaling-group", "Key": "a", "Value": "b"}
    account.asg.create_or_update_tags(Tags=[{**tag, "PropagateAtLaunch": True}])
    assert len(account.asg.describe_tags()["Tags"]) == 2
    account.asg.delete_tags(Tags=[tag])
    assert account.group("other")["Tags"] == []


def test_a_suspended_launch_waits(account: Account) -> None:
    account.create()
    account.asg.suspend_processes(AutoScalingGroupName="box", ScalingProcesses=["Launch"])
    account.sleep(60)
    assert account.ids() == []
    account.asg.resume_processes(AutoScalingGroupName="box", ScalingProcesses=["Launch"])
    account.sleep(60)
    assert account.states() == ["InService"]


@pytest.mark.parametrize(
    ("suspended", "protected", "zones"),
    [(False, False, ["a", "b"]), (False, True, ["a", "b", "b"]), (True, False, ["b", "b"])],
)
def test_a_group_balances_its_zones_unless_that_is_suspended(
    account: Account, suspended: bool, protected: bool, zones: list[str]
) -> None:
    """asg-rebalance: an instance more, while all others are protected."""
    account.create(DesiredCapacity=0, NewInstancesProtectedFromScaleIn=protected)
    if suspended:
        account.asg.suspend_processes(AutoScalingGroupName="box", ScalingProcesses=["AZRebalance"])
    launched(account, 1, 2)
    account.sleep(200)
    assert len(account.ids()) == 2
    account.sleep(900)
    found = [
        one["AvailabilityZone"][-1] for one in account.group()["Instances"] if one["LifecycleState"] == "InService"
    ]
    assert (sorted(found), account.group()["DesiredCapacity"]) == (zones, 2)


def test_hooks_policies_and_metrics_are_kept(account: Account) -> None:
    account.create(DesiredCapacity=0)
    account.hook()
    [hook] = account.asg.describe_lifecycle_hooks(AutoScalingGroupName="box")["LifecycleHooks"]
    assert (hook["HeartbeatTimeout"], hook["DefaultResult"], hook["GlobalTimeout"]) == (3600, "ABANDON", 172800)
    account.asg.delete_lifecycle_hook(AutoScalingGroupName="box", LifecycleHookName="drain")
    assert account.asg.describe_lifecycle_hooks(AutoScalingGroupName="box")["LifecycleHooks"] == []
    target = {"PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}, "TargetValue": 50}
    account.asg.put_scaling_policy(
        AutoScalingGroupName="box",
        PolicyName="cpu",
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration=target,
    )
    [policy] = account.asg.describe_policies(AutoScalingGroupName="box")["ScalingPolicies"]
    assert policy["TargetTrackingConfiguration"]["TargetValue"] == 50
    account.asg.enable_metrics_collection(AutoScalingGroupName="box", Granularity="1Minute")
    assert account.group()["EnabledMetrics"]


def test_members_come_and_go_without_being_launched_or_ended(account: Account) -> None:
    account.create(DesiredCapacity=2)
    account.sleep(60)
    first, second = account.ids()
    account.asg.detach_instances(AutoScalingGroupName="box", InstanceIds=[first], ShouldDecrementDesiredCapacity=True)
    account.sleep(30)
    assert account.ids() == [second] and account.group()["DesiredCapacity"] == 1
    state = account.ec2.describe_instances(InstanceIds=[first])["Reservations"][0]["Instances"][0]["State"]["Name"]
    assert state == "running"
    account.asg.attach_instances(AutoScalingGroupName="box", InstanceIds=[first])
    assert sorted(account.ids()) == sorted([first, second]) and account.group()["DesiredCapacity"] == 2
    account.asg.enter_standby(AutoScalingGroupName="box", InstanceIds=[first], ShouldDecrementDesiredCapacity=True)
    assert account.states() == ["InService", "Standby"]
    account.asg.exit_standby(AutoScalingGroupName="box", InstanceIds=[first])
    account.sleep(30)
    assert account.states() == ["InService", "InService"]


def test_types_may_be_told_by_what_they_have(account: Account) -> None:
    wanted = {
        "VCpuCount": {"Min": 4},
        "MemoryMiB": {"Min": 16384},
        "AcceleratorManufacturers": ["nvidia"],
        "AcceleratorNames": ["t4"],
        "AcceleratorCount": {"Min": 1},
    }
    policy = {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {"LaunchTemplateName": "gpu"},
            "Overrides": [{"InstanceRequirements": wanted}],
        }
    }
    account.create(LaunchTemplate=None, MixedInstancesPolicy=policy)
    account.sleep(60)
    assert [one["InstanceType"] for one in account.group()["Instances"]] == ["g4dn.xlarge"]


def test_a_scheduled_change_happens_on_time(account: Account) -> None:
    account.create(DesiredCapacity=2)
    account.sleep(60)
    account.asg.put_scheduled_update_group_action(
        AutoScalingGroupName="box",
        ScheduledActionName="night",
        StartTime=account.world.in_seconds(600),
        DesiredCapacity=0,
    )
    account.sleep(500)
    assert len(account.ids()) == 2
    account.sleep(300)
    assert account.ids() == []


def test_the_role_of_auto_scaling_stays_while_there_are_groups(account: Account) -> None:
    """iam-010"""
    account.create(DesiredCapacity=0)
    role = {"RoleName": "AWSServiceRoleForAutoScaling"}
    task = account.iam.delete_service_linked_role(**role)["DeletionTaskId"]
    account.sleep(20)
    status = account.iam.get_service_linked_role_deletion_status(DeletionTaskId=task)
    assert status["Status"] == "FAILED" and status["Reason"]["RoleUsageList"][0]["Resources"] == ["box"]
    account.iam.get_role(**role)


def test_what_is_not_imitated_says_so(account: Account) -> None:
    account.create(DesiredCapacity=0)
    assert refused(account.asg.put_warm_pool, AutoScalingGroupName="box")[0] == "NotImplemented"


def test_a_new_account_lacks_the_role_of_auto_scaling_at_first(account: Account) -> None:
    """iam-009"""
    account.world.settings.service_linked_roles = False
    assert refused(account.create)[0] == "ServiceLinkedRoleFailure"
    account.sleep(30)
    account.create()


def test_the_rules_of_this_part_are_held() -> None:
    assert all(f"asg-{number:03}" in HELD for number in range(1, 16))


# LaunchInstances.


def launched(account: Account, subnet: int = 0, count: int = 1, token: str = "t", **params: Any) -> Any:
    where = {"SubnetIds": [account.subnets[subnet]], "RetryStrategy": "none", **params}
    return account.asg.launch_instances(AutoScalingGroupName="box", RequestedCapacity=count, ClientToken=token, **where)


def test_launch_instances_answers_with_instances_in_the_zone_asked_for(account: Account) -> None:
    """asg-016"""
    account.create(DesiredCapacity=0, NewInstancesProtectedFromScaleIn=True)
    answer = launched(account, 1, 2)
    [those] = answer["Instances"]
    assert (those["AvailabilityZone"], those["MarketType"], answer["Errors"]) == ("us-east-1b", "OnDemand", [])
    assert sorted(those["InstanceIds"]) == sorted(account.ids())
    assert (account.group()["DesiredCapacity"], account.states()) == (2, ["Pending", "Pending"])
    account.sleep(120)
    assert account.states() == ["InService", "InService"]


def test_a_token_answers_the_same_for_eight_hours_and_starts_nothing_more(account: Account) -> None:
    account.create(DesiredCapacity=0)
    first = launched(account)
    assert launched(account)["Instances"] == first["Instances"]
    assert refused(launched, account=account, count=2)[0] == "IdempotentParameterMismatch"
    account.world.clock.sleep(8 * 3600)  # type: ignore[attr-defined]
    assert launched(account)["Instances"] != first["Instances"]
    assert account.group()["DesiredCapacity"] == 2


def test_what_is_not_there_is_told_in_the_answer_type_by_type(account: Account) -> None:
    types = [{"InstanceType": "g4dn.xlarge"}, {"InstanceType": "g5.xlarge"}]
    spec = {"LaunchTemplateSpecification": {"LaunchTemplateName": "gpu"}, "Overrides": types}
    account.create(DesiredCapacity=0, LaunchTemplate=None, MixedInstancesPolicy={"LaunchTemplate": spec})
    settings = account.world.settings
    settings.without_capacity, settings.vcpu_quotas["L-DB2E81BA"] = ["us-east-1a"], 4
    errors = launched(account)["Errors"]
    assert [(each["InstanceType"], each["ErrorCode"]) for each in errors] == [
        (each["InstanceType"], "InsufficientInstanceCapacity") for each in types
    ]
    assert account.group()["DesiredCapacity"] == 0
    both = launched(account, 1, 2, "other")
    assert (len(both["Instances"][0]["InstanceIds"]), both["Errors"][0]["ErrorCode"]) == (1, "VcpuLimitExceeded")
    assert account.group()["DesiredCapacity"] == 1


def test_launch_instances_of_spot_says_unfulfillable(account: Account) -> None:
    account.template("spot", InstanceMarketOptions={"MarketType": "spot"})
    account.create(DesiredCapacity=0, LaunchTemplate={"LaunchTemplateName": "spot"})
    account.world.settings.without_capacity = ["us-east-1a"]
    [error] = launched(account)["Errors"]
    assert (error["ErrorCode"], error["MarketType"]) == ("UnfulfillableCapacity", "Spot")
    asked = {"InstanceTypes": ["g4dn.xlarge"], "TargetCapacity": 1, "SingleAvailabilityZone": True}
    found = account.ec2.get_spot_placement_scores(**asked, RegionNames=[REGION])["SpotPlacementScores"]
    zones = {one["ZoneId"]: one["ZoneName"] for one in account.ec2.describe_availability_zones()["AvailabilityZones"]}
    scores = {zones[each["AvailabilityZoneId"]]: each["Score"] for each in found}
    assert (scores["us-east-1a"], scores["us-east-1b"]) == (1, 10)


def test_launch_instances_is_refused_where_it_does_not_fit_the_group(account: Account) -> None:
    distribution = {"OnDemandPercentageAboveBaseCapacity": 50}
    mixed = {
        "LaunchTemplate": {"LaunchTemplateSpecification": {"LaunchTemplateName": "gpu"}},
        "InstancesDistribution": distribution,
    }
    account.create(DesiredCapacity=0)
    assert refused(launched, account=account, count=5)[0] == "ValidationError"
    assert refused(launched, account=account, SubnetIds=[])[0] == "ValidationError"
    assert refused(launched, account=account, SubnetIds=["subnet-0123456789abcdef0"])[0] == "ValidationError"
    account.asg.update_auto_scaling_group(AutoScalingGroupName="box", MixedInstancesPolicy=mixed)
    assert refused(launched, account=account)[0] == "UnsupportedOperation"
