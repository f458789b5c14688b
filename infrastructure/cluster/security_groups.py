"""Who may talk to whom: the group of hosts or tasks, and that of the mount targets, which lets in NFS from those only.

https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html
"""

from dataclasses import dataclass, field
from typing import Any

import constants
from aws import (
    Problem,
    accepted,
    client,
    endpoint_name,
    endpoint_tags,
    insist,
    name,
    only,
    ours,
    tag_filters,
    wait,
)
from console import say
from infrastructure.cluster.network import IN_USE, Network, held_by

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
    if constants.LISTENER_PROTOCOL:
        description = "Load balancer in front of the ECS cluster"
        groups.load_balancer_ids = [create_group(network, "load-balancer", description, load_balancer_rules())]
    if constants.BASTION_KEY_NAME:
        rules = [rule(22, 22, constants.BASTION_ALLOWED_CIDR, "SSH")]
        groups.bastion_ids = [create_group(network, "bastion", "Bastion for SSH to the hosts", rules)]
    if constants.SECURITY_GROUP_IDS:
        say("found", f"security groups {', '.join(constants.SECURITY_GROUP_IDS)}", "adopted, left as they are")
        groups.host_ids = groups.task_ids = constants.SECURITY_GROUP_IDS
    else:
        if constants.LAUNCH_TYPE == "EC2":
            groups.host_ids = [create_group(network, "hosts", "Hosts of the ECS cluster", host_rules(groups))]
        if constants.NETWORK_MODE == "awsvpc" and not constants.CLUSTER_ONLY:
            groups.task_ids = [create_group(network, "tasks", "Tasks with an address of their own", task_rules(groups))]
    if constants.EFS_VOLUMES:
        clients = sorted({*groups.host_ids, *groups.task_ids})
        rules = [rule(2049, 2049, group_id, "NFS") for group_id in clients]
        groups.file_system_ids = [create_group(network, "file-system", "EFS mount targets", rules)]
    return groups


def create_for_endpoint(network: Network) -> SecurityGroups:
    """The group of one endpoint's tasks: the load balancer reaches its port, and it reaches the shared file systems."""
    groups = find()
    if not constants.ENDPOINT or constants.SECURITY_GROUP_IDS:
        return groups
    groups.task_ids = [create_group(network, "tasks", f"Tasks of endpoint {constants.ENDPOINT}", task_rules(groups))]
    for group_id in groups.file_system_ids:
        bring_into_line(group_id, [rule(2049, 2049, groups.task_ids[0], "NFS")])
    return groups


def delete_for_endpoint() -> None:
    """The rule that names the group, then the group, once its tasks' network interfaces are gone."""
    if not constants.ENDPOINT:
        return None
    for group_id in find().file_system_ids:
        bring_into_line(group_id, [])
    group = find_group("tasks")
    if not group:
        return say("already gone", f"security group {its_name('tasks')}")
    group_id = group["GroupId"]
    insist(
        f"security group {group_id} to be free",
        lambda: accepted(lambda: client("ec2").delete_security_group(GroupId=group_id), "InvalidGroup.NotFound"),
        *IN_USE,
        why=lambda: held_by("group-id", group_id),
    )
    return say("deleted", f"security group {group_id}", its_name("tasks"))


def left_over_of_endpoint() -> list[str]:
    group = find_group("tasks") if constants.ENDPOINT else None
    return [f"security group {group['GroupId']} ({group['GroupName']})"] if group else []


def its_name(suffix: str) -> str:
    """The tasks' group is the endpoint's, every other one the cluster's."""
    return endpoint_name(suffix) if suffix == "tasks" else name(suffix)


