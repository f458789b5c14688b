"""How a deletion of many things begins, goes on and ends: what will go is shown and asked about, what is left is told."""

import functools
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import aws
import console
import constants
from aws import Problem, Resource, ours, wait
from console import say
from infrastructure import parts
from infrastructure.cluster import cluster, launch_template, nat_gateways, network, roles, security_groups, tag_index
from infrastructure.parts import BELONGING, Parts, kind
from infrastructure.service import scaling, task_definitions

Page = Callable[..., dict[str, Any]]
#: how long AWS may list what is deleted; the tagging API is the slowest
SWEEP_SECONDS = 300
#: kinds of which the parts list whatever bears our tag: what else the index shows of these is gone, for up to an hour
LISTED = (
    *("vpc", "subnet", "internet-gateway", "route-table", "security-group", "natgateway", "elastic-ip", "vpc-endpoint"),
    *("file-system", "cluster", "capacity-provider", "service", "task-definition"),
)
#: looks at EC2 -> the kind of what they see, in EC2's own list of tags
IN_EC2: dict[aws.look[Any], str] = {
    network.vpcs: "vpc",
    network.subnets: "subnet",
    network.route_tables: "route-table",
    network.internet_gateways: "internet-gateway",
    security_groups.all_groups: "security-group",
    nat_gateways.all_gateways: "natgateway",
    nat_gateways.addresses: "elastic-ip",
    nat_gateways.s3_endpoints: "vpc-endpoint",
    launch_template.templates: "launch-template",
}
#: what else is listed some seconds after it was made, where it does not go with the network
LISTED_LATE = (cluster.describe, scaling.targets, security_groups.all_groups, security_groups.all_rules)


class Seen(NamedTuple):
    """What stood at the first look, when that began, by the monotonic clock, and what of it the last look saw kept."""

    resources: list[Resource]
    at: float
    kept: list[Resource]

    def new(self, now: list[Resource]) -> list[Resource]:
        """What is listed now, and was not then."""
        known = {each.arn or each.what for each in self.resources}
        return [each for each in now if (each.arn or each.what) not in known]


def look(of: Parts) -> Seen:
    """What stands of these parts. Two lists come first: they save asking about each role, each task definition."""
    began = time.monotonic()
    if task_definitions in of:
        aws.look_at(roles.names, tag_index.tagged)
    return Seen(parts.left_over(of), began, [])


def going(listed: list[Resource], *services: str) -> list[Resource]:
    """What other deletions keep goes too, where it is of one of these services, as their ARNs name them."""
    too = tuple(f"arn:{aws.partition()}:{service}:" for service in services)
    return [each._replace(kept="") if too and each.arn.startswith(too) else each for each in listed]


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


def rounds(of: Parts, page: str) -> Iterator[Seen]:
    """What is in the loop deletes, all of it from one look. Again, where the last look sees what the first did not.

    Some services list late what an interrupted run has just made. So the last look comes some seconds after the first,
    and asks them where nothing stood too. Of all else it asks what was changed.
    """
    seen = look(of)
    while True:
        aws.from_one_look(True)
        yield seen
        aws.from_one_look(False)
        let_aws_list(seen)
        aws.forget(*LISTED_LATE)
        left = wait_for_nothing(of, seen, page)
        if not left or console.dry_run:
            return
        say("found", f"{len(left)} more", ", ".join(each.what for each in left))
        aws.forget_all()
        again = look(of)
        seen = Seen([*seen.resources, *again.resources], again.at, [])


#: after which AWS lists what was made: https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
LISTED_SECONDS = 5


def telling_what_is_left(of: Parts) -> Callable[[Page], Page]:
    """Of a page that deletes these: where it fails half-way it tells what still stands, and that another run goes on."""

    def of_page(page: Page) -> Page:
        @functools.wraps(page)
        def deleting(**flags: bool) -> dict[str, Any]:
            before = aws.changes()
            try:
                return page(**flags)
            except aws.FAILURES as error:
                left = what_is_left(of) if aws.changes() > before and not console.dry_run else []
                if not left:
                    raise
                again = f"run {aws.command(f'{page.__name__}.py')} again, it goes on"
                code = error.exit_code if isinstance(error, Problem) else aws.FAILED
                raise Problem(
                    f"{aws.explain(error)}\nleft: {', '.join(left)}; {again}", {"left": left}, code
                ) from error

        return deleting

    return of_page


