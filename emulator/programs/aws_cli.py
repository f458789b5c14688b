"""The AWS CLI in an emulated container: `aws s3 sync` and `aws s3 cp` between a bucket and EFS, and `aws s3 ls`.

The bucket is moto's. What is on a file system is a dict, by the directory that an access point shows as its root: path
-> file. It stays from task to task, and goes with its file system; who else
writes there is in emulator/programs/files.py. https://docs.aws.amazon.com/cli/latest/reference/s3/sync.html
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from datetime import timezone
from typing import Any

from moto.s3.models import s3_backends

from emulator.core import partitions
from emulator.core.world import ACCOUNT, World
from emulator.ecs import problems
from emulator.ecs.containers import PROGRAMS, Outcome
from emulator.ecs.state import Item, Task
from emulator.efs.contents import File
from emulator.iam.policies import may
from emulator.programs import files

STARTS, EACH = 2.0, 0.5  # AWS seconds until the first line, and for each file
#: so long a connection to nowhere takes to be given up, with the CLI's retries
TIMEOUT = 300.0
FLAGS = ("--delete", "--exact-timestamps", "--size-only", "--no-progress", "--dryrun", "--only-show-errors", "--quiet")
NO_LIST = "An error occurred ({}) when calling the ListObjectsV2 operation: {}"
DENIED = "An error occurred (AccessDenied) when calling the {} operation: Access Denied"
#: the directory in which the CLI's image starts its commands: it writes paths as seen from there
WORKING_DIRECTORY = "/aws"


def run(world: World, task: Task, container: Item, words: list[str]) -> Outcome:
    """`aws` with these words. Only what these scripts use is known; any other command runs on until it is stopped."""
    if words[:1] == ["s3"] and not problems.reaches(world, task, "s3"):
        line = f'Could not connect to the endpoint URL: "https://s3.{task.region}.amazonaws.com/"'
        return Outcome([(TIMEOUT, f"fatal error: {line}" if words[1:2] in (["sync"], ["cp"]) else line)], TIMEOUT, 1)
    role = problems.role_within(world, task)
    if words[:1] == ["s3"] and not role:
        line = "Unable to locate credentials"
        return (
            Outcome([(1.0, f"fatal error: {line}")], 1.0, 1)
            if words[1:2] in (["sync"], ["cp"])
            else Outcome([(1.0, line)], 1.0, 253)
        )
    if words[:2] == ["s3", "ls"] and len(words) == 3:
        return _ls(task, role, words[2])
    if words[:1] != ["s3"] or words[1:2] not in (["sync"], ["cp"]):
        return Outcome(code=None)
    arguments = [word for word in words[2:] if not word.startswith("--")]
    unknown = [word for word in words[2:] if word.startswith("--") and word not in FLAGS]
    if unknown or len(arguments) != 2:
        return Outcome([(1.0, f"Unknown options: {','.join(unknown) or arguments}")], 1.0, 252)
    [url] = [each for each in arguments if each.startswith("s3://")] or [""]
    if not url or (words[1] == "cp" and "--delete" in words):
        return Outcome([(1.0, "aws: [ERROR]: Error: Invalid argument type")], 1.0, 252)
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    local = next(each for each in arguments if each != url)
    copy = Copy(world, task, container, role, bucket, prefix, local, arguments[0] == url, set(words))
    return copy.sync() if words[1] == "sync" else copy.cp()


def _ls(task: Task, role: str, source: str) -> Outcome:
    """Ends with 1 where a folder has nothing, but with 0 for a whole bucket without an object."""
    name, _, prefix = source.removeprefix("s3://").partition("/")
    bucket = s3_backends[ACCOUNT][partitions.here()].buckets.get(name)
    if bucket is None:
        return Outcome([(1.0, NO_LIST.format("NoSuchBucket", "The specified bucket does not exist"))], 1.0, 254)
    if not may(role, "s3:ListBucket", f"arn:{partitions.here()}:s3:::{name}", {"s3:prefix": prefix}):
        reason = _denied(role, task, "s3:ListBucket", f"arn:{partitions.here()}:s3:::{name}")
        return Outcome([(1.0, NO_LIST.format("AccessDenied", reason))], 1.0, 254)
    found = [key for key in bucket.keys if key.startswith(prefix)]
    return Outcome([(1.0, key.removeprefix(prefix)) for key in found], 1.0, int(bool(prefix) and not found))


@dataclass
class Copy:
    """One `aws s3 sync` or `aws s3 cp`: between a bucket and a path in the container, one way or the other."""

    world: World
    task: Task
    container: Item
    role: str
    name: str
    prefix: str
    local: str
    down: bool
    flags: set[str]

    @property
    def bucket(self) -> Any:
        backend: Any = s3_backends[ACCOUNT][partitions.here()]
        return backend.buckets.get(self.name)

    def may(self, action: str, key: str = "", **context: str) -> bool:
        resource = f"arn:{partitions.here()}:s3:::{self.name}{f'/{key}' if key else ''}"
        return bool(may(self.role, f"s3:{action}", resource, context))

    def objects(self, folder: str) -> dict[str, File]:
        """By what follows the folder in their keys; what only stands for a folder is none."""
        return {
            key.removeprefix(folder): File(int(found.size), str(found.etag).strip('"'), found.value, when(found))
            for key, found in self.bucket.keys.items()
            if key.startswith(folder) and not key.endswith("/")
        }

    def sync(self) -> Outcome:
        """Compare the two sides, copy what differs, and with --delete take away what the source does not have."""
        folder = f"{self.prefix.rstrip('/')}/" if self.prefix.rstrip("/") else ""
        if self.bucket is None:
            return _fatal("NoSuchBucket", "The specified bucket does not exist")
        if not may(self.role, "s3:ListBucket", f"arn:{partitions.here()}:s3:::{self.name}", {"s3:prefix": folder}):
            arn = f"arn:{partitions.here()}:s3:::{self.name}"
            return _fatal("AccessDenied", _denied(self.role, self.task, "s3:ListBucket", arn))
        place = files.place_of(self.world, self.task, self.container, self.local, self.role)
        if not self.down and not place.is_folder():
            line = f"The user-provided path {self.local} does not exist."
            return Outcome([(STARTS, line)], STARTS, 255)
        there, here = self.objects(folder), place.under()
        source, target = (there, here) if self.down else (here, there)
        steps = []
        for path in sorted(source.keys() | target.keys()):
            if path not in source and "--delete" in self.flags:
                steps.append(self.delete(place, folder, path))
            elif path in source and not (path in target and self.same(source[path], target[path])):
                steps.append(self.copy(place, folder + path, posixpath.join(self.local, path), source[path]))
        return _told(steps)

    def cp(self) -> Outcome:
        """One file; where the target ends with a slash, or is a folder, under its own name."""
        place = files.place_of(self.world, self.task, self.container, self.local, self.role)
        if self.down:
            if self.bucket is None or not self.may("GetObject", self.prefix):
                return _fatal_head("403" if self.bucket else "404", "Forbidden" if self.bucket else "Not Found")
            found = self.objects("").get(self.prefix)
            if found is None:
                return _fatal_head("404", f'Key "{self.prefix}" does not exist')
            into = self.local.endswith("/") or place.is_folder()
            path = posixpath.join(self.local, self.prefix.rpartition("/")[2]) if into else self.local
            return _told([self.copy(place, self.prefix, path, found)])
        name = self.local.rpartition("/")[2]
        here = place.one()
        if here is None:
            return Outcome([(STARTS, f"The user-provided path {self.local} does not exist.")], STARTS, 255)
        key = f"{self.prefix}{name}" if not self.prefix or self.prefix.endswith("/") else self.prefix
        return _told([self.copy(place, key, self.local, here)])

    def same(self, source: File, target: File) -> bool:
        """By default a file that has the size of the newer object is left as it is."""
        if not self.down:
            return source.size == target.size and source.written <= target.written
        return source[:2] == target[:2] if "--exact-timestamps" in self.flags else source.size == target.size

    def copy(self, place: files.Place, key: str, path: str, found: File) -> tuple[str, bool]:
        """The line that tells it, and whether it went well."""
        ends = (f"s3://{self.name}/{key}", posixpath.relpath(path, WORKING_DIRECTORY))
        word, (source, target) = ("download", ends) if self.down else ("upload", ends[::-1])
        step = f"{source} to {target}"
        if "--dryrun" in self.flags:
            return f"(dryrun) {word}: {step}", True
        action = "GetObject" if self.down else "PutObject"
        if not self.may(action, key):
            return f"{word} failed: {step} {DENIED.format(action)}", False
        if self.down and place.hindered:
            return f"{word} failed: {step} {place.hindered}: '{path}'", False
        if self.down:
            place.write(path, found)
        else:
            stored: Any = s3_backends[ACCOUNT][partitions.here()]
            stored.put_object(self.name, key, found.content)
            stored.buckets[self.name].keys[key].last_modified = self.world.timestamp().replace(tzinfo=None)
        return f"{word}: {step}", True

    def delete(self, place: files.Place, folder: str, path: str) -> tuple[str, bool]:
        local = posixpath.join(self.local, path)
        target = posixpath.relpath(local, WORKING_DIRECTORY) if self.down else f"s3://{self.name}/{folder}{path}"
        if "--dryrun" in self.flags:
            return f"(dryrun) delete: {target}", True
        if not self.down and not self.may("DeleteObject", folder + path):
            return f"delete failed: {target} {DENIED.format('DeleteObject')}", False
        if self.down and place.hindered:
            return f"delete failed: {target} {place.hindered}: '{local}'", False
        if self.down:
            place.remove(local)
        else:
            backend: Any = s3_backends[ACCOUNT][partitions.here()]
            backend.delete_object(self.name, folder + path)
        return f"delete: {target}", True


def when(found: Any) -> float:
    return float(found.last_modified.replace(tzinfo=timezone.utc).timestamp())


def _told(steps: list[tuple[str, bool]]) -> Outcome:
    lines = [(STARTS + EACH * number, line) for number, (line, _) in enumerate(steps)]
    return Outcome(lines, STARTS + EACH * len(steps), int(not all(well for _, well in steps)))


def _denied(role: str, task: Task, action: str, resource: str) -> str:
    return (
        f"User: arn:{partitions.here()}:sts::{ACCOUNT}:assumed-role/{role}/{task.id} is not authorized to perform: "
        f'{action} on resource: "{resource}" because no identity-based policy allows the {action} action'
    )


def _fatal(code: str, message: str) -> Outcome:
    line = f"fatal error: An error occurred ({code}) when calling the ListObjectsV2 operation: {message}"
    return Outcome([(STARTS, line)], STARTS, 1)


def _fatal_head(code: str, message: str) -> Outcome:
    line = f"fatal error: An error occurred ({code}) when calling the HeadObject operation: {message}"
    return Outcome([(STARTS, line)], STARTS, 1)


PROGRAMS["aws"] = run
