"""What is done shortly in moto's place has the result that moto's own way has."""

from __future__ import annotations

import json
from collections import OrderedDict, defaultdict
from typing import Any

import pytest
from moto.core.base_backend import BackendDict
from moto.core.responses import BaseResponse
from moto.core.utils import MISSING, get_value
from moto.ec2.responses import EC2Response
from moto.iam.responses import IamResponse
from moto.logs.responses import LogsResponse

from emulator.core import carried, shortcuts
from emulator.core.request import Request
from emulator.core.wire import Emulator
from emulator.core.world import ACCOUNT
from tests.conftest import Runbook

FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
SIGNED = "AWS4-HMAC-SHA256 Credential=AKIAEMULATOREMULATOR/20260101/{}/{}/aws4_request, SignedHeaders=host, Signature=0"


def request(service: str, region: str, url: str, headers: dict[str, str], body: Any) -> Request:
    return Request("POST", url, {**headers, "Authorization": SIGNED.format(region, service)}, body)


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        (
            EC2Response,
            lambda: request(
                *("ec2", "eu-west-1", "https://ec2.eu-west-1.amazonaws.com", FORM),
                {
                    "Action": "DescribeVpcs",
                    "Version": "2016-11-15",
                    "Filter.1.Name": "tag:a",
                    "Filter.1.Value.1": "b ä&=",
                },
            ),
        ),
        (IamResponse, lambda: request("iam", "us-east-1", "https://iam.amazonaws.com/", FORM, {"Action": "ListRoles"})),
        (
            LogsResponse,
            lambda: request(
                *("logs", "cn-north-1", "https://logs.cn-north-1.amazonaws.com.cn/"),
                {"X-Amz-Target": "Logs_20140328.DescribeLogGroups", "Content-Type": "application/x-amz-json-1.1"},
                json.dumps({"logGroupNamePrefix": "/ecs ä"}).encode(),
            ),
        ),
    ],
)
def test_a_response_of_moto_knows_the_same_of_its_request(emulator: Emulator, kind: Any, asked: Any) -> None:
    known = []
    for setup in (BaseResponse.setup_class, shortcuts.LONG_WAYS["setup_class"]):
        response = kind()
        setup(response, asked())
        known.append({name: value for name, value in vars(response).items() if name != "normalized_request"})
        known[-1]["response_headers"].pop("date", None)  # which no one is told
        if kind is LogsResponse:  # JSON is no form, though moto reads it as one
            known[-1]["querystring"] = known[-1]["data"] = {}
    assert known[0] == known[1]
    assert known[0]["region"] in ("eu-west-1", "us-east-1", "cn-north-1")


def test_an_account_that_stands_is_told_the_same(runbook: Runbook, monkeypatch: pytest.MonkeyPatch) -> None:
    """By all calls with which the whole account is looked at, of each service."""
    runbook.remembers = True
    runbook.has_run("create_cluster.py", "register_task_definition.py", "run_task.py")
    short = runbook.look()
    monkeypatch.setattr(BaseResponse, "setup_class", shortcuts.LONG_WAYS["setup_class"])
    monkeypatch.setattr(BaseResponse, "parse_parameters", shortcuts.LONG_WAYS["parse_parameters"])
    monkeypatch.setattr(BackendDict, "__getitem__", shortcuts.LONG_WAYS["account"])
    assert runbook.look() == short
    assert len(short) > 20


def test_a_new_account_has_nothing_of_the_one_before(emulator: Emulator, client: Any) -> None:
    client("ec2").create_key_pair(KeyName="ours")
    client("s3").create_bucket(Bucket="one-of-ours")
    client("s3").put_object(Bucket="one-of-ours", Key="k", Body=b"v")
    shortcuts.reset_moto()
    assert not BackendDict._instances
    assert client("s3").list_buckets()["Buckets"] == []
    assert client("ec2").describe_key_pairs()["KeyPairs"] == []
    assert {moto.service_name for moto in BackendDict._instances if ACCOUNT in moto} >= {"ec2", "s3"}


class Plain:
    of_class = "of the class"

    def __init__(self) -> None:
        self.own: Any = "own"
        self.nothing = None

    @property
    def found(self) -> str:
        return "found"

    @property
    def missing(self) -> str:
        raise AttributeError("missing")


class Guessing(Plain):
    def __getattr__(self, name: str) -> str:
        if name == "guessed":
            return "guessed"
        raise AttributeError(name)


class Slotted:
    __slots__ = ("own",)

    def __init__(self) -> None:
        self.own = "own"


class Held(dict[str, Any]):
    pass


@pytest.mark.parametrize(
    "value",
    [
        *(Plain(), Guessing(), Slotted(), {"own": 1, "nothing": None}, Held(own=1), OrderedDict(own={"inner": 2})),
        *(defaultdict(int, own=1), "text", 5, None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_is_found_where_moto_finds_it(value: Any) -> None:
    names = ("own", "nothing", "found", "missing", "of_class", "guessed", "own.inner", "none")
    for asked in [(one, *others) for one in names for others in ((), ("own",), ("found", "own"), ("none", "nothing"))]:
        found = [each for name in asked if (each := get_value(value, name, MISSING)) is not MISSING]
        assert carried._picked(type(value), asked)(value) == next(iter(found), None), asked


def test_a_symmetric_key_is_made_without_a_private_one(client: Any) -> None:
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    told = kms.encrypt(KeyId=key, Plaintext=b"ours")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=told)["Plaintext"] == b"ours"
    pair = kms.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    assert kms.get_public_key(KeyId=pair)["PublicKey"]
