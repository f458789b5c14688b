"""STS: whose key it is.

https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
"""

from __future__ import annotations

from emulator.core import partitions
from emulator.core.rules import Call, Params, on


@on("sts", "GetCallerIdentity")
def get_caller_identity(call: Call) -> Params:
    """Whatever the key: one IAM user of the emulated account."""
    return {
        "UserId": "AIDAEMULATOREMULATOR1",
        "Account": call.account,
        "Arn": f"arn:{partitions.here()}:iam::{call.account}:user/emulator",
    }
