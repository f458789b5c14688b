"""GPU capacity: a launch template, an Auto Scaling group, and the capacity provider that lets ECS scale it.

On Fargate there are no hosts; the cluster then only names AWS's own providers.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/asg-capacity-providers.html
"""

import base64
import re
from typing import Any

from botocore.exceptions import ClientError

from aws import Problem, accepted, client, code, insist, message, missing, name, ours, tag_filters, tags, wait
from console import NEW, say
from constants import (
    AMI_ID,
    CAPACITY_PROVIDER,
    CAPACITY_TYPE,
    CLUSTER_NAME,
    GPU_COUNT,
    INSTANCE_TYPE,
    KEY_NAME,
    LAUNCH_TYPE,
    MAX_INSTANCES,
    MIN_INSTANCES,
    ROOT_VOLUME_GIB,
)
from infrastructure import cluster, monitoring
from infrastructure.checks import Facts, gpu_count
from infrastructure.network import Network
from infrastructure.roles import Roles
from infrastructure.security_groups import SecurityGroups

HOSTS = name("hosts")
#: how long AWS may take to know a new role everywhere: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html
PROPAGATION_SECONDS = 120
ENDED_REFRESH = {"Successful", "Failed", "Cancelled", "RollbackSuccessful", "RollbackFailed"}
FARGATE_PROVIDERS = ["FARGATE", "FARGATE_SPOT"]


def create(facts: Facts, network: Network, groups: SecurityGroups, roles: Roles) -> None:
    """Ask for the hosts; MIN_INSTANCES of them begin to cost money now, the others when tasks wait for them."""
    if LAUNCH_TYPE == "FARGATE":
        return put_providers(FARGATE_PROVIDERS, default_strategy())
    create_launch_template(facts, groups, roles)
    group = create_auto_scaling_group(network)
    create_capacity_provider(group)
    put_providers([CAPACITY_PROVIDER], default_strategy())


def default_strategy() -> list[dict[str, Any]]:
    """What tasks run on unless they say otherwise; RunTask must not name a launch type beside it."""
    fargate = "FARGATE_SPOT" if CAPACITY_TYPE == "spot" else "FARGATE"
    return [{"capacityProvider": fargate if LAUNCH_TYPE == "FARGATE" else CAPACITY_PROVIDER, "weight": 1, "base": 0}]


# ---------------------------------------------------------------------------------------------------------- the template


def user_data() -> str:
    """What a host runs at its first boot: it tells the ECS agent which cluster to join.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-config.html
    """
    lines = [
        f"ECS_CLUSTER={CLUSTER_NAME}",
        "ECS_AWSVPC_BLOCK_IMDS=true",
        "ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM=ec2_instance",
    ]
    if GPU_COUNT:
        lines.append("ECS_ENABLE_GPU_SUPPORT=true")
    if CAPACITY_TYPE == "spot":
        lines.append("ECS_ENABLE_SPOT_INSTANCE_DRAINING=true")
    script = "#!/bin/bash\ncat >> /etc/ecs/ecs.config <<'END'\n" + "\n".join(lines) + "\nEND\n"
    return script + (monitoring.INSTALL if monitoring.wanted() else "")


def launch_template_data(facts: Facts, groups: SecurityGroups, roles: Roles) -> dict[str, Any]:
    """IMDSv2 only, and not from containers; a root disk large enough for CUDA images, on the AMI's own root device."""
    [image] = client("ec2").describe_images(ImageIds=[facts.image_id])["Images"] or [{"RootDeviceName": "/dev/xvda"}]
    data: dict[str, Any] = {
        "ImageId": facts.image_id,
        "InstanceType": INSTANCE_TYPE,
        "IamInstanceProfile": {"Name": roles.instance_profile_name},
        "SecurityGroupIds": groups.host_ids,
        "UserData": base64.b64encode(user_data().encode()).decode(),
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "HttpEndpoint": "enabled"},
        "BlockDeviceMappings": [
            {
                "DeviceName": image["RootDeviceName"],
                "Ebs": {
                    "VolumeSize": ROOT_VOLUME_GIB,
                    "VolumeType": "gp3",
                    "Encrypted": True,
                    "DeleteOnTermination": True,
                },
            }
        ],
        "TagSpecifications": [
            {"ResourceType": kind, "Tags": tags("host")} for kind in ("instance", "volume", "network-interface")
        ],
    }
    if KEY_NAME:
        data["KeyName"] = KEY_NAME
    if CAPACITY_TYPE == "spot":
        data["InstanceMarketOptions"] = {"MarketType": "spot"}
    return data


