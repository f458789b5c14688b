"""A task definition as a document: read from a file, what it says, and what AWS refuses of it. Nothing here knows a setting.

A file is as the console, the AWS CLI, ecspresso or a repository has it. What is read may be anything: botocore's model of
it is asked later (aws/definition_model.py). A place in it is told as boto3 tells it: containerDefinitions[0].image.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import texts

Wrong = tuple[str, str]  # a place, and what is wrong there
CONTAINERS, LINUX = "containerDefinitions", "linuxParameters"
#: what DescribeTaskDefinition answers and RegisterTaskDefinition does not take; and the tags, which are whose it was
LEFT_OUT = {
    *("taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt"),
    *("registeredBy", "deregisteredAt", "deleteRequestedAt", "tags"),
}
#: settings of a health check as AWS fills them in: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_HealthCheck.html
HEALTH_CHECK = {"interval": 30, "timeout": 5, "retries": 3, "startPeriod": 0}
#: member of a container, or of it and of one below -> lowest, highest
RANGES = {
    ("healthCheck", "interval"): (5, 300),
    ("healthCheck", "timeout"): (2, 60),
    ("healthCheck", "retries"): (1, 10),
    ("healthCheck", "startPeriod"): (0, 300),
    ("memory",): (6, 2**31 - 1),
    ("memoryReservation",): (6, 2**31 - 1),
}
#: what Fargate does not have, of the whole and of a container
#: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
NOT_ON_FARGATE = ("ipcMode", "placementConstraints", "inferenceAccelerators")
NOT_IN_ITS_CONTAINERS = (
    *("disableNetworking", "dnsSearchDomains", "dnsServers", "dockerSecurityOptions", "extraHosts", "links"),
    "privileged",
)
#: tmpfs is there since January 2026: https://aws.amazon.com/about-aws/whats-new/2026/01/amazon-ecs-tmpfs-mounts-aws-fargate-managed-instances/
NOT_IN_ITS_LINUX = ("devices", "sharedMemorySize", "maxSwap", "swappiness")
#: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_LogConfiguration.html, and Docker's own
AWSLOGS = {
    *("mode", "max-buffer-size", "awslogs-group", "awslogs-region", "awslogs-stream-prefix", "awslogs-create-group"),
    *("awslogs-datetime-format", "awslogs-multiline-pattern", "awslogs-endpoint", "awslogs-credentials-endpoint"),
    *("awslogs-force-flush-interval-seconds", "awslogs-format", "awslogs-stream", "awslogs-tag", "tag"),
}
AWSLOGS_ON_FARGATE = ("awslogs-group", "awslogs-region", "awslogs-stream-prefix")
ROLE = r"arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+|[\w+=,.@-]{1,64}"
LOG_DRIVERS = ("awslogs", "splunk", "awsfirelens")
#: seconds: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html. It names no most for EC2,
#: where 600 was registered: https://github.com/aws/amazon-ecs-agent/issues/2886
FARGATE_STOP_TIMEOUT = (2, 120)
#: GiB: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-storage.html
EPHEMERAL_STORAGE = (21, 200)
MOST_CONTAINERS, MOST_ENVIRONMENT_FILES = 10, 10


# ------------------------------------------------------------------------------------------------------------- reading


def read(path: Path) -> dict[str, Any]:
    """What it says to RegisterTaskDefinition: without what only AWS says, and without null."""
    try:
        found = json.loads(texts.decoded(path.read_bytes()))
    except json.JSONDecodeError as error:
        raise ValueError(f"is no JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"can't be read: {getattr(error, 'strerror', '') or error}") from None
    if isinstance(found, dict) and isinstance(found.get("taskDefinition"), dict):
        found = found["taskDefinition"]  # as `aws ecs describe-task-definition` answers
    if not isinstance(found, dict):
        raise ValueError(f'is no task definition: it begins with {{ and has "{CONTAINERS}"')
    return {key: value for key, value in without_null(found).items() if key not in LEFT_OUT}


def without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_null(each) for key, each in value.items() if each is not None}
    return [without_null(each) for each in value] if isinstance(value, list) else value


def dicts(value: Any, key: str = "") -> list[dict[str, Any]]:
    """The objects of a list, or of that member's list; whatever else is there is botocore's model's to tell."""
    found = value.get(key) if key and isinstance(value, dict) else value
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def member(value: Any, *keys: str) -> Any:
    """What is there, by one name after the other; None where there is nothing."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def size(value: Any, unit: str) -> int | None:
    """CPU units or MiB of a task, which may be a text: "1024", "1 vCPU", "2 GB"."""
    match = re.fullmatch(rf"\s*(\d{{1,9}}|\d{{1,6}}\.\d{{1,3}})\s*({unit})?\s*", str(value), re.IGNORECASE)
    return None if not match else round(float(match[1]) * 1024) if match[2] else int(float(match[1]))


def main_index(document: Any, main: str) -> int:
    """Which container is the main one: that of the name, or else the first essential one."""
    containers = dicts(document, CONTAINERS)
    wanted = [at for at, each in enumerate(containers) if (each.get("name") == main if main else essential(each))]
    return wanted[0] if wanted else 0


def essential(container: Any) -> bool:
    return member(container, "essential") is not False


def main_container(document: Any, main: str) -> dict[str, Any]:
    return next(iter(dicts(document, CONTAINERS)[main_index(document, main) :]), {})


def says(document: dict[str, Any], main: str) -> dict[str, tuple[str, Any]]:
    """What it says of what settings say too: name here -> its place, and the value as a setting has it."""
    whole: dict[str, Any] = {
        **{key: text(document.get(key)) for key in ("family", "networkMode", "executionRoleArn", "taskRoleArn")},
        "cpu": size(document.get("cpu"), "vCPU"),
        "memory": size(document.get("memory"), "GB"),
        "runtimePlatform.cpuArchitecture": text(member(document, "runtimePlatform", "cpuArchitecture")),
        "ephemeralStorage.sizeInGiB": number(member(document, "ephemeralStorage", "sizeInGiB")),
    }
    container, begin = main_container(document, main), f"{CONTAINERS}[{main_index(document, main)}]"
    its: dict[str, Any] = {
        "name": text(container.get("name")),
        "image": text(container.get("image")),
        "portMappings": ports(container) or None,
        f"{LINUX}.sharedMemorySize": number(member(container, LINUX, "sharedMemorySize")),
    }
    found = {key: (key, value) for key, value in whole.items() if value is not None}
    found |= {key: (f"{begin}.{key}", value) for key, value in its.items() if value is not None}
    return found | says_of_gpus(document) | taken_by_containers(document)


def taken_by_containers(document: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    """What a task whose size is not said takes of its host: what its containers reserve."""
    containers = dicts(document, CONTAINERS)
    memory = sum(number(each.get("memoryReservation")) or number(each.get("memory")) or 0 for each in containers)
    cpu = sum(number(each.get("cpu")) or 0 for each in containers)
    return {"containers' memory": (CONTAINERS, memory), "containers' cpu": (CONTAINERS, cpu)}


def says_of_gpus(document: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    """GPUs of all containers together; ALL of them counts as one that is asked for, beside `all`."""
    asked = [
        (f"{CONTAINERS}[{at}].resourceRequirements", requirement)
        for at, container in enumerate(dicts(document, CONTAINERS))
        for requirement in dicts(container, "resourceRequirements")
        if requirement.get("type") == "GPU"
    ]
    if not asked:
        return {}
    place, first = asked[0]
    shared = [number(member(each, "sharingStrategy", "nvidiaMps", "memory")) or 0 for _, each in asked]
    percent = number(member(first, "sharingStrategy", "nvidiaMps", "maxComputePercent"))
    counts = [each.get("value") for _, each in asked]
    whole = sum(int(each) for each in counts if isinstance(each, str) and re.fullmatch(r"[0-9]{1,3}", each))
    return {
        "gpus": (place, whole or 1),
        "all gpus": (place, "ALL" in counts),
        "gpu sharing": (place, "mps" if any(shared) else ""),
        "gpu memory": (place, sum(shared)),
        "gpu percent": (place, percent or 0),
    }


def ports(container: Any) -> list[tuple[int, int]]:
    """Host and container port of each TCP mapping; 0 for one that is not said."""
    mapped = [each for each in dicts(container, "portMappings") if each.get("protocol", "tcp") == "tcp"]
    found = [(number(each.get("hostPort")) or 0, number(each.get("containerPort")) or 0) for each in mapped]
    return [each for each in found if each[1]]


# ------------------------------------------------------------------------------------------------------- filling it in


def filled(theirs: Any, ours: Any) -> Any:
    """Theirs, with ours wherever it is silent. A log's and a health check's members belong together."""
    if not isinstance(theirs, dict) or not isinstance(ours, dict):
        return theirs
    inner = {key: filled(theirs[key], value) for key, value in ours.items() if key in theirs and key == LINUX}
    return {**ours, **theirs, **inner}


def with_main(document: dict[str, Any], main: str, container: dict[str, Any]) -> Any:
    """Its containers, the main one filled in; that alone where it has none."""
    there, at = document.get(CONTAINERS, []), main_index(document, main)
    if not there:
        return [container] if isinstance(there, list) else there
    if not isinstance(there, list) or not isinstance(there[at], dict):
        return there
    if "memory" in there[at] or "memoryReservation" in there[at]:
        container = {key: value for key, value in container.items() if key != "memoryReservation"}
    if "gpus" in says_of_gpus(document):
        container = {key: value for key, value in container.items() if key != "resourceRequirements"}
    return [*there[:at], filled(there[at], container), *there[at + 1 :]]


def as_kept(document: dict[str, Any]) -> dict[str, Any]:
    """As DescribeTaskDefinition shows what was registered so: with AWS's defaults."""
    addressed = document.get("networkMode") in ("awsvpc", "host")
    kept = [container_as_kept(each, addressed) for each in document[CONTAINERS]]
    sizes = {
        key: str(size(document[key], unit)) for key, unit in (("cpu", "vCPU"), ("memory", "GB")) if key in document
    }
    return {**document, **sizes, CONTAINERS: kept}


