"""What a command costs from its start to its end: three looking pages beside the `aws` command and bare boto3."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from typing import NamedTuple

from benchmark.clara import Failed, page
from benchmark.measured import LATENCY, measured
from benchmark.processes import Ran, run
from benchmark.table import Row
from rehearse import environment_for


class Page(NamedTuple):
    file: str
    aws: str  # what a user would type in its place
    boto3: str
    goal: float  # its seconds over those of the command


PAGES = (
    Page("describe_clusters.py", "describe-clusters --clusters {0}", "describe_clusters(clusters=['{0}'])", 0.80),
    Page(
        "describe_task.py",
        "describe-tasks --cluster {0} --tasks {1}",
        "describe_tasks(cluster='{0}', tasks=['{1}'])",
        0.80,
    ),
    Page("list_tasks.py", "list-tasks --cluster {0}", "list_tasks(cluster='{0}')", 0.72),
)
MOST_MEBIBYTES = 100


def rows(times: int, aws: str, say: Callable[[str], None]) -> list[Row]:
    """Each page over the command, by the median of so many runs of each, in turn; without the command only memory."""
    found = []
    for latency in (LATENCY, 0.0):
        say(f"\nwhole processes, {latency * 1000:g} ms a call: median seconds of {times} runs, and peak MiB")
        with measured(0, latency) as account:
            environment = with_a_task(account.url)
            task = account.client("ecs").list_tasks(cluster="gpu-demo")["taskArns"][0]
            for each in PAGES:
                taken = in_turn(commands(each, task, aws), environment, times)
                seconds = {who: statistics.median(ran.seconds for ran in runs) for who, runs in taken.items()}
                peak = {who: max(ran.mebibytes for ran in runs) for who, runs in taken.items()}
                say(f"  {each.file:<21} " + "".join(f"{who} {seconds[who]:.3f} {peak[who]:.0f}   " for who in taken))
                if aws:
                    beside = f"whole process over `aws`, {latency * 1000:g} ms a call"
                    found.append(Row(each.file, beside, seconds["page"] / seconds["aws"], None, each.goal))
                if latency:  # it is the same without
                    found.append(Row(f"{each.file}, peak memory", "MiB", peak["page"], None, MOST_MEBIBYTES))
    return found


def with_a_task(url: str) -> dict[str, str]:
    """The gpu-cluster example with one task that runs: the environment of a user who looks at it."""
    environment = environment_for("gpu-cluster", url, 0)
    environment |= {"AWS_DEFAULT_REGION": environment["AWS_REGION"], "AWS_PAGER": ""}
    for command in ("create_cluster.py", "register_task_definition.py", "run_task.py"):
        page(command, environment)
    return environment


def commands(of: Page, task: str, aws: str) -> dict[str, list[str]]:
    """Who -> what is run."""
    bare = f"import boto3; print(boto3.client('ecs').{of.boto3.format('gpu-demo', task)})"
    found = {"page": [sys.executable, of.file], "bare boto3": [sys.executable, "-c", bare]}
    return {**found, "aws": [aws, "ecs", *of.aws.format("gpu-demo", task).split()]} if aws else found


def in_turn(of: dict[str, list[str]], environment: dict[str, str], times: int) -> dict[str, list[Ran]]:
    """One after the other, again and again: what else the machine does meets all of them."""
    taken: dict[str, list[Ran]] = {who: [] for who in of}
    for _ in range(times):
        for who, command in of.items():
            taken[who].append(run(command, environment))
            if taken[who][-1].code:
                raise Failed(f"{' '.join(command)} ended with {taken[who][-1].code}: {taken[who][-1].err}")
    return taken
