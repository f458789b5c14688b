"""describe_pipeline.py: what ran last, by which push, and where and why a run failed."""

from __future__ import annotations

from emulator.codepipeline import pipelines
from emulator.codestar_connections import connections
from tests.conftest import Runbook


def connect(runbook: Runbook) -> None:
    runbook.settings |= {"ENDPOINT": "a", "POLL_SECONDS": "15"}
    request = {"ProviderType": "GitHub", "ConnectionName": "ours"}
    runbook.settings["CONNECTION_ARN"] = runbook.aws("codeconnections").create_connection(**request)["ConnectionArn"]
    connections.finish_handshakes(runbook.emulator.world)


def test_without_a_pipeline_it_says_how_to_make_one(endpoints: Runbook) -> None:
    ran = endpoints.run("describe_pipeline.py", ENDPOINT="a")
    assert ran.code == 1
    assert "there is no pipeline ml-a in this region: run create_pipeline.py first" in ran.err


def test_the_last_five_runs_and_where_one_failed(endpoints: Runbook) -> None:
    connect(endpoints)
    endpoints.has_run("create_repository.py", "create_pipeline.py")
    shown = endpoints.run("describe_pipeline.py").result
    assert [stage["status"] for stage in shown["stages"]] == ["Succeeded", "Succeeded", None]
    assert shown["stages"][2]["closedBecause"] == "No service yet - the end of create-service.py opens this"
    [first] = shown["executions"]
    assert (first["trigger"], first["commit"]["message"]) == ("CreatePipeline", "First commit")
    for number in range(5):
        fails = "BUILD" if number == 4 else ""
        pipelines.push(endpoints.emulator.world, "example/ml-endpoints", "main", f"Change {number}", {}, fails)
        for _ in range(3):
            endpoints.settle(300)
    shown = endpoints.run("describe_pipeline.py").result
    assert [each["commit"]["message"] for each in shown["executions"]] == [f"Change {n}" for n in (4, 3, 2, 1, 0)]
    failed, *others = shown["executions"]
    assert (failed["status"], failed["trigger"]) == ("Failed", "WebhookV2")
    assert {each["status"] for each in others} == {"InProgress", "Superseded"}, "only the newest waits for the service"
    failure = failed["failure"]
    assert (failure["stageName"], failure["actionName"], failure["code"]) == ("Build", "Build", "JobFailed")
    assert "Error while executing command: docker build" in failure["message"]
    assert len(failure["log"]) <= 10 and any("failed to solve" in line for line in failure["log"])
