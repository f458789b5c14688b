"""Task definitions: what RegisterTaskDefinition refuses, revisions, and their way out (INACTIVE, then deleted).

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html
"""

from __future__ import annotations

import copy
import re

from emulator.core import partitions, rules
from emulator.core.rules import AwsError, Call, Params, on
from emulator.core.world import ACCOUNT, World
from emulator.ecs.placement import size
from emulator.ecs.state import (
    Item,
    Region,
    arn,
    checked_tags,
    client_error,
    definition_name,
    here,
    invalid,
    page,
    short,
)

rules.SENTENCES.update(
    {
        "ecs-030": "Every RegisterTaskDefinition makes a new revision, also of what is there already.",
        "ecs-031": "Fargate takes only the listed pairs of task cpu and memory.",
        "ecs-032": "Fargate needs awsvpc, and has neither host paths nor privileged containers.",
        "ecs-033": "A task definition for Fargate can not ask for a GPU.",
        "ecs-034": "A GPU requirement is a count, ALL, a fraction, or a sharing strategy; one way for the whole task.",
        "ecs-035": "An EFS access point needs transit encryption and the root directory; IAM needs the encryption too. "
        "Where no root directory is given, a definition is shown with /.",
        "ecs-036": "Containers need a memory figure, of 6 MiB at least, that fits into the task's.",
        "definition-003": "Fargate takes of ulimits only nofile, adds no capability but SYS_PTRACE, and kills after 120 s at "
        "the most.",
        "definition-004": "A health check has its ranges, a ulimit no soft limit above the hard one, a tmpfs a size, and a "
        "container ten files of variables at the most, which end with .env.",
        "definition-005": "The awslogs driver takes no option that it does not know; a registry's credentials and files of "
        "variables need an execution role.",
        "ecs-037": "In awsvpc and host mode the host port is the container port; without a network there is none.",
        "ecs-039": "A deregistered revision still starts tasks for up to 10 minutes, and then no more.",
        "ecs-040": "Only INACTIVE revisions are deleted, ten a call; they stay DELETE_IN_PROGRESS while in use.",
    }
)

NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
#: Fargate's task cpu -> (least memory, most memory, step) in MiB, besides 256's own list
FARGATE_MEMORY = {
    512: (1024, 4096, 1024),
    1024: (2048, 8192, 1024),
    2048: (4096, 16384, 1024),
    4096: (8192, 30720, 1024),
    8192: (16384, 61440, 4096),
    16384: (32768, 122880, 8192),
}
FARGATE_LOG_DRIVERS = ("awslogs", "splunk", "awsfirelens")
KEPT = (
    "taskRoleArn",
    "executionRoleArn",
    "networkMode",
    "requiresCompatibilities",
    "pidMode",
    "ipcMode",
    "proxyConfiguration",
    "inferenceAccelerators",
    "ephemeralStorage",
    "runtimePlatform",
    "enableFaultInjection",
    "trustedExecutionConfiguration",
)
DELETED_AFTER = 60
STILL_ACCEPTED = 600  # seconds for which a deregistered revision still starts tasks


# ------------------------------------------------------------------------------------------------ what is refused


def fargate_pair(cpu: int, memory: int) -> bool:
    """Does Fargate have this size?

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
    """
    if cpu == 256:
        return memory in (512, 1024, 2048)
    if cpu not in FARGATE_MEMORY:
        return False
    least, most, step = FARGATE_MEMORY[cpu]
    return least <= memory <= most and (memory - least) % step == 0


def _check(params: Params) -> None:
    containers = params.get("containerDefinitions") or []
    if not NAME.fullmatch(params.get("family") or ""):
        raise client_error(
            "Family should not be null or empty, and may hold up to 255 letters, numbers, underscores, and hyphens."
        )
    if not containers:
        raise client_error("Container list cannot be empty.")
    if len(containers) > 10:
        raise client_error("A task definition can hold at most 10 container definitions.")
    for compatibility in params.get("requiresCompatibilities") or []:
        if compatibility not in ("EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"):
            raise client_error(f"Invalid requiresCompatibilities value: {compatibility}.")
    for container in containers:
        _check_container(params, container)
    names = [container["name"] for container in containers]
    if len(set(names)) < len(names):
        raise client_error("Container names must be unique within a task definition.")
    if not any(container.get("essential", True) for container in containers):
        raise client_error("Task definition does not have an essential container.")
    _check_dependencies(containers)
    _check_volumes(params)
    _check_gpus(params)
    fargate = "FARGATE" in (params.get("requiresCompatibilities") or [])
    if fargate:
        _check_fargate(params)
    _check_sizes(params)
    _check_roles(params)


