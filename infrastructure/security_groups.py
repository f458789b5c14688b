"""Who may talk to whom: the group of hosts or tasks, and that of the mount targets, which lets in NFS from those only.

https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html
"""

from dataclasses import dataclass, field
from typing import Any

from aws import Problem, accepted, client, insist, name, only, ours, tag_filters, tag_specification, tags, wait
from console import say
from constants import (
    ALLOWED_CIDR,
    BASTION_ALLOWED_CIDR,
    BASTION_KEY_NAME,
    BASTION_SECURITY_GROUP_ID,
    CONTAINER_PORTS,
    EFS_VOLUMES,
    LAUNCH_TYPE,
    LISTENER_PROTOCOL,
    NETWORK_MODE,
    SECURITY_GROUP_IDS,
    SSH_ALLOWED_CIDR,
)
from infrastructure.network import IN_USE, Network, held_by

#: where Docker puts a container port that asks for no host port: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PortMapping.html
DYNAMIC_PORTS = (32768, 65535)


@dataclass
class SecurityGroups:
    host_ids: list[str] = field(default_factory=list)  # on the hosts' interfaces
    task_ids: list[str] = field(default_factory=list)  # on the interfaces of awsvpc tasks
    file_system_ids: list[str] = field(default_factory=list)  # on the mount targets
    load_balancer_ids: list[str] = field(default_factory=list)
    bastion_ids: list[str] = field(default_factory=list)


def create(network: Network) -> SecurityGroups:
    """Make the groups that the settings need; bring their rules into line with ALLOWED_CIDR and SSH_ALLOWED_CIDR."""
    groups = SecurityGroups()
    if LISTENER_PROTOCOL:
        description = "Load balancer in front of the ECS cluster"
        groups.load_balancer_ids = [create_group(network, "load-balancer", description, load_balancer_rules())]
    if BASTION_KEY_NAME:
        rules = [rule(22, 22, BASTION_ALLOWED_CIDR, "SSH")]
        groups.bastion_ids = [create_group(network, "bastion", "Bastion for SSH to the hosts", rules)]
    if SECURITY_GROUP_IDS:
        say("found", f"security groups {', '.join(SECURITY_GROUP_IDS)}", "adopted, left as they are")
        groups.host_ids = groups.task_ids = SECURITY_GROUP_IDS
    else:
        if LAUNCH_TYPE == "EC2":
            groups.host_ids = [create_group(network, "hosts", "Hosts of the ECS cluster", host_rules(groups))]
        if NETWORK_MODE == "awsvpc":
            groups.task_ids = [create_group(network, "tasks", "Tasks with an address of their own", task_rules(groups))]
    if EFS_VOLUMES:
        clients = sorted({*groups.host_ids, *groups.task_ids})
        rules = [rule(2049, 2049, group_id, "NFS") for group_id in clients]
        groups.file_system_ids = [create_group(network, "file-system", "EFS mount targets", rules)]
    return groups


def find() -> SecurityGroups:
    """The groups that `create` made or adopted."""

    def ids(suffix: str) -> list[str]:
        group = find_group(suffix)
        return [group["GroupId"]] if group else []

    return SecurityGroups(
        host_ids=SECURITY_GROUP_IDS or ids("hosts"),
        task_ids=SECURITY_GROUP_IDS or ids("tasks"),
        file_system_ids=ids("file-system"),
        load_balancer_ids=ids("load-balancer"),
        bastion_ids=ids("bastion"),
    )


def delete() -> None:
    """First all rules, since a group that another's rule names can't go; then the groups, once their hosts are gone."""
    insist("security groups to be free", delete_groups, *IN_USE, why=why_held)


def delete_groups() -> None:
    """What of ours is listed now; AWS refuses a group that a network interface still bears."""
    ec2 = client("ec2")
    groups = ec2.describe_security_groups(Filters=tag_filters())["SecurityGroups"]
    for group in groups:
        revoke = {"GroupId": group["GroupId"], "IpPermissions": group["IpPermissions"]}
        if group["IpPermissions"]:
            gone = ("InvalidPermission.NotFound", "InvalidGroup.NotFound")
            accepted(lambda: ec2.revoke_security_group_ingress(**revoke), *gone)
    for group in groups:
        accepted(lambda: ec2.delete_security_group(GroupId=group["GroupId"]), "InvalidGroup.NotFound")
        say("deleted", f"security group {group['GroupId']} ({group['GroupName']})")


def why_held() -> str:
    groups = client("ec2").describe_security_groups(Filters=tag_filters())["SecurityGroups"]
    return "; ".join(f"{group['GroupName']} is {held_by('group-id', group['GroupId'])}" for group in groups)


def load_balancer_rules() -> list[dict[str, Any]]:
    """ALLOWED_CIDR, and nobody else; with HTTPS port 80 too, which only redirects."""
    ports = (443, 80) if LISTENER_PROTOCOL == "HTTPS" else (80,)
    return [rule(port, port, ALLOWED_CIDR, "clients") for port in ports]


def callers(groups: SecurityGroups) -> list[str]:
    """Who may reach the containers: the load balancer where there is one, else ALLOWED_CIDR."""
    return groups.load_balancer_ids or [ALLOWED_CIDR]


def task_rules(groups: SecurityGroups) -> list[dict[str, Any]]:
    """The container's ports."""
    return [
        rule(container, container, source, "container port")
        for _, container in CONTAINER_PORTS
        for source in callers(groups)
    ]


