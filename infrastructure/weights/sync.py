"""The one-shot task that syncs the bucket's weights to their volume on EFS: its role, its task definition, its runs.

The container is the AWS CLI's own, and its command is

    aws s3 sync s3://BUCKET/PREFIX /mnt/VOLUME --delete --exact-timestamps --no-progress

after a look whether there is anything under PREFIX: where someone has emptied it, a scheduled run would empty the volume.
Without --exact-timestamps the CLI takes a file of the same size for the same file, and new weights mostly have the size
of the old ones. Each file is written beside its place and then moved there, so that no reader meets half of one.
https://docs.aws.amazon.com/cli/latest/reference/s3/sync.html
"""

import shlex
from datetime import datetime, timezone
from typing import Any

import constants
from aws import Problem, account, client, endpoint_name, endpoint_tags, missing, partition, region, token, wait
from console import say
from infrastructure.cluster import capacity, cluster, network, roles, security_groups
from infrastructure.service import access_points, diagnosis, log_group, task_security_group, tasks
from infrastructure.weights import source_bucket

FAMILY = endpoint_name("sync")
ROLE = "sync"
CONTAINER = "sync"
STARTED_BY = f"{constants.PREFIX}/sync_weights"
DRY_RUN = f"{STARTED_BY}-dry-run"
#: on a host it takes the host's own network interface: those for tasks are few, and an endpoint has them
MODE = "awsvpc" if constants.LAUNCH_TYPE == "FARGATE" else "bridge"
#: enough for ten downloads at a time
CPU, MEMORY = 512, 1024
#: how many lines of the task's log are shown at each look
LINES = 10


def required_access_point() -> dict[str, Any]:
    """The way to the volume; without it, or without the log group, the task would die at its start."""
    point = access_points.find().get(constants.WEIGHTS_VOLUME)
    if not point:
        raise Problem(
            f"the volume {constants.WEIGHTS_VOLUME} has no access point yet: run create_cluster.py and register_task_definition.py first"
        )
    if not log_group.find():
        raise Problem(f"there is no log group {constants.LOG_GROUP}: run register_task_definition.py first")
    return point