def container_as_kept(container: dict[str, Any], addressed: bool) -> dict[str, Any]:
    mapped = [{"protocol": "tcp", **each} for each in container.get("portMappings", [])]
    if addressed:
        mapped = [{**each, "hostPort": each["containerPort"]} if "containerPort" in each else each for each in mapped]
    checked = {"healthCheck": {**HEALTH_CHECK, **container["healthCheck"]}} if "healthCheck" in container else {}
    return {"essential": True, **container, **({"portMappings": mapped} if mapped else {}), **checked}


# ------------------------------------------------------------------------------------------------- what AWS refuses


def wrong(document: dict[str, Any], on_fargate: bool) -> Iterator[Wrong]:
    """Each place of a whole document that AWS refuses, or at which its task never starts."""
    containers = dicts(document, CONTAINERS)
    if not containers:
        yield CONTAINERS, "is empty: a task definition has at least one container"
    if len(containers) > MOST_CONTAINERS:
        yield CONTAINERS, f"has {len(containers)} containers; {MOST_CONTAINERS} at most"
    for name, count in Counter(str(each.get("name")) for each in containers).items():
        if count > 1:
            yield CONTAINERS, f"has two containers of the name {name}"
    if containers and not any(map(essential, containers)):
        yield CONTAINERS, "has no essential container: the task would end at once"
    if member(document, "runtimePlatform", "operatingSystemFamily") not in (None, "LINUX"):
        yield "runtimePlatform.operatingSystemFamily", "is not LINUX, which hosts and tasks here are"
    if document.get("networkMode") == "none":
        yield "networkMode", "none leaves a task without a network: use bridge, host or awsvpc"
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", str(document.get("family", ""))):
        yield "family", "is not 1 to 255 letters, digits, - and _"
    for key in ("executionRoleArn", "taskRoleArn"):
        if key in document and not re.fullmatch(ROLE, str(document[key])):
            yield key, "is no role: its ARN, or its name"
    yield from wrong_sizes(document)
    yield from wrong_volumes(document, on_fargate)
    yield from wrong_gpus(document)
    for at, container in enumerate(containers):
        place = f"{CONTAINERS}[{at}]"
        yield from wrong_container(document, container, place)
        yield from wrong_dependencies(containers, container, place)
        if on_fargate:
            yield from wrong_on_fargate(container, place)
    if on_fargate:
        yield from ((key, "does not exist on Fargate") for key in NOT_ON_FARGATE if document.get(key))
        if document.get("pidMode") == "host":
            yield "pidMode", "host does not exist on Fargate"
    storage = number(member(document, "ephemeralStorage", "sizeInGiB"))
    if storage is not None and not EPHEMERAL_STORAGE[0] <= storage <= EPHEMERAL_STORAGE[1]:
        yield "ephemeralStorage.sizeInGiB", f"{storage} is outside {EPHEMERAL_STORAGE[0]} to {EPHEMERAL_STORAGE[1]}"
    if storage is not None and not on_fargate:
        yield "ephemeralStorage.sizeInGiB", "is Fargate's: on a host it is the host's disk, ROOT_VOLUME_GIB"


