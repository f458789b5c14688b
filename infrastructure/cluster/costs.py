"""What is going to cost money, told before it is made: a table of all that AWS bills, by its own price list.

https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-the-aws-price-list-query-api.html
"""

import math
import re
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import aws
import console
import constants
from aws import Problem, partition
from console import say
from infrastructure.cluster import capacity_reservation, network, prices
from infrastructure.cluster.prices import ITEMS, Item, Price

#: hours of a month, as AWS's own calculator has them: https://docs.aws.amazon.com/pricing-calculator/
MONTH = 730
#: GiB of disk that a task on Fargate has for nothing: https://aws.amazon.com/fargate/pricing/
FREE_DISK = 20
BY_USE = "by use"
#: in place of an amount: another row is the dearest of those of which one comes
OR = "or"
PER = {
    "hour": "an hour",
    "month": "a GB and month",
    "GB": "a GB",
    "LCU": "an LCU and hour",
    "metric": "a metric and month",
    "alarm": "an alarm and month",
}


class Row(NamedTuple):
    """A thing that costs: how many of its unit are paid for in an hour in which all runs, and in one in which nothing does."""

    what: str
    item: Item
    number: str
    running: float = 0.0
    idle: float = 0.0
    spot: bool = False
    zone: str = ""  # of Spot capacity that there is
    either: bool = False  # one of several, of which one comes

    def price(self) -> Price | None:
        zones = [self.zone] if self.zone else constants.AVAILABILITY_ZONES
        return prices.spot(self.kind(), zones) if self.spot else prices.price(self.item)

    def kind(self) -> str:
        """The instance type, of a host."""
        return dict(self.item.asked).get("instanceType", "")

    def look(self) -> aws.look[Any]:
        """The look at its price."""
        return prices.spot_history(self.kind()) if self.spot else prices.products(self.item.service, self.item.asked)

    def an_hour(self, units: float) -> float:
        """What so many of the unit cost for an hour; 0 where the price is not known."""
        price = self.price()
        return round(price.amount * units / (MONTH if self.item.unit == "month" else 1), 4) if price else 0.0

    def a_month(self, units: float) -> float:
        price = self.price()
        return round(price.amount * units * (1 if self.item.unit == "month" else MONTH), 2) if price else 0.0


Rows = list[Row]


def looks(rows: Iterable[Row]) -> list[aws.look[Any]]:
    """The looks at the prices of these, to be made at the same time as a page's other ones."""
    return list(dict.fromkeys(row.look() for row in rows))


# ------------------------------------------------------------------------------------------------- what the settings ask for


def of_cluster() -> Rows:
    """All that a cluster of these settings costs: with as many hosts or tasks as may run, and with none that need not."""
    running = fargate(tasks_at_once()) if on_fargate() else hosts(constants.MIN_INSTANCES, constants.MAX_INSTANCES)
    return [*running, *standing(), *by_use()]


def of_host(bastion: bool = False) -> Rows:
    """What comes with one host: its disk, which is the AMI's own for a bastion, and its public address."""
    disk = [] if bastion else [Row("disk", ITEMS["disk"], "1", constants.ROOT_VOLUME_GIB, constants.ROOT_VOLUME_GIB)]
    return [*disk, *([Row("address", ITEMS["address"], "1", 1, 1)] if bastion or public_hosts() else [])]


def on_fargate() -> bool:
    return constants.LAUNCH_TYPE == "FARGATE"


def tasks_at_once() -> int:
    """Of its service where there is a load balancer for one, else of run_task.py."""
    return constants.DESIRED_COUNT if constants.LISTENER_PROTOCOL else constants.TASK_COUNT


#: a type of host, and whether it is on Spot
Ways = list[tuple[str, bool]]


def hosts(least: int, most: int, ways: Ways | None = None) -> Rows:
    """Hosts with their disks, and with the public addresses that they have in public subnets; `ways`: not as settings say."""
    count, size = f"{least} to {most}" if least != most else str(most), constants.ROOT_VOLUME_GIB
    block = capacity_reservation.is_block()  # which is paid
    found = [] if block else either(count, least, most, ways or wanted_ways())
    found.append(Row("their root disk", ITEMS["disk"], f"{count} x {size} GB", most * size, least * size))
    if public_hosts():
        found.append(Row("their public address", ITEMS["address"], count, most, least))
    return found


def wanted_ways() -> Ways:
    """Each type, on Spot and on demand where either may come."""
    spots = (True, False) if constants.SPOT_FIRST else (constants.CAPACITY_TYPE == "spot",)
    return [(kind, spot) for spot in spots for kind in constants.TYPES]


