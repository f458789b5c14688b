"""The Auto Scaling group of the hosts: how many there are, why one does not come, and their replacement.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/what-is-amazon-ec2-auto-scaling.html
"""

from typing import Any

from botocore.exceptions import ClientError

import constants
from aws import Problem, accepted, client, code, insist, message, ours, tag_filters, tags, wait
from console import NEW, say
from infrastructure.cluster import container_instances, roles
from infrastructure.cluster.launch_template import HOSTS
from infrastructure.cluster.network import Network

ENDED_REFRESH = {"Successful", "Failed", "Cancelled", "RollbackSuccessful", "RollbackFailed"}


def create(network: Network) -> dict[str, Any]:
    """Make it, or bring its sizes and subnets into line. The desired size is ECS's business after that."""
    group = find()
    if group and not ours(group["Tags"]):
        raise Problem(
            f"the Auto Scaling group {HOSTS} exists already, and is not of this runbook: choose another CLUSTER_NAME"
        )
    if group and group.get("Status"):
        wait(f"the former Auto Scaling group {HOSTS} to be gone", lambda: not find(), in_words)
        group = None
    if not group:
        return _make(network)
    say("found", f"Auto Scaling group {HOSTS}")
    wanted = {"MinSize": constants.MIN_INSTANCES, "MaxSize": constants.MAX_INSTANCES}
    changes: dict[str, Any] = {key: value for key, value in wanted.items() if group[key] != value}
    if set(group["VPCZoneIdentifier"].split(",")) != set(network.subnet_ids):
        changes["VPCZoneIdentifier"] = ",".join(network.subnet_ids)
    if not group["NewInstancesProtectedFromScaleIn"]:
        changes["NewInstancesProtectedFromScaleIn"] = True
    if changes:
        desired = min(max(group["DesiredCapacity"], constants.MIN_INSTANCES), constants.MAX_INSTANCES)
        if desired != group["DesiredCapacity"]:
            changes["DesiredCapacity"] = desired
        insist(
            f"Auto Scaling group {HOSTS}",
            lambda: client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=HOSTS, **changes),
            "ResourceContention",
            "ScalingActivityInProgress",
        )
        say("updated", f"Auto Scaling group {HOSTS}", ", ".join(f"{key} {value}" for key, value in changes.items()))
    return group


def _make(network: Network) -> dict[str, Any]:
    """EC2 does not know a new instance profile for some seconds, and says so in one particular text."""
    propagated = [
        {"ResourceType": "auto-scaling-group", "ResourceId": HOSTS, "PropagateAtLaunch": True, **tag}
        for tag in tags("host")
    ]
    made = insist(
        f"Auto Scaling group {HOSTS} (a new instance profile takes some seconds)",
        lambda: accepted(
            lambda: client("autoscaling").create_auto_scaling_group(
                AutoScalingGroupName=HOSTS,
                LaunchTemplate={"LaunchTemplateName": HOSTS, "Version": "$Latest"},
                MinSize=constants.MIN_INSTANCES,
                MaxSize=constants.MAX_INSTANCES,
                DesiredCapacity=constants.MIN_INSTANCES,
                VPCZoneIdentifier=",".join(network.subnet_ids),
                NewInstancesProtectedFromScaleIn=True,
                Tags=propagated,
            ),
            "AlreadyExists",
        ),
        "Invalid IAM Instance Profile",
        f"template name {HOSTS}, does not exist",  # a new one is not seen at once either
        "ServiceLinkedRoleFailure",
        "ResourceContention",
        seconds=roles.PROPAGATION_SECONDS,
    )
    say(
        "created" if made else "found",
        f"Auto Scaling group {HOSTS}",
        f"{constants.MIN_INSTANCES} to {constants.MAX_INSTANCES} {constants.INSTANCE_TYPE}",
    )
    found = wait(f"Auto Scaling group {HOSTS}", find, lambda: "AWS does not list it")
    return found or {"AutoScalingGroupARN": NEW, "Instances": []}


def find() -> dict[str, Any] | None:
    found = client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[HOSTS])["AutoScalingGroups"]
    return found[0] if found else None  # a name is given once


def in_words() -> str:
    group = find()
    if not group:
        return "it is gone"
    hosts = ", ".join(f"{host['InstanceId']} is {host['LifecycleState']}" for host in group["Instances"])
    return f"{group.get('Status') or 'it is there'}; {hosts or 'no host is left in it'}"


def refresh() -> dict[str, Any]:
    """Replace the hosts whose launch template is not the latest, one at a time, and wait for it. Protected ones too.

    https://docs.aws.amazon.com/autoscaling/ec2/userguide/asg-instance-refresh.html
    """
    autoscaling = client("autoscaling")
    group = find() or {"Instances": []}
    count = len(group["Instances"])
    if not count:
        say("found", f"Auto Scaling group {HOSTS}", "no host to replace")
        return {"refreshId": None, "status": None}
    preferences = {
        "MinHealthyPercentage": 100 * (count - 1) // count,
        "SkipMatching": True,
        "ScaleInProtectedInstances": "Refresh",
    }
    accepted(
        lambda: autoscaling.start_instance_refresh(AutoScalingGroupName=HOSTS, Preferences=preferences),
        "InstanceRefreshInProgress",
    )
    say("started", f"instance refresh of {HOSTS}", f"{count} hosts, one at a time")

    def last() -> dict[str, Any]:
        found = autoscaling.describe_instance_refreshes(AutoScalingGroupName=HOSTS)["InstanceRefreshes"]
        return dict(found[0]) if found else {"Status": "unknown"}

    def in_words() -> str:
        seen = last()
        return f"{seen['Status']}, {seen.get('PercentageComplete', 0)} % {seen.get('StatusReason', '')}".strip()

    wait(f"instance refresh of {HOSTS}", lambda: last()["Status"] in ENDED_REFRESH, in_words)
    if last()["Status"] in ENDED_REFRESH - {"Successful"}:
        raise Problem(f"the instance refresh of {HOSTS} ended as {in_words()}")
    return {"refreshId": last().get("InstanceRefreshId"), "status": last()["Status"]}


