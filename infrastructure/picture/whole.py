"""The whole picture: the network, beside it what is not in it, and above all what is wrong. The same order at each run."""

from typing import Any

import aws
import constants
from aws import Problem
from console import how_many
from infrastructure.cluster import auto_scaling_group, cluster, costs, file_system, mount_targets, pause
from infrastructure.picture import in_vpc, named, seen, words
from infrastructure.picture.layout import Box
from infrastructure.service import deadlines, service, tasks

DELIVERY = ("codepipeline", "codebuild", "ecr", "codeconnections", "codestar-connections", "s3")
#: of one line of the list at the end
LINE = 430


def picture(at: str) -> Box:
    """`at`: when it was looked at."""
    inside = Box("column", children=[in_vpc.vpc(), beside()], shares=(66, 34))
    region = Box("region", f"Region {aws.region()}", children=[inside])
    whole = Box("picture", f"ECS cluster {constants.CLUSTER_NAME}", lines=[whose(at)], children=[region])
    known = {each.arn for each in whole.every()}
    rest = [each for each in named.others() if each.arn not in known]
    late = "by AWS's index of tags, which is a minute or two late"
    region.children += [Box("area", "also there", lines=[late], children=rest, least=LINE)] if rest else []
    whole.children[:0] = alarm([each for each in whole.every() if each.wrong])
    return whole


def alarm(wrong: list[Box]) -> list[Box]:
    """Each reason once."""
    titles: dict[str, list[str]] = {}
    for each in wrong:
        titles.setdefault(each.wrong, []).append(each.title)
    told = [f"{words.several(names)}: {why}" for why, names in titles.items()]
    return [Box("alarm", f"What is wrong: {len(wrong)}", wrong="\n".join(told))] if wrong else []


def whose(at: str) -> str:
    rows = seen.rows()
    if rows:
        costs.currency_of(rows)  # which tells why, where no price is known
    cost = words.price(rows, "nothing that costs by the hour")
    return words.line(f"account {aws.account()}", f"seen {at}", cost)


def required() -> None:
    found = cluster.describe()
    if not found or found["status"] == "INACTIVE":
        raise Problem(cluster.missing())


def beside() -> Box:
    delivery = named.others(*DELIVERY)
    listed = [Box("area", "Delivery and buckets", children=delivery)] if delivery else []
    return Box("column", children=[ecs(), *ends(), *storage(), *listed])


def ecs() -> Box:
    """The cluster with its Auto Scaling groups, its services, and the tasks that are nowhere."""
    found: Any = cluster.describe()
    lines = [
        words.line(found["status"], f"tasks: {found['runningTasksCount']} run, {found['pendingTasksCount']} pending")
    ]
    lines += [f"paused since {pause.since()}"] if pause.since() else []
    bad = "" if found["status"] in ("ACTIVE", "PROVISIONING") else f"its status is {found['status']}"
    groups = sorted(filter(aws.ours, auto_scaling_group.groups()), key=aws.part) if seen.has_instances() else []
    services = sorted(service.services(), key=lambda each: str(each["serviceName"]))
    lost = [each for each in seen.standing_tasks() if not is_placed(each)]
    children = [
        *map(hosts_group, groups),
        *map(of_service, services),
        *in_vpc.waiting(lost),
        *map(failed, seen.failures()),
    ]
    return Box(
        "area", f"ECS cluster {constants.CLUSTER_NAME}", found["clusterArn"], lines, wrong=bad, children=children
    )


def is_placed(task: Any) -> bool:
    """Whether it is drawn on a host, or in a subnet."""
    subnets = {each["SubnetId"] for each in seen.subnets()}
    drawn = [each["InstanceId"] for each in seen.our_instances() if each.get("SubnetId") in subnets]
    hosts = seen.hosts() if drawn else {}
    if task.get("containerInstanceArn"):
        return task["containerInstanceArn"] in {hosts[each]["containerInstanceArn"] for each in drawn if each in hosts}
    return seen.subnet_of(task) in subnets


