"""Deadlines: one-time schedules of EventBridge Scheduler, which end what costs though this machine is gone.

MAX_RUN_HOURS ends a task, MAX_CLUSTER_HOURS or STOP_AT all: hosts, services and tasks. What holds data stays, and so do NAT
gateways, load balancer and bastion. The schedules stand in a group of the cluster's and act with a role that may do just
that; they cost nothing. A schedule's name says what it ends, when, and as whom, since that is all that AWS lists of it.
https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#one-time
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

import aws
import console
import constants
from aws import Problem, call, client, every, explain, name, ours, tags, this_minute, token, wait
from console import say
from infrastructure.cluster import auto_scaling_group, costs, roles
from infrastructure.cluster.regions import offered
from infrastructure.service import scaling, service, tasks

ROLE = "stop"
#: the group of the hosts may be busy at that moment: AWS tries again, more and more slowly
RETRY = {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 20}
NOT_THERE = "ResourceNotFoundException"
DENIED = ("AccessDenied", "AccessDeniedException")
#: a schedule that is younger, and ends nothing that is listed, may be of a run that is just starting that
YOUNG = timedelta(minutes=5)
#: no schedule is made for a moment that may be over when AWS sees it: it refuses that
SOON = timedelta(minutes=2)
#: MAX_CLUSTER_HOURS counts from now, but what stands is not moved by less
STEP = timedelta(minutes=10)
NOW = timedelta()
#: of what ends all, what comes after the hosts
LATER = {"limits": NOW, "service": timedelta(minutes=1)}


class Deadline(NamedTuple):
    """One schedule: `hosts` and `guard` end the hosts, `limits` and `service` a service, `stop` a task."""

    kind: str
    of: str
    at: datetime

    @property
    def what(self) -> str:
        """Its name without the instant; a long name of a service stands in it as its hash."""
        return f"{self.kind}-{self.of if len(self.of) <= 34 else token(self.of)}"

    @property
    def name(self) -> str:
        """Of at most 64 characters. With another STOP_ROLE_ARN it is another one, in the place of the former."""
        its_role = f"-{token(constants.STOP_ROLE_ARN)[:6]}" if constants.STOP_ROLE_ARN else ""
        return f"{self.what}-{self.at:%Y%m%dT%H%MZ}{its_role}"


class Listed(NamedTuple):
    """One that stands."""

    name: str
    what: str
    at: datetime
    made: datetime

    @property
    def kind(self) -> str:
        return self.what.partition("-")[0]


#: what a schedule calls, and with which members
Action = tuple[str, dict[str, Any]]


def its_name() -> str:
    """Of the group."""
    return name("stop")


def asked() -> list[str]:
    """The settings that ask for one."""
    return [each for each in ("MAX_RUN_HOURS", "MAX_CLUSTER_HOURS", "STOP_AT") if getattr(constants, each)]


def on_hosts() -> bool:
    return constants.LAUNCH_TYPE == "EC2"


def host_groups() -> tuple[str, ...]:
    return auto_scaling_group.wanted() if on_hosts() else ()


# --- what stands


@aws.look
def find_group() -> Any:
    """The group with its tags. Who asks for no deadline needs no right to look for one."""
    if not offered("scheduler") or roles.never_made(ROLE, f":schedule-group/{its_name()}"):
        return None
    scheduler = client("scheduler")
    try:
        with telling_who_asks():
            group: Any = call(scheduler.get_schedule_group, gone=NOT_THERE)(Name=its_name())
            if not group or not group["Arn"]:  # a dry run's stand-in has none
                return None
            found = call(scheduler.list_tags_for_resource, gone=NOT_THERE)(ResourceArn=group["Arn"])
    except ClientError as error:
        if aws.code(error) in DENIED:
            return None
        raise
    return {**group, "Tags": found["Tags"] if found else []}


@aws.look
def listed() -> list[Listed]:
    """Those that stand, in one call; none where the settings ask for none."""
    if not asked() or not offered("scheduler"):
        return []
    pages = client("scheduler").get_paginator("list_schedules").paginate(GroupName=its_name())
    with telling_who_asks():
        found = call(every, gone=NOT_THERE)(pages, "Schedules") or []
    named = [(each, re.fullmatch(r"(\w+-.+)-(\d{8}T\d{4})Z(-\w{6})?", each["Name"])) for each in found]
    return [
        Listed(match[0], match[1], datetime.strptime(match[2], "%Y%m%dT%H%M").replace(tzinfo=timezone.utc), made)
        for each, match in named
        if match and (made := each["CreationDate"])
    ]


LOOKS = (find_group,)


@contextlib.contextmanager
def telling_who_asks() -> Iterator[None]:
    """A right that is missing is told with the setting that does without it."""
    try:
        yield
    except ClientError as error:
        if aws.code(error) in DENIED and asked():
            raise Problem(f"{explain(error)}\n{without()}") from error
        raise


def without() -> str:
    return f"{' and '.join(asked())} asks for that: {' '.join(f'{each}=' for each in asked())} does without a deadline"


# --- what is to stand


@aws.steady_look
def begun() -> datetime:
    """The minute in which this run began: its hours count from then, also for a task that it starts much later."""
    return this_minute()


def ends_all() -> datetime | None:
    """When all is to stop, as this run wants it; what stands is not moved by some minutes."""
    if not constants.MAX_CLUSTER_HOURS:
        return constants.STOP_AT
    wanted = begun() + timedelta(hours=constants.MAX_CLUSTER_HOURS)
    return max((at for at in stand_for_all() if wanted - STEP < at <= wanted), default=wanted)


def stand_for_all() -> list[datetime]:
    """The instants at which all is to stop, as it stands."""
    return [each.at - LATER.get(each.kind, NOW) for each in listed() if each.kind in ("hosts", *LATER)]


def ends(task: Any, all_ends: datetime | None) -> datetime | None:
    """When this task is to stop: by itself also where its host ends then, so that not all hangs on one call."""
    own = task["createdAt"].astimezone(timezone.utc) + timedelta(hours=constants.MAX_RUN_HOURS)
    instants = [own] if constants.MAX_RUN_HOURS else []
    instants += [all_ends] if all_ends else []
    return max(min(instants).replace(second=0, microsecond=0), this_minute() + SOON) if instants else None


def end_hosts(each: str) -> Action:
    """ForceDelete ends hosts that are protected from scale-in too, and what would hold them: managed draining's hook.

    https://containersonaws.com/pattern/ecs-ec2-capacity-provider-scaling ends its group so. No source is known in which
    Scheduler makes this very call; it is of none of the kinds that it refuses. So services and tasks are ended beside it.
    """
    return "autoscaling:deleteAutoScalingGroup", {"AutoScalingGroupName": name(each), "ForceDelete": True}


def end_service(its_service: str) -> Action:
    return "ecs:updateService", {"Cluster": constants.CLUSTER_NAME, "Service": its_service, "DesiredCount": 0}


def end_scaling(its_service: str) -> Action:
    """Else it would bring the tasks back."""
    suspended = {"DynamicScalingInSuspended": True, "DynamicScalingOutSuspended": True}
    target = {"ServiceNamespace": "ecs", "ResourceId": f"{scaling.resource_prefix()}{its_service}"}
    limits = {"ScalableDimension": "ecs:service:DesiredCount", "MinCapacity": 0, "SuspendedState": suspended}
    return "applicationautoscaling:registerScalableTarget", {**target, **limits}


def end_task(task_id: str) -> Action:
    reason = f"its deadline: {', '.join(asked())} of {constants.CLUSTER_NAME}"
    return "ecs:stopTask", {"Cluster": constants.CLUSTER_NAME, "Task": task_id, "Reason": reason}


def of_tasks(found: Iterable[Any], all_ends: datetime | None) -> dict[Deadline, Action]:
    """One for each that run_task.py started."""
    ids = {tasks.task_id(task["taskArn"]): ends(task, all_ends) for task in found if is_of_run_task(task)}
    return {Deadline("stop", its_id, at): end_task(its_id) for its_id, at in ids.items() if at}


def running_tasks() -> list[Any]:
    """What run_task.py started, and runs; where endpoints share the cluster, of all of them, and others' too."""
    return tasks.find() if constants.SHARED_CLUSTER else tasks.ours_now()


