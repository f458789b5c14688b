"""Who may talk to whom: the group of hosts or tasks, and that of the mount targets, which lets in NFS from those only.

Free. An endpoint's tasks have a group of their own: infrastructure/service/task_security_group.py.
https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html
"""

from dataclasses import dataclass, field
from typing import Any

import aws
import constants
from aws import Resource, call, client, endpoint_tags, mine, name, only, ours, part, resource, tag_filters
from console import say
from infrastructure.cluster.network import IN_USE, Network, held_by, holders

#: where Docker puts a container port that asks for no host port: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PortMapping.html
DYNAMIC_PORTS = (32768, 65535)
#: how the rules for the containers' ports are described
CONTAINER_PORT = "container port"
NO_GROUP = "InvalidGroup.NotFound"
#: what each group is to us
SUFFIXES = ("load-balancer", "bastion", "hosts", "tasks", "file-system")
#: those that the part whose group it is takes along
WITH_BEARERS = ("load-balancer", "bastion")


@dataclass
class SecurityGroups:
    host_ids: list[str] = field(default_factory=list)  # on the hosts' interfaces
    task_ids: list[str] = field(default_factory=list)  # on the interfaces of awsvpc tasks
    file_system_ids: list[str] = field(default_factory=list)  # on the mount targets
    load_balancer_ids: list[str] = field(default_factory=list)
    bastion_ids: list[str] = field(default_factory=list)
    leaving: list[str] = field(default_factory=list)  # what stands and is not wanted: it goes with those that bear it


@aws.shared_look
def all_groups() -> list[Any]:
    """The cluster's, and those of its endpoints."""
    return client("ec2").describe_security_groups(Filters=tag_filters())["SecurityGroups"]


@aws.shared_look
def all_rules() -> list[Any]:
    """What lets something in to these groups, whoever made it."""
    ids = [group["GroupId"] for group in all_groups()]
    if not ids:
        return []
    paginator = client("ec2").get_paginator("describe_security_group_rules")
    listed = aws.every(paginator.paginate(Filters=[{"Name": "group-id", "Values": ids}]), "SecurityGroupRules")
    return [rule for rule in listed if not rule["IsEgress"]]


LOOKS = (all_groups, all_rules)


def find() -> SecurityGroups:
    """The groups that `create` made or adopted; the tasks' one is the endpoint's where there are endpoints."""
    found = {suffix: find_group(suffix) for suffix in SUFFIXES}
    return in_use({suffix: group["GroupId"] for suffix, group in found.items() if group})


def find_group(suffix: str) -> Any | None:
    whose = mine if suffix == "tasks" else ours
    found = [group for group in all_groups() if part(group) == suffix and whose(group)]
    return only(found, f"security group {its_name(suffix)}", "GroupId")


def its_name(suffix: str) -> str:
    """The tasks' group is the endpoint's, every other one the cluster's."""
    return aws.endpoint_name(suffix) if suffix == "tasks" else name(suffix)


def create(net: Network) -> SecurityGroups:
    """Make the groups that the settings need; bring their rules into line with who is allowed."""
    if adopted := constants.SECURITY_GROUP_IDS:
        say("found", f"security groups {', '.join(adopted)}", "adopted, left as they are")
    present = {suffix: find_group(suffix) for suffix in SUFFIXES}
    of = {suffix: create_group(net, suffix, present[suffix], told) for suffix, told in wanted().items()}
    groups = in_use({suffix: group["GroupId"] for suffix, group in of.items()})
    groups.leaving = [suffix for suffix in SUFFIXES if present[suffix] and suffix not in of]
    held = [group_id for suffix in groups.leaving if suffix not in WITH_BEARERS for group_id in leave(suffix)]
    rules = {
        "load-balancer": load_balancer_rules(),
        "bastion": [rule(22, 22, constants.BASTION_ALLOWED_CIDR, "SSH")],
        "hosts": host_rules(groups),
        "tasks": task_rules(groups, of.get("tasks", {}).get("GroupId", "")),
        "file-system": nfs_rules(sorted({*groups.host_ids, *groups.task_ids, *held})),
    }
    listed = all_rules() if any(present.values()) else []
    for suffix, group in of.items():
        bring_into_line(group, listed, rules[suffix])
    return groups


