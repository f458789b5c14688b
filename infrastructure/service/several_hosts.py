"""One job on several hosts: its nodes know of each other what torchrun, Ray, Dask and MPI need; these do the rest.

Node 0 starts first. As soon as it has its private address the others start, with MASTER_ADDR, MASTER_PORT, NODE_RANK and
NNODES in the environment; node 0's own MASTER_ADDR is 127.0.0.1, since its address is not known when it is started. All
are in one zone, since traffic between zones costs, and on EC2 each on a host of its own.

The tasks are the state: each bears the key of its job and its rank as a tag, so that a job that was killed here goes on
when it is run again.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-placement-constraints.html
"""

import math
from dataclasses import dataclass, field
from typing import Any

import aws
import console
import constants
import texts
from aws import Problem
from console import say
from infrastructure.cluster import network, security_groups
from infrastructure.service import deadlines, diagnosis, hosts, overrides, retries, runs, task_logs, tasks

NAMES = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "NNODES")
#: as long as an address can be
LONGEST = "255.255.255.255"
#: seconds that the others are given once node 0 has done its work
GRACE = 60


@dataclass
class Job:
    count: int
    definition: Any
    wanted: dict[str, Any]  # what the flags ask for
    key: str
    arns: dict[int, str] = field(default_factory=dict)  # rank -> the task of this attempt
    known: list[tuple[int, str]] = field(default_factory=list)  # rank, and task, of all attempts
    log: task_logs.Told = field(default_factory=task_logs.Told)


def count_of(text: str) -> int:
    """How many nodes; what they need that is not set is told before any call."""
    count: int = overrides.parsed("--nodes", text, texts.whole(2, 100))
    if constants.NETWORK_MODE != "awsvpc":
        raise overrides.wrong("--nodes needs NETWORK_MODE=awsvpc: each node has an address of its own")
    if constants.SPOT_FIRST:
        raise overrides.wrong(
            "--nodes, but CAPACITY_TYPE=spot-first: its hosts are to be of one kind; use spot or on-demand"
        )
    if not constants.NODE_PORTS:
        raise overrides.wrong("NODE_PORTS is not set: say where nodes reach each other, for example 29500-65535")
    if constants.LAUNCH_TYPE == "EC2" and count > constants.MAX_INSTANCES:
        raise overrides.wrong(
            f"--nodes {count}, but MAX_INSTANCES={constants.MAX_INSTANCES}: each node has its own host"
        )
    return count


def run(count: int, definition: Any, wanted: dict[str, Any], seen: list[Any]) -> list[dict[str, Any]]:
    """All nodes until each runs, or with RUN_UNTIL=STOPPED has ended; if one fails, all are ended, and it is told."""
    if taken := [name for name in NAMES if name in wanted["environment"]]:
        raise overrides.wrong(f"--env {taken[0]} is what --nodes sets")
    variables = overrides.of(definition, wanted, environment(count, count - 1, LONGEST))
    job = Job(count, definition, wanted, overrides.key(definition, variables, f"{count} nodes"))
    recall(job, seen)
    open_ports()
    before = 0
    while True:
        found = attempt(job)
        if failed := first_failed(found):
            end(job, f"node {failed[0]} of the job has failed")
        if failed or constants.RUN_UNTIL == "STOPPED":
            deadlines.drop(map(tasks.task_id, job.arns.values()))
        if not failed:
            return [told(rank, found[rank]) for rank in sorted(found)]
        task = failed[1]
        if not retries.wanted([task], before):
            raise failure(job, *failed)
        retries.tell(task, before, f"node {failed[0]}:")
        retries.wait(before)
        before += 1
        job.arns.clear()


def recall(job: Job, seen: list[Any]) -> None:
    """What this job has already: node 0's newest task and what was started after it, unless all of these have ended."""
    ranks = {f"{job.key}-{rank}": rank for rank in range(job.count)}
    found = [(ranks[key], task) for task in seen if (key := overrides.key_of(task)) in ranks]
    job.known = [(rank, task["taskArn"]) for rank, task in found]
    begun = max((task["createdAt"] for rank, task in found if rank == 0), default=None)
    latest = sorted(
        [(rank, task) for rank, task in found if begun and task["createdAt"] >= begun],
        key=lambda pair: pair[1]["createdAt"],
    )
    if any(task["lastStatus"] != "STOPPED" for _, task in latest):
        job.arns = {rank: task["taskArn"] for rank, task in latest}
        for rank, arn in sorted(job.arns.items()):
            say("found", f"node {rank}: task {tasks.task_id(arn)}", "of this job")


