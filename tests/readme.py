"""The README's commands, run in their order on the emulator; its output blocks are what they print.

python -m tests.readme     writes the outputs and the table of settings into README.md anew
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tempfile
from pathlib import Path

from emulator.codestar_connections import connections
from emulator.core.wire import Emulator
from emulator.core.world import VirtualClock
from tests.conftest import ROOT, Ran, Runbook, issued
from tests.examples import test_clara_train, test_ml_endpoints

README = ROOT / "README.md"
COMMAND = re.compile(r"```bash\n(?P<commands>[^`]*)```(?P<output>\n\n```text\n[^`]*```)?")
PERMISSIONS = re.compile(r"\| script \| actions \|\n\| --- \| --- \|\n(?:\|.*\n)*")
#: botocore's name of a service -> the one in IAM policies, where the two differ
PREFIXES = {
    "elbv2": "elasticloadbalancing",
    "efs": "elasticfilesystem",
    "service-quotas": "servicequotas",
    "resourcegroupstaggingapi": "tag",
}
QUICK_START = re.compile(
    r"\| property \| quick start \| here \| why it differs \|\n\| --- \| --- \| --- \| --- \|\n(?:\|.*\n)*"
)
ENDPOINTS = re.compile(
    r"\| property \| original \| here \| why it differs \|\n\| --- \| --- \| --- \| --- \|\n(?:\|.*\n)*"
)
TABLE = re.compile(r"\| setting \| default \| meaning \|\n\| --- \| --- \| --- \|\n(?:\|.*\n)*")


class Recorded(Runbook):
    """A runbook that remembers what each script called."""

    def __init__(self) -> None:
        super().__init__(Emulator(VirtualClock()))
        self.actions: dict[str, set[str]] = {}

    def run(self, script: str, *flags: str, **settings: str) -> Ran:
        start = len(self.emulator.calls)
        ran = super().run(script, *flags, **settings)
        calls = [call for call in self.emulator.calls[start:] if call[0] != "sts"]  # every script's first line
        called = {f"{service}:{operation}" for service, operation, _ in calls}
        self.actions.setdefault(script, set()).update(called)
        return ran


def played() -> str:
    """The README with each output block replaced by what its commands print now."""
    runbook = Recorded()

    def play(match: re.Match[str]) -> str:
        printed = "".join(play_line(runbook, shlex.split(line)) for line in match["commands"].splitlines())
        return f"```bash\n{match['commands']}```" + (f"\n\n```text\n{printed}```" if match["output"] else "")

    text = QUICK_START.sub(lambda _: test_clara_train.markdown(), README.read_text())
    text = ENDPOINTS.sub(lambda _: test_ml_endpoints.markdown(), text)
    text, here = TABLE.sub(lambda _: settings_table(), text), Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            text = COMMAND.sub(play, text)
        finally:
            os.chdir(here)
    return PERMISSIONS.sub(lambda _: permissions_table(runbook.actions), text)


def play_line(runbook: Runbook, words: list[str]) -> str:
    """One line of the shell: `cp examples/NAME.env .env`, `cp -r examples/NAME/. .`, or `SETTING=value python script.py --flag`."""
    if words[0] == "cp":
        file = Path(words[-2].removesuffix("/."), ".env") if words[1] == "-r" else Path(words[1])
        assert words[-1] in (".", ".env"), words
        example = file.parent.name if words[1] == "-r" else file.stem
        if words[1] == "-r":
            shutil.copytree(ROOT / file.parent, ".", dirs_exist_ok=True)
        else:
            shutil.copy(ROOT / file, ".env")
        text = Path(".env").read_text()
        for name, found in prerequisites(runbook, example).items():
            text = re.sub(rf"^{name}=.*", f"{name}={found}", text, flags=re.MULTILINE)
        Path(".env").write_text(text)
        runbook.settings = {"ENV_FILE": ".env"}
        return ""
    settings = dict(word.split("=", 1) for word in words if "=" in word)
    python, script, *flags = words[len(settings) :]
    assert python == "python", words
    ran = runbook.run(script, *flags, **settings)
    if script == "create_pipeline.py" and connections.finish_handshakes(runbook.emulator.world) and ran.code:
        ran = runbook.run(script, *flags, **settings)
    assert ran.code == 0, ran.err
    return ran.err + ran.out


def prerequisites(runbook: Runbook, example: str) -> dict[str, str]:
    """What the README asks of its reader: an issued certificate; or a zone, and a bucket with weights."""
    if example == "clara-train":
        return {"CERTIFICATE_ARN": issued(runbook)}
    if example == "ml-endpoints":
        runbook.aws("route53").create_hosted_zone(Name="example.com", CallerReference="readme")
        runbook.aws("s3").create_bucket(Bucket="example-ml-weights")
        for endpoint in "ab":
            runbook.aws("s3").put_object(Bucket="example-ml-weights", Key=f"{endpoint}/model.bin", Body=b"weights")
    return {}


def permissions_table(actions: dict[str, set[str]]) -> str:
    """The actions that each script asked for, by service."""
    rows = ["| script | actions |", "| --- | --- |"]
    for script, asked in sorted(actions.items()):
        services: dict[str, list[str]] = {}
        for service, operation in sorted(action.split(":") for action in asked):
            services.setdefault(PREFIXES.get(service, service), []).append(operation)
        rows.append(
            f"| {script} | " + "; ".join(f"{name}: {', '.join(found)}" for name, found in services.items()) + " |"
        )
    return "\n".join(rows) + "\n"


def settings_table() -> str:
    """Name, default and the comment above each setting of constants.py."""
    rows = ["| setting | default | meaning |", "| --- | --- | --- |"]
    form = re.compile(r'((?:^# .*\n)+)^\w+ = \(?\s*setting\(\s*"(\w+)",\s*"([^"]*)"', re.MULTILINE)
    for comment, name, default in form.findall((ROOT / "constants.py").read_text()):
        meaning = " ".join(line.removeprefix("# ") for line in comment.splitlines() if not line.startswith("# --"))
        rows.append(f"| `{name}` | {f'`{default}`' if default else ''} | {meaning} |")
    return "\n".join(rows) + "\n"


def steady(text: str) -> str:
    """Without what differs from run to run: ids, addresses, times."""
    text = re.sub(r"\b(vpc|subnet|igw|rtb|sg|sgr|fs|fsap|fsmt|i|ami|eni)-[0-9a-f]{8,}\b", r"\1-…", text)
    text = re.sub(r"\balb-\d+|ecs-svc/\d+|\b[0-9a-f]{16}\b", "…", text)
    text = re.sub(r"\b[0-9a-f]{32}\b|\d{4}-\d\d-\d\d[ T][\d:.+]+Z?", "…", text)
    text = re.sub(r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b(?!/)", "…", text)
    return re.sub(r"GPU-[0-9a-f-]{20,}|sha256:[0-9a-f]{64}", "…", text)


if __name__ == "__main__":
    Path(README).write_text(played())
