"""The one list of what is built, in the order of create: what must hold for every part is a loop over it.

A part is a module. `create` makes it or brings it into line, `delete` takes it away, `left_over` lists what of it
stands, `belonging` what goes with that and bears tags of its own, and LOOKS are its reads. The pages call create and
delete one by one, since order and waits are what their reader comes for; the inventory, the sweep, what refuses while
something is left, and tags are loops.
"""

from collections import defaultdict
from types import ModuleType
from typing import Any

import aws
import constants
from aws import Problem, Resource, call, client, ours
from console import say
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
)
from infrastructure.delivery import artifact_bucket, build_logs, build_project, connection, pipeline, repository
from infrastructure.service import (
    access_points,
    deadlines,
    dns_record,
    listener_rule,
    log_group,
    scaling,
    service,
    target_group,
    task_definitions,
    task_roles,
    task_security_group,
    tasks,
)
from infrastructure.weights import copies, schedule, sync, transfer_bucket

Parts = tuple[ModuleType, ...]
#: what endpoints share
CLUSTER: Parts = (
    *(certificate, file_system, roles, cluster, monitoring, network, security_groups, nat_gateways, load_balancer),
    *(mount_targets, launch_template, deadlines, auto_scaling_group, capacity, bastion, pause),
)
#: what runs in it, each endpoint's own; without endpoints the cluster's
SERVICE: Parts = (
    *(task_roles, log_group, access_points, task_definitions, tasks, task_security_group),
    *(target_group, listener_rule, service, scaling, dns_record),
)
DELIVERY: Parts = (repository, connection, build_logs, artifact_bucket, build_project, pipeline)
WEIGHTS: Parts = (sync, schedule, transfer_bucket, copies)
ALL = (*CLUSTER, *SERVICE, *DELIVERY, *WEIGHTS)
#: what goes with an endpoint; the connection to the Git host is shared
OF_ENDPOINT = tuple(part for part in (*SERVICE, *DELIVERY, *WEIGHTS) if part is not connection)
#: kinds that go, or stay, with what they belong to
BELONGING = (
    *("security-group-rule", "instance", "volume", "network-interface", "task", "container-instance"),
    *("listener", "listener-rule", "access-point", "spot-instances-request"),
)


def look(parts: Parts, *more: aws.look[Any]) -> None:
    """Read what stands of these parts, and `more`, all at the same time; from then on each part answers from memory."""
    aws.look_at(*dict.fromkeys([*(each for part in parts for each in getattr(part, "LOOKS", ())), *more]))


def left_over(parts: Parts) -> list[Resource]:
    """What stands of these parts, as each service's own Describe shows it, in the order in which it goes."""
    found = [each for left in left_over_by_part(parts).values() for each in left]
    return list({each.arn or each.what: each for each in reversed(found)}.values())[::-1]


def left_over_by_part(parts: Parts) -> dict[ModuleType, list[Resource]]:
    """All are asked at the same time, and each reads no more than it needs for that."""
    backwards = parts[::-1]
    return dict(zip(backwards, aws.side_by_side(lambda part: part.left_over(), backwards), strict=True))


def kind(arn: str) -> str:
    """arn:aws:ec2:us-east-1:123456789012:security-group-rule/sgr-0abc -> security-group-rule"""
    return arn.split(":", 5)[5].partition("/")[0]


def retag(parts: Parts) -> None:
    """EXTRA_TAGS on what was made before they were set, and off it where they name a tag no more.

    Resources of earlier versions get the tag that says what they are. Hosts and tasks that run keep what they have.
    https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_TagResources.html
    """
    alike: dict[Any, list[Resource]] = defaultdict(list)
    belonging = [each for part in parts if hasattr(part, "belonging") for each in part.belonging()]
    for resource in [*left_over(parts), *belonging]:
        if not ours(resource.tags) or kind(resource.arn) in ("instance", "task"):
            continue
        wanted = {**constants.TAGS, **({constants.PART_TAG: resource.part} if resource.part else {})}
        add = {name: text for name, text in wanted.items() if resource.tags.get(name) != text}
        former = {*resource.tags.get(constants.EXTRA_TAG, "").split(), constants.EXTRA_TAG} & resource.tags.keys()
        remove = sorted(former - wanted.keys())
        if add or remove:
            alike[tuple(add.items()), tuple(remove)].append(resource)
    for (added, removed), resources in alike.items():
        tag(resources, dict(added), list(removed))
    if alike:
        aws.forget_all()
        count = sum(len(resources) for resources in alike.values())
        say("updated", f"tags of {count} resources", ", ".join(f"{k}={v}" for k, v in constants.EXTRA_TAGS.items()))


def tag(resources: list[Resource], add: dict[str, str], remove: list[str]) -> None:
    """By the one API that tags what any service made, twenty in a call; IAM and Auto Scaling have their own."""
    others = [each for each in resources if each.arn.split(":")[2] in ("iam", "autoscaling")]
    for each in others:
        tag_one(each, [{"Key": key, "Value": value} for key, value in add.items()], remove)
    rest = [each for each in resources if each not in others]
    tagging = client("resourcegroupstaggingapi")
    for start in range(0, len(rest), 20):
        twenty = rest[start : start + 20]
        of, arns = min((each.tags for each in twenty), key=ours), [each.arn for each in twenty]
        if add:
            refuse_failed(call(tagging.tag_resources, of=of)(ResourceARNList=arns, Tags=add))
        if remove:
            refuse_failed(call(tagging.untag_resources, of=of)(ResourceARNList=arns, TagKeys=remove))


def tag_one(resource: Resource, add: list[Any], remove: list[str]) -> None:
    iam, autoscaling, of, name = client("iam"), client("autoscaling"), resource.tags, resource.arn.rpartition("/")[2]
    put: Any = call(iam.tag_role, of=of)
    take: Any = call(iam.untag_role, of=of)
    given: Any = {"RoleName": name, "Tags": add}
    taken: Any = {"RoleName": name, "TagKeys": remove}
    if ":autoscaling:" in resource.arn:
        where = {"ResourceType": "auto-scaling-group", "ResourceId": name, "PropagateAtLaunch": True}
        put, take = call(autoscaling.create_or_update_tags, of=of), call(autoscaling.delete_tags, of=of)
        given, taken = (
            {"Tags": [{**where, **each} for each in add]},
            {"Tags": [{**where, "Key": each} for each in remove]},
        )
    elif ":instance-profile/" in resource.arn:
        put, take = call(iam.tag_instance_profile, of=of), call(iam.untag_instance_profile, of=of)
        given, taken = {"InstanceProfileName": name, "Tags": add}, {"InstanceProfileName": name, "TagKeys": remove}
    if add:
        put(**given)
    if remove:
        take(**taken)


def refuse_failed(answer: Any) -> None:
    """The tagging API answers 200 and yet tags nothing: what failed is in its answer."""
    for arn, failure in answer.get("FailedResourcesMap", {}).items():
        raise Problem(f"{arn} was not tagged: {failure.get('ErrorCode', '')} {failure.get('ErrorMessage', '')}")
