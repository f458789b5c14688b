"""CodePipeline: pipelines, and executions that walk from stage to stage as time passes.

moto records pipelines and runs nothing. Here a Source action looks for its connection or image, a CodeBuild action
starts a build, an ECS action deploys its image, a Commands action runs its commands, any other action takes its time
and succeeds, and an approval waits for PutApprovalResult. What they do is in actions.py.
https://docs.aws.amazon.com/codepipeline/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import copy
import functools
import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from emulator.codebuild import builds
from emulator.codepipeline import actions as codepipeline_actions
from emulator.codestar_connections import connections
from emulator.core import partitions, rules
from emulator.core.doors import Json, door
from emulator.core.rules import AwsError, Call, Params, held, on
from emulator.core.tags import Tags, bearer
from emulator.core.wire import Emulator
from emulator.core.world import ACCOUNT, World
from emulator.ecr.repositories import repository_has_image
from emulator.iam.trust import assumable

rules.SENTENCES.update(
    {
        "cp-001": "A pipeline's role must exist, have spread, and let CodePipeline assume it for the pipeline.",
        "cp-002": "A pipeline has two stages or more, Source actions in the first and only there, one way to name its "
        "artifact stores, and a name of its own.",
        "cp-action": "An action reads only artifacts that an earlier one writes; Commands need a pipeline of type V2 and a "
        "command; the reason of a closed transition has letters, digits and ! @ ( ) . * ? - only.",
        "cp-wait": "One execution at a time is in a stage; before a busy or closed one only the newest waits, and those "
        "that it overtakes are Superseded.",
        "cp-004": "A push starts a pipeline of type V2 whatever it touches, unless a trigger says which paths and branches "
        "count: then it alone does, with 8 patterns at most.",
        "cp-003": "Creating a pipeline starts an execution, whose Source action fails with a connection that is PENDING.",
    }
)

held("cp-wait", "every execution of a pipeline")
held("cp-004", "POST /_emulator/pushes")
#: category of an action -> how many AWS seconds it takes
SECONDS = {"Source": 8, "Deploy": 60, "Test": 30, "Invoke": 5, "Build": 30, "Compute": 30}
BETWEEN_CHECKS = 5
CONNECTED = "CodeStarSourceConnection"
MOST_PATTERNS = 8
REASON = r"[a-zA-Z0-9!@ ().*?\-]{1,300}"


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
    commit: connections.Commit | None = None
    artifacts: dict[str, tuple[str, str]] = field(default_factory=dict)  # name -> bucket and key


@dataclass
class Pipeline:
    declaration: Params
    metadata: Params
    tags: dict[str, str]
    executions: list[Execution] = field(default_factory=list)
    stage_states: dict[str, Params] = field(default_factory=dict)  # stage -> its latest execution
    disabled: dict[str, str] = field(default_factory=dict)  # stage -> the reason why nothing enters it
    held: list[tuple[Execution, int]] = field(default_factory=list)  # what waits before a closed or busy stage


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
    _check_actions(declaration)
    _check_triggers(declaration)
    arn = f"arn:{partitions.here()}:codepipeline:{call.region}:{call.account}:{name}"
    if not assumable(call.world, role, "codepipeline.amazonaws.com", arn):
        raise _wrong(f"CodePipeline is not authorized to perform AssumeRole on role {role}")


def _check_actions(declaration: Params) -> None:
    written: set[str] = set()
    for stage in declaration["stages"]:
        for action in sorted(stage["actions"], key=lambda one: one.get("runOrder", 1)):
            for artifact in action.get("inputArtifacts") or []:
                if artifact["name"] not in written:
                    raise AwsError(
                        "InvalidActionDeclarationException",
                        f"Input Artifact Bundle {artifact['name']} in action {action['name']} is not declared as Output "
                        "Artifact Bundle in any of the preceding actions",
                    )
            written |= {artifact["name"] for artifact in action.get("outputArtifacts") or []}
            kind = action["actionTypeId"]
            if kind["provider"] == "Commands" and not action.get("commands"):
                message = f"Action {action['name']} must have a non-empty commands field"
                raise AwsError("InvalidActionDeclarationException", message)
            if kind["provider"] == "Commands" and declaration.get("pipelineType") != "V2":
                message = f"Action {action['name']}: Commands is available in pipelines of type V2 only"
                raise AwsError("InvalidActionDeclarationException", message)
            if (
                kind["provider"] == "ECS"
                and not {"ClusterName", "ServiceName"} <= (action.get("configuration") or {}).keys()
            ):
                message = f"Action configuration for action '{action['name']}' is missing required configuration 'ClusterName'"
                raise AwsError("InvalidActionDeclarationException", message)


@on("codepipeline", "CreatePipeline", rules="cp-001 cp-002 cp-003 cp-004 cp-action")
def create_pipeline(call: Call) -> Params:
    """https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_CreatePipeline.html"""
    declaration, known = copy.deepcopy(call.params["pipeline"]), _here(call.world, call.region)
    name = declaration["name"]
    _check(call, declaration)
    if name in known:
        message = f"A pipeline with the name '{name}' already exists in account '{call.account}'"
        raise AwsError("PipelineNameInUseException", message)
    now = call.world.timestamp()
    metadata = {
        "pipelineArn": f"arn:{partitions.here()}:codepipeline:{call.region}:{call.account}:{name}",
        "created": now,
    }
    tags = {tag["key"]: tag["value"] for tag in call.params.get("tags") or []}
    made = known[name] = Pipeline({**declaration, "version": 1}, {**metadata, "updated": now}, tags)
    _start(call.world, call.region, made, "CreatePipeline")
    return {"pipeline": made.declaration, "tags": call.params.get("tags") or []}


@on("codepipeline", "UpdatePipeline", rules="cp-001 cp-002 cp-004 cp-action")
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
    """With the trigger that AWS declares where its user has declared none (its shape is unverified):
    https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/codepipeline#trigger_all-1"""
    found = _pipeline(call)
    usual = [
        {"providerType": CONNECTED, "gitConfiguration": {"sourceActionName": each}}
        for each in _sources(found.declaration)
    ]
    shown = {"triggers": usual} if usual and found.declaration.get("pipelineType") == "V2" else {}
    return {"pipeline": {**shown, **found.declaration}, "metadata": found.metadata}


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
    gone = _here(call.world, call.region).pop(call.params["name"], None)
    for execution in gone.executions if gone else []:
        _abandon(call.world, execution)
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


