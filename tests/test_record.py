"""The record of a run: --show-calls, --record and --timeline are of every page, and say what the page did, and no more."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest
from botocore import xform_name

import rehearse
from aws import dry_run, pages, record, shell_script, timeline
from emulator.core.faults import Fault
from tests.conftest import GPU, READS, Runbook
from tests.everything import LIGHT, prepared

SECRET = 'hf-"QX81zk-q7'
WALK = (
    "create_cluster.py",
    "register_task_definition.py",
    f"run_task.py --env TOKEN={SECRET}",
    "describe_task.py",
    "stop_task.py --all",
    "delete_cluster.py --yes",
)
#: a command of the CLI in a line: the service and the operation
COMMAND = re.compile(r"^(?:\w+=\$\()?(?:again )?aws (\S+) (\S+)", re.MULTILINE)


def test_every_change_is_in_the_lines_once_and_in_the_log_once_and_no_secret_is(
    runbook: Runbook, tmp_path: Path
) -> None:
    settings = {**GPU, "CONTAINER_ENVIRONMENT": f"PASSWORD={SECRET}"}
    log = tmp_path / "log"
    for number, command in enumerate(WALK):
        since = len(runbook.emulator.calls)
        files = ("--record", str(log), "--timeline", str(tmp_path / f"{number}.json"))
        ran = runbook.run(*command.split(), "--show-calls", *files, **settings)
        assert ran.code == 0, ran.err
        changes = Counter(
            f"{service} {xform_name(operation, '-')}"
            for service, operation, error in runbook.emulator.calls[since:]
            if not operation.startswith(READS) and not error
        )
        page, kept = command.split(".")[0], log.read_text().splitlines() if log.exists() else []
        told = [each for each in map(json.loads, kept) if each["page"] == page]
        of_log = [each["call"].split() for each in told if "call" in each and "refused" not in each]
        assert Counter(f"{service} {xform_name(operation, '-')}" for service, operation in of_log) == changes
        assert [each["exit"] for each in told if "exit" in each] == ([0] if changes else [])
        assert {each["who"] for each in told} <= {"arn:aws:iam::123456789012:user/emulator"}
        lines = [each for each in COMMAND.findall(ran.out) if each[1] != "wait"]
        reads = tuple(xform_name(each, "-") for each in dry_run.READS)
        assert Counter(" ".join(each) for each in lines if not each[1].startswith(reads)) == changes, ran.out
        assert subprocess.run(["sh", "-n"], input=ran.out, text=True, check=False).returncode == 0
        assert SECRET not in ran.out + ran.err
    texts = [path.read_text() for path in tmp_path.iterdir()]
    assert not [text for text in texts if SECRET in text or json.dumps(SECRET)[1:-1] in text]


def test_a_value_of_the_environment_is_a_variable_that_whoever_runs_the_script_sets(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    settings = {"CONTAINER_ENVIRONMENT": f"PASSWORD={SECRET}"}
    ran = runbook.run("register_task_definition.py", "--show-calls", "--dry-run", **settings)
    assert '{"name": "PASSWORD", "value": "\'"$ENV_PASSWORD"\'"}' in ran.out
    aws = "aws() { printf '%s\\n' \"$@\"; }\n"  # tells its words
    script = ran.out.replace("\nset -eu\n", f"\nset -eu\n{aws}")
    without = subprocess.run(["sh"], input=script, text=True, capture_output=True, check=False)
    assert (without.returncode, without.stdout) == (2, "")
    told = subprocess.run(
        ["sh"], input=script, env={"ENV_PASSWORD": SECRET, "PATH": "/bin:/usr/bin"}, text=True, capture_output=True
    )
    words = told.stdout.splitlines()
    [container] = json.loads(words[words.index("--container-definitions") + 1])
    assert {"name": "PASSWORD", "value": SECRET} in container["environment"]


def test_nor_is_what_a_pause_remembers_nor_a_sign_in(runbook: Runbook, tmp_path: Path) -> None:
    """A pause keeps the environments of runs, packed, in an SSM parameter; a registry and a shell take tokens."""
    kept = tmp_path / "record.json"
    runbook.has_run("create_cluster.py", "register_task_definition.py", f"run_task.py --env TOKEN={SECRET}")
    for command in ("pause_cluster.py", "resume_cluster.py"):
        ran = runbook.run(command, "--show-calls", "--timeline", str(kept))
        assert ran.code == 0, ran.err
        assert not re.search(r"eN[\w+/]{99}", ran.out + kept.read_text()), command  # zlib's first bytes in base64
        assert '"$ENV_gpu_ecs_paused_gpu"' in ran.out or command == "resume_cluster.py"
    signed_in = {"session": {"tokenValue": SECRET}, "authorizationData": [{"authorizationToken": SECRET}]}
    assert SECRET not in str(record._without_secrets(signed_in))


def test_what_is_only_tried_is_no_change(runbook: Runbook, tmp_path: Path) -> None:
    """EC2's DryRun tells whether a call would be refused."""
    log = tmp_path / "log"
    runbook.run("check_account.py", "--record", str(log))
    assert "CreateVpc" in [operation for _, operation, _ in runbook.emulator.calls]
    assert log.read_text() == ""


