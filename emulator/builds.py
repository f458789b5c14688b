"""CodeBuild: projects, and builds that walk through their phases, write their log, and push the image they name.

https://docs.aws.amazon.com/codebuild/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone

from emulator import rules
from emulator.others import put_image
from emulator.rules import AwsError, Call, Params, on
from emulator.world import ACCOUNT, World

rules.SENTENCES.update(
    {
        "cb-001": "A project's service role must exist, have spread, and with a VPC be allowed to look at it.",
        "cb-002": "A project's name is its own; deleting a missing project succeeds; builds and log groups remain.",
        "cb-003": "A project's name and compute type are checked, and docker builds fail without privileged mode.",
    }
)

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
MAY_DESCRIBE = ("ec2:DescribeSecurityGroups", "ec2:Describe*", "ec2:*")
PUSH = re.compile(r"docker push\s+\S*?(?:/|\b)([\w./-]+):([\w.-]+)")
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
    stopped: float | None = None


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


@on("codebuild", "CreateProject", rules="cb-001 cb-002 cb-003")
def create_project(call: Call) -> Params:
    """https://docs.aws.amazon.com/codebuild/latest/APIReference/API_CreateProject.html"""
    state, name = here(call.world, call.region), call.params["name"]
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9\-_]{1,149}", name):
        raise _wrong(
            "Invalid project name: must match [A-Za-z0-9][A-Za-z0-9\\-_]{1,149} and have between 2 and 150 characters"
        )
    arn = f"arn:aws:codebuild:{call.region}:{call.account}:project/{name}"
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
    shown |= {"encryptionKey": f"arn:aws:kms:{call.region}:{call.account}:alias/aws/s3"}
    state.projects[name] = {**shown, **{key: call.params[key] for key in SETTINGS if key in call.params}}
    return {"project": state.projects[name]}


def _check_settings(call: Call, given: Params) -> None:
    if environment := given.get("environment"):
        if environment["type"] not in TYPES:
            raise _wrong(f"Invalid environment type: {environment['type']}")
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


def _check_role(call: Call, role: str, in_vpc: bool) -> None:
    from emulator import iam

    if not re.fullmatch(r"arn:[^:]+:iam::\d{12}:role/.+", role):
        raise _wrong(f"Invalid service role: {role}")
    if not iam.role_usable(call.world, role):
        raise _wrong(f"CodeBuild is not authorized to perform: sts:AssumeRole on {role}")
    if in_vpc and not allowed(iam.role_policies(call.world, role.rpartition("/")[2]), MAY_DESCRIBE):
        raise _wrong("Not authorized to perform DescribeSecurityGroups")


def allowed(policies: set[str], actions: tuple[str, ...]) -> bool:
    """Does one of a role's inline policies name such an action? Of a managed policy only the name is known: yes."""
    texts = [policy for policy in policies if policy.lstrip().startswith("{")]
    return len(texts) < len(policies) or any(action in text for action in (*actions, '"*"') for text in texts)


@on("codebuild", "UpdateProject", rules="cb-001 cb-003")
def update_project(call: Call) -> Params:
    project = _project(call, call.params["name"])
    _check_settings(call, call.params)
    project |= {key: call.params[key] for key in SETTINGS if key in call.params}
    project["lastModified"] = call.world.timestamp()
    return {"project": project}


def _project(call: Call, name: str) -> Params:
    found = here(call.world, call.region).projects.get(name.rpartition("/")[2])
    if found is None:
        arn = f"arn:aws:codebuild:{call.region}:{call.account}:project/{name}"
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


def start(world: World, region: str, project: Params, given: Params) -> Build:
    """Start a build of a project, with StartBuild's overrides; a pipeline does so too."""
    state, name, identifier = here(world, region), project["name"], str(uuid.uuid4())
    state.numbers[name] = state.numbers.get(name, 0) + 1
    source, environment = {**project["source"]}, {**project["environment"]}
    variables = {one["name"]: one for one in environment.get("environmentVariables", [])}
    variables |= {one["name"]: one for one in given.get("environmentVariablesOverride", [])}
    environment["environmentVariables"] = list(variables.values())
    if "privilegedModeOverride" in given:
        environment["privilegedMode"] = given["privilegedModeOverride"]
    group = (project.get("logsConfig") or {}).get("cloudWatchLogs", {}).get("groupName") or f"/aws/codebuild/{name}"
    facts = {
        "id": f"{name}:{identifier}",
        "arn": f"arn:aws:codebuild:{region}:{ACCOUNT}:build/{name}:{identifier}",
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
    made = Build(facts, buildspec, world.now())
    if "docker build" in buildspec and not environment.get("privilegedMode"):
        made.failing = "BUILD"
    state.builds[facts["id"]] = made
    _plan_log(world, region, made)
    return made


def _plan_log(world: World, region: str, build: Build) -> None:
    """Let the build write a line as each phase begins, and push its image when all of them are over."""
    passed = 0.0
    for phase, seconds in PHASES.items():
        if phase not in ("SUBMITTED", "QUEUED"):
            world.after(passed, _log, world, region, build, [f"[Container] Entering phase {phase}"])
        passed += seconds
        if phase == build.failing:
            lines = [
                "[Container] ERROR: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. "
                "Is the docker daemon running?",
                f"[Container] Phase complete: {phase} State: FAILED",
            ]
            world.after(passed, _log, world, region, build, lines)
            return
    world.after(passed, _push, world, region, build)


def _log(world: World, region: str, build: Build, lines: list[str]) -> None:
    from emulator import logs

    if build.stopped is None:
        place = build.shown["logs"]
        logs.write(world, region, place["groupName"], place["streamName"], lines, create_group=True)


def _push(world: World, region: str, build: Build) -> None:
    """Push what an inline buildspec pushes, its variables replaced; a repository that is missing stays so."""
    if build.stopped is not None:
        return
    values = {one["name"]: one["value"] for one in build.shown["environment"]["environmentVariables"]}
    text = re.sub(r"\$\{?(\w+)\}?", lambda match: str(values.get(match[1], match[0])), build.buildspec)
    for repository, tag in PUSH.findall(text):
        name = repository.partition(".amazonaws.com/")[2] or repository
        try:
            put_image(world, region, name, tag)
        except AwsError as error:
            _log(world, region, build, [f"[Container] {error.message}"])


def status(world: World, build: Build) -> str:
    """IN_PROGRESS, SUCCEEDED, FAILED or STOPPED."""
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
            text = "Error while executing command: docker build. Reason: exit status 1"
            one["contexts"] = [{"statusCode": "COMMAND_EXECUTION_ERROR", "message": text}]
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
