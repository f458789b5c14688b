"""README.md and docs/ are true: commands work in their order, print what is shown, and tables are the code's."""

from __future__ import annotations

import ast
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import aws
from aws import interrupts
from emulator.core import services
from emulator.core.doors import DOORS
from emulator.server import serve
from tests import drawn, policies, sentences
from tests.conftest import ROOT, Runbook
from tests.documents import DOCUMENTS, MAKERS, SETTINGS, Record, account_settings, pages, played, steady
from tests.remedies import REMEDIES

README = ROOT / "README.md"
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")
TEXTS = {path: path.read_text() for path in DOCUMENTS}


def test_the_commands_print_what_is_shown_and_the_tables_and_pictures_are_the_code_s() -> None:
    """And what show_policy.py shows is enough for all of it, no action is too many, and it reaches nothing of a stranger's.
    The walks of all documents take twenty seconds, so it is judged here."""
    record = Record()
    texts = played(record)
    assert policies.refused(record.asked) == []
    assert policies.needless(record.asked) == set()
    assert policies.reached(record.asked) == policies.UNLIMITED.keys()
    for path, text in texts.items():
        assert steady(text) == steady(path.read_text()), f"{path.name}: python -m tests.documents writes it anew"
    assert {*record.pictures} == {*drawn.EXAMPLES}
    for example, picture in record.pictures.items():
        shown = (drawn.FOLDER / f"{example}.svg").read_text()
        assert picture == shown, f"{example}.svg: python -m tests.documents draws it anew"


def test_the_readme_is_short() -> None:
    assert len(TEXTS[README].splitlines()) <= 250


def test_each_document_is_linked_and_each_link_leads_somewhere() -> None:
    reached = set()
    for path, text in TEXTS.items():
        for link in LINK.findall(text):
            assert (path.parent / link).exists(), f"{path.name}: {link}"
            reached.add((path.parent / link).resolve())
    assert {path for path in DOCUMENTS if path != README} <= reached


def test_each_setting_has_a_meaning_and_a_reader() -> None:
    rows = {row.split("`")[1]: row.split(" | ") for row in TEXTS[SETTINGS].splitlines() if row.startswith("| `")}
    assert [*rows] == sentences.setting_names(ROOT)
    assert [name for name, cells in rows.items() if not cells[2].strip() or not cells[3].strip(" |")] == []


def test_each_page_is_in_the_readme_as_what_does_or_what_undoes() -> None:
    assert [page for page in pages() if page not in TEXTS[README]] == []


@pytest.mark.parametrize("page", pages())
def test_each_sentence_with_which_a_page_ends_is_explained(page: str) -> None:
    """By the module that says it, or the function."""
    told = (ROOT / "docs" / "troubleshooting.md").read_text()
    for path in sentences.reach(ROOT, ROOT / page):
        for sentence, why in sentences.of_file(path):
            assert f"| `{sentence}` | {why} | {sentences.remedy(sentence)} |" in told
            assert sentences.remedy(sentence), sentence


@pytest.mark.parametrize("page", pages())
def test_help_names_settings_undo_exit_codes_and_an_example(page: str, runbook: Runbook) -> None:
    ran = runbook.run(page, "--help")
    rows = [row.strip("| ").split(" | ") for row in TEXTS[SETTINGS].splitlines() if row.startswith("| `")]
    read = {row[0].strip("`") for row in rows if {page.removesuffix(".py"), "every page"} & {*row[3].split(", ")}}
    settings = ran.out.partition("settings: ")[2].partition("each is explained")[0]
    assert ran.code == 0
    assert read == set(re.findall(r"\w+", settings)) != set()
    assert f"python {page}" in ran.out
    assert "exit: 0 done" in ran.out
    undo = sentences.undo_of(ROOT / page).strip("`")
    assert not undo or f"undo: python {undo}" in ran.out


def test_each_remedy_is_asked_for() -> None:
    said = {sentence for _, rows in sentences.endings(ROOT) for sentence, _ in rows}
    assert [piece for piece in REMEDIES if not any(sentences.is_in(piece, each) for each in said)] == []


def test_what_is_made_has_a_maker_and_no_maker_is_idle() -> None:
    asked = {name for text in TEXTS.values() for name in re.findall(r"<!-- made: (\w+)", text)}
    assert asked == MAKERS.keys()


def test_each_door_of_the_emulator_and_each_property_says_what_it_does() -> None:
    services.load()
    assert [where for where, what in DOORS.items() if not getattr(what, "args", (what,))[0].__doc__] == []
    world = (
        (ROOT / "emulator" / "core" / "world.py").read_text().partition("class Settings")[2].partition("\nclass ")[0]
    )
    assert account_settings(Record()).count("| `") == len(re.findall(r"^    \w+: ", world, re.MULTILINE))


def test_scripts_that_a_text_names_are_there() -> None:
    there = {path.name for path in [*ROOT.glob("*.py"), *ROOT.rglob("emulator/**/*.py"), *ROOT.rglob("tests/**/*.py")]}
    there |= {path.name for folder in ("aws", "infrastructure", "benchmark") for path in (ROOT / folder).rglob("*.py")}
    named = {
        name for text in TEXTS.values() for name in re.findall(r"(?<![\w/])\w+\.py\b", text)
    }  # others' are in links
    assert named - there == {"train.py"}  # the reader's own


def test_the_python_of_the_documents_works_in_any_directory(tmp_path: Path) -> None:
    """As a user has it who has installed the checkout."""
    with serve() as (url, _):
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "emulator",
            "AWS_SECRET_ACCESS_KEY": "emulator",
            "AWS_REGION": "us-east-1",
            "POLL_SECONDS": "0.05",
            "EFS_DNS_SECONDS": "0",
            "ENV_FILE": "/dev/null",
        }
        command = [sys.executable, "-m", "doctest", "-o", "IGNORE_EXCEPTION_DETAIL", str(ROOT / "docs" / "pages.md")]
        ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_each_request_to_the_emulator_that_is_shown_is_answered() -> None:
    lines = [line for line in TEXTS[ROOT / "docs" / "emulator.md"].splitlines() if line.startswith("curl ")]
    assert lines
    with serve() as (url, _):
        for line in lines:
            _, where, _, data = shlex.split(line)
            request = urllib.request.Request(where.replace("$AWS_ENDPOINT_URL", url), data.encode())
            with urllib.request.urlopen(request) as answer:
                assert answer.status == 200, line


def test_the_exit_codes_are_those_of_the_code() -> None:
    table = TEXTS[ROOT / "docs" / "pages.md"].partition("## Exit codes")[2].partition("## ")[0]
    told = [int(code) for cell in re.findall(r"^\| (\d[\d, ]*) \|", table, re.MULTILINE) for code in cell.split(", ")]
    ends = [aws.DONE, aws.FAILED, aws.WRONG_SETTING, aws.NOT_READY, aws.TASK_FAILED]
    assert sorted(told) == sorted([*ends, *(128 + number for number in (signal.SIGINT, *interrupts.LISTENED))])


def test_each_script_is_a_module_of_the_installed_package() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    listed = {
        name: ast.literal_eval(found) for name, found in re.findall(r"^(packages|py-modules) = (\[[^]]*\])", text, re.M)
    }
    there = {path.stem for path in ROOT.glob("*.py")} - {"bench", "rehearse"}
    assert set(listed["py-modules"]) == there
    product = [path for folder in ("aws", "infrastructure") for path in (ROOT / folder).rglob("__init__.py")]
    packages = {str(path.parent.relative_to(ROOT)).replace("/", ".") for path in product}
    assert set(listed["packages"]) == packages
