"""EXTRA_TAGS reach whatever stands, and leave it; what a thing is to us is a tag; what earlier versions made is adopted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import Runbook
from tests.everything import PAGES, prepared, tag, tagged

#: what AWS makes and tags by itself, or what lives too short to be tagged again: told at EXTRA_TAGS
BY_ITSELF = (":instance/", ":volume/", ":network-interface/", ":task/", ":key-pair/", ":security-group-rule/")


def ours(runbook: Runbook) -> dict[str, dict[str, str]]:
    found = {arn: tags for arn, tags in tagged(runbook).items() if tags.get("gpu-ecs-cluster") == "gpu"}
    return {arn: tags for arn, tags in found.items() if not any(piece in arn for piece in BY_ITSELF)}


def test_a_tag_that_is_set_later_reaches_everything_and_one_that_goes_leaves_everything(runbook: Runbook) -> None:
    prepared(runbook).has_run(*PAGES)
    pages = [page for page in PAGES if page != "run_task.py"]
    for page in pages:
        ran = runbook.run(*page.split(), EXTRA_TAGS="team=ml,owner=ann")
        assert ran.code == 0, ran.err
    assert [arn for arn, tags in ours(runbook).items() if (tags.get("team"), tags.get("owner")) != ("ml", "ann")] == []
    for page in pages:
        before = len(runbook.emulator.calls)
        ran = runbook.run(*page.split(), EXTRA_TAGS="team=ml,owner=ann")
        tagging = [call for call in runbook.changes(before) if "Tag" in call]
        assert (ran.code, tagging) == (0, []), ran.err
    for page in pages:
        assert runbook.run(*page.split(), EXTRA_TAGS="team=search").code == 0
    assert [
        arn for arn, tags in ours(runbook).items() if (tags.get("team"), "owner" in tags) != ("search", False)
    ] == []
    for page in pages:
        assert runbook.run(*page.split()).code == 0
    left = {arn: tags for arn, tags in ours(runbook).items() if {"team", "owner", "gpu-ecs-extra-tags"} & tags.keys()}
    assert left == {}


def test_a_tag_that_someone_else_put_there_stays(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    arns = list(ours(runbook))
    for arn in arns:
        tag(runbook, arn, {"cost-center": "42"})
    for settings in ({"EXTRA_TAGS": "team=ml"}, {}):
        assert runbook.run("create_cluster.py", **settings).code == 0
    assert [arn for arn in arns if tagged(runbook)[arn].get("cost-center") != "42"] == []


#: each run of run_task.py may start one more, and its deadline
AND_TASKS = ("task", "schedule gpu-stop/ecs:stopTask")


def test_what_an_earlier_version_made_is_found_adopted_and_deleted(runbook: Runbook) -> None:
    """It gave the tags gpu-ecs-cluster and Name, and no other."""
    before = json.loads(json.dumps(prepared(runbook).account(), default=str))
    runbook.has_run(*PAGES)
    for arn, tags in tagged(runbook).items():
        if "gpu-ecs-part" in tags:
            tag(runbook, arn, {}, ("gpu-ecs-part",))
    stands = runbook.account()
    for page in PAGES:
        ran = runbook.run(*page.split())
        assert ran.code == 0, ran.err
        new = ran.err.replace("created schedule stop-", "")  # a task that it starts has a deadline of its own
        assert "created " not in new, ran.err
    made = [name for name in runbook.account().keys() ^ stands.keys() if not name.startswith(AND_TASKS)]
    assert made == [], "but for what the pipeline has deployed in between"
    runbook.settle()
    ran = runbook.run("delete_cluster.py", "--yes", "--everything")
    assert ran.code == 0, ran.err
    runbook.settle()
    assert json.loads(json.dumps(runbook.account(), default=str)) == before


def test_what_an_earlier_version_made_goes_although_it_was_never_adopted(runbook: Runbook) -> None:
    before: Any = json.loads(json.dumps(prepared(runbook).account(), default=str))
    runbook.has_run(*PAGES)
    for arn, tags in tagged(runbook).items():
        if "gpu-ecs-part" in tags:
            tag(runbook, arn, {}, ("gpu-ecs-part",))
    ran = runbook.run("delete_cluster.py", "--yes", "--everything")
    assert ran.code == 0, ran.err
    runbook.settle()
    assert json.loads(json.dumps(runbook.account(), default=str)) == before


@pytest.mark.parametrize("name", ["my-private-ml", "my-public-ml", "a-nat-2", "b-rule", "vpc"])
def test_a_cluster_may_bear_any_name(runbook: Runbook, name: str) -> None:
    """What a subnet, a gateway or a rule is to us is not read out of its name."""
    named = {
        "CLUSTER_NAME": name,
        "PUBLIC_SUBNET_CIDRS": "10.0.0.0/24,10.0.1.0/24",
        "PRIVATE_SUBNET_CIDRS": "10.0.2.0/24,10.0.3.0/24",
        "LISTENER_PROTOCOL": "HTTP",
        "CONTAINER_PORTS": "8000",
        "ALLOWED_CIDR": "203.0.113.7/32",
        "NETWORK_MODE": "awsvpc",
        "MAX_INSTANCES": "2",
    }
    ran = runbook.run("create_cluster.py", **named)
    assert ran.code == 0, ran.err
    private = set(ran.result["subnetIds"])
    again = runbook.run("create_cluster.py", **named)
    assert set(again.result["subnetIds"]) == private and "nothing changed" in again.err
    runbook.has_run("register_task_definition.py", **named)
    ran = runbook.run("create_service.py", **named)
    assert ran.code == 0, ran.err
    [service] = runbook.aws("ecs").describe_services(cluster=name, services=[name])["services"]
    where = service["networkConfiguration"]["awsvpcConfiguration"]
    assert (set(where["subnets"]), where.get("assignPublicIp", "DISABLED")) == (private, "DISABLED")
    subnets = runbook.aws("ec2").describe_subnets(SubnetIds=sorted(private))["Subnets"]
    assert {each["CidrBlock"] for each in subnets} == {"10.0.2.0/24", "10.0.3.0/24"}
    assert runbook.run("create_cluster.py", **named, NAT_GATEWAYS="single").code == 0
    alive = [{"Name": "state", "Values": ["available", "pending"]}]
    runbook.settle()
    assert len(runbook.aws("ec2").describe_nat_gateways(Filters=alive)["NatGateways"]) == 1
    assert runbook.run("delete_cluster.py", "--yes", **named).code == 0


@pytest.mark.parametrize("page", PAGES)
def test_an_interrupted_page_names_what_undoes_it(runbook: Runbook, page: str) -> None:
    needed, undo = PAGES[page]
    from tests.everything import with_needs

    prepared(runbook).has_run(*with_needs(needed))
    begun = len(runbook.emulator.calls)

    def watch(when: str) -> None:
        if when == "after" and runbook.changes(begun):
            runbook.watch = None
            raise KeyboardInterrupt

    runbook.watch = watch
    ran = runbook.run(*page.split())
    assert ran.code == 130, ran.err
    command = undo.removesuffix(" --yes").removesuffix(" --images")
    assert f"what it made so far stays, and may cost, until python {command}" in ran.err, ran.err
