"""Groups are made, changed, deleted and described here; what then happens is in groups.py.

https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html
"""

from __future__ import annotations

from typing import Any

from emulator.autoscaling import groups as engine
from emulator.autoscaling.groups import Group, Item, Member, groups, hook_of, put_tags, set_desired, wake
from emulator.core import partitions
from emulator.core.rules import SENTENCES, AwsError, Call, held, on
from emulator.core.world import ACCOUNT, World
from emulator.ec2 import instances as ec2_instances
from emulator.ec2 import templates as ec2_templates
from emulator.ec2.region import backend_of, find_subnet, pattern, region_of
from emulator.elbv2 import state as elbv2
from emulator.iam import caller
from emulator.iam import roles as iam_roles

SENTENCES.update(
    {
        "asg-001": "The name of a group is taken until the group is gone: AlreadyExists.",
        "asg-002": "A group is not made from a template whose instance profile EC2 does not know yet: ValidationError.",
        "asg-003": "A group with a launch template needs ec2:RunInstances and the right to pass the template's role, where the "
        "caller has a policy.",
        "asg-006": "Without ForceDelete a group goes only when it is empty and quiet.",
        "asg-007": "ForceDelete ends all instances and hooks; the group is seen as 'Delete in progress' until they end.",
        "asg-009": "Protection can not be set on an instance that has left the group: ValidationError.",
        "asg-012": "A pending change of a group answers ResourceContention; only as a fault on request.",
        "asg-013": "DeletionProtection refuses the delete until it is lowered.",
        "asg-014": "Group names have up to 255 characters and no colon.",
        "asg-015": "Launch configurations can not be created any more.",
        "asg-reservation": "A group with capacity-reservations-only launches into the reservations that it targets, or not at all.",
        "asg-017": "TerminateInstanceInAutoScalingGroup ends a member, protected or not, and with a decrement for good.",
    }
)
held("asg-012", "faults: ResourceContention on request")
held("asg-003", "iam.caller, by core.implied and PASSING")

# Checks.


def passed(call: Call) -> list[Item]:
    """The roles that a group's launch template hands to its instances are named in the template."""
    mixed = (call.params.get("MixedInstancesPolicy") or {}).get("LaunchTemplate") or {}
    spec = call.params.get("LaunchTemplate") or mixed.get("LaunchTemplateSpecification")
    try:
        return [ec2_templates.resolve(call.world, call.region, spec)["LaunchTemplateData"]] if spec else []
    except AwsError:
        return []  # the call itself is refused for that


caller.PASSING["autoscaling", "CreateAutoScalingGroup"] = passed
caller.PASSING["autoscaling", "UpdateAutoScalingGroup"] = passed


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


def check_reserved(call: Call) -> None:
    """https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CapacityReservationSpecification.html"""
    given = call.params.get("CapacityReservationSpecification") or {}
    if given.get("CapacityReservationTarget") and given.get("CapacityReservationPreference") in ("none", "default"):
        raise AwsError(
            "ValidationError",
            "A capacity reservation target is not valid with the preference none or default.",  # AWS's words are not known
        )


def check_target_groups(call: Call, arns: list[str]) -> None:
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


@on("autoscaling", "CreateAutoScalingGroup", rules="asg-001 asg-002 asg-014 asg-reservation sdk-005")
def create_auto_scaling_group(call: Call) -> Item:
    """The group is there at once; whether anything can launch in it is told later, by its activities."""
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
    check_reserved(call)
    if not iam_roles.service_linked_role(world, "autoscaling.amazonaws.com"):
        raise AwsError(
            "ServiceLinkedRoleFailure",
            "The service-linked role AWSServiceRoleForAutoScaling is not ready for use.",
            500,
        )
    group = new_group(call, desired, subnet_ids, zones, launch_template, mixed)
    put_tags(group, params.get("Tags") or [])
    for hook in params.get("LifecycleHookSpecificationList") or []:
        hook_name = hook["LifecycleHookName"]
        group.hooks[hook_name] = hook_of(group, hook_name, hook["LifecycleTransition"], hook)
    groups(world, call.region)[group.name] = group
    text = "a user request created an AutoScalingGroup changing the desired capacity"
    wake(world, group, f"{text} from 0 to {desired}.")
    return {}


def new_group(
    call: Call, desired: int, subnet_ids: list[str], zones: list[str], template: Item | None, mixed: Item | None
) -> Group:
    params, name = call.params, call.params["AutoScalingGroupName"]
    return Group(
        name=name,
        arn=engine.group_arn(call.region, name),
        region=call.region,
        min_size=int(params["MinSize"]),
        max_size=int(params["MaxSize"]),
        desired=desired,
        subnet_ids=subnet_ids,
        zones=zones,
        created=call.world.timestamp(),
        launch_template=template,
        mixed=mixed,
        new_instances_protected=bool(params.get("NewInstancesProtectedFromScaleIn")),
        deletion_protection=params.get("DeletionProtection") or "none",
        settings={key: params[key] for key in (*KEPT, "TargetGroupARNs") if key in params},
    )


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
    check_reserved(call)
    launch_template, mixed = source_of(call, subnet_ids[0])
    if launch_template or mixed:
        group.launch_template, group.mixed = launch_template, mixed
    group.subnet_ids, group.zones = subnet_ids, zones
    if "NewInstancesProtectedFromScaleIn" in params:
        group.new_instances_protected = params["NewInstancesProtectedFromScaleIn"]
    if "DeletionProtection" in params:
        group.deletion_protection = params["DeletionProtection"]
    group.settings.update({key: params[key] for key in KEPT if key in params})
    reserved = group.settings.get("CapacityReservationSpecification") or {}
    if reserved.get("CapacityReservationPreference") == "default":  # whether AWS shows it then is not known
        del group.settings["CapacityReservationSpecification"]
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
    role = f"arn:{partitions.here()}:iam::{ACCOUNT}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
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
