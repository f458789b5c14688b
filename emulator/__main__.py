"""Serve the emulator: python -m emulator --port 5000 --time-scale 0.02"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys

from emulator.core import not_held, rules, services
from emulator.server import serve


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m emulator", description="AWS on this machine, for rehearsals.")
    parser.add_argument("--port", type=int, default=5000, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--time-scale", type=float, default=0.02, help="1: AWS's own times; 0: at once (default 0.02)")
    parser.add_argument(
        "--latency", type=float, default=0.0, help="seconds that each request takes besides (default 0)"
    )
    parser.add_argument("--rules", action="store_true", help="print the rules of real AWS that are held, and end")
    options = parser.parse_args()
    services.load()
    if options.rules:
        with contextlib.suppress(BrokenPipeError):
            print("\n".join(listed()), flush=True)
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        return run(options)
    except OSError as error:
        print(f"port {options.port} of 127.0.0.1: {error.strerror}; --port 0 takes a free one", file=sys.stderr)
        return 1


def run(options: argparse.Namespace) -> int:
    """Until it is interrupted."""
    with serve(options.port, options.time_scale, options.latency) as (url, emulator):
        print(f"AWS is emulated at {url} (time scale {options.time_scale:g}). In another shell:", flush=True)
        print(f"export AWS_ENDPOINT_URL={url}")
        print("export AWS_ACCESS_KEY_ID=emulator AWS_SECRET_ACCESS_KEY=emulator AWS_DEFAULT_REGION=us-east-1")
        print("# the scripts wait for AWS in real seconds: here less often, and as much shorter as AWS is")
        print(f"export POLL_SECONDS={max(0.05, 5 * options.time_scale):g} EFS_DNS_SECONDS={90 * options.time_scale:g}")
        door = emulator.front_door_url
        print("# and for requests to what you made, such as the URL of a load balancer, and to registries of images;")
        print("# nothing else is reached then:")
        print(f"export https_proxy={door} http_proxy={door} no_proxy=127.0.0.1,localhost")
        trusted = emulator.certificate_authority
        print(f"export SSL_CERT_FILE={trusted} AWS_CA_BUNDLE={trusted}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
    return 0


def listed() -> list[str]:
    """Every rule: what AWS does and the calls that hold it, or why it is not held. At the end, how many there are."""
    services.load()
    held = [
        f"{rule}  {rules.SENTENCES.get(rule, '')}  [{', '.join(sorted(set(rules.HELD[rule])))}]" for rule in rules.HELD
    ]
    missing = [f"{rule}  {does}  [not held: {why}]" for rule, (does, why) in not_held.NOT_HELD.items()]
    numbered = set(not_held.ids())
    some = len(numbered & rules.HELD.keys())
    others = len(rules.HELD.keys() - numbered)
    return [
        *sorted([*held, *missing]),
        f"held: {some} of {len(numbered)} rules, and {others} more of the emulator's own",
    ]


if __name__ == "__main__":
    sys.exit(main())