def _check_container(params: Params, container: Item) -> None:
    name = container.get("name")
    if not name or not NAME.fullmatch(name):
        raise client_error("Container.name should not be null or empty, and holds letters, numbers, _ and - only.")
    if not (container.get("image") or "").strip():
        raise client_error("Container.image should not be null or empty.")
    mode = params.get("networkMode") or "bridge"
    if mode == "none" and container.get("portMappings"):
        raise client_error("Port mappings are not supported when networkMode=none.")
    for mapping in container.get("portMappings") or []:
        if "containerPort" not in mapping and "containerPortRange" not in mapping:
            raise client_error("PortMapping.containerPort should not be null.")
        port, host = mapping.get("containerPort", 1), mapping.get("hostPort")
        if not 1 <= port <= 65535 or not 0 <= (host or 0) <= 65535:
            raise client_error(f"Invalid port mapping for container '{name}': ports are numbers from 1 to 65535.")
        if mode in ("awsvpc", "host") and host not in (None, port):
            raise client_error(
                f"When networkMode={mode}, the host ports and container ports in port mappings must match."
            )
    if mode == "awsvpc" and container.get("links"):
        raise client_error("Links are not supported when networkMode=awsvpc.")
    _check_limits(container)
    _check_start_up(params, container)


#: member of healthCheck -> least, most: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_HealthCheck.html
HEALTH_RANGES = {"interval": (5, 300), "timeout": (2, 60), "retries": (1, 10), "startPeriod": (0, 300)}
#: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_LogConfiguration.html
AWSLOGS = {
    *("group", "region", "stream-prefix", "create-group", "datetime-format", "multiline-pattern", "endpoint"),
    *("credentials-endpoint", "force-flush-interval-seconds", "format", "stream", "tag"),
}


def _check_limits(container: Item) -> None:
    """Messages are AWS's where one was reported (tmpfs: aws/amazon-ecs-agent#2226); of the others only the refusal is."""
    check, name = container.get("healthCheck"), container["name"]
    if check is not None:
        command = check.get("command") or []
        if command[:1] not in (["CMD"], ["CMD-SHELL"], ["NONE"]) or (command != ["NONE"] and not command[1:]):
            raise client_error(f"Health check command of container '{name}' must begin with CMD, CMD-SHELL or NONE.")
        for key, (least, most) in HEALTH_RANGES.items():
            if not least <= check.get(key, least) <= most:
                raise client_error(f"Health check {key} must be between {least} and {most}.")
    for limit in container.get("ulimits") or []:
        soft, hard = limit["softLimit"], limit["hardLimit"]
        if hard != -1 and (soft > hard or soft == -1):
            raise client_error(f"Invalid ulimit '{limit['name']}': the soft limit is greater than the hard limit.")
    for mount in (container.get("linuxParameters") or {}).get("tmpfs") or []:
        if mount["size"] < 1:
            raise client_error(
                "The container has an invalid tmpfs size value specified. It must be a non-zero, non-negative integer."
            )


def _check_start_up(params: Params, container: Item) -> None:
    files = container.get("environmentFiles") or []
    if len(files) > 10:
        raise client_error("A container can have at most 10 environment files.")
    if any(not each["value"].endswith(".env") for each in files):
        raise client_error("An environment file must have the .env file extension.")
    if (files or container.get("repositoryCredentials")) and not params.get("executionRoleArn"):
        raise client_error(
            "When you are specifying environment files or repository credentials, you must also specify a value for "
            "'executionRoleArn'."
        )
    logging = container.get("logConfiguration") or {}
    if logging.get("logDriver") == "awslogs":
        known = {"mode", "max-buffer-size", "tag", *(f"awslogs-{each}" for each in AWSLOGS)}
        if unknown := sorted({*(logging.get("options") or {})} - known):
            raise client_error(f"Log driver awslogs disallows options: {', '.join(unknown)}.")


