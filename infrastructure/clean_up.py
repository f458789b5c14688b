"""How a deletion of many things begins and ends: what will go is shown and asked about; what AWS still lists is told."""

import sys

import aws
import console
import constants
from aws import Problem, Resource, client, every, ours, wait
from console import say
from infrastructure import endpoints, parts
from infrastructure.parts import BELONGING, Parts, kind

#: how long AWS may list what is deleted; the tagging API is the slowest
SWEEP_SECONDS = 300
#: kinds of which the parts list whatever bears our tag: what else the index shows of these is gone, for up to an hour
LISTED = (
    *("vpc", "subnet", "internet-gateway", "route-table", "security-group", "natgateway", "elastic-ip", "vpc-endpoint"),
    *("file-system", "cluster", "capacity-provider", "service", "task-definition"),
)


def settled(of: Parts) -> list[Resource]:
    """What stands of these parts, once two looks agree: AWS does not list at once what an interrupted run has just made."""
    found, before = parts.left_over(of), None
    while found != before and not console.dry_run:
        aws.pause(constants.POLL_SECONDS)
        aws.forget_all()
        found, before = parts.left_over(of), found
    return found


def confirm(what: str, name: str, listed: list[Resource], yes: bool) -> None:
    """Show what will go and what stays; go on only when the name has been typed, or --yes was given."""
    for each in [each for each in listed if not each.kept or kind(each.arn) not in BELONGING]:
        console.show(f"  {'kept: ' if each.kept else ''}{each.what}")
    if yes or console.dry_run or all(each.kept for each in listed):
        return
    if not sys.stdin or not sys.stdin.isatty():
        raise Problem("there is no terminal to ask on: pass --yes to delete what is listed above")
    console.show(f"Type the {what}'s name, {name}, to delete all this: ", end="")
    if sys.stdin.readline().strip() != name:
        raise Problem("that is not the name; nothing was deleted")
    aws.forget_all()  # a person takes his time


def sweep(of: Parts, page: str) -> list[Resource]:
    """Ask AWS again what there is: it lists for a while what is gone, but what stays listed is left over. What is kept."""

    def left() -> list[str]:
        return [each.what for each in parts.left_over(of) if not each.kept]

    aws.forget_all()
    wait(
        "AWS to list nothing any more",
        lambda: not left(),
        lambda: f"left over: {', '.join(left())}. Run {page} again",
        seconds=SWEEP_SECONDS,
    )
    kept = [each for each in parts.left_over(of) if each.kept and kind(each.arn) not in BELONGING]
    for each in kept:
        say("kept", each.what, each.kept)
    return kept


def refuse_unnamed(named: list[Resource]) -> None:
    """The last look of delete_cluster.py: whatever else bears our tag, made by whomever, is told; and roles by their names."""

    def unnamed() -> list[str]:
        known = {each.arn for each in named}
        other = [each.arn for each in endpoints.tagged() if kind(each.arn) not in (*BELONGING, *LISTED)]
        found = [
            arn for arn in other if arn not in known and ":backup:" not in arn
        ]  # backups are named where they stay
        return found or [arn for arn in roles() if arn not in known]

    def why() -> str:
        tag = f"{constants.CLUSTER_TAG}={constants.CLUSTER_NAME}"
        way = "are not of this runbook's parts: delete them by hand, or take the tag away"
        return f"left over: {', '.join(unnamed())}. They bear the tag {tag}, and {way}"

    try:
        wait("AWS to list nothing with our tag any more", lambda: not unnamed(), why, SWEEP_SECONDS)
    except Problem as left:  # which no time will end
        raise Problem(str(left)) from left


def roles() -> list[str]:
    """Roles and instance profiles of ours: the tagging API does not list them."""
    iam = client("iam")
    prefix, end = f"{constants.CLUSTER_NAME}-", f"-{aws.region()}"
    listed = {each["RoleName"]: each["Arn"] for each in every(iam.get_paginator("list_roles").paginate(), "Roles")}
    found = [arn for name, arn in listed.items() if name.startswith(prefix) and name.endswith(end)]
    tagged = [aws.call(iam.get_role, gone="NoSuchEntity")(RoleName=arn.rpartition("/")[2]) for arn in found]
    return [role["Role"]["Arn"] for role in tagged if role and ours(role["Role"])]
