"""Tasks that run_task.py starts, waits for, and starts again where RETRIES asks for it: how each is asked for and told."""

import functools
import math
from typing import Any

import aws
import constants
from aws import Problem, endpoint_tags, token
from console import how_many, say
from infrastructure.cluster import capacity
from infrastructure.service import (
    deadlines,
    diagnosis,
    hosts,
    overrides,
    retries,
    task_definitions,
    task_logs,
    task_security_group,
    tasks,
)

#: a task that AWS has listed, and does not list at so many looks in a row, is one that it has forgotten
LOOKS = 60


def same(task: Any, definition: Any, key: str) -> bool:
    """Whether it is of this revision, and with these overrides."""
    return task["taskDefinitionArn"] == definition["taskDefinitionArn"] and overrides.key_of(task) == key


def request(definition: Any, its_overrides: dict[str, Any], key: str) -> dict[str, Any]:
    """RunTask's, but for how many and the token."""
    run_tag = [{"key": constants.RUN_TAG, "value": key}] if key else []
    found: dict[str, Any] = {
        "cluster": constants.CLUSTER_NAME,
        "taskDefinition": definition["taskDefinitionArn"],
        "capacityProviderStrategy": capacity.default_strategy(),
        "startedBy": constants.STARTED_BY,
        "enableExecuteCommand": constants.ENABLE_EXECUTE_COMMAND,
        "propagateTags": "TASK_DEFINITION",
        "enableECSManagedTags": True,
        "tags": [*endpoint_tags("task", "key", "value"), *run_tag],
    }
    if its_overrides:
        found["overrides"] = its_overrides
    if constants.NETWORK_MODE == "awsvpc":
        found["networkConfiguration"] = task_security_group.placement([])
    return found


def start(asked: dict[str, Any], count: int, known: list[str], what: str = "", on_spot: int = 0) -> list[str]:
    """RunTask takes 10 at a time. It answers 200 even where it starts nothing: what counts is `failures`.

    The client token is made of what was seen when it was decided how many are missing: `known` tasks of the same revision
    and overrides, also stopped ones, and so earlier attempts. So a call whose answer was lost, and a run that saw the same
    at the same moment, start no second task. AWS lists a stopped task for an hour, and forgets its token then:
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html

    `on_spot`: so many of them, the first, are to be on Spot; hosts.for_spot tells it.
    """
    started: list[str] = []
    arn, its_overrides = asked["taskDefinition"], asked.get("overrides", "")
    while len(started) < count:
        spot = len(started) < on_spot
        batch = min(10, (on_spot if spot else count) - len(started))
        its_strategy = {"capacityProviderStrategy": capacity.strategy("hosts")} if spot else {}
        of_run = [its_overrides, what] if its_overrides or what else []
        its_token = token(arn, sorted(known), started, batch, *of_run)
        run = functools.partial(tasks.run, {**asked, **its_strategy, "count": batch, "clientToken": its_token})
        answer = deadlines.guarded(run, its_token)
        started += [task["taskArn"] for task in answer["tasks"]]
        for task in answer["tasks"]:
            its_name = f"task {tasks.task_id(task['taskArn'])}"
            say("started", f"{what} {its_name}".strip(), f"of {task_definitions.revision(arn)}")
        if answer["failures"] or not answer["tasks"]:
            why = diagnosis.why_not_started(answer["failures"])
            raise Problem(f"{count - len(started)} of {count} tasks were not started: {why}")
    return started


def follow(arns: list[str], asked: dict[str, Any], definition: Any, key: str) -> list[Any]:
    """Until each does what RUN_UNTIL says. One that fails is started again if RETRIES says so, or ends the wait."""
    before, log = 0, task_logs.Told()
    while True:
        found = settled(arns, log)
        deadlines.drop(tasks.task_id(task["taskArn"]) for task in found if task["lastStatus"] == "STOPPED")
        failed = [task for task in found if has_failed(task)]
        if not failed:
            return found
        if not retries.wanted(failed, before):
            raise failure(found, failed)
        for task in failed:
            retries.tell(task, before)
        retries.wait(before)
        before += 1
        known = [task["taskArn"] for task in tasks.of_run_task() if same(task, definition, key)]
        others = [arn for arn in arns if arn not in [task["taskArn"] for task in failed]]
        hosts.bring(hosts.Wish(definition, asked.get("overrides", {}), len(failed), sorted(known)))
        on_spot = hosts.for_spot(definition, asked.get("overrides", {}), len(failed))
        arns = others + start(asked, len(failed), known, on_spot=on_spot)