def create_launch_template(facts: Facts, groups: SecurityGroups, roles: Roles, newest: bool = False) -> None:
    """Make it, or give it a new version where a setting changed; hosts that run already stay as they are.

    The AMI of a template that is there is kept, unless `newest`: update_cluster.py takes that, and replaces the hosts.
    """
    ec2 = client("ec2")
    wanted = launch_template_data(facts, groups, roles)
    template = find_launch_template()
    if template and not ours(template.get("Tags")):
        raise Problem(
            f"the launch template {HOSTS} exists already, and is not of this runbook: choose another CLUSTER_NAME"
        )
    if not template:
        made = accepted(
            lambda: ec2.create_launch_template(
                LaunchTemplateName=HOSTS,
                LaunchTemplateData=wanted,
                TagSpecifications=[{"ResourceType": "launch-template", "Tags": tags("hosts")}],
            ),
            "InvalidLaunchTemplateName.AlreadyExistsException",
        )
        return say("created" if made else "found", f"launch template {HOSTS}", f"{INSTANCE_TYPE}, {facts.image_id}")
    latest = ec2.describe_launch_template_versions(LaunchTemplateName=HOSTS, Versions=["$Latest"])
    present = latest["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    if (
        not (AMI_ID or newest)
        and present["ImageId"] != wanted["ImageId"]
        and same_kind(present["ImageId"], wanted["ImageId"])
    ):
        say(
            "found",
            f"AMI {present['ImageId']}",
            f"kept; AWS has published {wanted['ImageId']} since: update_cluster.py takes it",
        )
        wanted["ImageId"] = present["ImageId"]
    changed = sorted(key for key in {*wanted, *present} if not _agree(present.get(key), wanted.get(key)))
    if not changed:
        return say("found", f"launch template {HOSTS}", f"{INSTANCE_TYPE}, {wanted['ImageId']}")
    ec2.create_launch_template_version(LaunchTemplateName=HOSTS, LaunchTemplateData=wanted)
    say("updated", f"launch template {HOSTS}", f"{', '.join(changed)}; hosts that run keep what they have")


def same_kind(one: str, other: str) -> bool:
    """Whether two AMIs differ by their date only: AWS publishes new ones every week, with drivers that may jump."""
    names = [image["Name"] for image in client("ec2").describe_images(ImageIds=[one, other])["Images"]]
    return len(names) == 2 and len({re.sub(r"20\d{6}", "", name) for name in names}) == 1


def _agree(present: Any, wanted: Any) -> bool:
    """Whether what EC2 shows is what we want; it may show more members than were asked for, in another order."""
    if isinstance(wanted, dict) and isinstance(present, dict):
        return all(_agree(present.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(present, list):
        return len(wanted) == len(present) and all(any(_agree(p, w) for p in present) for w in wanted)
    return bool(present == wanted or (not present and not wanted))


def find_launch_template() -> dict[str, Any] | None:
    filters = [{"Name": "launch-template-name", "Values": [HOSTS]}]
    found = client("ec2").describe_launch_templates(Filters=filters)["LaunchTemplates"]
    return found[0] if found else None  # a name is given once


# ------------------------------------------------------------------------------------------------ the Auto Scaling group


def create_auto_scaling_group(network: Network) -> dict[str, Any]:
    """Make it, or bring its sizes and subnets into line. The desired size is ECS's business after that."""
    group = find_group()
    if group and not ours(group["Tags"]):
        raise Problem(
            f"the Auto Scaling group {HOSTS} exists already, and is not of this runbook: choose another CLUSTER_NAME"
        )
    if group and group.get("Status"):
        wait(f"the former Auto Scaling group {HOSTS} to be gone", lambda: not find_group(), group_in_words)
        group = None
    if not group:
        return _make_auto_scaling_group(network)
    say("found", f"Auto Scaling group {HOSTS}")
    wanted = {"MinSize": MIN_INSTANCES, "MaxSize": MAX_INSTANCES}
    changes: dict[str, Any] = {key: value for key, value in wanted.items() if group[key] != value}
    if set(group["VPCZoneIdentifier"].split(",")) != set(network.subnet_ids):
        changes["VPCZoneIdentifier"] = ",".join(network.subnet_ids)
    if not group["NewInstancesProtectedFromScaleIn"]:
        changes["NewInstancesProtectedFromScaleIn"] = True
    if changes:
        desired = min(max(group["DesiredCapacity"], MIN_INSTANCES), MAX_INSTANCES)
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


def _make_auto_scaling_group(network: Network) -> dict[str, Any]:
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
                MinSize=MIN_INSTANCES,
                MaxSize=MAX_INSTANCES,
                DesiredCapacity=MIN_INSTANCES,
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
        seconds=PROPAGATION_SECONDS,
    )
    say(
        "created" if made else "found",
        f"Auto Scaling group {HOSTS}",
        f"{MIN_INSTANCES} to {MAX_INSTANCES} {INSTANCE_TYPE}",
    )
    found = wait(f"Auto Scaling group {HOSTS}", find_group, lambda: "AWS does not list it")
    return found or {"AutoScalingGroupARN": NEW, "Instances": []}


def find_group() -> dict[str, Any] | None:
    found = client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[HOSTS])["AutoScalingGroups"]
    return found[0] if found else None  # a name is given once


