"""Repositories and images."""

from __future__ import annotations

import pytest

from emulator.core.wire import Emulator
from emulator.ecr import repositories
from tests.emulator.common import Client, refused, sleep


def test_a_repository_with_images_is_deleted_by_force_only(emulator: Emulator, client: Client) -> None:
    ecr = client("ecr")
    ecr.create_repository(repositoryName="app")
    assert refused(ecr.create_repository, repositoryName="app") == "RepositoryAlreadyExistsException"
    assert refused(ecr.create_repository, repositoryName="App") == "InvalidParameterException"
    digest = repositories.put_image(emulator.world, "us-east-1", "app", "v1")
    assert repositories.repository_has_image(emulator.world, "us-east-1", "app", "v1")
    assert repositories.repository_has_image(emulator.world, "us-east-1", "app", digest)
    assert not repositories.repository_has_image(emulator.world, "us-east-1", "app", "v2")
    assert refused(ecr.delete_repository, repositoryName="app") == "RepositoryNotEmptyException"
    ecr.delete_repository(repositoryName="app", force=True)
    assert not repositories.repository_has_image(emulator.world, "us-east-1", "app", "v1")


def test_immutable_tags_and_scans_on_push(emulator: Emulator, client: Client) -> None:
    ecr = client("ecr")
    ecr.create_repository(
        repositoryName="app",
        imageTagMutability="IMMUTABLE",
        imageScanningConfiguration={"scanOnPush": True},
    )
    repositories.put_image(emulator.world, "us-east-1", "app", "v1")
    sleep(emulator, 1)
    with pytest.raises(Exception, match="v1"):
        repositories.put_image(emulator.world, "us-east-1", "app", "v1")
    findings = ecr.describe_image_scan_findings(repositoryName="app", imageId={"imageTag": "v1"})
    assert findings["imageScanStatus"]["status"] == "COMPLETE"