def words_of(script: str, *functions: str, **environment: str) -> list[str]:
    """What the commands of a script are given, a word after the other; `aws` answers as the last of `functions` says."""
    told = "\n".join(['aws() { printf "%s\\0" "$@" >> words; }', *functions, "sleep() { :; }"])
    with tempfile.TemporaryDirectory() as folder:
        script = script.replace("\nset -eu\n", f"\nset -eu\n{told}\n")
        environment |= {"PATH": "/bin:/usr/bin"}
        ran = subprocess.run(
            ["sh"], input=script, env=environment, cwd=folder, text=True, capture_output=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        return (Path(folder) / "words").read_text().split("\0")


def test_values_and_texts_of_any_form_come_to_the_cli_as_they_are(runbook: Runbook) -> None:
    command = """printf "${HOME}" '$1' `x` \\n"""
    settings = {"CONTAINER_ENVIRONMENT": "PASSWORD=x", "COMMAND": shlex.join(["sh", "-c", command, "${HOME}"])}
    runbook.has_run("create_cluster.py")
    ran = runbook.run("register_task_definition.py", "--show-calls", "--dry-run", **settings)
    value = "of two\nlines\twith \"quotes\" and \\n 'these'"
    words = words_of(ran.out, ENV_PASSWORD=value)
    [container] = json.loads(words[words.index("--container-definitions") + 1])
    assert {"name": "PASSWORD", "value": value} in container["environment"]
    assert container["command"] == ["sh", "-c", command, "${HOME}"]


def test_no_id_that_a_run_was_given_stands_in_its_lines(runbook: Runbook, tmp_path: Path) -> None:
    """Pasted once more they are about what they make then: nor does a token make AWS answer with what was made before."""
    runbook.has_run("create_cluster.py", "register_task_definition.py")
    for command in ("run_task.py", "pause_cluster.py", "resume_cluster.py"):
        kept = tmp_path / "record.json"
        ran = runbook.run(command, "--show-calls", "--timeline", str(kept), MAX_RUN_HOURS="2")
        lines = "\n".join(line for line in ran.out.splitlines() if not line.startswith("#"))
        started = [
            call.answer["tasks"][0] for call in record.restored(kept.read_text()).calls if call.operation == "RunTask"
        ]
        assert bool(started) == ("${TASK_ARN##*/}" in lines)
        assert not [task for task in started if task["taskArn"].rpartition("/")[2] in lines]
        assert "-token " not in lines


def test_a_wait_s_line_ends_when_the_wait_does(runbook: Runbook) -> None:
    """Neither before, nor never: groups are there at once, and their hosts are not; a dry run looks at what still stands."""
    runbook.has_run("create_cluster.py", "register_task_definition.py")
    ran = runbook.run("run_task.py", "--show-calls")
    assert re.search(r"until_is InService [^#]*'AutoScalingGroups\[\]\.Instances\[\]\.LifecycleState'", ran.out)
    for flags in (["--dry-run"], []):
        ran = runbook.run("pause_cluster.py", "--show-calls", *flags)
        assert "length(AutoScalingGroups)" not in ran.out, flags
    assert re.search(r"until_is 0 [^#]*'length\(AutoScalingGroups\[\]\.Instances\[\]\)'", ran.out)


def test_a_list_of_so_many_at_most_is_no_way_to_wait(runbook: Runbook) -> None:
    """The first of a pipeline's runs is listed long before it has ended."""
    ran = prepared(runbook, LIGHT).has_run("create_repository.py").run("create_pipeline.py", "--show-calls")
    assert "# here the page waited for pipeline gpu to build the image" in ran.out
    assert "aws codepipeline list-pipeline-executions" not in ran.out


def test_a_look_that_was_refused_is_no_sign_that_all_is_gone() -> None:
    for error, line in {"AccessDenied": "", "InvalidGroup.NotFound": "until_is 0 aws ec2 describe-subnets"}.items():
        kept = record.Record("delete_cluster", 0.0)
        kept.calls = [
            record.Call(2, "ec2", "DescribeSubnets", "us-east-1", {"SubnetIds": ["s"]}, 1, error=error, waits=(1,))
        ]
        kept.waits = [record.Wait(1, "subnets to be gone", 0, 1, looks=1)]
        assert (line or "# here the page waited") in shell_script.script(kept)
        assert ("\nuntil_is 0" in shell_script.script(kept)) == bool(line)


def test_a_task_that_found_no_room_is_asked_for_again_and_a_wait_is_patient_by_itself() -> None:
    """HTTP 200 can be a failure of RunTask's; a waiter that gave up after its ten minutes is not started a hundred times."""
    none = "aws() { echo again >> words; [ $(wc -l < words) -gt 2 ] && echo arn || echo None; }"
    script = f"\nset -eu\n{shell_script.AGAIN}\n[ $(again aws ecs run-task --query x) = arn ]\n"
    assert words_of(script, none) == ["again\nagain\nagain\n"]
    assert words_of(f"\nset -eu\n{shell_script.AGAIN}\nagain aws efs describe-file-systems\n")[:3] == [
        *("efs", "describe-file-systems", ""),
    ]
    fails = "aws() { echo again >> words; return 255; }"
    for waiter, times in {"tasks-running": 6, "tasks-stopped": 120}.items():
        script = f"\nset -eu\n{shell_script.AGAIN}\n! again aws ecs wait {waiter} || exit 1\n"
        assert words_of(script, fails) == ["again\n" * times]


def test_the_lines_are_for_the_profile_of_the_settings(runbook: Runbook, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[profile team]\naws_access_key_id = a\naws_secret_access_key = b\n")
    ran = runbook.run("create_cluster.py", "--show-calls", "--dry-run", AWS_PROFILE="team", AWS_CONFIG_FILE=str(config))
    assert "\nexport AWS_PAGER= AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 AWS_PROFILE=team\n" in ran.out


def test_a_page_that_changes_nothing_shows_what_it_reads(runbook: Runbook) -> None:
    ran = runbook.has_run("create_cluster.py").run("describe_clusters.py", "--show-calls")
    assert "aws ecs describe-clusters" in ran.out
    assert ran.code == 0


def test_a_second_run_has_nothing_to_paste(runbook: Runbook) -> None:
    ran = runbook.has_run("create_cluster.py").run("create_cluster.py", "--show-calls")
    assert COMMAND.findall(ran.out) == []
    assert "# it changed nothing" in ran.out


def test_the_lines_of_a_run_that_failed_are_those_until_then(runbook: Runbook) -> None:
    runbook.emulator.faults.planned.append(Fault("CreateCapacityProvider", "denied"))
    ran = runbook.run("create_cluster.py", "--show-calls")
    assert ran.code == 1
    assert "it ended with exit code 1" in ran.out
    assert "aws autoscaling create-auto-scaling-group" in ran.out
    assert "aws ecs create-capacity-provider" not in ran.out


def test_a_file_that_can_t_be_written_is_told_before_the_first_call(runbook: Runbook, tmp_path: Path) -> None:
    for flag in ("--record", "--timeline"):
        ran = runbook.run("create_cluster.py", flag, str(tmp_path / "no" / "such"))
        assert (ran.code, runbook.emulator.calls) == (2, [])


def test_every_page_has_the_flags() -> None:
    assert pages._pages
    for name, about in pages._pages.items():
        given = pages._parser(name, "", about).format_usage()
        assert {"--show-calls", "--timeline", "--record"} <= {*re.findall(r"--[a-z-]+", given)}


def test_a_rehearsal_s_runbook_has_each_command_its_output_its_check_and_its_undo(
    runbook: Runbook, tmp_path: Path
) -> None:
    steps, kept = [], tmp_path / "record.json"
    for command in ("create_cluster.py", "describe_clusters.py"):
        ran = runbook.run(command, "--timeline", str(kept))
        steps.append(rehearse.Step(command, 1.0, ran.out, ran.err, kept.read_text()))
    told = rehearse.as_runbook("gpu-cluster", steps)
    assert "## 1. create_cluster.py\n\nBuild the cluster" in told
    assert "```sh\npython create_cluster.py\n```" in told
    assert "created cluster gpu" in told and '"clusterName": "gpu"' in told
    assert "Check: `python describe_clusters.py`" in told and "Undo: `python delete_cluster.py`" in told
    first, second = told.split("## 2. ")
    assert "aws ec2 create-vpc" in first and "aws " not in second.replace("AWS", "")
    assert told.count("```") % 2 == 0


def test_the_timelines_of_a_rehearsal_add_up() -> None:
    each = made(call(1, "CreateA", 0, "a-1"), wait(3, "A", 0, 40), call(4, "DescribeA", 40, waits=(3,), ThingId="a-1"))
    both = timeline.together("both", [each, each])
    assert (both.took, both.path) == (80, 80)
    assert [(step.what, step.asked, step.ended) for step in both.steps if step.is_wait] == [
        ("create_cluster: A", 0, 40),
        ("create_cluster: A", 40, 80),
    ]


# ------------------------------------------------------------------------------------------------------------ timeline


def test_a_timeline_names_what_was_waited_for_and_what_no_one_can_be_faster_than(
    runbook: Runbook, tmp_path: Path
) -> None:
    drawn = tmp_path / "timeline.svg"
    ran = runbook.run("create_cluster.py", "--timeline", str(drawn), MIN_INSTANCES="1")
    assert ran.result["clusterName"] == "gpu"
    root = ElementTree.fromstring(drawn.read_text())
    told = [text for text in root.itertext() if text.strip()]
    assert any("1 host to join the cluster" in text for text in told)
    assert "<script" not in drawn.read_text() and "http" not in drawn.read_text().replace(
        "http://www.w3.org/2000/svg", ""
    )


def test_on_a_terminal_a_timeline_is_bars(runbook: Runbook) -> None:
    ran = runbook.run("create_cluster.py", "--timeline", "-", MIN_INSTANCES="1")
    numbers = re.search(r"create_cluster.py: took (.*), AWS's critical path (.*), ratio (\d\.\d\d)", ran.err)
    assert numbers and 1 <= float(numbers[3]) < 1.3
    assert re.search(r"s \| *=+ *\| 1 host to join the cluster", ran.err)
    assert re.search(r"s \| *#+ *\| the mount targets' DNS names", ran.err)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (0.4, "0.4 s"), (9.5, "9.5 s"), (9.97, "10 s"), (119.4, "119 s"), (179.7, "3 min 0 s")],
)
def test_a_short_run_has_tenths_of_a_second_so_that_its_ratio_can_be_read(seconds: float, words: str) -> None:
    assert timeline.in_words(seconds) == words