@door("POST", "/_emulator/pushes")
def _push_commit(emulator: Emulator, given: Json) -> Json:
    """Somebody pushes: {"repository": "team/name", "branch": "main", "message": "...", "files": {}}; "fails" says what fails."""
    message, files, fails = given.get("message", "A change"), given.get("files", {}), given.get("fails", "")
    return push(emulator.world, given["repository"], given.get("branch", "main"), message, files, fails)


def push(world: World, repository: str, branch: str, message: str, files: dict[str, str], fails: str) -> Params:
    """Push a commit, and let the pipelines that detect changes of this branch begin."""
    commit = connections.push(world, repository, branch, message, files, fails)
    begun = []
    known: dict[str, dict[str, Pipeline]] = world.state["codepipeline"]
    for region, pipelines in known.items():
        for name, pipeline in pipelines.items():
            for action in pipeline.declaration["stages"][0]["actions"]:
                config = action.get("configuration") or {}
                arn, here = config.get("ConnectionArn", ""), config.get("FullRepositoryId") == repository
                starts = here and _is_started(pipeline.declaration, action, branch, commit.changed)
                if starts and connections.status(world, arn) == "AVAILABLE":
                    shown = _start(world, region, pipeline, "WebhookV2", arn).shown
                    begun.append({"pipelineName": name, "pipelineExecutionId": shown["pipelineExecutionId"]})
    return {"commit": commit.id, "executions": begun}


def _is_started(declaration: Params, action: Params, branch: str, paths: tuple[str, ...]) -> bool:
    """By a push of these paths: where a trigger is declared for the action, its filters alone say so."""
    config = action.get("configuration") or {}
    for trigger in declaration.get("triggers") or []:
        git = trigger["gitConfiguration"]
        if git["sourceActionName"] == action["name"] and {"push", "pullRequest"} & git.keys():
            filters = git.get("push") or []
            return any(
                _passes(each.get("branches"), (branch,)) and _passes(each.get("filePaths"), paths) for each in filters
            )
    return config.get("DetectChanges", "true") == "true" and config.get("BranchName") == branch


