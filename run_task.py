"""Start tasks, and wait until they run; or, with RUN_UNTIL=STOPPED, until they have done their work.

Needs register_task_definition.py. TASK_COUNT tasks of its newest revision are wanted: those of this revision that run
already are counted, so that running it again starts only what is missing. Tasks of another family or revision run on
beside them; with --replace those of other revisions are stopped first, since they may hold the GPU. Prints of each task
its revision, image digests and state, and the exit codes of one that has ended; if one of them is not 0 it ends with
exit code 4. With MIN_INSTANCES=0 the host must come first: it is asked for at once, and the task runs after 3 to 7 minutes;
where no zone has one, exit code 3 and the reason in each (WAIT_FOR_CAPACITY). With RUN_UNTIL=STOPPED, and after a sweep,
hosts end on which no task is any more (KEEP_HOSTS).

A run may have a command, variables and sizes of its own: nothing is registered for that. It is a job of its own, and
counts those tasks alone that run with the very same; killed and run again it goes on with the one that it started.
RETRIES starts a task again that AWS, and not its own exit code, has ended. With --sweep and --nodes TASK_COUNT does not count.

    python run_task.py             next: python describe_task.py
    python run_task.py --command 'python train.py --epochs 3' --env LR=0.1 --gpus 1
    python run_task.py -- python train.py --name 'two words'   the words are taken as they stand
    python run_task.py --sweep rows.csv   one task a row, MAX_PARALLEL at once; what has ended is in rows.csv.results.jsonl
    python run_task.py --nodes 2   one job on two hosts: docs/several-hosts.md
    python run_task.py --detach    start, and do not wait
    python run_task.py --replace   in place of the tasks of this family's other revisions
    python run_task.py --dry-run   what would be started

Running tasks cost money until: python stop_task.py --all
"""

import sys
from collections.abc import Sequence
from typing import Any

import aws
import constants
from aws import REPEATED, REST, Problem
from console import say
from infrastructure.cluster import capacity_reservation, cluster, container_instances, costs, pause, ways_out
from infrastructure.service import (
    bill,
    deadlines,
    hosts,
    overrides,
    runs,
    several_hosts,
    sweeps,
    task_definitions,
    tasks,
)


@aws.page(
    changes=True,
    undo="stop_task.py --all",
    replace="first stop the tasks of this family's other revisions",
    command=("TEXT", "in place of COMMAND, for this run: words as in a shell"),
    env=("NAME=value", "a variable of the container's environment, for this run; may be given several times", REPEATED),
    gpus=("N", "in place of GPU_COUNT, for this run"),
    memory=("MIB", "in place of TASK_MEMORY, for this run"),
    cpu=("UNITS", "in place of TASK_CPU, for this run"),
    detach="start, and do not wait",
    sweep=("FILE", "a task for each row of this CSV or JSON-lines file, its columns in the environment"),
    nodes=("N", "one job on N hosts: each node knows its rank, and node 0's address"),
    yes="do not ask, whatever it costs",
    args=("ARGS", "the command, for this run, word by word", REST),
)
def run_task(
    replace: bool = False,
    command: str = "",
    env: Sequence[str] = (),
    gpus: str = "",
    memory: str = "",
    cpu: str = "",
    detach: bool = False,
    sweep: str = "",
    nodes: str = "",
    yes: bool = False,
    args: Sequence[str] = (),
) -> dict[str, Any]:
    if replace and constants.RUN_UNTIL == "STOPPED":
        way = "python stop_task.py --task ID stops one"
        raise Problem(
            f"--replace, but RUN_UNTIL=STOPPED: a job is no copy of another job; {way}", None, aws.WRONG_SETTING
        )
    if (sweep or nodes) and (replace or detach or (sweep and nodes)):
        raise overrides.wrong("--sweep, --nodes and --replace, and --detach with one of them, do not go together")
    count = several_hosts.count_of(nodes) if nodes else 0
    wanted = overrides.of_flags(command, env, gpus, memory, cpu, args)
    reads = (cluster.required, task_definitions.required, container_instances.refuse_without_sharing, tasks.of_run_task)
    _, definition, _, seen, *_ = aws.together(*reads, *deadlines.looks(), *costs.looks_for_tasks())
    pause.refuse()
    ways_out.warn_of_tasks()
    capacity_reservation.tell_end()
    if sweep or count:
        costs.tell_before(costs.for_tasks(count or constants.MAX_PARALLEL, hosts_each=bool(count)), yes)
        deadlines.renew()
    with hosts.ended_after(bool(sweep) or (constants.RUN_UNTIL == "STOPPED" and not detach)):
        if sweep:
            return sweeps.run(sweep, definition, wanted, seen)
        if count:
            return told(definition, several_hosts.run(count, definition, wanted, seen))
        return run_alike(definition, wanted, seen, replace, detach, yes)


