"""ECS Exec: a session in the running container of a task, by way of the Session Manager plugin.

The plugin joins the session that ExecuteCommand opens. It wants a terminal on its stdin, and its exit code is not the
command's: where one command is run, it is given a terminal of its own, and the command is wrapped so that it tells.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-exec.html
"""

import contextlib
import json
import os
import re
import secrets
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import aws
import constants
from aws import Problem, client, message, wait
from infrastructure.service import task_definitions, task_roles, tasks

PLUGIN = "session-manager-plugin"
HOW_TO_INSTALL = (
    "https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html"
)
#: the last version of the plugin that takes the session as an argument, which everyone on this machine can read
LAST_WITHOUT_VARIABLE = (1, 2, 497, 0)
VARIABLE = "AWS_SSM_START_SESSION_RESPONSE"
AGENT_SECONDS = 60


def plugin() -> str:
    found = shutil.which(PLUGIN)
    if not found:
        raise Problem(
            f"the Session Manager plugin ({PLUGIN}) is not on this machine's PATH: install it, {HOW_TO_INSTALL}"
        )
    return found


def ready(task: Any) -> None:
    """Refuse what has no way in, and wait for the agent beside the container."""
    refuse_disabled(task)
    wait_for_agent(task["taskArn"])


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


def join(task: Any, command: str) -> int:
    """A shell, or what is to be seen on this terminal; Ctrl-C and its like belong to the session. The plugin's exit code."""
    arguments, environment = as_the_cli_does(task, ask(task, command))
    with signals_for_the_session():
        return subprocess.run(arguments, env=environment, check=False).returncode


def run(task: Any, command: str) -> tuple[int, str]:
    """One command by the container's shell, without a terminal: its exit code, and what it wrote to stdout and stderr."""
    mark = secrets.token_hex(8)
    said = in_a_terminal(*as_the_cli_does(task, ask(task, wrapped(command, mark))))
    found = re.search(rf"begin-{mark}\n(.*)end-{mark}:(\d+)\n", said, re.DOTALL)
    if not found:
        last = [line for line in said.splitlines() if line.strip()][-3:]
        raise Problem(f"the session ended before the command did: {' '.join(last) or 'the plugin said nothing'}")
    return int(found[2]), found[1]


def wrapped(command: str, mark: str) -> str:
    """As words of a shell: the agent splits it as one would, and runs the first word.

    https://github.com/aws/amazon-ssm-agent/blob/mainline/agent/session/shell/shell_unix.go
    """
    script = f"echo begin-{mark}; sh -c {shlex.quote(command)}; echo end-{mark}:$?"
    return f"/bin/sh -c {shlex.quote(script)}"


def in_a_terminal(arguments: list[str], environment: dict[str, str]) -> str:
    """What it wrote. With stdin at its end the plugin gives up: https://github.com/aws/amazon-ssm-agent/issues/354

    Two terminals are on the way, the container's and this one; each puts a carriage return before the end of a line.
    """
    if not hasattr(os, "openpty"):
        raise Problem("without a terminal of its own ECS Exec needs one of Unix: run it in WSL, or in a terminal")
    ours, its, written = *os.openpty(), b""
    with subprocess.Popen(
        arguments, env=environment, stdin=its, stdout=its, stderr=its, start_new_session=True
    ) as begun:
        os.close(its)
        try:
            with contextlib.suppress(OSError):  # Linux's way to say that no one writes any more
                while part := os.read(ours, 65536):
                    written += part
        finally:
            begun.terminate()
            os.close(ours)
    return re.sub(r"\r+\n", "\n", written.decode(errors="replace"))


def as_the_cli_does(task: Any, session: Any) -> tuple[list[str], dict[str, str]]:
    """The plugin's arguments and environment."""
    path, told, environment = plugin(), json.dumps(session), dict(os.environ)
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    if tuple(map(int, re.findall(r"\d+", version))) > LAST_WITHOUT_VARIABLE:
        environment[VARIABLE], told = told, VARIABLE
    profile = aws.session().profile or "default"
    ecs = client("ecs").meta
    arguments = [told, ecs.region_name, "StartSession", "" if profile == "default" else profile]
    return [path, *arguments, json.dumps({"Target": target(task)}), ecs.endpoint_url], environment


@contextlib.contextmanager
def signals_for_the_session() -> Iterator[None]:
    names = [name for name in ("SIGINT", "SIGQUIT", "SIGTSTP") if hasattr(signal, name)]
    before = {getattr(signal, name): signal.signal(getattr(signal, name), signal.SIG_IGN) for name in names}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
