"""delete_repository.py: images go only when the user says so."""

from __future__ import annotations

from emulator.ecr import repositories
from tests.conftest import Runbook


def test_one_that_holds_images_stays_and_says_what_they_cost(endpoints: Runbook) -> None:
    endpoints.has_run("create_repository.py", ENDPOINT="a")
    for tag in ("one", "two"):
        repositories.put_image(endpoints.emulator.world, "us-east-1", "ml-a", tag)
    for flags in ((), ("--dry-run",)):
        ran = endpoints.run("delete_repository.py", *flags, ENDPOINT="a")
        assert ran.code == 1
        assert "the repository ml-a holds 2 images of 2.4 GB, about $0.24 a month" in ran.err
        assert "python delete_repository.py --images" in ran.err
    assert len(endpoints.aws("ecr").describe_repositories()["repositories"]) == 1
    ran = endpoints.run("delete_repository.py", "--images", ENDPOINT="a")
    assert (ran.code, ran.result["left"]) == (0, [])
    assert endpoints.aws("ecr").describe_repositories()["repositories"] == []


def test_an_empty_one_goes_and_a_second_run_finds_nothing(endpoints: Runbook) -> None:
    endpoints.has_run("create_repository.py", ENDPOINT="a").has_run("create_repository.py", ENDPOINT="b")
    endpoints.has_run("delete_repository.py", ENDPOINT="a")
    again = endpoints.run("delete_repository.py", ENDPOINT="a")
    assert again.code == 0 and "already gone repository ml-a" in again.err
    [left] = endpoints.aws("ecr").describe_repositories()["repositories"]
    assert left["repositoryName"] == "ml-b"


def test_one_of_someone_else_is_kept(endpoints: Runbook) -> None:
    endpoints.aws("ecr").create_repository(repositoryName="ml-a")
    ran = endpoints.run("delete_repository.py", "--images", ENDPOINT="a")
    assert ran.code == 0 and "kept repository ml-a" in ran.err
    assert len(endpoints.aws("ecr").describe_repositories()["repositories"]) == 1