def settled(arns: list[str], log: task_logs.Told) -> list[Any]:
    """The tasks once each runs, and with RUN_UNTIL=STOPPED has ended, or as soon as one has failed."""
    found = wait_until("RUNNING", arns, [], 0, log)
    if constants.RUN_UNTIL == "RUNNING" or any(map(has_failed, found)):
        return found
    return wait_until("STOPPED", arns, found, constants.RUN_TIMEOUT_SECONDS or math.inf, log)


def wait_until(status: str, arns: list[str], seen: list[Any], seconds: float, log: task_logs.Told) -> list[Any]:
    """The tasks, as they were `seen` before, once each has this status, or has ended, or as soon as one has failed.

    With RUN_UNTIL=STOPPED their log is shown meanwhile. AWS forgets a stopped task after an hour: what one was when it was
    seen last is kept while the others run.
    """
    found = {task["taskArn"]: task for task in seen}
    missed = 0

    def look() -> list[Any]:
        nonlocal missed
        open_still = [arn for arn in arns if found.get(arn, {}).get("lastStatus") != "STOPPED"]
        listed = {task["taskArn"]: task for task in tasks.describe(open_still)} if open_still else {}
        forgotten = [arn for arn in open_still if arn in found and arn not in listed]
        missed = missed + 1 if forgotten else 0
        refuse_forgotten(forgotten, missed)
        found.update(listed)
        if constants.RUN_UNTIL == "STOPPED":
            task_logs.follow(log, list(found.values()))
        there = len(found) == len(arns) and all(task["lastStatus"] in (status, "STOPPED") for task in found.values())
        return [found[arn] for arn in arns if arn in found] if there or any(map(has_failed, found.values())) else []

    def why() -> str:
        waiting = [task for task in found.values() if task["lastStatus"] not in (status, "STOPPED")]
        runs = f"it still runs, and costs, until {aws.command('stop_task.py --all')}"
        return "; ".join(dict.fromkeys(diagnosis.why(task) or runs for task in waiting))

    return aws.wait(
        f"{how_many(len(arns), 'task')} {'to run' if status == 'RUNNING' else 'to end'}", look, why, seconds
    )


def refuse_forgotten(arns: list[str], looks: int) -> None:
    """Of tasks that AWS does not list any more, at so many looks in a row, no one will learn how they ended."""
    if looks > LOOKS:
        its_id = tasks.task_id(arns[0])
        raise Problem(f"task {its_id} has ended more than an hour ago, and AWS has forgotten how: look at its log")


def has_failed(task: Any) -> bool:
    return bool(task["lastStatus"] == "STOPPED" and not (constants.RUN_UNTIL == "STOPPED" and did_its_work(task)))


def did_its_work(task: Any) -> bool:
    """Whether a task ended by itself, and well: every container ran, and each ended with exit code 0.

    One that is told to end may end with 0 too: that is no work done.
    """
    codes = [container.get("exitCode") for container in task.get("containers", [])]
    by_itself = task.get("stopCode") not in ("SpotInterruption", "TerminationNotice", "UserInitiated")
    return by_itself and bool(codes) and all(code == 0 for code in codes)


def failure(found: list[Any], failed: list[Any], what: str = "") -> Problem:
    """What ends the wait for these tasks: the reasons of those that failed."""
    ended = any(code for task in failed for code in tasks.exit_codes(task).values())
    result = {"tasks": [outcome(task) for task in found]} if ended or constants.RUN_UNTIL == "STOPPED" else None
    told = "\n".join(reason(task, what) for task in failed)
    return Problem(told, result, aws.TASK_FAILED if ended else aws.FAILED)


def reason(task: Any, what: str = "") -> str:
    lines = diagnosis.log_tail(task, constants.LOG_GROUP)
    log = "".join(f"\n  log: {line}" for line in lines)
    return f"{what} task {tasks.task_id(task['taskArn'])} stopped: {diagnosis.why(task, lines)}{log}".strip()


def outcome(task: Any) -> dict[str, Any]:
    """What a task is and how it ended, as AWS tells it of this very task."""
    digests = {each["name"]: each["imageDigest"] for each in task.get("containers", []) if "imageDigest" in each}
    told = {"imageDigests": digests, "exitCodes": tasks.exit_codes(task)}
    what = {
        "taskArn": task["taskArn"],
        "taskDefinitionArn": task["taskDefinitionArn"],
        "lastStatus": task["lastStatus"],
    }
    return {**what, **{key: value for key, value in told.items() if value}}
