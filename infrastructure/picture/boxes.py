"""What is drawn: each thing that stands as a box in the one in which it is, the same order at each run.

A thing that is only a name in AWS's index of tags is a line of the box at the end. What ended minutes ago may still be there.
"""

from typing import Any

import aws
import constants
from aws import Problem, tags_of
from infrastructure.cluster import (
    auto_scaling_group,
    cluster,
    container_instances,
    costs,
    file_system,
    load_balancer,
    mount_targets,
    network,
    prices,
    roles,
    tag_index,
)
from infrastructure.delivery import build_project, pipeline
from infrastructure.picture import seen
from infrastructure.picture.layout import Box, Square
from infrastructure.service import deadlines, diagnosis, listener_rule, service, task_roles, tasks
from infrastructure.weights import copies, schedule, sync

#: kinds of ARNs that are drawn as they are seen now, not by the index of tags; or that go with what they belong to
SEEN = (
    *("cluster", "service", "task", "container-instance", "loadbalancer", "listener", "listener-rule", "targetgroup"),
    *("file-system", "schedule-group"),
)
#: the same, in EC2
SEEN_IN_EC2 = ("instance", "volume", "network-interface", "vpc", "subnet", "natgateway", "spot-instances-request")
#: how the ARN of a thing spells what it is -> how a person calls it
NAMES = {
    "logs": "log group",
    "s3": "bucket",
    "ssm": "SSM parameter",
    "codepipeline": "pipeline",
    "acm": "certificate",
    "ecr": "ECR repository",
    "scheduler": "schedule group",
    "application-autoscaling": "scaling of",
    "elastic-ip": "Elastic IP",
    "vpc-endpoint": "endpoint of S3",
    "project": "build project",
}
DELIVERY = ("codepipeline", "codebuild", "ecr", "codeconnections", "codestar-connections", "s3")
#: how a target is that is no sign of anything wrong
WELL = ("healthy", "initial", "draining", "unused")


def picture(at: str) -> Box:
    """All of it; `at`: when it was looked at."""
    inside = Box("column", children=[vpc(), beside()], shares=(66, 34))
    region = Box("region", f"Region {aws.region()}", children=[inside])
    whole = Box("picture", f"ECS cluster {constants.CLUSTER_NAME}", lines=[whose(at)], children=[region])
    found = [each for each in whole.every() if each.wrong]
    rest = also(whole)
    region.children += [rest] if rest.children else []
    if found:
        told = [f"{each.title}: {each.wrong}" for each in found]
        whole.children.insert(0, Box("alarm", f"What is wrong: {len(found)}", wrong="\n".join(told)))
    return whole


def whose(at: str) -> str:
    rows = seen.rows()
    currency = costs.currency_of(rows) if rows else ""
    known = all(row.price() for row in rows)
    least = "" if known else "at least "
    cost = f"{least}{prices.money(costs.total(rows), currency)} an hour now" if currency else ""
    nothing = "" if rows else "nothing that costs by the hour"
    return " · ".join(filter(None, [f"account {aws.account()}", f"seen {at}", cost or nothing]))


def price(rows: costs.Rows) -> str:
    """An hour of these."""
    currencies = {found.currency for row in rows if (found := row.price())}
    if not rows or len(currencies) != 1:
        return "" if not rows else "price not known"
    least = "" if all(row.price() for row in rows) else "at least "
    return f"{least}{prices.money(costs.total(rows), *currencies)} an hour"


def title(*parts: str) -> str:
    return " · ".join(filter(None, parts))


# --- the network, and what is in it


def vpc() -> Box:
    """With its zones beside each other; the load balancer above them."""
    [found] = [] if constants.VPC_ID else network.vpcs() or [{"VpcId": "", "CidrBlock": ""}]
    its_id, block = (
        (constants.VPC_ID, "not made by this runbook") if constants.VPC_ID else (found["VpcId"], found["CidrBlock"])
    )
    zones = sorted({each["AvailabilityZone"] for each in seen.subnets()})
    across = Box("row", children=[zone(each) for each in zones], least=270)
    its_arn = aws.arn("ec2", f"vpc/{its_id}") if its_id else ""
    return Box("vpc", title("VPC", its_id, block), its_arn, children=[*balancer(), across, *without_subnet()])


