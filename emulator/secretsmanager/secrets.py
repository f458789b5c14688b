"""Secrets, by name, whole ARN or one without its last six characters; their versions; and who may read them.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html#ARN_secretnamehyphen
"""

from __future__ import annotations

import re
from typing import Any

from moto.secretsmanager.models import secretsmanager_backends

from emulator.core import rules
from emulator.core.rules import AwsError, Call, Params, on
from emulator.core.world import ACCOUNT
from emulator.iam import caller, roles
from emulator.iam.policies import decide_for_role, refusal
from emulator.kms import keys

rules.SENTENCES["ecs-084"] = (
    "ARN:JSON-KEY:STAGE:VERSION of a secret: IAM is asked about the secret's own ARN, and about a customer's KMS key; a "
    "missing secret, version or JSON key stops the task."
)

NOT_FOUND = "Secrets Manager can't find the specified secret"
NO_KEY = "Access to KMS is not allowed"
#: how an ARN ends that has its six characters, or seems to
WHOLE = re.compile(r"-[A-Za-z0-9]{6}\Z")


def find(region: str, secret_id: str) -> Any | None:
    """What looks like a whole ARN is one, though a name may end so."""
    backend: Any = secretsmanager_backends[ACCOUNT][region]
    for secret in dict.values(backend.secrets):
        partial = secret.arn[: -len("-abcdef")]
        if secret_id in (secret.name, secret.arn) or (secret_id == partial and not WHOLE.search(secret_id)):
            return secret
    return None


def _existing(call: Call) -> Any:
    secret = find(call.region, call.params["SecretId"])
    if secret is None:
        raise AwsError("ResourceNotFoundException", f"{NOT_FOUND}.")
    return secret


@on("secretsmanager", "DescribeSecret")
def describe_secret(call: Call) -> Params:
    """The key is told only where it is not AWS's own."""
    _existing(call)
    answer = call.proceed()
    if not answer.get("KmsKeyId"):
        answer.pop("KmsKeyId", None)
    return answer


@on("secretsmanager", "GetSecretValue", rules="ecs-084")
def get_secret_value(call: Call) -> Params:
    secret, given = _existing(call), call.params
    _demand_key(call, secret)
    return call.proceed(
        VersionId=_version(secret, given.get("VersionId"), given.get("VersionStage")), VersionStage=None
    )


def _demand_key(call: Call, secret: Any) -> None:
    """The caller too must be allowed to decrypt with a customer's key."""
    of_aws = not secret.kms_key_id or keys.OF_AWS in secret.kms_key_id
    key = None if of_aws else keys.find(call.region, secret.kms_key_id)
    if key is None:
        return
    try:
        caller.demand(call, "kms:Decrypt", key.arn, {"kms:ViaService": f"secretsmanager.{call.region}.amazonaws.com"})
    except AwsError as error:
        raise AwsError("AccessDeniedException", NO_KEY) from error


def _version(secret: Any, version: str | None, stage: str | None) -> str:
    """The id of the version that is asked for: without a word AWSCURRENT's."""
    if secret.is_deleted():
        text = "You can't perform this operation on the secret because it was marked for deletion."
        raise AwsError("InvalidRequestException", text)
    stages = {label: key for key, each in secret.versions.items() for label in each["version_stages"]}
    wanted = version or stages.get(stage or "AWSCURRENT")
    if wanted not in secret.versions:
        what = f"VersionId: {version}" if version else f"staging label: {stage or 'AWSCURRENT'}"
        raise AwsError("ResourceNotFoundException", f"{NOT_FOUND} value for {what}")
    if version and stage and stages.get(stage) != version:
        text = "You provided a VersionStage that is not associated to the provided VersionId."
        raise AwsError("InvalidRequestException", text)
    return str(wanted)


def read(role: str | None, session: str, region: str, secret_id: str, version: str = "", stage: str = "") -> str:
    """The text of a secret, with a role's rights. Raises AwsError in Secrets Manager's words."""
    secret = find(region, secret_id)
    arn, action = secret.arn if secret else secret_id, "secretsmanager:GetSecretValue"
    decision = decide_for_role(role, action, arn, resource_policy=secret.policy if secret else None)
    if not decision:
        user = roles.session_arn(role, session)
        raise AwsError("AccessDeniedException", refusal(decision, user, action, arn))
    if secret is None:
        raise AwsError("ResourceNotFoundException", f"{NOT_FOUND}.")
    found = secret.versions[_version(secret, version, stage)]
    via = {"kms:ViaService": f"secretsmanager.{region}.amazonaws.com", "kms:EncryptionContext:SecretARN": arn}
    if not keys.decide_decrypt(role, region, secret.kms_key_id, via):
        raise AwsError("AccessDeniedException", NO_KEY)
    return str(found.get("secret_string", ""))
