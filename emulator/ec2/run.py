"""The calls on instances: run, describe, stop, terminate, and the little things around them."""

from __future__ import annotations

import base64
from typing import Any

from emulator.core.rules import AwsError, Call, on
from emulator.core.world import ACCOUNT, World
from emulator.ec2 import instances as engine
from emulator.ec2 import templates
from emulator.ec2.instances import known, shown, state
from emulator.ec2.region import (
    Item,
    backend_of,
    find_group,
    hide,
    new_id,
    not_found,
    once,
    page,
    region_of,
    remember,
    select,
)


@on("ec2", "RunInstances", rules="ec2-025 ec2-026 ec2-027 ec2-029 sdk-005")
def run_instances(call: Call) -> Item:
    """Checks everything, then starts. DryRun looks at rights, image, type and zone, and tells neither quota nor capacity:
    no call of EC2's says whether an instance could be had. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html"""
    world, region, params = call.world, call.region, call.params
    if done := once(world, region, "RunInstances", params):
        return reservation(call, [known(world, region, one) for one in done])
    request = dict(params)
    if spec := params.get("LaunchTemplate"):
        request = engine.from_template(templates.resolve(world, region, spec), params)
    least, most = int(params.get("MinCount") or 1), int(params.get("MaxCount") or 1)
    if least > most:
        raise AwsError("InvalidParameterValue", f"Value ({least}) for parameter minCount is invalid.")
    if request.get("SubnetId") and request.get("NetworkInterfaces"):
        raise AwsError(
            "InvalidParameterCombination",
            "Network interfaces and an instance-level subnet ID may not be specified on the same request",
        )
    templates.check_user_data(params)
    if params.get("DryRun"):
        engine.check_parts(world, region, request)
        engine.check_zone(region, request, engine.subnet_of(region, request).availability_zone)
        raise AwsError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
    engine.check(world, region, request, least)
    made: list[Item] = []
    number = new_id("r")
    for index in range(most):
        try:
            engine.check_quota(world, region, request, 1)
        except AwsError:
            if index < least:
                raise
            break
        made.append(engine.start(world, region, request, index, number))
    for one in made:
        hide(world, region, one["InstanceId"], 1)
    remember(world, region, "RunInstances", params, [one["InstanceId"] for one in made])
    return reservation(call, made)


def reservation(call: Call, made: list[Item]) -> Item:
    return {
        "ReservationId": made[0]["reservation"],
        "OwnerId": ACCOUNT,
        "Groups": [],
        "Instances": [shown(call.world, call.region, one) for one in made],
    }


def seen(world: World, region: str) -> list[Item]:
    """The instances that are to be seen, terminated ones for about an hour."""
    own = region_of(world, region)
    for instance_id in [
        key for key, one in own.instances.items() if (one["gone_at"] or world.now() + 1) <= world.now()
    ]:
        del own.instances[instance_id]
        backend_of(region).tags.pop(instance_id, None)
    return [one for key, one in own.instances.items() if key not in own.hidden]


FILTERS = {
    "architecture": ("Architecture",),
    "availability-zone": ("Placement", "AvailabilityZone"),
    "client-token": ("ClientToken",),
    "iam-instance-profile.arn": ("IamInstanceProfile", "Arn"),
    "image-id": ("ImageId",),
    "instance-id": ("InstanceId",),
    "instance-lifecycle": ("InstanceLifecycle",),
    "instance-state-code": ("State", "Code"),
    "instance-state-name": ("State", "Name"),
    "instance-type": ("InstanceType",),
    "ip-address": ("PublicIpAddress",),
    "dns-name": ("PublicDnsName",),
    "key-name": ("KeyName",),
    "launch-time": ("LaunchTime",),
    "monitoring-state": ("Monitoring", "State"),
    "private-dns-name": ("PrivateDnsName",),
    "private-ip-address": ("PrivateIpAddress",),
    "root-device-name": ("RootDeviceName",),
    "subnet-id": ("SubnetId",),
    "vpc-id": ("VpcId",),
    "metadata-options.http-tokens": ("MetadataOptions", "HttpTokens"),
}


def filter_value(item: Item, name: str) -> Any:
    if name in ("instance.group-id", "network-interface.group-id"):
        return [group["GroupId"] for group in item["SecurityGroups"]]
    if name in ("instance.group-name", "network-interface.group-name"):
        return [group["GroupName"] for group in item["SecurityGroups"]]
    if name == "network-interface.network-interface-id":
        return [one["NetworkInterfaceId"] for one in item["NetworkInterfaces"]]
    if name == "block-device-mapping.volume-id":
        return [one["Ebs"]["VolumeId"] for one in item["BlockDeviceMappings"]]
    if name not in FILTERS:
        return None
    value: Any = item
    for step in FILTERS[name]:
        value = (value or {}).get(step)
    return [] if value is None else value


