"""Quotas of the account, less what there is of each kind: what AWS would refuse is told before the first thing is made.

They can't always be read, and never stop a page by that: a quota is a courtesy of AWS's. Nothing is asked for in the
user's name; the line that asks for more is told. https://docs.aws.amazon.com/general/latest/gr/aws-service-information.html
"""

import functools
import math
from collections import Counter
from collections.abc import Callable, Iterable
from string import ascii_lowercase
from typing import Any, NamedTuple

import aws
import constants
from aws import Problem, client, every, ours, region
from console import say
from infrastructure.cluster import file_system, load_balancer, nat_gateways, security_groups

#: letters of a family -> the vCPU quotas that on-demand and spot launches count against; each other one is of STANDARD
VCPUS = {
    **dict.fromkeys(("g", "gr", "vt"), ("L-DB2E81BA", "L-3819A6DF")),
    "p": ("L-417A185B", "L-7212CCBC"),
    "inf": ("L-1945791B", "L-B5D1601B"),
    "trn": ("L-2C3B7624", "L-6B0D517C"),
    "dl": ("L-6E869C2A", "L-85EED4F7"),
    "f": ("L-74FC7D96", "L-88CF9481"),
    "x": ("L-7295265B", "L-E3A00192"),
    "hpc": ("L-F7808C92", ""),
    "u": ("L-43DA4232", ""),
}
STANDARD = ("L-1216C47A", "L-34B43A08")
#: vCPUs of all Fargate tasks at a time, and of those on Spot
FARGATE = {"on-demand": "L-3032A538", "spot": "L-36FBB829"}
#: services whose quotas are few: all of them in one call
SMALL = ("vpc", "elasticloadbalancing", "elasticfilesystem", "fargate")
#: a request for more that a person at AWS has not answered yet
OPEN = ("PENDING", "CASE_OPENED")


def code_of(kind: str, spot: bool) -> str:
    """The vCPU quota that a launch counts against, "" where AWS's list names none, as for P6 on Spot.

    https://docs.aws.amazon.com/general/latest/gr/ec2-service.html
    """
    family = kind.split(".")[0]
    if spot and family.startswith("p5"):
        return "L-C4BD4855"
    if spot and family.startswith("p6"):
        return ""
    return VCPUS.get(family[: len(family) - len(family.lstrip(ascii_lowercase))], STANDARD)[spot]


# --------------------------------------------------------------------------------------------------------------- looks


@functools.cache
def listed(service: str, code: str) -> aws.look[dict[str, float] | str]:
    """The look at quotas of a service, those that apply or else AWS's defaults: code -> value; or why not, in words."""
    return aws.look(lambda: read(service, {"QuotaCode": code} if code else {}))


def read(service: str, only: dict[str, str]) -> dict[str, float] | str:
    quotas: Any = aws.courtesy("service-quotas")

    def told() -> dict[str, float]:
        pages = quotas.get_paginator("list_service_quotas").paginate(ServiceCode=service, **only)
        return {each["QuotaCode"]: float(each["Value"]) for each in every(pages, "Quotas")}

    found, why = aws.at_best(told)
    return why or found or {}


@aws.look
def running() -> list[Any]:
    """Every instance of the account that counts here, whoever's; also those that AWS's services manage."""
    states: Any = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    pages = client("ec2").get_paginator("describe_instances").paginate(Filters=states, IncludeManagedResources=True)
    return [each for reservation in every(pages, "Reservations") for each in reservation["Instances"]]


def of_account(service: Any, operation: Any, key: str, **wanted: Any) -> aws.look[list[Any]]:
    """The look at all of a kind that there are in the region, whoever's they are."""
    return aws.look(lambda: every(client(service).get_paginator(operation).paginate(**wanted), key))


THOUSAND = {"PaginationConfig": {"PageSize": 1000}}
every_vpc = of_account("ec2", "describe_vpcs", "Vpcs")
every_internet_gateway = of_account("ec2", "describe_internet_gateways", "InternetGateways")
every_security_group = of_account("ec2", "describe_security_groups", "SecurityGroups", **THOUSAND)
every_interface = of_account("ec2", "describe_network_interfaces", "NetworkInterfaces", **THOUSAND)
every_target_group = of_account("elbv2", "describe_target_groups", "TargetGroups")


@aws.look
def every_address() -> list[Any]:
    return list(client("ec2").describe_addresses()["Addresses"])


@aws.look
def every_balancer() -> list[Any]:
    """Network load balancers have a quota of their own."""
    found = every(client("elbv2").get_paginator("describe_load_balancers").paginate(), "LoadBalancers")
    return [each for each in found if each["Type"] == "application"]


