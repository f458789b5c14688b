"""What modules of infrastructure/ say of what stands, as a page that is run in the account of a test."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from tests.conftest import Runbook

PAGE = """
import importlib
import sys

import aws


@aws.page(of={of!r}, unlisted=True)
def standing():
    parts = [importlib.import_module("infrastructure." + each) for each in {modules!r}]
    return {{"left": [each._asdict() for part in parts
        for each in [*part.left_over(), *getattr(part, "belonging", list)()]]}}


if __name__ == "__main__":
    sys.exit(aws.main(standing, "what stands"))
"""


def standing(runbook: Runbook, *modules: str, **settings: str) -> dict[str, dict[str, Any]]:
    """What `left_over` of these modules lists, by what a person is told; cluster.roles is one of them."""
    of = "endpoint" if settings.get("ENDPOINT") else "cluster"
    with tempfile.TemporaryDirectory() as directory:
        page = Path(directory) / "standing.py"
        page.write_text(PAGE.format(of=of, modules=modules))
        ran = runbook.run(str(page), **settings)
    assert ran.code == 0, ran.err
    return {each["what"]: each for each in ran.result["left"]}


def tag(runbook: Runbook, found: dict[str, dict[str, Any]], **tags: str) -> None:
    """Give these tags to all of them, by their ARNs alone."""
    arns = [each["arn"] for each in found.values() if each["arn"] and ":iam:" not in each["arn"]]
    answer = runbook.aws("resourcegroupstaggingapi").tag_resources(ResourceARNList=arns, Tags=tags)
    assert not answer["FailedResourcesMap"]