def _check_dependencies(containers: list[Item]) -> None:
    known = {container["name"]: container for container in containers}
    for container in containers:
        for dependency in container.get("dependsOn") or []:
            other = known.get(dependency["containerName"])
            condition = dependency["condition"]
            if other is None:
                raise client_error(
                    f"Container '{container['name']}' depends on container '{dependency['containerName']}', "
                    "which does not exist in the task definition."
                )
            if condition in ("COMPLETE", "SUCCESS") and other.get("essential", True):
                raise client_error(
                    f"A container with the dependency condition {condition} on it can not be essential: "
                    f"'{other['name']}'."
                )
            if condition == "HEALTHY" and not other.get("healthCheck"):
                raise client_error(f"Container '{other['name']}' has no healthCheck to be HEALTHY by.")
            if condition not in ("START", "COMPLETE", "SUCCESS", "HEALTHY"):
                raise client_error(f"Invalid dependency condition: {condition}.")
    done: set[str] = set()
    while ready := [
        name
        for name, container in known.items()
        if name not in done and all(one["containerName"] in done for one in container.get("dependsOn") or [])
    ]:
        done.update(ready)
    if len(done) < len(known):
        raise client_error("Container dependencies contain a cycle.")


def _check_volumes(params: Params) -> None:
    volumes = params.get("volumes") or []
    names = [volume.get("name") for volume in volumes]
    if any(not NAME.fullmatch(name or "") for name in names):
        raise client_error("Volume.name should not be null or empty.")
    if len(set(names)) < len(names):
        raise client_error("Volume names must be unique within a task definition.")
    for volume in volumes:
        kinds = [key for key in ("host", "dockerVolumeConfiguration", "efsVolumeConfiguration") if volume.get(key)]
        if len(kinds) > 1:
            raise client_error(f"Only one of {' and '.join(kinds)} can be given for volume '{volume['name']}'.")
        if "efsVolumeConfiguration" in volume:
            _check_efs(volume["efsVolumeConfiguration"])
    for container in params["containerDefinitions"]:
        for mount in container.get("mountPoints") or []:
            if mount.get("sourceVolume") not in names:
                raise client_error(f"Unknown volume '{mount.get('sourceVolume')}'.")
            if not mount.get("containerPath"):
                raise client_error("MountPoint.containerPath should not be null or empty.")


def _check_efs(efs: Item) -> None:
    encrypted = efs.get("transitEncryption") == "ENABLED"
    authorization = efs.get("authorizationConfig") or {}
    if not re.fullmatch(r"fs-[0-9a-f]+", efs.get("fileSystemId") or ""):
        raise client_error("Invalid EFS file system id: EFSVolumeConfiguration.fileSystemId.")
    if authorization.get("accessPointId"):
        if not encrypted:
            raise client_error("Transit encryption must be enabled when an EFS access point is used.")
        if efs.get("rootDirectory", "/") not in ("", "/"):
            raise client_error("Root directory must be omitted or '/' when an EFS access point is used.")
    if authorization.get("iam") == "ENABLED" and not encrypted:
        raise client_error("Transit encryption must be enabled when EFS IAM authorization is used.")
    if efs.get("transitEncryptionPort") and not encrypted:
        raise client_error("Transit encryption must be enabled when a transit encryption port is given.")


def _check_gpus(params: Params) -> None:
    ways: set[str] = set()
    for container in params["containerDefinitions"]:
        requirements = container.get("resourceRequirements") or []
        gpus = [requirement for requirement in requirements if requirement.get("type") == "GPU"]
        if len(gpus) > 1:
            raise client_error(f"Container '{container['name']}' has more than one GPU resource requirement.")
        ways |= {gpu_way(requirement) for requirement in gpus}
    if len(ways) > 1:
        raise client_error("All containers of a task that request GPUs must use the same option.")
    if "sharing" in ways and "EXTERNAL" in (params.get("requiresCompatibilities") or []):
        raise client_error("GPU sharing is not supported for tasks that require EXTERNAL compatibility.")


