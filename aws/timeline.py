"""Where the time of a run went: what was asked for, what was waited for, when it was ready; as SVG, or as bars of text.

Three numbers: how long it took, AWS's critical path, and how many times that it took. The path is that of this run, from
what was seen of it. A wait lasts from the newest change that names what it looks at, and takes from that change's answer
until its own last look; one that was over at its first look kept no one waiting, and counts for nothing. A change comes after
those that gave an id in its parameters, and after the waits that were over before it, since a page waits only where what
follows needs it. The longest chain of these is the path. What is not in it is ours: changes that were asked for late, looks
that came late, work between calls.
"""

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from aws.record import Call, Record, Wait, saved, strings
from console import NEW_ID

#: pixels
WIDTH, LABELS, ROW, TOP = 1100, 340, 18, 66
#: characters of a bar of text
BAR = 40
#: a change that took less than this part of the run has no row of its own
SMALL = 0.02
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#24292f}.title{font-size:15px;font-weight:600}.page{fill:#fff}"
    ".call{fill:#6e7781}.wait{fill:#8fb4e3}.critical{fill:#d9480f}.grid{stroke:#d0d7de}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.page{fill:#0d1117}.grid{stroke:#30363d}.wait{fill:#4a73a8}"
    ".call{fill:#8b949e}.critical{fill:#ff8a4c}}"
)


@dataclass(eq=False)
class Step:
    """A change or a wait; seconds since the run began. `chain`: how long AWS needs until its end, if no one else is slow."""

    what: str
    asked: float
    ended: float
    is_wait: bool = False
    after: "Step | None" = None
    chain: float = 0
    critical: bool = False


@dataclass
class Timeline:
    """Of one run, or of several, one after the other."""

    title: str
    steps: list[Step] = field(default_factory=list)
    took: float = 0
    path: float = 0

    def numbers(self) -> str:
        ratio = self.took / self.path if self.path else 1
        return f"took {in_words(self.took)}, AWS's critical path {in_words(self.path)}, ratio {ratio:.2f}"


def of(record: Record) -> Timeline:
    steps = chained(record)
    path = max(steps, key=lambda step: step.chain, default=None)
    length = path.chain if path else 0
    while path:
        path.critical, path = True, path.after
    return Timeline(f"{record.page}.py", steps, record.ended - record.began, length)


def together(title: str, these: list[Timeline]) -> Timeline:
    """Runs one after the other as one: their times and their critical paths add up."""
    whole = Timeline(title)
    for each in these:
        for step in each.steps:
            what = f"{each.title.removesuffix('.py')}: {step.what}"
            whole.steps.append(
                Step(what, step.asked + whole.took, step.ended + whole.took, step.is_wait, critical=step.critical)
            )
        whole.took, whole.path = whole.took + each.took, whole.path + each.path
    return whole


def chained(record: Record) -> list[Step]:
    """Every change and wait in the order of their ends, each with the longest chain that leads to it."""
    changes = [call for call in record.calls if call.changes and not call.error]
    changing = {number for call in changes for number in call.waits}
    waits = [
        wait for wait in record.waits if wait.looks and wait.number not in changing and not {*wait.waits} - changing
    ]
    steps: dict[int, Step] = {}
    everything: list[Call | Wait] = [*changes, *waits]
    for each in sorted(everything, key=lambda each: (each.ended, each.number)):
        if isinstance(each, Wait):
            steps[each.number] = wait_step(record, each, changes, waits, steps)
        else:
            steps[each.number] = call_step(record, each, changes, waits, steps)
    return list(steps.values())


def call_step(record: Record, call: Call, changes: list[Call], waits: list[Wait], steps: dict[int, Step]) -> Step:
    given = texts(call.params)
    before = [each.number for each in changes if each.ended <= call.began and given & texts(each.answer)]
    before += [each.number for each in waits if each.ended <= call.began]
    after = max((steps[each] for each in before if each in steps), key=lambda step: step.chain, default=None)
    chain = (after.chain if after else 0) + call.ended - call.began
    step = Step(f"{call.service} {call.operation}", call.began - record.began, call.ended - record.began, chain=chain)
    step.after = after
    return step


def wait_step(record: Record, wait: Wait, changes: list[Call], waits: list[Wait], steps: dict[int, Step]) -> Step:
    """One that looks at nothing (a pause for DNS) lasts from the end of the wait before it, best of one about the same."""
    looked = [call for call in record.calls if wait.number in call.waits]
    named = set().union(*(texts(call.params) | texts(call.answer) for call in looked))
    asked: list[Call | Wait] = [
        each for each in changes if each.number < wait.number and named & (texts(each.answer) | texts(each.params))
    ]
    if not looked:
        before = [each for each in waits if each.ended <= wait.ended and each is not wait]
        asked = [each for each in before if words(each.what) & words(wait.what)] or list(before)
    newest = max(asked, key=lambda each: (each.ended, each.number), default=None)
    after = steps.get(newest.number) if newest else None
    since = newest.ended if newest else wait.began
    step = Step(wait.what, since - record.began, wait.ended - record.began, True)
    step.after, step.chain = after, (after.chain if after else 0) + wait.ended - since
    return step


