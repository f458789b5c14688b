"""Rehearse the whole runbook on an emulated AWS: every script in the README's order, each as its own process.

Shows each command, what it printed and its time; then a summary. Needs no AWS account and changes none. Exit code 1
if a script failed, or if anything is left over in the emulated account.

    make rehearse                       examples/gpu-cluster.env
    make rehearse EXAMPLE=apiserver     another file of examples/
"""

import argparse
import functools
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3

from emulator import dns
from emulator.account import resources
from emulator.server import serve
from emulator.wire import Emulator

HERE = Path(__file__).parent
TASK_WALK = (
    "create_cluster.py",
    "describe_clusters.py",
    "register_task_definition.py",
    "list_task_definition.py",
    "run_task.py",
    "list_tasks.py",
    "describe_task.py",
    "create_cluster.py",
    "stop_task.py --all",
    "delete_cluster.py --yes",
)
SERVICE_WALK = (
    "create_cluster.py",
    "describe_clusters.py",
    "register_task_definition.py",
    "create_service.py",
    "describe_service.py",
    "check_service.py --insecure",
    "create_cluster.py",
    "update_service.py",
    "update_cluster.py",
    "delete_service.py",
    "delete_cluster.py --yes",
)
#: example -> its walk, and what is asked of the emulated account before it
WALKS = {"gpu-cluster": TASK_WALK, "apiserver": TASK_WALK, "clara-train": SERVICE_WALK}


def rehearse(example: str, time_scale: float) -> bool:
    """Walk through one example; whether all went well and nothing is left."""
    walk = WALKS[example]
    with serve(time_scale=time_scale) as (url, emulator):
        environment = environment_for(example, url, time_scale) | prerequisites(example, url, emulator)
        before = set(account(url))
        seen: set[str] = set()
        rows = []
        for command in walk:
            calls = len(emulator.calls)
            code, seconds = run(command, environment)
            rows.append((command, code, seconds, emulator.calls[calls:]))
            seen |= set(account(url)) - before
            if code:
                break
        left = set(account(url)) - before
        return summary(example, len(walk), rows, seen, left, emulator)


def environment_for(example: str, url: str, time_scale: float) -> dict[str, str]:
    """What a user's shell would hold: the example's file, and the emulator in place of AWS; no settings of our own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TERM", "NO_COLOR") if name in os.environ}
    return {
        **kept,
        "ENV_FILE": str(HERE / "examples" / f"{example}.env"),
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "emulator",
        "AWS_SECRET_ACCESS_KEY": "emulator",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "POLL_SECONDS": str(max(0.05, 5 * time_scale)),
        "EFS_DNS_SECONDS": str(90 * time_scale),
    }


def prerequisites(example: str, url: str, emulator: Emulator) -> dict[str, str]:
    """What the example's user has already: for an HTTPS load balancer an issued certificate; and the way to the balancer."""
    if "LISTENER_PROTOCOL=HTTPS" not in (HERE / "examples" / f"{example}.env").read_text():
        return {}
    acm = client(url, "acm")
    arn = acm.request_certificate(DomainName="clara.example.com", ValidationMethod="DNS")["CertificateArn"]
    dns.issue(emulator.world, "us-east-1", arn)
    proxy = emulator.front_door_url
    return {"CERTIFICATE_ARN": arn, "https_proxy": proxy, "http_proxy": proxy, "no_proxy": "127.0.0.1,localhost"}


def run(command: str, environment: dict[str, str]) -> tuple[int, float]:
    """One script as its own process, its output as the user sees it."""
    print(f"\n$ python {command}", flush=True)
    begun = time.monotonic()
    script, *flags = command.split()
    code = subprocess.run(
        [sys.executable, str(HERE / script), *flags], env=environment, cwd=HERE, check=False
    ).returncode
    seconds = time.monotonic() - begun
    print(f"  ({seconds:.1f} s{', exit code ' + str(code) if code else ''})", flush=True)
    return code, seconds


def account(url: str) -> dict[str, Any]:
    """What is in the emulated account now."""
    return resources(functools.partial(client, url))


@functools.cache
def client(url: str, service: str) -> Any:
    session: Any = boto3.Session("emulator", "emulator", region_name="us-east-1")
    return session.client(service, endpoint_url=url)


def summary(example: str, scripts: int, rows: list[Any], seen: set[str], left: set[str], emulator: Emulator) -> bool:
    failed = [command for command, code, _, _ in rows if code]
    print(f"\nSummary of examples/{example}.env, emulator at time scale {emulator.world.clock.scale:g}")
    for command, code, seconds, calls in rows:
        changing = sum(not operation.startswith(("Describe", "Get", "List")) for _, operation, _ in calls)
        told = "ok" if not code else f"exit {code}"
        print(f"  {command:<32} {told:<8} {seconds:5.1f} s  {len(calls):4} AWS calls, {changing} changing")
    print(f"  scripts run          {len(rows)} of {scripts}")
    print(f"  AWS calls made       {sum(len(calls) for *_, calls in rows)}")
    print(f"  resources created    {len(seen)}")
    print(f"  resources left over  {len(left)}")
    for item in sorted(left):
        print(f"    {item}")
    return not failed and not left and len(rows) == scripts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("example", nargs="?", default="gpu-cluster", help="a file of examples/, without .env")
    parser.add_argument("--time-scale", type=float, default=0.02, help="1: AWS's own times (default 0.02)")
    options = parser.parse_args()
    if not (HERE / "examples" / f"{options.example}.env").is_file():
        sys.exit(f"there is no examples/{options.example}.env")
    sys.exit(0 if rehearse(options.example, options.time_scale) else 1)
