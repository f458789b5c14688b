"""The minimal GPU cluster: what the template with its two groups of hosts builds, and what is built here.

python -m tests.examples.test_gpu_cluster     prints the table
"""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.conftest import ROOT, Runbook
from tests.examples import originals

RUN = ("create_cluster.py", "register_task_definition.py", "run_task.py")
#: the CPU hosts of the original: a cluster of their own
CPU = {
    "CLUSTER_NAME": "cpu-demo",
    "GPU_COUNT": "0",
    "INSTANCE_TYPE": "c7i.2xlarge",
    "MAX_INSTANCES": "2",
    "IMAGE": "busybox:1",
    "COMMAND": "sleep infinity",
}


@pytest.fixture
def example(runbook: Runbook) -> Runbook:
    runbook.settings = {"ENV_FILE": str(ROOT / "examples" / "gpu-cluster.env")}
    return runbook


def markdown() -> str:
    """The table, of a run in an account of its own."""
    return originals.table("gpu-cluster", built(originals.account("gpu-cluster")))


def built(runbook: Runbook) -> dict[str, str]:
    """What is built here: with no host, with a task on the first one, and after its hosts were replaced."""
    runbook.has_run("create_cluster.py")
    found = waiting(runbook)
    runbook.has_run(*RUN)
    for part in (network, hosts, cluster, task):
        found |= part(runbook)
    runbook.has_run("stop_task.py --all")  # a host with a task of run_task.py is not replaced before it ends
    runbook.has_run("update_cluster.py", ROOT_VOLUME_GIB="120")
    return found | replacing(runbook)


