"""Settings are loaded again whenever a page begins: from a notebook too, and for another endpoint."""

from __future__ import annotations

import ast
import importlib
import json
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Runbook
from tests.everything import WORDS

NOTEBOOK = """
import json, os, sys
sys.path.insert(0, {root!r})
import constants
from create_repository import create_repository
from delete_repository import delete_repository
from list_task_definition import list_task_definition

told = []
for name, kept in (("first", "5"), ("second", "7"), ("first", "5")):
    os.environ.update(CLUSTER_NAME=name, IMAGES_KEPT=kept)
    told.append((create_repository()["repositoryName"], constants.IMAGES_KEPT, list_task_definition()["family"]))
os.environ["AWS_REGION"] = "eu-west-1"
told.append((create_repository()["repositoryUri"].split(".")[3], delete_repository()["left"]))
with constants.of(CLUSTER_NAME="third"):
    told.append(create_repository()["repositoryName"])
told.append(constants.CLUSTER_NAME)
print(json.dumps(told))
"""


def test_a_page_that_a_notebook_calls_sees_what_its_environment_says_by_then(runbook: Runbook, tmp_path: Path) -> None:
    notebook = tmp_path / "notebook.py"
    notebook.write_text(NOTEBOOK.format(root=str(ROOT)))
    ran = runbook.run(str(notebook))
    assert ran.code == 0, ran.err
    assert json.loads(ran.out) == [
        ["first", 5, "first"],
        ["second", 7, "second"],
        ["first", 5, "first"],
        ["eu-west-1", []],
        "third",
        "first",
    ]
    [here] = [runbook.aws("ecr").describe_repositories()["repositories"]]
    assert sorted(each["repositoryName"] for each in here) == ["first", "second"]


@pytest.mark.parametrize("wrong", ["1.5", "-1"])
def test_a_mistake_is_told_once_and_gone_when_it_is_put_right(runbook: Runbook, wrong: str) -> None:
    for _ in range(2):
        ran = runbook.run("list_task_definition.py", DESIRED_COUNT=wrong)
        assert (ran.code, ran.err.count("DESIRED_COUNT: ")) == (2, 1)
    assert runbook.run("list_task_definition.py", DESIRED_COUNT="1").code == 0


def test_what_a_page_finds_wrong_with_a_setting_is_no_other_page_s_problem(runbook: Runbook) -> None:
    assert "SOURCE_REPOSITORY: is not set" in runbook.run("create_pipeline.py").err
    assert runbook.run("list_task_definition.py").code == 0


def test_no_name_of_constants_is_bound_twice() -> None:
    tree = ast.parse((ROOT / "constants.py").read_text())
    bound = Counter(
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id.isupper()
    )
    assert [name for name, count in bound.items() if count > 1] == []
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Global)]


def test_what_belongs_to_the_cluster_is_said_at_the_setting(runbook: Runbook) -> None:
    """Not by where it stands: and an endpoint's file can't set it."""
    tree = ast.parse((ROOT / "constants.py").read_text())
    settings = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == "setting"]
    said = {
        ast.literal_eval(node.args[0])
        for node in settings
        if any(each.arg == "of" and ast.literal_eval(each.value) == "cluster" for each in node.keywords)
    }
    assert {"CLUSTER_NAME", "VPC_CIDR", "EFS_DELETION_POLICY"} <= said
    assert not {"GPU_COUNT", "IMAGE", "DESIRED_COUNT", "HOST_NAME"} & said
    runbook.run("list_task_definition.py")
    import constants

    assert said == constants.OF_CLUSTER


# ------------------------------------------------------------------------------------------------- whatever a person writes

