"""Instances: what a launch checks, and how an instance goes from pending to running to terminated, with what it holds.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html
"""

from __future__ import annotations

import base64
import types
from collections.abc import Callable
from typing import Any

from moto.ssm.models import ssm_backends

from emulator.core.rules import SENTENCES, AwsError
from emulator.core.world import ACCOUNT, World
from emulator.ec2 import interfaces as ec2_interfaces
from emulator.ec2 import reservations, templates
from emulator.ec2 import types as ec2_types
from emulator.ec2.region import (
    Item,
    backend_of,
    drop_tags,
    find_group,
    find_subnet,
    new_id,
    not_found,
    quick_tags,
    region_of,
    set_tags,
    specified_tags,
    tags_of,
)
from emulator.iam import roles as iam_roles

SENTENCES.update(
    {
        "ec2-025": "Launches count their vCPUs against the quota of their family: VcpuLimitExceeded, 0 in new accounts.",
        "ec2-026": "A zone without capacity for the type refuses the launch: InsufficientInstanceCapacity.",
        "ec2-027": "EC2 does not know an instance profile before it has spread: InvalidParameterValue.",
        "ec2-030": "A terminated instance shuts down for over a minute and holds its interface, group and subnet so long.",
    }
)

Listener = Callable[[World, str, str], None]
#: called with world, region, instance id when an instance enters that state
RUNNING: list[Listener] = []
TERMINATING: list[Listener] = []
TERMINATED: list[Listener] = []
#: the same, when it enters 'stopping'
STOPPING: list[Listener] = []

BOOT_SECONDS = 10
SHUTDOWN_SECONDS = 75
STOP_SECONDS = 30
VISIBLE_SECONDS = 3600
STATES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
HOLDING = ("pending", "running", "stopping", "stopped")


def state(name: str) -> Item:
    return {"Code": STATES[name], "Name": name}


def instance(world: World, region: str, instance_id: str) -> Item:
    """An instance as describe_instances shows it, with its user data as text under "UserData"."""
    found = known(world, region, instance_id)
    return {**shown(world, region, found), "UserData": found["UserData"]}


def known(world: World, region: str, instance_id: str) -> Item:
    instances = region_of(world, region).instances
    found = instances.get(instance_id)
    if found is None or (found["gone_at"] is not None and found["gone_at"] <= world.now()):
        raise not_found(instance_id, "i")
    return found


def launch(
    world: World,
    region: str,
    launch_template_spec: Item,
    subnet_id: str,
    tags: dict[str, str],
    spot: bool = False,
    instance_type: str | None = None,
    reserved: Item | None = None,
) -> str:
    """One instance from a launch template in a subnet: its id, or the error that RunInstances would give."""
    version = templates.resolve(world, region, launch_template_spec)
    request = from_template(version, {"SubnetId": subnet_id})
    if instance_type:
        request["InstanceType"] = instance_type
    if spot:
        request["InstanceMarketOptions"] = {"MarketType": "spot"}
    if reserved:
        request["CapacityReservationSpecification"] = reserved
    check(world, region, request, 1)
    started = start(world, region, request)
    set_tags(region, started["InstanceId"], [{"Key": key, "Value": value} for key, value in tags.items()])
    return str(started["InstanceId"])


def from_template(version: Item, request: Item) -> Item:
    """What a launch asks for: the template's data, with the request's own parameters over it."""
    data = dict(version["LaunchTemplateData"])
    tags = [*data.get("TagSpecifications", []), *request.get("TagSpecifications", [])]
    merged = {**data, **request, "TagSpecifications": tags, "template": version}
    interfaces = data.get("NetworkInterfaces")
    if interfaces and "SubnetId" in request and "NetworkInterfaces" not in request:
        first = {**interfaces[0], "SubnetId": request["SubnetId"]}
        merged["NetworkInterfaces"] = [first, *interfaces[1:]]
    return merged


def first_interface(request: Item) -> Item:
    interfaces = request.get("NetworkInterfaces") or [{}]
    found: Item = next((one for one in interfaces if not one.get("DeviceIndex")), interfaces[0])
    return found


def is_spot(request: Item) -> bool:
    return (request.get("InstanceMarketOptions") or {}).get("MarketType") == "spot"


