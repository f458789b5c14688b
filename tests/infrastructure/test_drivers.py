"""An image says which CUDA it demands of the driver: told before it is registered, and before a host starts for it."""

from __future__ import annotations

import pytest

from emulator.registry import images
from infrastructure.service import drivers
from tests.conftest import GPU, Runbook

CURRENT = drivers.OF_AMI["al2023-ami-ecs-gpu-"]
DEMANDS = {
    "": True,
    "cuda>=12.8": True,
    "cuda>=13.0": True,
    "cuda>=13": True,
    "CUDA>=13.1": False,
    "cuda>=13.1 brand=tesla,driver>=535,driver<536": False,
    "cuda>=13.1 brand=tesla,driver>=535,driver<536 brand=tesla,driver>=580,driver<581": True,
    "cuda>=12.0,cuda<13.0": False,
    "driver>=580.126": True,  # which of the branch it is, is not known
    "driver>=600.1": False,
    "cuda!=13.0": False,
    "cuda=13": True,
    "something-new": True,
}


@pytest.mark.parametrize("demand", DEMANDS)
def test_words_are_alternatives_and_commas_join_what_must_hold(demand: str) -> None:
    assert drivers.meets(demand, CURRENT) is DEMANDS[demand]


@pytest.mark.parametrize("index", [True, False], ids=["an index", "one manifest"])
def test_an_image_for_a_newer_driver_is_refused_before_it_is_registered(runbook: Runbook, index: bool) -> None:
    images.add(runbook.emulator.world, GPU["IMAGE"], demand="cuda>=13.1", index=index)
    ran = runbook.has_run("create_cluster.py").run("register_task_definition.py")
    assert (ran.code, runbook.aws("ecs").list_task_definitions()["taskDefinitionArns"]) == (1, []), ran.err
    assert "demands cuda>=13.1, and the hosts' AMI has driver 580, which is CUDA 13.0" in ran.err
    assert runbook.run("register_task_definition.py", CONTAINER_ENVIRONMENT="NVIDIA_DISABLE_REQUIRE=true").code == 0


def test_an_ami_of_another_s_has_a_driver_that_is_not_known(runbook: Runbook) -> None:
    name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    image_id = runbook.aws("ssm").get_parameter(Name=name)["Parameter"]["Value"]
    ran = runbook.has_run("create_cluster.py").run("register_task_definition.py", AMI_ID=image_id)
    assert (ran.code, f"which driver AMI_ID={image_id} has is not known" in ran.err) == (0, True), ran.err


def test_a_tag_that_demands_more_by_then_is_told_with_its_remedy(runbook: Runbook) -> None:
    """It was another image when it was registered."""
    runbook.has_run("create_cluster.py", "register_task_definition.py")
    images.add(runbook.emulator.world, GPU["IMAGE"], demand="cuda>=13.1")
    ran = runbook.run("run_task.py")
    assert (ran.code, "requirement error: unsatisfied condition: cuda>=13.1" in ran.err) == (1, True), ran.err
    assert "The image wants a newer CUDA than the AMI's driver has" in ran.err
