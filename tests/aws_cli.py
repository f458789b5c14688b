"""The real AWS CLI as a process that is started once, and runs one command after the other: see command_line.py.

A process of its own, since the CLI brings its own botocore under botocore's name. A line of JSON on stdin is a command,
or the answer to what this has sent; a line on stdout is what it sends to AWS, how long it sleeps, or how it ended.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import functools
import io
import json
import sys
import time
from types import SimpleNamespace
from typing import Any

import awscli.clidriver
from awscli.botocore.awsrequest import AWSResponse
from awscli.botocore.compat import HTTPHeaders

out = sys.stdout


def tell(**what: Any) -> None:
    print(json.dumps(what), file=out, flush=True)


def ask(**what: Any) -> Any:
    tell(**what)
    return json.loads(sys.stdin.readline())


def send(request: Any, **_: Any) -> Any:
    """To the emulator, by way of the test."""
    body = request.body or b""
    body = body.encode() if isinstance(body, str) else body if isinstance(body, bytes | bytearray) else body.read()
    headers = {name: text.decode() if isinstance(text, bytes) else text for name, text in request.headers.items()}
    sent = {"method": request.method, "url": request.url, "headers": headers, "body": base64.b64encode(body).decode()}
    status, told, content = ask(send=sent)
    raw = SimpleNamespace(stream=lambda *_, **__: iter([base64.b64decode(content)]))
    return AWSResponse(request.url, status, HTTPHeaders.from_dict(told), raw)


def main() -> None:
    cli = awscli.clidriver.create_clidriver()
    cli.session.create_client = functools.cache(cli.session.create_client)
    cli.session.register("before-send.*.*", send)
    time.sleep = lambda seconds: ask(sleep=seconds)
    events = cli.session.get_component("event_emitter")._emitter
    handlers = copy.copy(events._handlers)
    for line in sys.stdin:
        # as in a new process: what a command has registered is for it alone
        cli._command_table, events._handlers, events._lookup_cache = None, copy.copy(handlers), {}
        said, complained = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
            try:
                code = cli.main(json.loads(line))
            except SystemExit as end:  # no such command, or option
                code = end.code
        tell(code=code, out=said.getvalue(), err=complained.getvalue())


main()