def what_is_left(of: Parts) -> list[str]:
    """As AWS shows it now; nothing where it does not tell."""
    aws.from_one_look(False)
    aws.forget_all()
    found, _ = aws.at_best(lambda: look(of).resources)
    return [each.what for each in found or [] if not each.kept]


def let_aws_list(seen: Seen) -> None:
    """Until some seconds after the first look: what an interrupted run has just made is listed then."""
    if not console.dry_run and (rest := seen.at + LISTED_SECONDS - time.monotonic()) > 0:
        aws.pause(rest)


def look_again(seen: Seen) -> None:
    """Before the network goes: what EC2 lists only now would hold it. One list of tags tells whether there is more."""
    let_aws_list(seen)
    known = {(kind(each.arn), each.arn.rpartition("/")[2]) for each in seen.resources if each.arn}
    if {each for each in tag_index.in_ec2() if each[0] in IN_EC2.values()} - known:
        aws.forget(*IN_EC2)


def wait_for_nothing(of: Parts, seen: Seen, page: str) -> list[Resource]:
    """Until AWS lists nothing any more of what was deleted: it does for a while. Answers what it lists for the first time."""
    asked = [*of]

    def left() -> list[Resource]:
        if task_definitions in asked:
            aws.look_at(roles.names)
        if network in of:
            ask_ec2_at_once()
        found = parts.left_over_by_part(tuple(asked))
        listed = [each for of_part in found.values() for each in of_part]
        if len(asked) == len(of):
            seen.kept[:] = [each for each in listed if each.kept and kind(each.arn) not in BELONGING]
        asked[:] = [part for part in asked if not all(each.kept for each in found[part])]
        return [each for each in listed if not each.kept]

    def over() -> list[list[Resource]]:
        now = left()
        return [seen.new(now)] if not now or seen.new(now) else []

    def why() -> str:
        return f"left over: {', '.join(each.what for each in left())}. Run {page} again"

    answers = wait("AWS to list nothing any more", over, why, seconds=SWEEP_SECONDS)
    return [each for new in answers for each in new]


def ask_ec2_at_once() -> None:
    """Of what kinds is something left in EC2? One list of tags tells; where it shows one, that kind is looked at itself."""
    outdated = [each for each in IN_EC2 if not each.remembers()]
    shown = {its_kind for its_kind, _ in tag_index.in_ec2()} if outdated else set()
    for each in outdated:
        if IN_EC2[each] not in shown:
            each.learn([])


def tell_kept(seen: Seen) -> list[Resource]:
    """What a deletion has left, and why."""
    for each in seen.kept:
        say("kept", each.what, each.kept)
    return seen.kept


def refuse_unnamed(named: list[Resource]) -> None:
    """The last look of delete_cluster.py: whatever else bears our tag, made by whomever, is told; and roles by their names."""

    def unnamed() -> list[str]:
        known = {each.arn for each in named}
        other = [each.arn for each in tag_index.tagged() if kind(each.arn) not in (*BELONGING, *LISTED)]
        found = [
            arn for arn in other if arn not in known and ":backup:" not in arn
        ]  # backups are named where they stay
        return found or [arn for arn in our_roles() if arn not in known]

    def why() -> str:
        tag = f"{constants.CLUSTER_TAG}={constants.CLUSTER_NAME}"
        way = "are not of this runbook's parts: delete them by hand, or take the tag away"
        return f"left over: {', '.join(unnamed())}. They bear the tag {tag}, and {way}"

    aws.forget(tag_index.tagged)
    try:
        wait("AWS to list nothing with our tag any more", lambda: not unnamed(), why, SWEEP_SECONDS)
    except Problem as left:  # which no time will end
        raise Problem(str(left)) from left


def our_roles() -> list[str]:
    """The tagging API does not list them."""
    prefix, end = f"{constants.CLUSTER_NAME}-", f"-{aws.region()}"
    named = [each for each in roles.names() if each.startswith(prefix) and each.endswith(end)]
    return [role["Arn"] for role in aws.side_by_side(roles.read_role, named) if role and ours(role)]
