"""What ECS fetches for a container before it starts, beside its secrets: a registry's credentials, and files of variables in S3.

Both with the execution role's rights. AWS publishes no list of the sentences; what they hold is as in others' reports.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/private-auth.html,
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/use-environment-file.html
"""

from __future__ import annotations

import json
from typing import Any

from moto.s3.models import s3_backends

from emulator.core import partitions, rules
from emulator.core.rules import AwsError, held
from emulator.core.world import ACCOUNT
from emulator.ecs.state import Item
from emulator.iam.policies import decide_for_role
from emulator.registry.images import Image
from emulator.secretsmanager import secrets

rules.SENTENCES.update(
    {
        "definition-001": "A private registry wants the username and password of a secret that the execution role may read; wrong "
        "ones are refused at the pull.",
        "definition-002": "A file of variables is read from S3 with the execution role's rights; one that is not there, or not "
        "allowed, stops the task.",
    }
)
held("definition-001 definition-002", "ecs.start_up: before a task starts")

HEAD = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: "
FILES = "ResourceInitializationError: failed to download env files: file download command: non empty error stream: "


def credentials(role: str | None, session: str, region: str, container: Item) -> tuple[str, str] | None:
    """Username and password; None where no secret is named. Raises AwsError, in Secrets Manager's words."""
    source = (container.get("repositoryCredentials") or {}).get("credentialsParameter")
    if not source:
        return None
    secret_region = source.split(":")[3] if source.startswith("arn:") else region
    try:
        found = json.loads(secrets.read(role, session, secret_region, source))
        return str(found["username"]), str(found["password"])
    except (ValueError, KeyError, TypeError):
        raise AwsError("", f"secret {source} has not the keys username and password") from None


def problem(role: str | None, session: str, region: str, container: Item) -> str | None:
    """Why one of them can not be fetched, which ends the task."""
    try:
        credentials(role, session, region, container)
    except AwsError as error:
        source = container["repositoryCredentials"]["credentialsParameter"]
        return f"{HEAD}unable to retrieve private registry credentials from {source}: {error.code}: {error.message}"
    for each in container.get("environmentFiles") or []:
        bucket, _, key = each["value"].partition(":::")[2].partition("/")
        for action, resource in (
            ("s3:GetBucketLocation", each["value"].partition("/")[0]),
            ("s3:GetObject", each["value"]),
        ):
            if not decide_for_role(role, action, resource):
                return f"{FILES}AccessDenied: {action} on {resource}: status code: 403"
        if _object(bucket, key) is None:
            return f"{FILES}NoSuchKey: {each['value']}: status code: 404"
    return None


def lets_in(image: Image, given: tuple[str, str] | None) -> bool:
    """Whether a private registry takes these credentials; where it is not said which, it takes any."""
    return given is not None and image.login in ("", ":".join(given))


def variables(container: Item) -> dict[str, str]:
    """Of its files; lines that begin with # are comments. Which file counts where two have a name is not proven: the first."""
    found: dict[str, str] = {}
    for each in container.get("environmentFiles") or []:
        bucket, _, key = each["value"].partition(":::")[2].partition("/")
        for line in (_object(bucket, key) or b"").decode().splitlines():
            name, equals, value = line.partition("=")
            if equals and not line.startswith("#"):
                found.setdefault(name.strip(), value)
    return found


def _object(bucket: str, key: str) -> bytes | None:
    held_there: Any = s3_backends[ACCOUNT][partitions.here()].buckets.get(bucket)
    found = held_there.keys.get(key) if held_there is not None else None
    return bytes(found.value) if found is not None else None
