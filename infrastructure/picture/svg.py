"""Boxes that have their places, written as SVG, alone or in an HTML page: no script, and nothing from elsewhere.

Light or dark as the reader's screen is: https://developer.mozilla.org/en-US/docs/Web/CSS/@media/prefers-color-scheme
"""

import re
from xml.sax.saxutils import escape, quoteattr

from infrastructure.picture.layout import FRAMELESS, SQUARE, STEP, Box, per_row, squares_top

#: class -> fill and frame, on a light screen and on a dark one
COLOURS = {
    "picture": ("#ffffff", "none", "#0d1117", "none"),
    "region": ("#ffffff", "#8c959f", "#0d1117", "#6e7681"),
    "vpc": ("#f7f5fc", "#7a5bc7", "#15131f", "#9a7ee0"),
    "zone": ("#ffffff", "#b6bec8", "#10151c", "#4a5563"),
    "public": ("#eef8ee", "#7fb385", "#11201a", "#3f7a52"),
    "private": ("#edf4fc", "#7fa3cf", "#101d2d", "#41699a"),
    "balancer": ("#f3ecfa", "#9a6fc4", "#211830", "#9a6fc4"),
    "group": ("#ffffff", "#b79ad4", "#171022", "#7d5aa3"),
    "host": ("#fff6ea", "#d08a2e", "#241a0c", "#b5792a"),
    "task": ("#e2f3e5", "#4f9a5f", "#16301d", "#4f9a5f"),
    "waiting": ("#f6f8fa", "#8c959f", "#1b2129", "#8c959f"),
    "area": ("#f6f8fa", "#c4ccd5", "#151b23", "#3d4753"),
    "thing": ("#ffffff", "#a9b3be", "#0d1117", "#566170"),
    "alarm": ("#fff1f0", "#cf222e", "#2d1214", "#ff7b72"),
}
#: class of a text -> colour, on a light screen and on a dark one
INK = {
    "heading": ("#1f2328", "#f0f6fc"),
    "title": ("#1f2328", "#e6edf3"),
    "line": ("#424a53", "#b6c0cb"),
    "price": ("#1a5e2a", "#7ee29a"),
    "wrong": ("#b42318", "#ff8f87"),
}
#: state of a GPU -> fill, on a light screen and on a dark one
GPUS = {"used": ("#d9730d", "#f0a04b"), "shared": ("#f3cf9f", "#7a5a2c"), "free": ("#ffffff", "#0d1117")}
FONT = "font: 12px Arial, Helvetica, 'Liberation Sans', 'DejaVu Sans', sans-serif"
#: https://www.w3.org/TR/xml/#charsets
NOT_OF_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
LEGEND = (
    ("used", "a GPU that a task has"),
    ("shared", "a GPU that tasks share"),
    ("free", "a free GPU"),
)


def css() -> str:
    """By classes and without variables, so that programs that are no browsers draw the same."""
    light, dark = list[str](), list[str]()
    for name, (fill, frame, dark_fill, dark_frame) in COLOURS.items():
        light.append(f".{name}>rect{{fill:{fill};stroke:{frame}}}")
        dark.append(f".{name}>rect{{fill:{dark_fill};stroke:{dark_frame}}}")
    for name, (ink, dark_ink) in INK.items():
        light.append(f"text.{name}{{fill:{ink}}}")
        dark.append(f"text.{name}{{fill:{dark_ink}}}")
    for name, (fill, dark_fill) in GPUS.items():
        light.append(f"rect.{name}{{fill:{fill};stroke:#9a5208}}")
        dark.append(f"rect.{name}{{fill:{dark_fill};stroke:#f0a04b}}")
    light.append(".red>rect{stroke:#cf222e;stroke-width:2.5}")
    dark.append(".red>rect{stroke:#ff7b72}")
    fixed = f"text{{{FONT}}} .title{{font-weight:bold}} .heading{{font-size:19px;font-weight:bold}} .price{{text-anchor:end}}"
    dashed = ".region>rect,.waiting>rect{stroke-dasharray:5 3}"
    return "\n".join([fixed, dashed, *light, "@media (prefers-color-scheme: dark){", *dark, "}"])