def hosts_group(group: Any) -> Box:
    there = [host for host in group["Instances"] if host["LifecycleState"] != "Terminated"]
    sizes = f"hosts: {len(there)} of {group['DesiredCapacity']} wanted, {group['MinSize']} to {group['MaxSize']}"
    lacks = group["DesiredCapacity"] > len(there) and aws.part(group) != "bastion"
    arn, name = group["AutoScalingGroupARN"], f"Auto Scaling group {group['AutoScalingGroupName']}"
    bad = seen.why_no_host() if lacks else ""
    return Box("thing", name, arn, [words.line(sizes, group.get("Status", ""))], wrong=bad)


def of_service(each: Any) -> Box:
    newest: Any = next(iter(each.get("deployments", [])), {})
    rollout = newest.get("rolloutState", "COMPLETED")
    lines = [f"tasks: {each['runningCount']} of {each['desiredCount']} run {tasks.task_id(each['taskDefinition'])}"]
    lines += [f"deployment {rollout}"] if rollout == "IN_PROGRESS" else []
    name, bad = f"service {each['serviceName']}", wrong_with_service(each, newest)
    return Box("thing", name, each["serviceArn"], lines, wrong=bad)


def wrong_with_service(each: Any, newest: Any) -> str:
    """Of its deployment, or, where tasks are lacking, the last event that tells why; what has stopped has its own reason."""
    if newest.get("rolloutState") == "FAILED":
        return f"its deployment failed: {newest.get('rolloutStateReason', '')}"
    if failing := seen.failing_tasks(each):
        return f"of its deployment {how_many(failing, 'task')} failed so far"
    lacking = each["runningCount"] < each["desiredCount"]
    events = [event["message"] for event in each.get("events", [])[:5] if lacking]
    return next((text for text in events if "unable to" in text or "unhealthy" in text), "")


def failed(task: Any) -> Box:
    name = f"{seen.name_of_task(task)} {tasks.task_id(task['taskArn'])[:8]}: STOPPED"
    return Box("waiting", name, task["taskArn"], wrong=seen.reasons()[seen.alike(task)])


def ends() -> list[Box]:
    """Deadlines; a task's own stands at the task."""
    listed = sorted(seen.ends(), key=lambda each: (each.at, each.name))
    lines = [f"{each.at:%Y-%m-%d %H:%M} UTC  {what_ends(each)}" for each in listed if each.kind != "stop"]
    arn = aws.arn("scheduler", f"schedule-group/{deadlines.its_name()}")
    return [Box("area", "Deadlines", arn, lines or ["each task has its own"])] if listed else []


def what_ends(each: deadlines.Listed) -> str:
    its_name = each.what.partition("-")[2]
    told = {"limits": f"scaling of {its_name} ends", "service": f"service {its_name} ends"}
    return told.get(each.kind, "all hosts end")


def storage() -> list[Box]:
    """File systems, our own or the adopted one, and the access points."""
    used = [each for each in file_system.all_systems() if each["FileSystemId"] in file_system.ids()]
    systems = [system(each) for each in sorted(used, key=lambda each: (words.name_of(each), each["FileSystemId"]))]
    found = [*systems, *named.others("elasticfilesystem")]
    return [Box("area", "EFS", children=found)] if found else []


def system(each: Any) -> Box:
    """What it costs follows from what is stored: it has no price an hour."""
    its_id, state = each["FileSystemId"], each["LifeCycleState"]
    own = [one for one in mount_targets.all_targets() if one["FileSystemId"] == its_id]
    lines = [words.line(its_id, f"{each['SizeInBytes']['Value'] / 2**30:.2f} GiB", state)]
    bad = "its state is error" if state == "error" else ""
    if not own and state == "available":
        bad = "it has no mount target: no task can mount it"
    volume = words.name_of(each).removeprefix("file-system").strip("-")
    return Box("thing", f"file system {volume}".strip(), each["FileSystemArn"], lines, wrong=bad)
