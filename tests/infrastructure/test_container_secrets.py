"""CONTAINER_SECRETS: the execution role may read exactly what it names, and what is not there is told before anything is made."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.core.doors import DOORS
from emulator.core.faults import Fault
from tests.conftest import Runbook

ACCOUNT = "123456789012"
CREATE, REGISTER, RUN = "create_cluster.py", "register_task_definition.py", "run_task.py"


def secret(runbook: Runbook, name: str = "ml/hub", text: str = '{"token": "x"}', **more: Any) -> str:
    return str(runbook.aws("secretsmanager").create_secret(Name=name, SecretString=text, **more)["ARN"])


def rights(runbook: Runbook) -> dict[str, list[str]]:
    """Action -> resources of what the execution role may beside AWS's own policy."""
    name = "api-task-execution-us-east-1"
    found = runbook.aws("iam").get_role_policy(RoleName=name, PolicyName="settings")["PolicyDocument"]
    assert all(each["Effect"] == "Allow" and "Condition" not in each for each in found["Statement"])
    return {each["Action"]: each["Resource"] for each in found["Statement"]}


def starts(runbook: Runbook, named: str) -> bool:
    """Do these settings give a task that runs?"""
    runbook.settings["CONTAINER_SECRETS"] = named
    return runbook.has_run(CREATE, REGISTER).run(RUN).code == 0


def refused(runbook: Runbook, named: str) -> str:
    """Why the page ends before anything is made."""
    begun = len(runbook.emulator.calls)
    ran = runbook.run(REGISTER, CONTAINER_SECRETS=named)
    assert (ran.code, runbook.changes(begun)) == (1, []), ran.err
    return "\n".join(ran.err[ran.err.index("failed:") :].splitlines())


def test_a_json_key_and_a_stage_are_read_with_one_right_to_the_secret(fargate: Runbook) -> None:
    arn = secret(fargate)
    assert starts(fargate, f"HF_TOKEN={arn}:token::,V={arn}:token:AWSCURRENT:")
    assert rights(fargate) == {"secretsmanager:GetSecretValue": [arn]}
    assert fargate.run(CREATE).err.count("nothing changed: all is as the settings say") == 1


def test_a_secret_that_is_named_after_the_cluster_was_made_can_be_read(fargate: Runbook) -> None:
    arn = secret(fargate)
    fargate.has_run(CREATE)
    fargate.settings["CONTAINER_SECRETS"] = f"HF_TOKEN={arn}:token::"
    assert fargate.has_run(REGISTER).run(RUN).code == 0
    assert rights(fargate) == {"secretsmanager:GetSecretValue": [arn]}


def test_a_partial_arn_is_made_whole(fargate: Runbook) -> None:
    arn = secret(fargate)
    assert starts(fargate, f"A={arn[:-7]}:token::,B={arn}")
    assert rights(fargate) == {"secretsmanager:GetSecretValue": [arn]}


def test_a_partial_arn_of_what_can_not_be_looked_at_stands_for_any_six_characters(fargate: Runbook) -> None:
    arn = secret(fargate)
    fargate.emulator.faults.planned.append(Fault("secretsmanager:DescribeSecret", "denied", times=-1))
    assert starts(fargate, f"A={arn[:-7]}:token::")
    assert rights(fargate) == {"secretsmanager:GetSecretValue": [f"{arn[:-7]}-??????"]}
    ran = fargate.run(REGISTER)
    assert (
        f"warning CONTAINER_SECRETS: {arn[:-7]} is not looked at:  access denied: your credentials may not" in ran.err
    )


