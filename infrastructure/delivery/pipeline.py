"""CodePipeline: each push is built, its image pushed to the repository, and deployed to the endpoint's service.

Source (the connection, a full clone), Build (CodeBuild), Deploy (ECS, then a command that starts a service which still
has no tasks). Until there is a service the way into Deploy is closed; `open_deploy` opens it.
A pipeline of type V2 is paid for by the minute of an action's run, the first 100 minutes of a month free.
https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-pipeline-structure.html
"""

import shlex
from datetime import datetime
from typing import Any

import aws
import constants
from aws import Problem, call, client, endpoint_tags, holds, mine, ours, region
from console import say
from infrastructure.cluster import cluster, roles
from infrastructure.cluster.regions import offered
from infrastructure.delivery import artifact_bucket, build_logs, build_project, connection, executions
from infrastructure.service import service

ROLE = "pipeline"
DEPLOY = "Deploy"
IMAGES = "imagedefinitions.json"
#: why the way into Deploy is closed; AWS takes letters, digits and these few signs only
CLOSED = "No service yet - the end of create-service.py opens this"
#: https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_ActionDeclaration.html
LONGEST_COMMAND = 1000
NOT_ASSUMED = "CodePipeline is not authorized to perform AssumeRole on role"
NOT_THERE, CHANGING = "PipelineNotFoundException", "ConcurrentModificationException"


def its_name() -> str:
    return constants.PREFIX


@aws.look
def find() -> Any:
    """The pipeline's declaration and its metadata, with its tags."""
    codepipeline = client("codepipeline")
    if not offered("codepipeline") or roles.never_made(ROLE, aws.arn("codepipeline", its_name())):
        return None
    found = call(codepipeline.get_pipeline, gone=NOT_THERE)(name=its_name())
    if not found or not found["metadata"]["pipelineArn"]:  # a dry run's stand-in has none
        return None
    read = call(codepipeline.list_tags_for_resource, gone="ResourceNotFoundException")
    its_tags = read(resourceArn=found["metadata"]["pipelineArn"])
    return {**found, "tags": its_tags["tags"]} if its_tags else None


LOOKS = (find, *roles.looks(ROLE))


def create_role(connection_arn: str) -> str:
    """Read the source, start the build, deploy to the one service with the tasks' roles, write the commands' log.

    That CodePipeline tells for which account it acts, as its trust demands, no page of AWS's says.
    """
    service_arn = aws.arn("ecs", f"service/{constants.CLUSTER_NAME}/{constants.SERVICE_NAME}")
    definitions = aws.arn("ecs", f"task-definition/{constants.TASK_FAMILY}:*")
    project = aws.arn("codebuild", f"project/{build_project.its_name()}")
    tasks_roles = sorted({roles.find().task_execution_role_arn, roles.find().task_role_arn})
    bucket_actions = ["s3:GetBucketVersioning", "s3:GetBucketAcl", "s3:GetBucketLocation"]
    registers = {"StringEquals": {"ecs:CreateAction": ["RegisterTaskDefinition"]}}
    scales = "application-autoscaling:RegisterScalableTarget"
    policy = roles.document(
        build_project.connection_statement(connection_arn),
        build_project.objects_statement("GetObject", "GetObjectVersion", "PutObject", "PutObjectAcl"),
        {"Action": bucket_actions, "Resource": artifact_bucket.arn()},
        {"Action": ["codebuild:StartBuild", "codebuild:BatchGetBuilds"], "Resource": project},
        {"Action": ["ecs:DescribeServices", "ecs:UpdateService"], "Resource": service_arn},
        {"Action": ["ecs:DescribeTaskDefinition", "ecs:RegisterTaskDefinition"], "Resource": "*"},  # they know no ARNs
        {"Action": "ecs:TagResource", "Resource": definitions, "Condition": registers},
        {"Action": "iam:PassRole", "Resource": tasks_roles, "Condition": roles.passed_to_tasks()},
        {"Action": scales, "Resource": aws.arn("application-autoscaling", "scalable-target/*")},
        build_project.logs_statement(build_logs.of_commands()),
    )
    return roles.create_role(ROLE, roles.trust("codepipeline"), (), policy)


