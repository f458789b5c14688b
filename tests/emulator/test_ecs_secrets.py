"""Secrets of a container: read with the execution role's rights to this very secret, version, key of JSON and KMS key."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.emulator.ecs_account import Account, Client

HEAD = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: "
ASM = f"{HEAD}unable to retrieve secret from asm: service call has been retried 1 time(s): "
SSM = f"{HEAD}unable to retrieve secrets from ssm: "
MAY = "secretsmanager:GetSecretValue"


@pytest.fixture
def secret(client: Client) -> str:
    """A secret of two versions; the first is AWSPREVIOUS."""
    manager = client("secretsmanager")
    arn: str = manager.create_secret(Name="ml/hub", SecretString='{"token": "old", "url": "x"}')["ARN"]
    manager.put_secret_value(SecretId=arn, SecretString='{"token": "new"}')
    return arn


@pytest.fixture
def start(account: Account) -> Any:
    """Starts a task with this secret and these rights of its execution role: why it ended, or "" where it runs."""

    def started(source: str, *statements: dict[str, Any]) -> str:
        allow = [{"Effect": "Allow", **each} for each in statements]
        document = json.dumps({"Version": "2012-10-17", "Statement": allow})
        if allow:
            account.iam.put_role_policy(RoleName="execution", PolicyName="secrets", PolicyDocument=document)
        account.register_fargate(secrets=[{"name": "TOKEN", "valueFrom": source}])
        task = account.run_fargate()
        account.sleep(300)
        found = account.task(task)
        return "" if found["lastStatus"] == "RUNNING" else str(found["stoppedReason"])

    return started


def rights(*resources: str, action: str = MAY) -> dict[str, Any]:
    return {"Action": action, "Resource": list(resources)}


def test_iam_is_asked_about_the_secrets_own_arn(start: Any, secret: str) -> None:
    whole = f"{secret}:token:AWSCURRENT:"
    assert start(whole, rights(secret)) == ""
    partial = secret[:-7]
    for wrong in (whole, f"{secret}:*", partial, f"{partial}-other-??????"):
        assert f"is not authorized to perform: {MAY} on resource: {secret} because no" in start(whole, rights(wrong))
    assert start(f"{partial}:token::", rights(f"{partial}-??????")) == ""


def test_a_deny_wins(start: Any, secret: str, account: Account) -> None:
    assert "with an explicit deny in an identity-based policy" in start(
        secret, rights("*"), {**rights(secret), "Effect": "Deny"}
    )


@pytest.mark.parametrize("selector", ["::", "token::", ":AWSPREVIOUS:", "url:AWSPREVIOUS:", "token:AWSCURRENT:"])
def test_a_json_key_and_a_version_that_are_there(start: Any, secret: str, selector: str) -> None:
    assert start(f"{secret}:{selector}", rights(secret)) == ""


def test_a_version_has_an_id(start: Any, secret: str, client: Client) -> None:
    versions = client("secretsmanager").describe_secret(SecretId=secret)["VersionIdsToStages"]
    [old] = [version for version, stages in versions.items() if stages == ["AWSPREVIOUS"]]
    assert start(f"{secret}:url::{old}", rights(secret)) == ""
    assert start(f"{secret}:url:AWSCURRENT:{old}").endswith(
        "VersionStage that is not associated to the provided VersionId."
    )
    missing = "01234567-0123-0123-0123-0123456789ab"
    assert start(f"{secret}:url::{missing}").endswith(f"can't find the specified secret value for VersionId: {missing}")


def test_what_is_not_in_the_secret_stops_the_task(start: Any, secret: str, client: Client) -> None:
    assert start(f"{secret}:url::", rights(secret)) == (
        f"{ASM}retrieved secret from Secrets Manager did not contain json key url"
    )
    staged = start(f"{secret}::NEXT:")
    assert staged.endswith("Secrets Manager can't find the specified secret value for staging label: NEXT")
    client("secretsmanager").put_secret_value(SecretId=secret, SecretString="hunter2")
    assert start(f"{secret}:token::") == f"{ASM}invalid character 'h' looking for beginning of value"


def test_a_secret_that_is_deleted_or_was_never_there_stops_the_task(start: Any, secret: str, client: Client) -> None:
    client("secretsmanager").delete_secret(SecretId=secret)
    assert "InvalidRequestException: You can't perform this operation on the secret because it was marked" in start(
        secret, rights("*")
    )
    other = "arn:aws:secretsmanager:us-east-1:123456789012:secret:none-AbCdEf"
    assert f"secret {other} from secrets manager: ResourceNotFoundException: Secrets Manager can't find" in start(other)


def test_two_selectors_make_no_arn(start: Any, secret: str) -> None:
    assert "an invalid ARN format for the AWS Secrets Manager secret was specified" in start(
        f"{secret}:token", rights("*")
    )


def test_a_partial_arn_that_looks_whole_is_not_found(start: Any, client: Client) -> None:
    arn = client("secretsmanager").create_secret(Name="my-secret", SecretString="x")["ARN"]
    assert "can't find the specified secret" in start(arn[:-7], rights("*"))
    assert start(arn) == ""


def test_a_customers_key_must_be_open_to_the_role(start: Any, client: Client) -> None:
    key = client("kms").create_key()["KeyMetadata"]
    client("kms").create_alias(AliasName="alias/ml", TargetKeyId=key["KeyId"])
    for number, its_id in enumerate((key["KeyId"], key["Arn"], "alias/ml")):
        arn = client("secretsmanager").create_secret(Name=f"s{number}", SecretString="x", KmsKeyId=its_id)["ARN"]
        denied = start(arn, rights("*"))
        assert denied.endswith("from secrets manager: AccessDeniedException: Access to KMS is not allowed")
        assert start(arn, rights("*"), rights(key["Arn"], action="kms:Decrypt")) == ""
        assert start(arn, rights("*"), rights(key["Arn"][:-1], action="kms:Decrypt")) == denied


def test_a_key_policy_may_be_enough_or_leave_nothing_to_iam(start: Any, client: Client) -> None:
    def policy(principal: str) -> str:
        statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "kms:*", "Resource": "*"}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    key = client("kms").create_key(Policy=policy("arn:aws:iam::123456789012:role/execution"))["KeyMetadata"]["KeyId"]
    arn = client("secretsmanager").create_secret(Name="s", SecretString="x", KmsKeyId=key)["ARN"]
    assert start(arn, rights(arn)) == ""
    client("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=policy("arn:aws:iam::123456789012:role/other"))
    assert start(arn, rights("*", action="*")).endswith("Access to KMS is not allowed")


@pytest.mark.parametrize("source", ["/ml/token", "arn:aws:ssm:us-east-1:123456789012:parameter/ml/token"])
def test_a_parameter_by_name_or_arn(start: Any, client: Client, source: str) -> None:
    arn, action = "arn:aws:ssm:us-east-1:123456789012:parameter/ml/token", "ssm:GetParameters"
    assert f"is not authorized to perform: {action} on resource: {arn} because" in start(
        source, rights(f"{arn}-other", action=action)
    )
    assert start(source, rights(arn, action=action)) == f"{SSM}invalid parameters: /ml/token"
    key = client("kms").create_key()["KeyMetadata"]
    client("ssm").put_parameter(Name="/ml/token", Value="x", Type="SecureString", KeyId=key["KeyId"])
    assert "The ciphertext refers to a customer master key that does not exist" in start(source)
    assert start(source, rights(arn, action=action), rights(key["Arn"], action="kms:Decrypt")) == ""