def either(count: str, least: int, most: int, ways: Ways) -> Rows:
    return [
        Row(f"{'or ' if number else ''}host {kind}{terms}", prices.host(kind), count, most, least, spot, either=several)
        for number, (kind, spot) in enumerate(ways)
        for terms in [" (Spot)" if spot else " (on demand)" if (kind, True) in ways else ""]
        for several in [len(ways) > 1]
    ]


def public_hosts() -> bool:
    if constants.VPC_ID:
        return any(each.get("MapPublicIpOnLaunch") for each in network.named_subnets())
    return not constants.PRIVATE_SUBNET_CIDRS


def fargate(count: int, cpu: int = 0, memory: int = 0) -> Rows:
    """Tasks on Fargate, by their vCPUs and memory, the disk above what is free, and their public addresses."""
    vcpus, gib = (cpu or constants.TASK_CPU) / 1024, (memory or constants.TASK_MEMORY) / 1024
    arm = " on ARM" if constants.CPU_ARCHITECTURE == "ARM64" else ""
    whose = "each endpoint's task" if constants.CLUSTER_ONLY else "task"
    if constants.CAPACITY_TYPE == "spot":  # what Fargate Spot costs the list does not tell
        whose += ", at the most"
    found = [
        Row(f"{whose}: vCPU{arm}", ITEMS[f"vCPU{arm}"], f"{count} x {vcpus:g}", count * vcpus),
        Row(f"{whose}: memory", ITEMS[f"GB{arm}"], f"{count} x {gib:g} GB", count * gib),
    ]
    if (more := constants.EPHEMERAL_STORAGE_GIB - FREE_DISK) > 0:
        found.append(Row(f"{whose}: disk", ITEMS["task's disk"], f"{count} x {more} GB", count * more))
    if public_tasks():
        found.append(Row(f"{whose}: public address", ITEMS["address"], str(count), count))
    return found


def public_tasks() -> bool:
    """As task_security_group.network_configuration asks for it."""
    if constants.VPC_ID:
        return not constants.PUBLIC_SUBNET_IDS or {*constants.WORK_SUBNET_IDS} <= {*constants.PUBLIC_SUBNET_IDS}
    return not constants.PRIVATE_SUBNET_CIDRS


def standing() -> Rows:
    """What costs by the hour though nothing runs: NAT gateways, the load balancer, the bastion, and their addresses."""
    found, gateways = [], nat_gateways()
    addresses = gateways
    if gateways:
        found.append(Row("NAT gateway", ITEMS["NAT gateway"], str(gateways), gateways, gateways))
    if constants.LISTENER_PROTOCOL:
        found.append(Row("load balancer", ITEMS["load balancer"], "1", 1, 1))
        zones = constants.PUBLIC_SUBNET_IDS or constants.PUBLIC_SUBNET_CIDRS
        addresses += len(zones) if constants.LOAD_BALANCER_SCHEME == "internet-facing" else 0
    if constants.BASTION_KEY_NAME:
        kind = constants.BASTION_INSTANCE_TYPE
        found.append(Row(f"bastion {kind}", prices.host(kind), "1", 1, 1))
        addresses += 1
    if addresses:
        found.append(Row("public address of these", ITEMS["address"], str(addresses), addresses, addresses))
    return found


def of_bastion() -> Rows:
    kind = constants.BASTION_INSTANCE_TYPE
    return [Row(f"bastion {kind}", prices.host(kind), "1", 1, 1), *of_host(bastion=True)]


def nat_gateways() -> int:
    private = 0 if constants.VPC_ID or constants.NAT_GATEWAYS == "none" else len(constants.PRIVATE_SUBNET_CIDRS)
    return min(private, 1) if constants.NAT_GATEWAYS == "single" else private