def declaration(role_arn: str, connection_arn: str) -> Any:
    source = {
        "ConnectionArn": connection_arn,
        "FullRepositoryId": constants.SOURCE_REPOSITORY,
        "BranchName": constants.SOURCE_BRANCH,
        "OutputArtifactFormat": "CODEBUILD_CLONE_REF",
        "DetectChanges": "true",
    }
    build = {"ProjectName": build_project.its_name()}
    deploy = {"ClusterName": constants.CLUSTER_NAME, "ServiceName": constants.SERVICE_NAME, "FileName": IMAGES}
    stages = {
        "Source": [action("Source", "Source", "CodeStarSourceConnection", source, writes="Source")],
        "Build": [action("Build", "Build", "CodeBuild", build, reads="Source", writes="Built")],
        DEPLOY: [action("Deploy", "Deploy", "ECS", deploy, reads="Built")],
    }
    if constants.DESIRED_COUNT:
        start = action("Start", "Compute", "Commands", {}, reads="Built")
        stages[DEPLOY].append({**start, "runOrder": 2, "commands": [start_command()]})
    return {
        **({"triggers": triggers()} if constants.SOURCE_PATHS else {}),
        "name": its_name(),
        "roleArn": role_arn,
        "artifactStore": {"type": "S3", "location": artifact_bucket.its_name()},
        "pipelineType": "V2",
        "executionMode": "SUPERSEDED",
        "stages": [{"name": name, "actions": actions} for name, actions in stages.items()],
    }


def triggers() -> list[Any]:
    """In place of every push to the branch: https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-filter.html"""
    paths = {"branches": {"includes": [constants.SOURCE_BRANCH]}, "filePaths": {"includes": constants.SOURCE_PATHS}}
    git = {"sourceActionName": "Source", "push": [paths]}
    return [{"providerType": "CodeStarSourceConnection", "gitConfiguration": git}]


def paths_of(declared: Any) -> list[str]:
    """Those that count, by its triggers; AWS shows one that names none where none was declared."""
    pushes = [push for each in declared.get("triggers", []) for push in each["gitConfiguration"].get("push", [])]
    return [path for push in pushes for path in push.get("filePaths", {}).get("includes", [])]


def action(
    name: str, category: str, provider: str, configuration: dict[str, str], reads: str = "", writes: str = ""
) -> dict[str, Any]:
    return {
        "name": name,
        "actionTypeId": {"category": category, "owner": "AWS", "provider": provider, "version": "1"},
        "runOrder": 1,
        "configuration": configuration,
        "inputArtifacts": [{"name": reads}] if reads else [],
        "outputArtifacts": [{"name": writes}] if writes else [],
    }


def refuse_long_command() -> None:
    if (size := len(start_command())) > LONGEST_COMMAND:
        names = f"a command of the pipeline names it, and would have {size} characters, {LONGEST_COMMAND} at most"
        raise Problem(f"SERVICE_NAME: {names}: choose a shorter one")


def start_command() -> str:
    """Where the service has no tasks: its count and its scaling, as the settings say. One line, as AWS demands.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-Commands.html
    """
    its_cluster, its_service = shlex.quote(constants.CLUSTER_NAME), shlex.quote(constants.SERVICE_NAME)
    target = shlex.quote(f"service/{constants.CLUSTER_NAME}/{constants.SERVICE_NAME}")
    of = f"--region {region()} --cluster {its_cluster}"
    count = f"aws ecs describe-services {of} --services {its_service} --query 'services[0].desiredCount' --output text"
    start = f"aws ecs update-service {of} --service {its_service} --desired-count {constants.DESIRED_COUNT}"
    start += " --query service.desiredCount"
    if constants.SCALING != "none":
        start += (
            f" && aws application-autoscaling register-scalable-target --region {region()} --service-namespace ecs "
            f"--resource-id {target} --scalable-dimension ecs:service:DesiredCount "
            "--suspended-state DynamicScalingInSuspended=false,DynamicScalingOutSuspended=false "
            f"--min-capacity {constants.MIN_TASKS} --max-capacity {constants.MAX_TASKS}"
        )
    return f'if [ "$({count})" = 0 ]; then {start}; fi'


def create(connection_arn: str) -> None:
    """Make the pipeline with its role, or bring it to the settings. AWS starts a new one by itself."""
    codepipeline, what, present = client("codepipeline"), f"pipeline {its_name()}", find()
    aws.refuse_foreign(what, present)
    wanted = declaration(create_role(connection_arn), connection_arn)
    waiting, there = f"role {roles.role_name(ROLE)} to be known to CodePipeline", "PipelineNameInUseException"
    seconds = build_project.ROLE_SECONDS
    if not present:
        make = call(codepipeline.create_pipeline, waiting, there=there, busy=NOT_ASSUMED, seconds=seconds)
        made = make(pipeline=wanted, tags=endpoint_tags("pipeline", "key", "value"))
        branch = f"{constants.SOURCE_REPOSITORY}, branch {constants.SOURCE_BRANCH}"
        say("created" if made else "found", what, branch)
    elif changed := changes(present["pipeline"], wanted):
        call(codepipeline.update_pipeline, what, of=present, busy=(NOT_ASSUMED, CHANGING))(pipeline=wanted)
        say("updated", what, ", ".join(changed))
    else:
        say("found", what)
    close_deploy()
    start_again()
    leave_roles()