def open_ports() -> None:
    """The tasks' group is open to itself for NODE_PORTS; create_cluster.py leaves that so while NODE_PORTS is set."""
    if constants.SECURITY_GROUP_IDS:
        groups = ", ".join(constants.SECURITY_GROUP_IDS)
        say("warning", f"security groups {groups} are another's:", "they must let nodes reach each other on NODE_PORTS")
        return
    if group := security_groups.find_group("tasks"):
        rules = security_groups.task_rules(security_groups.find(), group["GroupId"])
        security_groups.bring_into_line(group, security_groups.all_rules(), rules)


# ---------------------------------------------------------------------------------------------------------- one attempt


def attempt(job: Job) -> dict[int, Any]:
    """Rank -> task once all are as RUN_UNTIL says, or as soon as one has failed. All or none: else they are ended."""
    its_overrides = overrides.of(job.definition, job.wanted)
    missing = job.count - len(job.arns)
    hosts.bring(hosts.Wish(job.definition, its_overrides, missing, (job.key, sorted(job.known)), together=True))
    try:
        found = until_running(job)
    except aws.FAILURES:
        end(job, "not all nodes of the job have started")
        raise
    if constants.RUN_UNTIL == "RUNNING" or first_failed(found):
        return found
    return until_ended(job)


def until_running(job: Job) -> dict[int, Any]:
    found: dict[int, Any] = {}

    def look() -> bool:
        start(job, found)
        found.update(described(job))
        start(job, found)
        there = len(found) == job.count and all(task["lastStatus"] in ("RUNNING", "STOPPED") for task in found.values())
        return there or bool(first_failed(found))

    def why() -> str:
        reasons = [(rank, diagnosis.why(found[rank])) for rank in sorted(found)]
        return "; ".join(f"node {rank}: {reason}" for rank, reason in reasons if reason)

    aws.wait(f"{job.count} nodes to run", look, why)
    return found


def start(job: Job, found: dict[int, Any]) -> None:
    """Node 0; and when its address is known the others, side by side."""
    head = found.get(0)
    ready = bool(head and address(head)) or console.dry_run
    missing = [rank for rank in range(job.count) if rank not in job.arns and (rank == 0 or (ready and 0 in job.arns))]

    def ask(rank: int) -> None:  # it notes its task itself: where another one is refused this one is ended
        known = [arn for of, arn in job.known if of == rank]
        [job.arns[rank]] = runs.start(request(job, rank, head), 1, known, f"node {rank}:")
        job.known.append((rank, job.arns[rank]))

    aws.side_by_side(ask, missing)


def request(job: Job, rank: int, head: Any) -> dict[str, Any]:
    """RunTask's; without a `head` that of node 0, which goes where there is room."""
    master = address(head) if rank and head else "127.0.0.1"
    its_overrides = overrides.of(job.definition, job.wanted, environment(job.count, rank, master))
    asked = runs.request(job.definition, its_overrides, f"{job.key}-{rank}")
    asked["group"] = f"{constants.PREFIX}-nodes-{job.key}"
    its_zone = head["availabilityZone"] if rank and head else ""
    if constants.LAUNCH_TYPE == "EC2":
        zone = {"type": "memberOf", "expression": f"attribute:ecs.availability-zone == {its_zone}"}
        asked["placementConstraints"] = [{"type": "distinctInstance"}, *([zone] if its_zone else [])]
    if its_zone:
        where = asked["networkConfiguration"]["awsvpcConfiguration"]
        zones = network.required().zones
        where["subnets"] = [each for each in where["subnets"] if zones[each] == its_zone]
    return asked


def environment(count: int, rank: int, master: str) -> dict[str, str]:
    port = constants.NODE_PORTS[0] if constants.NODE_PORTS else 0  # count_of has asked
    return dict(zip(NAMES, (master, str(port), str(rank), str(count)), strict=True))


