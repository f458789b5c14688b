"""Delete everything of this cluster, in reverse, whichever page made it, and look at AWS once more for what is left.

Asks for the cluster's name; --yes for runs that no one watches. Touches only what bears this CLUSTER_NAME's tag. The
file system goes only with EFS_DELETION_POLICY=Delete, a repository with images only with --everything; otherwise they
are kept, and named. Works from any half-built state, and twice. Refuses while endpoints share the cluster. Takes 2 to 5
minutes with hosts.

    python delete_cluster.py
    python delete_cluster.py --yes
    python delete_cluster.py --dry-run      what would be deleted
    python delete_cluster.py --everything   the endpoints that share it first, and all images
"""

import sys
from typing import Any

import aws
import console
import constants
from aws import Resource
from console import say
from delete_endpoint import delete_endpoint
from infrastructure import clean_up, endpoints, parts
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
    pause,
    roles,
    security_groups,
    tag_index,
)
from infrastructure.delivery import artifact_bucket, build_logs, build_project, connection, pipeline, repository
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
    tasks,
)
from infrastructure.weights import copies, schedule, sync, transfer_bucket

#: what is kept, by the service of its ARN, in the last line
KEPT = {
    "elasticfilesystem": "the kept file systems",
    "ecr": "the kept repositories",
    "acm": "the certificate: python delete_certificate.py",
}


@aws.page(of="cluster", changes=True, yes="do not ask", everything="its endpoints first, and all images")
@clean_up.telling_what_is_left(parts.ALL)
def delete_cluster(yes: bool = False, everything: bool = False) -> dict[str, Any]:
    """What starts tasks goes first; then the slow deletions are asked for; each step waits only for what it needs."""
    before = aws.changes()
    kept_of_endpoints = delete_endpoints(yes) if everything else endpoints.refuse_left()
    listed = clean_up.going(clean_up.look(parts.ALL).resources, *(["ecr", "acm"] if everything else []))
    clean_up.confirm("cluster", constants.CLUSTER_NAME, [*listed, *kept_of_endpoints], yes)
    stood = bill.before_the_end() if listed and not console.dry_run else None

    for seen in clean_up.rounds(parts.ALL, "delete_cluster.py"):
        dns_record.delete_all()
        schedule.delete()
        pipeline.delete()
        build_project.delete()
        artifact_bucket.delete()
        build_logs.delete()
        repository.delete(images=everything)
        connection.delete()
        scaling.delete()
        service.delete(with_cluster=True)

        listener_rule.delete()
        target_group.delete()
        load_balancer.delete()
        bastion.delete()
        auto_scaling_group.empty()  # hosts and tasks end at the same time
        tasks.delete()
        clean_up.let_aws_list(seen)  # a task that was just started too
        tasks.wait_deleted()
        sync.delete()
        copies.delete()
        transfer_bucket.delete()
        task_definitions.delete()
        mount_targets.delete()  # what runs writes through them
        capacity.delete()
        nat_gateways.delete()  # a host that still drains tells ECS so through them

        task_roles.delete()
        access_points.delete()
        mount_targets.wait_deleted()
        file_system.delete()
        capacity.wait_deleted()
        auto_scaling_group.delete()
        launch_template.delete()
        load_balancer.wait_deleted()
        nat_gateways.wait_deleted()
        auto_scaling_group.wait_terminated()
        bastion.wait_deleted()

        clean_up.look_again(seen)
        security_groups.delete()
        network.delete()
        deadlines.delete()  # no host stands any more
        monitoring.delete()  # hosts write to its log groups until they have ended
        pause.delete()
        cluster.delete()
        log_group.delete()
        roles.delete()
        file_system.wait_deleted()
        auto_scaling_group.wait_deleted()
        if everything:
            certificate.delete()  # the load balancer used it

    kept = [*clean_up.tell_kept(seen), *kept_of_endpoints]
    clean_up.refuse_unnamed([*listed, *kept])
    if not listed and not kept_of_endpoints and aws.changes() == before:
        tell_nothing()
    else:
        tell(kept, kept_of_endpoints)
        bill.tell_end(stood, kept)
    return {
        "clusterName": constants.CLUSTER_NAME,
        "deleted": [each.what for each in listed if not each.kept],
        "kept": [each.arn.rpartition("/")[2] for each in kept],
        "left": [],
    }


def delete_endpoints(yes: bool) -> list[Resource]:
    """Each by its own page, with its own settings."""
    for endpoint in endpoints.left_over():
        say("endpoint", endpoint, "delete_endpoint.py --images")
        with constants.of(ENDPOINT=endpoint):
            delete_endpoint(yes=yes, images=True)
    return []


def tell_nothing() -> None:
    """A name or a region that was mistyped is not to look like a clean-up."""
    others = ", ".join(tag_index.other_clusters())
    where = f"in account {aws.account()}, region {aws.region()}"
    named = f"the tags there name {others}" if others else "no tag there names another one"
    say("found", f"nothing of a cluster {constants.CLUSTER_NAME} {where}:", named)


def tell(kept: list[Resource], of_endpoints: list[Resource]) -> None:
    for each in of_endpoints:
        say("kept", each.what, each.kept)
    if console.dry_run:
        say("next", "python delete_cluster.py", "nothing was deleted")
        return
    words = [text for service, text in KEPT.items() if any(each.arn.split(":")[2] == service for each in kept)]
    say("next", f"0 resources left but {', '.join(words)}" if words else "nothing: 0 resources left")


if __name__ == "__main__":
    sys.exit(aws.main(delete_cluster, __doc__))
