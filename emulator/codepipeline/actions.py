"""What the actions of a pipeline do: read the source, keep artifacts in the bucket, deploy to ECS, run AWS CLI commands.

An action ends with None, or with the code and message of what went wrong. Messages marked (unverified) are worded here.
https://docs.aws.amazon.com/codepipeline/latest/userguide/integrations-action-type.html
"""

from __future__ import annotations

import functools
import io
import json
import re
import shlex
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import botocore.session
import jmespath  # type: ignore[import-untyped]
from botocore import xform_name
from botocore.exceptions import ClientError
from moto.s3.models import s3_backends

from emulator.codebuild.builds import Build
from emulator.codestar_connections import connections
from emulator.core import partitions, rules
from emulator.core.ask import ask, asking
from emulator.core.rules import AwsError, Call, Params, held
from emulator.core.world import ACCOUNT, World
from emulator.ecs.state import region_of
from emulator.iam.policies import may
from emulator.logs import log_groups

rules.SENTENCES.update(
    {
        "cp-deploy": "The ECS deploy action registers a revision of the service's current task definition with the images "
        "of imagedefinitions.json and its tags, updates the service, and waits; a rollback fails it.",
        "cp-commands": "A Commands action runs AWS CLI commands with the pipeline's role, and writes to "
        "/aws/codepipeline/NAME.",
        "cp-push": "A push starts the pipelines that detect changes of its repository and branch.",
    }
)
held("cp-deploy cp-commands", "an action of a pipeline's execution")
held("cp-push", "POST /_emulator/pushes")

Problem = tuple[str, str] | None
End = Callable[[Problem], None]
BETWEEN_LOOKS = 10
#: minutes after which the ECS action gives up
TIMEOUT = 60
NOT_ALLOWED = "The provided role does not have sufficient permissions"
#: what DescribeTaskDefinition adds to what RegisterTaskDefinition takes
ADDED = (
    *("taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt"),
    *("registeredBy", "deregisteredAt"),
)


@dataclass
class Place:
    """Where an action runs: the execution's pipeline, its artifacts, and what the action tells of itself."""

    world: World
    region: str
    pipeline: Params  # the declaration
    artifacts: dict[str, tuple[str, str]]  # name -> bucket and key
    declared: Params
    result: Params = field(default_factory=dict)

    @property
    def role(self) -> str:
        return str(self.pipeline["roleArn"]).rpartition("/")[2]

    @property
    def config(self) -> Params:
        found: Params = self.declared.get("configuration") or {}
        return found

    def may(self, action: str, resource: str, **context: str) -> bool:
        return may(self.role, action, resource, {key.replace("_", ":"): value for key, value in context.items()})


# --- artifacts


def store(place: Place, role: str, name: str, files: dict[str, str]) -> Problem:
    """Put an artifact into the bucket, as a ZIP file, for the next stages."""
    bucket = str((place.pipeline.get("artifactStore") or {}).get("location", ""))
    key = f"{place.pipeline['name'][:20]}/{name[:10]}/{uuid.uuid4().hex[:7]}"
    backend: Any = s3_backends[ACCOUNT][partitions.here()]
    if bucket not in backend.buckets:
        return "ConfigurationError", f"The specified bucket does not exist: {bucket}"
    if not may(role, "s3:PutObject", f"arn:{partitions.here()}:s3:::{bucket}/{key}"):
        return "PermissionError", f"{NOT_ALLOWED} to access the S3 bucket {bucket}."
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    backend.put_object(bucket, key, packed.getvalue())
    place.artifacts[name] = (bucket, key)
    return None


def read(place: Place, path: str) -> str:
    """A file of the action's first input artifact. Raises AwsError in CodePipeline's words."""
    name = next((each["name"] for each in place.declared.get("inputArtifacts") or []), "")
    bucket, key = place.artifacts.get(name, ("", ""))
    backend: Any = s3_backends[ACCOUNT][partitions.here()]
    found = backend.get_object(bucket, key) if bucket in backend.buckets else None
    if found is None or not place.may("s3:GetObject", f"arn:{partitions.here()}:s3:::{bucket}/{key}"):
        raise AwsError(
            "PermissionError",
            f"Unable to access the artifact with Amazon S3 object key '{key}' located in the Amazon S3 artifact bucket "
            f"'{bucket}'. {NOT_ALLOWED}.",
        )
    with zipfile.ZipFile(io.BytesIO(found.value)) as archive:
        if path in archive.namelist():
            return archive.read(path).decode()
    raise AwsError(
        "ConfigurationError",
        f"Did not find the image definition file {path} in the input artifacts ZIP file. Verify the file is stored in "
        f"your pipeline's Amazon S3 artifact bucket: {bucket} key: {key}",
    )


