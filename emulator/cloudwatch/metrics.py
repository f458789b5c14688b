"""What CloudWatch is told of each minute: every service says it of its own metrics, when an alarm asks.

GetMetricData finds by a SEARCH what a namespace can tell of the past; without one it is moto's.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/search-expression-syntax.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timezone

from emulator.core import rules
from emulator.core.rules import AwsError, Call, Params, on
from emulator.core.world import World

rules.SENTENCES["cw-search"] = (
    "A SEARCH gives one series for each metric that has all of its words; it finds only metrics, and no points where nothing "
    "was measured; its label is made for each."
)

MINUTE = 60
Dimensions = dict[str, str]
#: (world, Region, metric, dimensions) -> its value in the minute that has just ended, or None: no data point. It is the
#: one statistic that is of use: the sum of what is counted, the average of what is a percentage
Source = Callable[[World, str, str, Dimensions], float | None]

#: by namespace
SOURCES: dict[str, Source] = {}


def minute_before(now: float) -> int:
    """The number of the minute that has ended at this time."""
    return int(now // MINUTE) - 1


def value(world: World, region: str, namespace: str, metric: str, dimensions: Dimensions) -> float | None:
    source = SOURCES.get(namespace)
    return source(world, region, metric, dimensions) if source else None


#: (metric, its dimensions) and its points: the second in which a minute begins -> its average
Series = list[tuple[str, Dimensions, dict[int, float]]]
#: by namespace: (world, Region, from, to) -> all that it can tell of these seconds
HISTORIES: dict[str, Callable[[World, str, int, int], Series]] = {}
SEARCH = re.compile(r"""SEARCH\('(.*)', *'Average', *(\d+)\)""")
WORD = re.compile(r'(\w+)="([^"]*)"')


@on("cloudwatch", "GetMetricData", rules="cw-search")
def get_metric_data(call: Call) -> Params:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html"""
    queries = call.params["MetricDataQueries"]
    if not any("SEARCH(" in query.get("Expression", "") for query in queries):
        return call.proceed()
    span = int(call.params["StartTime"].timestamp()), int(call.params["EndTime"].timestamp())
    if span[0] >= span[1]:
        raise AwsError("ValidationError", "The parameter StartTime must be less than the parameter EndTime.")
    return {"MetricDataResults": [found for query in queries for found in _search(call, query, *span)], "Messages": []}


def _search(call: Call, query: Params, begin: int, end: int) -> list[Params]:
    match = SEARCH.fullmatch(query.get("Expression", "").strip())
    if not match:
        raise AwsError("ValidationError", f"Error in expression '{query['Id']}': the emulator knows one SEARCH only")
    wanted = dict(WORD.findall(match[1]))
    history = HISTORIES.get(wanted.pop("Namespace", ""))
    found, name = [], wanted.pop("MetricName", "")
    for metric, dimensions, points in history(call.world, call.region, begin, end) if history else ():
        if metric == name and wanted.items() <= dimensions.items():
            label = _label(query.get("Label", metric), dimensions)
            times = sorted(points, reverse=call.params.get("ScanBy") != "TimestampAscending")
            shown = {"Timestamps": [datetime.fromtimestamp(at, timezone.utc) for at in times]}
            values = [points[at] for at in times]
            found.append({"Id": query["Id"], "Label": label, **shown, "Values": values, "StatusCode": "Complete"})
    return found


def _label(text: str, dimensions: Dimensions) -> str:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/graph-dynamic-labels.html"""
    return re.sub(r"\$\{PROP\('Dim\.(\w+)'\)\}", lambda found: dimensions.get(found[1], ""), text)
