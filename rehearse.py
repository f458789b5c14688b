"""Rehearse the whole runbook on an emulated AWS: every script in the README's order, each as its own process.

Shows each command, what it printed and its time; then a summary. Needs no AWS account and changes none. Exit code 1
if a script failed, or if anything is left over in the emulated account.

    make rehearse                       examples/gpu-cluster.env
    make rehearse EXAMPLE=apiserver     another file of examples/
    make rehearse REGION=cn-north-1     in another region, of China or GovCloud too

    python rehearse.py gpu-cluster --runbook > RUNBOOK.md                   as a runbook, with the AWS CLI's commands
    python rehearse.py gpu-cluster --time-scale 1 --timeline timeline.svg   where the time goes, in AWS's own times
"""

import argparse
import contextlib
import functools
import json
import os
import re
import shlex
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

import boto3

from aws import record, shell_script, timeline
from emulator.account import resources
from emulator.acm import certificates
from emulator.codepipeline import pipelines
from emulator.codestar_connections import connections
from emulator.core.doors import DOORS
from emulator.core.wire import Emulator
from emulator.ecs import life
from emulator.efs import file_systems
from emulator.server import serve

HERE = Path(__file__).parent
HOME = "us-east-1"
#: how the operations begin that change nothing; the emulator tells some of S3 by their method
READS = ("BatchGet", "Describe", "Filter", "Get", "List", "GET", "HEAD")
#: the pages that are run without ENDPOINT
CLUSTER_PAGES = ("create_cluster.py", "delete_cluster.py", "describe_clusters.py")
#: lines of a result that are shown
SHOWN = 12
TASK_WALK = (
    "create_cluster.py",
    "describe_clusters.py",
    "register_task_definition.py",
    "list_task_definition.py",
    "run_task.py",
    "list_tasks.py",
    "describe_task.py",
    "pause_cluster.py",
    "! run_task.py",
    "resume_cluster.py",
    "create_cluster.py",
    "stop_task.py --all",
    "delete_cluster.py --yes",
)
#: and another task, which nobody stops: its deadline does. That comes last, since this machine's clock stays behind
GPU_WALK = (
    *TASK_WALK[:-1],
    "run_task.py",
    "(thirteen hours pass, in which nobody comes)",
    "list_tasks.py",
    "describe_clusters.py",
    "delete_cluster.py --yes",
)
SERVICE_WALK = (
    "create_cluster.py",
    "describe_clusters.py",
    "register_task_definition.py",
    "create_service.py",
    "describe_service.py",
    "check_service.py --insecure",
    "(its users ask 10 times a minute, until a second task runs; then not at all)",
    "create_cluster.py",
    "update_service.py",
    "update_cluster.py",
    "delete_service.py",
    "delete_cluster.py --yes",
)
#: A, then B, then a new image for A, the end of B with A still answering, and the end of all. A line that begins with
#: "(" is what a person does in between; one that begins with "!" is a script that must stop, and say why
ENDPOINTS_WALK = (
    "create_certificate.py",
    "create_cluster.py",
    "ENDPOINT=a create_repository.py",
    "! ENDPOINT=a create_pipeline.py",
    "(the connection's handshake is finished in the console)",
    "ENDPOINT=a create_pipeline.py",
    "ENDPOINT=a register_task_definition.py",
    "ENDPOINT=a sync_weights.py",
    "ENDPOINT=a create_service.py",
    "ENDPOINT=a create_dns_record.py",
    "ENDPOINT=a check_service.py",
    "ENDPOINT=b create_repository.py",
    "ENDPOINT=b create_pipeline.py",
    "ENDPOINT=b register_task_definition.py",
    "ENDPOINT=b sync_weights.py",
    "ENDPOINT=b create_service.py",
    "ENDPOINT=b create_dns_record.py",
    "ENDPOINT=b check_service.py",
    "(a commit is pushed to A's branch, and its pipeline runs)",
    "ENDPOINT=a describe_pipeline.py",
    "ENDPOINT=a describe_service.py",
    "ENDPOINT=b delete_endpoint.py --yes --images",
    "ENDPOINT=a check_service.py",
    "! delete_cluster.py --yes",
    "delete_cluster.py --yes --everything",
)
#: data in, one run, a sweep of which AWS takes a Spot host back, a job of which a node once fails to start, results out
NODES = "run_task.py --nodes 2 --command 'sh -c \"exec torchrun --nnodes=$NNODES --node-rank=$NODE_RANK train.py\"'"
TRAINING_WALK = (
    "create_cluster.py",
    "register_task_definition.py",
    "copy_data.py s3://example-training/in data:/in",
    "run_task.py",
    "show_logs.py",
    "(meanwhile: AWS takes a Spot host back)",
    "run_task.py --sweep .rehearsal/training.csv",
    "(meanwhile: the second node can't pull its image, once)",
    NODES.replace("node-rank=$NODE_RANK", "node-rank=$NODE_RANK --master-addr=$MASTER_ADDR --master-port=$MASTER_PORT"),
    "copy_data.py data:/out s3://example-training/out",
    "(the results are in the bucket)",
    "delete_cluster.py --yes",
)
#: example -> its walk
WALKS = {
    "gpu-cluster": GPU_WALK,
    "apiserver": TASK_WALK,
    "clara-train": SERVICE_WALK,
    "ml-endpoints": ENDPOINTS_WALK,
    "training": TRAINING_WALK,
}


