"""The shape of the project: the mirror, the layers, what is forbidden in the product, and a quick start."""

from __future__ import annotations

import ast
import graphlib
import importlib
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT

FILES = [
    *sorted(ROOT.glob("*.py")),
    *(path for each in ("aws", "infrastructure") for path in sorted((ROOT / each).rglob("*.py"))),
]
#: for developers: no pages, and no part of what a user runs
TOOLS = ("bench.py", "rehearse.py")
PRODUCT = {str(path.relative_to(ROOT)): path for path in FILES if path.name not in TOOLS}
TREES = {name: ast.parse(path.read_text()) for name, path in PRODUCT.items()}
LOW = ("console", "constants", "definition", "definition_file", "texts")
PAGES = [path.stem for path in FILES if path.parent == ROOT and path.stem not in LOW]
#: the dotted name of a module, by its file
MODULES = {name: name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in PRODUCT}


def calls(script: str, *verbs: str) -> list[tuple[str, str]]:
    """Module and verb of each of these functions that the script's main function calls, in their order."""
    [main] = [node for node in TREES[script].body if isinstance(node, ast.FunctionDef) and node.name == script[:-3]]
    found = [node for node in ast.walk(main) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    named = [(node.lineno, node.func) for node in found if isinstance(node.func, ast.Attribute)]
    return [
        (func.value.id, func.attr)
        for _, func in sorted(named, key=lambda pair: pair[0])
        if func.attr in verbs and isinstance(func.value, ast.Name)
    ]


def created(script: str) -> list[str]:
    return [module for module, _ in calls(script, "create")]


def deleted(script: str) -> list[str]:
    """The modules in the order in which they are gone: one that is asked to end, and waited for later, counts there.

    A group of hosts holds nothing any more when its hosts are terminated.
    """
    verbs = ("delete", "wait_deleted", "wait_terminated")
    found = calls(script, *verbs)
    counts = {each: max((verb for module, verb in found if module == each), key=verbs.index) for each, _ in found}
    return [module for module, verb in found if counts[module] == verb]


def needed(script: str) -> set[tuple[str, str]]:
    """Each module whose `create` is handed what another one's has made, and that other one."""
    [main] = [node for node in TREES[script].body if isinstance(node, ast.FunctionDef) and node.name == script[:-3]]
    made: dict[str, str] = {}
    found = set()
    for node in ast.walk(main):
        call = node.value if isinstance(node, ast.Assign | ast.Expr) else None
        if not isinstance(call, ast.Call) or not ast.unparse(call.func).endswith(".create"):
            continue
        module = ast.unparse(call.func).removesuffix(".create")
        handed = [each.id for each in ast.walk(call) if isinstance(each, ast.Name)]
        found |= {(module, made[name]) for name in handed if name in made}
        if isinstance(node, ast.Assign):
            made |= {ast.unparse(target): module for target in node.targets}
    return found


def functions(module: str) -> set[str]:
    """Those of the one file of infrastructure/ that bears this name."""
    [tree] = [TREES[name] for name in PRODUCT if name.endswith(f"/{module}.py")]
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def imports(name: str) -> set[str]:
    """What a file imports, by dotted names: the product's modules whole, of others the first word."""
    found: set[str] = set()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (whole & set(MODULES.values())) or {node.module}
    return {each if each in MODULES.values() else each.split(".")[0] for each in found}


# ------------------------------------------------------------------------------------------------------- the mirror


#: the page that makes -> those that take away what it made
UNDONE_BY = {
    "create_cluster.py": ("delete_cluster.py",),
    "register_task_definition.py": ("deregister_task_definition.py", "delete_endpoint.py"),
    "create_service.py": ("delete_service.py", "delete_endpoint.py"),
    "create_pipeline.py": ("delete_pipeline.py", "delete_endpoint.py"),
    "sync_weights.py": ("delete_sync.py", "delete_endpoint.py"),
    "copy_data.py": ("delete_copy.py", "delete_endpoint.py"),
}
#: what all endpoints use goes with the cluster
SHARED = {"connection"}


@pytest.mark.parametrize(
    ("create", "delete"),
    [(page, undo) for page, undos in UNDONE_BY.items() for undo in undos if page != "create_cluster.py"],
)
def test_delete_is_create_backwards(create: str, delete: str) -> None:
    made = [module for module in created(create) if module not in SHARED]
    assert made, create
    assert [module for module in deleted(delete) if module in made] == made[::-1]


def test_the_deletion_of_the_cluster_is_its_creation_backwards() -> None:
    """What is slow is asked for first, in both; so only this is backwards: what uses a thing is gone before the thing."""
    gone = deleted("delete_cluster.py")
    assert [module for module in created("create_cluster.py") if gone.count(module) != 1] == []
    pairs = needed("create_cluster.py")
    assert {
        ("auto_scaling_group", "network"),
        ("mount_targets", "file_system"),
        ("capacity", "auto_scaling_group"),
    } < pairs
    assert [(user, used) for user, used in sorted(pairs) if gone.index(user) > gone.index(used)] == []


def test_what_endpoints_share_goes_with_the_cluster() -> None:
    assert set(deleted("delete_cluster.py")) >= SHARED


def test_what_is_only_asked_to_end_is_waited_for() -> None:
    for script in {undo for undos in UNDONE_BY.values() for undo in undos}:
        for module in deleted(script):
            waited = (module, "wait_deleted") in calls(script, "wait_deleted")
            assert waited is ("wait_deleted" in functions(module)), f"{script}: {module}"


def test_every_module_that_creates_deletes_side_by_side_and_is_looked_at_in_the_sweep() -> None:
    swept = {part.__name__.rpartition(".")[2] for part in importlib.import_module("infrastructure.parts").ALL}
    for script in UNDONE_BY:
        for module in created(script):
            assert {"create", "delete", "left_over"} <= functions(module), module
            assert module in swept
    assert "clean_up.rounds(parts.ALL" in PRODUCT["delete_cluster.py"].read_text()


# ------------------------------------------------------------------------------------------------------- the layers

#: from below; a module imports what is below it, and in a folder its neighbours
LAYERS = (
    *(
        "texts",
        "definition_file",
        "constants",
        "definition",
        "console",
        "aws.interrupts",
        "aws.service_models",
        "aws.definition_model",
        "aws.answers",
        "aws.clock",
        "aws.dry_run",
        "aws.fresh",
    ),
    *("aws.failures", "aws.looks", "aws.clients", "aws.ownership", "aws.calls", "aws.pages", "aws"),
    *("infrastructure", "infrastructure.cluster", "infrastructure.service", "infrastructure.preflight"),
    *("infrastructure.delivery", "infrastructure.weights", "infrastructure.parts", "infrastructure.endpoints"),
    *("infrastructure.clean_up", "infrastructure.picture"),
)
#: the pages that use another one
USERS_OF_PAGES = {"create_cluster": {"delete_cluster"}, "delete_cluster": {"delete_endpoint"}}


def layer(module: str) -> int:
    """Pages are above all."""
    return LAYERS.index(module if module in LAYERS else module.rpartition(".")[0]) if module not in PAGES else 99


@pytest.mark.parametrize("name", PRODUCT)
def test_arrows_go_down_only(name: str) -> None:
    found, module = imports(name), MODULES[name]
    assert not found & {"emulator", "moto", "tests", "rehearse", "bench", "benchmark"}
    if name in ("constants.py", "definition.py", "definition_file.py", "texts.py"):
        assert not found & {"boto3", "botocore"}
    assert found & set(PAGES) == USERS_OF_PAGES.get(module, set())
    for other in found & set(MODULES.values()) - set(PAGES):
        neighbours = module.rpartition(".")[0] == other.rpartition(".")[0] not in ("", "infrastructure")
        assert layer(other) < layer(module) or neighbours, other


@pytest.mark.parametrize("page", [page for page in PAGES if f"{page}.py" not in TOOLS])
def test_a_page_imports_aws_before_what_takes_long(page: str) -> None:
    """So that a Ctrl-C is quiet from there on: aws/interrupts.py."""
    assert not imports(f"{page}.py") & {"boto3", "botocore", "dotenv", "rich"}
    body = [node for node in TREES[f"{page}.py"].body if isinstance(node, ast.Import | ast.ImportFrom)]
    ours = [
        ast.unparse(node)
        for node in body
        if set(re.findall(r"\w+", ast.unparse(node))) & {*LOW, "aws", "infrastructure"}
    ]
    assert ours[0] == "import aws"


def test_no_two_modules_need_each_other() -> None:
    needs = {MODULES[name]: imports(name) & set(MODULES.values()) for name in PRODUCT}
    assert list(graphlib.TopologicalSorter(needs).static_order())  # CycleError, with the circle


def test_whatever_is_imported_is_so_at_the_top_of_its_file() -> None:
    """But for what takes long to import, and few runs need: on a terminal, for a mistake in the settings, for an upload."""
    later = ("from rich.", "import difflib", "from boto3.")
    for name, tree in TREES.items():
        top = [*tree.body, *(each for node in tree.body if isinstance(node, ast.If) for each in node.body)]
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom) and node not in top:
                assert ast.unparse(node).startswith(later), f"{name}:{node.lineno}"


