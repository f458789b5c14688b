"""Show what the containers of a task have written: all containers, in order of time, each line once.

Without --task: the tasks of this family that run, or else the one that stopped last. With --follow it goes on until the
tasks have ended, and ends with exit code 4 where a container did not end with 0; Ctrl-C ends it earlier, and changes
nothing. stdout is the lines, each with its time and its container: no JSON. Reading logs is free.

    python show_logs.py                          all of it, from the task's start
    python show_logs.py --follow --since 10m     what it wrote in the last ten minutes, and what it writes from now on
    python show_logs.py --task ID --grep 'loss|epoch' | tail
"""

import re
import sys
from typing import Any

import aws
import console
import constants
import texts
from aws import Problem
from infrastructure.cluster import cluster
from infrastructure.service import deadlines, diagnosis, task_logs, tasks


@aws.page(
    lines=True,
    task=("ID", "the task's id or ARN"),
    follow="go on until the tasks have ended",
    since=("AGE", "only what was written since: 30s, 10m, 2h, 1d"),
    grep=("PATTERN", "only lines in which this regular expression is found"),
)
def show_logs(task: str = "", follow: bool = False, since: str = "", grep: str = "") -> dict[str, Any]:
    told = task_logs.Told(*wanted(since, grep), show=console.line)
    _, found, _ = aws.together(cluster.required, lambda: task_logs.chosen(task), deadlines.look)
    if any(each["lastStatus"] != "STOPPED" for each in found):
        deadlines.tell()
    if not task_logs.streams(told, found):
        raise Problem(
            "no container of the task writes to CloudWatch Logs: its definition has another log driver, or none"
        )
    task_logs.follow(told, found)
    while follow and any(each["lastStatus"] != "STOPPED" for each in found):
        aws.pause(min(2, constants.POLL_SECONDS))
        found = tasks.describe([each["taskArn"] for each in found]) or found
        task_logs.follow(told, found)
    if follow:
        refuse_failed(found)
    return {"taskArns": [each["taskArn"] for each in found], "lines": told.lines}


def wanted(since: str, grep: str) -> tuple[float, re.Pattern[str]]:
    try:
        begin = task_logs.ago(texts.age(since)) if since else 0
    except ValueError as error:
        raise Problem(f"--since {since} {error}", exit_code=aws.WRONG_SETTING) from error
    try:
        return begin, re.compile(grep)
    except re.error as error:
        raise Problem(f"--grep {grep} is no regular expression: {error}", exit_code=aws.WRONG_SETTING) from error


def refuse_failed(found: list[Any]) -> None:
    """How the tasks have ended, where one did not end well."""
    codes = {each["taskArn"]: tasks.exit_codes(each).values() for each in found}
    failed = [each for each in found if not codes[each["taskArn"]] or any(codes[each["taskArn"]])]
    if failed:
        ended = any(any(codes[each["taskArn"]]) for each in failed)
        told = (f"task {tasks.task_id(each['taskArn'])} stopped: {diagnosis.why(each)}" for each in failed)
        raise Problem("\n".join(told), exit_code=aws.TASK_FAILED if ended else aws.FAILED)


if __name__ == "__main__":
    sys.exit(aws.main(show_logs, __doc__))
