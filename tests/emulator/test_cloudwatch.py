"""Alarms."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from emulator.cloudwatch import metrics
from emulator.core.wire import Emulator
from tests.emulator.common import Client, alarm, refused


def test_a_new_alarm_has_insufficient_data(client: Client) -> None:
    alarm(client, "a")
    alarm(client, "a", Threshold=2.0)
    [found] = client("cloudwatch").describe_alarms(AlarmNames=["a"])["MetricAlarms"]
    assert (found["StateValue"], found["Threshold"]) == ("INSUFFICIENT_DATA", 2.0)


def test_tags_are_those_of_a_new_alarm(client: Client) -> None:
    """cw-001"""
    alarm(client, "a", Tags=[{"Key": "team", "Value": "ml"}])
    alarm(client, "a", Threshold=2.0, Tags=[{"Key": "team", "Value": "other"}])
    [found] = client("cloudwatch").describe_alarms(AlarmNames=["a"])["MetricAlarms"]
    assert client("cloudwatch").list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"] == [
        {"Key": "team", "Value": "ml"}
    ]


def test_alarms_are_deleted_a_hundred_at_a_time(client: Client) -> None:
    alarm(client, "a")
    cloudwatch = client("cloudwatch")
    assert refused(cloudwatch.delete_alarms, AlarmNames=[f"n{n}" for n in range(101)]) == "ValidationError"
    cloudwatch.delete_alarms(AlarmNames=["a", "never there"])
    assert cloudwatch.describe_alarms()["MetricAlarms"] == []


def test_a_search_finds_each_metric_that_has_its_words(
    emulator: Emulator, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """cw-search"""
    now = int(emulator.world.now()) // 60 * 60

    def history(world: Any, region: str, begin: int, end: int) -> metrics.Series:
        return [("busy", {"Host": host, "index": n}, {now - 60: 7.0}) for host in "ab" for n in "01"]

    monkeypatch.setitem(metrics.HISTORIES, "Mine", history)
    span = [datetime.fromtimestamp(at, timezone.utc) for at in (now - 3600, now)]

    def search(words: str) -> list[tuple[str, list[float]]]:
        query = {"Id": "q", "Expression": f"SEARCH('{words}', 'Average', 60)", "Label": "GPU ${PROP('Dim.index')}"}
        read = client("cloudwatch").get_metric_data
        found = read(MetricDataQueries=[query], StartTime=span[0], EndTime=span[1])["MetricDataResults"]
        return [(each["Label"], each["Values"]) for each in found]

    assert search('Namespace="Mine" MetricName="busy" Host="a"') == [("GPU 0", [7.0]), ("GPU 1", [7.0])]
    assert search('Namespace="Mine" MetricName="idle"') == search('Namespace="Others" MetricName="busy"') == []
    span.reverse()
    with pytest.raises(client("cloudwatch").exceptions.ClientError):
        search('Namespace="Mine" MetricName="busy"')
    assert span[1] - span[0] == -timedelta(hours=1)