def wanted() -> dict[str, str]:
    """The groups that the settings need -> how each is described."""
    adopted = constants.SECURITY_GROUP_IDS
    all_of_them = {
        "load-balancer": ("Load balancer in front of the ECS cluster", constants.LISTENER_PROTOCOL),
        "bastion": ("Bastion for SSH to the hosts", constants.BASTION_KEY_NAME),
        "hosts": ("Hosts of the ECS cluster", constants.LAUNCH_TYPE == "EC2" and not adopted),
        "tasks": ("Tasks with an address of their own", tasks_have_addresses() and not adopted),
        "file-system": ("EFS mount targets", constants.EFS_VOLUMES),
    }
    return {suffix: told for suffix, (told, needed) in all_of_them.items() if needed}


def leave(suffix: str) -> list[str]:
    """A group that is not wanted any more goes. While something bears it, it stays, and may what it could. Its id then."""
    group = find_group(suffix)
    if not group:
        return []
    if held := holders("group-id", group["GroupId"]):
        why = (
            f"{its_name(suffix)}, free, held by {', '.join(held)}: once none is, the next create_cluster.py deletes it"
        )
        say("kept", f"security group {group['GroupId']}", why)
        return [group["GroupId"]]
    remove(suffix)
    return []


def remove(suffix: str) -> None:
    """Once nothing bears it; first of all our rules that name it, since AWS refuses a group that a rule names."""
    group, gone = find_group(suffix), "InvalidSecurityGroupRuleId.NotFound"
    if not group:
        return
    for each in [each for each in all_rules() if ours(each) and source(each) == group["GroupId"]]:
        revoke = call(client("ec2").revoke_security_group_ingress, of=each, gone=gone)
        revoke(GroupId=each["GroupId"], SecurityGroupRuleIds=[each["SecurityGroupRuleId"]])
    delete_group(group)
    say("deleted", f"security group {group['GroupId']}", its_name(suffix))


def load_balancer_rules() -> list[Any]:
    """Those of ALLOWED_CIDR and ALLOWED_CIDRS, and nobody else; with HTTPS port 80 too, which only redirects."""
    ports = (443, 80) if constants.LISTENER_PROTOCOL == "HTTPS" else (80,)
    return [rule(port, port, each, "clients") for port in ports for each in constants.ALLOWED]


def callers(groups: SecurityGroups) -> list[str]:
    """Who may reach the containers: the load balancer where there is one, else who is allowed."""
    return groups.load_balancer_ids or constants.ALLOWED


def task_rules(groups: SecurityGroups, own_id: str) -> list[Any]:
    """The container's ports; and NODE_PORTS from the group itself, `own_id`, for jobs on several hosts."""
    own = [rule(*constants.NODE_PORTS, own_id, "nodes of one job")] if constants.NODE_PORTS else []
    return own + [
        rule(container, container, source, CONTAINER_PORT)
        for _, container in constants.CONTAINER_PORTS
        for source in callers(groups)
    ]


def container_ports() -> list[tuple[int, int]]:
    """From, to: where the containers' ports are reached, each at its task's address, or at its host's."""
    if constants.NETWORK_MODE == "awsvpc":
        return [(container, container) for _, container in constants.CONTAINER_PORTS]
    dynamic = constants.NETWORK_MODE == "bridge"
    return [
        DYNAMIC_PORTS if dynamic and not host else (host or container, host or container)
        for host, container in constants.CONTAINER_PORTS
    ]


def closes_ports() -> bool:
    """Whether a port of a container that is open now will not be any more."""
    open_now = [each for each in all_rules() if mine(each) and each.get("Description") == CONTAINER_PORT]
    return not {(each["FromPort"], each["ToPort"]) for each in open_now} <= {*container_ports()}


