"""A sweep: the same task once for each row of a file, its columns in the environment, some at once.

AWS is the state as far as it lasts: each task bears the key of its row as a tag, and a stopped one is listed for an hour.
What is older stands in FILE.results.jsonl beside the file: a line when a task has started, and one when it has ended. So a
sweep that was killed goes on when it is run again: no row twice, and none lost. A task that ended while nobody looked,
more than an hour ago, is told as unknown, and not run again. Nor is a row that failed: who wants that writes "again" in
place of its state.

The tag alone tells of a task whose process was killed before it could write the line: run it again within the hour.
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html
"""

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aws
import console
import constants
import texts
from aws import Problem
from console import how_many, say
from infrastructure.cluster import capacity, costs, pause
from infrastructure.service import deadlines, diagnosis, hosts, overrides, retries, runs, tasks

INDEX = "SWEEP_INDEX"
#: states in which a row is done
DONE = ("succeeded", "failed", "unknown")
#: what a line of the record says -> the state of its row by then
STATES = {"started": "running", "again": "waiting", **{state: state for state in DONE}}
#: in which order a terminal shows them, and how many
ORDER, SHOWN = ("running", "failed", "unknown", "waiting", "succeeded"), 20


@dataclass
class Row:
    """One task of the sweep, and what is known of it."""

    index: int
    key: str
    asked: dict[str, Any]  # RunTask's request
    arns: list[str] = field(default_factory=list)  # its tasks so far, also those that ended
    state: str = "waiting"  # then running, and one of DONE
    told: dict[str, Any] = field(default_factory=dict)  # exit code, minutes, dollars
    attempts: int = 0  # that have ended and were not the last
    not_before: int = 0  # the look at which it may be started again
    missed: int = 0  # looks in a row at which AWS did not list its task


@dataclass
class Sweep:
    rows: list[Row]
    record: Path
    definition: Any = None
    looks: int = 0
    #: CPU, memory and GPUs of a task -> USD an hour, asked for once
    hourly: dict[tuple[Any, ...], float | None] = field(default_factory=dict)


def run(path: str, definition: Any, wanted: dict[str, Any], seen: list[Any]) -> dict[str, Any]:
    """All rows to their end, MAX_PARALLEL at once. Answers how each ended. `seen`: what run_task.py has started."""
    sweep = Sweep(of_file(path, definition, wanted), Path(f"{path}.results.jsonl"), definition)
    rows = sweep.rows
    recall(rows, read_record(sweep.record), seen)
    write(sweep.record)
    left = [row for row in rows if row.state not in DONE]
    say(
        "found",
        f"sweep {path}",
        f"{how_many(len(rows), 'row')}, {len(rows) - len(left)} of them done by {sweep.record}",
    )

    def look() -> bool:
        sweep.looks += 1
        judge(sweep)
        start(sweep)
        return all(row.state in DONE for row in rows)

    if left:
        running = sum(row.state == "running" for row in left)
        asked = left[0].asked  # the rows differ in their variables only
        more = min(constants.MAX_PARALLEL, len(left)) - running
        known = sorted(arn for row in rows for arn in row.arns)
        hosts.bring(hosts.Wish(definition, asked.get("overrides", {}), more, known, go_on=running > 0))
        limit = constants.RUN_TIMEOUT_SECONDS or math.inf
        with console.live_table(lambda: table(rows)):
            aws.wait(f"{how_many(len(left), 'row')} to end", look, lambda: in_words(rows), limit)
    return outcome(sweep, definition)


# ----------------------------------------------------------------------------------------------------------- the file


def of_file(path: str, definition: Any, wanted: dict[str, Any]) -> list[Row]:
    """The rows of a CSV file with a line of names, or of JSON objects, one a line."""
    try:
        text = texts.decoded(Path(path).read_bytes())
        found = list(of_csv(text) if path.endswith(".csv") else of_json(text))
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", "") or "save it as text in UTF-8"
        raise overrides.wrong(f"--sweep: {path} can't be read: {why}") from None
    except csv.Error as error:
        raise overrides.wrong(f"--sweep: {path} is no CSV: {error}") from None
    except ValueError as error:
        raise overrides.wrong(f"--sweep: {path} {error}") from None
    if not found:
        raise overrides.wrong(f"--sweep: {path} has no row")
    return [row(number, each, definition, wanted) for number, each in enumerate(found)]


def of_csv(text: str) -> list[dict[str, str]]:
    names, *lines = list(csv.reader(io.StringIO(text, newline=""))) or [[]]
    for number, line in enumerate(lines, 1):
        if line and len(line) != len(names):
            raise ValueError(f"has {len(line)} fields in its row {number} for {len(names)} names")
    if len(set(names)) < len(names):
        raise ValueError("has a name twice in its first line")
    return [dict(zip(names, line, strict=True)) for line in lines if line]


