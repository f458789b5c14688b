"""What policies allow: one evaluator for all that is asked in a role's, the caller's or nobody's name.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html, within one account: a Deny in any
policy wins, and an Allow in the identity's policies or in the resource's own is enough.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from emulator.core.rules import Params
from emulator.iam import roles
from emulator.iam.conditions import Context, is_like, like, met, several

#: a policy as it is stored
Document = str | Mapping[str, Any]

NO_IDENTITY_POLICY = "because no identity-based policy allows the {action} action"
NO_BOUNDARY = "because no permissions boundary allows the {action} action"
IDENTITY_DENY = "with an explicit deny in an identity-based policy"
BOUNDARY_DENY = "with an explicit deny in a permissions boundary"
RESOURCE_DENY = "with an explicit deny in a resource-based policy"
ROOTS = re.compile(r"(?:arn:[^:]+:iam::)?(\d{12})(?::root)?")


@dataclass(frozen=True)
class Decision:
    """`effect` as SimulatePrincipalPolicy names it: allowed, explicitDeny or implicitDeny; true if it is allowed.
    `reason` ends AWS's sentence of refusal."""

    effect: str
    reason: str = ""

    def __bool__(self) -> bool:
        return self.effect == "allowed"


@dataclass(frozen=True)
class Request:
    """`principal` is the ARN of a role or user, the name of a service, or "" for who does not sign."""

    action: str
    resource: str
    context: Context
    principal: str = ""


def decide(
    action: str,
    resource: str = "*",
    context: Context | None = None,
    *,
    identity: Iterable[Document] = (),
    resource_policy: Document | None = None,
    principal: str = "",
    boundary: Iterable[Document] | None = None,
) -> Decision:
    """May the principal that has these `identity` policies do this? A permissions boundary limits what they allow, and of
    a role also what a resource's policy does."""
    request = Request(action, resource, {key.lower(): value for key, value in (context or {}).items()}, principal)
    own = _effects(identity, request)
    limit = {"Allow"} if boundary is None else _effects(boundary, request)
    theirs = _effects([resource_policy] if resource_policy else [], request, by_principal=True)
    for effects, reason in ((own, IDENTITY_DENY), (limit, BOUNDARY_DENY), (theirs, RESOURCE_DENY)):
        if "Deny" in effects:
            return Decision("explicitDeny", reason)
    if ("Allow" in own and "Allow" in limit) or ("Allow" in theirs and ("Allow" in limit or ":role/" not in principal)):
        return Decision("allowed")
    return Decision(
        "implicitDeny", (NO_BOUNDARY if "Allow" in own | theirs else NO_IDENTITY_POLICY).format(action=action)
    )


def decide_for_role(
    role: str | None,
    action: str,
    resource: str = "*",
    context: Context | None = None,
    resource_policy: Document | None = None,
) -> Decision:
    """The same for a role, by its name or ARN, as IAM knows it now. Nobody is what a role is that is not there."""
    found = roles.find_role(role) if role else None
    if found is None:
        return decide(action, resource, context, resource_policy=resource_policy)
    roles.plant_policy(found.permissions_boundary_arn or "")
    limit = roles.backend().managed_policies.get(found.permissions_boundary_arn)
    return decide(
        action,
        resource,
        context,
        identity=documents_of(found),
        resource_policy=resource_policy,
        principal=found.arn,
        boundary=[_in_force(limit)] if limit else None,
    )


def may(role: str | None, action: str, resource: str = "*", context: Context | None = None) -> bool:
    """Whether a role may do this."""
    return bool(decide_for_role(role, action, resource, context))


def refusal(decision: Decision, user: str, action: str, resource: str) -> str:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html"""
    return f"User: {user} is not authorized to perform: {action} on resource: {resource} {decision.reason}"


def documents_of(role: Any) -> list[Document]:
    """The policies of a role of moto's: managed and inline."""
    return [*map(_in_force, role.managed_policies.values()), *role.policies.values()]


def _in_force(policy: Any) -> Document:
    [found] = [each for each in policy.versions if each.version_id == policy.default_version_id]
    return found.document  # type: ignore[no-any-return]


# Statements.


@functools.lru_cache(maxsize=1024)
def _read(text: str) -> list[Params]:
    return several(json.loads(text).get("Statement"))


def _effects(documents: Iterable[Document], request: Request, by_principal: bool = False) -> set[str]:
    """Allow, Deny, both or none: what the statements say that are about this request."""
    statements = [
        statement
        for document in documents
        for statement in (_read(document) if isinstance(document, str) else several(document.get("Statement")))
    ]
    return {
        each["Effect"]
        for each in statements
        if _named(each, "Action", lambda pattern: like(request.action.lower(), pattern.lower()))
        and _named(each, "Resource", lambda pattern: is_like(request.resource, pattern, request.context))
        and (
            not by_principal
            or _named(
                each,
                "Principal",
                functools.partial(_is_principal, request, each["Effect"] == "Deny" and "Principal" in each),
            )
        )
        and all(
            met(name, key, several(wanted), request.context)
            for name, tests in (each.get("Condition") or {}).items()
            for key, wanted in tests.items()
        )
    }


def _named(statement: Params, element: str, matches: Callable[[Any], bool]) -> bool:
    """A statement without the element, as a resource's own policy may be without Resource, is about any."""
    if f"Not{element}" in statement:
        return not any(map(matches, several(statement[f"Not{element}"])))
    return element not in statement or any(map(matches, several(statement[element])))


def _is_principal(request: Request, whole_account: bool, named: Any) -> bool:
    """An account in an Allow leaves it to the policies of its own; in a Deny it is everybody in it."""
    names = [name for each in named.values() for name in several(each)] if isinstance(named, dict) else [named]
    for name in names:
        if name == "*" or (request.principal and name == request.principal):
            return True
        root = ROOTS.fullmatch(name)
        if root and (whole_account or request.principal.endswith(":root")) and f"::{root[1]}:" in request.principal:
            return True
    return False
