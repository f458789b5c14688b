"""Register the task definition: image, GPUs, EFS volumes, ports, environment, logs.

Needs create_cluster.py. A revision that is already what the settings say is used again; AWS keeps every other one.
Prints the revision's ARN and number.

    python register_task_definition.py             next: python run_task.py, or create_service.py for a service
    python register_task_definition.py --dry-run   what would be registered

Of an endpoint it makes the roles, the log group and the directories on EFS too. To undo:
deregister_task_definition.py; delete_cluster.py does it as well.
"""

import posixpath
import sys
from typing import Any

import aws
import constants
from aws import Problem, client, endpoint_tags
from console import say
from infrastructure.cluster import checks, cluster, file_system, roles
from infrastructure.service import access_points, container_image, log_group, task_roles, tasks

#: MiB kept for a container whose task has no TASK_MEMORY; it may use all that the host has left
MEMORY_RESERVATION = 256


@aws.page(changes=True, undo="deregister_task_definition.py")
def register_task_definition() -> dict[str, Any]:
    cluster.required()
    checks.refuse_client_without_sharing()
    found = tasks.definition(constants.TASK_FAMILY)
    tasks.refuse_other_endpoint(found)
    access_points.refuse_changes()
    image = container_image.wanted()
    if constants.ENDPOINT:  # elsewhere create_cluster.py has made them
        file_system_ids = file_system.volume_ids()
        points = access_points.create(file_system_ids)
        task_roles.create(file_system_ids, [points[volume] for volume in file_system_ids])
    log_group.create()  # a task whose log group is missing dies at its start
    wanted = task_definition(image)
    wanted_tags = endpoint_tags("task", "key", "value")
    if found and all(tag in found["tags"] for tag in wanted_tags) and tasks.agree(found, wanted):
        say("found", f"task definition {tasks.task_id(found['taskDefinitionArn'])}", "nothing has changed")
    else:
        found = client("ecs").register_task_definition(**wanted, tags=wanted_tags)["taskDefinition"]
        say("registered", f"task definition {tasks.task_id(found['taskDefinitionArn'])}")
    following = (
        "sync_weights.py"
        if constants.WEIGHTS_BUCKET
        else "create_service.py"
        if constants.LISTENER_PROTOCOL
        else "run_task.py"
    )
    say("next", aws.command(following))
    return {
        "taskDefinitionArn": found["taskDefinitionArn"],
        "family": found["family"],
        "revision": found["revision"],
        "image": image,
        "gpus": constants.GPU_COUNT,
        "gpuMemoryMib": constants.GPU_MEMORY_MIB or None,
    }


def task_definition(image: str) -> dict[str, Any]:
    """The whole request. https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html"""
    made_roles = roles.find()
    definition: dict[str, Any] = {
        "family": constants.TASK_FAMILY,
        "requiresCompatibilities": [constants.LAUNCH_TYPE],
        "networkMode": constants.NETWORK_MODE,
        "executionRoleArn": made_roles.task_execution_role_arn,
        "taskRoleArn": made_roles.task_role_arn,
        "containerDefinitions": [container(image), *certificate_container()],
        "volumes": volumes(),
    }
    if constants.TASK_CPU:
        definition["cpu"] = str(constants.TASK_CPU)
    if constants.TASK_MEMORY:
        definition["memory"] = str(constants.TASK_MEMORY)
    if constants.LAUNCH_TYPE == "FARGATE":
        definition["runtimePlatform"] = {"operatingSystemFamily": "LINUX", "cpuArchitecture": "X86_64"}
    return definition


