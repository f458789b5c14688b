"""The capacity provider, by which ECS scales the Auto Scaling group of the hosts; it costs nothing itself.

On Fargate there are no hosts; the cluster then only names AWS's own providers.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/asg-capacity-providers.html
"""

from typing import Any

from botocore.exceptions import ClientError

import aws
import constants
from aws import Resource, call, client, code, holds, ours, refuse_foreign, resource, spare_foreign, tags, wait
from console import say
from infrastructure.cluster import auto_scaling_group, cluster, container_instances

FARGATE_PROVIDERS = ["FARGATE", "FARGATE_SPOT"]
TAKEN = "to take its capacity providers"


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


def create(group_arn: str) -> None:
    """The provider of this Auto Scaling group, and the cluster's way to it; on Fargate the way to AWS's own."""
    if constants.LAUNCH_TYPE == "EC2":
        create_provider(group_arn)
    providers = FARGATE_PROVIDERS if constants.LAUNCH_TYPE == "FARGATE" else [constants.CAPACITY_PROVIDER]
    put_providers(providers, default_strategy())


def create_provider(group_arn: str) -> None:
    """Managed scaling starts hosts for waiting tasks and ends idle ones; draining moves tasks off a host first."""
    found, settings = find_provider(), provider_settings()
    refuse_foreign(what(), found)
    going = bool(found and found.get("updateStatus") == "DELETE_IN_PROGRESS")
    if is_of_another_group(group_arn):
        say("found", what(), "of an Auto Scaling group that is gone")
        put_providers([], [])
        delete_provider(found)
        going = True
    if going:
        wait_deleted()
        found = None
    if not found:
        make_provider({"autoScalingGroupArn": group_arn, **settings})
    elif holds(found["autoScalingGroupProvider"], settings):
        say("found", what())
    else:
        update = call(client("ecs").update_capacity_provider, what(), of=found, busy=cluster.BUSY)
        update(name=constants.CAPACITY_PROVIDER, autoScalingGroupProvider=settings)
        say("updated", what())


def is_of_another_group(group_arn: str) -> bool:
    """Whether there is a provider, of an Auto Scaling group that is gone."""
    found = find_provider() if constants.LAUNCH_TYPE == "EC2" else None
    return bool(found and found["autoScalingGroupProvider"]["autoScalingGroupArn"] != group_arn)


def make_provider(wanted: Any) -> None:
    busy, its_tags = ("service linked role", "UpdateInProgressException"), tags("capacity", "key", "value")
    create = call(client("ecs").create_capacity_provider, what(), busy=busy)
    try:
        create(name=constants.CAPACITY_PROVIDER, autoScalingGroupProvider=wanted, tags=its_tags)
        say("created", what())
    except ClientError as error:  # AWS has no code of its own for "already there": look
        if code(error) not in ("ClientException", "InvalidParameterException") or not find_provider():
            raise
        say("found", what(), "made by another run at the same moment")


def provider_settings() -> Any:
    steps = {"minimumScalingStepSize": 1, "maximumScalingStepSize": constants.MAX_INSTANCES}
    scaling = {"status": "ENABLED", "targetCapacity": 100, **steps}
    return {"managedScaling": scaling, "managedTerminationProtection": "ENABLED", "managedDraining": "ENABLED"}


def put_providers(providers: list[str], strategy: list[Any]) -> None:
    """Say which providers the cluster has. The whole list is replaced, a while after the call."""
    found, its_name = cluster.standing(), f"cluster {constants.CLUSTER_NAME}"
    named, default = "capacityProviders", "defaultCapacityProviderStrategy"
    if found and set(found.get(named, [])) == set(providers) and found.get(default, []) == strategy:
        return
    busy = ("ResourceInUseException", "not in an ACTIVE state", *cluster.BUSY)
    gone = "ClusterNotFoundException" if not providers else ()
    put = call(client("ecs").put_cluster_capacity_providers, f"{its_name} {TAKEN}", of=found, gone=gone, busy=busy)
    request: Any = {named: providers, default: strategy}
    put(cluster=constants.CLUSTER_NAME, **request)
    say("updated", its_name, f"capacity providers {', '.join(providers) or 'none'}")


def wait_ready() -> None:
    """Until the cluster has taken its provider, and MIN_INSTANCES hosts have joined it; one that lacks GPUs is told."""

    def attachments() -> str:  # AWS says nothing where it never had a list of providers
        return (cluster.describe() or {}).get("attachmentsStatus", "")  # type: ignore[no-any-return]

    connected: list[Any] = []

    def joined() -> list[Any]:
        connected[:] = [host for host in container_instances.describe() if host["agentConnected"]]
        return connected if len(connected) >= constants.MIN_INSTANCES else []

    wait(
        f"cluster {constants.CLUSTER_NAME} {TAKEN}",
        lambda: attachments() in ("", "UPDATE_COMPLETE"),
        lambda: f"attachmentsStatus is {attachments()}",
    )
    if constants.LAUNCH_TYPE == "FARGATE" or not constants.MIN_INSTANCES:
        return
    of = constants.MIN_INSTANCES
    why = auto_scaling_group.why_no_host
    hosts = wait(f"{of} hosts to join the cluster", joined, why, done=lambda: (len(connected), of))
    container_instances.warn_of_missing_gpus(hosts)


def delete() -> None:
    """Take the provider out of the cluster and ask for its end: once ECS has let the hosts go, and before their group goes.

    ECS lets go a host that ends only while its cluster names the provider; AWS can't delete one whose group is gone.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/managed-instance-draining.html
    """
    found, named = find_provider(), (cluster.of_ours() or {}).get("capacityProviders", [])
    if constants.CAPACITY_PROVIDER in named and ours(found):
        auto_scaling_group.wait_drained()
    if cluster.of_ours():
        put_providers([], [])
    delete_provider(found)


def delete_provider(found: Any | None) -> None:
    """Takes about half a minute; AWS refuses while the cluster names it."""
    if not found or spare_foreign(what(), found):
        return
    if found.get("updateStatus") != "DELETE_IN_PROGRESS":
        ask_for_end(found)
    say("deleted", what(), "asked for")


def ask_for_end(found: Any) -> None:
    gone, busy = "ResourceNotFoundException", ("associated with cluster", "UpdateInProgressException")
    delete_it = call(client("ecs").delete_capacity_provider, f"{what()} to be free", of=found, gone=gone, busy=busy)
    try:
        delete_it(capacityProvider=constants.CAPACITY_PROVIDER)
    except ClientError as error:  # an answer was lost, and meanwhile it is gone, which has no code of its own: look
        aws.forget(provider)
        if code(error) not in ("ClientException", "InvalidParameterException") or find_provider():
            raise


def provider_in_words() -> str:
    found = find_provider() or {"updateStatus": "it is gone"}
    return f"{found.get('updateStatus', '')} {found.get('updateStatusReason', '')}".strip()


def wait_deleted() -> None:
    """Until it is gone: only then may its group go. It is asked again where AWS fails to delete it, which is no error.

    AWS may hold it for associated with its cluster for a while: https://github.com/hashicorp/terraform-provider-aws/pull/48156
    """

    def gone() -> bool:
        found = find_provider()
        if found and ours(found) and found.get("updateStatus") == "DELETE_FAILED":
            ask_for_end(found)
        return not ours(found)

    wait(f"{what()} to be gone", gone, provider_in_words)


def left_over() -> list[Resource]:
    found = [each for each in [find_provider()] if each and ours(each)]
    return [resource(what(), each["capacityProviderArn"], each) for each in found]