def _passes(criteria: Params | None, names: tuple[str, ...]) -> bool:
    """Is any of these included, and not excluded? https://docs.aws.amazon.com/codepipeline/latest/userguide/syntax-glob.html"""
    if not criteria:
        return True
    included, excluded = criteria.get("includes") or ["**"], criteria.get("excludes") or []
    left = [name for name in names if not any(_glob(each).fullmatch(name) for each in excluded)]
    return any(_glob(each).fullmatch(name) for name in left for each in included)


@functools.cache
def _glob(pattern: str) -> re.Pattern[str]:
    forms = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(forms.get(each, re.escape(each)) for each in re.findall(r"\*\*|.", pattern)))


def _sources(declaration: Params) -> set[str]:
    """The actions that read a repository through a connection."""
    actions = declaration["stages"][0]["actions"]
    return {action["name"] for action in actions if action["actionTypeId"]["provider"] == CONNECTED}


def _check_triggers(declaration: Params) -> None:
    """https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_PipelineTriggerDeclaration.html"""
    sources = _sources(declaration)
    triggers = declaration.get("triggers") or []
    if triggers and declaration.get("pipelineType") != "V2":
        raise _wrong("Triggers are available in pipelines of type V2 only")
    named = [trigger["gitConfiguration"]["sourceActionName"] for trigger in triggers]
    if not set(named) <= sources or len(set(named)) < len(named):
        raise _wrong(
            "Triggers for connection must reference a CodeStarSourceConnection action. Note that when you specify a "
            "trigger, you cant specify more than one trigger per source action."
        )
    for trigger in triggers:
        for each in trigger["gitConfiguration"].get("push") or []:
            for criteria in (each.get("branches") or {}, each.get("filePaths") or {}):
                if any(len(patterns) > MOST_PATTERNS for patterns in criteria.values()):
                    raise AwsError(
                        "ValidationException",
                        "1 validation error detected: Value at 'pipeline.triggers' failed to satisfy constraint: Member "
                        f"must have length less than or equal to {MOST_PATTERNS}",
                    )


