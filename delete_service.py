"""Delete the service: its scaling and alarms, the service with its tasks, the listener rule, the target group.

Tasks leave the load balancer before they stop. The cluster, its hosts and the file system stay.

    python delete_service.py             next: python delete_cluster.py
    python delete_service.py --dry-run   what would be deleted
"""

import sys
from typing import Any

import aws
from console import say
from constants import SERVICE_NAME
from infrastructure import cluster, scaling, service, target_group


def delete_service() -> dict[str, Any]:
    """Scaling first: it would bring back what is being taken down."""
    scaling.delete()
    if cluster.find():
        service.delete()
    target_group.delete()
    say("next", "python delete_cluster.py")
    return {"serviceName": SERVICE_NAME, "left": scaling.left_over() + target_group.left_over()}


if __name__ == "__main__":
    sys.exit(aws.main(delete_service, __doc__, changes=True))
