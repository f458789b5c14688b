"""Auto Scaling's calls. moto's own groups are not used: they launch at once, and forgive everything.

The loop that keeps the groups as large as they should be is in autoscaling_groups.
https://docs.aws.amazon.com/autoscaling/ec2/APIReference/Welcome.html
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from moto.core.utils import get_service_model

from emulator import autoscaling_groups as engine
from emulator import ec2_instances, ec2_templates
from emulator.autoscaling_groups import ENDING, LAUNCHING, WAITING, Group, Item, Member, groups, stamp, wake
from emulator.ec2_region import backend_of, find_subnet, pattern
from emulator.rules import HANDLERS, SENTENCES, AwsError, Call, held, on
from emulator.world import ACCOUNT, World

__all__ = [
    "WAITING",
    "Group",
    "Member",
    "add_hook",
    "add_tag",
    "complete_lifecycle",
    "groups",
    "set_desired",
    "set_protection",
]

SENTENCES.update(
    {
        "asg-001": "The name of a group is taken until the group is gone: AlreadyExists.",
        "asg-002": "A group is not made from a template whose instance profile EC2 does not know yet: ValidationError.",
        "asg-003": "Who may use a launch template is not looked at: AccessDenied comes as a fault on request only.",
        "asg-006": "Without ForceDelete a group goes only when it is empty and quiet.",
        "asg-007": "ForceDelete ends all instances and hooks; the group is seen as 'Delete in progress' until they end.",
        "asg-009": "Protection can not be set on an instance that has left the group: ValidationError.",
        "asg-012": "A pending change of a group answers ResourceContention; only as a fault on request.",
        "asg-013": "DeletionProtection refuses the delete until it is lowered.",
        "asg-014": "Group names have up to 255 characters and no colon.",
        "asg-015": "Launch configurations can not be created any more.",
    }
)
held("asg-012", "faults: ResourceContention on request")
held("asg-003", "faults: AccessDenied on request")

OPERATIONS = get_service_model("autoscaling").operation_names


# What ECS asks of its groups.


def set_desired(world: World, region: str, group_name: str, desired: int) -> None:
    group = groups(world, region)[group_name]
    if desired != group.desired:
        text = f"changing the desired capacity from {group.desired} to {desired}."
        group.desired = desired
        wake(world, group, f"a user request explicitly set group desired capacity {text}")


def set_protection(world: World, region: str, group_name: str, instance_ids: Iterable[str], protected: bool) -> None:
    group = groups(world, region)[group_name]
    for instance_id in instance_ids:
        if instance_id in group.instances:
            group.instances[instance_id].protected = protected
    if not protected and group.stuck:
        wake(world, group)


def complete_lifecycle(world: World, region: str, group_name: str, instance_id: str) -> None:
    """ECS has drained the instance: let its own hook go on."""
    group = groups(world, region).get(group_name)
    if group and instance_id in group.instances:
        engine.complete(world, group, group.instances[instance_id], engine.ECS_HOOK, "CONTINUE")


def add_hook(world: World, region: str, group_name: str, hook_name: str, heartbeat: int = 3600) -> None:
    group = groups(world, region)[group_name]
    group.hooks[hook_name] = hook_of(
        group, hook_name, ENDING, {"HeartbeatTimeout": heartbeat, "DefaultResult": "CONTINUE"}
    )


def add_tag(world: World, region: str, group_name: str, key: str, value: str) -> None:
    group = groups(world, region)[group_name]
    put_tags(group, [{"Key": key, "Value": value, "PropagateAtLaunch": True}])


# Checks.


def find(call: Call, name: str) -> Group:
    group = groups(call.world, call.region).get(name)
    if group is None:
        raise AwsError("ValidationError", f"AutoScalingGroup name not found - AutoScalingGroup: {name} not found")
    return group


def find_open(call: Call, name: str) -> Group:
    """A group that is not on its way out."""
    group = find(call, name)
    if group.forced():
        raise AwsError("ValidationError", "The AutoScaling group may not be modified while it is pending delete")
    return group


def check_name(call: Call) -> None:
    name = call.params["AutoScalingGroupName"]
    if len(name) > 255 or ":" in name:
        raise AwsError(
            "ValidationError",
            "1 validation error detected: Value at 'autoScalingGroupName' failed to satisfy constraint: Member must "
            "have length less than or equal to 255 and not contain a colon",
        )
    group = groups(call.world, call.region).get(name)
    if group is not None:
        what = f"AutoScalingGroup by this name already exists - A group with the name {name} already exists"
        if group.forced():
            what += (
                " and is pending delete.  Please wait until Autoscaling completes the deletion process before "
                "creating another group with the same name."
            )
        raise AwsError("AlreadyExists", what)


def check_sizes(least: int, most: int, desired: int) -> None:
    if least < 0 or most < 0:
        raise AwsError("ValidationError", "Min and max size must not be negative.")
    if least > most:
        raise AwsError("ValidationError", f"Max bound, {most}, must be greater than or equal to min bound, {least}")
    if not least <= desired <= most:
        raise AwsError(
            "ValidationError",
            f"Desired capacity:{desired} must be between the specified min size:{least} and max size:{most}",
        )


def placement(call: Call) -> tuple[list[str], list[str]]:
    """The subnets and zones of a group; zones alone mean the default subnets in them."""
    subnet_ids = [one.strip() for one in (call.params.get("VPCZoneIdentifier") or "").split(",") if one.strip()]
    zones = call.params.get("AvailabilityZones") or []
    if not subnet_ids:
        if not zones:
            raise AwsError("ValidationError", "At least one Availability Zone or VPC Subnet is required.")
        return default_subnets(call.region, zones), list(zones)
    found = []
    for subnet_id in subnet_ids:
        try:
            found.append(find_subnet(call.region, subnet_id))
        except AwsError as error:
            raise AwsError("ValidationError", error.message) from error
        if subnet_id in region_hidden(call):
            raise AwsError("ValidationError", f"The subnet ID '{subnet_id}' does not exist")
    if zones and set(zones) != {subnet.availability_zone for subnet in found}:
        raise AwsError(
            "ValidationError",
            "The availability zones of the specified subnets and the Auto Scaling group do not match",
        )
    if len({subnet.vpc_id for subnet in found}) > 1:
        raise AwsError("ValidationError", "The subnets of an Auto Scaling group must be in one VPC.")
    return subnet_ids, sorted({subnet.availability_zone for subnet in found})


def region_hidden(call: Call) -> set[str]:
    from emulator.ec2_region import region_of

    return region_of(call.world, call.region).hidden


def default_subnets(region: str, zones: list[str]) -> list[str]:
    subnets = [one for zone in zones for one in backend_of(region).subnets.get(zone, {}).values()]
    found = [subnet.id for subnet in subnets if str(subnet.default_for_az).lower() == "true"]
    if not found:
        raise AwsError("ValidationError", f"Invalid availability zones: [{', '.join(zones)}]")
    return found


def check_template(call: Call, spec: Item, subnet_id: str, override: Item | None = None) -> Item:
    """What Auto Scaling tries out before it takes a template: all that RunInstances refuses but quota and capacity."""
    try:
        version = ec2_templates.resolve(call.world, call.region, spec)
        request = ec2_instances.from_template(version, {"SubnetId": subnet_id})
        if override and override.get("InstanceType"):
            request["InstanceType"] = override["InstanceType"]
        ec2_instances.check_parts(call.world, call.region, request)
    except AwsError as error:
        raise AwsError(
            "ValidationError", f"You must use a valid fully-formed launch template. {error.message}"
        ) from error
    return version


def named(version: Item, spec: Item) -> Item:
    """A launch template specification with both id and name, as a group shows it."""
    shown = {key: version[key] for key in ("LaunchTemplateId", "LaunchTemplateName")}
    return {**shown, **({"Version": spec["Version"]} if spec.get("Version") else {})}


def source_of(call: Call, subnet_id: str) -> tuple[Item | None, Item | None]:
    """The launch template or the mixed instances policy of a request, checked; (None, None): it names neither."""
    spec, mixed = call.params.get("LaunchTemplate"), call.params.get("MixedInstancesPolicy")
    if spec and mixed:
        raise AwsError(
            "ValidationError",
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or "
            "MixedInstancesPolicy parameter.",
        )
    if spec:
        return named(check_template(call, spec, subnet_id), spec), None
    if not mixed:
        return None, None
    template = mixed.get("LaunchTemplate") or {}
    spec = template.get("LaunchTemplateSpecification") or {}
    overrides = template.get("Overrides") or []
    version = check_template(call, spec, subnet_id, overrides[0] if overrides else None)
    if (version["LaunchTemplateData"].get("InstanceMarketOptions") or {}).get("MarketType"):
        raise AwsError(
            "ValidationError",
            "Incompatible launch template: Unable to use a launch template that requests Spot Instances "
            "(InstanceMarketOptions) with a mixed instances policy.",
        )
    weights = [one.get("WeightedCapacity") for one in overrides]
    if any(weights) and not all(weights):
        raise AwsError("ValidationError", "If one override has a weight, all overrides must have one.")
    for one in overrides:
        check_template(call, one.get("LaunchTemplateSpecification") or spec, subnet_id, one)
    return None, {**mixed, "LaunchTemplate": {**template, "LaunchTemplateSpecification": named(version, spec)}}


def check_target_groups(call: Call, arns: list[str]) -> None:
    from emulator import elbv2

    if any(elbv2.target_group(call.world, call.region, arn) is None for arn in arns):
        raise AwsError(
            "ValidationError",
            "Provided Target Groups may not be valid. Please ensure they exist and try again.",
        )


KEPT = (
    "DefaultCooldown",
    "HealthCheckType",
    "HealthCheckGracePeriod",
    "TerminationPolicies",
    "CapacityRebalance",
    "MaxInstanceLifetime",
    "Context",
    "DesiredCapacityType",
    "DefaultInstanceWarmup",
    "InstanceMaintenancePolicy",
    "PlacementGroup",
    "AvailabilityZoneDistribution",
    "AvailabilityZoneImpairmentPolicy",
    "CapacityReservationSpecification",
    "LoadBalancerNames",
    "TrafficSources",
    "ServiceLinkedRoleARN",
)


@on("autoscaling", "CreateAutoScalingGroup", rules="asg-001 asg-002 asg-014 sdk-005")
def create_auto_scaling_group(call: Call) -> Item:
    """The group is there at once; whether anything can launch in it is told later, by its activities."""
    from emulator import iam

    params, world = call.params, call.world
    check_name(call)
    least, most = int(params["MinSize"]), int(params["MaxSize"])
    desired = int(params.get("DesiredCapacity", least))
    check_sizes(least, most, desired)
    if params.get("LaunchConfigurationName"):
        raise AwsError("ValidationError", "Launch configuration name not found - null")
    subnet_ids, zones = placement(call)
    launch_template, mixed = source_of(call, subnet_ids[0])
    if not launch_template and not mixed:
        raise AwsError(
            "ValidationError",
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or "
            "MixedInstancesPolicy parameter.",
        )
    check_target_groups(call, params.get("TargetGroupARNs") or [])
    if not iam.service_linked_role(world, "autoscaling.amazonaws.com"):
        raise AwsError(
            "ServiceLinkedRoleFailure",
            "The service-linked role AWSServiceRoleForAutoScaling is not ready for use.",
            500,
        )
    name = params["AutoScalingGroupName"]
    group = Group(
        name=name,
        arn=engine.group_arn(call.region, name),
        region=call.region,
        min_size=least,
        max_size=most,
        desired=desired,
        subnet_ids=subnet_ids,
        zones=zones,
        created=world.timestamp(),
        launch_template=launch_template,
        mixed=mixed,
        new_instances_protected=bool(params.get("NewInstancesProtectedFromScaleIn")),
        deletion_protection=params.get("DeletionProtection") or "none",
        settings={key: params[key] for key in (*KEPT, "TargetGroupARNs") if key in params},
    )
    put_tags(group, params.get("Tags") or [])
    for hook in params.get("LifecycleHookSpecificationList") or []:
        hook_name = hook["LifecycleHookName"]
        group.hooks[hook_name] = hook_of(group, hook_name, hook["LifecycleTransition"], hook)
    groups(world, call.region)[name] = group
    text = "a user request created an AutoScalingGroup changing the desired capacity"
    wake(world, group, f"{text} from 0 to {desired}.")
    return {}


@on("autoscaling", "UpdateAutoScalingGroup", rules="asg-008")
def update_auto_scaling_group(call: Call) -> Item:
    """Only what is named changes. New bounds pull the desired capacity along; members keep their protection."""
    params = call.params
    group = find_open(call, params["AutoScalingGroupName"])
    least, most = int(params.get("MinSize", group.min_size)), int(params.get("MaxSize", group.max_size))
    if "DesiredCapacity" in params:
        desired = int(params["DesiredCapacity"])
    else:
        desired = max(least, min(most, group.desired))
    check_sizes(least, most, desired)
    subnet_ids, zones = group.subnet_ids, group.zones
    if params.get("VPCZoneIdentifier") or params.get("AvailabilityZones"):
        subnet_ids, zones = placement(call)
    launch_template, mixed = source_of(call, subnet_ids[0])
    if launch_template or mixed:
        group.launch_template, group.mixed = launch_template, mixed
    group.subnet_ids, group.zones = subnet_ids, zones
    if "NewInstancesProtectedFromScaleIn" in params:
        group.new_instances_protected = params["NewInstancesProtectedFromScaleIn"]
    if "DeletionProtection" in params:
        group.deletion_protection = params["DeletionProtection"]
    group.settings.update({key: params[key] for key in KEPT if key in params})
    before = group.desired
    group.min_size, group.max_size, group.desired = least, most, desired
    wake(
        call.world,
        group,
        f"a user request update of AutoScalingGroup constraints to min: {least}, max: {most}, desired: {desired} "
        f"changing the desired capacity from {before} to {desired}.",
    )
    return {}


@on("autoscaling", "SetDesiredCapacity", rules="asg-004 asg-008")
def set_desired_capacity(call: Call) -> Item:
    group = find_open(call, call.params["AutoScalingGroupName"])
    desired = int(call.params["DesiredCapacity"])
    if desired > group.max_size:
        raise AwsError(
            "ValidationError",
            f"New SetDesiredCapacity value {desired} is above max value {group.max_size} for the AutoScalingGroup.",
        )
    if desired < group.min_size:
        raise AwsError(
            "ValidationError",
            f"New SetDesiredCapacity value {desired} is below min value {group.min_size} for the AutoScalingGroup.",
        )
    if call.params.get("HonorCooldown") and cooling_down(call.world, group):
        raise AwsError(
            "ScalingActivityInProgress",
            f"Scaling activity {group.activities[0]['ActivityId']} is in progress and blocks this action",
        )
    set_desired(call.world, call.region, group.name, desired)
    return {}


def cooling_down(world: World, group: Group) -> bool:
    if not group.activities:
        return False
    last = group.activities[0].get("EndTime")
    cooldown = group.settings.get("DefaultCooldown", 300)
    return last is None or (world.timestamp() - last).total_seconds() < cooldown


@on("autoscaling", "DeleteAutoScalingGroup", rules="asg-006 asg-007 asg-013")
def delete_auto_scaling_group(call: Call) -> Item:
    group = find(call, call.params["AutoScalingGroupName"])
    force = bool(call.params.get("ForceDelete"))
    protection = group.deletion_protection
    if protection == "prevent-all-deletion" or (force and protection == "prevent-force-deletion"):
        raise AwsError(
            "ValidationError",
            f"The Auto Scaling group {group.name} cannot be deleted because its deletion protection is {protection}.",
        )
    if not force:
        if any(not member.leaving for member in group.instances.values()):
            raise AwsError(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) "
                "still in the group.",
            )
        if group.instances or (group.forced() and group.desired == 0 and group.instances):
            raise AwsError(
                "ScalingActivityInProgress",
                "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.",
            )
    group.status = "Delete in progress"
    group.min_size = group.max_size = group.desired = 0
    group.hooks.clear()
    engine.wake(call.world, group, seconds=engine.REACTION_SECONDS if group.instances else engine.DELETE_SECONDS)
    return {}


# Describing.


def shown(group: Group) -> Item:
    names = ("DefaultCooldown", "HealthCheckType", "HealthCheckGracePeriod", "TerminationPolicies")
    defaults = dict(zip(names, (300, "EC2", 0, ["Default"]), strict=True))
    role = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
    return {
        "AutoScalingGroupName": group.name,
        "AutoScalingGroupARN": group.arn,
        **({"LaunchTemplate": group.launch_template} if group.launch_template else {}),
        **({"MixedInstancesPolicy": group.mixed} if group.mixed else {}),
        "MinSize": group.min_size,
        "MaxSize": group.max_size,
        "DesiredCapacity": group.desired,
        **defaults,
        "LoadBalancerNames": [],
        "TargetGroupARNs": [],
        "ServiceLinkedRoleARN": role,
        "TrafficSources": [],
        **group.settings,
        "AvailabilityZones": group.zones,
        "Instances": [member_shown(member) for member in group.instances.values()],
        "CreatedTime": group.created,
        "SuspendedProcesses": [
            {"ProcessName": name, "SuspensionReason": reason} for name, reason in group.suspended.items()
        ],
        "VPCZoneIdentifier": ",".join(group.subnet_ids),
        "EnabledMetrics": [{"Metric": name, "Granularity": "1Minute"} for name in group.metrics],
        **({"Status": group.status} if group.status else {}),
        "Tags": group.tags,
        "NewInstancesProtectedFromScaleIn": group.new_instances_protected,
        "DeletionProtection": group.deletion_protection,
    }


def member_shown(member: Member) -> Item:
    return {
        "InstanceId": member.instance_id,
        "InstanceType": member.instance_type,
        "AvailabilityZone": member.zone,
        "AvailabilityZoneId": member.zone_id,
        "LifecycleState": member.lifecycle_state,
        "HealthStatus": member.health,
        "LaunchTemplate": member.template,
        "ImageId": member.image_id,
        "ProtectedFromScaleIn": member.protected,
        **({"WeightedCapacity": str(member.weight)} if member.weighted else {}),
    }


def paged(call: Call, name: str, items: list[Any], usual: int, most: int) -> Item:
    size = call.params.get("MaxRecords") or usual
    if size > most:
        raise AwsError("ValidationError", f"The number of records must be between 1 and {most}.")
    begin = int(call.params.get("NextToken") or 0)
    more = {"NextToken": str(begin + size)} if begin + size < len(items) else {}
    return {name: items[begin : begin + size], **more}


def tag_matches(tags: list[Item], filters: list[Item]) -> bool:
    """Filters of DescribeAutoScalingGroups: tag:KEY with values, tag-key, tag-value."""
    for wanted in filters:
        name, values = wanted["Name"], wanted.get("Values", [])
        if name.startswith("tag:"):
            found = [tag.get("Value", "") for tag in tags if tag["Key"] == name[4:]]
        elif name in ("tag-key", "tag-value"):
            found = [tag.get("Key" if name == "tag-key" else "Value", "") for tag in tags]
        else:
            raise AwsError("ValidationError", f"Filter type {name} is not correct. Allowed Filter types are: [tag:]")
        if not any(pattern(value).match(one) for value in values for one in found):
            return False
    return True


@on("autoscaling", "DescribeAutoScalingGroups")
def describe_auto_scaling_groups(call: Call) -> Item:
    """A name that is not there is left out, without an error."""
    wanted = call.params.get("AutoScalingGroupNames")
    found = [one for name, one in groups(call.world, call.region).items() if not wanted or name in wanted]
    items = [shown(one) for one in found if tag_matches(one.tags, call.params.get("Filters") or [])]
    return paged(call, "AutoScalingGroups", items, 50, 100)


@on("autoscaling", "DescribeAutoScalingInstances")
def describe_auto_scaling_instances(call: Call) -> Item:
    wanted = call.params.get("InstanceIds")
    items = [
        {**member_shown(member), "AutoScalingGroupName": group.name, "HealthStatus": member.health.upper()}
        for group in groups(call.world, call.region).values()
        for member in group.instances.values()
        if not wanted or member.instance_id in wanted
    ]
    return paged(call, "AutoScalingInstances", items, 50, 50)


@on("autoscaling", "DescribeScalingActivities", rules="asg-004")
def describe_scaling_activities(call: Call) -> Item:
    """The newest first; those of a group that is gone only with IncludeDeletedGroups."""
    params = call.params
    name = params.get("AutoScalingGroupName")
    present = groups(call.world, call.region)
    deleted = call.world.state["autoscaling_deleted"].get(call.region, []) if params.get("IncludeDeletedGroups") else []
    if name and name not in present and not deleted:
        find(call, name)
    items = [one for group in present.values() for one in group.activities] + deleted
    items = [one for one in items if not name or one["AutoScalingGroupName"] == name]
    if wanted := params.get("ActivityIds"):
        items = [one for one in items if one["ActivityId"] in wanted]
    items.sort(key=lambda one: one["StartTime"], reverse=True)
    return paged(call, "Activities", items, 100, 100)


# Members.


def member_of(group: Group, instance_id: str) -> Member:
    member = group.instances.get(instance_id)
    if member is None:
        raise AwsError("ValidationError", f"The instance {instance_id} is not part of Auto Scaling group {group.name}.")
    return member


@on("autoscaling", "SetInstanceProtection", rules="asg-008 asg-009 asg-011")
def set_instance_protection(call: Call) -> Item:
    group = find_open(call, call.params["AutoScalingGroupName"])
    wanted = call.params["InstanceIds"]
    if len(wanted) > 50:
        raise AwsError("LimitExceeded", "You can set the scale-in protection of at most 50 instances in one call.")
    for instance_id in wanted:
        state = member_of(group, instance_id).lifecycle_state
        if state not in ("InService", "EnteringStandby", "Standby"):
            raise AwsError(
                "ValidationError", f"The instance {instance_id} is not in InService or EnteringStandby or Standby."
            )
    set_protection(call.world, call.region, group.name, wanted, call.params["ProtectedFromScaleIn"])
    return {}


@on("autoscaling", "TerminateInstanceInAutoScalingGroup")
def terminate_instance_in_auto_scaling_group(call: Call) -> Item:
    """End one member, protected or not; a replacement follows unless the desired capacity is lowered with it."""
    instance_id, decrement = call.params["InstanceId"], call.params["ShouldDecrementDesiredCapacity"]
    found = engine.find_member(call.world, call.region, instance_id)
    if found is None:
        raise AwsError(
            "ValidationError", f"Instance Id not found - No managed instance found for instance ID: {instance_id}"
        )
    group, member = found
    if decrement and not member.leaving:
        if group.desired - 1 < group.min_size:
            raise AwsError(
                "ValidationError",
                f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance without replacement "
                "will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or "
                "lower group's min size.",
            )
        group.desired -= 1
    group.cause = ""
    activity = engine.end(call.world, group, member, "instance was taken out of service in response to a user request.")
    wake(call.world, group, "an instance was taken out of service in response to a user request.")
    return {"Activity": activity}


@on("autoscaling", "SetInstanceHealth")
def set_instance_health(call: Call) -> Item:
    found = engine.find_member(call.world, call.region, call.params["InstanceId"])
    if found is None:
        raise AwsError("ValidationError", f"Instance {call.params['InstanceId']} not found")
    group, member = found
    member.health = call.params["HealthStatus"]
    if member.health == "Unhealthy":
        call.world.after(engine.HEALTH_SECONDS, engine.replace_unhealthy, call.world, group, member)
    return {}


@on("autoscaling", "AttachInstances")
def attach_instances(call: Call) -> Item:
    """Running instances join the group, and its desired capacity grows with them."""
    group = find_open(call, call.params["AutoScalingGroupName"])
    wanted = call.params.get("InstanceIds") or []
    if group.desired + len(wanted) > group.max_size:
        raise AwsError(
            "ValidationError",
            f"AutoScalingGroup {group.name} has min-size={group.min_size}, max-size={group.max_size}, and "
            f"desired-size={group.desired}.  To attach {len(wanted)} more instance, please update the "
            "AutoScalingGroup sizes appropriately.",
        )
    for instance_id in wanted:
        try:
            made = ec2_instances.instance(call.world, call.region, instance_id)
        except AwsError as error:
            raise AwsError("ValidationError", f"Invalid Instance ID(s): [{instance_id}] specified.") from error
        if made["State"]["Name"] != "running" or engine.find_member(call.world, call.region, instance_id):
            raise AwsError("ValidationError", f"Instance {instance_id} is not in correct state or in another group.")
        version = ec2_templates.resolve(call.world, call.region, engine.launch_template_of(group))
        engine.admit(call.world, group, instance_id, version, {})
        group.desired += 1
        engine.enter_service(call.world, group, group.instances[instance_id])
    return {}


@on("autoscaling", "DetachInstances", "EnterStandby")
def detach_instances(call: Call) -> Item:
    """Members leave (or stand by) and run on; without the decrement others are launched in their place."""
    group = find_open(call, call.params["AutoScalingGroupName"])
    wanted = call.params.get("InstanceIds") or []
    members = [member_of(group, instance_id) for instance_id in wanted]
    if call.params["ShouldDecrementDesiredCapacity"]:
        if group.desired - len(members) < group.min_size:
            raise AwsError(
                "ValidationError",
                f"AutoScalingGroup {group.name} has min-size={group.min_size}, max-size={group.max_size}, and "
                f"desired-size={group.desired}.  To detach {len(members)} instances, lower the min size first.",
            )
        group.desired -= len(members)
    activities = []
    for member in members:
        verb = "Detaching" if call.operation == "DetachInstances" else "Moving to Standby"
        cause = f"At {stamp(call.world)} instance {member.instance_id} was moved in response to a user request."
        activity = engine.record(
            call.world, group, f"{verb} EC2 instance: {member.instance_id}", cause, member.subnet_id
        )
        engine.close(call.world, activity, "Successful")
        activities.append(activity)
        if call.operation == "DetachInstances":
            del group.instances[member.instance_id]
        else:
            member.lifecycle_state = "Standby"
    wake(call.world, group)
    return {"Activities": activities}


@on("autoscaling", "ExitStandby")
def exit_standby(call: Call) -> Item:
    group = find_open(call, call.params["AutoScalingGroupName"])
    for instance_id in call.params.get("InstanceIds") or []:
        member_of(group, instance_id).lifecycle_state = "InService"
        group.desired += 1
    return {"Activities": []}


# Lifecycle hooks.


def hook_of(group: Group, name: str, transition: str, given: Item) -> Item:
    before = group.hooks.get(name, {})
    heartbeat = given.get("HeartbeatTimeout") or before.get("HeartbeatTimeout", 3600)
    hook = {
        "LifecycleHookName": name,
        "AutoScalingGroupName": group.name,
        "LifecycleTransition": transition,
        "HeartbeatTimeout": heartbeat,
        "GlobalTimeout": min(172800, 100 * heartbeat),
        "DefaultResult": given.get("DefaultResult") or before.get("DefaultResult", "ABANDON"),
    }
    others = ("NotificationTargetARN", "RoleARN", "NotificationMetadata")
    return {**hook, **{key: given[key] for key in others if given.get(key)}}


@on("autoscaling", "PutLifecycleHook")
def put_lifecycle_hook(call: Call) -> Item:
    group = find_open(call, call.params["AutoScalingGroupName"])
    name = call.params["LifecycleHookName"]
    transition = call.params.get("LifecycleTransition") or group.hooks.get(name, {}).get("LifecycleTransition")
    if transition not in (LAUNCHING, ENDING):
        raise AwsError("ValidationError", f"Lifecycle transition {transition} is not valid.")
    if name not in group.hooks and len(group.hooks) >= 50:
        raise AwsError("LimitExceeded", "A group has at most 50 lifecycle hooks.")
    group.hooks[name] = hook_of(group, name, transition, call.params)
    return {}


@on("autoscaling", "DescribeLifecycleHooks")
def describe_lifecycle_hooks(call: Call) -> Item:
    group = find(call, call.params["AutoScalingGroupName"])
    wanted = call.params.get("LifecycleHookNames")
    return {"LifecycleHooks": [hook for name, hook in group.hooks.items() if not wanted or name in wanted]}


@on("autoscaling", "DeleteLifecycleHook")
def delete_lifecycle_hook(call: Call) -> Item:
    """What waits for the hook goes on: a launch is abandoned, an ending continues."""
    group = find(call, call.params["AutoScalingGroupName"])
    name = call.params["LifecycleHookName"]
    hook = group.hooks.pop(name, None)
    if hook is None:
        raise AwsError("ValidationError", f"No Lifecycle Hook found with name {name}")
    result = "CONTINUE" if hook["LifecycleTransition"] == ENDING else "ABANDON"
    for member in list(group.instances.values()):
        engine.complete(call.world, group, member, name, result)
    return {}


def waiting_member(call: Call) -> tuple[Group, Member]:
    """The member that a hook holds, by its id or by the token of the action."""
    group = find(call, call.params["AutoScalingGroupName"])
    name = call.params["LifecycleHookName"]
    token, instance_id = call.params.get("LifecycleActionToken"), call.params.get("InstanceId")
    for member in group.instances.values():
        if name in member.waiting and (member.waiting[name] == token or member.instance_id == instance_id):
            return group, member
    what = f"instance ID {instance_id}" if instance_id else f"token {token}"
    raise AwsError("ValidationError", f"No active Lifecycle Action found with {what}")


@on("autoscaling", "CompleteLifecycleAction", rules="asg-010")
def complete_lifecycle_action(call: Call) -> Item:
    group, member = waiting_member(call)
    result = call.params["LifecycleActionResult"]
    if result not in ("CONTINUE", "ABANDON"):
        raise AwsError("ValidationError", "Lifecycle action result must be CONTINUE or ABANDON.")
    engine.complete(call.world, group, member, call.params["LifecycleHookName"], result)
    return {}


@on("autoscaling", "RecordLifecycleActionHeartbeat")
def record_lifecycle_action_heartbeat(call: Call) -> Item:
    """The hook's time begins anew."""
    group, member = waiting_member(call)
    hook = group.hooks[call.params["LifecycleHookName"]]
    token = str(uuid.uuid4())
    member.waiting[hook["LifecycleHookName"]] = token
    call.world.after(hook["HeartbeatTimeout"], engine.time_out, call.world, group, member, hook, token)
    return {}


