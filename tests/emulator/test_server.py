"""python -m emulator: its lines, pasted into a shell, are all that a script needs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT


@pytest.fixture
def lines() -> Iterator[str]:
    """What it prints, until it is ready."""
    command = [sys.executable, "-m", "emulator", "--port", "0", "--time-scale", "0.01"]
    emulator = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert emulator.stdout
    printed = ""
    while "SSL_CERT_FILE" not in printed:
        line = emulator.stdout.readline()
        assert line, printed
        printed += line
    yield printed
    emulator.send_signal(signal.SIGINT)
    assert emulator.wait(10) == 0


def test_pasted_into_a_shell_they_lead_the_scripts_there_in_its_own_time(lines: str) -> None:
    exports = "".join(f"{line}\n" for line in lines.splitlines() if line.startswith("export "))
    script = f"{exports}cp {ROOT}/examples/apiserver.env .env\n"
    script += "".join(
        f"{sys.executable} {ROOT}/{page}.py > /dev/null\n" for page in ("create_cluster", "describe_clusters")
    )
    begun = time.monotonic()
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment = {**kept, "AWS_EC2_METADATA_DISABLED": "true", "ENV_FILE": ".env"}
    with_folder = f"cd $(mktemp -d)\n{script}"
    ran = subprocess.run(["sh", "-e", "-c", with_folder], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "created cluster apiserver" in ran.stderr
    assert time.monotonic() - begun < 60  # 90 seconds of the EFS's DNS name alone, if they were AWS's


def test_a_port_that_is_taken_is_told_in_a_sentence(lines: str) -> None:
    port = lines.partition("127.0.0.1:")[2].split()[0]
    command = [sys.executable, "-m", "emulator", "--port", port]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (
        1,
        f"port {port} of 127.0.0.1: Address already in use; --port 0 takes a free one\n",
    )
