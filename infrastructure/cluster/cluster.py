"""The ECS cluster itself: a name under which hosts and tasks come together. It costs nothing.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/clusters.html
"""

from typing import Any

import aws
import console
import constants
from aws import Problem, Resource, call, client, ours, refuse_foreign, resource, spare_foreign, tags
from console import say

#: what AWS says while an earlier change of the cluster is going on
BUSY = ("UpdateInProgressException", "Cluster was not ACTIVE")


@aws.shared_look
def describe() -> Any | None:
    """The cluster in whatever state; a deleted one stays described as INACTIVE for a while."""
    include: list[Any] = ["TAGS", "SETTINGS", "ATTACHMENTS"]
    found = client("ecs").describe_clusters(clusters=[constants.CLUSTER_NAME], include=include)["clusters"]
    return found[0] if found else None


LOOKS = (describe,)


def find() -> Any | None:
    """The cluster if it can be used: ACTIVE."""
    cluster = describe()
    return cluster if cluster and cluster["status"] == "ACTIVE" else None


def of_ours() -> Any | None:
    """The same if it is ours: what a deletion may empty."""
    cluster = find()
    return cluster if ours(cluster) else None


def required() -> Any:
    """The cluster, for pages that need one."""
    cluster = find()
    if not cluster:
        raise Problem(missing())
    return cluster


def missing() -> str:
    return f"there is no cluster {constants.CLUSTER_NAME} in this region: run create_cluster.py first"


def refuse_changes() -> None:
    """The other launch type's hosts would stay, and cost, and its tasks would lose their way to the file system."""
    cluster = of_ours()
    others = (constants.CAPACITY_PROVIDER,) if constants.LAUNCH_TYPE == "FARGATE" else ("FARGATE", "FARGATE_SPOT")
    present = [each for each in cluster.get("capacityProviders", []) if each in others] if cluster else []
    if present:
        made = f"the cluster {constants.CLUSTER_NAME} was made with {', '.join(present)}"
        aws.refuse_change(f"LAUNCH_TYPE={constants.LAUNCH_TYPE}", made)


def create() -> str:
    """Ask for the cluster, which is ACTIVE some seconds later; or set Container Insights of the one that is there. Its ARN."""
    ecs, what, its_name = client("ecs"), f"cluster {constants.CLUSTER_NAME}", constants.CLUSTER_NAME
    settings: Any = [{"name": "containerInsights", "value": constants.CONTAINER_INSIGHTS}]
    cluster = find()
    refuse_foreign(what, cluster)
    if not cluster:
        make = call(ecs.create_cluster, what, busy="Unable to assume the service linked role")
        made = make(clusterName=its_name, settings=settings, tags=tags("", "key", "value"))["cluster"]
        say("created", what)
        if not console.dry_run:
            describe.learn(made)
        return made["clusterArn"]
    say("found", what)
    if cluster.get("settings") != settings:
        call(ecs.update_cluster_settings, what, of=cluster, busy=BUSY)(cluster=its_name, settings=settings)
        say("updated", what, f"Container Insights {constants.CONTAINER_INSIGHTS}")
    return str(cluster["clusterArn"])


def delete() -> None:
    """AWS refuses while hosts, tasks or services are in it, or a change of it is going on."""
    what, cluster = f"cluster {constants.CLUSTER_NAME}", standing()
    if not cluster or spare_foreign(what, cluster):
        return
    gone, contents = "ClusterNotFoundException", ("ContainerInstances", "Tasks", "Services", "CapacityProvider")
    busy = (*(f"ClusterContains{each}Exception" for each in contents), *BUSY)
    delete_it = call(client("ecs").delete_cluster, f"{what} to be empty", of=cluster, gone=gone, busy=busy)
    delete_it(cluster=constants.CLUSTER_NAME)
    say("deleted", what)


def standing() -> Any | None:
    cluster = describe()
    return cluster if cluster and cluster["status"] != "INACTIVE" else None


def left_over() -> list[Resource]:
    found = [each for each in [standing()] if each and ours(each)]
    return [resource(f"cluster {constants.CLUSTER_NAME}", each["clusterArn"], each) for each in found]
