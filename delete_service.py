"""Delete the service: its scaling and alarms, the service with its tasks, the listener rule, the target group.

Tasks leave the load balancer before they stop. The cluster, its hosts and the file system stay.

    python delete_service.py             next: python delete_cluster.py
    python delete_service.py --dry-run   what would be deleted
"""

import sys
from typing import Any

import aws
from console import say
from constants import ENDPOINT, SERVICE_NAME
from infrastructure import cluster, scaling, security_groups, service, target_group


def delete_service() -> dict[str, Any]:
    """Other endpoints get their requests back first; then scaling, which would bring back what is being taken down."""
    target_group.give_back()
    scaling.delete()
    if cluster.find():
        service.delete()
    target_group.delete()
    security_groups.delete_for_endpoint()
    say("next", "python delete_cluster.py" if not ENDPOINT else "python delete_endpoint.py")
    left = [*scaling.left_over(), *target_group.left_over(), *security_groups.left_over_of_endpoint()]
    return {"serviceName": SERVICE_NAME, "left": left}


if __name__ == "__main__":
    sys.exit(aws.main(delete_service, __doc__, changes=True))
