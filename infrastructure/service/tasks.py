"""Tasks as AWS lists them: how they are started, found and stopped. On Fargate each costs money while it runs.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html
"""

from typing import Any

import console
import constants
from aws import Resource, call, client, every, resource, side_by_side, wait
from aws.fresh import SECONDS
from console import how_many, say
from infrastructure.cluster import cluster

NO_CLUSTER = "ClusterNotFoundException"
#: seconds until AWS lists a task that has just been started
UNSEEN = 3
#: how RunTask refuses while a role or a host is too new for it
UNREADY = (
    *("unable to assume", "Unable to assume"),
    *("Capacity is unavailable at this time", "No Container Instances were found"),
)


def find(desired_status: Any = "RUNNING", **filters: Any) -> list[Any]:
    """The cluster's tasks; `desired_status` STOPPED lists those that are stopping, or stopped within the last hour."""
    return describe(listed(desired_status, **filters))


def listed(desired_status: Any = "RUNNING", **filters: Any) -> list[str]:
    """Their ARNs."""
    request: Any = {"cluster": constants.CLUSTER_NAME, "desiredStatus": desired_status, **filters}
    pages = client("ecs").get_paginator("list_tasks").paginate(**request)
    return call(every, gone=NO_CLUSTER)(pages, "taskArns") or []


def ours_now() -> list[Any]:
    """The tasks that run_task.py started and that are not told to stop."""
    return find(startedBy=constants.STARTED_BY)


def of_run_task() -> list[Any]:
    """What run_task.py started, and AWS still lists."""
    return all_of(startedBy=constants.STARTED_BY)


def all_of(**filters: Any) -> list[Any]:
    """What runs, what is stopping, and what has stopped within the hour.

    In this order: a task goes from the first list to the second and never back, so that none is missed.
    """
    arns = [arn for status in ("RUNNING", "STOPPED") for arn in listed(status, **filters)]
    return describe(list(dict.fromkeys(arns)))


def goes_on(task: Any) -> bool:
    """Whether nobody has told it to stop."""
    return bool(task["desiredStatus"] != "STOPPED")


def revision(task: Any) -> str:
    """Of its task definition, as a person is told: gpu:3."""
    return task_id(task["taskDefinitionArn"])


def of_whom() -> str:
    """Whose the tasks are that run_task.py starts."""
    return f"endpoint {constants.ENDPOINT}" if constants.ENDPOINT else f"cluster {constants.CLUSTER_NAME}"


def stopping(**filters: Any) -> list[Any]:
    """Those that were told to stop and have not yet: they still hold their GPUs."""
    return [task for task in find("STOPPED", **filters) if task["lastStatus"] != "STOPPED"]


def describe(arns: list[str]) -> list[Any]:
    """DescribeTasks takes 100 at a time, and leaves out a task that it does not know yet."""
    read = call(client("ecs").describe_tasks, gone=NO_CLUSTER)
    request: Any = {"cluster": constants.CLUSTER_NAME, "include": ["TAGS"]}
    hundreds = [arns[start : start + 100] for start in range(0, len(arns), 100)]
    answers = side_by_side(lambda each: read(tasks=each, **request), hundreds)
    return every([answer for answer in answers if answer], "tasks")


def exit_codes(task: Any) -> dict[str, int]:
    """Of its containers that have ended. One that never ran has none."""
    return {each["name"]: each["exitCode"] for each in task.get("containers", []) if "exitCode" in each}


def task_id(arn: str) -> str:
    return arn.rsplit("/", 1)[-1]


def run(request: Any) -> Any:
    """RunTask, again while AWS does not see a new role or a new host yet. It may answer with `failures` all the same."""
    what = "AWS to accept the task (it sees a new role after some seconds)"
    return call(client("ecs").run_task, what, busy=UNREADY, seconds=SECONDS)(**request)


def stop(arns: list[str], reason: str) -> list[Any]:
    """Ask each to stop, and wait for all: until it is STOPPED a task holds its GPU."""
    ask_to_stop(arns, reason)

    def running() -> list[str]:
        return [in_words(task) for task in describe(arns) if task["lastStatus"] != "STOPPED"]

    wait(f"{how_many(len(arns), 'task')} to stop", lambda: not running(), lambda: ", ".join(running()))
    return describe(arns)


def ask_to_stop(arns: list[str], reason: str) -> None:
    """Side by side; what AWS refuses for coming too fast boto3 asks again, more slowly.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html
    """
    what = f"a task of cluster {constants.CLUSTER_NAME}"
    stop_task = call(
        client("ecs").stop_task, what, of=cluster.required(), gone=("InvalidParameterException", NO_CLUSTER)
    )

    def ask(arn: str) -> None:
        stop_task(cluster=constants.CLUSTER_NAME, task=arn, reason=reason)
        say("stopped", f"task {task_id(arn)}", "asked for")

    side_by_side(ask, arns)


def delete() -> None:
    """Ask them to stop: of an endpoint, what run_task.py started; of the cluster every task."""
    if cluster.of_ours():
        ask_for_end(**whose())


def wait_deleted() -> None:
    """Until all have stopped. One that was started a moment before is listed some seconds late: it is asked then."""
    if cluster.of_ours():
        wait("tasks to stop", lambda: not ask_for_end(**whose()), lambda: "; ".join(map(in_words, going(**whose()))))


def end(reason: str, **filters: Any) -> None:
    if cluster.of_ours() and (found := going(**filters)):
        stop([task["taskArn"] for task in found], reason)


def going(**filters: Any) -> list[Any]:
    """Those that run, and those that were told to stop and have not yet."""
    return [*find(**filters), *stopping(**filters)]


def ask_for_end(**filters: Any) -> list[Any]:
    """Tell those that run to stop. All that have not stopped yet."""
    found = going(**filters)
    reason = "what they belong to is being deleted" if constants.ENDPOINT else "delete_cluster.py"
    if running := [task["taskArn"] for task in found if task["desiredStatus"] != "STOPPED"]:
        ask_to_stop(running, reason)
    return [] if console.dry_run else found


def in_words(task: Any) -> str:
    return f"{task_id(task['taskArn'])} is {task['lastStatus']}"


def whose() -> dict[str, str]:
    return {"startedBy": constants.STARTED_BY} if constants.ENDPOINT else {}


def left_over() -> list[Resource]:
    return left(**whose())


def left(**filters: Any) -> list[Resource]:
    listed = [(each["taskArn"], each) for each in find(**filters)] if cluster.of_ours() else []
    return [resource(f"task {task_id(arn)}", arn, each) for arn, each in listed]
