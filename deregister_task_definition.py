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
from infrastructure.service import access_points, log_group, service, task_definitions, task_roles
from infrastructure.weights import schedule, sync


@aws.page(changes=True)
def deregister_task_definition() -> dict[str, Any]:
    if cluster.find() and service.find():
        raise Problem(f"the service {constants.SERVICE_NAME} runs {constants.TASK_FAMILY}: run delete_service.py first")
    if constants.ENDPOINT and (left := parts.left_over((sync, schedule))):
        told = ", ".join(each.what for each in left)
        raise Problem(f"the sync of the weights needs what would go ({told}): run delete_sync.py first")
    task_definitions.delete()
    if constants.ENDPOINT:
        log_group.delete()
        task_roles.delete()
        access_points.delete()
    say("next", aws.command("delete_endpoint.py" if constants.ENDPOINT else "delete_cluster.py"))
    return {"family": constants.TASK_FAMILY, "left": [each.arn for each in task_definitions.left_over()]}


if __name__ == "__main__":
    sys.exit(aws.main(deregister_task_definition, __doc__))
