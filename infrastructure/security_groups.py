"""Who may talk to whom: the group of hosts or tasks, and that of the mount targets, which lets in NFS from those only.

https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html
"""

from dataclasses import dataclass, field
from typing import Any

from aws import accepted, client, insist, name, only, ours, tag_filters, tag_specification, tags, wait
from console import say
from constants import (
    ALLOWED_CIDR,
    CONTAINER_PORTS,
    EFS_VOLUMES,
    LAUNCH_TYPE,
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


def create(network: Network) -> SecurityGroups:
    """Make the groups that the settings need; bring their rules into line with ALLOWED_CIDR and SSH_ALLOWED_CIDR."""
    groups = SecurityGroups()
    if SECURITY_GROUP_IDS:
        say("found", f"security groups {', '.join(SECURITY_GROUP_IDS)}", "adopted, left as they are")
        groups.host_ids = groups.task_ids = SECURITY_GROUP_IDS
    else:
        if LAUNCH_TYPE == "EC2":
            groups.host_ids = [create_group(network, "hosts", "Hosts of the ECS cluster", host_rules())]
        if NETWORK_MODE == "awsvpc":
            groups.task_ids = [create_group(network, "tasks", "Tasks with an address of their own", task_rules())]
    if EFS_VOLUMES:
        clients = sorted({*groups.host_ids, *groups.task_ids})
        groups.file_system_ids = [create_group(network, "file-system", "EFS mount targets", nfs_rules(clients))]
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


def task_rules() -> list[dict[str, Any]]:
    """The container's ports, from ALLOWED_CIDR."""
    return [cidr_rule(container, container, ALLOWED_CIDR, "container port") for _, container in CONTAINER_PORTS]


def host_rules() -> list[dict[str, Any]]:
    """SSH from SSH_ALLOWED_CIDR, and the host ports behind which the containers' ports are, from ALLOWED_CIDR."""
    rules = [cidr_rule(22, 22, SSH_ALLOWED_CIDR, "SSH")] if SSH_ALLOWED_CIDR else []
    for host, container in CONTAINER_PORTS if NETWORK_MODE != "awsvpc" else []:
        if NETWORK_MODE == "bridge" and not host:
            rules.append(cidr_rule(*DYNAMIC_PORTS, ALLOWED_CIDR, "dynamic host ports"))
        else:
            rules.append(cidr_rule(host or container, host or container, ALLOWED_CIDR, "container port"))
    return [rule for number, rule in enumerate(rules) if rule not in rules[:number]]


def nfs_rules(client_group_ids: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "IpProtocol": "tcp",
            "FromPort": 2049,
            "ToPort": 2049,
            "UserIdGroupPairs": [{"GroupId": group_id, "Description": "NFS"}],
        }
        for group_id in client_group_ids
    ]


def cidr_rule(low: int, high: int, block: str, description: str) -> dict[str, Any]:
    ranges = [{"CidrIp": block, "Description": description}]
    return {"IpProtocol": "tcp", "FromPort": low, "ToPort": high, "IpRanges": ranges}


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
    say("found", f"security group {group}", f"{name(suffix)}, made by another run at the same moment")
    return group


def insist_listed(filters: list[dict[str, Any]]) -> str:
    """The id of a group that exists, although Describe may not list it yet."""
    found = wait(
        "the security group",
        lambda: client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"],
        lambda: "AWS says that it exists, but does not list it",
    )
    return str(found[0]["GroupId"]) if found else ""


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