def test_only_the_rehearsal_of_the_scripts_imports_the_emulator() -> None:
    users = [path.name for path in FILES if re.search(r"^(from|import) emulator", path.read_text(), re.MULTILINE)]
    assert users == ["rehearse.py"]


def test_settings_are_read_in_constants_alone() -> None:
    """But for what belongs to the terminal and to finding a fault."""
    for name, path in PRODUCT.items():
        reads = re.findall(r"os\.environ(?:\.get\(|\[)[\"'](\w+)", path.read_text())
        assert name == "constants.py" or set(reads) <= {"NO_COLOR", "DEBUG", "TERM"}, name


@pytest.mark.parametrize("page", [page for page in PAGES if f"{page}.py" not in TOOLS])
def test_a_page_is_short_and_its_main_function_bears_its_name(page: str) -> None:
    text = (ROOT / f"{page}.py").read_text()
    tree = ast.parse(text)
    assert len(text.splitlines()) <= 200
    assert page in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert 'if __name__ == "__main__":' in text
    assert f"python {page}.py" in (ast.get_docstring(tree) or "")


def test_each_page_that_makes_something_says_what_undoes_it() -> None:
    """In its manual, and when it is interrupted."""
    undos = {
        f"{page}.py": str(keyword.value.value)
        for page in PAGES
        if f"{page}.py" not in TOOLS
        for node in ast.walk(TREES[f"{page}.py"])
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "aws.page"
        for keyword in node.keywords
        if keyword.arg == "undo" and isinstance(keyword.value, ast.Constant)
    }
    making = (
        {f"{page}.py" for page in PAGES if page.startswith("create_")}
        | set(UNDONE_BY)
        | {"run_task.py", "push_image.py", "resume_cluster.py"}
    )
    assert undos.keys() == making
    for page, undo in undos.items():
        assert undo.split()[0] in PRODUCT and undo in (ast.get_docstring(TREES[page]) or ""), page
        assert undo == UNDONE_BY.get(page, (undo,))[0]


