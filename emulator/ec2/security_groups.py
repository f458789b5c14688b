"""Security groups: strict about names and rules, and kept by whatever refers to them or wears them.

https://docs.aws.amazon.com/vpc/latest/userguide/deleting-security-groups.html
"""

from __future__ import annotations

import functools
import ipaddress
import re
from typing import Any

from moto.ec2.models.security_groups import SecurityGroupRule

from emulator.core import partitions, quotas
from emulator.core.rules import SENTENCES, AwsError, Call, on
from emulator.core.world import ACCOUNT
from emulator.ec2 import interfaces
from emulator.ec2.region import (
    Item,
    backend_of,
    by_keys,
    drop_tags,
    find_group,
    find_vpc,
    hide,
    matches,
    page,
    region_of,
    select,
    set_tags,
    specified_tags,
    tags_of,
)

SENTENCES.update(
    {
        "ec2-018": "A group's name is unique in its VPC, whatever its case: InvalidGroup.Duplicate.",
        "ec2-019": "Names and descriptions of groups and rules have 255 characters at most, of a small set.",
        "ec2-020": "Adding a rule that is there refuses the whole call: InvalidPermission.Duplicate.",
        "ec2-021": "A group that a rule of another group names can not be deleted: DependencyViolation.",
        "ec2-022": "A group that any network interface wears can not be deleted: DependencyViolation.",
    }
)

ALLOWED = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{0,255}")
CHARACTERS = "strings less than 256 characters from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"
PROTOCOLS = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "all": "-1"}
MOST_RULES = 60

#: protocol, from port, to port, and the one peer: "cidr", "cidr6", "group" or "list" with its value
Key = tuple[str, int, int, str, str]


def all_groups(region: str) -> list[Any]:
    return [group for groups in backend_of(region).groups.values() for group in groups.values()]


# Rules.


def wanted_rules(region: str, group: Any, params: Item) -> list[tuple[Key, str]]:
    """The single rules that a request names, each with its description: one for each peer of each permission."""
    permissions = params.get("IpPermissions") or []
    if not permissions:
        peer: Item = {"IpRanges": [{"CidrIp": params["CidrIp"]}]} if params.get("CidrIp") else {}
        if params.get("SourceSecurityGroupName"):
            peer = {"UserIdGroupPairs": [{"GroupName": params["SourceSecurityGroupName"]}]}
        permissions = [{**{name: params.get(name) for name in ("IpProtocol", "FromPort", "ToPort")}, **peer}]
    rules = []
    for permission in permissions:
        protocol, first, last = ports_of(permission)
        peers = list(peers_of(region, group, permission))
        if not peers:
            raise AwsError("MissingParameter", "The request must contain a source or destination for the rule.")
        for kind, value, description in peers:
            check_text(description, "rule description")
            rules.append(((protocol, first, last, kind, value), description))
    return rules


def ports_of(permission: Item) -> tuple[str, int, int]:
    protocol = str(permission.get("IpProtocol") or "").lower()
    protocol = PROTOCOLS.get(protocol, protocol)
    if not protocol:
        raise AwsError(
            "InvalidParameterValue",
            "Invalid value 'null' for protocol. VPC security group rules must specify protocols explicitly.",
        )
    first, last = permission.get("FromPort"), permission.get("ToPort")
    if protocol not in ("tcp", "udp"):
        none = protocol == "-1"
        return protocol, -1 if none or first is None else int(first), -1 if none or last is None else int(last)
    if first is None or last is None:
        raise AwsError(
            "InvalidParameterValue",
            "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.",
        )
    if not 0 <= first <= last <= 65535:
        raise AwsError("InvalidParameterValue", f"Invalid TCP/UDP port range ({first}:{last})")
    return protocol, int(first), int(last)


def peers_of(region: str, group: Any, permission: Item) -> Any:
    for one in permission.get("IpRanges") or []:
        yield "cidr", network(one.get("CidrIp") or "", 4), one.get("Description") or ""
    for one in permission.get("Ipv6Ranges") or []:
        yield "cidr6", network(one.get("CidrIpv6") or "", 6), one.get("Description") or ""
    for one in permission.get("UserIdGroupPairs") or []:
        yield "group", peer_group(region, group, one), one.get("Description") or ""
    for one in permission.get("PrefixListIds") or []:
        yield "list", one.get("PrefixListId") or "", one.get("Description") or ""