def of_json(text: str) -> list[dict[str, str]]:
    found = []
    for number, line in enumerate([line for line in text.splitlines() if line.strip()], 1):
        try:
            each = json.loads(line)
        except (ValueError, RecursionError):
            each = None
        if not isinstance(each, dict) or any(isinstance(value, dict | list) for value in each.values()):
            raise ValueError(f"has in its row {number} no JSON object of texts and numbers; a CSV file is named .csv")
        found.append({name: as_text(value) for name, value in each.items()})
    return found


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def row(number: int, columns: Mapping[str, str], definition: Any, wanted: dict[str, Any]) -> Row:
    environment = dict(wanted["environment"])
    for name, value in (*columns.items(), (INDEX, str(number))):
        overrides.add(environment, name, value, f"--sweep: row {number}")
    its_overrides = overrides.of(definition, {**wanted, "environment": environment})
    key = overrides.key(definition, its_overrides)
    return Row(number, key, runs.request(definition, its_overrides, key))


# ---------------------------------------------------------------------------------------------------------- the record


def read_record(path: Path) -> list[dict[str, Any]]:
    """What earlier runs have written. A last line that was cut short is none."""
    found = []
    try:
        lines = texts.decoded(path.read_bytes()).splitlines() if path.is_file() else []
    except (OSError, ValueError) as error:
        raise overrides.wrong(f"--sweep: {path} can't be read: {error}") from None
    for line in lines:
        try:
            each = json.loads(line)
        except ValueError:
            continue
        if isinstance(each, dict) and isinstance(each.get("taskArn"), str) and each.get("state") in STATES:
            found.append(each)
    return found


def write(path: Path, *lines: dict[str, Any]) -> None:
    """More lines; with none of them, whether they could be written. No variable of a row is in them: its key is a hash."""
    if console.dry_run:
        return
    try:
        with path.open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
    except OSError as error:
        raise overrides.wrong(f"--sweep: {path} can't be written: {error.strerror}") from None


def line_of(row: Row, state: str) -> dict[str, Any]:
    return {"row": row.index, "key": row.key, "state": state, "taskArn": row.arns[-1], **row.told}


def recall(rows: list[Row], record: list[dict[str, Any]], seen: list[Any]) -> None:
    """What became of each row before: by the record, and by what AWS lists."""
    by_key = {row.key: row for row in rows}
    for line in record:
        if row := by_key.get(line.get("key", "")):
            row.arns = list(dict.fromkeys([*row.arns, line["taskArn"]]))
            row.state = STATES[line["state"]]
            row.attempts += line["state"] == "again"
            row.told = {name: line[name] for name in ("exitCode", "minutes", "usd") if name in line}
    for task in sorted(seen, key=lambda each: each["createdAt"]):
        row = by_key.get(overrides.key_of(task))
        if row and task["taskArn"] not in row.arns:
            row.arns.append(task["taskArn"])
            row.state = "running"
    for row in rows:
        row.missed = (
            runs.LOOKS - 3 if row.state == "running" and row.arns[-1] not in [t["taskArn"] for t in seen] else 0
        )


# ------------------------------------------------------------------------------------------------------------ the runs


def judge(sweep: Sweep) -> None:
    """What has become of those that run."""
    running = [row for row in sweep.rows if row.state == "running"]
    found = {task["taskArn"]: task for task in tasks.describe([row.arns[-1] for row in running])} if running else {}
    for row in running:
        task = found.get(row.arns[-1])
        row.missed = 0 if task else row.missed + 1
        if task and task["lastStatus"] == "STOPPED":
            ended(sweep, row, task)
        elif row.missed > runs.LOOKS:
            row.state = "unknown"
            write(sweep.record, line_of(row, "unknown"))
            its_task = f"task {tasks.task_id(row.arns[-1])}"
            say("warning", f"row {row.index}: AWS has forgotten {its_task}", "how it ended is unknown")


def ended(sweep: Sweep, row: Row, task: Any) -> None:
    """It did its work, or is started again, or has failed."""
    minutes, usd = cost(sweep, task)
    minutes = round(minutes + row.told.get("minutes", 0), 1)  # of all its attempts
    usd = None if usd is None else round(usd + (row.told.get("usd") or 0), 4)
    row.told = {"exitCode": tasks.exit_codes(task).get(constants.CONTAINER_NAME), "minutes": minutes, "usd": usd}
    if runs.did_its_work(task):
        row.state = "succeeded"
    elif retries.wanted([task], row.attempts):
        retries.tell(task, row.attempts, f"row {row.index}:")
        row.not_before = sweep.looks + retries.FIRST_PAUSE * 2**row.attempts
        row.attempts, row.state = row.attempts + 1, "waiting"
    else:
        row.state = "failed"
        say("warning", f"row {row.index}:", runs.reason(task))
    write(sweep.record, line_of(row, "again" if row.state == "waiting" else row.state))
    if row.state != "waiting":
        price = "" if usd is None else f", ${usd:.4f}" if usd < 0.01 else f", ${usd:.2f}"
        say("ended", f"row {row.index}", f"{row.state}, exit code {row.told['exitCode']}, {minutes} min{price}")
    deadlines.drop([tasks.task_id(task["taskArn"])])


