"""create_repository.py: one repository for each endpoint, in which a tag is given once and old images expire."""

from __future__ import annotations

import json

from emulator.ecr import repositories
from tests.conftest import Runbook

TAGS = {"gpu-ecs-cluster": "ml", "gpu-ecs-endpoint": "a", "gpu-ecs-part": "repository", "Name": "ml-a-repository"}


def test_it_is_made_as_the_settings_say_and_a_second_run_changes_nothing(endpoints: Runbook) -> None:
    ran = endpoints.run("create_repository.py", ENDPOINT="a")
    assert ran.code == 0, ran.err
    assert ran.result["repositoryUri"] == "123456789012.dkr.ecr.us-east-1.amazonaws.com/ml-a"
    ecr = endpoints.aws("ecr")
    [made] = ecr.describe_repositories()["repositories"]
    assert (made["repositoryName"], made["imageTagMutability"]) == ("ml-a", "IMMUTABLE")
    assert made["imageScanningConfiguration"] == {"scanOnPush": True}
    assert {
        tag["Key"]: tag["Value"] for tag in ecr.list_tags_for_resource(resourceArn=made["repositoryArn"])["tags"]
    } == TAGS
    policy = json.loads(ecr.get_lifecycle_policy(repositoryName="ml-a")["lifecyclePolicyText"])
    assert [rule["selection"]["countNumber"] for rule in policy["rules"]] == [1, 20]
    calls = len(endpoints.emulator.calls)
    again = endpoints.run("create_repository.py", ENDPOINT="a")
    assert "found repository ml-a" in again.err and endpoints.changes(calls) == []


def test_what_was_changed_is_brought_into_line(endpoints: Runbook) -> None:
    endpoints.has_run("create_repository.py", ENDPOINT="a")
    ecr = endpoints.aws("ecr")
    ecr.put_image_tag_mutability(repositoryName="ml-a", imageTagMutability="MUTABLE")
    ecr.put_image_scanning_configuration(repositoryName="ml-a", imageScanningConfiguration={"scanOnPush": False})
    ran = endpoints.run("create_repository.py", ENDPOINT="a", IMAGES_KEPT="5")
    assert "updated repository ml-a  keeps 5 images" in ran.err
    [found] = ecr.describe_repositories()["repositories"]
    assert (found["imageTagMutability"], found["imageScanningConfiguration"]["scanOnPush"]) == ("IMMUTABLE", True)


def test_the_tags_that_are_there_are_told_the_newest_first(endpoints: Runbook) -> None:
    endpoints.has_run("create_repository.py", ENDPOINT="a")
    for tag in ("z", "a", "k"):
        repositories.put_image(endpoints.emulator.world, "us-east-1", "ml-a", tag)
        endpoints.settle(60)
    assert endpoints.run("create_repository.py", ENDPOINT="a").result["imageTags"] == ["k", "a", "z"]


def test_a_repository_of_someone_else_is_left_alone(endpoints: Runbook) -> None:
    endpoints.aws("ecr").create_repository(repositoryName="ml-a")
    ran = endpoints.run("create_repository.py", ENDPOINT="a")
    assert ran.code == 1
    assert "the repository ml-a exists already, and does not bear the tag gpu-ecs-cluster=ml" in ran.err


def test_its_name_is_lower_case_and_works_without_endpoints(fargate: Runbook) -> None:
    ran = fargate.run("create_repository.py", CLUSTER_NAME="Api--Test")
    assert ran.result["repositoryName"] == "api-test"


def test_a_dry_run_makes_nothing(endpoints: Runbook) -> None:
    ran = endpoints.run("create_repository.py", "--dry-run", ENDPOINT="a")
    assert ran.code == 0 and "would have created repository ml-a" in ran.err
    assert endpoints.aws("ecr").describe_repositories()["repositories"] == []
