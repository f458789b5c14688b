"""What the policies of a role allow, as far as the emulated services ask: actions, resources, plain conditions."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

from emulator.core.rules import Params
from emulator.iam import roles


@functools.lru_cache(maxsize=512)
def _statements(document: str) -> list[Params]:
    statements = json.loads(document).get("Statement", [])
    return statements if isinstance(statements, list) else [statements]


def _documents(role: Any) -> list[str]:
    texts = [*_versions(role.managed_policies.values()), *role.policies.values()]
    return [text if isinstance(text, str) else json.dumps(text) for text in texts if text]


def _versions(policies: Any) -> list[str]:
    """What these managed policies say now."""
    return [
        version.document
        for policy in policies
        for version in policy.versions
        if version.version_id == policy.default_version_id
    ]


def allowed(role_name: str | None, action: str) -> bool:
    """Do the role's policies allow an action, on whatever resource? A Deny of it counts."""
    role = roles.find_role(role_name) if role_name else None
    if role is None:
        return False
    effects = {
        statement.get("Effect")
        for document in _documents(role)
        for statement in _statements(document)
        if _names(statement, action)
    }
    bounded = [each.get("Effect") for each in _boundary(role) if _names(each, action)]
    within = not role.permissions_boundary_arn or ("Allow" in bounded and "Deny" not in bounded)
    return "Allow" in effects and "Deny" not in effects and within


def _boundary(role: Any) -> list[Params]:
    """The statements of the role's permissions boundary."""
    policy = roles.backend().managed_policies.get(role.permissions_boundary_arn) if role else None
    return [each for document in _versions([policy] if policy else []) for each in _statements(document)]


def _names(statement: Params, action: str) -> bool:
    actions = statement.get("Action") or []
    actions = [actions] if isinstance(actions, str) else actions
    return any(_like(action.lower(), pattern.lower()) for pattern in actions)


@functools.lru_cache(maxsize=4096)
def _form(pattern: str) -> re.Pattern[str]:
    """* and ? are wildcards; ${*}, ${?} and ${$} are these characters themselves."""
    parts = [found[0] for found in re.finditer(r"\$\{[*?$]\}|.", pattern, re.DOTALL)]
    forms = {"*": ".*", "?": "."}
    return re.compile(
        "".join(forms.get(each) or re.escape(each[2] if len(each) > 1 else each) for each in parts), re.DOTALL
    )


def _like(value: str, pattern: str) -> bool:
    return bool(_form(pattern).fullmatch(value))


def may(role_name: str, action: str, resource: str, context: dict[str, str] | None = None) -> bool:
    """Do the role's policies allow this on this resource? Conditions are compared where the call has such a value."""
    role = roles.find_role(role_name) if role_name else None
    statements: list[Params] = []
    for document in _documents(role) if role else []:
        found = json.loads(document)["Statement"]
        statements += found if isinstance(found, list) else [found]
    bounds = _boundary(role)
    within = not role or not role.permissions_boundary_arn or _effects(bounds, action, resource, context) == {"Allow"}
    return _effects(statements, action, resource, context) == {"Allow"} and within


def _effects(statements: list[Params], action: str, resource: str, context: dict[str, str] | None) -> set[str]:
    return {
        each["Effect"]
        for each in statements
        if _any(action.lower(), each.get("Action"), lower=True)
        and _any(resource, each.get("Resource"))
        and _met(each.get("Condition") or {}, context or {})
    }


def _any(value: str, patterns: Any, lower: bool = False) -> bool:
    several = patterns if isinstance(patterns, list) else [patterns or ""]
    return any(_like(value, each.lower() if lower else each) for each in several)


def _met(condition: Params, context: dict[str, str]) -> bool:
    return all(_any(context.get(key, ""), patterns) for tests in condition.values() for key, patterns in tests.items())