# Tags.


def put_tags(group: Group, tags: list[Item]) -> None:
    for tag in tags:
        if tag["Key"].startswith("aws:"):
            raise AwsError("ValidationError", "Tag keys beginning with aws: are reserved for AWS.")
        full = {
            "ResourceId": group.name,
            "ResourceType": "auto-scaling-group",
            "Key": tag["Key"],
            "Value": tag.get("Value", ""),
            "PropagateAtLaunch": bool(tag.get("PropagateAtLaunch", False)),
        }
        group.tags = [one for one in group.tags if one["Key"] != tag["Key"]] + [full]


@on("autoscaling", "CreateOrUpdateTags")
def create_or_update_tags(call: Call) -> Item:
    for tag in call.params["Tags"]:
        put_tags(find(call, tag.get("ResourceId") or ""), [tag])
    return {}


@on("autoscaling", "DeleteTags")
def delete_tags(call: Call) -> Item:
    for tag in call.params["Tags"]:
        group = find(call, tag.get("ResourceId") or "")
        group.tags = [one for one in group.tags if one["Key"] != tag["Key"]]
    return {}


@on("autoscaling", "DescribeTags")
def describe_tags(call: Call) -> Item:
    names = {"auto-scaling-group": "ResourceId", "key": "Key", "value": "Value"}
    items = [tag for group in groups(call.world, call.region).values() for tag in group.tags]
    for wanted in call.params.get("Filters") or []:
        values = wanted.get("Values", [])
        if wanted["Name"] == "propagate-at-launch":
            items = [tag for tag in items if str(tag["PropagateAtLaunch"]).lower() in [one.lower() for one in values]]
        else:
            items = [tag for tag in items if tag[names[wanted["Name"]]] in values]
    return paged(call, "Tags", items, 50, 100)


