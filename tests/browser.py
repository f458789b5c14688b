"""A page looked at in a headless Chromium, where this machine has one.

python -m tests.browser     installs Debian's, where there is none and apt-get may
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

#: a laptop's screen
WIDTH, HEIGHT = 1440, 900
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
#: what is measured, as JSON in an element that the page itself does not have
MEASURE = """
<script>
const inside = (one, outer) => one.left >= outer.left - 0.5 && one.right <= outer.right + 0.5
  && one.top >= outer.top - 0.5 && one.bottom <= outer.bottom + 0.5;
const cover = (one, other) => one.left < other.right - 0.5 && other.left < one.right - 0.5
  && one.top < other.bottom - 0.5 && other.top < one.bottom - 0.5;
const place = (element) => element.getBoundingClientRect();
const frame = (element) => element.closest("g:has(> rect:not(.used):not(.free):not(.shared))").querySelector(":scope > rect");
const texts = [...document.querySelectorAll("svg text")];
const clipped = texts.filter((text) => !inside(place(text), place(frame(text))));
const lines = texts.flatMap((one, number) => texts.slice(number + 1).filter((other) => cover(place(one), place(other))));
const frames = [...document.querySelectorAll("svg g > rect")];
const siblings = frames.flatMap((one, number) => frames.slice(number + 1).filter((other) =>
  cover(place(one), place(other)) && !inside(place(one), place(other)) && !inside(place(other), place(one))));
const measured = {
  wide: document.documentElement.scrollWidth,
  clipped: clipped.map((text) => text.textContent),
  overlapping: [...lines.map((text) => text.textContent), ...siblings.map((rect) => rect.parentNode.textContent)],
  sizes: [...new Set(texts.map((text) => parseFloat(getComputedStyle(text).fontSize)))],
  drawn: document.querySelectorAll("svg [data-arn]").length,
};
document.body.insertAdjacentHTML("beforeend", "<pre id=measured></pre>");
document.getElementById("measured").textContent = JSON.stringify(measured);
</script>
"""


def program() -> str:
    """Its path; "" where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), "")


def found() -> str:
    """The program; without one the test is not run, and says so."""
    return program() or pytest.skip("no Chromium here, and so no look at the picture: make browser")


def install() -> None:
    """As root on a Debian or an Ubuntu; elsewhere it says what to do. It never fails: the test tells that it was not run."""
    if not program() and shutil.which("apt-get") and os.geteuid() == 0:
        packages = ["chromium-headless-shell", "fonts-dejavu-core"]
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages]):
            subprocess.run(["apt-get", *command], stdout=subprocess.DEVNULL, check=False)
    print(f"browser: {program() or 'none; install chromium or google-chrome, and run make browser again to see'}")


def look(page: str) -> Any:
    """What it measures on this page at the size of a laptop's screen; `said`: what it complained of."""
    flags = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        f"--window-size={WIDTH},{HEIGHT}",
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "page.html")
        file.write_text(page.replace("</body>", f"{MEASURE}</body>"))
        command = [found(), *flags, f"--user-data-dir={folder}/profile", "--dump-dom", file.as_uri()]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    [measured] = re.findall(r'<pre id="measured">(.*?)</pre>', ran.stdout, re.DOTALL)
    said = [line for line in ran.stderr.splitlines() if ":CONSOLE" in line]
    return {**json.loads(html.unescape(measured)), "said": said}


if __name__ == "__main__":
    install()
