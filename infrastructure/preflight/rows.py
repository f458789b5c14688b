"""The rows of check_account.py: each is a function that reads, and tells one thing of the account.

It answers a sentence where all is well, "" where the settings do not ask for such a thing, says a warning, or raises the
Problem with which create_cluster.py, or a later page, would end: most of them are the checks of those pages themselves.
"""

import functools
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, NamedTuple

import aws
import console
import constants
from aws import Problem, account, caller
from console import say
from infrastructure.cluster import (
    auto_scaling_group,
    capacity_reservation,
    checks,
    cluster,
    container_instances,
    hosted_zone,
    instance_types,
    launch_template,
    launches,
    load_balancer,
    log_groups,
    network,
    pause,
    quotas,
    roles,
)
from infrastructure.cluster import certificate as certificates
from infrastructure.preflight import permissions
from infrastructure.service import deadlines, dns_record, drivers, images, target_group

OK, WARNING, STOP = "ok", "warning", "stop"
#: what create_cluster.py may take, with its waits
CREATE_MINUTES = 20
#: a score of this or less out of 10 is a Spot request that is likely to fail
POOR_SCORE = 2
#: addresses that a load balancer needs free in each of its subnets:
#: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html#subnets-load-balancer
BALANCER_ADDRESSES = 8


class Row(NamedTuple):
    row: str
    state: str
    sentence: str


# ----------------------------------------------------------------------------------------------------- who, and his rights


def credentials() -> str:
    """Whose they are, and whether they end before the cluster is made: those of the environment do, others are renewed."""
    found = aws.session().get_credentials()
    who, end = f"{str(caller()['Arn']).split(':', 5)[-1]} of {account()}", getattr(found, "_expiry_time", None)
    if not found or not end:
        return f"{who}; these credentials tell no end" + (", and have one" if found and found.token else "")
    until = f"{who}, until {end.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"
    if found.method != "env":
        return f"{until}, and renewed by then ({found.method})"
    minutes = (end - datetime.now(timezone.utc)).total_seconds() / 60
    run = (constants.MAX_RUN_HOURS or 0) * 60 if constants.RUN_UNTIL == "STOPPED" else 0
    if minutes < CREATE_MINUTES:
        say(
            "warning",
            f"{until}:",
            f"{minutes:.0f} min are left, and create_cluster.py may take {CREATE_MINUTES}: sign in anew",
        )
    elif minutes < run:
        longer = f"run_task.py waits for its task for up to MAX_RUN_HOURS={constants.MAX_RUN_HOURS:g}"
        say("warning", f"{until}:", f"{minutes:.0f} min are left, and {longer}; the task goes on without it")
    return until


def paused() -> str:
    pause.refuse()
    return ""


def deadline() -> str:
    """One that is over starts nothing."""
    deadlines.check()
    return ""


def service_linked_roles() -> str:
    """AWS's services act with roles of their own, which are made where they are missing, by those who may."""
    if not constants.MAKES_ROLES:
        return ""
    wanted = roles.service_linked_wanted(True, True, True)
    missing = [role for role in wanted.values() if role not in roles.names()]
    if missing and "iam:CreateServiceLinkedRole" in permissions.denied().actions:
        lacking = f"{', '.join(missing)} are missing, and you may not iam:CreateServiceLinkedRole"
        raise Problem(f"{lacking}: let someone who may make them: aws iam create-service-linked-role")
    return f"{', '.join(missing)}: create_cluster.py makes them" if missing else f"{len(wanted)} are there"


# --------------------------------------------------------------------------------------------------------------- capacity


def instance_type() -> str:
    """There are such types here, and the task fits on each."""
    if constants.LAUNCH_TYPE != "EC2":
        return ""
    found = [checks.instance_type(kind) for kind in constants.TYPES]
    instance_types.refuse_unlike()
    checks.enough_places()
    sizes = [(container_instances.gpu_count(each), checks.memory_for_tasks(each)) for each in found]
    told = zip(constants.TYPES, sizes, strict=True)
    return "; ".join(f"{kind} has {gpus} GPUs, and {memory} MiB for tasks" for kind, (gpus, memory) in told)


def vcpus() -> str:
    return checks.quota()


def zones() -> str:
    """A type is not offered in every zone."""
    if constants.LAUNCH_TYPE != "EC2":
        return ""
    ours = our_zones()
    offering = {kind: [zone for zone in ours if kind in checks.offers().get(zone, [])] for kind in constants.TYPES}
    for kind, there in offering.items():
        if not there:
            others = ", ".join(sorted(zone for zone in checks.offers() if kind in checks.offers()[zone])) or "none here"
            nowhere = f"{kind} is offered in none of the zones of your subnets, {', '.join(ours)}"
            raise Problem(f"{nowhere}, but in {others}")
        if len(there) < len(ours):
            say("warning", f"of your subnets' zones {', '.join(ours)}", f"only {', '.join(there)} have {kind}")
    return "; ".join(f"{kind} in {', '.join(there)}" for kind, there in offering.items())