def group_in_words() -> str:
    group = find_group()
    if not group:
        return "it is gone"
    hosts = ", ".join(f"{host['InstanceId']} is {host['LifecycleState']}" for host in group["Instances"])
    return f"{group.get('Status') or 'it is there'}; {hosts or 'no host is left in it'}"


def refresh() -> dict[str, Any]:
    """Replace the hosts whose launch template is not the latest, one at a time, and wait for it. Protected ones too.

    https://docs.aws.amazon.com/autoscaling/ec2/userguide/asg-instance-refresh.html
    """
    autoscaling = client("autoscaling")
    group = find_group() or {"Instances": []}
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


# ----------------------------------------------------------------------------------------------- the capacity provider


def create_capacity_provider(group: dict[str, Any]) -> None:
    """Managed scaling starts hosts for waiting tasks and ends idle ones; draining moves tasks off a host first."""
    ecs = client("ecs")
    provider = find_provider()
    if provider and provider["autoScalingGroupProvider"]["autoScalingGroupArn"] != group["AutoScalingGroupARN"]:
        say("found", f"capacity provider {CAPACITY_PROVIDER}", "of an Auto Scaling group that is gone")
        put_providers([], [])
        delete_provider()
        provider = find_provider()
    if provider and provider.get("updateStatus") == "DELETE_IN_PROGRESS":
        wait(
            f"the former capacity provider {CAPACITY_PROVIDER} to be gone",
            lambda: not find_provider(),
            provider_in_words,
        )
        provider = None
    if provider:
        return update_capacity_provider(provider)
    try:
        insist(
            f"capacity provider {CAPACITY_PROVIDER}",
            lambda: ecs.create_capacity_provider(
                name=CAPACITY_PROVIDER,
                autoScalingGroupProvider={"autoScalingGroupArn": group["AutoScalingGroupARN"], **provider_settings()},
                tags=tags("capacity", "key", "value"),
            ),
            "service linked role",
            "UpdateInProgressException",
        )
    except ClientError as error:  # AWS has no code of its own for "already there": look
        if code(error) not in ("ClientException", "InvalidParameterException") or not find_provider():
            raise
        return say("found", f"capacity provider {CAPACITY_PROVIDER}", "made by another run at the same moment")
    say("created", f"capacity provider {CAPACITY_PROVIDER}")


def provider_settings() -> dict[str, Any]:
    scaling = {
        "status": "ENABLED",
        "targetCapacity": 100,
        "minimumScalingStepSize": 1,
        "maximumScalingStepSize": MAX_INSTANCES,
    }
    return {"managedScaling": scaling, "managedTerminationProtection": "ENABLED", "managedDraining": "ENABLED"}


def update_capacity_provider(provider: dict[str, Any]) -> None:
    if _agree(provider["autoScalingGroupProvider"], provider_settings()):
        return say("found", f"capacity provider {CAPACITY_PROVIDER}")
    insist(
        f"capacity provider {CAPACITY_PROVIDER}",
        lambda: client("ecs").update_capacity_provider(
            name=CAPACITY_PROVIDER, autoScalingGroupProvider=provider_settings()
        ),
        *cluster.BUSY,
    )
    say("updated", f"capacity provider {CAPACITY_PROVIDER}")


def find_provider() -> dict[str, Any] | None:
    """The provider while it can be used; AWS describes a deleted one as INACTIVE."""
    found = missing(
        lambda: client("ecs").describe_capacity_providers(capacityProviders=[CAPACITY_PROVIDER], include=["TAGS"]),
        "ClientException",
    )
    providers = [each for each in (found or {}).get("capacityProviders", []) if each["status"] != "INACTIVE"]
    return providers[0] if providers else None


