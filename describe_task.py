"""Describe one task: where it is, how to reach it, and if it does not run, why.

Without --task: the newest one that run_task.py started for this cluster, or for this ENDPOINT, of any family and revision;
one that runs before one that has stopped. Prints its revision, and who started it. --gpu needs what execute_command.py
needs for what nvidia-smi tells now, and HOST_MONITORING=enabled for the last hour; a GPU idle for long, and one that is
broken, are named.

    python describe_task.py                        next: python stop_task.py --all
    python describe_task.py --task ID
    python describe_task.py --gpu                  and what its GPUs do: now, and in the last hour
    curl "http://$(python describe_task.py | jq -r .publicIp):9090/"
"""

import sys
from typing import Any

import aws
import constants
from aws import Problem, client
from console import say
from infrastructure.cluster import cluster, container_instances
from infrastructure.service import deadlines, diagnosis, gpus, tasks


@aws.page(task=("ID", "the task's id or ARN"), gpu="what its GPUs do now, and did in the last hour")
def describe_task(task: str = "", gpu: bool = False) -> dict[str, Any]:
    reads = (
        cluster.required,
        lambda: pick(task),
        deadlines.look,
        *((hosts, our_instances) if behind_hosts() else ()),
    )
    _, found, *_ = aws.together(*reads)
    told = {
        "taskArn": found["taskArn"],
        "taskDefinition": tasks.revision(found),
        "startedBy": found.get("startedBy"),
        "lastStatus": found["lastStatus"],
        "desiredStatus": found["desiredStatus"],
        "healthStatus": found.get("healthStatus", "UNKNOWN"),
        "startedAt": found.get("startedAt"),
        "containers": [container(each) for each in found["containers"]],
        **addresses(found),
        **(deadlines.tell(found) if found["lastStatus"] != "STOPPED" else {}),
        **(gpus.describe(found) if gpu else {}),
    }
    if why := diagnosis.why(found):
        told["why"] = why
        say("warning", f"task {tasks.task_id(found['taskArn'])} is {found['lastStatus']}:", why)
    return told


def pick(task: str) -> Any:
    """The task asked for, or the newest of ours: one that lives before one that has stopped."""
    if task:
        found = tasks.describe([task])
        if not found:
            where = f"in cluster {constants.CLUSTER_NAME}"
            raise Problem(f"there is no task {task} {where}; AWS forgets a stopped one after an hour")
        return found[0]
    for status in ("RUNNING", "STOPPED"):
        found = tasks.find(status, startedBy=constants.STARTED_BY)
        if found:
            newest = max(found, key=lambda each: each["createdAt"])
            whose = f"of {tasks.revision(newest)}, the newest of {len(found)} that run_task.py started for {tasks.of_whom()}"
            say("found", f"task {tasks.task_id(newest['taskArn'])}", whose)
            return newest
    started = f"run_task.py has started no task for {tasks.of_whom()} within the last hour"
    raise Problem(f"{started}: {aws.command('run_task.py')}")


def behind_hosts() -> bool:
    """Whether tasks have their host's address: all is asked for at once then, and EC2 with the rest."""
    return constants.LAUNCH_TYPE == "EC2" and constants.NETWORK_MODE != "awsvpc"


@aws.look
def hosts() -> list[Any]:
    return container_instances.describe(status="")


def container(each: Any) -> dict[str, Any]:
    kept = ("name", "lastStatus", "exitCode", "reason", "image", "imageDigest", "gpuIds")
    checked = {"healthStatus": each["healthStatus"]} if each.get("healthStatus", "UNKNOWN") != "UNKNOWN" else {}
    return {key: each[key] for key in kept if key in each} | checked


def addresses(task: Any) -> dict[str, Any]:
    """An awsvpc task has a network interface of its own; in bridge and host mode the host's address and ports count."""
    interface = next((each for each in task.get("attachments", []) if each["type"] == "ElasticNetworkInterface"), None)
    if interface:
        details = {each["name"]: each["value"] for each in interface["details"]}
        return interface_addresses(task, details.get("networkInterfaceId", ""), details.get("privateIPv4Address"))
    if task.get("containerInstanceArn"):
        return host_addresses(task)
    return {"publicIp": None, "privateIp": None}


def interface_addresses(task: Any, interface_id: str, private_ip: str | None) -> dict[str, Any]:
    """The public address is the interface's association; ECS itself does not tell it. On a host of ours it has none.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-networking-awsvpc.html
    """
    public_ip = None
    if interface_id and not task.get("containerInstanceArn"):
        filters: Any = [{"Name": "network-interface-id", "Values": [interface_id]}]
        for found in client("ec2").describe_network_interfaces(Filters=filters)["NetworkInterfaces"]:
            public_ip = found.get("Association", {}).get("PublicIp")
    told = {"publicIp": public_ip, "privateIp": private_ip, "networkInterfaceId": interface_id or None}
    return told if public_ip else {**told, "note": "the address is private: reach it from inside the VPC"}


def host_addresses(task: Any) -> dict[str, Any]:
    """The host's addresses, and for each container port the port of the host behind which it is."""
    told: dict[str, Any] = {"publicIp": None, "privateIp": None, "ports": []}
    ids = [each["ec2InstanceId"] for each in hosts() if each["containerInstanceArn"] == task["containerInstanceArn"]]
    for instance in instances(ids):
        told["instanceId"] = instance["InstanceId"]
        told["publicIp"] = instance.get("PublicIpAddress")
        told["privateIp"] = instance.get("PrivateIpAddress")
    for each in task["containers"]:
        for binding in each.get("networkBindings", []):
            told["ports"].append({"containerPort": binding["containerPort"], "hostPort": binding["hostPort"]})
    return told


def instances(ids: list[str]) -> list[Any]:
    """Of our hosts, or of another's who has let his join the cluster."""
    found = [each for each in our_instances() if each["InstanceId"] in ids]
    return found or (described({"Name": "instance-id", "Values": ids}) if ids else [])


@aws.look
def our_instances() -> list[Any]:
    return described(*aws.tag_filters())


def described(*filters: Any) -> list[Any]:
    reservations = client("ec2").describe_instances(Filters=filters)["Reservations"]
    return [each for reservation in reservations for each in reservation["Instances"]]


if __name__ == "__main__":
    sys.exit(aws.main(describe_task, __doc__))