def document(picture: Box, told: str) -> str:
    """The picture as a document of its own; `told` is its name for those who don't see it."""
    width, height = picture.width, picture.height
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}"'
    body = "\n".join([f"<style>{css()}</style>", *drawn(picture)])
    return f"{head} aria-label={quoteattr(told)}>\n{body}\n</svg>\n"


def drawn(box: Box) -> list[str]:
    """Itself, and then what is in it, above it."""
    about = f" data-arn={quoteattr(box.arn)}" if box.arn else ""
    kind = f"{box.kind} red" if box.wrong else box.kind
    parts = [f'<g class="{kind}"{about}>']
    if box.kind in ("task", "waiting") and box.arn:  # its whole id, of which its text is a part
        parts.append(f"<title>{plain(box.arn.rpartition('/')[2])}</title>")
    if box.kind not in FRAMELESS:
        corner = "" if box.kind == "picture" else ' rx="4"'
        parts.append(f"<rect {area(box.x, box.y, box.width, box.height)}{corner}/>")
    parts += [
        f'<text class="{each.kind}" x="{each.x:.1f}" y="{each.y:.1f}">{plain(each.text)}</text>'
        for each in box.texts
        if each.text
    ]
    parts += squares(box)
    parts += [line for child in box.children for line in drawn(child)]
    return [*parts, "</g>"]


def squares(box: Box) -> list[str]:
    top, left = squares_top(box), box.texts[0].x if box.texts else box.x
    across = per_row(box.width - 2 * (left - box.x))
    places = [(left + n % across * STEP, top + n // across * STEP) for n in range(len(box.squares))]
    return [
        f'<rect class="{each.state}" {area(*place, SQUARE, SQUARE)}><title>{plain(each.told)}</title></rect>'
        for place, each in zip(places, box.squares, strict=True)
    ]


def plain(text: str) -> str:
    """Escaped, without what XML knows no way to write; that a space is where no line ends counts for the layout alone."""
    return escape(NOT_OF_XML.sub("", text.replace("\u00a0", " ")))


def area(x: float, y: float, width: float, height: float) -> str:
    return f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'


def page(picture: Box, told: str) -> str:
    """The same in an HTML page, with a legend, and with what is wrong as a table."""
    rows = [(each.title, each.arn, each.wrong) for each in picture.every() if each.wrong and each.kind != "alarm"]
    cells = "\n".join(f"<tr><td>{'</td><td>'.join(map(plain, row))}</td></tr>" for row in rows)
    table = f"<table>\n<tr><th>what</th><th>ARN</th><th>why</th></tr>\n{cells}\n</table>" if rows else "<p>Nothing.</p>"
    legend = "\n".join(f'<li><i class="{state}"></i> {escape(what)}</li>' for state, what in LEGEND)
    return PAGE.format(
        title=escape(told),
        css=PAGE_CSS.format(**{f"{state}{n}": fill for state, fills in GPUS.items() for n, fill in enumerate(fills)}),
        svg=document(picture, told),
        legend=legend,
        table=table,
    )


PAGE_CSS = """
body{{margin:0 auto;width:1400px;background:#fff;color:#1f2328;font:14px Arial,Helvetica,sans-serif}}
h2{{font-size:15px;margin:16px 0 4px}} section{{margin:8px 16px 24px}}
td,th{{text-align:left;padding:3px 16px 3px 0;vertical-align:top;overflow-wrap:anywhere}}
ul{{list-style:none;padding:0}} li{{display:inline-block;margin-right:24px}}
i{{display:inline-block;width:14px;height:14px;border:1px solid #9a5208;vertical-align:-2px}}
i.used{{background:{used0}}} i.shared{{background:{shared0}}} i.free{{background:{free0}}}
i.red{{border:2px solid #cf222e}}
@media (prefers-color-scheme: dark){{body{{background:#0d1117;color:#e6edf3}}
i.used{{background:{used1}}} i.shared{{background:{shared1}}} i.free{{background:{free1}}}}}
"""
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{css}</style>
</head>
<body>
{svg}
<section>
<h2>Legend</h2>
<ul>
{legend}
<li><i class="red"></i> something is wrong: why stands in it, and below</li>
</ul>
<h2>What is wrong</h2>
{table}
</section>
</body>
</html>
"""
