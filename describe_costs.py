"""Describe what the cluster costs: each thing that stands, since when, how much so far and an hour, by AWS's price list.

Of Spot capacity the price of its zone now. What is stored costs an hour what it would if nothing changed, and has no sum
so far; what is moved, logged or backed up by then is not in it: that has its price, "by use". Taxes, discounts and free
tiers are not either.

    python describe_costs.py            to stop it: python pause_cluster.py; for good: python delete_cluster.py
    python describe_costs.py --billed   what AWS has billed by our tag too: it lags a day, the tag must be activated for
                                        cost allocation by the payer account, and AWS charges for each such request
"""

import sys
from typing import Any

import aws
import console
import constants
from aws import Problem
from console import say
from infrastructure.cluster import (
    auto_scaling_group,
    cluster,
    file_system,
    load_balancer,
    log_groups,
    nat_gateways,
    pause,
    tag_index,
)
from infrastructure.service import bill, deadlines
from infrastructure.weights import schedules


@aws.page(of="cluster", billed="ask Cost Explorer too, for which AWS charges")
def describe_costs(billed: bool = False) -> dict[str, Any]:
    looks = (nat_gateways.all_gateways, load_balancer.standing, load_balancer.tags_by_arn, file_system.all_systems)
    more = (tag_index.tagged, *schedules.LOOKS, log_groups.groups(log_groups.CONTAINERS), deadlines.listed)
    aws.look_at(cluster.describe, auto_scaling_group.standing, *looks, *more)
    found = bill.lines(bill.things())
    if not cluster.find() and not found:
        raise Problem(cluster.missing())
    used = bill.by_use(schedules.priced())
    told = bill.told(found, used)
    console.show_table(bill.table(found, used, told["currency"] or ""))
    of_bill = {"billed": bill.billed()} if billed else {}
    left = deadlines.tell()
    paused = pause.tell()
    if not paused:
        say(
            "next",
            "python pause_cluster.py",
            "stops what can stop, and loses nothing; for good: python delete_cluster.py",
        )
    return {"clusterName": constants.CLUSTER_NAME, "region": aws.region(), **paused, **told, **left, **of_bill}


if __name__ == "__main__":
    sys.exit(aws.main(describe_costs, __doc__))
