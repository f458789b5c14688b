"""python -I -S launch.py REPORT COMMAND...: run the command, and write its exit code, seconds and peak memory to REPORT.

It imports next to nothing: on Linux the ru_maxrss of a process begins with the memory of the one that started it, which
must be less than what is measured. https://man7.org/linux/man-pages/man2/getrusage.2.html
"""

import os
import sys
import time

report, *command = sys.argv[1:]
begun = time.monotonic()
pid = os.posix_spawnp(command[0], command, os.environ)
_, status, usage = os.wait4(pid, 0)
seconds = time.monotonic() - begun
mebibytes = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
with open(report, "w") as file:  # noqa: PTH123 - pathlib costs memory
    file.write(f"{os.waitstatus_to_exitcode(status)} {seconds} {mebibytes}")
