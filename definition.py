"""The task definition that the settings say: TASK_DEFINITION_FILE, filled in where it is silent; and what is wrong with it.

It holds no id of AWS's: infrastructure/service/task_definitions.py puts these in.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html
"""

import re
from typing import Any

import constants
import definition_file
from definition_file import CONTAINERS

#: MiB kept for a container whose task has no TASK_MEMORY; it may use all that the host has left
MEMORY_RESERVATION = 256
#: an id in place of one that only AWS knows
UNKNOWN = "fs-00000000"
#: what a registry's secret has, as the end of a valueFrom: a JSON key, no stage, no version
USERNAME = ":username::"


def members() -> dict[str, tuple[str, Any]]:
    """Of the main container: member -> the setting that says it, and its value. Of the whole too, by names it has not."""
    init = constants.INIT or constants.ENABLE_EXECUTE_COMMAND  # it ends what a shell of ECS Exec leaves behind
    environment = [{"name": key, "value": value} for key, value in constants.CONTAINER_ENVIRONMENT.items()]
    secrets = [{"name": key, "valueFrom": arn} for key, arn in constants.CONTAINER_SECRETS.items()]
    files = [{"type": "s3", "value": arn} for arn in constants.ENVIRONMENT_FILES]
    credentials = filled(credentialsParameter=constants.REGISTRY_CREDENTIALS)
    return {
        "image": ("IMAGE", constants.IMAGE),
        "portMappings": ("CONTAINER_PORTS", port_mappings()),
        "environment": ("CONTAINER_ENVIRONMENT", environment),
        "environmentFiles": ("ENVIRONMENT_FILES", files),
        "secrets": ("CONTAINER_SECRETS", secrets),
        "mountPoints": ("EFS_VOLUMES", mount_points()),
        "entryPoint": ("ENTRY_POINT", constants.ENTRY_POINT),
        "command": ("COMMAND", constants.COMMAND),
        "memoryReservation": ("TASK_MEMORY", None if constants.TASK_MEMORY else MEMORY_RESERVATION),
        "resourceRequirements": ("GPU_COUNT", gpus()),
        "linuxParameters.sharedMemorySize": ("SHARED_MEMORY_MIB", constants.SHARED_MEMORY_MIB),
        "linuxParameters.initProcessEnabled": ("INIT", init),
        "linuxParameters.tmpfs": ("TMPFS", constants.TMPFS),
        "linuxParameters.capabilities": ("CAPABILITIES", capabilities()),
        "ulimits": ("ULIMITS", constants.ULIMITS),
        "user": ("CONTAINER_USER", constants.CONTAINER_USER),
        "workingDirectory": ("WORKING_DIRECTORY", constants.WORKING_DIRECTORY),
        "readonlyRootFilesystem": ("READONLY_ROOT", constants.READONLY_ROOT),
        "stopTimeout": ("STOP_TIMEOUT", constants.STOP_TIMEOUT),
        "healthCheck": ("HEALTH_COMMAND", health_check()),
        "repositoryCredentials": ("REGISTRY_CREDENTIALS", credentials),
    }


#: member of the whole -> the setting that says it
OF_WHOLE = {
    **{"family": "TASK_FAMILY", "networkMode": "NETWORK_MODE", "cpu": "TASK_CPU", "memory": "TASK_MEMORY"},
    **{"runtimePlatform": "CPU_ARCHITECTURE", "ephemeralStorage": "EPHEMERAL_STORAGE_GIB", "volumes": "EFS_VOLUMES"},
}


def filled(**members: Any) -> dict[str, Any]:
    """Without those that the settings leave empty."""
    return {key: value for key, value in members.items() if value}


def container() -> dict[str, Any]:
    """The main container as the settings say it, whatever a file says."""
    said = {member: value for member, (_, value) in members().items() if value}
    linux = {member.partition(".")[2]: value for member, value in said.items() if "." in member}
    plain = {member: value for member, value in said.items() if "." not in member}
    return {"name": constants.CONTAINER_NAME, "essential": True, **plain, **filled(linuxParameters=linux)}


