"""CodeBuild: projects, and builds that walk through their phases, write their log, and push the image they name.

https://docs.aws.amazon.com/codebuild/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import io
import json
import re
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from moto.core.exceptions import ServiceException
from moto.core.exceptions import _RESTError as MotoError
from moto.s3.models import s3_backends

from emulator.codestar_connections.connections import Commit
from emulator.core import partitions, rules
from emulator.core.rules import AwsError, Call, Params, held, on
from emulator.core.tags import Tags, bearer, plain
from emulator.core.world import ACCOUNT, World
from emulator.ecr.repositories import BUILT, put_image, repository_has_image, repository_policy
from emulator.iam import roles as iam_roles
from emulator.iam.policies import decide_for_role, may, refusal
from emulator.iam.trust import assumable
from emulator.logs import log_groups

rules.SENTENCES.update(
    {
        "cb-001": "A project's service role must exist, have spread, let CodeBuild assume it for the project, and with a "
        "VPC be allowed to look at it.",
        "cb-002": "A project's name is its own; deleting a missing project succeeds; builds and log groups remain.",
        "cb-003": "A project's name and compute type are checked, and docker builds fail without privileged mode.",
        "cb-004": "A curated image for ARM needs an environment of type ARM_CONTAINER, and one for x86 none of that type.",
        "cb-push": "A build may do what its role may: sign in to ECR and push; a tag that an immutable repository has "
        "already is refused. A buildspec that is not in the source, or a full clone without the right to use the "
        "connection, fails it before anything is built.",
        "cb-s3": "A build of a zip in S3 needs a role that may read it; docker build needs the Dockerfile that it names in it.",
    }
)

held("cb-push ecs-085", "every build")

#: phase -> AWS seconds
PHASES = {
    "SUBMITTED": 1,
    "QUEUED": 1,
    "PROVISIONING": 12,
    "DOWNLOAD_SOURCE": 4,
    "INSTALL": 5,
    "PRE_BUILD": 8,
    "BUILD": 60,
    "POST_BUILD": 15,
    "UPLOAD_ARTIFACTS": 2,
    "FINALIZING": 2,
}
TYPES = (
    *("LINUX_CONTAINER", "LINUX_GPU_CONTAINER", "ARM_CONTAINER", "WINDOWS_CONTAINER"),
    *("WINDOWS_SERVER_2019_CONTAINER", "WINDOWS_SERVER_2022_CONTAINER", "LINUX_LAMBDA_CONTAINER"),
    *("ARM_LAMBDA_CONTAINER", "LINUX_EC2", "ARM_EC2", "WINDOWS_EC2", "MAC_ARM"),
)
GPU_COMPUTE = ("BUILD_GENERAL1_SMALL", "BUILD_GENERAL1_LARGE")
#: what docker push asks of ECR for a repository: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
PUSHING = ("BatchCheckLayerAvailability", "InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload", "PutImage")
NO_DAEMON = "ERROR: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
ASSIGNMENT = re.compile(r"^[\s-]*(?:export )?([A-Za-z_]\w*)=(\S*)\s*$", re.MULTILINE)
EXPANSION = re.compile(r"\$(?:(\w+)|\{(\w+)(?::(\d+):(\d+)|%%([^}]+))?\})")
DOCKERFILE = re.compile(r"""docker build .*?--file "?([^"\s]+)""")
PUSH = re.compile(r"docker push\s+\"?\S*?(?:/|\b)([\w./-]+):([\w.-]+)")
SETTINGS = (
    *("description", "source", "secondarySources", "sourceVersion", "artifacts", "secondaryArtifacts", "cache"),
    *("environment", "serviceRole", "timeoutInMinutes", "queuedTimeoutInMinutes", "encryptionKey", "tags"),
    *("vpcConfig", "logsConfig", "fileSystemLocations", "concurrentBuildLimit"),
)


@dataclass
class Build:
    shown: Params
    buildspec: str
    started: float
    failing: str | None = None  # the phase in which it fails
    why: str = "Error while executing command: docker build. Reason: exit status 1"
    told: list[str] = field(default_factory=list)  # what it writes as it fails
    stopped: float | None = None
    over: bool = False  # all that it does by itself is done
    produced: dict[str, str] = field(default_factory=dict)  # path -> text of what it hands on

    def fail(self, phase: str, why: str, *told: str) -> None:
        if self.failing is None:
            self.failing, self.why, self.told = phase, why, list(told)


@dataclass
class Region:
    projects: dict[str, Params] = field(default_factory=dict)
    builds: dict[str, Build] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)


def here(world: World, region: str) -> Region:
    state: dict[str, Region] = world.state["codebuild"]
    return state.setdefault(region, Region())


def _wrong(message: str) -> AwsError:
    return AwsError("InvalidInputException", message)


# --- projects


@on("codebuild", "CreateProject", rules="cb-001 cb-002 cb-003 cb-004")
def create_project(call: Call) -> Params:
    """https://docs.aws.amazon.com/codebuild/latest/APIReference/API_CreateProject.html"""
    state, name = here(call.world, call.region), call.params["name"]
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9\-_]{1,149}", name):
        raise _wrong(
            "Invalid project name: must match [A-Za-z0-9][A-Za-z0-9\\-_]{1,149} and have between 2 and 150 characters"
        )
    arn = f"arn:{partitions.here()}:codebuild:{call.region}:{call.account}:project/{name}"
    _check_settings(call, call.params)
    if name in state.projects:
        raise AwsError("ResourceAlreadyExistsException", f"Project already exists: {arn}")
    now = call.world.timestamp()
    shown = {"name": name, "arn": arn, "created": now, "lastModified": now, "timeoutInMinutes": 60}
    shown |= {
        "queuedTimeoutInMinutes": 480,
        "cache": {"type": "NO_CACHE"},
        "tags": [],
        "badge": {"badgeEnabled": False},
    }
    shown |= {"encryptionKey": f"arn:{partitions.here()}:kms:{call.region}:{call.account}:alias/aws/s3"}
    state.projects[name] = {**shown, **{key: call.params[key] for key in SETTINGS if key in call.params}}
    return {"project": state.projects[name]}


