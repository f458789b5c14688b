"""The security group of one endpoint's tasks, and the rule that lets them reach the shared file systems. Free.

Without endpoints the tasks' group is the cluster's: infrastructure/cluster/security_groups.py makes and deletes it.
"""

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
    description, rules = f"Tasks of endpoint {constants.ENDPOINT}", security_groups.task_rules(groups)
    group_id = security_groups.create_group(net, "tasks", description, rules)
    let_in([group_id])
    return [group_id]


def let_in(group_ids: list[str]) -> None:
    """NFS from these groups and no others of this endpoint's."""
    shared = security_groups.find_group("file-system")
    if shared:
        security_groups.bring_into_line(shared, security_groups.nfs_rules(group_ids))


def delete() -> None:
    """The rule that names the group, then the group, once its tasks' network interfaces are gone."""
    if not constants.ENDPOINT:
        return
    let_in([])
    group, its_name = security_groups.find_group("tasks"), security_groups.its_name("tasks")
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
