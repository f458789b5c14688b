"""Alarms."""

from __future__ import annotations

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