def _check_settings(call: Call, given: Params) -> None:
    if environment := given.get("environment"):
        if environment["type"] not in TYPES:
            raise _wrong(f"Invalid environment type: {environment['type']}")
        _check_image(environment["image"], environment["type"], environment["computeType"])
        if environment["type"] == "LINUX_GPU_CONTAINER" and environment["computeType"] not in GPU_COMPUTE:
            raise _wrong(
                "The compute type must be BUILD_GENERAL1_SMALL or BUILD_GENERAL1_LARGE for LINUX_GPU_CONTAINER"
            )
    if source := given.get("source"):
        no_location = ("CODEPIPELINE", "NO_SOURCE")
        if source["type"] not in no_location and not source.get("location"):
            raise _wrong("Project source location is required")
        if source["type"] == "NO_SOURCE" and not source.get("buildspec"):
            raise _wrong("A buildspec is required if the source type is NO_SOURCE")
        artifacts = given.get("artifacts", {}).get("type")
        if artifacts and (source["type"] == "CODEPIPELINE") != (artifacts == "CODEPIPELINE"):
            raise _wrong("Source and artifacts must both be CODEPIPELINE, or neither of them")
    if role := given.get("serviceRole"):
        _check_role(call, role, bool(given.get("vpcConfig")))


def _check_image(image: str, kind: str, compute: str) -> None:
    """In AWS's words of https://github.com/aws/copilot-cli/issues/3110"""
    if image.startswith("aws/codebuild/") and ("aarch64" in image) != kind.startswith("ARM_"):
        raise _wrong(
            f"AWS CodeBuild curated image {image} is not supported for projects with environment type {kind} and compute "
            f"type {compute}"
        )


def _check_role(call: Call, role: str, in_vpc: bool) -> None:
    if not re.fullmatch(r"arn:[^:]+:iam::\d{12}:role/.+", role):
        raise _wrong(f"Invalid service role: {role}")
    arn = f"arn:{partitions.here()}:codebuild:{call.region}:{call.account}:project/{call.params['name']}"
    if not assumable(call.world, role, "codebuild.amazonaws.com", arn):
        raise _wrong(f"CodeBuild is not authorized to perform: sts:AssumeRole on {role}")
    if in_vpc and not may(role, "ec2:DescribeSecurityGroups"):
        raise _wrong("Not authorized to perform DescribeSecurityGroups")


