"""README.md and docs/ are true: their commands are run in their order, and tables are made from the code.

python -m tests.documents     writes outputs and tables into them anew, and infrastructure/preflight/permissions.json

A block of ```bash is run; each walk, which a copy of an example begins, in an account of its own. A block of ```text that
follows it at once is what it prints; where it holds a line "...", only the lines that it shows, in their order. What
stands between <!-- made: NAME --> and <!-- end --> is what the function NAME of this module answers. The commands of
<!-- before: ... --> are run and not shown: what a reader has done long before.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import types
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import jmespath

import console
from emulator.codestar_connections import connections
from emulator.core import not_held, rules, services
from emulator.core.doors import DOORS
from emulator.core.wire import Emulator
from emulator.core.world import VirtualClock
from emulator.front_door import proxy
from emulator.iam import caller, requests
from emulator.iam.conditions import Context
from tests import drawn, scopes, sentences
from tests.conftest import ROOT, Ran, Runbook, issued
from tests.examples import test_apiserver, test_clara_train, test_existing_vpc, test_gpu_cluster, test_ml_endpoints
from tests.policies import Asked, Held

DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
SETTINGS = ROOT / "docs" / "settings.md"
PERMISSIONS = ROOT / "infrastructure" / "preflight" / "permissions.json"
COMMANDS = re.compile(
    r"<!-- before: (?P<before>[^>]*) -->|```bash\n(?P<commands>[^`]*)```(?P<output>\n\n```text\n(?P<shown>[^`]*)```)?"
)
MADE = re.compile(
    r"(?P<begin><!-- made: (?P<name>\w+)(?: (?P<about>[\w.-]+))? -->\n).*?(?P<end><!-- end -->\n)", re.DOTALL
)
FAULT = re.compile(r"^    (\w+): \w+ = (.+?)  # (.+)$", re.MULTILINE)
#: what conditions of our policies are about
KEYS = re.compile(
    r".*(Re(quest|source)Tag/gpu-ecs-cluster|CreateAction|PassedToService|AWSServiceName)$|ecs:cluster|ec2:Launch"
)
PLAIN = ("cp", "mkdir", "echo", "rm")
EVERYTHING = [{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}]
#: what else a user of an example does: what no document shows, and yet is called
MORE = {
    "gpu-cluster": (
        "create_cluster.py",
        "register_task_definition.py",
        "check_account.py",
        "run_task.py",
        "describe_clusters.py",
        "describe_costs.py --billed",
        "pause_cluster.py",
        "resume_cluster.py",
        "EXTRA_TAGS=team=ml create_cluster.py",
        "create_cluster.py",
        "INSTANCE_TYPE=g5.xlarge MAX_INSTANCES=2 create_cluster.py",
        "COMMAND='sleep infinity' register_task_definition.py",
        "run_task.py --replace",
        "BASTION_KEY_NAME=ops BASTION_ALLOWED_CIDR=203.0.113.7/32 create_cluster.py",
        "BASTION_KEY_NAME=ops BASTION_ALLOWED_CIDR=203.0.113.7/32 BASTION_INSTANCE_TYPE=t3.small create_cluster.py",
        "delete_cluster.py --yes",
    ),
    "clara-train": (
        "create_cluster.py",
        "register_task_definition.py",
        "SCALING=requests REQUESTS_PER_TASK=60 create_service.py",
        "COMMAND='[\"nginx\"]' register_task_definition.py",
        "SCALING=requests REQUESTS_PER_TASK=60 CLUSTER_SIZE=1 MAX_TASKS=1 update_service.py",
        "SCALING=requests REQUESTS_PER_TASK=60 DESIRED_COUNT=0 update_service.py",
        "delete_service.py",
        "deregister_task_definition.py",
        "delete_cluster.py --yes",
    ),
}
#: what is not about one page
LOW = {"bench", "console", "constants", "definition", "definition_file", "rehearse", "texts"}


def pages() -> list[str]:
    """The scripts, in the order of their names."""
    return sorted(path.name for path in ROOT.glob("*.py") if path.stem not in LOW)


# ---------------------------------------------------------------------------------------------------------------------
# Running what the documents say
# ---------------------------------------------------------------------------------------------------------------------


class Record:
    """What the pages did in all documents: the actions that they asked AWS for, the settings they read, their results; and a
    picture of each example."""

    def __init__(self) -> None:
        self.actions: dict[str, set[str]] = {}
        self.demands: dict[str, set[scopes.Demand]] = {}
        #: the policies that show_policy.py shows with some settings, and all that AWS asked with these
        self.asked: Held = []
        self.settings: dict[str, set[str]] = {}
        self.results: dict[str, dict[str, None]] = {}
        self.pictures: dict[str, str] = {}


class Recorded(Runbook):
    """A runbook that writes the record."""

    def __init__(self, record: Record) -> None:
        super().__init__(Emulator(VirtualClock()))
        self.record = record

    def run(self, script: str, *flags: str, **settings: str) -> Ran:
        self.emulator.world.state["caller"]["policies"] = EVERYTHING  # so that AWS asks about each action
        asked: list[tuple[str, str, Context, dict[str, str]]] = []

        def demand(call: Any, action: str, arn: str, context: Context) -> None:
            if action != "sts:GetCallerIdentity" and not call.params.get(
                "DryRun"
            ):  # every script's first line; what is tried
                asked.append((action, arn, context, requests.resource_tags(call, arn)))

        reads = self.record.settings.setdefault(script, set())
        with watched(reads), mock.patch.object(caller, "demand", demand):
            ran = super().run(script, *flags, **settings)
        self.note(script, asked, settings)
        if ran.code == 0 and ran.out.startswith("{"):  # of one page the result is lines
            self.record.results.setdefault(script, {}).update(dict.fromkeys(keys_of(json.loads(ran.out))))
        return ran

    def note(
        self, script: str, asked: list[tuple[str, str, Context, dict[str, str]]], settings: dict[str, str]
    ) -> None:
        """What was asked, in terms of the names that the settings give; and what it may be with the policies for these."""
        found = {scopes.demand(*each) for each in asked}
        self.record.demands.setdefault(script, set()).update(found)
        self.record.actions.setdefault(script, set()).update(each.action for each in found)
        documents = super().run("show_policy.py", **settings).result["documents"]
        known = next((held for shown, held in self.record.asked if shown == documents), None)
        if known is None:
            known = set()
            self.record.asked.append((documents, known))
        known.update(
            Asked(action, arn, tuple((key, str(text)) for key, text in {**context, **tags}.items() if KEYS.match(key)))
            for action, arn, context, tags in asked
        )


@contextmanager
def watched(read: set[str]) -> Iterator[None]:
    """While it lasts, the settings that others read from constants are noted."""
    import constants

    class Watched(types.ModuleType):
        def __getattribute__(self, name: str) -> Any:
            if name.isupper():
                read.update(derived_from().get(name, ()))
            return super().__getattribute__(name)

    constants.__class__ = Watched
    try:
        yield
    finally:
        constants.__class__ = types.ModuleType


_derived: dict[str, set[str]] = {}


def derived_from() -> dict[str, set[str]]:
    """Each name of constants.py -> the settings from which it follows."""
    if not _derived:
        _derived.update(sentences.derived_from((ROOT / "constants.py").read_text()))
    return _derived


def keys_of(document: Any, prefix: str = "") -> Iterator[str]:
    """The keys of a result, with their place: tasks[].taskArn. Where names are keys, as of volumes, these are not told."""
    if isinstance(document, list):
        for each in document[:1]:
            yield from keys_of(each, f"{prefix}[]")
        return
    if not isinstance(document, dict):
        return
    for key, value in document.items():
        name = f"{prefix}.{key}".lstrip(".")
        yield name
        if prefix == "" or prefix.endswith("]"):
            yield from keys_of(value, name) if isinstance(value, list) else ()


def played(record: Record) -> dict[Path, str]:
    """Each document as it is where all that it shows is true: its outputs first, then what is made of all runs."""
    texts = {path: played_document(path, record) for path in DOCUMENTS}
    in_a_network_of_theirs(record)
    more(record)
    with_other_tools(record)
    return {
        **{path: MADE.sub(lambda match: remade(match, record), text) for path, text in texts.items()},
        PERMISSIONS: scopes.written(record.demands),
    }


def in_a_network_of_theirs(record: Record) -> None:
    """What no document shows, and yet is called."""
    runbook = Recorded(record)
    runbook.settings = {"ENV_FILE": str(ROOT / "examples" / "clara-train.env"), "CERTIFICATE_ARN": issued(runbook)}
    test_existing_vpc.with_network(runbook)
    for command in test_existing_vpc.WALK:
        assert runbook.run(*command.split()).code == 0


def more(record: Record) -> None:
    """The walks of MORE, each with its example's settings."""
    for example, walk in MORE.items():
        runbook = Recorded(record)
        runbook.emulator.world.settings.service_linked_roles = False  # an account that has not had ECS before
        runbook.aws("ec2").create_key_pair(KeyName="ops")
        runbook.settings = {"ENV_FILE": str(ROOT / "examples" / f"{example}.env"), "CERTIFICATE_ARN": issued(runbook)}
        for line in walk:
            words = shlex.split(line)
            settings = dict(word.split("=", 1) for word in words[:-1] if "=" in word and not word.startswith("-"))
            page, *flags = words[len(settings) :]
            ran = runbook.run(page, *flags, **settings)
            assert ran.code == 0, f"{line}: {ran.err}"


