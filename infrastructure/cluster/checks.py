"""What must be true before anything is made: a mistake found here costs nothing.

Reads only. Each check raises aws.Problem with the setting to change; all of them together take a few seconds.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import botocore

import aws
import constants
from aws import Problem, call, client, every, ours, region, tags_of
from console import how_many, say
from infrastructure.cluster import (
    capacity_reservation,
    certificate,
    cluster,
    file_system,
    instance_types,
    listener_certificates,
    load_balancer,
    log_groups,
    network,
    parameters,
    quotas,
    roles,
    security_groups,
    user_data,
)
from infrastructure.cluster.container_instances import (
    CPU,
    MEMORY,
    Sizes,
    described_type,
    described_types,
    gpu_count,
    gpu_memory,
    nvidia,
    settings_sizes,
    spelt,
)

#: what firmware and kernel keep of a host's memory, and ECS never sees: this part of it, and so many MiB. Hosts that were
#: looked at: t3.small 147 MiB, t3.medium 268, g4dn.xlarge 653.
#: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/memory-management.html
HOST_RESERVE, HOST_RESERVE_MIB = 0.04, 160
#: one that ends sooner is told
CERTIFICATE_DAYS = 30
NO_QUOTA = "NoSuchResourceException"
NO_IMAGE = ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "InvalidAMIID.Malformed")


@dataclass
class Facts:
    """What the checks found out, for the modules that build."""

    zones: list[str] = field(default_factory=list)
    image_id: str = ""


# ------------------------------------------------------------------------- looks: each of them reads what settings need


@aws.look
def key_pairs() -> list[str]:
    """Those of KEY_NAME and BASTION_KEY_NAME that there are."""
    names = [key for key in (constants.KEY_NAME, constants.BASTION_KEY_NAME) if key]
    filters: Any = [{"Name": "key-name", "Values": names}]
    found = client("ec2").describe_key_pairs(Filters=filters)["KeyPairs"] if names else []
    return [each["KeyName"] for each in found]


@aws.look
def offers() -> dict[str, list[str]]:
    """The zones that offer one of our types -> which of them."""
    of_type: Any = [{"Name": "instance-type", "Values": constants.TYPES}]
    read = client("ec2").describe_instance_type_offerings
    found = read(LocationType="availability-zone", Filters=of_type)["InstanceTypeOfferings"]
    known = [(each["Location"], each["InstanceType"]) for each in found]
    return {zone: [kind for kind in constants.TYPES if (zone, kind) in known] for zone in {zone for zone, _ in known}}


@aws.look
def offering_zones() -> dict[str, list[str]]:
    """The same, for a VPC that is to be made; Fargate is in all zones."""
    usual: Any = [{"Name": "state", "Values": ["available"]}, {"Name": "zone-type", "Values": ["availability-zone"]}]
    if constants.VPC_ID:
        return {}
    if constants.LAUNCH_TYPE == "FARGATE":
        found = client("ec2").describe_availability_zones(Filters=usual)["AvailabilityZones"]
        return {each["ZoneName"]: [] for each in found}
    return offers()


@aws.look
def vcpu_quotas() -> dict[str, float | str | None]:
    """Code -> the quota of each family of our types."""
    codes = sorted({code for kind, lifecycle in launches() if (code := quota_code(kind, lifecycle))})
    return dict(zip(codes, aws.side_by_side(vcpu_quota, codes), strict=True))


def vcpu_quota(code: str) -> float | str | None:
    """The quota that applies, or AWS's default where the account's own was never set; why it could not be read, in words."""
    service = aws.courtesy("service-quotas")
    request: Any = {"ServiceCode": "ec2", "QuotaCode": code}

    def read() -> float | None:
        applied = call(service.get_service_quota, gone=NO_QUOTA)(**request)
        default = None if applied else call(service.get_aws_default_service_quota, gone=NO_QUOTA)(**request)
        found: Any = applied or default
        return float(found["Quota"]["Value"]) if found else None

    value, why = aws.at_best(read)
    return why or value


@aws.look
def trunking() -> bool:
    """Whether new hosts carry many interfaces on one trunk, a setting of the account.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/container-instance-eni.html
    """
    answer = client("ecs").list_account_settings(name="awsvpcTrunking", effectiveSettings=True)
    return "enabled" in [each["value"] for each in answer["settings"]]


@aws.look
def image() -> Any:
    """The hosts' AMI, as EC2 describes it; {} where there is none of that id, or none is found."""
    its_id = constants.AMI_ID or parameters.values().get(parameters.of_hosts(), "") if described_type() else ""
    read = call(client("ec2").describe_images, gone=NO_IMAGE)
    found = read(ImageIds=[its_id]) if its_id else None
    return next(iter(found["Images"]), {}) if found else {}