@on("ec2", "DescribeInstances", rules="ec2-030")
def describe_instances(call: Call) -> Item:
    world, region, params = call.world, call.region, call.params
    wanted = params.get("InstanceIds")
    found = [known(world, region, one) for one in wanted] if wanted else seen(world, region)
    reservations: dict[str, Item] = {}
    found, token = page(found, params)
    for item in select((shown(world, region, one) for one in found), params.get("Filters"), filter_value):
        number = region_of(world, region).instances[item["InstanceId"]]["reservation"]
        place = {"ReservationId": number, "OwnerId": ACCOUNT, "Groups": [], "Instances": []}
        reservations.setdefault(number, place)["Instances"].append(item)
    return {"Reservations": list(reservations.values()), **({"NextToken": token} if token else {})}


@on("ec2", "DescribeInstanceStatus")
def describe_instance_status(call: Call) -> Item:
    """Running ones only, unless all are asked for; the checks pass two minutes after the start."""
    world, region, params = call.world, call.region, call.params
    wanted = params.get("InstanceIds")
    items = []
    for one in [known(world, region, key) for key in wanted] if wanted else seen(world, region):
        name = one["State"]["Name"]
        if name != "running" and not params.get("IncludeAllInstances"):
            continue
        age = (world.timestamp() - one["LaunchTime"]).total_seconds()
        passed = name == "running" and (age >= 120 or world.clock.scale == 0)
        outcome = ("ok", "passed") if world.settings.checks_pass else ("impaired", "failed")
        check = outcome[0] if passed else "initializing" if name == "running" else "not-applicable"
        details = [{"Name": "reachability", "Status": outcome[1] if passed else "initializing"}]
        status = {"Status": check, **({"Details": details} if name == "running" else {})}
        item = {
            "AvailabilityZone": one["Placement"]["AvailabilityZone"],
            "InstanceId": one["InstanceId"],
            "InstanceState": one["State"],
            "InstanceStatus": status,
            "SystemStatus": status,
            "AttachedEbsStatus": status,
        }
        items.append(item)
    items, token = page(select(items, params.get("Filters"), status_value), params)
    return {"InstanceStatuses": items, **({"NextToken": token} if token else {})}


def status_value(item: Item, name: str) -> Any:
    names: dict[str, Any] = {
        "availability-zone": item["AvailabilityZone"],
        "instance-state-name": item["InstanceState"]["Name"],
        "instance-state-code": item["InstanceState"]["Code"],
        "instance-status.status": item["InstanceStatus"]["Status"],
        "system-status.status": item["SystemStatus"]["Status"],
    }
    return names.get(name)


@on("ec2", "TerminateInstances", rules="ec2-030")
def terminate_instances(call: Call) -> Item:
    """All of them or none: an unknown id or a protected instance refuses the call."""
    world, region = call.world, call.region
    found = [known(world, region, one) for one in call.params["InstanceIds"]]
    for one in found:
        if one["DisableApiTermination"]:
            raise AwsError(
                "OperationNotPermitted",
                f"The instance '{one['InstanceId']}' may not be terminated. Modify its 'disableApiTermination' "
                "instance attribute and try again.",
            )
    changes = []
    for one in found:
        before = one["State"]
        if before["Name"] in engine.HOLDING:
            one["StateTransitionReason"] = f"User initiated ({world.timestamp():%Y-%m-%d %H:%M:%S} GMT)"
        engine.terminate(world, region, one["InstanceId"])
        changes.append({"InstanceId": one["InstanceId"], "PreviousState": before, "CurrentState": one["State"]})
    return {"TerminatingInstances": changes}


@on("ec2", "StopInstances")
def stop_instances(call: Call) -> Item:
    changes = []
    for one in [known(call.world, call.region, key) for key in call.params["InstanceIds"]]:
        before = one["State"]
        if before["Name"] not in ("running", "stopping", "stopped"):
            raise incorrect_state(one)
        if before["Name"] == "running":
            one["State"] = state("stopping")
            call.world.after(engine.STOP_SECONDS, engine.enter_stopped, call.world, call.region, one["InstanceId"])
            for listener in engine.STOPPING:
                listener(call.world, call.region, one["InstanceId"])
        changes.append({"InstanceId": one["InstanceId"], "PreviousState": before, "CurrentState": one["State"]})
    return {"StoppingInstances": changes}


@on("ec2", "StartInstances")
def start_instances(call: Call) -> Item:
    changes = []
    for one in [known(call.world, call.region, key) for key in call.params["InstanceIds"]]:
        before = one["State"]
        if before["Name"] not in ("stopped", "running", "pending"):
            raise incorrect_state(one)
        if before["Name"] == "stopped":
            one["State"] = state("pending")
            call.world.after(engine.BOOT_SECONDS, engine.enter_running, call.world, call.region, one["InstanceId"])
        changes.append({"InstanceId": one["InstanceId"], "PreviousState": before, "CurrentState": one["State"]})
    return {"StartingInstances": changes}


