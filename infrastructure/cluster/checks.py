"""What must be true before anything is made: a mistake found here costs nothing.

Reads only. Each check raises aws.Problem with the setting to change; all of them together take a few seconds.
"""

from dataclasses import dataclass, field
from typing import Any

import botocore
from botocore.exceptions import ClientError

import constants
from aws import Problem, accepted, client, code, message, missing, region
from console import say
from infrastructure.cluster import certificate, cluster, file_system, network

AMI_PARAMETER = "/aws/service/ecs/optimized-ami/amazon-linux-2023/{kind}recommended/image_id"
#: GPU generations that the driver of the current ECS GPU AMI no longer serves:
#: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-gpu.html
RETIRED_GPUS = ("p2", "g2")
#: types whose GPU is a slice of one already, which MPS does not share
FRACTIONAL_GPUS = ("g6f", "gr6f")
#: what the kernel and the ECS agent keep of a host's memory, at least, in MiB
HOST_RESERVE_MIB = 128


@dataclass
class Facts:
    """What the checks found out, for the modules that build."""

    zones: list[str] = field(default_factory=list)
    image_id: str = ""
    instance_type: dict[str, Any] = field(default_factory=dict)


def check() -> Facts:
    """Look at everything that the settings name, before the first change."""
    facts = Facts()
    refuse_client_without_sharing()
    if constants.LAUNCH_TYPE == "EC2":
        facts.instance_type = instance_type()
        facts.image_id = constants.AMI_ID or recommended_ami(facts.instance_type)
        key_pair("KEY_NAME", constants.KEY_NAME)
        key_pair("BASTION_KEY_NAME", constants.BASTION_KEY_NAME)
        quota(facts.instance_type)
        enough_places(facts.instance_type)
    facts.zones = adopted_network() if constants.VPC_ID else zones()
    listener_certificate()
    adopted_file_system()
    adopted_roles()
    cluster.refuse_changes()
    network.refuse_changes()
    file_system.refuse_changes()
    return facts


def instance_type() -> dict[str, Any]:
    """The type as EC2 describes it, once it is sure that the task fits on it."""
    try:
        [described] = client("ec2").describe_instance_types(InstanceTypes=[constants.INSTANCE_TYPE])["InstanceTypes"]
    except ClientError as error:
        if code(error) != "InvalidInstanceType":
            raise
        raise Problem(f"INSTANCE_TYPE={constants.INSTANCE_TYPE} does not exist in this region") from error
    gpus = gpu_count(described)
    memory = described["MemoryInfo"]["SizeInMiB"]
    cpu = described["VCpuInfo"]["DefaultVCpus"] * 1024
    if constants.GPU_SHARING and constants.INSTANCE_TYPE.split(".")[0] in FRACTIONAL_GPUS:
        raise Problem(
            f"INSTANCE_TYPE={constants.INSTANCE_TYPE} has a part of a GPU, which GPU_SHARING can't share: use g4dn, g5 or g6"
        )
    if constants.GPU_COUNT and not gpus:
        raise Problem(
            f"INSTANCE_TYPE={constants.INSTANCE_TYPE} has no NVIDIA GPU, but GPU_COUNT={constants.GPU_COUNT}: use g4dn.xlarge, or GPU_COUNT=0"
        )
    if gpus < constants.GPU_COUNT:
        raise Problem(
            f"INSTANCE_TYPE={constants.INSTANCE_TYPE} has {gpus} GPUs, but each task needs GPU_COUNT={constants.GPU_COUNT}"
        )
    shared = gpu_memory(described)
    if constants.GPU_SHARING and shared < constants.GPU_MEMORY_MIB:
        raise Problem(
            f"GPU_MEMORY_MIB={constants.GPU_MEMORY_MIB} is more than a GPU of INSTANCE_TYPE={constants.INSTANCE_TYPE} has: {shared} MiB"
        )
    if constants.GPU_COUNT and constants.INSTANCE_TYPE.split(".")[0] in RETIRED_GPUS:
        raise Problem(
            f"INSTANCE_TYPE={constants.INSTANCE_TYPE}: the driver of the current ECS GPU AMI does not serve its GPU; use g4dn or newer"
        )
    if memory - HOST_RESERVE_MIB < constants.TASK_MEMORY:
        raise Problem(
            f"TASK_MEMORY={constants.TASK_MEMORY} does not fit on INSTANCE_TYPE={constants.INSTANCE_TYPE}: {memory} MiB, less what the host needs"
        )
    if cpu < constants.TASK_CPU:
        raise Problem(
            f"TASK_CPU={constants.TASK_CPU} does not fit on INSTANCE_TYPE={constants.INSTANCE_TYPE}: it has {cpu} CPU units"
        )
    return described  # type: ignore[no-any-return]


