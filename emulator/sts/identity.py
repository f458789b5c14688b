"""STS: whose key it is.

https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
"""

from __future__ import annotations

from emulator.core.rules import Call, Params, on
from emulator.iam import caller


@on("sts", "GetCallerIdentity")
def get_caller_identity(call: Call) -> Params:
    """Whatever the key: one IAM user of the emulated account, or the role that he has taken on."""
    arn = caller.identity(call.world)
    user_id = "AROAEMULATOREMULATOR1:emulator" if ":assumed-role/" in arn else "AIDAEMULATOREMULATOR1"
    return {"UserId": user_id, "Account": call.account, "Arn": arn}
