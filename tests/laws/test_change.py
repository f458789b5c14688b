"""The law of change: create with settings A, then with B. The account is as after B alone, or B is refused.

One table, PAIRS: for every setting pairs of texts, A and B, and what is expected.

- "changed": the account after A and then B, each with all pages of its base, is the one after B alone, tags included
- "refused": B ends with 1 or 2 before any changing call, and its sentence names the setting and what to do
- "kept": what of A holds data or logs, or something that still runs, stays and is named; all else is as after B alone

A setting of another page has rows with a base whose pages are others.
"""

from __future__ import annotations

import functools
import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import constants
from emulator.codestar_connections import connections
from emulator.ec2 import capacity_blocks
from emulator.ecr import repositories
from tests.conftest import FARGATE, GPU, Runbook, issued, new_account
from tests.pictures import put_back, take
from tests.zones import zone

CLUSTER = ("create_cluster.py",)
SERVICE = ("create_cluster.py", "register_task_definition.py", "create_service.py")
NO_DATA = {"EFS_VOLUMES": ""}
TWO_ZONES = {"PUBLIC_SUBNET_CIDRS": "10.0.0.0/24,10.0.1.0/24"}
PRIVATE = {**TWO_ZONES, "PRIVATE_SUBNET_CIDRS": "10.0.2.0/24,10.0.3.0/24"}
BALANCER = {
    **FARGATE,
    **NO_DATA,
    **TWO_ZONES,
    "CLUSTER_NAME": "gpu",
    "LISTENER_PROTOCOL": "HTTP",
    "COMMAND": "sleep infinity",
}
HTTPS = {"LISTENER_PROTOCOL": "HTTPS", "CERTIFICATE_ARN": "{certificate}"}
ADOPTED = {**GPU, "VPC_ID": "{vpc}", "SUBNET_IDS": "{public_a},{public_b}"}
INTERNAL = {"LOAD_BALANCER_SCHEME": "internal", "PUBLIC_SUBNET_IDS": ""}
BASTION = {"BASTION_KEY_NAME": "ours", "BASTION_ALLOWED_CIDR": "203.0.113.7/32"}
#: a file of settings for each endpoint, with nothing in it, and one of a container's variables
FILES = Path(tempfile.mkdtemp())
(FILES / "endpoints").mkdir()
for each in (".env", "endpoints/a.env", "endpoints/b.env"):
    (FILES / each).touch()
(FILES / "variables").write_text("MODE=fast\n")
(FILES / "definition.json").write_text(
    json.dumps({"containerDefinitions": [{"name": name, "image": "busybox:1"} for name in ("first", "second")]})
)
(FILES / "script").write_text("#!/bin/sh\ntrue\n")
ON_HOSTS = {**GPU, **NO_DATA, **TWO_ZONES, "ALLOWED_CIDR": "203.0.113.7/32", "LISTENER_PROTOCOL": "HTTP"} | {
    "CONTAINER_PORTS": "9090",
    "COMMAND": "sleep infinity",
}
ENDPOINT = {**BALANCER, "ENV_FILE": str(FILES / ".env"), "SHARED_CLUSTER": "true"} | {
    "ENDPOINT": "a",
    "HOST_NAME": "a.example.com",
}
OF_ENDPOINT = ("register_task_definition.py", "create_service.py")
DELIVERED = {**BALANCER, "CONNECTION_ARN": "{connection}", "SOURCE_REPOSITORY": "team/ours"} | {
    "BUILDSPEC": "buildspec/a.yml",
    "POLL_SECONDS": "15",
}
SYNCED = {**FARGATE, "CLUSTER_NAME": "gpu", "EFS_VOLUMES": "weights:/weights,more:/more"} | {
    "WEIGHTS_BUCKET": "their-weights",
    "SYNC_SCHEDULE": "every 3 hours",
}
VOLUME = {"EFS_VOLUMES": "data:/var/data", "CONTAINER_CERTIFICATE": "/var/data/ours"}
STEPS = {"SCALING": "step", "MAX_TASKS": "3"}
TRACKING = {"SCALING": "target-tracking", "MAX_TASKS": "3"}
BY_REQUESTS = {"SCALING": "requests", "MAX_TASKS": "3", "REQUESTS_PER_TASK": "100"}
#: what a setting means something in: the settings that are the same before and after, and the pages, in their order
BASES: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "hosts": (GPU, CLUSTER),
    "no data": ({**GPU, **NO_DATA}, CLUSTER),
    "private": ({**GPU, **NO_DATA, **PRIVATE}, CLUSTER),
    "bastion": ({**GPU, **NO_DATA, **BASTION}, CLUSTER),
    "adopted": (ADOPTED, CLUSTER),
    "adopted without data": ({**ADOPTED, **NO_DATA}, CLUSTER),
    "fargate": ({**FARGATE, "CLUSTER_NAME": "gpu"}, CLUSTER),
    "balancer": (BALANCER, CLUSTER),
    "adopted balancer": (
        {**BALANCER, "VPC_ID": "{vpc}", "SUBNET_IDS": "{public_a}", "PUBLIC_SUBNET_IDS": "{public_a},{public_b}"},
        CLUSTER,
    ),
    "adopted service": (
        {**BALANCER, "VPC_ID": "{vpc}", "SUBNET_IDS": "{public_a}", "PUBLIC_SUBNET_IDS": "{public_a},{public_b}"},
        SERVICE,
    ),
    "a host": ({**GPU, **NO_DATA, "MIN_INSTANCES": "1"}, CLUSTER),
    "service": (BALANCER, SERVICE),
    "certificate": (
        {**BALANCER, "LISTENER_PROTOCOL": "HTTPS", "CERTIFICATE_DOMAINS": "a.example.com"},
        ("create_certificate.py", *CLUSTER),
    ),
    "endpoints": ({**FARGATE, "CLUSTER_NAME": "gpu", "SHARED_CLUSTER": "true"}, CLUSTER),
    "served": (BALANCER, ("create_service.py",)),
    "registered": (BALANCER, ("register_task_definition.py", "create_service.py")),
    "task": ({**FARGATE, "CLUSTER_NAME": "gpu"}, ("register_task_definition.py",)),
    "gpu task": (GPU, ("register_task_definition.py",)),
    "roles": ({**FARGATE, **NO_DATA, "CLUSTER_NAME": "gpu"}, (*CLUSTER, "register_task_definition.py")),
    "run": ({**FARGATE, **NO_DATA, "CLUSTER_NAME": "gpu", "COMMAND": "sleep infinity"}, ("run_task.py",)),
    "without a balancer": ({**BALANCER, "LISTENER_PROTOCOL": ""}, SERVICE),
    "on hosts": (ON_HOSTS, SERVICE),
    "host name": ({**BALANCER, "HOST_NAME": "a.example.com"}, ("create_service.py", "create_dns_record.py")),
    "record": ({**BALANCER, "HOST_NAME": "a.twice.example"}, ("create_dns_record.py",)),
    "endpoint": (ENDPOINT, OF_ENDPOINT),
    "beside another": ({**ENDPOINT, "ENDPOINT": "b", "HOST_NAME": "b.example.com"}, OF_ENDPOINT),
    "repository": (DELIVERED, ("create_repository.py",)),
    "pipeline": (DELIVERED, ("create_pipeline.py",)),
    "own connection": ({**DELIVERED, "CONNECTION_ARN": ""}, ("create_pipeline.py",)),
    "tagged": (DELIVERED, ("register_task_definition.py",)),
    "sync": (SYNCED, ("sync_weights.py",)),
    "copy": ({**SYNCED, "SYNC_SCHEDULE": ""}, ("copy_data.py s3://their-weights weights:/in",)),
}

#: what its pages do each time
ALWAYS = dict.fromkeys(("sync", "copy"), ("ecs:RunTask",))


def push(runbook: Runbook) -> None:
    for tag in ("v1", "v2"):
        repositories.put_image(runbook.emulator.world, "us-east-1", "gpu", tag)


def connect(runbook: Runbook) -> None:
    """The connection that create_pipeline.py makes, and what a person does with it."""
    assert runbook.run("create_pipeline.py").code == 1
    connections.finish_handshakes(runbook.emulator.world)


