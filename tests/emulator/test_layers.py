"""The law of the emulator's packages: imports go one way, and stand where one sees them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import emulator
from emulator.core import services

ROOT = Path(emulator.__file__).parent
#: module -> what it may import inside a function: big libraries only, that would hold up every start. None so far.
DEFERRED: dict[str, set[str]] = {}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {name_of(path): ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}
PACKAGES = {name_of(path) for path in ROOT.rglob("__init__.py")}


def imported(tree: ast.AST) -> Iterator[str]:
    """The full names of what is imported anywhere in a tree, modules by their own name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            inner = (f"{node.module}.{each.name}" for each in node.names)
            yield from {one if one in TREES else str(node.module) for one in inner}


MODULES = {module: {one for one in imported(tree) if one in TREES} for module, tree in TREES.items()}


def package(module: str) -> str:
    """The package under emulator that a module is in; of those at the top, each for itself."""
    return ".".join(module.split(".")[:2])


def order(graph: dict[str, set[str]]) -> None:
    """Fails with the circle, if there is one."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(error.args[1])}")


def test_modules_do_not_import_in_circles() -> None:
    order(MODULES)


def test_packages_do_not_import_in_circles() -> None:
    graph: dict[str, set[str]] = {}
    for module, others in MODULES.items():
        graph.setdefault(package(module), set()).update({package(one) for one in others} - {package(module)})
    order(graph)


def test_the_core_knows_no_service_and_a_service_nothing_above_it() -> None:
    for module, others in MODULES.items():
        if package(module) == "emulator.core":
            assert {package(one) for one in others} <= {"emulator", "emulator.core"}, module
        elif package(module) in PACKAGES - {"emulator"}:
            assert {package(one) for one in others} <= PACKAGES - {"emulator"}, module


def test_a_package_itself_imports_nothing() -> None:
    """Else the import of one module in it would be an import of them all, and circles could hide there."""
    assert not [name for name in PACKAGES if set(imported(TREES[name])) - {"__future__"}]


def test_no_import_hides_in_a_function() -> None:
    for module, tree in TREES.items():
        functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
        hidden = {one for function in functions for one in imported(function)}
        assert hidden <= DEFERRED.get(module, set()), module
        assert not any(one.startswith("emulator") for one in hidden), module


def test_no_service_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {f"emulator.{name}" for name in (*emulator.SERVICES, "core")} == PACKAGES - {"emulator"}
    monkeypatch.setattr(emulator, "SERVICES", emulator.SERVICES[:-1])
    with pytest.raises(ImportError, match=r"front_door"):
        services.load.__wrapped__()
