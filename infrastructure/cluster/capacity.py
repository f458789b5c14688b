"""The capacity provider, by which ECS scales the Auto Scaling group of the hosts; it costs nothing itself.

On Fargate there are no hosts; the cluster then only names AWS's own providers.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/asg-capacity-providers.html
"""

from typing import Any

from botocore.exceptions import ClientError

import aws
import constants
from aws import Resource, call, client, code, holds, ours, refuse_foreign, resource, spare_foreign, tags, wait
from console import how_many, say
from infrastructure.cluster import auto_scaling_group, cluster, container_instances

FARGATE_PROVIDERS = ["FARGATE", "FARGATE_SPOT"]
TAKEN = "to take its capacity providers"


@aws.look
def providers() -> list[Any]:
    """Ours in whatever state; AWS describes a deleted one as INACTIVE."""
    describe = call(client("ecs").describe_capacity_providers, gone="ClientException")
    found = describe(capacityProviders=[name_of(each) for each in auto_scaling_group.HOSTS], include=["TAGS"])
    return found["capacityProviders"] if found else []


LOOKS = (providers,)


def name_of(each: str) -> str:
    """The provider of one of the hosts' groups."""
    return constants.CAPACITY_PROVIDER + each.removeprefix("hosts")


def find_provider(each: str = "hosts") -> Any | None:
    """The provider while it can be used."""
    return next((one for one in providers() if one["name"] == name_of(each) and one["status"] != "INACTIVE"), None)


def what(each: str = "hosts") -> str:
    return f"capacity provider {name_of(each)}"


def strategy(each: str) -> list[Any]:
    """For tasks that are to run on the hosts of this group; RunTask must not name a launch type beside it."""
    return [{"capacityProvider": name_of(each), "weight": 1, "base": 0}]


def default_strategy() -> list[Any]:
    """What tasks run on unless they say otherwise; with CAPACITY_TYPE=spot-first that is on demand."""
    fargate = "FARGATE_SPOT" if constants.CAPACITY_TYPE == "spot" else "FARGATE"
    on_fargate = [{"capacityProvider": fargate, "weight": 1, "base": 0}]
    return on_fargate if constants.LAUNCH_TYPE == "FARGATE" else strategy(auto_scaling_group.wanted()[-1])


def refuse_changes() -> None:
    """CAPACITY_TYPE=spot-first begins and ends without hosts: what runs would count for the wrong group, or lose its own."""
    group, beside = [each if ours(each) else None for each in map(auto_scaling_group.find, auto_scaling_group.HOSTS)]
    if constants.LAUNCH_TYPE == "FARGATE" or not group or bool(beside) == constants.SPOT_FIRST:
        return
    if hosts := [host["InstanceId"] for host in (beside or group)["Instances"]]:
        way = "stop what runs there, and run this again when they have gone"
        aws.refuse_change(
            f"CAPACITY_TYPE={constants.CAPACITY_TYPE}", f"host {', '.join(hosts)} runs as it was before", way
        )


def is_to_go(each: str) -> bool:
    """Whether there is a provider of ours for a group that the settings do not ask for."""
    on_hosts = constants.LAUNCH_TYPE == "EC2"
    return on_hosts and each not in auto_scaling_group.wanted() and ours(find_provider(each))


def create(group_arns: dict[str, str]) -> None:
    """The providers of these Auto Scaling groups, and the cluster's way to them; on Fargate the way to AWS's own."""
    wanted = {each: group_arn for each, group_arn in group_arns.items() if group_arn}
    to_go = wanted.keys() != group_arns.keys() or is_to_go("hosts-od")
    for each, group_arn in wanted.items():
        create_provider(each, group_arn)
    put_providers([name_of(each) for each in wanted] or FARGATE_PROVIDERS, default_strategy())
    if to_go:
        leave_on_demand()


def leave_on_demand() -> None:
    """The group on demand beside Spot, and its provider, where the settings ask for these two no more."""
    if found := find_provider("hosts-od"):
        delete_provider("hosts-od", found)
        wait_deleted_of("hosts-od")
    if auto_scaling_group.ask_for_end("hosts-od"):
        say("deleted", f"Auto Scaling group {aws.name('hosts-od')}", "it had no host")
        auto_scaling_group.wait_gone("hosts-od")


def create_provider(each: str, group_arn: str) -> None:
    """Managed scaling starts hosts for waiting tasks and ends idle ones; draining moves tasks off a host first."""
    found, settings = find_provider(each), provider_settings()
    refuse_foreign(what(each), found)
    going = bool(found and found.get("updateStatus") == "DELETE_IN_PROGRESS")
    if is_of_another_group(each, group_arn):
        say("found", what(each), "of an Auto Scaling group that is gone")
        put_providers([], [])
        delete_provider(each, found)
        going = True
    if going:
        wait_deleted_of(each)
        found = None
    if not found:
        make_provider(each, {"autoScalingGroupArn": group_arn, **settings})
    elif holds(found["autoScalingGroupProvider"], settings):
        say("found", what(each))
    else:
        update = call(client("ecs").update_capacity_provider, what(each), of=found, busy=cluster.BUSY)
        update(name=name_of(each), autoScalingGroupProvider=settings)
        say("updated", what(each))