def run_alike(
    definition: Any, wanted: dict[str, Any], seen: list[Any], replace: bool, detach: bool, yes: bool
) -> dict[str, Any]:
    """TASK_COUNT tasks of this revision, all with the same overrides."""
    its_overrides = overrides.of(definition, wanted)
    key = overrides.key(definition, its_overrides)
    known = [task for task in seen if runs.same(task, definition, key)]
    arns = [task["taskArn"] for task in known]
    running = [task["taskArn"] for task in known if tasks.goes_on(task)]
    missing = constants.TASK_COUNT - len(running)
    if missing > 0:
        hosts.warn_of_too_many(definition, its_overrides)
        costs.tell_before(costs.for_tasks(missing, wanted["cpu"] or 0, wanted["memory"] or 0), yes)
    deadlines.renew()
    make_room([task for task in seen if tasks.goes_on(task)], definition, key, replace)
    for arn in running:
        its_revision = task_definitions.revision(definition["taskDefinitionArn"])
        say("found", f"task {tasks.task_id(arn)}", f"of {its_revision}: it counts")
    asked = runs.request(definition, its_overrides, key)
    hosts.bring(hosts.Wish(definition, its_overrides, missing, sorted(arns)))
    on_spot = hosts.for_spot(definition, its_overrides, missing)
    started = runs.start(asked, missing, arns, on_spot=on_spot) if missing > 0 else []
    if detach:
        return detached(running + started)
    done = runs.follow(running + started, asked, definition, key)
    return told(definition, [runs.outcome(task) for task in done])


def make_room(running: list[Any], definition: Any, key: str, replace: bool) -> None:
    """What else run_task.py has started, and runs: it is told; with `replace` other revisions of the family are stopped."""
    others = [task for task in running if not runs.same(task, definition, key)]
    former = [task for task in others if task["taskDefinitionArn"] != definition["taskDefinitionArn"]]
    family = [task for task in former if tasks.revision(task).rpartition(":")[0] == definition["family"]]
    for task in others:
        beside, in_place = "it runs on beside the new ones", "it is stopped first: --replace"
        may = "; --replace would stop it first" if task in family and constants.RUN_UNTIL == "RUNNING" else ""
        told = in_place if replace and task in family else f"{beside}{may}"
        of_run = " with a command or sizes of its own" if overrides.key_of(task) else ""
        say(
            "found", f"task {tasks.task_id(task['taskArn'])}", f"of {tasks.revision(task)}{of_run}, not counted: {told}"
        )
    if replace and family:
        tasks.stop([task["taskArn"] for task in family], "run_task.py --replace")


def detached(arns: list[str]) -> dict[str, Any]:
    """The tasks as they are now. AWS tells of one that has just been started some seconds later."""
    bill.tell_tasks(len(arns), "stop_task.py --all")
    for arn in arns:
        follow = aws.command(f"show_logs.py --follow --task {tasks.task_id(arn)}")
        say("next", follow, f"to stop: {aws.command(f'stop_task.py --task {tasks.task_id(arn)}')}")
    return {"tasks": [{"taskArn": arn} for arn in arns]}


def told(definition: Any, done: list[dict[str, Any]]) -> dict[str, Any]:
    to_stop = f"to stop: {aws.command('stop_task.py --all')}" if constants.RUN_UNTIL == "RUNNING" else ""
    if constants.RUN_UNTIL == "RUNNING":
        bill.tell_tasks(len(done), "stop_task.py --all")
    say("next", aws.command("describe_task.py"), to_stop)
    return {"taskDefinitionArn": definition["taskDefinitionArn"] if done else None, "tasks": done}


if __name__ == "__main__":
    sys.exit(aws.main(run_task, __doc__))