def leave_roles() -> None:
    """The two that were made, in whose place the user's have come, once nothing runs with them."""
    left = [each for each in (ROLE, build_project.ROLE) if constants.ADOPTED_ROLES[each] and roles.role(each)()]
    shown = stages() if left else []
    running = [name for stage in shown for name, status in stage["actions"].items() if status == "InProgress"]
    in_use = f"{', '.join(running)} still runs with it; {aws.command('create_pipeline.py')} deletes it later"
    for suffix in left:
        roles.leave(suffix, in_use if running else "")


def start_again() -> None:
    """An execution that failed before the pipeline or its build project was changed is tried once more."""
    newest, project, present = executions.newest(), build_project.find(), find()
    if not newest or not project or not present or newest["status"] != "Failed":
        return
    changed: datetime = max(present["metadata"]["updated"], project["lastModified"])
    if changed > newest["startTime"]:
        token = aws.token(its_name(), newest["pipelineExecutionId"], changed)
        client("codepipeline").start_pipeline_execution(name=its_name(), clientRequestToken=token)
        say("started", f"pipeline {its_name()}", "again, since its last run failed before the change")


def changes(present: Any, wanted: Any) -> list[str]:
    """The parts that differ: stages by their names, the rest by its own."""
    changed = [key for key, value in wanted.items() if key != "stages" and not holds(present.get(key), value)]
    if paths_of(present) and not paths_of(wanted):
        changed.append("triggers")
    stages = {stage["name"]: stage for stage in present["stages"]}
    changed += [stage["name"] for stage in wanted["stages"] if not holds(stages.get(stage["name"]), stage)]
    return changed or (["stages"] if len(stages) != len(wanted["stages"]) else [])


def delete() -> None:
    """What runs is stopped first, and left as it is: a deploy that ECS has begun goes on."""
    present, what = find(), f"pipeline {its_name()}"
    if present and not aws.spare_foreign(what, present):
        for execution in executions.newest_first(100):
            if execution["status"] == "InProgress":
                executions.stop(execution["pipelineExecutionId"], present)
        call(client("codepipeline").delete_pipeline, what, of=present, busy=CHANGING)(name=its_name())
        say("deleted", what)
    if roles.role(ROLE)():
        roles.delete_role(ROLE)


def left_over() -> list[aws.Resource]:
    found, what = find(), f"pipeline {its_name()}"
    pipelines = [aws.resource(what, found["metadata"]["pipelineArn"], found)] if mine(found) else []
    return pipelines + roles.roles_left(ROLE)


def close_deploy() -> None:
    """Without a service a deploy would only fail. A way that a person closed stays closed."""
    if cluster.find() and service.find():
        open_deploy()
    elif deploy_transition().get("enabled"):
        disable = call(client("codepipeline").disable_stage_transition, of=find())
        disable(pipelineName=its_name(), stageName=DEPLOY, transitionType="Inbound", reason=CLOSED)
        say("updated", f"pipeline {its_name()}", f"its stage {DEPLOY} waits for create_service.py")


def open_deploy() -> None:
    """Let through what waits before Deploy, now that there is a service. Without a pipeline there is nothing to do."""
    if deploy_transition().get("disabledReason") == CLOSED:
        enable = call(client("codepipeline").enable_stage_transition, of=find())
        enable(pipelineName=its_name(), stageName=DEPLOY, transitionType="Inbound")
        say("updated", f"pipeline {its_name()}", f"its stage {DEPLOY} is open")


def tell_another_service() -> None:
    """One that deploys to a former SERVICE_NAME would fail at the next push, and says so only then."""
    stages = find()["pipeline"]["stages"] if ours(find()) else []
    named = [each["configuration"].get("ServiceName") for stage in stages for each in stage["actions"]]
    for service_name in {each for each in named if each} - {constants.SERVICE_NAME}:
        way = f"run {aws.command('create_pipeline.py')}, so that it deploys to {constants.SERVICE_NAME}"
        say("warning", f"pipeline {its_name()} deploys to service {service_name}:", way)


def deploy_transition() -> Any:
    """Whether executions may enter Deploy, and why not; nothing where there is no pipeline of ours."""
    stages = state() if ours(find()) else []
    return next((stage["inboundTransitionState"] for stage in stages if stage["stageName"] == DEPLOY), {})


def state() -> list[Any]:
    """The stages, as they are now."""
    found = call(client("codepipeline").get_pipeline_state, gone=NOT_THERE)(name=its_name())
    return found["stageStates"] if found else []


def stages() -> list[dict[str, Any]]:
    """Each stage with its latest state and that of its actions."""

    def status(of: Any) -> Any:
        return of.get("latestExecution", {}).get("status")

    return [
        {
            "stageName": stage["stageName"],
            "status": status(stage),
            "open": stage["inboundTransitionState"]["enabled"],
            "closedBecause": stage["inboundTransitionState"].get("disabledReason"),
            "actions": {each["actionName"]: status(each) for each in stage["actionStates"]},
        }
        for stage in state()
    ]


def console_url() -> str:
    return connection.console_url(f"codepipeline/pipelines/{its_name()}/view")
