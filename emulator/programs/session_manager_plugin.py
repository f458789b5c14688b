"""The Session Manager plugin: it shows what the command of a session comes to, which the emulator puts into the token.

Run as a program, with the plugin's arguments. As the real one it wants a terminal: with stdin at its end it gives up
(https://github.com/aws/amazon-ssm-agent/issues/354); and it ends with 0 whatever the command did.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time

VERSION = "1.2.707.0"


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--version"]:
        print(VERSION)
        return 0
    session = json.loads(os.environ.get(arguments[0]) or arguments[0])
    told = json.loads(base64.b64decode(session["tokenValue"]))
    print(f"\nStarting session with SessionId: {session['sessionId']}")
    if not sys.stdin.isatty():
        print("\nCannot perform start session: EOF")
        return 255
    for line in told["lines"]:
        print(line, end="\r\n", flush=True)  # the terminal in the container
    while not told["ends"]:
        time.sleep(1)
    print(f"\n\nExiting session with sessionId: {session['sessionId']}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