def why_no_host() -> str:
    """What AWS knows of hosts that do not come: the group's last failed activity, or an agent that does not join."""
    group = find()
    if not group:
        return f"there is no Auto Scaling group {HOSTS}: run create_cluster.py"
    pages = client("autoscaling").describe_scaling_activities(AutoScalingGroupName=HOSTS, MaxRecords=5)["Activities"]
    if pages and pages[0]["StatusCode"] == "Failed":
        return f"the Auto Scaling group could not launch a host: {pages[0].get('StatusMessage', '')} {advice(pages[0])}".strip()
    silent = {host["InstanceId"]: host["LifecycleState"] for host in group["Instances"]}
    for host in container_instances.describe(status=""):
        if host["agentConnected"]:
            silent.pop(host["ec2InstanceId"], None)
    if not silent:
        sizes = f"{group['DesiredCapacity']} hosts of at most {group['MaxSize']}"
        return f"the Auto Scaling group {HOSTS} wants {sizes}, and has none that is starting"
    booting = [host for host, state in silent.items() if state.startswith("Pending")]
    if booting:
        return f"host {', '.join(booting)} is starting"
    return (
        f"host {', '.join(silent)} runs, but its ECS agent has not joined the cluster (a GPU host needs up to 5 minutes; "
        "then look at its way to the internet, its role, its user data, and /var/log/ecs/ecs-agent.log)"
        + "".join(f"; its console ends with: {line}" for line in console_end(min(silent)))
    )


def console_end(instance_id: str) -> list[str]:
    """The last line that a host wrote on its console, if AWS has it yet."""
    output = client("ec2").get_console_output(InstanceId=instance_id).get("Output") or ""
    return [line for line in output.strip().splitlines() if line.strip()][-1:]


def advice(activity: dict[str, Any]) -> str:
    """The setting to change, for the two reasons that users meet most."""
    text = activity.get("StatusMessage", "")
    if "vCPU" in text:
        return "Ask for a higher quota in the Service Quotas console."
    if "capacity" in text:
        return "Name other AVAILABILITY_ZONES, or another INSTANCE_TYPE."
    return ""


def empty() -> None:
    """Ask for the end of all hosts: sizes to 0, and no host protected from scale-in."""
    group = find()
    if not group or not ours(group["Tags"]) or group.get("Status"):
        return
    insist(
        f"Auto Scaling group {HOSTS}",
        lambda: client("autoscaling").update_auto_scaling_group(
            AutoScalingGroupName=HOSTS, MinSize=0, MaxSize=0, DesiredCapacity=0
        ),
        "ResourceContention",
        "ScalingActivityInProgress",
    )
    say("updated", f"Auto Scaling group {HOSTS}", "0 hosts wanted")
    unprotect(group)


def delete() -> None:
    """With ForceDelete, which drops what holds its hosts back; then until the last of them is terminated."""
    group = find()
    if group and not ours(group["Tags"]):
        return say("kept", f"Auto Scaling group {HOSTS}", "not of this runbook")
    if group and not group.get("Status"):
        insist(
            f"Auto Scaling group {HOSTS}",
            lambda: accepted(
                lambda: client("autoscaling").delete_auto_scaling_group(AutoScalingGroupName=HOSTS, ForceDelete=True),
                "ValidationError",
            ),
            "ScalingActivityInProgress",
            "ResourceInUse",
            "ResourceContention",
        )
    if group:
        wait(f"Auto Scaling group {HOSTS} to be gone", lambda: not find(), in_words)
        hosts = len(group["Instances"])
        say("deleted", f"Auto Scaling group {HOSTS}", f"with {hosts} hosts" if hosts else "")
    wait("hosts to be terminated", lambda: not instances(), lambda: f"{', '.join(instances())} still there")
    return None


def unprotect(group: dict[str, Any]) -> None:
    """ECS protects its hosts from scale-in and never takes that back; a protected host would stay, and cost, for ever.

    AWS refuses this for a host that is starting or leaving; ForceDelete ends that one too.
    """
    settled = [host for host in group["Instances"] if host["LifecycleState"] == "InService"]
    protected = [host["InstanceId"] for host in settled if host["ProtectedFromScaleIn"]]
    for start in range(0, len(protected), 50):
        try:
            client("autoscaling").set_instance_protection(
                AutoScalingGroupName=HOSTS, InstanceIds=protected[start : start + 50], ProtectedFromScaleIn=False
            )
        except ClientError as error:
            left = ("not part of Auto Scaling group", "not in InService")
            if code(error) != "ValidationError" or not any(text in message(error) for text in left):
                raise


def instances() -> list[str]:
    """Our hosts that are not terminated, and so still cost money or hold the network."""
    states = {"Name": "instance-state-name", "Values": ["pending", "running", "shutting-down", "stopping", "stopped"]}
    pages = client("ec2").get_paginator("describe_instances").paginate(Filters=[*tag_filters(), states])
    return [
        host["InstanceId"]
        for page in pages
        for reservation in page["Reservations"]
        for host in reservation["Instances"]
    ]


def left_over() -> list[str]:
    group = find()
    left = [f"instance {instance}" for instance in instances()]
    return left + ([f"Auto Scaling group {HOSTS}"] if group and ours(group["Tags"]) else [])
