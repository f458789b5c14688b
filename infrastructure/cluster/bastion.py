"""A bastion: one small host in the public subnets, through which SSH reaches the hosts. Made only when asked for.

Session Manager reaches the hosts without it, and needs no open port.
https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager.html
"""

from typing import Any

import aws
import constants
from aws import Problem, Resource, call, client, name, tags, wait
from console import say
from infrastructure.cluster import auto_scaling_group, launch_template, parameters, security_groups
from infrastructure.cluster.network import Network
from infrastructure.cluster.security_groups import SecurityGroups

LOOKS = (*launch_template.LOOKS, *auto_scaling_group.LOOKS)


def create(net: Network, groups: SecurityGroups) -> None:
    """A launch template and an Auto Scaling group of one over the public subnets; it costs what a small host costs.

    Of another type or key it is a new host, and sessions through the former one end. One that is not wanted goes.
    """
    if "bastion" in groups.leaving:
        delete()
        wait_deleted()
        security_groups.remove("bastion")
    if not constants.BASTION_KEY_NAME:
        return
    kind, key = constants.BASTION_INSTANCE_TYPE, constants.BASTION_KEY_NAME
    present = launch_template.latest("bastion")
    image_id = present.get("ImageId") or parameters.values()[parameters.OF_BASTION]
    launch_template.put("bastion", present, launch_template.host(image_id, kind, key, groups.bastion_ids, "bastion"))
    one: dict[str, Any] = {"MinSize": 1, "MaxSize": 1}
    auto_scaling_group.put("bastion", net.public_subnet_ids, one, tags("bastion"), f"1 {kind}")
    if auto_scaling_group.former_hosts("bastion"):
        auto_scaling_group.refresh("bastion")
        wait_for_checks(present)


def wait_for_checks(former: Any) -> None:
    """AWS calls a refresh successful once the new host runs; whether anyone reaches it, its status checks tell: 2 minutes.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitoring-system-instance-status-check.html
    """
    settings = {"BASTION_INSTANCE_TYPE": former.get("InstanceType"), "BASTION_KEY_NAME": former.get("KeyName")}
    other = [f"{each}={text}" for each, text in settings.items() if text and text != getattr(constants, each)]
    back = f"; to go back: {' '.join(other)} python create_cluster.py" if other else ""

    def seen() -> list[Any]:
        aws.forget(auto_scaling_group.groups)
        group = auto_scaling_group.find("bastion")
        ids = [host["InstanceId"] for host in group["Instances"]] if group else []
        read = call(client("ec2").describe_instance_status, gone="InvalidInstanceID.NotFound")
        found = read(InstanceIds=ids) if ids else None
        return found["InstanceStatuses"] if found else []

    def statuses() -> dict[str, str]:
        return {
            each["InstanceId"]: f"{each['InstanceStatus']['Status']}, {each['SystemStatus']['Status']}"
            for each in seen()
        }

    def passed() -> bool:
        found = statuses()
        for its_id, status in found.items():
            if "impaired" in status:
                told = f"the new bastion {its_id} runs, but its status checks fail (instance, system: {status})"
                raise Problem(f"{told}{back}")
        return bool(found) and {*found.values()} == {"ok, ok"}

    wait("the new bastion's status checks", passed, lambda: str(statuses() or "it is not running"))


def delete() -> None:
    """Ask for the end of the group and its host."""
    if auto_scaling_group.ask_for_end("bastion"):
        say("deleted", f"Auto Scaling group {name('bastion')}", "asked for")


def wait_deleted() -> None:
    auto_scaling_group.wait_gone("bastion")
    launch_template.delete("bastion")


def left_over() -> list[Resource]:
    return [*auto_scaling_group.left_over("bastion"), *launch_template.left_over("bastion")]