def wrong_sizes(document: Any) -> Iterator[Wrong]:
    """Of the containers, where the whole has a size: each fits into it, and what they reserve together does."""
    containers = dicts(document, CONTAINERS)
    for key, reserved, unit in (("memory", "memoryReservation", "GB"), ("cpu", "cpu", "vCPU")):
        said = size(document.get(key, "0"), unit)
        if said is None:
            yield key, f"{texts.shortened(str(document[key]))} is no size such as 1024 or 1 {unit}"
        if not said:
            continue
        for at, most in enumerate(number(each.get(key)) or 0 for each in containers):
            if most > said:
                yield f"{CONTAINERS}[{at}].{key}", f"{most} is more than the task's {said}"
        together = sum(number(each.get(reserved)) or number(each.get(key)) or 0 for each in containers)
        if together > said:
            yield key, f"{said} is less than its containers have together, {together}"


def wrong_container(document: Any, container: Any, place: str) -> Iterator[Wrong]:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", str(container.get("name", ""))):
        yield f"{place}.name", "is not 1 to 255 letters, digits, - and _"
    image = container.get("image")
    if not isinstance(image, str) or not texts.is_image(image):
        yield f"{place}.image", f"{texts.shortened(str(image or ''))} is no image"
    memory, reserved = number(container.get("memory")), number(container.get("memoryReservation"))
    if not document.get("memory") and memory is None and reserved is None:
        yield f"{place}.memory", "is not set, nor memoryReservation, nor the task's memory: one of them is needed"
    if memory is not None and reserved is not None and memory <= reserved:
        yield f"{place}.memory", f"{memory} is not more than memoryReservation {reserved}"
    for keys, (low, high) in RANGES.items():
        value = number(member(container, *keys))
        if value is not None and not low <= value <= high:
            yield f"{place}.{'.'.join(keys)}", f"{value} is outside {low} to {high}"
    credentials = member(container, "repositoryCredentials", "credentialsParameter")
    if credentials is not None and not str(credentials).startswith("arn:"):
        yield f"{place}.repositoryCredentials.credentialsParameter", "is no ARN, by which a role is given its right"
    driver, options = log_of(container)
    unknown = sorted({*options} - AWSLOGS) if driver == "awslogs" else []
    yield from ((f"{place}.logConfiguration.options.{each}", "is no option of awslogs") for each in unknown)
    if document.get("networkMode") == "awsvpc" and container.get("links"):
        yield f"{place}.links", "do not exist with networkMode awsvpc"
    yield from wrong_ports(document, container, place)
    yield from wrong_health_check(container, place)
    yield from wrong_limits(container, place)
    files = dicts(container, "environmentFiles")
    if len(files) > MOST_ENVIRONMENT_FILES:
        yield f"{place}.environmentFiles", f"has {len(files)} files; {MOST_ENVIRONMENT_FILES} at most"
    for at, each in enumerate(files):
        if not str(each.get("value", "")).endswith(".env"):
            yield f"{place}.environmentFiles[{at}].value", "does not end with .env"


