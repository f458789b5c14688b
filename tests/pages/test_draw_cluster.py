"""draw_cluster.py: what stands, as a picture: all of it once, nothing over anything else, red where something is wrong."""

from __future__ import annotations

import re
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from infrastructure.picture import layout, svg
from infrastructure.picture.layout import Box
from tests import browser
from tests.conftest import ROOT, Runbook, issued
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


def check(picture: str) -> None:
    assert len(picture.encode()) < 200 * 1024
    assert [(one.kind, other.kind) for one, other in layout.overlaps(frames(picture))] == []
    assert "<script" not in picture
    assert re.findall(r"(?:href|src|url|@import)[=(]", picture) == []


@pytest.mark.parametrize("example", ["gpu-cluster", "apiserver", "clara-train", "ml-endpoints"])
def test_all_that_the_sweep_knows_is_drawn_once(example: str, runbook: Runbook) -> None:
    account = built(runbook, example)
    account.settle(300)
    before = len(account.emulator.calls)
    picture = drawn(account)
    made = account.emulator.calls[before:]
    assert len(made) <= 30, Counter(f"{service}:{operation}" for service, operation, _ in made)
    assert account.changes(before) == []
    check(picture)
    arns = re.findall(r'data-arn="([^"]+)"', picture)
    assert [each for each, count in Counter(arns).items() if count > 1] == []
    assert [each for each in sweep(account) if each not in arns] == []
    assert drawn(account) == picture


def test_fifty_tasks_are_a_picture_for_one_screen_s_width(runbook: Runbook) -> None:
    runbook.emulator.world.settings.vcpu_quotas["L-DB2E81BA"] = 2000
    runbook.settings["TASK_COUNT"] = "50"
    runbook.has_run(*STARTED, **FIFTY)
    page = drawn(runbook, "--html", **FIFTY)
    picture = page[page.index("<svg") : page.index("</svg>") + 6]
    check(picture)
    assert picture.count(":task/") == 50
    assert (picture.count('<rect class="used"'), picture.count('<rect class="free"')) == (50, 2)
    seen = browser.look(page)
    assert seen["wide"] <= browser.WIDTH
    assert seen["said"] == []
    assert seen["overlapping"] == []
    assert seen["clipped"] == []
    assert min(seen["sizes"]) >= 11
    assert seen["drawn"] == len(re.findall("data-arn=", picture))