def subnet_of(region: str, request: Item) -> Any:
    """The subnet that a launch goes to: the one named, or the default one of the zone."""
    named = first_interface(request).get("SubnetId") or request.get("SubnetId")
    if named:
        return find_subnet(region, named)
    backend = backend_of(region)
    default = next((vpc for vpc in backend.vpcs.values() if vpc.is_default), None)
    if default is None:
        raise AwsError(
            "VPCIdNotSpecified", "No default VPC for this user. GroupName is only supported for EC2-Classic."
        )
    zone = (request.get("Placement") or {}).get("AvailabilityZone")
    zones = sorted(backend.subnets) if not zone else [zone]
    offered = ec2_types.offered(region).get(request.get("InstanceType", "m1.small"), set())
    for name in sorted(zones, key=lambda name: name not in offered):
        for subnet in backend.subnets.get(name, {}).values():
            if subnet.vpc_id == default.id:
                return subnet
    raise AwsError("MissingInput", f"No subnets found for the default VPC '{default.id}'. Please specify a subnet.")


def groups_of(region: str, request: Item) -> list[str]:
    """The ids of the groups that a launch asks for; names are looked up in the default VPC."""
    groups = list(first_interface(request).get("Groups") or request.get("SecurityGroupIds") or [])
    for name in request.get("SecurityGroups") or []:
        backend = backend_of(region)
        known_names = {group.name: group.id for group in backend.groups[backend.default_vpc.id].values()}
        if name not in known_names:
            raise AwsError("InvalidGroup.NotFound", f"The security group '{name}' does not exist in default VPC")
        groups.append(known_names[name])
    return groups


def check(world: World, region: str, request: Item, count: int) -> None:
    """All that EC2 looks at before it launches: the parts that are named, then zone, quota and capacity."""
    check_parts(world, region, request)
    subnet = subnet_of(region, request)
    check_zone(region, request, subnet.availability_zone)
    request.pop("CapacityReservationId", None)
    check_quota(world, region, request, count)
    reservation = reservations.place(world, region, request, subnet.availability_zone, count)
    if reservation:
        request["CapacityReservationId"] = reservation
    else:
        check_capacity(world, region, request, subnet.availability_zone)


def check_parts(world: World, region: str, request: Item) -> None:
    """Image, type, instance profile, key pair, subnet and groups must be there, and fit each other."""
    if not request.get("ImageId"):
        raise AwsError("MissingParameter", "The request must contain the parameter ImageId")
    if request.get("NetworkInterfaces") and (request.get("SecurityGroupIds") or request.get("SecurityGroups")):
        raise AwsError(
            "InvalidParameterCombination",
            "Network interfaces and an instance-level security groups may not be specified on the same request",
        )
    check_image_and_type(world, region, request)
    check_profile(world, request)
    key = request.get("KeyName")
    if key and key not in backend_of(region).key_pairs:
        raise not_found(key, "key")
    subnet = subnet_of(region, request)
    for group in groups_of(region, request):
        if find_group(region, group).vpc_id != subnet.vpc_id:
            raise AwsError(
                "InvalidParameter", f"Security group {group} and subnet {subnet.id} belong to different networks."
            )


def check_image_and_type(world: World, region: str, request: Item) -> None:
    image = ec2_types.sized(world, ec2_types.find_image(region, ami_of(region, request["ImageId"])))
    name = request.get("InstanceType") or "m1.small"
    found = ec2_types.instance_type(name)
    if found is None:
        raise AwsError("InvalidParameterValue", f"Invalid value '{name}' for InstanceType.")
    architectures = found["ProcessorInfo"]["SupportedArchitectures"]
    if image["Architecture"] not in architectures:
        raise AwsError(
            "InvalidParameterValue",
            f"The architecture '{','.join(architectures)}' of the specified instance type does not match the "
            f"architecture '{image['Architecture']}' of the specified AMI. Specify an instance type and an AMI that "
            "have matching architectures, and try again. You can use 'describe-instance-types' or 'describe-images' "
            "to discover the architecture of the instance type or AMI.",
        )
    for device in request.get("BlockDeviceMappings") or []:
        size = (device.get("Ebs") or {}).get("VolumeSize")
        own = image["BlockDeviceMappings"][0]
        if size and device["DeviceName"] == own["DeviceName"] and size < own["Ebs"]["VolumeSize"]:
            raise AwsError(
                "InvalidBlockDeviceMapping",
                f"Volume of size {size}GB is smaller than snapshot '{own['Ebs']['SnapshotId']}', "
                f"expect size>= {own['Ebs']['VolumeSize']}GB",
            )


