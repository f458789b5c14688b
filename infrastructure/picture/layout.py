"""Nested boxes, and where each of them stands: computed before anything is written, so that it can be looked at.

Widths are given from outside in, heights follow from inside out. Pixels, at 100 %.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

#: of a picture on a screen of 1440, beside its scroll bar
WIDTH = 1400
GAP, PADDING, LINE, SQUARE = 8, 8, 16, 14
#: pixels of a bold or large text for each of a plain one
WIDER = {"title": 1.12, "heading": 1.6}
#: of a character of 12 pixels, at the widest of the usual fonts; hexadecimal digits are alike, so that ids are
NARROW, WIDE, NORMAL = 4.4, 11.5, 7.8
HEIGHTS = {"heading": 26}


@dataclass
class Text:
    """One line; `kind` is its class: heading, title, line, price or wrong. y is its baseline."""

    kind: str
    text: str
    x: float = 0
    y: float = 0


@dataclass
class Square:
    """A GPU: used, free or shared, and what a person is told of it who points at it."""

    state: str
    told: str


@dataclass
class Box:
    """Something that stands, or that holds what does: `kind` is its class, `arn` its ARN, or what it is called without one.

    Its children are below each other; where each has at least `least` pixels beside each other; with `shares` in one row, of
    these widths.
    """

    kind: str
    title: str = ""
    arn: str = ""
    lines: list[str] = field(default_factory=list)
    price: str = ""
    wrong: str = ""
    squares: list[Square] = field(default_factory=list)
    children: list["Box"] = field(default_factory=list)
    least: int = 0
    shares: tuple[int, ...] = ()
    x: float = 0
    y: float = 0
    width: float = 0
    height: float = 0
    texts: list[Text] = field(default_factory=list)

    def every(self) -> Iterator["Box"]:
        """It and all that is in it, as they are drawn."""
        yield self
        for child in self.children:
            yield from child.every()


def place(box: Box, x: float = 0, y: float = 0, width: float = WIDTH) -> Box:
    """Give it and all that is in it their places, and write its texts into lines."""
    box.x, box.y, box.width = x, y, width
    framed = box.kind not in FRAMELESS
    inset = PADDING if framed else 0
    room = width - 2 * inset
    below = write(box, x + inset, y + inset, room)
    if box.squares:
        below += (SQUARE + 4) * -(-len(box.squares) // per_row(room)) + 2
    if box.children and (box.title or box.lines):
        below += 4
    below = rows(box, x + inset, below, room)
    box.height = below + inset - y
    return box


#: what has no frame of its own
FRAMELESS = ("picture", "item", "row", "column")


def per_row(room: float) -> int:
    return max(1, int(room // (SQUARE + 4)))


def squares_top(box: Box) -> float:
    """Where its row of squares begins: below its texts."""
    return max((each.y for each in box.texts), default=box.y + PADDING) + 6


def write(box: Box, x: float, y: float, room: float) -> float:
    """Its texts, from y on; answers where they end. The price is at the right end of the title's first line."""
    box.texts = []
    heading = "heading" if box.kind == "picture" else "title" if box.kind not in ("item", "task") else "line"
    price = size(box.price) + 10 if box.price else 0
    wanted = [(heading, each) for each in wrapped(box.title, room - price, heading)]
    wanted += [("line", each) for line in box.lines for each in wrapped(line, room)]
    wanted += [("wrong", each) for line in box.wrong.splitlines() for each in wrapped(line, room)]
    for kind, text in wanted:
        height = HEIGHTS.get(kind, LINE)
        box.texts.append(Text(kind, text, x, y + height - 4))
        y += height
    if box.price:
        box.texts.append(Text("price", box.price, x + room, box.texts[0].y))
    return y


def rows(box: Box, x: float, y: float, room: float) -> float:
    """Place its children from y on: in rows, those of one row of one height; lines of a list in columns. Where they end."""
    children = box.children
    columns = len(box.shares) or max(1, min(len(children), int((room + GAP) // (box.least + GAP)) if box.least else 1))
    shares = box.shares or (1,) * columns
    widths = [(room - GAP * (columns - 1)) * share / sum(shares) for share in shares]
    places = [x + sum(widths[:number]) + GAP * number for number in range(columns)]
    if children and all(each.kind == "item" for each in children):
        long = -(-len(children) // columns)
        parts = [children[start : start + long] for start in range(0, len(children), long)]
        return max(column(part, at, y, width) for part, at, width in zip(parts, places, widths, strict=False))
    for start in range(0, len(children), columns):
        row = children[start : start + columns]
        for child, at, width in zip(row, places, widths, strict=False):
            place(child, at, y, width)
        for child in row:
            child.height = max(each.height for each in row)
        y += row[0].height + (0 if row[0].kind == "item" else GAP)
    return y - (GAP if children and children[-1].kind != "item" else 0)


def column(items: list[Box], x: float, y: float, width: float) -> float:
    for each in items:
        place(each, x, y, width)
        y += each.height
    return y


def size(text: str, kind: str = "line") -> float:
    """How wide a text may be, in pixels."""
    return sum(map(width_of, text)) * WIDER.get(kind, 1)


def width_of(character: str) -> float:
    if character in "ijl.,:;|'!()[]/ ":
        return NARROW
    return WIDE if character in "mwMW@%→…" or ord(character) > 0x2E7F else NORMAL


def wrapped(text: str, room: float, kind: str = "line") -> list[str]:
    """In lines that fit, at spaces; a word that is longer than a line is broken."""
    lines, line = [], ""
    for word in text.split():
        while size(word, kind) > room and len(word) > 1:
            fits = next(n for n in range(len(word) - 1, 0, -1) if n == 1 or size(word[:n], kind) <= room)
            lines += [line, word[:fits]] if line else [word[:fits]]
            line, word = "", word[fits:]
        longer = f"{line} {word}".strip()
        if line and size(longer, kind) > room:
            lines.append(line)
            longer = word
        line = longer
    return [*lines, line] if line else lines


def overlaps(box: Box) -> list[tuple[Box, Box]]:
    """Pairs of boxes side by side that cover each other, and boxes that are not inside their own: none."""
    found = []
    for each in box.every():
        for number, one in enumerate(each.children):
            found += [(one, other) for other in each.children[number + 1 :] if cover(one, other)]
            if not inside(one, each):
                found.append((one, each))
    return found


def cover(one: Box, other: Box) -> bool:
    across = one.x < other.x + other.width - 0.01 and other.x < one.x + one.width - 0.01
    return across and one.y < other.y + other.height - 0.01 and other.y < one.y + one.height - 0.01


def inside(one: Box, outer: Box) -> bool:
    across = one.x >= outer.x - 0.01 and one.x + one.width <= outer.x + outer.width + 0.01
    return across and one.y >= outer.y - 0.01 and one.y + one.height <= outer.y + outer.height + 0.01
