"""The list of parts, and the laws that hold for each: it is in the list once, and no page's work is ever forgotten."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from tests.conftest import ROOT

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted((ROOT / "infrastructure").rglob("*.py"))
}


def functions(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


def tuples() -> dict[str, list[str]]:
    parts = importlib.import_module("infrastructure.parts")
    return {
        name: [part.__name__ for part in getattr(parts, name)] for name in ("CLUSTER", "SERVICE", "DELIVERY", "WEIGHTS")
    }


# ------------------------------------------------------------------------------------------------------------ the list


def test_each_module_that_creates_is_in_exactly_one_tuple() -> None:
    listed = [name for names in tuples().values() for name in names]
    making = [name for name, path in MODULES.items() if "create" in functions(path)]
    assert sorted(set(listed)) == sorted(listed)
    assert [name for name in making if name not in listed] == []


def test_each_part_deletes_and_tells_what_is_left_side_by_side() -> None:
    for names in tuples().values():
        for name in names:
            assert {"delete", "left_over"} <= functions(MODULES[name]), name


@pytest.mark.parametrize("name", MODULES)
def test_no_setting_is_read_at_import(name: str) -> None:
    """So that a page sees what its environment says when it begins, whoever imported what before."""
    tree = ast.parse(MODULES[name].read_text())
    read = [
        f"{node.lineno}: {ast.unparse(node)}"
        for statement in tree.body
        for node in at_import(statement)
        if (isinstance(node, ast.Attribute) and ast.unparse(node.value) == "constants" and node.attr.isupper())
        or (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) in ("name", "endpoint_name", "tags", "aws.name", "region")
        )
    ]
    assert read == []


def at_import(node: ast.AST) -> list[ast.AST]:
    """What of a statement is worked out when its module is imported: all but the bodies of its functions."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        defaults = [each for each in [*node.args.defaults, *node.args.kw_defaults] if each]
        return [found for each in defaults for found in ast.walk(each)]
    return [node, *(found for child in ast.iter_child_nodes(node) for found in at_import(child))]


# ------------------------------------------------------------------------------------------------- one owner, one verb

#: how the changing methods of boto3 begin that make something new: nothing stands yet that could be another's
MAKING = ("create_", "register_", "request_", "run_", "start_", "allocate_")
READING = (
    *("describe_", "list_", "get_", "head_", "batch_get_", "can_paginate", "search_", "lookup_", "filter_"),
    *("meta", "exceptions", "generate_presigned_url"),
)


def boto3_methods(tree: ast.AST) -> list[tuple[ast.Attribute, ast.AST | None]]:
    """Each mention of a method of a boto3 client, and the call of which it is an argument."""
    clients = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and "client(" in ast.unparse(node.value)
        for target in (node.targets[0].elts if isinstance(node.targets[0], ast.Tuple) else node.targets)
        if isinstance(target, ast.Name)
    }
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (
            (isinstance(node.value, ast.Name) and node.value.id in clients)
            or (isinstance(node.value, ast.Call) and ast.unparse(node.value.func) in ("client", "aws.client"))
        ):
            found.append((node, parents.get(node)))
    return found


FILES = [*MODULES.values(), *(path for path in sorted(ROOT.glob("*.py")) if path.name not in ("aws.py", "rehearse.py"))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_changed_or_deleted_that_was_not_asked_about(path: Path) -> None:
    """Each deleting or changing method of boto3 is called by `call`, with the resource whose owner it asks."""
    wrong = []
    for method, around in boto3_methods(ast.parse(path.read_text())):
        if method.attr.startswith((*READING, *MAKING)) or method.attr == "put_parameter":
            continue
        by_call = isinstance(around, ast.Call) and ast.unparse(around.func) in ("call", "aws.call")
        if not by_call or not any(keyword.arg == "of" for keyword in around.keywords):  # type: ignore[union-attr]
            wrong.append(f"{method.lineno}: {ast.unparse(method)}")
    assert wrong == []


def test_what_bears_no_tags_is_changed_in_few_places() -> None:
    users = {path.stem for path in FILES if "UNTAGGED" in path.read_text()}
    assert users <= {"hosted_zone"}
