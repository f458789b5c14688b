"""EXTRA_TAGS on what was made before they were set. Every create call gives them; this brings the rest into line.

A tag that EXTRA_TAGS no longer names stays, since AWS does not know who put it there. Hosts that run, and their disks,
keep what they have. https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html
"""

from collections.abc import Iterator
from typing import Any

import constants
from aws import client, missing
from console import say
from infrastructure.cluster import auto_scaling_group, capacity, cluster, file_system, roles
from infrastructure.service import access_points, log_group

#: what lives as long as the cluster does
EC2_KINDS = [
    *("vpc", "subnet", "internet-gateway", "route-table", "security-group", "security-group-rule"),
    *("launch-template", "natgateway", "elastic-ip"),
]


def update() -> None:
    """Ask each service for the tags of what is ours, and add those that are not there."""
    if not constants.EXTRA_TAGS:
        return
    updated = [*ec2(), *ecs(), *efs(), *iam(), *autoscaling(), *logs()]
    if updated:
        say(
            "updated",
            f"tags of {len(updated)} resources",
            ", ".join(f"{k}={v}" for k, v in constants.EXTRA_TAGS.items()),
        )


def lacks(tags: list[dict[str, str]], key: str = "Key", value: str = "Value") -> bool:
    present = {tag[key]: tag[value] for tag in tags}
    return any(present.get(name) != text for name, text in constants.EXTRA_TAGS.items())


def wanted(key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    return [{key: name, value: text} for name, text in constants.EXTRA_TAGS.items()]


def ec2() -> list[str]:
    def bearing(name: str, text: str) -> set[str]:
        filters = [{"Name": "key", "Values": [name]}, {"Name": "value", "Values": [text]}]
        kinds = {"Name": "resource-type", "Values": EC2_KINDS}
        pages = client("ec2").get_paginator("describe_tags").paginate(Filters=[*filters, kinds])
        return {tag["ResourceId"] for page in pages for tag in page["Tags"]}

    complete = [bearing(name, text) for name, text in constants.EXTRA_TAGS.items()]
    ours = sorted(bearing(constants.CLUSTER_TAG, constants.CLUSTER_NAME))
    found = [each for each in ours if not all(each in bearers for bearers in complete)]
    if found:
        client("ec2").create_tags(Resources=found, Tags=wanted())
    return found


def ecs() -> Iterator[str]:
    for found, key in ((cluster.find(), "clusterArn"), (capacity.find_provider(), "capacityProviderArn")):
        if found and lacks(found.get("tags", []), "key", "value"):
            client("ecs").tag_resource(resourceArn=found[key], tags=wanted("key", "value"))
            yield found[key]


def efs() -> Iterator[str]:
    resources: list[tuple[dict[str, Any], str]] = [(point, "AccessPointId") for point in access_points.find().values()]
    if not constants.FILE_SYSTEM_ID:  # an adopted one is left as it is
        resources += [(system, "FileSystemId") for system in file_system.owned()]
    for found, key in resources:
        if lacks(found["Tags"]):
            client("efs").tag_resource(ResourceId=found[key], Tags=wanted())
            yield found[key]


def iam() -> Iterator[str]:
    for suffix in ("host", "task-execution", "task"):
        name = roles.role_name(suffix)
        found = missing(lambda: client("iam").get_role(RoleName=name)["Role"], "NoSuchEntity")
        if found and lacks(found.get("Tags", [])):
            client("iam").tag_role(RoleName=name, Tags=wanted())
            yield name
    profile = roles.instance_profile()
    if profile and lacks(profile.get("Tags", [])):
        client("iam").tag_instance_profile(InstanceProfileName=profile["InstanceProfileName"], Tags=wanted())
        yield profile["InstanceProfileName"]


def autoscaling() -> Iterator[str]:
    group = auto_scaling_group.find()
    if group and lacks(group["Tags"]):
        where = {
            "ResourceType": "auto-scaling-group",
            "ResourceId": group["AutoScalingGroupName"],
            "PropagateAtLaunch": True,
        }
        client("autoscaling").create_or_update_tags(Tags=[{**where, **tag} for tag in wanted()])
        yield group["AutoScalingGroupName"]


def logs() -> Iterator[str]:
    group = log_group.find()
    if group:
        arn = group["logGroupArn"]
        present = client("logs").list_tags_for_resource(resourceArn=arn)["tags"]
        if lacks([{"Key": name, "Value": text} for name, text in present.items()]):
            client("logs").tag_resource(resourceArn=arn, tags=constants.EXTRA_TAGS)
            yield arn
