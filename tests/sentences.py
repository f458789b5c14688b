"""What the code says of itself, read from its source: pages, settings, and the sentences that end a page."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

from tests.remedies import REMEDIES

SETTING = re.compile(r'((?:^# .*\n)+)^\w+ = \(?\s*setting\(\s*"(\w+)",\s*"([^"]*)"', re.MULTILINE)
#: the head of a group of settings
GROUP = re.compile(r"^# -- (.+)\n", re.MULTILINE)


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def first_of(path: Path) -> str:
    """The first sentence of a module."""
    text = " ".join((ast.get_docstring(tree(path)) or "").split("\n\n")[0].split())
    return re.split(r"(?<=\.)\s", text)[0]


def undo_of(page: Path) -> str:
    """The command that its decorator names."""
    for call in [each for each in ast.walk(tree(page)) if isinstance(each, ast.Call)]:
        if ast.unparse(call.func) == "aws.page":
            found = {each.arg: each.value for each in call.keywords}
            undo = found.get("undo")
            if isinstance(undo, ast.Constant):
                return f"`{undo.value!s}`"
    return ""


# ---------------------------------------------------------------------------------------------------------------------
# Settings
# ---------------------------------------------------------------------------------------------------------------------


def setting_names(root: Path) -> list[str]:
    return re.findall(r'setting\(\s*"(\w+)"', (root / "constants.py").read_text())


def setting_groups(root: Path) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Title of the group -> name, default and meaning of each setting: the comment that stands above it."""
    _, *parts = GROUP.split((root / "constants.py").read_text())
    groups = []
    for title, text in zip(parts[::2], parts[1::2], strict=True):
        rows = [(name, default, comment_text(comment)) for comment, name, default in SETTING.findall(text)]
        groups.append((title.strip(), rows))
    return groups


def comment_text(comment: str) -> str:
    return " ".join(line.removeprefix("# ") for line in comment.splitlines())


def derived_from(source: str) -> dict[str, set[str]]:
    """Each name of constants.py -> the settings of which it is made; a setting itself -> itself."""
    found: dict[str, set[str]] = {}
    for node in ast.parse(source).body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        calls = [each for each in ast.walk(node.value) if isinstance(each, ast.Call)]
        own = {
            ast.literal_eval(each.args[0])
            for each in calls
            if isinstance(each.func, ast.Name) and each.func.id == "setting"
        }
        names = {each.id for each in ast.walk(node.value) if isinstance(each, ast.Name)}
        found[node.targets[0].id] = own | {setting for name in names for setting in found.get(name, ())}
    return found


def may_read(root: Path, pages: list[str], setting: str) -> list[str]:
    """The pages that import, at whatever distance, a module of infrastructure/ that names the setting, or do so themselves."""
    names = {
        name for name, settings in derived_from((root / "constants.py").read_text()).items() if setting in settings
    }
    return [page for page in pages if any(names & read for read in map(names_read, reach(root, root / page)))]


@functools.cache
def names_read(path: Path) -> frozenset[str]:
    found = [each for each in ast.walk(tree(path)) if isinstance(each, ast.Attribute)]
    return frozenset(each.attr for each in found if ast.unparse(each.value) == "constants")


@functools.cache
def reach(root: Path, path: Path) -> frozenset[Path]:
    """The module itself, and those of infrastructure/ that it imports."""
    seen, left = {path}, [path]
    while left:
        for node in ast.walk(tree(left.pop())):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("infrastructure"):
                continue
            folder = root / (node.module or "").replace(".", "/")
            new = {folder.with_suffix(".py"), *(folder / f"{each.name}.py" for each in node.names)}
            left += [each for each in new if each.is_file() and each not in seen]
            seen |= {each for each in new if each.is_file()}
    return frozenset(seen)


# ---------------------------------------------------------------------------------------------------------------------
# The sentences with which a page ends
# ---------------------------------------------------------------------------------------------------------------------


