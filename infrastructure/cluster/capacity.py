"""GPU capacity: hosts in an Auto Scaling group, and the capacity provider that lets ECS scale it.

On Fargate there are no hosts; the cluster then only names AWS's own providers.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/asg-capacity-providers.html
"""

from typing import Any

from botocore.exceptions import ClientError

import constants
from aws import client, code, holds, insist, missing, ours, tags, wait
from console import say
from infrastructure.cluster import auto_scaling_group, cluster, container_instances, launch_template
from infrastructure.cluster.checks import Facts
from infrastructure.cluster.network import Network
from infrastructure.cluster.roles import Roles
from infrastructure.cluster.security_groups import SecurityGroups

FARGATE_PROVIDERS = ["FARGATE", "FARGATE_SPOT"]


def create(facts: Facts, network: Network, groups: SecurityGroups, roles: Roles) -> None:
    """Ask for the hosts; MIN_INSTANCES of them begin to cost money now, the others when tasks wait for them."""
    if constants.LAUNCH_TYPE == "FARGATE":
        return put_providers(FARGATE_PROVIDERS, default_strategy())
    launch_template.create(facts, groups, roles)
    group = auto_scaling_group.create(network)
    create_capacity_provider(group)
    put_providers([constants.CAPACITY_PROVIDER], default_strategy())


def default_strategy() -> list[dict[str, Any]]:
    """What tasks run on unless they say otherwise; RunTask must not name a launch type beside it."""
    fargate = "FARGATE_SPOT" if constants.CAPACITY_TYPE == "spot" else "FARGATE"
    return [
        {
            "capacityProvider": fargate if constants.LAUNCH_TYPE == "FARGATE" else constants.CAPACITY_PROVIDER,
            "weight": 1,
            "base": 0,
        }
    ]


def create_capacity_provider(group: dict[str, Any]) -> None:
    """Managed scaling starts hosts for waiting tasks and ends idle ones; draining moves tasks off a host first."""
    ecs = client("ecs")
    provider = find_provider()
    if provider and provider["autoScalingGroupProvider"]["autoScalingGroupArn"] != group["AutoScalingGroupARN"]:
        say("found", f"capacity provider {constants.CAPACITY_PROVIDER}", "of an Auto Scaling group that is gone")
        put_providers([], [])
        delete_provider()
        provider = find_provider()
    if provider and provider.get("updateStatus") == "DELETE_IN_PROGRESS":
        wait(
            f"the former capacity provider {constants.CAPACITY_PROVIDER} to be gone",
            lambda: not find_provider(),
            provider_in_words,
        )
        provider = None
    if provider:
        return update_capacity_provider(provider)
    try:
        insist(
            f"capacity provider {constants.CAPACITY_PROVIDER}",
            lambda: ecs.create_capacity_provider(
                name=constants.CAPACITY_PROVIDER,
                autoScalingGroupProvider={"autoScalingGroupArn": group["AutoScalingGroupARN"], **provider_settings()},
                tags=tags("capacity", "key", "value"),
            ),
            "service linked role",
            "UpdateInProgressException",
        )
    except ClientError as error:  # AWS has no code of its own for "already there": look
        if code(error) not in ("ClientException", "InvalidParameterException") or not find_provider():
            raise
        return say(
            "found", f"capacity provider {constants.CAPACITY_PROVIDER}", "made by another run at the same moment"
        )
    say("created", f"capacity provider {constants.CAPACITY_PROVIDER}")


def provider_settings() -> dict[str, Any]:
    scaling = {
        "status": "ENABLED",
        "targetCapacity": 100,
        "minimumScalingStepSize": 1,
        "maximumScalingStepSize": constants.MAX_INSTANCES,
    }
    return {"managedScaling": scaling, "managedTerminationProtection": "ENABLED", "managedDraining": "ENABLED"}


def update_capacity_provider(provider: dict[str, Any]) -> None:
    if holds(provider["autoScalingGroupProvider"], provider_settings()):
        return say("found", f"capacity provider {constants.CAPACITY_PROVIDER}")
    insist(
        f"capacity provider {constants.CAPACITY_PROVIDER}",
        lambda: client("ecs").update_capacity_provider(
            name=constants.CAPACITY_PROVIDER, autoScalingGroupProvider=provider_settings()
        ),
        *cluster.BUSY,
    )
    say("updated", f"capacity provider {constants.CAPACITY_PROVIDER}")


