"""The folder that an image is built of: its files without what .dockerignore names, their hash, and one zip of them.

The same files make the same tag, on every machine. .git is never among them, nor .env: into it the image's name goes.
https://docs.docker.com/build/concepts/context/#dockerignore-files
"""

import hashlib
import os
import re
import subprocess
import zipfile
from pathlib import Path
from typing import NamedTuple

import aws
from aws import Problem
from console import say

SETTINGS = ".env"


class Context(NamedTuple):
    folder: Path
    dockerfile: str  # its path from the folder
    files: list[str]  # paths from the folder, with / on every machine


def find(dockerfile: str) -> Context:
    """A folder with a Dockerfile; or a Dockerfile, whose context is the current folder, or its own where it lies outside."""
    path = Path(dockerfile or ".").expanduser().resolve()
    folder = path if path.is_dir() else Path.cwd()
    path = path / "Dockerfile" if path.is_dir() else path
    if not path.is_file():
        told = f"--dockerfile {dockerfile or '.'}: there is no file {path}"
        raise Problem(f"{told}: name a Dockerfile, or a folder with one", None, aws.WRONG_SETTING)
    folder = folder if path.is_relative_to(folder) else path.parent
    return Context(folder, path.relative_to(folder).as_posix(), files(folder, path.relative_to(folder).as_posix()))


def files(folder: Path, dockerfile: str) -> list[str]:
    ignore = folder / ".dockerignore"
    rules = read_rules(ignore.read_text() if ignore.is_file() else "")
    found = []
    for parent, folders, names in os.walk(folder):
        below = Path(parent).relative_to(folder)
        folders[:] = [each for each in sorted(folders) if each != ".git" and may_hold(below / each, rules)]
        for each in [each for each in folders if (Path(parent) / each).is_symlink()]:
            say("warning", f"{(below / each).as_posix()} is a link to a folder:", "what is behind it is not sent")
        sent = [name for name in names if name != SETTINGS and (Path(parent) / name).is_file()]
        paths = [(below / name).as_posix() for name in sent]
        found += [path for path in paths if path == dockerfile or not is_ignored(path, rules)]
    return sorted(found)


def warn_of_settings(folder: Path) -> None:
    """A tool of this machine reads the folder itself."""
    ignore = folder / ".dockerignore"
    rules = read_rules(ignore.read_text() if ignore.is_file() else "")
    if (folder / SETTINGS).is_file() and not is_ignored(SETTINGS, rules):
        say(
            "warning",
            f"{folder / SETTINGS} is sent to the build:",
            f"a COPY of all takes it along; name it in {ignore.name}",
        )


def read_rules(text: str) -> list[tuple[bool, re.Pattern[str]]]:
    """(whether it ignores, what it matches), the last that matches counts. What it names it names with all below it."""
    rules = []
    for line in text.splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        ignores = not pattern.startswith("!")
        parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^]]*\])", os.path.normpath(pattern.lstrip("!").strip()).lstrip("/"))
        rules.append((ignores, re.compile("".join(map(as_regex, parts)) + r"(?:/.*)?", re.DOTALL)))
    return rules


def as_regex(part: str) -> str:
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return known.get(part) or (part.replace("[^", "[^/") if part.startswith("[") else re.escape(part))


def is_ignored(path: str, rules: list[tuple[bool, re.Pattern[str]]]) -> bool:
    return next((ignores for ignores, pattern in reversed(rules) if pattern.fullmatch(path)), False)


def may_hold(folder: Path, rules: list[tuple[bool, re.Pattern[str]]]) -> bool:
    """Whether to look into it: an ignored one may hold exceptions."""
    return not is_ignored(folder.as_posix(), rules) or any(not ignores for ignores, _ in rules)


def tag(context: Context, platform: str) -> str:
    """The commit, where git knows it and nothing has changed since, and a hash of all that goes into the build."""
    whole = hashlib.sha256(f"{context.dockerfile}\n{platform}\n".encode())
    for path in context.files:
        file = context.folder / path
        content = hashlib.sha256()
        with file.open("rb") as opened:
            while part := opened.read(1 << 20):
                content.update(part)
        whole.update(f"{path}\0{bool(file.stat().st_mode & 0o100)}\0{content.hexdigest()}\n".encode())
    commit = committed(context.folder)
    return f"{commit}-{whole.hexdigest()[:8]}" if commit else f"folder-{whole.hexdigest()[:12]}"


def committed(folder: Path) -> str:
    """The commit that the folder is; empty where git is not there, knows no commit, or sees changes."""
    told = []
    for words in (("rev-parse", "--short=12", "HEAD"), ("status", "--porcelain", "--", ".")):
        try:
            ran = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=False)
        except OSError:
            return ""
        if ran.returncode:
            return ""
        told.append(ran.stdout.strip())
    commit, changes = told
    return "" if changes else commit


def zip_into(context: Context, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as zipped:
        for path in context.files:
            zipped.write(context.folder / path, path)