def read_in_build(place: Place, build: Build) -> None:
    """A build reads its source, or what says where that is cloned, from the bucket, in its own role's name."""
    for each in place.declared.get("inputArtifacts") or []:
        bucket, key = place.artifacts.get(each["name"], ("", ""))
        arn = f"arn:{partitions.here()}:s3:::{bucket}/{key}"
        if bucket and not may(build.shown["serviceRole"], "s3:GetObject", arn):
            denied = f"CLIENT_ERROR: AccessDenied: Access Denied status code: 403 for primary source and source version {arn}"
            build.fail("DOWNLOAD_SOURCE", denied)


# --- source


def read_source(place: Place) -> tuple[connections.Commit | None, Problem]:
    """The commit at the branch's end, or what keeps the action from it."""
    config, arn = place.config, place.config.get("ConnectionArn", "")
    if connections.status(place.world, arn) == "PENDING":
        return None, ("ConfigurationError", f"Connection {arn} is not available")
    actions = "codestar-connections:UseConnection", "codeconnections:UseConnection"
    if not any(place.may(action, arn) for action in actions):
        return None, ("PermissionError", f"[PermissionDenied] Unable to use Connection: {arn}. {NOT_ALLOWED}.")
    if connections.status(place.world, arn) != "AVAILABLE":
        return None, ("ConfigurationError", f"Connection {arn} is not available")
    repository, branch = config.get("FullRepositoryId", ""), config.get("BranchName", "")
    commit = connections.head(place.world, repository, branch)
    if commit is None:
        missing = f"[GitHub] No Branch [{branch}] found for FullRepositoryName [{repository}]"
        return None, ("ConfigurationError", missing)
    for artifact in place.declared.get("outputArtifacts") or []:
        if problem := store(place, place.role, artifact["name"], commit.files):
            return None, problem
    return commit, None


# --- deploy


def deploy(place: Place, end: End) -> None:
    """The ECS action: https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-ECS.html"""
    try:
        arn = _roll_out(place)
    except AwsError as error:
        return end((error.code, error.message))
    except ClientError as error:
        return end((error.response["Error"]["Code"], error.response["Error"]["Message"]))
    world, minutes = place.world, int(place.config.get("DeploymentTimeout") or TIMEOUT)
    deadline = world.now() + world.clock.delay(minutes * 60)
    _followed(world).append(Deployment(place, end, arn, deadline, world.now() + world.clock.delay(BETWEEN_LOOKS)))
    return None


@dataclass
class Deployment:
    """A revision that the ECS action has given to the service, and looks after."""

    place: Place
    end: End
    arn: str
    deadline: float
    next_look: float


def _followed(world: World) -> list[Deployment]:
    state: dict[str, list[Deployment]] = world.state["codepipeline deployments"]
    return state.setdefault("all", [])


def tick(world: World) -> None:
    """Look at the deployments that are being followed; those that have ended end their action."""
    for each in list(_followed(world)):
        if each.next_look <= world.now():
            each.next_look = world.now() + world.clock.delay(BETWEEN_LOOKS)
            _follow(world, each)
        world.look_at(each.next_look)


def _follow(world: World, each: Deployment) -> None:
    outcome = _outcome(each)
    if outcome != "going on":
        _followed(world).remove(each)
        each.end(None if isinstance(outcome, str) else outcome)


def start(world: World) -> None:
    world.tickers.append(tick)


rules.STARTERS.append(start)