def by_use() -> Rows:
    """What costs by how much of it is moved, stored or told: no one knows that before."""
    named = {"stored on EFS": "EFS"} if constants.EFS_VOLUMES else {}
    if named and constants.EFS_THROUGHPUT_MODE == "elastic":
        named |= {"read from EFS": "EFS read", "written to EFS": "EFS written"}
    if named and constants.EFS_INFREQUENT_ACCESS_DAYS:
        elastic = ", elastic" if constants.EFS_THROUGHPUT_MODE == "elastic" else ""
        named["unread files on EFS"] = f"EFS unread{elastic}"
    if named and constants.EFS_BACKUP == "enabled":
        named["backups of EFS"] = "backup"
    if nat_gateways():
        named["through a NAT gateway"] = "through NAT"
    if constants.LISTENER_PROTOCOL:
        named["what the balancer passes"] = "LCU"
    if constants.CONTAINER_INSIGHTS == "enabled" or constants.HOST_MONITORING == "enabled":
        named["metrics of CloudWatch"] = "metrics"
    if not on_fargate() or constants.SCALING != "none":  # managed scaling of hosts has two, that of a service some
        named["alarms of scaling"] = "alarms"
    enhanced = (
        [Row("Container Insights", prices.ENHANCED, BY_USE)] if constants.CONTAINER_INSIGHTS == "enhanced" else []
    )
    return [*(Row(what, ITEMS[key], BY_USE) for what, key in {**named, "logs": "logs"}.items()), *enhanced]


def of_schedule(cpu: int, memory: int) -> Rows:
    """The tasks that SYNC_SCHEDULE starts, of this size: each is paid for by the second, and a minute at least.

    https://aws.amazon.com/fargate/pricing/
    """
    found = re.fullmatch(r"rate\(([0-9]+) (minute|hour|day)s?\)", constants.SYNC_SCHEDULE)
    if not found or not constants.WEIGHTS_BUCKET:
        return []
    share = 1 / (int(found[1]) * {"minute": 1, "hour": 60, "day": 1440}[found[2]])
    arm = " on ARM" if constants.CPU_ARCHITECTURE == "ARM64" else ""
    sizes = {f"vCPU{arm}": cpu / 1024, f"GB{arm}": memory / 1024}
    return [
        Row(f"{key} of each sync", ITEMS[key], f"{size:g}, a minute", size * share, size * share)
        for key, size in sizes.items()
    ]


def looks_for_tasks() -> list[aws.look[Any]]:
    """What `for_tasks` asks the price list, whatever runs."""
    return looks(fargate(1) if on_fargate() else hosts(1, 1))


def for_tasks(count: int, cpu: int = 0, memory: int = 0, hosts_each: bool = False) -> Rows:
    """What so many more tasks cost: themselves on Fargate; else the hosts that they need beyond MIN_INSTANCES, which are
    there anyway: as many as there may be, one for each task where they do not share one."""
    if on_fargate():
        return fargate(count, cpu, memory)
    needed = min(constants.MAX_INSTANCES, count if hosts_each else math.ceil(count / tasks_on_a_host()))
    more = needed - constants.MIN_INSTANCES
    return hosts(0, more) if more > 0 else []


