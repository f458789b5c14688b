"""Deregister and delete the revisions of the family that register_task_definition.py, or the pipeline, registered.

Of an endpoint its roles, its log group and its access points go too: the directories on EFS keep their data. Refuses
while the service runs one of the revisions.

    python deregister_task_definition.py             next: python delete_cluster.py
    python deregister_task_definition.py --dry-run   what would be deregistered and deleted
"""

import sys
from typing import Any

import aws
from aws import Problem
from console import say
from constants import ENDPOINT, SERVICE_NAME, TASK_FAMILY
from infrastructure import cluster, file_system, log_group, roles, schedule, service, tasks, weights


def deregister_task_definition() -> dict[str, Any]:
    if cluster.find() and service.find():
        raise Problem(f"the service {SERVICE_NAME} runs {TASK_FAMILY}: run delete_service.py first")
    if ENDPOINT and (left := [*schedule.left_over(), *weights.left_over()]):
        raise Problem(f"the sync of the weights needs what would go ({', '.join(left)}): run delete_sync.py first")
    tasks.delete_task_definitions()
    if ENDPOINT:
        log_group.delete()
        file_system.delete_access_points()
        roles.delete_task_roles()
    say("next", "python delete_cluster.py" if not ENDPOINT else "python delete_endpoint.py")
    return {"family": TASK_FAMILY, "left": tasks.our_definitions("ACTIVE")}


if __name__ == "__main__":
    sys.exit(aws.main(deregister_task_definition, __doc__, changes=True))
