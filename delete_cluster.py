"""Delete everything that create_cluster.py made, in reverse, and look at AWS once more for what is left.

Asks for the cluster's name; --yes for runs that no one watches. Touches only what bears this CLUSTER_NAME's tag or
name. The file system goes only with EFS_DELETION_POLICY=Delete; otherwise it is kept, and named. Works from any
half-built state, and twice. Refuses while endpoints share the cluster; their repositories, which may outlive them, are
kept, and named. Takes 3 to 6 minutes with hosts.

    python delete_cluster.py
    python delete_cluster.py --yes
    python delete_cluster.py --dry-run   what would be deleted
    python delete_cluster.py --everything   the endpoints that share it first, with their images
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import aws
import console
import constants
from aws import Problem
from console import say
from infrastructure import clean_up, endpoints
from infrastructure.cluster import (
    auto_scaling_group,
    bastion,
    capacity,
    certificate,
    cluster,
    file_system,
    launch_template,
    load_balancer,
    monitoring,
    mount_targets,
    nat_gateways,
    network,
    roles,
    security_groups,
)
from infrastructure.delivery import connection
from infrastructure.service import dns_record, log_group, scaling, target_group, task_definitions, tasks


@aws.page(of="cluster", changes=True, yes="do not ask", everything="its endpoints first, with their images")
def delete_cluster(yes: bool = False, everything: bool = False) -> dict[str, Any]:
    """Ask for the slow deletions first; each step waits only for what it needs."""
    if everything:
        delete_endpoints(yes)
    if not (everything and console.dry_run):
        endpoints.refuse_left()
    listed = clean_up.settled(inventory)
    clean_up.confirm("cluster", constants.CLUSTER_NAME, listed, data_kept(), yes)
    dns_record.delete_all()
    scaling.delete()
    tasks.delete()
    task_definitions.delete()
    target_group.delete()
    bastion.delete()
    capacity.delete()
    mount_targets.delete()
    load_balancer.delete()
    nat_gateways.delete()
    bastion.wait_deleted()
    capacity.wait_deleted()
    auto_scaling_group.delete()
    launch_template.delete()
    monitoring.delete()
    mount_targets.wait_deleted()
    nat_gateways.wait_deleted()
    security_groups.delete()
    network.delete()
    cluster.delete()
    log_group.delete()
    roles.delete()
    file_system.delete()
    connection.delete()
    if everything and not console.dry_run:  # until the load balancer is gone it is in use
        certificate.delete()
    clean_up.sweep(inventory, "delete_cluster.py")
    kept = file_system.owned() if constants.EFS_DELETION_POLICY == "Retain" and not constants.FILE_SYSTEM_ID else []
    repositories = endpoints.repositories()
    for endpoint, held in zip(repositories, endpoints.repositories_kept(), strict=True):
        say("kept", held, f"to delete it too: ENDPOINT={endpoint} python delete_repository.py --images")
    if console.dry_run:
        say("next", "python delete_cluster.py", "nothing was deleted")
    else:
        left = " but the kept file systems" if kept else ""
        left += " but the kept repositories" if repositories else ""
        left += (
            " but the certificate: python delete_certificate.py"
            if constants.CERTIFICATE_DOMAINS and certificate.left_over()
            else ""
        )
        say("next", f"0 resources left{left}" if left else "nothing: 0 resources left")
    return {
        "clusterName": constants.CLUSTER_NAME,
        "deleted": listed,
        "kept": [*(system["FileSystemId"] for system in kept), *repositories.values()],
        "left": [],
    }


def delete_endpoints(yes: bool) -> None:
    """Each by its own page, in a process of its own: settings are those of one endpoint."""
    for endpoint in sorted(endpoints.find().keys() | endpoints.repositories().keys()):
        say("endpoint", endpoint, "delete_endpoint.py --images")
        page = [sys.executable, str(Path(__file__).with_name("delete_endpoint.py")), "--images"]
        flags = ["--yes"] * yes + ["--dry-run"] * console.dry_run
        environment = {**os.environ, "ENDPOINT": endpoint}
        if subprocess.run([*page, *flags], check=False, stdout=2, env=environment).returncode:
            raise Problem(f"endpoint {endpoint} was not deleted; what follows would leave a part of it behind")


def inventory() -> list[str]:
    """Ask each service's own Describe what still bears our tag or name; what is kept on purpose is not in it."""
    hosts = (bastion, capacity, auto_scaling_group, launch_template, monitoring)
    hosts_and_tasks = (scaling, tasks, task_definitions, target_group, *hosts)
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
        connection,
    )
    records = dns_record.all_left_over()
    found = [item for part in (*hosts_and_tasks, *parts) for item in part.left_over()]
    return records + [getattr(item, "what", item) for item in found]  # TEMPORARY, until each is a Resource


def data_kept() -> list[str]:
    systems = file_system.owned() if constants.EFS_DELETION_POLICY == "Retain" and not constants.FILE_SYSTEM_ID else []
    kept = [f"file system {system['FileSystemId']}, {file_system.gib(system)}" for system in systems]
    return kept + endpoints.repositories_kept()


if __name__ == "__main__":
    sys.exit(aws.main(delete_cluster, __doc__))
