"""Services keep their tasks running, roll them over, and say what they can not do in their events."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.core.wire import Emulator
from tests.emulator.ecs_account import Account, Client, refused

BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}


@pytest.fixture
def account(emulator: Emulator, client: Client) -> Account:
    made = Account(emulator, client)
    made.elb = client("elbv2")  # type: ignore[attr-defined]
    return made


@pytest.fixture
def host(account: Account) -> Account:
    account.instance()
    account.register(container={"portMappings": [{"containerPort": 80}]})
    return account


def create(account: Account, **changes: Any) -> Any:
    request = {"cluster": "main", "serviceName": "web", "taskDefinition": "work", "desiredCount": 1, **changes}
    return account.ecs.create_service(**{key: value for key, value in request.items() if value is not None})["service"]


def update(account: Account, **changes: Any) -> Any:
    return account.ecs.update_service(cluster="main", service="web", **changes)["service"]


def steady(account: Account, most: float = 900) -> dict[str, Any]:
    """Poll until the service has one deployment and all its tasks."""
    for _ in range(int(most / 5)):
        account.sleep(5)
        service = account.service()
        complete = [one["rolloutState"] for one in service["deployments"]] == ["COMPLETED"]
        if complete and service["runningCount"] == service["desiredCount"]:
            return service
    raise AssertionError(f"never steady: {service['deployments']} {account.events()}")


def tasks(account: Account, **filters: Any) -> list[str]:
    return list(account.ecs.list_tasks(cluster="main", serviceName="web", **filters)["taskArns"])


def balancer(account: Account, kind: str = "instance", listener: bool = True) -> dict[str, Any]:
    """A target group, behind a load balancer's listener or not, as a service names it."""
    elb = account.elb  # type: ignore[attr-defined]
    group = elb.create_target_group(
        Name=f"web-{kind}",
        Protocol="HTTP",
        Port=80,
        VpcId=account.vpc,
        TargetType=kind,
        HealthCheckIntervalSeconds=10,
        HealthyThresholdCount=2,
        UnhealthyThresholdCount=2,
    )["TargetGroups"][0]["TargetGroupArn"]
    elb.modify_target_group_attributes(
        TargetGroupArn=group, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "60"}]
    )
    if listener:
        made = elb.create_load_balancer(Name="web", Subnets=[account.a, account.b], SecurityGroups=[account.group])
        forward = [{"Type": "forward", "TargetGroupArn": group}]
        elb.create_listener(
            LoadBalancerArn=made["LoadBalancers"][0]["LoadBalancerArn"],
            Protocol="HTTP",
            Port=80,
            DefaultActions=forward,
        )
    return {"targetGroupArn": group, "containerName": "main", "containerPort": 80}


