"""The Terraform twin of the Clara example: the same account by another tool, where that tool is on this machine.

Its files are in benchmark/clara. https://developer.hashicorp.com/terraform/cli/config/config-file#provider-installation
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark.clara import Failed, Life, environment, lived
from benchmark.measured import Measured
from benchmark.processes import Ran, run

FILES = Path(__file__).parent / "clara"
PLAN, APPLY, DESTROY = "plan -detailed-exitcode", "apply -auto-approve", "destroy -auto-approve"


def installed(plugins: str) -> bool:
    """Whether there is a terraform, and a mirror with its provider. Nothing is downloaded."""
    return bool(plugins and shutil.which("terraform") and Path(plugins).is_dir())


@contextmanager
def twin(its_environment: dict[str, str], plugins: str) -> Iterator[tuple[Path, Callable[[str], Ran]]]:
    """A folder with the twin's files, ready for use, and what runs a command of Terraform's there; it is gone afterwards."""
    its_environment = its_environment | {"CHECKPOINT_DISABLE": "true"}
    its_environment["TF_VAR_certificate_arn"] = its_environment.pop("CERTIFICATE_ARN")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(FILES, folder, dirs_exist_ok=True)
        configuration = folder / "terraform.rc"
        mirror = json.dumps(str(Path(plugins).resolve()))
        configuration.write_text(f"provider_installation {{\n  filesystem_mirror {{ path = {mirror} }}\n}}\n")
        its_environment["TF_CLI_CONFIG_FILE"] = str(configuration)

        def terraform(command: str) -> Ran:
            verb, *words = command.split()
            flags = [] if verb == "show" else ["-input=false"]
            ran = run(["terraform", verb, "-no-color", *flags, *words], its_environment, folder, family=True)
            if ran.code not in ((0, 2) if command == PLAN else (0,)):
                raise Failed(f"terraform {command} ended with {ran.code}: {ran.err[-3000:]}")
            return ran

        terraform("init")
        yield folder, terraform


def live(measured: Measured, plugins: str) -> Life:
    """Apply, then plan and apply with nothing to do, destroy. Its own pauses follow no scale: for scale 1."""
    with twin(environment(measured), plugins) as (_, terraform):
        return lived(measured, (APPLY,), (PLAN, APPLY), (DESTROY,), terraform)
