"""Pause the cluster: no task, no host, nothing that starts one; what ran is remembered, and resume_cluster.py brings it back.

Services go to 0, whoever's they are, and scaling with them; tasks of run_task.py stop, and begin anew at the resume;
others' stop too, and are told. Hosts and the bastion end, schedules that start tasks are disabled, a push waits before
Deploy. File systems, and all that is made, stay. AWS keeps what ran, encrypted, in an SSM parameter, until the resume.

    python pause_cluster.py             back: python resume_cluster.py
    python pause_cluster.py --deep      NAT gateways, their addresses, and the load balancer too; others come back
    python pause_cluster.py --dry-run   what would end

Takes 2 to 5 minutes with hosts. Its last lines say what still costs.
"""

import sys
from typing import Any

import aws
import constants
from aws import Problem
from console import say
from infrastructure import parts
from infrastructure.cluster import (
    auto_scaling_group,
    cluster,
    load_balancer,
    nat_gateways,
    network,
    pause,
)
from infrastructure.delivery import deploys
from infrastructure.service import bill, counts, deadlines, runs_again, ways_in
from infrastructure.weights import schedules

PARTS = (cluster, pause, network, nat_gateways, auto_scaling_group, counts, ways_in, deploys, schedules)


@aws.page(
    of="cluster",
    changes=True,
    deep="the NAT gateways and the load balancer too: others come back",
)
def pause_cluster(deep: bool = False) -> dict[str, Any]:
    """What starts tasks first; then the tasks, and what they stand on."""
    before = aws.changes()
    parts.look(PARTS, *deadlines.looks())
    if not cluster.of_ours():
        raise Problem(cluster.missing())
    if deep:
        ways_in.refuse()
    ran = pause.record() or pause.create(seen())
    if deep:
        ran = pause.add(ran, deep=True)
    schedules.take()
    deploys.take()
    counts.take()
    runs_again.take()
    auto_scaling_group.empty()  # hosts and tasks end at the same time
    auto_scaling_group.empty("bastion")
    counts.wait_ended()
    runs_again.wait_ended()
    if deep:
        load_balancer.delete()
    auto_scaling_group.wait_drained(constants.WAIT_TIMEOUT_SECONDS)
    auto_scaling_group.wait_terminated()
    if deep:
        nat_gateways.take()  # a host that still drains tells ECS so through them
        load_balancer.wait_deleted()
    deadlines.remove([each.name for each in deadlines.listed()])  # nothing is left for them to end
    return told(ran, nothing=aws.changes() == before)


def seen() -> dict[str, Any]:
    """What runs, as it is to run again."""
    of_services, of_runs = counts.seen(), runs_again.seen()
    groups = auto_scaling_group.sizes()
    return {"deep": False, "groups": groups, **of_services, **of_runs, **schedules.seen(), **ways_in.seen()}


def told(ran: dict[str, Any], nothing: bool) -> dict[str, Any]:
    if nothing:
        say("found", f"cluster {constants.CLUSTER_NAME}", f"paused since {pause.since()}: nothing changed")
    deeper = nat_gateways.gateways() or load_balancer.find()
    bill.tell_now(
        lambda: bill.cluster_now([]), f"python {'pause_cluster.py --deep' if deeper else 'delete_cluster.py'}"
    )
    say("next", "python resume_cluster.py", "brings back what ran")
    return {
        "clusterName": constants.CLUSTER_NAME,
        "pausedSince": pause.since(),
        "services": {name: count for name, count in ran["services"].items() if count},
        "tasks": sum(each["count"] for each in ran["runs"]),
    }


if __name__ == "__main__":
    sys.exit(aws.main(pause_cluster, __doc__))
