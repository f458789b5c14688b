"""The shape of the project: the mirror, the layers, what is forbidden in the product, and a quick start."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT

FILES = [*sorted(ROOT.glob("*.py")), *sorted((ROOT / "infrastructure").glob("*.py"))]
PRODUCT = {str(path.relative_to(ROOT)): path for path in FILES if path.name != "rehearse.py"}
LOW = ("aws", "console", "constants", "dry_run")
PAGES = [path.stem for path in FILES if path.parent == ROOT and path.stem not in LOW]


def calls(script: str, verb: str) -> list[str]:
    """The modules whose function of this name the script's main function calls, in their order."""
    tree = ast.parse((ROOT / script).read_text())
    [main] = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == script[:-3]]
    found = [node for node in ast.walk(main) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    named = [(node.lineno, node.func) for node in found if isinstance(node.func, ast.Attribute)]
    return [
        func.value.id
        for _, func in sorted(named, key=lambda pair: pair[0])
        if func.attr == verb and isinstance(func.value, ast.Name)
    ]


def imports(name: str) -> set[str]:
    """The first words of what a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(PRODUCT[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


# ------------------------------------------------------------------------------------------------------- the mirror


def test_what_create_makes_delete_takes_away() -> None:
    assert set(calls("create_cluster.py", "create")) <= set(calls("delete_cluster.py", "delete"))


#: what is not deleted in the reverse place of its creation, and why
NOT_MIRRORED = {
    "nat_gateways": "they take minutes, both ways: asked for as early as possible",
    "monitoring": "hosts write to its log groups until they have ended",
    "auto_scaling_group": "AWS can't delete a capacity provider after its group: that is waited for, and the rest asked for",
    "launch_template": "after the group that launches from it",
}


def test_delete_is_create_backwards() -> None:
    created = [module for module in calls("create_cluster.py", "create") if module not in NOT_MIRRORED]
    deleted = [module for module in calls("delete_cluster.py", "delete") if module in created]
    assert deleted == created[::-1]


def test_every_module_that_creates_deletes_side_by_side_and_is_looked_at_in_the_sweep() -> None:
    created = calls("create_cluster.py", "create")
    sweep = (ROOT / "delete_cluster.py").read_text()
    for module in created:
        tree = ast.parse((ROOT / "infrastructure" / f"{module}.py").read_text())
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert {"create", "delete", "left_over"} <= functions, module
        assert module in sweep


# ------------------------------------------------------------------------------------------------------- the layers


@pytest.mark.parametrize("name", PRODUCT)
def test_arrows_go_down_only(name: str) -> None:
    found = imports(name)
    assert not found & {"emulator", "moto", "tests", "rehearse"}
    if name == "constants.py":
        assert not found & {"aws", "console", "infrastructure", "boto3", "botocore"}
    if name.removesuffix(".py") in LOW:
        assert "infrastructure" not in found
    assert not found & set(PAGES)


def test_only_the_rehearsal_of_the_scripts_imports_the_emulator() -> None:
    users = [path.name for path in FILES if re.search(r"^(from|import) emulator", path.read_text(), re.MULTILINE)]
    assert users == ["rehearse.py"]


def test_settings_are_read_in_constants_alone() -> None:
    """But for what belongs to the terminal and to finding a fault."""
    for name, path in PRODUCT.items():
        reads = re.findall(r"os\.environ(?:\.get\(|\[)[\"'](\w+)", path.read_text())
        assert name == "constants.py" or set(reads) <= {"NO_COLOR", "DEBUG"}, name


@pytest.mark.parametrize("page", [page for page in PAGES if page != "rehearse"])
def test_a_page_is_short_and_its_main_function_bears_its_name(page: str) -> None:
    text = (ROOT / f"{page}.py").read_text()
    tree = ast.parse(text)
    assert len(text.splitlines()) <= 200
    assert page in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert 'if __name__ == "__main__":' in text
    assert f"python {page}.py" in (ast.get_docstring(tree) or "")


# ------------------------------------------------------------------------------------------------ what is forbidden

FORBIDDEN = {
    "import *": r"import \*",
    "except Exception": r"except (Base)?Exception\b",
    "a bare except": r"except:",
    "an error that is swallowed": r"except \w+[^\n]*:\n\s+pass\b",
    "print of an error": r"print\((e|err|error|exc)\)",
    "pprint": r"\bpprint\b",
    "latest": r"IMAGE\b.*:latest",
    "a sleep outside the one way to wait": r"time\.sleep\((?!POLL_SECONDS)",
    "os._exit": r"os\._exit",
    "a first match that is taken": r"(describe|list)_\w+\([^)]*\)\[\"\w+\"\]\[0\]",
    "open to the world": r"CidrIp[\"']: [\"']0\.0\.0\.0/0",
}


@pytest.mark.parametrize("pattern", FORBIDDEN.values(), ids=FORBIDDEN)
def test_the_product_has_none_of(pattern: str) -> None:
    assert [name for name, path in PRODUCT.items() if re.search(pattern, path.read_text())] == []


def test_a_client_error_is_caught_for_exact_codes_only() -> None:
    """Each handler raises again what it does not know; the edge in aws.main is the only one that tells all."""
    for name, path in PRODUCT.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ExceptHandler) or "ClientError" not in ast.dump(node.type or ast.Pass()):
                continue
            body = ast.unparse(node)
            assert "raise" in body, f"{name}:{node.lineno}"
            assert "code(error)" in body or "DEBUG" in body, f"{name}:{node.lineno}"


def test_stdout_is_written_in_one_place() -> None:
    """console.result; everything else that is printed goes to stderr."""
    for name, path in PRODUCT.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                assert "stderr" in ast.unparse(node) or name == "console.py", f"{name}:{node.lineno}"


def test_every_constant_is_read() -> None:
    """No dead settings."""
    texts = {name: path.read_text() for name, path in PRODUCT.items()}
    form = re.findall(r"^([A-Z][A-Z_]+) = ", texts["constants.py"], re.MULTILINE)
    everything = "\n".join(texts.values())
    itself = {name: 2 if f'setting("{name}"' in everything or f'"{name}",' in everything else 1 for name in form}
    assert [name for name in form if len(re.findall(rf"\b{name}\b", everything)) <= itself[name]] == []


# ---------------------------------------------------------------------------------------------------------- start-up


@pytest.mark.parametrize("module", ["list_tasks", "create_cluster", "run_task"])
def test_start_up_imports_neither_rich_nor_moto(module: str) -> None:
    code = f"import {module}, sys; print(sorted({{'rich', 'moto', 'emulator', 'requests'}} & set(sys.modules)))"
    environment = {"CLUSTER_NAME": "gpu", "ENV_FILE": "/dev/null", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (ran.stdout.strip(), ran.returncode) == ("[]", 0), ran.stderr
