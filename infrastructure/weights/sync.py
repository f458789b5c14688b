"""The one-shot task that syncs the bucket's weights to their volume on EFS: its role, its task definition, its runs.

The container is the AWS CLI's own, and its command is

    aws s3 sync s3://BUCKET/PREFIX /mnt/VOLUME --delete --exact-timestamps --no-progress

after a look whether there is anything under PREFIX: where someone has emptied it, a scheduled run would empty the volume.
Without --exact-timestamps the CLI takes a file of the same size for the same file, and new weights mostly have the size
of the old ones. Each file is written beside its place and then moved there, so that no reader meets half of one.
https://docs.aws.amazon.com/cli/latest/reference/s3/sync.html
"""

import functools
import re
import shlex
from datetime import datetime
from typing import Any

import aws
import constants
from aws import Problem, Resource, call, client, endpoint_name, wait
from console import say
from definition import filled, platform
from infrastructure.cluster import capacity, roles, security_groups
from infrastructure.service import (
    access_points,
    diagnosis,
    log_group,
    task_definitions,
    task_roles,
    task_security_group,
    tasks,
)
from infrastructure.weights import source_bucket

ROLE = "sync"
CONTAINER = "sync"
#: enough for ten downloads at a time
CPU, MEMORY = 512, 1024
#: how many lines of the task's log are shown at each look
LINES = 10


def family() -> str:
    return endpoint_name("sync")


def started_by(dry_run: bool = False) -> str:
    return f"{constants.PREFIX}/sync_weights{'-dry-run' if dry_run else ''}"


def mode() -> str:
    """On a host it takes the host's own network interface: those for tasks are few, and an endpoint has them."""
    return "awsvpc" if constants.LAUNCH_TYPE == "FARGATE" else "bridge"


@aws.look
def definitions() -> list[Any]:
    """Our revisions that can be run, with their tags."""
    return [] if roles.never_made(ROLE, f"/{family()}:") else task_definitions.of_ours("ACTIVE", family())


LOOKS = (definitions, *roles.looks(ROLE))


def named_in_full() -> list[Any]:
    """The same with their roles, which AWS's index of tags does not tell."""
    return [task_definitions.definition(each["taskDefinitionArn"]) for each in definitions()]


def required_access_point() -> Any:
    """The way to the volume; without it, or without the log group, the task would die at its start."""
    point = access_points.find().get(constants.WEIGHTS_VOLUME)
    if not point:
        first = "run create_cluster.py and register_task_definition.py first"
        raise Problem(f"the volume {constants.WEIGHTS_VOLUME} has no access point yet: {first}")
    if not log_group.find():
        raise Problem(f"there is no log group {constants.LOG_GROUP}: run register_task_definition.py first")
    return point


def create(point: Any) -> tuple[str, Any]:
    """The role, a revision of the task definition that is as the settings say, and the way to the file system. Free.

    Answers the revision's ARN, and where in the network its tasks run.
    """
    role_arn, before = roles.create_role(ROLE, roles.task_trust(), (), policy(point)), definitions()[:1]
    found = task_definitions.register(task_definition(point, role_arn), ROLE)
    task_roles.leave(ROLE, named_in_full)
    for arn in {each["taskDefinitionArn"] for each in before} - {found["taskDefinitionArn"]}:
        tell_former_volume(task_definitions.definition(arn) or {})
    return str(found["taskDefinitionArn"]), placement(task_security_group.create())


def tell_former_volume(former: Any) -> None:
    """Where the last revision filled another volume."""
    for name in [each["name"] for each in former.get("volumes", []) if each["name"] != constants.WEIGHTS_VOLUME]:
        costs = "they cost about $0.30 per GiB and month in us-east-1, until a task that mounts it deletes them"
        say("kept", f"the weights on the volume {name}", costs)