@on("codebuild", "UpdateProject", rules="cb-001 cb-003 cb-004")
def update_project(call: Call) -> Params:
    project = _project(call, call.params["name"])
    _check_settings(call, call.params)
    project |= {key: call.params[key] for key in SETTINGS if key in call.params}
    project["lastModified"] = call.world.timestamp()
    return {"project": project}


def _project(call: Call, name: str) -> Params:
    found = here(call.world, call.region).projects.get(name.rpartition("/")[2])
    if found is None:
        arn = f"arn:{partitions.here()}:codebuild:{call.region}:{call.account}:project/{name}"
        raise AwsError("ResourceNotFoundException", f"Project cannot be found: {arn}")
    return found


@on("codebuild", "DeleteProject", rules="cb-002")
def delete_project(call: Call) -> Params:
    here(call.world, call.region).projects.pop(call.params["name"].rpartition("/")[2], None)
    return {}


@on("codebuild", "BatchGetProjects")
def batch_get_projects(call: Call) -> Params:
    known = here(call.world, call.region).projects
    names = [name.rpartition("/")[2] for name in call.params["names"]]
    found = [known[name] for name in names if name in known]
    return {"projects": found, "projectsNotFound": [name for name in names if name not in known]}


@on("codebuild", "ListProjects")
def list_projects(call: Call) -> Params:
    return {"projects": sorted(here(call.world, call.region).projects)}


# --- builds


@on("codebuild", "StartBuild")
def start_build(call: Call) -> Params:
    state, token = here(call.world, call.region), call.params.get("idempotencyToken")
    if token and token in state.tokens:
        return {"build": shown(call.world, state.builds[state.tokens[token]])}
    project = _project(call, call.params["projectName"])
    made = start(call.world, call.region, project, call.params)
    if token:
        state.tokens[token] = made.shown["id"]
    return {"build": shown(call.world, made)}


def start(
    world: World, region: str, project: Params, given: Params, commit: Commit | None = None, connection: str = ""
) -> Build:
    """Start a build of a project, with StartBuild's overrides; a pipeline does so too, with a commit of its source."""
    state, name, identifier = here(world, region), project["name"], str(uuid.uuid4())
    state.numbers[name] = state.numbers.get(name, 0) + 1
    source, environment = {**project["source"]}, {**project["environment"]}
    source |= {
        key: given[f"source{key.title()}Override"]
        for key in ("type", "location")
        if f"source{key.title()}Override" in given
    }
    variables = {one["name"]: one for one in environment.get("environmentVariables", [])}
    variables |= {one["name"]: one for one in given.get("environmentVariablesOverride", [])}
    environment["environmentVariables"] = list(variables.values())
    if "privilegedModeOverride" in given:
        environment["privilegedMode"] = given["privilegedModeOverride"]
    group = (project.get("logsConfig") or {}).get("cloudWatchLogs", {}).get("groupName") or f"/aws/codebuild/{name}"
    facts = {
        "id": f"{name}:{identifier}",
        "arn": f"arn:{partitions.here()}:codebuild:{region}:{ACCOUNT}:build/{name}:{identifier}",
        "buildNumber": state.numbers[name],
        "projectName": name,
        "source": source,
        "environment": environment,
        "serviceRole": project["serviceRole"],
        "logs": {"groupName": group, "streamName": identifier},
        "timeoutInMinutes": project["timeoutInMinutes"],
        "queuedTimeoutInMinutes": project["queuedTimeoutInMinutes"],
        "initiator": given.get("initiator", "emulator"),
        "encryptionKey": project["encryptionKey"],
        "artifacts": {"location": ""},
    }
    if version := given.get("sourceVersion") or project.get("sourceVersion"):
        facts["sourceVersion"] = version
    buildspec = given.get("buildspecOverride") or source.get("buildspec") or ""
    if commit:
        facts["sourceVersion"] = facts["resolvedSourceVersion"] = commit.id
    made = Build(facts, buildspec, world.now())
    if commit:
        _read_source(made, commit, connection)
    elif source["type"] == "S3":
        _read_zip(region, made)
    if "docker build" in made.buildspec and not environment.get("privilegedMode"):
        made.fail("BUILD", made.why, NO_DAEMON)
    if commit and commit.fails:
        made.fail(commit.fails, made.why, "ERROR: failed to solve: process did not complete successfully: exit code: 1")
    _demand_log(world, region, made)
    state.builds[facts["id"]] = made
    _plan_log(world, region, made)
    return made