def ami_of(region: str, image: str) -> str:
    """A template may name an image by an SSM parameter: resolve:ssm:/aws/service/…"""
    if not image.startswith("resolve:ssm:"):
        return image
    parameter = ssm_backends[ACCOUNT][region].get_parameter(image.removeprefix("resolve:ssm:"))
    if parameter is None:
        raise AwsError("InvalidParameterValue", f"Invalid value '{image}' for imageId. Parameter not found.")
    return str(parameter.value)


def check_profile(world: World, request: Item) -> None:
    profile = request.get("IamInstanceProfile") or {}
    for field, value in (("name", profile.get("Name")), ("arn", profile.get("Arn"))):
        if value and not iam_roles.profile_usable(world, value):
            what = "name" if field == "name" else "ARN"
            raise AwsError(
                "InvalidParameterValue",
                f"Value ({value}) for parameter iamInstanceProfile.{field} is invalid. "
                f"Invalid IAM Instance Profile {what}",
            )
        if value and iam_roles.profile_role(world, value) is None:
            arn = iam_roles.find_profile(value).arn
            raise AwsError("InvalidParameterValue", f'IAM Instance Profile "{arn}" has no associated IAM Roles')


def check_zone(region: str, request: Item, zone: str) -> None:
    name = request.get("InstanceType") or "m1.small"
    zones = ec2_types.offered(region).get(name, set())
    if zone not in zones:
        choose = f" or choosing {', '.join(sorted(zones))}" if zones else ""
        raise AwsError(
            "Unsupported",
            f"Your requested instance type ({name}) is not supported in your requested Availability Zone ({zone}). "
            f"Please retry your request by not specifying an Availability Zone{choose}.",
        )


def check_quota(world: World, region: str, request: Item, count: int) -> None:
    if reservations.is_block(request):
        return
    name, spot = request.get("InstanceType") or "m1.small", is_spot(request)
    quota = ec2_types.quota_of(name, spot)
    limit = world.settings.vcpu_quotas.get(quota or "")
    if limit is None:
        return
    used = sum(
        ec2_types.vcpus(one["InstanceType"])
        for one in region_of(world, region).instances.values()
        if one["State"]["Name"] in ("pending", "running")
        and one.get("InstanceLifecycle") != reservations.BLOCK
        and ec2_types.quota_of(one["InstanceType"], one.get("InstanceLifecycle") == "spot") == quota
    )
    if used + count * ec2_types.vcpus(name) <= limit:
        return
    if spot:
        raise AwsError("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded")
    raise AwsError(
        "VcpuLimitExceeded",
        f"You have requested more vCPU capacity than your current vCPU limit of {limit:.0f} allows for the instance "
        "bucket that the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request "
        "to request an adjustment to this limit.",
    )


def check_capacity(world: World, region: str, request: Item, zone: str) -> None:
    name = request.get("InstanceType") or "m1.small"
    without = set(world.settings.without_capacity)

    def lacks(one: str) -> bool:
        return one in without or f"{one}:{name}" in without

    if not lacks(zone) and not (is_spot(request) and f"spot:{zone}" in without):
        return
    if is_spot(request):
        raise AwsError(
            "InsufficientInstanceCapacity",
            "There is no Spot capacity available that matches your request.",
            500,
        )
    others = [one for one in sorted(ec2_types.offered(region).get(name, set())) if not lacks(one)]
    choose = f" or choosing {', '.join(others)}" if others else ""
    raise AwsError(
        "InsufficientInstanceCapacity",
        f"We currently do not have sufficient {name} capacity in the Availability Zone you requested ({zone}). "
        "Our system will be working on provisioning additional capacity. You can currently get "
        f"{name} capacity by not specifying an Availability Zone in your request{choose}.",
        500,
    )


def start(world: World, region: str, request: Item, index: int = 0, reservation: str = "") -> Item:
    """Make the instance, its first interface and its disks; from here on only time can change it."""
    subnet = subnet_of(region, request)
    image = ec2_types.find_image(region, ami_of(region, request["ImageId"]))
    instance_id = new_id("i")
    interface = first_network_interface(world, region, request, subnet, instance_id)
    made: Item = {
        "InstanceId": instance_id,
        "State": state("pending"),
        "LaunchTime": world.timestamp(),
        "AmiLaunchIndex": index,
        "StateTransitionReason": "",
        "BlockDeviceMappings": [],
        **asked_for(request, instance_id),
        **from_image_and_place(request, image, subnet),
        "interface": interface.id,
        "reservation": reservation or new_id("r"),
        "gone_at": None,
    }
    region_of(world, region).instances[instance_id] = made
    set_tags(region, instance_id, specified_tags(request, "instance"))
    set_tags(region, interface.id, specified_tags(request, "network-interface"))
    if template := request.get("template"):
        set_tags(region, instance_id, template_tags(template))
    add_disks(world, region, made, request, image)
    show_to_moto(region, made)
    world.after(BOOT_SECONDS, enter_running, world, region, instance_id)
    return made


