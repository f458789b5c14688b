"""The security group of one endpoint's tasks, and the rule that lets them reach the shared file systems. Free.

Without endpoints the tasks' group is the cluster's: infrastructure/cluster/security_groups.py makes and deletes it.
"""

from typing import Any

import constants
from aws import Resource, mine
from console import say
from infrastructure.cluster import security_groups
from infrastructure.cluster.network import Network

LOOKS = security_groups.LOOKS


def create(net: Network) -> list[str]:
    """The load balancer reaches the tasks' port, and they reach the mount targets. The ids of the tasks' groups."""
    groups = security_groups.find()
    if not constants.ENDPOINT or constants.SECURITY_GROUP_IDS:
        return groups.task_ids
    description, listed = f"Tasks of endpoint {constants.ENDPOINT}", security_groups.all_rules()
    shared, present = security_groups.find_group("file-system"), security_groups.find_group("tasks")
    group = security_groups.create_group(net, "tasks", present, description)
    security_groups.bring_into_line(group, listed, security_groups.task_rules(groups))
    let_in(shared, listed, [group["GroupId"]])
    return [str(group["GroupId"])]


def let_in(shared: Any, listed: list[Any], group_ids: list[str]) -> None:
    """To the mount targets by NFS, from these groups and no others of this endpoint's."""
    if shared:
        security_groups.bring_into_line(shared, listed, security_groups.nfs_rules(group_ids))


def delete() -> None:
    """The rule that names the group, then the group, once its tasks' network interfaces are gone."""
    if not constants.ENDPOINT:
        return
    group, its_name = security_groups.find_group("tasks"), security_groups.its_name("tasks")
    let_in(security_groups.find_group("file-system"), security_groups.all_rules(), [])
    if not group:
        say("already gone", f"security group {its_name}")
        return
    security_groups.delete_group(group)
    say("deleted", f"security group {group['GroupId']}", its_name)


def left_over() -> list[Resource]:
    if not constants.ENDPOINT:
        return []
    groups = [group for group in security_groups.all_groups() if mine(group)]
    return security_groups.as_resources(groups, [rule for rule in security_groups.all_rules() if mine(rule)])
