"""Delete all that belongs to one endpoint, in reverse, and look at AWS once more for what is left.

DNS record, schedule, pipeline, service, task definition, roles, logs. What endpoints share stays as it is, and so do
the other endpoints. The directories on EFS keep their data; the repository stays while it holds images, unless
--images says otherwise. Works from any half-built state, and twice. Takes 2 to 4 minutes.

    ENDPOINT=b python delete_endpoint.py
    ENDPOINT=b python delete_endpoint.py --yes --images
    ENDPOINT=b python delete_endpoint.py --dry-run       what would be deleted
"""

import sys
from typing import Any

import aws
import console
import constants
from aws import Problem
from console import say
from infrastructure import clean_up, parts
from infrastructure.delivery import artifact_bucket, build_logs, build_project, pipeline, repository
from infrastructure.service import (
    access_points,
    bill,
    deadlines,
    dns_record,
    listener_rule,
    log_group,
    scaling,
    service,
    target_group,
    task_definitions,
    task_roles,
    task_security_group,
    tasks,
)
from infrastructure.weights import copies, schedule, sync, transfer_bucket


@aws.page(changes=True, unlisted=True, yes="do not ask", images="the repository with its images too")
@clean_up.telling_what_is_left(parts.OF_ENDPOINT)
def delete_endpoint(yes: bool = False, images: bool = False) -> dict[str, Any]:
    """What starts tasks goes first, then the tasks, then what they stood on."""
    if not constants.ENDPOINT:
        raise Problem("there are no endpoints here: SHARED_CLUSTER is not true. For the cluster: delete_cluster.py")
    listed = clean_up.going(clean_up.look(parts.OF_ENDPOINT).resources, *(["ecr"] if images else []))
    clean_up.confirm("endpoint", constants.ENDPOINT, listed, yes)
    for seen in clean_up.rounds(parts.OF_ENDPOINT, "delete_endpoint.py"):
        listener_rule.give_back()
        dns_record.delete()
        schedule.delete()
        sync.delete()
        copies.delete()
        transfer_bucket.delete()
        pipeline.delete()
        build_project.delete()
        artifact_bucket.delete()
        build_logs.delete()
        scaling.delete()
        service.delete()
        tasks.delete()
        clean_up.let_aws_list(seen)  # a task that was just started
        tasks.wait_deleted()
        deadlines.drop_of_endpoint()
        listener_rule.delete()
        target_group.delete()
        task_security_group.delete()
        task_definitions.delete()
        log_group.delete()
        task_roles.delete()
        access_points.delete()
        repository.delete(images=images)
    kept = clean_up.tell_kept(seen)
    bill.tell_cluster()
    say("next", "python delete_cluster.py", "nothing was deleted" if console.dry_run else "0 resources left of it")
    return {
        "endpoint": constants.ENDPOINT,
        "deleted": [each.what for each in listed if not each.kept],
        "kept": [each.what for each in kept],
        "left": [],
    }


if __name__ == "__main__":
    sys.exit(aws.main(delete_endpoint, __doc__))
