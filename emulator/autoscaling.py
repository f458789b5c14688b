"""Auto Scaling, wholly the emulator's own: moto's groups launch at once, and forgive everything.

Its parts: autoscaling_groups (the groups and their loop), autoscaling_calls (make, change, delete, describe),
autoscaling_members and autoscaling_extras (the other calls). What ECS needs of it is named here.
https://docs.aws.amazon.com/autoscaling/ec2/APIReference/Welcome.html
"""

from __future__ import annotations

from moto.core.utils import get_service_model

from emulator import autoscaling_calls, autoscaling_extras, autoscaling_members  # noqa: F401  (they hold handlers)
from emulator.autoscaling_groups import (
    WAITING,
    Group,
    Item,
    Member,
    add_hook,
    add_tag,
    complete_lifecycle,
    groups,
    set_desired,
    set_protection,
)
from emulator.rules import HANDLERS, AwsError, Call, on

__all__ = [
    "WAITING",
    "Group",
    "Member",
    "add_hook",
    "add_tag",
    "complete_lifecycle",
    "groups",
    "set_desired",
    "set_protection",
]

OPERATIONS = get_service_model("autoscaling").operation_names


def left_out(call: Call) -> Item:
    """moto knows nothing of these groups: what is not imitated says so."""
    raise AwsError("NotImplemented", f"the emulator does not imitate autoscaling {call.operation}", 501)


on("autoscaling", *(one for one in OPERATIONS if ("autoscaling", one) not in HANDLERS))(left_out)
