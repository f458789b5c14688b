"""The list of parts, and the laws that hold for each: it is in the list once, and no page's work is ever forgotten."""

from __future__ import annotations

import ast
import collections
import functools
import importlib
import json
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import mypy.api
import pytest
from botocore import xform_name

import aws
from aws import dry_run
from tests.conftest import ROOT, Runbook

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

#: the methods that make something new: nothing stands yet that could be another's. Exactly these, since `create_tags`,
#: `create_route`, `register_targets` or `start_instance_refresh` change what stands
MAKING = {
    *("create_vpc", "create_subnet", "create_route_table", "create_internet_gateway", "create_nat_gateway"),
    *("allocate_address", "create_vpc_endpoint", "create_security_group", "create_launch_template"),
    *("create_auto_scaling_group", "create_load_balancer", "create_listener", "create_target_group", "create_rule"),
    *("create_file_system", "create_mount_target", "create_access_point", "create_log_group", "request_certificate"),
    *("create_role", "create_instance_profile", "create_service_linked_role"),
    *("create_cluster", "create_capacity_provider", "create_service", "register_task_definition", "run_task"),
    *("create_repository", "create_connection", "create_bucket", "create_project", "create_pipeline"),
    *("create_schedule_group", "create_schedule"),
}
#: not one of them changes what stands, whatever its name
HARMLESS = {
    "start_pipeline_execution": "a run of the pipeline, which ends by itself",
    "execute_command": "a shell in a container, which ends with its session",
    "run_instances": "a question, since DryRun goes with it: would EC2 refuse this type and this AMI?",
    "upload_file": "of boto3's own: files into the user's bucket, under the names that the user's files have",
}
#: what boto3 adds to S3's client beside the operations, and the way around all methods
ADDED_BY_BOTO3 = {"upload_file", "upload_fileobj", "_make_api_call"}
#: by whom what bears no tags is changed, and how one knows that it is ours
UNTAGGED = {
    (
        "hosted_zone",
        "change_resource_record_sets",
    ): "a record: by its value, which names our load balancer, certificate",
}


@functools.cache
def changing_methods() -> set[str]:
    """The names of all methods, but for the reads, of the clients of each service that a module names anywhere."""
    session = botocore.session.get_session()
    nodes = [node for path in FILES for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
    services = {str(node.value) for node in nodes} & {*session.get_available_services()}
    assert len(services) > 20
    models = [session.get_service_model(service) for service in services]
    operations = [operation for model in models for operation in model.operation_names]
    return {xform_name(each) for each in operations if not each.startswith(dry_run.READS)} | ADDED_BY_BOTO3


@dataclass
class Change:
    """One mention of a changing method in a module."""

    line: int
    method: str
    source: str
    of: str | None = None  # what is asked whose it is, as it is written


def changes(tree: ast.Module) -> list[Change]:
    """Each mention of a changing method, by its name alone: whatever holds the client, and wherever the method goes.

    A module's function of the same name (`roles.delete_role`) is none: a module is no client.
    """
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("infrastructure")
        for alias in node.names
    } - {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            named, of_module = node.attr, isinstance(node.value, ast.Name) and node.value.id in imported
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("getattr", "methodcaller")):
            spelt = [each.value for each in node.args if isinstance(each, ast.Constant)]
            named, of_module = next((each for each in spelt if each in changing_methods()), ""), False
        else:
            continue
        if named in changing_methods() and not of_module:
            found.append(Change(node.lineno, named, ast.unparse(node), asked(node, parents)))
    return found


def asked(method: ast.expr, parents: dict[ast.AST, ast.AST]) -> str | None:
    """The `of` of the `call` to which a method is given; None: it is not given to `call`, or asks about nothing."""
    given = parents.get(method)
    if isinstance(given, ast.IfExp):  # call(a.update_x if there else a.put_x, of=...)
        method, given = given, parents.get(given)
    if (
        not isinstance(given, ast.Call)
        or ast.unparse(given.func) not in ("call", "aws.call")
        or given.args[0] is not method
    ):
        return None
    of = [ast.unparse(keyword.value) for keyword in given.keywords if keyword.arg == "of"]
    return of[0] if of and of != ["None"] else None


