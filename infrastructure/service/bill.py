"""What stands and costs by the hour: since when, how much so far, how much an hour; and what AWS has billed already.

Hosts and disks count from their launch, on Fargate tasks from the pull of their image. What is stored, moved or logged has
an hour's price by what there is now, and no sum so far: no one here knows how much there was. What is paid for by use alone
has its price and no more.
"""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

import aws
import console
import constants
from aws import Resource, call, client, every
from console import say
from infrastructure.cluster import (
    auto_scaling_group,
    buckets,
    capacity_reservation,
    costs,
    file_system,
    load_balancer,
    log_groups,
    nat_gateways,
    prices,
    tag_index,
)
from infrastructure.cluster.costs import Row, Rows
from infrastructure.cluster.prices import ITEMS, Item
from infrastructure.service import tasks

#: how far back the bill is asked for
BILLED_DAYS = 30
GIB = 2**30
#: less of a unit is not told with all its digits
LEAST = 0.01
#: the state of a host that is to end, and waits for its tasks; it is paid for until then
ENDING = "Terminating:Wait"
ENDS = " that ends by itself"
#: what loses nothing, first
STOP = "python pause_cluster.py --deep; for good: python delete_cluster.py"
#: what a deletion may keep, by the service of its ARN -> the item of the price list
KEPT = {"elasticfilesystem": ITEMS["EFS"], "ecr": ITEMS["images"]}


class Thing(NamedTuple):
    """One thing that costs: so many of its item's unit, since when; None for what grows and shrinks."""

    what: str
    item: Item
    units: float
    since: datetime | None
    spot: bool = False
    zone: str = ""

    def row(self) -> Row:
        return Row(self.what, self.item, f"{self.units:g}", self.units, self.units, self.spot, self.zone)


# --------------------------------------------------------------------------------------------------------- what there is


def things() -> list[Thing]:
    """All that there is, each kind read at the same time; what was looked at already is not read again."""
    return [*by_the_hour(), *stored()]


def by_the_hour() -> list[Thing]:
    of_hosts: tuple[Callable[[], list[Thing]], ...] = (hosts, disks) if auto_scaling_group.standing() else ()
    running = (lambda: fargate(running_tasks()),) if costs.on_fargate() else ()
    return [thing for each in aws.together(*of_hosts, gateways, our_balancer, *running) for thing in each]


def hosts() -> list[Thing]:
    """Hosts and the bastion, with their public addresses."""
    filters: Any = [*aws.tag_filters(), {"Name": "instance-state-name", "Values": ["pending", "running"]}]
    pages = client("ec2").get_paginator("describe_instances").paginate(Filters=filters)
    found = []
    for host in [host for each in every(pages, "Reservations") for host in each["Instances"]]:
        kind, since, zone = host["InstanceType"], host["LaunchTime"], host["Placement"]["AvailabilityZone"]
        spot = host.get("InstanceLifecycle") == "spot"
        role = "bastion" if aws.part(host) == "bastion" else "host"
        what = f"{role} {kind}{f' (Spot, {zone})' if spot else ''}"
        found.append(Thing(what, prices.host(kind), 1, since, spot, zone if spot else ""))
        if host.get("PublicIpAddress"):
            found.append(address(since))
    return found


def address(since: datetime) -> Thing:
    return Thing("public address", ITEMS["address"], 1, since)


def disks() -> list[Thing]:
    """The hosts', and the bastion's, which has its AMI's own size and type."""
    pages = client("ec2").get_paginator("describe_volumes").paginate(Filters=aws.tag_filters())
    return [
        Thing(f"GB of {role}disk{kind}", prices.disk(each["VolumeType"]), each["Size"], each["CreateTime"])
        for each in every(pages, "Volumes")
        for role in ["bastion's " if aws.part(each) == "bastion" else ""]
        for kind in ["" if each["VolumeType"] == "gp3" else f" ({each['VolumeType']})"]
    ]


def gateways() -> list[Thing]:
    since = [each["CreateTime"] for each in nat_gateways.gateways()]
    return [thing for each in since for thing in (Thing("NAT gateway", ITEMS["NAT gateway"], 1, each), address(each))]


def our_balancer() -> list[Thing]:
    return balancer(load_balancer.find())


def balancer(found: Any) -> list[Thing]:
    """It has an address in each of its zones, unless it is internal."""
    if not found:
        return []
    zones = found["AvailabilityZones"] if found["Scheme"] == "internet-facing" else []
    since = found["CreatedTime"]
    return [Thing("load balancer", ITEMS["load balancer"], 1, since), *(address(since) for _ in zones)]


def running_tasks() -> list[Any]:
    return [*tasks.find(), *tasks.stopping()]