def _start(world: World, region: str, pipeline: Pipeline, trigger: str, detail: str = "") -> Execution:
    now = world.timestamp()
    shown = {
        "pipelineExecutionId": str(uuid.uuid4()),
        "status": "InProgress",
        "startTime": now,
        "lastUpdateTime": now,
        "sourceRevisions": [],
        "trigger": {
            "triggerType": trigger,
            "triggerDetail": detail or f"arn:{partitions.here()}:iam::{ACCOUNT}:user/emulator",
        },
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
    if name in pipeline.disabled or _busy(pipeline, name, execution):
        if pipeline.declaration.get("executionMode", "SUPERSEDED") == "SUPERSEDED":
            for overtaken, _ in [each for each in pipeline.held if each[1] == number]:
                _finish(world, overtaken, "Superseded")
            pipeline.held = [each for each in pipeline.held if each[1] != number]
        pipeline.held.append((execution, number))
        return None
    execution.stage = name
    state = {"pipelineExecutionId": execution.shown["pipelineExecutionId"], "status": "InProgress", "type": "STANDARD"}
    pipeline.stage_states[name] = state
    _run(world, region, pipeline, execution, number, 1)
    return None


def _busy(pipeline: Pipeline, stage: str, execution: Execution) -> bool:
    """Is another execution in this stage?"""
    mode = pipeline.declaration.get("executionMode", "SUPERSEDED")
    others = [one for one in pipeline.executions if one is not execution and one.stage == stage]
    return mode != "PARALLEL" and any(one.shown["status"] in ("InProgress", "Stopping") for one in others)


def _leave(world: World, region: str, pipeline: Pipeline, execution: Execution) -> None:
    """A stage is free again: what waits before one that is neither closed nor busy enters it."""
    execution.stage = ""
    for waiting in list(pipeline.held):
        name = waiting[0].pipeline["stages"][waiting[1]]["name"]
        if name not in pipeline.disabled and not _busy(pipeline, name, waiting[0]):
            pipeline.held.remove(waiting)
            _enter(world, region, pipeline, *waiting)


def _finish(world: World, execution: Execution, status: str) -> None:
    execution.stage = ""
    execution.shown |= {"status": status, "lastUpdateTime": world.timestamp()}


def _abandon(world: World, execution: Execution) -> None:
    """Whatever its actions began goes on, but no one follows it."""
    if execution.shown["status"] in ("InProgress", "Stopping"):
        execution.stopping = True
        for action in execution.actions:
            if action.shown["status"] == "InProgress":
                action.shown["status"] = "Abandoned"
        _finish(world, execution, "Stopped")


def _run(world: World, region: str, pipeline: Pipeline, execution: Execution, number: int, order: int) -> None:
    """Begin the actions of a stage that have the same run order; the last ones done, go on."""
    stage = execution.pipeline["stages"][number]
    state = pipeline.stage_states[stage["name"]]
    orders = sorted({action.get("runOrder", 1) for action in stage["actions"]})
    if execution.stopping or order > orders[-1]:
        state["status"] = "Stopped" if execution.stopping else "Succeeded"
        _leave(world, region, pipeline, execution)
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
        _leave(world, region, pipeline, execution)
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
    else:
        place = codepipeline_actions.Place(world, region, execution.pipeline, execution.artifacts, declared)
        place.result = shown["output"]["executionResult"]
        _perform(execution, action, place)
    return action


Problem = tuple[str, str] | None  # code and message of a failed action


def _perform(execution: Execution, action: Action, place: codepipeline_actions.Place) -> None:
    """Begin what an action does; in its own time it ends the action."""
    world, kind = place.world, place.declared["actionTypeId"]
    end = functools.partial(_end, world, action)
    seconds = SECONDS.get(kind["category"], 10)
    if kind["category"] in ("Build", "Test") and kind["provider"] == "CodeBuild":
        _build(execution, action, place)
    elif kind["category"] == "Source":
        world.after(seconds, _source, execution, action, place)
    elif kind["provider"] == "ECS":
        world.after(BETWEEN_CHECKS, _unless_over, action, codepipeline_actions.deploy, place, end)
    elif kind["provider"] == "Commands":
        identifier = action.shown["actionExecutionId"]
        world.after(seconds, _unless_over, action, codepipeline_actions.run_commands, place, end, identifier)
    else:
        world.after(seconds, end, None)


def _unless_over(action: Action, event: Callable[..., None], *args: object) -> None:
    if action.shown["status"] == "InProgress":
        event(*args)


def _end(world: World, action: Action, problem: Problem) -> None:
    if action.shown["status"] != "InProgress":
        return
    action.shown |= {"status": "Failed" if problem else "Succeeded", "lastUpdateTime": world.timestamp()}
    if problem:
        result = action.shown["output"]["executionResult"]
        result |= {"errorDetails": {"code": problem[0], "message": problem[1]}, "externalExecutionSummary": problem[1]}
    action.then()


def _source(execution: Execution, action: Action, place: codepipeline_actions.Place) -> None:
    """Read the source: what keeps the action from it is a connection not there or not AVAILABLE, or an image missing."""
    world, config, provider = place.world, place.config, place.declared["actionTypeId"]["provider"]
    if action.shown["status"] != "InProgress":
        return None
    if provider in ("CodeStarSourceConnection", "CodeConnections"):
        commit, problem = codepipeline_actions.read_source(place)
        if commit:
            execution.commit = commit
            message = json.dumps({"ProviderType": "GitHub", "CommitMessage": commit.message})
            url = f"https://example.com/{config.get('FullRepositoryId')}/commit/{commit.id}"
            execution.shown["sourceRevisions"].append(
                {
                    "actionName": place.declared["name"],
                    "revisionId": commit.id,
                    "revisionSummary": message,
                    "revisionUrl": url,
                }
            )
        return _end(world, action, problem)
    repository, tag = config.get("RepositoryName", ""), config.get("ImageTag", "latest")
    arn = f"arn:{partitions.here()}:ecr:{place.region}:{ACCOUNT}:repository/{repository}"
    if provider == "ECR" and not place.may("ecr:DescribeImages", arn):
        lacks = "doesn't have the permissions required to access the Amazon ECR repository"
        return _end(world, action, ("PermissionError", f"The service role or action role {lacks} {repository}."))
    if provider == "ECR" and not repository_has_image(world, place.region, repository, tag):
        missing = f"The image with tag {tag} does not exist in the repository {repository}"
        return _end(world, action, ("ConfigurationError", missing))
    return _end(world, action, None)


def _build(execution: Execution, action: Action, place: codepipeline_actions.Place) -> None:
    """Start the build of a CodeBuild action, and follow it; what it produces is its artifact."""
    world, region = place.world, place.region
    project = builds.here(world, region).projects.get(place.config.get("ProjectName", ""))
    if project is None:
        missing = ("ConfigurationError", "Error calling startBuild: Project cannot be found")
        return world.after(BETWEEN_CHECKS, _end, world, action, missing)
    lacking = [each for each in ("StartBuild", "BatchGetBuilds") if not place.may(f"codebuild:{each}", project["arn"])]
    if lacking:
        who, called = place.pipeline["roleArn"], f"{lacking[0][0].lower()}{lacking[0][1:]}"
        denied = f"Error calling {called}: {who} is not authorized to perform: codebuild:{lacking[0]}"
        return world.after(BETWEEN_CHECKS, _end, world, action, ("PermissionError", denied))
    connection = _connection(execution.pipeline)
    given = {"initiator": f"codepipeline/{place.pipeline['name']}"}
    build = builds.start(world, region, project, given, execution.commit, connection)
    codepipeline_actions.read_in_build(place, build)
    place.result["externalExecutionId"] = build.shown["id"]

    def follow() -> None:
        status = builds.status(world, build)
        if status == "IN_PROGRESS":
            return world.after(BETWEEN_CHECKS, follow)
        problem: Problem = None if status == "SUCCEEDED" else ("JobFailed", f"Build terminated with state: {status}")
        for artifact in place.declared.get("outputArtifacts") or []:
            role = project["serviceRole"].rpartition("/")[2]
            problem = problem or codepipeline_actions.store(place, role, artifact["name"], build.produced)
        return _end(world, action, problem)

    return world.after(BETWEEN_CHECKS, follow)


def _connection(declaration: Params) -> str:
    """The connection of a full clone, which the build itself makes; else nothing."""
    configs = [action.get("configuration") or {} for action in declaration["stages"][0]["actions"]]
    clones = [config for config in configs if config.get("OutputArtifactFormat") == "CODEBUILD_CLONE_REF"]
    return str(clones[0].get("ConnectionArn", "")) if clones else ""


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
    pipeline, execution = _execution(call)
    if execution.shown["status"] != "InProgress":
        raise AwsError("PipelineExecutionNotStoppableException", "The pipeline execution is not in progress")
    execution.stopping = True
    pipeline.held = [each for each in pipeline.held if each[0] is not execution]
    if call.params.get("abandon"):
        _abandon(call.world, execution)
        _leave(call.world, call.region, pipeline, execution)
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


@on("codepipeline", "DisableStageTransition", "EnableStageTransition", rules="cp-action")
def stage_transition(call: Call) -> Params:
    pipeline, stage = _pipeline(call, "pipelineName"), call.params["stageName"]
    if stage not in [one["name"] for one in pipeline.declaration["stages"]]:
        raise AwsError("StageNotFoundException", f"The stage {stage} does not exist")
    if call.operation == "DisableStageTransition":
        if not re.fullmatch(REASON, call.params["reason"]):
            raise AwsError(
                "ValidationException",
                f"1 validation error detected: Value '{call.params['reason']}' at 'reason' failed to satisfy constraint: "
                "Member must satisfy regular expression pattern: [a-zA-Z0-9!@ \\(\\)\\.\\*\\?\\-]+",
            )
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


@bearer
def tagged(world: World, region: str) -> Iterator[tuple[str, Tags]]:
    for pipeline in world.state["codepipeline"].get(region, {}).values():
        yield pipeline.metadata["pipelineArn"], pipeline.tags