# Processes, metrics, load balancers, scaling policies.

PROCESSES = (
    "Launch",
    "Terminate",
    "AddToLoadBalancer",
    "AlarmNotification",
    "AZRebalance",
    "HealthCheck",
    "InstanceRefresh",
    "ReplaceUnhealthy",
    "ScheduledActions",
)


@on("autoscaling", "SuspendProcesses")
def suspend_processes(call: Call) -> Item:
    group = find_open(call, call.params["AutoScalingGroupName"])
    for name in call.params.get("ScalingProcesses") or PROCESSES:
        group.suspended[name] = f"User suspended at {stamp(call.world)}"
    return {}


@on("autoscaling", "ResumeProcesses")
def resume_processes(call: Call) -> Item:
    group = find_open(call, call.params["AutoScalingGroupName"])
    for name in call.params.get("ScalingProcesses") or PROCESSES:
        group.suspended.pop(name, None)
    wake(call.world, group)
    return {}


METRICS = [
    "GroupMinSize",
    "GroupMaxSize",
    "GroupDesiredCapacity",
    "GroupInServiceInstances",
    "GroupPendingInstances",
    "GroupStandbyInstances",
    "GroupTerminatingInstances",
    "GroupTotalInstances",
]


@on("autoscaling", "EnableMetricsCollection")
def enable_metrics_collection(call: Call) -> Item:
    group = find_open(call, call.params["AutoScalingGroupName"])
    group.metrics = sorted({*group.metrics, *(call.params.get("Metrics") or METRICS)})
    return {}


