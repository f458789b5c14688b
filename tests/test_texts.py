"""A file such as .env says what it says: nothing is expanded, nothing lost without a word, and nothing ends in a traceback."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import texts
from tests.conftest import ROOT, Runbook

#: what an editor may save -> what is told of it; "" where it is read
SAVED = {
    "UTF-8": (b"CLUSTER_NAME=gpu\n", ""),
    "UTF-8 with its mark": (b"\xef\xbb\xbfCLUSTER_NAME=gpu\n", ""),
    "Windows's lines": (b"CLUSTER_NAME=gpu\r\nIMAGES_KEPT=5\r\n", ""),
    "the lines of an old Mac": (b"CLUSTER_NAME=gpu\rIMAGES_KEPT=5\r", ""),
    "UTF-16": ("CLUSTER_NAME=gpu\r\n".encode("utf-16"), ""),
    "UTF-16 the other way round": (b"\xfe\xff" + "CLUSTER_NAME=gpu\n".encode("utf-16-be"), ""),
    "no line end": (b"CLUSTER_NAME=gpu", ""),
    "as a shell has it": (b"export CLUSTER_NAME='gpu' # the first\n", ""),
    "UTF-16 without its mark": ("CLUSTER_NAME=gpu\n".encode("utf-16-le"), ".env: can't be read: it holds NUL"),
    "UTF-32": ("CLUSTER_NAME=gpu\n".encode("utf-32"), ".env: can't be read: it holds NUL"),
    "Latin-1": (b"CLUSTER_NAME=gpu\nCOMMAND=caf\xe9\n", ".env: can't be read: 'utf-8' codec can't decode byte 0xe9"),
    "half of UTF-16": (b"\xff\xfeC", ".env: can't be read: 'utf-16-le' codec can't decode"),
    "no equals sign": (b"CLUSTER_NAME=gpu\n\nWAIT\n", ".env: line 3 is not NAME=value: 'WAIT'"),
    "an open quote": (
        b"CLUSTER_NAME=gpu\nCOMMAND='sh\n",
        ".env: line 2 is not NAME=value: 'COMMAND'; a text that begins",
    ),
    "more than what is quoted": (
        b'COMMAND="nvidia-smi" -L\nCLUSTER_NAME=gpu\n',
        ".env: line 1 is not NAME=value: 'COMMAND'",
    ),
    "a binary": (bytes(range(256)), ".env: can't be read: "),
}


@pytest.fixture
def folder(runbook: Runbook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runbook:
    """A working directory without a file, and an environment without settings."""
    monkeypatch.chdir(tmp_path)
    runbook.settings = {"ENV_FILE": "(unset)"}
    return runbook


def seen(runbook: Runbook, **settings: str) -> Any:
    """The settings as a script sees them."""
    ran = runbook.run("list_tasks.py", **settings)
    assert ran.code == 1, ran.err  # there is no cluster
    return constants()


def constants() -> Any:
    return importlib.import_module("constants")


def told(runbook: Runbook, **settings: str) -> list[str]:
    return runbook.run("list_tasks.py", **settings).err.splitlines()


@pytest.mark.parametrize(("data", "sentence"), SAVED.values(), ids=SAVED)
def test_a_file_is_read_or_told_however_it_was_saved(folder: Runbook, data: bytes, sentence: str) -> None:
    Path(".env").write_bytes(data)
    ran = folder.run("list_tasks.py")
    assert (ran.code, sentence in ran.err) == (2 if sentence else 1, True), ran.err
    assert not sentence or not folder.emulator.calls
    assert sentence or "cluster gpu" in ran.err.splitlines()[0]


#: texts that stand in a file as they would in the environment
AS_THEY_STAND = (
    "sh -c 'echo ${HOME} $HOME $(id) `id`'",
    'sh -c "nvidia-smi; sleep infinity"',
    "echo a#b#c",
    "#echo",
    "echo =a=b=",
    r"echo a\nb \\ \$x",
    "echo ~ * ? [a-z]",
    "echo é 漢 😀",
    "echo 100%; echo !!",
    '["sh", "-c", "echo \\"${X}\\"# no comment"]',
)


@pytest.mark.parametrize("text", AS_THEY_STAND)
def test_a_text_means_the_same_in_a_file_and_in_the_environment(folder: Runbook, text: str) -> None:
    in_environment = seen(folder, CLUSTER_NAME="gpu", COMMAND=text).COMMAND
    Path(".env").write_text(f"CLUSTER_NAME=gpu\nCOMMAND={text}\n")
    assert in_environment == seen(folder).COMMAND
    assert "warning" not in " ".join(told(folder))


#: what stands in a file, what is read of it, and what is told
ODD = {
    "a comment": (
        "COMMAND=echo a #b",
        ["echo", "a"],
        "line 2: COMMAND ends before the #, which begins a comment there",
    ),
    "nothing but a comment": ("COMMAND= # none", [], "line 2: COMMAND ends before the #"),
    "an escape": (r'COMMAND="echo a\tb"', ["echo", "a", "b"], "line 2: COMMAND has an escape in its quotes"),
    "an escape of itself": (r"COMMAND='echo a\\b'", ["echo", "ab"], "line 2: COMMAND has an escape in its quotes"),
    "twice": ("COMMAND=a\n\nCOMMAND=b", ["b"], "line 4: COMMAND is there twice; the last counts"),
}


@pytest.mark.parametrize(("line", "words", "sentence"), ODD.values(), ids=ODD)
def test_what_becomes_of_a_line_that_does_not_stand_there_letter_by_letter_is_told(
    folder: Runbook, line: str, words: list[str], sentence: str
) -> None:
    Path(".env").write_text(f"CLUSTER_NAME=gpu\n{line}\n")
    assert words == seen(folder).COMMAND
    [_, second, *_] = told(folder)
    assert second.startswith(f"warning .env, {sentence}"), second


def test_quotes_keep_what_would_begin_a_comment_and_that_is_not_told(folder: Runbook) -> None:
    Path(".env").write_text("CLUSTER_NAME=gpu\nCOMMAND='echo \"a #b\"' # a comment\n")
    assert seen(folder).COMMAND == ["echo", "a #b"]
    assert [line for line in told(folder) if "COMMAND" in line] == []


# ------------------------------------------------------------------------------------------------------- which file


def test_the_file_beside_the_scripts_comes_before_the_one_in_the_working_directory(tmp_path: Path) -> None:
    """Told by copies of the two modules, since no test writes beside the scripts."""
    scripts, elsewhere = tmp_path / "scripts", tmp_path / "elsewhere"
    for made in (scripts, elsewhere):
        made.mkdir()
    for module in ("constants.py", "texts.py"):
        shutil.copy(ROOT / module, scripts)

    def told(**environment: str) -> list[str]:
        code = "import constants as c; print(c.CLUSTER_NAME, c.files(), *c.ODD, sep='\\n')"
        environment |= {"PYTHONPATH": str(scripts), "CLUSTER_NAME": environment.get("CLUSTER_NAME", "")}
        given = {name: text for name, text in environment.items() if text}
        ran = subprocess.run([sys.executable, "-c", code], env=given, cwd=elsewhere, capture_output=True, check=False)
        return ran.stdout.decode().splitlines()

    assert told(CLUSTER_NAME="gpu") == ["gpu", "of no file"]
    (elsewhere / ".env").write_text("CLUSTER_NAME=here\n")
    assert told() == ["here", ".env"]
    (scripts / ".env").write_text("CLUSTER_NAME=beside\n")
    not_read = f".env in the working directory is not read, since there is {scripts}/.env; ENV_FILE=.env takes it"
    assert told() == ["beside", f"{scripts}/.env", not_read]
    assert told(ENV_FILE=".env") == ["here", ".env"]
    (elsewhere / ".env").unlink()
    (elsewhere / ".env").symlink_to(scripts / ".env")
    assert told() == ["beside", f"{scripts}/.env"]


def test_no_file_of_a_folder_above_is_read(folder: Runbook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("CLUSTER_NAME=above\n")
    Path("below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert "CLUSTER_NAME: is not set" in told(folder)[0]
    assert told(folder, CLUSTER_NAME="gpu")[0].endswith("settings of no file")


def test_a_folder_of_that_name_is_no_file(folder: Runbook) -> None:
    """Some keep a virtual environment in .env/."""
    Path(".env").mkdir()
    assert told(folder, CLUSTER_NAME="gpu")[0].endswith("settings of no file")


@pytest.mark.parametrize("name", ["ENV_FILE", "GPU_ECS_ENV_FILE"])
@pytest.mark.parametrize("path", ["not/there.env", "/", "x" * 5000, "\udcff"])
def test_a_file_that_is_named_must_be_there(folder: Runbook, name: str, path: str) -> None:
    Path(".env").write_text("CLUSTER_NAME=gpu\n")
    ran = folder.run("list_tasks.py", CLUSTER_NAME="gpu", **{name: path})
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert ran.err.startswith("ENV_FILE: ") and ran.err.endswith("there is no such file\n")
    assert not folder.emulator.calls


def test_a_file_that_may_not_be_read_is_told(folder: Runbook, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    Path(".env").write_text("CLUSTER_NAME=gpu\n")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert told(folder)[0] == ".env: can't be read: Permission denied; save it as text in UTF-8"


# ------------------------------------------------------------------------------------------- what else stands in it


def test_the_aws_names_of_a_file_are_what_they_are_in_the_environment(folder: Runbook, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[profile ours]\nregion = eu-west-1\n")
    Path(".env").write_text(
        "CLUSTER_NAME=gpu\nAWS_PROFILE=ours\nAWS_CONFIG_FILE=config\nAWS_ENDPOINT_URL_ECS=http://127.0.0.1:1\n"
    )
    first = told(folder, AWS_REGION="(unset)")[0]
    assert "region eu-west-1" in first and "at http://127.0.0.1:1" in first
    assert "AWS_PROFILE" not in os.environ
    assert "region us-east-1" in told(folder)[0]
    assert "at http://localhost:2" in told(folder, AWS_ENDPOINT_URL_ECS="http://localhost:2")[0]


def test_a_sign_in_is_of_one_place(folder: Runbook, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key of the environment with a session token of the file would be no one's."""
    Path(".env").write_text("CLUSTER_NAME=gpu\nAWS_ACCESS_KEY_ID=a\nAWS_SECRET_ACCESS_KEY=b\nAWS_SESSION_TOKEN=c\n")
    assert seen(folder).LENT == {}
    absent = {"AWS_ACCESS_KEY_ID": "(unset)", "AWS_SECRET_ACCESS_KEY": "(unset)"}
    whole = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"}
    assert whole == seen(folder, **absent).LENT
    folder.run("list_tasks.py", **absent, AWS_PROFILE="ours")
    assert constants().LENT == {}