def container(image: str) -> dict[str, Any]:
    definition: dict[str, Any] = {
        "name": constants.CONTAINER_NAME,
        "image": image,
        "essential": True,
        "portMappings": port_mappings(),
        "environment": [{"name": key, "value": value} for key, value in constants.CONTAINER_ENVIRONMENT.items()],
        "secrets": [{"name": key, "valueFrom": arn} for key, arn in constants.CONTAINER_SECRETS.items()],
        "mountPoints": [
            {"sourceVolume": volume["name"], "containerPath": volume["path"], "readOnly": volume["readOnly"]}
            for volume in constants.EFS_VOLUMES
        ],
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": constants.LOG_GROUP,
                "awslogs-region": aws.region(),
                "awslogs-stream-prefix": constants.CONTAINER_NAME,
            },
        },
    }
    if constants.ENTRY_POINT:
        definition["entryPoint"] = constants.ENTRY_POINT
    if constants.COMMAND:
        definition["command"] = constants.COMMAND
    if constants.CONTAINER_CERTIFICATE:
        definition["dependsOn"] = [{"containerName": "certificate", "condition": "SUCCESS"}]
    if not constants.TASK_MEMORY:
        definition["memoryReservation"] = MEMORY_RESERVATION
    if constants.GPU_SHARING:
        sharing = {"nvidiaMps": {"memory": constants.GPU_MEMORY_MIB}}
        definition["resourceRequirements"] = [{"type": "GPU", "sharingStrategy": sharing}]
    elif constants.GPU_COUNT:
        definition["resourceRequirements"] = [{"type": "GPU", "value": str(constants.GPU_COUNT)}]
    linux: dict[str, Any] = {"sharedMemorySize": constants.SHARED_MEMORY_MIB} if constants.SHARED_MEMORY_MIB else {}
    if constants.ENABLE_EXECUTE_COMMAND:  # it ends what a shell of ECS Exec leaves behind
        linux["initProcessEnabled"] = True
    if linux:
        definition["linuxParameters"] = linux
    return definition


def certificate_container() -> list[dict[str, Any]]:
    """A small container that ends before the other starts: it makes the certificate, or a new one 30 days before its end."""
    if not constants.CONTAINER_CERTIFICATE:
        return []
    script = (
        f"mkdir -p {posixpath.dirname(constants.CONTAINER_CERTIFICATE)} && "
        f"openssl x509 -checkend 2592000 -noout -in {constants.CONTAINER_CERTIFICATE}.crt || "
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN={constants.SERVICE_NAME} "
        f"-keyout {constants.CONTAINER_CERTIFICATE}.key -out {constants.CONTAINER_CERTIFICATE}.crt"
    )
    made = container(constants.CERTIFICATE_IMAGE)
    kept = {key: made[key] for key in ("mountPoints", "logConfiguration")}
    command = {"entryPoint": ["sh", "-c"], "command": [script], "memoryReservation": 64}
    return [{"name": "certificate", "image": constants.CERTIFICATE_IMAGE, "essential": False, **command, **kept}]


def port_mappings() -> list[dict[str, Any]]:
    """In bridge mode host port 0 lets Docker choose; elsewhere the two ports are the same."""
    return [
        {
            "containerPort": container,
            "hostPort": host if constants.NETWORK_MODE == "bridge" else container,
            "protocol": "tcp",
        }
        for host, container in constants.CONTAINER_PORTS
    ]


def volumes() -> list[dict[str, Any]]:
    """Each through its own access point, encrypted on the way, with the task role's right to mount it."""
    points = access_points.find() if constants.EFS_VOLUMES else {}
    missing = [volume["name"] for volume in constants.EFS_VOLUMES if volume["name"] not in points]
    if missing:
        raise Problem(f"EFS_VOLUMES: {', '.join(missing)} has no access point yet: run create_cluster.py again")
    return [
        {
            "name": volume["name"],
            "efsVolumeConfiguration": {
                "fileSystemId": points[volume["name"]]["FileSystemId"],
                "transitEncryption": "ENABLED",
                "authorizationConfig": {"accessPointId": points[volume["name"]]["AccessPointId"], "iam": "ENABLED"},
            },
        }
        for volume in constants.EFS_VOLUMES
    ]


if __name__ == "__main__":
    sys.exit(aws.main(register_task_definition, __doc__))