def is_of_run_task(task: Any) -> bool:
    """Of this cluster, and of any of its endpoints."""
    return str(task.get("startedBy", "")).endswith("/run_task")


def of_all(at: datetime | None, services: Iterable[str], scaled: Iterable[str]) -> dict[Deadline, Action]:
    """A scaled service's limits go first: AWS acts within a minute of the instant, in any order."""
    if not at:
        return {}
    found = {Deadline("hosts", name(each), at): end_hosts(each) for each in host_groups()}
    found |= {Deadline("limits", each, at): end_scaling(each) for each in scaled}
    return found | {Deadline("service", each, at + LATER["service"]): end_service(each) for each in services}


# --- create and delete


def check() -> None:
    """Before anything is made: what can't be kept, or is another's."""
    if not asked():
        return
    if not offered("scheduler"):
        raise Problem(f"EventBridge Scheduler is not offered in {aws.region()}: {without()}")
    if constants.STOP_AT and this_minute() + SOON > constants.STOP_AT:
        raise Problem(f"STOP_AT={constants.STOP_AT:%Y-%m-%dT%H:%MZ} is over: set a later one, or STOP_AT= for none")
    aws.refuse_foreign(f"schedule group {its_name()}", find_group())
    roles.refuse_other_path(ROLE)


def refuse_ended() -> None:
    """What is started after the deadline would wait for a host that can't come. Where one stands, no call is made for that."""
    if on_hosts() and find_group() and not any(each.kind == "hosts" for each in listed()):
        group = auto_scaling_group.find()
        if not group or group.get("Status"):
            raise Problem("the hosts have ended at their deadline: run create_cluster.py first, which starts anew")