def gpu_way(requirement: Item) -> str:
    """How a GPU is asked for: count, all, fraction or sharing; what is none of them is refused."""
    value, sharing = requirement.get("value"), requirement.get("sharingStrategy")
    if sharing is not None:
        mps = sharing.get("nvidiaMps") or {}
        if value:
            raise client_error("Specify either value or sharingStrategy for a GPU resource requirement, not both.")
        if int(mps.get("memory") or 0) < 1 or not 1 <= int(mps.get("maxComputePercent") or 100) <= 100:
            raise client_error("Invalid sharingStrategy: nvidiaMps needs a memory of at least 1 MiB, and 1 to 100 %.")
        return "sharing"
    if value == "ALL":
        return "all"
    if value and re.fullmatch(r"[1-9]\d*", value):
        return "count"
    if value and re.fullmatch(r"0?\.\d*[1-9]\d*", value):
        return "fraction"
    raise client_error(
        "Invalid GPU resource requirement: the value must be a positive integer, ALL, or a fraction of one GPU."
    )


def _check_fargate(params: Params) -> None:
    containers = params["containerDefinitions"]
    requirements = [one for container in containers for one in container.get("resourceRequirements") or []]
    if any(requirement.get("type") == "GPU" for requirement in requirements):
        raise client_error("Tasks using the Fargate launch type do not support GPU resource requirements.")
    if params.get("networkMode") != "awsvpc":
        raise client_error("Fargate only supports network mode ‘awsvpc’.")
    for key in ("cpu", "memory"):
        if not params.get(key):
            raise client_error(f"Fargate requires that '{key}' be defined at the task level.")
    if not fargate_pair(size(params["cpu"], 1024), size(params["memory"], 1024)):
        raise client_error("No Fargate configuration exists for given values.")
    for volume in params.get("volumes") or []:
        if (volume.get("host") or {}).get("sourcePath"):
            raise client_error("Fargate compatible task definitions do not support sourcePath")
        if volume.get("dockerVolumeConfiguration"):
            raise client_error("Fargate compatible task definitions do not support dockerVolumeConfiguration")
    storage = (params.get("ephemeralStorage") or {}).get("sizeInGiB")
    if storage is not None and not 21 <= storage <= 200:
        raise client_error("Ephemeral storage size must be between 21 and 200 GiB.")
    if params.get("placementConstraints"):
        raise client_error("Fargate compatible task definitions do not support placementConstraints.")
    if params.get("ipcMode") or params.get("pidMode") == "host":
        raise client_error("Fargate compatible task definitions do not support ipcMode or pidMode=host.")
    for container in containers:
        _check_fargate_container(params, container)


def _check_fargate_container(params: Params, container: Item) -> None:
    if container.get("privileged"):
        raise client_error("Fargate compatible task definitions do not support privileged containers.")
    linux = container.get("linuxParameters") or {}
    for key in ("devices", "sharedMemorySize", "maxSwap", "swappiness"):
        if linux.get(key):
            raise client_error("Fargate compatible task definitions do not support devices or sharedMemorySize.")
    if added := {*((linux.get("capabilities") or {}).get("add") or [])} - {"SYS_PTRACE"}:
        raise client_error(
            f"Fargate compatible task definitions do not support adding the capabilities {sorted(added)}."
        )
    if any(limit["name"] != "nofile" for limit in container.get("ulimits") or []):
        raise client_error("Fargate compatible task definitions only support the ulimit nofile.")
    if not 2 <= container.get("stopTimeout", 30) <= 120:
        raise client_error("Fargate compatible task definitions support a stopTimeout between 2 and 120 seconds.")
    for key in ("disableNetworking", "dnsSearchDomains", "dnsServers", "dockerSecurityOptions", "extraHosts", "links"):
        if container.get(key):
            raise client_error(f"Fargate compatible task definitions do not support {key}.")
    logging = container.get("logConfiguration")
    if logging and logging.get("logDriver") not in FARGATE_LOG_DRIVERS:
        raise client_error(f"Fargate does not support log driver {logging.get('logDriver')}.")
    if logging and logging["logDriver"] == "awslogs":
        options = logging.get("options") or {}
        missing = [
            f"awslogs-{key}" for key in ("region", "group", "stream-prefix") if not options.get(f"awslogs-{key}")
        ]
        if missing:
            raise client_error(f"Log driver awslogs requires options: {', '.join(missing)}.")
        if not params.get("executionRoleArn"):
            raise client_error(
                "Fargate requires task definition to have execution role ARN to support log driver awslogs."
            )
    if ".dkr.ecr." in container["image"] and not params.get("executionRoleArn"):
        raise client_error("Fargate requires task definition to have execution role ARN to support ECR images.")


