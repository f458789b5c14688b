"""How a deletion of many things begins and ends: what will go is shown and asked about; what AWS still lists is told."""

import sys
from collections.abc import Callable

import console
from aws import Problem, pause, wait

#: how long AWS may list what is deleted
SWEEP_SECONDS = 120


def settled(inventory: Callable[[], list[str]]) -> list[str]:
    """The inventory, once two looks agree: AWS does not list at once what an interrupted run has just made."""
    found, before = inventory(), None
    while found != before and not console.dry_run:
        pause()
        found, before = inventory(), found
    return found


def confirm(what: str, name: str, listed: list[str], kept: list[str], yes: bool) -> None:
    """Show what will go; go on only when the name has been typed, or --yes was given."""
    for item in listed:
        print(f"  {item}", file=sys.stderr)
    for item in kept:
        print(f"  kept: {item}", file=sys.stderr)
    if yes or console.dry_run or not listed:
        return
    if not sys.stdin or not sys.stdin.isatty():
        raise Problem("there is no terminal to ask on: pass --yes to delete what is listed above")
    print(f"Type the {what}'s name, {name}, to delete all this: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != name:
        raise Problem("that is not the name; nothing was deleted")


def sweep(inventory: Callable[[], list[str]], page: str) -> None:
    """Ask AWS again what there is: it lists for a while what is gone already, but what stays listed is left over."""
    wait(
        "AWS to list nothing any more",
        lambda: not inventory(),
        lambda: f"left over: {', '.join(inventory())}. Run {page} again",
        seconds=SWEEP_SECONDS,
    )