def _roll_out(place: Place) -> str:
    """Register the revision and give it to the service: its ARN."""
    call, cluster, name = (
        asking(place.world, place.region, "codepipeline"),
        place.config["ClusterName"],
        place.config["ServiceName"],
    )
    definitions = json.loads(read(place, place.config.get("FileName") or "imagedefinitions.json"))
    service_arn = f"arn:{partitions.here()}:ecs:{place.region}:{ACCOUNT}:service/{cluster}/{name}"
    _need(place, "ecs:DescribeServices", service_arn)
    service = _service(call, cluster, name)
    if service is None:
        raise AwsError("ConfigurationError", f"The AWS ECS service {name} does not exist")  # (unverified)
    _need(place, "ecs:DescribeTaskDefinition", service["taskDefinition"])
    found = ask(call, "ecs", "DescribeTaskDefinition", taskDefinition=service["taskDefinition"], include=["TAGS"])
    plain: Params = json.loads(json.dumps(found["taskDefinition"], default=str))
    wanted = {key: value for key, value in plain.items() if key not in ADDED}
    for each in definitions:
        containers = [one for one in wanted["containerDefinitions"] if one["name"] == each["name"]]
        if not containers:
            raise AwsError("ConfigurationError", f"The AWS ECS container {each['name']} does not exist")
        containers[0]["image"] = each["imageUri"]
    family_arn = f"{service['taskDefinition'].rpartition(':')[0]}:*"
    _need(place, "ecs:RegisterTaskDefinition", family_arn)
    for role in {wanted.get("executionRoleArn"), wanted.get("taskRoleArn")} - {None}:
        _need(place, "iam:PassRole", role, iam_PassedToService="ecs-tasks.amazonaws.com")
    if found.get("tags"):
        _need(place, "ecs:TagResource", family_arn, ecs_CreateAction="RegisterTaskDefinition")
        wanted["tags"] = found["tags"]
    registered = ask(call, "ecs", "RegisterTaskDefinition", **wanted)["taskDefinition"]
    made, role = registered["taskDefinitionArn"], str(place.pipeline["roleArn"]).rpartition("/")[2]
    revisions = region_of(place.world, place.region).definitions[registered["family"]]
    revisions[registered["revision"]]["registeredBy"] = (
        f"arn:{partitions.here()}:sts::{ACCOUNT}:assumed-role/{role}/{uuid.uuid4().hex}"
    )
    _need(place, "ecs:UpdateService", service_arn)
    ask(call, "ecs", "UpdateService", cluster=cluster, service=name, taskDefinition=made)
    return str(made)


def _need(place: Place, action: str, resource: str | None, **context: str) -> None:
    if not place.may(action, resource or "*", **context):
        raise AwsError("PermissionError", f"{NOT_ALLOWED} to call {action} on {resource}.")


def _service(call: Call, cluster: str, name: str) -> Params | None:
    try:
        found = ask(call, "ecs", "DescribeServices", cluster=cluster, services=[name])["services"]
    except AwsError as error:
        if error.code != "ClusterNotFoundException":
            raise
        return None
    return next((dict(each) for each in found if each["status"] == "ACTIVE"), None)


def _outcome(deployment: Deployment) -> str | tuple[str, str]:
    """ "done" when the revision is all that runs, "going on", or the problem (worded here: unverified)."""
    place, world = deployment.place, deployment.place.world
    name = place.config["ServiceName"]
    service = _service(asking(world, place.region, "codepipeline"), place.config["ClusterName"], name)
    if service is None:
        return "JobFailed", f"The AWS ECS service {name} was deleted during the deployment"
    deployments = service["deployments"]
    primary: Params = next((each for each in deployments if each["status"] == "PRIMARY"), {})
    if primary.get("taskDefinition") != deployment.arn:
        revision = deployment.arn.rpartition("/")[2]
        return "JobFailed", f"The deployment of {revision} did not succeed: {primary.get('rolloutStateReason', '')}"
    if primary["rolloutState"] == "COMPLETED" and len(deployments) == 1:
        return "done"
    if primary["rolloutState"] == "FAILED":
        return "JobFailed", primary["rolloutStateReason"]
    if world.clock.scale and world.now() >= deployment.deadline:
        return "JobFailed", "The deployment timed out: the service did not reach a steady state"
    return "going on"


# --- commands

IF = re.compile(r'if \[ "\$\((?P<left>.+?)\)" = (?P<right>\S+) \]; then (?P<then>.+); fi')


class FailedError(Exception):
    """A command that ends with another code than 0; its text is what it writes."""