def groups(runbook: Runbook) -> list[Any]:
    return list(runbook.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"])


def waiting(runbook: Runbook) -> dict[str, str]:
    [group] = groups(runbook)
    return {"create waits": "for no host" if not group["Instances"] and not group["DesiredCapacity"] else "for hosts"}


def network(runbook: Runbook) -> dict[str, str]:
    ec2, ours = runbook.aws("ec2"), [{"Name": "tag:gpu-ecs-cluster", "Values": ["gpu-demo"]}]
    subnets = ec2.describe_subnets(Filters=ours)["Subnets"]
    public = [each["CidrBlock"] for each in subnets if each["MapPublicIpOnLaunch"]]
    [of_hosts] = [
        each
        for each in ec2.describe_security_groups(Filters=ours)["SecurityGroups"]
        if each["GroupName"] == "gpu-demo-hosts"
    ]
    return {
        "VPC": ec2.describe_vpcs(Filters=ours)["Vpcs"][0]["CidrBlock"],
        "public subnets": ", ".join(public),
        "private subnets": str(len(subnets) - len(public) or "none"),
        "open ports": str(of_hosts["IpPermissions"] or "none"),
    }


def hosts(runbook: Runbook) -> dict[str, str]:
    ec2 = runbook.aws("ec2")
    [group] = groups(runbook)
    [host] = [each for found in ec2.describe_instances()["Reservations"] for each in found["Instances"]]
    [image] = ec2.describe_images(ImageIds=[host["ImageId"]])["Images"]
    versions = ec2.describe_launch_template_versions(LaunchTemplateName="gpu-demo-hosts", Versions=["$Latest"])
    data = versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    assert "ECS_ENABLE_GPU_SUPPORT=true" in base64.b64decode(data["UserData"]).decode()
    [disk] = [each["Ebs"] for each in data["BlockDeviceMappings"]]
    kinds = ["GPU hosts"] if "GpuInfo" in of_type(runbook, host["InstanceType"]) else ["CPU hosts"]
    return {
        "groups of hosts": f"{len(groups(runbook))}, of {kinds[0]}",
        "GPU hosts": f"{host['InstanceType']}, {group['MinSize']} to {group['MaxSize']}",
        "CPU hosts": "none" if kinds == ["GPU hosts"] else host["InstanceType"],
        "made from": "a launch template" if "LaunchTemplate" in group else "a launch configuration",
        "AMI": "ECS GPU, Amazon Linux 2023" if "al2023-ami-ecs-gpu" in image["Name"] else image["Name"],
        "disk": f"{disk['VolumeSize']} GiB {disk['VolumeType']}{', encrypted' if disk['Encrypted'] else ''}",
        "key pair": host.get("KeyName", "none"),
        "instance metadata": f"IMDSv2 {host['MetadataOptions']['HttpTokens']}",
        "protection from scale-in": "on, by ECS" if group["NewInstancesProtectedFromScaleIn"] else "none",
    }


def of_type(runbook: Runbook, name: str) -> Any:
    return runbook.aws("ec2").describe_instance_types(InstanceTypes=[name])["InstanceTypes"][0]


def replacing(runbook: Runbook) -> dict[str, str]:
    [refresh] = runbook.aws("autoscaling").describe_instance_refreshes(AutoScalingGroupName="gpu-demo-hosts")[
        "InstanceRefreshes"
    ]
    healthy = refresh["Preferences"]["MinHealthyPercentage"]
    return {"hosts are replaced": f"by an instance refresh, {healthy} % in service meanwhile"}


def cluster(runbook: Runbook) -> dict[str, str]:
    ecs, iam, efs = runbook.aws("ecs"), runbook.aws("iam"), runbook.aws("efs")
    [found] = ecs.describe_clusters(clusters=["gpu-demo"])["clusters"]
    [provider] = ecs.describe_capacity_providers(capacityProviders=found["capacityProviders"])["capacityProviders"]
    scaling = provider["autoScalingGroupProvider"]["managedScaling"]
    ours = [role["RoleName"] for role in iam.list_roles()["Roles"] if role["RoleName"].startswith("gpu-demo")]
    [system] = efs.describe_file_systems()["FileSystems"]
    return {
        "capacity provider": f"managed scaling to {scaling['targetCapacity']} %",
        "roles": ", ".join(sorted(r.removeprefix("gpu-demo-").removesuffix("-us-east-1") for r in ours)),
        "file system": f"EFS, {'encrypted, ' if system['Encrypted'] else ''}{system['ThroughputMode']}",
    }


def task(runbook: Runbook) -> dict[str, str]:
    definition = runbook.aws("ecs").describe_task_definition(taskDefinition="gpu-demo")["taskDefinition"]
    [main] = definition["containerDefinitions"]
    [log] = runbook.aws("logs").describe_log_groups(logGroupNamePrefix="/ecs/gpu-demo")["logGroups"]
    return {
        "network": definition["networkMode"],
        "GPUs of a task": main["resourceRequirements"][0]["value"],
        "size": f"{definition.get('cpu') or main.get('cpu') or 'no'} CPU units, "
        f"{definition.get('memory') or main['memoryReservation']} MiB and what is free",
        "logs": f"{log['logGroupName']}, {log['retentionInDays']} days",
    }


def test_the_table_tells_what_is_built(example: Runbook) -> None:
    originals.check("gpu-cluster", built(example))


def test_each_value_of_the_template_has_its_place() -> None:
    originals.check_places("gpu-cluster")


def test_cpu_hosts_have_a_cluster_of_their_own_beside_it(example: Runbook) -> None:
    """As the table says of the two groups: these settings, and no other, tell the two clusters apart."""
    [row] = [each for each in originals.rows("gpu-cluster") if each.what == "groups of hosts"]
    said = {name: value for name, value in CPU.items() if f"{name}={value}" in row.why}
    assert said.keys() == {"CLUSTER_NAME", "GPU_COUNT", "INSTANCE_TYPE"}
    example.has_run(*RUN)
    example.has_run(*RUN, **CPU)
    types = {
        host["InstanceType"]
        for found in example.aws("ec2").describe_instances()["Reservations"]
        for host in found["Instances"]
    }
    assert len(groups(example)) == 2 and types == {"g4dn.xlarge", "c7i.2xlarge"}
    example.has_run("stop_task.py --all", "delete_cluster.py --yes", **CPU)
    assert [each["AutoScalingGroupName"] for each in groups(example)] == ["gpu-demo-hosts"]


if __name__ == "__main__":
    print(markdown(), end="")
