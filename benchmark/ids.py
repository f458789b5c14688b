"""By what id Terraform imports each resource of its twin of the Clara example, where the pages have made it.

The provider's page of each resource says of what its id is made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

NAME = "clara-train"
SCALED = f"ecs/service/{NAME}/clara/ecs:service:DesiredCount"
#: how EC2 calls a kind, where the twin calls it otherwise
KINDS = {"elastic-ip": "eip", "natgateway": "nat-gateway"}
MANAGED = "arn:aws:iam::aws:policy"
HOST, TASK, EXECUTION = (f"{NAME}-{role}-us-east-1" for role in ("host", "task", "task-execution"))
STEPS = ("scale-out", "scale-in")
#: what is imported by its name
NAMED = {
    "aws_iam_role.host": HOST,
    "aws_iam_role.task": TASK,
    "aws_iam_role.task_execution": EXECUTION,
    "aws_iam_role_policy.host": f"{HOST}:settings",
    "aws_iam_role_policy.task": f"{TASK}:settings",
    "aws_iam_role_policy_attachment.task_execution": f"{EXECUTION}/{MANAGED}/service-role/AmazonECSTaskExecutionRolePolicy",
    "aws_iam_instance_profile.host": HOST,
    "aws_ecs_cluster.cluster": NAME,
    "aws_ecs_cluster_capacity_providers.hosts": NAME,
    "aws_ecs_service.clara": f"{NAME}/clara",
    "aws_autoscaling_group.hosts": f"{NAME}-hosts",
    "aws_ssm_parameter.monitoring": f"AmazonCloudWatch-{NAME}",
    "aws_cloudwatch_log_group.containers": f"/ecs/{NAME}",
    "aws_appautoscaling_target.clara": SCALED,
}
#: the same of what the twin makes with for_each: what is before the key, and the keys
KEYED = {
    "aws_iam_role_policy_attachment.host": (
        f"{HOST}/{MANAGED}/",
        ("service-role/AmazonEC2ContainerServiceforEC2Role", "CloudWatchAgentServerPolicy"),
    ),
    "aws_cloudwatch_log_group.hosts": (
        f"/ecs/{NAME}/hosts/",
        ("messages", "dmesg", "docker", "ecs-init", "ecs-agent", "audit"),
    ),
    "aws_appautoscaling_policy.clara": (f"{SCALED}/{NAME}-", STEPS),
    "aws_cloudwatch_metric_alarm.clara": (f"{NAME}-", STEPS),
}


def ids(client: Callable[[str], Any]) -> dict[str, str]:
    """Address in the twin -> the id by which Terraform finds what the pages have made."""
    keyed = {f'{to}["{key}"]': f"{before}{key}" for to, (before, keys) in KEYED.items() for key in keys}
    return NAMED | keyed | _network(client("ec2")) | _of_cluster(client) | _of_service(client)


def _network(ec2: Any) -> dict[str, str]:
    tags = ec2.describe_tags(Filters=[{"Name": "key", "Values": ["Name"]}])["Tags"]
    here = {(each["ResourceType"], each["Value"].removeprefix(f"{NAME}-")): each["ResourceId"] for each in tags}
    found = {_address(KINDS.get(kind, kind), part): each for (kind, part), each in here.items() if part != "host"}
    found["aws_internet_gateway.gateway"] = found.pop("aws_internet_gateway.internet_gateway")
    for (kind, part), each in here.items():
        if kind == "route-table":
            found[_address("route", part)] = f"{each}_0.0.0.0/0"
        if kind == "subnet":
            table = here.get(("route-table", part)) or here["route-table", "public"]
            found[_address("route-table-association", part)] = f"{each}/{table}"
    groups = {each: part.replace("-", "_") for (kind, part), each in here.items() if kind == "security-group"}
    for rule in ec2.describe_security_group_rules()["SecurityGroupRules"]:
        if group := groups.get(rule["GroupId"]):
            let_in = {"hosts": "containers", "file_system": "nfs", "load_balancer": f'clients["{rule["FromPort"]}"]'}
            way = f'egress_rule.all["{group}"]' if rule["IsEgress"] else f"ingress_rule.{let_in[group]}"
            found[f"aws_vpc_security_group_{way}"] = rule["SecurityGroupRuleId"]
    return found


def _address(kind: str, part: str) -> str:
    """The twin has a subnet private-1 as aws_subnet.private["1"], a security group file-system as file_system."""
    name, _, number = part.rpartition("-")
    local = f'{name}["{number}"]' if number.isdigit() else part.replace("-", "_")
    return f"aws_{kind.replace('-', '_')}.{local}"


def _of_cluster(client: Callable[[str], Any]) -> dict[str, str]:
    [files] = client("efs").describe_file_systems()["FileSystems"]
    [point] = client("efs").describe_access_points()["AccessPoints"]
    targets = client("efs").describe_mount_targets(FileSystemId=files["FileSystemId"])["MountTargets"]
    by_zone = sorted(targets, key=lambda target: str(target["AvailabilityZoneName"]))
    [provider] = client("ecs").describe_capacity_providers(capacityProviders=[f"{NAME}-capacity"])["capacityProviders"]
    return {
        "aws_ecs_capacity_provider.hosts": provider["capacityProviderArn"],
        "aws_efs_file_system.files": files["FileSystemId"],
        "aws_efs_file_system_policy.files": files["FileSystemId"],
        "aws_efs_access_point.workspace": point["AccessPointId"],
        **{f'aws_efs_mount_target.files["{n}"]': each["MountTargetId"] for n, each in enumerate(by_zone, 1)},
    }


def _of_service(client: Callable[[str], Any]) -> dict[str, str]:
    elb = client("elbv2")
    [group] = elb.describe_target_groups()["TargetGroups"]
    [balancer] = group["LoadBalancerArns"]
    listeners = elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"]
    found = {f"aws_lb_listener.{each['Protocol'].lower()}": each["ListenerArn"] for each in listeners}
    rules = elb.describe_rules(ListenerArn=found["aws_lb_listener.https"])["Rules"]
    [rule] = [each["RuleArn"] for each in rules if not each["IsDefault"]]
    [service] = client("ecs").describe_services(cluster=NAME, services=["clara"])["services"]
    return found | {
        "aws_lb.balancer": balancer,
        "aws_lb_target_group.clara": group["TargetGroupArn"],
        "aws_lb_listener_rule.clara": rule,
        "aws_ecs_task_definition.clara": service["taskDefinition"],
    }
