"""A container's secrets: read with the execution role's rights before it starts, from Secrets Manager and Parameter Store.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html
"""

from __future__ import annotations

import json
import re
from typing import Any

from moto.ssm.models import ssm_backends

from emulator.core import partitions
from emulator.core.rules import AwsError, held
from emulator.core.world import ACCOUNT
from emulator.ecs.state import Item
from emulator.iam import roles
from emulator.iam.policies import decide_for_role, refusal
from emulator.kms import keys
from emulator.secretsmanager import secrets

held("ecs-084", "ecs.secrets: before a task starts")

HEAD = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: "
ONCE = "service call has been retried 1 time(s): "
NOT_ALLOWED_KEY = (
    "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not "
    "allowed to access."
)


def problem(role: str | None, session: str, region: str, container: Item) -> str | None:
    """Why the first of a container's secrets can not be read, which ends the task."""
    for secret in container.get("secrets") or []:
        source = secret.get("valueFrom", "")
        try:
            if ":secretsmanager:" in source:
                _from_secrets_manager(role, session, source)
            else:
                _from_parameter_store(role, session, region, source)
        except AwsError as error:
            return HEAD + error.message
    return None


def _from_secrets_manager(role: str | None, session: str, source: str) -> None:
    """arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME, and all of :JSON-KEY:STAGE:VERSION or nothing."""
    head, words = f"unable to retrieve secret from asm: {ONCE}", source.split(":")
    if len(words) not in (7, 10):
        wrong = (
            "an invalid ARN format for the AWS Secrets Manager secret was specified. Specify a valid ARN and try again."
        )
        raise AwsError("", f"{head}trying to retrieve secret with value {source} resulted in error: {wrong}")
    arn, (key, stage, version) = ":".join(words[:7]), words[7:] or ["", "", ""]
    try:
        text = secrets.read(role, session, words[3], arn, version, stage)
    except AwsError as error:
        told = f"{head}failed to fetch secret {arn} from secrets manager: {error.code}: {error.message}"
        raise AwsError("", told) from error
    if not key:
        return
    try:
        values = json.loads(text)
    except ValueError:
        raise AwsError("", f"{head}invalid character '{text[:1]}' looking for beginning of value") from None
    if not isinstance(values, dict) or key not in values:
        raise AwsError("", f"{head}retrieved secret from Secrets Manager did not contain json key {key}")


def _from_parameter_store(role: str | None, session: str, region: str, source: str) -> None:
    """An ARN, or in the task's own Region a name."""
    head, action = f"unable to retrieve secrets from ssm: {ONCE}", "ssm:GetParameters"
    name = re.sub(r"^arn:.*?:parameter(?=/)", "", source)
    region = source.split(":")[3] if source.startswith("arn:") else region
    arn = f"arn:{partitions.here()}:ssm:{region}:{ACCOUNT}:parameter/{name.lstrip('/')}"
    decision = decide_for_role(role, action, arn)
    if not decision:
        user = roles.session_arn(role, session)
        raise AwsError("", f"{head}AccessDeniedException: {refusal(decision, user, action, arn)}")
    backend: Any = ssm_backends[ACCOUNT][region]
    found = backend.get_parameter(name) or backend.get_parameter(name.lstrip("/"))
    if found is None:
        raise AwsError("", f"unable to retrieve secrets from ssm: invalid parameters: {name}")
    via = {"kms:ViaService": f"ssm.{region}.amazonaws.com", "kms:EncryptionContext:PARAMETER_ARN": arn}
    if found.parameter_type == "SecureString" and not keys.decide_decrypt(role, region, found.keyid, via):
        raise AwsError("", f"{head}AccessDeniedException: {NOT_ALLOWED_KEY}")