def _session(build: Build) -> str:
    return iam_roles.session_arn(build.shown["serviceRole"], f"AWSCodeBuild-{build.shown['logs']['streamName']}")


def _demand_log(world: World, region: str, build: Build) -> None:
    """A build begins only with a log: the role makes the stream, and its group where that is missing."""
    place, role = build.shown["logs"], build.shown["serviceRole"]
    group = f"arn:{partitions.here()}:logs:{region}:{ACCOUNT}:log-group:{place['groupName']}"
    needed = {"logs:CreateLogStream": f"{group}:log-stream:{place['streamName']}"}
    if not log_groups.group_exists(world, region, place["groupName"]):
        needed = {"logs:CreateLogGroup": f"{group}:log-stream:", **needed}
    for action, arn in needed.items():
        decision = decide_for_role(role, action, arn)
        if not decision:
            told = f"Error message: {refusal(decision, _session(build), action, arn)}"
            does_not = "does not allow AWS CodeBuild to create Amazon CloudWatch Logs log streams for build"
            build.fail("SUBMITTED", f"ACCESS_DENIED: Service role {role} {does_not} {build.shown['arn']}. {told}")


def _may_log(region: str, build: Build) -> bool:
    place = build.shown["logs"]
    arn = f"arn:{partitions.here()}:logs:{region}:{ACCOUNT}:log-group:{place['groupName']}:log-stream:{place['streamName']}"
    return may(build.shown["serviceRole"], "logs:PutLogEvents", arn)


held("cb-s3", "a build whose source is S3")


def _read_zip(region: str, build: Build) -> None:
    """https://docs.aws.amazon.com/codebuild/latest/userguide/sample-multi-in-out.html"""
    bucket, _, key = build.shown["source"]["location"].removeprefix("arn:aws:s3:::").partition("/")
    arn = f"arn:{partitions.here()}:s3:::{bucket}/{key}"
    decision = decide_for_role(build.shown["serviceRole"], "s3:GetObject", arn)
    if not decision:
        told = f"error while downloading key {key}, error: AccessDenied: {refusal(decision, _session(build), 's3:GetObject', arn)}"
        build.fail("DOWNLOAD_SOURCE", told)
        return
    found = s3_backends[ACCOUNT][partitions.here()].buckets.get(bucket)
    stored = found.keys.get(key) if found else None
    if stored is None:
        build.fail(
            "DOWNLOAD_SOURCE", f"error while downloading key {key}, error: NoSuchKey: The specified key does not exist."
        )
        return
    with zipfile.ZipFile(io.BytesIO(stored.value)) as zipped:
        paths = zipped.namelist()
    values = {one["name"]: one["value"] for one in build.shown["environment"]["environmentVariables"]}
    named = DOCKERFILE.search(expanded(build.buildspec, values))
    dockerfile = named[1] if named else "Dockerfile"
    if "docker build" in build.buildspec and dockerfile not in paths:
        build.fail(
            "BUILD", build.why, f"ERROR: failed to solve: failed to read dockerfile: open {dockerfile}: no such file"
        )


def _read_source(build: Build, commit: Commit, connection: str) -> None:
    """Clone the repository, and find the buildspec in it, unless it is in the project itself."""
    role = build.shown["serviceRole"].rpartition("/")[2]
    actions = "codestar-connections:UseConnection", "codeconnections:UseConnection"
    if connection and not any(may(role, action, connection) for action in actions):
        build.fail("DOWNLOAD_SOURCE", "authorization failed for primary source and source version " + commit.id)
    if "\n" in build.buildspec or not re.fullmatch(r"[\w./-]*", build.buildspec):
        return
    path = build.buildspec or "buildspec.yml"
    build.buildspec = commit.files.get(path, "")
    if path not in commit.files:
        missing = f"stat /codebuild/output/src/{path}: no such file or directory"
        build.fail("DOWNLOAD_SOURCE", f"YAML_FILE_ERROR: {missing}", f"[Container] {missing}")


