"""Delete the service: its scaling and alarms, the service with its tasks, the listener rule, the target group.

What came here of another endpoint's requests goes back there first. Tasks leave the load balancer before they stop.
The cluster, its hosts and the file system stay.

    python delete_service.py             next: python delete_cluster.py
    python delete_service.py --dry-run   what would be deleted
"""

import sys
from typing import Any

import aws
import constants
from console import say
from infrastructure import clean_up
from infrastructure.cluster import cluster
from infrastructure.service import scaling, service, target_group, task_security_group


@aws.page(changes=True)
def delete_service() -> dict[str, Any]:
    """Other endpoints get their requests back first; then scaling, which would bring back what is being taken down."""
    clean_up.settled(left_over)
    target_group.give_back()
    scaling.delete()
    if cluster.find():
        service.delete()
    target_group.delete()
    task_security_group.delete()
    say("next", "python delete_cluster.py" if not constants.ENDPOINT else aws.command("delete_endpoint.py"))
    return {"serviceName": constants.SERVICE_NAME, "left": left_over()}


def left_over() -> list[str]:
    parts = (scaling, service, target_group, task_security_group)
    return [
        getattr(each, "what", each) for part in parts for each in part.left_over()
    ]  # TEMPORARY: strings or Resources


if __name__ == "__main__":
    sys.exit(aws.main(delete_service, __doc__))