def wrong_ports(document: Any, container: Any, place: str) -> Iterator[Wrong]:
    for at, each in enumerate(dicts(container, "portMappings")):
        there, mode = f"{place}.portMappings[{at}]", document.get("networkMode")
        inside, host = number(each.get("containerPort")), number(each.get("hostPort"))
        if inside is None and "containerPortRange" not in each:
            yield f"{there}.containerPort", "is not set"
        for key, port, low in (("containerPort", inside, 1), ("hostPort", host, 0)):
            if port is not None and not low <= port <= 65535:
                yield f"{there}.{key}", f"{port} is outside {low} to 65535"
        if mode in ("awsvpc", "host") and host not in (None, inside):
            yield f"{there}.hostPort", f"{host} is not the containerPort {inside}, as networkMode {mode} needs"


def wrong_health_check(container: Any, place: str) -> Iterator[Wrong]:
    command = member(container, "healthCheck", "command")
    if isinstance(command, list) and (command[:1] not in (["CMD"], ["CMD-SHELL"], ["NONE"]) or not command[1:]):
        yield f"{place}.healthCheck.command", "does not begin with CMD or CMD-SHELL, and words after it"


def wrong_limits(container: Any, place: str) -> Iterator[Wrong]:
    for at, each in enumerate(dicts(container, "ulimits")):
        soft, hard = number(each.get("softLimit")), number(each.get("hardLimit"))
        if soft is not None and hard is not None and hard != -1 and (soft > hard or soft == -1):
            yield f"{place}.ulimits[{at}]", f"{each.get('name')} has the soft limit {soft}, above the hard one {hard}"
    for at, each in enumerate(dicts(member(container, LINUX), "tmpfs")):
        if (number(each.get("size")) or 0) < 1:
            yield f"{place}.{LINUX}.tmpfs[{at}].size", "is not a number of MiB from 1"


