"""The ECS cluster itself: a name under which hosts and tasks come together. It costs nothing.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/clusters.html
"""

from typing import Any

import constants
from aws import Problem, accepted, client, insist, ours, tags, wait
from console import NEW, say

#: what AWS says while an earlier change of the cluster is going on
BUSY = ("UpdateInProgressException", "Cluster was not ACTIVE")


def create() -> str:
    """Make the cluster, wait until it is ACTIVE, and set Container Insights. CreateCluster gives the existing one back."""
    ecs = client("ecs")
    cluster = find()
    settings = [{"name": "containerInsights", "value": constants.CONTAINER_INSIGHTS}]
    if cluster and not ours(cluster.get("tags")):
        raise Problem(
            f"the cluster {constants.CLUSTER_NAME} exists already, and does not bear the tag {constants.CLUSTER_TAG}: choose another CLUSTER_NAME"
        )
    if cluster:
        say("found", f"cluster {constants.CLUSTER_NAME}")
    else:
        insist(
            f"cluster {constants.CLUSTER_NAME}",
            lambda: ecs.create_cluster(
                clusterName=constants.CLUSTER_NAME, settings=settings, tags=tags("", "key", "value")
            ),
            "Unable to assume the service linked role",
        )
        say("created", f"cluster {constants.CLUSTER_NAME}")
        cluster = wait(f"cluster {constants.CLUSTER_NAME} to be ACTIVE", find, status_in_words) or {
            "clusterArn": NEW,
            "settings": settings,
        }
    if cluster.get("settings") != settings:
        insist(
            f"cluster {constants.CLUSTER_NAME}",
            lambda: ecs.update_cluster_settings(cluster=constants.CLUSTER_NAME, settings=settings),
            *BUSY,
        )
        say("updated", f"cluster {constants.CLUSTER_NAME}", f"Container Insights {constants.CONTAINER_INSIGHTS}")
    return str(cluster["clusterArn"])


def refuse_changes() -> None:
    """The other launch type's hosts would stay, and cost, and its tasks would lose their way to the file system."""
    cluster = find()
    providers = cluster.get("capacityProviders", []) if cluster and ours(cluster.get("tags")) else []
    others = (constants.CAPACITY_PROVIDER,) if constants.LAUNCH_TYPE == "FARGATE" else ("FARGATE", "FARGATE_SPOT")
    present = [provider for provider in providers if provider in others]
    if present:
        raise Problem(
            f"LAUNCH_TYPE={constants.LAUNCH_TYPE}, but the cluster {constants.CLUSTER_NAME} was made with {', '.join(present)}, which can't be "
            "changed: set it back, or run delete_cluster.py first"
        )


def delete() -> None:
    """AWS refuses while hosts, tasks or services are in it, or a change of it is going on."""
    cluster = describe()
    if not cluster or cluster["status"] == "INACTIVE":
        return say("already gone", f"cluster {constants.CLUSTER_NAME}")
    if not ours(cluster.get("tags")):
        return say("kept", f"cluster {constants.CLUSTER_NAME}", "not of this runbook")
    insist(
        f"cluster {constants.CLUSTER_NAME} to be empty",
        lambda: accepted(
            lambda: client("ecs").delete_cluster(cluster=constants.CLUSTER_NAME), "ClusterNotFoundException"
        ),
        "ClusterContainsContainerInstancesException",
        "ClusterContainsTasksException",
        "ClusterContainsServicesException",
        "ClusterContainsCapacityProviderException",
        *BUSY,
    )
    say("deleted", f"cluster {constants.CLUSTER_NAME}")


def describe() -> dict[str, Any] | None:
    """The cluster in whatever state; a deleted one stays described as INACTIVE for a while."""
    found = client("ecs").describe_clusters(
        clusters=[constants.CLUSTER_NAME], include=["TAGS", "SETTINGS", "ATTACHMENTS"]
    )["clusters"]
    return found[0] if found else None


def find() -> dict[str, Any] | None:
    """The cluster if it can be used: ACTIVE."""
    cluster = describe()
    return cluster if cluster and cluster["status"] == "ACTIVE" else None


def status_in_words() -> str:
    cluster = describe()
    return f"its status is {cluster['status']}" if cluster else "AWS does not list it"


def required() -> dict[str, Any]:
    """The cluster, for pages that need one."""
    cluster = find()
    if not cluster:
        raise Problem(f"there is no cluster {constants.CLUSTER_NAME} in this region: run create_cluster.py first")
    return cluster


def left_over() -> list[str]:
    cluster = describe()
    there = cluster and cluster["status"] != "INACTIVE" and ours(cluster.get("tags"))
    return [f"cluster {constants.CLUSTER_NAME}"] if there else []
