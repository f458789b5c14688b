"""List this cluster's tasks: status, health, since when, and where.

python list_tasks.py           next: python describe_task.py --task ID
"""

import sys
from typing import Any

import aws
from infrastructure.cluster import cluster
from infrastructure.service import deadlines, tasks


@aws.page()
def list_tasks() -> dict[str, Any]:
    """A task that was told to stop is listed until it is STOPPED: it still holds its GPU."""
    _, running, stopping, _ = aws.together(cluster.required, tasks.find, tasks.stopping, deadlines.look)
    deadlines.tell()
    return {"tasks": [row(task) for task in [*running, *stopping]]}


def row(task: Any) -> dict[str, Any]:
    return {
        "taskId": tasks.task_id(task["taskArn"]),
        "lastStatus": task["lastStatus"],
        "desiredStatus": task["desiredStatus"],
        "healthStatus": task.get("healthStatus", "UNKNOWN"),
        "since": task.get("startedAt") or task.get("createdAt"),
        "availabilityZone": task.get("availabilityZone"),
        "capacityProvider": task.get("capacityProviderName"),
        "taskDefinition": tasks.task_id(task["taskDefinitionArn"]),
        "startedBy": task.get("startedBy"),
    }


if __name__ == "__main__":
    sys.exit(aws.main(list_tasks, __doc__))