#: a text for each setting that is right, with digits or letters where it can have some
RIGHT = {
    "CLUSTER_NAME": "gpu7",
    "AWS_REGION": "eu-west-1",
    "ENDPOINT": "a1",
    "INSTANCE_TYPES": "g5.xlarge,g6.xlarge",
    "CAPACITY_RESERVATION": "cr-0123456789abcdef0",
    "AMI_ID": "ami-0abc1234",
    "INSTANCE_STORE": "docker",
    "KEY_NAME": "key 7",
    "SSH_ALLOWED_CIDR": "10.0.0.0/8",
    "ALLOWED_CIDR": "203.0.113.7/32",
    "ALLOWED_CIDRS": "203.0.113.7/32,sg-0abc1234",
    "VPC_ID": "vpc-0abc1234",
    "SUBNET_IDS": "subnet-0abc1234",
    "PRIVATE_SUBNET_IDS": "subnet-0abc1234",
    "PUBLIC_SUBNET_IDS": "subnet-0abc1234",
    "SECURITY_GROUP_IDS": "sg-0abc1234",
    "PRIVATE_SUBNET_CIDRS": "10.0.2.0/24",
    "AVAILABILITY_ZONES": "us-east-1a",
    "BASTION_KEY_NAME": "key 7",
    "BASTION_ALLOWED_CIDR": "10.0.0.0/8",
    "BASTION_SECURITY_GROUP_ID": "sg-0abc1234",
    "GPU_SHARING": "mps",
    "GPU_MEMORY_MIB": "7000",
    "CLUSTER_SIZE": "2",
    "LISTENER_PROTOCOL": "HTTPS",
    "CERTIFICATE_ARN": "arn:aws:acm:us-east-1:123456789012:certificate/1a",
    "CERTIFICATE_DOMAINS": "*.a1.example.com",
    "HOSTED_ZONE_ID": "Z1A",
    "ACCESS_LOGS_BUCKET": "logs-1a",
    "FILE_SYSTEM_ID": "fs-0abc1234",
    "EFS_INFREQUENT_ACCESS_DAYS": "90",
    "TASK_FAMILY": "family_7",
    "IMAGE_TAG": "v1.a",
    "CONTAINER_SECRETS": "T=arn:aws:ssm:us-east-1:123456789012:parameter/a1",
    "CONTAINER_PORTS": "8080:80",
    "NETWORK_MODE": "awsvpc",
    "TASK_CPU": "1024",
    "TASK_MEMORY": "2048",
    "MAIN_CONTAINER": "main_7",
    "GPU_COMPUTE_PERCENT": "50",
    "CPU_ARCHITECTURE": "ARM64",
    "EPHEMERAL_STORAGE_GIB": "30",
    "TMPFS": "/tmp/a1:64",
    "ULIMITS": "memlock:-1:-1,nofile:65536:65536",
    "CAPABILITIES": "SYS_PTRACE,-NET_RAW",
    "CONTAINER_USER": "user1:7",
    "WORKING_DIRECTORY": "/srv/a1",
    "STOP_TIMEOUT": "60",
    "REGISTRY_CREDENTIALS": "arn:aws:secretsmanager:us-east-1:123456789012:secret:registry-a1B2c3",
    "ENVIRONMENT_FILES": "arn:aws:s3:::files-1/a1.env",
    "SHARED_MEMORY_MIB": "64",
    "TASK_EXECUTION_ROLE_ARN": "arn:aws:iam::123456789012:role/a1",
    "TASK_ROLE_ARN": "arn:aws:iam::123456789012:role/a1",
    "ROLE_PATH": "/team1/",
    "ROLE_PERMISSIONS_BOUNDARY": "arn:aws:iam::123456789012:policy/a1",
    "HOST_ROLE": "arn:aws:iam::123456789012:instance-profile/team/a1",
    "BUILD_ROLE_ARN": "arn:aws:iam::123456789012:role/a1",
    "PIPELINE_ROLE_ARN": "arn:aws:iam::123456789012:role/a1",
    "SYNC_ROLE_ARN": "arn:aws:iam::123456789012:role/a1",
    "SCHEDULE_ROLE_ARN": "arn:aws:iam::123456789012:role/a1",
    "STOP_ROLE_ARN": "arn:aws:iam::123456789012:role/a1",
    "MAX_RUN_HOURS": "7",
    "MAX_CLUSTER_HOURS": "7",
    "STOP_AT": "2099-01-07T02:00Z",
    "TASK_S3_BUCKETS": "bucket-1a",
    "TASK_DYNAMODB_TABLES": "table_1",
    "TASK_SQS_QUEUES": "queue_1.fifo",
    "SERVICE_NAME": "service_7",
    "HOST_NAME": "a1.example.com,b1.example.com",
    "RULE_PRIORITY": "10",
    "TRAFFIC_FROM": "b1",
    "LISTENER_PATH": "/a1/*,/b1",
    "STICKINESS_SECONDS": "3600",
    "SLOW_START": "60",
    "HEALTH_CHECK_PATH": "/a1",
    "HEALTH_CHECK_CODES": "200-299",
    "HEALTH_CHECK_PORT": "8080",
    "CHECK_PATHS": "/a1,/b2",
    "SCALE_OUT_MEMORY": "90",
    "REQUESTS_PER_TASK": "100",
    "CONTAINER_CERTIFICATE": "/data/a1",
    "SOURCE_REPOSITORY": "team_1/a",
    "SOURCE_PATHS": "a1/**",
    "CONNECTION_ARN": "arn:aws:codeconnections:us-east-1:123456789012:connection/a1",
    "WEIGHTS_BUCKET": "weights-1a",
    "SYNC_SCHEDULE": "every 3 minutes",
    "NODE_PORTS": "29500-65535",
    "RUN_TIMEOUT_SECONDS": "3600",
}
#: a person's own words, which AWS takes in any letters
OWN_WORDS = {
    *("EXTRA_TAGS", "ENTRY_POINT", "COMMAND", "CONTAINER_ENVIRONMENT", "CONTAINER_ENVIRONMENT_FILE"),
    *("WEIGHTS_PREFIX", "WEIGHTS_FOLDER", "HOST_USER_DATA", "ECS_CONFIG", "TASK_DEFINITION_FILE", "HEALTH_COMMAND"),
}