def find() -> SecurityGroups:
    """The groups that `create` made or adopted."""

    def ids(suffix: str) -> list[str]:
        group = find_group(suffix)
        return [group["GroupId"]] if group else []

    return SecurityGroups(
        host_ids=constants.SECURITY_GROUP_IDS or ids("hosts"),
        task_ids=constants.SECURITY_GROUP_IDS or ids("tasks"),
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
    ports = (443, 80) if constants.LISTENER_PROTOCOL == "HTTPS" else (80,)
    return [rule(port, port, constants.ALLOWED_CIDR, "clients") for port in ports]


def callers(groups: SecurityGroups) -> list[str]:
    """Who may reach the containers: the load balancer where there is one, else ALLOWED_CIDR."""
    return groups.load_balancer_ids or [constants.ALLOWED_CIDR]


def task_rules(groups: SecurityGroups) -> list[dict[str, Any]]:
    """The container's ports."""
    return [
        rule(container, container, source, "container port")
        for _, container in constants.CONTAINER_PORTS
        for source in callers(groups)
    ]


def host_rules(groups: SecurityGroups) -> list[dict[str, Any]]:
    """SSH, from the bastion alone where there is one; and the host ports behind which the containers' ports are."""
    bastions = groups.bastion_ids or (
        [constants.BASTION_SECURITY_GROUP_ID] if constants.BASTION_SECURITY_GROUP_ID else []
    )
    ssh = bastions or ([constants.SSH_ALLOWED_CIDR] if constants.SSH_ALLOWED_CIDR else [])
    rules = [rule(22, 22, source, "SSH") for source in ssh]
    for host, container in constants.CONTAINER_PORTS if constants.NETWORK_MODE != "awsvpc" else []:
        dynamic = constants.NETWORK_MODE == "bridge" and not host
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
    filters = [*tag_filters(), {"Name": "tag:Name", "Values": [its_name(suffix)]}]
    found = client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]
    return only(found, f"security group {its_name(suffix)}", "GroupId")


def create_group(network: Network, suffix: str, description: str, rules: list[dict[str, Any]]) -> str:
    """A group and exactly these rules of ours; rules that someone added by hand are left alone."""
    group = find_group(suffix)
    if group:
        say("found", f"security group {group['GroupId']}", its_name(suffix))
    group_id = group["GroupId"] if group else _make_group(network, suffix, description)
    bring_into_line(group_id, rules)
    return str(group_id)


def bring_into_line(group_id: str, rules: list[dict[str, Any]]) -> None:
    """Of the rules that we made, these and no others; each endpoint sees to its own, and leaves the others' alone."""
    ec2 = client("ec2")
    present = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group_id]}])[
        "SecurityGroupRules"
    ]
    inbound = [rule for rule in present if not rule["IsEgress"]]
    for rule in inbound:
        if _is_mine(rule) and not any(_same(rule, wanted) for wanted in rules):
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


def _is_mine(rule: dict[str, Any]) -> bool:
    words = {tag["Key"]: tag["Value"] for tag in rule.get("Tags", [])}
    return ours(rule.get("Tags")) and words.get(constants.ENDPOINT_TAG, "") == constants.ENDPOINT


def _make_group(network: Network, suffix: str, description: str) -> str:
    """A group's name is given once in a VPC: where another run was first, AWS says so, and its group is ours too."""
    ec2 = client("ec2")
    made: list[str] = []
    created = insist(
        f"security group {its_name(suffix)}",
        lambda: accepted(
            lambda: made.append(
                ec2.create_security_group(
                    GroupName=its_name(suffix),
                    Description=description,
                    VpcId=network.vpc_id,
                    TagSpecifications=[{"ResourceType": "security-group", "Tags": endpoint_tags(suffix)}],
                )["GroupId"]
            ),
            "InvalidGroup.Duplicate",
        ),
        "InvalidVpcID.NotFound",
    )
    if created:
        say("created", f"security group {made[0]}", its_name(suffix))
        return made[0]
    filters = [{"Name": "group-name", "Values": [its_name(suffix)]}, {"Name": "vpc-id", "Values": [network.vpc_id]}]
    group = insist_listed(filters)
    if not ours(group.get("Tags")):
        raise Problem(
            f"the security group {group['GroupId']} ({its_name(suffix)}) exists already, and is not of this runbook: "
            "choose another CLUSTER_NAME"
        )
    say("found", f"security group {group['GroupId']}", f"{its_name(suffix)}, made by another run at the same moment")
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
                TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": endpoint_tags()}],
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