def fargate(running: list[Any]) -> list[Thing]:
    """https://aws.amazon.com/fargate/pricing/"""
    found = []
    for task in running:
        since = task.get("pullStartedAt") or task["createdAt"]
        attributes = {each["name"]: each.get("value") for each in task.get("attributes", [])}
        arm = " on ARM" if attributes.get("ecs.cpu-architecture") == "arm64" else ""
        most = " (Spot: at the most)" if task.get("capacityProviderName") == "FARGATE_SPOT" else ""
        more = task.get("ephemeralStorage", {}).get("sizeInGiB", costs.FREE_DISK) - costs.FREE_DISK
        found += [
            Thing(f"vCPU of tasks{arm}{most}", ITEMS[f"vCPU{arm}"], int(task["cpu"]) / 1024, since),
            Thing(f"GB of tasks{arm}{most}", ITEMS[f"GB{arm}"], int(task["memory"]) / 1024, since),
            *([Thing("GB of tasks' disks", ITEMS["task's disk"], more, since)] if more > 0 else []),
            *([address(since)] if costs.public_tasks() else []),
        ]
    return found


def stored() -> list[Thing]:
    """File systems of ours, by storage class, the containers' logs, and the images of our repositories."""
    found = []
    for system in file_system.owned():
        size, elastic = system["SizeInBytes"], ", elastic" if system.get("ThroughputMode") == "elastic" else ""
        unread = size.get("ValueInIA") or 0
        often = (size["Value"] - unread) / GIB
        found.append(Thing("GB on EFS", ITEMS["EFS"], often, None))
        if unread:
            found.append(Thing("GB on EFS, unread", ITEMS[f"EFS unread{elastic}"], unread / GIB, None))
    logged = sum(each.get("storedBytes", 0) for each in log_groups.groups(log_groups.CONTAINERS)().values())
    if logged:
        found.append(Thing("GB of logs", ITEMS["stored logs"], logged / GIB, None))
    return [*found, *images()]


def ours_of(service: str) -> list[str]:
    """The names of what that service has of ours, of endpoints too; what has just gone is still among them."""
    found = [each.arn.split(":", 5) for each in tag_index.tagged()]
    return [parts[5].removeprefix("repository/") for parts in found if parts[2] == service]


def images() -> list[Thing]:
    """Layers that several images of a repository share are stored once, and counted with each."""

    def read(name: str) -> list[Any]:
        pages = client("ecr").get_paginator("describe_images").paginate(repositoryName=name)
        return call(every, gone="RepositoryNotFoundException")(pages, "imageDetails") or []

    found = aws.side_by_side(read, ours_of("ecr"))
    size = sum(image.get("imageSizeInBytes", 0) for some in found for image in some)
    return [Thing("GB of images, at the most", ITEMS["images"], size / GIB, None)] if size else []


def by_use(more: Rows) -> Rows:
    """What is paid for by what is moved, told or stored, as the settings have it, and `more`; not what is told with a number."""
    buckets_there = [each for each in ours_of("s3") if buckets.read(each)]
    names = [*buckets_there, *([constants.WEIGHTS_BUCKET] if constants.WEIGHTS_BUCKET else [])]
    with_numbers = [ITEMS[key] for key in ("EFS", "EFS unread", "EFS unread, elastic")]
    of_settings = [row for row in costs.by_use() if row.item not in with_numbers]
    return [*of_settings, *(Row(f"bucket {each}", ITEMS["bucket"], costs.BY_USE) for each in names), *more]


# ---------------------------------------------------------------------------------------------------------- what is told


class Line(NamedTuple):
    """Things of one kind together."""

    row: Row
    since: datetime | None
    so_far: float | None


def lines(found: list[Thing]) -> list[Line]:
    """Each kind once, in the order in which it was found; the prices are asked for side by side."""
    kinds: dict[Thing, list[Thing]] = {}
    for thing in found:
        kinds.setdefault(thing._replace(units=0, since=None), []).append(thing)
    aws.look_at(*costs.looks(kind.row() for kind in kinds))
    return [line(kind._replace(units=sum(each.units for each in some)), some) for kind, some in kinds.items()]


def line(kind: Thing, some: list[Thing]) -> Line:
    row, begun = kind.row(), [each.since for each in some if each.since]
    hours = sum(each.units * (aws.now() - each.since).total_seconds() / 3600 for each in some if each.since)
    known = begun and row.price() and hours >= 0
    return Line(row, min(begun, default=None), row.an_hour(hours) if known else None)


