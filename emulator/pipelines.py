"""CodePipeline: pipelines, and executions that walk from stage to stage as time passes.

moto records pipelines and runs nothing. Here a Source action looks for its connection or image, a CodeBuild action
starts a build, any other action takes its time and succeeds, and an approval waits for PutApprovalResult.
https://docs.aws.amazon.com/codepipeline/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import copy
import functools
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from emulator import builds, connections, rules
from emulator.rules import AwsError, Call, Params, on
from emulator.world import ACCOUNT, World

rules.SENTENCES.update(
    {
        "cp-001": "A pipeline's role must exist and have spread, else CodePipeline is not authorized to assume it.",
        "cp-002": "A pipeline has two stages or more, Source actions in the first and only there, one way to name its "
        "artifact stores, and a name of its own.",
        "cp-003": "Creating a pipeline starts an execution, whose Source action fails with a connection that is PENDING.",
    }
)

#: category of an action -> how many AWS seconds it takes
SECONDS = {"Source": 8, "Deploy": 60, "Test": 30, "Invoke": 5, "Build": 30, "Compute": 30}
BETWEEN_CHECKS = 5
USE_CONNECTION = ("codestar-connections:UseConnection", "codeconnections:UseConnection", "codestar-connections:*")


@dataclass
class Action:
    shown: Params  # an ActionExecutionDetail
    then: Callable[[], None] = lambda: None  # what follows when it is done


@dataclass
class Execution:
    shown: Params
    pipeline: Params  # the declaration with which it began
    stage: str = ""
    actions: list[Action] = field(default_factory=list)
    stopping: bool = False


@dataclass
class Pipeline:
    declaration: Params
    metadata: Params
    tags: dict[str, str]
    executions: list[Execution] = field(default_factory=list)
    stage_states: dict[str, Params] = field(default_factory=dict)  # stage -> its latest execution
    disabled: dict[str, str] = field(default_factory=dict)  # stage -> the reason why nothing enters it
    held: list[tuple[Execution, int]] = field(default_factory=list)  # what waits before a disabled stage


def _here(world: World, region: str) -> dict[str, Pipeline]:
    state: dict[str, dict[str, Pipeline]] = world.state["codepipeline"]
    return state.setdefault(region, {})


def _pipeline(call: Call, key: str = "name") -> Pipeline:
    name = call.params[key]
    found = _here(call.world, call.region).get(name)
    if found is None:
        message = f"Account '{call.account}' does not have a pipeline with name '{name}'"
        raise AwsError("PipelineNotFoundException", message)
    return found


def _execution(call: Call) -> tuple[Pipeline, Execution]:
    pipeline, name = _pipeline(call, "pipelineName"), call.params["pipelineExecutionId"]
    for execution in pipeline.executions:
        if execution.shown["pipelineExecutionId"] == name:
            return pipeline, execution
    raise AwsError("PipelineExecutionNotFoundException", f"The pipeline execution {name} does not exist")


# --- pipelines


def _wrong(message: str) -> AwsError:
    return AwsError("InvalidStructureException", message)


def _check(call: Call, declaration: Params) -> None:
    """https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-pipeline-structure.html"""
    from emulator import iam

    name, stages, role = declaration["name"], declaration["stages"], declaration["roleArn"]
    if not re.fullmatch(r"[A-Za-z0-9.@\-_]{1,100}", name):
        raise AwsError(
            "ValidationException",
            f"1 validation error detected: Value '{name}' at 'pipeline.name' failed to satisfy constraint: Member must "
            "satisfy regular expression pattern: [A-Za-z0-9.@\\-_]+, and have a length of at most 100",
        )
    if len(stages) < 2:
        raise _wrong(f"Pipeline has only {len(stages)} stage(s). There should be a minimum of 2 stages in a pipeline")
    if len({stage["name"] for stage in stages}) < len(stages):
        raise _wrong("Stage names must be unique within a pipeline")
    for number, stage in enumerate(stages):
        categories = {action["actionTypeId"]["category"] for action in stage["actions"]}
        if not categories:
            raise _wrong(f"Stage '{stage['name']}' has no actions")
        if number == 0 and categories != {"Source"}:
            raise _wrong(f"The first stage '{stage['name']}' must contain only Source actions")
        if number > 0 and "Source" in categories:
            raise _wrong(f"Source actions must be in the first stage, not in '{stage['name']}'")
    if bool(declaration.get("artifactStore")) == bool(declaration.get("artifactStores")):
        raise _wrong(
            "You must include either artifactStore or artifactStores in your pipeline, but you cannot use both"
        )
    if not iam.role_usable(call.world, role):
        raise _wrong(f"CodePipeline is not authorized to perform AssumeRole on role {role}")


@on("codepipeline", "CreatePipeline", rules="cp-001 cp-002 cp-003")
def create_pipeline(call: Call) -> Params:
    """https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_CreatePipeline.html"""
    declaration, known = copy.deepcopy(call.params["pipeline"]), _here(call.world, call.region)
    name = declaration["name"]
    _check(call, declaration)
    if name in known:
        message = f"A pipeline with the name '{name}' already exists in account '{call.account}'"
        raise AwsError("PipelineNameInUseException", message)
    now = call.world.timestamp()
    metadata = {"pipelineArn": f"arn:aws:codepipeline:{call.region}:{call.account}:{name}", "created": now}
    tags = {tag["key"]: tag["value"] for tag in call.params.get("tags") or []}
    made = known[name] = Pipeline({**declaration, "version": 1}, {**metadata, "updated": now}, tags)
    _start(call.world, call.region, made, "CreatePipeline")
    return {"pipeline": made.declaration, "tags": call.params.get("tags") or []}


@on("codepipeline", "UpdatePipeline", rules="cp-001 cp-002")
def update_pipeline(call: Call) -> Params:
    declaration = copy.deepcopy(call.params["pipeline"])
    call.params["name"] = declaration["name"]
    found = _pipeline(call)
    _check(call, declaration)
    found.declaration = {**declaration, "version": found.declaration["version"] + 1}
    found.metadata["updated"] = call.world.timestamp()
    return {"pipeline": found.declaration}


@on("codepipeline", "GetPipeline")
def get_pipeline(call: Call) -> Params:
    found = _pipeline(call)
    return {"pipeline": found.declaration, "metadata": found.metadata}


@on("codepipeline", "ListPipelines")
def list_pipelines(call: Call) -> Params:
    found = _here(call.world, call.region).items()
    shown = [
        {
            "name": name,
            "version": one.declaration["version"],
            "pipelineType": one.declaration.get("pipelineType", "V1"),
            "executionMode": one.declaration.get("executionMode", "SUPERSEDED"),
            "created": one.metadata["created"],
            "updated": one.metadata["updated"],
        }
        for name, one in found
    ]
    return {"pipelines": shown}


@on("codepipeline", "DeletePipeline")
def delete_pipeline(call: Call) -> Params:
    _here(call.world, call.region).pop(call.params["name"], None)
    return {}


@on("codepipeline", "TagResource", "UntagResource", "ListTagsForResource")
def tags(call: Call) -> Params:
    name = call.params["resourceArn"].rpartition(":")[2]
    found = _here(call.world, call.region).get(name)
    if found is None:
        raise AwsError("ResourceNotFoundException", f"The resource {call.params['resourceArn']} does not exist")
    found.tags.update({tag["key"]: tag["value"] for tag in call.params.get("tags") or []})
    for key in call.params.get("tagKeys") or []:
        found.tags.pop(key, None)
    if call.operation == "ListTagsForResource":
        return {"tags": [{"key": key, "value": value} for key, value in found.tags.items()]}
    return {}


# --- executions, as time walks them


def _start(world: World, region: str, pipeline: Pipeline, trigger: str) -> Execution:
    now = world.timestamp()
    shown = {
        "pipelineExecutionId": str(uuid.uuid4()),
        "status": "InProgress",
        "startTime": now,
        "lastUpdateTime": now,
        "sourceRevisions": [],
        "trigger": {"triggerType": trigger, "triggerDetail": f"arn:aws:iam::{ACCOUNT}:user/emulator"},
        "executionMode": pipeline.declaration.get("executionMode", "SUPERSEDED"),
        "executionType": "STANDARD",
    }
    made = Execution(shown, pipeline.declaration)
    pipeline.executions.insert(0, made)
    _enter(world, region, pipeline, made, 0)
    return made


def _enter(world: World, region: str, pipeline: Pipeline, execution: Execution, number: int) -> None:
    """Begin a stage, unless the execution is over or the way into the stage is closed."""
    stages = execution.pipeline["stages"]
    if number == len(stages):
        return _finish(world, execution, "Succeeded")
    name = stages[number]["name"]
    if execution.stopping:
        return _finish(world, execution, "Stopped")
    if name in pipeline.disabled:
        pipeline.held.append((execution, number))
        return None
    execution.stage = name
    state = {"pipelineExecutionId": execution.shown["pipelineExecutionId"], "status": "InProgress", "type": "STANDARD"}
    pipeline.stage_states[name] = state
    _run(world, region, pipeline, execution, number, 1)
    return None


def _finish(world: World, execution: Execution, status: str) -> None:
    execution.shown |= {"status": status, "lastUpdateTime": world.timestamp()}


def _run(world: World, region: str, pipeline: Pipeline, execution: Execution, number: int, order: int) -> None:
    """Begin the actions of a stage that have the same run order; the last ones done, go on."""
    stage = execution.pipeline["stages"][number]
    state = pipeline.stage_states[stage["name"]]
    orders = sorted({action.get("runOrder", 1) for action in stage["actions"]})
    if execution.stopping or order > orders[-1]:
        state["status"] = "Stopped" if execution.stopping else "Succeeded"
        return _enter(world, region, pipeline, execution, number + 1)
    begun = [
        _begin(world, region, execution, stage["name"], action)
        for action in stage["actions"]
        if action.get("runOrder", 1) == order
    ]
    for action in begun:
        action.then = functools.partial(_settle, world, region, pipeline, execution, number, order, begun)
    return None


def _settle(
    world: World, region: str, pipeline: Pipeline, execution: Execution, number: int, order: int, begun: list[Action]
) -> None:
    """One of the actions that began together is done: go on when all of them are."""
    states = {action.shown["status"] for action in begun}
    if "InProgress" in states:
        return
    if states - {"Succeeded"}:
        pipeline.stage_states[execution.pipeline["stages"][number]["name"]]["status"] = "Failed"
        _finish(world, execution, "Stopped" if execution.stopping else "Failed")
    else:
        _run(world, region, pipeline, execution, number, order + 1)


def _begin(world: World, region: str, execution: Execution, stage: str, declared: Params) -> Action:
    now, kind = world.timestamp(), declared["actionTypeId"]
    shown: Params = {
        "pipelineExecutionId": execution.shown["pipelineExecutionId"],
        "actionExecutionId": str(uuid.uuid4()),
        "pipelineVersion": execution.pipeline["version"],
        "stageName": stage,
        "actionName": declared["name"],
        "startTime": now,
        "lastUpdateTime": now,
        "status": "InProgress",
        "input": {"actionTypeId": kind, "configuration": declared.get("configuration") or {}, "region": region},
        "output": {"outputArtifacts": [], "executionResult": {}, "outputVariables": {}},
    }
    action = Action(shown)
    execution.actions.insert(0, action)
    if kind["category"] == "Approval":
        shown["token"] = str(uuid.uuid4())
    elif kind["category"] in ("Build", "Test") and kind["provider"] == "CodeBuild":
        _build(world, region, action)
    else:
        check = _check_source if kind["category"] == "Source" else _check_nothing
        world.after(SECONDS.get(kind["category"], 10), _end, world, action, check(world, region, execution, declared))
    return action


Problem = tuple[str, str] | None  # code and message of a failed action


def _end(world: World, action: Action, problem: Problem) -> None:
    if action.shown["status"] != "InProgress":
        return
    action.shown |= {"status": "Failed" if problem else "Succeeded", "lastUpdateTime": world.timestamp()}
    if problem:
        result = action.shown["output"]["executionResult"]
        result |= {"errorDetails": {"code": problem[0], "message": problem[1]}, "externalExecutionSummary": problem[1]}
    action.then()


def _check_nothing(world: World, region: str, execution: Execution, declared: Params) -> Problem:
    return None


def _check_source(world: World, region: str, execution: Execution, declared: Params) -> Problem:
    """What keeps a Source action from its source: a connection that is not there or not AVAILABLE, an image missing."""
    from emulator import iam
    from emulator.others import repository_has_image

    config, provider = declared.get("configuration") or {}, declared["actionTypeId"]["provider"]
    if provider in ("CodeStarSourceConnection", "CodeConnections"):
        arn = config.get("ConnectionArn", "")
        if connections.status(world, arn) == "PENDING":
            return "ConfigurationError", f"Connection {arn} is not available"
        policies = iam.role_policies(world, execution.pipeline["roleArn"].rpartition("/")[2])
        if not builds.allowed(policies, (*USE_CONNECTION, "codeconnections:*")):
            words = f"Unable to use Connection: {arn}. The provided role does not have sufficient permissions."
            return "PermissionError", f"[PermissionDenied] {words}"
        if connections.status(world, arn) != "AVAILABLE":
            return "ConfigurationError", f"Connection {arn} is not available"
    if provider == "ECR":
        repository, tag = config.get("RepositoryName", ""), config.get("ImageTag", "latest")
        if not repository_has_image(world, region, repository, tag):
            return "ConfigurationError", f"The image with tag {tag} does not exist in the repository {repository}"
    return None


def _build(world: World, region: str, action: Action) -> None:
    """Start the build of a CodeBuild action, and follow it."""
    project = builds.here(world, region).projects.get(action.shown["input"]["configuration"].get("ProjectName", ""))
    if project is None:
        missing = ("ConfigurationError", "Error calling startBuild: Project cannot be found")
        return world.after(BETWEEN_CHECKS, _end, world, action, missing)
    build = builds.start(world, region, project, {"initiator": f"codepipeline/{action.shown['pipelineExecutionId']}"})
    result = action.shown["output"]["executionResult"]
    result["externalExecutionId"] = build.shown["id"]

    def follow() -> None:
        status = builds.status(world, build)
        if status == "IN_PROGRESS":
            return world.after(BETWEEN_CHECKS, follow)
        failed = ("JobFailed", f"Build terminated with state: {status}")
        return _end(world, action, None if status == "SUCCEEDED" else failed)

    return world.after(BETWEEN_CHECKS, follow)


@on("codepipeline", "StartPipelineExecution", rules="cp-003")
def start_pipeline_execution(call: Call) -> Params:
    pipeline = _pipeline(call)
    tokens: dict[str, str] = call.world.state["codepipeline tokens"]
    token = call.params.get("clientRequestToken")
    if token and token in tokens:
        return {"pipelineExecutionId": tokens[token]}
    made = _start(call.world, call.region, pipeline, "StartPipelineExecution").shown["pipelineExecutionId"]
    if token:
        tokens[token] = made
    return {"pipelineExecutionId": made}


@on("codepipeline", "StopPipelineExecution")
def stop_pipeline_execution(call: Call) -> Params:
    _, execution = _execution(call)
    if execution.shown["status"] != "InProgress":
        raise AwsError("PipelineExecutionNotStoppableException", "The pipeline execution is not in progress")
    execution.stopping = True
    if call.params.get("abandon"):
        for action in execution.actions:
            if action.shown["status"] == "InProgress":
                action.shown["status"] = "Abandoned"
        _finish(call.world, execution, "Stopped")
    else:
        execution.shown["status"] = "Stopping"
    return {"pipelineExecutionId": call.params["pipelineExecutionId"]}


@on("codepipeline", "RetryStageExecution")
def retry_stage_execution(call: Call) -> Params:
    pipeline, execution = _execution(call)
    names = [stage["name"] for stage in execution.pipeline["stages"]]
    if call.params["stageName"] not in names:
        raise AwsError("StageNotFoundException", f"The stage {call.params['stageName']} does not exist")
    state = pipeline.stage_states.get(call.params["stageName"], {})
    if state.get("status") != "Failed":
        raise AwsError("StageNotRetryableException", "The stage is not in a state that can be retried")
    execution.shown["status"] = "InProgress"
    _enter(call.world, call.region, pipeline, execution, names.index(call.params["stageName"]))
    return {"pipelineExecutionId": call.params["pipelineExecutionId"]}


@on("codepipeline", "PutApprovalResult")
def put_approval_result(call: Call) -> Params:
    pipeline, given = _pipeline(call, "pipelineName"), call.params
    for execution in pipeline.executions:
        for action in execution.actions:
            if action.shown.get("token") == given["token"] and action.shown["status"] == "InProgress":
                rejected = given["result"]["status"] == "Rejected"
                _end(call.world, action, ("JobFailed", given["result"]["summary"]) if rejected else None)
                return {"approvedAt": call.world.timestamp()}
    raise AwsError("InvalidApprovalTokenException", "The approval token is not valid")


@on("codepipeline", "DisableStageTransition", "EnableStageTransition")
def stage_transition(call: Call) -> Params:
    pipeline, stage = _pipeline(call, "pipelineName"), call.params["stageName"]
    if stage not in [one["name"] for one in pipeline.declaration["stages"]]:
        raise AwsError("StageNotFoundException", f"The stage {stage} does not exist")
    if call.operation == "DisableStageTransition":
        pipeline.disabled[stage] = call.params["reason"]
    elif stage in pipeline.disabled:
        del pipeline.disabled[stage]
        waiting, pipeline.held = pipeline.held, []
        for execution, number in waiting:
            _enter(call.world, call.region, pipeline, execution, number)
    return {}


# --- how executions are shown


@on("codepipeline", "GetPipelineExecution")
def get_pipeline_execution(call: Call) -> Params:
    pipeline, execution = _execution(call)
    names = ("pipelineExecutionId", "status", "trigger", "executionMode", "executionType")
    shown = {key: execution.shown[key] for key in names}
    shown |= {"pipelineName": pipeline.declaration["name"], "pipelineVersion": execution.pipeline["version"]}
    return {"pipelineExecution": {**shown, "artifactRevisions": []}}


@on("codepipeline", "ListPipelineExecutions")
def list_pipeline_executions(call: Call) -> Params:
    executions = [one.shown for one in _pipeline(call, "pipelineName").executions]
    return {"pipelineExecutionSummaries": executions[: call.params.get("maxResults", 100)]}


@on("codepipeline", "ListActionExecutions")
def list_action_executions(call: Call) -> Params:
    wanted = (call.params.get("filter") or {}).get("pipelineExecutionId")
    found = [action.shown for one in _pipeline(call, "pipelineName").executions for action in one.actions]
    return {"actionExecutionDetails": [one for one in found if wanted in (None, one["pipelineExecutionId"])]}


@on("codepipeline", "GetPipelineState")
def get_pipeline_state(call: Call) -> Params:
    found = _pipeline(call)
    latest: dict[tuple[str, str], Params] = {}
    for execution in found.executions:
        for action in execution.actions:
            latest.setdefault((action.shown["stageName"], action.shown["actionName"]), action.shown)
    states = []
    for stage in found.declaration["stages"]:
        name = stage["name"]
        closed: Params = {"enabled": name not in found.disabled}
        if name in found.disabled:
            closed["disabledReason"] = found.disabled[name]
        shown: Params = {"stageName": name, "inboundTransitionState": closed}
        names = [action["name"] for action in stage["actions"]]
        shown["actionStates"] = [_action_state(one, latest.get((name, one))) for one in names]
        if name in found.stage_states:
            shown["latestExecution"] = found.stage_states[name]
        states.append(shown)
    times = {key: found.metadata[key] for key in ("created", "updated")}
    version = found.declaration["version"]
    return {"pipelineName": call.params["name"], "pipelineVersion": version, "stageStates": states, **times}


def _action_state(name: str, action: Params | None) -> Params:
    if action is None:
        return {"actionName": name}
    latest = {"actionExecutionId": action["actionExecutionId"], "status": action["status"]}
    latest["lastStatusChange"] = action["lastUpdateTime"]
    result = action["output"]["executionResult"]
    latest |= {key: result[key] for key in ("externalExecutionId", "errorDetails") if key in result}
    if "token" in action and action["status"] == "InProgress":
        latest["token"] = action["token"]
    return {"actionName": name, "latestExecution": latest}
