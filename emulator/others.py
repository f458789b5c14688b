"""The smaller services that need only a touch beside moto: SSM parameters, STS, ECR, CloudWatch alarms.

And `ask`, with which one service of the emulator calls another, as AWS's services call each other.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.ecr.models import ecr_backends
from moto.ssm.models import ssm_backends

from emulator import rules
from emulator.rules import HANDLERS, AwsError, Call, Params, held, on
from emulator.world import ACCOUNT, World

rules.SENTENCES.update(
    {
        "ssm-001": "AWS's own parameters name the ECS AMIs, as JSON and one value each; a wrong path is "
        "ParameterNotFound.",
        "ecr-001": "A repository that holds images is deleted only by force.",
        "ecr-002": "A repository's name is lower case and its own: else RepositoryAlreadyExistsException.",
        "cw-001": "PutMetricAlarm makes or replaces; a new alarm begins as INSUFFICIENT_DATA.",
        "cw-002": "DeleteAlarms takes at most 100 names, one composite alarm among them, and skips what is not there.",
    }
)


def ask(call: Call, service: str, operation: str, /, **params: Any) -> Params:
    """The answer of another emulated service, its rules included; it raises AwsError or ClientError."""
    from emulator.wire import _ask_moto

    chain = [*HANDLERS[service, operation], _ask_moto]
    inner = Call(call.world, service, operation, params, call.region, call.account, call.moto, chain)
    return inner.proceed()


# --- SSM


def _as_json(parameter: Params) -> None:
    """moto holds the JSON parameters of the ECS AMIs as Python writes them."""
    if parameter["Name"].startswith("/aws/service/ecs/") and parameter["Value"].startswith("{'"):
        parameter["Value"] = json.dumps(ast.literal_eval(parameter["Value"]))


@on("ssm", "DescribeParameters")
def describe_parameters(call: Call) -> Params:
    """The account's own parameters: AWS's thousands of public ones are found by their path, and not listed here."""
    if call.params.get("Filters") or call.params.get("ParameterFilters"):
        return call.proceed()
    backend: Any = ssm_backends[ACCOUNT][call.region]
    own = [backend.get_parameter(name) for name in list(backend._parameters) if not name.startswith("/aws/")]
    return {
        "Parameters": [
            {"Name": each.name, "Type": each.parameter_type, "Version": each.version, "Tier": each.tier or "Standard"}
            for each in own
        ]
    }


@on("ssm", "GetParameter", rules="ssm-001")
def get_parameter(call: Call) -> Params:
    """https://docs.aws.amazon.com/AmazonECS/latest/developerguide/retrieve-ecs-optimized_AMI.html"""
    answer = call.proceed()
    _as_json(answer["Parameter"])
    return answer


@on("ssm", "GetParameters", "GetParametersByPath", rules="ssm-001")
def get_parameters(call: Call) -> Params:
    answer = call.proceed()
    for parameter in answer["Parameters"]:
        _as_json(parameter)
    return answer


# --- STS


@on("sts", "GetCallerIdentity")
def get_caller_identity(call: Call) -> Params:
    """Whatever the key: one IAM user of the emulated account."""
    return {
        "UserId": "AIDAEMULATOREMULATOR1",
        "Account": call.account,
        "Arn": f"arn:aws:iam::{call.account}:user/emulator",
    }


# --- ECR

#: bytes of an emulated image: its one layer
LAYER = 1_200_000_000

held("ecr-001", "moto's DeleteRepository")


@on("ecr", "CreateRepository", rules="ecr-002")
def create_repository(call: Call) -> Params:
    name = call.params["repositoryName"]
    pattern = r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*"
    if not re.fullmatch(pattern, name) or not 2 <= len(name) <= 256:
        raise AwsError(
            "InvalidParameterException",
            "Invalid parameter at 'repositoryName' failed to satisfy constraint: "
            f"'must satisfy regular expression '{pattern}''",
        )
    return call.proceed()


@on("ecr", "DescribeImages")
def describe_images(call: Call) -> Params:
    """An image is as large as its layers."""
    answer = call.proceed()
    backend: Any = ecr_backends[ACCOUNT][call.region]
    for shown in answer["imageDetails"]:
        image = backend.repositories[shown["repositoryName"]]._get_image(None, shown["imageDigest"])
        layers = json.loads(image.image_manifest).get("layers") or []
        shown["imageSizeInBytes"] = sum(layer.get("size", 0) for layer in layers) or shown.get("imageSizeInBytes", 0)
    return answer


@on("ecr", "PutImage")
def put_image_call(call: Call) -> Params:
    """A pushed image is scanned, if its repository wants that."""
    answer = call.proceed()
    _scan_on_push(call.region, call.params["repositoryName"], answer["image"]["imageId"])
    return answer


def _scan_on_push(region: str, repository: str, image_id: Params) -> None:
    backend: Any = ecr_backends[ACCOUNT][region]
    found = backend.repositories[repository]
    image = found._get_image(image_id.get("imageTag"), image_id.get("imageDigest"))
    if found.image_scanning_configuration.get("scanOnPush") and not image.last_scan:
        backend.start_image_scan(found.registry_id, repository, image_id)


def repository_has_image(world: World, region: str, repository: str, tag_or_digest: str) -> bool:
    """Can this repository of the account hand out such an image?"""
    found = ecr_backends[ACCOUNT][region].repositories.get(repository)
    if found is None:
        return False
    return any(tag_or_digest in (*image.image_tags, image.get_image_digest()) for image in found.images)


def put_image(world: World, region: str, repository: str, tag: str) -> str:
    """Push an image with this tag, as docker push would: its digest. Raises as PutImage does."""
    backend: Any = ecr_backends[ACCOUNT][region]
    if repository not in backend.repositories:
        message = f"The repository with name '{repository}' does not exist in the registry with id '{ACCOUNT}'"
        raise AwsError("RepositoryNotFoundException", message)
    content = hashlib.sha256(f"{repository}:{tag}:{world.now()}".encode()).hexdigest()
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 7023, "digest": content},
        "layers": [
            {
                "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "size": LAYER,
                "digest": f"sha256:{content}",
            }
        ],
    }
    image = backend.put_image(repository, json.dumps(manifest), tag)
    image.image_pushed_at = int(world.now())
    _scan_on_push(region, repository, {"imageTag": tag})
    return str(image.get_image_digest())


# --- CloudWatch alarms


@on("cloudwatch", "PutMetricAlarm", rules="cw-001")
def put_metric_alarm(call: Call) -> Params:
    alarms: Any = cloudwatch_backends[call.account][call.region].alarms
    name = call.params["AlarmName"]
    known = alarms.get(name)
    state = known.state_value if known else "INSUFFICIENT_DATA"
    answer = call.proceed()
    alarms[name].state_value = state
    return answer


@on("cloudwatch", "DeleteAlarms", rules="cw-002")
def delete_alarms(call: Call) -> Params:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DeleteAlarms.html"""
    names = call.params["AlarmNames"]
    if len(names) > 100:
        raise AwsError(
            "ValidationError",
            "1 validation error detected: Value at 'alarmNames' failed to satisfy constraint: "
            "Member must have length less than or equal to 100",
        )
    alarms: Any = cloudwatch_backends[call.account][call.region].alarms
    if sum(1 for name in names if name in alarms and alarms[name].rule) > 1:
        raise AwsError("ValidationError", "Only one composite alarm can be deleted at a time")
    return call.proceed()
