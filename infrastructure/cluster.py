"""The ECS cluster itself: a name under which hosts and tasks come together. It costs nothing.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/clusters.html
"""

from typing import Any

from aws import Problem, accepted, client, insist, ours, tags, wait
from console import NEW, say
from constants import CAPACITY_PROVIDER, CLUSTER_NAME, CLUSTER_TAG, CONTAINER_INSIGHTS, LAUNCH_TYPE

#: what AWS says while an earlier change of the cluster is going on
BUSY = ("UpdateInProgressException", "Cluster was not ACTIVE")


def create() -> str:
    """Make the cluster, wait until it is ACTIVE, and set Container Insights. CreateCluster gives the existing one back."""
    ecs = client("ecs")
    cluster = find()
    settings = [{"name": "containerInsights", "value": CONTAINER_INSIGHTS}]
    if cluster and not ours(cluster.get("tags")):
        raise Problem(
            f"the cluster {CLUSTER_NAME} exists already, and does not bear the tag {CLUSTER_TAG}: choose another CLUSTER_NAME"
        )
    if cluster:
        say("found", f"cluster {CLUSTER_NAME}")
    else:
        insist(
            f"cluster {CLUSTER_NAME}",
            lambda: ecs.create_cluster(clusterName=CLUSTER_NAME, settings=settings, tags=tags("", "key", "value")),
            "Unable to assume the service linked role",
        )
        say("created", f"cluster {CLUSTER_NAME}")
        cluster = wait(f"cluster {CLUSTER_NAME} to be ACTIVE", find, status_in_words) or {
            "clusterArn": NEW,
            "settings": settings,
        }
    if cluster.get("settings") != settings:
        insist(
            f"cluster {CLUSTER_NAME}",
            lambda: ecs.update_cluster_settings(cluster=CLUSTER_NAME, settings=settings),
            *BUSY,
        )
        say("updated", f"cluster {CLUSTER_NAME}", f"Container Insights {CONTAINER_INSIGHTS}")
    return str(cluster["clusterArn"])


def refuse_changes() -> None:
    """The other launch type's hosts would stay, and cost, and its tasks would lose their way to the file system."""
    cluster = find()
    providers = cluster.get("capacityProviders", []) if cluster and ours(cluster.get("tags")) else []
    others = (CAPACITY_PROVIDER,) if LAUNCH_TYPE == "FARGATE" else ("FARGATE", "FARGATE_SPOT")
    present = [provider for provider in providers if provider in others]
    if present:
        raise Problem(
            f"LAUNCH_TYPE={LAUNCH_TYPE}, but the cluster {CLUSTER_NAME} was made with {', '.join(present)}, which can't be "
            "changed: set it back, or run delete_cluster.py first"
        )


def delete() -> None:
    """AWS refuses while hosts, tasks or services are in it, or a change of it is going on."""
    cluster = describe()
    if not cluster or cluster["status"] == "INACTIVE":
        return say("already gone", f"cluster {CLUSTER_NAME}")
    if not ours(cluster.get("tags")):
        return say("kept", f"cluster {CLUSTER_NAME}", "not of this runbook")
    insist(
        f"cluster {CLUSTER_NAME} to be empty",
        lambda: accepted(lambda: client("ecs").delete_cluster(cluster=CLUSTER_NAME), "ClusterNotFoundException"),
        "ClusterContainsContainerInstancesException",
        "ClusterContainsTasksException",
        "ClusterContainsServicesException",
        "ClusterContainsCapacityProviderException",
        *BUSY,
    )
    say("deleted", f"cluster {CLUSTER_NAME}")


def describe() -> dict[str, Any] | None:
    """The cluster in whatever state; a deleted one stays described as INACTIVE for a while."""
    found = client("ecs").describe_clusters(clusters=[CLUSTER_NAME], include=["TAGS", "SETTINGS", "ATTACHMENTS"])[
        "clusters"
    ]
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
        raise Problem(f"there is no cluster {CLUSTER_NAME} in this region: run create_cluster.py first")
    return cluster


def left_over() -> list[str]:
    cluster = describe()
    there = cluster and cluster["status"] != "INACTIVE" and ours(cluster.get("tags"))
    return [f"cluster {CLUSTER_NAME}"] if there else []