def create() -> None:
    """The role and the group, or their end where no setting asks for a deadline. The role first: where a group stands, its
    role is complete."""
    if not asked():
        if find_group():
            say("found", f"schedule group {its_name()}", "no deadline is asked for any more")
            delete()
        return
    with telling_who_asks():
        roles.create_role(ROLE, trust(), (), policy())
        create_group()


def complete() -> None:
    """The same where one of the two is missing, or on its way out."""
    group = find_group() if asked() else None
    if asked() and not (group and group["State"] != "DELETING" and (constants.STOP_ROLE_ARN or roles.role(ROLE)())):
        create()


def plan(*services: str) -> None:
    """The schedules that the settings ask for, for all that runs, and for `services` that are about to; and none else.

    MAX_CLUSTER_HOURS counts from now. A task without one, of a run that died, gets its own.
    """
    if not asked():
        return
    running, _ = aws.together(running_tasks, lambda: aws.look_at(listed, service.services, scaling.targets))
    stand, at = [each["serviceName"] for each in service.services() if ours(each)], ends_all()
    names = dict.fromkeys([*stand, *services])
    scalable = {*map(scaling.service_of, scaling.targets()), *(services if constants.SCALING != "none" else ())}
    wanted = of_all(at, names, [each for each in names if each in scalable])
    wanted |= of_tasks(running, at)
    gone, there = former(wanted), {each.name for each in listed()}
    with telling_who_asks():
        make_all({each: wanted[each] for each in wanted if each.name not in there})
        remove(gone)
    roles.leave(ROLE)
    if at:
        say("deadline", f"cluster {constants.CLUSTER_NAME}", f"{in_words(at)}: hosts, services and tasks; {stays()}")
    if constants.MAX_RUN_HOURS:
        say("deadline", "each task", f"of run_task.py stops {constants.MAX_RUN_HOURS:g} h after its start")


def stays() -> str:
    """What is not ended, of what the settings ask for."""
    cost = {
        "NAT gateways": costs.nat_gateways(),
        "load balancer": constants.LISTENER_PROTOCOL,
        "bastion": constants.BASTION_KEY_NAME,
        "the sync of SYNC_SCHEDULE": constants.SYNC_SCHEDULE,
    }
    named = ", ".join(each for each, is_set in cost.items() if is_set)
    return f"what holds data stays{f'; {named} go on costing' if named else ''}"


def renew(*services: str) -> None:
    """Check, create and plan, for pages that make something in the cluster. No call where no setting asks for a deadline."""
    if asked():
        check()
        refuse_ended()
        complete()
        plan(*services)


def looks() -> list[aws.look[Any]]:
    """What these read first, for pages that look at all at the same time."""
    return [find_group, listed, roles.role(ROLE)] if asked() else []


def make_all(these: dict[Deadline, Action]) -> None:
    """Side by side."""
    aws.side_by_side(lambda each: make(each, *these[each]), these)