def our_zones() -> list[str]:
    """Of the subnets that are there, or of those that create_cluster.py makes."""
    return (
        sorted({each["AvailabilityZone"] for each in network.named_subnets()}) if constants.VPC_ID else checks.zones()
    )


def reservation() -> str:
    """CAPACITY_RESERVATION: active, for our type and in a zone of ours, with room; and when it ends."""
    return capacity_reservation.check(our_zones(), new=not cluster.find()) if constants.CAPACITY_RESERVATION else ""


def spot() -> str:
    """How likely EC2 takes a Spot request to succeed now, 1 to 10 for each zone. Of one type alone it is rarely high."""
    if constants.LAUNCH_TYPE != "EC2" or constants.CAPACITY_TYPE == "on-demand":
        return ""
    scores = launches.spot_scores(constants.MAX_INSTANCES)
    best = max(scores.values(), default=0)
    sentence = f"the best zone has {best} of 10" if scores else "AWS tells no score"
    if best <= POOR_SCORE:
        say(
            "warning",
            f"Spot hosts of {' or '.join(constants.TYPES)} are unlikely now:",
            f"{sentence}; CAPACITY_TYPE=on-demand",
        )
    return sentence


def ami() -> str:
    """It is there, and its own disk is not larger than the hosts'."""
    if constants.LAUNCH_TYPE != "EC2" or not container_instances.described_type():
        return ""
    its_name = (
        checks.image().get("Name", "") if constants.AMI_ID or checks.ami(container_instances.described_type()) else ""
    )
    told = checks.root_disk()
    return f"{its_name}; {told}"


def image() -> str:
    """Each image is there, for our CPU, fits the disk, and demands no newer CUDA than the driver's."""
    if constants.CLUSTER_ONLY:
        return ""
    images.check()
    driver, told = drivers.of_hosts(), []
    for name, found in images.named().items():
        demands = found.demand and driver and f", demands {drivers.least(found.demand)} of {drivers.in_words(driver)}"
        told.append(f"{name}, {found.size / 1e9:.1f} GB{demands or ''}")
    return "; ".join(told)


def interfaces_of_host() -> str:
    """Each awsvpc task takes one of a host's network interfaces, and the host itself the first."""
    if constants.LAUNCH_TYPE != "EC2" or constants.NETWORK_MODE != "awsvpc":
        return ""
    places = checks.least_places() if all(map(container_instances.described_type, constants.TYPES)) else {}
    most, gpus = places.get("network interface"), places.get("GPU", 0)
    if most is not None and most < max(1, gpus):
        few = f"a {' or '.join(constants.TYPES)} has network interfaces for {most} tasks, and GPUs for {gpus}"
        raise Problem(
            f"{few}: aws ecs put-account-setting --name awsvpcTrunking --value enabled, or take a larger type"
        )
    return f"{most} tasks a host" if most is not None else ""


