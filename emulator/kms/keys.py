"""Who may use a key: its own policy must say so, or leave it to the account's IAM policies, as a new key's does.

https://docs.aws.amazon.com/kms/latest/developerguide/control-access-overview.html
"""

from __future__ import annotations

from typing import Any

from moto.kms.models import kms_backends

from emulator.core import partitions
from emulator.core.world import ACCOUNT
from emulator.iam import roles
from emulator.iam.conditions import Context
from emulator.iam.policies import Decision, decide, decide_for_role


def _root() -> str:
    return f"arn:{partitions.here()}:iam::{ACCOUNT}:root"


#: AWS's own keys are open to all of the account that may use the service
OF_AWS = "alias/aws/"


def find(region: str, key_id: str) -> Any | None:
    """A key (moto's) by its id, its ARN, an alias or an alias's ARN."""
    backend: Any = kms_backends[ACCOUNT][region]
    alias = backend.get_alias_name(key_id)
    if alias.startswith("alias/"):
        key_id = backend.get_key_id_from_alias(alias) or ""
    return backend.keys.get(backend.get_key_id(key_id))


def decide_decrypt(role: str | None, region: str, key_id: str | None, context: Context) -> Decision:
    """May a role decrypt with this key?"""
    if not key_id or OF_AWS in key_id:
        return Decision("allowed")
    key = find(region, key_id)
    if key is None:
        return Decision("implicitDeny")
    decision = decide_for_role(role, "kms:Decrypt", key.arn, context, key.policy)
    if decide("kms:Decrypt", key.arn, context, resource_policy=key.policy, principal=_root()) or not decision:
        return decision
    who = roles.find_role(role or "")
    return decide("kms:Decrypt", key.arn, context, resource_policy=key.policy, principal=who.arn if who else "")
