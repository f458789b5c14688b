"""What hosts run at their first boot: ours, then HOST_USER_DATA; ECS_CONFIG; Docker on the instance store."""

from __future__ import annotations

import base64
import email
from pathlib import Path
from typing import Any

import pytest

from emulator.registry import images
from tests.conftest import Runbook

STARTED = ("create_cluster.py", "register_task_definition.py", "run_task.py")
QUICK = {"EFS_VOLUMES": "", "COMMAND": "sleep infinity"}


def user_data(runbook: Runbook) -> str:
    asked = {"LaunchTemplateName": "gpu-hosts", "Versions": ["$Latest"]}
    [latest] = runbook.aws("ec2").describe_launch_template_versions(**asked)["LaunchTemplateVersions"]
    return base64.b64decode(latest["LaunchTemplateData"]["UserData"]).decode()


def parts(runbook: Runbook) -> list[Any]:
    return [part for part in email.message_from_string(user_data(runbook)).walk() if not part.is_multipart()]


def test_a_script_of_the_user_s_runs_after_ours_and_with_its_own_interpreter(runbook: Runbook, tmp_path: Path) -> None:
    script = tmp_path / "prepare"
    script.write_bytes("#!/usr/bin/env python3\r\nprint('é')\r\n".encode())
    runbook.has_run("create_cluster.py", **QUICK, HOST_USER_DATA=str(script))
    ours, theirs = parts(runbook)
    assert ours.get_payload().startswith("#!/bin/bash\ncat >> /etc/ecs/ecs.config")
    assert theirs.get_payload().startswith("#!/usr/bin/env python3\nprint('é')")
    assert {each.get_content_type() for each in (ours, theirs)} == {"text/x-shellscript"}
    ran = runbook.run("create_cluster.py", **QUICK, HOST_USER_DATA=str(script))
    assert "nothing changed" in ran.err
    script.write_text("#!/bin/sh\ntrue\n")
    ran = runbook.run("create_cluster.py", **QUICK, HOST_USER_DATA=str(script))
    assert "updated launch template gpu-hosts  UserData" in ran.err


def test_hosts_that_run_keep_what_they_ran_until_they_are_replaced(runbook: Runbook) -> None:
    runbook.settings |= {**QUICK, "MIN_INSTANCES": "1"}
    ran = runbook.has_run("create_cluster.py").run("create_cluster.py", ECS_CONFIG="ECS_LOGLEVEL=debug")
    assert "kept 1 former host  python update_cluster.py replaces them" in ran.err


def test_without_such_settings_user_data_is_one_script(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", **QUICK)
    assert user_data(runbook).startswith("#!/bin/bash\ncat >>")


def test_a_host_joins_also_where_the_user_s_script_fails(runbook: Runbook, tmp_path: Path) -> None:
    script = tmp_path / "prepare"
    script.write_text("#!/bin/sh\nexit 1\n")
    runbook.settings |= {**QUICK, "HOST_USER_DATA": str(script)}
    runbook.has_run(*STARTED)


def test_a_script_that_waits_for_the_agent_keeps_its_host_out(runbook: Runbook, tmp_path: Path) -> None:
    script = tmp_path / "prepare"
    script.write_text("#!/bin/sh\nsystemctl start ecs\n")
    runbook.settings |= {**QUICK, "HOST_USER_DATA": str(script), "WAIT_TIMEOUT_SECONDS": "600"}
    assert runbook.has_run(*STARTED[:2]).run("run_task.py").code == 3
    script.write_text("#!/bin/sh\nsystemctl start --no-block ecs\n")
    runbook.has_run("create_cluster.py", "update_cluster.py")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "there is no such file"),
        ("echo no first line", "its first line begins with #!"),
        ("#!/bin/sh\n" + "# long\n" * 3000, "EC2 takes 16384"),
        ("#!/bin/sh\n# ==gpu-ecs-part==\n", "separates its parts"),
    ],
)
def test_a_script_that_no_host_could_run_is_refused(runbook: Runbook, tmp_path: Path, content: str, told: str) -> None:
    script = tmp_path / "prepare"
    if content is not None:
        script.write_text(content)
    ran = runbook.run("create_cluster.py", HOST_USER_DATA=str(script))
    assert ran.code in (1, 2) and "HOST_USER_DATA" in ran.err and told in ran.err, ran.err
    assert runbook.changes(0) == []


