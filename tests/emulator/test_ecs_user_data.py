"""What cloud-init runs of user data, and what that does to the agent and to the disk under Docker."""

from __future__ import annotations

import pytest

from emulator.ecs import user_data
from emulator.ecs.agent import cluster_in

JOIN = "#!/bin/sh\necho ECS_CLUSTER=main >> /etc/ecs/ecs.config\n"
HOOK = "#!/bin/sh\nmount -L docker /var/lib/docker\n"
HEAD = 'Content-Type: multipart/mixed; boundary="x"\nMIME-Version: 1.0\n\n'


def parts(*texts: tuple[str, str]) -> str:
    return HEAD + "".join(f"--x\nContent-Type: text/{kind}\n\n{text}" for kind, text in texts) + "--x--\n"


@pytest.mark.parametrize(
    ("text", "cluster"),
    [
        (JOIN, "main"),
        (JOIN.partition("\n")[2], "default"),
        (parts(("x-shellscript", JOIN)), "main"),
        (parts(("x-shellscript", JOIN), ("x-shellscript", "#!/bin/sh\nexit 1\n")), "main"),
        (parts(("plain", JOIN)), "default"),
        ("", "default"),
    ],
)
def test_only_what_cloud_init_knows_as_a_script_is_run(text: str, cluster: str) -> None:
    assert cluster_in(text) == cluster


def test_boothooks_run_before_scripts() -> None:
    told = user_data.scripts(parts(("x-shellscript", JOIN), ("cloud-boothook", HOOK)))
    assert [text.splitlines()[1].split()[0] for text in told] == ["mount", "echo"]


@pytest.mark.parametrize(
    ("line", "waits"),
    [
        ("systemctl start ecs", True),
        ("systemctl enable --now ecs.service", True),
        ("systemctl enable --now --no-block ecs.service", False),
        ("systemctl restart docker", False),
        ("# systemctl start ecs", False),
    ],
)
def test_a_script_that_waits_for_the_agent_never_ends(line: str, waits: bool) -> None:
    assert user_data.never_ends(f"{JOIN}{line}\n") == waits


def test_docker_is_on_the_instance_store_where_a_script_mounts_it_and_the_type_has_one() -> None:
    text = parts(("cloud-boothook", HOOK), ("x-shellscript", JOIN))
    assert round(user_data.disk("us-east-1", {"InstanceType": "g4dn.xlarge", "UserData": text})) == 116
    assert user_data.disk("us-east-1", {"InstanceType": "t3.medium", "UserData": text}) == 0
    assert user_data.disk("us-east-1", {"InstanceType": "g4dn.xlarge", "UserData": JOIN}) == 0
