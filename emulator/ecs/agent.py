"""Container instances and what moves them: the agent that registers, managed scaling, draining, deregistration.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cluster-auto-scaling.html
"""

from __future__ import annotations

import math
import re
from typing import Any

from emulator.autoscaling import groups as autoscaling_groups
from emulator.core import partitions, rules
from emulator.core.rules import AwsError, held
from emulator.core.world import ACCOUNT, World
from emulator.ec2 import instances as ec2_instances
from emulator.ec2 import templates as ec2_templates
from emulator.ec2.instances import ami_of
from emulator.ec2.region import region_of as ec2_region_of
from emulator.ec2.types import ecs_image_kind, instance_type, vcpus
from emulator.ecs import life, problems, tasks, user_data
from emulator.ecs.placement import Demand, book, demand_of, has_attributes, lacking
from emulator.ecs.state import (
    FARGATE,
    Cluster,
    Instance,
    Item,
    Provider,
    Region,
    Task,
    arn,
    new_id,
    region_of,
)
from emulator.iam import roles as iam_roles
from emulator.iam.policies import may
from emulator.iam.trust import assumable

rules.SENTENCES.update(
    {
        "ecs-010": "ECS tags the Auto Scaling group AmazonECSManaged; managed scaling sets its desired capacity.",
        "ecs-016": "Managed scaling looks once a minute; instances go after 15 minutes without tasks.",
        "ecs-types": "Of a group with several types the smallest counts: for a task that does not fit on it no instance comes.",
        "ecs-082": "From no instance managed scaling starts two at least, where the group's size allows it.",
        "ecs-083": "An instance with no task on it goes after fifteen minutes, and not before.",
        "ecs-020": "The agent registers only with the right AMI, ECS_CLUSTER, role and way out; no error if not.",
        "ecs-086": "A host registers 2 to 4 percent less memory than its type has, and ECS_RESERVED_MEMORY less.",
        "ecs-021": "A terminated instance is deregistered minutes later; a stopped one stays, its agent disconnected.",
    }
)
held(
    "ecs-010 ecs-016 ecs-020 ecs-021 ecs-052 ecs-types ecs-082 ecs-083 ecs-086 asg-010 asg-011",
    "ecs.agent: agents, managed scaling, draining",
)

REGISTER, REGISTER_GPU = 25, 120  # seconds from EC2's running to the agent's registration
#: who takes a host's role on
EC2 = {"aws": "ec2.amazonaws.com", "aws-cn": "ec2.amazonaws.com.cn", "aws-us-gov": "ec2.amazonaws.com"}
RETRY = 15
DEREGISTER = 90
EVALUATE = 60
#: with no instance at all the metric says 200 percent, whatever waits: https://github.com/aws/containers-roadmap/issues/1716
FROM_NONE = 2
IDLE = 900
#: MiB that hosts of these types have registered, as Terraform modules of people who looked say
MEASURED_MEMORY = {"t3.small": 1901, "t3.medium": 3828, "g4dn.xlarge": 15731}
#: of the others' memory, what firmware and kernel leave: an estimate, 2 to 4 percent less
REGISTERED_MEMORY = 0.96
AGENT = {"agentVersion": "1.106.2", "agentHash": "0d2c1b7f", "dockerVersion": "DockerVersion: 25.0.16"}
CAPABILITIES = (
    "com.amazonaws.ecs.capability.docker-remote-api.1.17",
    "com.amazonaws.ecs.capability.docker-remote-api.1.18",
    "com.amazonaws.ecs.capability.docker-remote-api.1.19",
    "com.amazonaws.ecs.capability.docker-remote-api.1.29",
    "com.amazonaws.ecs.capability.ecr-auth",
    "com.amazonaws.ecs.capability.logging-driver.awslogs",
    "com.amazonaws.ecs.capability.logging-driver.awsfirelens",
    "com.amazonaws.ecs.capability.logging-driver.fluentd",
    "com.amazonaws.ecs.capability.logging-driver.json-file",
    "com.amazonaws.ecs.capability.logging-driver.none",
    "com.amazonaws.ecs.capability.logging-driver.syslog",
    "com.amazonaws.ecs.capability.privileged-container",
    "com.amazonaws.ecs.capability.task-iam-role",
    "com.amazonaws.ecs.capability.task-iam-role-network-host",
    "ecs.capability.container-health-check",
    "ecs.capability.container-ordering",
    "ecs.capability.docker-plugin.local",
    "ecs.capability.efs",
    "ecs.capability.efsAuth",
    "ecs.capability.env-files.s3",
    "ecs.capability.execution-role-awslogs",
    "ecs.capability.execution-role-ecr-pull",
    "ecs.capability.full-sync",
    "ecs.capability.secrets.asm.environment-variables",
    "ecs.capability.secrets.ssm.environment-variables",
    "ecs.capability.task-cpu-mem-limit",
    "ecs.capability.task-eia",
    "ecs.capability.task-eni",
)


