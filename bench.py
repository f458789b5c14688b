"""Measure the pages on an emulated AWS: seconds beside AWS's own critical path, calls, memory, start-up, and growth.

Where a `terraform` is on the PATH, and its provider in a folder that --plugins or TF_PLUGINS names, a Terraform twin of
the Clara example is measured beside them, and imports what they have made. Prints one table, in Markdown; exit code 1
where a goal is missed. Needs no AWS account. Not part of `make test`: all of it takes about 40 minutes.

    make bench                                  all of it
    python bench.py create --scale 0.2          the Clara example alone, at a fifth of AWS's own times
    python bench.py startup growth emulator     the others alone, which know no scale
    python bench.py create --plugins DIR        with Terraform; DIR holds registry.terraform.io/hashicorp/aws/...
    python bench.py import --plugins DIR        what Terraform would change in what the pages have made; half a minute

Seconds are AWS's own: real ones divided by the scale. Below scale 1 what this machine itself does (a process's start) is
so magnified with them; goals in seconds are judged at scale 1 alone, those in calls at every scale. A poll is a call made
only to wait: see benchmark.measured.polls.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable
from typing import Any

from benchmark import clara, critical_path, growth, imports, startup, terraform
from benchmark.clara import Life
from benchmark.measured import Figures, measured
from benchmark.table import Row, markdown, missed

PARTS = ("create", "import", "startup", "growth", "emulator")
#: what is measured -> how much longer than AWS's own critical path it may take
OVER = {"create to hosts joined": 1.10, "create to a healthy target": 1.10, "delete": 1.15}


def create(scale: float, plugins: str) -> list[Row]:
    """The Clara example from nothing to nothing, by the pages; at scale 1, where it can be, by its Terraform twin too."""
    with measured(scale) as account:
        ours = told(f"the pages at time scale {scale:g}", clara.live(account))
    if scale != 1 or not terraform.installed(plugins):
        return rows_of(ours, None, scale)
    with measured(scale) as account:
        twin = told("Terraform", terraform.live(account, plugins))
    differing = clara.differences(clara.alike(ours.account), clara.alike(twin.account))
    say(
        f"\n{len(ours.account)} resources by the pages, {len(twin.account)} by Terraform; differences: {len(differing)}"
    )
    say("\n".join(f"  {each}" for each in differing))
    return rows_of(ours, twin, scale)


def rows_of(ours: Life, twin: Life | None, scale: float) -> list[Row]:
    """Of two lives the same figures side by side. Terraform's look at one page's part is its plan, at all its apply."""

    def row(what: str, unit: str, goal: float, take: Callable[[Life], float], **how: Any) -> Row:
        named = what if scale == 1 else f"{what} (scale {scale:g})"
        return Row(named, unit, take(ours), take(twin) if twin else None, goal, **how)

    def seconds(what: str, take: Callable[[Life], float]) -> Row:
        own = critical_path.seconds(critical_path.longest(what))
        return row(what, f"s; {own:g} are AWS's own", OVER[what] * own, take, judged=scale == 1)

    def again(what: str, look: Callable[[Life], Figures], calls: int, most: float) -> list[Row]:
        of_seconds = row(what, "s", most, lambda life: look(life).seconds, judged=scale == 1)
        return [row(what, "calls", calls, lambda life: look(life).count), of_seconds]

    def hosts_joined(life: Life) -> float:
        """Our page ends once they have; Terraform does not wait for them."""
        return first(life.create).seconds if life is ours else life.seen[clara.HOSTS]

    def all_again(life: Life) -> Figures:
        return life.again[terraform.APPLY] if life is twin else clara.total(life.again)

    return [
        seconds("create to hosts joined", hosts_joined),
        seconds("create to a healthy target", lambda life: life.seen[clara.TARGET]),
        seconds("delete", lambda life: clara.total(life.delete).seconds),
        *again("create_cluster.py again", lambda life: first(life.again), 48, 1.7),
        *again("the three pages again", all_again, 80, 3.7),
        row("create", "calls without polls", 150, lambda life: clara.total(life.create).without_polls),
        row("delete", "calls without polls", 150, lambda life: clara.total(life.delete).without_polls),
        row("peak memory", "MiB", 100, lambda life: life.mebibytes),
    ]


def imported(plugins: str) -> list[Row]:
    """What differs from the Terraform twin once it has imported the pages' own build, besides what is to."""
    if not terraform.installed(plugins):
        say("\nimport: there is no terraform, or no folder with its provider")
        return []
    found = imports.planned(plugins)
    say(f"\n{imports.told(found)}")
    differing = sum(bool(each.places) and not each.meant for each in found)
    return [Row("the pages' build imported by Terraform", f"differing of {len(found)} resources", differing, None, 0)]


def first(steps: dict[str, Figures]) -> Figures:
    return next(iter(steps.values()))


def told(whose: str, life: Life) -> Life:
    """Each step with all that was measured of it; and what must not be: anything left over."""
    lines = [f"\n{whose}, {len(life.account)} resources:"]
    for step, each in life.steps().items():
        calls = f"{each.count} calls, {each.changing} changing, {each.polls} polls"
        lines.append(f"  {step:<34} {each.seconds:6.1f} s  {calls:<36} {each.mebibytes:4.0f} MiB")
        lines.append(f"    {', '.join(f'{name} {count}' for name, count in each.calls.most_common(8))}")
    lines += [f"  {what} after {life.seen[what]:.0f} s" for what in (clara.HOSTS, clara.TARGET)]
    say("\n".join(lines))
    if life.left:
        raise clara.Failed(f"left over: {', '.join(life.left)}")
    return life


def say(text: str) -> None:
    """What is shown beside the table, as it comes."""
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)}, or all (default)")
    parser.add_argument("--scale", type=float, nargs="+", default=[1.0, 0.2], help="of create (default: 1 and 0.2)")
    parser.add_argument(
        "--plugins", default=os.environ.get("TF_PLUGINS", ""), help="a mirror with Terraform's provider"
    )
    parser.add_argument("--times", type=int, default=15, help="runs of each command of startup (default 15)")
    parser.add_argument("--aws", default=shutil.which("aws") or "", help="the aws command (default: that of the PATH)")
    parser.add_argument("--json", action="store_true", help="the rows as JSON in place of the table")
    options = parser.parse_args()
    parts = PARTS if not options.parts or "all" in options.parts else options.parts
    if unknown := set(parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(unknown)}: there are {', '.join(PARTS)}")
    rows: list[Row] = []
    if "create" in parts:
        say(critical_path.told())
        for scale in options.scale:
            rows += create(scale, options.plugins)
    if "import" in parts:
        rows += imported(options.plugins)
    if "startup" in parts:
        rows += startup.rows(options.times, options.aws, say)
    if "growth" in parts:
        rows += growth.rows(say)
    if "emulator" in parts:
        rows += growth.speed()
    print(json.dumps([row.plain() for row in rows], indent=2) if options.json else markdown(rows))
    return 1 if missed(rows) else 0


if __name__ == "__main__":
    sys.exit(main())
