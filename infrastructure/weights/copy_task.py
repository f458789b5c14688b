"""A one-shot task with the AWS CLI beside one volume: how the copies and the sync of the weights are started and followed.

On Fargate, also where the cluster's tasks are on hosts: a copy needs no GPU, and is not to start a host that has one.
RunTask takes the launch type FARGATE in every cluster; only a strategy needs the capacity provider to be associated.
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html
"""

import functools
import re
import shlex
from datetime import datetime
from typing import Any

import aws
import constants
from aws import Problem, call, client, endpoint_name, wait
from console import say
from definition import filled
from infrastructure.cluster import roles, security_groups
from infrastructure.service import access_points, diagnosis, log_group, task_definitions, task_security_group, tasks

#: enough for ten files at a time
CPU, MEMORY = 512, 1024
#: how many lines of the task's log are shown at each look
LINES = 10
#: how `startedBy` of a task ends that is run with --dryrun
DRY = "-dry-run"
#: a copy takes as long as its data is large; a sync is to fit between two runs of its schedule
DAY = 24 * 3600
#: the task with its exit code and how many files it has copied and deleted; and its log
Done = tuple[dict[str, Any], list[str]]


def family(kind: str) -> str:
    return endpoint_name(kind)


def definitions(kind: str) -> list[Any]:
    """Our revisions that can be run, with their tags."""
    return [] if roles.never_made(kind, f"/{family(kind)}:") else task_definitions.of_ours("ACTIVE", family(kind))


def required_access_point(volume: str) -> Any:
    """The way to the volume; without it, or without the log group, the task would die at its start."""
    point = access_points.find().get(volume)
    if not point:
        first = "run create_cluster.py and register_task_definition.py first"
        raise Problem(f"the volume {volume} has no access point yet: {first}")
    if not log_group.find():
        raise Problem(f"there is no log group {constants.LOG_GROUP}: run register_task_definition.py first")
    return point


def mounted(volume: str, path: str = "") -> str:
    """Where the task has it."""
    return f"/mnt/{volume}/{path}".rstrip("/")


def guarded(url: str, command: str) -> str:
    """The command, unless there is no file; `aws s3 ls` of a folder without one ends with 1, of a whole bucket with 0."""
    look = shlex.join(["aws", "s3", "ls", f"{url}/"])
    nothing = shlex.join(["echo", f"no file seen in {url}: the volume stays as it is"])
    return f"{look} > /dev/null && exec {command}; {nothing}; exit 1"


def literal(text: str) -> str:
    """As a policy writes what is no wildcard and no variable.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-specialchars
    """
    return re.sub(r"[*?$]", r"${\g<0>}", text)


def listing(bucket_arn: str, prefix: str) -> dict[str, Any]:
    """The right to list that folder of that bucket."""
    lists: dict[str, Any] = {"Action": "s3:ListBucket", "Resource": bucket_arn}
    if prefix:
        lists["Condition"] = {"StringLike": {"s3:prefix": f"{literal(prefix)}*"}}
    return lists


def mounting(volume: str, point: Any) -> dict[str, Any]:
    """The right to mount that volume by its access point."""
    return access_points.rights({volume: point["FileSystemId"]}, {volume: point["AccessPointId"]})


def definition(kind: str, volume: str, point: Any, role_arn: str, script: str, read_only: bool = False) -> Any:
    """The whole request. https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html"""
    container = {
        "name": kind,
        "image": constants.SYNC_IMAGE,
        "essential": True,
        "entryPoint": ["sh", "-c"],
        "command": [script],
        "mountPoints": [{"sourceVolume": volume, "containerPath": mounted(volume), "readOnly": read_only}],
        "logConfiguration": task_definitions.logs_to(kind),
    }
    return filled(
        family=family(kind),
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        executionRoleArn=roles.find().task_execution_role_arn,
        taskRoleArn=role_arn,
        containerDefinitions=[container],
        volumes=[task_definitions.volume_of(volume, point)],
        cpu=str(CPU),
        memory=str(MEMORY),
        runtimePlatform={"operatingSystemFamily": "LINUX", "cpuArchitecture": constants.CPU_ARCHITECTURE or "X86_64"},
    )


def placement(group_ids: list[str]) -> dict[str, Any]:
    """Where tasks with an address of their own are, or hosts: in a group that the mount targets let in."""
    known = security_groups.find()
    return task_security_group.placement(group_ids or known.task_ids or known.host_ids, fargate=True)


def run(kind: str, definition_arn: str, where: Any, marked: str, newest: datetime | None, instead: str = "") -> Done:
    """One copy, to its end. One that runs already is waited for: two at a time delete each other's unfinished files.

    It is taken for this one if it is the same, and has missed nothing. `newest`: when the source was changed last; None
    when this run has done so just now. `instead`: another command than the definition's.
    """
    while under_way := changing(seen := tasks.all_of(family=family(kind))):
        for task in under_way:
            same = task.get("startedBy") == marked and task["taskDefinitionArn"] == definition_arn
            if same and newest and newest < task["createdAt"]:
                say("found", f"task {tasks.task_id(task['taskArn'])}", f"a {kind} that runs already")
                return follow(kind, task["taskArn"])
            wait_for_earlier(kind, task)
    return follow(kind, start(kind, definition_arn, where, marked, seen, instead))