def made(*steps: record.Call | record.Wait) -> timeline.Timeline:
    kept = record.Record("create_cluster", 0.0)
    kept.ended = max(step.ended for step in steps)
    kept.calls = [step for step in steps if isinstance(step, record.Call)]
    kept.waits = [step for step in steps if isinstance(step, record.Wait)]
    return timeline.of(record.restored(record.saved(kept)))


def call(
    number: int, operation: str, at: float, answer: str = "", waits: tuple[int, ...] = (), **params: str
) -> record.Call:
    answered = {"ThingId": answer} if answer else {}
    return record.Call(number, "ec2", operation, "us-east-1", params, at, at, answered, waits=waits)


def wait(number: int, what: str, began: float, ended: float, looks: int = 1) -> record.Wait:
    return record.Wait(number, what, began, ended, looks)


def test_what_aws_does_meanwhile_is_not_in_the_critical_path() -> None:
    """One thing takes 100 s and the other 60, both asked for at the beginning: 100 s."""
    drawn = made(
        call(1, "CreateA", 0, "a-1"),
        call(2, "CreateB", 0, "b-1"),
        wait(3, "A", 0, 100),
        call(4, "DescribeA", 100, waits=(3,), ThingId="a-1"),
        wait(5, "B", 100, 100, looks=0),
        call(6, "DescribeB", 100, waits=(5,), ThingId="b-1"),
    )
    assert (drawn.took, drawn.path) == (100, 100)