@aws.look
def every_nat_gateway() -> list[Any]:
    """Those that count, each with its zone: a gateway knows its subnet only."""
    counted: Any = [{"Name": "state", "Values": ["pending", "available", "deleting"]}]
    found = every(client("ec2").get_paginator("describe_nat_gateways").paginate(Filters=counted), "NatGateways")
    in_them: Any = [{"Name": "subnet-id", "Values": sorted({each.get("SubnetId", "") for each in found})}]
    subnets = client("ec2").describe_subnets(Filters=in_them)["Subnets"] if found else []
    zones = {each["SubnetId"]: each["AvailabilityZone"] for each in subnets}
    return [{**each, "zone": zones.get(each.get("SubnetId", ""), "")} for each in found]


# ------------------------------------------------------------------------------------------------- what is to be made


class Counted(NamedTuple):
    """A kind of thing of which an account may have so many in a region."""

    what: str  # several of them, as a sentence calls them
    service: str
    code: str
    there: aws.look[list[Any]]  # all of the account's
    wanted: Callable[[], int]  # how many the settings ask for
    mine: Callable[[Any], bool] = ours  # which of them are ours already


def new_network() -> int:
    return 0 if constants.VPC_ID else 1


def gateways() -> int:
    return len(nat_gateways.gateway_names())


def groups() -> int:
    return len(security_groups.wanted())


def balancers() -> int:
    return 1 if constants.LISTENER_PROTOCOL else 0


def target_groups() -> int:
    return 1 if constants.LISTENER_PROTOCOL and not constants.CLUSTER_ONLY else 0


def systems() -> int:
    per_volume = constants.EFS_FILE_SYSTEMS == "per-volume"
    count = len(constants.EFS_VOLUMES) if per_volume else min(1, len(constants.EFS_VOLUMES))
    return 0 if constants.FILE_SYSTEM_ID else count


def interfaces() -> int:
    """Of hosts, tasks that have their own, NAT gateways, mount targets, and a load balancer in each zone."""
    zones = len(constants.WORK_SUBNET_IDS if constants.VPC_ID else constants.PUBLIC_SUBNET_CIDRS)
    hosts = constants.MAX_INSTANCES if constants.LAUNCH_TYPE == "EC2" else 0
    tasks = max(constants.TASK_COUNT, constants.DESIRED_COUNT) if constants.NETWORK_MODE == "awsvpc" else 0
    return hosts + tasks + gateways() + zones * (max(1, systems()) + balancers())


def our_balancer(thing: Any) -> bool:
    """Elastic Load Balancing lists names without tags."""
    return bool(thing["LoadBalancerName"] == load_balancer.its_name())


def our_target_group(thing: Any) -> bool:
    return str(thing["TargetGroupName"]).startswith(aws.endpoint_name(""))


def in_our_network(thing: Any) -> bool:
    """Network interfaces bear no tags of ours; in an adopted VPC none is known as ours."""
    return thing.get("VpcId") in [each["VpcId"] for each in every_vpc() if ours(each)]


VPCS = Counted("VPCs", "vpc", "L-F678F1CE", every_vpc, new_network)
INTERNET_GATEWAYS = Counted("internet gateways", "vpc", "L-A4707A72", every_internet_gateway, new_network)
NAT_GATEWAYS = Counted("NAT gateways", "vpc", "L-FE5A380F", every_nat_gateway, gateways)
ADDRESSES = Counted("Elastic IPs", "ec2", "L-0263D0A3", every_address, gateways)
SECURITY_GROUPS = Counted("security groups", "vpc", "L-E79EC296", every_security_group, groups)
INTERFACES = Counted("network interfaces", "vpc", "L-DF5E4CA3", every_interface, interfaces, in_our_network)
BALANCERS = Counted("load balancers", "elasticloadbalancing", "L-53DA6B97", every_balancer, balancers, our_balancer)
TARGET_GROUPS = Counted(
    *("target groups", "elasticloadbalancing", "L-B22855CB", every_target_group, target_groups, our_target_group)
)
FILE_SYSTEMS = Counted("file systems", "elasticfilesystem", "L-848C634D", file_system.all_systems, systems)
#: what costs by the hour from its creation on, and what it needs: create_cluster.py asks for these
OF_NETWORK = (VPCS, INTERNET_GATEWAYS, NAT_GATEWAYS, ADDRESSES)


