"""Faults on request: throttle, refuse, or cut the connection, at a call of one's choice.

    curl -X POST $AWS_ENDPOINT_URL/_emulator/faults -d '{"operation": "RunTask", "error": "ThrottlingException", "times": 2}'

`when` is "before" (AWS never saw the call) or "after" (it took effect, the answer is lost).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from emulator.rules import AwsError


class ConnectionCut(Exception):
    """The connection ends here: the client sees neither an answer nor an error."""


@dataclass
class Fault:
    operation: str = "*"  # "RunTask", "ecs:RunTask", or "*" for any
    error: str = "cut"  # an error code, or "cut" for a connection that ends without an answer
    message: str = ""
    when: str = "before"  # "before" the call takes effect, or "after"
    skip: int = 0  # so many matching calls pass first
    times: int = 1  # so many matching calls fail then
    status: int = 400


@dataclass
class Faults:
    planned: list[Fault] = field(default_factory=list)

    def before(self, service: str, operation: str) -> None:
        self._strike("before", service, operation)

    def after(self, service: str, operation: str) -> None:
        self._strike("after", service, operation)

    def _strike(self, when: str, service: str, operation: str) -> None:
        for fault in self.planned:
            if fault.when != when or fault.operation not in ("*", operation, f"{service}:{operation}"):
                continue
            if fault.skip > 0:
                fault.skip -= 1
            elif fault.times > 0:
                fault.times -= 1
                if fault.error == "cut":
                    raise ConnectionCut(f"{service}:{operation}")
                raise AwsError(fault.error, fault.message or f"{fault.error}: a fault on request", fault.status)