def make(deadline: Deadline, api: str, members: dict[str, Any]) -> None:
    """It is gone once it has acted. A new role is seen by AWS after some seconds."""
    target: Any = {
        "Arn": f"arn:{aws.partition()}:scheduler:::aws-sdk:{api}",
        "RoleArn": roles.named(ROLE),
        "Input": json.dumps(members),
        "RetryPolicy": RETRY,
    }
    what = f"schedule {deadline.name} (AWS sees a new role after some seconds)"
    unknown, limit = "must allow AWS EventBridge Scheduler to assume the role", roles.PROPAGATION_SECONDS
    create_schedule = call(
        client("scheduler").create_schedule, what, there="ConflictException", busy=unknown, seconds=limit
    )
    made = create_schedule(
        Name=deadline.name,
        GroupName=its_name(),
        ScheduleExpression=f"at({deadline.at:%Y-%m-%dT%H:%M:%S})",
        ScheduleExpressionTimezone="UTC",
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
        Target=target,
    )
    say("created" if made else "found", f"schedule {deadline.name}", api)


def former(wanted: Iterable[Deadline]) -> list[str]:
    """What stands and is not wanted: at another instant, as another role, of what is gone, or of a setting that is not set.

    What may be of another run that is just starting something is left alone.
    """
    names = {each.name for each in wanted}
    moved = {each.what for each in wanted}
    kinds = ["stop", *(["guard"] if constants.MAX_RUN_HOURS else []), *(["limits", "service"] if ends_all() else [])]

    def starting(each: Listed) -> bool:
        own = each.what in moved or each.what.startswith(f"guard-{own_guards()}")
        return this_minute() - each.made < YOUNG and each.kind in kinds and not own

    return [each.name for each in listed() if each.name not in names and not starting(each)]


def remove(these: list[str]) -> None:
    what, group = f"schedule group {its_name()}", find_group() if these else None
    end = call(client("scheduler").delete_schedule, what, of=group, gone=NOT_THERE, busy="ConflictException")

    def delete_one(each: str) -> None:
        end(GroupName=its_name(), Name=each)
        say("deleted", f"schedule {each}")

    aws.side_by_side(delete_one, these)


def drop(ids: Iterable[str]) -> None:
    """Those of tasks and services that are gone."""
    gone = {Deadline(kind, each, begun()).what for each in ids for kind in ("stop", *LATER)}
    remove([each.name for each in listed() if each.what in gone])


def drop_of_endpoint() -> None:
    """Of its service, and of the tasks that it had within the last hour."""
    if asked():
        stopped = tasks.listed("STOPPED", startedBy=constants.STARTED_BY)
        drop([constants.SERVICE_NAME, *map(tasks.task_id, stopped)])


def guarded(run: Callable[[], Any], key: str) -> Any:
    """RunTask, and a schedule for each task that it starts.

    This machine may die between the two. So before it a guard is made, which ends all hosts at the same instant, and goes
    once each task has its own; whoever runs a page next gives a task its own. Where all hosts end sooner, that is the guard.
    """
    if not asked() or console.dry_run:
        return run()
    refuse_over()
    at, keys = this_minute() + timedelta(hours=constants.MAX_RUN_HOURS), (key[:24], token(key)[:24])
    sooner = any(each.kind == "hosts" and each.at <= at for each in listed())
    of_groups = zip(keys, host_groups() if constants.MAX_RUN_HOURS and not sooner else (), strict=False)
    guards = {Deadline("guard", f"{own_guards()}{its_key}", at): end_hosts(each) for its_key, each in of_groups}
    done = [each.name for each in guards]
    make_all(guards)
    try:
        answer = run()
    except (Problem, ClientError) as error:
        remove(done if aws.refused(error) else [])
        raise
    make_all(of_tasks(answer["tasks"], ends_all()))
    remove(done)
    return answer


def refuse_over() -> None:
    """Before each start: a run that goes on for hours, as a sweep does, starts nothing after its deadline."""
    if (over := ends_all()) and over <= this_minute():
        raise Problem(f"all has stopped at its deadline, {over:%Y-%m-%dT%H:%MZ}: run it again, which sets another one")


def own_guards() -> str:
    """How those of this endpoint's runs begin: the next run takes them away, once each task has its own."""
    return token(constants.STARTED_BY)[:8]


def mend() -> None:
    """A task without a schedule, of a run that died, gets its own; its guard goes. Nothing else is moved."""
    if (constants.MAX_RUN_HOURS or not on_hosts()) and asked() and find_group():
        known = {each.what for each in listed()}
        wanted = of_tasks(running_tasks(), min(stand_for_all(), default=ends_all()))
        make_all({each: wanted[each] for each in wanted if each.what not in known})
        remove([each.name for each in listed() if each.what.startswith(f"guard-{own_guards()}")])


