"""The small idea of what a command does in a container."""

from __future__ import annotations

import pytest

from emulator.ecs.containers import Outcome, Place, outcome

PLACE = Place({"NAME": "world"}, ["GPU-1"], "NVIDIA T4", 15360, 40)


def ends(*command: str, place: Place = PLACE) -> Outcome:
    return outcome({"command": list(command)}, place)


@pytest.mark.parametrize(
    ("script", "code", "seconds", "lines"),
    [
        ("true", 0, 0, []),
        ("false", 1, 0, []),
        ("exit 7", 7, 0, []),
        ("sleep 2m && exit 3", 3, 120, []),
        ("false && echo no; echo yes", 0, 0, ["yes"]),
        ("false || exit 4", 4, 0, []),
        ("echo hello $NAME > /data/x; echo ${NAME}", 0, 0, ["world"]),
        ("nvidia-smi -L", 0, 1, ["GPU 0: NVIDIA T4 (UUID: GPU-1)"]),
        ("set -e\nmkdir -p /data\necho done", 0, 0, ["done"]),
        ("exec sleep 5", 0, 5, []),
        ("sh -c 'exit 5'; echo $?", 0, 0, ["5"]),
        ("nvidia-smi --query-gpu=index,uuid,utilization.gpu,fan.speed --format=csv", 0, 1, ["0, GPU-1, 40, [N/A]"]),
    ],
)
def test_scripts_run_to_their_end(script: str, code: int, seconds: float, lines: list[str]) -> None:
    done = ends("sh", "-c", script)
    assert (done.code, done.seconds, [line for _, line in done.lines]) == (code, seconds, lines)


@pytest.mark.parametrize("script", ["python train.py", "while true; do sleep 1; done", "sleep infinity", "nginx -g x"])
def test_what_is_not_known_runs_on(script: str) -> None:
    assert ends("sh", "-c", script).code is None


def test_a_server_runs_on() -> None:
    assert outcome({}, PLACE).code is None
    assert ends("python", "-m", "http.server").code is None


def test_nvidia_smi_needs_a_gpu() -> None:
    assert ends("nvidia-smi").code == 0
    assert any("NVIDIA T4" in line for _, line in ends("nvidia-smi").lines)
    assert ends("nvidia-smi", place=Place({}, [])).code == 127


def test_sleep_as_the_first_process_is_deaf_to_sigterm() -> None:
    assert ends("sleep", "600").deaf
    assert not outcome({"command": ["sleep", "600"], "linuxParameters": {"initProcessEnabled": True}}, PLACE).deaf


def test_an_entry_point_comes_before_the_command() -> None:
    assert outcome({"entryPoint": ["sh", "-c"], "command": ["exit 5"]}, PLACE).code == 5
