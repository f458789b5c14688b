"""execute_command.py: the session that the Session Manager plugin is given, and what is said where one is missing."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import console
from tests.conftest import ROOT, Runbook

ON = {"ENABLE_EXECUTE_COMMAND": "true"}


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """A plugin that writes down what it is given, and ends with exit code 7."""
    script = tmp_path / "session-manager-plugin"
    script.write_text(
        "#!/bin/sh\n"
        f'if [ "$1" = --version ]; then cat {tmp_path}/version; exit 0; fi\n'
        f'for each in "$@"; do echo "$each"; done > {tmp_path}/arguments\n'
        f'echo "$AWS_SSM_START_SESSION_RESPONSE" >> {tmp_path}/arguments\n'
        "exit 7\n"
    )
    script.chmod(0o755)
    (tmp_path / "version").write_text("1.2.707.0\n")
    return tmp_path


@pytest.fixture
def ready(fargate: Runbook, plugin: Path) -> Runbook:
    """A cluster with a task definition, and the plugin on the PATH."""
    fargate.settings["PATH"] = f"{plugin}:{os.environ['PATH']}"
    return fargate.has_run("create_cluster.py", "register_task_definition.py", **ON)


def given(plugin: Path) -> list[str]:
    return (plugin / "arguments").read_text().splitlines()


def task(runbook: Runbook) -> Any:
    ecs = runbook.aws("ecs")
    arns = ecs.list_tasks(cluster="api")["taskArns"]
    return ecs.describe_tasks(cluster="api", tasks=arns)["tasks"][-1]


def test_the_plugin_gets_the_session_as_the_aws_cli_gives_it(
    ready: Runbook, plugin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "at_a_terminal", lambda: True)
    ready.has_run("run_task.py", **ON)
    ran = ready.run("execute_command.py", "--command", "ls -l /app", **ON)
    assert (ran.code, ran.out) == (7, ""), ran.err
    assert "waiting for the agent of ECS Exec to run" in ran.err
    session, region, operation, profile, parameters, endpoint, variable = given(plugin)
    assert (session, region, operation, profile) == ("AWS_SSM_START_SESSION_RESPONSE", "us-east-1", "StartSession", "")
    found = task(ready)
    runtime_id = found["containers"][0]["runtimeId"]
    assert json.loads(parameters) == {"Target": f"ecs:api_{found['taskArn'].rpartition('/')[2]}_{runtime_id}"}
    assert endpoint == "https://ecs.us-east-1.amazonaws.com"
    assert json.loads(variable).keys() == {"sessionId", "streamUrl", "tokenValue"}

    (plugin / "version").write_text("1.2.497.0\n")  # an older one takes the session as an argument
    assert ready.run("execute_command.py", "--task", found["taskArn"], **ON).code == 7
    assert json.loads(given(plugin)[0])["sessionId"].startswith("ecs-execute-command-")


def test_without_the_plugin_nothing_is_started(ready: Runbook, plugin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "at_a_terminal", lambda: True)
    ready.has_run("run_task.py", **ON)
    since = len(ready.emulator.calls)
    ran = ready.run("execute_command.py", PATH="/nowhere")
    assert (
        ran.code == 1 and "the Session Manager plugin (session-manager-plugin) is not on this machine's PATH" in ran.err
    )
    assert [operation for _, operation, _ in ready.emulator.calls[since:]] == ["GetCallerIdentity"]


def test_a_task_that_was_started_without_it_is_told_with_the_way(
    ready: Runbook, plugin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "at_a_terminal", lambda: True)
    ran = ready.run("execute_command.py", **ON)
    assert ran.code == 1 and "no task of api is RUNNING: start one with run_task.py" in ran.err
    ready.has_run("run_task.py")
    task_id = task(ready)["taskArn"].rpartition("/")[2]
    ran = ready.run("execute_command.py")
    assert ran.code == 1 and f"ENABLE_EXECUTE_COMMAND was not true when task {task_id} was started" in ran.err
    assert f"create_cluster.py (the role's right), stop_task.py --task {task_id}, then run_task.py" in ran.err
    ran = ready.run("execute_command.py", **ON)
    assert "ENABLE_EXECUTE_COMMAND is true, but was not when task" in ran.err
    ran = ready.run("execute_command.py", "--task", "0" * 32, **ON)
    assert ran.code == 1 and "there is no task" in ran.err
    assert not (plugin / "arguments").exists()


def test_a_role_without_the_right_is_told_with_the_actions_that_it_lacks(
    ready: Runbook, plugin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "at_a_terminal", lambda: True)
    iam, which = ready.aws("iam"), {"RoleName": "api-task-us-east-1", "PolicyName": "settings"}
    policy = iam.get_role_policy(**which)["PolicyDocument"]
    policy["Statement"] = [each for each in policy["Statement"] if "ssmmessages" not in str(each["Action"])]
    iam.put_role_policy(**which, PolicyDocument=json.dumps(policy))
    ready.has_run("run_task.py", **ON)
    ran = ready.run("execute_command.py", **ON)
    assert ran.code == 1 and "the role api-task-us-east-1 lacks ssmmessages:CreateControlChannel" in ran.err
    assert "python create_cluster.py gives it that, and a new task has it" in ran.err
    assert not (plugin / "arguments").exists()


# ------------------------------------------------------------------------------------------------ without a terminal


@pytest.fixture
def emulated(runbook: Runbook, tmp_path: Path) -> Runbook:
    """A task with a GPU, and the emulator's plugin, which runs what it is asked to."""
    script = tmp_path / "session-manager-plugin"
    program = ROOT / "emulator" / "programs" / "session_manager_plugin.py"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} {program} "$@"\n')
    script.chmod(0o755)
    runbook.settings |= {"PATH": f"{tmp_path}:{os.environ['PATH']}", **ON}
    return runbook.has_run("create_cluster.py", "register_task_definition.py", "run_task.py")