def zone(name: str) -> Box:
    def order(each: Any) -> tuple[bool, str, str]:
        return not each.get("MapPublicIpOnLaunch"), each["CidrBlock"], each["SubnetId"]

    found = sorted((each for each in seen.subnets() if each["AvailabilityZone"] == name), key=order)
    return Box("zone", f"Availability Zone {name}", children=[subnet(each) for each in found])


def subnet(each: Any) -> Box:
    """NAT gateways, mount targets, hosts, and tasks that have an address of their own."""
    its_id, kind = each["SubnetId"], "public" if each.get("MapPublicIpOnLaunch") else "private"
    gateways = [gateway(one) for one in seen.gateways() if one["SubnetId"] == its_id]
    targets = [mount_target(one) for one in mount_targets.all_targets() if one["SubnetId"] == its_id]
    hosts = [host(one) for one in seen.our_instances() if one.get("SubnetId") == its_id]
    own = [
        task(one) for one in seen.standing_tasks() if subnet_of(one) == its_id and not one.get("containerInstanceArn")
    ]
    bad = "" if each["State"] == "available" else f"its state is {each['State']}"
    things = Box("row", children=[*gateways, *targets], least=0)
    running = [Box("row", children=own, least=200)] if own else []
    children = [*([things] if things.children else []), *hosts, *running]
    told = title(f"{kind} subnet {each['CidrBlock']}", its_id)
    return Box(kind, told, aws.arn("ec2", f"subnet/{its_id}"), wrong=bad, children=children)


def subnet_of(task: Any) -> str:
    details = [detail for each in task.get("attachments", []) for detail in each.get("details", [])]
    return next((each["value"] for each in details if each["name"] == "subnetId"), "")


def gateway(each: Any) -> Box:
    its_id, state = each["NatGatewayId"], each["State"]
    bad = f"{state}: {each.get('FailureMessage', '')}" if state == "failed" else ""
    cost = price(seen.gateway_rows(each)) if state != "failed" else ""
    return Box(
        "thing", title(f"NAT gateway {its_id}", state), aws.arn("ec2", f"natgateway/{its_id}"), price=cost, wrong=bad
    )


def mount_target(each: Any) -> Box:
    its_id, state = each["MountTargetId"], each["LifeCycleState"]
    bad = "its state is error" if state == "error" else ""
    what = title(f"mount target {its_id}", f"of {each['FileSystemId']}", each.get("IpAddress", ""), state)
    return Box("item", what, f"mount target {its_id}", wrong=bad)


def host(instance: Any) -> Box:
    """With its GPUs, and the tasks on it."""
    its_id, known = instance["InstanceId"], seen.hosts().get(instance["InstanceId"])
    bastion = aws.part(instance) == "bastion"
    on_it = [
        each
        for each in seen.standing_tasks()
        if known and each.get("containerInstanceArn") == known["containerInstanceArn"]
    ]
    there = container_instances.gpus(known) if known else []
    chips = [Box("row", children=[task(each, there) for each in on_it], least=200)] if on_it else []
    spot = "Spot" if instance.get("InstanceLifecycle") == "spot" else ""
    name = title(f"{'bastion' if bastion else 'host'} {instance['InstanceType']}", its_id, spot)
    squares = [gpu(each, known, on_it) for each in there] if known else []
    lines = ["" if bastion else state_of_host(instance, known, squares)]
    cost, bad = price(seen.host_rows(instance)), "" if bastion else wrong_with_host(instance, known)
    return Box("host", name, aws.arn("ec2", f"instance/{its_id}"), lines, cost, bad, squares, chips)