#: what has run before, with the settings of the base alone, and what a person does meanwhile
PREPARED: dict[str, tuple[str | Callable[[Runbook], None], ...]] = {
    "served": SERVICE[:2],
    "registered": CLUSTER,
    "task": CLUSTER,
    "gpu task": CLUSTER,
    "run": SERVICE[:2],
    "host name": SERVICE[:2],
    "record": CLUSTER,
    "endpoint": ("ENDPOINT= create_cluster.py",),
    "beside another": (
        "ENDPOINT= create_cluster.py",
        *(f"ENDPOINT=a HOST_NAME=a.example.com {page}" for page in OF_ENDPOINT),
    ),
    "repository": CLUSTER,
    "pipeline": (*CLUSTER, "create_repository.py"),
    "own connection": (*CLUSTER, "create_repository.py", connect),
    "tagged": (*CLUSTER, "create_repository.py", push),
    "sync": SERVICE[:2],
    "copy": SERVICE[:2],
}


@dataclass(frozen=True)
class Pair:
    before: str
    after: str
    base: str = "hosts"
    ends: str = "changed"
    #: for "kept": how the names of what stays begin
    stays: tuple[str, ...] = ()
    #: what else is told
    says: tuple[str, ...] = ()
    #: what the same pages do once more, when what held it back is gone
    later: tuple[str, ...] = ()
    #: other settings that go with A alone, and with B alone
    with_before: dict[str, str] = field(default_factory=dict)
    with_after: dict[str, str] = field(default_factory=dict)


def there_and_back(before: str, after: str, base: str = "hosts", **more: Any) -> list[Pair]:
    return [Pair(before, after, base, **more), Pair(after, before, base, **more)]