# ------------------------------------------------------------------------------------------------ what is forbidden

FORBIDDEN = {
    "import *": r"import \*",
    "except Exception": r"except (Base)?Exception\b",
    "a bare except": r"except:",
    "an error that is swallowed": r"except \w+[^\n]*:\n\s+pass\b",
    "print of an error": r"print\((e|err|error|exc)\)",
    "pprint": r"\bpprint\b",
    "latest": r"IMAGE\b.*:latest",
    "a sleep outside the one way to wait": r"time\.sleep\((?!(interval|seconds)\))",
    "os._exit": r"os\._exit",
    "a first match that is taken": r"(describe|list)_\w+\([^)]*\)\[\"\w+\"\]\[0\]",
    "open to the world": r"CidrIp[\"']: [\"']0\.0\.0\.0/0",
}


@pytest.mark.parametrize("pattern", FORBIDDEN.values(), ids=FORBIDDEN)
def test_the_product_has_none_of(pattern: str) -> None:
    assert [name for name, path in PRODUCT.items() if re.search(pattern, path.read_text())] == []


def test_there_is_one_way_to_wait() -> None:
    """aws.wait, and aws.pause for what other runs do meanwhile: no other function sleeps."""
    sleeping = {
        (name, function.name)
        for name, tree in TREES.items()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute | ast.Name) and ast.unparse(node).rpartition(".")[2] == "sleep"
    }
    assert sleeping == {("aws/calls.py", "wait"), ("aws/calls.py", "pause")}


def test_a_client_error_is_caught_for_exact_codes_only() -> None:
    """Each handler raises again what it does not know, or all; the edge in aws.main is the only one that tells all.

    What a page can do without, aws.at_best reads.
    """
    [at_best] = [
        node for node in TREES["aws/calls.py"].body if isinstance(node, ast.FunctionDef) and node.name == "at_best"
    ]
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.ExceptHandler):
                continue
            if not {"ClientError", "FAILURES"} & set(re.findall(r"\w+", ast.unparse(node.type or ast.Pass()))):
                continue
            if node in ast.walk(at_best):
                continue
            leaves = [
                each for each in ast.walk(node) if isinstance(each, ast.Return | ast.Continue | ast.Break | ast.If)
            ]
            always_raises = ast.unparse(node.body[-1]) == "raise" and not leaves
            body = ast.unparse(node)
            assert "raise" in body, f"{name}:{node.lineno}"
            edge = name == "aws/pages.py" and "DEBUG" in body
            told_with_more = "explain(" in body and ast.unparse(node.body[-1]).startswith("raise Problem(")
            assert always_raises or "code(error)" in body or edge or told_with_more, f"{name}:{node.lineno}"


def test_stdout_is_written_in_one_place() -> None:
    """console.result; everything else that is printed goes to stderr."""
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                assert "stderr" in ast.unparse(node) or name == "console.py", f"{name}:{node.lineno}"


def test_every_constant_is_read() -> None:
    """No dead settings: each is read as constants.NAME, or by what follows from the form."""
    form = [
        target.id
        for node in TREES["constants.py"].body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id.isupper()
    ]
    read = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and ast.unparse(node.value) == "constants")
        or (isinstance(node, ast.Name) and name == "constants.py" and isinstance(node.ctx, ast.Load))
    }
    assert len(form) > 100
    assert [name for name in form if name not in read] == []


# ---------------------------------------------------------------------------------------------------------- start-up


#: what no page needs to begin
HEAVY = {"rich", "moto", "emulator", "requests", "difflib", "boto3", "s3transfer"}


@pytest.mark.parametrize("module", ["list_tasks", "describe_clusters", "describe_task", "create_cluster", "run_task"])
def test_start_up_imports_nothing_heavy(module: str) -> None:
    code = f"import {module}, sys; print(sorted({HEAVY} & set(sys.modules)))"
    environment = {"CLUSTER_NAME": "gpu", "ENV_FILE": "/dev/null", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (ran.stdout.strip(), ran.returncode) == ("[]", 0), ran.stderr