def test_what_was_asked_for_late_is_ours() -> None:
    """B needs nothing of A, and was asked for when A had been looked at: AWS could have made both at the same time."""
    drawn = made(
        call(1, "CreateA", 0, "a-1"),
        wait(3, "A", 0, 40),
        call(4, "DescribeA", 40, waits=(3,), ThingId="a-1"),
        call(5, "CreateB", 90, "b-1"),
        wait(6, "B", 90, 150),
        call(7, "DescribeB", 150, waits=(6,), ThingId="b-1"),
    )
    assert (drawn.took, drawn.path) == (150, 100)
    assert [step.what for step in drawn.steps if step.critical and step.is_wait] == ["A", "B"]


def test_a_pause_that_looks_at_nothing_comes_after_the_wait_for_the_same_things() -> None:
    drawn = made(
        call(1, "CreateMountTarget", 0, "a-1"),
        wait(2, "mount targets to be available", 0, 80),
        call(3, "DescribeMountTargets", 80, waits=(2,), ThingId="a-1"),
        wait(4, "the mount targets' DNS names", 80, 170),
    )
    assert (drawn.took, drawn.path) == (170, 170)


def test_text_in_a_timeline_is_text() -> None:
    drawn = made(call(1, "CreateA", 0, "a-1"), wait(2, '<script>"&', 0, 10), call(3, "DescribeA", 10, waits=(2,)))
    assert "<script>" not in timeline.svg(drawn)
    assert ElementTree.fromstring(timeline.svg(drawn)) is not None