def state_of_host(instance: Any, known: Any, squares: list[Square]) -> str:
    if not known:
        return f"{instance['State']['Name']}, has not joined the cluster"
    count = {state: [each.state for each in squares].count(state) for state in ("used", "shared", "free")}
    gpus = ", ".join(f"{number} {state}" for state, number in count.items() if number)
    left = {each["name"]: each.get("integerValue", 0) for each in known["remainingResources"]}
    free = f"free: {left.get('CPU', 0) / 1024:.3g} vCPU, {left.get('MEMORY', 0) / 1024:.3g} GiB"
    return title(known["status"], free, f"GPUs: {gpus}" if gpus else "")


def wrong_with_host(instance: Any, known: Any) -> str:
    """An agent that is not there, or GPUs that are broken; a new host has some minutes for that."""
    age = aws.this_minute().timestamp() - instance["LaunchTime"].timestamp()
    if not known:
        return "" if age < auto_scaling_group.BOOT_SECONDS else seen.why_no_host()
    if not known["agentConnected"]:
        return "its ECS agent is not connected: no task starts on it"
    if known.get("healthStatus", {}).get("overallStatus") == "IMPAIRED":
        return "ECS calls it IMPAIRED: terminate it, the Auto Scaling group brings another"
    return ""


def gpu(its_id: str, known: Any, on_it: list[Any]) -> Square:
    """Used by one task, shared by some, or free."""
    device = next(
        (each for each in container_instances.gpu_devices(known) if each.get("id", each.get("gpuId")) == its_id), {}
    )
    holders = [tasks.task_id(each["taskArn"])[:8] for each in on_it if its_id in gpus_of(each)]
    shared = device.get("sharingMode") == "NVIDIA_MPS"
    used = holders or its_id not in container_instances.gpus(known, "remainingResources")
    state = "shared" if shared else "used" if used else "free"
    return Square(state, title(its_id, state, " ".join(holders)))


def gpus_of(task: Any) -> list[str]:
    return [each for container in task.get("containers", []) for each in container.get("gpuIds", [])]


def task(each: Any, there: list[str] | None = None) -> Box:
    """`there`: the GPUs of its host."""
    own = [str(number) for number, gpu_id in enumerate(there or []) if gpu_id in gpus_of(each)]
    ends = [one.at for one in deadlines.listed() if one.what == f"stop-{tasks.task_id(each['taskArn'])}"]
    until = f"until {min(ends):%H:%M}Z" if ends else ""
    name = each.get("group", "").partition(":")[2] or tasks.revision(each)
    told = title(f"{name} {tasks.task_id(each['taskArn'])[:8]}", f"GPU {','.join(own)}" if own else "", until)
    runs = each["lastStatus"] == "RUNNING" and each["desiredStatus"] != "STOPPED"
    bad = "its health check fails" if each.get("healthStatus") == "UNHEALTHY" else ""
    lines, waits = [], ""
    if not runs:
        lines = [each["lastStatus"] if each["desiredStatus"] != "STOPPED" else f"{each['lastStatus']}, is stopping"]
        waits = seen.reasons()[seen.alike(each)]
    if each["lastStatus"] == "PROVISIONING" and diagnosis.on_host(each):
        bad = waits
    elif waits:
        lines.append(waits)
    return Box("task" if runs else "waiting", told, each["taskArn"], lines, price(seen.task_rows(each)), bad)


def without_subnet() -> list[Box]:
    """Security groups, route tables, the internet gateway and the like."""
    found = [
        Box("item", f"{name_of(kind)} {its_id}{named(its_id)}", aws.arn("ec2", f"{kind}/{its_id}"))
        for kind, its_id in seen.in_ec2()
        if kind not in (*SEEN_IN_EC2, "launch-template")
    ]
    ordered = sorted(found, key=lambda each: (each.title.split(" ")[0], each.title.partition(" (")[2], each.title))
    return [Box("area", "also in the VPC", children=ordered, least=380)] if found else []


