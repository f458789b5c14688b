"""Bring the hosts to the newest AMI and the settings, one at a time: an instance refresh of the Auto Scaling group.

Each host is drained first, so service tasks move; a task of run_task.py on it is waited for. 10 to 15 minutes a host: the
next one goes only when the new one has joined the cluster with all its GPUs. Where one does not join, it stops, says why,
and names the AMI to go back to.

    python update_cluster.py             next: python describe_clusters.py
    python update_cluster.py --dry-run   what would be changed
"""

import sys
from typing import Any

import aws
import constants
from aws import Problem
from infrastructure.cluster import auto_scaling_group, checks, cluster, launch_template, roles, security_groups
from infrastructure.service import bill, deadlines


@aws.page(of="cluster", changes=True)
def update_cluster() -> dict[str, Any]:
    if constants.LAUNCH_TYPE == "FARGATE":
        raise Problem("LAUNCH_TYPE=FARGATE: there are no hosts to replace; AWS renews its own")
    cluster.required()
    deadlines.mend()
    facts = checks.check()
    launch_template.create(facts, security_groups.find(), roles.find(), newest=True)
    done = [
        {"autoScalingGroupName": aws.name(each), "imageId": facts.image_id, **auto_scaling_group.refresh(each)}
        for each in auto_scaling_group.wanted()
    ]
    bill.tell_cluster()
    return {**done[0], "onDemand": done[1]} if done[1:] else done[0]


if __name__ == "__main__":
    sys.exit(aws.main(update_cluster, __doc__))
