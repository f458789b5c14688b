"""A shell for scripts of `aws` commands: the real AWS CLI, started once, against an emulator in this process.

`sh` runs the script. On its PATH are an `aws` and a `sleep` that hand their words through a pipe to the test: those of
`aws` go to the CLI's own parsers (aws_cli.py), and what it sends goes to the emulator; `sleep` moves its clock.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emulator.core.wire import Emulator

HERE = Path(__file__).parent
#: hands over its words, and what comes back
PROGRAM = """#!/bin/sh
printf '%s\\0' "$#" "${0##*/}" "$@" > HERE/asked
cat HERE/out
cat HERE/err >&2
read -r code < HERE/code
exit "$code"
"""
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "emulator",
    "AWS_SECRET_ACCESS_KEY": "emulator",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "HOME": "/nonexistent",
}


class CommandLine:
    """The CLI's process. `commands`: the words of each that ran."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "aws_cli.py")],
            env=ENVIRONMENT | kept,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def end(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()

    def run(self, script: str, emulator: Emulator, folder: Path, **environment: str) -> tuple[int, str]:
        """How a real sh ends with it, and what it says on stderr."""
        self.commands.clear()
        for name in ("aws", "sleep"):
            (folder / name).write_text(PROGRAM.replace("HERE", str(folder)))
            (folder / name).chmod(0o755)
        for name in ("asked", "out", "err", "code"):
            os.mkfifo(folder / name)
        with (folder / "asked").open("r+b", buffering=0) as asked:
            answering = threading.Thread(target=self.serve, args=(asked, emulator, folder), daemon=True)
            answering.start()
            path = {"PATH": f"{folder}:{os.environ['PATH']}"}
            shell = subprocess.run(
                ["sh"],
                input=script,
                env=path | environment,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            asked.write(b"0\0end\0")
            answering.join()
        return shell.returncode, shell.stderr

    def serve(self, asked: Any, emulator: Emulator, folder: Path) -> None:
        """What each program asks for, until there is none any more."""
        words = texts(asked)
        while True:
            count, program = int(next(words)), next(words)
            given = [next(words) for _ in range(count)]
            if program == "end":
                return
            self.commands.append([program, *given])
            done = self.command(given, emulator) if program == "aws" else sleep(emulator, float(given[0]))
            for name in ("out", "err", "code"):
                (folder / name).write_text(done.get(name, "") if name != "code" else f"{done.get('code', 0)}\n")

    def command(self, given: list[str], emulator: Emulator) -> dict[str, Any]:
        told: dict[str, Any] = self.ask(given)
        while "code" not in told:
            if "sleep" in told:
                told = self.ask(sleep(emulator, told["sleep"]))
                continue
            sent = told["send"]
            body = base64.b64decode(sent["body"])
            status, headers, content = emulator.handle(sent["method"], sent["url"], sent["headers"], body)
            told = self.ask([status, dict(headers), base64.b64encode(content).decode()])
        return told

    def ask(self, what: Any) -> Any:
        assert self.process.stdin and self.process.stdout
        print(json.dumps(what), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline() or '{"code": 2, "err": "the CLI has ended"}')


def sleep(emulator: Emulator, seconds: float) -> dict[str, Any]:
    clock: Any = emulator.world.clock
    clock.sleep(seconds)
    return {}


def texts(pipe: Any) -> Iterator[str]:
    """What stands between zeros."""
    rest = b""
    while True:
        *whole, rest = (rest + pipe.read(65536)).split(b"\0")
        yield from (each.decode() for each in whole)