@on("autoscaling", "DisableMetricsCollection")
def disable_metrics_collection(call: Call) -> Item:
    group = find_open(call, call.params["AutoScalingGroupName"])
    dropped = call.params.get("Metrics") or METRICS
    group.metrics = [name for name in group.metrics if name not in dropped]
    return {}


@on("autoscaling", "AttachLoadBalancerTargetGroups", "DetachLoadBalancerTargetGroups")
def change_target_groups(call: Call) -> Item:
    group = find_open(call, call.params["AutoScalingGroupName"])
    named_arns = call.params["TargetGroupARNs"]
    if call.operation.startswith("Attach"):
        check_target_groups(call, named_arns)
    kept = [arn for arn in group.settings.get("TargetGroupARNs", []) if arn not in named_arns]
    group.settings["TargetGroupARNs"] = [*kept, *named_arns] if call.operation.startswith("Attach") else kept
    for member in group.staying():
        engine.balance(call.world, group, member, named_arns, joining=call.operation.startswith("Attach"))
    return {}


@on("autoscaling", "DescribeLoadBalancerTargetGroups")
def describe_target_groups(call: Call) -> Item:
    group = find(call, call.params["AutoScalingGroupName"])
    arns = group.settings.get("TargetGroupARNs", [])
    return {"LoadBalancerTargetGroups": [{"LoadBalancerTargetGroupARN": arn, "State": "InService"} for arn in arns]}