def told(found: list[Line], used: Rows) -> dict[str, Any]:
    """For a page's result: None where a price is not known, or a sum."""
    aws.look_at(*costs.looks(used))
    rows = [each.row for each in found]
    return {
        "currency": costs.currency_of(rows) or None,
        "perHour": costs.total(rows) if all(row.price() for row in rows) else None,
        "soFar": so_far(found) if all(row.price() for row in rows) else None,
        "rows": [
            {
                "what": row.what,
                "number": round(row.running, 4),
                "unit": row.item.unit,
                "unitPrice": price.amount if price else None,
                "since": since,
                "soFar": amount,
                "perHour": row.an_hour(row.running) if price else None,
            }
            for row, since, amount in found
            for price in [row.price()]
        ],
        "byUse": [
            {"what": row.what, "unit": row.item.unit, "unitPrice": price.amount if price else None}
            for row in used
            for price in [row.price()]
        ],
    }


def so_far(found: list[Line]) -> float:
    return round(sum(each.so_far or 0 for each in found), 4)


def in_short(units: float) -> str:
    """So many of a unit: 0.25, 1234, under 0.01."""
    if 0 < units < LEAST:
        return f"under {LEAST}"
    return f"{units:.0f}" if units >= 1000 else f"{units:.4g}"


def table(found: list[Line], used: Rows, currency: str) -> list[list[str]]:
    """Without a currency nothing of the price list is known."""
    names = ["costs", f"{currency or 'price'} for each", "since", "so far", "an hour"]
    rows = [each.row for each in found]
    unknown = "" if all(row.price() for row in rows) else " and what could not be looked up"
    sums = [f"{so_far(found):.2f}", costs.money(costs.total(rows))] if currency else ["?", "?"]
    cells = [
        [
            f"{in_short(row.running)} {row.what}",
            costs.unit_price(row),
            f"{since:%Y-%m-%d %H:%M} UTC" if since else "",
            "" if amount is None else f"{amount:.2f}",
            costs.money(row.an_hour(row.running)) if row.price() else "?",
        ]
        for row, since, amount in found
    ]
    return [
        names,
        *cells,
        *([row.what, costs.unit_price(row), "", "", costs.BY_USE] for row in used),
        [f"in all, without what is by use{unknown}", "", "", *sums],
    ]


# ----------------------------------------------------------------------------------------------- the last line of a page


def hosts_now() -> tuple[list[str], Rows]:
    """Hosts and the bastion, as the Auto Scaling groups list them: in words, and rows. What shuts down is not paid for any
    more: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html"""
    groups = [each for each in auto_scaling_group.groups() if aws.ours(each)]
    there = [(group, host) for group in groups for host in group["Instances"] if not is_over(host)]
    words, rows = list[str](), Rows()
    for group, host in there:
        bastion, kind = aws.part(group) == "bastion", host["InstanceType"]
        spot = auto_scaling_group.is_on_spot(group)
        zone = host["AvailabilityZone"] if spot else ""
        if bastion or not capacity_reservation.is_block():  # which is paid
            rows.append(Row(kind, prices.host(kind), "1", 1, 1, spot, zone))
        rows += costs.of_host(bastion)
        words.append(f"{'bastion' if bastion else 'host'} {kind}{ENDS if host['LifecycleState'] == ENDING else ''}")
    return words, rows


def is_over(host: Any) -> bool:
    state: str = host["LifecycleState"]
    return state.startswith("Terminat") and state != ENDING


def counted(words: list[str]) -> str:
    """2 x host g4dn.xlarge, 1 x load balancer."""
    return ", ".join(f"{words.count(each)} x {each}" for each in dict.fromkeys(words))


def cluster_now(running: list[Any]) -> tuple[str, Rows]:
    """What stands of a cluster, with these tasks of it. What no setting asks for, and no one has looked at, is not read."""
    words, rows = ([], []) if costs.on_fargate() else hosts_now()
    found = fargate(running)
    words += ["task"] * len(running)
    if costs.nat_gateways() or nat_gateways.all_gateways.remembers():
        found += gateways()
    if constants.LISTENER_PROTOCOL or load_balancer.standing.remembers():
        found += balancer(load_balancer.standing())
    words += [each.what for each in found if each.what in ("NAT gateway", "load balancer")]
    return counted(words), [*rows, *(each.row() for each in found)]


def tell_cluster() -> None:
    """The last line of what makes a cluster, or ends work in it: what is left standing, without the tasks of others."""
    tell_now(lambda: cluster_now([]), STOP)


def tell_tasks(count: int, stop: str) -> None:
    """The last line of what starts tasks: they themselves on Fargate, else the hosts that they keep."""
    standing = not costs.on_fargate() and constants.MIN_INSTANCES
    how = STOP if standing else aws.command(stop)
    tell_now(lambda: tasks_now(count), f"{how}; all that stands: python describe_costs.py")


