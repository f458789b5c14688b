"""Instances join their cluster, managed scaling buys and sells them, draining empties them."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.core.wire import Emulator, attach
from emulator.core.world import Clock
from tests.emulator.ecs_account import INSTANCE_POLICY, Account, Client, refused


def instances(account: Account, **filters: Any) -> list[str]:
    return list(account.ecs.list_container_instances(cluster="main", **filters)["containerInstanceArns"])


def members(account: Account) -> list[dict[str, Any]]:
    [group] = account.asg.describe_auto_scaling_groups(AutoScalingGroupNames=["workers"])["AutoScalingGroups"]
    return list(group["Instances"])


# ---------------------------------------------------------------------------------------------- registration


def test_an_instance_registers_with_what_its_type_has(account: Account) -> None:
    instance = account.instance("g4dn.xlarge", wait=60)
    assert instances(account) == []
    account.sleep(90)
    host = account.host()
    assert (host["ec2InstanceId"], host["status"], host["agentConnected"]) == (instance, "ACTIVE", True)
    assert account.free("CPU") == 4096
    assert account.free("MEMORY") == 15731
    assert len(account.free("GPU")) == 1
    assert account.free("PORTS_UDP") == []
    attributes = {one["name"]: one.get("value") for one in host["attributes"]}
    assert attributes["ecs.instance-type"] == "g4dn.xlarge"
    assert attributes["ecs.availability-zone"] == "us-east-1a"
    assert "ecs.capability.gpu-sharing-mps" in attributes


@pytest.mark.parametrize(("kind", "whole"), [("t3.micro", 1024), ("t3.medium", 4096), ("g4dn.2xlarge", 32768)])
def test_a_host_registers_less_memory_than_its_type_has(account: Account, kind: str, whole: int) -> None:
    account.instance(kind, UserData=account.user_data("main") + "echo ECS_RESERVED_MEMORY=100 >> /etc/ecs/ecs.config\n")
    free = account.free("MEMORY") + 100
    assert whole * 0.92 < free <= whole * 0.98


def test_a_part_of_a_gpu_is_not_registered(account: Account) -> None:
    account.instance("g6f.xlarge", ImageId=account.image(True))
    assert "GPU" not in [one["name"] for one in account.host()["registeredResources"]]


def test_a_plain_instance_is_quicker_and_has_no_gpu(account: Account) -> None:
    account.instance(wait=50)
    host = account.host()
    assert "GPU" not in [one["name"] for one in host["registeredResources"]]
    assert "gpuDevices" not in host


def test_gpus_need_the_gpu_image_and_a_generation_that_it_knows(account: Account) -> None:
    account.instance("g4dn.xlarge", ImageId=account.image())
    assert "GPU" not in [one["name"] for one in account.host()["registeredResources"]]


@pytest.mark.parametrize(
    "fault", ["user data", "profile", "policy", "route", "image", "setting", "public address", "no user data"]
)
def test_an_instance_that_is_not_right_never_registers(account: Account, fault: str) -> None:
    changes: dict[str, Any] = {}
    if fault == "user data":
        changes["UserData"] = account.user_data("other")
    elif fault == "no user data":
        changes["UserData"] = ""
    elif fault == "policy":
        account.iam.detach_role_policy(RoleName="instances", PolicyArn=INSTANCE_POLICY)
    elif fault == "route":
        changes["SubnetId"] = account.private
    elif fault == "image":
        changes["ImageId"] = account.ssm.get_parameter(
            Name="/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
        )["Parameter"]["Value"]
    elif fault == "setting":
        account.world.settings.agents_register = False
    elif fault == "public address":
        interface = {"DeviceIndex": 0, "SubnetId": account.a, "AssociatePublicIpAddress": False}
        changes = {"NetworkInterfaces": [interface]}
    arguments = {"wait": 600, **changes}
    if fault == "profile":
        _launch_without(account, "IamInstanceProfile")
    elif fault == "public address":
        _launch_without(account, "SubnetId", **changes)
    else:
        account.instance(**arguments)
    account.sleep(600)
    assert instances(account) == []


def _launch_without(account: Account, parameter: str, **changes: Any) -> None:
    request: dict[str, Any] = {
        "ImageId": account.image(),
        "InstanceType": "t3.medium",
        "MinCount": 1,
        "MaxCount": 1,
        "SubnetId": account.a,
        "IamInstanceProfile": {"Name": "instances"},
        "UserData": account.user_data("main"),
        **changes,
    }
    del request[parameter]
    account.ec2.run_instances(**request)


def test_ecs_endpoints_bring_an_instance_without_a_way_out_into_its_cluster(account: Account) -> None:
    instance = account.instance(SubnetId=account.private, wait=300)
    for service in ("ecs-agent", "ecs-telemetry", "ecs"):
        assert instances(account) == []
        name = f"com.amazonaws.us-east-1.{service}"
        account.ec2.create_vpc_endpoint(
            VpcEndpointType="Interface", VpcId=account.vpc, ServiceName=name, SubnetIds=[account.private]
        )
        account.sleep(60)
    assert account.host()["ec2InstanceId"] == instance


def test_the_agent_goes_on_trying(account: Account) -> None:
    account.iam.detach_role_policy(RoleName="instances", PolicyArn=INSTANCE_POLICY)
    account.instance(wait=300)
    assert instances(account) == []
    account.iam.attach_role_policy(RoleName="instances", PolicyArn=INSTANCE_POLICY)
    account.sleep(30)
    assert len(instances(account)) == 1


def test_without_a_name_the_cluster_called_default_is_joined(account: Account) -> None:
    account.ecs.create_cluster()
    account.sleep(20)
    account.instance(UserData="#!/bin/bash\necho hello\n")
    assert len(account.ecs.list_container_instances()["containerInstanceArns"]) == 1


def test_a_terminated_instance_leaves_minutes_later_and_its_tasks_stop(account: Account) -> None:
    instance = account.instance()
    account.register()
    task = account.run()
    account.wait(task, "RUNNING")
    account.ec2.terminate_instances(InstanceIds=[instance])
    assert account.host()["agentConnected"] is False
    account.sleep(90)
    found = account.task(task)
    assert found["lastStatus"] == "STOPPED"
    assert found["stoppedReason"] == f"Host EC2 (instance {instance}) terminated."
    assert refused(account.ecs.delete_cluster, cluster="main")[0] == "ClusterContainsContainerInstancesException"
    account.sleep(100)
    assert instances(account) == []
    account.ecs.delete_cluster(cluster="main")


def test_a_stopped_instance_stays_registered_without_its_agent(account: Account) -> None:
    instance = account.instance()
    account.register()
    account.ec2.stop_instances(InstanceIds=[instance])
    account.sleep(300)
    assert account.host()["agentConnected"] is False
    assert account.ecs.run_task(cluster="main", taskDefinition="work")["failures"][0]["reason"] == "AGENT"
    account.ec2.start_instances(InstanceIds=[instance])
    account.sleep(60)
    assert account.host()["agentConnected"] is True


def test_an_instance_that_was_stopped_first_is_never_deregistered_by_itself(account: Account) -> None:
    instance = account.instance()
    account.ec2.stop_instances(InstanceIds=[instance])
    account.sleep(120)
    account.ec2.terminate_instances(InstanceIds=[instance])
    account.sleep(900)
    assert account.host()["status"] == "ACTIVE"
    assert refused(account.ecs.delete_cluster, cluster="main")[0] == "ClusterContainsContainerInstancesException"
    arn = account.host()["containerInstanceArn"]
    account.ecs.deregister_container_instance(cluster="main", containerInstance=arn, force=True)
    account.ecs.delete_cluster(cluster="main")


def test_an_instance_with_tasks_is_deregistered_by_force_only(account: Account) -> None:
    account.instance()
    account.register()
    account.run()
    instance = account.host()["containerInstanceArn"]
    deregister = account.ecs.deregister_container_instance
    assert refused(deregister, cluster="main", containerInstance=instance) == (
        "InvalidParameterException",
        "Found running tasks on the instance.",
    )
    assert (
        deregister(cluster="main", containerInstance=instance, force=True)["containerInstance"]["status"] == "INACTIVE"
    )
    assert instances(account) == []


def test_instances_are_found_by_an_expression(account: Account) -> None:
    account.instance("t3.medium")
    account.instance("t3.large")
    assert len(instances(account, filter="attribute:ecs.instance-type == t3.large and agentConnected == true")) == 1
    assert len(instances(account, filter="attribute:ecs.instance-type in [t3.large, t3.medium]")) == 2
    assert instances(account, status="DRAINING") == []
    assert refused(instances, account, filter="attribute:ecs ==")[0] == "InvalidParameterException"
    names = account.ecs.list_attributes(
        cluster="main", targetType="container-instance", attributeName="ecs.instance-type"
    )["attributes"]
    assert sorted(one["value"] for one in names) == ["t3.large", "t3.medium"]


def test_draining_leaves_tasks_of_run_task_alone(account: Account) -> None:
    account.instance()
    account.register()
    task = account.run()
    account.wait(task, "RUNNING")
    instance = account.host()["containerInstanceArn"]
    state = account.ecs.update_container_instances_state
    state(cluster="main", containerInstances=[instance], status="DRAINING")
    account.sleep(120)
    assert account.host()["status"] == "DRAINING"
    assert account.status(task) == "RUNNING"
    assert refused(account.ecs.run_task, cluster="main", taskDefinition="work")[0] == "InvalidParameterException"
    wrong = {"cluster": "main", "containerInstances": [instance], "status": "REGISTERING"}
    assert refused(state, **wrong)[0] == "InvalidParameterException"


# ---------------------------------------------------------------------------------------------- managed scaling


def test_from_no_instance_managed_scaling_starts_two_where_one_would_do(account: Account) -> None:
    """ecs-082"""
    account.provider(most=3)
    account.register_gpu(command=["sleep", "infinity"])
    task = account.run("gpu")
    account.wait(task, "RUNNING")
    assert (account.desired(), len(members(account))) == (2, 2)
    account.sleep(1200)
    assert (account.desired(), account.status(task)) == (1, "RUNNING")


def test_a_task_waits_for_the_instance_that_managed_scaling_buys(account: Account) -> None:
    account.provider(most=1)
    account.register_gpu(command=["sleep", "infinity"])
    task = account.run("gpu")
    account.sleep(3)
    assert account.status(task) == "PROVISIONING"
    found = account.wait(task, "RUNNING")
    assert found["capacityProviderName"] == "workers"
    assert account.host()["capacityProviderName"] == "workers"
    assert account.desired() == 1


def test_as_many_instances_as_the_tasks_need_within_the_groups_size(account: Account) -> None:
    account.provider(most=2)
    account.register_gpu(command=["sleep", "infinity"])
    account.ecs.run_task(cluster="main", taskDefinition="gpu", count=3)
    account.sleep(400)
    assert account.desired() == 2
    statuses = [account.status(task) for task in account.ecs.list_tasks(cluster="main")["taskArns"]]
    assert sorted(statuses) == ["PROVISIONING", "RUNNING", "RUNNING"]


def test_without_managed_scaling_there_is_no_waiting(account: Account) -> None:
    account.provider(scaling="DISABLED")
    account.register_gpu()
    assert refused(account.run, "gpu")[0] == "InvalidParameterException"


def test_a_task_without_capacity_gives_up_after_twenty_minutes(account: Account) -> None:
    account.provider(most=0)
    account.register_gpu()
    task = account.run("gpu")
    account.sleep(1100)
    assert account.status(task) == "PROVISIONING"
    account.sleep(120)
    found = account.task(task)
    assert (found["lastStatus"], found["stopCode"], found["containers"]) == ("STOPPED", "TaskFailedToStart", [])


def test_a_waiting_task_can_be_stopped(account: Account) -> None:
    account.provider(most=0)
    account.register_gpu()
    task = account.run("gpu")
    account.ecs.stop_task(cluster="main", task=task)
    account.sleep(5)
    assert account.task(task)["stopCode"] == "UserInitiated"


def test_a_task_too_big_for_the_type_buys_in_vain(account: Account) -> None:
    account.provider()
    account.register("big", container={"memory": 16384})
    task = account.run("big")
    account.sleep(600)
    assert account.desired() >= 1
    assert len(instances(account)) >= 1
    assert account.status(task) == "PROVISIONING"


def test_for_a_task_that_fits_the_larger_of_several_types_only_no_instance_comes(account: Account) -> None:
    """ecs-types"""
    account.provider(types=["g4dn.2xlarge", "g4dn.xlarge"])
    account.register("big", container={"memory": 24000})
    task = account.run("big")
    account.sleep(300)
    assert (account.desired(), account.status(task)) == (0, "PROVISIONING")
    account.register("small", container={"memory": 12000})
    found = account.wait(account.run("small"), "RUNNING")
    host = account.ecs.describe_container_instances(cluster="main", containerInstances=[found["containerInstanceArn"]])[
        "containerInstances"
    ][0]
    types = [one["value"] for one in host["attributes"] if one["name"] == "ecs.instance-type"]
    assert types == ["g4dn.2xlarge"], "the first that there is"


def test_only_so_many_tasks_may_wait(account: Account) -> None:
    account.world.settings.provisioning_tasks = 5
    account.provider(most=0)
    account.register_gpu()
    account.ecs.run_task(cluster="main", taskDefinition="gpu", count=5)
    assert refused(account.run, "gpu")[0] == "ClientException"


def test_an_instance_without_tasks_goes_after_fifteen_minutes(account: Account) -> None:
    account.provider()
    account.register_gpu(command=["sleep", "60"])
    account.wait(account.run("gpu"), "STOPPED")
    account.sleep(800)
    assert account.desired() == 1
    account.sleep(250)
    assert account.desired() == 0
    account.sleep(300)
    assert instances(account) == []
    assert members(account) == []


def test_termination_protection_follows_the_tasks(account: Account) -> None:
    group = account.auto_scaling_group(NewInstancesProtectedFromScaleIn=True)
    account.ecs.create_capacity_provider(
        name="workers",
        autoScalingGroupProvider={
            "autoScalingGroupArn": group,
            "managedScaling": {"status": "ENABLED"},
            "managedTerminationProtection": "ENABLED",
        },
    )
    account.ecs.put_cluster_capacity_providers(
        cluster="main",
        capacityProviders=["workers"],
        defaultCapacityProviderStrategy=[{"capacityProvider": "workers", "weight": 1}],
    )
    account.sleep(30)
    account.register_gpu(command=["sleep", "infinity"])
    task = account.run("gpu")
    account.wait(task, "RUNNING")
    account.asg.set_instance_protection(
        AutoScalingGroupName="workers", InstanceIds=[members(account)[0]["InstanceId"]], ProtectedFromScaleIn=False
    )
    account.sleep(90)
    assert members(account)[0]["ProtectedFromScaleIn"] is True
    account.ecs.stop_task(cluster="main", task=task)
    account.sleep(1300)
    assert members(account) == []


def test_protection_stays_when_the_provider_goes(account: Account) -> None:
    account.provider(size=1, NewInstancesProtectedFromScaleIn=True)
    account.sleep(200)
    account.ecs.put_cluster_capacity_providers(cluster="main", capacityProviders=[], defaultCapacityProviderStrategy=[])
    account.sleep(30)
    account.ecs.delete_capacity_provider(capacityProvider="workers")
    account.sleep(30)
    account.asg.update_auto_scaling_group(AutoScalingGroupName="workers", MinSize=0, DesiredCapacity=0)
    account.sleep(600)
    assert [member["LifecycleState"] for member in members(account)] == ["InService"]


# ---------------------------------------------------------------------------------------------- managed draining


def test_managed_draining_waits_for_the_tasks_and_then_lets_the_instance_go(account: Account) -> None:
    account.provider(most=1)
    account.register_gpu(command=["sleep", "infinity"])
    task = account.run("gpu")
    account.wait(task, "RUNNING")
    account.asg.set_desired_capacity(AutoScalingGroupName="workers", DesiredCapacity=0)
    account.sleep(120)
    assert members(account)[0]["LifecycleState"] == "Terminating:Wait"
    assert account.host()["status"] == "DRAINING"
    assert account.status(task) == "RUNNING"
    account.ecs.stop_task(cluster="main", task=task)
    account.sleep(300)
    assert members(account) == []


def test_nobody_ends_the_wait_when_the_provider_is_gone(account: Account) -> None:
    account.provider(size=1)
    account.sleep(300)
    account.ecs.put_cluster_capacity_providers(cluster="main", capacityProviders=[], defaultCapacityProviderStrategy=[])
    account.sleep(30)
    account.ecs.delete_capacity_provider(capacityProvider="workers")
    account.sleep(60)
    account.asg.update_auto_scaling_group(AutoScalingGroupName="workers", MinSize=0, DesiredCapacity=0)
    account.sleep(600)
    [member] = members(account)
    assert member["LifecycleState"] == "Terminating:Wait"
    account.asg.complete_lifecycle_action(
        AutoScalingGroupName="workers",
        LifecycleHookName="ecs-managed-draining-termination-hook",
        LifecycleActionResult="CONTINUE",
        InstanceId=member["InstanceId"],
    )
    account.sleep(200)
    assert members(account) == []


# ---------------------------------------------------------------------------------------------- without time


def test_without_time_a_few_requests_bring_a_task_from_nothing_to_running(client: Client) -> None:
    import boto3

    emulator = Emulator(Clock(0))
    session = boto3.Session(region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y")
    attach(session, emulator)
    account = Account.__new__(Account)
    account.sleep = lambda seconds: emulator.world.advance()  # type: ignore[method-assign]
    account.__init__(emulator, session.client)  # type: ignore[misc]
    account.provider()
    account.register_gpu()
    task = account.run("gpu")
    assert any(account.status(task) == "RUNNING" for _ in range(6))
    account.register_gpu(command=["sh", "-c", "exit 4"])
    account.ecs.stop_task(cluster="main", task=task)
    task = account.run("gpu")
    assert any(account.status(task) == "STOPPED" for _ in range(6))
    assert account.task(task)["containers"][0]["exitCode"] == 4