FILES = [
    *MODULES.values(),
    *(path for path in sorted(ROOT.glob("*.py")) if path.name not in ("rehearse.py", "bench.py")),
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_changed_or_deleted_that_was_not_asked_about(path: Path) -> None:
    """Each deleting or changing method of boto3 is called by `call`, with the resource whose owner it asks."""
    found = [each for each in changes(ast.parse(path.read_text())) if each.method not in MAKING | HARMLESS.keys()]
    assert [f"{each.line}: {each.source}" for each in found if each.of is None] == []


def test_each_exception_is_of_use() -> None:
    """A name that no module needs any more would let the next one through unseen."""
    mentioned = {each.method for path in FILES for each in changes(ast.parse(path.read_text()))}
    assert (MAKING | HARMLESS.keys()) - mentioned == set()


def test_what_bears_no_tags_is_changed_in_few_places() -> None:
    """UNTAGGED is the `of` of the calls that are listed, all by itself, and is nowhere else."""
    users = [
        (path.stem, each.method)
        for path in FILES
        for each in changes(ast.parse(path.read_text()))
        if "UNTAGGED" in (each.of or "")
    ]
    mentions = [path.stem for path in FILES for _ in re.findall(r"\bUNTAGGED\b", path.read_text())]
    assert sorted(users) == sorted(UNTAGGED)
    assert sorted(mentions) == sorted(stem for stem, _ in UNTAGGED)


@pytest.mark.parametrize(
    "snippet",
    [
        "client('ec2').delete_subnet(SubnetId='s')",
        "call(client('ec2').delete_subnet)(SubnetId='s')",
        "call(client('ec2').delete_subnet, of=None)(SubnetId='s')",
        "autoscaling = client('autoscaling')\nautoscaling.set_desired_capacity()",
        "ec2, what = client('ec2'), 'subnet'\nec2.modify_subnet_attribute()",
        "def helper(ec2):\n    ec2.release_address()",
        "change = s.update_schedule if found else s.create_schedule\ncall(change, of=found)()",
        "method = client('ec2').create_tags\nmethod()",
        "getattr(client('ec2'), 'delete_vpc')()",
        "operator.methodcaller('delete_vpc')(client('ec2'))",
        "client('ec2')._make_api_call('DeleteVpc', {})",
        "call(print, client('ec2').delete_vpc, of=vpc)",
        "from infrastructure.cluster import roles\nroles = client('iam')\nroles.delete_role()",
        "functools.partial(client('s3').delete_object, Bucket='b')()",
    ],
)
def test_the_law_sees_it(snippet: str) -> None:
    found = [each for each in changes(ast.parse(snippet)) if each.method not in MAKING | HARMLESS.keys()]
    assert [each for each in found if each.of is None]


def test_a_misspelt_parameter_of_boto3_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the type checker: `call` hands on what boto3's methods take, and `client` knows which methods there are."""
    snippet = tmp_path / "snippet.py"
    snippet.write_text(
        "from aws import call, client\n"
        'call(client("ec2").delete_subnet)(SubnetId="subnet-0abc")\n'
        'call(client("ec2").delete_subnet)(SubnetIdd="subnet-0abc")\n'
        'call(client("ec2").delete_subnett)(SubnetId="subnet-0abc")\n'
    )
    monkeypatch.setenv("MYPYPATH", str(ROOT))
    settings = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache")]
    told, failed, code = mypy.api.run([*settings, str(snippet)])
    errors = [line.partition("snippet.py:")[2] for line in told.splitlines() if "snippet.py:" in line]
    assert (code, failed) == (1, ""), told + failed
    assert [error.partition(":")[0] for error in errors] == ["3", "4"], told
    assert "SubnetIdd" in errors[0] and "delete_subnett" in errors[1]


# ---------------------------------------------------------------------------------------------------------- one look

#: parts all of whose state AWS changes by itself: it is read anew each time
NEVER_REMEMBERED = {"infrastructure.service.tasks"}
#: pages over many parts, which are to look at them all before they go through them one by one
LOOKING_FIRST = {
    "create_cluster": ("parts.look",),
    "delete_cluster": ("clean_up.look", "endpoints.refuse_left", "delete_endpoints"),
    "delete_endpoint": ("clean_up.look",),
    "delete_service": ("clean_up.rounds",),
    "delete_pipeline": ("parts.look",),
    "delete_sync": ("parts.look",),
}


def test_each_part_lists_its_looks() -> None:
    """All of them are looks, so that they can be made at the same time; each one once."""
    for name in [name for names in tuples().values() for name in names]:
        looks = getattr(importlib.import_module(name), "LOOKS", ())
        assert bool(looks) == (name not in NEVER_REMEMBERED), name
        assert isinstance(looks, tuple) and all(isinstance(each, aws.look) for each in looks), name
        assert len(set(looks)) == len(looks), name


@pytest.mark.parametrize("page", LOOKING_FIRST)
def test_a_page_over_many_parts_looks_at_them_first(page: str) -> None:
    """Before it creates, deletes or stops anything."""
    tree = ast.parse((ROOT / f"{page}.py").read_text())
    [body] = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == page]
    calls = sorted((node for node in ast.walk(body) if isinstance(node, ast.Call)), key=lambda call: call.lineno)
    made = [ast.unparse(call.func) for call in calls]
    first = next(n for n, name in enumerate(made) if name.rpartition(".")[2] in ("create", "delete", "stop", "empty"))
    assert set(made[:first]) & set(LOOKING_FIRST[page])