@on("autoscaling", "PutScalingPolicy")
def put_scaling_policy(call: Call) -> Item:
    group = find_open(call, call.params["AutoScalingGroupName"])
    name = call.params["PolicyName"]
    arn = f"arn:aws:autoscaling:{call.region}:{ACCOUNT}:scalingPolicy:{uuid.uuid4()}:autoScalingGroupName/{group.name}"
    arn = group.policies.get(name, {}).get("PolicyARN") or f"{arn}:policyName/{name}"
    kind = call.params.get("PolicyType") or "SimpleScaling"
    given = {key: value for key, value in call.params.items() if value is not None}
    group.policies[name] = {"Enabled": True, **given, "PolicyARN": arn, "PolicyType": kind, "Alarms": []}
    return {"PolicyARN": arn, "Alarms": []}


@on("autoscaling", "DescribePolicies")
def describe_policies(call: Call) -> Item:
    name, wanted = call.params.get("AutoScalingGroupName"), call.params.get("PolicyNames")
    found = [find(call, name)] if name else list(groups(call.world, call.region).values())
    items = [one for group in found for one in group.policies.values() if not wanted or one["PolicyName"] in wanted]
    return paged(call, "ScalingPolicies", items, 50, 100)


@on("autoscaling", "DeletePolicy")
def delete_policy(call: Call) -> Item:
    wanted = call.params["PolicyName"]
    for group in groups(call.world, call.region).values():
        for name, policy in list(group.policies.items()):
            if wanted in (name, policy["PolicyARN"]):
                del group.policies[name]
                return {}
    raise AwsError("ValidationError", f"No policy found with name {wanted}")


