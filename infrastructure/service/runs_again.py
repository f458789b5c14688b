"""The tasks that no service keeps: stopped for a pause, and those of run_task.py started again, each as it was started.

They begin anew: what they had in memory is lost, what they wrote to their volumes stays.
"""

import json
from collections import Counter
from typing import Any

import aws
import console
import constants
from aws import client, wait
from console import say
from infrastructure.cluster import network
from infrastructure.service import diagnosis, runs, task_security_group, tasks
from infrastructure.service.counts import of_service

REASON = "pause_cluster.py"
#: what RunTask is given again
SAME = ("startedBy", "enableExecuteCommand", "launchType")


def seen() -> dict[str, Any]:
    """What run_task.py has started: what RunTask was asked for -> how many. Others' are told."""
    found = [task for task in tasks.find() if not of_service(task)]
    own = [task for task in found if is_own(task)]
    for task in [task for task in found if task not in own]:
        whose = (
            "a node of a job on several hosts" if is_node(task) else f"started by {task.get('startedBy') or 'another'}"
        )
        say(
            "warning",
            f"task {tasks.task_id(task['taskArn'])} of {tasks.revision(task)}, {whose}:",
            "it does not come back",
        )
    groups = groups_of(own)
    counted = Counter(json.dumps(request(task, groups), sort_keys=True) for task in own)
    return {"runs": [{"count": count, "request": json.loads(asked)} for asked, count in counted.items()]}


def is_own(task: Any) -> bool:
    return aws.ours(task) and str(task.get("startedBy", "")).endswith("/run_task") and not is_node(task)


def is_node(task: Any) -> bool:
    """A node knows the others by addresses that are theirs no more: run_task.py --nodes starts such a job."""
    return "-nodes-" in str(task.get("group", ""))


def request(task: Any, groups: dict[str, list[str]]) -> dict[str, Any]:
    """RunTask's, but for how many, the token, and the subnets."""
    provider = task.get("capacityProviderName")
    found = {key: task[key] for key in SAME if task.get(key)}
    if provider:
        found.pop("launchType", None)
        found["capacityProviderStrategy"] = [{"capacityProvider": provider, "weight": 1, "base": 0}]
    found["taskDefinition"] = task["taskDefinitionArn"]
    found["tags"] = sorted(
        (each for each in task.get("tags", []) if not each["key"].startswith("aws:")), key=lambda each: each["key"]
    )
    if overrides := without_nothing(task.get("overrides", {})):
        found["overrides"] = overrides
    if interface := interface_of(task):
        found["networkConfiguration"] = {"securityGroups": groups.get(interface, [])}
    return found


def without_nothing(overrides: Any) -> dict[str, Any]:
    """AWS tells each container of the task, and names what was not overridden with nothing in it."""
    containers = [
        {key: value for key, value in each.items() if value} for each in overrides.get("containerOverrides", [])
    ]
    found = {**overrides, "containerOverrides": [each for each in containers if each.keys() - {"name"}]}
    return {key: value for key, value in found.items() if value}


def interface_of(task: Any) -> str:
    """The network interface of a task that has an address of its own."""
    details = [detail for each in task.get("attachments", []) for detail in each.get("details", [])]
    return next((each["value"] for each in details if each["name"] == "networkInterfaceId"), "")


def groups_of(found: list[Any]) -> dict[str, list[str]]:
    """Network interface -> its security groups, which ECS does not tell."""
    ids = sorted(filter(None, map(interface_of, found)))
    pages = client("ec2").get_paginator("describe_network_interfaces")
    filters: Any = [{"Name": "network-interface-id", "Values": ids}]
    listed = aws.every(pages.paginate(Filters=filters), "NetworkInterfaces") if ids else []
    return {each["NetworkInterfaceId"]: [group["GroupId"] for group in each["Groups"]] for each in listed}


def take() -> int:
    """Ask each to stop. How many there were."""
    going = [task for task in tasks.going() if not of_service(task)]
    running = [task["taskArn"] for task in going if tasks.goes_on(task)]
    if running:
        tasks.ask_to_stop(running, REASON)
    return len(going)


def wait_ended() -> None:
    """Until none runs. One that was started a moment before is listed some seconds late: it is asked then."""
    wait("tasks to stop", lambda: console.dry_run or not take(), lambda: "they still run")


def bring_back(ran: dict[str, Any]) -> list[str]:
    """Start what is missing of each. The ARNs of all that run."""
    arns: list[str] = []
    listed = tasks.all_of() if ran["runs"] else []
    groups = groups_of([task for task in listed if is_own(task)])
    for each in ran["runs"]:
        asked = each["request"]
        same = [task for task in listed if is_own(task) and alike(request(task, groups), asked)]
        running = [task["taskArn"] for task in same if tasks.goes_on(task)]
        missing = each["count"] - len(running)
        if missing > 0:
            running += runs.start(placed(asked), missing, [task["taskArn"] for task in same])
        arns += running
    return arns


def alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """A task that has ended has no network interface any more."""
    kept = (one.keys() | other.keys()) - {"networkConfiguration"}
    return all(aws.holds(one.get(key), other.get(key)) for key in kept)


def placed(asked: dict[str, Any]) -> dict[str, Any]:
    """With the subnets of the cluster."""
    found = {"cluster": constants.CLUSTER_NAME, "enableECSManagedTags": True, **asked}
    if own := asked.get("networkConfiguration"):
        net, fargate = network.required(), on_fargate(asked)
        found["networkConfiguration"] = task_security_group.network_configuration(net, own["securityGroups"], fargate)
    return found


def on_fargate(asked: dict[str, Any]) -> bool:
    providers = [each["capacityProvider"] for each in asked.get("capacityProviderStrategy", [])]
    return asked.get("launchType") == "FARGATE" or any(each.startswith("FARGATE") for each in providers)


def wait_running(arns: list[str]) -> list[Any]:
    """Until each runs, or has ended already, which may be its work done; one that could not start is told. AWS tells of a
    new one some seconds late."""
    found: list[Any] = []

    def there() -> bool:
        found[:] = tasks.describe(arns) if arns else []
        return len(found) == len(arns) and not waiting()

    def waiting() -> list[str]:
        return [tasks.in_words(task) for task in found if task["lastStatus"] not in ("RUNNING", "STOPPED")]

    wait(f"{len(arns)} tasks to run", there, lambda: "; ".join(waiting()) or "AWS does not tell of them")
    for task in [task for task in found if not task.get("startedAt")]:
        say("warning", f"task {tasks.task_id(task['taskArn'])} did not start:", diagnosis.why(task))
    return found


def told(found: list[Any]) -> list[dict[str, Any]]:
    kept = ("taskArn", "lastStatus")
    return [{**{key: each[key] for key in kept}, "taskDefinition": tasks.revision(each)} for each in found]
