"""ECS Exec, task protection, and what agents report."""

from __future__ import annotations

import base64
import json
import shlex
from datetime import timedelta

from moto.core.utils import get_service_model

from emulator.core import partitions, rules
from emulator.core.rules import AwsError, Call, Params, on
from emulator.core.world import World
from emulator.ecs.containers import Outcome, outcome
from emulator.ecs.life import place_of
from emulator.ecs.state import Item, find_cluster, find_task, invalid, new_id, short

# ------------------------------------------------------------------------------------------------ exec, protection

SSM_ACTIONS = (
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
)


rules.SENTENCES["ecs-080"] = (
    "ExecuteCommand needs it enabled at the task's start, a task role with ssmmessages, and about 20 s after RUNNING."
)


@on("ecs", "ExecuteCommand", rules="ecs-080")
def execute_command(call: Call) -> Params:
    params = call.params
    cluster = find_cluster(call)
    task = find_task(cluster, params.get("task") or "", call.world)
    if task is None or not task.active:
        raise invalid("The specified task was not found or is not running.")
    if not params.get("interactive"):
        raise invalid("Interactive is the only mode supported currently.")
    names = [one["name"] for one in task.definition["containerDefinitions"]]
    if not params.get("container") and len(names) > 1:
        raise invalid("The container name must be specified: the task has more than one container.")
    name = params.get("container") or names[0]
    if name not in names:
        raise invalid(f"The container {name} was not found in the task.")
    if not task.exec_enabled:
        raise invalid(
            "The execute command failed because execute command was not enabled when the task was run or the execute "
            "command agent isn’t running. Wait and try again or run a new task with execute command enabled and try "
            "again."
        )
    container = next(one for one in task.containers if one["name"] == name)
    if not _exec_reachable(container):
        raise AwsError(
            "TargetNotConnectedException", "The execute command failed due to an internal error. Try again later."
        )
    session = f"ecs-execute-command-{new_id()[:17]}"
    definition = next(one for one in task.definition["containerDefinitions"] if one["name"] == name)
    result = outcome({"command": shlex.split(params["command"])}, place_of(call.world, task, definition, container))
    return {
        "clusterArn": cluster.arn,
        "containerArn": container["containerArn"],
        "containerName": name,
        "interactive": True,
        "session": {
            "sessionId": session,
            "streamUrl": f"wss://ssmmessages.{call.region}.{partitions.domain(call.region)}/v1/data-channel/{session}",
            "tokenValue": token(result),
        },
        "taskArn": task.arn,
    }


def token(result: Outcome) -> str:
    """What the command comes to, for programs/session_manager_plugin.py: on AWS it is opaque, and the plugin asks with it."""
    told = {"lines": [line for _, line in result.lines], "ends": result.code is not None}
    return base64.b64encode(json.dumps(told).encode()).decode()


def _exec_reachable(container: Item) -> bool:
    agents = container.get("managedAgents") or [{}]
    return bool(container["lastStatus"] == "RUNNING" and agents[0].get("lastStatus") == "RUNNING")


@on("ecs", "UpdateTaskProtection", "GetTaskProtection")
def task_protection(call: Call) -> Params:
    """Protection of service tasks from scale-in and deployments."""
    params = call.params
    cluster = find_cluster(call)
    protected, failures = [], []
    names = params.get("tasks") or [task.id for task in cluster.active_tasks() if task.service]
    for name in names:
        task = cluster.tasks.get(short(name))
        if task is None or task.service is None:
            failures.append({"arn": name, "reason": "MISSING" if task is None else "TASK_NOT_VALID"})
            continue
        if call.operation == "UpdateTaskProtection":
            minutes = params.get("expiresInMinutes") or 120
            task.protected_until = (
                call.world.timestamp() + timedelta(minutes=minutes) if params["protectionEnabled"] else None
            )
            if task.protected_until:
                call.world.look_at(task.protected_until.timestamp())
        until = task.protected_until
        shown: Item = {"taskArn": task.arn, "protectionEnabled": bool(until and until > call.world.timestamp())}
        if shown["protectionEnabled"]:
            shown["expirationDate"] = until
        protected.append(shown)
    return {"protectedTasks": protected, "failures": failures}


def _leave_out(world: World) -> None:
    """What is not imitated says so: moto's own ECS, of which nothing is used, would answer from another world."""
    for operation in get_service_model("ecs").operation_names:
        if not rules.HANDLERS["ecs", operation]:
            on("ecs", operation)(_not_imitated)


def _not_imitated(call: Call) -> Params:
    raise AwsError("NotImplemented", f"the emulator does not imitate ecs {call.operation}", 501)


rules.STARTERS.append(_leave_out)


@on("ecs", "SubmitTaskStateChange", "SubmitContainerStateChange", "SubmitAttachmentStateChanges")
def acknowledge(call: Call) -> Params:
    """What the agent of an instance tells ECS; the emulator's agents need no such call."""
    return {"acknowledgment": "ACK"}