# ------------------------------------------------------------------------------------------------ registration


def cluster_in(text: str) -> str:
    """The cluster that user data names: ECS_CLUSTER in /etc/ecs/ecs.config, else the one called default."""
    ran = "\n".join(user_data.scripts(text)).replace("\\n", "\n")
    found = re.findall(r"""^[^#\n]*?\bECS_CLUSTER\s*=\s*['"]?([A-Za-z0-9_.-]+)""", ran, re.MULTILINE)
    return str(found[-1]) if found and "ecs.config" in ran else "default"


def _machine(world: World, region: str, ec2_id: str) -> Item | None:
    try:
        return ec2_instances.instance(world, region, ec2_id)
    except AwsError:
        return None


def running(world: World, region: str, ec2_id: str) -> None:
    """An EC2 instance has booted. If an agent is on it, it will try to register."""
    known = registered(region_of(world, region), ec2_id)
    if known is not None:
        world.after(REGISTER, _reconnect, world, region, known[1])
        return
    machine = _machine(world, region, ec2_id)
    if machine is None or not ecs_image_kind(machine["ImageId"], region):
        return
    gpu = bool(_gpus(machine["InstanceType"], machine["ImageId"], region)[0])
    seconds = REGISTER_GPU if gpu else REGISTER
    region_of(world, region).booting[ec2_id] = world.now() + world.clock.delay(seconds)


def _reconnect(world: World, region: str, instance: Instance) -> None:
    """A stopped instance runs again: the agent finds its containers gone."""
    instance.connected = True
    cluster = next(one for one in region_of(world, region).clusters.values() if instance.id in one.instances)
    for task in cluster.active_tasks():
        if task.instance is instance:
            life.host_gone(world, task, instance.ec2_id)


def registered(region: Region, ec2_id: str) -> tuple[Cluster, Instance] | None:
    for cluster in region.clusters.values():
        for instance in cluster.instances.values():
            if instance.ec2_id == ec2_id:
                return cluster, instance
    return None


def _try(world: World, region_name: str, ec2_id: str) -> None:
    """One attempt of the agent to register; it goes on trying for as long as the instance runs."""
    region = region_of(world, region_name)
    if ec2_id not in region.booting:
        return
    region.booting[ec2_id] = world.now() + world.clock.delay(RETRY)
    machine = _machine(world, region_name, ec2_id)
    if machine is None or machine["State"]["Name"] != "running":
        region.booting.pop(ec2_id, None)
        return
    if user_data.never_ends(machine.get("UserData") or ""):
        return
    cluster = region.clusters.get(cluster_in(machine.get("UserData") or ""))
    if cluster is None or cluster.status != "ACTIVE" or not can_register(world, region_name, machine):
        return
    del region.booting[ec2_id]
    instance = make_instance(world, region_name, cluster, machine)
    cluster.instances[instance.id] = instance
    tasks.place_waiting(world, region_name, cluster)
    for listener in REGISTERED:
        listener(world, region_name, cluster)


#: called with world, region and cluster when capacity has come or gone
REGISTERED: list[Any] = []


