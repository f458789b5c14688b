"""A sweep runs one task a row, some at once; killed and run again it goes on: no row twice, and none lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.core.faults import Fault
from tests.conftest import Ran, Runbook
from tests.infrastructure.test_overrides import log_of
from tests.infrastructure.test_retries import interrupting, notice, of_fargate
from tests.pages.test_run_task import REGISTERED, requests, tasks

JOB = {"COMMAND": "sh -c 'echo $LR $SWEEP_INDEX; sleep 120'", "POLL_SECONDS": "15", "MAX_PARALLEL": "2"}


@pytest.fixture
def job(fargate: Runbook) -> Runbook:
    fargate.settings |= JOB
    return fargate.has_run(*REGISTERED)


def of(tmp_path: Path, count: int) -> str:
    path = tmp_path / "lr.csv"
    path.write_text("LR,NOTE\n" + "".join(f'0.{number},"a, {number}"\n' for number in range(count)))
    return str(path)


def ran_at_once(runbook: Runbook) -> int:
    """How many of all tasks there were ran at the same time at most."""
    found = tasks(runbook, "STOPPED")
    edges = sorted([(task["createdAt"], 1) for task in found] + [(task["stoppingAt"], -1) for task in found])
    running = [sum(step for _, step in edges[: number + 1]) for number in range(len(edges))]
    return max(running)


class Killed(BaseException):
    """The process is gone, as by SIGKILL: nothing of it runs on."""


def killed_at(runbook: Runbook, call: int, when: str, path: str, **settings: str) -> None:
    """A sweep whose process dies right after its RunTask of this number, or once it has written that down."""
    count = [0]

    def watch(moment: str) -> None:
        count[0] += moment == "after" and runbook.emulator.calls[-1][1] == "RunTask"
        if count[0] == call and moment == ("after" if when == "unwritten" else "before"):
            raise Killed

    runbook.watch = watch
    with pytest.raises(Killed):
        runbook.run("run_task.py", "--sweep", path, **settings)
    runbook.watch = None


def test_each_row_is_a_task_with_its_columns_in_the_environment(job: Runbook, tmp_path: Path) -> None:
    ran = job.run("run_task.py", "--sweep", of(tmp_path, 12))
    assert ran.code == 0, ran.err
    rows = ran.result["rows"]
    assert [(row["row"], row["state"], row["exitCode"]) for row in rows] == [(n, "succeeded", 0) for n in range(12)]
    logs = [log_of(job, row["taskArn"]) for row in rows]
    assert logs == [[f"0.{number} {number}"] for number in range(12)]
    assert (len(tasks(job, "STOPPED")), ran_at_once(job)) == (12, 2)
    assert all(2 <= row["minutes"] <= 4 for row in rows)


def test_a_row_tells_minutes_and_dollars(job: Runbook, tmp_path: Path) -> None:
    """0.25 vCPU and 512 MiB on Fargate: 0.0123 USD an hour."""
    ran = job.run("run_task.py", "--sweep", of(tmp_path, 1), "--command", "sleep 3600")
    [row] = ran.result["rows"]
    assert 60 <= row["minutes"] <= 63
    assert row["usd"] == pytest.approx(0.0123 * row["minutes"] / 60, rel=0.02)
    assert ran.result["usd"] == row["usd"]
    assert f"ended row 0  succeeded, exit code 0, {row['minutes']} min, $0.01" in ran.err


def test_on_a_host_a_row_costs_what_its_gpus_are_of_it(runbook: Runbook, tmp_path: Path) -> None:
    runbook.settings |= {**JOB, "INSTANCE_TYPE": "g4dn.12xlarge", "COMMAND": "sleep 3600", "POLL_SECONDS": "60"}
    ran = runbook.has_run(*REGISTERED).run("run_task.py", "--sweep", of(tmp_path, 2))
    assert [row["usd"] for row in ran.result["rows"]] == [
        pytest.approx(3.912 / 4 * row["minutes"] / 60, rel=0.01) for row in ran.result["rows"]
    ]


def test_spot_has_no_price_that_is_known(job: Runbook, tmp_path: Path) -> None:
    ran = job.run("run_task.py", "--sweep", of(tmp_path, 1), CAPACITY_TYPE="spot")
    assert (ran.code, ran.result["rows"][0]["usd"], ran.result["usd"]) == (0, None, None)


def test_json_lines_are_rows_too(job: Runbook, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"LR": 0.25, "NOTE": null, "FLAG": true}\n\n{"LR": "a b"}\n')
    ran = job.run("run_task.py", "--sweep", str(path))
    assert ran.code == 0, ran.err
    assert [log_of(job, row["taskArn"]) for row in ran.result["rows"]] == [["0.25 0"], ["a b 1"]]


def test_a_row_that_fails_is_told_and_the_others_run(job: Runbook, tmp_path: Path) -> None:
    path = tmp_path / "codes.csv"
    path.write_text("CODE\n0\n3\n0\n")
    ran = job.run("run_task.py", "--sweep", str(path), "--command", "sh -c 'echo no luck; exit $CODE'")
    assert ran.code == 4
    assert [row["exitCode"] for row in ran.result["rows"]] == [0, 3, 0]
    assert "1 of 3 rows failed: 1; to run one again, write again in place of its state in" in ran.err
    assert "log: no luck" in ran.err


# ---------------------------------------------------------------------------------------------------- killed, run again


@pytest.mark.parametrize("when", ["unwritten", "written"])
@pytest.mark.parametrize("call", [1, 7])
def test_killed_and_run_again_it_goes_on(job: Runbook, tmp_path: Path, call: int, when: str) -> None:
    path = of(tmp_path, 12)
    killed_at(job, call, when, path)
    ran = job.run("run_task.py", "--sweep", path)
    assert ran.code == 0, ran.err
    assert [row["state"] for row in ran.result["rows"]] == ["succeeded"] * 12
    assert len(tasks(job, "STOPPED")) == 12
    assert len({row["taskArn"] for row in ran.result["rows"]}) == 12


def test_what_ended_hours_ago_is_not_run_again(job: Runbook, tmp_path: Path) -> None:
    """AWS has forgotten those tasks; FILE.results.jsonl has not. One that ended unseen is unknown, and told."""
    path = of(tmp_path, 5)
    killed_at(job, 4, "written", path)
    job.settle(3 * 3600)
    seen = requests(job)
    ran = job.run("run_task.py", "--sweep", path)
    states = [row["state"] for row in ran.result["rows"]]
    assert states == ["succeeded", "succeeded", "unknown", "unknown", "succeeded"]
    assert (len(seen), ran.code) == (1, 1)
    assert "AWS has forgotten task" in ran.err


def test_one_that_is_done_starts_nothing_and_tells_the_same(job: Runbook, tmp_path: Path) -> None:
    path = of(tmp_path, 3)
    first = job.run("run_task.py", "--sweep", path)
    begun = len(job.emulator.calls)
    second = job.run("run_task.py", "--sweep", path)
    assert (second.code, second.result, job.changes(begun)) == (0, first.result, [])


def test_two_at_once_start_no_row_twice(job: Runbook, tmp_path: Path) -> None:
    path = of(tmp_path, 3)
    found: list[Ran] = []

    def watch(when: str) -> None:
        if job.emulator.calls[-1][1] == "RunTask" and not found:
            job.watch = None
            found.append(job.run("run_task.py", "--sweep", path))

    job.watch = watch
    ran = job.run("run_task.py", "--sweep", path)
    assert (ran.code, found[0].code, len(tasks(job, "STOPPED"))) == (0, 0, 3)


def test_a_new_revision_is_a_new_sweep(job: Runbook, tmp_path: Path) -> None:
    path = of(tmp_path, 2)
    assert job.run("run_task.py", "--sweep", path).code == 0
    job.has_run("register_task_definition.py", TASK_MEMORY="1024")
    assert job.run("run_task.py", "--sweep", path, TASK_MEMORY="1024").code == 0
    assert len(tasks(job, "STOPPED")) == 4


# ------------------------------------------------------------------------------------------------------------- retries


def test_a_row_that_spot_ended_is_run_again_and_that_is_told(job: Runbook, tmp_path: Path) -> None:
    job.settings["CAPACITY_TYPE"] = "spot"
    interrupting(job, 1, of_fargate(job))
    ran = job.run("run_task.py", "--sweep", of(tmp_path, 6), RETRIES="1")
    job.watch = None
    assert ran.code == 0, ran.err
    assert [row["state"] for row in ran.result["rows"]] == ["succeeded"] * 6
    assert ran.err.count("AWS took its Spot capacity back") == 1
    assert sorted(row["attempts"] for row in ran.result["rows"]) == [1, 1, 1, 1, 1, 2]
    assert len(tasks(job, "STOPPED")) == 7


def test_a_row_that_failed_is_run_again_where_its_record_says_so(job: Runbook, tmp_path: Path) -> None:
    path, command = of(tmp_path, 2), ("--command", "sh -c 'test $SWEEP_INDEX = 1 || exit 3'")
    assert job.run("run_task.py", "--sweep", path, *command).code == 4
    begun = len(job.emulator.calls)
    assert job.run("run_task.py", "--sweep", path, *command).code == 4
    assert job.changes(begun) == []
    record = tmp_path / "lr.csv.results.jsonl"
    record.write_text(record.read_text().replace("failed", "again"))
    assert job.run("run_task.py", "--sweep", path, *command).code == 4
    assert job.changes(begun) == ["ecs:RunTask"]


def test_six_rows_on_two_gpus_outlive_a_spot_host(runbook: Runbook, tmp_path: Path) -> None:
    runbook.settings |= {**JOB, "CAPACITY_TYPE": "spot", "MAX_INSTANCES": "2", "COMMAND": "sleep 600"}
    runbook.has_run(*REGISTERED)
    interrupting(runbook, 1, lambda task: notice(runbook, instance=task.instance.ec2_id))
    ran = runbook.run("run_task.py", "--sweep", of(tmp_path, 6), RETRIES="2")
    runbook.watch = None
    assert ran.code == 0, ran.err
    assert [row["state"] for row in ran.result["rows"]] == ["succeeded"] * 6
    assert "AWS took its Spot capacity back" in ran.err


# ------------------------------------------------------------------------------------------------------------ mistakes

MISTAKES: dict[str, Any] = {
    "not there": (None, "can't be read: No such file"),
    "empty": ("", "has no row"),
    "names alone": ("LR\n", "has no row"),
    "a field too few": ("LR,N\n1\n", "has 1 fields in its row 1 for 2 names"),
    "a name twice": ("LR,LR\n1,hf-QX81zk\n", "has a name twice in its first line"),
    "no name": ("L R\nhf-QX81zk\n", "row 0 has no name of an environment variable"),
    "our name": ("SWEEP_INDEX\n1\n", "row 0: SWEEP_INDEX is there twice"),
    "a flag's name": ("A\n1\n", "row 0: A is there twice"),
    "too long": ("LR\n" + "x" * 8192 + "\n", "8192 at most"),
    "too long for CSV": ("LR\n" + "x" * 140_000 + "\n", "is no CSV: field larger than field limit"),
    "no text": (b"\xff\xfe\x00LR", "can't be read"),
}


@pytest.mark.parametrize(("text", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_the_file_is_told_before_anything_is_started(
    job: Runbook, tmp_path: Path, text: Any, words: str
) -> None:
    path = tmp_path / "rows.csv"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    begun = len(job.emulator.calls)
    ran = job.run("run_task.py", "--env", "A=1", "--sweep", str(path))
    assert (ran.code, job.changes(begun), ran.out) == (2, [], "")
    assert words in ran.err
    assert "hf-QX81zk" not in ran.err


@pytest.mark.parametrize("line", ['["LR"]', '{"LR": {"a": 1}}', "LR=1", '{"LR": [1]}'])
def test_json_lines_that_are_no_rows(job: Runbook, tmp_path: Path, line: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"LR": 1}}\n{line}\n')
    ran = job.run("run_task.py", "--sweep", str(path))
    assert (ran.code, ran.out) == (2, "")
    assert "has in its row 2 no JSON object of texts and numbers" in ran.err


@pytest.mark.parametrize("flag", ["--detach", "--replace"])
def test_a_sweep_is_fed_from_here(job: Runbook, tmp_path: Path, flag: str) -> None:
    ran = job.run("run_task.py", "--sweep", of(tmp_path, 1), flag)
    assert (ran.code, ran.out) == (2, "")


def test_a_dry_run_starts_nothing_and_writes_nothing(job: Runbook, tmp_path: Path) -> None:
    path = of(tmp_path, 5)
    begun = len(job.emulator.calls)
    ran = job.run("run_task.py", "--sweep", path, "--dry-run")
    assert (ran.code, job.changes(begun)) == (0, []), ran.err
    assert ran.err.count("would have started") == 2
    assert sorted(each.name for each in tmp_path.iterdir()) == ["lr.csv"]


def test_a_record_that_can_not_be_written_is_told_before_anything_is_started(job: Runbook, tmp_path: Path) -> None:
    path = of(tmp_path, 2)
    (tmp_path / "lr.csv.results.jsonl").mkdir()
    begun = len(job.emulator.calls)
    ran = job.run("run_task.py", "--sweep", path)
    assert (ran.code, job.changes(begun)) == (2, [])
    assert "lr.csv.results.jsonl can't be written: Is a directory" in ran.err


@pytest.mark.parametrize("line", ['{"row": 0, "key": ', "7", '{"key": "x", "state": "odd", "taskArn": "a"}', "[]", ""])
def test_a_line_of_the_record_that_says_nothing_is_none(job: Runbook, tmp_path: Path, line: str) -> None:
    path = of(tmp_path, 2)
    (tmp_path / "lr.csv.results.jsonl").write_text(f"{line}\n")
    ran = job.run("run_task.py", "--sweep", path)
    assert (ran.code, len(tasks(job, "STOPPED"))) == (0, 2), ran.err


def test_a_text_in_a_csv_file_may_have_more_lines(job: Runbook, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b'LR,NOTE\r\n0.5,"a\r\nb"\r\n')
    ran = job.run("run_task.py", "--sweep", str(path))
    assert ran.code == 0, ran.err
    [task] = tasks(job, "STOPPED")
    [override] = task["overrides"]["containerOverrides"]
    assert {"name": "NOTE", "value": "a\nb"} in override["environment"]


def test_the_record_holds_no_variable(job: Runbook, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("TOKEN\nhf-QX81zk\n")
    ran = job.run("run_task.py", "--sweep", str(path))
    record = (tmp_path / "rows.csv.results.jsonl").read_text()
    assert "hf-QX81zk" not in record + ran.out + ran.err
    assert [json.loads(line)["state"] for line in record.splitlines()] == ["started", "succeeded"]


def test_one_that_lost_its_answers_can_be_run_again(job: Runbook, tmp_path: Path) -> None:
    job.emulator.faults.planned.append(Fault("RunTask", "cut", when="after", times=-1))
    assert job.run("run_task.py", "--sweep", of(tmp_path, 3)).code == 1
    job.emulator.faults.planned.clear()
    assert job.run("run_task.py", "--sweep", of(tmp_path, 3)).code == 0
    assert len(tasks(job, "STOPPED")) == 3