def whole(volumes: dict[str, Any], logs: dict[str, Any], more: list[Any], **found: Any) -> dict[str, Any]:
    """The request: what the file says, and where it is silent the settings and what AWS told.

    `volumes`: each of EFS_VOLUMES; `logs`: of a container that says none; `more`: containers that end before the main one
    starts; `found`: members of the whole, and the main container's image.
    """
    theirs, main = constants.TASK_DEFINITION_FILE, container()
    main |= {key: found.pop(key) for key in ("image",) if key in found}
    there = definition_file.with_main(theirs, constants.MAIN_CONTAINER, main)
    if not isinstance(there, list):  # botocore's model tells it
        return theirs
    if more:
        at = definition_file.main_index(theirs, constants.MAIN_CONTAINER)
        first = [{"containerName": each["name"], "condition": "SUCCESS"} for each in more]
        there[at] = {**there[at], "dependsOn": [*there[at].get("dependsOn", []), *first]}
    logged = [{"logConfiguration": logs, **each} if isinstance(each, dict) else each for each in [*there, *more]]
    ours = filled(
        family=constants.TASK_FAMILY,
        requiresCompatibilities=[constants.LAUNCH_TYPE],
        networkMode=constants.NETWORK_MODE,
        cpu=constants.TASK_CPU and str(constants.TASK_CPU),
        memory=constants.TASK_MEMORY and str(constants.TASK_MEMORY),
        runtimePlatform=platform(),
        ephemeralStorage=filled(sizeInGiB=constants.EPHEMERAL_STORAGE_GIB),
        **found,
    )
    document = {**ours, **theirs, CONTAINERS: logged}
    return {**document, **filled(volumes=with_volumes(document, volumes))}


def with_volumes(document: dict[str, Any], ours: dict[str, Any]) -> Any:
    """Its volumes; one that says nothing but its name, or no file system, is ours of that name; and what else is mounted."""
    there = document.get("volumes", [])
    if not isinstance(there, list):
        return there
    found = [volume_filled(each, ours) for each in there]
    named = [each.get("name") for each in definition_file.dicts(there)]
    containers = definition_file.dicts(document, CONTAINERS)
    mounted = {
        each.get("sourceVolume") for container in containers for each in definition_file.dicts(container, "mountPoints")
    }
    return [*found, *(volume for name, volume in ours.items() if name in mounted and name not in named)]


def volume_filled(volume: Any, ours: dict[str, Any]) -> Any:
    efs = "efsVolumeConfiguration"
    if not isinstance(volume, dict) or volume.get("name") not in ours:
        return volume
    configured = {key: value for key, value in volume.items() if value and key != "name"}
    if not configured or (list(configured) == [efs] and "fileSystemId" not in (volume[efs] or {})):
        theirs = volume.get(efs) or {}
        return {**ours[volume["name"]], efs: {**ours[volume["name"]][efs], **theirs}}
    return volume


def platform() -> dict[str, str] | None:
    """Fargate must be told; a host is what it is, unless CPU_ARCHITECTURE asks for one."""
    if constants.LAUNCH_TYPE == "EC2" and not constants.CPU_ARCHITECTURE:
        return None
    return {"operatingSystemFamily": "LINUX", "cpuArchitecture": constants.CPU_ARCHITECTURE or "X86_64"}


def gpus() -> list[dict[str, Any]]:
    percent = filled(maxComputePercent=constants.GPU_COMPUTE_PERCENT)
    if constants.GPU_SHARING:
        return [{"type": "GPU", "sharingStrategy": {"nvidiaMps": {"memory": constants.GPU_MEMORY_MIB, **percent}}}]
    value = "ALL" if constants.ALL_GPUS else str(constants.GPU_COUNT)
    return [{"type": "GPU", "value": value}] if constants.GPU_COUNT else []


def port_mappings() -> list[dict[str, Any]]:
    """In bridge mode host port 0 lets Docker choose; elsewhere the two ports are the same."""
    bridge = constants.NETWORK_MODE == "bridge"
    return [
        {"containerPort": inside, "hostPort": host if bridge else inside, "protocol": "tcp"}
        for host, inside in constants.CONTAINER_PORTS
    ]


def mount_points() -> list[dict[str, Any]]:
    return [
        {"sourceVolume": volume["name"], "containerPath": volume["path"], "readOnly": volume["readOnly"]}
        for volume in constants.EFS_VOLUMES
    ]


def capabilities() -> dict[str, list[str]]:
    drop = [each.removeprefix("-") for each in constants.CAPABILITIES if each.startswith("-")]
    return filled(add=[each for each in constants.CAPABILITIES if not each.startswith("-")], drop=drop)


def health_check() -> dict[str, Any]:
    if not constants.HEALTH_COMMAND:
        return {}
    return {
        "command": constants.HEALTH_COMMAND,
        "interval": constants.HEALTH_COMMAND_INTERVAL,
        "timeout": constants.HEALTH_COMMAND_TIMEOUT,
        "retries": constants.HEALTH_COMMAND_RETRIES,
        "startPeriod": constants.HEALTH_COMMAND_START_PERIOD,
    }


