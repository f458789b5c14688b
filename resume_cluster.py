"""Bring back what pause_cluster.py ended: hosts, services with their counts and scaling, tasks, schedules, and the ways in.

Each as it was: so many tasks, of that revision, with their overrides and tags; tasks begin anew. After --deep NAT gateways
and the load balancer are made again, by the settings, with other addresses; rules, scaling and DNS records follow them.
What was deleted meanwhile is left out. Then it waits until all of it runs: 4 to 8 minutes with hosts. What it costs is told
first, and above CONFIRM_ABOVE an hour it asks.

    python resume_cluster.py             next: python describe_clusters.py
    python resume_cluster.py --dry-run   what would be brought back

To undo: python pause_cluster.py
"""

import sys
from typing import Any

import aws
import console
import constants
from aws import Problem
from console import say
from infrastructure import parts
from infrastructure.cluster import (
    auto_scaling_group,
    bastion,
    checks,
    cluster,
    costs,
    load_balancer,
    nat_gateways,
    network,
    pause,
    security_groups,
    ways_out,
)
from infrastructure.delivery import deploys
from infrastructure.service import bill, counts, deadlines, runs_again, ways_in
from infrastructure.weights import schedules

PARTS = (cluster, pause, network, nat_gateways, auto_scaling_group, counts, ways_in, deploys, schedules)


@aws.page(of="cluster", changes=True, undo="pause_cluster.py", yes="do not ask, whatever it costs")
def resume_cluster(yes: bool = False) -> dict[str, Any]:
    """All is asked for first; that it was paused is forgotten before it is waited for."""
    parts.look(PARTS, *deadlines.looks())
    if not cluster.of_ours():
        raise Problem(cluster.missing())
    ran = pause.record()
    if not ran:
        pause.delete()
        say("found", f"cluster {constants.CLUSTER_NAME}", "nothing is paused")
        return {"clusterName": constants.CLUSTER_NAME, "services": {}, "tasks": []}
    deadlines.check()
    ways_in.refuse_changes(ran)
    if priced := runs_again.priced(ran):
        costs.tell_before(priced, yes)
    if ran["deep"]:
        make_ways()
        ways_in.bring_back(ran)
    aws.forget(deadlines.listed)  # another resume may have set them meanwhile
    deadlines.complete()
    deadlines.plan()  # before there is a host
    for each, sizes in ran["groups"].items():
        auto_scaling_group.resize(each, sizes)
    counts.bring_back(ran)
    arns = runs_again.bring_back(ran)
    deploys.bring_back()
    schedules.bring_back(ran)
    pause.delete()
    found = wait_running(ran, arns) if constants.WAIT and not console.dry_run else []
    running = bill.running_tasks() if costs.on_fargate() else []
    bill.tell_now(lambda: bill.cluster_now(running), bill.STOP)
    say("next", "python describe_clusters.py", "to undo: python pause_cluster.py")
    services = {name: count for name, count in ran["services"].items() if count}
    return {"clusterName": constants.CLUSTER_NAME, "services": services, "tasks": runs_again.told(found)}


def wait_running(ran: dict[str, Any], arns: list[str]) -> list[Any]:
    """Until all of it runs. Nothing does for which there can be no host."""
    if gone := [each for each in ran["groups"] if not auto_scaling_group.find(each)]:
        what = ", ".join(f"Auto Scaling group {aws.name(each)}" for each in gone)
        say("warning", f"{what} is gone:", "run create_cluster.py, which makes it again, and create_service.py")
        return []
    auto_scaling_group.wait_joined()
    counts.wait_running()
    bastion.wait_ready()
    return runs_again.wait_running(arns)


def make_ways() -> None:
    """NAT gateways and load balancer by the settings, as create_cluster.py makes them: about 3 minutes."""
    facts = checks.check(new_hosts=False)
    ways_out.check(new=False)
    asked = network.begin(nat_gateways.addresses_needed())
    net = network.create(facts.zones, asked)
    nat_gateways.create(net)
    network.create_routes(net)
    groups = security_groups.find()
    load_balancer.create(net, groups)
    nat_gateways.wait_ready(net)
    load_balancer.wait_ready(groups)


if __name__ == "__main__":
    sys.exit(aws.main(resume_cluster, __doc__))