def can_register(world: World, region: str, machine: Item) -> bool:
    """Does the agent get through: rights from the instance profile, and a way to ECS's endpoint?"""
    profile = (machine.get("IamInstanceProfile") or {}).get("Arn")
    if not world.settings.agents_register or not profile or not iam_roles.profile_usable(world, profile):
        return False
    role = iam_roles.profile_role(world, profile)
    if not role or not assumable(world, iam_roles.find_role(role).arn, EC2[partitions.here()]):
        return False
    cluster = f"arn:{partitions.here()}:ecs:{region}:{ACCOUNT}:cluster/{cluster_in(machine.get('UserData') or '')}"
    if not (may(role, "ecs:DiscoverPollEndpoint") and may(role, "ecs:RegisterContainerInstance", cluster)):
        return False
    return problems.host_connects(world, region, machine)


def _gpus(name: str, image_id: str, region: str) -> tuple[int, int, str]:
    """How many GPUs the agent registers, the MiB of each, and their model: none without the GPU AMI.

    None either of a type with a part of a GPU, whose Count is 0: https://github.com/aws/amazon-ecs-agent/issues/4786
    """
    info = (instance_type(name) or {}).get("GpuInfo") or {}
    gpus = [gpu for gpu in info.get("Gpus", []) if gpu.get("Manufacturer") == "NVIDIA"]
    if not gpus or not gpus[0]["Count"] or ecs_image_kind(image_id, region) != "gpu":
        return 0, 0, ""
    memory = gpus[0].get("MemoryInfo", {}).get("SizeInMiB", 0)
    return int(gpus[0]["Count"]), int(memory * 15360 / 16384), f"NVIDIA {gpus[0]['Name']}"


def make_instance(world: World, region: str, cluster: Cluster, machine: Item) -> Instance:
    """What the agent reports of its machine."""
    name = machine["InstanceType"]
    details = instance_type(name) or {}
    count, gpu_memory, gpu_name = _gpus(name, machine["ImageId"], region)
    count = max(0, count - world.settings.lost_gpus)
    zone = machine["Placement"]["AvailabilityZone"]
    tags = {tag["Key"]: tag.get("Value", "") for tag in machine.get("Tags", [])}
    profile = (machine.get("IamInstanceProfile") or {}).get("Arn", "")
    identifier = new_id()
    arm = "arm64" in details.get("ProcessorInfo", {}).get("SupportedArchitectures", [])
    attributes = {
        **dict.fromkeys(CAPABILITIES, ""),
        "ecs.ami-id": machine["ImageId"],
        "ecs.availability-zone": zone,
        "ecs.instance-type": name,
        "ecs.os-type": "linux",
        "ecs.os-family": "LINUX",
        "ecs.cpu-architecture": "arm64" if arm else "x86_64",
        "ecs.vpc-id": machine.get("VpcId", ""),
        "ecs.subnet-id": machine.get("SubnetId", ""),
        **({"ecs.capability.gpu-sharing-mps": ""} if count else {}),
    }
    return Instance(
        arn=arn(region, "container-instance", cluster.name, identifier),
        ec2_id=machine["InstanceId"],
        type=name,
        zone=zone,
        subnet=machine.get("SubnetId", ""),
        group=tags.get("aws:autoscaling:groupName"),
        role=iam_roles.profile_role(world, profile) if profile else None,
        cpu=vcpus(name) * 1024,
        memory=registered_memory(name) - reserved_memory(machine.get("UserData") or ""),
        gpus=[
            f"GPU-{gpu[:8]}-{gpu[8:12]}-{gpu[12:16]}-{gpu[16:20]}-{gpu[20:]}"
            for gpu in (new_id() for _ in range(count))
        ],
        gpu_memory=gpu_memory,
        gpu_name=gpu_name,
        interfaces=int(details.get("NetworkInfo", {}).get("MaximumNetworkInterfaces", 3)) - 1,
        attributes=attributes,
        registered=world.timestamp(),
        tags=[],
        watched="amazon-cloudwatch-agent-ctl" in (machine.get("UserData") or ""),
        disk=user_data.disk(region, machine),
    )


def registered_memory(name: str) -> int:
    nominal = (instance_type(name) or {}).get("MemoryInfo", {}).get("SizeInMiB", 1024)
    return MEASURED_MEMORY.get(name, int(nominal * REGISTERED_MEMORY))


