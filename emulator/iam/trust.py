"""Who may take a role on: the service that its trust names, where the trust's conditions are met.

https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html#cross-service-confused-deputy-prevention
"""

from __future__ import annotations

import json
import re

from emulator.core.world import ACCOUNT, World
from emulator.iam import roles


def assumable(world: World, role_arn: str, principal: str, source_arn: str = "") -> bool:
    """Does the role exist, has it spread, and does its trust let this service in, which acts for `source_arn`?"""
    if not roles.role_usable(world, role_arn):
        return False
    document = roles.find_role(role_arn).assume_role_policy_document
    trust = json.loads(document) if isinstance(document, str) else document
    given = {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": source_arn}
    for statement in trust["Statement"]:
        named = (statement.get("Principal") or {}).get("Service") or []
        conditions = [pair for tests in (statement.get("Condition") or {}).values() for pair in tests.items()]
        met = all(any(_like(given.get(key, ""), each) for each in _listed(wanted)) for key, wanted in conditions)
        if principal in _listed(named) and met:
            return True
    return False


def _listed(one_or_more: str | list[str]) -> list[str]:
    return [one_or_more] if isinstance(one_or_more, str) else one_or_more


def _like(value: str, pattern: str) -> bool:
    return bool(re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), value))
