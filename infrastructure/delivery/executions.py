"""The runs of the endpoint's pipeline: which there are, what they built, and where and why one failed.

https://docs.aws.amazon.com/codepipeline/latest/userguide/executions-view.html
"""

import json
from typing import Any

import constants
from aws import Problem, call, client, wait
from console import say
from infrastructure.cluster import cluster
from infrastructure.delivery import build_project
from infrastructure.service import log_group, service

#: how one ends, beside Succeeded
ENDED_BADLY = ("Failed", "Stopped", "Superseded", "Cancelled")


def newest_first(limit: int) -> list[Any]:
    """So many executions; none where there is no pipeline."""
    list_executions = call(client("codepipeline").list_pipeline_executions, gone="PipelineNotFoundException")
    found = list_executions(pipelineName=constants.PREFIX, maxResults=limit)
    return found["pipelineExecutionSummaries"] if found else []


def newest() -> Any | None:
    return next(iter(newest_first(1)), None)


def actions(execution_id: str) -> list[Any]:
    """What an execution has done, the newest action first."""
    of: Any = {"pipelineExecutionId": execution_id}
    found = client("codepipeline").list_action_executions(pipelineName=constants.PREFIX, filter=of)
    return list[Any](found["actionExecutionDetails"])


def wait_built() -> None:
    """Until the newest execution has its image; where it fails, that and why is told. It takes 2 to 10 minutes."""

    def look() -> Any | None:
        found = newest()
        if not found or found["status"] in ("Succeeded", *ENDED_BADLY):
            return found
        return found if built(found["pipelineExecutionId"]) else None

    execution = wait(f"pipeline {constants.PREFIX} to build the image", look, state_in_words)
    if not execution:
        return  # a dry run
    if execution["status"] in ENDED_BADLY and not built(execution["pipelineExecutionId"]):
        shown = described(execution)
        raise Problem(in_words(shown), {"pipelineName": constants.PREFIX, "execution": shown})
    say("found", "the image", f"of commit {commit(execution).get('id', '?')[:12]} in the repository")
    if execution["status"] == "Failed":
        say("warning", "it is not deployed:", in_words(described(execution)))


def built(execution_id: str) -> bool:
    return any(each["stageName"] == "Build" and each["status"] == "Succeeded" for each in actions(execution_id))


def state_in_words() -> str:
    found = newest()
    if not found:
        return "no execution has begun"
    running = next(iter(actions(found["pipelineExecutionId"])), None)
    return f"{running['stageName']} is {running['status']}" if running else f"it is {found['status']}"


def described(execution: Any) -> dict[str, Any]:
    """An execution as describe_pipeline.py prints it; of a failed one where and why."""
    execution_id, failed = execution["pipelineExecutionId"], execution["status"] == "Failed"
    return {
        "pipelineExecutionId": execution_id,
        **{key: execution.get(key) for key in ("status", "startTime", "lastUpdateTime")},
        "trigger": execution.get("trigger", {}).get("triggerType"),
        "commit": commit(execution),
        **({"failure": failure(execution_id)} if failed else {}),
    }


def commit(execution: Any) -> dict[str, str]:
    """Id and message of what was built; a connection wraps the message in JSON."""
    for revision in execution.get("sourceRevisions", []):  # a pipeline of ours has one source
        summary = revision.get("revisionSummary", "")
        message = json.loads(summary).get("CommitMessage", summary) if summary.startswith("{") else summary
        return {"id": revision.get("revisionId", ""), "message": message}
    return {}


def failure(execution_id: str) -> dict[str, Any]:
    """Stage and action that failed, AWS's message, and the end of the log where there is one."""
    failed = next((each for each in actions(execution_id) if each["status"] == "Failed"), None)
    if not failed:
        return {}
    result = failed.get("output", {}).get("executionResult", {})
    provider, reason = failed["input"]["actionTypeId"]["provider"], ""
    log: list[str] = []
    if provider == "CodeBuild" and result.get("externalExecutionId"):
        reason, log = build_project.build_log(result["externalExecutionId"])
    elif stream := result.get("logStreamARN", ""):
        group, _, name = stream.partition(":log-group:")[2].partition(":log-stream:")
        log = log_group.tail(group, name)
    if provider == "ECS" and (found := service.find() if cluster.find() else None):
        reason = service.why_not_stable(found)
    details = result.get("errorDetails", {})
    message = ": ".join([details.get("message", ""), *([reason] if reason else [])])
    where = {"stageName": failed["stageName"], "actionName": failed["actionName"]}
    return {**where, "code": details.get("code"), "message": message, "log": log}


def in_words(shown: dict[str, Any]) -> str:
    """Why there is no image, with the end of the log, and how to try again."""
    why = shown.get("failure", {})
    log = "".join(f"\n  {line}" for line in why.get("log", []))
    again = f"push a commit, or: aws codepipeline start-pipeline-execution --name {constants.PREFIX}"
    if not why:
        return f"execution {shown['pipelineExecutionId']} of pipeline {constants.PREFIX} is {shown['status']}; {again}"
    where = f"{why['stageName']} of pipeline {constants.PREFIX} failed"
    return f"{where}: {why['message']}{log}\nwhen it is put right, {again}"


def stop(execution_id: str, pipeline: Any) -> None:
    ended = ("PipelineExecutionNotStoppableException", "DuplicatedStopRequestException", "PipelineNotFoundException")
    stop_execution = call(client("codepipeline").stop_pipeline_execution, of=pipeline, gone=ended)
    if stop_execution(pipelineName=constants.PREFIX, pipelineExecutionId=execution_id, abandon=True):
        say("stopped", f"execution {execution_id}")