def with_other_tools(record: Record) -> None:
    """What needs the Session Manager plugin on this machine, and what is done where nothing builds images."""
    runbook = Recorded(record)
    with tempfile.TemporaryDirectory() as folder:
        plugin = Path(folder, "session-manager-plugin")
        plugin.write_text('#!/bin/sh\n[ "$1" != --version ] || echo 1.2.707.0\n')
        plugin.chmod(0o755)
        Path(folder, "git").symlink_to("/usr/bin/git")
        Path(folder, "Dockerfile").write_text("FROM python:3.13\n")
        example, path = str(ROOT / "examples" / "gpu-cluster.env"), f"{folder}:/bin"
        runbook.settings = {"ENV_FILE": example, "ENABLE_EXECUTE_COMMAND": "true", "PATH": path}
        for page in ("create_cluster.py", "register_task_definition.py", "run_task.py"):
            assert runbook.run(page).code == 0
        with mock.patch.object(console, "at_a_terminal", return_value=True):
            assert runbook.run("execute_command.py").code == 0
        assert runbook.run("push_image.py", "--dockerfile", folder, PATH=folder).code == 0
        assert runbook.run("delete_repository.py", "--images").code == 0


def remade(match: re.Match[str], record: Record) -> str:
    make: Callable[..., str] = MAKERS[match["name"]]
    about = [match["about"]] if match["about"] else []
    return match["begin"] + make(record, *about) + match["end"]


