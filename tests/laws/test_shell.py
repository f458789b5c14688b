"""What reaches a shell on a host, in a container or in a build reaches it as it is: a real sh runs each text.

The texts are those that AWS is given. The values are nastier than any that a setting accepts: who loosens a pattern one
day must not open a door by it. On PATH there are programs that only write down what they were called with.
"""

from __future__ import annotations

import email
import importlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infrastructure.cluster import user_data
from infrastructure.delivery import pipeline
from infrastructure.service import task_definitions
from infrastructure.weights import copies, copy_task, sync
from tests.conftest import Runbook

NASTY = (
    "plain",
    "two words",
    "it's",
    'a "quoted" one',
    "$(touch hacked)",
    "`touch hacked`",
    "; touch hacked;",
    "&& touch hacked #",
    "$HOME ${HOME}",
    "* ? [a-z]",
    "~",
    "a\nb",
    "back\\slash\\",
    "-n",
    "!!",
    "<in >out 2>&1",
    "é 漢 😀",
)
#: what each program answers; the rest answer nothing, and end with 0
RECORD = """#!/bin/sh
for word in "$(basename "$0")" "$@"; do printf "%s\\0" "$word"; done >> "$RECORDED"
printf "\\0" >> "$RECORDED"
"""


class Shell:
    """A real sh in an empty folder, and what the programs were called with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin, self.recorded = folder / "bin", folder / "recorded"
        self.bin.mkdir()
        for program in ("basename", "cat", "sh"):
            found = shutil.which(program)
            assert found
            (self.bin / program).symlink_to(found)

    def program(self, name: str, then: str = "") -> None:
        (self.bin / name).write_text(RECORD + then)
        (self.bin / name).chmod(0o755)

    def run(self, text: str) -> list[list[str]]:
        """The calls of one run; nothing but these has happened in the folder."""
        self.recorded.write_text("")
        before = {*self.folder.rglob("*")}
        environment = {"PATH": str(self.bin), "HOME": "/root", "RECORDED": str(self.recorded)}
        subprocess.run(
            ["sh", "-c", text], cwd=self.folder, env=environment, check=False, capture_output=True, timeout=10
        )
        assert {*self.folder.rglob("*")} == before
        return [call.split("\0") for call in self.recorded.read_text().removesuffix("\0\0").split("\0\0")]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


class Set:
    """The settings of a cluster, and over them what no setting would accept."""

    def __init__(self, runbook: Runbook, patch: pytest.MonkeyPatch) -> None:
        runbook.run("list_tasks.py")
        self.module: Any = importlib.import_module("constants")
        self.patch = patch
        patch.setattr(importlib.import_module("aws"), "region", lambda: "us-east-1")
        patch.setattr(pipeline, "region", lambda: "us-east-1")

    def __call__(self, **values: Any) -> None:
        for name, value in values.items():
            self.patch.setattr(self.module, name, value)


@pytest.fixture
def given(runbook: Runbook, monkeypatch: pytest.MonkeyPatch) -> Set:
    return Set(runbook, monkeypatch)


@pytest.mark.parametrize("value", NASTY)
def test_a_container_s_certificate_is_made_where_the_setting_says(shell: Shell, given: Set, value: str) -> None:
    shell.program("mkdir")
    shell.program("openssl", '[ "$1" != x509 ]\n')
    given(CONTAINER_CERTIFICATE=f"/data/{value}/{value}", SERVICE_NAME=value)
    [container] = task_definitions.certificate_container()
    assert container["entryPoint"] == ["sh", "-c"]
    [script] = container["command"]
    made, looked, asked = shell.run(script)
    path = f"/data/{value}/{value}"
    assert made == ["mkdir", "-p", f"/data/{value}"]
    assert (looked[0:2], looked[-1]) == (["openssl", "x509"], f"{path}.crt")
    at = {flag: asked[asked.index(flag) + 1] for flag in ("-subj", "-keyout", "-out")}
    assert at == {"-subj": f"/CN={value}", "-keyout": f"{path}.key", "-out": f"{path}.crt"}


def test_a_certificate_s_common_name_is_no_longer_than_openssl_takes(given: Set) -> None:
    given(CONTAINER_CERTIFICATE="/data/x", SERVICE_NAME="s" * 255)
    [container] = task_definitions.certificate_container()
    assert f"-subj /CN={'s' * 64} " in container["command"][0]


@pytest.mark.parametrize("value", NASTY)
def test_a_sync_reads_the_folder_of_the_bucket_that_the_settings_name(shell: Shell, given: Set, value: str) -> None:
    given(WEIGHTS_BUCKET=value, WEIGHTS_PREFIX=value, WEIGHTS_VOLUME=value)
    source = f"s3://{value}/{value.strip('/')}"
    shell.program("aws")
    looked, synced = shell.run(sync.guarded())
    assert looked == ["aws", "s3", "ls", f"{source}/"]
    assert synced[:5] == ["aws", "s3", "sync", source, f"/mnt/{value}"]
    shell.program("aws", "exit 1\n")
    assert shell.run(sync.guarded()) == [looked]
    shell.program("aws")
    assert shell.run(sync.command("--dryrun")) == [[*synced, "--dryrun"]]


@pytest.mark.parametrize("value", NASTY)
def test_a_copy_is_between_the_places_that_were_named(shell: Shell, given: Set, value: str) -> None:
    shell.program("aws")
    onto = copies.Copy(value, value, value, value, None, onto=True, delete=True)
    looked, synced = shell.run(copies.script(onto, one=False))
    assert looked == ["aws", "s3", "ls", f"s3://{value}/{value}/"]
    assert synced[:5] == ["aws", "s3", "sync", f"s3://{value}/{value}", f"/mnt/{value}/{value}".rstrip("/")]
    assert synced[-1] == "--delete"
    [copied] = shell.run(copies.script(onto, one=True))
    assert copied[:4] == ["aws", "s3", "cp", f"s3://{value}/{value}"] and "--delete" not in copied
    off = copies.Copy(value, value, value, value, None, onto=False, delete=False)
    assert shell.run(copies.script(off, one=False)) == [[""]], "there is no such place here"
    given.patch.setattr(copy_task, "mounted", lambda *_: str(shell.folder))
    assert shell.run(copies.script(off, one=False)) == [
        ["aws", "s3", "sync", str(shell.folder), f"s3://{value}/{value}", "--no-progress"]
    ]


@pytest.mark.parametrize("value", NASTY)
def test_a_pipeline_starts_the_service_that_the_settings_name(shell: Shell, given: Set, value: str) -> None:
    given(CLUSTER_NAME=value, SERVICE_NAME=value, SCALING="step", DESIRED_COUNT=2, MIN_TASKS=1, MAX_TASKS=3)
    shell.program("aws", "echo 0\n")
    counted, started, scaled = shell.run(pipeline.start_command())
    assert counted[:7] == ["aws", "ecs", "describe-services", "--region", "us-east-1", "--cluster", value]
    assert started[5:] == [
        "--cluster",
        value,
        "--service",
        value,
        "--desired-count",
        "2",
        "--query",
        "service.desiredCount",
    ]
    assert scaled[scaled.index("--resource-id") + 1] == f"service/{value}/{value}"
    shell.program("aws", "echo 1\n")
    assert shell.run(pipeline.start_command()) == [counted]


@pytest.mark.parametrize("value", [value for value in NASTY if "\n" not in value])
def test_a_host_s_first_boot_tells_its_agent_the_cluster(shell: Shell, given: Set, value: str) -> None:
    etc, opt = shell.folder / "etc", shell.folder / "opt"
    etc.mkdir()
    for program in ("dnf", "systemctl", "agent-ctl"):
        shell.program(program)
    given(CLUSTER_NAME=value, HOST_MONITORING="enabled", GPU_COUNT=1)
    (etc / "ecs.config").touch()
    text = user_data.text().replace("/etc/ecs", str(etc))
    assert str(opt) not in text
    text = text.replace("/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl", "agent-ctl")
    *_, told = shell.run(text)
    assert told == ["agent-ctl", "-a", "fetch-config", "-m", "ec2", "-s", "-c", f"ssm:AmazonCloudWatch-{value}"]
    assert (etc / "ecs.config").read_text().splitlines()[0] == f"ECS_CLUSTER={value}"


@pytest.mark.parametrize("value", [value for value in NASTY if "\n" not in value])
def test_a_line_of_the_user_s_reaches_the_agent_s_configuration_as_it_is(shell: Shell, given: Set, value: str) -> None:
    etc = shell.folder / "etc"
    etc.mkdir()
    (etc / "ecs.config").touch()
    given(ECS_CONFIG={"ECS_LOGLEVEL": value}, HOST_USER_DATA="#!/bin/sh\n", GPU_COUNT=0)
    shell.run(boot_parts(user_data.text())[0].replace("/etc/ecs", str(etc)))
    assert (etc / "ecs.config").read_text().splitlines()[-1] == f"ECS_LOGLEVEL={value}"


def boot_parts(text: str) -> list[str]:
    """Of several parts each as cloud-init runs it."""
    found = email.message_from_string(text)
    return [str(each.get_payload()) for each in found.walk() if not each.is_multipart()]


STORE = ("mountpoint", "blkid", "lsblk", "mdadm", "mkfs.xfs", "mount", "mkdir")
FOUND = ["blkid", "-L", "docker"]
LISTED = ["lsblk", "-dpno", "NAME,MODEL"]
MOUNTED = [["mkdir", "-p", "/var/lib/docker"], ["mount", "-L", "docker", "/var/lib/docker"]]
ROOT_DISK = "/dev/nvme0n1 Amazon Elastic Block Store"


@pytest.mark.parametrize("disks", [0, 1, 2])
def test_the_disks_of_the_instance_store_become_docker_s(shell: Shell, given: Set, disks: int) -> None:
    awk = shutil.which("awk")
    assert awk
    (shell.bin / "awk").symlink_to(awk)
    given(INSTANCE_STORE="docker")
    names = [f"/dev/nvme{number}n1" for number in range(1, disks + 1)]
    for program in STORE:
        shell.program(program, "exit 1\n" if program in ("mountpoint", "blkid") else "")
    lines = "\n".join([ROOT_DISK, *(f"{name} Amazon EC2 NVMe Instance Storage" for name in names)])
    shell.program("lsblk", f"echo '{lines}'\n")
    shell.program("mkfs.xfs", '[ "$4" ]\n')
    script = boot_parts(user_data.text())[0]
    _, looked, listed, *made = shell.run(script)
    assert (looked, listed) == (FOUND, LISTED)
    disk = "/dev/md0" if disks > 1 else (*names, "")[0]
    raid = ["mdadm", "--create", disk, "--run", "--level=0", f"--raid-devices={disks}", *names]
    file_system = ["mkfs.xfs", "-f", "-L", "docker", disk]
    assert made == [*([raid] if disks > 1 else []), file_system, *(MOUNTED if disks else [])]
    shell.program("blkid")
    assert shell.run(script) == [["mountpoint", "-q", "/var/lib/docker"], FOUND, *MOUNTED], "it was rebooted"
    shell.program("mountpoint")
    assert shell.run(script) == [["mountpoint", "-q", "/var/lib/docker"]]


# ------------------------------------------------------------------------------------------- as long as AWS takes them


def test_no_text_is_longer_than_aws_takes_it(given: Set) -> None:
    """User data of 16 KiB, a command of 1,000 characters: with the longest that the settings accept."""
    longest: dict[str, Any] = {"CLUSTER_NAME": "c" * 28, "SERVICE_NAME": "s" * 117, "SCALING": "step"}
    longest |= {"DESIRED_COUNT": 1000, "MIN_TASKS": 1000, "MAX_TASKS": 1000}
    given(**longest, CAPACITY_TYPE="spot", GPU_COUNT=1, HOST_MONITORING="enabled")
    given.patch.setattr(pipeline, "region", lambda: "ap-northeast-1")
    assert len(pipeline.start_command()) <= 1000
    assert len(user_data.text().encode()) <= 16 * 1024


# --------------------------------------------------------------------------------------------------------- and a policy


def test_a_folder_with_wildcards_is_that_folder_in_the_policy_of_the_sync(endpoints: Runbook) -> None:
    endpoints.settings |= {"IMAGE_TAG": "", "IMAGE": "nginx:1.27"}
    endpoints.has_run("create_cluster.py")
    endpoints.settings |= {"ENDPOINT": "a", "SYNC_SCHEDULE": "", "WEIGHTS_PREFIX": "a*b? (1)"}
    endpoints.has_run("register_task_definition.py")
    s3 = endpoints.aws("s3")
    s3.create_bucket(Bucket="example-ml-weights")
    for key in ("a*b? (1)/model.bin", "axb- (1)/model.bin"):
        s3.put_object(Bucket="example-ml-weights", Key=key, Body=b"x")
    ran = endpoints.run("sync_weights.py")
    assert (ran.code, ran.result["downloaded"]) == (0, 1), ran.err
    policy = endpoints.aws("iam").get_role_policy(RoleName="ml-a-sync-us-east-1", PolicyName="settings")[
        "PolicyDocument"
    ]
    assert policy["Statement"][0]["Condition"] == {"StringLike": {"s3:prefix": "a${*}b${?} (1)/*"}}
    assert policy["Statement"][1]["Resource"] == "arn:aws:s3:::example-ml-weights/a${*}b${?} (1)/*"