LOOKS = (described_types, capacity_reservation.reservation, parameters.values, key_pairs, network.named_subnets)
#: of what is needed only to make hosts
OF_NEW_HOSTS = (offering_zones, vcpu_quotas)


# ---------------------------------------------------------------------------------------------------------------- checks


def check(new_hosts: bool = True, more: Iterable[aws.look[Any]] = ()) -> Facts:
    """Look at everything that the settings name, and at `more` at the same time, before the first change.

    Without `new_hosts` all hosts and subnets stand that may come: no quota is asked for, and no offer.
    """
    facts = Facts()
    refuse_client_without_sharing()
    user_data.refuse_unfit()
    new_network = quotas.OF_NETWORK if new_hosts and not network.stands() else ()
    aws.look_at(*LOOKS, *(OF_NEW_HOSTS if new_hosts else ()), *quotas.looks(*new_network), *more)
    if constants.LAUNCH_TYPE == "EC2":
        described = [instance_type(kind) for kind in constants.TYPES]
        instance_types.refuse_unlike()
        facts.image_id = constants.AMI_ID or ami(described[0])
        key_pair("KEY_NAME", constants.KEY_NAME)
        key_pair("BASTION_KEY_NAME", constants.BASTION_KEY_NAME)
        if new_hosts:
            quota()
            root_disk()
        enough_places()
    if constants.VPC_ID:
        facts.zones = adopted_network()
    else:
        facts.zones = zones() if new_hosts else network.zones()
    quotas.check_all(new_network, facts.zones)
    capacity_reservation.check(facts.zones, new=not cluster.find())
    listener_certificate()
    allowed_groups()
    adopted_file_system()
    adopted_roles()
    cluster.refuse_changes()
    refuse_sharing()
    refuse_other_vpc()
    network.refuse_changes()
    load_balancer.refuse_changes()
    file_system.refuse_changes()
    return facts


def refuse_sharing() -> None:
    """Tasks of the cluster's own and those of endpoints do not go together: what each has made says which there are."""
    its_own, groups = log_groups.find(constants.LOG_GROUP), log_groups.groups(log_groups.CONTAINERS)()
    endpoints = sorted({tags_of(each).get(constants.ENDPOINT_TAG, "") for each in groups.values() if ours(each)} - {""})
    if constants.CLUSTER_ONLY and its_own and ours(its_own):
        made = f"the cluster is for tasks of its own, which log to {constants.LOG_GROUP}"
        aws.refuse_change("SHARED_CLUSTER=true", made)
    if endpoints and not constants.SHARED_CLUSTER:
        undo = f"run ENDPOINT={endpoints[0]} python delete_endpoint.py first"
        aws.refuse_change("SHARED_CLUSTER=false", f"it is shared by {', '.join(endpoints)}", undo)


def refuse_other_vpc() -> None:
    """Nothing that stands moves to another VPC."""
    groups = [security_groups.find_group(each) for each in security_groups.SUFFIXES]
    if any(groups) and not constants.VPC_ID and not network.find_vpc():
        aws.forget(network.vpcs)  # another run has made it since it was looked for
    made = network.find_vpc()
    wanted = constants.VPC_ID or (made or {}).get("VpcId")
    for vpc_id in [each["VpcId"] for each in (made, load_balancer.find(), *groups) if each]:
        if vpc_id != wanted:
            aws.refuse_change(f"VPC_ID={constants.VPC_ID or '(empty)'}", f"the cluster is in {vpc_id}")