#: whose settings -> more of them
UNCHANGED: dict[str, tuple[str, dict[str, str]]] = {
    "gpu": ("runbook", {}),
    "adopted": ("adopted", {}),
    "fargate": ("fargate", {}),
    "clara": ("clara", {}),
    "endpoints": ("endpoints", {}),
    "two file systems": ("runbook", {"EFS_FILE_SYSTEMS": "per-volume", "EFS_VOLUMES": "a:/a,b:/b"}),
}


@pytest.mark.parametrize("settings", UNCHANGED)
def test_nothing_is_read_twice_where_nothing_changes(settings: str, request: pytest.FixtureRequest) -> None:
    """create_cluster.py on what is as its settings say: it asks each question once, most of them at the same time."""
    whose, more = UNCHANGED[settings]
    runbook: Runbook = request.getfixturevalue(whose)
    runbook.settings |= more
    runbook.has_run("create_cluster.py")
    asked: list[tuple[str, str, bool]] = []
    answer = runbook.emulator._answer

    def recorded(call: Any, *rest: Any) -> Any:
        at_once = threading.current_thread() is not threading.main_thread()
        asked.append(
            (f"{call.service} {call.operation}", json.dumps(call.params, sort_keys=True, default=str), at_once)
        )
        return answer(call, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runbook.emulator, "_answer", recorded)
        ran = runbook.run("create_cluster.py")
    assert ran.code == 0 and "nothing changed" in ran.err, ran.err
    times = collections.Counter((operation, params) for operation, params, _ in asked)
    assert {question: count for question, count in times.items() if count > 1} == {}
    # what no setting makes more than one of is one question: all of a kind by our tag, and not one by one
    kinds = collections.Counter(operation for operation, _, _ in asked)
    once = ("DescribeRouteTables", "DescribeSecurityGroups", "DescribeSecurityGroupRules", "DescribeNatGateways")
    assert {each: kinds[f"ec2 {each}"] for each in once} == dict.fromkeys(once, 1)
    assert kinds["logs DescribeLogGroups"] == 1
    assert kinds["ec2 DescribeSubnets"] == kinds["ec2 DescribeVpcs"] == (2 if settings == "adopted" else 1)
    assert sum(at_once for _, _, at_once in asked) > len(asked) / 2