def put_providers(providers: list[str], strategy: list[dict[str, Any]]) -> None:
    """Say which providers the cluster has. The whole list is replaced, a while after the call."""
    ecs = client("ecs")
    found = cluster.find()
    if found and (set(found.get("capacityProviders", [])), found.get("defaultCapacityProviderStrategy", [])) == (
        set(providers),
        strategy,
    ):
        return None
    insist(
        f"cluster {CLUSTER_NAME} to take its capacity providers",
        lambda: ecs.put_cluster_capacity_providers(
            cluster=CLUSTER_NAME, capacityProviders=providers, defaultCapacityProviderStrategy=strategy
        ),
        "ResourceInUseException",
        "not in an ACTIVE state",
        *cluster.BUSY,
    )
    say("updated", f"cluster {CLUSTER_NAME}", f"capacity providers {', '.join(providers) or 'none'}")
    return None


def wait_ready() -> None:
    """Until the cluster has taken its provider, and MIN_INSTANCES hosts have joined it with all their GPUs."""
    wait(
        f"cluster {CLUSTER_NAME} to take its capacity providers",
        lambda: (cluster.describe() or {}).get("attachmentsStatus") in (None, "UPDATE_COMPLETE"),
        lambda: f"attachmentsStatus is {(cluster.describe() or {}).get('attachmentsStatus')}",
    )
    if LAUNCH_TYPE == "FARGATE" or not MIN_INSTANCES:
        return

    def joined() -> list[dict[str, Any]] | None:
        connected = [host for host in container_instances() if host["agentConnected"]]
        return connected if len(connected) >= MIN_INSTANCES else None

    warn_of_missing_gpus(wait(f"{MIN_INSTANCES} hosts to join the cluster", joined, why_no_host) or [])


def why_no_host() -> str:
    """What AWS knows of hosts that do not come: the group's last failed activity, or an agent that does not join."""
    group = find_group()
    if not group:
        return f"there is no Auto Scaling group {HOSTS}: run create_cluster.py"
    pages = client("autoscaling").describe_scaling_activities(AutoScalingGroupName=HOSTS, MaxRecords=5)["Activities"]
    if pages and pages[0]["StatusCode"] == "Failed":
        return f"the Auto Scaling group could not launch a host: {pages[0].get('StatusMessage', '')} {advice(pages[0])}".strip()
    silent = {host["InstanceId"]: host["LifecycleState"] for host in group["Instances"]}
    for host in container_instances(status=""):
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


def container_instances(status: str = "ACTIVE") -> list[dict[str, Any]]:
    """The cluster's hosts as ECS knows them."""
    ecs = client("ecs")
    found: list[dict[str, Any]] = []
    for page in ecs.get_paginator("list_container_instances").paginate(
        cluster=CLUSTER_NAME, **({"status": status} if status else {})
    ):
        if page["containerInstanceArns"]:
            described = ecs.describe_container_instances(
                cluster=CLUSTER_NAME, containerInstances=page["containerInstanceArns"]
            )
            found += described["containerInstances"]
    return found


def described_type() -> dict[str, Any]:
    """INSTANCE_TYPE as EC2 describes it."""
    [found] = client("ec2").describe_instance_types(InstanceTypes=[INSTANCE_TYPE])["InstanceTypes"]
    return dict(found)


def gpus(host: dict[str, Any], key: str = "registeredResources") -> list[str]:
    """The ids of the GPUs that a host registered, or has left (remainingResources)."""
    return [gpu for resource in host[key] if resource["name"] == "GPU" for gpu in resource.get("stringSetValue", [])]


def warn_of_missing_gpus(hosts: list[dict[str, Any]]) -> None:
    """A host that registers fewer GPUs than its type has looks healthy, and is not."""
    attributes = {host["ec2InstanceId"]: {a["name"]: a.get("value") for a in host["attributes"]} for host in hosts}
    types = sorted({found["ecs.instance-type"] for found in attributes.values()})
    described = client("ec2").describe_instance_types(InstanceTypes=types)["InstanceTypes"] if types else []
    expected = {each["InstanceType"]: gpu_count(each) for each in described}
    for host in hosts if GPU_COUNT else []:
        host_type = attributes[host["ec2InstanceId"]]["ecs.instance-type"]
        if len(gpus(host)) < expected[host_type]:
            say(
                "warning",
                f"host {host['ec2InstanceId']} registered {len(gpus(host))} of the {expected[host_type]} GPUs of a {host_type}:",
                "terminate it, the Auto Scaling group brings another",
            )