class Step(NamedTuple):
    """What was done, and what it printed; of a page its record too."""

    command: str
    seconds: float
    result: str = ""
    told: str = ""
    recorded: str = ""


def rehearse(example: str, time_scale: float, region: str, steps: list[Step] | None = None) -> bool:
    """Walk through one example; whether all went well and nothing is left. `steps`: they are kept, and added to these."""
    walk = WALKS[example]
    with serve(time_scale=time_scale) as (url, emulator):
        speed = f"{1 / time_scale:g} times as fast as AWS" if 0 < time_scale < 1 else f"time scale {time_scale:g}"
        print(f"AWS is emulated on this machine, {speed}: nothing is made in an account, nothing is paid.", flush=True)
        environment = environment_for(example, url, time_scale, region) | prerequisites(example, url, emulator, region)
        before = set(account(url, region))
        seen: set[str] = set()
        rows = []
        for command in walk:
            calls = len(emulator.calls)
            if command[0] == "(":
                code, seconds = act(command, url, emulator, region)
            else:
                code, seconds = run(command, environment, steps)
            rows.append((command, code, seconds, emulator.calls[calls:]))
            seen |= set(account(url, region)) - before
            if code:
                break
        left = set(account(url, region)) - before
        return summary(example, len(walk), rows, seen, left, emulator)


def example_file(example: str) -> Path:
    """examples/NAME.env, or where more than one file belongs to it examples/NAME/.env."""
    folder = HERE / "examples"
    return folder / example / ".env" if (folder / example).is_dir() else folder / f"{example}.env"