def reserved_memory(user_data: str) -> int:
    """MiB that ECS_RESERVED_MEMORY keeps from tasks."""
    found = re.findall(r"^[^#\n]*?\bECS_RESERVED_MEMORY\s*=\s*(\d+)", user_data.replace("\\n", "\n"), re.MULTILINE)
    return int(found[-1]) if found else 0


# ------------------------------------------------------------------------------------------------ the end of instances


def terminating(world: World, region_name: str, ec2_id: str) -> None:
    """An instance shuts down: its agent is silent from now on."""
    region = region_of(world, region_name)
    region.booting.pop(ec2_id, None)
    if found := registered(region, ec2_id):
        found[1].silent = not found[1].connected
        found[1].connected = False


def terminated(world: World, region_name: str, ec2_id: str) -> None:
    """Its tasks are gone with it; it is deregistered some time later, unless it had been stopped before."""
    region = region_of(world, region_name)
    region.booting.pop(ec2_id, None)
    found = registered(region, ec2_id)
    if found is None:
        return
    cluster, instance = found
    instance.connected = False
    for task in cluster.active_tasks():
        if task.instance is instance:
            life.host_gone(world, task, ec2_id)
    if not instance.silent:
        world.after(DEREGISTER, _gone, world, region_name, cluster, instance)


def _gone(world: World, region: str, cluster: Cluster, instance: Instance) -> None:
    if instance.id in cluster.instances:
        instance.status = "INACTIVE"
        del cluster.instances[instance.id]
    _provider_forgets(region_of(world, region), instance)


def _provider_forgets(region: Region, instance: Instance) -> None:
    for provider in region.providers.values():
        provider.empty_since.pop(instance.id, None)


def waits_at_hook(world: World, region_name: str, group: str, ec2_id: str) -> None:
    """Managed draining: a member waits for its end. ECS drains it, if a cluster's provider still answers for it."""
    region = region_of(world, region_name)
    found = registered(region, ec2_id)
    cluster = found[0] if found else None
    provider = _draining_provider(region, group, cluster)
    if provider is None:
        return
    if found is not None and found[1].status == "ACTIVE":
        drain(world, found[0], found[1])
    world.after(5, _finish_draining, world, region_name, group, ec2_id)


def _draining_provider(region: Region, group: str, cluster: Cluster | None) -> Provider | None:
    for provider in region.providers.values():
        used = any(provider.name in one.providers for one in region.clusters.values() if one.status == "ACTIVE")
        if provider.group == group and provider.status == "ACTIVE" and provider.draining == "ENABLED" and used:
            return provider
    return None


def _finish_draining(world: World, region_name: str, group: str, ec2_id: str) -> None:
    """Let the instance go when nothing runs on it any more. Tasks of RunTask are not stopped: it waits for them."""
    region = region_of(world, region_name)
    found = registered(region, ec2_id)
    if _draining_provider(region, group, found[0] if found else None) is None:
        return
    busy = found is not None and any(task.instance is found[1] for task in found[0].active_tasks())
    if not busy:
        _complete(world, region_name, group, ec2_id)
    else:
        world.state["ecs_draining"].setdefault(region_name, {})[ec2_id] = group


def _complete(world: World, region: str, group: str, ec2_id: str) -> None:
    world.state["ecs_draining"].get(region, {}).pop(ec2_id, None)
    if group in autoscaling_groups.groups(world, region):
        autoscaling_groups.complete_lifecycle(world, region, group, ec2_id)


def drain(world: World, cluster: Cluster, instance: Instance) -> None:
    """No new task comes to a DRAINING instance; what services have on it they replace, and nobody else's tasks stop."""
    instance.status = "DRAINING"
    instance.version += 1
    for task in cluster.active_tasks():
        if task.instance is instance and task.service and task.last in ("PROVISIONING", "PENDING"):
            life.stop(world, task, "ServiceSchedulerInitiated", "Task stopped because its instance is draining.")


def _task_changed(world: World, task: Task) -> None:
    """The last task has left a draining instance."""
    if task.last != "STOPPED" or task.instance is None:
        return
    waiting = world.state["ecs_draining"].get(task.region, {})
    if task.instance.ec2_id in waiting:
        _finish_draining(world, task.region, waiting[task.instance.ec2_id], task.instance.ec2_id)


