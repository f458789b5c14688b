"""Nested boxes, and where each of them stands: computed before anything is written, so that it can be looked at.

Widths are given from outside in, heights follow from inside out. Pixels, at 100 %.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

#: of a picture on a screen of 1440, beside its scroll bar
WIDTH = 1400
GAP, PADDING, LINE = 8, 8, 16
#: a GPU, and from one to the next
SQUARE, STEP = 14, 18
#: pixels of a bold or large text for each of a plain one
WIDER = {"title": 1.12, "heading": 1.6}
#: of a character of 12 pixels, at the widest of the usual fonts; hexadecimal digits are alike, so that ids are
NARROW, WIDE, NORMAL = 4.4, 11.5, 7.8
HEIGHTS = {"heading": 26}
#: between several things in one line; where a line ends it is left out
DOT = "·"


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
        below += STEP * -(-len(box.squares) // per_row(room)) + 2
    if box.children and (box.title or box.lines):
        below += 4
    below = rows(box, x + inset, below, room)
    box.height = below + inset - y
    return box


#: what has no frame of its own
FRAMELESS = ("item", "row", "column")


def per_row(room: float) -> int:
    return max(1, int(room // STEP))


def squares_top(box: Box) -> float:
    """Where its row of squares begins: below its texts."""
    return max((each.y for each in box.texts), default=box.y + PADDING) + 6


def write(box: Box, x: float, y: float, room: float) -> float:
    """Its texts, from y on; answers where they end. The price is at the right end of the title's first line, or below it."""
    box.texts = []
    heading = "heading" if box.kind == "picture" else "title" if box.kind not in ("item", "task", "waiting") else "line"
    price = size(box.price) + 10 if box.price else 0
    words = box.title.split(" ")
    beside = size(words[0], heading) + price <= room
    wanted = [(heading, each) for each in wrapped(box.title, room, heading, price if beside else 0)]
    wanted += [("line", "")] if price and not beside else []
    at = 0 if beside else len(wanted) - 1
    wanted += [("line", each) for line in box.lines for each in wrapped(line, room)]
    wanted += [("wrong", each) for line in box.wrong.splitlines() for each in wrapped(line, room)]
    for kind, text in wanted:
        height = HEIGHTS.get(kind, LINE)
        box.texts.append(Text(kind, text, x, y + height - 4))
        y += height
    if box.price:
        box.texts.append(Text("price", box.price, x + room, box.texts[at].y))
    return y


def rows(box: Box, x: float, y: float, room: float) -> float:
    """Place its children from y on: in rows, of one height without `shares`; lines of a list in columns. Where they end."""
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
        height = max(each.height for each in row)
        for child in row if not box.shares else ():
            child.height = height
        after = children[start + columns : start + columns + 1]
        listed = bool(after) and row[-1].kind == after[0].kind == "item"
        y += height + (GAP if after and not listed else 0)
    return y


def column(items: list[Box], x: float, y: float, width: float) -> float:
    for each in items:
        place(each, x, y, width)
        y += each.height
    return y


def size(text: str, kind: str = "line") -> float:
    """How wide a text may be, in pixels."""
    return sum(map(width_of, text)) * WIDER.get(kind, 1)


def width_of(character: str) -> float:
    if character in "ijl.,:;|'!()[]/ \u00a0":
        return NARROW
    return WIDE if character in "mwMW@%→…" or ord(character) > 0x2E7F else NORMAL


def wrapped(text: str, room: float, kind: str = "line", first: float = 0) -> list[str]:
    """In lines that fit, at plain spaces, in the first of which `first` is taken; a word that is longer is broken."""
    lines, line = list[str](), ""
    for whole in text.split(" "):
        for word in broken(whole, room, kind):
            longer = f"{line} {word}".strip(" ")
            if line and size(longer, kind) > room - (0 if lines else first):
                lines.append(line)
                longer = word
            line = longer
    return [each.strip(f" {DOT}") for each in [*lines, line] if each.strip(f" {DOT}")]


def broken(word: str, room: float, kind: str) -> list[str]:
    """In pieces that fit."""
    pieces = [""]
    for character in word:
        if pieces[-1] and size(pieces[-1] + character, kind) > room:
            pieces.append("")
        pieces[-1] += character
    return pieces