def _plan_log(world: World, region: str, build: Build) -> None:
    """Let the build write a line as each phase begins, and push its image as the phase BUILD ends."""
    passed = 0.0
    for phase, seconds in PHASES.items():
        if phase not in ("SUBMITTED", "QUEUED"):
            world.after(passed, _log, world, region, build, [f"[Container] Entering phase {phase}"], phase)
        passed += seconds
        if phase == "BUILD":
            world.after(passed, _push, world, region, build)
        world.after(passed, _end_phase, world, region, build, phase)


def _end_phase(world: World, region: str, build: Build, phase: str) -> None:
    build.over = build.over or phase in (build.failing, "FINALIZING")
    if phase == build.failing:
        lines = [*build.told, f"[Container] Phase complete: {phase} State: FAILED", f"[Container] {build.why}"]
        _log(world, region, build, lines, phase)


def _log(world: World, region: str, build: Build, lines: list[str], phase: str = "") -> None:
    order = list(PHASES)
    over = bool(build.failing and phase) and order.index(phase) > order.index(str(build.failing))
    if build.stopped is None and not over and _may_log(region, build):
        place = build.shown["logs"]
        log_groups.write(world, region, place["groupName"], place["streamName"], lines, create_group=True)


def expanded(text: str, values: dict[str, str]) -> str:
    """A text as bash reads it: $X, ${X}, ${X:0:12} and ${X%%/*}; what is not known stays as it is."""

    def value(match: re.Match[str]) -> str:
        plain, name, offset, length, suffix = match.groups()
        found = values.get(plain or name)
        if found is None:
            return match[0]
        if offset is not None:
            return found[int(offset) : int(offset) + int(length)]
        return found.partition(suffix.rstrip("*"))[0] if suffix else found

    return EXPANSION.sub(value, text)


def _push(world: World, region: str, build: Build) -> None:
    """Push what the buildspec pushes, its variables replaced, and note what there is to deploy."""
    if build.stopped is not None or build.failing:
        return
    values = {one["name"]: one["value"] for one in build.shown["environment"]["environmentVariables"]}
    values["CODEBUILD_RESOLVED_SOURCE_VERSION"] = build.shown.get("resolvedSourceVersion", "")
    for name, text in ASSIGNMENT.findall(build.buildspec):
        values[name] = expanded(text.strip("\"'"), values)
    text = expanded(build.buildspec, values)
    for repository, tag in PUSH.findall(text):
        name = repository.partition(f".{partitions.domain(region)}/")[2] or repository
        arn = f"arn:{partitions.here()}:ecr:{region}:{ACCOUNT}:repository/{name}"
        looks = "ecr describe-images" in text and may(build.shown["serviceRole"], "ecr:DescribeImages", arn)
        if looks and repository_has_image(world, region, name, tag):
            _log(world, region, build, [f"{repository}:{tag} is in the repository already"])
        else:
            _push_image(world, region, build, name, tag)
        shown = {"name": values.get("CONTAINER_NAME", "main"), "imageUri": f"{repository}:{tag}"}
        if "imagedefinitions.json" in text:
            build.produced["imagedefinitions.json"] = json.dumps([shown])


def _push_image(world: World, region: str, build: Build, name: str, tag: str) -> None:
    role = build.shown["serviceRole"].rpartition("/")[2]
    arn = f"arn:{partitions.here()}:ecr:{region}:{ACCOUNT}:repository/{name}"
    policy = repository_policy(region, name)
    for action, resource in (("GetAuthorizationToken", "*"), *((each, arn) for each in PUSHING)):
        decision = decide_for_role(role, f"ecr:{action}", resource, resource_policy=policy)
        if not decision:
            denied = f"denied: {refusal(decision, _session(build), f'ecr:{action}', resource)}"
            return build.fail("BUILD", "Error while executing command: docker push. Reason: exit status 1", denied)
    on_arm = build.shown["environment"]["type"].startswith("ARM")  # docker builds for the machine that it is on
    try:
        put_image(world, region, name, tag, replace(BUILT, platforms=("linux/arm64",)) if on_arm else BUILT)
    except AwsError as error:
        build.fail("BUILD", "Error while executing command: docker push. Reason: exit status 1", error.message)
    except (MotoError, ServiceException) as error:
        build.fail("BUILD", "Error while executing command: docker push. Reason: exit status 1", error.message)
    return None


