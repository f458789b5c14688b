"""Whether what comes back is an answer of AWS's: a proxy, a sign-in page of a hotel, a wrong port answer too, with 200.

botocore takes most of that for an answer with nothing in it, and so a change that was never made for one that was. This
stands where botocore reads each answer, and says whose it is.
"""

import json
import re
import threading
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError
from botocore.hooks import BaseEventHooks
from botocore.model import OperationModel, Shape

JSON, XML = ("json", "rest-json"), ("ec2", "query", "rest-xml")
READS = ("BatchGet", "Describe", "Get", "List")
HTML = re.compile(rb"\s*(<!doctype html|<html)", re.IGNORECASE)
ELEMENT = re.compile(rb"<(\w[\w:.-]*)")
#: how much of it is shown
SHOWN = 60

_last = threading.local()  # the address of this thread's call


class NotAws(BotoCoreError):
    fmt = (
        "{where} does not answer {operation} as AWS does: HTTP {status}, {shown}. "
        "Is there a proxy or a sign-in page between? Look at the network, and at AWS_ENDPOINT_URL"
    )


def attach(events: BaseEventHooks) -> None:
    events.register("before-call.*.*", _note)
    events.register("before-parse.*.*", _refuse)
    events.register("after-call-error.*.*", _refuse_unread)


def _note(params: dict[str, Any], **_: Any) -> None:
    _last.url, _last.status, _last.body = params.get("url", ""), 0, b""


def _refuse(operation_model: OperationModel, response_dict: dict[str, Any], **_: Any) -> None:
    """Of errors of a server botocore sees to, and tries again."""
    status, body = int(response_dict["status_code"]), response_dict["body"]
    if not isinstance(body, bytes) or status >= 500:
        return
    _last.status, _last.body = status, body
    if not _is_aws(operation_model, status, body):
        raise _not_aws(operation_model)


def _refuse_unread(exception: Exception, **_: Any) -> None:
    """What the parsers of botocore stumble over."""
    if not isinstance(exception, BotoCoreError | ClientError):
        raise _not_aws(None) from exception


def _not_aws(model: OperationModel | None) -> NotAws:
    text = re.sub(r"\s+", " ", _last.body.decode(errors="replace")).strip()
    shown = f"{text[:SHOWN]!r}{'...' if text[SHOWN:] else ''}" if text else "nothing"
    what = f"{model.service_model.service_name} {model.name}" if model else "a call"
    return NotAws(where=where(), operation=what, status=_last.status, shown=shown)


def where() -> str:
    """Whom this thread has asked last."""
    asked = urlsplit(getattr(_last, "url", ""))
    return f"{asked.scheme}://{asked.netloc}"


def _is_aws(model: OperationModel, status: int, body: bytes) -> bool:
    protocol, expected = model.service_model.resolved_protocol, _in_body(model.output_shape)
    if not body.strip():
        return status >= 300 or not expected
    if HTML.match(body):
        return False
    if status < 300 and _payload(model.output_shape).type_name in ("blob", "string"):
        return True
    if protocol in JSON:
        return _is_json(body, expected if status < 300 else set(), model.name.startswith(READS))
    return protocol not in XML or _is_xml(body, expected if status < 300 else set(), protocol)


def _payload(output: Shape | None) -> Any:
    """What the body is, where it is one thing and not members: an object of S3, the text of a policy."""
    name = output.serialization.get("payload") if output else ""
    return output.members[name] if output and name else output or Shape("none", {"type": "none"})  # type: ignore[attr-defined]


def _in_body(output: Shape | None) -> set[str]:
    """The members of an answer that are not in its headers, as they are called there."""
    told = _payload(output)
    members = told.members if told.type_name == "structure" else {}
    return {
        shape.serialization.get("name", name)
        for name, shape in members.items()
        if shape.serialization.get("location") not in ("header", "headers", "statusCode")
    }


def _is_json(body: bytes, expected: set[str], tells: bool) -> bool:
    """Whoever changes something may be told nothing; who asks is told at least that there is none."""
    try:
        found = json.loads(body)
    except ValueError:
        return False
    nothing = not found and not tells
    return isinstance(found, dict) and (nothing or not expected or bool(found.keys() & expected))


def _is_xml(body: bytes, expected: set[str], protocol: str) -> bool:
    """By how it begins and what is in it; the rest botocore reads, and stumbles where it is cut off."""
    root = ELEMENT.search(body)
    if root is None or (protocol in ("ec2", "query") and expected):
        return root is not None and root[1].endswith(b"Response")
    inside = {name.decode() for name in ELEMENT.findall(body, root.end())}
    return not inside or not expected or not expected.isdisjoint(inside)