@pytest.mark.parametrize("named", ["/team/token", f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/team/token"])
def test_a_parameter_by_name_or_arn(fargate: Runbook, named: str) -> None:
    fargate.aws("ssm").put_parameter(Name="/team/token", Value="x", Type="SecureString")
    assert starts(fargate, f"A={named}")
    assert rights(fargate) == {"ssm:GetParameters": [f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/team/token"]}


@pytest.mark.parametrize("name", ["token", "/token"])
def test_a_parameters_arn_does_not_tell_whether_its_name_begins_with_a_slash(fargate: Runbook, name: str) -> None:
    fargate.aws("ssm").put_parameter(Name=name, Value="x", Type="String")
    assert starts(fargate, f"A=arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/token")


@pytest.mark.parametrize("form", ["KeyId", "Arn", "alias/ml"])
def test_a_customers_key_may_be_used_and_aws_own_need_no_right(fargate: Runbook, form: str) -> None:
    kms = fargate.aws("kms")
    key = kms.create_key()["KeyMetadata"]
    kms.create_alias(AliasName="alias/ml", TargetKeyId=key["KeyId"])
    arn = secret(fargate, KmsKeyId=key.get(form, form))
    fargate.aws("ssm").put_parameter(Name="/t", Value="x", Type="SecureString", KeyId=key["KeyId"])
    assert starts(fargate, f"A={arn},B=/t,C={secret(fargate, 'plain')}")
    assert rights(fargate)["kms:Decrypt"] == [key["Arn"]]


def test_what_is_no_more_named_is_no_more_allowed(fargate: Runbook) -> None:
    key = fargate.aws("kms").create_key()["KeyMetadata"]["KeyId"]
    one, two = secret(fargate, KmsKeyId=key), secret(fargate, "other")
    fargate.has_run(CREATE, CONTAINER_SECRETS=f"A={one},B={two}").has_run(CREATE, CONTAINER_SECRETS=f"B={two}")
    assert rights(fargate) == {"secretsmanager:GetSecretValue": [two]}


def test_all_that_is_not_there_is_told_before_anything_is_made(fargate: Runbook) -> None:
    arn, text = secret(fargate), secret(fargate, "text", "hunter2")
    none, parameter = f"{arn[:-6]}AAAAAA", f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/none"
    fargate.has_run(CREATE)
    told = refused(fargate, f"A={none},B={arn}:url::,C={arn}::NEXT:,D={parameter},E={text}:token::,F={arn}:token::")
    assert told.splitlines()[:5] == [
        f"failed: CONTAINER_SECRETS: A: there is no secret {none}",
        f"CONTAINER_SECRETS: B: the secret {arn} has no JSON key url",
        f"CONTAINER_SECRETS: C: the secret {arn} has no version NEXT",
        "CONTAINER_SECRETS: D: there is no parameter /none",
        f"CONTAINER_SECRETS: E: the secret {text} has no JSON key token",
    ]
    assert "hunter2" not in told and "F:" not in told
    fargate.aws("secretsmanager").delete_secret(SecretId=arn)
    assert f"A: the secret {arn} is to be deleted" in refused(fargate, f"A={arn}")


def test_an_old_version_has_its_own_keys(fargate: Runbook) -> None:
    arn = secret(fargate, text='{"old": "x"}')
    version = fargate.aws("secretsmanager").get_secret_value(SecretId=arn)["VersionId"]
    fargate.aws("secretsmanager").put_secret_value(SecretId=arn, SecretString='{"new": "x"}')
    fargate.has_run(CREATE)
    assert "has no JSON key new" in refused(fargate, f"A={arn}:new:AWSPREVIOUS:")
    assert "has no JSON key old" in refused(fargate, f"A={arn}:old::")
    assert f"has no version {version} AWSCURRENT" in refused(fargate, f"A={arn}:old:AWSCURRENT:{version}")
    assert starts(fargate, f"A={arn}:old::{version},B={arn}:old:AWSPREVIOUS:,C={arn}:new::")


@pytest.mark.parametrize(
    ("action", "what"),
    [
        ("secretsmanager:GetSecretValue", "the JSON key token of arn"),
        ("secretsmanager:DescribeSecret", "arn:aws:secretsmanager:"),
        ("ssm:DescribeParameters", "arn:aws:ssm:"),
        ("kms:DescribeKey", "alias/ml"),
    ],
)
def test_what_the_caller_may_not_read_is_told_and_taken_to_be_there(fargate: Runbook, action: str, what: str) -> None:
    key = fargate.aws("kms").create_key()["KeyMetadata"]["KeyId"]
    fargate.aws("kms").create_alias(AliasName="alias/ml", TargetKeyId=key)
    fargate.aws("ssm").put_parameter(Name="/t", Value="x", Type="String")
    named = f"A={secret(fargate, KmsKeyId='alias/ml')}:token::,B=/t"
    fargate.emulator.faults.planned.append(Fault(action, "denied", times=-1))
    told = fargate.has_run(CREATE).run(REGISTER, CONTAINER_SECRETS=named)
    [warning] = [line for line in told.err.splitlines() if line.startswith("warning")]
    assert (told.code, warning.startswith(f"warning CONTAINER_SECRETS: {what}")) == (0, True), told.err
    assert warning.endswith(f"is not looked at:  access denied: your credentials may not {action}")


def test_who_may_read_a_secret_but_not_decrypt_it_is_told_so(fargate: Runbook) -> None:
    arn = secret(fargate, KmsKeyId=fargate.aws("kms").create_key()["KeyMetadata"]["KeyId"])
    allowed = {"Effect": "Allow", "NotAction": "kms:Decrypt", "Resource": "*"}
    DOORS["POST", "/_emulator/caller"](fargate.emulator, {"policy": {"Statement": allowed}})
    told = fargate.has_run(CREATE).run(REGISTER, CONTAINER_SECRETS=f"A={arn}:token::")
    assert (told.code, "is not looked at:  access denied: your credentials may not kms:Decrypt\n" in told.err) == (
        0,
        True,
    ), told.err


def test_another_accounts_parameter_is_taken_to_be_there(fargate: Runbook) -> None:
    fargate.has_run(CREATE)
    ran = fargate.run(REGISTER, CONTAINER_SECRETS="A=arn:aws:ssm:us-east-1:210987654321:parameter/t")
    assert (ran.code, "is not looked at:  it is another account's" in ran.err) == (0, True), ran.err


def test_without_secrets_nothing_is_asked(fargate: Runbook) -> None:
    begun = len(fargate.emulator.calls)
    fargate.has_run(CREATE, REGISTER)
    asked = {service for service, _, _ in fargate.emulator.calls[begun:]}
    assert not asked & {"secretsmanager", "kms"}


def test_an_endpoints_role_is_made_with_its_rights(endpoints: Runbook) -> None:
    arn = secret(endpoints)
    endpoints.settings |= {"IMAGE_TAG": "", "IMAGE": "example.com/ml:v1"}
    endpoints.has_run(CREATE).has_run(REGISTER, ENDPOINT="a", CONTAINER_SECRETS=f"A={arn}:token::")
    name = "ml-a-task-execution-us-east-1"
    found = endpoints.aws("iam").get_role_policy(RoleName=name, PolicyName="settings")["PolicyDocument"]
    assert json.dumps(found).count(arn) == 1