def named(its_id: str) -> str:
    """The Name that it bears, by the index of tags."""
    found = [each.tags.get("Name", "") for each in tag_index.tagged() if each.arn.endswith(f"/{its_id}")]
    return f" ({found[0]})" if found and found[0] else ""


# --- the load balancer


def balancer() -> list[Box]:
    """With the target groups, and of each the host names and paths that lead there."""
    found = load_balancer.standing() if seen.has_balancer() else None
    if not found:
        return []
    ports = [
        f"{each['Protocol']} {each['Port']}{' redirects' if each['DefaultActions'][0]['Type'] == 'redirect' else ''}"
        for each in sorted(load_balancer.all_listeners(), key=lambda each: int(each["Port"]))
    ]
    state = found["State"]
    bad = "" if state["Code"] in ("active", "provisioning") else f"{state['Code']}: {state.get('Reason', '')}"
    lines = [title(found["Scheme"], state["Code"], *ports), found["DNSName"]]
    cost = price(seen.balancer_rows())
    groups = Box("row", children=[target_group(each) for each in seen.target_groups()], least=380)
    dns = (
        [
            Box("item", what, f"arn:{aws.partition()}:route53:::hostedzone/{zone}/{what}")
            for zone, what in sorted(seen.records.seen[0])
        ]
        if seen.records.remembers()
        else []
    )
    name = f"Application Load Balancer {found['LoadBalancerName']}"
    return [Box("balancer", name, found["LoadBalancerArn"], lines, cost, bad, children=[*dns, groups])]


def target_group(group: Any) -> Box:
    arn = group["TargetGroupArn"]
    targets = seen.health()[arn]
    states = [each["TargetHealth"]["State"] for each in targets]
    told = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states))) or "no targets"
    bad = [
        f"{each['Target']['Id']}:{each['Target'].get('Port', '')} is {each['TargetHealth']['State']}: {each['TargetHealth'].get('Description', '')}"
        for each in targets
        if each["TargetHealth"]["State"] not in WELL
    ]
    leading = [
        Box("item", f"rule {listener_rule.leads_from(rule)}{share(rule, arn)}", rule["RuleArn"])
        for rule in seen.rules()
        if leads_first(rule) == arn
    ]
    lines = [title(f"{group.get('Protocol', '')} {group.get('Port', '')}", f"targets: {told}")]
    return Box(
        "group", f"target group {group['TargetGroupName']}", arn, lines, wrong="\n".join(sorted(bad)), children=leading
    )


def forwards(rule: Any) -> list[Any]:
    action = next((each for each in rule["Actions"] if each["Type"] == "forward"), {})
    return list(action.get("ForwardConfig", {}).get("TargetGroups", [])) or (
        [{"TargetGroupArn": action["TargetGroupArn"]}] if "TargetGroupArn" in action else []
    )


def leads_first(rule: Any) -> str:
    """The target group in whose box it is drawn."""
    return next((str(each["TargetGroupArn"]) for each in forwards(rule)), "")


def share(rule: Any, arn: str) -> str:
    """The part of its requests that goes here, where others have the rest."""
    weights = {each["TargetGroupArn"]: each.get("Weight", 1) for each in forwards(rule)}
    whole = sum(weights.values())
    return f", {100 * weights.get(arn, 0) / whole:.0f} %" if len(weights) > 1 and whole else ""


# --- beside the network


def beside() -> Box:
    found = [ecs(), *ending(), *storage(), *listed("Delivery, and buckets", DELIVERY)]
    return Box("column", children=found)


def ecs() -> Box:
    found = cluster.describe()
    lines = [
        title(found["status"], f"{found['runningTasksCount']} tasks run, {found['pendingTasksCount']} are pending")
    ]
    bad = "" if found["status"] in ("ACTIVE", "PROVISIONING") else f"its status is {found['status']}"
    services = [of_service(each) for each in sorted(service.services(), key=lambda each: str(each["serviceName"]))]
    lost = [task(each) for each in seen.standing_tasks() if not is_placed(each)]
    ended = [failed(each) for each in seen.failures()]
    groups = [hosts_group(each) for each in ("hosts", "bastion") if seen.on_hosts() and auto_scaling_group.find(each)]
    return Box(
        "area",
        f"ECS cluster {constants.CLUSTER_NAME}",
        found["clusterArn"],
        lines,
        wrong=bad,
        children=[*groups, *services, *lost, *ended],
    )