def played_document(path: Path, record: Record) -> str:
    """In a folder with nothing but examples/."""
    shell = Shell(record, path.stem)

    def play(match: re.Match[str]) -> str:
        if match["before"]:
            shell.line(match["before"])
            return match[0]
        lines = match["commands"].replace("\\\n", " ").splitlines()
        printed = "".join(map(shell.line, lines))
        output = f"\n\n```text\n{excerpt(printed, match['shown'])}```" if match["output"] else ""
        return f"```bash\n{match['commands']}```{output}"

    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "examples", Path(folder, "examples"))
        os.chdir(folder)
        try:
            return COMMANDS.sub(play, path.read_text())
        finally:
            os.chdir(here)


def excerpt(printed: str, shown: str) -> str:
    """All that was printed; or where "..." stands in what is shown, those of its lines that the document shows."""
    wanted, lines = shown.splitlines(), printed.splitlines()
    if "..." not in [each.strip() for each in wanted]:
        return printed
    found, at = [], 0
    for line in wanted:
        if line.strip() == "...":
            found.append(line)
            continue
        match = next((i for i in range(at, len(lines)) if steady(lines[i]) == steady(line)), None)
        assert match is not None, f"not printed, or not here: {line}"
        found.append(lines[match])
        at = match + 1
    return "\n".join(found) + "\n"


