"""How a process ends that is interrupted, or to which no one listens any more: in a sentence, and never with a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.server import serve
from tests.conftest import GPU, ROOT, Runbook

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """Of a script whose AWS answers at once, and whose hosts never join."""
    with serve(time_scale=0) as (url, emulator):
        emulator.world.settings.agents_register = False
        emulator.world.settings.quotas = {
            "L-F678F1CE": 50,
            "L-A4707A72": 50,
        }  # VPCs and their gateways: many clusters stand
        yield {
            **GPU,
            "PATH": os.environ["PATH"],
            "ENV_FILE": "/dev/null",
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_REGION": "us-east-1",
            "POLL_SECONDS": "0.2",
            "EFS_DNS_SECONDS": "0",
            "MIN_INSTANCES": "1",
        }


def start(script: str, environment: dict[str, str], **more: Any) -> subprocess.Popen[str]:
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.Popen([sys.executable, *script.split()], env=environment, cwd=ROOT, text=True, **pipes)


def waits(process: subprocess.Popen[str]) -> str:
    """Read what it says until it waits for hosts."""
    assert process.stderr
    told = ""
    for line in process.stderr:
        told += line
        if line.startswith("waiting for 1 host "):
            return told
    raise AssertionError(told)


@pytest.mark.parametrize("number", SIGNALS)
def test_whatever_interrupts_a_page_it_says_what_stays_and_its_undo(environment: dict[str, str], number: int) -> None:
    cluster = {"CLUSTER_NAME": f"gpu-{number}"}
    process = start("create_cluster.py", environment | cluster)
    waits(process)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (SIGNALS[signal.Signals(number)], ""), err
    [last] = err.strip().splitlines()[-1:]
    assert last == (
        "failed: interrupted; run it again, it goes on where it stopped; "
        "what it made so far stays, and may cost, until python delete_cluster.py"
    )
    assert "Traceback" not in err


def test_what_is_to_be_ignored_is_ignored(environment: dict[str, str]) -> None:
    """nohup python create_cluster.py &"""
    command = ["nohup", sys.executable, "create_cluster.py"]
    settings = environment | {"CLUSTER_NAME": "gpu-nohup", "WAIT_TIMEOUT_SECONDS": "2"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=settings, cwd=ROOT, stdin=subprocess.DEVNULL, **pipes)
    waits(process)
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 3, err
    assert "gave up waiting for 1 host to join the cluster" in err


@pytest.mark.parametrize("script", ["create_cluster.py", "list_tasks.py", "execute_command.py"])
@pytest.mark.parametrize("module", ["botocore", "dotenv"])
def test_ctrl_c_while_python_imports_is_quiet(
    environment: dict[str, str], tmp_path: Path, script: str, module: str
) -> None:
    interrupts = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(5)\n"
    (tmp_path / f"{module}.py").write_text(interrupts)
    ran = start(script, environment | {"PYTHONPATH": str(tmp_path)})
    out, err = ran.communicate(timeout=20)
    assert (out, err) == ("", "")
    assert ran.returncode in (-signal.SIGINT, 130)


def test_a_second_ctrl_c_ends_what_is_still_being_asked() -> None:
    """While threads wait for an AWS that does not answer."""
    code = (
        "import os, signal, sys, threading, time; sys.path.insert(0, '.'); from aws import interrupts\n"
        "threading.Thread(target=time.sleep, args=(30,)).start(); interrupts.listen()\n"
        "try:\n    os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)\n"
        "except KeyboardInterrupt as interrupt:\n    interrupts.end(); print(interrupts.exit_code(interrupt), flush=True)\n"
    )
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, **pipes)
    assert process.stdout and process.stdout.readline() == "143\n"
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (-signal.SIGINT, "")
    assert time.monotonic() - began < 5


# ------------------------------------------------------------------------------------------------- no one listens any more

CLOSED = {
    "stdout read no further": ("{} | head -c 5 > /dev/null", 0),
    "nothing read of stdout": ("{} | true", 0),
    "stderr read no further": ("{} 2>&1 >/dev/null | head -n 1 > /dev/null", 0),
    "both read no further": ("{} 2>&1 | head -n 1 > /dev/null", 0),
    "stdout closed": ("{} >&-", 0),
    "stderr closed": ("{} 2>&-", 0),
    "both closed": ("{} >&- 2>&-", 0),
    "no space for the result": ("{} > /dev/full", 1),
    "no space for what is told": ("{} 2> /dev/full", 0),
    "the manual read no further": ("{} --help | head -n 1 > /dev/null", 0),
}


@pytest.mark.parametrize(("line", "code"), CLOSED.values(), ids=CLOSED)
def test_a_stream_that_is_closed_is_no_traceback(
    environment: dict[str, str], tmp_path: Path, line: str, code: int
) -> None:
    """The page does its work all the same; only a result that can't be written is a failure."""
    command = line.format(f"{sys.executable} list_task_definition.py")
    ran = subprocess.run(
        ["bash", "-c", f"{command}; echo ${{PIPESTATUS[0]}} > {tmp_path}/code"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "Traceback" not in ran.stderr and "Exception ignored" not in ran.stderr and "BrokenPipe" not in ran.stderr
    assert (tmp_path / "code").read_text().strip() == str(code), ran.stderr


def test_work_goes_on_when_no_one_reads_what_is_told_of_it(environment: dict[str, str]) -> None:
    settings = environment | {"CLUSTER_NAME": "gpu-deaf", "MIN_INSTANCES": "0"}
    line = f"{sys.executable} create_cluster.py 2>&1 | head -n 1; exit ${{PIPESTATUS[0]}}"
    ran = subprocess.run(["bash", "-c", line], env=settings, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0
    assert len(ran.stdout.splitlines()) == 1
    described = start("describe_clusters.py", settings)
    out, err = described.communicate(timeout=20)
    assert '"status": "ACTIVE"' in out, err


def test_a_mistake_in_the_settings_is_exit_code_2_though_no_one_reads_it(environment: dict[str, str]) -> None:
    line = f"{sys.executable} list_tasks.py 2>&-; exit $?"
    settings = environment | {"GPU_COUNT": "many"}
    ran = subprocess.run(["bash", "-c", line], env=settings, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")


# ------------------------------------------------------------------------------------------------------------- exit codes


def test_each_manual_tells_the_exit_codes(runbook: Runbook) -> None:
    told = runbook.run("run_task.py", "--help")
    assert told.code == 0
    for words in ("0 done", "1 AWS said no", "2 a setting is wrong", "3 not ready in time", "4 the task ended", "143"):
        assert words in told.out


def test_times_are_as_jq_takes_them(fargate: Runbook) -> None:
    fargate.has_run("create_cluster.py", "register_task_definition.py", "run_task.py")
    [task] = fargate.run("list_tasks.py").result["tasks"]
    assert time.strptime(task["since"], "%Y-%m-%dT%H:%M:%SZ")


def test_a_library_that_is_missing_is_told_in_a_sentence(tmp_path: Path) -> None:
    for name in ("botocore", "dotenv"):
        code = f"import sys; sys.path.insert(0, '.'); sys.modules[{name!r}] = None; import run_task"
        ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
        assert ran.returncode == 1
        assert ran.stderr == f"{name} is not installed: make .venv, then . .venv/bin/activate\n"
