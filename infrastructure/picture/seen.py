"""What is read for a picture: the parts' own looks, and AWS's two indexes of tags for what has no more than a name in it.

No kind is read of which neither a setting nor the index tells that there is one.
"""

from collections.abc import Callable
from typing import Any

import aws
import constants
from aws import Problem, call, client, every
from console import say
from infrastructure.cluster import (
    auto_scaling_group,
    cluster,
    container_instances,
    costs,
    file_system,
    hosted_zone,
    load_balancer,
    mount_targets,
    nat_gateways,
    network,
    prices,
    roles,
    tag_index,
)
from infrastructure.service import bill, deadlines, diagnosis, dns_record, listener_rule, service, tasks

#: as good as any number of tasks: more than run
MANY = 10**6


def at_best(what: str, read: Callable[[], list[Any]]) -> list[Any]:
    """Of what is no more than a name in the picture: where it may not be read, that is told, and it is left out."""
    try:
        found, why = aws.at_best(read)
    except Problem as problem:
        found, why = None, str(problem).partition("\n")[0]
    if found is None:
        say("warning", f"{what} are not in the picture:", why)
    return found or []


@aws.look
def ends() -> list[deadlines.Listed]:
    """The deadlines that stand."""
    return at_best("deadlines", deadlines.listed)


@aws.look
def in_ec2() -> list[tuple[str, str]]:
    """Kind and id of what bears our tag in EC2."""
    return sorted(tag_index.in_ec2())


@aws.look
def instances() -> list[Any]:
    """Hosts and the bastion that are not terminated, with their subnets and since when."""
    filters: Any = [*aws.tag_filters(), {"Name": "instance-state-name", "Values": auto_scaling_group.COSTING}]
    pages = client("ec2").get_paginator("describe_instances").paginate(Filters=filters)
    found = [host for each in every(pages, "Reservations") for host in each["Instances"]]
    return sorted(found, key=lambda host: (host["LaunchTime"], host["InstanceId"]))


@aws.look
def hosts() -> dict[str, Any]:
    """As ECS knows them, in any state, by the instance's id."""
    return {each.get("ec2InstanceId", ""): each for each in container_instances.describe("")}


@aws.look
def all_tasks() -> list[Any]:
    """Those that run, that are stopping, and that have stopped within the hour; the oldest first."""
    return sorted(tasks.all_of(), key=lambda each: (each["createdAt"], each["taskArn"]))


@aws.look
def role_arns() -> dict[str, str]:
    """Of all roles of the account, by name, a thousand in a call: IAM lists none by their tags."""
    pages = client("iam").get_paginator("list_roles").paginate(PaginationConfig={"PageSize": 1000})
    found = at_best("roles", lambda: every(pages, "Roles")) if constants.MAKES_ROLES else []
    return {each["RoleName"]: each["Arn"] for each in found}


@aws.look
def rules() -> list[Any]:
    """The listeners' rules but the default ones; none is looked for where a listener only redirects."""
    pages, read = client("elbv2").get_paginator("describe_rules"), call(every, gone="ListenerNotFound")
    serving = [each for each in load_balancer.all_listeners() if not redirects(each)]
    found = aws.side_by_side(lambda each: read(pages.paginate(ListenerArn=each["ListenerArn"]), "Rules") or [], serving)
    return [rule for rules in found for rule in rules if not rule["IsDefault"]]


def redirects(listener: Any) -> bool:
    """Whether it leads to another listener, and to no target."""
    return any(each["Type"] == "redirect" for each in listener["DefaultActions"])


@aws.look
def target_groups() -> list[Any]:
    """Those of our load balancer, by name."""
    balancer = load_balancer.standing()
    if not balancer:
        return []
    pages = client("elbv2").get_paginator("describe_target_groups")
    found = every(pages.paginate(LoadBalancerArn=balancer["LoadBalancerArn"]), "TargetGroups")
    return sorted(found, key=lambda each: str(each["TargetGroupName"]))


@aws.look
def health() -> dict[str, list[Any]]:
    """The targets of each group, with their states and AWS's reasons."""
    arns = [each["TargetGroupArn"] for each in target_groups()]
    read = call(client("elbv2").describe_target_health, gone="TargetGroupNotFound")
    answers = aws.side_by_side(lambda arn: read(TargetGroupArn=arn), arns)
    told = [answer["TargetHealthDescriptions"] if answer else [] for answer in answers]
    return dict(zip(arns, told, strict=True))


@aws.look
def records() -> list[tuple[str, str]]:
    """The zone's id and the words of each DNS record that leads to our load balancer."""
    return at_best("DNS records", read_records)