SPOT = {"CAPACITY_TYPE": "spot"}
SSH = {"SSH_ALLOWED_CIDR": "203.0.113.7/32"}
BACK = "set it back"
UPDATE = "python update_cluster.py replaces them"
MPS = {"GPU_SHARING": "mps", "GPU_MEMORY_MIB": "7000"}
HEALTH = {"HEALTH_COMMAND": "true"}
BUSYBOX = {"IMAGE": "busybox:1"}
STOPS = {"STOP_AT": "2099-01-07T02:00Z"}
PAIRS: dict[str, list[Pair]] = {
    "EXTRA_TAGS": [
        *there_and_back("", "team=ml,owner=ann", "balancer"),
        *there_and_back("team=ml", "team=search"),
        Pair("", "team=ml", "pipeline"),
    ],
    "SHARED_CLUSTER": [
        Pair("false", "true", "fargate", "refused", says=(BACK,)),
        Pair("true", "false", "fargate"),
    ],
    "LAUNCH_TYPE": [
        Pair(
            "EC2",
            "FARGATE",
            ends="refused",
            says=(BACK,),
            with_after={"GPU_COUNT": "0", "TASK_CPU": "256", "TASK_MEMORY": "512"},
        ),
        Pair("FARGATE", "EC2", "fargate", "refused", says=(BACK,)),
    ],
    "CAPACITY_TYPE": there_and_back("on-demand", "spot", "no data")
    + there_and_back("on-demand", "spot", "fargate")
    + there_and_back("on-demand", "spot", "service")
    + [
        *there_and_back("on-demand", "spot-first", "no data"),
        Pair("spot", "spot-first", "no data"),
        *there_and_back("on-demand", "spot-first", "on hosts", ends="refused", says=("stop what runs there",)),
    ],
    "INSTANCE_TYPES": [
        *there_and_back("", "g4dn.xlarge,g5.xlarge", "no data"),
        *there_and_back("", "g5.xlarge,g6.xlarge", "no data", with_before=SPOT, with_after=SPOT),
        Pair("g5.xlarge,g6.xlarge", "g6.xlarge,g5.xlarge", "no data", with_before=SPOT),
    ],
    "CAPACITY_RESERVATION": [
        *there_and_back("", "{reservation}", "no data"),
        *there_and_back("{reservation}", "{block}", "no data"),
    ],
    "INSTANCE_TYPE": [
        *there_and_back("g4dn.xlarge", "g5.xlarge", "no data"),
        Pair("g4dn.xlarge", "g5.xlarge", "a host", "kept", ("instance", "network interface"), (UPDATE,)),
    ],
    "CLUSTER_SIZE": there_and_back("", "2", "no data"),
    "MIN_INSTANCES": there_and_back("0", "1", "no data"),
    "MAX_INSTANCES": there_and_back("1", "3", "no data"),
    "ROOT_VOLUME_GIB": there_and_back("100", "200", "no data"),
    "AMI_ID": there_and_back("", "{plain_ami}", "no data"),
    "HOST_USER_DATA": there_and_back("", "{script}", "no data"),
    "ECS_CONFIG": there_and_back("", "ECS_LOGLEVEL=debug", "no data"),
    "INSTANCE_STORE": there_and_back("", "docker", "no data"),
    "KEY_NAME": [
        *there_and_back("ours", "theirs", "no data", with_before=SSH, with_after=SSH),
        Pair("ours", "", "no data", with_before=SSH),
        Pair("", "ours", "no data", with_after=SSH),
    ],
    "SSH_ALLOWED_CIDR": there_and_back(
        "203.0.113.7/32",
        "198.51.100.0/24",
        "no data",
        with_before={"KEY_NAME": "ours"},
        with_after={"KEY_NAME": "ours"},
    ),
    "CONTAINER_INSIGHTS": [
        *there_and_back("enabled", "disabled", "no data"),
        Pair("enabled", "enhanced", "no data"),
    ],
    "ALLOWED_CIDR": there_and_back("203.0.113.7/32", "198.51.100.0/24", "balancer")
    + there_and_back("203.0.113.7/32", "198.51.100.0/24", "fargate"),
    "ALLOWED_CIDRS": there_and_back("", "198.51.100.0/24,192.0.2.0/24", "balancer")
    + there_and_back("", "198.51.100.0/24", "fargate")
    + there_and_back("{group}", "198.51.100.0/24,{other_group}", "adopted balancer"),
    "VPC_ID": [
        Pair("", "{vpc}", ends="refused", says=(BACK,), with_after={"SUBNET_IDS": "{public_a}"}),
        Pair("{vpc}", "", ends="refused", says=(BACK,), with_before={"SUBNET_IDS": "{public_a}"}),
        Pair(
            "{vpc}",
            "{other_vpc}",
            ends="refused",
            says=(BACK,),
            with_before={"SUBNET_IDS": "{public_a}"},
            with_after={"SUBNET_IDS": "{other_subnet}"},
        ),
    ],
    "SUBNET_IDS": [
        *there_and_back("{public_a}", "{public_b}", "adopted without data"),
        Pair("{public_a}", "{public_b}", "adopted service"),
        Pair(
            "{public_a},{public_b}",
            "{public_b},{public_c}",
            "adopted balancer",
            with_before=INTERNAL,
            with_after=INTERNAL,
        ),
        Pair("{public_a}", "{public_a},{public_b}", "adopted"),
        Pair("{public_a},{public_b}", "{public_a}", "adopted", "kept", ("mount target", "network interface EFS")),
        Pair("{public_a}", "{private_a}", "adopted", "kept", ("mount target", "network interface EFS")),
    ],
    "PRIVATE_SUBNET_IDS": there_and_back("", "{private_a},{private_b}", "adopted without data"),
    "PUBLIC_SUBNET_IDS": there_and_back("{public_a},{public_b}", "{public_b},{public_c}", "adopted balancer"),
    "SECURITY_GROUP_IDS": [
        *there_and_back("", "{group}", "adopted"),
        *there_and_back("", "{group}", "adopted balancer"),
        *there_and_back("{group}", "{other_group}", "adopted"),
        Pair(
            "",
            "{group}",
            "adopted service",
            "kept",
            ("security group gpu-tasks",),
            ("held by",),
            ("ec2:DeleteSecurityGroup",),
        ),
        Pair("{group}", "", "adopted service"),
    ],
    "VPC_CIDR": [
        Pair(
            "10.0.0.0/16",
            "10.1.0.0/16",
            ends="refused",
            says=(BACK,),
            with_before={"PUBLIC_SUBNET_CIDRS": "10.0.0.0/24"},
            with_after={"PUBLIC_SUBNET_CIDRS": "10.1.0.0/24"},
        )
    ],
    "PUBLIC_SUBNET_CIDRS": [
        Pair("10.0.0.0/24", "10.0.0.0/24,10.0.1.0/24"),
        Pair("10.0.0.0/24,10.0.1.0/24", "10.0.0.0/24,10.0.1.0/24,10.0.4.0/24", "balancer"),
        Pair("10.0.0.0/24,10.0.1.0/24", "10.0.0.0/24", ends="refused", says=(BACK,)),
        Pair("10.0.0.0/24", "10.0.9.0/24", ends="refused", says=(BACK,)),
    ],
    "PRIVATE_SUBNET_CIDRS": [
        Pair("", PRIVATE["PRIVATE_SUBNET_CIDRS"], "no data", with_before=TWO_ZONES, with_after=TWO_ZONES),
        Pair(
            "",
            PRIVATE["PRIVATE_SUBNET_CIDRS"],
            "hosts",
            "kept",
            ("mount target", "network interface EFS"),
            with_before=TWO_ZONES,
            with_after=TWO_ZONES,
        ),
        Pair("", PRIVATE["PRIVATE_SUBNET_CIDRS"], "service"),
        Pair(PRIVATE["PRIVATE_SUBNET_CIDRS"], "", "private", "refused", says=(BACK,)),
        Pair(PRIVATE["PRIVATE_SUBNET_CIDRS"], "10.0.2.0/24,10.0.9.0/24", "private", "refused", says=(BACK,)),
    ],
    "NAT_GATEWAYS": there_and_back("per-zone", "single", "private")
    + there_and_back("single", "none", "private")
    + there_and_back("none", "per-zone", "private"),
    "AVAILABILITY_ZONES": [
        Pair("", "us-east-1a", "no data"),
        Pair("us-east-1a", "us-east-1b", "no data", "refused", says=(BACK,)),
    ],
    "BASTION_KEY_NAME": [
        *there_and_back("ours", "theirs", "bastion"),
        Pair("ours", "", "bastion", with_after={"BASTION_ALLOWED_CIDR": ""}),
        Pair("", "ours", "bastion", with_before={"BASTION_ALLOWED_CIDR": ""}),
    ],
    "BASTION_ALLOWED_CIDR": there_and_back("203.0.113.7/32", "198.51.100.0/24", "bastion"),
    "BASTION_INSTANCE_TYPE": there_and_back("t3.micro", "t3.small", "bastion"),
    "BASTION_SECURITY_GROUP_ID": there_and_back("", "{group}", "adopted without data"),
    "HOST_MONITORING": [
        Pair("disabled", "enabled", "no data"),
        Pair("enabled", "disabled", "no data", "kept", ("log group /ecs/gpu/hosts/",), ("cost",)),
    ],
    "LISTENER_PROTOCOL": [
        *there_and_back("HTTP", "HTTPS", "balancer", with_before=HTTPS, with_after=HTTPS),
        *there_and_back("HTTP", "HTTPS", "service", with_before=HTTPS, with_after=HTTPS),
        *there_and_back("HTTP", "", "balancer"),
        Pair("", "HTTP", "service"),
        Pair("HTTP", "", "service", "refused", says=(BACK, "delete_service.py")),
        Pair("HTTPS", "", "balancer", with_before=HTTPS),
        Pair(
            "HTTP",
            "",
            "balancer",
            "refused",
            says=("LOAD_BALANCER_PROTECTION=off",),
            with_before={"LOAD_BALANCER_PROTECTION": "on"},
        ),
    ],
    "LOAD_BALANCER_SCHEME": there_and_back(
        "internet-facing",
        "internal",
        "balancer",
        ends="refused",
        says=(BACK, "LISTENER_PROTOCOL="),
        with_before=PRIVATE,
        with_after=PRIVATE,
    ),
    "CERTIFICATE_ARN": [
        *there_and_back("{certificate}", "{other_certificate}", "balancer", with_before=HTTPS, with_after=HTTPS),
        *there_and_back(
            "{certificate}", "{certificate},{other_certificate}", "balancer", with_before=HTTPS, with_after=HTTPS
        ),
        Pair(
            "{certificate},{other_certificate}",
            "{other_certificate},{certificate}",
            "balancer",
            with_before=HTTPS,
            with_after=HTTPS,
        ),
        Pair(
            "{certificate},{other_certificate}",
            "{certificate}",
            "balancer",
            with_before=HTTPS,
            with_after={"LISTENER_PROTOCOL": "HTTP"},
        ),
    ],
    "CERTIFICATE_DOMAINS": [
        Pair(
            "a.example.com",
            "a.example.com,b.example.com",
            "certificate",
            "kept",
            ("certificate a.example.com",),
            ("create_cluster.py puts the new one there",),
            ("acm:DeleteCertificate",),
        ),
        Pair(
            "a.example.com",
            "b.example.com",
            "certificate",
            "kept",
            ("certificate a.example.com", "DNS record"),
            ("create_cluster.py puts the new one there",),
            ("route53:ChangeResourceRecordSets", "acm:DeleteCertificate"),
        ),
    ],
    "HOSTED_ZONE_ID": [
        *there_and_back("", "{zone}", "certificate"),
        *there_and_back("{zone_a}", "{zone_b}", "record"),
    ],
    "ACCESS_LOGS_BUCKET": there_and_back("", "their-logs", "balancer")
    + there_and_back("their-logs", "their-other-logs", "balancer"),
    "LOAD_BALANCER_PROTECTION": there_and_back("off", "on", "balancer"),
    "IDLE_TIMEOUT": there_and_back("60", "300", "balancer"),
    "EFS_VOLUMES": [
        Pair("data:/data", "data:/data,more:/more"),
        Pair("data:/data", "data:/elsewhere"),
        Pair("data:/data,more:/more", "data:/data", "hosts", "kept", ("access point gpu-volume-more",)),
        Pair(
            "data:/data",
            "",
            "hosts",
            "kept",
            ("file system", "access point", "mount target", "network interface EFS", "security group gpu-file-system"),
            ("GiB",),
        ),
        Pair("", "data:/data"),
        Pair(
            "data:/data,more:/more",
            "data:/data",
            "hosts",
            "kept",
            (
                "file system gpu-file-system-more",
                "access point gpu-volume-more",
                "mount target",
                "network interface EFS",
            ),
            ("GiB",),
            with_before={"EFS_FILE_SYSTEMS": "per-volume"},
            with_after={"EFS_FILE_SYSTEMS": "per-volume"},
        ),
    ],
    "EFS_FILE_SYSTEMS": there_and_back("one", "per-volume", ends="refused", says=(BACK,)),
    "FILE_SYSTEM_ID": [
        Pair("", "{file_system}", "adopted", "refused", says=(BACK,)),
        Pair("{file_system}", "", "adopted", "refused", says=(BACK,)),
        Pair("{file_system}", "{other_file_system}", "adopted", "refused", says=(BACK,)),
    ],
    "EFS_UID": [Pair("0", "1000", ends="refused", says=("set them back",))],
    "EFS_GID": [Pair("0", "1000", ends="refused", says=("set them back",))],
    "EFS_PERFORMANCE_MODE": there_and_back(
        "generalPurpose",
        "maxIO",
        ends="refused",
        says=(BACK,),
        with_before={"EFS_THROUGHPUT_MODE": "bursting"},
        with_after={"EFS_THROUGHPUT_MODE": "bursting"},
    ),
    "EFS_THROUGHPUT_MODE": there_and_back("elastic", "bursting"),
    "EFS_BACKUP": there_and_back("disabled", "enabled"),
    "EFS_INFREQUENT_ACCESS_DAYS": [*there_and_back("", "30"), Pair("7", "1")],
    "ROLE_PATH": [
        Pair("/", "/team/", "bastion", "refused", says=(BACK, "delete_cluster.py")),
        *there_and_back("/", "/team/", "no data", ends="refused", says=(BACK, "delete_cluster.py")),
        *there_and_back("/", "/team/", "fargate", ends="refused", says=(BACK, "delete_cluster.py")),
        *there_and_back("/", "/team/", "pipeline", ends="refused", says=(BACK, "delete_pipeline.py")),
        *there_and_back("/", "/team/", "endpoint", ends="refused", says=(BACK, "delete_endpoint.py")),
        Pair("/", "/team/", "sync", "refused", says=(BACK, "delete_sync.py")),
        Pair("/", "/team/", "copy", "refused", says=(BACK, "delete_copy.py")),
        Pair("/", "/team/", "task", "refused", says=(BACK, "delete_cluster.py")),
        Pair("/team/", "/", "roles", "refused", says=(BACK, "delete_cluster.py")),
    ],
    "ROLE_PERMISSIONS_BOUNDARY": [
        *there_and_back("", "{boundary}", "bastion"),
        *there_and_back("{boundary}", "arn:aws:iam::aws:policy/PowerUserAccess", "fargate"),
        *there_and_back("", "{boundary}", "pipeline"),
        *there_and_back("", "{boundary}", "endpoint"),
        *there_and_back("", "{boundary}", "sync"),
        *there_and_back("", "{boundary}", "copy"),
    ],
    "HOST_ROLE": [
        *there_and_back("", "{profile}", "no data"),
        *there_and_back("", "{profile}", "bastion"),
        Pair("{profile}", "arn:aws:iam::123456789012:instance-profile/theirs/their-profile", "no data"),
        Pair(
            "",
            "{profile}",
            "a host",
            "kept",
            ("role gpu-host", "instance profile gpu-host", "instance", "network interface"),
            ("1 hosts have it", UPDATE),
        ),
    ],
    "BUILD_ROLE_ARN": there_and_back("", "{build_role}", "pipeline"),
    "PIPELINE_ROLE_ARN": there_and_back("", "{pipeline_role}", "pipeline"),
    "SYNC_ROLE_ARN": [
        Pair("", "{sync_role}", "sync", "kept", ("role gpu-sync",), ("free",)),
        Pair("{sync_role}", "", "sync"),
        Pair("", "{sync_role}", "copy", "kept", ("role gpu-copy",), ("free",)),
        Pair("{sync_role}", "", "copy"),
    ],
    "SCHEDULE_ROLE_ARN": there_and_back("", "{schedule_role}", "sync"),
    "MAX_RUN_HOURS": there_and_back("", "7", "no data"),
    "MAX_CLUSTER_HOURS": [
        Pair("", "7", "no data", later=("scheduler:CreateSchedule", "scheduler:DeleteSchedule")),  # they count from now
        Pair("7", "", "no data"),
    ],
    "STOP_AT": there_and_back("", "2099-01-07T02:00Z", "without a balancer")
    + there_and_back("2099-01-07T02:00Z", "2098-01-07T02:00Z", "no data"),
    "STOP_ROLE_ARN": [
        Pair("", "{schedule_role}", "no data", with_before=STOPS, with_after=STOPS),
        Pair("{schedule_role}", "", "no data", with_before=STOPS, with_after=STOPS),
    ],
    "TASK_EXECUTION_ROLE_ARN": [
        *there_and_back("", "{role}", "fargate"),
        Pair("", "{role}", "service", "kept", ("role gpu-task-execution",), ("free",)),
        Pair("{role}", "", "service"),
    ],
    "TASK_ROLE_ARN": [
        *there_and_back("", "{role}", "fargate"),
        Pair("", "{role}", "service", "kept", ("role gpu-task-us",), ("free",)),
        Pair("", "{role}", "endpoint", "kept", ("role gpu-a-task-us",), ("free",)),
        Pair("{role}", "", "service"),
    ],
    "TARGET_PROTOCOL": there_and_back(
        "HTTP",
        "HTTPS",
        "service",
        ends="refused",
        says=(BACK, "delete_service.py"),
        with_before=VOLUME,
        with_after=VOLUME,
    ),
    "TARGET_PROTOCOL_VERSION": there_and_back(
        "HTTP1",
        "GRPC",
        "service",
        ends="refused",
        says=(BACK, "delete_service.py"),
        with_before=HTTPS,
        with_after=HTTPS,
    )
    + there_and_back(
        "HTTP1",
        "HTTP2",
        "service",
        ends="refused",
        says=(BACK, "delete_service.py"),
        with_before=HTTPS,
        with_after=HTTPS,
    ),
    "GPU_SHARING": [
        *there_and_back("", "mps", "gpu task", with_after={"GPU_MEMORY_MIB": "7000"})[:1],
        Pair("mps", "", "gpu task", with_before={"GPU_MEMORY_MIB": "7000"}),
    ],
    "GPU_MEMORY_MIB": [
        Pair("7000", "8000", "gpu task", with_before={"GPU_SHARING": "mps"}, with_after={"GPU_SHARING": "mps"})
    ],
    "GPU_COUNT": there_and_back("1", "0", "gpu task"),
    "TASK_FAMILY": [
        Pair("", "other", "service", "kept", ("task definition gpu",), ("free",)),
        Pair("", "other", "endpoint", "kept", ("task definition gpu-a",), ("free",)),
    ],
    "IMAGE": there_and_back("nginx:1.27", "nginx:1.28", "registered"),
    "IMAGE_TAG": there_and_back("v1", "v2", "tagged") + there_and_back("", "v1", "tagged"),
    "IMAGES_KEPT": [Pair("20", "5", "repository")],
    "ENTRY_POINT": [Pair("", "sh -c", "task")],
    "COMMAND": there_and_back("", "sleep 900", "task"),
    "CONTAINER_ENVIRONMENT_FILE": [Pair("", "{variables}", "task")],
    "CONTAINER_ENVIRONMENT": there_and_back("", "MODE=fast", "task") + there_and_back("MODE=fast", "MODE=slow", "task"),
    "CONTAINER_SECRETS": [
        *there_and_back("", "KEY={secret}", "roles"),
        *there_and_back("KEY={secret}", "KEY={secret}:token::", "roles"),
        Pair("KEY={secret}", "KEY={other_secret},PATH_OF=/theirs", "roles"),
    ],
    "CONTAINER_PORTS": [
        *there_and_back("9090", "8000", "service", ends="refused", says=("still lead", "create_service.py")),
        *there_and_back("9090", "8000", "on hosts"),
        *there_and_back("80:9090", "81:9090", "on hosts", ends="refused", says=("still lead", "delete_service.py")),
        Pair("9090", "8000,9090", "service"),
        Pair("8000,9090", "8000", "service"),
        *there_and_back("9090", "8000", "endpoint", ends="refused", says=("still lead", "create_service.py")),
        Pair("9090", "8000,9090", "endpoint"),
        *there_and_back("9090", "8000", "without a balancer"),
    ],
    "NETWORK_MODE": [
        *there_and_back("bridge", "awsvpc", "on hosts", ends="refused", says=(BACK, "delete_service.py")),
        *there_and_back("bridge", "host", "on hosts", ends="refused", says=("still lead", "delete_service.py")),
        *there_and_back("bridge", "host", "gpu task"),
        *there_and_back("bridge", "awsvpc", "gpu task"),
    ],
    "TASK_CPU": [
        Pair("256", "512", "registered", with_before={"TASK_MEMORY": "1024"}, with_after={"TASK_MEMORY": "1024"})
    ],
    "TASK_MEMORY": [Pair("512", "1024", "task")],
    "SHARED_MEMORY_MIB": [Pair("", "2048", "gpu task")],
    "TASK_DEFINITION_FILE": [Pair("", "{definition}", "task"), Pair("{definition}", "", "task")],
    "MAIN_CONTAINER": [
        Pair(
            "",
            "second",
            "task",
            with_before={"TASK_DEFINITION_FILE": "{definition}"},
            with_after={"TASK_DEFINITION_FILE": "{definition}"},
        )
    ],
    "CPU_ARCHITECTURE": [Pair("", "ARM64", "task", with_before=BUSYBOX, with_after=BUSYBOX)],
    "GPU_COMPUTE_PERCENT": [Pair("", "50", "gpu task", with_before=MPS, with_after=MPS)],
    "EPHEMERAL_STORAGE_GIB": [Pair("", "30", "task")],
    "TMPFS": [Pair("", "/tmp:64", "task")],
    "ULIMITS": [Pair("", "nofile:65536", "task")],
    "CAPABILITIES": [Pair("", "-NET_RAW", "task")],
    "CONTAINER_USER": [Pair("", "1000:1000", "task")],
    "WORKING_DIRECTORY": [Pair("", "/srv", "task")],
    "READONLY_ROOT": [Pair("false", "true", "task")],
    "INIT": [Pair("false", "true", "task")],
    "STOP_TIMEOUT": [Pair("", "60", "task")],
    "HEALTH_COMMAND": [Pair("", "true", "task")],
    "HEALTH_COMMAND_INTERVAL": [Pair("30", "10", "task", with_before=HEALTH, with_after=HEALTH)],
    "HEALTH_COMMAND_TIMEOUT": [Pair("5", "10", "task", with_before=HEALTH, with_after=HEALTH)],
    "HEALTH_COMMAND_RETRIES": [Pair("3", "5", "task", with_before=HEALTH, with_after=HEALTH)],
    "HEALTH_COMMAND_START_PERIOD": [Pair("0", "60", "task", with_before=HEALTH, with_after=HEALTH)],
    "REGISTRY_CREDENTIALS": there_and_back("", "{registry}", "roles"),
    "ENVIRONMENT_FILES": there_and_back("", "arn:aws:s3:::their-files/a.env", "roles"),
    "LOG_OPTIONS": [Pair("mode=non-blocking", "mode=blocking", "task")],
    "TASK_S3_BUCKETS": there_and_back("", "their-logs", "roles") + there_and_back("their-logs", "their-other", "roles"),
    "TASK_DYNAMODB_TABLES": there_and_back("", "theirs", "roles"),
    "TASK_SQS_QUEUES": there_and_back("", "theirs", "roles"),
    "LOG_RETENTION_DAYS": there_and_back("30", "7", "roles") + there_and_back("30", "7", "pipeline"),
    "TASK_COUNT": [Pair("1", "2", "run")],
    "NODE_PORTS": there_and_back("", "29500-65535", "fargate")
    + there_and_back("29500-29600", "30000-65535", "endpoint"),
    "SERVICE_NAME": [
        Pair("", "other", "pipeline"),
        *there_and_back("", "other", "service"),
        Pair("", "other", "service", with_before=STEPS, with_after=STEPS),
        Pair("", "other", "service", with_before=TRACKING, with_after=TRACKING),
        Pair("", "other", "endpoint"),
        Pair("", "other", "on hosts", "refused", says=(BACK, "delete_service.py")),
    ],
    "DESIRED_COUNT": [
        *there_and_back("1", "2", "served"),
        *there_and_back("1", "0", "served"),
        *there_and_back("1", "0", "served", with_before=STEPS, with_after=STEPS),
        *there_and_back("1", "0", "served", with_before=BY_REQUESTS, with_after=BY_REQUESTS),
        *there_and_back("1", "0", "pipeline"),
    ],
    "HOST_NAME": [
        *there_and_back("a.example.com", "b.example.com", "host name"),
        Pair("a.example.com", "", "served"),
        Pair("", "a.example.com", "served"),
        Pair("a.example.com", "b.example.org", "host name"),
        *there_and_back("a.example.com", "b.example.com,a.example.com", "host name"),
        Pair("a.example.com,b.example.com", "b.example.org,b.example.com", "host name"),
    ],
    "RULE_PRIORITY": [*there_and_back("7", "9", "served"), Pair("", "7", "served")],
    "TRAFFIC_FROM": [
        *there_and_back("", "a", "beside another", with_after={"TRAFFIC_WEIGHT": "20"})[:1],
        Pair("a", "", "beside another", with_before={"TRAFFIC_WEIGHT": "20"}),
    ],
    "TRAFFIC_WEIGHT": there_and_back(
        "0", "20", "beside another", with_before={"TRAFFIC_FROM": "a"}, with_after={"TRAFFIC_FROM": "a"}
    ),
    "LISTENER_PATH": there_and_back("/*", "/api/*", "served")
    + there_and_back("/*", "/api/*", "host name")
    + there_and_back("/api/*", "/v1/*,/api/*", "served")
    + there_and_back("/*", "/api/*,/v1/*", "host name"),
    "ALGORITHM": [
        *there_and_back("round_robin", "least_outstanding_requests", "served"),
        Pair("weighted_random", "round_robin", "served", with_after={"SLOW_START": "60", "STICKINESS_SECONDS": "60"}),
        Pair("round_robin", "weighted_random", "served", with_before={"SLOW_START": "60", "STICKINESS_SECONDS": "60"}),
    ],
    "STICKINESS_SECONDS": [*there_and_back("", "3600", "served"), Pair("60", "3600", "served")],
    "SLOW_START": there_and_back("", "60", "served"),
    "HEALTH_CHECK_PORT": there_and_back("", "9090", "served"),
    "HEALTH_CHECK_PATH": [Pair("/", "/ping", "served")],
    "HEALTH_CHECK_CODES": [Pair("200-299", "200", "served")],
    "HEALTH_CHECK_INTERVAL": [Pair("30", "20", "served")],
    "HEALTH_CHECK_TIMEOUT": [Pair("5", "7", "served")],
    "HEALTHY_THRESHOLD": [Pair("2", "3", "served")],
    "UNHEALTHY_THRESHOLD": [Pair("2", "3", "served")],
    "HEALTH_CHECK_GRACE_SECONDS": [Pair("300", "600", "served")],
    "DEREGISTRATION_DELAY": [Pair("60", "300", "served")],
    "ENABLE_EXECUTE_COMMAND": there_and_back("false", "true", "service") + there_and_back("false", "true", "endpoint"),
    "SCALING": there_and_back("none", "step", "served", with_before={"MAX_TASKS": "3"}, with_after={"MAX_TASKS": "3"})
    + there_and_back("none", "target-tracking", "served", with_before={"MAX_TASKS": "3"}, with_after={"MAX_TASKS": "3"})
    + there_and_back("step", "target-tracking", "served", with_before={"MAX_TASKS": "3"}, with_after={"MAX_TASKS": "3"})
    + there_and_back("none", "step", "endpoint", with_before={"MAX_TASKS": "3"}, with_after={"MAX_TASKS": "3"})
    + there_and_back("none", "requests", "served", with_before=BY_REQUESTS, with_after=BY_REQUESTS)
    + there_and_back("step", "requests", "served", with_before=BY_REQUESTS, with_after=BY_REQUESTS)
    + there_and_back("target-tracking", "requests", "served", with_before=BY_REQUESTS, with_after=BY_REQUESTS)
    + there_and_back("none", "requests", "endpoint", with_before=BY_REQUESTS, with_after=BY_REQUESTS),
    "REQUESTS_PER_TASK": [Pair("100", "50", "served", with_before=BY_REQUESTS, with_after=BY_REQUESTS)],
    "IDLE_MINUTES": [Pair("15", "30", "served", with_before=BY_REQUESTS, with_after=BY_REQUESTS)],
    "MIN_TASKS": [
        *there_and_back("1", "0", "served", with_before=BY_REQUESTS, with_after=BY_REQUESTS),
        Pair(
            "1", "2", "served", with_before={**STEPS, "DESIRED_COUNT": "2"}, with_after={**STEPS, "DESIRED_COUNT": "2"}
        ),
    ],
    "MAX_TASKS": [Pair("3", "4", "served", with_before={"SCALING": "step"}, with_after={"SCALING": "step"})],
    "SCALE_OUT_CPU": there_and_back("90", "80", "served", with_before=STEPS, with_after=STEPS)
    + there_and_back("90", "80", "served", with_before=TRACKING, with_after=TRACKING),
    "SCALE_IN_CPU": [Pair("70", "60", "served", with_before=STEPS, with_after=STEPS)],
    "SCALE_OUT_MEMORY": there_and_back("", "80", "served", with_before=TRACKING, with_after=TRACKING),
    "SCALE_OUT_COOLDOWN": [Pair("1800", "60", "served", with_before=STEPS, with_after=STEPS)],
    "SCALE_IN_COOLDOWN": [Pair("1800", "60", "served", with_before=TRACKING, with_after=TRACKING)],
    "CONTAINER_CERTIFICATE": there_and_back("", "/var/data/ours", "task"),
    "CERTIFICATE_IMAGE": [
        Pair("alpine/openssl:3.3.3", "alpine/openssl:3.3.4", "task", with_before=VOLUME, with_after=VOLUME)
    ],
    "SOURCE_REPOSITORY": [
        *there_and_back("team/ours", "team/other", "pipeline"),
        Pair("team/ours", "", "pipeline", "refused", says=("delete_pipeline.py",)),
    ],
    "SOURCE_BRANCH": [Pair("main", "develop", "pipeline")],
    "CONNECTION_ARN": [
        *there_and_back("{connection}", "{other_connection}", "pipeline"),
    ],
    "CONNECTION_PROVIDER": [Pair("GitHub", "GitLab", "own connection", "refused", says=(BACK,))],
    "BUILDSPEC": [Pair("buildspec/a.yml", "buildspec/b.yml", "pipeline")],
    "SOURCE_PATHS": there_and_back("", "a/**", "pipeline") + there_and_back("a/**", "a/**,lib/*", "pipeline"),
    "BUILD_IMAGE": [
        Pair("aws/codebuild/standard:8.0", "aws/codebuild/standard:7.0", "pipeline"),
        *there_and_back("aws/codebuild/standard:8.0", "aws/codebuild/amazonlinux-aarch64-standard:3.0", "pipeline"),
    ],
    "BUILD_COMPUTE_TYPE": [Pair("BUILD_GENERAL1_MEDIUM", "BUILD_GENERAL1_LARGE", "pipeline")],
    "ARTIFACT_DAYS": [Pair("30", "7", "pipeline")],
    "WEIGHTS_BUCKET": [
        *there_and_back("their-weights", "their-other-weights", "sync"),
        Pair("their-weights", "", "sync", "refused", says=("delete_sync.py",)),
    ],
    "WEIGHTS_PREFIX": there_and_back("", "a", "sync") + there_and_back("a", "b", "sync"),
    "WEIGHTS_VOLUME": [
        Pair("weights", "more", "sync", "kept", ("files in /weights",), ("they cost, by what is stored on EFS",))
    ],
    "SYNC_SCHEDULE": there_and_back("every 3 hours", "", "sync")
    + there_and_back("every 3 hours", "every 5 hours", "sync"),
    "SYNC_IMAGE": [
        Pair("public.ecr.aws/aws-cli/aws-cli:2.31.0", "public.ecr.aws/aws-cli/aws-cli:2.32.0", base)
        for base in ("sync", "copy")
    ],
}
#: settings that make nothing in the account: why no pair of texts could tell
MAKE_NOTHING = {
    "CLUSTER_NAME": "another name is another cluster: the first one stays, and describe_clusters.py shows it",
    "AWS_REGION": "in another region is another cluster: the first one stays",
    "ENDPOINT": "says about which endpoint a page is; create_cluster.py takes none",
    "ON_FAILURE": "what a run does that fails",
    "EFS_DELETION_POLICY": "what delete_cluster.py does",
    "POLL_SECONDS": "how often it is looked",
    "EFS_DNS_SECONDS": "how long is waited",
    "WAIT_TIMEOUT_SECONDS": "how long is waited",
    "WAIT": "how long is waited",
    "RUN_UNTIL": "how long run_task.py waits",
    "RUN_TIMEOUT_SECONDS": "how long run_task.py waits",
    "RETRIES": "how often run_task.py starts a task again",
    "RETRY_ON": "for what run_task.py starts a task again",
    "CONFIRM_ABOVE": "above which price a person is asked",
    "WAIT_FOR_CAPACITY": "how long run_task.py asks for hosts",
    "KEEP_HOSTS": "when hosts end on which no task is",
    "MAX_PARALLEL": "how many tasks of a sweep run at the same time",
    "CHECK_PATHS": "what check_service.py asks for",
    "ALLOW_DOWNTIME": "how a deploy goes where no GPU is free",
    "WEIGHTS_FOLDER": "what is uploaded to the user's bucket, in which nothing is ever deleted",
}