def is_placed(each: Any) -> bool:
    places = {one["SubnetId"] for one in seen.subnets()}
    known = {
        one["containerInstanceArn"]
        for its_id, one in (seen.hosts() if seen.on_hosts() else {}).items()
        if its_id in {host["InstanceId"] for host in seen.our_instances() if host.get("SubnetId") in places}
    }
    return each["containerInstanceArn"] in known if each.get("containerInstanceArn") else subnet_of(each) in places


def hosts_group(each: str) -> Box:
    group: Any = auto_scaling_group.find(each)
    there = [host for host in group["Instances"] if host["LifecycleState"] != "Terminated"]
    sizes = f"{len(there)} there, {group['DesiredCapacity']} wanted, {group['MinSize']} to {group['MaxSize']}"
    lacks = each == "hosts" and group["DesiredCapacity"] > len(there)
    bad = seen.why_no_host() if lacks else ""
    return Box(
        "thing",
        f"Auto Scaling group {group['AutoScalingGroupName']}",
        group["AutoScalingGroupARN"],
        [title(sizes, group.get("Status", ""))],
        wrong=bad,
    )


def of_service(each: Any) -> Box:
    lines = [
        title(f"{each['runningCount']} of {each['desiredCount']} tasks run", tasks.task_id(each["taskDefinition"]))
    ]
    newest = each["deployments"][0] if each.get("deployments") else {}
    if newest.get("rolloutState") not in (None, "COMPLETED", "FAILED"):
        lines.append(f"deployment {newest['rolloutState']}")
    return Box(
        "thing", f"service {each['serviceName']}", each["serviceArn"], lines, wrong=wrong_with_service(each, newest)
    )


def wrong_with_service(each: Any, newest: Any) -> str:
    """Where tasks are lacking, the last event that tells why; those that have stopped are drawn with their reasons."""
    if newest.get("rolloutState") == "FAILED":
        return f"its deployment failed: {newest.get('rolloutStateReason', '')}"
    events = [event["message"] for event in each.get("events", [])[:1]]
    unable = [message for message in events if "unable to" in message or "unhealthy" in message]
    return unable[0] if unable and each["runningCount"] < each["desiredCount"] else ""


def failed(each: Any) -> Box:
    name = each.get("group", "").partition(":")[2] or tasks.revision(each)
    return Box(
        "waiting",
        f"{name} {tasks.task_id(each['taskArn'])[:8]} · STOPPED",
        each["taskArn"],
        wrong=seen.reasons()[seen.alike(each)],
    )


def ending() -> list[Box]:
    """Deadlines but the tasks' own, which stand at each of these."""
    found = sorted((each for each in deadlines.listed() if each.kind != "stop"), key=lambda each: (each.at, each.name))
    if not deadlines.listed():
        return []
    lines = [f"{each.at:%Y-%m-%d %H:%M} UTC: {ends(each)}" for each in found] or ["each task has its own"]
    return [Box("area", "Deadlines", aws.arn("scheduler", f"schedule-group/{deadlines.its_name()}"), lines)]


def ends(each: deadlines.Listed) -> str:
    what = each.what.partition("-")[2]
    return {
        "hosts": "all hosts end",
        "guard": "all hosts end, if no one ends them before",
        "limits": f"scaling of {what} ends",
        "service": f"service {what} ends",
    }.get(each.kind, what)


