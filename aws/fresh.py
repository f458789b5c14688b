"""What AWS has just made it may not know yet: a call about it that is refused as not found is made again.

For some seconds after its creation any call about an id or a name can be answered with NotFound, wherever it is used,
also where another run made it, or one that was killed. So this stands where botocore makes each call, and no module has
to know which of its calls that can be.
https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
"""

import functools
import re
import threading
import time
from typing import Any

from botocore.hooks import BaseEventHooks

import console

#: how long AWS may take to know a thing everywhere; IAM is the slowest: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html
SECONDS = 120
#: for how long a change is tried again that names what this process has not made
SECONDS_OF_OTHERS = 30
#: between attempts, in seconds; then always the last
DELAYS = (0.5, 1, 2, 3)
MAKES = ("Create", "Allocate", "Register", "Run")
UNMAKES = (
    "Delete",
    "Detach",
    "Disassociate",
    "Deregister",
    "Release",
    "Remove",
    "Revoke",
    "Terminate",
    "Stop",
    "Untag",
)
READS = ("Describe", "Get", "Head", "List")
UNKNOWN_CODE = re.compile(r"NotFound|NoSuch|NotExist|Unknown")
#: services that have one code for all mistakes say it in words
UNKNOWN_TEXT = re.compile(r"not (be )?found|(not|n't) exist", re.IGNORECASE)
WORD = re.compile(r"[\w./:@+=-]*\w")

#: a policy and a configuration are shown with what has them; an endpoint in a VPC is no part of it
OTHER_NAMES = {
    "RetentionPolicy": "LogGroup",
    "ImageScanningConfiguration": "Repository",
    "VpcEndpoint": "GatewayEndpoint",
}

_made: dict[str, tuple[float, str]] = {}  # id, ARN or name -> when, and the kind of thing
_call = threading.local()  # the parameters of this thread's call


def attach(events: BaseEventHooks) -> None:
    events.register("provide-client-params.*.*", _begin)
    events.register("after-call.*.*", _end)
    events.register("needs-retry.*.*", _again)  # type: ignore[arg-type]


def forget() -> None:
    """As in a new process."""
    _made.clear()


def _begin(params: dict[str, Any], **_: Any) -> None:
    _call.params, _call.began = params, time.monotonic()


def _end(http_response: Any, parsed: Any, model: Any, **_: Any) -> None:
    if console.dry_run or http_response.status_code >= 300:
        return
    if model.name.startswith(MAKES):
        answer = {key: value for key, value in parsed.items() if key != "ResponseMetadata"}
        for each in _named(answer) | _named(_call.params):
            _made.setdefault(each, (time.monotonic(), noun(model.name)))
    elif model.name.startswith(UNMAKES):
        for each in _named(_call.params):
            _made.pop(each, None)


def _named(thing: Any, key: str = "") -> set[str]:
    """The ids, ARNs and names in an answer, or in parameters."""
    if isinstance(thing, dict):
        return set().union(*(_named(value, name) for name, value in thing.items()))
    if isinstance(thing, list):
        return set().union(*(_named(value, key) for value in thing))
    return {thing} if isinstance(thing, str) and key.lower().rstrip("s").endswith(("id", "arn", "name")) else set()


def _again(response: Any, operation: Any, attempts: int, **_: Any) -> float | None:
    """Seconds until the next attempt; None where the answer is what it seems."""
    if response is None or response[0].status_code < 300 or operation.name.startswith(UNMAKES):
        return None
    error, now = response[1].get("Error", {}), time.monotonic()
    text = str(error.get("Message", ""))
    if not UNKNOWN_CODE.search(str(error.get("Code", ""))) and not UNKNOWN_TEXT.search(text):
        return None
    if operation.name.startswith(READS):  # they may ask whether there is such a thing: only of what is of that kind
        kind = noun(operation.name)
        told = [_made[each] for each in _made.keys() & set(WORD.findall(text))]
        again = any(of in kind and now - made < SECONDS for made, of in told)
    else:
        named = _made.keys() & (set(WORD.findall(text)) | _strings(_call.params))
        again = now - _call.began < SECONDS_OF_OTHERS or any(now - _made[each][0] < SECONDS for each in named)
    return DELAYS[min(attempts, len(DELAYS)) - 1] if again else None


def _strings(thing: Any) -> set[str]:
    if isinstance(thing, dict | list):
        return set().union(*(_strings(each) for each in (thing.values() if isinstance(thing, dict) else thing)))
    return {thing} if isinstance(thing, str) else set()


@functools.cache
def noun(operation: str) -> str:
    """DescribeRouteTables -> RouteTable; what bears another name than that which shows it: PutRetentionPolicy -> LogGroup"""
    words = "".join(re.findall("[A-Z][a-z0-9]*", operation)[1:])
    one = re.sub("ies$", "y", words).removesuffix("s").removesuffix("Ingress").removesuffix("Egress")
    return OTHER_NAMES.get(one, one)
