"""Build the cluster: roles, file system, network, security groups, log group, ECS cluster and its GPU capacity.

Needs nothing but the settings. Run it again at any time: it completes what is missing, brings what is there into line
with the settings, and changes nothing that is right. Prints the ids of what is there.

    python create_cluster.py             next: python register_task_definition.py
    python create_cluster.py --dry-run   what would be created or changed

Costs: hosts from MIN_INSTANCES on, and what is stored on EFS. To undo: python delete_cluster.py
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import aws
import constants
from aws import Problem, region
from console import say
from infrastructure.cluster import (
    auto_scaling_group,
    bastion,
    capacity,
    checks,
    cluster,
    costs,
    extra_tags,
    file_system,
    launch_template,
    load_balancer,
    monitoring,
    mount_targets,
    nat_gateways,
    network,
    roles,
    security_groups,
)
from infrastructure.service import log_group


@aws.page(of="cluster", changes=True, undo="delete_cluster.py")
def create_cluster() -> dict[str, Any]:
    """Everything is asked for first, and waited for at the end: AWS then makes it side by side."""
    changes_before = aws.changes
    facts = checks.check()
    made_now = not cluster.find()
    keep_data = constants.ON_FAILURE == "delete" and file_system.owned()
    costs.tell_before()
    roles.create_service_linked_roles()
    file_system_ids = file_system.create()
    made_roles = roles.create(file_system_ids)
    log_group_name = log_group.create()
    cluster_arn = cluster.create()
    net = network.create(facts.zones)
    nat_gateways.create(net)
    groups = security_groups.create(net)
    load_balancer.create(net, groups)
    new_targets = mount_targets.create(file_system_ids, net, groups)
    file_system.set_policies(file_system_ids)
    access_points = file_system.create_access_points(file_system_ids)
    nat_gateways.wait_ready(net)
    monitoring.create()
    launch_template.create(facts, groups, made_roles)
    group_arn = auto_scaling_group.create(net)
    capacity.create(group_arn)
    bastion.create(net, groups)
    extra_tags.update()

    names_ready = mount_targets.wait_available(file_system_ids, new_targets)
    load_balancer.wait_ready()
    try:
        capacity.wait_ready()
    except Problem:
        if constants.ON_FAILURE == "delete" and made_now:
            say("warning", "hosts did not join:", "what this run made is deleted, since ON_FAILURE=delete")
            command = [sys.executable, str(Path(__file__).with_name("delete_cluster.py")), "--yes"]
            kept = {"EFS_DELETION_POLICY": "Retain"} if keep_data else {}  # data that was there before
            subprocess.run(command, check=False, stdout=2, env={**os.environ, **kept})
        raise
    mount_targets.wait_for_dns(names_ready)
    if aws.changes == changes_before:
        say("nothing changed:", "all is as the settings say")
    endpoint = "ENDPOINT=a python create_repository.py" if constants.CLUSTER_ONLY else ""
    say("next", endpoint or aws.command("register_task_definition.py"), "to undo: python delete_cluster.py")
    return {
        "clusterName": constants.CLUSTER_NAME,
        "clusterArn": cluster_arn,
        "region": region(),
        "launchType": constants.LAUNCH_TYPE,
        "capacityProviders": [each["capacityProvider"] for each in capacity.default_strategy()],
        "vpcId": net.vpc_id,
        "subnetIds": net.subnet_ids,
        "securityGroupIds": groups.task_ids or groups.host_ids,
        "fileSystemId": next(iter(file_system_ids.values()), None),
        "fileSystemIds": file_system_ids,
        "accessPoints": access_points,
        "url": load_balancer.url() or None,
        "logGroupName": log_group_name or None,
        "taskExecutionRoleArn": None if constants.CLUSTER_ONLY else made_roles.task_execution_role_arn,
        "taskRoleArn": None if constants.CLUSTER_ONLY else made_roles.task_role_arn,
    }


if __name__ == "__main__":
    sys.exit(aws.main(create_cluster, __doc__))
