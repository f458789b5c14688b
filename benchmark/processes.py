"""One command as its own process: how it ended, for how long it ran, and how much memory it had at its peak."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
LAUNCH = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launch.py"))]
#: seconds between two looks at the memory of a process and its children
SAMPLE_SECONDS = 0.5


@dataclass
class Ran:
    code: int
    seconds: float  # from its start to its end, real ones
    mebibytes: float  # resident at its peak
    out: str
    err: str


def run(command: list[str], environment: dict[str, str], folder: Path = ROOT, family: bool = False) -> Ran:
    """Run it to its end. `family`: its memory with that of the processes that it starts, at their common peak."""
    with tempfile.NamedTemporaryFile("r") as report:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen([*LAUNCH, report.name, *command], env=environment, cwd=folder, **pipes)  # type: ignore[call-overload]
        memory = _Sampled(process.pid) if family else None
        out, err = process.communicate()
        code, seconds, mebibytes = report.read().split()
    return Ran(int(code), float(seconds), memory.peak() if memory else float(mebibytes), out, err)


class _Sampled:
    """The memory of all that a process has started, looked at again and again by ps."""

    def __init__(self, pid: int) -> None:
        self._pid, self._over, self._most = pid, threading.Event(), 0.0
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def peak(self) -> float:
        self._over.set()
        self._thread.join()
        return self._most

    def _sample(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            self._most = max(self._most, self._now())

    def _now(self) -> float:
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,rss="], capture_output=True, text=True, check=False)
        lines = [[int(word) for word in line.split()] for line in listed.stdout.splitlines()]
        family, grown = {self._pid}, 0
        while len(family) > grown:
            grown = len(family)
            family |= {pid for pid, parent, _ in lines if parent in family}
        return sum(kibibytes for pid, _, kibibytes in lines if pid in family - {self._pid}) / 1024
