"""Tasks and task definitions as AWS lists them; and their end, when the cluster is deleted.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html
"""

from typing import Any

import constants
from aws import Problem, accepted, client, insist, missing, ours, wait
from console import say
from infrastructure import endpoints
from infrastructure.cluster import cluster, roles
from infrastructure.cluster.network import Network


def find(desired_status: str = "RUNNING", **filters: str) -> list[dict[str, Any]]:
    """The cluster's tasks; `desired_status` STOPPED lists those that are stopping, or stopped within the last hour."""
    pages = (
        client("ecs")
        .get_paginator("list_tasks")
        .paginate(cluster=constants.CLUSTER_NAME, desiredStatus=desired_status, **filters)
    )
    return describe([arn for page in pages for arn in page["taskArns"]])


def ours_now() -> list[dict[str, Any]]:
    """The tasks that run_task.py started and that are not told to stop."""
    return find(startedBy=constants.STARTED_BY)


def describe(arns: list[str]) -> list[dict[str, Any]]:
    """DescribeTasks takes 100 at a time, and leaves out a task that it does not know yet."""
    found: list[dict[str, Any]] = []
    for start in range(0, len(arns), 100):
        found += client("ecs").describe_tasks(cluster=constants.CLUSTER_NAME, tasks=arns[start : start + 100])["tasks"]
    return found


def run(request: dict[str, Any]) -> dict[str, Any]:
    """RunTask, again while AWS does not see a new role or a new host yet. It may answer with `failures` all the same."""
    answer: dict[str, Any] = insist(
        "AWS to accept the task (it sees a new role after some seconds)",
        lambda: client("ecs").run_task(**request),
        "unable to assume",
        "Unable to assume",
        "Capacity is unavailable at this time",
        "No Container Instances were found",
        seconds=roles.PROPAGATION_SECONDS,
    )
    return answer


def stop(arns: list[str], reason: str) -> list[dict[str, Any]]:
    """Ask each to stop, and wait for all: until it is STOPPED a task holds its GPU."""
    for arn in arns:
        accepted(
            lambda: client("ecs").stop_task(cluster=constants.CLUSTER_NAME, task=arn, reason=reason),
            "InvalidParameterException",
        )
        say("stopped", f"task {task_id(arn)}", "asked for")

    def running() -> list[str]:
        return [
            f"{task_id(task['taskArn'])} is {task['lastStatus']}"
            for task in describe(arns)
            if task["lastStatus"] != "STOPPED"
        ]

    wait(f"{len(arns)} tasks to stop", lambda: not running(), lambda: ", ".join(running()))
    return describe(arns)


def task_id(arn: str) -> str:
    return arn.rsplit("/", 1)[-1]


def stop_ours() -> None:
    """What run_task.py started, and what is stopping already."""
    leaving = [task for task in find("STOPPED", startedBy=constants.STARTED_BY) if task["lastStatus"] != "STOPPED"]
    arns = [task["taskArn"] for task in [*ours_now(), *leaving]]
    if arns:
        stop(arns, "what they belong to is being deleted")


def delete() -> None:
    """Services first, since they replace their tasks; then every task; then our task definitions."""
    if cluster.find():
        delete_services()
        arns = [task["taskArn"] for task in find()]
        leaving = [task["taskArn"] for task in find("STOPPED") if task["lastStatus"] != "STOPPED"]
        if arns or leaving:
            stop([*arns, *leaving], "delete_cluster.py")
    delete_task_definitions()


def delete_services() -> None:
    """Nothing of this runbook makes services; but one that someone made here would keep the cluster, and cost."""
    ecs = client("ecs")
    pages = ecs.get_paginator("list_services").paginate(cluster=constants.CLUSTER_NAME)
    arns = [arn for page in pages for arn in page["serviceArns"]]
    for arn in arns:
        insist(
            f"service {task_id(arn)}",
            lambda: accepted(
                lambda: ecs.delete_service(cluster=constants.CLUSTER_NAME, service=arn, force=True),
                "ServiceNotFoundException",
                "ServiceNotActiveException",
            ),
            "deployments are active",
        )
        say("deleted", f"service {task_id(arn)}", "asked for")

    def draining() -> list[str]:
        answers = [ecs.describe_services(cluster=constants.CLUSTER_NAME, services=[arn]) for arn in arns]
        services = [service for answer in answers for service in answer["services"]]
        return [f"{each['serviceName']} is {each['status']}" for each in services if each["status"] != "INACTIVE"]

    wait("services to end", lambda: not draining(), lambda: ", ".join(draining()))