def asked_for(request: Item, instance_id: str) -> Item:
    """What an instance has from its request."""
    spot = is_spot(request)
    return {
        "InstanceType": request.get("InstanceType") or "m1.small",
        "ClientToken": request.get("ClientToken") or "",
        "EbsOptimized": bool(request.get("EbsOptimized")),
        "IamInstanceProfile": profile_shown(request),
        "KeyName": request.get("KeyName"),
        "Monitoring": {"State": "enabled" if (request.get("Monitoring") or {}).get("Enabled") else "disabled"},
        "InstanceLifecycle": "spot" if spot else reservations.BLOCK if reservations.is_block(request) else None,
        "CapacityReservationId": request.get("CapacityReservationId"),
        "SpotInstanceRequestId": f"sir-{instance_id[2:10]}" if spot else None,
        "UserData": decoded(request.get("UserData")),
        "DisableApiTermination": bool(request.get("DisableApiTermination")),
    }


def from_image_and_place(request: Item, image: Item, subnet: Any) -> Item:
    """What an instance has from its image and its subnet."""
    return {
        "ImageId": image["ImageId"],
        "Architecture": image["Architecture"],
        "RootDeviceName": image["RootDeviceName"],
        "PlatformDetails": image["PlatformDetails"],
        "MetadataOptions": metadata_options(request, image),
        "SubnetId": subnet.id,
        "VpcId": subnet.vpc_id,
        "Placement": {
            "AvailabilityZone": subnet.availability_zone,
            "AvailabilityZoneId": subnet.availability_zone_id,
            "GroupName": "",
            "Tenancy": "default",
        },
    }


def template_tags(version: Item) -> list[dict[str, str]]:
    return [
        {"Key": "aws:ec2launchtemplate:id", "Value": version["LaunchTemplateId"]},
        {"Key": "aws:ec2launchtemplate:version", "Value": str(version["VersionNumber"])},
    ]


def decoded(user_data: str | bytes | None) -> str:
    """User data comes base64-encoded over the wire; a template keeps it so."""
    if not user_data:
        return ""
    try:
        return base64.b64decode(user_data, validate=True).decode("utf-8", "replace")
    except ValueError:
        return user_data if isinstance(user_data, str) else user_data.decode("utf-8", "replace")


def first_network_interface(world: World, region: str, request: Item, subnet: Any, instance_id: str) -> Any:
    wanted = first_interface(request)
    public = wanted.get("AssociatePublicIpAddress")
    if public is None:
        public = str(subnet.map_public_ip_on_launch).lower() == "true"
    interface = ec2_interfaces.plant(
        world,
        region,
        subnet.id,
        groups_of(region, request),
        wanted.get("Description") or "",
        private_ip=wanted.get("PrivateIpAddress") or request.get("PrivateIpAddress"),
        public_ip=bool(public),
    )
    ec2_interfaces.attach(
        world,
        interface,
        {
            "AttachmentId": new_id("eni-attach"),
            "DeleteOnTermination": wanted.get("DeleteOnTermination", True),
            "DeviceIndex": 0,
            "InstanceId": instance_id,
            "InstanceOwnerId": ACCOUNT,
        },
    )
    return interface


def profile_shown(request: Item) -> Item | None:
    profile = request.get("IamInstanceProfile") or {}
    arn = profile.get("Arn")
    if not arn and not profile.get("Name"):
        return None
    known = iam_roles.find_profile(arn or profile["Name"])
    return {"Arn": known.arn if known else arn, "Id": "AIPA4EMULATEDPROFILE"}


