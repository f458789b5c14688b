"""Clusters and capacity providers keep AWS's states, refusals and order."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.core.wire import Emulator
from tests.emulator.ecs_account import Account, Client, refused


def sleep(emulator: Emulator, seconds: float) -> None:
    emulator.world.clock.sleep(seconds)  # type: ignore[attr-defined]


def test_a_new_cluster_is_missing_then_provisioning_then_active(emulator: Emulator, client: Client) -> None:
    ecs = client("ecs")
    assert ecs.create_cluster(clusterName="x")["cluster"]["status"] == "PROVISIONING"
    assert ecs.describe_clusters(clusters=["x"])["failures"][0]["reason"] == "MISSING"
    sleep(emulator, 3)
    assert ecs.describe_clusters(clusters=["x"])["clusters"][0]["status"] == "PROVISIONING"
    sleep(emulator, 8)
    assert ecs.describe_clusters(clusters=["x"])["clusters"][0]["status"] == "ACTIVE"


def test_a_cluster_that_is_only_being_made_takes_no_services_and_no_tasks(emulator: Emulator, client: Client) -> None:
    ecs = client("ecs")
    ecs.create_cluster(clusterName="x")
    assert refused(ecs.create_service, cluster="x", serviceName="s")[0] == "ClusterNotFoundException"
    assert refused(ecs.run_task, cluster="x", taskDefinition="t")[0] == "ClusterNotFoundException"
    put = {"cluster": "x", "capacityProviders": [], "defaultCapacityProviderStrategy": []}
    code, message = refused(ecs.put_cluster_capacity_providers, **put)
    assert code == "ClientException"
    assert "Cluster was not ACTIVE" in message


def test_creating_a_cluster_again_changes_nothing(account: Account) -> None:
    account.ecs.create_cluster(clusterName="main", tags=[{"key": "a", "value": "b"}])
    [cluster] = account.ecs.describe_clusters(clusters=["main"], include=["TAGS", "SETTINGS"])["clusters"]
    assert cluster["tags"] == []
    assert cluster["settings"] == [{"name": "containerInsights", "value": "disabled"}]
    assert account.ecs.list_clusters()["clusterArns"] == [cluster["clusterArn"]]


def test_the_first_cluster_of_a_new_account_waits_for_the_service_linked_role(
    emulator: Emulator, client: Client
) -> None:
    emulator.world.settings.service_linked_roles = False
    code, message = refused(client("ecs").create_cluster, clusterName="x")
    assert code == "InvalidParameterException"
    assert message == (
        "Unable to assume the service linked role. Please verify that the ECS service linked role exists."
    )
    sleep(emulator, 40)
    assert client("ecs").create_cluster(clusterName="x")["cluster"]["clusterName"] == "x"


def test_settings_tags_and_statistics_come_when_asked_for(account: Account) -> None:
    account.ecs.update_cluster_settings(cluster="main", settings=[{"name": "containerInsights", "value": "enabled"}])
    [bare] = account.ecs.describe_clusters(clusters=["main"])["clusters"]
    assert bare["settings"] == []
    include = ["SETTINGS", "TAGS", "STATISTICS"]
    [full] = account.ecs.describe_clusters(clusters=["main"], include=include)["clusters"]
    assert full["settings"] == [{"name": "containerInsights", "value": "enabled"}]
    assert {"name": "runningEC2TasksCount", "value": "0"} in full["statistics"]


def test_a_deleted_cluster_is_inactive_and_can_be_made_again(account: Account) -> None:
    assert account.ecs.delete_cluster(cluster="main")["cluster"]["status"] == "INACTIVE"
    [cluster] = account.ecs.describe_clusters(clusters=["main"])["clusters"]
    assert cluster["status"] == "INACTIVE"
    assert account.ecs.list_clusters()["clusterArns"] == []
    code, message = refused(account.ecs.list_services, cluster="main")
    assert (code, message) == ("ClusterNotFoundException", "The referenced cluster was inactive.")
    account.ecs.create_cluster(clusterName="main")
    account.sleep(15)
    assert account.ecs.describe_clusters(clusters=["main"])["clusters"][0]["status"] == "ACTIVE"


def test_a_missing_cluster_is_an_exception_for_what_is_in_it_only(client: Client) -> None:
    ecs = client("ecs")
    assert ecs.describe_clusters(clusters=["no"])["failures"][0]["reason"] == "MISSING"
    for call, names in ((ecs.describe_tasks, "tasks"), (ecs.describe_services, "services")):
        assert refused(call, cluster="no", **{names: ["x"]})[0] == "ClusterNotFoundException"


def test_a_cluster_with_something_in_it_is_not_deleted(account: Account) -> None:
    account.instance()
    account.register()
    task = account.run()
    delete = account.ecs.delete_cluster
    assert refused(delete, cluster="main")[0] == "ClusterContainsTasksException"
    account.ecs.stop_task(cluster="main", task=task)
    account.wait(task, "STOPPED")
    assert refused(delete, cluster="main")[0] == "ClusterContainsContainerInstancesException"
    instance = account.host()["containerInstanceArn"]
    account.ecs.deregister_container_instance(cluster="main", containerInstance=instance, force=True)
    account.register_fargate()
    task = account.run_fargate()
    assert refused(delete, cluster="main")[0] == "ClusterContainsTasksException"
    account.ecs.stop_task(cluster="main", task=task)
    account.wait(task, "STOPPED")
    account.ecs.create_service(cluster="main", serviceName="s", taskDefinition="work", desiredCount=0)
    assert refused(delete, cluster="main")[0] == "ClusterContainsServicesException"
    account.ecs.delete_service(cluster="main", service="s")
    assert refused(delete, cluster="main")[0] == "ClusterContainsServicesException"
    account.sleep(60)
    delete(cluster="main")


def put(account: Account, *names: str, strategy: list[dict[str, Any]] | None = None) -> Any:
    return account.ecs.put_cluster_capacity_providers(
        cluster="main", capacityProviders=list(names), defaultCapacityProviderStrategy=strategy or []
    )


def test_providers_of_a_cluster_change_in_the_background(account: Account) -> None:
    assert put(account, "FARGATE")["cluster"]["attachmentsStatus"] == "UPDATE_IN_PROGRESS"
    assert refused(put, account, "FARGATE_SPOT")[0] == "UpdateInProgressException"
    assert refused(account.ecs.delete_cluster, cluster="main")[0] == "UpdateInProgressException"
    account.sleep(25)
    [cluster] = account.ecs.describe_clusters(clusters=["main"])["clusters"]
    assert cluster["attachmentsStatus"] == "UPDATE_COMPLETE"
    put(account, "FARGATE_SPOT")
    [cluster] = account.ecs.describe_clusters(clusters=["main"])["clusters"]
    assert cluster["capacityProviders"] == ["FARGATE_SPOT"]


def test_only_active_providers_come_to_a_cluster(account: Account) -> None:
    code, message = refused(put, account, "no")
    assert code == "InvalidParameterException"
    assert message == (
        "The specified capacity provider 'no' is not in an ACTIVE state. Specify a valid capacity provider and try "
        "again."
    )


def test_a_provider_in_use_stays_on_its_cluster(account: Account) -> None:
    put(account, "FARGATE", strategy=[{"capacityProvider": "FARGATE", "weight": 1}])
    account.sleep(30)
    account.register_fargate()
    task = account.run("fargate", networkConfiguration=account.network())
    account.sleep(3)
    assert account.task(task)["capacityProviderName"] == "FARGATE"
    code, message = refused(put, account)
    assert code == "ResourceInUseException"
    assert message == "The specified capacity provider is in use and cannot be removed."
    account.ecs.stop_task(cluster="main", task=task)
    account.wait(task, "STOPPED")
    put(account)


def create(account: Account, name: str, group: str, **settings: Any) -> Any:
    provider = {"autoScalingGroupArn": group, **settings}
    return account.ecs.create_capacity_provider(name=name, autoScalingGroupProvider=provider)


@pytest.mark.parametrize("name", ["ecs-x", "AWS-x", "Fargate1", "with space", "x" * 256])
def test_names_of_providers_are_checked(account: Account, name: str) -> None:
    group = account.auto_scaling_group()
    assert refused(create, account, name, group)[0] == "InvalidParameterException"


def test_a_provider_has_a_group_and_a_name_of_its_own(account: Account) -> None:
    group = account.auto_scaling_group()
    made = create(account, "one", group)["capacityProvider"]
    assert made["status"] == "ACTIVE"
    assert made["autoScalingGroupProvider"]["managedScaling"]["status"] == "DISABLED"
    assert made["autoScalingGroupProvider"]["managedDraining"] == "ENABLED"
    code, message = refused(create, account, "two", group)
    assert code == "ClientException"
    assert message == (
        "The specified Auto Scaling group ARN is already being used by another capacity provider. Specify a unique "
        "Auto Scaling group ARN and try again."
    )
    assert refused(create, account, "one", group)[0] == "ClientException"
    assert refused(create, account, "three", group.replace("workers", "no"))[0] == "ClientException"


def test_a_provider_marks_its_group_and_hooks_into_its_end(account: Account) -> None:
    create(account, "one", account.auto_scaling_group())
    [group] = account.asg.describe_auto_scaling_groups()["AutoScalingGroups"]
    assert "AmazonECSManaged" in [tag["Key"] for tag in group["Tags"]]
    [hook] = account.asg.describe_lifecycle_hooks(AutoScalingGroupName="workers")["LifecycleHooks"]
    assert hook["LifecycleHookName"] == "ecs-managed-draining-termination-hook"
    assert (hook["HeartbeatTimeout"], hook["DefaultResult"]) == (3600, "CONTINUE")


def test_termination_protection_needs_scaling_and_a_protected_group(account: Account) -> None:
    group = account.auto_scaling_group()
    code, _ = refused(create, account, "one", group, managedTerminationProtection="ENABLED")
    assert code == "ClientException"
    scaling = {"managedScaling": {"status": "ENABLED"}, "managedTerminationProtection": "ENABLED"}
    code, message = refused(create, account, "one", group, **scaling)
    assert code == "ClientException"
    assert message == (
        "The managed termination protection setting for the capacity provider is invalid. To enable managed "
        "termination protection for a capacity provider, the Auto Scaling group must have instance protection from "
        "scale in enabled."
    )
    account.asg.update_auto_scaling_group(AutoScalingGroupName="workers", NewInstancesProtectedFromScaleIn=True)
    account.sleep(10)
    create(account, "one", group, **scaling)


@pytest.mark.parametrize(
    "scaling",
    [
        {"targetCapacity": 101},
        {"maximumScalingStepSize": 10001},
        {"minimumScalingStepSize": 5, "maximumScalingStepSize": 2},
    ],
)
def test_figures_of_managed_scaling_have_bounds(account: Account, scaling: dict[str, Any]) -> None:
    group = account.auto_scaling_group()
    settings = {"status": "ENABLED", **scaling}
    assert refused(create, account, "one", group, managedScaling=settings)[0] == "InvalidParameterException"


def test_a_provider_goes_after_its_cluster_let_go_of_it(account: Account) -> None:
    account.provider()
    delete = account.ecs.delete_capacity_provider
    code, message = refused(delete, capacityProvider="workers")
    assert code == "ClientException"
    assert message == (
        "The capacity provider cannot be deleted because it is associated with cluster: main. Remove the capacity "
        "provider from the cluster and try again."
    )
    put(account)
    account.sleep(30)
    assert delete(capacityProvider="workers")["capacityProvider"]["updateStatus"] == "DELETE_IN_PROGRESS"
    account.sleep(30)
    [provider] = account.ecs.describe_capacity_providers(capacityProviders=["workers"])["capacityProviders"]
    assert (provider["status"], provider["updateStatus"]) == ("INACTIVE", "DELETE_COMPLETE")
    assert refused(delete, capacityProvider="workers")[0] == "ClientException"
    assert "does not exist" in refused(delete, capacityProvider="no")[1]


def test_a_provider_whose_group_is_gone_fails_to_go(account: Account) -> None:
    account.provider(attach=False)
    account.asg.delete_auto_scaling_group(AutoScalingGroupName="workers", ForceDelete=True)
    account.sleep(60)
    account.ecs.describe_clusters()
    account.ecs.delete_capacity_provider(capacityProvider="workers")
    account.sleep(30)
    [provider] = account.ecs.describe_capacity_providers(capacityProviders=["workers"])["capacityProviders"]
    assert (provider["status"], provider["updateStatus"]) == ("ACTIVE", "DELETE_FAILED")
    assert provider["updateStatusReason"]


def test_fargate_is_always_there(account: Account) -> None:
    names = [one["name"] for one in account.ecs.describe_capacity_providers()["capacityProviders"]]
    assert names == ["FARGATE", "FARGATE_SPOT"]
    assert refused(account.ecs.delete_capacity_provider, capacityProvider="FARGATE")[0] == "InvalidParameterException"
    assert account.ecs.describe_capacity_providers(capacityProviders=["x"])["failures"][0]["reason"] == "MISSING"


def test_a_provider_is_not_updated_while_its_cluster_is(account: Account) -> None:
    account.provider(attach=False)
    put(account, "workers")
    change = {"name": "workers", "autoScalingGroupProvider": {"managedScaling": {"targetCapacity": 90}}}
    assert refused(account.ecs.update_capacity_provider, **change)[0] == "UpdateInProgressException"
    account.sleep(30)
    provider = account.ecs.update_capacity_provider(**change)["capacityProvider"]
    assert provider["autoScalingGroupProvider"]["managedScaling"]["targetCapacity"] == 90
    assert provider["updateStatus"] == "UPDATE_IN_PROGRESS"


def test_a_managed_instances_provider_takes_its_time_and_belongs_to_its_cluster(account: Account) -> None:
    role = account.role("infrastructure", "ecs.amazonaws.com")
    network = {"subnets": [account.a], "securityGroups": [account.group]}
    template = {
        "ec2InstanceProfileArn": "arn:aws:iam::123456789012:instance-profile/instances",
        "networkConfiguration": network,
    }
    managed = {"infrastructureRoleArn": role, "instanceLaunchTemplate": template}
    made = account.ecs.create_capacity_provider(name="mi", cluster="main", managedInstancesProvider=managed)
    assert made["capacityProvider"]["status"] == "PROVISIONING"
    code, _ = refused(put, account, "mi")
    assert code == "InvalidParameterException"
    account.sleep(35)
    assert refused(account.ecs.delete_cluster, cluster="main")[0] == "ClusterContainsCapacityProviderException"
    account.ecs.delete_capacity_provider(capacityProvider="mi")
    account.sleep(35)
    account.ecs.delete_cluster(cluster="main")


def test_tags_are_put_on_read_and_taken_off(account: Account) -> None:
    arn = account.register()
    [cluster] = account.ecs.list_clusters()["clusterArns"]
    for resource in (arn, cluster):
        account.ecs.tag_resource(resourceArn=resource, tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
        account.ecs.untag_resource(resourceArn=resource, tagKeys=["a"])
        assert account.ecs.list_tags_for_resource(resourceArn=resource)["tags"] == [{"key": "b", "value": "2"}]
    missing = cluster.replace("main", "no")
    assert refused(account.ecs.list_tags_for_resource, resourceArn=missing)[0] == "ClusterNotFoundException"
    reserved = [{"key": "aws:x", "value": ""}]
    assert refused(account.ecs.tag_resource, resourceArn=arn, tags=reserved)[0] == "InvalidParameterException"


def test_account_settings_have_defaults_and_can_be_put(account: Account) -> None:
    ecs = account.ecs
    ecs.put_account_setting(name="containerInsights", value="enabled")
    assert [one["value"] for one in ecs.list_account_settings()["settings"]] == ["enabled"]
    settings = ecs.list_account_settings(effectiveSettings=True, name="taskLongArnFormat")["settings"]
    assert settings[0]["value"] == "enabled"


def test_lists_come_in_pages(account: Account) -> None:
    for number in range(12):
        account.register(f"f{number:02}")
    pages = [
        page["families"]
        for page in account.ecs.get_paginator("list_task_definition_families").paginate(
            PaginationConfig={"PageSize": 5}
        )
    ]
    assert [len(page) for page in pages] == [5, 5, 2]
    wrong = {"nextToken": "nonsense!"}
    assert refused(account.ecs.list_task_definitions, **wrong)[0] == "InvalidParameterException"
