"""The secrets that the task definition names: whether it is there, and what the execution role needs to read it. Reads only.

IAM is asked about a secret's whole ARN, with the six characters at its end, and about the customer's KMS key with which it
is encrypted. What the caller may not look at is taken to be right, and named.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html
"""

import contextlib
import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import aws
import definition
from aws import Problem, call, client, every
from console import say

T = TypeVar("T")
#: of a secret's ARN; a JSON key, a version stage and a version id may follow, which IAM does not know
ARN_PARTS = 7
#: how a whole ARN ends: https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html
WHOLE = re.compile(r"-[A-Za-z0-9]{6}\Z")
GONE = "ResourceNotFoundException"


class Source(NamedTuple):
    """What one of them names."""

    arn: str
    json_key: str = ""
    stage: str = ""
    version: str = ""


class Found(NamedTuple):
    """What AWS tells of a secret or parameter."""

    arn: str
    key: str = ""  # the ARN of the customer's KMS key; AWS's own keys need no right
    lacks: str = ""  # why it can't be read, in words
    stages: dict[str, list[str]] | None = None  # version id -> its stages, where that was looked at


def source(value_from: str) -> Source:
    """ARN:JSON-KEY:STAGE:VERSION, an ARN, or a parameter's name such as /team/token."""
    words = value_from.split(":")
    if len(words) == 1:
        return Source(aws.arn("ssm", f"parameter/{value_from.lstrip('/')}"))
    return Source(":".join(words[:ARN_PARTS]), *words[ARN_PARTS:])


@aws.look
def found() -> dict[str, Found]:
    """By the ARN that the settings name."""
    arns = sorted({source(each).arn for each in definition.secrets().values()})
    return dict(zip(arns, aws.side_by_side(look_for, arns), strict=True))


def look_for(arn: str) -> Found:
    if ":secretsmanager:" in arn:
        return find_secret(arn)
    if arn.split(":")[4] == aws.account():
        return find_parameter(arn)
    say("warning", f"{whose()}: {arn} is not looked at:", "it is another account's")
    return Found(arn)


def whose() -> str:
    """The settings that name them."""
    return ", ".join(dict.fromkeys(each.partition(":")[0] for each in definition.secrets()))


def region_of(arn: str) -> str:
    return arn.split(":")[3]


def seen(what: str, read: Callable[[], T], otherwise: T) -> T:
    """What AWS tells, where the caller may ask."""
    answer, why = aws.at_best(read)
    if why:
        say("warning", f"{whose()}: {what} is not looked at:", why)
    return otherwise if answer is None else answer


def find_secret(arn: str) -> Found:
    describe = call(client("secretsmanager", region_name=region_of(arn)).describe_secret, gone=GONE)
    unseen = Found(arn if WHOLE.search(arn) else f"{arn}-??????")

    def read() -> Found:
        secret: Any = describe(SecretId=arn)
        if not secret:
            return unseen._replace(lacks=f"there is no secret {arn}")
        lacks = f"the secret {arn} is to be deleted: aws secretsmanager restore-secret keeps it"
        return Found(
            secret["ARN"],
            key_arn(arn, secret.get("KmsKeyId", "")),
            lacks if secret.get("DeletedDate") else "",
            secret.get("VersionIdsToStages"),
        )

    return seen(arn, read, unseen)


def find_parameter(arn: str) -> Found:
    """A name of several parts begins with /; what has one part may be called with it or without."""
    path = arn.partition(":parameter")[2]
    names = [path] if "/" in path[1:] else [path, path[1:]]
    pages = client("ssm", region_name=region_of(arn)).get_paginator("describe_parameters")
    filters: Any = [{"Key": "Name", "Option": "Equals", "Values": names}]

    def read() -> Found:
        parameters: list[Any] = every(pages.paginate(ParameterFilters=filters), "Parameters")
        if not parameters:
            return Found(arn, lacks=f"there is no parameter {path}")
        return Found(arn, key_arn(arn, parameters[0].get("KeyId", "")))

    return seen(arn, read, Found(arn))


def key_arn(of: str, key: str) -> str:
    """A key is told by its id, its ARN, or an alias, which IAM does not know."""
    if not key or "alias/aws/" in key:
        return ""
    if "alias/" in key:
        kms = client("kms", region_name=region_of(of))
        return seen(key, lambda: kms.describe_key(KeyId=key)["KeyMetadata"]["Arn"], "")
    account = of.split(":")[4]
    return key if key.startswith("arn:") else f"arn:{aws.partition()}:kms:{region_of(of)}:{account}:key/{key}"


def refuse_missing() -> None:
    """Before anything is made: a task that can't read one of them never starts."""
    sources = {name: source(each) for name, each in definition.secrets().items()}
    told = dict(zip(sources, aws.side_by_side(lacking, sources.values()), strict=True))
    if lines := [f"{name}: {why}" for name, why in told.items() if why]:
        raise Problem("\n".join(lines))


def lacking(wanted: Source) -> str:
    """Why this can't be read, in words. Of a secret's text it is only looked whether it has the JSON key."""
    secret = found()[wanted.arn]
    if secret.lacks or secret.stages is None:
        return secret.lacks
    if not has_version(wanted, secret.stages):
        return f"the secret {wanted.arn} has no version {' '.join(filter(None, [wanted.version, wanted.stage]))}"
    if not wanted.json_key or has_json_key(wanted):
        return ""
    return f"the secret {wanted.arn} has no JSON key {wanted.json_key}"


def has_version(wanted: Source, stages: dict[str, list[str]]) -> bool:
    """Without a stage and an id it is AWSCURRENT that is read; with both they must be of the same version."""
    labels = (
        stages.get(wanted.version, []) if wanted.version else [each for labels in stages.values() for each in labels]
    )
    stage = wanted.stage or ("" if wanted.version else "AWSCURRENT")
    return (not wanted.version or wanted.version in stages) and (not stage or stage in labels)


def has_json_key(wanted: Source) -> bool:
    version = {"VersionId": wanted.version, "VersionStage": wanted.stage}
    given: Any = {name: text for name, text in version.items() if text}
    get = client("secretsmanager", region_name=region_of(wanted.arn)).get_secret_value

    def read() -> bool:
        text = get(SecretId=wanted.arn, **given).get("SecretString", "")
        with contextlib.suppress(ValueError):
            values = json.loads(text)
            return isinstance(values, dict) and wanted.json_key in values
        return False

    return seen(f"the JSON key {wanted.json_key} of {wanted.arn}", read, True)


def rights() -> list[dict[str, Any]]:
    """The statements of a policy with which all of them can be read, and nothing else."""
    secrets = found().values()
    resources = {
        "secretsmanager:GetSecretValue": {each.arn for each in secrets if ":secretsmanager:" in each.arn},
        "ssm:GetParameters": {each.arn for each in secrets if ":ssm:" in each.arn},
        "kms:Decrypt": {each.key for each in secrets if each.key},
    }
    return [{"Action": action, "Resource": sorted(arns)} for action, arns in resources.items() if arns]