def create_group() -> None:
    """Its name is its own in the region, so that a second create is no second group."""
    group, what = find_group(), f"schedule group {its_name()}"
    if group and group["State"] == "DELETING":
        wait_gone(f"the former {what}")
        group = None
    if group:
        say("found", what)
        return
    call(client("scheduler").create_schedule_group, what, there="ConflictException")(Name=its_name(), Tags=tags(ROLE))
    say("created", what)


def wait_gone(what: str) -> None:
    wait(f"{what} to be gone", lambda: not find_group(), lambda: "it is still being deleted")


def trust() -> dict[str, Any]:
    """Scheduler, for schedules of this group only: https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html"""
    trusted = roles.trust("scheduler")
    trusted["Statement"][0]["Condition"]["StringEquals"]["aws:SourceArn"] = aws.arn(
        "scheduler", f"schedule-group/{its_name()}"
    )
    return trusted


def policy() -> dict[str, Any]:
    """To end the hosts of this cluster, its services and its tasks, and nothing else. A scalable target has no name.

    https://docs.aws.amazon.com/autoscaling/application/userguide/security_iam_id-based-policy-examples.html
    """
    its_tag = {"StringEquals": {f"aws:ResourceTag/{constants.CLUSTER_TAG}": constants.CLUSTER_NAME}}
    names = [f"autoScalingGroup:*:autoScalingGroupName/{name(each)}" for each in host_groups()]
    hosts = [
        {"Action": "autoscaling:DeleteAutoScalingGroup", "Resource": aws.arn("autoscaling", each)} for each in names
    ]
    services = aws.arn("ecs", f"service/{constants.CLUSTER_NAME}/*")
    targets = aws.arn("application-autoscaling", "scalable-target/*")
    return roles.document(
        *hosts,
        {"Action": "ecs:StopTask", "Resource": aws.arn("ecs", f"task/{constants.CLUSTER_NAME}/*")},
        {"Action": ["ecs:DescribeServices", "ecs:UpdateService"], "Resource": services},
        {"Action": "application-autoscaling:RegisterScalableTarget", "Resource": targets, "Condition": its_tag},
    )


def delete() -> None:
    """The group with its schedules, which takes a while; then the role. Last of all: they guard what is being deleted."""
    group, what = find_group(), f"schedule group {its_name()}"
    if group and not aws.spare_foreign(what, group):
        if group["State"] != "DELETING":
            end = call(
                client("scheduler").delete_schedule_group, what, of=group, gone=NOT_THERE, busy="ConflictException"
            )
            end(Name=its_name())
        wait_gone(what)
        say("deleted", what)
    if roles.role(ROLE)():
        roles.delete_role(ROLE)


def left_over() -> list[aws.Resource]:
    """Who has not looked at all roles, and has no deadline, does not ask about its role."""
    group, what = find_group(), f"schedule group {its_name()} with its schedules"
    found = [aws.resource(what, group["Arn"], group)] if ours(group) else []
    return [*found, *(roles.roles_left(ROLE) if found or asked() or roles.names.remembers() else [])]


# --- what a person is told


def look() -> None:
    """Before `tell`, beside a page's other reads. It must not stop a page that only looks."""
    with contextlib.suppress(Problem):
        listed()


def tell(task: Any = None) -> dict[str, Any]:
    """The time left, of this task or of what ends first: a line, and what of it a result holds."""
    if not asked():
        return {}
    try:
        found = [each for each in listed() if not task or ends_it(each, task)]
    except Problem as problem:
        say("warning", "the time left is not known:", str(problem))
        found = []
    if not found:
        return {"stopsAt": None}  # nothing is left to end, or nothing has begun
    first = min(found, key=lambda each: (each.at, each.kind == "stop"))
    its_task = first.what.removeprefix("stop-") if first.what.startswith("stop-") else ""
    say(f"task {its_task} stops itself" if its_task else "stops itself", in_words(first.at))
    return {"stopsAt": f"{first.at:%Y-%m-%dT%H:%M:%SZ}"}


def ends_it(each: Listed, task: Any) -> bool:
    """Whether it ends the task, its service, or all hosts."""
    its_service = task.get("group", "").removeprefix("service:")
    own = [Deadline("stop", tasks.task_id(task["taskArn"]), each.at), Deadline("service", its_service, each.at)]
    on_host = task.get("launchType") != "FARGATE" and each.kind in ("hosts", "guard")
    return on_host or each.what in [one.what for one in own]


def in_words(at: datetime) -> str:
    minutes = max(0, int((at - this_minute()).total_seconds() // 60))
    left = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
    return f"in {left}, at {at:%Y-%m-%dT%H:%M:%SZ}"