class Settings:
    """constants.py, read again with other texts in its environment: much quicker than a script."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.patch = patch
        self.module = importlib.import_module("constants")
        for name in [name for name in os.environ if name != "PATH"]:
            patch.delenv(name)
        self.read()

    def read(self, **texts: str) -> Any:
        for name in self.module.KNOWN:
            self.patch.delenv(name, raising=False)
        for name, text in {"ENV_FILE": "/dev/null", "CLUSTER_NAME": "gpu", **texts}.items():
            self.patch.setenv(name, text)
        self.module.load()
        return self.module


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    return Settings(monkeypatch)


def foreign(text: str) -> set[str]:
    """The text with a digit, and with a letter, that are none of ASCII's."""
    digit = {text.replace(each, chr(0x660 + int(each)), 1) for each in text if each.isdigit()}
    letter = {text.replace(each, "é", 1) for each in text if each.isalpha()}
    return digit | letter


def test_letters_and_digits_are_those_of_ascii_wherever_aws_takes_no_others(settings: Settings) -> None:
    known = settings.module.KNOWN
    right = {name: RIGHT.get(name) or default for name, default in known.items() if name not in OWN_WORDS}
    assert [name for name, text in right.items() if not text] == []
    wanted = {name: sorted(foreign(text)) for name, text in right.items()}
    for number in range(max(map(len, wanted.values()))):
        asked = {name: texts[number] for name, texts in wanted.items() if number < len(texts)}
        problems = settings.read(**asked).PROBLEMS
        assert [f"{name}={text}" for name, text in asked.items() if name not in problems] == []


def test_every_right_text_is_right(settings: Settings) -> None:
    """Each alone: what must go with it is another sentence than that about its form."""
    for name, text in RIGHT.items():
        told = settings.read(**{name: text}).PROBLEMS.get(name, [])
        assert [sentence for sentence in told if repr(text) in sentence] == [], told


PIECES = (
    *(
        "",
        " ",
        "\t",
        "\n",
        "\r\n",
        "\\",
        "\\,",
        ",",
        ",,",
        "=",
        "==",
        "'",
        '"',
        "`",
        "$",
        "$(id)",
        "${HOME}",
        "#",
        " #",
        "*",
        "?",
    ),
    *(
        "[",
        "]",
        "{",
        "}",
        "[]",
        '["',
        "(",
        ")",
        ";",
        "&",
        "|",
        "<",
        ">",
        "~",
        "!",
        "%",
        "^",
        "@",
        ":",
        "/",
        "//",
        "..",
        "/..",
        ".",
    ),
    *(
        "-",
        "--",
        "_",
        "0",
        "-1",
        "1",
        "00",
        "1.5",
        "1e9",
        "nan",
        "inf",
        "99999999999999999999",
        "0x10",
        "1_000",
        "٣",
        "²",
        "½",
    ),
    *(
        "a",
        "A",
        "é",
        "ß",
        "漢",
        "😀",
        "\u200b",
        "\u00a0",
        "\u2028",
        "\ufeff",
        "\x01",
        "\x7f",
        "\x85",
        "\udcff",
        "x" * 300,
    ),
    *(
        "true",
        "none",
        "null",
        "arn:aws:",
        "aws:",
        "10.0.0.0",
        "/16",
        "255.255.255.255/33",
        "::1",
        "http://",
        "every ",
        "minutes",
    ),
    *(
        "NAME=",
        "A=1",
        "A=1,A=2",
        "/data",
        "data:/",
        ":ro",
        "80",
        "65536",
        ":80",
        "@sha256:",
        "latest",
        "sh -c",
        "../",
        "C:\\",
    ),
)