def metadata_options(request: Item, image: Item) -> Item:
    """Images of Amazon Linux 2023 ask for IMDSv2 themselves; what the launch says goes first."""
    second = image.get("ImdsSupport") == "v2.0"
    return {
        "State": "applied",
        "HttpTokens": "required" if second else "optional",
        "HttpPutResponseHopLimit": 2 if second else 1,
        "HttpEndpoint": "enabled",
        "HttpProtocolIpv6": "disabled",
        "InstanceMetadataTags": "disabled",
        **(request.get("MetadataOptions") or {}),
    }


def add_disks(world: World, region: str, made: Item, request: Item, image: Item) -> None:
    """The root disk of the image and what the launch asks for besides, each a volume of its own."""
    devices = {one["DeviceName"]: dict(one["Ebs"]) for one in image["BlockDeviceMappings"]}
    for device in request.get("BlockDeviceMappings") or []:
        if "Ebs" in device:
            devices[device["DeviceName"]] = {
                "DeleteOnTermination": True, **devices.get(device["DeviceName"], {}), **device["Ebs"]
            }  # fmt: skip
    backend = backend_of(region)
    for name, ebs in devices.items():
        kind = ebs.get("VolumeType") or "gp2"
        volume = backend.create_volume(
            size=ebs.get("VolumeSize") or 8,
            zone_name=made["Placement"]["AvailabilityZone"],
            encrypted=bool(ebs.get("Encrypted")),
            volume_type=kind,
            iops=ebs.get("Iops") if kind in ("gp3", "io1", "io2") else None,
            throughput=ebs.get("Throughput") if kind == "gp3" else None,
        )
        volume.snapshot_id, volume.create_time = ebs.get("SnapshotId"), world.timestamp().replace(tzinfo=None)
        attach_disk(world, volume, made, name, ebs["DeleteOnTermination"])
        set_tags(region, volume.id, specified_tags(request, "volume"))
        made["BlockDeviceMappings"].append(
            {
                "DeviceName": name,
                "Ebs": {
                    "AttachTime": world.timestamp(),
                    "DeleteOnTermination": ebs["DeleteOnTermination"],
                    "Status": "attached",
                    "VolumeId": volume.id,
                },
            }
        )


def attach_disk(world: World, volume: Any, made: Item, device: str, delete: bool) -> None:
    volume.attachment = types.SimpleNamespace(
        volume=volume,
        instance=types.SimpleNamespace(id=made["InstanceId"]),
        instance_id=made["InstanceId"],
        volume_id=volume.id,
        device=device,
        status="attached",
        state="attached",
        delete_on_termination=delete,
        attached_time=world.timestamp(),
        attach_time=world.timestamp(),
    )


class _Seen:
    """An instance as moto's other services (load balancers, the tagging API) look at it: a view, no state of its own."""

    def __init__(self, made: Item, backend: Any) -> None:
        self.made = made
        self.ec2_backend = backend
        self.id = made["InstanceId"]
        self.vpc_id, self.subnet_id = made["VpcId"], made["SubnetId"]
        self.image_id, self.instance_type = made["ImageId"], made["InstanceType"]
        self.availability_zone = made["Placement"]["AvailabilityZone"]
        self.platform = None

    def applies(self, filters: Any) -> bool:
        return not filters

    def get_tags(self) -> list[dict[str, str]]:
        return quick_tags(self)

    @property
    def state(self) -> str:
        return str(self.made["State"]["Name"])

    @property
    def private_ip(self) -> str | None:
        interface = self.ec2_backend.enis.get(self.made["interface"])
        return interface.private_ip_address if interface else None


def show_to_moto(region: str, made: Item) -> None:
    backend = backend_of(region)
    reservation = types.SimpleNamespace(id=made["InstanceId"], instances=[_Seen(made, backend)])
    backend.reservations[made["InstanceId"]] = reservation


def enter_running(world: World, region: str, instance_id: str) -> None:
    found = region_of(world, region).instances[instance_id]
    if found["State"]["Name"] == "pending":
        found["State"] = state("running")
        for listener in RUNNING:
            listener(world, region, instance_id)


def enter_stopped(world: World, region: str, instance_id: str) -> None:
    found = region_of(world, region).instances[instance_id]
    if found["State"]["Name"] == "stopping":
        found["State"] = state("stopped")


def terminate(world: World, region: str, instance_id: str) -> None:
    """Let an instance shut down; what it holds is free when it is terminated. A second call changes nothing."""
    found = known(world, region, instance_id)
    if found["State"]["Name"] not in HOLDING:
        return
    found["State"] = state("shutting-down")
    for listener in TERMINATING:
        listener(world, region, instance_id)
    world.after(SHUTDOWN_SECONDS, enter_terminated, world, region, instance_id)


