"""Where a call both makes and changes, AWS takes tags only when it makes: what is changed gets none in it.

RegisterScalableTarget refuses them, and with them the change; PutMetricAlarm ignores them; others may do either. So no
page sends tags twice for one thing. https://docs.aws.amazon.com/autoscaling/application/APIReference/API_RegisterScalableTarget.html
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Runbook
from tests.everything import LIGHT, PAGES, prepared

#: other values of what is changed by the calls that make it
CHANGED = {
    **{
        "MAX_TASKS": "3",
        "SCALE_OUT_CPU": "50",
        "SCALE_IN_CPU": "20",
        "SCALE_OUT_COOLDOWN": "60",
        "EXTRA_TAGS": "team=ml",
    },
    **{"LOG_RETENTION_DAYS": "7", "SYNC_SCHEDULE": "every 2 hours", "IDLE_TIMEOUT": "90", "ARTIFACT_DAYS": "7"},
    **{"IMAGES_KEPT": "5", "HEALTH_CHECK_PATH": "/ping", "EFS_THROUGHPUT_MODE": "bursting"},
}
#: what each call of these makes is a new one
MAKE_ANOTHER = ("RegisterTaskDefinition", "RunTask")
TAGS = ("Tags", "tags", "TagSpecifications", "TagList")


def tagged(runbook: Runbook, pages: list[str], **settings: str) -> list[str]:
    """The changing calls with tags of these pages: operation, and the names and ids that say of what."""
    made: list[str] = []
    answer = runbook.emulator._answer

    def seen(call: Any, *rest: Any) -> Any:
        given = answer(call, *rest)
        if any(call.params.get(each) for each in TAGS) and not call.operation.startswith((*MAKE_ANOTHER, "Tag", "GET")):
            named = {key: text for key, text in call.params.items() if key.endswith(("Name", "Id", "name"))}
            made.append(f"{call.service}:{call.operation} {sorted(named.items())}")
        return given

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runbook.emulator, "_answer", seen)
        for page in pages:
            ran = runbook.run(*page.split(), **settings)
            assert ran.code == 0, ran.err
    return made


def test_tags_are_sent_once_for_each_thing(runbook: Runbook) -> None:
    prepared(runbook, LIGHT)
    first = tagged(runbook, [*PAGES])
    assert {each.split()[0] for each in first} >= {
        "application-autoscaling:RegisterScalableTarget",
        "cloudwatch:PutMetricAlarm",
        "ecs:CreateService",
    }
    runbook.settle()
    begun = len(runbook.emulator.calls)
    again = tagged(runbook, [*PAGES], **CHANGED)
    assert {"application-autoscaling:RegisterScalableTarget", "cloudwatch:PutMetricAlarm"} <= {*runbook.changes(begun)}
    assert again == []