# ------------------------------------------------------------------------------------------------ managed scaling


def tick(world: World) -> None:
    """Agents that try again, stopped machines, and once a minute managed scaling."""
    for name, region in world.state["ecs"].items():
        for ec2_id, due in list(region.booting.items()):
            if due <= world.now():
                _try(world, name, ec2_id)
        for due in region.booting.values():
            world.look_at(due)
        _watch_machines(world, name, region)
        waiting = any(cluster.waiting for cluster in region.clusters.values())
        due = region.last_scaling + world.clock.delay(EVALUATE)
        if region.providers and (due <= world.now()):
            region.last_scaling = world.now()
            evaluate(world, region)
        if region.providers:
            world.look_at(region.last_scaling + EVALUATE)
        if waiting and not world.clock.scale:
            for cluster in region.clusters.values():
                life.count_rounds(world, cluster)


def _watch_machines(world: World, name: str, region: Region) -> None:
    """A stopped machine's agent is disconnected; the container instance stays."""
    machines = ec2_region_of(world, name).instances
    for cluster in region.clusters.values():
        for instance in cluster.instances.values():
            machine = machines.get(instance.ec2_id)
            if machine is not None and machine["State"]["Name"] in ("stopping", "stopped"):
                instance.connected = False


def evaluate(world: World, region: Region) -> None:
    """One minute's look of managed scaling, provider by provider."""
    for cluster in region.clusters.values():
        for name in cluster.providers:
            provider = region.providers.get(name)
            if provider is None or provider.status != "ACTIVE" or name in FARGATE or name in cluster.joining:
                continue
            group = autoscaling_groups.groups(world, region.name).get(provider.group)
            if provider.scaling.get("status") == "ENABLED" and group is not None and group.status is None:
                _scale(world, region, cluster, provider, group)


def _scale(world: World, region: Region, cluster: Cluster, provider: Provider, group: Any) -> None:
    mine = tasks.candidates(world, region.name, cluster, provider.name)
    waiting = [task for task in cluster.waiting if task.provider == provider.name]
    busy = {id(task.instance) for task in cluster.active_tasks() if task.instance and not _daemon(cluster, task)}
    _protect(world, region.name, provider, group, mine, busy)
    if waiting:
        provider.empty_since.clear()
        staying = {member.instance_id for member in group.staying()}
        present = sum(instance.ec2_id in staying for instance in mine)  # one that ends is ECS's for some minutes more
        _scale_out(world, region, cluster, provider, group, waiting, present)
        return
    empty = [instance for instance in mine if id(instance) not in busy]
    for instance in mine:
        if id(instance) in busy:
            provider.empty_since.pop(instance.id, None)
        else:
            provider.empty_since.setdefault(instance.id, world.now())
    if world.clock.scale:
        _scale_in(world, region.name, provider, group, len(mine) - len(empty), empty)


def _daemon(cluster: Cluster, task: Task) -> bool:
    service = cluster.services.get(task.service or "")
    return service is not None and service.daemon


def _protect(world: World, region: str, provider: Provider, group: Any, mine: list[Instance], busy: set[int]) -> None:
    """Managed termination protection: instances with tasks are protected from scale-in."""
    if provider.protection != "ENABLED":
        return
    bare = [
        one.ec2_id
        for one in mine
        if id(one) in busy and one.ec2_id in group.instances and not group.instances[one.ec2_id].protected
    ]
    if bare:
        autoscaling_groups.set_protection(world, region, group.name, bare, True)


def _scale_out(
    world: World, region: Region, cluster: Cluster, provider: Provider, group: Any, waiting: list[Task], present: int
) -> None:
    """Ask for as many instances as the waiting tasks need, beside those that are only booting."""
    needed = _instances_for(world, region, cluster, provider, group, waiting)
    if needed and not present and not group.desired:
        needed = max(needed, FROM_NONE)
    target = math.ceil((present + needed) * 100 / (provider.scaling.get("targetCapacity") or 100))
    step = target - group.desired
    if step <= 0:
        return
    step = max(step, provider.scaling.get("minimumScalingStepSize", 1))
    step = min(step, provider.scaling.get("maximumScalingStepSize", 10_000))
    desired = min(group.desired + step, group.max_size)
    if desired > group.desired:
        autoscaling_groups.set_desired(world, region.name, group.name, desired)


