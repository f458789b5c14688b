"""What the hosts tell CloudWatch: memory, disk and GPU use, and their logs, by the CloudWatch agent.

The agent's configuration is kept in an SSM parameter, which each host reads at its boot; the log groups are made here,
so that they keep what the settings say and go with the cluster. The parameter is free; metrics and logs cost.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-Agent-Configuration-File-Details.html
"""

import json
import shlex
from typing import Any

import aws
import constants
from aws import Resource, call, client, ours, refuse_foreign, resource, spare_foreign, tags
from console import say
from infrastructure.cluster import log_groups, parameters

#: file on the host -> log group, and the form of its times
LOGS = {
    "/var/log/messages": ("messages", "%b %d %H:%M:%S"),
    "/var/log/dmesg": ("dmesg", ""),
    "/var/log/docker": ("docker", "%Y-%m-%dT%H:%M:%S.%f"),
    "/var/log/ecs/ecs-init.log": ("ecs-init", "%Y-%m-%dT%H:%M:%SZ"),
    "/var/log/ecs/ecs-agent.log": ("ecs-agent", "%Y-%m-%dT%H:%M:%SZ"),
    "/var/log/ecs/audit.log": ("audit", "%Y-%m-%dT%H:%M:%SZ"),
}
#: how the logs go that are kept
UNDO = "delete_cluster.py deletes them"


def group_name(suffix: str) -> str:
    return f"{constants.LOG_GROUP}/hosts/{suffix}"


def wanted() -> bool:
    return constants.HOST_MONITORING == "enabled" and constants.LAUNCH_TYPE == "EC2"


def install() -> str:
    """What a host runs at its first boot, after it was told its cluster."""
    return (
        "dnf install -y amazon-cloudwatch-agent rsyslog && systemctl enable --now rsyslog\n"
        "/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl "
        f"-a fetch-config -m ec2 -s -c {shlex.quote(f'ssm:{parameters.agent()}')}\n"
    )


@aws.look
def parameter() -> Any | None:
    """With its tags, which AWS tells apart from it."""
    name = parameters.agent()
    found = its_tags() if name in parameters.values() else None
    if not found:
        return None
    return {"Name": name, "Value": parameters.values()[name], **found}


@aws.look
def its_tags() -> Any | None:
    """None where there is no such parameter."""
    if parameters.values.remembers() and parameters.agent() not in parameters.values():
        return None
    list_tags = call(client("ssm").list_tags_for_resource, gone="InvalidResourceId")
    found = list_tags(ResourceType="Parameter", ResourceId=parameters.agent())
    return {"TagList": found["TagList"]} if found else None


@aws.look
def groups_of_hosts() -> dict[str, Any]:
    """Those that stand, by name."""
    return log_groups.find_all(*(group_name(suffix) for suffix, _ in LOGS.values()))


LOOKS = (groups_of_hosts,)


def create() -> None:
    """The parameter and the log groups, before the first host reads and writes them.

    Not wanted any more the parameter goes; the log groups hold logs, and stay until delete_cluster.py.
    """
    if not wanted():
        for each in host_groups() if parameter() else []:
            say("kept", f"log group {each}", f"its logs cost, by what is stored; {UNDO}")
        delete_parameter()
        return
    log_groups.make(*(group_name(suffix) for suffix, _ in LOGS.values()))
    what, found = f"SSM parameter {parameters.agent()}", parameter()
    refuse_foreign(what, found)
    text = json.dumps(configuration(), sort_keys=True)
    if found and found["Value"] == text:
        say("found", what)
        return
    put = call(client("ssm").put_parameter, what, of=found or aws.NOTHING, there="ParameterAlreadyExists")
    request: Any = {"Overwrite": True} if found else {"Tags": tags("monitoring")}
    made = put(Name=parameters.agent(), Type="String", Value=text, **request)
    if found:
        say("updated", what, "hosts read it at their next boot")
    else:
        say("created" if made else "found", what)


def configuration() -> dict[str, Any]:
    """The agent's configuration: memory and disk, the GPUs where there are some, and the host's logs."""
    disks = ["/", *(["/var/lib/docker"] if constants.INSTANCE_STORE else [])]
    metrics: dict[str, Any] = {
        "mem": {"measurement": ["mem_used_percent"], "metrics_collection_interval": 60},
        "disk": {"measurement": ["used_percent"], "resources": disks, "metrics_collection_interval": 60},
    }
    if constants.GPU_COUNT:
        measured = ["utilization_gpu", "utilization_memory", "memory_used", "memory_total", "temperature_gpu"]
        metrics["nvidia_gpu"] = {"measurement": measured, "metrics_collection_interval": 60}
    files = []
    for path, (suffix, form) in LOGS.items():
        file = {"file_path": path, "log_group_name": group_name(suffix), "log_stream_name": "{instance_id}"}
        files.append({**file, "timestamp_format": form} if form else file)
    dimensions = {key: f"${{aws:{key}}}" for key in ("AutoScalingGroupName", "InstanceId", "InstanceType")}
    return {
        "logs": {"logs_collected": {"files": {"collect_list": files}}, "force_flush_interval": 5},
        "metrics": {"append_dimensions": dimensions, "metrics_collected": metrics},
    }


def delete() -> None:
    """Once the hosts are gone: one that still writes would make its log groups again."""
    delete_parameter()
    log_groups.remove(*host_groups())


def delete_parameter() -> None:
    what, found = f"SSM parameter {parameters.agent()}", its_tags()
    if found and not spare_foreign(what, found):
        call(client("ssm").delete_parameter, what, of=found, gone="ParameterNotFound")(Name=parameters.agent())
        say("deleted", what)


def host_groups() -> list[str]:
    """The names of those that stand."""
    return [*groups_of_hosts()]


def left_over() -> list[Resource]:
    found, arn = its_tags(), aws.arn("ssm", f"parameter/{parameters.agent()}")
    left = [resource(f"SSM parameter {parameters.agent()}", arn, found)] if found else []
    return [*log_groups.left_over(*host_groups()), *(each for each in left if ours(each.tags))]
