"""What is on a file system: files, by the directory that an access point shows as its root.

They stay from task to task, and go with their file system. Who writes them is in emulator/programs.
"""

from __future__ import annotations

import posixpath
from typing import NamedTuple

from emulator.core import rules
from emulator.core.rules import held
from emulator.core.world import World

rules.SENTENCES["efs-data"] = (
    "What a container writes to a volume is there for whoever mounts the same directory, and goes with the file system."
)
held("efs-data", "programs.files and programs.aws_cli: aws s3, touch, rm, echo > FILE")


class File(NamedTuple):
    size: int
    etag: str
    content: bytes
    written: float  # when, in seconds of the emulated time of day


Files = dict[str, File]


def files_of(world: World, file_system_id: str, directory: str) -> Files:
    """What is in a directory of a file system, to look at and to change."""
    held: dict[tuple[str, str], Files] = world.state["efs_files"]
    return held.setdefault((file_system_id, posixpath.normpath(directory)), {})


def forget(world: World, file_system_id: str) -> None:
    """The data goes with its file system."""
    held: dict[tuple[str, str], Files] = world.state["efs_files"]
    for key in [key for key in held if key[0] == file_system_id]:
        del held[key]