def wrong_on_fargate(container: Any, place: str) -> Iterator[Wrong]:
    yield from ((f"{place}.{key}", "does not exist on Fargate") for key in NOT_IN_ITS_CONTAINERS if container.get(key))
    linux = member(container, LINUX) or {}
    yield from (
        (f"{place}.{LINUX}.{key}", "does not exist on Fargate") for key in NOT_IN_ITS_LINUX if member(linux, key)
    )
    for each in member(linux, "capabilities", "add") or []:
        if each != "SYS_PTRACE":
            yield f"{place}.{LINUX}.capabilities", f"adds {each}, but Fargate lets no other than SYS_PTRACE be added"
    for at, each in enumerate(dicts(container, "ulimits")):
        if each.get("name") != "nofile":
            yield f"{place}.ulimits[{at}]", f"{each.get('name')}, but Fargate lets only nofile be set"
    low, high = FARGATE_STOP_TIMEOUT
    timeout = number(container.get("stopTimeout"))
    if timeout is not None and not low <= timeout <= high:
        yield f"{place}.stopTimeout", f"{timeout} is outside {low} to {high}, what Fargate allows"
    driver, options = log_of(container)
    if driver == "awslogs":
        lacking = [each for each in AWSLOGS_ON_FARGATE if not options.get(each)]
        yield from ((f"{place}.logConfiguration.options.{each}", "is not set, and is needed") for each in lacking)
    if driver not in (None, *LOG_DRIVERS):
        yield f"{place}.logConfiguration.logDriver", f"{driver} does not exist on Fargate: {', '.join(LOG_DRIVERS)}"


def log_of(container: Any) -> tuple[Any, dict[str, Any]]:
    """Driver and options."""
    options = member(container, "logConfiguration", "options")
    return member(container, "logConfiguration", "logDriver"), options if isinstance(options, dict) else {}


def wrong_volumes(document: Any, on_fargate: bool) -> Iterator[Wrong]:
    volumes = dicts(document, "volumes")
    names = [each.get("name") for each in volumes]
    for at, each in enumerate(volumes):
        place, kinds = f"volumes[{at}]", [key for key in each if key.endswith("Configuration") or key == "host"]
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", str(each.get("name", ""))):
            yield f"{place}.name", "is not 1 to 255 letters, digits, - and _"
        if names.index(each.get("name")) < at:
            yield f"{place}.name", f"{each.get('name')} is there twice"
        if len([key for key in kinds if each[key]]) > 1:
            yield place, f"is of several kinds: {', '.join(kinds)}"
        yield from wrong_efs(each.get("efsVolumeConfiguration") or {}, f"{place}.efsVolumeConfiguration")
        if on_fargate and each.get("dockerVolumeConfiguration"):
            yield f"{place}.dockerVolumeConfiguration", "does not exist on Fargate"
        if on_fargate and member(each, "host", "sourcePath"):
            yield f"{place}.host.sourcePath", "does not exist on Fargate"
    for at, container in enumerate(dicts(document, CONTAINERS)):
        for nth, each in enumerate(dicts(container, "mountPoints")):
            place = f"{CONTAINERS}[{at}].mountPoints[{nth}]"
            if each.get("sourceVolume") not in names:
                yield f"{place}.sourceVolume", f"{each.get('sourceVolume')} is none of the volumes"
            if not each.get("containerPath"):
                yield f"{place}.containerPath", "is not set"


