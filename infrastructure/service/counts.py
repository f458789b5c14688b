"""How many tasks the services of the cluster are to run: to 0 for a pause, whoever's they are, and back.

The limits of scaling come first, both ways: a scalable target moves its service's count into them.
https://docs.aws.amazon.com/autoscaling/application/APIReference/API_RegisterScalableTarget.html
"""

from typing import Any

import constants
from aws import call, client, holds, wait
from console import say
from infrastructure.cluster import cluster
from infrastructure.service import scaling, service, tasks

LIMITS = ("MinCapacity", "MaxCapacity", "SuspendedState")
SUSPENDED = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
NONE: dict[str, Any] = {"MinCapacity": 0, "MaxCapacity": 0, "SuspendedState": dict.fromkeys(SUSPENDED, True)}
LOOKS = (service.services, scaling.targets)


def counted() -> list[Any]:
    """Those that have a count: a daemon runs on each host, and ends with it."""
    return [each for each in service.services() if each.get("schedulingStrategy") != "DAEMON"]


def seen() -> dict[str, Any]:
    return {
        "services": {each["serviceName"]: each["desiredCount"] for each in counted()},
        "limits": {each["ResourceId"]: {key: each[key] for key in LIMITS} for each in scaling.targets()},
    }


def take() -> None:
    """No task is wanted any more. Those that run leave the load balancer first, which takes DEREGISTRATION_DELAY."""
    for target in scaling.targets():
        put_limits(target, NONE)
    for each in counted():
        put_count(each, 0)


def bring_back(ran: dict[str, Any]) -> None:
    """What stands no more is left out."""
    for target in scaling.targets():
        put_limits(target, ran["limits"].get(target["ResourceId"], {}))
    for each in counted():
        put_count(each, ran["services"].get(each["serviceName"], each["desiredCount"]))


def put_limits(target: Any, wanted: dict[str, Any]) -> None:
    """Without tags: AWS takes them of a new target only."""
    its_name = scaling.service_of(target)
    if not wanted or holds(target, wanted):
        return
    put = call(
        client("application-autoscaling").register_scalable_target,
        f"scaling of {its_name}",
        of=cluster.of_ours(),
        busy=scaling.BUSY,
    )
    put(**{key: target[key] for key in scaling.its_target()}, **wanted)
    suspended = wanted["SuspendedState"].get("DynamicScalingOutSuspended")
    limits = f"{wanted['MinCapacity']} to {wanted['MaxCapacity']} tasks"
    say("updated", f"scaling of {its_name}", f"{limits}, suspended" if suspended else limits)


def put_count(found: Any, count: int) -> None:
    what = f"service {found['serviceName']}"
    if found["desiredCount"] == count:
        return
    update = call(
        client("ecs").update_service, what, of=cluster.of_ours(), gone=service.ENDED, busy=service.NO_BALANCER
    )
    if update(cluster=constants.CLUSTER_NAME, service=found["serviceName"], desiredCount=count):
        say("updated", what, f"desiredCount {count}, was {found['desiredCount']}")


def wait_running() -> None:
    """Until each runs as many tasks as are wanted; where one does not, its last event says why."""

    def short() -> list[str]:
        missing = [each for each in counted() if each["runningCount"] < each["desiredCount"]]
        return [f"service {each['serviceName']}: {last_event(each)}" for each in missing]

    wait("services to run again", lambda: not short(), lambda: "; ".join(short()))


def last_event(found: Any) -> str:
    events = [event["message"] for event in found.get("events", [])[:1]]
    return events[0] if events else f"{found['runningCount']} of {found['desiredCount']} tasks run"


def of_service(task: Any) -> bool:
    return str(task.get("group", "")).startswith("service:")


def wait_ended() -> None:
    """Until no task of them runs; daemons end with their hosts."""
    names = {f"service:{each['serviceName']}" for each in counted()}

    def going() -> list[str]:
        return [tasks.in_words(task) for task in tasks.going() if task.get("group") in names]

    wait("tasks of services to stop", lambda: not going(), lambda: "; ".join(going()))