def is_of_another_group(each: str, group_arn: str) -> bool:
    """Whether there is a provider, of an Auto Scaling group that is gone."""
    found = find_provider(each)
    return bool(found and group_arn and found["autoScalingGroupProvider"]["autoScalingGroupArn"] != group_arn)


def make_provider(each: str, wanted: Any) -> None:
    busy, its_tags = ("service linked role", "UpdateInProgressException"), tags("capacity", "key", "value")
    create = call(client("ecs").create_capacity_provider, what(each), busy=busy)
    try:
        create(name=name_of(each), autoScalingGroupProvider=wanted, tags=its_tags)
        say("created", what(each))
    except ClientError as error:  # AWS has no code of its own for "already there": look
        if code(error) not in ("ClientException", "InvalidParameterException") or not find_provider(each):
            raise
        say("found", what(each), "made by another run at the same moment")


def provider_settings() -> Any:
    steps = {"minimumScalingStepSize": 1, "maximumScalingStepSize": constants.MAX_INSTANCES}
    scaling = {"status": "ENABLED", "targetCapacity": 100, **steps}
    return {"managedScaling": scaling, "managedTerminationProtection": "ENABLED", "managedDraining": "ENABLED"}


def put_providers(names: list[str], default: list[Any]) -> None:
    """Say which providers the cluster has. The whole list is replaced, a while after the call."""
    found, its_name = cluster.standing(), f"cluster {constants.CLUSTER_NAME}"
    named, by_default = "capacityProviders", "defaultCapacityProviderStrategy"
    if found and set(found.get(named, [])) == set(names) and found.get(by_default, []) == default:
        return
    busy = ("ResourceInUseException", "not in an ACTIVE state", *cluster.BUSY)
    gone = "ClusterNotFoundException" if not names else ()
    put = call(client("ecs").put_cluster_capacity_providers, f"{its_name} {TAKEN}", of=found, gone=gone, busy=busy)
    request: Any = {named: names, by_default: default}
    put(cluster=constants.CLUSTER_NAME, **request)
    say("updated", its_name, f"capacity providers {', '.join(names) or 'none'}")


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
    hosts = wait(f"{how_many(of, 'host')} to join the cluster", joined, why, done=lambda: (len(connected), of))
    container_instances.warn_of_missing_gpus(hosts)


def delete() -> None:
    """Take the provider out of the cluster and ask for its end: once ECS has let the hosts go, and before their group goes.

    ECS lets go a host that ends only while its cluster names the provider; AWS can't delete one whose group is gone.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/managed-instance-draining.html
    """
    named = (cluster.of_ours() or {}).get("capacityProviders", [])
    found = {each: find_provider(each) for each in auto_scaling_group.HOSTS}
    if any(name_of(each) in named and ours(one) for each, one in found.items()):
        auto_scaling_group.wait_drained()
    if cluster.of_ours():
        put_providers([], [])
    for each, one in found.items():
        delete_provider(each, one)


def delete_provider(each: str, found: Any | None) -> None:
    """Takes about half a minute; AWS refuses while the cluster names it."""
    if not found or spare_foreign(what(each), found):
        return
    if found.get("updateStatus") != "DELETE_IN_PROGRESS":
        ask_for_end(each, found)
    say("deleted", what(each), "asked for")


def ask_for_end(each: str, found: Any) -> None:
    gone, busy = "ResourceNotFoundException", ("associated with cluster", "UpdateInProgressException")
    delete_it = call(client("ecs").delete_capacity_provider, f"{what(each)} to be free", of=found, gone=gone, busy=busy)
    try:
        delete_it(capacityProvider=name_of(each))
    except ClientError as error:  # an answer was lost, and meanwhile it is gone, which has no code of its own: look
        aws.forget(providers)
        if code(error) not in ("ClientException", "InvalidParameterException") or find_provider(each):
            raise


def provider_in_words(each: str) -> str:
    found = find_provider(each) or {"updateStatus": "it is gone"}
    return f"{found.get('updateStatus', '')} {found.get('updateStatusReason', '')}".strip()


def wait_deleted() -> None:
    for each in auto_scaling_group.HOSTS:
        wait_deleted_of(each)


def wait_deleted_of(each: str) -> None:
    """Until it is gone: only then may its group go. It is asked again where AWS fails to delete it, which is no error.

    AWS may hold it for associated with its cluster for a while: https://github.com/hashicorp/terraform-provider-aws/pull/48156
    """

    def gone() -> bool:
        found = find_provider(each)
        if found and ours(found) and found.get("updateStatus") == "DELETE_FAILED":
            ask_for_end(each, found)
        return not ours(found)

    wait(f"{what(each)} to be gone", gone, lambda: provider_in_words(each))


def left_over() -> list[Resource]:
    found = [(each, one) for each in auto_scaling_group.HOSTS if (one := find_provider(each)) and ours(one)]
    return [resource(what(each), one["capacityProviderArn"], one) for each, one in found]