def enter_terminated(world: World, region: str, instance_id: str) -> None:
    """The end: interfaces, addresses and disks go, the record stays to be seen for about an hour."""
    found = region_of(world, region).instances[instance_id]
    backend = backend_of(region)
    found["State"] = state("terminated")
    found["gone_at"] = world.now() + VISIBLE_SECONDS
    for interface in interfaces_of(region, instance_id):
        if interface.attached["DeleteOnTermination"]:
            ec2_interfaces.delete_interface(world, region, interface.id)
        else:
            interface.attached, interface.status = None, "available"
    for device in found["BlockDeviceMappings"]:
        volume = backend.volumes.get(device["Ebs"]["VolumeId"])
        if volume is not None:
            volume.attachment = None
            if device["Ebs"]["DeleteOnTermination"]:
                del backend.volumes[volume.id]
                drop_tags(region, volume.id)
    found["BlockDeviceMappings"] = []
    backend.reservations.pop(instance_id, None)
    for listener in TERMINATED:
        listener(world, region, instance_id)


def interfaces_of(region: str, instance_id: str) -> list[Any]:
    def owner(interface: Any) -> Any:
        return (getattr(interface, "attached", None) or {}).get("InstanceId")

    return [one for one in ec2_interfaces.interfaces(region) if owner(one) == instance_id]


def shown(world: World, region: str, found: Item) -> Item:
    """An instance in the shape of describe_instances."""
    inner = ("interface", "reservation", "gone_at", "UserData", "DisableApiTermination", "shutdown_reason")
    item = {key: value for key, value in found.items() if value is not None and key not in inner}
    item["Tags"] = tags_of(region, found["InstanceId"])
    item.update(FIXED)
    interfaces = [ec2_interfaces.shown(region, one) for one in interfaces_of(region, found["InstanceId"])]
    interfaces.sort(key=lambda one: one["Attachment"]["DeviceIndex"])
    item["NetworkInterfaces"] = [interface_shown(one) for one in interfaces]
    item["SecurityGroups"] = interfaces[0]["Groups"] if interfaces else []
    if interfaces:
        first = interfaces[0]
        item["PrivateIpAddress"], item["PrivateDnsName"] = first["PrivateIpAddress"], first["PrivateDnsName"]
        item["SourceDestCheck"] = first["SourceDestCheck"]
    else:  # a terminated instance has lost its network
        for name in ("SubnetId", "VpcId", "IamInstanceProfile"):
            item.pop(name, None)
        item["PrivateDnsName"] = ""
    public = interfaces[0].get("Association") if interfaces and found["State"]["Name"] != "stopped" else None
    item["PublicDnsName"] = public["PublicDnsName"] if public else ""
    if public:
        item["PublicIpAddress"] = public["PublicIp"]
    if found["State"]["Name"] in ("shutting-down", "terminated"):
        code, message = "Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown"
        item["StateReason"] = {"Code": code, "Message": message}
        item["StateTransitionReason"] = found["StateTransitionReason"] or "User initiated"
    return item


FIXED: Item = {
    "EnaSupport": True,
    "Hypervisor": "xen",
    "RootDeviceType": "ebs",
    "VirtualizationType": "hvm",
    "ProductCodes": [],
    "UsageOperation": "RunInstances",
    "BootMode": "uefi-preferred",
    "CurrentInstanceBootMode": "uefi",
    "MaintenanceOptions": {"AutoRecovery": "default", "RebootMigration": "default"},
    "PrivateDnsNameOptions": {
        "HostnameType": "ip-name",
        "EnableResourceNameDnsARecord": False,
        "EnableResourceNameDnsAAAARecord": False,
    },
    "CapacityReservationSpecification": {"CapacityReservationPreference": "open"},
    "EnclaveOptions": {"Enabled": False},
    "HibernationOptions": {"Configured": False},
}


def interface_shown(interface: Item) -> Item:
    """An interface as part of an instance: the same facts, fewer of them."""
    left_out = ("RequesterId", "RequesterManaged", "TagSet", "AvailabilityZone", "AvailabilityZoneId")
    attachment = {k: v for k, v in interface["Attachment"].items() if k not in ("InstanceId", "InstanceOwnerId")}
    return {**{k: v for k, v in interface.items() if k not in left_out}, "Attachment": attachment}
