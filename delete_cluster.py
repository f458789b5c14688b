"""Delete everything that create_cluster.py made, in reverse, and look at AWS once more for what is left.

Asks for the cluster's name; --yes for runs that no one watches. Touches only what bears this CLUSTER_NAME's tag or
name. The file system goes only with EFS_DELETION_POLICY=Delete; otherwise it is kept, and named. Works from any
half-built state, and twice. Takes 3 to 6 minutes with hosts.

    python delete_cluster.py
    python delete_cluster.py --yes
    python delete_cluster.py --dry-run   what would be deleted
"""

import sys
from typing import Any

import aws
import console
from aws import Problem, pause, wait
from console import say
from constants import CLUSTER_NAME, EFS_DELETION_POLICY, FILE_SYSTEM_ID
from infrastructure import (
    bastion,
    capacity,
    cluster,
    file_system,
    load_balancer,
    log_group,
    monitoring,
    mount_targets,
    nat_gateways,
    network,
    roles,
    scaling,
    security_groups,
    target_group,
    tasks,
)

#: how long EC2 may list what is deleted
SWEEP_SECONDS = 120


def delete_cluster(yes: bool = False) -> dict[str, Any]:
    """Ask for the slow deletions first; each step waits only for what it needs."""
    listed = settled_inventory()
    confirm(listed, yes)
    scaling.delete()
    tasks.delete()
    target_group.delete()
    bastion.delete()
    capacity.delete()
    mount_targets.delete()
    load_balancer.delete()
    nat_gateways.delete()
    bastion.wait_deleted()
    capacity.wait_deleted()
    monitoring.delete()
    mount_targets.wait_deleted()
    nat_gateways.wait_deleted()
    security_groups.delete()
    network.delete()
    cluster.delete()
    log_group.delete()
    roles.delete()
    file_system.delete()
    sweep()
    kept = file_system.owned() if EFS_DELETION_POLICY == "Retain" and not FILE_SYSTEM_ID else []
    if console.dry_run:
        say("next", "python delete_cluster.py", "nothing was deleted")
    else:
        say("next", "nothing: 0 resources left" if not kept else "0 resources left but the kept file systems")
    return {
        "clusterName": CLUSTER_NAME,
        "deleted": listed,
        "kept": [system["FileSystemId"] for system in kept],
        "left": [],
    }


def sweep() -> None:
    """Ask AWS again what there is: it lists for a while what is gone already, but what stays listed is left over."""
    wait(
        "AWS to list nothing any more",
        lambda: not inventory(),
        lambda: f"left over: {', '.join(inventory())}. Run delete_cluster.py again",
        seconds=SWEEP_SECONDS,
    )


def settled_inventory() -> list[str]:
    """The inventory, once two looks agree: AWS does not list at once what an interrupted run has just made."""
    found, before = inventory(), None
    while found != before and not console.dry_run:
        pause()
        found, before = inventory(), found
    return found


def inventory() -> list[str]:
    """Ask each service's own Describe what still bears our tag or name; what is kept on purpose is not in it."""
    hosts_and_tasks = (scaling, tasks, target_group, bastion, capacity, monitoring)
    parts = (
        mount_targets,
        load_balancer,
        security_groups,
        nat_gateways,
        network,
        cluster,
        log_group,
        roles,
        file_system,
    )
    return [item for part in (*hosts_and_tasks, *parts) for item in part.left_over()]


def confirm(listed: list[str], yes: bool) -> None:
    """Show what will go; go on only when the cluster's name has been typed, or --yes was given."""
    for item in listed:
        print(f"  {item}", file=sys.stderr)
    for system in file_system.owned() if EFS_DELETION_POLICY == "Retain" else []:
        print(f"  kept: file system {system['FileSystemId']}, {file_system.gib(system)}", file=sys.stderr)
    if yes or console.dry_run or not listed:
        return
    if not sys.stdin or not sys.stdin.isatty():
        raise Problem("there is no terminal to ask on: pass --yes to delete what is listed above")
    print(f"Type the cluster's name, {CLUSTER_NAME}, to delete all this: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != CLUSTER_NAME:
        raise Problem("that is not the name; nothing was deleted")


if __name__ == "__main__":
    sys.exit(aws.main(delete_cluster, __doc__, shared=True, changes=True, yes="do not ask"))