def instance_type(its_name: str) -> Any:
    """The type as EC2 describes it, once it is sure that the task fits on it."""
    described, kind, count = offered_type(its_name), spelt(its_name), constants.GPU_COUNT
    gpus, shared, cards = gpu_count(described), gpu_memory(described), nvidia(described)
    memory, cpu = memory_for_tasks(described), described["VCpuInfo"]["DefaultVCpus"] * 1024
    if cards and not gpus and constants.GPU_SHARING:
        raise Problem(f"{kind} has a part of a GPU, which GPU_SHARING can't share: use g4dn, g5 or g6")
    if cards and not gpus and count:
        has = f"a part of a GPU, {shared} MiB of one {cards[0]['Name']}"
        raise Problem(f"{kind} has {has}, and the ECS agent counts whole ones only. {fitting()}")
    if count and not gpus:
        raise Problem(f"{kind} has no NVIDIA GPU, but GPU_COUNT={count}: use g4dn.xlarge, or GPU_COUNT=0")
    arm = "ARM64" if parameters.on_arm(described) else "X86_64"
    if constants.CPU_ARCHITECTURE not in ("", arm):
        raise Problem(f"CPU_ARCHITECTURE={constants.CPU_ARCHITECTURE}, but {kind} is {arm}: set one of them")
    if gpus < count:
        raise Problem(f"{kind} has {how_many(gpus, 'GPU')}, but each task needs GPU_COUNT={count}")
    if constants.GPU_SHARING and shared < constants.GPU_MEMORY_MIB:
        raise Problem(f"GPU_MEMORY_MIB={constants.GPU_MEMORY_MIB} is more than a GPU of {kind} has: {shared} MiB")
    if memory < constants.HOST_MEMORY:
        of_it = f"of its {described['MemoryInfo']['SizeInMiB']} MiB a host registers about {memory} with ECS"
        rest = "the rest is the firmware's and the kernel's"
        raise Problem(
            f"{constants.spelt('TASK_MEMORY')}={constants.HOST_MEMORY} does not fit on {kind}: {of_it}, {rest}"
        )
    refuse_without_store(described)
    if cpu < constants.HOST_CPU:
        raise Problem(
            f"{constants.spelt('TASK_CPU')}={constants.HOST_CPU} does not fit on {kind}: it has {cpu} CPU units"
        )
    return described