def address(task: Any) -> str:
    """The private one of its network interface, once it has one."""
    details = [pair for each in task.get("attachments", []) for pair in each.get("details", [])]
    return next((str(pair["value"]) for pair in details if pair["name"] == "privateIPv4Address"), "")


def until_ended(job: Job) -> dict[int, Any]:
    """Node 0 decides: when it has done its work the others are given GRACE seconds, and are then ended."""
    found: dict[int, Any] = {}
    missed = 0

    def look() -> bool:
        nonlocal missed
        listed = described(job)
        found.update(listed)
        ended = [rank for rank, task in found.items() if task["lastStatus"] == "STOPPED"]
        forgotten = [arn for rank, arn in job.arns.items() if rank not in listed and rank not in ended]
        missed = missed + 1 if forgotten else 0
        runs.refuse_forgotten(forgotten, missed)
        head_is_done = 0 in found and found[0]["lastStatus"] == "STOPPED"
        return bool(first_failed(found)) or head_is_done

    runs_on = f"they run, and cost, until {aws.command('stop_task.py --all')}"
    aws.wait(f"{job.count} nodes to end", look, lambda: runs_on, constants.RUN_TIMEOUT_SECONDS or math.inf)
    if not first_failed(found):
        let_end(job, found)
    return found


def let_end(job: Job, found: dict[int, Any]) -> None:
    looks = 0

    def look() -> bool:
        nonlocal looks
        looks += 1
        found.update(described(job))
        over = looks > 3 + GRACE / max(constants.POLL_SECONDS, 1)
        return over or all(task["lastStatus"] == "STOPPED" for task in found.values())

    aws.wait("the other nodes to end", look, lambda: "node 0 has done its work")
    end(job, "node 0 of the job has done its work")
    found.update(described(job))


def described(job: Job) -> dict[int, Any]:
    """Rank -> task, as AWS lists them now; with RUN_UNTIL=STOPPED their log is shown meanwhile."""
    of = {arn: rank for rank, arn in job.arns.items()}
    found = tasks.describe(list(of)) if of else []
    if constants.RUN_UNTIL == "STOPPED":
        task_logs.follow(job.log, found)
    return {of[task["taskArn"]]: task for task in found}


# ------------------------------------------------------------------------------------------------------- how it ended


def first_failed(found: dict[int, Any]) -> tuple[int, Any] | None:
    """The node that failed before any other; none where node 0 has done its work, since the others end by that."""
    if 0 in found and not runs.has_failed(found[0]) and found[0]["lastStatus"] == "STOPPED":
        return None
    failed = [(rank, task) for rank, task in found.items() if runs.has_failed(task)]
    return min(failed, key=lambda pair: (pair[1].get("stoppingAt") or pair[1]["createdAt"], pair[0]), default=None)


def end(job: Job, reason: str) -> None:
    """All that still go on, and until they have stopped.

    They are looked for by their tags: where an answer of AWS was lost, one may have started whose ARN is not known. What
    was just started AWS lists some seconds late.
    """
    looks, found = 0, list[Any]()
    keys = {f"{job.key}-{rank}" for rank in range(job.count)}

    def look() -> bool:
        nonlocal looks
        looks += 1
        found[:] = [task for task in tasks.of_run_task() if overrides.key_of(task) in keys]
        all_listed = set(job.arns.values()) <= {task["taskArn"] for task in found}
        return (all_listed and len(job.arns) == job.count) or looks > 4

    if not console.dry_run:
        aws.wait("the nodes to be listed", look, str)
    if going := [task["taskArn"] for task in found if task["lastStatus"] != "STOPPED"]:
        tasks.stop(going, f"run_task.py --nodes: {reason}")


def failure(job: Job, rank: int, task: Any) -> Problem:
    """The node that failed, and its reasons; the result has all."""
    found = described(job)
    ended = any(code for code in tasks.exit_codes(task).values())
    result = {"tasks": [told(each, found[each]) for each in sorted(found)]}
    sentence = f"node {rank} of {job.count} has failed, and the others are ended: {runs.reason(task)}"
    return Problem(sentence, result, aws.TASK_FAILED if ended else aws.FAILED)


def told(rank: int, task: Any) -> dict[str, Any]:
    return {"node": rank, "privateIp": address(task) or None, **runs.outcome(task)}
