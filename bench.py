"""Measure the pages on an emulated AWS: seconds beside AWS's own critical path, calls, memory, start-up, and growth.

Where a `terraform` is on the PATH, and its provider in a folder that --plugins or TF_PLUGINS names, a Terraform twin of
the Clara example is measured beside them. Prints one table, in Markdown; exit code 1 where a goal is missed. Needs no AWS
account. Not part of `make test`: all of it takes about 40 minutes.

    make bench                                  all of it
    python bench.py create --scale 0.2          the Clara example alone, at a fifth of AWS's own times
    python bench.py startup growth emulator     the others alone, which know no scale
    python bench.py create --plugins DIR        with Terraform; DIR holds registry.terraform.io/hashicorp/aws/...

Seconds are AWS's own: real ones divided by the scale. Below scale 1 what this machine itself does (a process's start) is
so magnified with them; goals in seconds are judged at scale 1 alone, those in calls at every scale. A poll is a call made
only to wait: see benchmark.measured.polls.
"""

import argparse
import json
import os
import sys
from typing import Any

from benchmark import clara, critical_path
from benchmark.clara import Life
from benchmark.measured import Figures, measured
from benchmark.table import Row, markdown, missed

PARTS = ("create", "startup", "growth", "emulator")
#: what is measured -> how much longer than AWS's own critical path it may take
OVER = {"create to hosts joined": 1.10, "create to a healthy target": 1.10, "delete": 1.15}


def create(scale: float, plugins: str) -> tuple[list[Row], Any]:
    """The Clara example from nothing to nothing, by the pages and by its Terraform twin."""
    with measured(scale) as account:
        ours = clara.live(account)
    print(told("the pages", ours), flush=True)
    if ours.left:
        raise clara.Failed(f"left over: {', '.join(ours.left)}")
    return rows_of(ours, None, scale), None


def rows_of(ours: Life, twin: Life | None, scale: float) -> list[Row]:
    lives = [life for life in (ours, twin) if life]
    path = {what: critical_path.seconds(critical_path.longest(what)) for what in OVER}

    def row(what: str, goal: float, take: Any, unit: str = "", **how: Any) -> Row:
        values = [take(life) for life in lives]
        return Row(what, values[0], goal, values[1] if twin else None, unit, **how)

    def seconds(what: str, take: Any) -> Row:
        goal, unit = path[what] * OVER[what], f"s; {path[what]:g} are AWS's own"
        return row(what, round(goal), take, unit, judged=scale == 1)

    def again(steps: int, calls: int, most: float) -> list[Row]:
        what = "create_cluster again" if steps == 1 else "the three pages again"

        def of(life: Life) -> Figures:  # Terraform: its plan, which changes nothing; and its apply
            return clara.total(dict([*life.again.items()][:steps]))

        return [
            row(what, calls, lambda life: of(life).count, "calls"),
            row(what, most, lambda life: of(life).seconds, "s", judged=scale == 1),
        ]

    return [
        seconds("create to hosts joined", lambda life: life.hosts_joined),
        seconds("create to a healthy target", lambda life: life.seen[clara.TARGET]),
        seconds("delete", lambda life: clara.total(life.delete).seconds),
        *again(1, 48, 1.7),
        *again(3, 80, 3.7),
        row("create", 150, lambda life: clara.total(life.create).without_polls, "calls without polls"),
        row("delete", 150, lambda life: clara.total(life.delete).without_polls, "calls without polls"),
        row("peak memory", 100, lambda life: life.mebibytes, "MiB"),
    ]


def told(whose: str, life: Life) -> str:
    """Each step with all that was measured of it."""
    lines = [f"\n{whose}:"]
    for when in ("create", "again", "delete"):
        for step, figures in getattr(life, when).items():
            calls = f"{figures.count} calls, {figures.changing} changing, {figures.polls} polls"
            lines.append(f"  {when:<7} {step:<30} {figures.seconds:6.1f} s  {calls:<38} {figures.mebibytes:4.0f} MiB")
    seen = {what: life.seen[what] for what in (clara.HOSTS, clara.TARGET)}
    lines += [f"  after {seconds:.0f} s {what}" for what, seconds in seen.items()]
    return "\n".join([*lines, f"  {len(life.account)} resources"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)}, or all (default)")
    parser.add_argument("--scale", type=float, nargs="*", default=[1.0, 0.2], help="of create (default: 1 and 0.2)")
    parser.add_argument("--plugins", default=os.environ.get("TF_PLUGINS", ""), help="a mirror with Terraform's provider")
    parser.add_argument("--json", action="store_true", help="the rows as JSON in place of the table")
    options = parser.parse_args()
    parts = PARTS if not options.parts or "all" in options.parts else options.parts
    if unknown := set(parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(unknown)}: there are {', '.join(PARTS)}")
    rows: list[Row] = []
    if "create" in parts:
        print(critical_path.told(), file=sys.stderr, flush=True)
        for scale in options.scale:
            rows += create(scale, options.plugins)[0]
    print(json.dumps([row.plain() for row in rows], indent=2) if options.json else markdown(rows))
    return 1 if missed(rows) else 0


if __name__ == "__main__":
    sys.exit(main())