def belongings(runbook: Runbook) -> dict[str, str]:
    """What a user has already, and settings name: keys, a VPC, groups, file systems, roles, certificates, buckets."""
    names = {"variables": "variables", "script": "script", "definition": "definition.json"}
    files = {name: str(FILES / file) for name, file in names.items()}
    return {**files, **runbook.once(("belongings",), lambda: bring(runbook))}


def bring(runbook: Runbook) -> dict[str, str]:
    ec2 = runbook.aws("ec2")
    found = {
        "certificate": issued(runbook, "gpu.example.com"),
        "other_certificate": issued(runbook, "new.example.com"),
    }
    for key in ("ours", "theirs"):
        ec2.create_key_pair(KeyName=key)
    found |= {"zone": zone(runbook, "example.com"), "other_zone": zone(runbook, "example.org")}
    found |= {"zone_a": zone(runbook, "twice.example"), "zone_b": zone(runbook, "twice.example")}
    for bucket in ("their-logs", "their-other-logs", "their-weights", "their-other-weights"):
        runbook.aws("s3").create_bucket(Bucket=bucket)
        for key in ("a/model", "b/model") if bucket.endswith("weights") else ():
            runbook.aws("s3").put_object(Bucket=bucket, Key=key, Body=b"weights")
    for each in ("connection", "other_connection"):
        request = {"ProviderType": "GitHub", "ConnectionName": f"their-{each}"}
        found[each] = runbook.aws("codeconnections").create_connection(**request)["ConnectionArn"]
    connections.finish_handshakes(runbook.emulator.world)
    found |= vpc(
        runbook, "vpc", {"public_a": "a", "public_b": "b", "public_c": "c", "private_a": "a", "private_b": "b"}
    )
    found |= vpc(runbook, "other_vpc", {"other_subnet": "a"})
    for its_name in ("group", "other_group"):
        request = {"GroupName": f"their-{its_name}", "Description": "theirs", "VpcId": found["vpc"]}
        found[its_name] = ec2.create_security_group(**request)["GroupId"]
        runbook.settle(60)
        anything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "172.20.0.0/16"}]}
        ec2.authorize_security_group_ingress(GroupId=found[its_name], IpPermissions=[anything])
    for its_name in ("file_system", "other_file_system"):
        tags = [{"Key": "Name", "Value": f"their-{its_name}"}]
        found[its_name] = runbook.aws("efs").create_file_system(CreationToken=its_name, Tags=tags)["FileSystemId"]
    trust = {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = runbook.aws("iam").create_role(RoleName="their-role", AssumeRolePolicyDocument=document)["Role"]
    policy = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
    runbook.aws("iam").attach_role_policy(RoleName="their-role", PolicyArn=policy)
    found |= adoptable(runbook)
    reserved = {"InstanceType": "g4dn.xlarge", "InstancePlatform": "Linux/UNIX", "InstanceCount": 3}
    made = ec2.create_capacity_reservation(**reserved, AvailabilityZone="us-east-1a", InstanceMatchCriteria="targeted")
    found["reservation"] = made["CapacityReservation"]["CapacityReservationId"]
    wanted = {"type": "g4dn.xlarge", "zone": "us-east-1a", "hours": 24 * 30}
    found["block"] = capacity_blocks.buy(runbook.emulator, wanted)["id"]
    key = runbook.aws("kms").create_key()["KeyMetadata"]["KeyId"]
    for its_name, more in (("secret", {}), ("other_secret", {"KmsKeyId": key}), ("registry", {})):
        request = {
            "Name": f"their-{its_name}",
            "SecretString": '{"token": "x", "username": "us", "password": "x"}',
            **more,
        }
        found[its_name] = runbook.aws("secretsmanager").create_secret(**request)["ARN"]
    runbook.aws("ssm").put_parameter(Name="/theirs", Value="x", Type="SecureString")
    plain = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
    ami = runbook.aws("ssm").get_parameter(Name=plain)["Parameter"]["Value"]
    runbook.settle(60)
    return {**found, "role": role["Arn"], "plain_ami": ami}


#: whose role another has made -> the service that may take it on
ADOPTABLE = {
    "build_role": "codebuild",
    "pipeline_role": "codepipeline",
    "sync_role": "ecs-tasks",
    "schedule_role": "scheduler",
    "host_role": "ec2",
}


def adoptable(runbook: Runbook) -> dict[str, str]:
    """Roles of another's with all rights, under a path; an instance profile; and a policy for boundaries."""
    iam = runbook.aws("iam")
    anything = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    for name, service in ADOPTABLE.items():
        trust = {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        iam.create_role(RoleName=f"their-{name}", Path="/theirs/", AssumeRolePolicyDocument=document)
        iam.put_role_policy(RoleName=f"their-{name}", PolicyName="all", PolicyDocument=anything)
    iam.create_instance_profile(InstanceProfileName="their-profile", Path="/theirs/")
    iam.add_role_to_instance_profile(InstanceProfileName="their-profile", RoleName="their-host_role")
    boundary = iam.create_policy(PolicyName="their-boundary", PolicyDocument=anything)["Policy"]["Arn"]
    runbook.settle(60)
    found = {name: iam.get_role(RoleName=f"their-{name}")["Role"]["Arn"] for name in ADOPTABLE}
    return {**found, "profile": "their-profile", "boundary": boundary}


def vpc(runbook: Runbook, its_name: str, subnets: dict[str, str]) -> dict[str, str]:
    """Another's, with a way out of all its subnets; what its addresses are does not matter."""
    ec2 = runbook.aws("ec2")

    def named(kind: str, each: str) -> list[Any]:
        return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": f"their-{each}"}]}]

    vpc_id = ec2.create_vpc(CidrBlock="172.20.0.0/16", TagSpecifications=named("vpc", its_name))["Vpc"]["VpcId"]
    gateway_id = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    runbook.settle(60)
    found = {its_name: vpc_id}
    for number, (each, letter) in enumerate(subnets.items()):
        where = {"VpcId": vpc_id, "CidrBlock": f"172.20.{number}.0/24", "AvailabilityZone": f"us-east-1{letter}"}
        found[each] = ec2.create_subnet(**where, TagSpecifications=named("subnet", each))["Subnet"]["SubnetId"]
    [table] = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])["RouteTables"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc_id)
    ec2.create_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway_id)
    ec2.modify_vpc_attribute(VpcId=vpc_id, EnableDnsHostnames={"Value": True})
    runbook.settle(60)
    for each in subnets:
        ec2.modify_subnet_attribute(SubnetId=found[each], MapPublicIpOnLaunch={"Value": True})
    runbook.settle(60)
    return found