def _instances_for(
    world: World, region: Region, cluster: Cluster, provider: Provider, group: Any, waiting: list[Task]
) -> int:
    """How many new instances the waiting tasks fill. One that fits on none still asks for one: it is bought in vain.

    Of several types it is the smallest that counts, by each of its sizes.
    """
    machine = _example(world, region.name, group)
    if machine is None:
        return len(waiting)
    bins: list[Instance] = []
    misfits = 0
    several = [{**machine, "InstanceType": kind} for kind in _types(group)]
    machine = min(several, key=_sizes, default=machine)
    for task in waiting:
        demand = demand_of(task.definition, task.overrides, task.constraints)
        if not all(_takes(make_instance(world, region.name, cluster, one), task, demand) for one in several):
            continue
        if not any(_takes(one, task, demand) for one in bins):
            fresh = make_instance(world, region.name, cluster, machine)
            if _takes(fresh, task, demand):
                bins.append(fresh)
            else:
                misfits = 1
    return len(bins) + misfits


def _types(group: Any) -> list[str]:
    """Its several types."""
    types = [one.get("InstanceType") for one in autoscaling_groups.choices(group)] if group.mixed else []
    return [one for one in types if one]


def _sizes(machine: Item) -> tuple[int, int]:
    kind = machine["InstanceType"]
    return vcpus(kind), int((instance_type(kind) or {})["MemoryInfo"]["SizeInMiB"])


def _takes(instance: Instance, task: Task, demand: Demand) -> bool:
    if not has_attributes(instance, demand) or lacking(instance, demand):
        return False
    if any(one["type"] == "distinctInstance" for one in demand.constraints) and instance.held:
        return False
    before, zone = task.instance, task.zone
    book(task, instance, demand)
    task.instance, task.zone = before, zone
    return True


def _example(world: World, region: str, group: Any) -> Item | None:
    """What the next instance of a group will be."""
    for member in group.instances.values():
        if machine := _machine(world, region, member.instance_id):
            return machine
    try:
        version = ec2_templates.resolve(world, region, autoscaling_groups.launch_template_of(group))
    except AwsError:
        return None
    data = version["LaunchTemplateData"]
    override = autoscaling_groups.choices(group)[0].get("InstanceType")
    return {
        "InstanceId": "",
        "InstanceType": override or data.get("InstanceType", ""),
        "ImageId": ami_of(region, data.get("ImageId", "")),
        "Placement": {"AvailabilityZone": group.zones[0] if group.zones else ""},
    }


def _scale_in(world: World, region: str, provider: Provider, group: Any, busy: int, empty: list[Instance]) -> None:
    """After 15 minutes with more instances than tasks need, the empty ones go: it counts those that there are.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/managed-termination-protection.html
    """
    target = math.ceil(busy * 100 / (provider.scaling.get("targetCapacity") or 100))
    idle = [one for one in empty if round(world.now() - provider.empty_since[one.id]) >= IDLE]
    present = max(group.desired, len(group.staying()))  # more than are desired where protection held them
    surplus = min(len(idle), present - max(target, group.min_size))
    if surplus <= 0:
        return
    leaving = [one.ec2_id for one in idle[:surplus] if one.ec2_id in group.instances]
    if provider.protection == "ENABLED" and leaving:
        autoscaling_groups.set_protection(world, region, group.name, leaving, False)
    autoscaling_groups.set_desired(world, region, group.name, min(group.desired, present - surplus))


def start(world: World) -> None:
    world.tickers.append(tick)


rules.STARTERS.append(start)
ec2_instances.RUNNING.append(running)
ec2_instances.TERMINATING.append(terminating)
ec2_instances.TERMINATED.append(terminated)
autoscaling_groups.WAITING.append(waits_at_hook)
life.CHANGED.append(_task_changed)