def wait_for_others(kind: str, marked: str) -> None:
    """Until none but the same one goes on: what another one may would be taken from it."""
    for task in [each for each in changing(tasks.all_of(family=family(kind))) if each.get("startedBy") != marked]:
        wait_for_earlier(kind, task)


def wait_for_earlier(kind: str, task: Any) -> None:
    task_id = tasks.task_id(task["taskArn"])
    say("found", f"task {task_id}", f"a {kind} that began earlier; it must end first")
    wait(f"task {task_id} to end", functools.partial(ended, task["taskArn"]), lambda: "it still runs", seconds(kind))


def changing(seen: list[Any]) -> list[Any]:
    """Those of these tasks that change something, and go on."""
    return [task for task in seen if tasks.goes_on(task) and not task.get("startedBy", "").endswith(DRY)]


def seconds(kind: str) -> float:
    return DAY if kind == "copy" else 0


def start(kind: str, definition_arn: str, where: Any, marked: str, seen: list[Any], instead: str = "") -> str:
    """Start the task, with a command `instead` of its own. `seen`: the tasks at the look that found none under way.

    The same call after the same look starts no second one, as in run_task.py.
    """
    known = [task["taskArn"] for task in seen if task.get("startedBy") == marked]
    request: Any = {
        "cluster": constants.CLUSTER_NAME,
        "taskDefinition": definition_arn,
        "count": 1,
        "launchType": "FARGATE",
        "networkConfiguration": where,
        "startedBy": marked,
        "propagateTags": "TASK_DEFINITION",
        "enableECSManagedTags": True,
        "clientToken": aws.token(definition_arn, sorted(known), marked, instead),
    }
    if instead:
        request["overrides"] = {"containerOverrides": [{"name": kind, "command": [instead]}]}
    answer = tasks.run(request)
    if answer["failures"] or not answer["tasks"]:
        raise Problem(f"the {kind} was not started: {diagnosis.why_not_started(answer['failures'])}")
    [task] = answer["tasks"]
    say("started", f"task {tasks.task_id(task['taskArn'])}", instead or f"the {kind}")
    return str(task["taskArn"])


def ended(task_arn: str) -> Any | None:
    return next((task for task in tasks.describe([task_arn]) if task["lastStatus"] == "STOPPED"), None)


class Log:
    """What the container writes, as it comes."""

    def __init__(self, kind: str, task_arn: str) -> None:
        stream = f"{kind}/{kind}/{tasks.task_id(task_arn)}"
        self.request: Any = {"logGroupName": constants.LOG_GROUP, "logStreamName": stream, "startFromHead": True}
        self.lines: list[str] = []

    def show(self) -> None:
        """Read on, until AWS gives the same token again, and show the last lines of what is new."""
        read, before = call(client("logs").get_log_events, gone="ResourceNotFoundException"), len(self.lines)
        while (page := read(**self.request)) and page["nextForwardToken"] != self.request.get("nextToken"):
            self.request["nextToken"] = page["nextForwardToken"]
            self.lines += [event["message"] for event in page["events"]]
        new = self.lines[before:]
        if len(new) > LINES:
            say("log:", f"{len(new) - LINES} more lines, and")
        for line in new[-LINES:]:
            say("log:", line)


def told(lines: list[str], *words: str) -> list[str]:
    """What the AWS CLI has said that it did, or would have done: download, upload, delete."""
    plain = [line.removeprefix("(dryrun) ").partition(": ") for line in lines]
    return [what for word, _, what in plain if word in words]


def follow(kind: str, task_arn: str) -> Done:
    """Wait for the task's end, and show its log meanwhile: what it copied and deleted. One that failed is told."""
    log = Log(kind, task_arn)

    def look() -> Any:
        task = ended(task_arn)
        log.show()
        return task

    def why() -> str:
        return "; ".join(diagnosis.why(task) or "it still runs" for task in tasks.describe([task_arn]))

    task = wait(f"task {tasks.task_id(task_arn)} to end", look, why, seconds(kind))
    exit_code = next((each["exitCode"] for each in task["containers"] if "exitCode" in each), None)
    moved = "downloaded" if kind == "sync" else "copied"
    counts = {moved: len(told(log.lines, "download", "upload")), "deleted": len(told(log.lines, "delete"))}
    result = {"taskArn": task_arn, "exitCode": exit_code, **counts}
    if exit_code != 0:
        shown = "".join(f"\n  log: {line}" for line in log.lines[-LINES:])
        sentence = f"the {kind} failed: task {tasks.task_id(task_arn)} stopped: {diagnosis.why(task, log.lines)}{shown}"
        raise Problem(sentence, result, aws.FAILED if exit_code is None else aws.TASK_FAILED)
    return result, log.lines


def delete(kind: str, present: list[Any]) -> None:
    """Stop what runs, then the task definition, and last the role. What is on the volume and in the bucket stays."""
    if not roles.role(kind)() and not present:
        return
    tasks.end(f"the {kind} is being deleted", family=family(kind))
    task_definitions.delete(family(kind), present)
    if roles.role(kind)():
        roles.delete_role(kind)


def left_over(kind: str, present: list[Any]) -> list[aws.Resource]:
    registered = [*task_definitions.as_resources(present), *roles.roles_left(kind)]
    return [*(tasks.left(family=family(kind)) if registered else []), *registered]