#: within the hour, in which AWS lists stopped tasks: a sync that is asked for once more is another one by them
SETTLES = {"sync": 600, "copy": 600}


def stands(runbook: Runbook, seconds: float = 3600) -> dict[str, list[Any]]:
    """The account when AWS has finished, comparable: what has one name as a list, and no numbers of revisions."""
    text = json.dumps(runbook.account(after=seconds), default=str)
    account = json.loads(re.sub(r"(:task-definition/[\w-]+):\d+", r"\1", text))
    newest: dict[str, int] = {}
    for family, number in re.findall(r"^task definition (.*):(\d+)$", "\n".join(account), re.MULTILINE):
        newest[family] = max(newest.get(family, 0), int(number))
    found: dict[str, list[Any]] = defaultdict(list)
    for name, about in account.items():
        kind, _, its_name = re.sub(r"( \(again\))+$", "", name).rpartition(" ")
        family, _, number = its_name.rpartition(":")
        if kind in ("task", "task definition"):
            its_name = family
        if kind != "task definition" or int(number) == newest[family]:
            found[f"{kind} {its_name}"].append(comparable(kind, its_name, about))
    systems = [each["FileSystemId"] for each in runbook.aws("efs").describe_file_systems()["FileSystems"]]
    for (system, directory), files in runbook.emulator.world.state["efs_files"].items():
        if system in systems and files:
            found[f"files in {directory}"].append(sorted(files))
    return {name: sorted(each, key=json.dumps) for name, each in found.items()}


