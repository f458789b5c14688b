"""Open a shell in the running container of a task, or run one command in it, by ECS Exec.

Needs the Session Manager plugin on this machine, and a task that was started with ENABLE_EXECUTE_COMMAND=true: its role
then may open the channel, and an agent runs beside the container. Says which of these is missing. It changes nothing,
and costs nothing. On a terminal stdout belongs to the session, and the exit code is the plugin's. Elsewhere, in a pipe or
in CI, it runs the one command, writes to stdout what that wrote to stdout and stderr, and ends with its exit code.

    python execute_command.py                          a shell (/bin/sh) in the newest running task
    python execute_command.py --task ID
    python execute_command.py --command "ls -l /app"   exit or Ctrl-D ends a shell; 20 idle minutes end it too
    python execute_command.py --command "cat /app/version" | tail -1

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-exec.html
"""

import sys
from typing import Any

import aws
import console
import constants
from aws import Problem
from console import say
from infrastructure.cluster import cluster
from infrastructure.service import diagnosis, exec_sessions, tasks


@aws.page(task=("ID", "the task's id or ARN"), command=("COMMAND", "in place of /bin/sh"))
def execute_command(task: str = "", command: str = "") -> dict[str, Any]:
    if not console.at_a_terminal() and not command:
        raise Problem(
            "without a terminal there is no shell: --command 'ls -l' runs one command", None, aws.WRONG_SETTING
        )
    exec_sessions.plugin()
    cluster.required()
    found = chosen(task)
    exec_sessions.ready(found)
    say("opened", f"session in task {tasks.task_id(found['taskArn'])}", command or "/bin/sh")
    if console.at_a_terminal():
        sys.exit(exec_sessions.join(found, command or "/bin/sh"))
    exit_code, output = exec_sessions.run(found, command)
    sys.stdout.write(output)
    sys.exit(exit_code)


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


if __name__ == "__main__":
    sys.exit(aws.main(execute_command, __doc__))