def policy(point: Any) -> dict[str, Any]:
    """Reading that folder of that bucket, and writing through that access point; nothing else."""
    lists: dict[str, Any] = {"Action": "s3:ListBucket", "Resource": source_bucket.arn()}
    if prefix := literal(source_bucket.prefix()):
        lists["Condition"] = {"StringLike": {"s3:prefix": f"{prefix}*"}}
    volume = constants.WEIGHTS_VOLUME
    mounts = access_points.rights({volume: point["FileSystemId"]}, {volume: point["AccessPointId"]})
    reads = {"Action": "s3:GetObject", "Resource": f"{source_bucket.arn()}/{prefix}*"}
    return roles.document(lists, reads, mounts)


def literal(text: str) -> str:
    """As a policy writes what is no wildcard and no variable.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-specialchars
    """
    return re.sub(r"[*?$]", r"${\g<0>}", text)


def command(*flags: str) -> str:
    what = [source_bucket.source(), f"/mnt/{constants.WEIGHTS_VOLUME}"]
    return shlex.join(["aws", "s3", "sync", *what, "--delete", "--exact-timestamps", "--no-progress", *flags])


def guarded() -> str:
    """The command, unless there is no file; `aws s3 ls` of a folder without one ends with 1, of a whole bucket with 0."""
    look = shlex.join(["aws", "s3", "ls", f"{source_bucket.source()}/"])
    nothing = shlex.join(["echo", f"no file seen in {source_bucket.source()}: the volume stays as it is"])
    return f"{look} > /dev/null && exec {command()}; {nothing}; exit 1"


def task_definition(point: Any, role_arn: str) -> Any:
    """The whole request. https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html"""
    volume = constants.WEIGHTS_VOLUME
    on_fargate = constants.LAUNCH_TYPE == "FARGATE"
    container = filled(
        name=CONTAINER,
        image=constants.SYNC_IMAGE,
        essential=True,
        entryPoint=["sh", "-c"],
        command=[guarded()],
        memoryReservation=None if on_fargate else MEMORY,
        mountPoints=[{"sourceVolume": volume, "containerPath": f"/mnt/{volume}", "readOnly": False}],
        logConfiguration=task_definitions.logs_to(CONTAINER),
    )
    return filled(
        family=family(),
        requiresCompatibilities=[constants.LAUNCH_TYPE],
        networkMode=mode(),
        executionRoleArn=roles.find().task_execution_role_arn,
        taskRoleArn=role_arn,
        containerDefinitions=[container],
        volumes=[task_definitions.volume_of(volume, point)],
        cpu=str(CPU) if on_fargate else None,
        memory=str(MEMORY) if on_fargate else None,
        runtimePlatform=platform() if on_fargate else None,
    )


def run(definition_arn: str, where: Any, newest: datetime | None, erase: bool) -> dict[str, Any]:
    """One sync, to its end. One that runs already is waited for: two at a time delete each other's unfinished files.

    It is taken for this one if it is the same, and has missed nothing. `newest`: when the bucket was changed last; None
    when this run has done so just now.
    """
    while under_way := syncs(seen := tasks.all_of(family=family())):
        for task in under_way:
            task_id = tasks.task_id(task["taskArn"])
            same = task.get("startedBy") == started_by() and task["taskDefinitionArn"] == definition_arn
            if same and newest and newest < task["createdAt"]:
                say("found", f"task {task_id}", "a sync that runs already")
                return follow(task["taskArn"])
            say("found", f"task {task_id}", "a sync that began earlier; it must end first")
            wait(f"task {task_id} to end", functools.partial(ended, task["taskArn"]), lambda: "it still runs")
    return follow(start(definition_arn, where, started_by(), seen, command() if erase else ""))


def syncs(seen: list[Any]) -> list[Any]:
    """Those of these tasks that change the volume, and go on."""
    dry = started_by(dry_run=True)
    return [task for task in seen if tasks.goes_on(task) and task.get("startedBy") != dry]