@on("autoscaling", "PutScheduledUpdateGroupAction")
def put_scheduled_action(call: Call) -> Item:
    """Stored; a start time that is named is kept to, a recurrence is not."""
    group = find_open(call, call.params["AutoScalingGroupName"])
    name = call.params["ScheduledActionName"]
    arn = f"arn:aws:autoscaling:{call.region}:{ACCOUNT}:scheduledUpdateGroupAction:{uuid.uuid4()}"
    arn = f"{arn}:autoScalingGroupName/{group.name}:scheduledActionName/{name}"
    given = {key: value for key, value in call.params.items() if value is not None}
    action = {**given, "ScheduledActionARN": group.schedule.get(name, {}).get("ScheduledActionARN", arn)}
    group.schedule[name] = action
    if begin := call.params.get("StartTime"):
        seconds = max(0.0, begin.timestamp() - call.world.now())
        call.world.after(seconds, run_scheduled_action, call.world, group, action)
    return {}


def run_scheduled_action(world: World, group: Group, action: Item) -> None:
    if group.forced() or group.schedule.get(action["ScheduledActionName"]) is not action:
        return
    group.min_size, group.max_size = action.get("MinSize", group.min_size), action.get("MaxSize", group.max_size)
    wanted = action.get("DesiredCapacity", group.desired)
    group.desired = max(group.min_size, min(group.max_size, wanted))
    wake(world, group, f"a scheduled action {action['ScheduledActionName']} changed the group.")
    if not action.get("Recurrence"):
        del group.schedule[action["ScheduledActionName"]]


