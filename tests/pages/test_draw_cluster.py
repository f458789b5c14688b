"""draw_cluster.py: what stands, as a picture: all of it once, nothing over anything else, red where something is wrong."""

from __future__ import annotations

import re
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from emulator.codepipeline import pipelines
from emulator.codestar_connections import connections
from emulator.core.faults import Fault
from infrastructure.picture import layout, seen, svg, words
from infrastructure.picture.layout import Box, Square
from tests import browser
from tests import drawn as drawn_before
from tests.conftest import FARGATE, ROOT, Runbook, issued
from tests.everything import PAGES, prepared, with_needs
from tests.examples.test_ml_endpoints import walked

SWEEP = """
import sys

import aws
import constants
from infrastructure import endpoints, parts


@aws.page(of="cluster", unlisted=True)
def sweep():
    left = parts.left_over(parts.ALL)
    for endpoint in endpoints.names() if constants.SHARED_CLUSTER else ():
        with constants.of(ENDPOINT=endpoint):
            left += parts.left_over(parts.OF_ENDPOINT)
    return {"left": sorted({each.arn or each.what for each in left})}


if __name__ == "__main__":
    sys.exit(aws.main(sweep, "what stands"))
"""
STARTED = ("create_cluster.py", "register_task_definition.py", "run_task.py")
SERVED = (*STARTED[:2], "create_service.py")
#: 50 tasks on 13 hosts of four GPUs
FIFTY = {"INSTANCE_TYPE": "g4dn.12xlarge", "MAX_INSTANCES": "14", "TASK_COUNT": "50", "MAX_RUN_HOURS": "3"}
SVG = "{http://www.w3.org/2000/svg}"


def built(runbook: Runbook, example: str) -> Runbook:
    """An example, as its user has it once it runs."""
    if example == "ml-endpoints":
        return walked(runbook)
    if example == "all that there can be":
        return prepared(runbook).has_run(*with_needs(tuple(PAGES)))
    runbook.settings = {"ENV_FILE": str(ROOT / "examples" / f"{example}.env")}
    if example == "clara-train":
        runbook.settings["CERTIFICATE_ARN"] = issued(runbook)
    return runbook.has_run(*(SERVED if example == "clara-train" else STARTED))