def network(cidr: str, version: int) -> str:
    try:
        found = ipaddress.ip_network(cidr, strict=False)
        if found.version == version and "/" in cidr:
            return str(found)
    except ValueError:
        pass
    raise AwsError("InvalidParameterValue", f"CIDR block {cidr} is malformed")


def peer_group(region: str, group: Any, pair: Item) -> str:
    if pair.get("GroupId"):
        other = find_group(region, pair["GroupId"])
    else:
        named = [one for one in all_groups(region) if one.name == pair.get("GroupName") and one.vpc_id == group.vpc_id]
        if not named:
            raise AwsError("InvalidGroup.NotFound", f"The security group '{pair.get('GroupName')}' does not exist")
        other = named[0]
    if other.vpc_id != group.vpc_id:
        raise AwsError(
            "InvalidGroup.NotFound", f"You have specified two resources that belong to different networks: {other.id}"
        )
    return str(other.id)


def key_of(rule: Any) -> Key:
    if rule.source_group:
        kind, value = "group", rule.source_group["GroupId"]
    elif rule.prefix_list_id:
        kind, value = "list", rule.prefix_list_id
    elif "CidrIpv6" in rule.ip_range:
        kind, value = "cidr6", rule.ip_range["CidrIpv6"]
    else:
        kind, value = "cidr", rule.ip_range.get("CidrIp", "")
    first = -1 if rule.from_port is None else rule.from_port
    return rule.ip_protocol, first, -1 if rule.to_port is None else rule.to_port, kind, value


def described(rule: Any) -> str:
    if rule.source_group:
        return str(rule.source_group.get("Description") or "")
    return str(rule.ip_range.get("Description") or "") or str(getattr(rule, "list_description", ""))


def new_rule(region: str, group: Any, key: Key, description: str, egress: bool) -> Any:
    protocol, first, last, kind, value = key
    extra = {"Description": description} if description else {}
    cidrs = {"cidr": "CidrIp", "cidr6": "CidrIpv6"}
    rule = SecurityGroupRule(
        backend_of(region),
        protocol,
        group.id,
        str(first),
        str(last),
        {cidrs[kind]: value, **extra} if kind in cidrs else None,
        {"GroupId": value, "UserId": ACCOUNT, "OwnerId": ACCOUNT, **extra} if kind == "group" else None,
        {"PrefixListId": value} if kind == "list" else None,
        is_egress=egress,
    )
    rule.list_description = description
    return rule


def rule_shown(region: str, rule: Any) -> Item:
    protocol, first, last, kind, value = key_of(rule)
    peers: dict[str, Item] = {
        "cidr": {"CidrIpv4": value},
        "cidr6": {"CidrIpv6": value},
        "list": {"PrefixListId": value},
        "group": {"ReferencedGroupInfo": {"GroupId": value, "UserId": ACCOUNT}},
    }
    return {
        "SecurityGroupRuleId": rule.id,
        "GroupId": rule.group_id,
        "GroupOwnerId": ACCOUNT,
        "IsEgress": rule.is_egress,
        "IpProtocol": protocol,
        "FromPort": first,
        "ToPort": last,
        **peers[kind],
        **({"Description": described(rule)} if described(rule) else {}),
        "Tags": tags_of(region, rule.id),
        "SecurityGroupRuleArn": f"arn:{partitions.here()}:ec2:{region}:{ACCOUNT}:security-group-rule/{rule.id}",
    }


def rules_of(group: Any, egress: bool) -> list[Any]:
    found: list[Any] = group.egress_rules if egress else group.ingress_rules
    return found


def group_of(call: Call) -> Any:
    if call.params.get("GroupId"):
        return find_group(call.region, call.params["GroupId"])
    name = call.params.get("GroupName")
    if not name:
        raise AwsError("MissingParameter", "The request must contain the parameter groupName or groupId")
    default = next((vpc.id for vpc in backend_of(call.region).vpcs.values() if vpc.is_default), None)
    for group in backend_of(call.region).groups.get(default, {}).values():
        if group.name == name:
            return group
    raise AwsError("InvalidGroup.NotFound", f"The security group '{name}' does not exist in default VPC '{default}'")


