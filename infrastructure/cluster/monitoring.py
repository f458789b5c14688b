"""What the hosts tell CloudWatch: memory, disk and GPU use, and their logs, by the CloudWatch agent.

The agent's configuration is kept in an SSM parameter, which each host reads at its boot; the log groups are made here,
so that they keep what the settings say and go with the cluster.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-Agent-Configuration-File-Details.html
"""

import json
from typing import Any

import constants
from aws import Problem, accepted, client, missing, ours, tags
from console import say

#: the name that the agent's own policy, CloudWatchAgentServerPolicy, lets a host read
PARAMETER = f"AmazonCloudWatch-{constants.CLUSTER_NAME}"
#: file on the host -> log group, and the form of its times
LOGS = {
    "/var/log/messages": ("messages", "%b %d %H:%M:%S"),
    "/var/log/dmesg": ("dmesg", ""),
    "/var/log/docker": ("docker", "%Y-%m-%dT%H:%M:%S.%f"),
    "/var/log/ecs/ecs-init.log": ("ecs-init", "%Y-%m-%dT%H:%M:%SZ"),
    "/var/log/ecs/ecs-agent.log": ("ecs-agent", "%Y-%m-%dT%H:%M:%SZ"),
    "/var/log/ecs/audit.log": ("audit", "%Y-%m-%dT%H:%M:%SZ"),
}
#: what a host runs at its first boot, after it was told its cluster
INSTALL = (
    "dnf install -y amazon-cloudwatch-agent rsyslog && systemctl enable --now rsyslog\n"
    "/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl "
    f"-a fetch-config -m ec2 -s -c ssm:{PARAMETER}\n"
)


def wanted() -> bool:
    return constants.HOST_MONITORING == "enabled" and constants.LAUNCH_TYPE == "EC2"


def create() -> None:
    """The parameter and the log groups, before the first host reads and writes them."""
    if not wanted():
        return
    for suffix, _ in LOGS.values():
        create_log_group(f"{constants.LOG_GROUP}/hosts/{suffix}")
    ssm = client("ssm")
    text = json.dumps(configuration(), sort_keys=True)
    found = missing(lambda: ssm.get_parameter(Name=PARAMETER)["Parameter"], "ParameterNotFound")
    if found and not is_ours():
        raise Problem(f"the SSM parameter {PARAMETER} exists already, and is not of this runbook")
    if not found:
        request = {"Name": PARAMETER, "Type": "String", "Value": text, "Tags": tags("monitoring")}
        made = accepted(lambda: ssm.put_parameter(**request), "ParameterAlreadyExists")
        return say("created" if made else "found", f"SSM parameter {PARAMETER}")
    if found["Value"] != text:
        ssm.put_parameter(Name=PARAMETER, Type="String", Value=text, Overwrite=True)
        return say("updated", f"SSM parameter {PARAMETER}", "hosts read it at their next boot")
    return say("found", f"SSM parameter {PARAMETER}")


def create_log_group(group: str) -> None:
    logs = client("logs")
    found = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    present = next((each for each in found if each["logGroupName"] == group), None)
    if not present:
        accepted(
            lambda: logs.create_log_group(logGroupName=group, tags=constants.TAGS), "ResourceAlreadyExistsException"
        )
        say("created", f"log group {group}")
    if not present or present.get("retentionInDays") != constants.LOG_RETENTION_DAYS:
        logs.put_retention_policy(logGroupName=group, retentionInDays=constants.LOG_RETENTION_DAYS)


def configuration() -> dict[str, Any]:
    """The agent's configuration: memory and disk, the GPUs where there are some, and the host's logs."""
    metrics: dict[str, Any] = {
        "mem": {"measurement": ["mem_used_percent"], "metrics_collection_interval": 60},
        "disk": {"measurement": ["used_percent"], "resources": ["/"], "metrics_collection_interval": 60},
    }
    if constants.GPU_COUNT:
        measured = ["utilization_gpu", "utilization_memory", "memory_used", "memory_total", "temperature_gpu"]
        metrics["nvidia_gpu"] = {"measurement": measured, "metrics_collection_interval": 60}
    files = []
    for path, (suffix, form) in LOGS.items():
        file = {
            "file_path": path,
            "log_group_name": f"{constants.LOG_GROUP}/hosts/{suffix}",
            "log_stream_name": "{instance_id}",
        }
        files.append({**file, "timestamp_format": form} if form else file)
    dimensions = {key: f"${{aws:{key}}}" for key in ("AutoScalingGroupName", "InstanceId", "InstanceType")}
    return {
        "logs": {"logs_collected": {"files": {"collect_list": files}}, "force_flush_interval": 5},
        "metrics": {"append_dimensions": dimensions, "metrics_collected": metrics},
    }


def is_ours() -> bool:
    request = {"ResourceType": "Parameter", "ResourceId": PARAMETER}
    found = missing(lambda: client("ssm").list_tags_for_resource(**request), "InvalidResourceId")
    return found is not None and ours(found["TagList"])


def delete() -> None:
    """Once the hosts are gone: one that still writes would make its log groups again."""
    if is_ours():
        accepted(lambda: client("ssm").delete_parameter(Name=PARAMETER), "ParameterNotFound")
        say("deleted", f"SSM parameter {PARAMETER}")
    for group in host_log_groups():
        accepted(lambda: client("logs").delete_log_group(logGroupName=group), "ResourceNotFoundException")
        say("deleted", f"log group {group}")


def host_log_groups() -> list[str]:
    names = [f"{constants.LOG_GROUP}/hosts/{suffix}" for suffix, _ in LOGS.values()]
    pages = (
        client("logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix=f"{constants.LOG_GROUP}/hosts/")
    )
    return [each["logGroupName"] for page in pages for each in page["logGroups"] if each["logGroupName"] in names]


def left_over() -> list[str]:
    return [f"log group {group}" for group in host_log_groups()] + ([f"SSM parameter {PARAMETER}"] if is_ours() else [])