# ----------------------------------------------------------------------------------------------------------- and its end


def delete() -> None:
    """Ask for the end of the hosts: sizes to 0, protection off; then take the provider out of the cluster and delete it.

    The provider goes before the group, since AWS can't delete one whose group is gone.
    """
    autoscaling = client("autoscaling")
    group = find_group()
    if group and ours(group["Tags"]) and not group.get("Status"):
        insist(
            f"Auto Scaling group {HOSTS}",
            lambda: autoscaling.update_auto_scaling_group(
                AutoScalingGroupName=HOSTS, MinSize=0, MaxSize=0, DesiredCapacity=0
            ),
            "ResourceContention",
            "ScalingActivityInProgress",
        )
        say("updated", f"Auto Scaling group {HOSTS}", "0 hosts wanted")
        unprotect(group)
    if cluster.find():
        put_providers([], [])
    delete_provider()


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


def delete_provider() -> None:
    """Takes about half a minute; AWS refuses while the cluster names it."""
    provider = find_provider()
    if not provider:
        return say("already gone", f"capacity provider {CAPACITY_PROVIDER}")
    if not ours(provider.get("tags")):
        return say("kept", f"capacity provider {CAPACITY_PROVIDER}", "not of this runbook")
    if provider.get("updateStatus") != "DELETE_IN_PROGRESS":
        insist(
            f"capacity provider {CAPACITY_PROVIDER} to be free",
            lambda: missing(
                lambda: client("ecs").delete_capacity_provider(capacityProvider=CAPACITY_PROVIDER),
                "ResourceNotFoundException",
            ),
            "associated with cluster",
            "UpdateInProgressException",
        )
    say("deleted", f"capacity provider {CAPACITY_PROVIDER}", "asked for")


def wait_deleted() -> None:
    """Until provider, hosts and group are gone; then the launch template."""
    wait(f"capacity provider {CAPACITY_PROVIDER} to be gone", lambda: not find_provider(), provider_in_words)
    group = find_group()
    if group and not ours(group["Tags"]):
        return say("kept", f"Auto Scaling group {HOSTS}", "not of this runbook")
    hosts = [host["InstanceId"] for host in group["Instances"]] if group else []
    if group:
        if not group.get("Status"):
            insist(
                f"Auto Scaling group {HOSTS}",
                lambda: accepted(
                    lambda: client("autoscaling").delete_auto_scaling_group(
                        AutoScalingGroupName=HOSTS, ForceDelete=True
                    ),
                    "ValidationError",
                ),
                "ScalingActivityInProgress",
                "ResourceInUse",
                "ResourceContention",
            )
        wait(f"Auto Scaling group {HOSTS} to be gone", lambda: not find_group(), group_in_words)
        say("deleted", f"Auto Scaling group {HOSTS}", f"with {len(hosts)} hosts" if hosts else "")
    wait("hosts to be terminated", lambda: not instances(), lambda: f"{', '.join(instances())} still there")
    deregister_container_instances()
    template = find_launch_template()
    if template and ours(template.get("Tags")):
        accepted(
            lambda: client("ec2").delete_launch_template(LaunchTemplateName=HOSTS),
            "InvalidLaunchTemplateName.NotFoundException",
        )
        say("deleted", f"launch template {HOSTS}")
    return None


def deregister_container_instances() -> None:
    """ECS forgets a terminated host after some minutes; the cluster can't go before that, so tell it now."""
    if not cluster.find():
        return
    for host in container_instances(status=""):
        accepted(
            lambda: client("ecs").deregister_container_instance(
                cluster=CLUSTER_NAME, containerInstance=host["containerInstanceArn"], force=True
            ),
            "InvalidParameterException",
        )


def provider_in_words() -> str:
    provider = find_provider() or {}
    return f"{provider.get('updateStatus', 'it is gone')} {provider.get('updateStatusReason', '')}".strip()


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
    group, provider, template = find_group(), find_provider(), find_launch_template()
    left = [f"instance {instance}" for instance in instances()]
    left += [f"Auto Scaling group {HOSTS}"] if group and ours(group["Tags"]) else []
    left += [f"capacity provider {CAPACITY_PROVIDER}"] if provider and ours(provider.get("tags")) else []
    return left + ([f"launch template {HOSTS}"] if template and ours(template.get("Tags")) else [])