def storage() -> list[Box]:
    """File systems, ours or the adopted one, and the access points."""
    used = [each for each in file_system.all_systems() if each["FileSystemId"] in file_system.ids()]
    points = listed("", ("elasticfilesystem",))
    boxes = [
        system(each) for each in sorted(used, key=lambda each: (tags_of(each).get("Name", ""), each["FileSystemId"]))
    ]
    boxes += points[0].children if points else []
    return [Box("area", "EFS", children=boxes)] if boxes else []


def system(each: Any) -> Box:
    state = each["LifeCycleState"]
    own = [one for one in mount_targets.all_targets() if one["FileSystemId"] == each["FileSystemId"]]
    lines = [title(f"{each['SizeInBytes']['Value'] / 2**30:.2f} GiB", f"mount targets in {len(own)} subnets", state)]
    bad = (
        "its state is error"
        if state == "error"
        else "no subnet has a mount target of it"
        if not own and state == "available"
        else ""
    )
    name = tags_of(each).get("Name", "")
    return Box("thing", title(f"file system {each['FileSystemId']}", name), each["FileSystemArn"], lines, wrong=bad)


# --- what has only a name


def service_of(arn: str) -> str:
    return arn.split(":")[2]


def kind_of(arn: str) -> str:
    return arn.split(":", 5)[5].replace(":", "/").partition("/")[0]


def name_of(kind: str) -> str:
    return NAMES.get(kind, kind.replace("-", " "))


def line_of(arn: str, its_name: str = "") -> Box:
    """log group /ecs/gpu, role gpu-host-us-east-1."""
    kind, rest = kind_of(arn), arn.split(":", 5)[5]
    what = NAMES.get(service_of(arn)) or name_of(kind)
    own = rest.removeprefix(kind).lstrip(":/") or rest
    return Box("item", " ".join(filter(None, [what, own, its_name and its_name != own and f"({its_name})"])), arn)


def index() -> list[Box]:
    """What bears our tag, and is not seen in another way: sorted by what it is, then by its name."""
    found = [
        each for each in tag_index.tagged() if service_of(each.arn) != "ec2" or kind_of(each.arn) == "launch-template"
    ]
    kept = sorted(
        (line_of(each.arn, each.tags.get("Name", "")) for each in found if kind_of(each.arn) not in SEEN), key=order_of
    )
    return [*kept, *map(line_of, role_arns())]


def order_of(each: Box) -> tuple[str, str, str]:
    return service_of(each.arn), each.title.partition(" (")[2], each.title


def role_arns() -> list[str]:
    """Those that have the names of ours: of the cluster, and of each endpoint that the index knows."""
    found, arns = seen.role_arns(), []
    endpoints = sorted({each.tags.get(constants.ENDPOINT_TAG, "") for each in tag_index.tagged()} | {""})
    suffixes = [*task_roles.SUFFIXES, *(part.ROLE for part in (build_project, pipeline, sync, schedule, copies))]
    for suffix in roles.OF_CLUSTER:
        arns.append(found.get(f"{aws.name(suffix)}-{aws.region()}", ""))
    for endpoint in endpoints:
        prefix = aws.name(endpoint) if endpoint else constants.CLUSTER_NAME
        arns += [found.get(f"{prefix}-{suffix}-{aws.region()}", "") for suffix in suffixes]
    profiles = sorted({*seen.profiles_of_hosts()})
    if seen.on_hosts() and not profiles and (own := roles.instance_profile("host")()):
        profiles = [own["Arn"]]
    return [*filter(None, arns), *profiles]


def listed(name: str, services: tuple[str, ...]) -> list[Box]:
    found = [each for each in index() if service_of(each.arn) in services]
    return [Box("area", name, children=found)] if found else []


def also(drawn: Box) -> Box:
    """What is not drawn elsewhere."""
    known = {each.arn for each in drawn.every()}
    rest = [each for each in index() if each.arn not in known]
    return Box(
        "area", "also there", lines=["by AWS's index of tags, which is a minute or two late"], children=rest, least=430
    )


def required() -> None:
    found = cluster.describe()
    if not found or found["status"] == "INACTIVE":
        raise Problem(cluster.missing())
