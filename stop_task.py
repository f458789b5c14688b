"""Stop one task (--task ID), or all that run_task.py started (--all), and wait until they have stopped.

--all means those of every family and revision that run_task.py started for this cluster, or for this ENDPOINT: no task
of a service, of sync_weights.py, of another endpoint or of another person. Until it is STOPPED a task holds its GPU.
Prints of each its revision, who started it, why it stopped, and its exit codes.

    python stop_task.py --all             next: python delete_cluster.py
    python stop_task.py --task ID
    python stop_task.py --all --dry-run   what would be stopped

--all then ends each host on which no task is any more, of anybody: its money stops within about a minute (KEEP_HOSTS).
After --task managed scaling ends it, about 15 minutes later. With MIN_INSTANCES so many hosts stay, and cost, until
delete_cluster.py. What then stands, and its price an hour, is told.
"""

import sys
from typing import Any

import aws
import constants
from aws import Problem
from console import say
from infrastructure.cluster import cluster
from infrastructure.service import bill, deadlines, hosts, tasks


@aws.page(changes=True, task=("ID", "the task's id or ARN"), all="every task that run_task.py started, of any revision")
def stop_task(task: str = "", all: bool = False) -> dict[str, Any]:
    if bool(task) == all:
        sentence = "say which: --task ID for one, or --all for all that run_task.py started"
        raise Problem(sentence, None, aws.WRONG_SETTING)
    cluster.required()
    found = chosen(task)
    arns, whose = [each["taskArn"] for each in found], f"that run_task.py started for {tasks.of_whom()}"
    for each in found:
        started_by = each.get("startedBy") or "another"
        say("found", f"task {tasks.task_id(each['taskArn'])}", f"of {tasks.revision(each)}, started by {started_by}")
    if not arns:
        say("already gone", f"tasks {whose}", "none is running")
    stopped = tasks.stop(arns, "stop_task.py") if arns else []
    if all:
        hosts.end_idle(never_placed=sum(map(hosts.waits, found)))
    deadlines.drop(map(tasks.task_id, arns))
    deadlines.mend()
    bill.tell_cluster()
    say("next", aws.command("delete_cluster.py"), idle_hosts(all))
    return {"stopped": [row(found) for found in stopped]}


def idle_hosts(ended: bool) -> str:
    """What still costs money when no task runs."""
    if constants.LAUNCH_TYPE == "FARGATE":
        return ""
    if constants.MIN_INSTANCES:
        setting = "CLUSTER_SIZE" if constants.CLUSTER_SIZE else "MIN_INSTANCES"
        return f"hosts cost until then: {setting}={constants.MIN_INSTANCES} keeps so many"
    by_aws = "an idle host costs until then, or about 15 minutes"
    return "" if ended and constants.KEEP_HOSTS is not None else by_aws


def chosen(task: str) -> list[Any]:
    """Those that run, and those that were told to stop and have not yet, so that a second run waits for them too."""
    if task:
        found = tasks.describe([task])
        if not found:
            raise Problem(f"there is no task {task} in cluster {constants.CLUSTER_NAME}")
        return found
    return [*tasks.ours_now(), *tasks.stopping(startedBy=constants.STARTED_BY)]


def row(found: Any) -> dict[str, Any]:
    return {
        "taskArn": found["taskArn"],
        "taskDefinition": tasks.revision(found),
        "startedBy": found.get("startedBy"),
        "stopCode": found.get("stopCode"),
        "stoppedReason": found.get("stoppedReason"),
        "exitCodes": tasks.exit_codes(found),
    }


if __name__ == "__main__":
    sys.exit(aws.main(stop_task, __doc__))
