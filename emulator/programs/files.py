"""Who looks at the files of a volume in a container, and writes there. Beside the AWS CLI (aws_cli.py) there are

    test -d|-f|-e PATH    echo TEXT > PATH    touch PATH    rm PATH

of paths on EFS volumes of a container; whatever else it does with files is not imitated.
"""

from __future__ import annotations

import hashlib
import posixpath
from dataclasses import dataclass

from emulator.core.world import World
from emulator.ecs import problems
from emulator.ecs.containers import PROGRAMS, Outcome
from emulator.ecs.state import Item, Task
from emulator.efs import file_systems
from emulator.efs.contents import File, Files, files_of

READ_ONLY = "[Errno 30] Read-only file system"


@dataclass
class Place:
    """A path in a container: the volume's files, where they are mounted, and the error of writing there."""

    files: Files
    mount: str
    path: str
    hindered: str = ""

    def inside(self, path: str) -> str:
        """As the volume has it."""
        return posixpath.relpath(posixpath.normpath(path), self.mount).removeprefix("./")

    def under(self) -> Files:
        """The files under it, by their paths from there."""
        start = "" if self.inside(self.path) == "." else f"{self.inside(self.path)}/"
        return {path.removeprefix(start): found for path, found in self.files.items() if path.startswith(start)}

    def one(self) -> File | None:
        return self.files.get(self.inside(self.path))

    def is_folder(self) -> bool:
        """An empty one is remembered of the volume's root alone."""
        return self.inside(self.path) == "." or bool(self.under())

    def write(self, path: str, file: File) -> None:
        self.files[self.inside(path)] = file

    def remove(self, path: str) -> None:
        self.files.pop(self.inside(path), None)


def place_of(world: World, task: Task, container: Item, path: str, role: str | None) -> Place:
    """What is on no volume begins empty."""
    wanted = posixpath.normpath(path)
    for mount in container.get("mountPoints", []):
        at = posixpath.normpath(mount["containerPath"])
        if wanted != at and not wanted.startswith(f"{at}/"):
            continue
        [volume] = [each for each in task.definition["volumes"] if each["name"] == mount["sourceVolume"]]
        settings = volume.get("efsVolumeConfiguration")
        if settings is None:
            break
        point_id = (settings.get("authorizationConfig") or {}).get("accessPointId")
        directory = (
            file_systems.directory_of(world, task.region, point_id)
            if point_id
            else settings.get("rootDirectory") or "/"
        )
        hindered = (
            READ_ONLY if mount.get("readOnly") else file_systems.write_problem(world, task.region, settings, role)
        )
        return Place(files_of(world, settings["fileSystemId"], directory), at, wanted, hindered)
    return Place({}, wanted, wanted)


def test(world: World, task: Task, container: Item, words: list[str]) -> Outcome:
    """Of paths on volumes; whatever else is tested is true."""
    if len(words) != 2 or words[0] not in ("-d", "-f", "-e") or not _on_a_volume(container, words[1]):
        return Outcome()
    place = place_of(world, task, container, words[1], None)
    found = {"-d": place.is_folder(), "-f": place.one() is not None}
    return Outcome(code=int(not (found.get(words[0]) or (words[0] == "-e" and any(found.values())))))


def touch(world: World, task: Task, container: Item, words: list[str]) -> Outcome:
    done = []
    for path in [each for each in words if not each.startswith("-")]:
        if not place_of(world, task, container, path, None).one():
            done.append(to_file(world, task, container, [path, ""]))
    return Outcome(
        [line for each in done for line in each.lines], code=max((each.code or 0 for each in done), default=0)
    )


def remove(world: World, task: Task, container: Item, words: list[str]) -> Outcome:
    """`rm`, of files and with -r of folders."""
    for path in [each for each in words if not each.startswith("-")]:
        place = place_of(world, task, container, path, problems.role_within(world, task))
        inside = place.inside(path)
        for name in [each for each in place.files if each == inside or each.startswith(f"{inside}/")]:
            if place.hindered:
                return Outcome([(0.0, f"rm: can't remove '{path}': {place.hindered.partition('] ')[2]}")], code=1)
            place.remove(posixpath.join(place.mount, name))
    return Outcome()


def to_file(world: World, task: Task, container: Item, words: list[str]) -> Outcome:
    """What a command writes to a file: `words` are its path and the text."""
    path, text = words
    place = place_of(world, task, container, path, problems.role_within(world, task))
    if place.hindered:
        return Outcome([(0.0, f"sh: can't create {path}: {place.hindered.partition('] ')[2]}")], code=1)
    content = text.encode()
    etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
    place.write(path, File(len(content), etag, content, world.timestamp().timestamp()))
    return Outcome()


def _on_a_volume(container: Item, path: str) -> bool:
    mounts = [posixpath.normpath(each["containerPath"]) for each in container.get("mountPoints", [])]
    return any(posixpath.normpath(path) == at or posixpath.normpath(path).startswith(f"{at}/") for at in mounts)


PROGRAMS |= {"test": test, "touch": touch, "rm": remove, ">": to_file}