@on("autoscaling", "DescribeScheduledActions")
def describe_scheduled_actions(call: Call) -> Item:
    name = call.params.get("AutoScalingGroupName")
    found = [find(call, name)] if name else list(groups(call.world, call.region).values())
    wanted = call.params.get("ScheduledActionNames")
    items = [one for group in found for key, one in group.schedule.items() if not wanted or key in wanted]
    return paged(call, "ScheduledUpdateGroupActions", items, 50, 100)


@on("autoscaling", "DeleteScheduledAction")
def delete_scheduled_action(call: Call) -> Item:
    group = find(call, call.params["AutoScalingGroupName"])
    if group.schedule.pop(call.params["ScheduledActionName"], None) is None:
        raise AwsError("ValidationError", f"Scheduled action name not found - {call.params['ScheduledActionName']}")
    return {}


# Instance refresh.


@on("autoscaling", "StartInstanceRefresh")
def start_instance_refresh(call: Call) -> Item:
    group = find_open(call, call.params["AutoScalingGroupName"])
    if engine.open_refresh(group):
        raise AwsError(
            "InstanceRefreshInProgress",
            "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.",
        )
    desired = call.params.get("DesiredConfiguration") or {}
    changed = Call(call.world, call.service, call.operation, desired, call.region, call.account, call.moto)
    launch_template, mixed = source_of(changed, group.subnet_ids[0])
    if launch_template or mixed:
        group.launch_template, group.mixed = launch_template, mixed
    preferences = call.params.get("Preferences") or {}
    refresh: Item = {
        "InstanceRefreshId": str(uuid.uuid4()),
        "AutoScalingGroupName": group.name,
        "Status": "Pending",
        "StartTime": call.world.timestamp(),
        "PercentageComplete": 0,
        "Preferences": preferences,
        "Strategy": call.params.get("Strategy") or "Rolling",
        **({"DesiredConfiguration": desired} if desired else {}),
        "left": to_replace(call, group, preferences),
    }
    refresh["total"] = refresh["InstancesToUpdate"] = len(refresh["left"])
    group.refreshes.insert(0, refresh)
    group.due = call.world.now() + call.world.clock.delay(engine.REACTION_SECONDS)
    return {"InstanceRefreshId": refresh["InstanceRefreshId"]}