def nfs_rules(sources: list[str]) -> list[Any]:
    return [rule(2049, 2049, group_id, "NFS") for group_id in sources]


def host_rules(groups: SecurityGroups) -> list[Any]:
    """SSH, from the bastion alone where there is one; and the host ports behind which the containers' ports are."""
    sources = groups.bastion_ids or [constants.BASTION_SECURITY_GROUP_ID or constants.SSH_ALLOWED_CIDR]
    rules = [rule(22, 22, source, "SSH") for source in sources if source]
    for low, high in container_ports() if constants.NETWORK_MODE != "awsvpc" else []:
        rules += [rule(low, high, source, CONTAINER_PORT) for source in callers(groups)]
    return [each for number, each in enumerate(rules) if each not in rules[:number]]


def rule(low: int, high: int, source: str, description: str) -> dict[str, Any]:
    """TCP from a CIDR block, or from the bearers of a security group."""
    ports = {"IpProtocol": "tcp", "FromPort": low, "ToPort": high}
    if "." in source:
        return {**ports, "IpRanges": [{"CidrIp": source, "Description": description}]}
    return {**ports, "UserIdGroupPairs": [{"GroupId": source, "Description": description}]}


def in_use(ids: dict[str, str]) -> SecurityGroups:
    """These groups by what each is to us, or those that the settings adopt."""
    of = {suffix: [ids[suffix]] if suffix in ids else [] for suffix in SUFFIXES}
    adopted = constants.SECURITY_GROUP_IDS
    return SecurityGroups(
        host_ids=adopted or of["hosts"],
        task_ids=adopted or of["tasks"],
        file_system_ids=of["file-system"],
        load_balancer_ids=of["load-balancer"],
        bastion_ids=of["bastion"],
    )


def tasks_have_addresses() -> bool:
    """Their own, and so a group of their own; that of a shared cluster's tasks is each endpoint's."""
    return constants.NETWORK_MODE == "awsvpc" and not constants.CLUSTER_ONLY


def create_group(net: Network, suffix: str, group: Any, description: str) -> Any:
    """The group: the one that was found, or a new one."""
    if group:
        say("found", f"security group {group['GroupId']}", its_name(suffix))
        return group
    return make_group(net, suffix, description)


def make_group(net: Network, suffix: str, description: str) -> Any:
    """A group's name is given once in a VPC: where another run was first, AWS says so, and its group is ours too."""
    ec2, name_of_it, its_tags = client("ec2"), its_name(suffix), endpoint_tags(suffix)
    what, specification = f"security group {name_of_it}", [{"ResourceType": "security-group", "Tags": its_tags}]
    request: Any = {"GroupName": name_of_it, "Description": description, "TagSpecifications": specification}
    create = call(ec2.create_security_group, what, there="InvalidGroup.Duplicate")
    made = create(VpcId=net.vpc_id, **request)
    if made:
        say("created", f"security group {made['GroupId']}", name_of_it)
        return {"GroupId": made["GroupId"], "Tags": its_tags}
    filters: Any = [{"Name": "group-name", "Values": [name_of_it]}, {"Name": "vpc-id", "Values": [net.vpc_id]}]
    unseen = "AWS says that it exists, but does not list it"
    [group] = aws.wait(what, lambda: ec2.describe_security_groups(Filters=filters)["SecurityGroups"], lambda: unseen)
    aws.refuse_foreign(f"security group {group['GroupId']} ({name_of_it})", group)
    say("found", f"security group {group['GroupId']}", f"{name_of_it}, made by another run at the same moment")
    return group


def bring_into_line(group: Any, listed: list[Any], rules: list[Any]) -> None:
    """Of the rules that we made, these and no others; each endpoint sees to its own, and leaves the others' alone.

    `listed` are the rules that there are, of any group. Rules that someone added by hand stay.
    """
    group_id, what = group["GroupId"], f"security group {group['GroupId']}"
    present = [each for each in listed if each["GroupId"] == group_id]
    wanted = {ends(each): each for each in rules}
    gone = "InvalidSecurityGroupRuleId.NotFound"
    for each in [each for each in present if mine(each) and ends(each) not in wanted]:
        revoke = call(client("ec2").revoke_security_group_ingress, what, of=each, gone=gone)
        revoke(GroupId=group_id, SecurityGroupRuleIds=[each["SecurityGroupRuleId"]])
        say("updated", what, f"no longer open to {source(each)}")
    there = [ends(each) for each in present]
    if missing := [each for its_ends, each in wanted.items() if its_ends not in there]:
        allow(group, missing)