def open_ports(account: Account, group: str = "") -> None:
    """Let the load balancer reach the tasks: in the default group of the VPC, that instances have, or in another."""
    filters = [{"Name": "vpc-id", "Values": [account.vpc]}, {"Name": "group-name", "Values": ["default"]}]
    found = account.ec2.describe_security_groups(Filters=filters)["SecurityGroups"][0]["GroupId"]
    pair = [{"GroupId": account.group}]
    permission = {"IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535, "UserIdGroupPairs": pair}
    account.ec2.authorize_security_group_ingress(GroupId=group or found, IpPermissions=[permission])


# ---------------------------------------------------------------------------------------------- what is refused


def test_a_name_is_taken_until_the_service_is_inactive(host: Account) -> None:
    create(host, clientToken="t")
    assert create(host, clientToken="t")["status"] == "ACTIVE"
    assert refused(create, host) == ("InvalidParameterException", "Creation of service was not idempotent.")
    assert refused(create, host, clientToken="t", desiredCount=2)[1] == "Creation of service was not idempotent."
    assert refused(create, host, serviceName="other", clientToken="x" * 37)[0] == "InvalidParameterException"
    host.ecs.delete_service(cluster="main", service="web", force=True)
    assert refused(create, host) == (
        "InvalidParameterException",
        "Unable to Start a service that is still Draining.",
    )
    host.sleep(60)
    create(host)


@pytest.mark.parametrize(
    "changes",
    [
        {"launchType": "EC2", "capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1}]},
        {"capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1}]},
        {"desiredCount": None},
        {"launchType": "FARGATE"},
        {"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}},
        {"deploymentConfiguration": {"maximumPercent": 100, "minimumHealthyPercent": 100}},
        {"deploymentConfiguration": {"maximumPercent": 50}},
        {"enableExecuteCommand": True},
        {"schedulingStrategy": "DAEMON", "placementStrategy": [{"type": "random"}]},
    ],
)
def test_a_call_that_makes_no_sense_is_refused(host: Account, changes: dict[str, Any]) -> None:
    assert refused(create, host, **changes)[0] == "InvalidParameterException"


def test_a_target_group_is_behind_a_load_balancer_first(host: Account) -> None:
    lonely = balancer(host, listener=False)
    expected = (
        "InvalidParameterException",
        f"The target group with targetGroupArn {lonely['targetGroupArn']} does not have an associated load balancer.",
    )
    assert refused(create, host, loadBalancers=[lonely]) == expected
    create(host)
    assert refused(update, host, loadBalancers=[lonely]) == expected
    bogus = {**lonely, "targetGroupArn": lonely["targetGroupArn"].replace("web", "no")}
    assert refused(create, host, serviceName="x", loadBalancers=[bogus])[0] == "InvalidParameterException"


def test_a_service_whose_load_balancer_is_gone_gets_no_more_tasks(host: Account) -> None:
    group = balancer(host)
    create(host, loadBalancers=[group], desiredCount=1)
    [found] = host.elb.describe_load_balancers()["LoadBalancers"]  # type: ignore[attr-defined]
    host.elb.delete_load_balancer(LoadBalancerArn=found["LoadBalancerArn"])  # type: ignore[attr-defined]
    update(host, desiredCount=0)
    assert "does not have an associated load balancer" in refused(update, host, desiredCount=1)[1]


def test_containers_ports_and_target_types_must_fit(host: Account) -> None:
    good = balancer(host)
    for wrong in ({"containerName": "no"}, {"containerPort": 81}):
        assert refused(create, host, loadBalancers=[{**good, **wrong}])[0] == "InvalidParameterException"
    host.register("vpc", networkMode="awsvpc", container={"portMappings": [{"containerPort": 80}]})
    code, message = refused(
        create, host, taskDefinition="vpc", loadBalancers=[good], networkConfiguration=host.network(public="DISABLED")
    )
    assert code == "InvalidParameterException"
    assert "has target type instance, which is incompatible with the awsvpc network mode" in message


def test_a_grace_period_is_taken_without_a_load_balancer(host: Account) -> None:
    assert create(host, healthCheckGracePeriodSeconds=60)["healthCheckGracePeriodSeconds"] == 60


def test_a_new_account_has_no_service_linked_role_yet(emulator: Emulator, host: Account) -> None:
    emulator.world.settings.service_linked_roles = False
    host.iam.list_roles()
    code, message = refused(create, host)
    assert code == "InvalidParameterException"
    assert message.startswith("Unable to assume the service linked role.")
    host.sleep(30)
    create(host)


def test_a_role_that_is_not_usable_is_told_as_such(host: Account) -> None:
    message = refused(create, host, role="no-such-role")[1]
    assert "verify that the ECS service role being passed has the proper permissions" in message


def test_services_that_are_gone_have_errors_of_their_own(host: Account) -> None:
    assert refused(update, host, desiredCount=1) == ("ServiceNotFoundException", "Service not found.")
    assert host.ecs.describe_services(cluster="main", services=["web"])["failures"][0]["reason"] == "MISSING"
    create(host)
    host.ecs.delete_service(cluster="main", service="web", force=True)
    host.sleep(60)
    assert refused(update, host, desiredCount=1) == ("ServiceNotActiveException", "Service was not ACTIVE.")
    many = [str(number) for number in range(11)]
    assert refused(host.ecs.describe_services, cluster="main", services=many)[0] == "InvalidParameterException"


# ---------------------------------------------------------------------------------------------- running


def test_a_service_starts_its_tasks_and_says_so(host: Account) -> None:
    made = create(host, desiredCount=2)
    assert (made["status"], made["runningCount"], made["deployments"][0]["rolloutState"]) == (
        "ACTIVE",
        0,
        "IN_PROGRESS",
    )
    found = steady(host)
    assert found["deployments"][0]["rolloutState"] == "COMPLETED"
    events = host.events()
    assert events[0] == "(service web) has reached a steady state."
    assert any(event.startswith("(service web) has started 2 tasks: (task ") for event in events)
    assert len(tasks(host)) == 2
    task = host.task(tasks(host)[0])
    assert (task["group"], task["startedBy"]) == ("service:web", found["deployments"][0]["id"])
    host.ecs.get_waiter("services_stable").wait(cluster="main", services=["web"])


def test_a_task_that_ends_is_replaced(host: Account) -> None:
    create(host)
    steady(host)
    [task] = tasks(host)
    host.ecs.stop_task(cluster="main", task=task)
    host.sleep(10)
    steady(host)
    assert tasks(host) != [task]


def test_the_count_goes_up_and_down(host: Account) -> None:
    create(host)
    steady(host)
    update(host, desiredCount=3)
    assert steady(host)["runningCount"] == 3
    update(host, desiredCount=0)
    assert steady(host)["runningCount"] == 0
    [stopped] = [host.task(task) for task in tasks(host, desiredStatus="STOPPED")][:1]
    assert stopped["stopCode"] == "ServiceSchedulerInitiated"
    assert stopped["stoppedReason"].startswith("Scaling activity initiated by (deployment ecs-svc/")


def test_a_deployment_replaces_tasks_and_never_has_too_few(host: Account) -> None:
    create(host, desiredCount=2)
    steady(host)
    host.register(container={"image": "nginx:1.28", "portMappings": [{"containerPort": 80}]})
    before = set(tasks(host))
    answer = update(host, taskDefinition="work")
    assert [one["status"] for one in answer["deployments"]] == ["PRIMARY", "ACTIVE"]
    fewest = 2
    while len(host.service()["deployments"]) > 1:
        host.sleep(5)
        fewest = min(fewest, host.service()["runningCount"])
    assert fewest == 2
    assert steady(host)["taskDefinition"].endswith(":2")
    assert before.isdisjoint(tasks(host))
    assert update(host, taskDefinition="work")["deployments"][0]["rolloutState"] == "COMPLETED"
    assert len(update(host, forceNewDeployment=True)["deployments"]) == 2


def test_with_all_gpus_busy_a_deployment_needs_the_right_percents(account: Account) -> None:
    account.instance("g4dn.xlarge")
    account.register_gpu()
    create(account, taskDefinition="gpu")
    steady(account)
    update(account, forceNewDeployment=True)
    account.sleep(900)
    service = account.service()
    assert len(service["deployments"]) == 2
    assert "has insufficient GPU resource available" in account.events()[0]
    stopping = {"minimumHealthyPercent": 0, "maximumPercent": 100}
    update(account, deploymentConfiguration=stopping, availabilityZoneRebalancing="DISABLED")
    assert steady(account)["deployments"][0]["rolloutState"] == "COMPLETED"


def test_a_service_that_can_not_place_says_so_and_backs_off(account: Account) -> None:
    account.register()
    create(account)
    account.sleep(60)
    assert account.events()[0].startswith(
        "(service web) was unable to place a task because no container instance met all of its requirements. "
        "Reason: No Container Instances were found in your cluster."
    )
    early = len(account.events())
    account.sleep(600)
    assert len(account.events()) <= early + 3
    account.instance()
    steady(account)


def test_a_closest_instance_is_named_with_what_it_lacks(host: Account) -> None:
    host.register("big", container={"memory": 100_000})
    create(host, taskDefinition="big")
    host.sleep(10)
    instance = host.host()["containerInstanceArn"].rpartition("/")[2]
    assert f"The closest matching container-instance {instance} has insufficient memory available." in host.events()[0]


def test_a_service_buys_instances_through_its_provider(account: Account) -> None:
    account.provider()
    account.register_gpu()
    made = create(account, taskDefinition="gpu", desiredCount=2)
    assert made["capacityProviderStrategy"][0]["capacityProvider"] == "workers"
    assert "launchType" not in made
    account.sleep(10)
    assert account.service()["pendingCount"] == 2
    steady(account)
    assert account.desired() == 2


def test_draining_an_instance_moves_the_tasks_of_a_service(host: Account) -> None:
    create(host, desiredCount=2)
    steady(host)
    before = set(tasks(host))
    instance = host.host()["containerInstanceArn"]
    host.instance()
    host.ecs.update_container_instances_state(cluster="main", containerInstances=[instance], status="DRAINING")
    host.sleep(200)
    assert steady(host)["runningCount"] == 2
    assert before.isdisjoint(tasks(host))


def test_a_daemon_runs_once_on_each_instance(host: Account) -> None:
    create(host, schedulingStrategy="DAEMON", desiredCount=None)
    assert steady(host)["runningCount"] == 1
    host.instance("t3.large")
    host.sleep(60)
    service = steady(host)
    assert (service["desiredCount"], service["runningCount"]) == (2, 2)


def test_a_fargate_service_runs_without_instances(account: Account) -> None:
    account.register_fargate()
    create(account, taskDefinition="fargate", launchType="FARGATE", networkConfiguration=account.network())
    service = steady(account)
    assert (service["launchType"], service["platformVersion"]) == ("FARGATE", "LATEST")


# ---------------------------------------------------------------------------------------------- load balancers


def targets(account: Account, group: str) -> list[tuple[int, str]]:
    found = account.elb.describe_target_health(TargetGroupArn=group)  # type: ignore[attr-defined]
    states = found["TargetHealthDescriptions"]
    return [(one["Target"]["Port"], one["TargetHealth"]["State"]) for one in states]


def test_tasks_are_registered_become_healthy_and_drain(host: Account) -> None:
    open_ports(host)
    group = balancer(host)
    create(host, loadBalancers=[group])
    host.wait(host.run(), "RUNNING")
    host.sleep(5)
    arn = group["targetGroupArn"]
    assert targets(host, arn)[0][1] == "initial"
    assert host.service()["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    host.sleep(60)
    assert targets(host, arn)[0][1] == "healthy"
    assert steady(host)["deployments"][0]["rolloutState"] == "COMPLETED"
    assert f"(service web) registered 1 targets in (target-group {arn})" in host.events()
    [task] = tasks(host)
    update(host, desiredCount=0)
    host.sleep(30)
    assert targets(host, arn)[0][1] == "draining"
    assert host.status(task) == "DEACTIVATING"
    host.sleep(60)
    assert host.status(task) == "STOPPED"


def test_tasks_with_addresses_of_their_own_are_registered_by_them(account: Account) -> None:
    open_ports(account, account.group)
    account.register_fargate(portMappings=[{"containerPort": 80}])
    group = balancer(account, "ip")
    network = account.network()
    create(account, taskDefinition="fargate", launchType="FARGATE", networkConfiguration=network, loadBalancers=[group])
    steady(account)
    [task] = tasks(account)
    details = {one["name"]: one["value"] for one in account.task(task)["attachments"][0]["details"]}
    found = account.elb.describe_target_health(TargetGroupArn=group["targetGroupArn"])  # type: ignore[attr-defined]
    assert found["TargetHealthDescriptions"][0]["Target"]["Id"] == details["privateIPv4Address"]


def test_a_closed_security_group_kills_tasks_in_a_loop(host: Account) -> None:
    group = balancer(host)
    create(host, loadBalancers=[group])
    host.sleep(300)
    assert host.service()["deployments"][0]["failedTasks"] > 0
    stopped = [host.task(task) for task in tasks(host, desiredStatus="STOPPED")]
    assert "Task failed ELB health checks in (target-group" in stopped[0]["stoppedReason"]
    assert any("is unhealthy in (target-group" in event for event in host.events())


def test_the_grace_period_keeps_ill_tasks_alive(host: Account) -> None:
    group = balancer(host)
    create(host, loadBalancers=[group], healthCheckGracePeriodSeconds=600)
    host.sleep(500)
    assert tasks(host, desiredStatus="STOPPED") == []
    host.sleep(400)
    assert tasks(host, desiredStatus="STOPPED") != []


# ---------------------------------------------------------------------------------------------- circuit breaker


def test_the_circuit_breaker_ends_a_deployment_that_never_comes_up(host: Account) -> None:
    host.register(container={"image": "does-not-exist"})
    create(host, deploymentConfiguration={"deploymentCircuitBreaker": {"enable": True, "rollback": False}})
    host.sleep(400)
    [deployment] = host.service()["deployments"]
    assert (deployment["rolloutState"], deployment["failedTasks"]) == ("FAILED", 3)
    assert deployment["rolloutStateReason"] == "ECS deployment circuit breaker: tasks failed to start."
    count = len(tasks(host, desiredStatus="STOPPED"))
    host.sleep(600)
    assert len(tasks(host, desiredStatus="STOPPED")) == count


def test_the_circuit_breaker_rolls_back_to_what_worked(host: Account) -> None:
    create(host, deploymentConfiguration=BREAKER)
    good = steady(host)["deployments"][0]["id"]
    host.register(container={"command": ["sh", "-c", "exit 1"]})
    update(host, taskDefinition="work")
    host.sleep(400)
    service = steady(host)
    assert (service["taskDefinition"].rpartition(":")[2], service["deployments"][0]["id"]) == ("1", good)
    assert service["runningCount"] == 1
    assert any("deployment failed: tasks failed to start." in event for event in host.events())
    assert f"(service web) rolling back to deployment {good}." in host.events()
    listed = host.ecs.list_service_deployments(cluster="main", service="web")["serviceDeployments"]
    assert [one["status"] for one in listed] == ["ROLLBACK_SUCCESSFUL", "SUCCESSFUL"]
    described = host.ecs.describe_service_deployments(serviceDeploymentArns=[listed[0]["serviceDeploymentArn"]])
    [found] = described["serviceDeployments"]
    assert found["deploymentCircuitBreaker"]["status"] == "TRIGGERED"
    revision = found["targetServiceRevision"]["arn"]
    [shown] = host.ecs.describe_service_revisions(serviceRevisionArns=[revision])["serviceRevisions"]
    assert shown["taskDefinition"].endswith(":2")


def test_without_a_breaker_failing_tasks_are_started_ever_more_rarely(host: Account) -> None:
    host.register(container={"image": "does-not-exist"})
    create(host)
    host.sleep(1800)
    stopped = tasks(host, desiredStatus="STOPPED")
    assert 4 <= len(stopped) <= 12
    assert any("is unable to consistently start tasks successfully" in event for event in host.events())


def test_a_role_that_can_not_be_assumed_is_an_event(host: Account) -> None:
    host.register(taskRoleArn="arn:aws:iam::123456789012:role/no")
    create(host)
    host.sleep(10)
    assert "failed to launch a task with (error ECS was unable to assume the role" in host.events()[0]


# ---------------------------------------------------------------------------------------------- the end


def test_a_service_above_zero_is_deleted_by_force_only(host: Account) -> None:
    create(host)
    steady(host)
    delete = host.ecs.delete_service
    assert refused(delete, cluster="main", service="web") == (
        "InvalidParameterException",
        "The service cannot be stopped while it is scaled above 0.",
    )
    update(host, desiredCount=0, forceNewDeployment=True)
    assert refused(delete, cluster="main", service="web") == (
        "InvalidParameterException",
        "The service cannot be stopped while deployments are active.",
    )
    steady(host)
    delete(cluster="main", service="web")


def test_a_deleted_service_drains_and_is_not_listed(host: Account) -> None:
    create(host)
    steady(host)
    assert host.ecs.delete_service(cluster="main", service="web", force=True)["service"]["status"] == "DRAINING"
    assert host.ecs.list_services(cluster="main")["serviceArns"] == []
    assert host.service()["status"] == "DRAINING"
    host.sleep(60)
    assert host.service()["status"] == "INACTIVE"
    assert tasks(host) == []
    host.ecs.get_waiter("services_inactive").wait(cluster="main", services=["web"])


def test_services_are_listed_ten_a_page(host: Account) -> None:
    for number in range(12):
        create(host, serviceName=f"s{number:02}", desiredCount=0)
    first = host.ecs.list_services(cluster="main")
    assert len(first["serviceArns"]) == 10
    assert len(host.ecs.list_services(cluster="main", nextToken=first["nextToken"])["serviceArns"]) == 2


def test_tags_go_on_to_tasks_if_asked_to(host: Account) -> None:
    create(host, tags=[{"key": "a", "value": "1"}], propagateTags="SERVICE", enableECSManagedTags=True)
    steady(host)
    tags = {tag["key"]: tag["value"] for tag in host.task(tasks(host)[0])["tags"]}
    assert tags == {"a": "1", "aws:ecs:clusterName": "main", "aws:ecs:serviceName": "web"}
    assert refused(host.ecs.list_tasks, cluster="main", serviceName="no")[0] == "ServiceNotFoundException"


def test_a_definition_in_use_by_a_service_is_not_gone_yet(host: Account) -> None:
    create(host)
    host.ecs.deregister_task_definition(taskDefinition="work:1")
    host.ecs.delete_task_definitions(taskDefinitions=["work:1"])
    host.sleep(120)
    steady(host)
    found = host.ecs.describe_task_definition(taskDefinition="work:1")["taskDefinition"]
    assert found["status"] == "DELETE_IN_PROGRESS"


def test_zones_are_balanced_by_default_where_they_can_be(host: Account) -> None:
    """ecs-081"""
    assert create(host)["availabilityZoneRebalancing"] == "ENABLED"
    stopping = {"deploymentConfiguration": {"minimumHealthyPercent": 0, "maximumPercent": 100}}
    assert create(host, serviceName="stopping", **stopping)["availabilityZoneRebalancing"] == "DISABLED"
    binpack = [{"type": "binpack", "field": "memory"}]
    assert create(host, serviceName="packed", placementStrategy=binpack)["availabilityZoneRebalancing"] == "DISABLED"
    spread = [{"type": "spread", "field": "attribute:ecs.availability-zone"}]
    assert create(host, serviceName="spread", placementStrategy=spread)["availabilityZoneRebalancing"] == "ENABLED"
    daemon = {"schedulingStrategy": "DAEMON", "desiredCount": None, "launchType": "EC2"}
    assert create(host, serviceName="daemon", **daemon)["availabilityZoneRebalancing"] == "DISABLED"


def test_an_update_to_100_percent_says_that_zones_are_not_balanced(host: Account) -> None:
    """ecs-081"""
    create(host)
    steady(host)
    stopping = {"deploymentConfiguration": {"minimumHealthyPercent": 0, "maximumPercent": 100}}
    refusal = "Availability Zone Rebalancing does not support maximumPercent <= 100%"
    assert refused(update, host, **stopping) == ("InvalidParameterException", refusal)
    assert host.service()["deploymentConfiguration"]["maximumPercent"] == 200
    assert update(host, **stopping, availabilityZoneRebalancing="DISABLED")["availabilityZoneRebalancing"] == "DISABLED"
    assert refused(update, host, availabilityZoneRebalancing="ENABLED") == ("InvalidParameterException", refusal)
    assert update(host, desiredCount=2)["availabilityZoneRebalancing"] == "DISABLED", "what is not said stays"