def find_provider() -> dict[str, Any] | None:
    """The provider while it can be used; AWS describes a deleted one as INACTIVE."""
    found = missing(
        lambda: client("ecs").describe_capacity_providers(
            capacityProviders=[constants.CAPACITY_PROVIDER], include=["TAGS"]
        ),
        "ClientException",
    )
    providers = [each for each in (found or {}).get("capacityProviders", []) if each["status"] != "INACTIVE"]
    return providers[0] if providers else None


def put_providers(providers: list[str], strategy: list[dict[str, Any]]) -> None:
    """Say which providers the cluster has. The whole list is replaced, a while after the call."""
    ecs = client("ecs")
    found = cluster.find()
    if found and (set(found.get("capacityProviders", [])), found.get("defaultCapacityProviderStrategy", [])) == (
        set(providers),
        strategy,
    ):
        return None
    insist(
        f"cluster {constants.CLUSTER_NAME} to take its capacity providers",
        lambda: ecs.put_cluster_capacity_providers(
            cluster=constants.CLUSTER_NAME, capacityProviders=providers, defaultCapacityProviderStrategy=strategy
        ),
        "ResourceInUseException",
        "not in an ACTIVE state",
        *cluster.BUSY,
    )
    say("updated", f"cluster {constants.CLUSTER_NAME}", f"capacity providers {', '.join(providers) or 'none'}")
    return None


def wait_ready() -> None:
    """Until the cluster has taken its provider, and MIN_INSTANCES hosts have joined it with all their GPUs."""
    wait(
        f"cluster {constants.CLUSTER_NAME} to take its capacity providers",
        lambda: (cluster.describe() or {}).get("attachmentsStatus") in (None, "UPDATE_COMPLETE"),
        lambda: f"attachmentsStatus is {(cluster.describe() or {}).get('attachmentsStatus')}",
    )
    if constants.LAUNCH_TYPE == "FARGATE" or not constants.MIN_INSTANCES:
        return

    def joined() -> list[dict[str, Any]] | None:
        connected = [host for host in container_instances.describe() if host["agentConnected"]]
        return connected if len(connected) >= constants.MIN_INSTANCES else None

    container_instances.warn_of_missing_gpus(
        wait(f"{constants.MIN_INSTANCES} hosts to join the cluster", joined, auto_scaling_group.why_no_host) or []
    )


def delete() -> None:
    """Ask for the end of the hosts: sizes to 0, protection off; then take the provider out of the cluster and delete it.

    The provider goes before the group, since AWS can't delete one whose group is gone.
    """
    auto_scaling_group.empty()
    if cluster.find():
        put_providers([], [])
    delete_provider()


def delete_provider() -> None:
    """Takes about half a minute; AWS refuses while the cluster names it."""
    provider = find_provider()
    if not provider:
        return say("already gone", f"capacity provider {constants.CAPACITY_PROVIDER}")
    if not ours(provider.get("tags")):
        return say("kept", f"capacity provider {constants.CAPACITY_PROVIDER}", "not of this runbook")
    if provider.get("updateStatus") != "DELETE_IN_PROGRESS":
        insist(
            f"capacity provider {constants.CAPACITY_PROVIDER} to be free",
            lambda: missing(
                lambda: client("ecs").delete_capacity_provider(capacityProvider=constants.CAPACITY_PROVIDER),
                "ResourceNotFoundException",
            ),
            "associated with cluster",
            "UpdateInProgressException",
        )
    say("deleted", f"capacity provider {constants.CAPACITY_PROVIDER}", "asked for")


def provider_in_words() -> str:
    provider = find_provider() or {}
    return f"{provider.get('updateStatus', 'it is gone')} {provider.get('updateStatusReason', '')}".strip()


def wait_deleted() -> None:
    """Until provider, hosts and group are gone; then the launch template."""
    wait(f"capacity provider {constants.CAPACITY_PROVIDER} to be gone", lambda: not find_provider(), provider_in_words)
    auto_scaling_group.delete()
    container_instances.deregister()
    launch_template.delete()


def left_over() -> list[str]:
    provider = find_provider()
    left = [f"capacity provider {constants.CAPACITY_PROVIDER}"] if provider and ours(provider.get("tags")) else []
    return auto_scaling_group.left_over() + left + launch_template.left_over()