def tasks_now(count: int) -> tuple[str, Rows]:
    if costs.on_fargate():
        return counted(["task"] * count), costs.fargate(count) if count else []
    aws.forget(auto_scaling_group.groups)  # managed scaling may have started hosts meanwhile
    words, rows = hosts_now()
    return counted(words), rows


def tell_now(read: Callable[[], tuple[str, Rows]], stop: str) -> None:
    """A courtesy at the end of work that is done: what may not be read is told, and no failure."""
    if console.dry_run:
        return
    found, why = aws.at_best(read)
    if found is None:
        say("costs", "could not look at what stands:", why)
    else:
        stays = [each for each in found[0].split(", ") if not each.endswith(ENDS)]
        costs.tell_now(*found, stop if stays else "")


# -------------------------------------------------------------------------------------------------- what ran, and what was billed


def begun() -> datetime | None:
    """Since when there is the cluster, as what goes with it tells: the groups of its hosts, and of its logs."""
    logs = [each.get("creationTime") for each in log_groups.groups(log_groups.CONTAINERS)().values()]
    times = [datetime.fromtimestamp(each / 1000, timezone.utc) for each in logs if each]
    return min([*times, *(each["CreatedTime"] for each in auto_scaling_group.groups() if aws.ours(each))], default=None)


def before_the_end() -> tuple[list[Thing], datetime | None] | None:
    """What a deletion is going to tell in its last line; None where that may not be read."""
    return aws.at_best(lambda: (by_the_hour(), begun()))[0]


def tell_end(stood: tuple[list[Thing], datetime | None] | None, kept: list[Resource]) -> None:
    """The last lines of a deletion: what is kept costs on; how long it ran, and what had been paid for what stood then."""
    found, since = stood or ([], None)
    services = {each.arn.split(":")[2] for each in kept}
    for item in [item for service, item in KEPT.items() if service in services]:
        if price := prices.price(item):
            what = f"{prices.money(price.amount, price.currency)} a GB and month"
            say("costs", f"what is kept: {what}", f"of {item.service.removeprefix('Amazon')}")
    times = [each.since for each in found if each.since] + ([since] if since else [])
    if not times:
        return
    seconds = (aws.now() - min(times)).total_seconds()
    if seconds < 0:
        say("costs", "how long it ran is not known:", "this machine's clock is behind AWS's")
        return
    known, ran = lines(found), in_words(seconds)
    currency = costs.currency_of([each.row for each in known])
    left_out = "what had ended before, and what was stored or moved, is not in it"
    if currency:
        about = prices.money(so_far(known), currency)
        say("costs", f"it ran {ran}, about {about}", f"for what stood at its end: {left_out}")
    else:
        say("costs", f"it ran {ran}")


def in_words(seconds: float) -> str:
    """3 h 12 min, 12 min."""
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def billed() -> dict[str, Any] | None:
    """What AWS has billed for our tag within the last days, by service, a day late; None where it can't be learned.

    AWS charges for each request: https://aws.amazon.com/aws-cost-management/aws-cost-explorer/pricing/
    """
    today = aws.now().date()
    request: Any = {
        "TimePeriod": {"Start": str(today - timedelta(days=BILLED_DAYS)), "End": str(today + timedelta(days=1))},
        "Granularity": "DAILY",
        "Metrics": ["UnblendedCost"],
        "Filter": {"Tags": {"Key": constants.CLUSTER_TAG, "Values": [constants.CLUSTER_NAME]}},
        "GroupBy": [{"Type": "DIMENSION", "Key": "SERVICE"}],
    }
    days, why = aws.at_best(lambda: billed_days(request))
    if days is None:
        say("warning", "could not look at what AWS has billed:", why)
        return None
    groups = [group for day in days for group in day["Groups"]]
    if not groups:
        how = "the payer account activates it under cost allocation tags of its billing console; then it takes a day"
        say("warning", f"AWS has billed nothing by the tag {constants.CLUSTER_TAG}:", f"it lags a day; {how}")
    sums: dict[str, float] = {}
    for group in groups:
        [service], amount = group["Keys"], float(group["Metrics"]["UnblendedCost"]["Amount"])
        sums[service] = round(sums.get(service, 0) + amount, 4)
    return {
        **request["TimePeriod"],
        "currency": next((group["Metrics"]["UnblendedCost"]["Unit"] for group in groups), None),
        "services": sums,
        "total": round(sum(sums.values()), 4),
    }


def billed_days(request: Any) -> list[Any]:
    """Cost Explorer has no paginator in boto3; so few services and days are one page."""
    answer = client("ce").get_cost_and_usage(**request)
    days = [*answer["ResultsByTime"]]
    while token := answer.get("NextPageToken"):
        answer = client("ce").get_cost_and_usage(**request, NextPageToken=token)
        days += answer["ResultsByTime"]
    return days
