"""Start tasks, and wait until they run; or, with RUN_UNTIL=STOPPED, until they have done their work.

Needs register_task_definition.py. TASK_COUNT tasks of its newest revision are wanted: those of this revision that run
already are counted, so that running it again starts only what is missing. Tasks of another family or revision run on
beside them; with --replace those of other revisions are stopped first, since they may hold the GPU. Prints of each task
its revision, image digests and state, and the exit codes of one that has ended; if one of them is not 0 it ends with
exit code 4. With MIN_INSTANCES=0 the host must come first: 4 to 8 minutes.

    python run_task.py             next: python describe_task.py
    python run_task.py --replace   in place of the tasks of this family's other revisions
    python run_task.py --dry-run   what would be started

Running tasks cost money until: python stop_task.py --all
"""

import sys
from typing import Any

import aws
import constants
from aws import Problem, endpoint_tags, token, wait
from console import say
from infrastructure.cluster import capacity, cluster, container_instances, ways_out
from infrastructure.service import diagnosis, task_definitions, task_logs, task_security_group, tasks


@aws.page(changes=True, undo="stop_task.py --all", replace="first stop the tasks of this family's other revisions")
def run_task(replace: bool = False) -> dict[str, Any]:
    if replace and constants.RUN_UNTIL == "STOPPED":
        way = "python stop_task.py --task ID stops one"
        raise Problem(
            f"--replace, but RUN_UNTIL=STOPPED: a job is no copy of another job; {way}", None, aws.WRONG_SETTING
        )
    reads = (cluster.required, task_definitions.required, container_instances.refuse_without_sharing, tasks.of_run_task)
    _, definition, _, seen = aws.together(*reads)
    ways_out.warn_of_tasks()
    make_room([task for task in seen if tasks.goes_on(task)], definition, replace)
    same = [task for task in seen if task["taskDefinitionArn"] == definition["taskDefinitionArn"]]
    running = [task["taskArn"] for task in same if tasks.goes_on(task)]
    for arn in running:
        say(
            "found",
            f"task {tasks.task_id(arn)}",
            f"of {task_definitions.revision(definition['taskDefinitionArn'])}: it counts",
        )
    missing = constants.TASK_COUNT - len(running)
    known = [task["taskArn"] for task in same]
    arns = running + (start(definition["taskDefinitionArn"], missing, known) if missing > 0 else [])
    done = wait_for_tasks(arns)
    to_stop = f"to stop: {aws.command('stop_task.py --all')}" if constants.RUN_UNTIL == "RUNNING" else ""
    say("next", aws.command("describe_task.py"), to_stop)
    its_revision = next((task["taskDefinitionArn"] for task in done), None)
    return {"taskDefinitionArn": its_revision, "tasks": [outcome(task) for task in done]}


def make_room(running: list[Any], definition: Any, replace: bool) -> None:
    """What else run_task.py has started, and runs: it is told; with `replace` other revisions of the family are stopped."""
    others = [task for task in running if task["taskDefinitionArn"] != definition["taskDefinitionArn"]]
    family = [task for task in others if tasks.revision(task).rpartition(":")[0] == definition["family"]]
    for task in others:
        beside, in_place = "it runs on beside the new ones", "it is stopped first: --replace"
        may = "; --replace would stop it first" if task in family and constants.RUN_UNTIL == "RUNNING" else ""
        told = in_place if replace and task in family else f"{beside}{may}"
        say("found", f"task {tasks.task_id(task['taskArn'])}", f"of {tasks.revision(task)}, not counted: {told}")
    if replace and family:
        tasks.stop([task["taskArn"] for task in family], "run_task.py --replace")