def network_configuration(net: Network, group_ids: list[str]) -> dict[str, Any]:
    """A Fargate task in a public subnet needs a public address to pull its image; on EC2 ECS allows none."""
    configuration: dict[str, Any] = {"subnets": net.subnet_ids, "securityGroups": group_ids}
    if constants.LAUNCH_TYPE == "FARGATE":
        public = set(net.subnet_ids) <= set(net.public_subnet_ids) or not net.public_subnet_ids
        configuration["assignPublicIp"] = "ENABLED" if public else "DISABLED"
    return {"awsvpcConfiguration": configuration}


def definitions(status: str = "ACTIVE", family: str = constants.TASK_FAMILY) -> list[str]:
    """The ARNs of the family's revisions, newest first."""
    pages = client("ecs").get_paginator("list_task_definitions")
    found = pages.paginate(familyPrefix=family, status=status, sort="DESC")
    return [arn for page in found for arn in page["taskDefinitionArns"]]


def definition(arn_or_family: str) -> dict[str, Any] | None:
    """One revision with its tags under `tags`, or None."""
    found = missing(
        lambda: client("ecs").describe_task_definition(taskDefinition=arn_or_family, include=["TAGS"]),
        "ClientException",
    )
    return {**found["taskDefinition"], "tags": found.get("tags", [])} if found else None


#: members that AWS fills in by itself, or that only say who registered the revision
ADDED_BY_AWS = {
    *("taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "placementConstraints"),
    *("registeredAt", "registeredBy", "tags", "volumesFrom", "systemControls", "rootDirectory", "protocol"),
}


def agree(present: Any, wanted: Any) -> bool:
    """Whether a revision as AWS gives it back is the one that we would register; empty and absent are the same."""
    if isinstance(wanted, dict):
        there = present or {}
        added = [value for key, value in there.items() if key not in wanted and key not in ADDED_BY_AWS]
        return not any(added) and all(agree(there.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        items = present or []
        return len(items) == len(wanted) and all(agree(p, w) for p, w in zip(items, wanted, strict=True))
    return bool(present == wanted)


def our_definitions(status: str, family: str = constants.TASK_FAMILY) -> list[str]:
    """Those revisions of the family that this runbook, or its pipeline, registered: another's are left alone."""
    return [arn for arn in definitions(status, family) if is_ours(definition(arn) or {})]


def is_pipelines(definition: dict[str, Any]) -> bool:
    """Whether the endpoint's pipeline registered a revision, by the role that it had then."""
    return f":assumed-role/{roles.role_name('pipeline')}/" in definition.get("registeredBy", "")


def is_ours(definition: dict[str, Any]) -> bool:
    """By its tags; or by its role, since a pipeline's deploy makes revisions that do not bear them."""
    role = str(definition.get("taskRoleArn", "")).rpartition("/")[2]
    return endpoints.mine(definition.get("tags", [])) or role == roles.role_name("task")


def refuse_other_endpoint(definition: dict[str, Any] | None) -> None:
    """A revision in another endpoint's family would be deployed there."""
    if definition and ours(definition["tags"]) and not is_ours(definition):
        raise Problem(f"TASK_FAMILY={constants.TASK_FAMILY} is another endpoint's: choose another")


def delete_task_definitions(family: str = constants.TASK_FAMILY) -> None:
    """Deregister our revisions, then delete them: ten in a call, and only what is deregistered."""
    ecs = client("ecs")
    for arn in our_definitions("ACTIVE", family):
        ecs.deregister_task_definition(taskDefinition=arn)
        say("deregistered", f"task definition {task_id(arn)}")
    inactive = our_definitions("INACTIVE", family)
    for start in range(0, len(inactive), 10):
        ecs.delete_task_definitions(taskDefinitions=inactive[start : start + 10])
    if inactive:
        say("deleted", f"{len(inactive)} task definitions of {family}")


def left_over() -> list[str]:
    running = (ours_now() if constants.ENDPOINT else find()) if cluster.find() else []
    return [f"task {task_id(task['taskArn'])}" for task in running] + [
        f"task definition {task_id(arn)}" for arn in our_definitions("ACTIVE")
    ]
