"""The tasks that no service keeps: stopped for a pause, and those of run_task.py started again, each as it was started.

They begin anew: what they had in memory is lost, what they wrote to their volumes stays.
"""

import json
from collections import Counter
from typing import Any

import aws
import console
import constants
from aws import wait
from console import how_many, say
from infrastructure.cluster import auto_scaling_group, costs, network, security_groups
from infrastructure.service import counts, diagnosis, runs, task_definitions, task_security_group, tasks
from infrastructure.service.counts import of_service


def seen() -> dict[str, Any]:
    """What run_task.py has started: what RunTask was asked for -> how many. Others' are told."""
    aws.pause(tasks.UNSEEN)
    found = [task for task in tasks.find() if not of_service(task)]
    for task in [task for task in found if not is_own(task)]:
        node = "a node of a job on several hosts"
        whose = node if is_node(task) else f"started by {task.get('startedBy') or 'another'}"
        what = f"task {tasks.task_id(task['taskArn'])} of {tasks.revision(task)}"
        say("warning", f"{what}, {whose}:", "it does not come back")
    counted = Counter(json.dumps(request(task), sort_keys=True) for task in found if is_own(task))
    return {"runs": [{"count": count, "request": json.loads(asked)} for asked, count in counted.items()]}


def is_own(task: Any) -> bool:
    return aws.ours(task) and str(task.get("startedBy", "")).endswith("/run_task") and not is_node(task)


def is_node(task: Any) -> bool:
    """A node knows the others by addresses that are theirs no more: run_task.py --nodes starts such a job."""
    return "-nodes-" in str(task.get("group", ""))


def request(task: Any) -> dict[str, Any]:
    """RunTask's, but for how many, the token, and where in the network."""
    provider = {"capacityProvider": task.get("capacityProviderName"), "weight": 1, "base": 0}
    its_tags = [each for each in task.get("tags", []) if not each["key"].startswith("aws:")]
    found = {
        "taskDefinition": task["taskDefinitionArn"],
        "startedBy": task["startedBy"],
        "enableExecuteCommand": task.get("enableExecuteCommand"),
        "tags": sorted(its_tags, key=lambda each: str(each["key"])),
        "overrides": without_nothing(task.get("overrides", {})),
        "launchType": None if provider["capacityProvider"] else task.get("launchType"),
        "capacityProviderStrategy": [provider] if provider["capacityProvider"] else None,
    }
    return {key: value for key, value in found.items() if value}


def without_nothing(overrides: Any) -> dict[str, Any]:
    """AWS tells each container of the task, and names what was not overridden with nothing in it."""
    containers = [
        {key: value for key, value in each.items() if value} for each in overrides.get("containerOverrides", [])
    ]
    found = {**overrides, "containerOverrides": [each for each in containers if each.keys() - {"name"}]}
    return {key: value for key, value in found.items() if value}


def take() -> int:
    """Ask each to stop. How many there were."""
    going = [task for task in tasks.going() if not of_service(task)]
    running = [task["taskArn"] for task in going if tasks.goes_on(task)]
    if running:
        tasks.ask_to_stop(running, "pause_cluster.py")
    return len(going)


def wait_ended() -> None:
    """Until none runs. One that was started a moment before is listed some seconds late: it is asked then."""
    aws.pause(tasks.UNSEEN)
    wait("tasks to stop", lambda: console.dry_run or not take(), lambda: "they still run")


def priced(ran: dict[str, Any]) -> costs.Rows:
    """What a resume starts, and AWS bills by the hour: hosts, or tasks on Fargate, and the ways in after --deep."""
    there = {each: len(auto_scaling_group.there(auto_scaling_group.find(each))) for each in ran["groups"]}
    more = {each: sizes["DesiredCapacity"] - there[each] for each, sizes in ran["groups"].items()}
    hosts = sum(max(0, count) for each, count in more.items() if each != "bastion")
    rows = (
        costs.hosts(min(hosts, constants.MIN_INSTANCES), hosts, auto_scaling_group.ways(ran["groups"])) if hosts else []
    )
    if costs.on_fargate():
        rows += of_tasks(ran)
    if ran["deep"]:
        return [*rows, *costs.standing()]
    return [*rows, *(costs.of_bastion() if more.get("bastion", 0) > 0 else [])]


