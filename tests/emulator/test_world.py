"""Time is AWS's own: what happens, and when, does not depend on who looks, and how often."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from emulator.core.wire import Emulator
from emulator.core.world import VirtualClock, World
from tests.emulator.ecs_account import Account
from tests.pictures import put_back, take

Client = Callable[[str], Any]
Story = dict[str, float]
#: seconds from the last call of the story to the moment at which it is told
LONG = 1100


def begin(account: Account, elb: Any) -> None:
    """A service waits for a host that managed scaling has to launch, and another one on Fargate for its load balancer."""
    account.provider(size=0, most=1)
    account.register_gpu()
    account.register_fargate(portMappings=[{"containerPort": 80}])
    permission = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    account.ec2.authorize_security_group_ingress(GroupId=account.group, IpPermissions=[permission])
    request: dict[str, Any] = {"Name": "web", "Subnets": [account.a, account.b], "SecurityGroups": [account.group]}
    balancer = elb.create_load_balancer(**request)["LoadBalancers"][0]["LoadBalancerArn"]
    request = {"Name": "web", "Protocol": "HTTP", "Port": 80, "VpcId": account.vpc, "TargetType": "ip"}
    target_group = elb.create_target_group(**request)["TargetGroups"][0]["TargetGroupArn"]
    actions = [{"Type": "forward", "TargetGroupArn": target_group}]
    elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=actions)
    account.sleep(7)
    strategy = [{"capacityProvider": "workers", "weight": 1}]
    account.ecs.create_service(
        cluster="main", serviceName="gpu", taskDefinition="gpu", desiredCount=1, capacityProviderStrategy=strategy
    )
    account.ecs.create_service(
        cluster="main",
        serviceName="web",
        taskDefinition="fargate",
        desiredCount=2,
        launchType="FARGATE",
        networkConfiguration=account.network(),
        loadBalancers=[{"targetGroupArn": target_group, "containerName": "main", "containerPort": 80}],
    )


def told(account: Account, since: float) -> Story:
    """What happened, and how many seconds after the story's beginning."""
    story: dict[str, datetime] = {}
    for group in account.asg.describe_scaling_activities(AutoScalingGroupName="workers")["Activities"]:
        story |= {"launch requested": group["StartTime"], "in service": group["EndTime"]}
    [[instance]] = [one["Instances"] for one in account.ec2.describe_instances()["Reservations"]]
    story["launched"] = instance["LaunchTime"]
    story["registered"] = account.host()["registeredAt"]
    for name in ("gpu", "web"):
        arns = account.ecs.list_tasks(cluster="main", serviceName=name)["taskArns"]
        tasks = account.ecs.describe_tasks(cluster="main", tasks=arns)["tasks"]
        for number, task in enumerate(sorted(tasks, key=lambda task: task["createdAt"])):
            times = ("createdAt", "connectivityAt", "pullStartedAt", "pullStoppedAt", "startedAt")
            story |= {f"{name} {number} {time}": task[time] for time in times}
        service = account.service(name)
        story[f"{name} deployed"] = service["deployments"][0]["updatedAt"]
        assert service["deployments"][0]["rolloutState"] == "COMPLETED"
        for number, event in enumerate(service["events"]):
            story[f"{name} event {number}"] = event["createdAt"]
    return {what: round(time.timestamp() - since) for what, time in story.items()}


def story(emulator: Emulator, client: Client, step: float) -> Story:
    """The whole of it, looked at every so many seconds; as seconds since it began, to the second."""
    account = Account(emulator, client)
    since = round(emulator.world.now()) + 0.3
    emulator.world.clock.sleep(since - emulator.world.now())  # type: ignore[attr-defined]
    begin(account, client("elbv2"))
    for _ in range(round(LONG / step)):
        emulator.world.clock.sleep(step)  # type: ignore[attr-defined]
        account.ecs.describe_clusters(clusters=["main"])
    return told(account, since)


def test_who_looks_once_sees_the_same_as_who_looks_every_second(emulator: Emulator, client: Client) -> None:
    empty = take(emulator)
    often = story(emulator, client, 1)
    put_back(emulator, empty)
    rarely = story(emulator, client, LONG)
    assert rarely == often
    assert often["launched"] < often["registered"] < often["gpu 0 startedAt"] < often["gpu deployed"] < LONG


def test_what_an_event_begins_counts_from_when_it_was_due() -> None:
    world, seen = World(VirtualClock()), []
    start = world.now()
    world.after(10, lambda: world.after(20, lambda: seen.append(world.now() - start)))
    world.clock.sleep(400)  # type: ignore[attr-defined]
    world.advance()
    assert [round(one) for one in seen] == [30]
    assert world.now() == start + 400


def test_schedulers_look_when_something_has_happened_and_not_at_every_request() -> None:
    world, looks = World(VirtualClock()), []
    start = world.now()
    world.tickers.append(lambda world: looks.append(round(world.now() - start)))
    for _ in range(2):
        world.after(10, lambda: None)
    world.look_at(start + 25)
    for _ in range(100):
        world.clock.sleep(1)  # type: ignore[attr-defined]
        world.advance()
    assert looks == [10, 25]