def sidecar_images() -> list[tuple[str, str]]:
    """Images of the file's containers beside the main one, and their places."""
    theirs = constants.TASK_DEFINITION_FILE
    main, containers = (
        definition_file.main_index(theirs, constants.MAIN_CONTAINER),
        definition_file.dicts(theirs, CONTAINERS),
    )
    return [(each["image"], f"{CONTAINERS}[{at}].image") for at, each in enumerate(containers) if at != main]


def images_with_credentials() -> list[str]:
    """Those of a private registry, for which a secret is named."""
    return [each["image"] for each in to_check()[CONTAINERS] if each.get("repositoryCredentials")]


def secrets() -> dict[str, str]:
    """Who names it -> what ECS reads with the execution role before a task starts, as a container's valueFrom says it.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/private-auth.html
    """
    found = {f"CONTAINER_SECRETS: {name}": arn for name, arn in constants.CONTAINER_SECRETS.items()}
    if constants.REGISTRY_CREDENTIALS:
        found["REGISTRY_CREDENTIALS"] = f"{constants.REGISTRY_CREDENTIALS}{USERNAME}"
    for at, each in enumerate(definition_file.dicts(constants.TASK_DEFINITION_FILE, CONTAINERS)):
        place = f"TASK_DEFINITION_FILE: {CONTAINERS}[{at}]"
        named = [*each.get("secrets", []), *(each.get("logConfiguration") or {}).get("secretOptions", [])]
        found |= {f"{place}.secrets: {secret['name']}": secret["valueFrom"] for secret in named}
        if credentials := definition_file.member(each, "repositoryCredentials", "credentialsParameter"):
            found[f"{place}.repositoryCredentials"] = f"{credentials}{USERNAME}"
    return found


def logs_elsewhere() -> list[tuple[str, dict[str, str]]]:
    """Place and options of each log that the file sends to CloudWatch; but where a role of the user's may make the group."""
    found = []
    for at, each in enumerate(definition_file.dicts(constants.TASK_DEFINITION_FILE, CONTAINERS)):
        log = each.get("logConfiguration", {})
        options = log.get("options", {})
        makes = options.get("awslogs-create-group") == "true" and "TASK_EXECUTION_ROLE_ARN" in constants.FROM_FILE
        theirs = options.get("awslogs-group") not in (None, constants.LOG_GROUP)
        if log.get("logDriver") == "awslogs" and theirs and not makes:
            found.append((f"{CONTAINERS}[{at}].logConfiguration.options.awslogs-group", options))
    return found


def environment_files() -> list[str]:
    """ARNs of the objects in S3 that ECS reads with the execution role before a task starts."""
    return [file["value"] for each in to_check()[CONTAINERS] for file in each.get("environmentFiles", [])]


# ------------------------------------------------------------------------------------------------------ what is wrong


def to_check() -> dict[str, Any]:
    """As it would be registered, with stand-ins for what only AWS knows."""
    efs = {"efsVolumeConfiguration": {"fileSystemId": UNKNOWN, "transitEncryption": "ENABLED"}}
    volumes = {volume["name"]: {"name": volume["name"], **efs} for volume in constants.EFS_VOLUMES}
    options = dict.fromkeys(definition_file.AWSLOGS_ON_FARGATE, "ours") | constants.LOG_OPTIONS
    return whole(volumes, {"logDriver": "awslogs", "options": options}, [])


def check() -> None:
    """Note what AWS would refuse. What constants has noted of a setting already is not told in other words, nor what only
    follows from another one: a setting that is not set."""
    noted = {*constants.PROBLEMS} - {"TASK_DEFINITION_FILE"}
    for place, sentence in definition_file.wrong(to_check(), constants.LAUNCH_TYPE == "FARGATE"):
        name = setting_of(place)
        if name not in noted and constants.TEXTS.get(name):
            constants.problem(name, f"{place}: {sentence}" if name == "TASK_DEFINITION_FILE" else sentence)


def setting_of(place: str) -> str:
    """Which setting says what is there: TASK_DEFINITION_FILE, unless only another one does."""
    theirs, main = constants.TASK_DEFINITION_FILE, constants.MAIN_CONTAINER
    match = re.match(rf"{CONTAINERS}\[(\d+)\]\.?(.*)", place)
    if not match:
        top = re.split(r"[.\[]", place)[0]
        return "TASK_DEFINITION_FILE" if top in theirs or top not in OF_WHOLE else OF_WHOLE[top]
    if int(match[1]) != definition_file.main_index(theirs, main):
        return "TASK_DEFINITION_FILE"
    names = re.sub(r"\[\d+\]", "", match[2]).split(".")
    for member in (".".join(names[:2]), names[0]):
        if (
            member in members()
            and definition_file.member(definition_file.main_container(theirs, main), *member.split(".")) is None
        ):
            return members()[member][0]
    return "TASK_DEFINITION_FILE"