def _check_sizes(params: Params) -> None:
    task_memory, task_cpu = size(params.get("memory"), 1024), size(params.get("cpu"), 1024)
    if (params.get("memory") and not task_memory) or (params.get("cpu") and not task_cpu):
        raise client_error(
            "Invalid setting for the task: cpu and memory are numbers, or texts such as '1 vCPU', '2 GB'."
        )
    reserved = 0
    for container in params["containerDefinitions"]:
        name, hard, soft = container["name"], container.get("memory"), container.get("memoryReservation")
        if hard is None and soft is None and not task_memory:
            raise client_error(
                f"Invalid setting for container '{name}'. At least one of 'memory' or 'memoryReservation' "
                "must be specified."
            )
        if (hard is not None and hard < 6) or (soft is not None and soft < 6):
            raise client_error(f"Invalid setting for container '{name}'. The memory must be at least 6 MiB.")
        if hard is not None and soft is not None and hard <= soft:
            raise client_error(
                f"Invalid setting for container '{name}'. 'memory' must be greater than 'memoryReservation'."
            )
        if task_memory and (hard or 0) > task_memory:
            raise client_error(f"The 'memory' setting for container '{name}' is greater than for the task.")
        reserved += soft or hard or 0
    if task_memory and reserved > task_memory:
        raise client_error("The memory reserved by all containers is greater than the 'memory' setting for the task.")
    if task_cpu and sum(container.get("cpu") or 0 for container in params["containerDefinitions"]) > task_cpu:
        raise client_error("The 'cpu' of all containers is greater than the 'cpu' setting for the task.")


def _check_roles(params: Params) -> None:
    for key in ("taskRoleArn", "executionRoleArn"):
        role = params.get(key)
        if role and not re.fullmatch(r"arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+|[\w+=,.@-]{1,64}", role):
            raise client_error("Role is not valid")
    if any(container.get("secrets") for container in params["containerDefinitions"]) and not params.get(
        "executionRoleArn"
    ):
        raise client_error(
            "When you are specifying container secrets, you must also specify a value for 'executionRoleArn'."
        )


# ------------------------------------------------------------------------------------------------ how it is kept


def _normal(container: Item, mode: str) -> Item:
    """A container definition as it is shown: with AWS's defaults filled in."""
    normal: Item = {
        "cpu": 0,
        "portMappings": [],
        "essential": True,
        "environment": [],
        "mountPoints": [],
        "volumesFrom": [],
        "systemControls": [],
        **copy.deepcopy(container),
    }
    if normal.get("healthCheck"):
        normal["healthCheck"] = {"interval": 30, "timeout": 5, "retries": 3, **normal["healthCheck"]}
    for mapping in normal["portMappings"]:
        mapping.setdefault("protocol", "tcp")
        if "containerPort" in mapping:
            mapping["hostPort"] = mapping["containerPort"] if mode in ("awsvpc", "host") else mapping.get("hostPort", 0)
    return normal


def _normal_volume(volume: Item) -> Item:
    """A volume as it is shown: one of EFS with its root directory.

    https://github.com/CircleCI-Public/aws-ecs-orb/issues/105
    """
    normal: Item = copy.deepcopy(volume)
    if efs := normal.get("efsVolumeConfiguration"):
        efs["rootDirectory"] = efs.get("rootDirectory") or "/"
    return normal


def compatibilities(definition: Item) -> list[str]:
    """On what a definition could run."""
    mode = definition.get("networkMode") or "bridge"
    asked = definition.get("requiresCompatibilities") or []
    if mode != "awsvpc":
        return ["EXTERNAL", "EC2", *(["MANAGED_INSTANCES"] if mode == "host" else [])]
    found = ["EC2", "MANAGED_INSTANCES"]
    try:
        _check_fargate(definition)
    except AwsError:
        return found
    return [*found, "FARGATE"] if not asked or "FARGATE" in asked else found


def required_attributes(definition: Item) -> list[Item]:
    """What the agent of an instance must be able to do for this definition."""
    names: set[str] = set()
    if definition.get("taskRoleArn"):
        names.add("com.amazonaws.ecs.capability.task-iam-role")
    if definition.get("networkMode") == "awsvpc":
        names.add("ecs.capability.task-eni")
    if definition.get("memory") or definition.get("cpu"):
        names.add("ecs.capability.task-cpu-mem-limit")
    for volume in definition.get("volumes", []):
        if "efsVolumeConfiguration" in volume:
            names.add("ecs.capability.efs")
    for container in definition["containerDefinitions"]:
        names |= _attributes_of(container, bool(definition.get("executionRoleArn")))
    names.add("com.amazonaws.ecs.capability.docker-remote-api.1.18")
    return [{"name": name} for name in sorted(names)]


