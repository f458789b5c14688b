"""Deregister and delete the revisions of the family that register_task_definition.py, or the pipeline, registered.

Of an endpoint its roles, its log group and its access points go too: the directories on EFS keep their data. Refuses
while the service runs one of the revisions.

    python deregister_task_definition.py             next: python delete_cluster.py
    python deregister_task_definition.py --dry-run   what would be deregistered and deleted
"""

import sys
from typing import Any

import aws
import constants
from aws import Problem
from console import say
from infrastructure import parts
from infrastructure.cluster import cluster
from infrastructure.service import access_points, log_group, service, task_roles, tasks
from infrastructure.weights import schedule, sync


@aws.page(changes=True)
def deregister_task_definition() -> dict[str, Any]:
    if cluster.find() and service.find():
        raise Problem(f"the service {constants.SERVICE_NAME} runs {constants.TASK_FAMILY}: run delete_service.py first")
    if constants.ENDPOINT and (left := parts.left_over((sync, schedule))):
        what = ", ".join(each.what for each in left)
        raise Problem(f"the sync of the weights needs what would go ({what}): run delete_sync.py first")
    tasks.delete_task_definitions()
    if constants.ENDPOINT:
        log_group.delete()
        access_points.delete()
        task_roles.delete()
    say("next", "python delete_cluster.py" if not constants.ENDPOINT else aws.command("delete_endpoint.py"))
    return {"family": constants.TASK_FAMILY, "left": tasks.our_definitions("ACTIVE")}


if __name__ == "__main__":
    sys.exit(aws.main(deregister_task_definition, __doc__))