def allow(group: Any, rules: list[Any]) -> None:
    """All in one call; where another run has just made one of them, AWS takes none, and each is asked for alone."""
    group_id, specification = group["GroupId"], [{"ResourceType": "security-group-rule", "Tags": endpoint_tags()}]
    ec2, what, there = client("ec2"), f"security group {group_id}", "InvalidPermission.Duplicate"
    authorize: Any = call(ec2.authorize_security_group_ingress, what, of=group, there=there)
    if not authorize(GroupId=group_id, IpPermissions=rules, TagSpecifications=specification) and len(rules) > 1:
        for each in rules:
            authorize(GroupId=group_id, IpPermissions=[each], TagSpecifications=specification)
    for each in rules:
        low, high = each["FromPort"], each["ToPort"]
        say("updated", what, f"TCP {low if low == high else f'{low}-{high}'} open to {source(each)}")


def ends(each: Any) -> tuple[Any, ...]:
    """What a rule lets in, whether it is as EC2 lists it or as we ask for it."""
    return each["IpProtocol"], each["FromPort"], each["ToPort"], source(each)


def source(each: Any) -> str:
    [asked] = each.get("IpRanges") or each.get("UserIdGroupPairs") or [{}]
    listed = each.get("CidrIpv4") or each.get("ReferencedGroupInfo", {}).get("GroupId") or each.get("CidrIpv6")
    return str(asked.get("CidrIp") or asked.get("GroupId") or listed)


def delete() -> None:
    """Once their hosts are gone. A group that another's rule names goes after that one; in a circle its rules go first."""
    left = [*all_groups()]
    while left:
        free = [
            each for each in left if not any(each["GroupId"] in named(other) for other in left if other is not each)
        ]
        group = (free or left)[0]
        if not free:
            revoke_all(group)
        else:
            delete_group(group)
            say("deleted", f"security group {group['GroupId']} ({group['GroupName']})")
            left.remove(group)


def named(group: Any) -> set[str]:
    """The groups that its rules let in."""
    return {pair["GroupId"] for rule in group["IpPermissions"] for pair in rule.get("UserIdGroupPairs", [])}


def revoke_all(group: Any) -> None:
    gone = ("InvalidPermission.NotFound", NO_GROUP)
    revoke = call(client("ec2").revoke_security_group_ingress, of=group, gone=gone)
    revoke(GroupId=group["GroupId"], IpPermissions=group["IpPermissions"])
    group["IpPermissions"] = []


def delete_group(group: Any) -> None:
    """AWS refuses a group that a network interface still bears."""
    ec2, its_id = client("ec2"), group["GroupId"]
    what, why = f"security group {its_id} to be free", lambda: held_by("group-id", its_id)
    call(ec2.delete_security_group, what, of=group, gone=NO_GROUP, busy=IN_USE, why=why)(GroupId=its_id)


def left_over() -> list[Resource]:
    return as_resources(all_groups(), [])


def belonging() -> list[Resource]:
    """Of their rules those that we made."""
    return as_resources([], [rule for rule in all_rules() if ours(rule)])


def as_resources(groups: list[Any], rules: list[Any]) -> list[Resource]:
    told = [("security group", each["GroupId"], f"({each['GroupName']})", each) for each in groups]
    told += [("security group rule", each["SecurityGroupRuleId"], f"of {each['GroupId']}", each) for each in rules]
    return [
        resource(f"{kind} {its_id} {more}", aws.arn("ec2", f"{kind.replace(' ', '-')}/{its_id}"), each)
        for kind, its_id, more, each in told
    ]