def of_tasks(ran: dict[str, Any]) -> costs.Rows:
    """On Fargate, each by the sizes of its revision."""
    wanted: Counter[str] = Counter()
    for each in counts.counted():
        wanted[each["taskDefinition"]] += ran["services"].get(each["serviceName"], 0) - each["desiredCount"]
    for each in ran["runs"]:
        wanted[each["request"]["taskDefinition"]] += each["count"]
    found = zip(wanted.values(), aws.side_by_side(task_definitions.definition, wanted), strict=True)
    sizes = [(count, int(each["cpu"]), int(each["memory"])) for count, each in found if each and count > 0]
    return [row for size in sizes for row in costs.fargate(*size)]


def bring_back(ran: dict[str, Any]) -> list[str]:
    """Start what is missing of each. The ARNs of all that run."""
    arns: list[str] = []
    listed = [task for task in (tasks.all_of() if ran["runs"] else []) if is_own(task)]
    for each in ran["runs"]:
        same = [task for task in listed if aws.holds(request(task), each["request"])]
        running = [task["taskArn"] for task in same if tasks.goes_on(task)]
        missing = each["count"] - len(running)
        if missing > 0 and (asked := placed(each["request"])):
            running += runs.start(asked, missing, [task["taskArn"] for task in same])
        arns += running
    return arns


def placed(asked: dict[str, Any]) -> dict[str, Any] | None:
    """With the place in the network, where the revision has addresses of its own; None where it is deregistered."""
    definition = task_definitions.definition(asked["taskDefinition"])
    if not definition or definition["status"] != "ACTIVE":
        say("already gone", f"task definition {tasks.task_id(asked['taskDefinition'])}", "its tasks do not come back")
        return None
    found = {"cluster": constants.CLUSTER_NAME, "enableECSManagedTags": True, **asked}
    if definition.get("networkMode") == "awsvpc":
        groups = groups_of(aws.tags_of(asked).get(constants.ENDPOINT_TAG, ""))
        providers = [each["capacityProvider"] for each in asked.get("capacityProviderStrategy", [])]
        fargate = any(each.startswith("FARGATE") for each in [*providers, asked.get("launchType", "")])
        where = task_security_group.network_configuration(network.required(), groups, fargate)
        found["networkConfiguration"] = where
    return found


def groups_of(endpoint: str) -> list[str]:
    """The tasks' security group of this endpoint; another's, where the settings name them."""
    own = [each for each in security_groups.all_groups() if aws.ours(each) and aws.part(each) == "tasks"]
    of = [each["GroupId"] for each in own if aws.tags_of(each).get(constants.ENDPOINT_TAG, "") == endpoint]
    return constants.SECURITY_GROUP_IDS or of


def wait_running(arns: list[str]) -> list[Any]:
    """Until each runs, or has ended already, which may be its work done; one that could not start is told. AWS tells of a
    new one some seconds late."""
    found: list[Any] = []

    def there() -> bool:
        found[:] = tasks.describe(arns) if arns else []
        return len(found) == len(arns) and not waiting()

    def waiting() -> list[str]:
        return [tasks.in_words(task) for task in found if task["lastStatus"] not in ("RUNNING", "STOPPED")]

    wait(f"{how_many(len(arns), 'task')} to run", there, lambda: "; ".join(waiting()) or "AWS does not tell of them")
    for task in [task for task in found if not task.get("startedAt")]:
        say("warning", f"task {tasks.task_id(task['taskArn'])} did not start:", diagnosis.why(task))
    return found


def told(found: list[Any]) -> list[dict[str, Any]]:
    kept = ("taskArn", "lastStatus")
    return [{**{key: each[key] for key in kept}, "taskDefinition": tasks.revision(each)} for each in found]