def _attributes_of(container: Item, execution_role: bool) -> set[str]:
    names: set[str] = set()
    if logging := container.get("logConfiguration"):
        names.add(f"com.amazonaws.ecs.capability.logging-driver.{logging.get('logDriver')}")
        if execution_role and logging.get("logDriver") == "awslogs":
            names.add("ecs.capability.execution-role-awslogs")
    if ".dkr.ecr." in container["image"]:
        names.add("com.amazonaws.ecs.capability.ecr-auth")
        if execution_role:
            names.add("ecs.capability.execution-role-ecr-pull")
    if container.get("healthCheck"):
        names.add("ecs.capability.container-health-check")
    if container.get("dependsOn"):
        names.add("ecs.capability.container-ordering")
    if container.get("secrets"):
        names.add("ecs.capability.secrets.asm.environment-variables")
    if container.get("privileged"):
        names.add("com.amazonaws.ecs.capability.privileged-container")
    if any(one.get("sharingStrategy") for one in container.get("resourceRequirements", [])):
        names.add("ecs.capability.gpu-sharing-mps")
    return names


@on(
    "ecs",
    "RegisterTaskDefinition",
    rules="ecs-030 ecs-031 ecs-032 ecs-033 ecs-034 ecs-035 ecs-036 ecs-037 definition-003 definition-004 definition-005",
)
def register_task_definition(call: Call) -> Params:
    params = call.params
    _check(params)
    tags = checked_tags(params.get("tags"))
    region = here(call)
    family = params["family"]
    revision = region.last_revision[family] = region.last_revision.get(family, 0) + 1
    mode = params.get("networkMode") or "bridge"
    definition: Item = {
        "taskDefinitionArn": arn(call.region, "task-definition", f"{family}:{revision}"),
        "containerDefinitions": [_normal(one, mode) for one in params["containerDefinitions"]],
        "family": family,
        **{key: copy.deepcopy(params[key]) for key in KEPT if params.get(key) is not None},
        "revision": revision,
        "volumes": [_normal_volume(volume) for volume in params.get("volumes") or []],
        "status": "ACTIVE",
        "placementConstraints": copy.deepcopy(params.get("placementConstraints") or []),
        "registeredAt": call.world.timestamp(),
        "registeredBy": f"arn:{partitions.here()}:iam::{ACCOUNT}:user/emulator",
    }
    for key in ("cpu", "memory"):
        if params.get(key):
            definition[key] = str(size(params[key], 1024))
    definition["requiresAttributes"] = required_attributes(definition)
    definition["compatibilities"] = compatibilities(definition)
    region.definitions.setdefault(family, {})[revision] = definition
    region.definition_tags[definition["taskDefinitionArn"]] = tags
    return {"taskDefinition": definition, "tags": tags}


# ------------------------------------------------------------------------------------------------ finding


def find(region: Region, name: str) -> Item | None:
    """A definition by family (its latest ACTIVE revision), family:revision or ARN."""
    if name.startswith("arn:") and f":ecs:{region.name}:" not in name:
        return None
    family, _, revision = short(name).partition(":")
    revisions = region.definitions.get(family, {})
    if revision:
        return revisions.get(int(revision)) if revision.isdigit() else None
    active = [number for number, one in revisions.items() if one["status"] == "ACTIVE"]
    return revisions[max(active)] if active else None


def runnable(call: Call, name: str) -> Item:
    """The definition that a task or service is to start from."""
    definition = find(here(call), name)
    if definition is None:
        raise client_error("TaskDefinition not found.")
    if definition["status"] == "DELETE_IN_PROGRESS":
        raise client_error("TaskDefinition is inactive")
    if definition["status"] == "INACTIVE":
        age = call.world.now() - definition["deregisteredAt"].timestamp()
        if age >= call.world.clock.delay(STILL_ACCEPTED):
            raise client_error("TaskDefinition is inactive")
    return definition


