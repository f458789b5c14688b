"""A bastion: one small host in the public subnets, through which SSH reaches the hosts. Made only when asked for.

Session Manager reaches the hosts without it, and needs no open port; it reaches the bastion too, by the bastion's role.
https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager.html
"""

from typing import Any

import aws
import constants
from aws import Problem, Resource, call, client, name, tags, wait
from console import say
from infrastructure.cluster import auto_scaling_group, launch_template, parameters, roles, security_groups
from infrastructure.cluster.network import Network
from infrastructure.cluster.security_groups import SecurityGroups


@aws.look
def has_role() -> bool:
    """Whether there may be one, which its template names: then what there is of it is read too."""
    listed = roles.names.remembers() and roles.role_name("bastion") in roles.names()
    if constants.BASTION_KEY_NAME or launch_template.find("bastion") or listed:
        aws.look_at(*roles.looks("bastion"), roles.instance_profile("bastion"))
        return True
    return False


LOOKS = (*launch_template.LOOKS, *auto_scaling_group.LOOKS, has_role)


def create(net: Network, groups: SecurityGroups) -> None:
    """A launch template, a role and an Auto Scaling group of one over the public subnets; it costs what a small host costs.

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
    wanted = launch_template.host(image_id, kind, key, [], "bastion")
    wanted["NetworkInterfaces"] = [interface(groups)]
    if not constants.HOST_ROLE:
        wanted["IamInstanceProfile"] = {"Name": roles.role_name("bastion")}
    launch_template.put("bastion", present, wanted)
    if not constants.HOST_ROLE:
        roles.create_role("bastion", roles.trust("ec2"), (), roles.sessions(), roles.FORMER_POLICIES)
        roles.create_instance_profile("bastion")
    one: dict[str, Any] = {"MinSize": 1, "MaxSize": 1}
    auto_scaling_group.put("bastion", net.public_subnet_ids, one, tags("bastion"), f"1 {kind}")
    if auto_scaling_group.former_hosts("bastion"):
        auto_scaling_group.refresh("bastion")
        wait_for_checks(present)
    roles.leave("bastion")


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


def interface(groups: SecurityGroups) -> dict[str, Any]:
    """With a public address of its own, whatever the subnet gives: one of an adopted VPC may give none."""
    public = {"DeviceIndex": 0, "AssociatePublicIpAddress": True, "DeleteOnTermination": True}
    return {**public, "Groups": groups.bastion_ids}


def address() -> str:
    """Its public address, where SSH reaches it; "" while it has none."""
    group = auto_scaling_group.find("bastion") or {"Instances": []}
    ids = [host["InstanceId"] for host in group["Instances"] if host["LifecycleState"] in ("Pending", "InService")]
    found = call(client("ec2").describe_instances, gone="InvalidInstanceID.NotFound")(InstanceIds=ids) if ids else None
    hosts = [host for each in found["Reservations"] for host in each["Instances"]] if found else []
    return next((host["PublicIpAddress"] for host in hosts if host.get("PublicIpAddress")), "")


def told() -> dict[str, str | None]:
    """Its address for a page's result, where there is to be a bastion."""
    return {"bastionPublicIp": address() or None} if constants.BASTION_KEY_NAME else {}


def wait_ready() -> None:
    """Until it runs, and has its address: about half a minute after it was asked for."""
    if constants.BASTION_KEY_NAME:
        wait("the bastion to have an address", address, lambda: auto_scaling_group.in_words("bastion"))


def delete() -> None:
    """Ask for the end of the group and its host."""
    if auto_scaling_group.ask_for_end("bastion"):
        say("deleted", f"Auto Scaling group {name('bastion')}", "asked for")


def wait_deleted() -> None:
    """Its role goes before the template, which tells of it."""
    auto_scaling_group.wait_gone("bastion")
    if has_role():
        roles.delete_of_instances("bastion")
    launch_template.delete("bastion")


def left_over() -> list[Resource]:
    its_roles = roles.left_over("bastion") if has_role() else []
    return [*auto_scaling_group.left_over("bastion"), *its_roles, *launch_template.left_over("bastion")]
