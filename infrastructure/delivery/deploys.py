"""The pipelines' way into Deploy: closed for a pause, since their last command starts a service that has no tasks.

What is pushed meanwhile is built, and waits at the closed stage; of several AWS keeps the newest.
https://docs.aws.amazon.com/codepipeline/latest/userguide/transitions.html
"""

from typing import Any

import aws
import constants
from aws import call, client, every
from console import say
from infrastructure.cluster.regions import offered
from infrastructure.delivery.pipeline import DEPLOY, NOT_THERE

#: AWS takes letters, digits and these few signs only
PAUSED = "The cluster is paused - resume-cluster.py opens this"


@aws.shared_look
def pipelines() -> list[Any]:
    """The cluster's, each with its tags and the transition into its stage Deploy."""
    if not offered("codepipeline"):
        return []
    codepipeline, own = client("codepipeline"), constants.CLUSTER_NAME
    named = [each["name"] for each in every(codepipeline.get_paginator("list_pipelines").paginate(), "pipelines")]
    found = aws.side_by_side(read, [each for each in named if each == own or each.startswith(aws.name(""))])
    return [each for each in found if aws.ours(each)]


def read(its_name: str) -> dict[str, Any]:
    codepipeline, arn = client("codepipeline"), aws.arn("codepipeline", its_name)
    its_tags = call(codepipeline.list_tags_for_resource, gone="ResourceNotFoundException")(resourceArn=arn)
    state = call(codepipeline.get_pipeline_state, gone=NOT_THERE)(name=its_name)
    stages: Any = state["stageStates"] if state else []
    deploy: Any = next((each for each in stages if each["stageName"] == DEPLOY), {})
    deploys = deploy.get("latestExecution", {}).get("status") == "InProgress"
    own = {"name": its_name, "tags": its_tags["tags"] if its_tags else []}
    return {**own, "into": deploy.get("inboundTransitionState", {}), "deploys": deploys}


LOOKS = (pipelines,)


def take() -> None:
    for each in pipelines():
        if each["into"].get("enabled"):
            disable = call(client("codepipeline").disable_stage_transition, f"pipeline {each['name']}", of=each)
            disable(pipelineName=each["name"], stageName=DEPLOY, transitionType="Inbound", reason=PAUSED)
            say("updated", f"pipeline {each['name']}", "what is pushed meanwhile waits before Deploy")
        if each["deploys"]:
            way = "it may start tasks again: run pause_cluster.py once more when it has ended"
            say("warning", f"pipeline {each['name']} deploys just now:", way)


def bring_back() -> None:
    """A way that was closed before the pause stays closed."""
    for each in pipelines():
        if each["into"].get("disabledReason") == PAUSED:
            enable = call(client("codepipeline").enable_stage_transition, f"pipeline {each['name']}", of=each)
            enable(pipelineName=each["name"], stageName=DEPLOY, transitionType="Inbound")
            say("updated", f"pipeline {each['name']}", "its stage Deploy is open")