def gpu_count(described: dict[str, Any]) -> int:
    cards = described.get("GpuInfo", {}).get("Gpus", [])
    return sum(card["Count"] for card in cards if card["Manufacturer"].upper() == "NVIDIA")


def gpu_memory(described: dict[str, Any]) -> int:
    """MiB of each NVIDIA GPU; the driver keeps some of it."""
    cards = described.get("GpuInfo", {}).get("Gpus", [])
    return max(
        (card["MemoryInfo"]["SizeInMiB"] for card in cards if card["Manufacturer"].upper() == "NVIDIA"), default=0
    )


def refuse_client_without_sharing() -> None:
    """An older botocore does not know how a GPU is shared, and would refuse the task definition with a long list."""
    known = client("ecs").meta.service_model.shape_for("ResourceRequirement").members
    if constants.GPU_SHARING and "sharingStrategy" not in known:
        raise Problem(
            f"GPU_SHARING={constants.GPU_SHARING}: botocore {botocore.__version__} does not know it yet: "
            "pip install --upgrade 'boto3>=1.44.5'"
        )


def recommended_ami(described: dict[str, Any]) -> str:
    """The current ECS-optimized Amazon Linux 2023: with the NVIDIA driver where the task uses a GPU, else without."""
    arm = "arm64" in described["ProcessorInfo"]["SupportedArchitectures"]
    if constants.GPU_COUNT and arm:
        raise Problem(
            f"INSTANCE_TYPE={constants.INSTANCE_TYPE}: AWS publishes no ECS GPU AMI for arm64; use g4dn, g5 or g6"
        )
    kind = "gpu/" if constants.GPU_COUNT else "arm64/" if arm else ""
    parameter = AMI_PARAMETER.format(kind=kind)
    found = missing(lambda: client("ssm").get_parameter(Name=parameter), "ParameterNotFound")
    if not found:
        raise Problem(f"AWS publishes no AMI at the SSM parameter {parameter} in this region; set AMI_ID")
    return str(found["Parameter"]["Value"])


def zones() -> list[str]:
    """The zones of the subnets: those asked for, or the first that offer the type; each must offer it."""
    if constants.LAUNCH_TYPE == "FARGATE":
        described = client("ec2").describe_availability_zones(
            Filters=[{"Name": "state", "Values": ["available"]}, {"Name": "zone-type", "Values": ["availability-zone"]}]
        )
        offering = sorted(zone["ZoneName"] for zone in described["AvailabilityZones"])
    else:
        offers = client("ec2").describe_instance_type_offerings(
            LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": [constants.INSTANCE_TYPE]}]
        )
        offering = sorted(offer["Location"] for offer in offers["InstanceTypeOfferings"])
    wanted = constants.AVAILABILITY_ZONES or offering[: len(constants.PUBLIC_SUBNET_CIDRS)]
    lacking = [zone for zone in wanted if zone not in offering]
    if lacking:
        raise Problem(
            f"AVAILABILITY_ZONES: {', '.join(lacking)} does not offer "
            f"{constants.INSTANCE_TYPE if constants.LAUNCH_TYPE == 'EC2' else 'Fargate'}; these do: {', '.join(offering) or 'none in this region'}"
        )
    if len(wanted) < len(constants.PUBLIC_SUBNET_CIDRS):
        raise Problem(
            f"PUBLIC_SUBNET_CIDRS has {len(constants.PUBLIC_SUBNET_CIDRS)} subnets, but only these zones offer "
            f"{constants.INSTANCE_TYPE}: {', '.join(offering) or 'none in this region'}"
        )
    return wanted


