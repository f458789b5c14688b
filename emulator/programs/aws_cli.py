"""The AWS CLI in an emulated container: `aws s3 sync` from a bucket to a directory on EFS, and `aws s3 ls`.

The bucket is moto's. What is on a file system is a dict: directory -> path -> (size, ETag); only this command and
`files_of` know it. https://docs.aws.amazon.com/cli/latest/reference/s3/sync.html
"""

from __future__ import annotations

import posixpath

from moto.s3.models import s3_backends

from emulator.core import partitions
from emulator.core.world import ACCOUNT, World
from emulator.ecs import problems
from emulator.ecs.containers import PROGRAMS, Outcome
from emulator.ecs.state import Item, Task
from emulator.efs import file_systems
from emulator.iam.policies import may

Files = dict[str, tuple[int, str]]

STARTS, EACH = 2.0, 0.5  # AWS seconds until the first line, and for each file
#: so long a connection to nowhere takes to be given up, with the CLI's retries
TIMEOUT = 300.0
FLAGS = ("--delete", "--exact-timestamps", "--size-only", "--no-progress", "--dryrun", "--only-show-errors", "--quiet")
NO_LIST = "An error occurred ({}) when calling the ListObjectsV2 operation: {}"
READ_ONLY = "[Errno 30] Read-only file system"
#: the directory in which the CLI's image starts its commands: it writes paths as seen from there
WORKING_DIRECTORY = "/aws"


def files_of(world: World, file_system_id: str, directory: str) -> Files:
    """What is in a directory of a file system, to look at and to change."""
    held: dict[tuple[str, str], Files] = world.state["efs_files"]
    return held.setdefault((file_system_id, posixpath.normpath(directory)), {})


def run(world: World, task: Task, container: Item, words: list[str]) -> Outcome:
    """`aws` with these words. Only what these scripts use is known; any other command runs on until it is stopped."""
    if words[:1] == ["s3"] and not problems.reaches(world, task, "s3"):
        line = f'Could not connect to the endpoint URL: "https://s3.{task.region}.amazonaws.com/"'
        return Outcome([(TIMEOUT, f"fatal error: {line}" if words[1:2] == ["sync"] else line)], TIMEOUT, 1)
    role = problems.role_within(world, task)
    if words[:1] == ["s3"] and not role:
        line = "Unable to locate credentials"
        return (
            Outcome([(1.0, f"fatal error: {line}")], 1.0, 1)
            if words[1:2] == ["sync"]
            else Outcome([(1.0, line)], 1.0, 253)
        )
    if words[:2] == ["s3", "ls"] and len(words) == 3:
        return _ls(task, role, words[2])
    if words[:2] != ["s3", "sync"]:
        return Outcome(code=None)
    arguments = [word for word in words[2:] if not word.startswith("--")]
    unknown = [word for word in words[2:] if word.startswith("--") and word not in FLAGS]
    if unknown or len(arguments) != 2:
        return Outcome([(1.0, f"Unknown options: {','.join(unknown) or arguments}")], 1.0, 252)
    source, target = arguments
    if not source.startswith("s3://"):
        return Outcome(code=None)
    name, _, prefix = source.removeprefix("s3://").partition("/")
    folder = f"{prefix.rstrip('/')}/" if prefix else ""
    return _sync(world, task, role, container, name, folder, target, set(words))


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


def _sync(
    world: World, task: Task, role: str, container: Item, name: str, prefix: str, target: str, flags: set[str]
) -> Outcome:
    bucket = s3_backends[ACCOUNT][partitions.here()].buckets.get(name)
    if bucket is None:
        return _fatal("NoSuchBucket", "The specified bucket does not exist")
    arn = f"arn:{partitions.here()}:s3:::{name}"
    if not may(role, "s3:ListBucket", arn, {"s3:prefix": prefix}):
        return _fatal("AccessDenied", _denied(role, task, "s3:ListBucket", arn))
    there: Files = {
        key.removeprefix(prefix): (int(found.size), str(found.etag).strip('"'))
        for key, found in bucket.keys.items()
        if key.startswith(prefix) and not key.endswith("/")
    }
    place, hindered = _directory(world, task, container, target, role)
    return _copy(role, name, prefix, target, there, place, hindered, flags)


def _copy(
    role: str, name: str, prefix: str, target: str, there: Files, place: Files, hindered: str, flags: set[str]
) -> Outcome:
    """Make the directory what the bucket's folder is, and say what was done."""
    dry, code, told = "--dryrun" in flags, 0, []
    for path in sorted(there.keys() | place.keys()):
        local = posixpath.relpath(posixpath.join(target, path), WORKING_DIRECTORY)
        step = f"download: s3://{name}/{prefix}{path} to {local}" if path in there else f"delete: {local}"
        if path not in there and "--delete" not in flags:
            continue
        if path in there and path in place and _same(there[path], place[path], flags):
            continue
        if dry:
            told.append(f"(dryrun) {step}")
        elif path in there and not may(role, "s3:GetObject", f"arn:{partitions.here()}:s3:::{name}/{prefix}{path}"):
            reason = "An error occurred (AccessDenied) when calling the GetObject operation: Access Denied"
            told.append(f"download failed: {step.removeprefix('download: ')} {reason}")
            code = 1
        elif hindered:
            kind = "download failed" if path in there else "delete failed"
            told.append(f"{kind}: {step.partition(': ')[2]} {hindered}: '{target}/{path}'")
            code = 1
        elif path in there:
            place[path] = there[path]
            told.append(step)
        else:
            del place[path]
            told.append(step)
    lines = [(STARTS + EACH * number, line) for number, line in enumerate(told)]
    return Outcome(lines, STARTS + EACH * len(told), code)


def _same(source: tuple[int, str], present: tuple[int, str], flags: set[str]) -> bool:
    """By default a file that has the size of the newer object is left as it is."""
    return source == present if "--exact-timestamps" in flags else source[0] == present[0]


def _directory(world: World, task: Task, container: Item, target: str, role: str) -> tuple[Files, str]:
    """The files under a path in the container, and the error of writing there. What is on no volume begins empty."""
    for mount in container.get("mountPoints", []):
        if posixpath.normpath(target) != posixpath.normpath(mount["containerPath"]):
            continue
        [volume] = [each for each in task.definition["volumes"] if each["name"] == mount["sourceVolume"]]
        settings = volume.get("efsVolumeConfiguration")
        if settings is None:
            break
        authorization = settings.get("authorizationConfig") or {}
        point_id, system_id = authorization.get("accessPointId"), settings["fileSystemId"]
        directory = (
            file_systems.directory_of(world, task.region, point_id)
            if point_id
            else settings.get("rootDirectory") or "/"
        )
        hindered = (
            READ_ONLY if mount.get("readOnly") else file_systems.write_problem(world, task.region, settings, role)
        )
        return files_of(world, system_id, directory), hindered
    return {}, ""


def _denied(role: str, task: Task, action: str, resource: str) -> str:
    return (
        f"User: arn:{partitions.here()}:sts::{ACCOUNT}:assumed-role/{role}/{task.id} is not authorized to perform: "
        f'{action} on resource: "{resource}" because no identity-based policy allows the {action} action'
    )


def _fatal(code: str, message: str) -> Outcome:
    line = f"fatal error: An error occurred ({code}) when calling the ListObjectsV2 operation: {message}"
    return Outcome([(STARTS, line)], STARTS, 1)


PROGRAMS["aws"] = run