def sweep(runbook: Runbook) -> list[str]:
    """The ARN, or else the name, of all that stands, as each service's own Describe tells it."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "sweep.py")
        page.write_text(SWEEP)
        found: list[str] = runbook.run(str(page)).result["left"]
    return found


def drawn(runbook: Runbook, *flags: str, **settings: str) -> str:
    ran = runbook.run("draw_cluster.py", *flags, **settings)
    assert ran.code == 0, ran.err
    return ran.out


def frames(picture: str) -> Box:
    """The boxes of a picture as they are written: each group with a rectangle of its own, in the one in which it is."""

    def of(group: Any, outer: Box) -> None:
        frame = group.find(f"{SVG}rect")
        box = outer
        if frame is not None and group.get("class") in (*svg.COLOURS, *(f"{each} red" for each in svg.COLOURS)):
            x, y, width, height = (float(frame.get(each)) for each in ("x", "y", "width", "height"))
            box = Box(group.get("class"), arn=group.get("data-arn", ""), x=x, y=y, width=width, height=height)
            outer.children.append(box)
        for inner in group.findall(f"{SVG}g"):
            of(inner, box)

    whole = ElementTree.fromstring(picture)
    outside = Box("outside", width=float(whole.get("width", "")), height=float(whole.get("height", "")))
    for group in whole.findall(f"{SVG}g"):
        of(group, outside)
    return outside


def overlaps(box: Box) -> list[tuple[Box, Box]]:
    """Pairs of boxes side by side that cover each other, and boxes that are not inside their own: none."""
    found = []
    for each in box.every():
        for number, one in enumerate(each.children):
            found += [(one, other) for other in each.children[number + 1 :] if cover(one, other)]
            if not inside(one, each):
                found.append((one, each))
    return found


def cover(one: Box, other: Box) -> bool:
    across = one.x < other.x + other.width - 0.01 and other.x < one.x + one.width - 0.01
    return across and one.y < other.y + other.height - 0.01 and other.y < one.y + one.height - 0.01


def inside(one: Box, outer: Box) -> bool:
    across = one.x >= outer.x - 0.01 and one.x + one.width <= outer.x + outer.width + 0.01
    return across and one.y >= outer.y - 0.01 and one.y + one.height <= outer.y + outer.height + 0.01


def check(picture: str) -> None:
    assert len(picture.encode()) < 200 * 1024
    assert [(one.kind, other.kind) for one, other in overlaps(frames(picture))] == []
    assert "<script" not in picture
    assert re.findall(r"(?:href|src|url|@import)[=(]", picture) == []


@pytest.mark.parametrize(
    "example", ["gpu-cluster", "apiserver", "clara-train", "ml-endpoints", "all that there can be"]
)
def test_all_that_the_sweep_knows_is_drawn_once(example: str, runbook: Runbook) -> None:
    account = built(runbook, example)
    account.settle(300)
    before = len(account.emulator.calls)
    picture = drawn(account)
    made = account.emulator.calls[before:]
    asked = Counter(f"{service}:{operation}" for service, operation, _ in made)
    assert len(made) <= (35 if example == "all that there can be" else 30), asked
    assert account.changes(before) == []
    check(picture)
    arns = re.findall(r'data-arn="([^"]+)"', picture)
    assert [each for each, count in Counter(arns).items() if count > 1] == []
    assert [each for each in sweep(account) if each not in arns] == []
    assert drawn(account) == picture


def test_a_cluster_on_fargate_may_have_a_bastion_and_one_without_hosts_has_their_profile(runbook: Runbook) -> None:
    bastion = {"BASTION_KEY_NAME": "ops", "BASTION_ALLOWED_CIDR": "203.0.113.7/32"}
    runbook.aws("ec2").create_key_pair(KeyName="ops")
    fargate = {**FARGATE, **bastion, "EFS_VOLUMES": "", "CLUSTER_NAME": "api"}
    for settings in ({**runbook.settings, **bastion}, fargate):
        runbook.settings = settings
        runbook.has_run("create_cluster.py").settle(300)
        arns = re.findall(r'data-arn="([^"]+)"', drawn(runbook))
        assert [each for each in sweep(runbook) if each not in arns] == []
        assert len([each for each in arns if ":instance/" in each]) == 1


def test_in_a_network_of_another_it_is_drawn_as_that(adopted: Runbook) -> None:
    picture = drawn(adopted.has_run(*STARTED))
    check(picture)
    assert f"VPC {adopted.settings['VPC_ID']}" in picture
    assert "not of this runbook" in picture
    assert picture.count(":task/") == 1


def test_what_it_costs_is_what_describe_clusters_tells(clara: Runbook) -> None:
    clara.has_run(*SERVED).settle(300)
    [told] = re.findall(r"costs (\S+) an hour now", clara.run("describe_clusters.py").err)
    assert f"{told}/h" in drawn(clara).partition("Region us-east-1")[0]


def test_without_a_cluster_there_is_no_picture(runbook: Runbook) -> None:
    ran = runbook.run("draw_cluster.py")
    assert (ran.code, ran.out) == (1, "")
    assert "there is no cluster gpu in this region: run create_cluster.py first" in ran.err


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (("pricing:*", "denied"), "price not known"),
        (("iam:ListRoles", "denied"), "warning roles are not in the picture:"),
        (("scheduler:*", "denied"), "warning deadlines are not in the picture:"),
    ],
)
def test_what_may_not_be_read_and_is_not_the_point_is_told_and_left_out(
    runbook: Runbook, fault: tuple[str, str], told: str
) -> None:
    runbook.settings["MAX_RUN_HOURS"] = "3"
    runbook.has_run(*STARTED)
    runbook.emulator.faults.planned.append(Fault(*fault, times=-1))
    ran = runbook.run("draw_cluster.py")
    assert ran.code == 0, ran.err
    assert told in ran.out + ran.err
    check(ran.out)


def running(ec2: Any) -> list[Any]:
    found = ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])["Reservations"]
    return [host for each in found for host in each["Instances"]]


def red(picture: str) -> dict[str, str]:
    """What is red, by the end of its ARN: its texts in one line."""
    groups = ElementTree.fromstring(picture).iter(f"{SVG}g")
    found = [each for each in groups if each.get("class", "").endswith(" red") and each.get("data-arn")]
    told = {each.get("data-arn", ""): each.findall(f"{SVG}text[@class='wrong']") for each in found}
    return {arn.rpartition("/")[2]: " ".join(each.text or "" for each in texts) for arn, texts in told.items()}


def test_with_show_calls_its_reads_stand_in_place_of_the_picture(runbook: Runbook) -> None:
    told = drawn(runbook.has_run("create_cluster.py"), "--show-calls")
    assert "<svg" not in told
    assert "aws ecs describe-clusters" in told


def test_nothing_is_red_where_all_is_well(clara: Runbook) -> None:
    clara.has_run(*SERVED).settle(300)
    assert red(drawn(clara)) == {}
    assert "<p>Nothing.</p>" in drawn(clara, "--html")


def test_a_task_that_waits_in_vain_for_a_host_is_red_with_the_reason(runbook: Runbook) -> None:
    ecs = runbook.has_run(*STARTED).aws("ecs")
    ecs.run_task(cluster="gpu", taskDefinition="gpu", capacityProviderStrategy=[{"capacityProvider": "gpu-capacity"}])
    runbook.settle(120)
    picture = drawn(runbook)
    check(picture)
    told = "no free GPU: the hosts have 0 free, the task needs 1; the host is full, and MAX_INSTANCES=1"
    assert "What is wrong: 1" in picture
    assert f"a task waits: {told}" in picture
    assert (picture.count(":task/"), picture.count('class="waiting red"')) == (2, 1)


def test_a_host_that_is_on_its_way_is_nothing_wrong(runbook: Runbook) -> None:
    ecs = runbook.has_run(*STARTED[:2]).aws("ecs")
    ecs.run_task(cluster="gpu", taskDefinition="gpu", capacityProviderStrategy=[{"capacityProvider": "gpu-capacity"}])
    runbook.settle(80)
    picture = drawn(runbook)
    assert (picture.count(":task/"), picture.count(" red")) == (1, 0)
    assert "a task waits" in picture


def test_targets_that_are_not_well_make_their_group_red(clara: Runbook) -> None:
    clara.has_run(*SERVED[:2], IMAGE="example.com/unhealthy:v1")
    clara.has_run("create_service.py", WAIT="false", IMAGE="example.com/unhealthy:v1", SCALING="none")
    clara.settle(160)
    page = drawn(clara, "--html")
    wrong = red(page[page.index("<svg") : page.index("</svg>") + 6])
    [told] = wrong.values()
    assert told.endswith(" unhealthy: Health checks failed with these codes: [503]")
    assert told in page.partition("<th>why</th>")[2]
    clara.settle(230)  # ECS has replaced the task, and the new one is not asked yet
    wrong = red(drawn(clara))
    assert wrong["clara"] == "of its deployment 1 task failed so far"
    [stopped] = [told for name, told in wrong.items() if name != "clara"]
    assert "failed ELB health checks" in stopped


def test_a_pipeline_whose_newest_run_failed_is_red(endpoints: Runbook) -> None:
    request = {"ProviderType": "GitHub", "ConnectionName": "ours"}
    arn = endpoints.aws("codeconnections").create_connection(**request)["ConnectionArn"]
    connections.finish_handshakes(endpoints.emulator.world)
    endpoints.settings |= {"CONNECTION_ARN": arn, "POLL_SECONDS": "15"}
    endpoints.has_run("create_cluster.py").has_run("create_repository.py", "create_pipeline.py", ENDPOINT="a")
    pipelines.push(endpoints.emulator.world, "example/ml-endpoints", "main", "It fails", {}, "BUILD")
    endpoints.settle(900)
    [told] = red(drawn(endpoints)).values()
    assert told == "its newest run failed: describe_pipeline.py tells where and why"


def test_a_host_whose_agent_is_gone_is_red(runbook: Runbook) -> None:
    ec2 = runbook.has_run(*STARTED).aws("ec2")
    [host] = [each["InstanceId"] for each in running(ec2)]
    ec2.stop_instances(InstanceIds=[host])
    assert red(drawn(runbook))[host] == "its ECS agent is not connected: no task starts on it"


def test_a_host_with_too_few_gpus_is_red(runbook: Runbook) -> None:
    runbook.emulator.world.settings.lost_gpus = 1
    runbook.has_run("create_cluster.py", INSTANCE_TYPE="g4dn.12xlarge", MIN_INSTANCES="1")
    runbook.settle(300)
    [told] = red(drawn(runbook, INSTANCE_TYPE="g4dn.12xlarge", MIN_INSTANCES="1")).values()
    assert told == "it registered 3 of the 4 GPUs of a g4dn.12xlarge: terminate it"


def test_gpus_that_tasks_share_are_drawn_as_shared(runbook: Runbook) -> None:
    runbook.settings |= {"GPU_SHARING": "mps", "GPU_MEMORY_MIB": "7000", "EFS_VOLUMES": "", "TASK_MEMORY": "4000"}
    runbook.has_run(*STARTED, TASK_COUNT="2")
    picture = drawn(runbook)
    assert picture.count('<rect class="shared"') == 1
    assert picture.count(":task/") == 2


def test_texts_are_escaped_and_none_is_cut_off() -> None:
    odd = "<&>\"' ]]> &amp; " + "long-" * 90
    assert svg.plain("\x1b[31mred\x00\uffff") == "[31mred"
    box = Box("picture", odd, odd, [odd], wrong=odd, squares=[Square("used", odd)], children=[Box("item", odd)])
    picture = svg.document(layout.place(box), odd)
    [group] = ElementTree.fromstring(picture).findall(f"{SVG}g")
    assert group.get("data-arn") == odd
    told = [each.text or "" for each in group.findall(f"{SVG}text[@class='wrong']")]
    assert "".join(told).replace(" ", "") == odd.replace(" ", "")
    assert ElementTree.fromstring(picture).get("aria-label") == odd


def test_a_nat_gateway_that_failed_costs_nothing() -> None:
    assert seen.gateway_rows({"NatGatewayId": "nat-0", "State": "failed"}) == []


def test_of_many_the_first_three_are_named() -> None:
    assert words.several(["a", "b", "c"]) == "a, b, c"
    assert words.several([*"abcdef"]) == "a, b, c and 3 more"


def test_a_price_for_which_there_is_no_room_stands_below() -> None:
    box = layout.place(Box("task", "a-long-name-of-a-task 0abc", price="until 23:59 · $1.00/h"), width=200)
    assert [(each.kind, each.y) for each in box.texts if each.text] == [("line", 20), ("line", 36), ("price", 52)]


def test_a_text_is_broken_where_things_end() -> None:
    assert layout.wrapped("gpu 0abc · GPU\u00a01", 50) == ["gpu", "0abc", "GPU\u00a01"]
    assert layout.wrapped("one two", 500, first=480) == ["one", "two"]
    assert layout.wrapped("", 500) == []


def test_fifty_tasks_are_a_picture_for_one_screen_s_width(runbook: Runbook) -> None:
    runbook.emulator.world.settings.vcpu_quotas["L-DB2E81BA"] = 2000
    runbook.settings["TASK_COUNT"] = "50"
    runbook.has_run(*STARTED, **FIFTY)
    page = drawn(runbook, "--html", **FIFTY)
    picture = page[page.index("<svg") : page.index("</svg>") + 6]
    check(picture)
    assert picture.count(":task/") == 50
    assert (picture.count('<rect class="used"'), picture.count('<rect class="free"')) == (50, 2)
    look_at(page)


def test_the_pictures_of_the_documents_are_well_drawn_by_a_browser() -> None:
    pictures = [(drawn_before.FOLDER / f"{each}.svg").read_text() for each in drawn_before.EXAMPLES]
    look_at(f"<!DOCTYPE html><html><body style='margin: 0'>{''.join(pictures)}</body></html>")


def look_at(page: str) -> None:
    """In a browser of a laptop's size: nothing to scroll sideways for, no text out of its box or over another one."""
    seen = browser.look(page)
    assert seen["wide"] <= browser.WIDTH
    assert seen["said"] == []
    assert seen["overlapping"] == []
    assert seen["clipped"] == []
    assert min(seen["sizes"]) >= 11
    assert seen["drawn"] == page.count("data-arn=")