def key_pair(setting: str, key: str) -> None:
    if key and not missing(
        lambda: client("ec2").describe_key_pairs(KeyNames=[key])["KeyPairs"], "InvalidKeyPair.NotFound"
    ):
        raise Problem(f"{setting}={key}: there is no such key pair in this region")


def enough_places(described: dict[str, Any], memory: int = 0) -> None:
    """A service whose tasks find no place on all hosts together never becomes stable. `memory`: MiB that a GPU really has."""
    if not constants.LISTENER_PROTOCOL:
        return
    fitting = places(described, memory)
    for what, each in fitting.items():
        if each * constants.MAX_INSTANCES < constants.DESIRED_COUNT:
            whole = what == "GPU" and not constants.GPU_SHARING
            needed = constants.DESIRED_COUNT * (constants.GPU_COUNT if whole else 1)
            there = (gpu_count(described) if whole else each) * constants.MAX_INSTANCES
            things = (
                f"parts of a GPU with {constants.GPU_MEMORY_MIB} MiB"
                if what == "GPU" and constants.GPU_SHARING
                else f"{what}s"
            )
            raise Problem(
                f"DESIRED_COUNT={constants.DESIRED_COUNT} tasks need {needed} {things}, but {constants.MAX_INSTANCES} {constants.INSTANCE_TYPE} hosts "
                f"have {there}: raise CLUSTER_SIZE or MAX_INSTANCES, or take another INSTANCE_TYPE"
            )


