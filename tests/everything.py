"""An account in which every create page has run, with and without endpoints: for the laws that hold for all of it."""

from __future__ import annotations

from typing import Any

from emulator.codestar_connections import connections
from tests.conftest import GPU, Runbook
from tests.zones import zone

#: one cluster, with all that a cluster can have, and no endpoints
ALONE = {
    **GPU,
    "LISTENER_PROTOCOL": "HTTP",
    "PUBLIC_SUBNET_CIDRS": "10.0.0.0/24,10.0.1.0/24",
    "PRIVATE_SUBNET_CIDRS": "10.0.2.0/24,10.0.3.0/24",
    "NAT_GATEWAYS": "single",
    "CONTAINER_PORTS": "8000",
    "ALLOWED_CIDR": "203.0.113.0/24",
    "HOST_NAME": "gpu.example.com",
    "HOST_MONITORING": "enabled",
    "BASTION_KEY_NAME": "ours",
    "BASTION_ALLOWED_CIDR": "203.0.113.7/32",
    "MAX_INSTANCES": "3",
    "SCALING": "step",
    "MAX_TASKS": "2",
    "TASK_CPU": "512",
    "EFS_VOLUMES": "data:/data,weights:/weights",
    "SOURCE_REPOSITORY": "example/ml-endpoints",
    "BUILDSPEC": "buildspec/a.yml",
    "WEIGHTS_BUCKET": "example-weights",
    "SYNC_SCHEDULE": "every 1 hours",
    "STOP_AT": "2099-01-07T02:00Z",
    "POLL_SECONDS": "60",
}
#: the same on Fargate, where there are no hosts to wait for
LIGHT = {
    **ALONE,
    "LAUNCH_TYPE": "FARGATE",
    "GPU_COUNT": "0",
    "TASK_MEMORY": "1024",
    "HOST_MONITORING": "disabled",
    "BASTION_KEY_NAME": "",
    "BASTION_ALLOWED_CIDR": "",
    "PRIVATE_SUBNET_CIDRS": "",
    "COMMAND": "sleep infinity",
}
COPY = "copy_data.py s3://example-weights data:/in"
#: what the command line of a page can't do without
WORDS = {"copy_data.py": tuple(COPY.split()[1:])}
#: page -> the pages that must have run before it, and the command that undoes it
PAGES: dict[str, tuple[tuple[str, ...], str]] = {
    "create_cluster.py": ((), "delete_cluster.py --yes"),
    "create_repository.py": ((), "delete_repository.py --images"),
    "create_pipeline.py": (("create_repository.py",), "delete_pipeline.py"),
    "register_task_definition.py": (("create_cluster.py",), "deregister_task_definition.py"),
    "run_task.py": (("register_task_definition.py",), "stop_task.py --all"),
    "create_service.py": (("register_task_definition.py",), "delete_service.py"),
    "sync_weights.py": (("register_task_definition.py",), "delete_sync.py"),
    COPY: (("register_task_definition.py",), "delete_copy.py"),
    "create_dns_record.py": (("create_cluster.py",), "delete_dns_record.py"),
}


def prepared(runbook: Runbook, settings: dict[str, str] = ALONE) -> Runbook:
    """What a user has before the first page: a key pair, a zone, a bucket of weights, a connection to the Git host."""

    def prepare() -> str:
        runbook.aws("ec2").create_key_pair(KeyName="ours")
        zone(runbook, "example.com")
        runbook.aws("s3").create_bucket(Bucket="example-weights")
        runbook.aws("s3").put_object(Bucket="example-weights", Key="model.bin", Body=b"weights")
        request = {"ProviderType": "GitHub", "ConnectionName": "theirs"}
        arn = runbook.aws("codeconnections").create_connection(**request)["ConnectionArn"]
        connections.finish_handshakes(runbook.emulator.world)
        return str(arn)

    arn = runbook.once(("prepared",), prepare)
    runbook.settings = {**settings, "CONNECTION_ARN": arn}
    return runbook


def with_needs(pages: tuple[str, ...]) -> list[str]:
    """These pages and all that must have run before them, in the order of PAGES."""
    wanted = set(pages)
    while more := {need for page in wanted for need in PAGES[page][0]} - wanted:
        wanted |= more
    return [page for page in PAGES if page in wanted]


def tagged(runbook: Runbook) -> dict[str, dict[str, str]]:
    """ARN -> tags, of everything that bears tags; AWS's own tagging API leaves roles and Auto Scaling groups out, and
    is minutes late."""
    runbook.settle(300)
    pages = runbook.aws("resourcegroupstaggingapi").get_paginator("get_resources").paginate()
    listed: list[Any] = [each for page in pages for each in page["ResourceTagMappingList"]]
    found = {each["ResourceARN"]: {tag["Key"]: tag["Value"] for tag in each["Tags"]} for each in listed}
    iam = runbook.aws("iam")
    for role in iam.list_roles()["Roles"]:
        found[role["Arn"]] = words(iam.list_role_tags(RoleName=role["RoleName"])["Tags"])
    for profile in iam.list_instance_profiles()["InstanceProfiles"]:
        name = profile["InstanceProfileName"]
        found[profile["Arn"]] = words(iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Tags"])
    for group in runbook.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]:
        found[group["AutoScalingGroupARN"]] = words(group["Tags"])
    return {arn: tags for arn, tags in found.items() if tags}


def words(tags: list[Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}


def tag(runbook: Runbook, arn: str, add: dict[str, str], remove: tuple[str, ...] = ()) -> None:
    """Behind the scripts' back."""
    service, name = arn.split(":")[2], arn.rpartition("/")[2]
    listed: list[Any] = [{"Key": key, "Value": value} for key, value in add.items()]
    if service == "iam" and ":instance-profile/" in arn:
        runbook.aws("iam").tag_instance_profile(InstanceProfileName=name, Tags=listed)
        runbook.aws("iam").untag_instance_profile(InstanceProfileName=name, TagKeys=list(remove))
    elif service == "iam":
        runbook.aws("iam").tag_role(RoleName=name, Tags=listed)
        runbook.aws("iam").untag_role(RoleName=name, TagKeys=list(remove))
    elif service == "autoscaling":
        where = {"ResourceType": "auto-scaling-group", "ResourceId": name, "PropagateAtLaunch": True}
        if listed:
            runbook.aws("autoscaling").create_or_update_tags(Tags=[{**where, **each} for each in listed])
        if remove:
            runbook.aws("autoscaling").delete_tags(Tags=[{**where, "Key": key} for key in remove])
    else:
        tagging = runbook.aws("resourcegroupstaggingapi")
        if add:
            failed = tagging.tag_resources(ResourceARNList=[arn], Tags=add)["FailedResourcesMap"]
            assert not failed, failed
        if remove:
            failed = tagging.untag_resources(ResourceARNList=[arn], TagKeys=list(remove))["FailedResourcesMap"]
            assert not failed, failed