def comparable(kind: str, its_name: str, about: Any) -> Any:
    """Without what the settings leave open: ECS chooses a task's subnet, and logs that are off have a former bucket.

    And without what nothing reads: the port of a target group, since ECS registers each task with its own.
    """
    if kind == "target group":
        return {**about, "Port": "each target's"}
    if kind == "network interface" and "ecs" in its_name:
        return {**about, "subnet": "one of them"}
    if kind == "load balancer" and {"Key": "access_logs.s3.enabled", "Value": "false"} in about["attributes"]:
        return {**about, "attributes": [each for each in about["attributes"] if "access_logs.s3" not in each["Key"]]}
    if kind == "instance":
        return {**about, "Tags": [each for each in about["Tags"] if each["Key"] != "aws:ec2launchtemplate:version"]}
    return about


def differences(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {
        name: (one.get(name), other.get(name)) for name in one.keys() | other.keys() if one.get(name) != other.get(name)
    }


def named(pair: Pair) -> str:
    return f"{pair.before or 'empty'} to {pair.after or 'empty'}, {pair.base}, {pair.ends}"


ROWS = [
    pytest.param(setting, pair, id=f"{setting} {named(pair)}") for setting, pairs in PAIRS.items() for pair in pairs
]


@pytest.mark.parametrize(("setting", "pair"), ROWS)
def test_a_changed_setting_reaches_what_stands_or_is_refused(runbook: Runbook, setting: str, pair: Pair) -> None:
    pages, known = prepared(runbook, pair.base)
    before = {name: text.format(**known) for name, text in {**pair.with_before, setting: pair.before}.items()}
    after = {name: text.format(**known) for name, text in {**pair.with_after, setting: pair.after}.items()}
    if pair.ends == "refused":
        runbook.has_run(*pages, **before)
        refused(runbook, pages, setting, pair, after)
        return
    seconds = SETTLES.get(pair.base, 3600)
    wanted = stands(runbook.has_run(*pages, **after), seconds)
    put_back(runbook.emulator, new_account())
    prepared(runbook, pair.base)
    runbook.has_run(*pages, **before)
    runbook.settle(120)
    told = "".join(passed(runbook, page, after) for page in pages)
    different = differences(stands(runbook, seconds), wanted)
    stays = {name for name in different if name.startswith(pair.stays or "-")}
    left = {name: different[name] for name in different.keys() - stays}
    assert not left, f"{told}\n{json.dumps(left, indent=1)}"
    assert bool(stays) == ("kept " in told) == (pair.ends == "kept"), told
    assert [text for text in pair.says if text not in told] == [], told
    begun = len(runbook.emulator.calls)
    for page in pages:
        passed(runbook, page, after)
    assert runbook.changes(begun) == [*ALWAYS.get(pair.base, ()), *pair.later], (
        "it is as the settings say, and yet something is changed"
    )
    if pair.ends == "kept":
        runbook.has_run("delete_cluster.py --yes --everything", **after | {"ENDPOINT": ""})
        gone = stands(runbook)
        put_back(runbook.emulator, new_account())
        belongings(runbook)
        assert gone == stands(runbook), "what was kept goes with the cluster"


def prepared(runbook: Runbook, its_name: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """The account of a base before its pages: these, and what the user has already."""
    base, pages = BASES[its_name]
    known = belongings(runbook)
    runbook.settings = {name: text.format(**known) for name, text in base.items()}
    for step in PREPARED.get(its_name, ()):
        if isinstance(step, str):
            *settings, page = step.split()
            runbook.has_run(page, **dict(each.split("=") for each in settings))
        else:
            runbook.once((step.__name__,), functools.partial(step, runbook))
    return pages, known


KILLED = [
    (setting, pair)
    for setting, pair in [
        *(("LISTENER_PROTOCOL", each) for each in PAIRS["LISTENER_PROTOCOL"] if each.ends == "changed"),
        *(("BASTION_KEY_NAME", each) for each in PAIRS["BASTION_KEY_NAME"]),
        ("NAT_GATEWAYS", Pair("per-zone", "none", "private")),
        ("SECURITY_GROUP_IDS", Pair("", "{group}", "adopted")),
        ("PUBLIC_SUBNET_IDS", PAIRS["PUBLIC_SUBNET_IDS"][0]),
        ("SERVICE_NAME", Pair("", "other", "served", with_before=STEPS, with_after=STEPS)),
        ("HOST_NAME", Pair("a.example.com", "b.example.com", "host name")),
        (
            "CERTIFICATE_ARN",
            Pair(
                "{certificate},{other_certificate}",
                "{other_certificate},{certificate}",
                "balancer",
                with_before=HTTPS,
                with_after=HTTPS,
            ),
        ),
        (
            "CERTIFICATE_ARN",
            Pair("{certificate}", "{other_certificate},{certificate}", "balancer", with_before=HTTPS, with_after=HTTPS),
        ),
        (
            "SCALING",
            Pair("step", "target-tracking", "served", with_before={"MAX_TASKS": "3"}, with_after={"MAX_TASKS": "3"}),
        ),
    ]
]


@pytest.mark.parametrize(("setting", "pair"), KILLED, ids=lambda each: each if isinstance(each, str) else named(each))
def test_a_change_that_is_killed_goes_on_where_it_stopped(runbook: Runbook, setting: str, pair: Pair) -> None:
    pages, known = prepared(runbook, pair.base)
    before = {name: text.format(**known) for name, text in {**pair.with_before, setting: pair.before}.items()}
    after = {name: text.format(**known) for name, text in {**pair.with_after, setting: pair.after}.items()}
    runbook.has_run(*pages, **before)
    picture = take(runbook.emulator)
    begun = len(runbook.emulator.calls)
    told = "".join(passed(runbook, page, after) for page in pages)
    changes, wanted = len(runbook.changes(begun)), stands(runbook)
    assert changes > 0, told
    for number in range(1, changes + 1):
        put_back(runbook.emulator, picture)
        runbook.watch = functools.partial(kill, runbook, begun, number)
        runbook.run(pages[0], **after)
        runbook.watch = None
        told = "".join(passed(runbook, page, after) for page in pages)
        different = differences(stands(runbook), wanted)
        assert not different, f"killed after change {number}: {told}\n{json.dumps(different, indent=1)}"


def kill(runbook: Runbook, begun: int, number: int, when: str) -> None:
    if when == "after" and len(runbook.changes(begun)) >= number:
        runbook.watch = None
        raise KeyboardInterrupt


def answers(runbook: Runbook) -> dict[int, str]:
    """Port of the load balancer -> what comes of a request there: the service's answer, a redirect, or nothing."""
    elb = runbook.aws("elbv2")
    [balancer] = elb.describe_load_balancers()["LoadBalancers"]
    found = {}
    for listener in elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]:
        rules = elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
        first = min(rules, key=lambda rule: int(rule["Priority"]) if rule["Priority"] != "default" else 99999)
        found[listener["Port"]] = first["Actions"][0]["Type"]
    return found


@pytest.mark.parametrize(
    ("before", "after", "end"),
    [("HTTP", "HTTPS", {80: "redirect", 443: "forward"}), ("HTTPS", "HTTP", {80: "forward"})],
)
def test_a_service_answers_all_the_while_when_the_protocol_changes(
    runbook: Runbook, before: str, after: str, end: dict[int, str]
) -> None:
    base, pages = BASES["service"]
    known = belongings(runbook)
    runbook.settings = {**base, "CERTIFICATE_ARN": known["certificate"]}
    runbook.has_run(*pages, LISTENER_PROTOCOL=before)
    seen = [answers(runbook)]

    def watch(when: str) -> None:
        runbook.watch = None
        seen.append(answers(runbook))
        runbook.watch = watch

    runbook.watch = watch
    ran = runbook.run("create_cluster.py", LISTENER_PROTOCOL=after)
    runbook.watch = None
    assert ran.code == 0, ran.err
    assert [each for each in seen if "forward" not in each.values()] == []
    assert {each.get(80) for each in seen} <= {"forward", "redirect"}, "neither is a request at port 80 ever lost"
    assert answers(runbook) == end


@pytest.mark.parametrize(
    ("pages", "change"),
    [
        (OF_ENDPOINT, {"CONTAINER_PORTS": "8000,9090"}),
        (OF_ENDPOINT, {"SERVICE_NAME": "other"}),
        (OF_ENDPOINT, {"TASK_FAMILY": "other"}),
        (SERVICE, {"CAPACITY_TYPE": "spot"}),
    ],
)
def test_some_task_answers_all_the_while_that_a_service_moves(
    runbook: Runbook, pages: tuple[str, ...], change: dict[str, str]
) -> None:
    runbook.settings = {**BASES["service"][0], "CONTAINER_PORTS": "9090"}
    runbook.has_run(*SERVICE)
    runbook.settle()
    runbook.has_run("create_cluster.py", **change)
    seen: list[set[tuple[int, str]]] = []

    def watch(when: str) -> None:
        runbook.watch = None
        seen.append(targets(runbook))
        runbook.watch = watch

    runbook.watch = watch
    for page in pages:
        passed(runbook, page, change)
    runbook.watch = None
    assert [each for each in seen if "healthy" not in {state for _, state in each}] == []
    assert len({port for each in seen for port, _ in each}) == 1 + ("CONTAINER_PORTS" in change)
    runbook.settle()
    assert len(targets(runbook)) == 1


def targets(runbook: Runbook) -> set[tuple[int, str]]:
    """Port and state of each target."""
    [group] = runbook.aws("elbv2").describe_target_groups()["TargetGroups"]
    found = runbook.aws("elbv2").describe_target_health(TargetGroupArn=group["TargetGroupArn"])
    return {(each["Target"]["Port"], each["TargetHealth"]["State"]) for each in found["TargetHealthDescriptions"]}


def test_rules_of_others_stay_where_they_are_and_are_named(runbook: Runbook) -> None:
    base, pages = BASES["service"]
    known = belongings(runbook)
    runbook.settings = {**base, "CERTIFICATE_ARN": known["certificate"]}
    runbook.has_run(*pages)
    elb = runbook.aws("elbv2")
    [balancer] = elb.describe_load_balancers()["LoadBalancers"]
    [listener] = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    action = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "ContentType": "text/plain"}}
    condition = {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/theirs"]}}
    request = {"ListenerArn": listener["ListenerArn"], "Priority": 7, "Conditions": [condition], "Actions": [action]}
    theirs = elb.create_rule(**request)["Rules"][0]["RuleArn"]
    ran = runbook.run("create_cluster.py", LISTENER_PROTOCOL="HTTPS")
    assert ran.code == 0, ran.err
    assert "kept listener rule /theirs beside port 443  not of this runbook" in ran.err
    [stays] = elb.describe_rules(RuleArns=[theirs])["Rules"]
    assert (stays["Priority"], stays["Actions"][0]["Type"]) == ("7", "fixed-response")


def test_a_file_system_that_was_kept_when_its_cluster_went_hinders_no_other_one(runbook: Runbook) -> None:
    base, _ = BASES["adopted"]
    known = belongings(runbook)
    runbook.settings = {name: text.format(**known) for name, text in base.items()}
    runbook.has_run("create_cluster.py", "delete_cluster.py --yes", EFS_DELETION_POLICY="Retain")
    systems = runbook.aws("efs").describe_file_systems()["FileSystems"]
    [kept] = [each["FileSystemId"] for each in systems if each["CreationToken"].startswith("gpu-")]
    ran = runbook.run("create_cluster.py", FILE_SYSTEM_ID=known["file_system"])
    assert ran.code == 0, ran.err
    points = runbook.aws("efs").describe_access_points()["AccessPoints"]
    assert {each["FileSystemId"] for each in points} == {kept, known["file_system"]}
    assert "nothing changed" in runbook.run("create_cluster.py", FILE_SYSTEM_ID=known["file_system"]).err


def test_a_connection_that_the_settings_replace_stays_with_its_handshake_and_is_named(runbook: Runbook) -> None:
    _, known = prepared(runbook, "own connection")
    told = passed(runbook, "create_pipeline.py", {"CONNECTION_ARN": known["connection"]})
    assert "kept connection gpu-git  free, endpoints share it; delete_cluster.py deletes it" in told
    assert "connection gpu-git" in stands(runbook)
    runbook.has_run("delete_cluster.py --yes")
    assert "connection gpu-git" not in stands(runbook)


def test_revisions_of_families_that_no_setting_names_any_more_go_with_the_cluster(runbook: Runbook) -> None:
    prepared(runbook, "gpu task")
    for family in ("", "other", "another"):
        runbook.has_run("register_task_definition.py", TASK_FAMILY=family)
    runbook.settle(120)  # so late are AWS's lists of tags
    runbook.has_run("delete_cluster.py --yes")
    assert [name for name in stands(runbook) if name.startswith("task definition")] == []


def passed(runbook: Runbook, page: str, settings: dict[str, str]) -> str:
    ran = runbook.run(*page.split(), **settings)
    assert ran.code == 0, ran.err
    return ran.err


def refused(runbook: Runbook, pages: tuple[str, ...], setting: str, pair: Pair, after: dict[str, str]) -> None:
    """By the first page that would change anything."""
    begun = len(runbook.emulator.calls)
    ran = next((ran for page in pages if (ran := runbook.run(*page.split(), **after)).code), None)
    assert ran, "no page refuses it"
    assert (ran.code in (1, 2), ran.out, runbook.changes(begun)) == (True, "", []), ran.err
    assert [text for text in (setting, *pair.says) if text not in ran.err] == [], ran.err


@pytest.mark.parametrize("setting", sorted(constants.KNOWN))
def test_every_setting_has_a_pair(setting: str) -> None:
    assert setting in {**PAIRS, **MAKE_NOTHING}