def texts(thing: object) -> set[str]:
    """What can name a resource in it."""
    return {text for key, text in strings(thing) if key.lower().rstrip("s").endswith(("id", "arn", "name", "cluster"))}


def words(text: str) -> set[str]:
    return {word for word in text.split() if len(word) > 4}


def escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def in_words(seconds: float) -> str:
    """0.4 s, 96 s, 3 min 0 s."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 2:
        return f"{minutes} min {rest} s"
    return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"


def rows(timeline: Timeline) -> list[Step]:
    shown = [step for step in timeline.steps if step.is_wait or step.ended - step.asked >= SMALL * timeline.took]
    return sorted(shown, key=lambda step: step.asked)


# ---------------------------------------------------------------------------------------------------------------- shown


def show(record: Record, where: str | None) -> None:
    """To a file: SVG, or all that is known where its name ends with .json; `-`, and on a terminal: bars."""
    if not where:
        return
    if where != "-":
        Path(where).write_text(saved(record) if where.endswith(".json") else svg(of(record)))
    if where == "-" or sys.stderr.isatty():
        print(bars(of(record)), file=sys.stderr, flush=True)


def bars(timeline: Timeline) -> str:
    """A line for each wait and each slow change; # is on the critical path, = is not."""
    lines = [f"{timeline.title}: {timeline.numbers()}"]
    scale = BAR / (timeline.took or 1)
    for step in rows(timeline):
        begin = min(BAR - 1, math.floor(step.asked * scale))
        length = max(1, round((step.ended - step.asked) * scale))
        bar = " " * begin + ("#" if step.critical else "=") * min(length, BAR - begin)
        lines.append(f"  {in_words(step.ended):>12} |{bar:<{BAR}}| {plain(step.what)}")
    return "\n".join(lines)


def svg(timeline: Timeline) -> str:
    """A row for each wait and each slow change, and above them a tick for each change."""
    shown = rows(timeline)
    height = TOP + ROW * (len(shown) + 1) + 28
    numbers = f"{plain(timeline.title)}: {timeline.numbers()}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">'
    lines = [head, f"<title>{escape(numbers)}</title><style>{STYLE}</style>"]
    lines.append(f'<rect class="page" width="{WIDTH}" height="{height}"/>')
    lines.append(f'<text class="title" x="12" y="24">{escape(numbers)}</text>')
    lines += grid(timeline, height)
    lines.append(f'<text x="12" y="{TOP + 12}">each change</text>')
    for step in timeline.steps:
        if not step.is_wait:
            lines.append(rect(timeline, step, TOP, thin=True))
    for number, step in enumerate(shown, 1):
        top = TOP + ROW * number
        told = plain(step.what)
        text = told if len(told) <= 50 else f"{told[:48]}..."
        lines.append(f'<text x="12" y="{top + 12}">{escape(text)}</text>{rect(timeline, step, top)}')
        if step.ended - step.asked >= 1:
            lines.append(
                f'<text x="{x(timeline, step.ended) + 5:.1f}" y="{top + 12}">{in_words(step.ended - step.asked)}</text>'
            )
    return "\n".join([*lines, "</svg>\n"])


def grid(timeline: Timeline, height: int) -> Iterator[str]:
    """A line for each so many seconds."""
    every = next((each for each in (1, 5, 15, 30, 60, 300, 900, 3600) if timeline.took / each <= 12), 14_400)
    for at in range(0, math.floor(timeline.took) + 1, every):
        left = x(timeline, at)
        yield f'<line class="grid" x1="{left:.1f}" x2="{left:.1f}" y1="{TOP - 14}" y2="{height - 20}"/>'
        yield f'<text x="{left:.1f}" y="{height - 6}" text-anchor="middle">{in_words(at)}</text>'


def rect(timeline: Timeline, step: Step, top: int, thin: bool = False) -> str:
    kind = "critical" if step.critical else "wait" if step.is_wait else "call"
    left, right = x(timeline, step.asked), x(timeline, step.ended)
    width = 1.5 if thin else max(1.5, right - left)
    tip = escape(f"{plain(step.what)}: {in_words(step.asked)} to {in_words(step.ended)}")
    return f'<rect class="{kind}" x="{left:.1f}" y="{top + 2}" width="{width:.1f}" height="{ROW - 4}"><title>{tip}</title></rect>'


def x(timeline: Timeline, at: float) -> float:
    return LABELS + at / (timeline.took or 1) * (WIDTH - LABELS - 90)


def plain(text: str) -> str:
    return NEW_ID.sub("(new)", " ".join(text.split()))
