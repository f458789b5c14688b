"""Delete the service: its scaling and alarms, the service with its tasks, the listener rule, the target group.

What came here of another endpoint's requests goes back there first. Tasks leave the load balancer before they stop.
A service that was made under a former SERVICE_NAME goes too.
The cluster, its hosts and the file system stay.

    python delete_service.py             next: python delete_cluster.py
    python delete_service.py --dry-run   what would be deleted
"""

import sys
from typing import Any

import aws
import constants
from console import say
from infrastructure import clean_up, parts
from infrastructure.service import bill, deadlines, listener_rule, scaling, service, target_group, task_security_group

#: in the order of create
PARTS = (task_security_group, target_group, listener_rule, service, scaling)


@aws.page(changes=True)
def delete_service() -> dict[str, Any]:
    """Other endpoints get their requests back first; then scaling, which would bring back what is being taken down."""
    for seen in clean_up.rounds(made(), "delete_service.py"):
        listener_rule.give_back()
        scaling.delete()
        service.delete()
        deadlines.drop([constants.SERVICE_NAME])
        listener_rule.delete()
        target_group.delete()
        task_security_group.delete()
        if not seen.resources:
            say("already gone", f"service {constants.SERVICE_NAME}")
    bill.tell_cluster()
    say("next", aws.command("delete_endpoint.py") if constants.ENDPOINT else "python delete_cluster.py")
    return {"serviceName": constants.SERVICE_NAME, "left": [each.what for each in parts.left_over(made())]}


def made() -> parts.Parts:
    """Without endpoints the tasks' security group is the cluster's."""
    return PARTS if constants.ENDPOINT else PARTS[1:]


if __name__ == "__main__":
    sys.exit(aws.main(delete_service, __doc__))