def read_records() -> list[tuple[str, str]]:
    names = {host.removeprefix("*.") for rule in rules() for host in listener_rule.hosts(rule)}
    names |= {name.removeprefix("*.") for name in [*constants.HOST_NAMES, *constants.CERTIFICATE_DOMAINS]}
    zones = {zone["Id"]: zone for name in sorted(names) if (zone := hosted_zone.find(name))}
    balancer: Any = load_balancer.standing()
    found = [(zone, each) for zone in zones.values() for each in hosted_zone.every_record(zone)]
    ours = [(zone, each) for zone, each in found if dns_record.target(each) == balancer["DNSName"].lower()]
    return [(hosted_zone.zone_id(zone), dns_record.in_words(each)) for zone, each in ours]


def alike(task: Any) -> tuple[str, ...]:
    """Tasks that wait for the same thing, of which one is asked about; one that has stopped has a reason of its own."""
    own = task["taskArn"] if task["lastStatus"] == "STOPPED" else ""
    return task["lastStatus"], task["desiredStatus"], task["taskDefinitionArn"], own


@aws.look
def reasons() -> dict[tuple[str, ...], str]:
    """Why those do not run that have not stopped, and those of `failures`."""
    these = {alike(each): each for each in [*standing_tasks(), *failures()] if each["lastStatus"] != "RUNNING"}
    these |= {alike(each): each for each in standing_tasks() if each["desiredStatus"] == "STOPPED"}
    return {key: diagnosis.why(each) for key, each in these.items()}


def failures() -> list[Any]:
    """Of what has none or too few tasks that run: the one that stopped last, where it did not end well."""
    running = [each.get("group", "") for each in standing_tasks() if each["lastStatus"] == "RUNNING"]
    services = {f"service:{each['serviceName']}": each for each in service.services()}
    wanted = {name: MANY if failing_tasks(each) else each["desiredCount"] for name, each in services.items()}
    last = {each.get("group", ""): each for each in all_tasks() if each["lastStatus"] == "STOPPED"}
    lacking = [each for group, each in last.items() if running.count(group) < wanted.get(group, is_run(group))]
    return [each for each in lacking if each.get("stopCode") != "UserInitiated" and not ended_well(each)]


def failing_tasks(each: Any) -> int:
    """How many tasks of a service's newest deployment have failed, while it goes on; AWS counts them from 0 when it is over."""
    newest: Any = next(iter(each.get("deployments", [])), {})
    return int(newest.get("failedTasks", 0)) if newest.get("rolloutState") != "COMPLETED" else 0


def is_run(group: str) -> bool:
    """Whether no service has it: a service that is gone wants no tasks."""
    return not group.startswith("service:")


def ended_well(task: Any) -> bool:
    codes = tasks.exit_codes(task)
    return bool(codes) and not any(codes.values())


def no_host_comes() -> bool:
    """Whether tasks that have no place wait in vain: there are as many hosts as may be, or the group gets none."""
    if any(is_new(each) and each["InstanceId"] not in hosts() for each in our_instances()):
        return False
    groups = [each for each in auto_scaling_group.groups() if aws.ours(each) and aws.part(each) != "bastion"]
    lacking = any(each["DesiredCapacity"] > len(each["Instances"]) for each in groups)
    return lacking or all(each["DesiredCapacity"] >= each["MaxSize"] for each in groups)


def is_new(instance: Any) -> bool:
    """Whether its agent has still time to join."""
    age = aws.this_minute().timestamp() - instance["LaunchTime"].timestamp()
    return bool(age < auto_scaling_group.BOOT_SECONDS)


@aws.look
def why_no_host() -> str:
    return auto_scaling_group.why_no_host()


def has_instances() -> bool:
    """Hosts, or a bastion, which a cluster on Fargate may have too."""
    return constants.LAUNCH_TYPE == "EC2" or bool(constants.BASTION_KEY_NAME) or indexed(":instance/")


def indexed(*words: str) -> bool:
    """Whether the index of tags shows one, by a piece of its ARN."""
    return any(word in each.arn for each in tag_index.tagged() for word in words)


def has_balancer() -> bool:
    return bool(constants.LISTENER_PROTOCOL) or indexed(":loadbalancer/")


def has_gateways() -> bool:
    return bool(costs.nat_gateways()) or indexed(":natgateway/")