def nasty(chance: random.Random, right: str) -> str:
    """Some pieces, or what is right with some of them somewhere in it."""
    pieces = "".join(chance.choices(PIECES, k=chance.randint(0, 4)))
    if chance.random() < 0.4:
        return pieces
    at = sorted((chance.randint(0, len(right)), chance.randint(0, len(right))))
    return right[: at[0]] + pieces + right[at[1] if chance.random() < 0.5 else at[0] :]


def test_thousands_of_nasty_texts_are_accepted_or_told_by_their_setting_s_name(settings: Settings) -> None:
    """All settings at a time: each has a text of its own, and its mistake a sentence of its own, in whole lines."""
    chance, known = random.Random(10), settings.module.KNOWN
    right = {name: RIGHT.get(name) or default for name, default in known.items()}
    accepted, refused = 0, 0
    for _ in range(40):
        asked = {name: nasty(chance, text) for name, text in right.items()}
        module = settings.read(**asked)
        for name, sentences in module.PROBLEMS.items():
            assert name in known and all(len(each) < 1000 and each.isprintable() for each in sentences), (
                name,
                sentences,
            )
        accepted, refused = accepted + len(known.keys() - module.PROBLEMS.keys()), refused + len(module.PROBLEMS)
    assert accepted + refused > 4000 and accepted > 500 and refused > 500


def test_one_nasty_text_beside_right_ones_is_accepted_or_told(settings: Settings) -> None:
    """What follows from a setting, and must go with others, meets it too."""
    chance = random.Random(3)
    for name, default in settings.module.KNOWN.items():
        for _ in range(2):
            text = nasty(chance, RIGHT.get(name) or default)
            module = settings.read(**{name: text})
            assert all(sentence.isprintable() for told in module.PROBLEMS.values() for sentence in told), (name, text)


@pytest.mark.parametrize("seed", range(4))
def test_a_file_of_nasty_texts_is_read_or_told(settings: Settings, tmp_path: Path, seed: int) -> None:
    chance, file = random.Random(seed), tmp_path / ".env"
    for _ in range(15):
        file.write_bytes("\n".join(nasty(chance, f"{name}=x") for name in RIGHT).encode("utf-8", "surrogateescape"))
        module = settings.read(ENV_FILE=str(file))
        assert all(sentence.isprintable() for told in module.PROBLEMS.values() for sentence in told)
        assert all(each.isprintable() for each in module.ODD)


# ------------------------------------------------------------------------------------------------------------ before AWS

PAGES = sorted(path.name for path in ROOT.glob("*.py") if "aws.main(" in path.read_text())
WRONG = (
    {"DESIRED_COUNT": "x"},
    {"ENV_FILE": "not-there"},
    {"GPU_ECS_CLUSTER": "gpu"},
    {"EFS_FILE_SYSTEMS": "per-volume", "EFS_VOLUMES": f"{'v' * 50}:/data"},
)


@pytest.mark.parametrize("page", PAGES)
def test_no_page_asks_aws_for_anything_while_a_setting_is_wrong(runbook: Runbook, page: str) -> None:
    for wrong in WRONG:
        ran = runbook.run(page, *WORDS.get(page, ()), **wrong)
        assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1), ran.err
    assert runbook.emulator.calls == []


#: page -> settings that are right, but not for it, and what it says
OF_A_PAGE = {
    "create_pipeline.py": ({}, "SOURCE_REPOSITORY: is not set"),
    "sync_weights.py": ({"WEIGHTS_FOLDER": "/not/there"}, "WEIGHTS_FOLDER: /not/there is not there"),
    "create_dns_record.py": ({}, "HOST_NAME is not set"),
    "create_certificate.py": ({}, "CERTIFICATE_DOMAINS is not set"),
    "update_cluster.py": (
        {"LAUNCH_TYPE": "FARGATE", "GPU_COUNT": "0", "TASK_CPU": "256", "TASK_MEMORY": "512"},
        "no hosts",
    ),
}


@pytest.mark.parametrize("page", OF_A_PAGE)
def test_what_one_page_needs_is_said_before_it_changes_anything(runbook: Runbook, page: str) -> None:
    asked, sentence = OF_A_PAGE[page]
    ran = runbook.run(page, **asked)
    assert ran.code in (1, 2) and sentence in ran.err, ran.err
    assert runbook.changes(0) == []