def environment_for(example: str, url: str, time_scale: float, region: str = HOME) -> dict[str, str]:
    """What a user's shell would hold: the example's file, and the emulator in place of AWS; no settings of our own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TERM", "NO_COLOR") if name in os.environ}
    return {
        **kept,
        "ENV_FILE": str(example_file(example)),
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "emulator",
        "AWS_SECRET_ACCESS_KEY": "emulator",
        "AWS_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "POLL_SECONDS": str(max(0.05, 5 * time_scale)),
        "EFS_DNS_SECONDS": str(90 * time_scale),
    }


def prerequisites(example: str, url: str, emulator: Emulator, region: str = HOME) -> dict[str, str]:
    """What the example's user has already: a certificate, or a zone, weights and a secret; and the way to the load balancer
    and to registries."""
    proxy = emulator.front_door_url
    way = {"https_proxy": proxy, "http_proxy": proxy, "no_proxy": "127.0.0.1,localhost"}
    way |= {"AWS_CA_BUNDLE": emulator.certificate_authority}
    if example == "clara-train":
        acm = client(url, "acm", region)
        arn = acm.request_certificate(DomainName="clara.example.com", ValidationMethod="DNS")["CertificateArn"]
        certificates.issue(emulator.world, region, arn)
        return {**way, "CERTIFICATE_ARN": arn}
    if example == "training":
        s3, rows = client(url, "s3", region), HERE / ".rehearsal" / "training.csv"
        s3.create_bucket(Bucket="example-training")
        s3.put_object(Bucket="example-training", Key="in/train.csv", Body=b"1,2,3\n")
        shutil.rmtree(rows.parent, ignore_errors=True)
        rows.parent.mkdir()
        shutil.copy(HERE / "examples" / "training.csv", rows)
    if example == "ml-endpoints":
        client(url, "route53", region).create_hosted_zone(Name="example.com", CallerReference="rehearsal")
        s3 = client(url, "s3", region)
        place: Any = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket="example-ml-weights", **place)
        for endpoint in "ab":
            s3.put_object(Bucket="example-ml-weights", Key=f"{endpoint}/model.bin", Body=b"weights")
        key = client(url, "kms", region).create_key()["KeyMetadata"]["KeyId"]
        texts = json.dumps({"hf_token": "a token", "other": "not for the container"})
        secret = client(url, "secretsmanager", region).create_secret(
            Name="example/ml", SecretString=texts, KmsKeyId=key
        )["ARN"]
        named = {"CONTAINER_SECRETS": f"HF_TOKEN={secret}:hf_token::"}
        return {**way, **named, "SSL_CERT_FILE": emulator.certificate_authority}
    return way


def act(what: str, url: str, emulator: Emulator, region: str) -> tuple[int, float]:
    """What no script does: a person in the console, users, a push to the Git host."""
    print(f"\n{what}", flush=True)
    begun = time.monotonic()
    if "users" in what:
        emulator.world.settings.request_cpu_seconds = 60  # each is a volume to be segmented
        scaled = all(scales(url, region, emulator, requests, to) for requests, to in ((10, 2), (0, 1)))
        return int(not scaled), time.monotonic() - begun
    if "meanwhile" in what:
        threading.Thread(target=meanwhile, args=(what, emulator, region), daemon=True).start()
        return 0, time.monotonic() - begun
    if "results" in what:
        found = client(url, "s3", region).list_objects_v2(Bucket="example-training", Prefix="out/").get("Contents", [])
        print("".join(f"  {each['Key']}, {each['Size']} bytes\n" for each in found), end="", flush=True)
        return int(not found), time.monotonic() - begun
    if "hours" in what:
        with emulator._lock:
            emulator.world.clock.skip(13 * 3600)
        costing: Any = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
        hosts = client(url, "ec2", region).describe_instances(Filters=costing)["Reservations"]
        tasks = client(url, "ecs", region).list_tasks(cluster="gpu-demo")["taskArns"]
        print(f"  {len(hosts)} hosts and {len(tasks)} tasks run", flush=True)
        return len(hosts) + len(tasks), time.monotonic() - begun
    if "handshake" in what:
        connections.finish_handshakes(emulator.world)
        return 0, time.monotonic() - begun
    pipelines.push(emulator.world, "example/ml-endpoints", "main", "A faster model", {}, "")
    codepipeline = client(url, "codepipeline", region)
    for _ in range(600):
        [newest, *_] = codepipeline.list_pipeline_executions(pipelineName="ml-a")["pipelineExecutionSummaries"]
        if newest["status"] != "InProgress":
            break
        time.sleep(0.1)
    return int(newest["status"] != "Succeeded"), time.monotonic() - begun


def meanwhile(what: str, emulator: Emulator, region: str) -> None:
    """What AWS does while the next script runs: once, to the first task that is as far as that."""
    spot = "Spot" in what
    while True:
        time.sleep(0.02)
        with emulator._lock:
            clusters = emulator.world.state["ecs"][region].clusters.values()
            for task in [task for cluster in clusters for task in cluster.tasks.values()]:
                given = task.overrides.get("containerOverrides") or [{}]
                named = {each["name"]: each["value"] for each in given[0].get("environment") or []}
                if spot and task.last == "RUNNING" and "SWEEP_INDEX" in named and task.instance:
                    DOORS["POST", "/_emulator/spot-interruptions"](emulator, {"instance": task.instance.ec2_id})
                    return
                if not spot and task.last == "PENDING" and named.get("NODE_RANK") == "1":
                    life.fail(emulator.world, task, "CannotPullContainerError: the registry did not answer", "main")
                    return


def scales(url: str, region: str, emulator: Emulator, requests: int, to: int) -> bool:
    """So many requests in each minute of AWS's, through the front door, until so many tasks run; half an hour at most."""
    [balancer] = client(url, "elbv2", region).describe_load_balancers()["LoadBalancers"]
    [arn] = client(url, "ecs", region).list_services(cluster="clara-train")["serviceArns"]
    trusting, proxy = ssl._create_unverified_context(), {"https": emulator.front_door_url}
    door = urllib.request.build_opener(
        urllib.request.ProxyHandler(proxy), urllib.request.HTTPSHandler(context=trusting)
    )
    counts: list[int] = []
    for minute in range(30):
        for _ in range(requests):
            door.open(f"https://{balancer['DNSName']}/docs/", timeout=10).close()
        emulator.world.clock.skip(60)
        [service] = client(url, "ecs", region).describe_services(cluster="clara-train", services=[arn])["services"]
        if counts != (counts := [service["runningCount"], service["desiredCount"]]):
            print(f"  minute {minute + 1}: {requests} requests, {counts[0]} of {counts[1]} tasks run", flush=True)
        if counts == [to, to]:
            break
    scaling = client(url, "application-autoscaling", region)
    newest = scaling.describe_scaling_activities(ServiceNamespace="ecs")["ScalingActivities"][:1]
    print("".join(f"  {each['Description']} Cause: {each['Cause']}" for each in newest), flush=True)
    return counts == [to, to]