def refuse_without_store(described: Any) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/InstanceStorage.html"""
    store = described.get("InstanceStorageInfo", {})
    if constants.INSTANCE_STORE and store.get("NvmeSupport", "unsupported") == "unsupported":
        kind = f"{spelt(described['InstanceType'])} has no NVMe instance store"
        raise Problem(f"{kind}, but INSTANCE_STORE={constants.INSTANCE_STORE}: use g4dn, g5 or g6, or leave it empty")


def offered_type(its_name: str) -> Any:
    """It as EC2 describes it; one that EC2 does not know, here or any more, is refused."""
    if described := described_type(its_name):
        return described
    kind = f"{spelt(its_name)} does not exist in {region()}, as EC2 says"
    raise Problem(f"{kind}: AWS has retired it, or offers it elsewhere, or the name is misspelt. {fitting()}")


def fitting() -> str:
    """The three smallest types that EC2 offers here and that hold the task, in words. Without GPUs: of the same letter."""
    families = ["g*", "p*"] if constants.GPU_COUNT else [f"{constants.INSTANCE_TYPE[0]}*"]
    wanted = {"instance-type": families, "processor-info.supported-architecture": ["x86_64"]}
    filters: Any = [{"Name": name, "Values": values} for name, values in wanted.items()]
    every_type = every(
        client("ec2").get_paginator("describe_instance_types").paginate(Filters=filters), "InstanceTypes"
    )
    able = sorted((size, each["InstanceType"]) for each in every_type if fits(size := sizes(each)))
    needs = {"GPU_COUNT": constants.GPU_COUNT, "TASK_MEMORY": constants.HOST_MEMORY, "TASK_CPU": constants.HOST_CPU}
    asked = " and ".join(f"{name}={value}" for name, value in needs.items() if value)
    return f"For {asked or 'the task'} it offers {', '.join(name for _, name in able[:3]) or 'none'}"


def sizes(described: Any) -> tuple[int, int, int]:
    """Whole GPUs, MiB for tasks, CPU units."""
    return gpu_count(described), memory_for_tasks(described), described["VCpuInfo"]["DefaultVCpus"] * 1024


def fits(size: tuple[int, int, int]) -> bool:
    wanted = constants.GPU_COUNT, constants.HOST_MEMORY, constants.HOST_CPU
    return all(has >= needed for has, needed in zip(size, wanted, strict=True))


def memory_for_tasks(described: Any) -> int:
    """MiB that a host of this type registers with ECS, about, and no more."""
    reserved = HOST_RESERVE_MIB + int(constants.ECS_CONFIG.get("ECS_RESERVED_MEMORY", "0"))
    return int(described["MemoryInfo"]["SizeInMiB"] * (1 - HOST_RESERVE)) - reserved


def refuse_client_without_sharing() -> None:
    """An older botocore does not know how a GPU is shared, and would refuse the task definition with a long list."""
    requirement: Any = client("ecs").meta.service_model.shape_for("ResourceRequirement")
    if constants.GPU_SHARING and "sharingStrategy" not in requirement.members:
        unknown = f"botocore {botocore.__version__} does not know it yet: pip install --upgrade 'boto3>=1.44.5'"
        raise Problem(f"GPU_SHARING={constants.GPU_SHARING}: {unknown}")


def ami(described: Any) -> str:
    """The current ECS-optimized Amazon Linux 2023: with the NVIDIA driver where the task uses a GPU, else without."""
    kind = spelt(described["InstanceType"])
    if constants.GPU_COUNT and parameters.on_arm(described):
        raise Problem(f"{kind}: AWS publishes no ECS GPU AMI for arm64; use g4dn, g5 or g6")
    its_name = parameters.of_hosts()
    if its_name not in parameters.values():
        raise Problem(f"AWS publishes no AMI at the SSM parameter {its_name} in this region; set AMI_ID")
    return parameters.values()[its_name]


def root_disk() -> str:
    """EC2 refuses a disk that is smaller than the AMI's own, when the first host starts: long after create_cluster.py."""
    found, why = aws.at_best(image)
    root, disks = (found or {}).get("RootDeviceName"), (found or {}).get("BlockDeviceMappings", [])
    own = [
        each["Ebs"]["VolumeSize"]
        for each in disks
        if each["DeviceName"] == root and "VolumeSize" in each.get("Ebs", {})
    ]
    size = constants.ROOT_VOLUME_GIB
    if not found and not why and constants.AMI_ID:
        raise Problem(f"AMI_ID={constants.AMI_ID}: there is no such AMI in this region")
    if not own:
        say("warning", "the AMI's own disk could not be looked at:", why or "EC2 does not tell it")
        return ""
    if size < own[0]:
        raise Problem(f"ROOT_VOLUME_GIB={size} is less than the {own[0]} GiB of the AMI's own disk: raise it")
    return f"ROOT_VOLUME_GIB={size}, and the AMI's own disk has {own[0]} GiB"


def zones() -> list[str]:
    """The zones of the subnets: those asked for, or the first that offer the type; each must offer it."""
    offering, count = offering_zones(), len(constants.PUBLIC_SUBNET_CIDRS)
    reserved = capacity_reservation.reservation().get("AvailabilityZone")
    best = sorted(offering, key=lambda zone: (zone != reserved, -len(offering[zone]), zone))
    wanted = constants.AVAILABILITY_ZONES or best[:count]
    lacking = [zone for zone in wanted if zone not in offering]
    kind, offers = " or ".join(constants.TYPES), ", ".join(sorted(offering)) or "none in this region"
    if lacking:
        kind = kind if constants.LAUNCH_TYPE == "EC2" else "Fargate"
        raise Problem(f"AVAILABILITY_ZONES: {', '.join(lacking)} does not offer {kind}; these do: {offers}")
    if len(wanted) < count:
        raise Problem(f"PUBLIC_SUBNET_CIDRS has {count} subnets, but only these zones offer {kind}: {offers}")
    refuse_nowhere(wanted)
    return wanted


def refuse_nowhere(wanted: list[str]) -> None:
    """Of several types each is to be in one of the zones at least; in which it is not is told."""
    offering = offering_zones()
    for kind in constants.INSTANCE_TYPES:
        lacking = [zone for zone in wanted if kind not in offering[zone]]
        others = ", ".join(sorted(zone for zone in offering if kind in offering[zone])) or "none in this region"
        if lacking == wanted:
            there = f"none of {', '.join(wanted)} offers it; these do: {others}"
            raise Problem(f"{spelt(kind)}: {there}: name such a zone in AVAILABILITY_ZONES, or leave it out")
        if lacking:
            say("found", f"{', '.join(lacking)} does not offer {kind}:", "its hosts come in the other zones")