def host_rules(groups: SecurityGroups) -> list[dict[str, Any]]:
    """SSH, from the bastion alone where there is one; and the host ports behind which the containers' ports are."""
    bastions = groups.bastion_ids or ([BASTION_SECURITY_GROUP_ID] if BASTION_SECURITY_GROUP_ID else [])
    ssh = bastions or ([SSH_ALLOWED_CIDR] if SSH_ALLOWED_CIDR else [])
    rules = [rule(22, 22, source, "SSH") for source in ssh]
    for host, container in CONTAINER_PORTS if NETWORK_MODE != "awsvpc" else []:
        dynamic = NETWORK_MODE == "bridge" and not host
        low, high = DYNAMIC_PORTS if dynamic else (host or container, host or container)
        rules += [rule(low, high, source, "container port") for source in callers(groups)]
    return [each for number, each in enumerate(rules) if each not in rules[:number]]


def rule(low: int, high: int, source: str, description: str) -> dict[str, Any]:
    """TCP from a CIDR block, or from the bearers of a security group."""
    ports = {"IpProtocol": "tcp", "FromPort": low, "ToPort": high}
    if "." in source:
        return {**ports, "IpRanges": [{"CidrIp": source, "Description": description}]}
    return {**ports, "UserIdGroupPairs": [{"GroupId": source, "Description": description}]}


def find_group(suffix: str) -> dict[str, Any] | None:
    found = client("ec2").describe_security_groups(Filters=tag_filters(suffix))["SecurityGroups"]
    return only(found, f"security group {name(suffix)}", lambda group: group["GroupId"])


def create_group(network: Network, suffix: str, description: str, rules: list[dict[str, Any]]) -> str:
    """A group and exactly these rules of ours; rules that someone added by hand are left alone."""
    ec2 = client("ec2")
    group = find_group(suffix)
    if group:
        say("found", f"security group {group['GroupId']}", name(suffix))
        group_id = group["GroupId"]
    else:
        group_id = _make_group(network, suffix, description)
    present = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group_id]}])[
        "SecurityGroupRules"
    ]
    inbound = [rule for rule in present if not rule["IsEgress"]]
    for rule in inbound:
        if ours(rule.get("Tags")) and not any(_same(rule, wanted) for wanted in rules):
            accepted(
                lambda: ec2.revoke_security_group_ingress(
                    GroupId=group_id, SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]]
                ),
                "InvalidSecurityGroupRuleId.NotFound",
            )
            say("updated", f"security group {group_id}", f"no longer open to {_source(rule)}")
    for wanted in rules:
        if not any(_same(rule, wanted) for rule in inbound):
            _allow(group_id, wanted)
    return str(group_id)


def _make_group(network: Network, suffix: str, description: str) -> str:
    """A group's name is given once in a VPC: where another run was first, AWS says so, and its group is ours too."""
    ec2 = client("ec2")
    made: list[str] = []
    created = insist(
        f"security group {name(suffix)}",
        lambda: accepted(
            lambda: made.append(
                ec2.create_security_group(
                    GroupName=name(suffix),
                    Description=description,
                    VpcId=network.vpc_id,
                    TagSpecifications=tag_specification("security-group", suffix),
                )["GroupId"]
            ),
            "InvalidGroup.Duplicate",
        ),
        "InvalidVpcID.NotFound",
    )
    if created:
        say("created", f"security group {made[0]}", name(suffix))
        return made[0]
    filters = [{"Name": "group-name", "Values": [name(suffix)]}, {"Name": "vpc-id", "Values": [network.vpc_id]}]
    group = insist_listed(filters)
    if not ours(group.get("Tags")):
        raise Problem(
            f"the security group {group['GroupId']} ({name(suffix)}) exists already, and is not of this runbook: "
            "choose another CLUSTER_NAME"
        )
    say("found", f"security group {group['GroupId']}", f"{name(suffix)}, made by another run at the same moment")
    return str(group["GroupId"])


def insist_listed(filters: list[dict[str, Any]]) -> dict[str, Any]:
    """A group that exists, although Describe may not list it yet."""
    found = wait(
        "the security group",
        lambda: client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"],
        lambda: "AWS says that it exists, but does not list it",
    )
    assert found  # a dry run is told of no group that exists
    return found[0]  # type: ignore[no-any-return]


def _allow(group_id: str, wanted: dict[str, Any]) -> None:
    insist(
        f"security group {group_id}",
        lambda: accepted(
            lambda: client("ec2").authorize_security_group_ingress(
                GroupId=group_id,
                IpPermissions=[wanted],
                TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": tags()}],
            ),
            "InvalidPermission.Duplicate",
        ),
        "InvalidGroup.NotFound",
    )
    ports = (
        f"{wanted['FromPort']}"
        if wanted["FromPort"] == wanted["ToPort"]
        else f"{wanted['FromPort']}-{wanted['ToPort']}"
    )
    source = (wanted.get("IpRanges") or [{}])[0].get("CidrIp") or wanted["UserIdGroupPairs"][0]["GroupId"]
    say("updated", f"security group {group_id}", f"TCP {ports} open to {source}")


def _same(rule: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether a rule as EC2 lists it is the one that we would make."""
    sources = [block["CidrIp"] for block in wanted.get("IpRanges", [])]
    sources += [pair["GroupId"] for pair in wanted.get("UserIdGroupPairs", [])]
    return (rule["IpProtocol"], rule["FromPort"], rule["ToPort"], _source(rule)) == (
        wanted["IpProtocol"],
        wanted["FromPort"],
        wanted["ToPort"],
        sources[0],
    )


def _source(rule: dict[str, Any]) -> str:
    return str(rule.get("CidrIpv4") or rule.get("ReferencedGroupInfo", {}).get("GroupId") or rule.get("CidrIpv6"))


def left_over() -> list[str]:
    found = client("ec2").describe_security_groups(Filters=tag_filters())["SecurityGroups"]
    return [f"security group {group['GroupId']} ({group['GroupName']})" for group in found]
