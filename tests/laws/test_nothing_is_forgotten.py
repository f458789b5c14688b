"""What any create page makes is undone by its own delete page, and taken along by delete_cluster.py, or it refuses."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import pytest

from tests.conftest import Runbook
from tests.everything import COPY, LIGHT, PAGES, prepared, tag, tagged, with_needs
from tests.examples.test_endpoints import with_everything

#: the pages that can each be left out
OPTIONAL = [page for page in PAGES if page not in ("create_cluster.py", COPY)]
SETS = [
    *sorted(
        {tuple(with_needs(chosen)) for size in range(len(OPTIONAL) + 1) for chosen in combinations(OPTIONAL, size)}
    ),
    *(tuple(with_needs(chosen)) for chosen in ((COPY,), tuple(PAGES))),  # a copy shares nothing with what others make
]


def now(runbook: Runbook) -> Any:
    """When AWS has finished: an idle host ends after a quarter of an hour."""
    runbook.settle(3600)
    return json.loads(json.dumps(runbook.account(), default=str))


@pytest.mark.parametrize(
    "pages", SETS, ids=lambda pages: "-".join(page.split(".")[0].split("_", 1)[-1] for page in pages) or "none"
)
def test_delete_cluster_takes_along_whatever_has_run(runbook: Runbook, pages: tuple[str, ...]) -> None:
    before = now(prepared(runbook, LIGHT))
    runbook.has_run(*pages)
    images = ["--everything"] if "create_pipeline.py" in pages else []
    ran = runbook.run("delete_cluster.py", "--yes", *images)
    assert ran.code == 0, ran.err
    assert (ran.result["left"], ran.result["kept"]) == ([], [])
    assert now(runbook) == before


@pytest.mark.parametrize("page", PAGES)
def test_each_page_is_undone_by_its_own(runbook: Runbook, page: str) -> None:
    needed, undo = PAGES[page]
    prepared(runbook).has_run(*with_needs(needed))
    before = now(runbook)
    runbook.has_run(page)
    assert now(runbook) != before
    runbook.has_run(undo)
    assert now(runbook) == before


def test_images_are_kept_and_named_until_everything_is_asked_for(runbook: Runbook) -> None:
    before = now(prepared(runbook))
    runbook.has_run("create_repository.py", "create_pipeline.py")
    ran = runbook.run("delete_cluster.py", "--yes")
    assert (ran.code, ran.result["left"]) == (0, []), ran.err
    assert [each for each in ran.result["kept"] if "gpu" in each], ran.err
    assert "to delete it too: python delete_cluster.py --everything" in ran.err
    ran = runbook.run("delete_cluster.py", "--yes", "--everything")
    assert (ran.code, ran.result["kept"], now(runbook)) == (0, [], before), ran.err


def test_the_last_look_fails_on_what_no_part_knows(runbook: Runbook) -> None:
    prepared(runbook).has_run("create_cluster.py")
    made = runbook.aws("s3").create_bucket(Bucket="made-by-hand")
    assert made
    tag(runbook, "arn:aws:s3:::made-by-hand", {"gpu-ecs-cluster": "gpu"})
    runbook.settle()
    ran = runbook.run("delete_cluster.py", "--yes")
    assert (ran.code, ran.out) == (1, "")
    assert "left over: arn:aws:s3:::made-by-hand" in ran.err
    left = [arn for arn, tags in tagged(runbook).items() if tags.get("gpu-ecs-cluster") == "gpu"]
    assert [arn for arn in left if ":ec2:" not in arn and ":ecs:" not in arn] == ["arn:aws:s3:::made-by-hand"]


#: what of an endpoint may have run when its cluster is to go: page -> the pages before it
OF_ENDPOINT: dict[str, tuple[str, ...]] = {
    "create_repository.py": (),
    "create_pipeline.py": ("create_repository.py",),
    "register_task_definition.py": (),
    "create_service.py": ("register_task_definition.py",),
    "sync_weights.py": ("register_task_definition.py",),
    "copy_data.py s3://example-ml-weights weights:/in": ("register_task_definition.py",),
}


@pytest.mark.parametrize("page", OF_ENDPOINT)
def test_delete_cluster_refuses_while_an_endpoint_has_it_and_takes_it_along_with_everything(
    endpoints: Runbook, page: str
) -> None:
    ml = with_everything(endpoints)
    ml.settings |= {"IMAGE_TAG": "", "IMAGE": "example.com/ml:v1", "DESIRED_COUNT": "0", "POLL_SECONDS": "60"}
    before = now(ml)
    ml.has_run("create_cluster.py")
    ml.has_run(*OF_ENDPOINT[page], page, ENDPOINT="a")
    made = now(ml)
    for shared in ("true", "false"):  # also where the setting was forgotten
        ran = ml.run("delete_cluster.py", "--yes", SHARED_CLUSTER=shared, NETWORK_MODE="awsvpc")
        assert (ran.code, now(ml)) == (1, made), ran.err
        assert "  ENDPOINT=a python delete_endpoint.py" in ran.err
    ran = ml.run("delete_cluster.py", "--yes", "--everything")
    assert (ran.code, ran.result["left"], ran.result["kept"]) == (0, [], []), ran.err
    assert now(ml) == before
