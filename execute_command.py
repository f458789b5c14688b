"""Open a shell in the running container of a task, by ECS Exec.

Needs the Session Manager plugin on this machine, and a task that was started with ENABLE_EXECUTE_COMMAND=true: its role
then may open the channel, and an agent runs beside the container. Says which of these is missing. It changes nothing,
and costs nothing. stdout belongs to the session, and the exit code is the plugin's: no result is printed.

    python execute_command.py                          a shell (/bin/sh) in the newest running task
    python execute_command.py --task ID
    python execute_command.py --command "ls -l /app"   exit or Ctrl-D ends a shell; 20 idle minutes end it too

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-exec.html
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import aws
import constants
from aws import Problem, client, message, wait
from console import say
from infrastructure.cluster import cluster
from infrastructure.service import diagnosis, task_definitions, task_roles, tasks

PLUGIN = "session-manager-plugin"
HOW_TO_INSTALL = (
    "https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html"
)
#: the last version of the plugin that takes the session as an argument, which everyone on this machine can read
LAST_WITHOUT_VARIABLE = (1, 2, 497, 0)
VARIABLE = "AWS_SSM_START_SESSION_RESPONSE"
AGENT_SECONDS = 60


@aws.page(task=("ID", "the task's id or ARN"), command=("COMMAND", "in place of /bin/sh"))
def execute_command(task: str = "", command: str = "") -> dict[str, Any]:
    plugin = shutil.which(PLUGIN)
    if not plugin:
        plugin = f"the Session Manager plugin ({PLUGIN})"
        raise Problem(f"{plugin} is not on this machine's PATH: install it, {HOW_TO_INSTALL}")
    cluster.required()
    found = chosen(task)
    refuse_disabled(found)
    wait_for_agent(found["taskArn"])
    answer = ask(found, command or "/bin/sh")
    say("opened", f"session in task {tasks.task_id(found['taskArn'])}", command or "/bin/sh")
    sys.exit(run_plugin(plugin, answer, target(found)))


def chosen(task: str) -> Any:
    """The task that was named; or the newest that runs, of those that were started for it."""
    described = tasks.describe([task]) if task else tasks.find(family=constants.TASK_FAMILY)
    running = [each for each in described if each["lastStatus"] == "RUNNING"]
    if task and not described:
        raise Problem(f"there is no task {task} in cluster {constants.CLUSTER_NAME}: list_tasks.py lists them")
    if not running:
        told = "; ".join(f"{tasks.task_id(each['taskArn'])}: {diagnosis.why(each)}" for each in described)
        start = "create_service.py" if constants.LISTENER_PROTOCOL else "run_task.py"
        raise Problem(f"no task of {constants.TASK_FAMILY} is RUNNING: {told or f'start one with {start}'}")
    running.sort(key=lambda each: (each.get("enableExecuteCommand", False), each["startedAt"]))
    if len(running) > 1:
        others = ", ".join(tasks.task_id(each["taskArn"]) for each in running[:-1])
        say("found", f"{len(running)} tasks", f"the newest is taken; --task names another: {others}")
    return running[-1]


def refuse_disabled(task: Any) -> None:
    if task.get("enableExecuteCommand"):
        return
    task_id = tasks.task_id(task["taskArn"])
    role = f"{'register_task_definition.py' if constants.ENDPOINT else 'create_cluster.py'} (the role's right)"
    of_service = task.get("group", "").startswith("service:")
    service = f"update_service.py, then stop_task.py --task {task_id}: the service starts another in its place"
    alone = f"stop_task.py --task {task_id}, then run_task.py"
    before = "is true, but was not" if constants.ENABLE_EXECUTE_COMMAND else "was not true"
    differs = f"ENABLE_EXECUTE_COMMAND {before} when task {task_id} was started, and a running task can't be changed"
    raise Problem(f"{differs}: with ENABLE_EXECUTE_COMMAND=true run {role}, {service if of_service else alone}")


def wait_for_agent(task_arn: str) -> None:
    """The agent beside the container reports itself some 20 seconds after the container runs; without the right never."""

    def status() -> str | None:
        main = [container(task) for task in tasks.describe([task_arn])]
        agents = {agent["name"]: agent.get("lastStatus") for each in main for agent in each.get("managedAgents", [])}
        return agents.get("ExecuteCommandAgent")

    def look() -> bool:
        seen = status()
        if seen == "STOPPED":
            raise Problem(f"the agent of ECS Exec has stopped in task {tasks.task_id(task_arn)}: {reason(task_arn)}")
        return seen == "RUNNING"

    wait("the agent of ECS Exec to run", look, lambda: f"it is {status()}: {reason(task_arn)}", AGENT_SECONDS)


def ask(task: Any, command: str) -> Any:
    """ExecuteCommand: the session that the plugin then joins."""
    ecs, named = client("ecs"), {"task": task["taskArn"], "container": constants.CONTAINER_NAME}
    request: Any = {"cluster": constants.CLUSTER_NAME, **named, "command": command, "interactive": True}
    try:
        return ecs.execute_command(**request)["session"]
    except ecs.exceptions.TargetNotConnectedException as error:
        raise Problem(f"the container can't be reached: {reason(task['taskArn'])}") from error
    except ecs.exceptions.InvalidParameterException as error:
        raise Problem(f"AWS refuses the session: {message(error)}") from error


def reason(task_arn: str) -> str:
    """Why an agent is not there: the right that the task's role lacks, by IAM's own simulation, or the network."""
    task = next(iter(tasks.describe([task_arn])), None)
    if not task:
        return "AWS does not list the task any more"
    definition = task_definitions.definition(task["taskDefinitionArn"])
    role_arn = task.get("overrides", {}).get("taskRoleArn") or (definition or {}).get("taskRoleArn")
    if not role_arn:
        return "the task has no role, and so may not open the channel"
    actions = [f"ssmmessages:{verb}" for verb in task_roles.EXEC_ACTIONS]
    simulated = client("iam").simulate_principal_policy(PolicySourceArn=role_arn, ActionNames=actions)
    lacking = [each["EvalActionName"] for each in simulated["EvaluationResults"] if each["EvalDecision"] != "allowed"]
    if lacking:
        made_by = "register_task_definition.py" if constants.ENDPOINT else "create_cluster.py"
        given = f"ENABLE_EXECUTE_COMMAND=true {aws.command(made_by)} gives it that, and a new task has it"
        return f"the role {role_arn.rpartition('/')[2]} lacks {', '.join(lacking)}: {given}"
    return (
        "its role has the rights, so look at the way out (ssmmessages, port 443: NAT or a VPC endpoint) and at "
        "readonlyRootFilesystem, which keeps the agent from starting; or try again in a minute"
    )


def target(task: Any) -> str:
    """How Session Manager names a container."""
    return f"ecs:{constants.CLUSTER_NAME}_{tasks.task_id(task['taskArn'])}_{container(task)['runtimeId']}"


def container(task: Any) -> Any:
    return next((each for each in task["containers"] if each["name"] == constants.CONTAINER_NAME), {})


def run_plugin(plugin: str, session: Any, named: str) -> int:
    """Call the plugin as the AWS CLI does; Ctrl-C and its like belong to the session."""
    told, environment = json.dumps(session), dict(os.environ)
    version = subprocess.run([plugin, "--version"], capture_output=True, text=True, check=False).stdout
    if tuple(map(int, re.findall(r"\d+", version))) > LAST_WITHOUT_VARIABLE:
        environment[VARIABLE], told = told, VARIABLE
    profile = aws.session().profile or "default"
    ecs = client("ecs").meta
    arguments = [told, ecs.region_name, "StartSession", "" if profile == "default" else profile]
    command = [plugin, *arguments, json.dumps({"Target": named}), ecs.endpoint_url]
    with signals_for_the_session():
        return subprocess.run(command, env=environment, check=False).returncode


@contextlib.contextmanager
def signals_for_the_session() -> Iterator[None]:
    names = [name for name in ("SIGINT", "SIGQUIT", "SIGTSTP") if hasattr(signal, name)]
    before = {getattr(signal, name): signal.signal(getattr(signal, name), signal.SIG_IGN) for name in names}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(aws.main(execute_command, __doc__))