@on("ecs", "DescribeTaskDefinition")
def describe_task_definition(call: Call) -> Params:
    definition = find(here(call), call.params.get("taskDefinition") or "")
    if definition is None:
        raise client_error("Unable to describe task definition.")
    answer: Params = {"taskDefinition": definition}
    if "TAGS" in (call.params.get("include") or []):
        answer["tags"] = here(call).definition_tags[definition["taskDefinitionArn"]]
    return answer


@on("ecs", "ListTaskDefinitions")
def list_task_definitions(call: Call) -> Params:
    """familyPrefix is the whole family name here, whatever it is called."""
    region, family = here(call), call.params.get("familyPrefix")
    status = call.params.get("status") or "ACTIVE"
    families = [family] if family else sorted(region.definitions)
    arns = [
        definition["taskDefinitionArn"]
        for name in families
        for _, definition in sorted(region.definitions.get(name, {}).items())
        if definition["status"] == status
    ]
    if call.params.get("sort") == "DESC":
        arns.reverse()
    return page(call, arns, "taskDefinitionArns")


@on("ecs", "ListTaskDefinitionFamilies")
def list_task_definition_families(call: Call) -> Params:
    region, prefix = here(call), call.params.get("familyPrefix") or ""
    status = call.params.get("status") or "ALL"
    families = []
    for family, revisions in sorted(region.definitions.items()):
        active = any(one["status"] == "ACTIVE" for one in revisions.values())
        if family.startswith(prefix) and revisions and status in ("ALL", "ACTIVE" if active else "INACTIVE"):
            families.append(family)
    return page(call, families, "families")


# ------------------------------------------------------------------------------------------------ their end


@on("ecs", "DeregisterTaskDefinition", rules="ecs-039")
def deregister_task_definition(call: Call) -> Params:
    name = call.params.get("taskDefinition") or ""
    if ":" not in short(name):
        raise invalid("Invalid revision number. Revision number should be specified.")
    definition = find(here(call), name)
    if definition is None or definition["status"] == "DELETE_IN_PROGRESS":
        raise client_error("The specified task definition does not exist.")
    if definition["status"] == "ACTIVE":
        definition["status"] = "INACTIVE"
        definition["deregisteredAt"] = call.world.timestamp()
    return {"taskDefinition": definition}


@on("ecs", "DeleteTaskDefinitions", rules="ecs-040")
def delete_task_definitions(call: Call) -> Params:
    names = call.params.get("taskDefinitions") or []
    if not names:
        raise invalid("size of TaskDefinition references list must be greater than 0")
    if len(names) > 10:
        raise invalid("Size of TaskDefinition references list cannot exceed 10")
    region = here(call)
    deleted, failures = [], []
    for name in names:
        definition = find(region, name) if ":" in short(name) else None
        if ":" not in short(name):
            reason = "The specified task definition identifier is invalid. Specify a valid name or ARN and try again."
        elif definition is None:
            reason = (
                "The specified task definition does not exist. Specify a valid account, family, revision and try again."
            )
        elif definition["status"] == "ACTIVE":
            reason = (
                "The specified task definition is still in ACTIVE status. Please deregister the target and try again."
            )
        else:
            if definition["status"] == "INACTIVE":
                definition["status"] = "DELETE_IN_PROGRESS"
                definition["deleteRequestedAt"] = call.world.timestamp()
            deleted.append(definition)
            continue
        failed = name if name.startswith("arn:") else arn(call.region, "task-definition", name)
        failures.append({"arn": failed, "reason": reason})
    return {"taskDefinitions": deleted, "failures": failures}


def _used(region: Region, definition: Item) -> bool:
    name = definition_name(definition)
    return any(
        any(definition_name(task.definition) == name for task in cluster.active_tasks())
        or any(service.status != "INACTIVE" and service.uses(name) for service in cluster.services.values())
        for cluster in region.clusters.values()
    )


def purge_deleted(world: World) -> None:
    """Let go of revisions deleted a minute ago that no task and no service uses any more."""
    for region in world.state["ecs"].values():
        for revisions in region.definitions.values():
            for number, definition in list(revisions.items()):
                if definition["status"] != "DELETE_IN_PROGRESS":
                    continue
                due = definition["deleteRequestedAt"].timestamp() + world.clock.delay(DELETED_AFTER)
                if due > world.now():
                    world.look_at(due)
                elif not _used(region, definition):
                    del revisions[number]


def start(world: World) -> None:
    world.tickers.append(purge_deleted)


rules.STARTERS.append(start)