def key_pair(setting: str, key: str) -> None:
    if key and key not in key_pairs():
        raise Problem(f"{setting}={key}: there is no such key pair in this region")


def enough_places(memory: int = 0) -> None:
    """A service whose tasks find no place on all hosts together never becomes stable. `memory`: MiB that a GPU really has."""
    for kind in constants.TYPES if constants.LISTENER_PROTOCOL else ():
        enough_places_on(offered_type(kind), memory)


def enough_places_on(described: Any, memory: int) -> None:
    hosts, count = constants.MAX_INSTANCES, constants.DESIRED_COUNT
    short = {what: each for what, each in places(described, memory).items() if each * hosts < count}
    for what, each in short.items():
        things = {MEMORY: "places in memory", CPU: "shares of the CPU"}.get(what, f"{what}s")
        needed, there = count, each * hosts
        if what == "GPU" and constants.GPU_SHARING:
            things = f"parts of a GPU with {constants.GPU_MEMORY_MIB} MiB"
        elif what == "GPU" and constants.ALL_GPUS:
            things = "hosts with all their GPUs"
        elif what == "GPU":
            needed, there = count * constants.GPU_COUNT, gpu_count(described) * hosts
        has = f"{hosts} {described['InstanceType']} hosts have {there}"
        way = "raise CLUSTER_SIZE or MAX_INSTANCES, or take another INSTANCE_TYPE"
        raise Problem(f"DESIRED_COUNT={count} tasks need {needed} {things}, but {has}: {way}")


