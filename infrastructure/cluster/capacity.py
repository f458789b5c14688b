"""The capacity provider, by which ECS scales the Auto Scaling group of the hosts; it costs nothing itself.

On Fargate there are no hosts; the cluster then only names AWS's own providers.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/asg-capacity-providers.html
"""

from typing import Any

from botocore.exceptions import ClientError

import aws
import constants
from aws import Resource, call, client, code, holds, ours, part, refuse_foreign, spare_foreign, tags, tags_of, wait
from console import say
from infrastructure.cluster import auto_scaling_group, cluster, container_instances

FARGATE_PROVIDERS = ["FARGATE", "FARGATE_SPOT"]


@aws.look
def provider() -> Any | None:
    """Ours in whatever state; AWS describes a deleted one as INACTIVE."""
    describe = call(client("ecs").describe_capacity_providers, gone="ClientException")
    found = describe(capacityProviders=[constants.CAPACITY_PROVIDER], include=["TAGS"])
    return found["capacityProviders"][0] if found and found["capacityProviders"] else None


LOOKS = (provider,)


def find_provider() -> Any | None:
    """The provider while it can be used."""
    found = provider()
    return found if found and found["status"] != "INACTIVE" else None


def what() -> str:
    return f"capacity provider {constants.CAPACITY_PROVIDER}"


def default_strategy() -> list[Any]:
    """What tasks run on unless they say otherwise; RunTask must not name a launch type beside it."""
    fargate = "FARGATE_SPOT" if constants.CAPACITY_TYPE == "spot" else "FARGATE"
    its_name = fargate if constants.LAUNCH_TYPE == "FARGATE" else constants.CAPACITY_PROVIDER
    return [{"capacityProvider": its_name, "weight": 1, "base": 0}]


# -------------------------------------------------------------------------------------------------------------- create


def create(group_arn: str) -> None:
    """The provider of this Auto Scaling group, and the cluster's way to it; on Fargate the way to AWS's own."""
    if constants.LAUNCH_TYPE == "EC2":
        create_provider(group_arn)
    providers = FARGATE_PROVIDERS if constants.LAUNCH_TYPE == "FARGATE" else [constants.CAPACITY_PROVIDER]
    put_providers(providers, default_strategy())


def create_provider(group_arn: str) -> None:
    """Managed scaling starts hosts for waiting tasks and ends idle ones; draining moves tasks off a host first."""
    found = find_provider()
    refuse_foreign(what(), found)
    if found and found["autoScalingGroupProvider"]["autoScalingGroupArn"] != group_arn:
        say("found", what(), "of an Auto Scaling group that is gone")
        put_providers([], [])
        delete_provider()
        found = find_provider()
    if found and found.get("updateStatus") == "DELETE_IN_PROGRESS":
        wait(f"the former {what()} to be gone", lambda: not find_provider(), provider_in_words)
        found = None
    if found:
        update_provider(found)
        return
    create_capacity_provider = call(
        client("ecs").create_capacity_provider, what(), busy=("service linked role", "UpdateInProgressException")
    )
    wanted: Any = {"autoScalingGroupArn": group_arn, **provider_settings()}
    its_tags = tags("capacity", "key", "value")
    try:
        create_capacity_provider(name=constants.CAPACITY_PROVIDER, autoScalingGroupProvider=wanted, tags=its_tags)
    except ClientError as error:  # AWS has no code of its own for "already there": look
        if code(error) not in ("ClientException", "InvalidParameterException") or not find_provider():
            raise
        say("found", what(), "made by another run at the same moment")
        return
    say("created", what())


def provider_settings() -> Any:
    scaling = {
        "status": "ENABLED",
        "targetCapacity": 100,
        "minimumScalingStepSize": 1,
        "maximumScalingStepSize": constants.MAX_INSTANCES,
    }
    return {"managedScaling": scaling, "managedTerminationProtection": "ENABLED", "managedDraining": "ENABLED"}