def create(point: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The role, a revision of the task definition that is as the settings say, and the way to the file system. Free.

    Answers the revision's ARN, and where in the network its tasks run.
    """
    role_arn = roles.create_role(ROLE, roles.task_trust(), (), policy(point))
    wanted = task_definition(point, role_arn)
    wanted_tags = endpoint_tags(ROLE, "key", "value")
    found = tasks.definition(FAMILY)
    if found and all(tag in found["tags"] for tag in wanted_tags) and tasks.agree(found, wanted):
        say("found", f"task definition {tasks.task_id(found['taskDefinitionArn'])}", "nothing has changed")
    else:
        found = client("ecs").register_task_definition(**wanted, tags=wanted_tags)["taskDefinition"]
        say("registered", f"task definition {tasks.task_id(found['taskDefinitionArn'])}")
    return str(found["taskDefinitionArn"]), placement(task_security_group.create(network.required()))


def policy(point: dict[str, Any]) -> dict[str, Any]:
    """Reading that folder of that bucket, and writing through that access point; nothing else."""
    base, here = f"arn:{partition()}", f"{region()}:{account()}"
    lists: dict[str, Any] = {"Action": "s3:ListBucket", "Resource": source_bucket.arn()}
    if source_bucket.KEYS:
        lists["Condition"] = {"StringLike": {"s3:prefix": f"{source_bucket.KEYS}*"}}
    mounts = {
        "Action": ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"],
        "Resource": f"{base}:elasticfilesystem:{here}:file-system/{point['FileSystemId']}",
        "Condition": {"StringEquals": {"elasticfilesystem:AccessPointArn": point["AccessPointArn"]}},
    }
    reads = {"Action": "s3:GetObject", "Resource": f"{source_bucket.arn()}/{source_bucket.KEYS}*"}
    return roles.document(lists, reads, mounts)


def command(*flags: str) -> str:
    words = [
        "aws",
        "s3",
        "sync",
        source_bucket.SOURCE,
        f"/mnt/{constants.WEIGHTS_VOLUME}",
        "--delete",
        "--exact-timestamps",
    ]
    return shlex.join([*words, "--no-progress", *flags])


def guarded() -> str:
    """The command, unless there is no file; `aws s3 ls` of a folder without one ends with 1, of a whole bucket with 0."""
    look = shlex.join(["aws", "s3", "ls", f"{source_bucket.SOURCE}/"])
    nothing = shlex.join(["echo", f"no file seen in {source_bucket.SOURCE}: the volume stays as it is"])
    return f"{look} > /dev/null && exec {command()}; {nothing}; exit 1"


def task_definition(point: dict[str, Any], role_arn: str) -> dict[str, Any]:
    """The whole request. https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html"""
    container: dict[str, Any] = {
        "name": CONTAINER,
        "image": constants.SYNC_IMAGE,
        "essential": True,
        "entryPoint": ["sh", "-c"],
        "command": [guarded()],
        "mountPoints": [
            {
                "sourceVolume": constants.WEIGHTS_VOLUME,
                "containerPath": f"/mnt/{constants.WEIGHTS_VOLUME}",
                "readOnly": False,
            }
        ],
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": constants.LOG_GROUP,
                "awslogs-region": region(),
                "awslogs-stream-prefix": CONTAINER,
            },
        },
    }
    volume = {
        "fileSystemId": point["FileSystemId"],
        "transitEncryption": "ENABLED",
        "authorizationConfig": {"accessPointId": point["AccessPointId"], "iam": "ENABLED"},
    }
    definition: dict[str, Any] = {
        "family": FAMILY,
        "requiresCompatibilities": [constants.LAUNCH_TYPE],
        "networkMode": MODE,
        "executionRoleArn": roles.find().task_execution_role_arn,
        "taskRoleArn": role_arn,
        "containerDefinitions": [container],
        "volumes": [{"name": constants.WEIGHTS_VOLUME, "efsVolumeConfiguration": volume}],
    }
    if constants.LAUNCH_TYPE == "FARGATE":
        definition |= {"cpu": str(CPU), "memory": str(MEMORY)}
        definition["runtimePlatform"] = {"operatingSystemFamily": "LINUX", "cpuArchitecture": "X86_64"}
    else:
        container["memoryReservation"] = MEMORY
    return definition


# ------------------------------------------------------------------------------------------------------------- a run


def run(definition_arn: str, where: dict[str, Any], newest: datetime | None, erase: bool) -> dict[str, Any]:
    """One sync, to its end. One that runs already is waited for: two at a time delete each other's unfinished files.

    It is taken for this one if it is the same, and has missed nothing. `newest`: when the bucket was changed last; None
    when this run has done so just now.
    """
    for task in running():
        task_id = tasks.task_id(task["taskArn"])
        same = task.get("startedBy") == STARTED_BY and task["taskDefinitionArn"] == definition_arn
        if same and newest and newest < task["createdAt"]:
            say("found", f"task {task_id}", "a sync that runs already")
            return follow(task["taskArn"])
        say("found", f"task {task_id}", "a sync that began earlier; it must end first")
        wait(f"task {task_id} to end", lambda: ended(task["taskArn"]), lambda: "it still runs")
    return follow(start(definition_arn, where, STARTED_BY, command() if erase else ""))


def preview() -> dict[str, Any] | None:
    """The task with --dryrun, which reads and changes nothing; None while there is no such task, or no way for it."""
    found, groups = tasks.definition(FAMILY), security_groups.find().task_ids
    if not found or (MODE == "awsvpc" and not groups):
        return None
    say("found", f"task definition {tasks.task_id(found['taskDefinitionArn'])}", "run with --dryrun, for about a cent")
    return follow(start(found["taskDefinitionArn"], placement(groups), DRY_RUN, command("--dryrun")))


def running() -> list[dict[str, Any]]:
    """The syncs that are under way, whoever started them, but for those that change nothing."""
    return [task for task in tasks.find(family=FAMILY) if task.get("startedBy") != DRY_RUN]


def start(definition_arn: str, where: dict[str, Any], started_by: str, instead: str = "") -> str:
    """Start the task, with a command `instead` of its own.

    The same call at the same state of things starts no second one, as in run_task.py.
    """
    known = sorted(
        task["taskArn"] for status in ("RUNNING", "STOPPED") for task in tasks.find(status, startedBy=started_by)
    )
    hour = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H")
    request: dict[str, Any] = {
        "cluster": constants.CLUSTER_NAME,
        "taskDefinition": definition_arn,
        "count": 1,
        "capacityProviderStrategy": capacity.default_strategy(),
        "startedBy": started_by,
        "propagateTags": "TASK_DEFINITION",
        "enableECSManagedTags": True,
        "clientToken": token(definition_arn, known, started_by, instead, hour),
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


def placement(group_ids: list[str]) -> dict[str, Any]:
    """Subnets and groups, where a task has an address of its own: those of the service's tasks."""
    return tasks.network_configuration(network.required(), group_ids) if MODE == "awsvpc" else {}


def ended(task_arn: str) -> dict[str, Any] | None:
    return next((task for task in tasks.describe([task_arn]) if task["lastStatus"] == "STOPPED"), None)


class Log:
    """What the container writes, as it comes."""

    def __init__(self, task_arn: str) -> None:
        self.stream = f"{CONTAINER}/{CONTAINER}/{tasks.task_id(task_arn)}"
        self.lines: list[str] = []
        self.token = ""

    def show(self) -> None:
        """Read on, and show the last lines of what is new."""
        new: list[str] = []
        while (events := self._next()) is not None:
            new += [event["message"] for event in events]
        if len(new) > LINES:
            say("log:", f"{len(new) - LINES} more lines, and")
        for line in new[-LINES:]:
            say("log:", line)
        self.lines += new

    def _next(self) -> list[dict[str, Any]] | None:
        """The next page, which may be empty; None at the end, where AWS gives the same token again."""
        request = {"logGroupName": constants.LOG_GROUP, "logStreamName": self.stream, "startFromHead": True}
        if self.token:
            request["nextToken"] = self.token
        answer = missing(lambda: client("logs").get_log_events(**request), "ResourceNotFoundException")
        if not answer or answer["nextForwardToken"] == self.token:
            return None
        self.token = answer["nextForwardToken"]
        return list(answer["events"])

    def count(self, word: str) -> int:
        return sum(line.removeprefix("(dryrun) ").startswith(f"{word}: ") for line in self.lines)


def follow(task_arn: str) -> dict[str, Any]:
    """Wait for the task's end, and show its log meanwhile: what it downloaded and deleted. One that failed is told."""
    log = Log(task_arn)

    def look() -> dict[str, Any] | None:
        task = ended(task_arn)
        log.show()
        return task

    def why() -> str:
        return "; ".join(diagnosis.why(task) or "it still runs" for task in tasks.describe([task_arn]))

    task = wait(f"task {tasks.task_id(task_arn)} to end", look, why)
    if not task:
        return {"taskArn": task_arn}
    exit_code = next((each["exitCode"] for each in task["containers"] if "exitCode" in each), None)
    result = {
        "taskArn": task_arn,
        "exitCode": exit_code,
        "downloaded": log.count("download"),
        "deleted": log.count("delete"),
    }
    if exit_code != 0:
        told = "".join(f"\n  log: {line}" for line in log.lines[-LINES:])
        raise Problem(f"the sync failed: task {tasks.task_id(task_arn)} stopped: {diagnosis.why(task)}{told}", result)
    return result


# ------------------------------------------------------------------------------------------------------------ the end


def delete() -> None:
    """Stop what runs, then the task definition and the role. What is on the volume and in the bucket stays."""
    stop()
    tasks.delete_task_definitions(FAMILY)
    roles.delete_role(roles.role_name(ROLE))


def stop() -> None:
    if not cluster.find():
        return
    leaving = [task for task in tasks.find("STOPPED", family=FAMILY) if task["lastStatus"] != "STOPPED"]
    arns = [task["taskArn"] for task in [*tasks.find(family=FAMILY), *leaving]]
    if arns:
        tasks.stop(arns, "the sync is being deleted")


def left_over() -> list[str]:
    under_way = tasks.find(family=FAMILY) if cluster.find() else []
    return [
        *(f"task {tasks.task_id(task['taskArn'])}" for task in under_way),
        *(f"task definition {tasks.task_id(arn)}" for arn in tasks.our_definitions("ACTIVE", FAMILY)),
        *roles.roles_left(ROLE),
    ]
