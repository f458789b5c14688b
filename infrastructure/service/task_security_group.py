"""The security group of one endpoint's tasks, and the rule that lets them reach the shared file systems. Free.

Without endpoints the tasks' group is the cluster's: infrastructure/cluster/security_groups.py makes and deletes it.
"""

from typing import Any

import aws
import constants
from aws import Resource, mine
from console import say
from infrastructure.cluster import network, security_groups
from infrastructure.cluster.network import Network


@aws.look
def standing() -> tuple[list[Any], list[Any]]:
    """The groups and their rules; without endpoints they are the cluster's, and nothing of this module's stands."""
    return (security_groups.all_groups(), security_groups.all_rules()) if constants.ENDPOINT else ([], [])


LOOKS = (standing,)


def create() -> list[str]:
    """The load balancer reaches the tasks' port, and they the mount targets. Its id; none where the cluster's serves."""
    if not constants.ENDPOINT or constants.SECURITY_GROUP_IDS:
        return []
    groups, (_, listed) = security_groups.find(), standing()
    shared, group = security_groups.find_group("file-system"), security_groups.find_group("tasks")
    if group:
        say("found", f"security group {group['GroupId']}", security_groups.its_name("tasks"))
    else:
        group = security_groups.make_group(network.required(), "tasks", f"Tasks of endpoint {constants.ENDPOINT}")
    security_groups.bring_into_line(group, listed, security_groups.task_rules(groups, group["GroupId"]))
    let_in(shared, listed, [group["GroupId"]])
    return [str(group["GroupId"])]


def placement(group_ids: list[str], fargate: bool = False) -> dict[str, Any]:
    """Where tasks with an address of their own are: in these groups, or the cluster's for tasks."""
    return network_configuration(network.required(), group_ids or security_groups.find().task_ids, fargate)


def network_configuration(net: Network, group_ids: list[str], fargate: bool = False) -> dict[str, Any]:
    """A Fargate task in a public subnet needs a public address to pull its image; on EC2 ECS allows none.

    `fargate`: what runs there whatever LAUNCH_TYPE says.
    """
    configuration: dict[str, Any] = {"subnets": net.subnet_ids, "securityGroups": group_ids}
    if fargate or constants.LAUNCH_TYPE == "FARGATE":
        public = set(net.subnet_ids) <= set(net.public_subnet_ids) or not net.public_subnet_ids
        configuration["assignPublicIp"] = "ENABLED" if public else "DISABLED"
    return {"awsvpcConfiguration": configuration}


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
        return
    security_groups.delete_group(group)
    say("deleted", f"security group {group['GroupId']}", its_name)


def left_over() -> list[Resource]:
    if not constants.ENDPOINT:
        return []
    groups = [group for group in security_groups.all_groups() if mine(group)]
    return security_groups.as_resources(groups, [rule for rule in security_groups.all_rules() if mine(rule)])
