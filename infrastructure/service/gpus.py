"""What a task's GPUs do: now, as nvidia-smi tells in its container, and in the last hour, as the host told CloudWatch.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-Agent-NVIDIA-GPU.html
"""

import csv
from datetime import timedelta
from typing import Any

import aws
from aws import Problem, client
from console import say
from infrastructure.cluster import container_instances, costs, monitoring
from infrastructure.service import exec_sessions

#: what nvidia-smi is asked -> the key of the result: percent, MiB, degrees Celsius, watts
ASKED = {
    "index": "index",
    "uuid": "uuid",
    "name": "name",
    "utilization.gpu": "utilizationPercent",
    "memory.used": "memoryUsedMiB",
    "memory.total": "memoryTotalMiB",
    "temperature.gpu": "temperatureCelsius",
    "power.draw": "powerWatts",
}
NUMBERS = tuple(ASKED.values())[3:]
BARS = "▁▂▃▄▅▆▇█"
#: percent, up to which a GPU does nothing; and for how many minutes before it is said
IDLE_PERCENT, IDLE_MINUTES = 1, 30


def describe(task: Any) -> dict[str, Any]:
    """Both, told and as a result. Where one can't be had it is said why."""
    told: dict[str, Any] = {"gpus": now(task)}
    if not task.get("containerInstanceArn"):
        return told
    its_host = task["containerInstanceArn"]
    hosts = [each for each in container_instances.describe(status="") if each["containerInstanceArn"] == its_host]
    container_instances.warn_of_missing_gpus(hosts)
    for host in hosts:
        told["lastHour"] = last_hour(host)
        tell_idle(host, told["lastHour"])
    return told


def now(task: Any) -> list[dict[str, Any]] | None:
    """By nvidia-smi in the task's container, by ECS Exec; None where that can't be asked."""
    if task["lastStatus"] != "RUNNING":
        return None
    try:
        exec_sessions.plugin()
        exec_sessions.ready(task)
        code, output = exec_sessions.run(
            task, f"nvidia-smi --query-gpu={','.join(ASKED)} --format=csv,noheader,nounits"
        )
    except Problem as problem:
        say("warning", "what the GPUs do now is not known:", str(problem))
        return None
    if code:
        say(
            "warning", "what the GPUs do now is not known:", f"nvidia-smi ended with {code}: {' '.join(output.split())}"
        )
        return None
    found = [read(row) for row in csv.reader(output.splitlines(), skipinitialspace=True) if len(row) == len(ASKED)]
    for each in found:
        busy, used, total, heat, power = ("?" if each[key] is None else f"{each[key]:g}" for key in NUMBERS)
        what = f"{each['name']}: {busy} % busy, {used} of {total} MiB, {heat} °C, {power} W"
        say("found", f"GPU {each['index']}", what)
    return found


def read(row: list[str]) -> dict[str, Any]:
    """One GPU. What a GPU does not tell is [N/A], or [Not Supported]: null."""
    found: dict[str, Any] = dict(zip(ASKED.values(), row, strict=True))
    for key in NUMBERS:
        found[key] = None if found[key].startswith("[") else float(found[key])
    return found


def last_hour(host: Any) -> list[dict[str, Any]] | None:
    """The use of each of the host's GPUs, minute by minute, in one call; None where the host does not tell CloudWatch."""
    if not monitoring.wanted():
        say("found", "no history of the GPUs:", "HOST_MONITORING=enabled has hosts tell CloudWatch")
        return None
    words = f'Namespace="CWAgent" MetricName="nvidia_smi_utilization_gpu" InstanceId="{host["ec2InstanceId"]}"'
    query: Any = {"Id": "gpus", "Expression": f"SEARCH('{words}', 'Average', 60)", "Label": "${PROP('Dim.index')}"}
    end = aws.this_minute()
    begin = end - timedelta(hours=1)
    read = client("cloudwatch").get_metric_data
    answer = read(MetricDataQueries=[query], StartTime=begin, EndTime=end, ScanBy="TimestampAscending")
    found: list[dict[str, Any]] = []
    for series in sorted(answer["MetricDataResults"], key=lambda each: each["Label"]):
        told = zip(series["Timestamps"], series["Values"], strict=True)
        points = {int((at - begin).total_seconds() // 60): value for at, value in told}
        percent = [points.get(minute) for minute in range(60)]
        found.append({"index": series["Label"], "percent": percent})
        if line := sparkline(percent):
            say("found", f"GPU {series['Label']} of the host, last hour", line)
    if not found:
        say(
            "warning",
            f"host {host['ec2InstanceId']} has told CloudWatch nothing of its GPUs:",
            "it does so from its boot on",
        )
    return found


def sparkline(values: list[float | None]) -> str:
    """A character a minute; a space where nothing was told."""
    return "".join(" " if each is None else BARS[min(7, int(each * 8 / 100))] for each in values).rstrip()


def tell_idle(host: Any, history: list[dict[str, Any]] | None) -> None:
    """A GPU that has done nothing for long, with what its host costs."""
    for each in history or ():
        minutes = idle_minutes(each["percent"])
        each["idleMinutes"] = minutes
        if minutes >= IDLE_MINUTES:
            usd = costs.hourly([{"InstanceType": container_instances.type_of(host)}])
            price = "" if usd is None else f" ${usd:.2f} an hour"
            what = f"GPU {each['index']} of host {host['ec2InstanceId']} has done nothing for {minutes} min or more:"
            say(
                "warning",
                what,
                f"the host costs{price or ', whatever it does'}; {aws.command('stop_task.py --all')} frees it",
            )


def idle_minutes(values: list[float | None]) -> int:
    """How many minutes up to now it was idle, as far as is told."""
    known = [each for each in values if each is not None]
    busy = next((count for count, each in enumerate(reversed(known)) if each > IDLE_PERCENT), None)
    return len(known) if busy is None else busy