def test_more_lines_for_the_agent_stand_in_its_configuration(runbook: Runbook) -> None:
    lines = 'ECS_IMAGE_PULL_BEHAVIOR=prefer-cached; ECS_INSTANCE_ATTRIBUTES={"a": "b,c"}'
    runbook.has_run("create_cluster.py", **QUICK, ECS_CONFIG=lines)
    told = user_data(runbook).splitlines()
    assert "ECS_IMAGE_PULL_BEHAVIOR=prefer-cached" in told
    assert 'ECS_INSTANCE_ATTRIBUTES={"a": "b,c"}' in told


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("ECS_CLUSTER=other", "CLUSTER_NAME says it"),
        ("ECS_ENABLE_GPU_SUPPORT=false", "GPU_COUNT says it"),
        ("ECS_RESERVED_MEMORY=1G", "another value than MiB"),
        ("PATH=/tmp", "names such as ECS_LOGLEVEL in its part 1"),
        ("ECS_LOGLEVEL=info;ECS_LOGLEVEL=debug", "twice"),
    ],
)
def test_what_the_scripts_say_themselves_is_no_line_of_the_user_s(runbook: Runbook, lines: str, told: str) -> None:
    ran = runbook.run("create_cluster.py", ECS_CONFIG=lines)
    assert ran.code == 2 and told in ran.err, ran.err
    assert "/tmp" not in ran.err, "a value there may be a password"


def test_memory_that_the_agent_is_told_to_keep_is_no_task_s(runbook: Runbook) -> None:
    asked = {**QUICK, "TASK_MEMORY": "15000"}
    assert "does not fit" not in runbook.run("create_cluster.py", "--dry-run", **asked).err
    ran = runbook.run("create_cluster.py", **asked, ECS_CONFIG="ECS_RESERVED_MEMORY=1024")
    assert (ran.code, "TASK_MEMORY=15000 does not fit on INSTANCE_TYPE=g4dn.xlarge" in ran.err) == (1, True)


def test_docker_is_on_the_instance_store_before_anything_else_runs(runbook: Runbook) -> None:
    runbook.settings |= {**QUICK, "INSTANCE_STORE": "docker"}
    runbook.has_run(*STARTED)
    hook, ours = parts(runbook)
    assert (hook.get_content_type(), ours.get_content_type()) == ("text/cloud-boothook", "text/x-shellscript")
    assert hook.get_payload().startswith("#!/bin/bash\n")


def test_a_type_without_instance_store_is_refused(runbook: Runbook) -> None:
    ran = runbook.run("create_cluster.py", INSTANCE_STORE="docker", INSTANCE_TYPE="t3.medium", GPU_COUNT="0")
    assert ran.code == 1 and "INSTANCE_TYPE=t3.medium has no NVMe instance store" in ran.err
    assert runbook.changes(0) == []


@pytest.mark.parametrize("name", ["HOST_USER_DATA", "ECS_CONFIG", "INSTANCE_STORE"])
def test_on_fargate_there_are_no_hosts_to_be_told(fargate: Runbook, tmp_path: Path, name: str) -> None:
    (tmp_path / "prepare").write_text("#!/bin/sh\n")
    texts = {"HOST_USER_DATA": str(tmp_path / "prepare"), "ECS_CONFIG": "ECS_LOGLEVEL=info", "INSTANCE_STORE": "docker"}
    ran = fargate.run("create_cluster.py", **{name: texts[name]})
    assert ran.code == 2 and f"{name}: is set, but LAUNCH_TYPE=FARGATE" in ran.err


def test_an_image_must_fit_on_the_disk_that_docker_has(runbook: Runbook) -> None:
    images.add(runbook.emulator.world, "example.com/huge:1", size=150 * 2**30)
    images.add(runbook.emulator.world, "nvcr.io/nvidia/huge:1", size=150 * 2**30)
    runbook.settings |= {**QUICK, "ROOT_VOLUME_GIB": "200", "MIN_INSTANCES": "1"}
    runbook.has_run("create_cluster.py", "register_task_definition.py")
    store = {"INSTANCE_STORE": "docker"}
    ran = runbook.run("register_task_definition.py", IMAGE="nvcr.io/nvidia/huge:1", **store)
    assert ran.code == 1 and "the instance store of g4dn.xlarge has 116 GiB" in ran.err, ran.err
    runbook.has_run("register_task_definition.py", IMAGE="example.com/huge:1")
    assert runbook.run("run_task.py", IMAGE="example.com/huge:1").code == 0
    runbook.has_run("stop_task.py --all", "create_cluster.py", "update_cluster.py", **store)
    ran = runbook.run("run_task.py", IMAGE="example.com/huge:1", **store)
    assert ran.code == 1 and "no space left on device" in ran.err, ran.err