def look() -> None:
    """All of it side by side, in three rounds: what is alone, what goes with that, and the prices."""
    of_hosts = (auto_scaling_group.groups, instances, hosts) if has_instances() else ()
    of_network = (network.named_subnets,) if constants.VPC_ID else (network.vpcs, network.subnets)
    first = (cluster.describe, tag_index.tagged, in_ec2, all_tasks, role_arns, file_system.all_systems)
    aws.look_at(*first, *of_network, *of_hosts, service.services, ends)
    balanced = (load_balancer.standing, load_balancer.all_listeners, rules, target_groups, health)
    second = [mount_targets.all_targets, newest_runs, *(balanced if has_balancer() else ())]
    second += [nat_gateways.all_gateways] if has_gateways() else []
    second += [roles.instance_profile("host")] if has_no_host() else []
    aws.look_at(*second)
    named = constants.HOST_NAMES or constants.CERTIFICATE_DOMAINS or any(map(listener_rule.hosts, balancer_rules()))
    aws.look_at(*costs.looks(rows()), *([records] if named and has_balancer() and load_balancer.standing() else []))


def balancer_rules() -> list[Any]:
    return rules() if has_balancer() else []


def profiles() -> list[str]:
    """Of the hosts and the bastion that there are; while there is no host, the one of its name."""
    found = {each["IamInstanceProfile"]["Arn"] for each in our_instances() if each.get("IamInstanceProfile")}
    own = roles.instance_profile("host")() if has_no_host() else None
    return sorted({*found, *([own["Arn"]] if own else [])})


def has_no_host() -> bool:
    """Though there may be some."""
    return constants.LAUNCH_TYPE == "EC2" and all(aws.part(each) == "bastion" for each in instances())


def known_records() -> list[tuple[str, str]]:
    return sorted(records()) if records.remembers() else []


@aws.look
def newest_runs() -> dict[str, Any]:
    """Of each pipeline that the index knows, by its ARN."""
    arns = sorted(each.arn for each in tag_index.tagged() if each.arn.split(":")[2] == "codepipeline")
    read = call(client("codepipeline").list_pipeline_executions, gone="PipelineNotFoundException") if arns else None
    answers = aws.side_by_side(lambda arn: read and read(pipelineName=arn.split(":")[5], maxResults=1), arns)
    found = [answer["pipelineExecutionSummaries"] if answer else [] for answer in answers]
    return {arn: runs[0] for arn, runs in zip(arns, found, strict=True) if runs}


def wrong_with(arn: str) -> str:
    """Of what has only a name: a pipeline whose newest run has failed."""
    status = newest_runs().get(arn, {}).get("status")
    return "its newest run failed: describe_pipeline.py tells where and why" if status == "Failed" else ""


def subnet_of(task: Any) -> str:
    """Of a task that has an address of its own."""
    details = [detail for each in task.get("attachments", []) for detail in each.get("details", [])]
    return next((str(each["value"]) for each in details if each["name"] == "subnetId"), "")


def gpus_of(task: Any) -> list[str]:
    return [each for container in task.get("containers", []) for each in container.get("gpuIds", [])]


def name_of_task(task: Any) -> str:
    """Its service, or its family."""
    return str(task.get("group", "")).partition(":")[2] or tasks.revision(task)


def our_instances() -> list[Any]:
    return instances() if has_instances() else []


def gateways() -> list[Any]:
    return nat_gateways.gateways(*nat_gateways.ALIVE, "deleting", "failed") if has_gateways() else []


def subnets() -> list[Any]:
    return network.named_subnets() if constants.VPC_ID else network.subnets()


def standing_tasks() -> list[Any]:
    return [each for each in all_tasks() if each["lastStatus"] != "STOPPED"]


# --- what each costs by the hour


def host_rows(instance: Any) -> costs.Rows:
    """With its disk and its public address."""
    spot, kind = instance.get("InstanceLifecycle") == "spot", instance["InstanceType"]
    zone = instance["Placement"]["AvailabilityZone"] if spot else ""
    bastion = aws.part(instance) == "bastion"
    return [costs.Row(kind, prices.host(kind), "1", 1, 1, spot, zone), *costs.of_host(bastion)]


def gateway_rows(gateway: Any) -> costs.Rows:
    if gateway["State"] == "failed":  # nothing goes through it; AWS takes it away within the hour
        return []
    things = [bill.Thing("", prices.ITEMS["NAT gateway"], 1, None), bill.address(gateway["CreateTime"])]
    return [each.row() for each in things]


def balancer_rows() -> costs.Rows:
    return [each.row() for each in bill.balancer(load_balancer.standing() if has_balancer() else None)]


def task_rows(task: Any) -> costs.Rows:
    """Of one on Fargate; what runs on a host is paid for with that."""
    return [each.row() for each in bill.fargate([task])] if task.get("launchType") == "FARGATE" else []


def rows() -> costs.Rows:
    """All of it."""
    of_hosts = [row for each in our_instances() for row in host_rows(each)]
    of_gateways = [row for each in gateways() for row in gateway_rows(each)]
    of_tasks = [row for each in standing_tasks() for row in task_rows(each)]
    return [*of_hosts, *of_gateways, *balancer_rows(), *of_tasks]
