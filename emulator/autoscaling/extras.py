"""What a group carries besides: tags, suspended processes, policies, schedules, refreshes; and launch configurations."""

from __future__ import annotations

import uuid

from emulator.autoscaling import groups as engine
from emulator.autoscaling.calls import check_target_groups, find, find_open, paged, source_of
from emulator.autoscaling.groups import Group, Item, groups, put_tags, stamp, wake
from emulator.core import partitions
from emulator.core.rules import AwsError, Call, on
from emulator.core.world import ACCOUNT, World
from emulator.ec2 import templates as ec2_templates

# Tags.


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
    base = f"arn:{partitions.here()}:autoscaling:{call.region}:{ACCOUNT}"
    arn = f"{base}:scalingPolicy:{uuid.uuid4()}:autoScalingGroupName/{group.name}"
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
    arn = f"arn:{partitions.here()}:autoscaling:{call.region}:{ACCOUNT}:scheduledUpdateGroupAction:{uuid.uuid4()}"
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
        "began": call.world.now(),
    }
    refresh["total"] = refresh["InstancesToUpdate"] = len(refresh["left"])
    group.refreshes.insert(0, refresh)
    engine.look_in(call.world, group, engine.REACTION_SECONDS)
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
    items = [{key: value for key, value in one.items() if key not in ("left", "total", "began")} for one in found]
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