def preview() -> dict[str, Any] | None:
    """The task with --dryrun, which reads and changes nothing; None while there is no such task, or no way for it."""
    found, groups = task_definitions.definition(family()), security_groups.find().task_ids
    if not found or (mode() == "awsvpc" and not groups):
        return None
    say("found", f"task definition {tasks.task_id(found['taskDefinitionArn'])}", "run with --dryrun, for about a cent")
    where, seen = placement(groups), tasks.all_of(family=family())
    return follow(start(found["taskDefinitionArn"], where, started_by(dry_run=True), seen, command("--dryrun")))


def start(definition_arn: str, where: Any, marked: str, seen: list[Any], instead: str = "") -> str:
    """Start the task, with a command `instead` of its own. `seen`: the tasks at the look that found none under way.

    The same call after the same look starts no second one, as in run_task.py.
    """
    known = [task["taskArn"] for task in seen if task.get("startedBy") == marked]
    request: Any = {
        "cluster": constants.CLUSTER_NAME,
        "taskDefinition": definition_arn,
        "count": 1,
        "capacityProviderStrategy": capacity.default_strategy(),
        "startedBy": marked,
        "propagateTags": "TASK_DEFINITION",
        "enableECSManagedTags": True,
        "clientToken": aws.token(definition_arn, sorted(known), marked, instead),
    }
    if where:
        request["networkConfiguration"] = where
    if instead:
        request["overrides"] = {"containerOverrides": [{"name": CONTAINER, "command": [instead]}]}
    answer = tasks.run(request)
    if answer["failures"] or not answer["tasks"]:
        raise Problem(f"the sync was not started: {diagnosis.why_not_started(answer['failures'])}")
    [task] = answer["tasks"]
    say("started", f"task {tasks.task_id(task['taskArn'])}", instead or command())
    return str(task["taskArn"])


def placement(group_ids: list[str]) -> Any:
    """Subnets and groups, where a task has an address of its own: those of the service's tasks."""
    return task_security_group.placement(group_ids) if mode() == "awsvpc" else {}


def ended(task_arn: str) -> Any | None:
    return next((task for task in tasks.describe([task_arn]) if task["lastStatus"] == "STOPPED"), None)


class Log:
    """What the container writes, as it comes."""

    def __init__(self, task_arn: str) -> None:
        stream = f"{CONTAINER}/{CONTAINER}/{tasks.task_id(task_arn)}"
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

    def count(self, word: str) -> int:
        return sum(line.removeprefix("(dryrun) ").startswith(f"{word}: ") for line in self.lines)


def follow(task_arn: str) -> dict[str, Any]:
    """Wait for the task's end, and show its log meanwhile: what it downloaded and deleted. One that failed is told."""
    log = Log(task_arn)

    def look() -> Any:
        task = ended(task_arn)
        log.show()
        return task

    def why() -> str:
        return "; ".join(diagnosis.why(task) or "it still runs" for task in tasks.describe([task_arn]))

    task = wait(f"task {tasks.task_id(task_arn)} to end", look, why)
    exit_code = next((each["exitCode"] for each in task["containers"] if "exitCode" in each), None)
    counts = {"downloaded": log.count("download"), "deleted": log.count("delete")}
    result = {"taskArn": task_arn, "exitCode": exit_code, **counts}
    if exit_code != 0:
        told = "".join(f"\n  log: {line}" for line in log.lines[-LINES:])
        sentence = f"the sync failed: task {tasks.task_id(task_arn)} stopped: {diagnosis.why(task, log.lines)}{told}"
        raise Problem(sentence, result, aws.FAILED if exit_code is None else aws.TASK_FAILED)
    return result


def delete() -> None:
    """Stop what runs, then the task definition, and last the role. What is on the volume and in the bucket stays."""
    if not roles.role(ROLE)() and not definitions():
        return
    tasks.end("the sync is being deleted", family=family())
    task_definitions.delete(family(), definitions())
    if roles.role(ROLE)():
        roles.delete_role(ROLE)


def left_over() -> list[Resource]:
    registered = [*task_definitions.as_resources(definitions()), *roles.roles_left(ROLE)]
    return [*(tasks.left(family=family()) if registered else []), *registered]
