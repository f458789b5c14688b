"""What the hosts tell CloudWatch: measurements and logs, as a parameter says that they read at their boot."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.conftest import Runbook

NO_HOSTS = {"CLUSTER_SIZE": ""}
LOGS = ("messages", "dmesg", "docker", "ecs-init", "ecs-agent", "audit")


def configuration(runbook: Runbook) -> Any:
    parameter = runbook.aws("ssm").get_parameter(Name="AmazonCloudWatch-clara-train")["Parameter"]
    return json.loads(parameter["Value"])


def log_groups(runbook: Runbook) -> dict[str, int | None]:
    found = runbook.aws("logs").describe_log_groups(logGroupNamePrefix="/ecs/clara-train/hosts/")["logGroups"]
    return {group["logGroupName"].rsplit("/", 1)[-1]: group.get("retentionInDays") for group in found}


def user_data(runbook: Runbook) -> str:
    request = {"LaunchTemplateName": "clara-train-hosts", "Versions": ["$Latest"]}
    [latest] = runbook.aws("ec2").describe_launch_template_versions(**request)["LaunchTemplateVersions"]
    return base64.b64decode(latest["LaunchTemplateData"]["UserData"]).decode()


def test_memory_disk_and_gpus_are_measured(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", **NO_HOSTS)
    measured = configuration(clara)["metrics"]["metrics_collected"]
    assert measured["mem"]["measurement"] == ["mem_used_percent"]
    assert measured["disk"]["measurement"] == ["used_percent"]
    assert "utilization_gpu" in measured["nvidia_gpu"]["measurement"]
    clara.has_run("create_cluster.py", **NO_HOSTS, INSTANCE_STORE="docker", INSTANCE_TYPE="g5.4xlarge")
    measured = configuration(clara)["metrics"]["metrics_collected"]
    assert measured["disk"]["resources"] == ["/", "/var/lib/docker"], "Docker's disk, where it has one of its own"


def test_the_hosts_logs_are_collected_and_kept_for_as_long_as_the_settings_say(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", **NO_HOSTS)
    files = configuration(clara)["logs"]["logs_collected"]["files"]["collect_list"]
    assert {file["log_group_name"].rsplit("/", 1)[-1] for file in files} == set(LOGS)
    assert log_groups(clara) == dict.fromkeys(LOGS, 365)


def test_a_host_reads_its_configuration_at_its_boot(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", **NO_HOSTS)
    assert "-a fetch-config -m ec2 -s -c ssm:AmazonCloudWatch-clara-train" in user_data(clara)
    [role] = [name for name in clara.account() if name.startswith("role clara-train-host")]
    attached = clara.aws("iam").list_attached_role_policies(RoleName=role.split()[1])["AttachedPolicies"]
    assert "CloudWatchAgentServerPolicy" in {policy["PolicyName"] for policy in attached}


def test_a_configuration_that_was_changed_is_brought_into_line(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", **NO_HOSTS)
    clara.aws("ssm").put_parameter(Name="AmazonCloudWatch-clara-train", Value="{}", Type="String", Overwrite=True)
    ran = clara.run("create_cluster.py", **NO_HOSTS)
    assert "updated SSM parameter AmazonCloudWatch-clara-train" in ran.err
    assert "metrics" in configuration(clara)


def test_a_parameter_of_somebody_else_is_left_alone(clara: Runbook) -> None:
    clara.aws("ssm").put_parameter(Name="AmazonCloudWatch-clara-train", Value="{}", Type="String")
    ran = clara.run("create_cluster.py", **NO_HOSTS)
    assert (ran.code, configuration(clara)) == (1, {})
    assert (
        "AmazonCloudWatch-clara-train exists already, and does not bear the tag gpu-ecs-cluster=clara-train" in ran.err
    )


def test_nothing_of_it_is_made_unless_it_is_asked_for(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", HOST_MONITORING="disabled", **NO_HOSTS)
    assert log_groups(clara) == {}
    assert "amazon-cloudwatch-agent" not in user_data(clara)


def test_the_logs_and_the_parameter_go_with_the_cluster(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", **NO_HOSTS).has_run("delete_cluster.py --yes", **NO_HOSTS)
    assert log_groups(clara) == {}
    assert not [name for name in clara.account() if name.startswith("SSM parameter")]


THEIRS = "/ecs/clara-train/hosts/messages"


def group_of_another(clara: Runbook) -> dict[str, Any]:
    """A log group with the name of ours, another's tags and another's logs. The account, with it."""
    logs = clara.aws("logs")
    logs.create_log_group(logGroupName=THEIRS, tags={"gpu-ecs-cluster": "another"})
    logs.create_log_stream(logGroupName=THEIRS, logStreamName="their-host")
    return clara.account()


def test_the_logs_of_another_owner_stay_where_monitoring_was_never_on(clara: Runbook) -> None:
    before = group_of_another(clara)
    clara.settings |= {"HOST_MONITORING": "disabled", **NO_HOSTS}
    clara.has_run("create_cluster.py")
    ran = clara.run("delete_cluster.py", "--yes")
    assert (ran.code, f"kept log group {THEIRS}  not of this runbook" in ran.err) == (0, True)
    clara.settle()
    assert clara.account() == before
    assert clara.aws("logs").describe_log_streams(logGroupName=THEIRS)["logStreams"]


def test_the_logs_of_another_owner_are_refused_where_it_is_wanted(clara: Runbook) -> None:
    group_of_another(clara)
    ran = clara.run("create_cluster.py", **NO_HOSTS)
    assert ran.code == 1
    assert f"log group {THEIRS} exists already, and does not bear the tag gpu-ecs-cluster=clara-train" in ran.err
    assert log_groups(clara) == {"messages": None}


def test_a_group_whose_days_were_changed_is_brought_into_line(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", **NO_HOSTS)
    clara.aws("logs").put_retention_policy(logGroupName=THEIRS, retentionInDays=1)
    clara.has_run("create_cluster.py", **NO_HOSTS)
    assert log_groups(clara) == dict.fromkeys(LOGS, 365)