class Shell:
    """The few things of a shell that the documents use; scripts are run in this process."""

    def __init__(self, record: Record, about: str) -> None:
        self.record, self.about = record, about
        self.new_account()

    def new_account(self) -> None:
        self.runbook = Recorded(self.record)
        self.runbook.settings = {"ENV_FILE": ".env"}

    def line(self, line: str) -> str:
        """What one line prints. Several commands are joined by &&."""
        return "".join(self.command(each.strip()) for each in line.split("&&") if each.strip())

    def command(self, text: str) -> str:
        words = shlex.split(text, comments=True)
        if not words:
            return ""
        if words[0] in PLAIN:
            if words[-2].startswith("examples/"):  # here a walk begins
                self.new_account()
            subprocess.run(["sh", "-c", text], check=True)
            self.fill_in()
            return ""
        if words[0] == "export":
            self.runbook.settings.update(dict(word.split("=", 1) for word in words[1:]))
            return ""
        if words[0] == "aws":
            return self.aws(words[1:])
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), text
            return ""
        return self.script(words)

    def fill_in(self) -> None:
        """What the documents ask of their reader, who writes it into .env: a certificate of his own."""
        file = Path(".env")
        if not file.exists():
            return
        text = file.read_text()
        for name, found in prerequisites(self.runbook, text).items():
            text = re.sub(rf"^{name}=.*", f"{name}={found}", text, flags=re.MULTILINE)
        file.write_text(text)

    def script(self, words: list[str]) -> str:
        """SETTING=value python page.py --flag, and with | jq -r .key one value of its result."""
        settings = dict(word.split("=", 1) for word in words[: words.index("python")])
        script, *flags = words[len(settings) + 1 :]
        query = ""
        if "|" in flags:
            at = flags.index("|")
            assert flags[at + 1 : at + 3] == ["jq", "-r"], words
            flags, query = flags[:at], flags[at + 3].lstrip(".")
        if script.startswith(("stop_", "delete_")):
            self.draw()
        if script == "check_service.py":  # it asks over HTTP
            return self.checked(script, *flags, **settings)
        ran = self.runbook.run(script, *flags, **settings)
        if script == "create_pipeline.py" and connections.finish_handshakes(self.runbook.emulator.world) and ran.code:
            ran = self.runbook.run(script, *flags, **settings)
        assert ran.code == 0, f"{' '.join(words)}: {ran.err}"
        return f"{jmespath.search(query, ran.result)}\n" if query else ran.err + ran.out

    def draw(self) -> None:
        """Of an example once, before the first thing of it goes."""
        if self.about in drawn.EXAMPLES and self.about not in self.record.pictures:
            self.record.pictures[self.about] = drawn.draw(self.runbook)

    def checked(self, script: str, *flags: str, **settings: str) -> str:
        emulator = self.runbook.emulator
        with proxy.opened(emulator):
            way = {"https_proxy": emulator.front_door_url, "http_proxy": emulator.front_door_url}
            trust = {"SSL_CERT_FILE": str(emulator.certificate_authority)}
            ran = self.runbook.run(script, *flags, **settings, **way, **trust)
        assert ran.code == 0, ran.err
        return ran.err + ran.out

    def aws(self, words: list[str]) -> str:
        """aws SERVICE OPERATION --parameter value --query Q --output text, as boto3 calls it: it must be there."""
        service, operation, *flags = words
        given = dict(zip(flags[::2], flags[1::2], strict=True))
        query, _ = given.pop("--query", ""), given.pop("--output", "")
        client = self.runbook.aws(service.removesuffix("api"))
        method = operation.replace("-", "_")
        model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method])
        names = {re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower(): name for name in model.input_shape.members}
        answer = getattr(client, method)(**{names[flag.removeprefix("--")]: value for flag, value in given.items()})
        return f"{jmespath.search(query, answer)}\n" if query else ""


