"""What may be a secret is never printed: values of the container's environment, what stands where an ARN should, sign-ins."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import GPU, Runbook

SECRET = "hf-QX81zk-q7"
WALK = (
    "create_cluster.py",
    "register_task_definition.py",
    "run_task.py",
    "describe_task.py",
    "list_task_definition.py",
    "stop_task.py --all",
    "delete_cluster.py --yes",
)


@pytest.mark.parametrize(
    "line",
    [
        f"CONTAINER_SECRETS=TOKEN={SECRET}",
        f"CONTAINER_SECRETS={SECRET}",
        f"CONTAINER_ENVIRONMENT={SECRET}",
        f"CONTAINER_ENVIRONMENT=A={SECRET},{SECRET}",
        f"CONTAINER_ENVIRONMENT=A={SECRET},A={SECRET}",
        f"CONTAINER_ENVIRONMENT=1A={SECRET}",
        f"CONTAINER_ENVIRONMENT_FILE={SECRET}",
        f"AWS_SECRET_ACCESS_KEY {SECRET}",
        f"AWS_SECRET_ACCES_KEY={SECRET}",
        f"AWS_SESSION_TOKEN={SECRET} # of today",
        f'TOKEN="{SECRET}',
        f"TOKEN={SECRET}",
        f"export TOKEN={SECRET} OTHER={SECRET}",
        SECRET,
    ],
)
def test_a_line_of_env_that_is_wrong_is_told_without_what_it_holds(line: str, runbook: Runbook, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("".join(f"{name}={text}\n" for name, text in GPU.items()) + line + "\n")
    ran = runbook.run("register_task_definition.py", ENV_FILE=str(file))
    if "CONTAINER_ENVIRONMENT_FILE" not in line:  # there the name of the file is what is wrong
        assert SECRET not in ran.err + ran.out


@pytest.mark.parametrize("flags", [{}, {"DEBUG": "1"}])
def test_no_page_prints_the_environment_of_the_container(flags: dict[str, str], runbook: Runbook) -> None:
    settings = {**GPU, **flags, "CONTAINER_ENVIRONMENT": f"PASSWORD={SECRET}", "AWS_SECRET_ACCESS_KEY": SECRET}
    for command in (*WALK[:3], "create_cluster.py --dry-run", *WALK[3:]):
        ran = runbook.run(*command.split(), **settings)
        assert ran.code == 0, ran.err
        assert SECRET not in ran.err + ran.out, command
