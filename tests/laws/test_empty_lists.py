"""AWS lists late what is new, and soon no more what goes: no first of a list is taken where the list may be empty."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.laws.test_style import TREES

#: calls that ask AWS
READS = re.compile(r"\b(describe|list|find|read|every|find_all)(_\w+)?$")
#: not empty: what was asked to be made, or what we have written ourselves; and a wait has an answer
SURE = re.compile(r"\bcreate_\w+\(|\bmade\[|\bwait\(|\['Statement'\]$")


def text(node: ast.AST) -> str:
    return ast.unparse(node)


def ancestors(tree: ast.AST) -> dict[ast.AST, ast.AST]:
    return {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}


def firsts(tree: ast.AST) -> Iterator[tuple[ast.AST, ast.expr]]:
    """Each place where the first, the last or the only one of something is taken, and of what."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and text(node.slice) in ("0", "-1"):
            yield node, node.value
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            [target] = node.targets
            if isinstance(target, ast.List | ast.Tuple) and len(target.elts) == 1:
                yield node, node.value


def is_an_answer(whole: ast.AST, function: ast.AST | None) -> bool:
    """Whether it is a list of AWS's, by how it is come by: answer["Tasks"], tasks.find(), or a name for one of these."""
    if isinstance(whole, ast.Subscript):
        return isinstance(whole.slice, ast.Constant) and isinstance(whole.slice.value, str)
    if isinstance(whole, ast.Call):
        return bool(READS.search(text(whole.func)))
    if isinstance(whole, ast.Name) and function:
        given = [value for each in ast.walk(function) for name, value in assigned(each) if name == whole.id]
        return any(is_an_answer(part, None) for value in given for part in ast.walk(value))
    return False


def assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Name and value, of `a = 1` and of `a, b = 1, 2`."""
    if not isinstance(node, ast.Assign):
        return
    for target in node.targets:
        many = isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
        pairs = zip(target.elts, node.value.elts, strict=False) if many else [(target, node.value)]  # type: ignore[attr-defined]
        for each, value in pairs:
            yield from ((inner.id, value) for inner in ast.walk(each) if isinstance(inner, ast.Name))


def is_guarded(node: ast.AST, whole: str, parents: dict[ast.AST, ast.AST]) -> bool:
    """Is the list asked before, in the same expression or statement, or does the function leave where it is empty?"""
    child = node
    while parent := parents.get(child):
        if isinstance(parent, ast.IfExp | ast.If) and child is not parent.test and whole in text(parent.test):
            return True
        if isinstance(parent, ast.BoolOp) and isinstance(parent.op, ast.And):
            before = parent.values[: parent.values.index(child)]  # type: ignore[arg-type]
            if any(whole in text(each) for each in before):
                return True
        loops = getattr(parent, "generators", [])
        if any(whole in text(each) for loop in loops for each in loop.ifs):
            return True
        if isinstance(parent, ast.FunctionDef):
            return any(leaves_where_empty(each, whole) for each in ast.walk(parent))
        child = parent
    return False


def leaves_where_empty(node: ast.AST, whole: str) -> bool:
    if not isinstance(node, ast.If) or not isinstance(node.body[-1], ast.Raise | ast.Return | ast.Continue):
        return False
    tests = node.test.values if isinstance(node.test, ast.BoolOp) else [node.test]
    return any(text(each).startswith(("not ", "len(")) and whole in text(each) for each in tests)


@pytest.mark.parametrize("name", TREES)
def test_no_first_is_taken_of_what_may_be_empty(name: str) -> None:
    parents = ancestors(TREES[name])
    unguarded = [
        f"{node.lineno}: {text(node)}"  # type: ignore[attr-defined]
        for node, whole in firsts(TREES[name])
        if is_an_answer(whole, function_of(node, parents))
        if not SURE.search(text(whole)) and not is_guarded(node, text(whole), parents)
    ]
    assert unguarded == []


def function_of(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> ast.AST | None:
    while node in parents and not isinstance(node, ast.FunctionDef):
        node = parents[node]
    return node


def test_the_law_sees_what_it_is_to_see() -> None:
    """Of these the first four are faults."""
    faults = (
        'def f():\n    return ec2.describe_vpcs()["Vpcs"][0]',
        'def f():\n    found = ec2.describe_vpcs()["Vpcs"]\n    return found[0]',
        "def f():\n    [task] = tasks.describe(arns)",
        "def f():\n    found = tasks.find()\n    return [each for each in found if each][0], found[-1]",
    )
    well = (
        "def f():\n    found = tasks.find()\n    return found[0] if found else None",
        "def f():\n    found = tasks.find()\n    if not found:\n        raise Problem()\n    return found[0]",
        "def f():\n    [one] = elb.create_target_group()['TargetGroups']",
    )
    for code in (*faults, *well):
        tree = ast.parse(code)
        parents = ancestors(tree)
        seen = [
            whole
            for node, whole in firsts(tree)
            if is_an_answer(whole, function_of(node, parents))
            if not SURE.search(text(whole)) and not is_guarded(node, text(whole), parents)
        ]
        assert bool(seen) is (code in faults), code