def start(sweep: Sweep) -> None:
    """As many as may run at once, in the order of the file. Somebody may have paused the cluster since the last look."""
    free = constants.MAX_PARALLEL - sum(row.state == "running" for row in sweep.rows)
    may = [row for row in sweep.rows if row.state == "waiting" and row.not_before <= sweep.looks]
    now = may[: max(free, 0)]
    if now:
        pause.refuse()
    on_spot = hosts.for_spot(sweep.definition, now[0].asked.get("overrides", {}), len(now)) if now else 0
    for number, row in enumerate(now):
        row.arns += runs.start(row.asked, 1, row.arns, f"row {row.index}:", on_spot=int(number < on_spot))
        row.state, row.missed = "running", 0
        write(sweep.record, line_of(row, "started"))


def cost(sweep: Sweep, task: Any) -> tuple[float, float | None]:
    """Minutes from the pull of the image to the end, and USD where a price is known: not of Spot, of a reservation, or of
    whichever of several types.

    On a host it is the part of it that the task's GPUs are: what idle GPUs cost beside it belongs to no row.
    """
    begun = task.get("pullStartedAt") or task.get("startedAt")
    minutes = (task["stoppedAt"] - begun).total_seconds() / 60 if begun and task.get("stoppedAt") else 0.0
    spot = constants.CAPACITY_TYPE == "spot" or (
        constants.SPOT_FIRST and task.get("capacityProviderName") == capacity.name_of("hosts")
    )
    if not minutes or spot or constants.CAPACITY_RESERVATION or len(constants.TYPES) > 1:
        return round(minutes, 1), None
    gpus = sum(len(each.get("gpuIds", [])) for each in task.get("containers", []))
    size = (task["cpu"], task["memory"], gpus)
    if size not in sweep.hourly:
        sweep.hourly[size] = costs.hourly_on_fargate([task]) if constants.LAUNCH_TYPE == "FARGATE" else of_host(gpus)
    hourly = sweep.hourly[size]
    return round(minutes, 1), None if hourly is None else round(hourly * minutes / 60, 4)


def of_host(gpus: int) -> float | None:
    price, all_of_them = costs.host_price(), costs.gpus_of_host()
    return price * gpus / all_of_them if price and all_of_them and gpus and not constants.GPU_SHARING else None


# ------------------------------------------------------------------------------------------------------- what is told


def table(rows: list[Row]) -> tuple[list[str], list[list[str]]]:
    """Names of the columns, and the cells: what runs and what failed first, and no more than a screen has."""
    first = sorted(rows, key=lambda row: (ORDER.index(row.state), row.index))
    cells = [
        [str(row.index), row.state, *(str(row.told.get(name, "")) for name in ("exitCode", "minutes", "usd"))]
        for row in first[:SHOWN]
    ]
    more = [["", f"{len(rows) - SHOWN} more", "", "", ""]] if len(rows) > SHOWN else []
    return ["row", "state", "exit code", "minutes", "USD"], cells + more


def in_words(rows: list[Row]) -> str:
    states = [row.state for row in rows]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states)))
    oldest = next((row.arns[-1] for row in rows if row.state == "running"), None)
    found = tasks.describe([oldest])[:1] if oldest else []
    why = next(filter(None, map(diagnosis.why, found)), "")
    return f"{counts}{f'; {why}' if why else ''}"


def outcome(sweep: Sweep, definition: Any) -> dict[str, Any]:
    """A row each. If one of them failed, it is a failure, with all the same."""
    rows, record = sweep.rows, sweep.record
    told = [
        {
            "row": row.index,
            "state": row.state,
            "exitCode": None,
            "minutes": None,
            "usd": None,
            **row.told,
            "attempts": row.attempts + 1,
            "taskArn": row.arns[-1] if row.arns else None,
        }
        for row in rows
    ]
    known = [row.told["usd"] for row in rows if row.told.get("usd") is not None]
    result = {
        "taskDefinitionArn": definition["taskDefinitionArn"],
        "rows": told,
        "usd": round(sum(known), 4) if len(known) == len(rows) else None,
    }
    if failed := [row for row in rows if row.state in ("failed", "unknown")]:
        numbers = ", ".join(str(row.index) for row in failed)
        how = f"to run one again, write again in place of its state in {record}"
        code = aws.TASK_FAILED if any(row.told.get("exitCode") for row in failed) else aws.FAILED
        raise Problem(f"{len(failed)} of {len(rows)} rows failed: {numbers}; {how}", result, code)
    say("next", aws.command("list_tasks.py"), f"what has ended stands in {record}")
    return result