def test_variables_of_the_container_may_be_in_a_file_of_their_own(folder: Runbook) -> None:
    Path(".env").write_text("CLUSTER_NAME=gpu\nCONTAINER_ENVIRONMENT_FILE=main.env\nCONTAINER_ENVIRONMENT=MODE=fast\n")
    Path("main.env").write_text('CONFIG=\'{"url": "http://x/?a=1", "opts": "k=v"}\'\nEMPTY=\n')
    found = seen(folder).CONTAINER_ENVIRONMENT
    assert found == {"CONFIG": '{"url": "http://x/?a=1", "opts": "k=v"}', "EMPTY": "", "MODE": "fast"}
    Path("main.env").write_text("MODE=slow\n")
    assert told(folder) == ["CONTAINER_ENVIRONMENT: has MODE, which CONTAINER_ENVIRONMENT_FILE has too"]
    Path("main.env").write_text("a-b=1\n")
    assert told(folder) == [
        "CONTAINER_ENVIRONMENT_FILE: 'main.env' names 'a-b', which is no name of an environment variable"
    ]
    Path("main.env").unlink()
    assert told(folder) == ["CONTAINER_ENVIRONMENT_FILE: 'main.env' is not there: there is no file main.env"]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "examples").rglob("*.env")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_an_example_has_nothing_wrong_or_odd_in_it(path: Path) -> None:
    found = texts.lines(path)
    assert (found.wrong, found.odd) == ([], []) and found.texts
