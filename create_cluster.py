"""Build the cluster: file system, roles, ECS cluster, network, security groups, load balancer, and its GPU capacity.

Which of these, and how many, follows from the settings. Run it again at any time: it completes what is missing, brings
what is there into line with the settings, and changes nothing that is right. Prints the ids of what is there.

    python create_cluster.py             next: python register_task_definition.py
    python create_cluster.py --dry-run   what would be created or changed

Costs: hosts from MIN_INSTANCES on, NAT gateways, a load balancer, and what is stored on EFS; its first lines say how
much. To undo: python delete_cluster.py
"""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import aws
import console
import constants
from aws import Problem, region
from console import say
from delete_cluster import delete_cluster
from infrastructure import parts
from infrastructure.cluster import (
    auto_scaling_group,
    bastion,
    capacity,
    certificate,
    checks,
    cluster,
    costs,
    file_system,
    launch_template,
    load_balancer,
    monitoring,
    mount_targets,
    nat_gateways,
    network,
    pause,
    roles,
    security_groups,
    ways_out,
)
from infrastructure.service import access_points, bill, deadlines, log_group, mount_checks, service, task_roles
from infrastructure.weights import copy_task

#: what this page makes: the cluster, and without endpoints what its tasks need
PARTS = (*(part for part in parts.CLUSTER if part is not certificate), access_points, log_group, task_roles)


@aws.page(of="cluster", changes=True, undo="delete_cluster.py", yes="do not ask, whatever it costs")
def create_cluster(yes: bool = False) -> dict[str, Any]:
    """Everything is asked for first, what takes longest before all; and waited for at the end."""
    before = aws.changes()
    parts.look((*PARTS, checks))
    pause.refuse()
    new_hosts = not (network.stands() and auto_scaling_group.stands())
    is_new, stood = not cluster.find(), file_system.ids()
    priced = what_costs() if is_new or costs_more() else []
    facts = checks.check(new_hosts, costs.looks(priced))
    tasks_roles = () if constants.CLUSTER_ONLY else task_roles.SUFFIXES
    deadlines.check()
    roles.refuse_other_path("host", *(("bastion",) if constants.BASTION_KEY_NAME else ()), *tasks_roles)
    ways_out.check(is_new)
    access_points.refuse_changes()
    capacity.refuse_changes()
    service.refuse_other_capacity_type()
    if security_groups.closes_ports():
        service.refuse_network_mode()
        service.refuse_closed_port()
    if priced:
        costs.tell_before(priced, yes)
    with undone_where_it_fails(is_new, keep_data=bool(stood)):
        parts.retag(PARTS)
        roles.create_service_linked_roles(is_new, new_hosts, not load_balancer.find())

        asked = network.begin(nat_gateways.addresses_needed())
        file_system_ids = file_system.create()
        cluster_arn = cluster.create()
        made_roles = roles.create()
        deadlines.create()
        net = network.create(facts.zones, asked)
        nat_gateways.create(net)
        network.create_routes(net)
        groups = security_groups.create(net)
        load_balancer.create(net, groups)
        file_system.set_policies(file_system_ids, stood)  # before anybody can reach them
        new_targets = mount_targets.create(file_system_ids, net, groups, stood)
        nat_gateways.create_s3_endpoint(net)
        points = access_points.create(file_system_ids, new=not stood)
        mount_checks.tell()
        task_roles.create(file_system_ids, points)
        log_group_name = log_group.create()
        monitoring.create()
        launch_template.create(facts, groups, made_roles)
        nat_gateways.wait_ready(net)  # without a way out no host could join
        deadlines.plan()  # before there is a host
        group_arns = auto_scaling_group.create(net)
        roles.leave_host()
        service.leave_provider_of_gone(group_arns)
        capacity.create(group_arns)
        bastion.create(net, groups)

        names_ready = mount_targets.wait_available(file_system_ids, new_targets)
        capacity.wait_ready()
        auto_scaling_group.leave_unbalanced()
        load_balancer.wait_ready(groups)
        bastion.wait_ready()
        mount_targets.wait_for_dns(names_ready)
    if aws.changes() == before:
        say("nothing changed:", "all is as the settings say")
    endpoint = "ENDPOINT=a python create_repository.py" if constants.CLUSTER_ONLY else ""
    bill.tell_cluster()
    say("next", endpoint or "python register_task_definition.py", "to undo: python delete_cluster.py")
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
        "accessPoints": points,
        "url": load_balancer.url() or None,
        **bastion.told(),
        "logGroupName": log_group_name or None,
        "taskExecutionRoleArn": None if constants.CLUSTER_ONLY else made_roles.task_execution_role_arn,
        "taskRoleArn": None if constants.CLUSTER_ONLY else made_roles.task_role_arn,
    }


def costs_more() -> bool:
    """Whether there are to be more or other hosts, a NAT gateway or a load balancer than there are yet."""
    balancer = constants.LISTENER_PROTOCOL and not load_balancer.find()
    return bool(not auto_scaling_group.stands() or nat_gateways.addresses_needed()[1] or balancer)


def what_costs() -> costs.Rows:
    return [*costs.of_cluster(), *costs.of_schedule(copy_task.CPU, copy_task.MEMORY)]


@contextlib.contextmanager
def undone_where_it_fails(is_new: bool, keep_data: bool) -> Iterator[None]:
    """With ON_FAILURE=delete, for a run that makes the cluster new: whatever fails after its first change."""
    before = aws.changes()
    try:
        yield
    except aws.FAILURES as error:
        undo(error, is_new and aws.changes() > before and constants.ON_FAILURE == "delete", keep_data)
        raise


def undo(failure: aws.Failure, wanted: bool, keep_data: bool) -> None:
    """What this run made goes again. Data that was there before it stays; and all does where other pages made something."""
    if not wanted or console.dry_run:
        return
    try:
        refuse_more_than_ours()
        say("warning", "it failed:", "what this run made is deleted, since ON_FAILURE=delete")
        with constants.of(EFS_DELETION_POLICY="Retain") if keep_data else contextlib.nullcontext():
            delete_cluster(yes=True)
    except aws.FAILURES as left:
        why = f"and what this run made is not all deleted: {aws.explain(left)}"
        raise Problem(f"{aws.explain(failure)}\n{why}") from left


def refuse_more_than_ours() -> None:
    aws.forget_all()
    others = tuple(part for part in parts.ALL if part not in (*PARTS, certificate))
    if left := [each.what for each in parts.left_over(others)]:
        raise Problem(f"it did not make {', '.join(left)}; to delete all: python delete_cluster.py")


if __name__ == "__main__":
    sys.exit(aws.main(create_cluster, __doc__))