@pytest.mark.parametrize(
    ("command", "code", "output"),
    [
        ("echo one; echo two", 0, "one\ntwo\n"),
        ("echo before; exit 3", 3, "before\n"),
        ("false", 1, ""),
        ("no-such-program-here; false", 1, "exec: no-such-program-here: not found\n"),
        ("""echo "it's" 'a "quoted" word'""", 0, """it's a "quoted" word\n"""),
        ("nvidia-smi -L | head -1 && echo end-0123456789abcdef:9", 0, None),
    ],
)
def test_without_a_terminal_it_runs_one_command_and_ends_as_that_did(
    emulated: Runbook, command: str, code: int, output: str | None
) -> None:
    ran = emulated.run("execute_command.py", "--command", command)
    assert ran.code == code, ran.err
    assert output is None or ran.out == output
    assert "begin-" not in ran.out and "Starting session" not in ran.out


def test_without_a_terminal_there_is_no_shell(emulated: Runbook) -> None:
    since = len(emulated.emulator.calls)
    ran = emulated.run("execute_command.py")
    assert (ran.code, ran.out) == (2, "") and "without a terminal there is no shell: --command 'ls -l'" in ran.err
    assert not [operation for _, operation, _ in emulated.emulator.calls[since:] if operation == "ExecuteCommand"]


def test_a_session_that_breaks_off_is_a_failure_with_what_the_plugin_said(ready: Runbook, plugin: Path) -> None:
    ready.has_run("run_task.py", **ON)
    (plugin / "session-manager-plugin").write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo 1.2.707.0 && exit\necho; echo "Cannot perform start session: EOF"; exit 0\n'
    )
    ran = ready.run("execute_command.py", "--command", "ls", **ON)
    assert (ran.code, ran.out) == (1, "")
    assert "the session ended before the command did: Cannot perform start session: EOF" in ran.err


@pytest.mark.parametrize(
    "command", ["it's", 'a "b" $HOME `id` \\ ; & | \n c', "echo $((1+1)); exit 7", "printf 'no newline'"]
)
def test_the_wrapped_command_reaches_a_real_shell_as_it_is(command: str, tmp_path: Path) -> None:
    """The agent splits the text into words as a shell does, and runs them: here by a real sh, in a terminal."""
    from infrastructure.service import exec_sessions

    mark = "0123456789abcdef"
    alone = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, cwd=tmp_path)
    said = exec_sessions.in_a_terminal(shlex.split(exec_sessions.wrapped(command, mark)), dict(os.environ))
    begin, _, rest = said.partition(f"begin-{mark}\n")
    output, _, code = rest.partition(f"end-{mark}:")
    assert begin == "" and int(code) == alone.returncode
    assert sorted(output.splitlines()) == sorted((alone.stdout + alone.stderr).splitlines())
