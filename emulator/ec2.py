"""EC2: moto with AWS's own delays, orders and refusals in front of it.

Its parts: ec2_network (VPCs to NAT gateways), ec2_groups (security groups), ec2_interfaces (who holds what),
ec2_templates (launch templates), ec2_types (types and images), ec2_instances and ec2_run (instances).
What other services need of it is named here.
"""

from __future__ import annotations

from emulator import ec2_addresses, ec2_groups, ec2_network, ec2_run  # noqa: F401  (they hold handlers)
from emulator.ec2_instances import RUNNING, TERMINATED, TERMINATING, instance, launch, terminate
from emulator.ec2_interfaces import create_interface, delete_interface
from emulator.ec2_types import ecs_image_kind

__all__ = [
    "RUNNING",
    "TERMINATED",
    "TERMINATING",
    "create_interface",
    "delete_interface",
    "ecs_image_kind",
    "instance",
    "launch",
    "terminate",
]