def check(counted: Counted, zones: Iterable[str] = ()) -> str:
    """An account may have so many of a kind in a region, NAT gateways in a zone: AWS would refuse one more. Else: how many."""
    what, wanted = counted.what, counted.wanted()
    if not wanted:
        return ""
    limit = value(counted.service, counted.code)
    there = counted.there()
    missing, used = max(0, wanted - sum(map(counted.mine, there))), len(there)
    if counted is NAT_GATEWAYS:
        in_zone = Counter(each["zone"] for each in there)
        missing, used = min(1, missing), max((in_zone[zone] for zone in zones or in_zone), default=0)
        what += " in a zone"
    if isinstance(limit, str):
        say("warning", f"the quota of {counted.what} ({counted.code}) could not be read:", limit)
    elif missing and used + missing > limit:
        full = (
            f"the account's quota {counted.code} is {limit:.0f} {what}, {used} are there, and {missing} more is needed"
        )
        raise Problem(f"{full}: {more(counted.service, counted.code, used + missing)}; nothing was made")
    else:
        return f"{used} of {limit:.0f} {what}, {missing} to be made"
    return ""


def check_all(kinds: Iterable[Counted], zones: Iterable[str]) -> None:
    """The same for several; quotas that can't be read are told once for each service."""
    limits = {each: value(each.service, each.code) for each in kinds if each.wanted()}
    for service, why in {each.service: why for each, why in limits.items() if isinstance(why, str)}.items():
        say("warning", f"the quotas of {service} could not be read:", why)
    for each in [each for each, limit in limits.items() if not isinstance(limit, str)]:
        check(each, zones)


def looks(*kinds: Counted) -> list[aws.look[Any]]:
    """What `check` of these reads, so that it can be read side by side."""
    wanted = [each for each in kinds if each.wanted()]
    services = dict.fromkeys((each.service, "" if each.service in SMALL else each.code) for each in wanted)
    return [*(listed(*each) for each in services), *(each.there for each in wanted)]


def value(service: str, code: str) -> float | str:
    """What the account may have of it; or why that is not known, in words."""
    found = listed(service, "" if service in SMALL else code)()
    if isinstance(found, str) or code in found:
        return found if isinstance(found, str) else found[code]
    quotas: Any = aws.courtesy("service-quotas")
    default, why = aws.at_best(
        lambda: quotas.get_aws_default_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"]
    )
    return why if default is None else float(default)


def more(service: str, code: str, least: float) -> str:
    """What to do about a quota that is too small: wait for what was asked for already, or ask, in hours to days."""
    quotas: Any = aws.courtesy("service-quotas")
    read = quotas.list_requested_service_quota_change_history_by_quota
    asked, _ = aws.at_best(lambda: read(ServiceCode=service, QuotaCode=code)["RequestedQuotas"])
    for each in asked or []:
        if each["Status"] in OPEN and each["DesiredValue"] >= least:
            since = f"{each['Created']:%Y-%m-%d}"
            return f"a request for {each['DesiredValue']:.0f} is open since {since} ({each['Status']}): wait for AWS's answer"
    line = f"--service-code {service} --quota-code {code} --desired-value {math.ceil(least)} --region {region()}"
    ask = "ask for more in the Service Quotas console (it takes hours to days), or with"
    return f"{ask} aws service-quotas request-service-quota-increase {line}"


# --------------------------------------------------------------------------------------------------------------- vCPUs


def vcpus_in_use(code: str) -> int:
    """vCPUs of the account's instances that count against this quota, but for our own: the settings count those."""
    others = [(each["InstanceType"], each.get("InstanceLifecycle") == "spot") for each in running() if not ours(each)]
    counting = [kind for kind, spot in others if code_of(kind, spot) == code]
    kinds: Any = sorted({*counting})
    if not kinds:
        return 0
    pages = client("ec2").get_paginator("describe_instance_types").paginate(InstanceTypes=kinds)
    sizes = {each["InstanceType"]: int(each["VCpuInfo"]["DefaultVCpus"]) for each in every(pages, "InstanceTypes")}
    return sum(sizes[kind] for kind in counting)


def check_fargate() -> str:
    """All Fargate tasks of the account count at the same time; what others run is not known here."""
    if constants.LAUNCH_TYPE != "FARGATE":
        return ""
    code, each = FARGATE[constants.CAPACITY_TYPE], int(constants.TASK_CPU or 0) / 1024
    most = constants.DESIRED_COUNT if constants.SCALING == "none" else constants.MAX_TASKS
    count = most if constants.LISTENER_PROTOCOL else constants.TASK_COUNT
    limit = value("fargate", code)
    if isinstance(limit, str):
        say("warning", f"the quota of Fargate's vCPUs ({code}) could not be read:", limit)
        return ""
    if each > limit:
        few = f"the account's quota {code} is {limit:g} vCPUs of Fargate, and one task needs TASK_CPU={constants.TASK_CPU}"
        raise Problem(f"{few}, which is {each:g}: {more('fargate', code, each)}; nothing was made")
    if each * count > limit:
        say("warning", f"the quota {code} of {limit:g} vCPUs is not enough", f"for {count} tasks of {each:g} each")
    return f"{limit:g} vCPUs, {each * count:g} needed for {count} tasks"
