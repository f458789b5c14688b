"""The README is true: its commands work in their order, print what it shows, and its table is the code's."""

from __future__ import annotations

import re

from tests.conftest import ROOT
from tests.readme import README, TABLE, played, settings_table, steady


def test_the_commands_print_what_the_readme_shows() -> None:
    assert steady(played()) == steady(README.read_text())


def test_the_table_of_settings_is_that_of_constants() -> None:
    table = TABLE.search(README.read_text())
    assert table
    assert table[0] == settings_table()


def test_every_setting_is_in_the_table_with_a_meaning() -> None:
    names = re.findall(r'setting\(\s*"(\w+)"', (ROOT / "constants.py").read_text())
    rows = {row.split("`")[1]: row for row in settings_table().splitlines()[2:]}
    assert list(rows) == names
    assert [name for name, row in rows.items() if row.rsplit("|", 2)[1].strip() == ""] == []


def test_every_script_is_in_the_readme() -> None:
    low = ("aws.py", "console.py", "dry_run.py", "fresh.py", "service_models.py", "texts.py")
    scripts = {path.name for path in ROOT.glob("*.py")} - {*low, "answers.py", "interrupts.py"}
    text = README.read_text() + (ROOT / "Makefile").read_text()
    assert [script for script in sorted(scripts) if script not in text] == []