def addresses() -> str:
    """Of subnets that are the user's: hosts, tasks, mount targets and a load balancer must find free addresses."""
    if not constants.VPC_ID:
        return ""
    work, public = network.named_subnets(), network.named(constants.PUBLIC_SUBNET_IDS)
    needed = {each["SubnetId"]: 0 for each in [*work, *public]}
    free = {each["SubnetId"]: each["AvailableIpAddressCount"] for each in [*work, *public]}
    tasks = max(constants.TASK_COUNT, constants.DESIRED_COUNT) if constants.NETWORK_MODE == "awsvpc" else 0
    hosts = constants.MAX_INSTANCES if constants.LAUNCH_TYPE == "EC2" else 0
    for each in work:
        needed[each["SubnetId"]] += -(-(hosts + tasks) // len(work)) + quotas.systems()
    for each in public if constants.LISTENER_PROTOCOL else ():
        needed[each["SubnetId"]] += BALANCER_ADDRESSES
    short = [
        f"{each} has {free[each]} free addresses, and {needed[each]} are needed"
        for each in needed
        if free[each] < needed[each]
    ]
    if short:
        raise Problem(f"{'; '.join(short)}: take larger subnets, or free some")
    return ", ".join(f"{each} has {free[each]} free" for each in free)


# -------------------------------------------------------------------------------------------------------- names and DNS


def names() -> str:
    """No name that ours would have is another's."""
    reads: list[aws.look[Any]] = [cluster.describe, log_groups.groups(log_groups.CONTAINERS)]
    if constants.LAUNCH_TYPE == "EC2":
        reads += [auto_scaling_group.groups, launch_template.templates]
    aws.look_at(*reads, *([roles.names] if constants.MAKES_ROLES else []))
    taken = {f"cluster {constants.CLUSTER_NAME}": cluster.find()}
    taken[f"log group {constants.LOG_GROUP}"] = None if constants.CLUSTER_ONLY else log_groups.find(constants.LOG_GROUP)
    if constants.LAUNCH_TYPE == "EC2":
        taken[f"Auto Scaling group {aws.name('hosts')}"] = auto_scaling_group.find()
        taken[f"launch template {aws.name('hosts')}"] = launch_template.find()
    of_tasks = () if constants.CLUSTER_ONLY else ("task-execution", "task")
    for suffix in [each for each in ("host", *of_tasks) if not constants.ADOPTED_ROLES[each]]:
        taken[f"role {roles.role_name(suffix)}"] = roles.role(suffix)()
    if constants.LISTENER_PROTOCOL and named(quotas.every_balancer(), "LoadBalancerName", load_balancer.its_name()):
        taken[f"load balancer {load_balancer.its_name()}"] = load_balancer.named()
    if constants.LISTENER_PROTOCOL and named(quotas.every_target_group(), "TargetGroupName", target_group.its_name()):
        taken[f"target group {target_group.its_name()}"] = target_group.named()
    for what, found in taken.items():
        aws.refuse_foreign(what, found)
    ours = sum(map(bool, taken.values()))
    return f"none of {len(taken)} names is another's" + (f"; {ours} are ours already" if ours else "")


def named(things: list[Any], key: str, wanted: str) -> bool:
    return wanted in [each[key] for each in things]


def certificate() -> str:
    """Issued, for the host names, and good for a month more."""
    if constants.LISTENER_PROTOCOL != "HTTPS":
        return ""
    checks.listener_certificate()
    certificates.refuse_uncovered()
    names = constants.HOST_NAMES or constants.CERTIFICATE_DOMAINS
    return f"{len(certificates.arns())} issued, for {', '.join(names) or 'the listener'}"


def dns() -> str:
    """Each host name is in a zone of this account, and leads to nobody else."""
    told = []
    for host in constants.HOST_NAMES:
        zone = hosted_zone.find(host)
        if not zone:
            way = "let its DNS lead to the load balancer yourself, once that is there"
            say("warning", f"HOST_NAME={host} is in no public zone of this account:", way)
            continue
        dns_record.refuse_elsewhere(host, zone, dns_record.standing_at(host, zone))
        told.append(f"{host} in {hosted_zone.plain(zone['Name'])}")
    return ", ".join(told)


#: in the order in which they are told
ROWS: dict[str, Callable[[], str]] = {
    "credentials": credentials,
    "permissions": permissions.check,
    "dry run": permissions.dry_run,
    "service-linked roles": service_linked_roles,
    "names": names,
    "pause": paused,
    "deadline": deadline,
    "instance type": instance_type,
    "vCPUs": vcpus,
    "vCPUs of Fargate": quotas.check_fargate,
    "zones": zones,
    "Capacity Reservation": reservation,
    "Spot": spot,
    "AMI": ami,
    "image": image,
    "interfaces of a host": interfaces_of_host,
    "VPCs": functools.partial(quotas.check, quotas.VPCS),
    "internet gateways": functools.partial(quotas.check, quotas.INTERNET_GATEWAYS),
    "NAT gateways": functools.partial(quotas.check, quotas.NAT_GATEWAYS),
    "Elastic IPs": functools.partial(quotas.check, quotas.ADDRESSES),
    "security groups": functools.partial(quotas.check, quotas.SECURITY_GROUPS),
    "network interfaces": functools.partial(quotas.check, quotas.INTERFACES),
    "load balancers": functools.partial(quotas.check, quotas.BALANCERS),
    "target groups": functools.partial(quotas.check, quotas.TARGET_GROUPS),
    "file systems": functools.partial(quotas.check, quotas.FILE_SYSTEMS),
    "addresses": addresses,
    "certificate": certificate,
    "DNS": dns,
}


def look() -> list[Row]:
    """All rows that the settings want, all looked at side by side."""
    found = aws.side_by_side(lambda name: examined(name, ROWS[name]), ROWS)
    return [each for each in found if each.sentence]


def examined(name: str, check: Callable[[], str]) -> Row:
    with console.held() as lines:
        try:
            told, why = aws.at_best(check)
        except Problem as problem:
            return Row(name, STOP, str(problem))
    warned = [
        " ".join(filter(None, [what, detail])) for verb, what, detail in lines if verb in ("warning", "unchecked")
    ]
    if why:
        warned.append(f"could not look: {why.partition(chr(10))[0]}")
    return Row(name, WARNING if warned else OK, "; ".join(warned) or told or "")