def run(command: str, environment: dict[str, str], steps: list[Step] | None) -> tuple[int, float]:
    """One script as its own process, its output as the user sees it. What must stop is well when it exits with 1."""
    words = shlex.split(command.removeprefix("! "))
    settings = dict(word.split("=", 1) for word in words[:1] if "=" in word)
    script, *flags = words[len(settings) :]
    print(f"\n$ {shlex.join([*words[: len(settings)], 'python', script, *flags])}", flush=True)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "record.json"
        page = [sys.executable, str(HERE / script), *(("--timeline", str(kept)) if steps is not None else ()), *flags]
        streams: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE if steps is not None else None}
        ran = subprocess.run(page, env=environment | settings, cwd=HERE, check=False, text=True, **streams)
        seconds = time.monotonic() - begun
        if steps is not None:
            print(ran.stderr, end="", file=sys.stderr, flush=True)
            recorded = kept.read_text() if kept.exists() else ""
            steps.append(Step(command, seconds, ran.stdout, ran.stderr, recorded))
    print(
        folded(ran.stdout) + f"  ({seconds:.1f} s{', exit code ' + str(ran.returncode) if ran.returncode else ''})",
        flush=True,
    )
    return abs(ran.returncode - 1) if command[0] == "!" else ran.returncode, seconds


def folded(result: str) -> str:
    """A page's JSON, the middle of a long one left out."""
    lines = result.splitlines()
    if len(lines) > SHOWN:
        lines[SHOWN - 1 : -1] = [f"  ... {len(lines) - SHOWN} lines more"]
    return "".join(f"{line}\n" for line in lines)


#: a page -> the page that shows what it has done
CHECKS = {
    "create_cluster.py": "describe_clusters.py",
    "register_task_definition.py": "list_task_definition.py",
    "run_task.py": "describe_task.py",
    "stop_task.py": "list_tasks.py",
    "create_service.py": "check_service.py",
    "update_service.py": "describe_service.py",
    "create_dns_record.py": "check_service.py",
    "create_pipeline.py": "describe_pipeline.py",
    "delete_cluster.py": "describe_clusters.py",
    "delete_endpoint.py": "describe_clusters.py",
}