def endings(root: Path) -> list[tuple[str, list[tuple[str, str]]]]:
    """About what -> the sentences of its Problems, with … for what is filled in, and what the code says that they mean."""
    files = [*sorted(root.glob("infrastructure/*/*.py")), *sorted(root.glob("infrastructure/*.py"))]
    files = [*sorted(root.glob("aws/*.py")), *files]
    files = [*sorted(path for path in root.glob("*.py") if path.name not in ("bench.py", "rehearse.py")), *files]
    found = [(title(path), list(dict.fromkeys(of_file(path)))) for path in files]
    return [(about, rows) for about, rows in found if rows]


#: how the clause of a sentence begins that says what to do
VERBS = (
    *(
        "add",
        "ask",
        "build",
        "choose",
        "correct",
        "delete",
        "empty",
        "fetch",
        "for example",
        "give",
        "install",
        "it must be",
    ),
    *(
        "leave",
        "look",
        "lower",
        "make",
        "move",
        "name",
        "open",
        "pass",
        "press",
        "push",
        "put",
        "python",
        "raise",
        "register",
    ),
    *(
        "remove",
        "run",
        "save",
        "say",
        "set",
        "sign in",
        "start",
        "take",
        "to delete",
        "to end",
        "try",
        "use",
        "wait",
        "write",
    ),
)
CLAUSE = re.compile(rf"(?:^|[:;,.] (?:so )?|\bor |\band )((?:{'|'.join(VERBS)})\b.*)", re.IGNORECASE)


def remedy(sentence: str) -> str:
    """What to do: the sentence's own clause; else what tests/remedies.py says of it."""
    if found := CLAUSE.search(sentence):
        return found[1]
    return next((what for piece, what in REMEDIES.items() if is_in(piece, sentence)), "")


def is_in(piece: str, sentence: str) -> bool:
    """A piece that ends with $ is the sentence's end."""
    return sentence.endswith(piece[:-1]) if piece.endswith("$") else piece in sentence


def title(path: Path) -> str:
    return (
        f"`{path.name}`"
        if path.parent.name != "cluster" and "infrastructure" not in str(path.parent)
        else subject(path)
    )


def subject(path: Path) -> str:
    """What a module of infrastructure/ is about: its name, in words."""
    return path.stem.replace("_", " ").capitalize()


def of_file(path: Path) -> Iterator[tuple[str, str]]:
    """Each sentence that a function raises, and the function's own first sentence; or of the module."""
    for function in [each for each in tree(path).body if isinstance(each, ast.FunctionDef)]:
        values = assigned(function)
        why = " ".join((ast.get_docstring(function) or "").split("\n\n")[0].split()) or first_of(path)
        for call in [each for each in ast.walk(function) if isinstance(each, ast.Call)]:
            named = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
            if named in ("Problem", "wrong") and call.args and (text := said(call.args[0], values)).strip("…; :"):
                yield re.sub(r"(…[ ;:,]*){2,}", "… ", text).strip(), why


def assigned(function: ast.FunctionDef) -> dict[str, ast.expr]:
    """What the function's names stand for, where that is a text."""
    found: dict[str, ast.expr] = {}
    for node in [each for each in ast.walk(function) if isinstance(each, ast.Assign)]:
        for target in node.targets:
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=False))
            found |= {name.id: value for name, value in pairs if isinstance(name, ast.Name)}
    return {name: value for name, value in found.items() if isinstance(value, ast.Constant | ast.JoinedStr | ast.BinOp)}


def said(node: ast.expr, values: dict[str, ast.expr]) -> str:
    """A text with … for what only a run knows."""
    if isinstance(node, ast.Constant):
        return str(node.value).replace("\n", " ").replace("|", "/")
    if isinstance(node, ast.JoinedStr):
        return "".join(said(each, values) for each in node.values)
    if isinstance(node, ast.FormattedValue):
        return said(node.value, values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return said(node.left, values) + said(node.right, values)
    if isinstance(node, ast.Name) and node.id in values:
        return said(values[node.id], {name: value for name, value in values.items() if name != node.id})
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("aws.command", "command") and node.args:
        return f"python {said(node.args[0], values)}"
    return "…"