def wrong_efs(efs: Any, place: str) -> Iterator[Wrong]:
    """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_EFSVolumeConfiguration.html"""
    point, iam = member(efs, "authorizationConfig", "accessPointId"), member(efs, "authorizationConfig", "iam")
    encrypted = member(efs, "transitEncryption") == "ENABLED"
    if efs and not re.fullmatch(r"fs-[0-9a-f]+", str(member(efs, "fileSystemId"))):
        yield f"{place}.fileSystemId", "is no file system's id, and EFS_VOLUMES has no volume of the name"
    if (point or iam == "ENABLED" or member(efs, "transitEncryptionPort")) and not encrypted:
        yield f"{place}.transitEncryption", "is not ENABLED, as an access point, IAM and a port need"
    if point and member(efs, "rootDirectory") not in (None, "", "/"):
        yield f"{place}.rootDirectory", "does not go with an access point, which has its own"


def wrong_gpus(document: Any) -> Iterator[Wrong]:
    """https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-gpu-specifying.html"""
    ways: set[str] = set()
    for at, container in enumerate(dicts(document, CONTAINERS)):
        if len(dicts(container, "resourceRequirements")) > 1:
            yield f"{CONTAINERS}[{at}].resourceRequirements", "has more than one of GPUs"
        for nth, each in enumerate(dicts(container, "resourceRequirements")):
            value, place = each.get("value"), f"{CONTAINERS}[{at}].resourceRequirements[{nth}]"
            if each.get("type") != "GPU":
                yield place, f"{each.get('type')} is not what hosts here have: GPU"
            elif "sharingStrategy" in each:
                ways.add("sharingStrategy")
                if "value" in each:
                    yield f"{place}.value", "does not go with sharingStrategy"
            elif value == "ALL" or re.fullmatch(r"[1-9][0-9]{0,2}", str(value)):
                ways.add("ALL" if value == "ALL" else "a number")
            else:
                yield (
                    f"{place}.value",
                    f"{texts.shortened(str(value))} is no whole number of GPUs, which hosts register, nor ALL",
                )
    if len(ways) > 1:
        yield f"{CONTAINERS}", f"has containers that ask for GPUs by {' and by '.join(sorted(ways))}: one way for all"


def wrong_dependencies(containers: list[Any], container: Any, place: str) -> Iterator[Wrong]:
    """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDependency.html"""
    named = {each.get("name"): each for each in containers}
    for at, each in enumerate(dicts(container, "dependsOn")):
        there, name, condition = f"{place}.dependsOn[{at}]", each.get("containerName"), each.get("condition")
        if name not in named or name == container.get("name"):
            yield f"{there}.containerName", f"{name} is no other container"
        elif condition in ("COMPLETE", "SUCCESS") and essential(named[name]):
            yield f"{there}.condition", f"{condition}, but {name} is essential: the task ends with it"
        elif condition == "HEALTHY" and "healthCheck" not in named[name]:
            yield f"{there}.condition", f"HEALTHY, but {name} has no healthCheck"
        elif container.get("name") in reached(named, str(name)):
            yield f"{there}.containerName", f"{name} depends on {container.get('name')} itself"


def reached(named: dict[Any, Any], name: str) -> set[str]:
    """The names of all on which a container depends, by way of others too."""
    found: set[str] = set()
    coming = [name]
    while coming:
        wanted = [str(each.get("containerName")) for each in dicts(named.get(coming.pop(), {}), "dependsOn")]
        coming += [each for each in wanted if each not in found]
        found |= {*wanted}
    return found
