"""AWS's descriptions of its services are what botocore has, read another way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from botocore.exceptions import UnknownServiceError
from botocore.loaders import Loader
from botocore.session import Session

from aws import service_models


def models() -> Loader:
    session = Session()
    service_models.attach(session)
    found: Loader = session.get_component("data_loader")
    return found


@pytest.mark.parametrize("service", ["ecs", "ec2", "sts"])
@pytest.mark.parametrize("kind", ["service-2", "paginators-1", "endpoint-rule-set-1"])
def test_they_are_the_same_in_the_same_order(service: str, kind: str) -> None:
    theirs = Loader().load_service_model(service, kind)
    assert json.dumps(models().load_service_model(service, kind)) == json.dumps(theirs)


def test_a_service_that_there_is_not_is_told_as_ever() -> None:
    with pytest.raises(UnknownServiceError):
        models().load_service_model("no-such-service", "service-2")


def test_descriptions_of_the_users_own_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "ecs" / "2014-11-13"
    folder.mkdir(parents=True)
    (folder / "service-2.json").write_text('{"mine": true}')
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    assert models().load_service_model("ecs", "service-2") == {"mine": True}
