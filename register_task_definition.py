"""Register the task definition: image, GPUs, EFS volumes, ports, environment, logs.

Needs create_cluster.py. A revision that is already what the settings say is used again; AWS keeps every other one.
Prints the revision's ARN and number.

    python register_task_definition.py             next: python run_task.py, or create_service.py for a service
    python register_task_definition.py --dry-run   what would be registered

Of an endpoint it makes the roles, the log group and the directories on EFS too. To undo:
deregister_task_definition.py; delete_cluster.py does it as well.
"""

import sys
from typing import Any

import aws
import constants
from console import say
from infrastructure import parts
from infrastructure.cluster import checks, cluster, file_system, roles, ways_out
from infrastructure.delivery import container_image
from infrastructure.service import (
    access_points,
    container_secrets,
    deadlines,
    images,
    log_group,
    mount_checks,
    service,
    task_definitions,
    task_roles,
)

PARTS = (task_roles, log_group, access_points, task_definitions)


@aws.page(changes=True, undo="deregister_task_definition.py")
def register_task_definition() -> dict[str, Any]:
    made_here = PARTS if constants.ENDPOINT or task_roles.are_named_rights() else PARTS[1:]  # else create_cluster.py's
    parts.look((cluster, *made_here), task_definitions.newest, images.named)
    cluster.required()
    checks.refuse_client_without_sharing()
    ways_out.warn_of_tasks()
    task_definitions.warn_of_host_mode()
    task_definitions.refuse_other_endpoint()
    if task_definitions.changes_network():
        service.refuse_network_mode()
        service.refuse_closed_port()
    access_points.refuse_changes()
    log_group.refuse_missing()
    if constants.ENDPOINT or constants.ROLE_PATH != "/" or task_definitions.names_another_path():
        undo = "delete_endpoint.py" if constants.ENDPOINT else "delete_cluster.py"
        roles.refuse_other_path(*task_roles.SUFFIXES, undo=f"run {aws.command(undo)} first")
    container_secrets.refuse_missing()
    image = container_image.wanted()
    parts.retag(made_here)
    if task_roles in made_here:
        file_system_ids = file_system.volume_ids()
        points = access_points.create(file_system_ids)
        task_roles.create(file_system_ids, points)
    task_definitions.tell_former_families()
    mount_checks.tell()
    log_group.create()  # a task whose log group is missing dies at its start
    found = task_definitions.create(image)
    deadlines.mend()
    say("next", aws.command(following()))
    return {
        "taskDefinitionArn": found["taskDefinitionArn"],
        "family": found["family"],
        "revision": found["revision"],
        "image": image,
        "gpus": "ALL" if constants.ALL_GPUS else constants.GPU_COUNT,
        "gpuMemoryMib": constants.GPU_MEMORY_MIB or None,
    }


def following() -> str:
    if constants.WEIGHTS_BUCKET:
        return "sync_weights.py"
    return "create_service.py" if constants.LISTENER_PROTOCOL else "run_task.py"


if __name__ == "__main__":
    sys.exit(aws.main(register_task_definition, __doc__))