def duplicate(key: Key) -> AwsError:
    protocol, first, last, _, value = key
    ports = "" if protocol == "-1" else f", from port: {first}, to port: {last}"
    shown = "ALL" if protocol == "-1" else protocol.upper()
    return AwsError(
        "InvalidPermission.Duplicate", f'the specified rule "peer: {value}, {shown}{ports}, ALLOW" already exists'
    )


@on("ec2", "AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress", rules="ec2-019 ec2-020")
def authorize(call: Call) -> Item:
    """Add rules, all or none."""
    egress = call.operation.endswith("Egress")
    group = group_of(call)
    rules = rules_of(group, egress)
    known = {key_of(rule) for rule in rules}
    wanted = wanted_rules(call.region, group, call.params)
    for key, _ in wanted:
        if key in known:
            raise duplicate(key)
        known.add(key)
    if len(known) > MOST_RULES:
        raise AwsError(
            "RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached."
        )
    added = [new_rule(call.region, group, key, description, egress) for key, description in wanted]
    rules.extend(added)
    for rule in added:
        set_tags(call.region, rule.id, specified_tags(call.params, "security-group-rule"))
    return {"Return": True, "SecurityGroupRules": [rule_shown(call.region, rule) for rule in added]}


@on("ec2", "RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress")
def revoke(call: Call) -> Item:
    """Remove rules by id or by what they say; a rule that is not there refuses the whole call."""
    egress = call.operation.endswith("Egress")
    group = group_of(call)
    rules = rules_of(group, egress)
    if identifiers := call.params.get("SecurityGroupRuleIds"):
        by_id = {rule.id: rule for rule in rules}
        for one in identifiers:
            if one not in by_id:
                raise rule_not_found(one)
        gone = [by_id[one] for one in identifiers]
    else:
        by_key = {key_of(rule): rule for rule in rules}
        wanted = [key for key, _ in wanted_rules(call.region, group, call.params)]
        if any(key not in by_key for key in wanted):
            raise AwsError("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
        gone = [by_key[key] for key in dict.fromkeys(wanted)]
    shown = [{key: value for key, value in rule_shown(call.region, rule).items() if key in REVOKED} for rule in gone]
    for rule in gone:
        rules[:] = [one for one in rules if one is not rule]
        drop_tags(call.region, rule.id)
    return {"Return": True, "RevokedSecurityGroupRules": [revoked_shown(one) for one in shown]}


REVOKED = [
    "SecurityGroupRuleId",
    "GroupId",
    "IsEgress",
    "IpProtocol",
    "FromPort",
    "ToPort",
    "CidrIpv4",
    "CidrIpv6",
    "PrefixListId",
    "ReferencedGroupInfo",
    "Description",
]


def revoked_shown(shown: Item) -> Item:
    """A revoked rule names the other group by its id alone."""
    peer = shown.pop("ReferencedGroupInfo", None)
    return {**shown, **({"ReferencedGroupId": peer["GroupId"]} if peer else {})}


def rule_not_found(identifier: str) -> AwsError:
    return AwsError("InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{identifier}' does not exist")


@on("ec2", "DescribeSecurityGroupRules")
def describe_security_group_rules(call: Call) -> Item:
    rules = [rule for group in all_groups(call.region) for rule in (*group.ingress_rules, *group.egress_rules)]
    if wanted := call.params.get("SecurityGroupRuleIds"):
        by_id = {rule.id: rule for rule in rules}
        for one in wanted:
            if one not in by_id:
                raise rule_not_found(one)
        rules = [by_id[one] for one in wanted]
    names = {"group-id": "GroupId", "security-group-rule-id": "SecurityGroupRuleId"}
    items = select((rule_shown(call.region, one) for one in rules), call.params.get("Filters"), by_keys(names))
    items, token = page(items, call.params)
    return {"SecurityGroupRules": items, **({"NextToken": token} if token else {})}


@on("ec2", "ModifySecurityGroupRules")
def modify_security_group_rules(call: Call) -> Item:
    """Replace what rules say; their ids stay."""
    group = find_group(call.region, call.params["GroupId"])
    for change in call.params["SecurityGroupRules"]:
        identifier, told = change["SecurityGroupRuleId"], change.get("SecurityGroupRule") or {}
        rule = next((one for one in (*group.ingress_rules, *group.egress_rules) if one.id == identifier), None)
        if rule is None:
            raise rule_not_found(identifier)
        extra = {"Description": told["Description"]} if told.get("Description") else {}
        permission = {
            **{name: told.get(name) for name in ("IpProtocol", "FromPort", "ToPort")},
            "IpRanges": [{"CidrIp": told["CidrIpv4"], **extra}] if told.get("CidrIpv4") else [],
            "Ipv6Ranges": [{"CidrIpv6": told["CidrIpv6"], **extra}] if told.get("CidrIpv6") else [],
            "PrefixListIds": [{"PrefixListId": told["PrefixListId"], **extra}] if told.get("PrefixListId") else [],
            "UserIdGroupPairs": [{"GroupId": told["ReferencedGroupId"], **extra}]
            if told.get("ReferencedGroupId")
            else [],
        }
        [(key, description)] = wanted_rules(call.region, group, {"IpPermissions": [permission]})
        if any(key_of(one) == key and one is not rule for one in rules_of(group, rule.is_egress)):
            raise duplicate(key)
        new = new_rule(call.region, group, key, description, rule.is_egress)
        new.id = identifier
        rules = rules_of(group, rule.is_egress)
        rules[:] = [new if one is rule else one for one in rules]
    return {"Return": True}


@on("ec2", "UpdateSecurityGroupRuleDescriptionsIngress", "UpdateSecurityGroupRuleDescriptionsEgress")
def update_rule_descriptions(call: Call) -> Item:
    group = group_of(call)
    rules = rules_of(group, call.operation.endswith("Egress"))
    told = {one["SecurityGroupRuleId"]: one.get("Description") or "" for one in call.params.get(
        "SecurityGroupRuleDescriptions") or []}  # fmt: skip
    by_key = dict(wanted_rules(call.region, group, call.params)) if call.params.get("IpPermissions") else {}
    if any(key not in {key_of(rule) for rule in rules} for key in by_key):
        raise AwsError("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
    for rule in list(rules):
        description = told.get(rule.id, by_key.get(key_of(rule)))
        if description is not None:
            check_text(description, "rule description")
            new = new_rule(call.region, group, key_of(rule), description, rule.is_egress)
            new.id = rule.id
            rules[:] = [new if one is rule else one for one in rules]
    return {"Return": True}


# Groups.


def check_text(text: str, what: str) -> None:
    if not ALLOWED.fullmatch(text):
        raise AwsError("InvalidParameterValue", f"Invalid {what}. Valid descriptions are {CHARACTERS}")


@on("ec2", "CreateSecurityGroup", rules="ec2-002 ec2-018 ec2-019")
def create_security_group(call: Call) -> Item:
    params = call.params
    name, description = params.get("GroupName") or "", params.get("Description") or ""
    if not description:
        raise AwsError("MissingParameter", "The request must contain the parameter GroupDescription")
    if not description.isascii() or not name.isascii():
        field, value = ("GroupDescription", description) if name.isascii() else ("GroupName", name)
        raise AwsError(
            "InvalidParameterValue",
            f"Value ({value}) for parameter {field} is invalid. Character sets beyond ASCII are not supported.",
        )
    check_text(description, "security group description")
    check_text(name, "security group name")
    if name.lower().startswith("sg-"):
        raise AwsError(
            "InvalidParameterValue",
            f"Value ({name}) for parameter groupName is invalid. Group names may not be in the format sg-*.",
        )
    if name.lower() == "default":
        raise AwsError("InvalidParameterValue", "Cannot use reserved security group name: default")
    backend = backend_of(call.region)
    vpc = find_vpc(call.region, params["VpcId"]) if params.get("VpcId") else backend.default_vpc
    if any(group.name.lower() == name.lower() for group in backend.groups[vpc.id].values()):
        raise AwsError("InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc.id}'")
    full = "The maximum number of security groups has been reached."
    quotas.refuse_more(call.world, "L-E79EC296", len(all_groups(call.region)), "SecurityGroupLimitExceeded", full)
    group = backend.create_security_group(name, description, vpc_id=vpc.id, force=True)
    set_tags(call.region, group.id, specified_tags(params, "security-group"))
    hide(call.world, call.region, group.id)
    return {"GroupId": group.id, "Tags": tags_of(call.region, group.id), "SecurityGroupArn": group.arn}


def permissions_shown(rules: list[Any]) -> list[Item]:
    """Rules as permissions: those with one protocol and port range come together."""
    found: dict[tuple[str, int, int], Item] = {}
    for rule in rules:
        protocol, first, last, kind, value = key_of(rule)
        permission = found.setdefault(
            (protocol, first, last),
            {
                "IpProtocol": protocol,
                **({} if protocol == "-1" else {"FromPort": first, "ToPort": last}),
                "IpRanges": [],
                "Ipv6Ranges": [],
                "PrefixListIds": [],
                "UserIdGroupPairs": [],
            },
        )
        extra = {"Description": described(rule)} if described(rule) else {}
        shapes: dict[str, tuple[str, Item]] = {
            "cidr": ("IpRanges", {"CidrIp": value}),
            "cidr6": ("Ipv6Ranges", {"CidrIpv6": value}),
            "list": ("PrefixListIds", {"PrefixListId": value}),
            "group": ("UserIdGroupPairs", {"GroupId": value, "UserId": ACCOUNT}),
        }
        where, peer = shapes[kind]
        permission[where].append({**peer, **extra})
    return list(found.values())


def group_shown(region: str, group: Any) -> Item:
    return {
        "GroupId": group.id,
        "GroupName": group.name,
        "Description": group.description,
        "VpcId": group.vpc_id,
        "OwnerId": ACCOUNT,
        "SecurityGroupArn": group.arn,
        "IpPermissions": permissions_shown(group.ingress_rules),
        "IpPermissionsEgress": permissions_shown(group.egress_rules),
        "Tags": tags_of(region, group.id),
    }


def group_value(group: Any, name: str) -> Any:
    """The value behind a filter of DescribeSecurityGroups."""
    simple = {"group-id": "id", "group-name": "name", "description": "description", "vpc-id": "vpc_id"}
    if name in simple:
        return getattr(group, simple[name])
    if name == "owner-id":
        return ACCOUNT
    egress = name.startswith("egress.")
    field = name.removeprefix("egress.").removeprefix("ip-permission.")
    keys = [key_of(rule) for rule in rules_of(group, egress)]
    kinds = {"cidr": "cidr", "ipv6-cidr": "cidr6", "group-id": "group", "prefix-list-id": "list"}
    if field in kinds:
        return [key[4] for key in keys if key[3] == kinds[field]]
    places = {"protocol": 0, "from-port": 1, "to-port": 2}
    return [key[places[field]] for key in keys] if field in places else None


@on("ec2", "DescribeSecurityGroups", rules="ec2-002")
def describe_security_groups(call: Call) -> Item:
    params = call.params
    found = all_groups(call.region)
    if wanted := params.get("GroupIds"):
        found = [find_group(call.region, one) for one in wanted]
    if names := params.get("GroupNames"):
        found = [group for group in found if group.name in names]
        for name in names:
            if not any(group.name == name for group in found):
                raise AwsError("InvalidGroup.NotFound", f"The security group '{name}' does not exist")
    filters = params.get("Filters")
    items = [
        group_shown(call.region, group)
        for group in found
        if matches(filters, functools.partial(group_value, group), tags_of(call.region, group.id))
    ]
    items, token = page(items, params)
    return {"SecurityGroups": items, **({"NextToken": token} if token else {})}


@on("ec2", "DeleteSecurityGroup", rules="ec2-021 ec2-022")
def delete_security_group(call: Call) -> Item:
    """Refused while another group's rule names it, or any interface wears it."""
    group = group_of(call)
    if group.is_default:
        raise AwsError(
            "CannotDelete", f'the specified group: "{group.id}" name: "{group.name}" cannot be deleted by a user'
        )
    others = [one for one in all_groups(call.region) if one is not group]
    named = (rule for one in others for rule in (*one.ingress_rules, *one.egress_rules))
    if interfaces.with_group(call.region, group.id) or any(key_of(rule)[4] == group.id for rule in named):
        raise AwsError("DependencyViolation", f"resource {group.id} has a dependent object")
    del backend_of(call.region).groups[group.vpc_id][group.id]
    for rule in (*group.ingress_rules, *group.egress_rules):
        drop_tags(call.region, rule.id)
    drop_tags(call.region, group.id)
    region_of(call.world, call.region).hidden.discard(group.id)
    return {"Return": True, "GroupId": group.id}