def places(described: dict[str, Any], memory: int = 0) -> dict[str, int]:
    """How many tasks one host of this type holds, by each of the things that limit it."""
    found: dict[str, int] = {}
    if constants.GPU_SHARING:
        found["GPU"] = gpu_count(described) * ((memory or gpu_memory(described)) // constants.GPU_MEMORY_MIB)
    elif constants.GPU_COUNT:
        found["GPU"] = gpu_count(described) // constants.GPU_COUNT
    if constants.LAUNCH_TYPE == "EC2" and constants.NETWORK_MODE == "awsvpc" and not trunking():
        found["network interface"] = described["NetworkInfo"]["MaximumNetworkInterfaces"] - 1  # the host's own
    return found


def trunking() -> bool:
    """Whether new hosts carry many interfaces on one trunk, a setting of the account.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/container-instance-eni.html
    """
    request = {"name": "awsvpcTrunking", "effectiveSettings": True}
    return "enabled" in [each["value"] for each in client("ecs").list_account_settings(**request)["settings"]]


def listener_certificate() -> None:
    """The HTTPS listener takes a certificate of this region only, and only once it is issued."""
    if constants.LISTENER_PROTOCOL != "HTTPS":
        return
    its_arn = certificate.arn()
    if not its_arn:
        domains = ", ".join(constants.CERTIFICATE_DOMAINS)
        raise Problem(f"there is no certificate for CERTIFICATE_DOMAINS={domains} yet: run create_certificate.py first")
    its_region = its_arn.split(":")[3]
    if its_region != region():
        raise Problem(f"CERTIFICATE_ARN is of {its_region}, but the load balancer is to be in {region()}")
    found = certificate.describe(its_arn)
    if not found:
        raise Problem(f"CERTIFICATE_ARN={its_arn}: there is no such certificate in this account and region")
    whose, way = ("CERTIFICATE_ARN", "finish its validation, then run this again")
    if not constants.CERTIFICATE_ARN:
        whose, way = ("the certificate for CERTIFICATE_DOMAINS", "run create_certificate.py, which waits for it")
    if found["Status"] != "ISSUED":
        raise Problem(f"{whose} is {found['Status']}, not ISSUED: {way}")


def quota_code() -> str:
    """The vCPU quota that a launch counts against: https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html"""
    spot = constants.CAPACITY_TYPE == "spot"
    family = constants.INSTANCE_TYPE.split(".")[0]
    if family.startswith(("g", "vt")):
        return "L-3819A6DF" if spot else "L-DB2E81BA"
    if family.startswith("p5") and spot:
        return "L-C4BD4855"
    if family.startswith("p"):
        return "L-7212CCBC" if spot else "L-417A185B"
    return "L-34B43A08" if spot else "L-1216C47A"


def quota(described: dict[str, Any]) -> None:
    """New accounts have a quota of 0 for GPUs: every create call succeeds, and no instance ever comes."""
    needed = described["VCpuInfo"]["DefaultVCpus"]
    try:
        value = vcpu_quota(quota_code())
    except ClientError as error:
        if code(error) not in ("AccessDeniedException", "AccessDenied"):
            raise
        say("warning", f"the vCPU quota {quota_code()} could not be read:", message(error))
        return
    if value is None:
        say("warning", f"the vCPU quota {quota_code()} is not known to Service Quotas in this region")
    elif value < needed:
        raise Problem(
            f"the account's quota {quota_code()} is {value:.0f} vCPUs, and one {constants.INSTANCE_TYPE} ({constants.CAPACITY_TYPE}) needs {needed}: "
            "ask for more in the Service Quotas console (it takes hours to days); nothing was made"
        )
    elif value < needed * constants.MAX_INSTANCES:
        say(
            "warning",
            f"the quota {quota_code()} of {value:.0f} vCPUs is not enough for MAX_INSTANCES={constants.MAX_INSTANCES} ({needed} each)",
        )


def vcpu_quota(quota: str) -> float | None:
    """The quota that applies, or AWS's default where the account's own was never set."""
    quotas = client("service-quotas")
    applied = missing(lambda: quotas.get_service_quota(ServiceCode="ec2", QuotaCode=quota), "NoSuchResourceException")
    found = applied or missing(
        lambda: quotas.get_aws_default_service_quota(ServiceCode="ec2", QuotaCode=quota), "NoSuchResourceException"
    )
    return float(found["Quota"]["Value"]) if found else None


def adopted_network() -> list[str]:
    """VPC_ID, SUBNET_IDS and SECURITY_GROUP_IDS: there, belonging together, and fit for EFS and for the hosts."""
    ec2 = client("ec2")
    if not missing(lambda: ec2.describe_vpcs(VpcIds=[constants.VPC_ID])["Vpcs"], "InvalidVpcID.NotFound"):
        raise Problem(f"VPC_ID={constants.VPC_ID}: there is no such VPC in this region")
    for attribute in ("enableDnsSupport", "enableDnsHostnames"):
        answer = ec2.describe_vpc_attribute(VpcId=constants.VPC_ID, Attribute=attribute)
        if not answer[attribute[0].upper() + attribute[1:]]["Value"]:
            raise Problem(
                f"VPC_ID={constants.VPC_ID} has {attribute} off: EFS is found by its DNS name, so it must be on"
            )
    subnets = missing(
        lambda: ec2.describe_subnets(SubnetIds=constants.WORK_SUBNET_IDS)["Subnets"], "InvalidSubnetID.NotFound"
    )
    setting = "PRIVATE_SUBNET_IDS" if constants.PRIVATE_SUBNET_IDS else "SUBNET_IDS"
    _belong(setting, constants.WORK_SUBNET_IDS, subnets or [], "SubnetId")
    zones = [subnet["AvailabilityZone"] for subnet in subnets or []]
    for subnet_id in constants.PRIVATE_SUBNET_IDS:
        way_out(subnet_id)
    adopted_public_subnets()
    if len(set(zones)) < len(zones):
        raise Problem(
            f"{setting} has two subnets in one zone ({', '.join(zones)}): EFS takes one mount target in each zone"
        )
    if constants.PRIVATE_SUBNET_IDS and len(zones) < 2:
        raise Problem(f"PRIVATE_SUBNET_IDS is in one zone only ({zones[0]}): name private subnets of two zones")
    adopted_groups("SECURITY_GROUP_IDS", constants.SECURITY_GROUP_IDS)
    adopted_groups(
        "BASTION_SECURITY_GROUP_ID",
        [constants.BASTION_SECURITY_GROUP_ID] if constants.BASTION_SECURITY_GROUP_ID else [],
    )
    return zones


def adopted_groups(setting: str, asked: list[str]) -> None:
    if asked:
        ec2 = client("ec2")
        found = missing(lambda: ec2.describe_security_groups(GroupIds=asked)["SecurityGroups"], "InvalidGroup.NotFound")
        _belong(setting, asked, found or [], "GroupId")


def way_out(subnet_id: str) -> None:
    """A host without a way to ECS never joins the cluster: it needs a default route, or ECS's own endpoint in the VPC."""
    ec2 = client("ec2")
    filters = [{"Name": "vpc-id", "Values": [constants.VPC_ID]}]
    tables = ec2.describe_route_tables(Filters=filters)["RouteTables"]
    own = [t for t in tables if any(a.get("SubnetId") == subnet_id for a in t["Associations"])]
    main = [t for t in tables if any(a.get("Main") for a in t["Associations"])]
    routes = [route for table in own or main for route in table["Routes"]]
    leads_out = any(r.get("DestinationCidrBlock") == "0.0.0.0/0" and r.get("State") == "active" for r in routes)
    endpoints = ec2.describe_vpc_endpoints(Filters=filters)["VpcEndpoints"]
    if not leads_out and not any(endpoint["ServiceName"].endswith(".ecs-agent") for endpoint in endpoints):
        raise Problem(
            f"PRIVATE_SUBNET_IDS: {subnet_id} has no way out: it needs a route to a NAT gateway, or endpoints for ECS"
        )


def adopted_public_subnets() -> None:
    found = missing(
        lambda: (
            client("ec2").describe_subnets(SubnetIds=constants.PUBLIC_SUBNET_IDS)["Subnets"]
            if constants.PUBLIC_SUBNET_IDS
            else []
        ),
        "InvalidSubnetID.NotFound",
    )
    _belong("PUBLIC_SUBNET_IDS", constants.PUBLIC_SUBNET_IDS, found or [], "SubnetId")
    zones = [subnet["AvailabilityZone"] for subnet in found or []]
    if constants.LISTENER_PROTOCOL and len(set(zones)) < len(zones):
        raise Problem(
            f"PUBLIC_SUBNET_IDS has two subnets in one zone ({', '.join(zones)}): the load balancer takes one in each"
        )


def _belong(setting: str, asked: list[str], found: list[dict[str, Any]], key: str) -> None:
    there = {item[key]: item["VpcId"] for item in found}
    for identifier in asked:
        if identifier not in there:
            raise Problem(f"{setting}: {identifier} does not exist in this region")
        if there[identifier] != constants.VPC_ID:
            raise Problem(f"{setting}: {identifier} belongs to {there[identifier]}, not to VPC_ID={constants.VPC_ID}")


def adopted_file_system() -> None:
    if not constants.FILE_SYSTEM_ID:
        return
    found = missing(
        lambda: client("efs").describe_file_systems(FileSystemId=constants.FILE_SYSTEM_ID)["FileSystems"],
        "FileSystemNotFound",
    )
    if not found:
        raise Problem(f"FILE_SYSTEM_ID={constants.FILE_SYSTEM_ID}: there is no such file system in this region")


def adopted_roles() -> None:
    for setting, arn in (
        ("TASK_EXECUTION_ROLE_ARN", constants.TASK_EXECUTION_ROLE_ARN),
        ("TASK_ROLE_ARN", constants.TASK_ROLE_ARN),
    ):
        if arn and not accepted(lambda arn=arn: client("iam").get_role(RoleName=arn.rsplit("/")[-1]), "NoSuchEntity"):  # type: ignore[misc]
            raise Problem(f"{setting}={arn}: there is no such role in this account")