def status(world: World, build: Build) -> str:
    """IN_PROGRESS, SUCCEEDED, FAILED or STOPPED."""
    if not build.over and build.stopped is None:
        return "IN_PROGRESS"  # time has jumped: what it does is still to come
    return str(shown(world, build)["buildStatus"])


def shown(world: World, build: Build) -> Params:
    """A build as BatchGetBuilds shows it now: the phases that have begun, and how they ended."""
    end = world.now() if build.stopped is None else build.stopped
    phases, begin, outcome = [], build.started, ""
    for phase, seconds in PHASES.items():
        over = begin + world.clock.delay(seconds)
        one = {"phaseType": phase, "startTime": _time(begin)}
        phases.append(one)
        if over > end:
            if build.stopped is not None:
                one |= {"phaseStatus": "STOPPED", "endTime": _time(end)}
                outcome = "STOPPED"
            break
        failed = phase == build.failing
        one |= {
            "phaseStatus": "FAILED" if failed else "SUCCEEDED",
            "endTime": _time(over),
            "durationInSeconds": seconds,
        }
        if failed:
            code = "COMMAND_EXECUTION_ERROR" if build.why.startswith("Error while") else "CLIENT_ERROR"
            one["contexts"] = [{"statusCode": code, "message": build.why}]
        begin = over
        if failed or phase == "FINALIZING":
            outcome = "FAILED" if failed else "SUCCEEDED"
            break
    facts = {**build.shown, "startTime": _time(build.started), "phases": phases, "buildComplete": bool(outcome)}
    if outcome:
        phases.append({"phaseType": "COMPLETED", "startTime": phases[-1]["endTime"]})
        facts |= {"endTime": phases[-1]["startTime"], "currentPhase": "COMPLETED", "buildStatus": outcome}
    else:
        facts |= {"currentPhase": phases[-1]["phaseType"], "buildStatus": "IN_PROGRESS"}
    return facts


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


@on("codebuild", "BatchGetBuilds")
def batch_get_builds(call: Call) -> Params:
    known = here(call.world, call.region).builds
    names = [name.partition(":build/")[2] or name for name in call.params["ids"]]
    found = [shown(call.world, known[name]) for name in names if name in known]
    return {"builds": found, "buildsNotFound": [name for name in names if name not in known]}


@on("codebuild", "ListBuilds", "ListBuildsForProject")
def list_builds(call: Call) -> Params:
    """The newest first; those of deleted projects too."""
    builds = list(here(call.world, call.region).builds.values())
    if call.operation == "ListBuildsForProject":
        project = _project(call, call.params["projectName"])["name"]
        builds = [one for one in builds if one.shown["projectName"] == project]
    ids = [one.shown["id"] for one in builds]
    return {"ids": ids if call.params.get("sortOrder") == "ASCENDING" else ids[::-1]}


@on("codebuild", "StopBuild", "RetryBuild")
def stop_or_retry_build(call: Call) -> Params:
    state, name = here(call.world, call.region), call.params["id"].partition(":build/")[2] or call.params["id"]
    build = state.builds.get(name)
    if build is None:
        raise AwsError("ResourceNotFoundException", f"Build {name} does not exist")
    if call.operation == "RetryBuild":
        build = start(call.world, call.region, _project(call, build.shown["projectName"]), {})
    elif status(call.world, build) == "IN_PROGRESS":
        build.stopped = call.world.now()
    return {"build": shown(call.world, build)}


@on("codebuild", "BatchDeleteBuilds")
def batch_delete_builds(call: Call) -> Params:
    known = here(call.world, call.region).builds
    names = [name.partition(":build/")[2] or name for name in call.params["ids"]]
    gone = [known.pop(name).shown["arn"] for name in names if name in known]
    return {"buildsDeleted": gone, "buildsNotDeleted": []}


@bearer
def tagged(world: World, region: str) -> Iterator[tuple[str, Tags]]:
    if region in world.state["codebuild"]:
        for project in here(world, region).projects.values():
            yield project["arn"], plain(project["tags"])