def run_commands(place: Place, end: End, identifier: str) -> None:
    """Each command in turn, as a shell would; what they write goes to the pipeline's log group."""
    group, stream = f"/aws/codepipeline/{place.pipeline['name']}", identifier
    place.result["externalExecutionId"] = identifier
    place.result["logStreamARN"] = (
        f"arn:{partitions.here()}:logs:{place.region}:{ACCOUNT}:log-group:{group}:log-stream:{stream}"
    )
    lines, problem = [], None
    try:
        for command in place.declared["commands"]:
            lines.append(f"[Container] Running command {command}")
            lines += [line for line in _shell(place, command).splitlines() if line]
    except FailedError as error:
        lines += [*str(error).splitlines(), "[Container] Command did not exit successfully"]
        problem = ("JobFailed", "Build terminated with state: FAILED")
    if place.may("logs:PutLogEvents", place.result["logStreamARN"]):
        log_groups.write(place.world, place.region, group, stream, lines, create_group=True)
    end(problem)


def _shell(place: Place, command: str) -> str:
    """What a command writes: `if [ "$(A)" = B ]; then C; fi`, `A && B`, and aws."""
    if match := IF.fullmatch(command.strip()):
        same = _shell(place, match["left"]).strip() == match["right"].strip("\"'")
        return _shell(place, match["then"]) if same else ""
    return "\n".join(_aws(place, shlex.split(part)) for part in command.split("&&"))


def _aws(place: Place, words: list[str]) -> str:
    if words[:1] != ["aws"] or len(words) < 3:
        raise FailedError(f"{words[0] if words else ''}: command not found")
    service, model = words[1], _model(words[1])
    operation = next((each for each in model.operation_names if xform_name(each, "-") == words[2]), None)
    if operation is None:
        raise FailedError(f"aws: [ERROR]: Found invalid choice '{words[2]}'")
    options = _options(words[3:])
    members = model.operation_model(operation).input_shape.members
    params = {}
    for member, shape in members.items():
        if (given := options.pop(xform_name(member, "-"), None)) is not None:
            params[member] = given if shape.type_name == "list" else _value(shape, given[0])
    region = options.pop("region", [place.region])[0]
    query, output = options.pop("query", None), options.pop("output", ["json"])[0]
    if options:
        raise FailedError(f"aws: [ERROR]: Unknown options: {', '.join(f'--{key}' for key in options)}")
    return _shown(_asked(place, region, service, operation, params), query, output)


@functools.cache
def _model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


def _options(words: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            found[name] = [value] if equals else []
        else:
            found[name].append(word)
    return found


def _value(shape: Any, text: str) -> Any:
    """Also of a structure in the CLI's short form: NAME=value,NAME=value."""
    if (kind := shape.type_name) == "structure":
        pairs = [each.partition("=") for each in text.split(",")]
        return {name: _value(shape.members[name], value) for name, _, value in pairs}
    return int(text) if kind in ("integer", "long") else text == "true" if kind == "boolean" else text


def _asked(place: Place, region: str, service: str, operation: str, params: Params) -> Params:
    """The answer, with the pipeline's role and nothing more."""
    resource = "*"
    if service == "ecs" and "cluster" in params:
        name = (params.get("services") or [params.get("service", "")])[0]
        resource = f"arn:{partitions.here()}:ecs:{region}:{ACCOUNT}:service/{params['cluster']}/{name}"
    elif service == "application-autoscaling":
        resource = f"arn:{partitions.here()}:application-autoscaling:{region}:{ACCOUNT}:scalable-target/{uuid.uuid4().hex[:20]}"
    prefix = f"An error occurred ({{}}) when calling the {operation} operation: "
    if not place.may(f"{service}:{operation}", resource):
        who = f"User: arn:{partitions.here()}:sts::{ACCOUNT}:assumed-role/{place.role}"
        told = f"{who} is not authorized to perform: {service}:{operation}"
        raise FailedError(prefix.format("AccessDeniedException") + f"{told} on resource: {resource}")
    try:
        return ask(asking(place.world, region, "codepipeline"), service, operation, **params)
    except AwsError as error:
        raise FailedError(prefix.format(error.code) + error.message) from error
    except ClientError as error:
        raise FailedError(str(error)) from error


def _shown(answer: Params, query: list[str] | None, output: str) -> str:
    plain = json.loads(json.dumps({k: v for k, v in answer.items() if k != "ResponseMetadata"}, default=str))
    found = jmespath.search(query[0], plain) if query else plain
    if output == "text" and not isinstance(found, dict | list):
        return "None" if found is None else str(found)
    return json.dumps(found, indent=4)