def incorrect_state(one: Item) -> AwsError:
    return AwsError(
        "IncorrectInstanceState",
        f"The instance '{one['InstanceId']}' is not in a state from which it can be started or stopped.",
    )


@on("ec2", "RebootInstances")
def reboot_instances(call: Call) -> Item:
    for one in call.params["InstanceIds"]:
        known(call.world, call.region, one)
    return {}


@on("ec2", "GetConsoleOutput")
def get_console_output(call: Call) -> Item:
    """A few lines of a boot, base64-encoded as AWS sends them."""
    one = known(call.world, call.region, call.params["InstanceId"])
    lines = [
        f"[    0.000000] Linux version 6.1.0 ({one['Architecture']})",
        f"[    2.113000] cloud-init: instance {one['InstanceId']} of type {one['InstanceType']}",
        f"[   11.402000] cloud-init: modules:final, {len(one['UserData'])} characters of user data have run",
        f"{one['InstanceId']} login: ",
    ]
    told = "" if one["State"]["Name"] == "pending" else "\n".join(lines)
    output = base64.b64encode(told.encode()).decode()
    return {"InstanceId": one["InstanceId"], "Timestamp": call.world.timestamp(), "Output": output}


ATTRIBUTES: dict[str, tuple[str, str]] = {
    "instanceType": ("InstanceType", "InstanceType"),
    "disableApiTermination": ("DisableApiTermination", "DisableApiTermination"),
    "rootDeviceName": ("RootDeviceName", "RootDeviceName"),
    "ebsOptimized": ("EbsOptimized", "EbsOptimized"),
}


@on("ec2", "DescribeInstanceAttribute")
def describe_instance_attribute(call: Call) -> Item:
    one = known(call.world, call.region, call.params["InstanceId"])
    attribute = call.params["Attribute"]
    answer: Item = {"InstanceId": one["InstanceId"]}
    if attribute in ATTRIBUTES:
        name, key = ATTRIBUTES[attribute]
        answer[name] = {"Value": one[key]}
    elif attribute == "userData":
        text = base64.b64encode(one["UserData"].encode()).decode()
        answer["UserData"] = {"Value": text} if text else {}
    elif attribute == "groupSet":
        answer["Groups"] = shown(call.world, call.region, one)["SecurityGroups"]
    elif attribute == "instanceInitiatedShutdownBehavior":
        answer["InstanceInitiatedShutdownBehavior"] = {"Value": "stop"}
    elif attribute == "sourceDestCheck":
        answer["SourceDestCheck"] = {"Value": shown(call.world, call.region, one).get("SourceDestCheck", True)}
    else:
        raise AwsError("InvalidParameterValue", f"Value ({attribute}) for parameter attribute is invalid.")
    return answer


@on("ec2", "ModifyInstanceAttribute")
def modify_instance_attribute(call: Call) -> Item:
    params = call.params
    one = known(call.world, call.region, params["InstanceId"])
    interface = backend_of(call.region).enis.get(one["interface"])
    if "DisableApiTermination" in params:
        one["DisableApiTermination"] = bool(params["DisableApiTermination"].get("Value"))
    if params.get("Groups") and interface is not None:
        interface._group_set = [find_group(call.region, group) for group in params["Groups"]]
    if "SourceDestCheck" in params and interface is not None:
        interface.source_dest_check = bool(params["SourceDestCheck"].get("Value"))
    if "InstanceType" in params or "UserData" in params:
        if one["State"]["Name"] != "stopped":
            raise incorrect_state(one)
        one["InstanceType"] = (params.get("InstanceType") or {}).get("Value") or one["InstanceType"]
        if "UserData" in params:
            one["UserData"] = engine.decoded(params["UserData"].get("Value"))
    return {}


@on("ec2", "ModifyInstanceMetadataOptions")
def modify_instance_metadata_options(call: Call) -> Item:
    one = known(call.world, call.region, call.params["InstanceId"])
    names = ("HttpTokens", "HttpPutResponseHopLimit", "HttpEndpoint", "HttpProtocolIpv6", "InstanceMetadataTags")
    one["MetadataOptions"] = {**one["MetadataOptions"], **{n: call.params[n] for n in names if n in call.params}}
    return {"InstanceId": one["InstanceId"], "InstanceMetadataOptions": one["MetadataOptions"]}


@on("ec2", "DescribeKeyPairs")
def describe_key_pairs(call: Call) -> Item:
    pairs = backend_of(call.region).key_pairs
    for name in call.params.get("KeyNames") or []:
        if name not in pairs:
            raise not_found(name, "key")
    return call.proceed()