def prerequisites(runbook: Runbook, settings: str) -> dict[str, str]:
    """What an example asks of its user: an issued certificate; or a zone, and a bucket with weights."""
    if "put-your-own-here" in settings:
        return {"CERTIFICATE_ARN": issued(runbook)}
    if "CERTIFICATE_DOMAINS" in settings and not runbook.aws("s3").list_buckets()["Buckets"]:
        runbook.aws("route53").create_hosted_zone(Name="example.com", CallerReference="documents")
        runbook.aws("s3").create_bucket(Bucket="example-ml-weights")
        for endpoint in "ab":
            runbook.aws("s3").put_object(Bucket="example-ml-weights", Key=f"{endpoint}/model.bin", Body=b"weights")
    return {}


def steady(text: str) -> str:
    """Without what differs from run to run: ids, addresses, times."""
    text = re.sub(r"\b(vpc|subnet|igw|rtb|sg|sgr|fs|fsap|fsmt|i|ami|eni)-[0-9a-f]{8,}\b", r"\1-…", text)
    text = re.sub(r"\balb-\d+|ecs-svc/\d+|\b[0-9a-f]{16}\b", "…", text)
    text = re.sub(r"\b[0-9a-f]{32}\b|\d{4}-\d\d-\d\d[ T][\d:.+]+Z?", "…", text)
    text = re.sub(r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b(?!/)", "…", text)
    text = re.sub(r"\b\d{8}T\d{4}Z|\d{4}-\d\d-\d\d \d\d:\d\d UTC", "…", text)
    text = re.sub(r"\b(\d+ h )?\d+ min(?=, (at|about))(, about \$[\d.]+)?", "…", text)
    return re.sub(r"GPU-[0-9a-f-]{20,}|sha256:[0-9a-f]{64}", "…", text)


# ---------------------------------------------------------------------------------------------------------------------
# What is made
# ---------------------------------------------------------------------------------------------------------------------


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def scripts(_: Record) -> str:
    """What each page does, by its first sentence, and what undoes it; that has no row of its own."""
    undone_by = {page: sentences.undo_of(ROOT / page) for page in pages()}
    undos = {undo.strip("`").split()[0] for undo in undone_by.values() if undo}
    shown = [page for page in pages() if page not in undos]
    rows = [[f"`{page}`", sentences.first_of(ROOT / page), undone_by[page]] for page in shown]
    return table(["script", "does", "undone by"], rows)


def settings(record: Record) -> str:
    """Of each group its settings: default, meaning, and the pages that read it."""
    readers = {name: read_by(name, record) for name in sentences.setting_names(ROOT)}
    parts = []
    for title, group in sentences.setting_groups(ROOT):
        rows = [
            [f"`{name}`", f"`{default}`" if default else "", meaning, readers[name]] for name, default, meaning in group
        ]
        parts.append(f"\n## {title}\n\n" + table(["setting", "default", "meaning", "read by"], rows))
    return "".join(parts)


def read_by(name: str, record: Record) -> str:
    """Those that were seen reading it; where none was, those that import the module which does."""
    seen = [page for page, names in sorted(record.settings.items()) if name in names]
    found = seen or sentences.may_read(ROOT, pages(), name)
    everywhere = seen and len(seen) == len(record.settings)
    return "every page" if everywhere else ", ".join(page.removesuffix(".py") for page in found)


def permissions(record: Record) -> str:
    """The actions that each page asked for, by service."""
    rows = []
    for script, asked in sorted(record.actions.items()):
        services: dict[str, list[str]] = {}
        for service, operation in sorted(action.split(":") for action in asked):
            services.setdefault(service, []).append(operation)
        rows.append([f"`{script}`", "; ".join(f"{name}: {', '.join(found)}" for name, found in services.items())])
    return table(["script", "actions"], rows)


def policies(_: Record, example: str) -> str:
    """What show_policy.py shows with an example's settings, a statement a line."""
    runbook = Runbook(Emulator(VirtualClock()))
    file = ROOT / "examples" / f"{example}.env"
    settings = str(file if file.exists() else ROOT / "examples" / example / ".env")
    runbook.settings = {"ENV_FILE": settings, "CERTIFICATE_ARN": issued(runbook)}
    documents = runbook.run("show_policy.py").result["documents"]
    parts = []
    for document in documents:
        lines = ",\n".join(json.dumps(statement, separators=(",", ":")) for statement in document["Statement"])
        parts.append(f'```json\n{{"Version":"{document["Version"]}","Statement":[\n{lines}\n]}}\n```\n')
    return "\n".join(parts)


def results(record: Record) -> str:
    """The keys of each page's JSON."""
    rows = [[f"`{script}`", ", ".join(f"`{key}`" for key in found)] for script, found in sorted(record.results.items())]
    return table(["script", "keys of its JSON"], rows)


def exits(_: Record) -> str:
    """The sentences that end a page: what they are about, and what to do."""
    parts = []
    for title, rows in sentences.endings(ROOT):
        cells = [[f"`{text}`", why, sentences.remedy(text)] for text, why in rows]
        parts.append(f"\n## {title}\n\n" + table(["it says", "about what", "what to do"], cells))
    return "".join(parts)


COMPARISONS = {
    "apiserver": test_apiserver.markdown,
    "clara-train": test_clara_train.markdown,
    "gpu-cluster": test_gpu_cluster.markdown,
    "ml-endpoints": test_ml_endpoints.markdown,
}


def comparison(_: Record, example: str) -> str:
    return COMPARISONS[example]()


def targets(_: Record) -> str:
    """What make does."""
    found = re.findall(r"^# make (\S+)\s+(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return table(["command", "does"], [[f"`make {name}`", what] for name, what in found])


def doors(_: Record) -> str:
    """What no AWS API does, by method and path."""
    services.load()
    found = {f"{method} {path}": what for (method, path), what in sorted(DOORS.items(), key=lambda each: each[0][1])}
    rows = [
        [f"`{where}`", " ".join((getattr(what, "args", (what,))[0].__doc__ or "").split())]
        for where, what in found.items()
    ]
    return table(["request", "does"], rows)


def account_settings(_: Record) -> str:
    """The properties of the emulated account."""
    text = (ROOT / "emulator" / "core" / "world.py").read_text().partition("class Settings")[2].partition("\nclass ")[0]
    rows = [[f"`{name}`", comment] for comment, name in re.findall(r"    #: (.+)\n    (\w+):", text)]
    return table(["property", "means"], rows)


def fault_members(_: Record) -> str:
    """What a fault may say, with its default."""
    text = (ROOT / "emulator" / "core" / "faults.py").read_text()
    rows = [[f"`{name}`", f"`{default}`", comment] for name, default, comment in FAULT.findall(text)]
    return table(["member", "default", "means"], rows)


def rules_held(_: Record) -> str:
    """How many rules of real AWS the emulator holds, of each service; and each that it does not hold, with the reason."""
    services.load()
    counts = Counter(rule.partition("-")[0] for rule in rules.HELD)
    told = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    numbered = set(not_held.ids())
    held = f"{len(numbered & rules.HELD.keys())} of {len(numbered)} rules of how AWS behaves"
    missing = [[rule, does, why] for rule, (does, why) in sorted(not_held.NOT_HELD.items())]
    rows = table(["not held", "what AWS does", "why not"], missing)
    return f"It holds {held}, and {len(rules.HELD.keys() - numbered)} of its own: {told}.\n\n{rows}"


MAKERS: dict[str, Callable[..., str]] = {
    each.__name__: each
    for each in (
        *(scripts, settings, permissions, policies, results, exits, comparison, targets),
        *(doors, account_settings, fault_members, rules_held),
    )
}

if __name__ == "__main__":
    record = Record()
    for path, text in played(record).items():
        if steady(path.read_text()) != steady(text):
            path.write_text(text)
            print(f"written: {path.relative_to(ROOT)}", file=sys.stderr)
    drawn.FOLDER.mkdir(exist_ok=True)
    for example, picture in record.pictures.items():
        (drawn.FOLDER / f"{example}.svg").write_text(picture)
