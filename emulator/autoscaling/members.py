"""Members of a group one by one: protection, end, attach and detach, and the hooks that hold them."""

from __future__ import annotations

import uuid

from emulator.autoscaling import groups as engine
from emulator.autoscaling.calls import find, find_open
from emulator.autoscaling.groups import ENDING, LAUNCHING, Group, Item, Member, hook_of, set_protection, stamp, wake
from emulator.core.rules import AwsError, Call, on
from emulator.ec2 import instances as ec2_instances
from emulator.ec2 import templates as ec2_templates


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


@on("autoscaling", "TerminateInstanceInAutoScalingGroup", rules="asg-017")
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