def places(described: Any, memory: int = 0, sizes: Sizes | None = None) -> dict[str, int]:
    """How many tasks one host of this type holds, by each of the things that limit it."""
    found: dict[str, int] = {}
    gpus, of_task, cpu = sizes or settings_sizes()
    if constants.GPU_SHARING:
        found["GPU"] = gpu_count(described) * ((memory or gpu_memory(described)) // constants.GPU_MEMORY_MIB)
    elif gpus:
        found["GPU"] = 1 if constants.ALL_GPUS else gpu_count(described) // gpus
    if constants.LAUNCH_TYPE == "EC2" and constants.NETWORK_MODE == "awsvpc" and not trunking():
        found["network interface"] = described["NetworkInfo"]["MaximumNetworkInterfaces"] - 1  # the host's own
    if of_task:
        found[MEMORY] = memory_for_tasks(described) // of_task
    if cpu:
        found[CPU] = described["VCpuInfo"]["DefaultVCpus"] * 1024 // cpu
    return found


def least_places(memory: int = 0, sizes: Sizes | None = None) -> dict[str, int]:
    """The same of whichever of our types comes."""
    each = [places(offered_type(kind), memory, sizes) for kind in constants.TYPES]
    return {what: min(found[what] for found in each) for what in each[0]}


def listener_certificate() -> None:
    """The HTTPS listener takes a certificate of this region only, and only once it is issued."""
    if constants.LISTENER_PROTOCOL != "HTTPS":
        return
    arns, domains = certificate.arns(), ", ".join(constants.CERTIFICATE_DOMAINS)
    if not arns:
        raise Problem(f"there is no certificate for CERTIFICATE_DOMAINS={domains} yet: run create_certificate.py first")
    listener = load_balancer.listeners().get(443, {})
    listener_certificates.refuse_too_many(listener)
    borne = [each["CertificateArn"] for each in listener.get("Certificates", [])]
    for each in arns:
        if each not in borne and listener_certificates.short(each) not in listener_certificates.noted(listener):
            usable_certificate(each)


def usable_certificate(its_arn: str) -> None:
    its_region = its_arn.split(":")[3]
    if its_region != region():
        raise Problem(f"CERTIFICATE_ARN is of {its_region}, but the load balancer is to be in {region()}")
    found = certificate.describe(its_arn)
    if not found:
        raise Problem(f"CERTIFICATE_ARN={its_arn}: there is no such certificate in this account and region")
    whose, way = "CERTIFICATE_ARN", "finish its validation, then run this again"
    if not constants.CERTIFICATE_ARNS:
        whose, way = "the certificate for CERTIFICATE_DOMAINS", "run create_certificate.py, which waits for it"
    if found["Status"] != "ISSUED":
        raise Problem(f"{whose} is {found['Status']}, not ISSUED: {way}")
    days = (found["NotAfter"] - aws.now()).total_seconds() / 86400
    if days < CERTIFICATE_DAYS and found.get("RenewalEligibility") != "ELIGIBLE":
        theirs = found.get("Type") == "IMPORTED"
        why = "it was imported: import its successor" if theirs else "ACM renews it only while something uses it"
        say("warning", f"{whose} ends in {days:.0f} days:", why)


def launches() -> list[tuple[str, str]]:
    """What counts against a quota: each type, on demand or on Spot. Fargate does not, nor does a Capacity Block."""
    kinds = constants.TYPES if constants.LAUNCH_TYPE == "EC2" and not capacity_reservation.is_block() else ()
    lifecycles = ("spot", "on-demand") if constants.SPOT_FIRST else (constants.CAPACITY_TYPE,)
    return [(kind, lifecycle) for lifecycle in lifecycles for kind in kinds]


def quota_code(kind: str, lifecycle: str) -> str:
    """The vCPU quota that such hosts count against; "" where AWS's list names none."""
    return quotas.code_of(kind, lifecycle == "spot")


def quota() -> str:
    """Of each family of our types. Told: what is left."""
    told = [quota_of(described_type(kind), lifecycle) for kind, lifecycle in launches() if described_type(kind)]
    return "; ".join(filter(None, told))


def quota_of(described: Any, lifecycle: str) -> str:
    """New accounts have a quota of 0 for GPUs: every create call succeeds, and no instance ever comes. Told: what is left."""
    which, needed = quota_code(described["InstanceType"], lifecycle), described["VCpuInfo"]["DefaultVCpus"]
    value, kind = vcpu_quotas().get(which), f"{described['InstanceType']} ({lifecycle})"
    if isinstance(value, str):
        say("warning", f"the vCPU quota {which} could not be read:", value)
    elif not which:
        say("warning", f"AWS names no vCPU quota for {kind}:", "what the account may launch is not known before")
    elif value is None:
        say("warning", f"the vCPU quota {which} is not known to Service Quotas in this region")
    else:
        used, why = aws.at_best(lambda: quotas.vcpus_in_use(which))
        if why:
            say("warning", "what counts against it already could not be read:", why)
        try:
            return enough_vcpus(which, kind, value, used or 0, needed)
        except Problem as few:
            if not constants.SPOT_FIRST or lifecycle != "spot":
                raise
            say("warning", str(few).partition("; nothing was made")[0], "on demand stands in for it")
    return ""


def enough_vcpus(which: str, kind: str, value: float, used: int, needed: int) -> str:
    """One host must find its place beside what others of the account use."""
    hosts, taken = constants.MAX_INSTANCES, f", of which others use {used}" if used else ""
    if value - used < needed:
        way = f"{quotas.more('ec2', which, used + needed)}; nothing was made"
        raise Problem(f"the account's quota {which} is {value:.0f} vCPUs{taken}, and one {kind} needs {needed}: {way}")
    if value - used < needed * hosts:
        enough = f"is not enough for MAX_INSTANCES={hosts} ({needed} each)"
        say("warning", f"the quota {which} of {value:.0f} vCPUs{taken} {enough}")
    return f"{value:.0f} vCPUs{taken}, {needed * hosts} needed for {hosts} {kind}"


# ------------------------------------------------------------------------------------------------------- what is adopted


def adopted_network() -> list[str]:
    """VPC_ID, SUBNET_IDS and SECURITY_GROUP_IDS: there, belonging together, and fit for EFS and for the hosts."""
    vpc, public_ids = f"VPC_ID={constants.VPC_ID}", constants.PUBLIC_SUBNET_IDS
    private_ids = constants.PRIVATE_SUBNET_IDS
    if not call(client("ec2").describe_vpcs, gone=network.NO_VPC)(VpcIds=[constants.VPC_ID]):
        raise Problem(f"{vpc}: there is no such VPC in this region")
    for attribute in network.dns_off(constants.VPC_ID):
        raise Problem(f"{vpc} has {attribute} off: EFS is found by its DNS name, so it must be on")
    setting = "PRIVATE_SUBNET_IDS" if private_ids else "SUBNET_IDS"
    zones = adopted_subnets(setting, constants.WORK_SUBNET_IDS, network.named_subnets())
    shared = public_ids == constants.WORK_SUBNET_IDS
    public = network.named_subnets() if shared else network.named(public_ids)
    public_zones = adopted_subnets("PUBLIC_SUBNET_IDS", public_ids, public)
    if constants.LISTENER_PROTOCOL:
        one_in_each("PUBLIC_SUBNET_IDS", public_zones, "the load balancer takes one in each")
    one_in_each(setting, zones, "EFS takes one mount target in each zone")
    if private_ids and len(zones) < 2:
        raise Problem(f"PRIVATE_SUBNET_IDS is in one zone only ({zones[0]}): name private subnets of two zones")
    adopted_groups("SECURITY_GROUP_IDS", constants.SECURITY_GROUP_IDS)
    adopted_groups("BASTION_SECURITY_GROUP_ID", list(filter(None, [constants.BASTION_SECURITY_GROUP_ID])))
    return zones


def one_in_each(setting: str, zones: list[str], why: str) -> None:
    if len(set(zones)) < len(zones):
        raise Problem(f"{setting} has two subnets in one zone ({', '.join(zones)}): {why}")


def adopted_subnets(setting: str, asked: list[str], found: list[Any]) -> list[str]:
    """The zones of these subnets."""
    belong(setting, asked, {each["SubnetId"]: each["VpcId"] for each in found})
    return [each["AvailabilityZone"] for each in found]


def adopted_groups(setting: str, asked: list[str]) -> None:
    read = call(client("ec2").describe_security_groups, gone="InvalidGroup.NotFound")
    found = read(GroupIds=asked) if asked else None
    belong(setting, asked, {each["GroupId"]: each["VpcId"] for each in found["SecurityGroups"]} if found else {})


def allowed_groups() -> None:
    """The groups of ALLOWED_CIDRS: a rule names only what is in its own VPC, which may be still to be made."""
    asked = [each for each in constants.ALLOWED_CIDRS if each.startswith("sg-")]
    if asked and not constants.VPC_ID and not network.find_vpc():
        raise Problem(f"ALLOWED_CIDRS: {asked[0]} can't be in the VPC that is still to be made: name it afterwards")
    adopted_groups("ALLOWED_CIDRS", asked)


def belong(setting: str, asked: list[str], found: dict[str, str]) -> None:
    """`found`: id -> its VPC."""
    ours = f"VPC_ID={constants.VPC_ID}" if constants.VPC_ID else (network.find_vpc() or {}).get("VpcId", "")
    for identifier in asked:
        if identifier not in found:
            raise Problem(f"{setting}: {identifier} does not exist in this region")
        if found[identifier] != ours.removeprefix("VPC_ID="):
            raise Problem(f"{setting}: {identifier} belongs to {found[identifier]}, not to {ours}")


def adopted_file_system() -> None:
    file_system_id = constants.FILE_SYSTEM_ID
    describe = call(client("efs").describe_file_systems, gone="FileSystemNotFound")
    if file_system_id and not describe(FileSystemId=file_system_id):
        raise Problem(f"FILE_SYSTEM_ID={file_system_id}: there is no such file system in this region")


def adopted_roles() -> None:
    """What the settings name in IAM must be there; where IAM is asked nothing, AWS tells it when it is used."""
    get_role = call(client("iam").get_role, gone=roles.GONE)
    get_profile = call(client("iam").get_instance_profile, gone=roles.GONE)
    boundary, profile = constants.ROLE_PERMISSIONS_BOUNDARY, constants.HOST_ROLE
    for setting in ("TASK_EXECUTION_ROLE_ARN", "TASK_ROLE_ARN") if constants.MAKES_ROLES else ():
        arn = getattr(constants, setting)
        if arn and not get_role(RoleName=arn.rsplit("/")[-1]):
            raise Problem(f"{setting}={arn}: there is no such role in this account")
    if profile and constants.MAKES_ROLES:
        found = get_profile(InstanceProfileName=profile.rpartition("/")[2])
        if not found or not found["InstanceProfile"]["Roles"]:
            raise Problem(f"HOST_ROLE={profile}: {'it has no role' if found else 'there is no such instance profile'}")
    if boundary and not call(client("iam").get_policy, gone=roles.GONE)(PolicyArn=boundary):
        raise Problem(f"ROLE_PERMISSIONS_BOUNDARY={boundary}: there is no such policy")
