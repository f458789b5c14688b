"""Make the service: target group, listener rule, the ECS service itself, and its scaling; wait until it is stable.

With TRAFFIC_WEIGHT a part of another endpoint's requests comes here, once the tasks can answer.
Needs register_task_definition.py. Run it again at any time: it brings what is there into line with the settings.
Prints the service's URL, counts, deployments and targets.

    python create_service.py             next: python check_service.py
    python create_service.py --dry-run   what would be created or changed
    WAIT=false python create_service.py  does not wait
    DESIRED_COUNT=0 python create_service.py   no tasks yet: the image is still to be built

Its tasks cost money until: python delete_service.py
"""

import sys
from typing import Any

import aws
import console
import constants
from console import say
from infrastructure import parts
from infrastructure.cluster import certificate, cluster, costs, file_system, load_balancer, pause, ways_out
from infrastructure.delivery import container_image, pipeline
from infrastructure.service import (
    bill,
    deadlines,
    dns_record,
    listener_rule,
    scaling,
    service,
    target_group,
    task_definitions,
    task_security_group,
)

PARTS = (task_security_group, target_group, listener_rule, service, scaling)
#: what else it compares with the settings, or tells
LOOKS = (
    *(task_definitions.newest, service.targets, target_group.attributes, scaling.policies),
    *(load_balancer.tags_by_arn, pipeline.find),
)


@aws.page(changes=True, undo="delete_service.py", yes="do not ask, whatever it costs")
def create_service(yes: bool = False) -> dict[str, Any]:
    parts.look((cluster, file_system, *PARTS), *LOOKS, *deadlines.looks(), *costs.looks_for_tasks())
    cluster.required()
    pause.refuse()
    definition = service.revision_to_run()
    ways_out.warn_of_tasks()
    container_image.refuse_missing(definition)
    certificate.refuse_uncovered()
    target_group.refuse_changes()
    listener_rule.refuse_taken()
    scaling.refuse_taken()
    service.refuse_changes(definition)
    former = service.former()
    running = (service.find() or {}).get("desiredCount", 0)
    if running < constants.DESIRED_COUNT:
        costs.tell_before(costs.for_tasks(constants.DESIRED_COUNT - running), yes)
    deadlines.renew(constants.SERVICE_NAME)
    parts.retag(PARTS)
    if not constants.DESIRED_COUNT:
        listener_rule.give_back()
    group_ids = task_security_group.create()
    target_group_arn = target_group.create()
    dns_record.delete_former()
    listener_rule.create(target_group_arn)
    scaling.loosen()
    service.create(definition, target_group_arn, group_ids)
    scaling.create()
    if constants.WAIT and not console.dry_run:
        service.wait_stable(definition["taskDefinitionArn"])
    service.delete_former(former)
    listener_rule.share_traffic()
    pipeline.open_deploy()
    pipeline.tell_another_service()
    if console.dry_run:
        return {"serviceName": constants.SERVICE_NAME}
    if not constants.DESIRED_COUNT:
        until = "until the pipeline's next run or update_service.py"
        say("paused", f"service {constants.SERVICE_NAME}", f"0 tasks, {until}")
    told = service.described()
    bill.tell_tasks(max(told["runningCount"], told["desiredCount"]), "delete_service.py")
    following = "create_dns_record.py" if constants.HOST_NAME else "check_service.py"
    say("next", aws.command(following), f"to undo: {aws.command('delete_service.py')}")
    return told


if __name__ == "__main__":
    sys.exit(aws.main(create_service, __doc__))