def as_runbook(example: str, steps: list[Step]) -> str:
    """The walk in Markdown: each command, what it printed, its check, its undo, and the same as commands of the AWS CLI."""
    settings = example_file(example).relative_to(HERE)
    lines = [f"# Runbook: {example}", ""]
    lines += [
        f"Rehearsed on an emulated AWS, with the settings of [{settings}]({settings}): ids and times are its own."
    ]
    for number, step in enumerate(steps, 1):
        words = shlex.split(step.command.removeprefix("! "))
        at = 1 if "=" in words[0] else 0
        page, source = words[at], (HERE / words[at]).read_text()
        endpoint = f"{words[0]} " if at else ""
        lines += ["", f"## {number}. {page}", "", source.split('"""')[1].partition("\n\n")[0].strip(), ""]
        lines += fenced("sh", f"{endpoint}python {shlex.join(words[at:])}")
        lines += fenced("text", step.told.rstrip()) + fenced("json", folded(step.result).rstrip())
        lines += [f"Took {step.seconds:.0f} s here." + (" It must stop so." if step.command[0] == "!" else "")]
        if check := CHECKS.get(page):
            lines += ["", f"Check: `{endpoint if check not in CLUSTER_PAGES else ''}python {check}`"]
        if undo := re.search(r'@aws.page\(.*?undo="(.*?)"', source, re.DOTALL):
            lines += ["", f"Undo: `{endpoint if undo[1] not in CLUSTER_PAGES else ''}python {undo[1]}`"]
        if step.recorded:
            script = shell_script.script(record.restored(step.recorded))
            told = ["", "<details><summary>What it changed, as commands of the AWS CLI</summary>", ""]
            lines += [*told, *fenced("sh", script.rstrip()), "</details>"] if " aws " in script else []
    return "\n".join(lines) + "\n"


def fenced(language: str, text: str) -> list[str]:
    return [f"```{language}", text, "```", ""] if text else []


def account(url: str, region: str = HOME) -> dict[str, Any]:
    """What is in the emulated account now; nothing of services that the region does not have."""
    return resources(functools.partial(client, url, region=region))


@functools.cache
def client(url: str, service: str, region: str = HOME) -> Any:
    session: Any = boto3.Session("emulator", "emulator", region_name=region)
    return session.client(service, endpoint_url=url)


def summary(example: str, scripts: int, rows: list[Any], seen: set[str], left: set[str], emulator: Emulator) -> bool:
    failed = [command for command, code, _, _ in rows if code]
    print(f"\nSummary of example {example}, emulator at time scale {emulator.world.clock.scale:g}")
    names = [command.removeprefix("! ") for command, *_ in rows]
    for name, (command, code, seconds, calls) in zip(names, rows, strict=True):
        changing = sum(not operation.startswith(READS) for _, operation, _ in calls)
        told = f"exit {code}" if code else "stops, as it must" if command[0] == "!" else "ok"
        figures = f"{seconds:5.1f} s  {len(calls):4} AWS calls, {changing} changing"
        print(f"  {name:<{max(map(len, names))}}  {told:<17} {figures}")
    print(f"  scripts run          {len(rows)} of {scripts}")
    print(f"  AWS calls made       {sum(len(calls) for *_, calls in rows)}")
    allowed, refused = file_systems.mounts_by_policy(emulator.world)
    print(f"  EFS mounts by policy {allowed} allowed, {refused} refused")
    print(f"  resources created    {len(seen)}")
    print(f"  resources left over  {len(left)}")
    for item in sorted(left):
        print(f"    {item}")
    return not failed and not left and len(rows) == scripts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("example", nargs="?", default="gpu-cluster", help="a file of examples/, without .env")
    parser.add_argument("--time-scale", type=float, default=0.02, help="1: AWS's own times (default 0.02)")
    parser.add_argument("--region", default=HOME, help="of any partition (default us-east-1)")
    parser.add_argument("--runbook", action="store_true", help="print a runbook in Markdown")
    parser.add_argument("--timeline", metavar="FILE", help="draw where the time of the whole walk went, as SVG")
    options = parser.parse_args()
    if options.example not in WALKS:
        sys.exit(f"there is no example {options.example}: there are {', '.join(WALKS)}")
    kept: list[Step] | None = [] if options.runbook or options.timeline else None
    with contextlib.redirect_stdout(sys.stderr if options.runbook else sys.stdout):
        well = rehearse(options.example, options.time_scale, options.region, kept)
    if options.runbook:
        print(as_runbook(options.example, kept or []), end="")
    if options.timeline:
        recorded = [timeline.of(record.restored(step.recorded)) for step in kept or [] if step.recorded]
        Path(options.timeline).write_text(timeline.svg(timeline.together(options.example, recorded)))
    sys.exit(0 if well else 1)
