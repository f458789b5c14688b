"""Roll out the newest revision of the family, or DESIRED_COUNT, and wait until the service is stable.

For a new image: IMAGE=... python register_task_definition.py, then this. Where no GPU is free for a new task beside
the old one, the old one is stopped first, with a short outage (ALLOW_DOWNTIME=false refuses).

    python update_service.py                  next: python check_service.py
    python update_service.py --revision 3     back to an earlier revision
    python update_service.py --dry-run        what would be changed
"""

import sys
from typing import Any

import aws
import console
import constants
from aws import Problem
from console import say
from infrastructure.cluster import cluster, file_system, pause
from infrastructure.delivery import container_image
from infrastructure.service import bill, deadlines, listener_rule, scaling, service, target_group, task_definitions


@aws.page(changes=True, revision=("N", "this revision instead of the newest"))
def update_service(revision: str = "") -> dict[str, Any]:
    looks: list[Any] = [*scaling.LOOKS, scaling.policies, *listener_rule.LOOKS, *file_system.LOOKS, *deadlines.looks()]
    aws.look_at(cluster.describe, service.targets, task_definitions.newest, *looks)
    cluster.required()
    pause.refuse()
    found = service.required()
    service.refuse_foreign(found)
    asked = f"{constants.TASK_FAMILY}:{revision}"
    definition = task_definitions.definition(asked) if revision else service.revision_to_run()
    if not definition:
        raise Problem(f"there is no revision {revision} of {constants.TASK_FAMILY}: list_task_definition.py lists them")
    container_image.refuse_missing(definition)
    scaling.refuse_taken()
    target_group.refuse_changes()
    service.refuse_changes(definition)
    deadlines.renew(constants.SERVICE_NAME)
    if not constants.DESIRED_COUNT:
        listener_rule.give_back()
    scaling.loosen()
    service.update(found, definition["taskDefinitionArn"], target_group_arn=listener_rule.group_arn())
    scaling.create()
    if constants.WAIT and not console.dry_run:
        service.wait_stable(definition["taskDefinitionArn"])
    listener_rule.share_traffic()
    told = service.described()
    bill.tell_tasks(max(told["runningCount"], told["desiredCount"]), "delete_service.py")
    say("next", aws.command("check_service.py"))
    return told


if __name__ == "__main__":
    sys.exit(aws.main(update_service, __doc__))
