"""How the pages' calls and seconds grow with what stands; and how many requests the emulator answers in a second.

All on an AWS that takes no time by itself: what is counted and timed is what the pages do.
"""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmark.clara import Failed, page
from benchmark.measured import LATENCY, REGION, Measured, measured
from benchmark.processes import run
from benchmark.startup import with_a_task
from benchmark.table import Row
from emulator.acm import certificates
from rehearse import environment_for, example_file

Say = Callable[[str], None]
REVISIONS, TASKS, FEW, MANY = 500, 1000, 2, 50
#: settings of examples/ml-endpoints/.env that ask for what is not there, or for more than is needed here
OTHERWISE = {"CERTIFICATE_DOMAINS": "", "IMAGE_TAG": "", "DESIRED_COUNT": "1", "MIN_TASKS": "1", "WAIT": "false"}
#: makes the endpoints that are named, in one process
MAKE = """
import os, sys
from create_service import create_service
from register_task_definition import register_task_definition
for endpoint in sys.argv[1:]:
    os.environ["ENDPOINT"] = endpoint
    register_task_definition()
    create_service()
"""
#: what of a task definition is asked for when another revision is registered
ASKED = (
    *("family", "networkMode", "requiresCompatibilities", "executionRoleArn", "taskRoleArn", "cpu", "memory"),
    *("containerDefinitions", "volumes"),
)
REPLAY = Path(__file__).with_name("replay.py")
REPLAY_SECONDS = 5


def rows(say: Say) -> list[Row]:
    return [*revisions(), *tasks(), *endpoints(say)]


def revisions() -> list[Row]:
    """delete_cluster.py where the task family has many revisions."""
    with measured(0, 0) as account:
        environment = environment_for("apiserver", account.url, 0)
        for command in ("create_cluster.py", "register_task_definition.py"):
            page(command, environment)
        ecs = account.client("ecs")
        found = ecs.describe_task_definition(taskDefinition="apiserver", include=["TAGS"])
        wanted = {key: found["taskDefinition"][key] for key in ASKED}
        for _ in range(REVISIONS - 1):
            ecs.register_task_definition(**wanted, tags=found["tags"])
        calls = account.figures(lambda: page("delete_cluster.py --yes", environment)).count
    return [Row(f"delete_cluster.py, {REVISIONS} revisions", "calls", calls, None, 1100)]


def tasks() -> list[Row]:
    """Many tasks, listed and stopped, with calls that take their time."""
    with measured(0, LATENCY) as account:
        environment = environment_for("apiserver", account.url, 0)
        environment |= {"TASK_COUNT": str(TASKS), "PUBLIC_SUBNET_CIDRS": "10.0.0.0/20"}  # each has an address
        for command in ("create_cluster.py", "register_task_definition.py", "run_task.py"):
            page(command, environment)
        listed = account.figures(lambda: page("list_tasks.py", environment))
        stopped = account.figures(lambda: page("stop_task.py --all", environment))
    return [
        Row(f"list_tasks.py, {TASKS} tasks", "calls", listed.count, None, 23),
        Row(f"stop_task.py --all, {TASKS} tasks", "s", stopped.seconds, None, 15),
    ]


def endpoints(say: Say) -> list[Row]:
    """A cluster that few, then many endpoints share: the second create_cluster.py, and the inventory of all."""
    with shared_cluster() as (account, environment, make):
        make(range(FEW))
        few = account.figures(lambda: page("create_cluster.py", environment)).count
        make(range(FEW, MANY))
        many = account.figures(lambda: page("create_cluster.py", environment)).count
        # before it refuses, delete_cluster.py lists all that stands of each
        inventory = account.figures(lambda: page("delete_cluster.py --yes", environment, code=1))
    say(f"\ncreate_cluster.py again makes {few} calls with {FEW} endpoints, {many} with {MANY}")
    say(f"the inventory of {MANY}: " + ", ".join(f"{name} {count}" for name, count in inventory.calls.most_common(8)))
    return [
        Row(f"create_cluster.py again, {MANY} endpoints over {FEW}", "calls more", many - few, None, 0),
        Row(f"inventory of {MANY} endpoints", "calls", inventory.count, None, 60),
    ]


@contextmanager
def shared_cluster(scale: float = 0) -> Iterator[tuple[Measured, dict[str, str], Callable[[range], None]]]:
    """The ml-endpoints example without its pipelines and weights: the environment, and what makes endpoints by number."""
    with measured(scale, 0) as account, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "endpoints").mkdir()
        (folder / ".env").write_text(example_file("ml-endpoints").read_text())
        asked = {"DomainName": "*.ml.example.com", "ValidationMethod": "DNS"}
        arn = account.client("acm").request_certificate(**asked)["CertificateArn"]
        certificates.issue(account.emulator.world, REGION, arn)
        environment = environment_for("ml-endpoints", account.url, scale) | OTHERWISE
        environment |= {"ENV_FILE": str(folder / ".env"), "CERTIFICATE_ARN": arn}

        def make(numbers: range) -> None:
            names = [f"e{number}" for number in numbers]
            for each in names:
                (folder / "endpoints" / f"{each}.env").write_text(f"HOST_NAME={each}.ml.example.com\n")
            ran = run([sys.executable, "-c", MAKE, *names], environment)
            if ran.code:
                raise Failed(f"the endpoints {names}: {ran.err[-2000:]}")

        page("create_cluster.py", environment)
        yield account, environment, make


def speed() -> list[Row]:
    """Requests that the emulator answers in a second, of those that create_cluster.py makes when it is run again."""
    with measured(0, 0) as account:
        environment = with_a_task(account.url)
        alone = rate(account, environment)
    with shared_cluster(0.02) as (account, environment, make):
        make(range(MANY - 1))
        beside = rate(account, environment)
    return [
        Row("the emulator, one cluster", "requests a second", alone, None, 600, at_least=True),
        Row(f"the emulator, {MANY - 1} endpoints", "requests a second", beside, None, 300, at_least=True),
    ]


def rate(account: Measured, environment: dict[str, str]) -> float:
    return replayed(noted(account, lambda: page("create_cluster.py", environment)))


def noted(account: Measured, do: Callable[[], Any]) -> list[Any]:
    """The requests that are made meanwhile, as they come over the wire."""
    requests: list[Any] = []
    handle = account.emulator.handle

    def note(method: str, url: str, headers: Any, body: bytes) -> Any:
        requests.append((method, url, dict(headers), body))
        return handle(method, url, headers, body)

    account.emulator.handle = note  # type: ignore[method-assign]
    do()
    account.emulator.handle = handle  # type: ignore[method-assign]
    return requests


def replayed(requests: list[Any], seconds: float = REPLAY_SECONDS) -> float:
    """How many of them are answered in a second."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(pickle.dumps(requests))
        file.flush()
        ran = run([sys.executable, str(REPLAY), file.name, str(seconds)], dict(os.environ))
    if ran.code or ran.err:
        raise Failed(ran.err)
    return float(ran.out)
