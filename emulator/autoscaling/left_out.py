"""What Auto Scaling has and the emulator has not: it says so. Loaded after the calls that are imitated."""

from __future__ import annotations

from moto.core.utils import get_service_model

from emulator.autoscaling import (
    launch,  # noqa: F401
    members,  # noqa: F401  (they hold handlers)
)
from emulator.autoscaling.groups import Item
from emulator.core.rules import HANDLERS, AwsError, Call, on

OPERATIONS = get_service_model("autoscaling").operation_names


def left_out(call: Call) -> Item:
    """moto knows nothing of these groups: what is not imitated says so."""
    raise AwsError("NotImplemented", f"the emulator does not imitate autoscaling {call.operation}", 501)


on("autoscaling", *(one for one in OPERATIONS if ("autoscaling", one) not in HANDLERS))(left_out)
