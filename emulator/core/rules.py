"""Which rules of real AWS the emulator holds, and the table of handlers that hold them.

A handler stands in front of one operation: it may refuse the call (`raise AwsError(code, message)`), answer it, or let
it `proceed()` to the next handler and in the end to moto, before or after doing its own part.
`RULES` is the one place that says what is imitated: an id, and the behaviour in one sentence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from emulator.core.world import World

Params = dict[str, Any]
Handler = Callable[["Call"], Params]

#: the operation of a handler for whatever a service is asked, where requests are not decoded (S3): it gets the request
#: as it came in params["request"], and answers with status, headers and body in "answer"
ANY = "*"

#: how operations are called that change nothing
READS = ("Describe", "List", "Get", "BatchGet", "Filter", "Head", "Simulate", "GET", "HEAD")

HANDLERS: dict[tuple[str, str], list[Handler]] = defaultdict(list)
HELD: dict[str, list[str]] = defaultdict(list)
#: called once for each new World: a module plants its tickers and first state here
STARTERS: list[Callable[[World], None]] = []


#: called before each call that comes from outside, with the request where it is not decoded: they may refuse it
GUARDS: list[Callable[[Call, Any], None]] = []


class AwsError(Exception):
    """An error as it goes over the wire: the code that AWS uses there, its message, and the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400, **fields: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        for name, value in fields.items():  # what some errors carry besides, e.g. EFS's FileSystemId
            setattr(self, name, value)


@dataclass
class Call:
    """One API call, decoded: botocore's service name, the operation, its parameters by their botocore names."""

    world: World
    service: str
    operation: str
    params: Params
    region: str
    account: str
    moto: Callable[[str], Any]  # moto("ec2"): a plain boto3 client of bare moto, in this call's region
    _next: list[Handler] = field(default_factory=list)

    @property
    def reads(self) -> bool:
        """Does it change nothing?"""
        return self.operation.startswith(READS)

    def proceed(self, **changes: Any) -> Params:
        """Ask the next handler, in the end moto, with these parameters changed; None removes a parameter."""
        self.params = {name: value for name, value in {**self.params, **changes}.items() if value is not None}
        return self._next.pop(0)(self)


def on(service: str, *operations: str, rules: str = "") -> Callable[[Handler], Handler]:
    """Put a handler in front of operations; `rules` names the ids (space-separated) that it holds."""

    def register(handler: Handler) -> Handler:
        for operation in operations:
            HANDLERS[service, operation].append(handler)
        for rule in rules.split():
            HELD[rule] += [f"{service}:{operation}" for operation in operations]
        return handler

    return register


def held(rules: str, where: str) -> None:
    """Say that these rules are held by something that is no handler of one call (the agent, the scheduler)."""
    for rule in rules.split():
        HELD[rule].append(where)


#: id in the rule list -> what is imitated, in one sentence; filled by the modules beside their handlers
SENTENCES: dict[str, str] = {}