def update_provider(found: Any) -> None:
    settings = provider_settings()
    if holds(found["autoScalingGroupProvider"], settings):
        say("found", what())
        return
    update_capacity_provider = call(client("ecs").update_capacity_provider, what(), of=found, busy=cluster.BUSY)
    update_capacity_provider(name=constants.CAPACITY_PROVIDER, autoScalingGroupProvider=settings)
    say("updated", what())


def put_providers(providers: list[str], strategy: list[Any]) -> None:
    """Say which providers the cluster has. The whole list is replaced, a while after the call."""
    found = cluster.find()
    if found and (set(found.get("capacityProviders", [])), found.get("defaultCapacityProviderStrategy", [])) == (
        set(providers),
        strategy,
    ):
        return
    put_cluster_capacity_providers = call(
        client("ecs").put_cluster_capacity_providers,
        f"cluster {constants.CLUSTER_NAME} to take its capacity providers",
        of=found,
        busy=("ResourceInUseException", "not in an ACTIVE state", *cluster.BUSY),
    )
    put_cluster_capacity_providers(
        cluster=constants.CLUSTER_NAME, capacityProviders=providers, defaultCapacityProviderStrategy=strategy
    )
    say("updated", f"cluster {constants.CLUSTER_NAME}", f"capacity providers {', '.join(providers) or 'none'}")


def wait_ready() -> None:
    """Until the cluster has taken its provider, and MIN_INSTANCES hosts have joined it with all their GPUs."""
    wait(
        f"cluster {constants.CLUSTER_NAME} to take its capacity providers",
        lambda: attachments() in ("", "UPDATE_COMPLETE"),
        lambda: f"attachmentsStatus is {attachments()}",
    )
    if constants.LAUNCH_TYPE == "FARGATE" or not constants.MIN_INSTANCES:
        return

    def joined() -> list[Any]:
        connected = [host for host in container_instances.describe() if host["agentConnected"]]
        return connected if len(connected) >= constants.MIN_INSTANCES else []

    hosts = wait(f"{constants.MIN_INSTANCES} hosts to join the cluster", joined, auto_scaling_group.why_no_host)
    container_instances.warn_of_missing_gpus(hosts)


def attachments() -> str:
    """How far the cluster is with its list of providers; AWS says nothing where it never had one."""
    found = cluster.describe()
    return found.get("attachmentsStatus", "") if found else ""


# -------------------------------------------------------------------------------------------------------------- delete


def delete() -> None:
    """Ask for the end of the hosts: sizes to 0, protection off; then take the provider out of the cluster and delete it.

    The provider goes before the group, since AWS can't delete one whose group is gone.
    """
    auto_scaling_group.empty()
    if cluster.of_ours():
        put_providers([], [])
    delete_provider()


def delete_provider() -> None:
    """Takes about half a minute; AWS refuses while the cluster names it."""
    found = find_provider()
    if not found:
        say("already gone", what())
        return
    if spare_foreign(what(), found):
        return
    if found.get("updateStatus") != "DELETE_IN_PROGRESS":
        delete_capacity_provider = call(
            client("ecs").delete_capacity_provider,
            f"{what()} to be free",
            of=found,
            gone="ResourceNotFoundException",
            busy=("associated with cluster", "UpdateInProgressException"),
        )
        delete_capacity_provider(capacityProvider=constants.CAPACITY_PROVIDER)
    say("deleted", what(), "asked for")


def provider_in_words() -> str:
    found = find_provider() or {"updateStatus": "it is gone"}
    return f"{found.get('updateStatus', '')} {found.get('updateStatusReason', '')}".strip()


def wait_deleted() -> None:
    """Until it is gone: only then may its group go."""
    wait(f"{what()} to be gone", lambda: not ours(find_provider()), provider_in_words)


def left_over() -> list[Resource]:
    found = find_provider()
    return (
        [Resource(what(), found["capacityProviderArn"], tags_of(found), part(found))] if found and ours(found) else []
    )