def tasks_on_a_host() -> int:
    """By their GPUs; one where nobody has told how many a host has, or where GPUs are shared."""
    there = gpus_of_host()
    wanted = there if constants.ALL_GPUS else constants.GPU_COUNT
    return max(1, (there or 0) // wanted) if wanted and not constants.GPU_SHARING else 1


# --------------------------------------------------------------------------------------------------------- told, and asked


def tell_before(rows: Rows, yes: bool = True) -> None:
    """The table, and where that is more than CONFIRM_ABOVE a question."""
    if not rows:
        say("costs", "nothing more:", f"MIN_INSTANCES={constants.MIN_INSTANCES} hosts are there anyway")
        return
    aws.look_at(*looks(rows))
    if currency := currency_of(rows):
        console.show_table(table(rows, currency))
        confirm(total(rows), currency, yes)


def currency_of(rows: Rows) -> str:
    """Of the price list; where none of these has a price there it is told why not, and where a person reads them."""
    known = sorted({price.currency for row in rows if (price := row.price())})
    if not known and rows:
        where = prices.PAGES.get(partition(), prices.PAGES["aws"])
        why = next(filter(None, (row.look()()[1] for row in rows)), "it has none of these")
        say("costs", "could not look at AWS's price list:", f"{why}; see {where}")
    return ", ".join(known)


def tell_now(what: str, rows: Rows, stop: str) -> None:
    """The last line of a page that leaves something running: what it costs an hour, and the command that stops it."""
    if console.dry_run:
        return
    aws.look_at(*looks(rows))
    if not rows:
        say("costs", "nothing by the hour now:", "what is stored and moved does, until python delete_cluster.py")
    elif currency := currency_of(rows):
        lacking = "" if all(row.price() for row in rows) else "at least "
        to_stop = f"; to stop: {stop}" if stop else ""
        say("costs", f"{lacking}{prices.money(total(rows), currency)} an hour now:", f"{what}{to_stop}")


def table(rows: Rows, currency: str) -> list[list[str]]:
    """Lines of cells: the columns' names, a line for each row, and the sums of these."""
    names = ["costs", "number", f"{currency} for each", "an hour running", "an hour idle", "a month idle"]
    paid = dearest(rows)
    cells = [[row.what, row.number, unit_price(row), *(amounts(row) if row in paid else [OR, "", ""])] for row in rows]
    unknown = "" if all(row.price() for row in rows) else " and what could not be looked up"
    most = "at most" if any(row.either for row in rows) else "in all"
    sums = [money(total(rows)), money(total(rows, idle=True)), f"{sum(row.a_month(row.idle) for row in paid):.2f}"]
    return [names, *cells, [f"{most}, without what is by use{unknown}", "", "", *sums]]


def dearest(rows: Rows) -> Rows:
    """All of them, but of those of which one comes only the one that costs the most."""
    known = [(price.amount, row) for row in rows if row.either and (price := row.price())]
    kept = max(known, default=(0, None), key=lambda each: each[0])[1] or next((row for row in rows if row.either), None)
    return [row for row in rows if not row.either or row == kept]


def amounts(row: Row) -> list[str]:
    if row.number == BY_USE or not row.price():
        return [BY_USE if row.number == BY_USE else "?", "", ""]
    return [money(row.an_hour(row.running)), money(row.an_hour(row.idle)), f"{row.a_month(row.idle):.2f}"]


def unit_price(row: Row) -> str:
    price = row.price()
    if not price:
        return "could not look"
    lowest = f"{price.lowest:.6g} to " if price.lowest != price.amount else ""
    return f"{lowest}{price.amount:.6g} {PER[row.item.unit]}"


def money(amount: float) -> str:
    return f"{amount:.4f}"


def total(rows: Rows, idle: bool = False) -> float:
    """The sum of the rows, an hour."""
    return round(sum(row.an_hour(row.idle if idle else row.running) for row in dearest(rows)), 4)


def confirm(hourly: float, currency: str, yes: bool) -> None:
    """Ask a person before more than CONFIRM_ABOVE an hour is started; where nobody can be asked it is told."""
    if hourly <= constants.CONFIRM_ABOVE or yes or console.dry_run:
        return
    told = f"{prices.money(hourly, currency)} an hour, more than CONFIRM_ABOVE={constants.CONFIRM_ABOVE:g}"
    if not sys.stdin or not sys.stdin.isatty():
        say("costs", f"up to {told}:", "there is no terminal to ask on, so it goes on")
        return
    console.show(f"It costs up to {told}. Type yes to go on: ", end="")
    if sys.stdin.readline().strip() != "yes":
        raise Problem("that is not yes; nothing was started")
    aws.forget_all()  # a person takes his time


# ------------------------------------------------------------------------------------------------------ of what there is


def offer() -> Any:
    """INSTANCE_TYPE in AWS's price list; {} where it can't be learned, and on Fargate."""
    found = [] if on_fargate() else prices.found(prices.host(constants.INSTANCE_TYPE))
    return next(iter(found), {})


def host_price() -> float | None:
    """An hour on demand; None where it can't be learned."""
    price = prices.price(prices.host(constants.INSTANCE_TYPE))
    return price.amount if price else None


def hourly(instances: list[Any]) -> float | None:
    """Of these instances on demand, each at the price of its own type; None where one of them can't be learned."""
    count = Counter(each["InstanceType"] for each in instances)
    prices.ask(map(prices.host, count))
    known = {kind: prices.price(prices.host(kind)) for kind in count}
    if None in known.values():
        return None
    return round(sum(price.amount * count[kind] for kind, price in known.items() if price), 4)


def hourly_on_fargate(tasks: list[Any]) -> float | None:
    """Of these tasks, by the vCPUs and the memory of each: https://aws.amazon.com/fargate/pricing/"""
    if not tasks:
        return 0.0
    vcpu, gib = prices.price(ITEMS["vCPU"]), prices.price(ITEMS["GB"])
    if vcpu is None or gib is None:
        return None
    used = sum(int(each["cpu"]) * vcpu.amount + int(each["memory"]) * gib.amount for each in tasks)
    return round(used / 1024, 4)


def gpus_of_host() -> int | None:
    """How many GPUs the type has; None where the price list does not tell a number: a part of one, or nothing."""
    told = offer().get("product", {}).get("attributes", {}).get("gpu", "")
    return int(told) if told.isdigit() else None
