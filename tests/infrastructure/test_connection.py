"""The connection to the Git host: shared by endpoints, deleted with the cluster, and never one that is not ours."""

from __future__ import annotations

from emulator.codestar_connections import connections
from tests.conftest import Runbook


def names(runbook: Runbook) -> list[str]:
    return [each["ConnectionName"] for each in runbook.aws("codeconnections").list_connections()["Connections"]]


def test_it_goes_with_the_cluster_and_one_that_a_setting_names_stays(endpoints: Runbook) -> None:
    request = {"ProviderType": "GitHub", "ConnectionName": "theirs"}
    arn = endpoints.aws("codeconnections").create_connection(**request)["ConnectionArn"]
    endpoints.has_run("create_repository.py", ENDPOINT="a")
    assert endpoints.run("create_pipeline.py", ENDPOINT="a").code == 1  # the handshake
    assert sorted(names(endpoints)) == ["ml-git", "theirs"]
    endpoints.has_run("delete_repository.py", ENDPOINT="a")
    endpoints.has_run("delete_cluster.py --yes", CONNECTION_ARN=arn)
    assert names(endpoints) == ["theirs"]


def test_two_of_one_name_and_one_of_someone_else_are_told(endpoints: Runbook) -> None:
    endpoints.has_run("create_repository.py", ENDPOINT="a")
    service = endpoints.aws("codeconnections")
    request = {"ProviderType": "GitHub", "ConnectionName": "ml-git"}
    service.create_connection(**request)
    ran = endpoints.run("create_pipeline.py", ENDPOINT="a")
    assert (
        ran.code == 1
        and "the connection ml-git exists already, and does not bear the tag gpu-ecs-cluster=ml" in ran.err
    )
    tags = [{"Key": "gpu-ecs-cluster", "Value": "ml"}]
    for _ in range(2):
        service.create_connection(**request, Tags=tags)
    connections.finish_handshakes(endpoints.emulator.world)
    ran = endpoints.run("create_pipeline.py", ENDPOINT="a")
    assert ran.code == 1 and "two matches for connection ml-git" in ran.err