def start(task_definition_arn: str, count: int, known: list[str]) -> list[str]:
    """RunTask takes 10 at a time. It answers 200 even where it starts nothing: what counts is `failures`.

    The client token is made of what was seen when it was decided how many are missing: `known` tasks of this revision,
    also stopped ones. So a call whose answer was lost, and a run that saw the same at the same moment, start no second
    task. AWS lists a stopped task for an hour, and forgets its token then:
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html
    """
    started: list[str] = []
    while len(started) < count:
        batch = min(10, count - len(started))
        request: dict[str, Any] = {
            "cluster": constants.CLUSTER_NAME,
            "taskDefinition": task_definition_arn,
            "count": batch,
            "capacityProviderStrategy": capacity.default_strategy(),
            "startedBy": constants.STARTED_BY,
            "enableExecuteCommand": constants.ENABLE_EXECUTE_COMMAND,
            "propagateTags": "TASK_DEFINITION",
            "enableECSManagedTags": True,
            "tags": endpoint_tags("task", "key", "value"),
            "clientToken": token(task_definition_arn, sorted(known), started, batch),
        }
        if constants.NETWORK_MODE == "awsvpc":
            request["networkConfiguration"] = task_security_group.placement([])
        answer = tasks.run(request)
        started += [task["taskArn"] for task in answer["tasks"]]
        for task in answer["tasks"]:
            say(
                "started",
                f"task {tasks.task_id(task['taskArn'])}",
                f"of {task_definitions.revision(task_definition_arn)}",
            )
        if answer["failures"] or not answer["tasks"]:
            why = diagnosis.why_not_started(answer["failures"])
            raise Problem(f"{count - len(started)} of {count} tasks were not started: {why}")
    return started


def wait_for_tasks(arns: list[str]) -> list[Any]:
    """Until each is RUNNING, or STOPPED with RUN_UNTIL=STOPPED; one that fails ends the wait, with its reasons."""
    found: list[Any] = []
    log = task_logs.Told()

    def look() -> list[Any]:
        found[:] = tasks.describe(arns)
        if constants.RUN_UNTIL == "STOPPED":
            task_logs.follow(log, found)
        failed = [task for task in found if task["lastStatus"] == "STOPPED" and not succeeded(task)]
        if failed:
            ended = any(code for task in failed for code in exit_codes(task).values())
            result = {"tasks": [outcome(task) for task in found]} if ended or constants.RUN_UNTIL == "STOPPED" else None
            told = "\n".join(failure(task) for task in failed)
            raise Problem(told, result, aws.TASK_FAILED if ended else aws.FAILED)
        settled = all(task["lastStatus"] in (constants.RUN_UNTIL, "STOPPED") for task in found)
        return found if settled and len(found) == len(arns) else []

    def why() -> str:
        waiting = [task for task in found if task["lastStatus"] != constants.RUN_UNTIL]
        return "; ".join(dict.fromkeys(diagnosis.why(task) or "it still runs" for task in waiting))

    what = "to run" if constants.RUN_UNTIL == "RUNNING" else "to end"
    return wait(f"{len(arns)} tasks {what}", look, why)


def succeeded(task: Any) -> bool:
    """Whether a stopped task did its work: it was to stop, every container ran, and each ended with exit code 0."""
    codes = [container.get("exitCode") for container in task.get("containers", [])]
    return constants.RUN_UNTIL == "STOPPED" and bool(codes) and all(code == 0 for code in codes)


def failure(task: Any) -> str:
    lines = diagnosis.log_tail(task, constants.LOG_GROUP)
    log = "".join(f"\n  log: {line}" for line in lines)
    return f"task {tasks.task_id(task['taskArn'])} stopped: {diagnosis.why(task, lines)}{log}"


def exit_codes(task: Any) -> dict[str, int]:
    """Of its containers that have ended. One that never ran has none."""
    return {each["name"]: each["exitCode"] for each in task.get("containers", []) if "exitCode" in each}


def outcome(task: Any) -> dict[str, Any]:
    """What a task is and how it ended, as AWS tells it of this very task."""
    digests = {each["name"]: each["imageDigest"] for each in task.get("containers", []) if "imageDigest" in each}
    told = {"imageDigests": digests, "exitCodes": exit_codes(task)}
    what = {
        "taskArn": task["taskArn"],
        "taskDefinitionArn": task["taskDefinitionArn"],
        "lastStatus": task["lastStatus"],
    }
    return {**what, **{key: value for key, value in told.items() if value}}


if __name__ == "__main__":
    sys.exit(aws.main(run_task, __doc__))