def to_replace(call: Call, group: Group, preferences: Item) -> list[str]:
    """All members, or with SkipMatching those that were not launched from the wanted version."""
    version = ec2_templates.resolve(call.world, call.region, engine.launch_template_of(group))
    wanted = (version["LaunchTemplateId"], str(version["VersionNumber"]))
    skip = bool(preferences.get("SkipMatching"))
    return [
        member.instance_id
        for member in group.staying()
        if not (skip and (member.template["LaunchTemplateId"], member.template["Version"]) == wanted)
    ]


@on("autoscaling", "CancelInstanceRefresh")
def cancel_instance_refresh(call: Call) -> Item:
    group = find_open(call, call.params["AutoScalingGroupName"])
    refresh = engine.open_refresh(group)
    if refresh is None:
        raise AwsError(
            "ActiveInstanceRefreshNotFound",
            f"No in progress or pending Instance Refresh found for Auto Scaling group {group.name}",
        )
    refresh["Status"] = "Cancelling"
    return {"InstanceRefreshId": refresh["InstanceRefreshId"]}


@on("autoscaling", "DescribeInstanceRefreshes")
def describe_instance_refreshes(call: Call) -> Item:
    group = find(call, call.params["AutoScalingGroupName"])
    wanted = call.params.get("InstanceRefreshIds")
    found = [one for one in group.refreshes if not wanted or one["InstanceRefreshId"] in wanted]
    items = [{key: value for key, value in one.items() if key not in ("left", "total")} for one in found]
    return paged(call, "InstanceRefreshes", items, 50, 100)


# What is left of launch configurations.


@on("autoscaling", "CreateLaunchConfiguration", rules="asg-015")
def create_launch_configuration(call: Call) -> Item:
    raise AwsError(
        "UnsupportedOperation",
        "The Launch Configuration creation operation is not available in your account. Use launch templates to create "
        "configuration templates for your Auto Scaling groups.",
    )


@on("autoscaling", "DescribeLaunchConfigurations")
def describe_launch_configurations(call: Call) -> Item:
    return {"LaunchConfigurations": []}


@on("autoscaling", "DeleteLaunchConfiguration")
def delete_launch_configuration(call: Call) -> Item:
    raise AwsError("ValidationError", "Launch configuration name not found - null")


@on("autoscaling", "DescribeAccountLimits")
def describe_account_limits(call: Call) -> Item:
    return {
        "MaxNumberOfAutoScalingGroups": 500,
        "MaxNumberOfLaunchConfigurations": 200,
        "NumberOfAutoScalingGroups": len(groups(call.world, call.region)),
        "NumberOfLaunchConfigurations": 0,
    }


@on("autoscaling", "DescribeWarmPool", "DescribeNotificationConfigurations", "DescribeLoadBalancers")
def describe_nothing(call: Call) -> Item:
    """What no group here has."""
    names = {
        "DescribeWarmPool": "Instances",
        "DescribeNotificationConfigurations": "NotificationConfigurations",
        "DescribeLoadBalancers": "LoadBalancers",
    }
    return {names[call.operation]: []}


def left_out(call: Call) -> Item:
    """moto knows nothing of these groups: what is not imitated says so."""
    raise AwsError("NotImplemented", f"the emulator does not imitate autoscaling {call.operation}", 501)


on("autoscaling", *(one for one in OPERATIONS if ("autoscaling", one) not in HANDLERS))(left_out)
