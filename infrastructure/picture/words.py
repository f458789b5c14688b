"""Words of a picture: of an ARN, of a price, of several things in one line."""

import re

import constants
from aws import tags_of
from infrastructure.cluster import costs, prices
from infrastructure.picture.layout import DOT

#: how the ARN of a thing spells what it is, by its service or its kind -> how a person calls it
NAMES = {
    "logs": "log group",
    "s3": "bucket",
    "ssm": "SSM parameter",
    "codepipeline": "pipeline",
    "acm": "certificate",
    "ecr": "ECR repository",
    "scheduler": "schedule group",
    "application-autoscaling": "scaling",
    "elastic-ip": "Elastic IP",
    "vpc-endpoint": "VPC endpoint",
    "project": "build project",
}


def line(*parts: str) -> str:
    """Those that there are, with a dot between them; where it is too long it is broken there."""
    return f" {DOT} ".join(part.replace(" ", "\u00a0") for part in parts if part)


def several(names: list[str]) -> str:
    """The first three of them, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def price(rows: costs.Rows, zero: str = "") -> str:
    """What an hour of these costs; `zero`: what is said where there are none."""
    currencies = sorted({found.currency for row in rows if (found := row.price())})
    if not rows or len(currencies) != 1:
        return "price not known" if rows else zero
    least = "" if all(row.price() for row in rows) else "at least "
    return f"{least}{prices.money(costs.total(rows), currencies[0])}/h"


def service_of(arn: str) -> str:
    return arn.split(":")[2]


def kind_of(arn: str) -> str:
    """arn:aws:logs:us-east-1:123456789012:log-group:/ecs/gpu -> log-group"""
    return arn.split(":", 5)[5].replace(":", "/").partition("/")[0]


def what(arn: str, its_name: str = "") -> str:
    """log group /ecs/gpu, launch template lt-0abc (hosts); `its_name`: its Name, told where AWS has given it an id."""
    kind, rest = kind_of(arn), arn.split(":", 5)[5]
    word = NAMES.get(service_of(arn)) or NAMES.get(kind) or kind.replace("-", " ")
    own = rest[len(kind) + 1 :] or rest
    return f"{word} {own}" + (f" ({its_name})" if its_name and re.search("[0-9a-f]{8}", own) else "")


def name_of(thing: object) -> str:
    """Its Name, without the cluster's in front."""
    return tags_of(thing).get("Name", "").removeprefix(f"{constants.CLUSTER_NAME}-")
