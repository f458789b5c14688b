"""EventBridge Scheduler: schedules that really do what they are to, whenever AWS's clock says so.

moto records schedules and runs nothing. Here recurring rates and single instants are imitated; what they do is in targets.py.
https://docs.aws.amazon.com/scheduler/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from emulator.core import partitions, rules
from emulator.core.rules import AwsError, Call, Params, on
from emulator.core.tags import Tags, bearer, plain
from emulator.core.world import ACCOUNT, World
from emulator.iam.trust import assumable
from emulator.scheduler import targets

rules.SENTENCES.update(
    {
        "sch-001": "A schedule's role must exist, have spread, and let Scheduler assume it for the schedule's group.",
        "sch-002": "Names have 1 to 64 characters of a small set, a rate is at least 1 minute, and a group must exist.",
        "sch-003": "A name is taken once in its group: ConflictException.",
        "sch-004": "A schedule starts its target each period, whether or not the one before has ended; what fails is "
        "tried again as its retry policy says, and then dropped.",
        "sch-005": "Groups bear tags, schedules none; a group that is deleted is DELETING for a while, with its "
        "schedules, and can't be used.",
        "sch-006": "A one-time schedule, at(...) in its time zone, UTC by default, is refused where that is over; with "
        "ActionAfterCompletion DELETE it is gone once it has run, or was dropped.",
    }
)

NAME = re.compile(r"[0-9a-zA-Z\-_.]{1,64}")
RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")
SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
DELETING_SECONDS = 15
RETRY_SECONDS = 30


@dataclass
class Schedule:
    shown: Params
    generation: int = 0  # one more with each change: what was due before it is not done
    started: list[str] = field(default_factory=list)  # the ARNs of its tasks
    dropped: list[str] = field(default_factory=list)  # why a target could not be started


@dataclass
class Group:
    shown: Params
    tags: list[Params]
    schedules: dict[str, Schedule] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)  # what its schedules, those that are gone too, could not do


def groups(world: World, region: str) -> dict[str, Group]:
    """The schedule groups of a region, by name: to look at, too, for what a schedule has started."""
    state: dict[str, dict[str, Group]] = world.state["scheduler"]
    if region not in state:
        state[region] = {"default": Group({"Name": "default", "State": "ACTIVE", "Arn": _arn(region, "default")}, [])}
    return state[region]


def _arn(region: str, name: str) -> str:
    return f"arn:{partitions.here()}:scheduler:{region}:{ACCOUNT}:schedule-group/{name}"


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)


def _check_name(name: str, what: str) -> None:
    if not NAME.fullmatch(name):
        raise _invalid(
            f"1 validation error detected: Value '{name}' at '{what}' failed to satisfy constraint: Member must satisfy "
            "regular expression pattern: ^[0-9a-zA-Z-_.]+$, and have length less than or equal to 64"
        )


def _group(call: Call, name: str) -> Group:
    found = groups(call.world, call.region).get(name)
    if found is None:
        raise AwsError("ResourceNotFoundException", f"Schedule group {name} does not exist.", 404)
    return found


def _schedule(call: Call) -> tuple[Group, Schedule]:
    group, name = _group(call, call.params.get("GroupName") or "default"), call.params["Name"]
    if name not in group.schedules:
        raise AwsError("ResourceNotFoundException", f"Schedule {name} does not exist.", 404)
    return group, group.schedules[name]


# --- groups


@on("scheduler", "CreateScheduleGroup", rules="sch-002 sch-003 sch-005")
def create_schedule_group(call: Call) -> Params:
    name, known = call.params["Name"], groups(call.world, call.region)
    _check_name(name, "name")
    if name in known:
        raise AwsError("ConflictException", f"Schedule group {name} already exists.", 409)
    now = call.world.timestamp()
    shown = {"Name": name, "Arn": _arn(call.region, name), "State": "ACTIVE"}
    known[name] = Group({**shown, "CreationDate": now, "LastModificationDate": now}, call.params.get("Tags") or [])
    return {"ScheduleGroupArn": shown["Arn"]}


@on("scheduler", "GetScheduleGroup", rules="sch-005")
def get_schedule_group(call: Call) -> Params:
    return _group(call, call.params["Name"]).shown


@on("scheduler", "ListScheduleGroups")
def list_schedule_groups(call: Call) -> Params:
    prefix = call.params.get("NamePrefix") or ""
    found = groups(call.world, call.region).items()
    return {"ScheduleGroups": [group.shown for name, group in found if name.startswith(prefix)]}


@on("scheduler", "DeleteScheduleGroup", rules="sch-005")
def delete_schedule_group(call: Call) -> Params:
    group = _group(call, call.params["Name"])
    if group.shown["Name"] == "default":
        raise _invalid("The default schedule group cannot be deleted.")
    if group.shown["State"] == "DELETING":
        return {}
    group.shown["State"] = "DELETING"
    for schedule in group.schedules.values():
        schedule.generation += 1
    call.world.after(DELETING_SECONDS, _forget, call.world, call.region, group.shown["Name"])
    return {}


def _forget(world: World, region: str, name: str) -> None:
    groups(world, region).pop(name, None)


@on("scheduler", "ListTagsForResource", "TagResource", "UntagResource", rules="sch-005")
def tags(call: Call) -> Params:
    arn = call.params["ResourceArn"]
    group = next((one for one in groups(call.world, call.region).values() if one.shown["Arn"] == arn), None)
    if group is None:
        raise AwsError("ResourceNotFoundException", f"Resource {arn} does not exist.", 404)
    if call.operation == "ListTagsForResource":
        return {"Tags": group.tags}
    named = {tag["Key"] for tag in call.params.get("Tags") or []} | set(call.params.get("TagKeys") or [])
    group.tags = [tag for tag in group.tags if tag["Key"] not in named] + (call.params.get("Tags") or [])
    return {}


# --- schedules


def _checked(call: Call) -> tuple[Group, Params]:
    """The group of a schedule that is made or changed, and the schedule as it is shown."""
    params = copy.deepcopy(call.params)
    name, group_name = params["Name"], params.get("GroupName") or "default"
    _check_name(name, "name")
    _check_name(group_name, "groupName")
    target = params["Target"]
    _check_expression(call.world, params)
    group = _group(call, group_name)
    if group.shown["State"] == "DELETING":
        raise AwsError("ConflictException", f"Schedule group {group_name} is being deleted.", 409)
    targets.check(target)
    if not assumable(call.world, target["RoleArn"], targets.PRINCIPAL, group.shown["Arn"]):
        raise _invalid("The execution role you provide must allow AWS EventBridge Scheduler to assume the role.")
    target.setdefault("RetryPolicy", {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185})
    params.pop("ClientToken", None)
    shown = {
        "State": "ENABLED",
        "ScheduleExpressionTimezone": "UTC",
        "ActionAfterCompletion": "NONE",
        **params,
        "GroupName": group_name,
        "Arn": f"arn:{partitions.here()}:scheduler:{call.region}:{ACCOUNT}:schedule/{group_name}/{name}",
        "LastModificationDate": call.world.timestamp(),
    }
    return group, shown


@on("scheduler", "CreateSchedule", rules="sch-001 sch-002 sch-003 sch-004 sch-006 sch-007")
def create_schedule(call: Call) -> Params:
    group, shown = _checked(call)
    if shown["Name"] in group.schedules:
        raise AwsError("ConflictException", f"Schedule {shown['Name']} already exists.", 409)
    schedule = group.schedules[shown["Name"]] = Schedule({**shown, "CreationDate": shown["LastModificationDate"]})
    _plan(call.world, call.region, group, schedule)
    return {"ScheduleArn": shown["Arn"]}


@on("scheduler", "UpdateSchedule", rules="sch-001 sch-002 sch-004 sch-006 sch-007")
def update_schedule(call: Call) -> Params:
    """All of it is replaced: what the call does not name is as in a new schedule."""
    _, schedule = _schedule(call)
    group, shown = _checked(call)
    schedule.shown = {**shown, "CreationDate": schedule.shown["CreationDate"]}
    _plan(call.world, call.region, group, schedule)
    return {"ScheduleArn": shown["Arn"]}


@on("scheduler", "GetSchedule")
def get_schedule(call: Call) -> Params:
    return _schedule(call)[1].shown


@on("scheduler", "ListSchedules")
def list_schedules(call: Call) -> Params:
    wanted, prefix = call.params.get("GroupName"), call.params.get("NamePrefix") or ""
    found = [_group(call, wanted)] if wanted else list(groups(call.world, call.region).values())
    kept = ("Arn", "Name", "GroupName", "State", "CreationDate", "LastModificationDate")
    shown = [
        {**{key: each.shown[key] for key in kept}, "Target": {"Arn": each.shown["Target"]["Arn"]}}
        for group in found
        for name, each in group.schedules.items()
        if name.startswith(prefix)
    ]
    start, most = int(call.params.get("NextToken") or 0), call.params.get("MaxResults") or 100
    more = {"NextToken": str(start + most)} if start + most < len(shown) else {}
    return {"Schedules": shown[start : start + most], **more}


@on("scheduler", "DeleteSchedule")
def delete_schedule(call: Call) -> Params:
    group, schedule = _schedule(call)
    schedule.generation += 1
    del group.schedules[call.params["Name"]]
    return {}


# --- as time goes on


def _check_expression(world: World, params: Params) -> None:
    """AWS refuses a time that is over: https://github.com/DefangLabs/pulumi-defang/pull/425. Its words are known of no source."""
    expression = params["ScheduleExpression"]
    rate, once = RATE.fullmatch(expression), AT.fullmatch(expression)
    if not (rate and int(rate[1])) and not once:
        raise _invalid(f"Invalid Schedule Expression {expression}.")
    if once and _instant(params) <= world.now():
        raise _invalid(f"Invalid Schedule Expression {expression}. It is in the past.")


def _instant(params: Params) -> float:
    """When a one-time schedule is due."""
    match = AT.fullmatch(params["ScheduleExpression"])
    assert match
    named = params.get("ScheduleExpressionTimezone", "UTC")
    try:
        return datetime.fromisoformat(match[1]).replace(tzinfo=ZoneInfo(named)).timestamp()
    except ValueError:
        raise _invalid(f"Invalid Schedule Expression {params['ScheduleExpression']}.") from None
    except ZoneInfoNotFoundError:
        raise _invalid(f"Invalid ScheduleExpressionTimezone {named}.") from None


def _plan(world: World, region: str, group: Group, schedule: Schedule) -> None:
    """The next run is one period from now; time that stands still would bring them all at once, so then there is none."""
    schedule.generation += 1
    if (
        world.clock.scale
        and schedule.shown["State"] == "ENABLED"
        and AT.fullmatch(schedule.shown["ScheduleExpression"])
    ):
        delay = max(0.0, _instant(schedule.shown) - world.now())
        world.after(delay, _invoke, world, region, group, schedule, schedule.generation, 0)
    elif world.clock.scale and schedule.shown["State"] == "ENABLED":
        due = world.now() + _period(schedule)
        world.after(_period(schedule), _due, world, region, group, schedule, schedule.generation, due)


def _period(schedule: Schedule) -> float:
    match = RATE.fullmatch(schedule.shown["ScheduleExpression"])
    assert match
    return float(int(match[1]) * SECONDS[match[2]])


def _due(world: World, region: str, group: Group, schedule: Schedule, generation: int, due: float) -> None:
    """A run, and the plan for the next. Those that fell into a time in which no one asked for anything are left out."""
    if generation != schedule.generation:
        return
    while due <= world.now():
        due += _period(schedule)
    world.after(due - world.now(), _due, world, region, group, schedule, generation, due)
    _invoke(world, region, group, schedule, generation, 0)


def _invoke(world: World, region: str, group: Group, schedule: Schedule, generation: int, attempt: int) -> None:
    """Start the target as Scheduler does, with the rights of the schedule's role."""
    if generation != schedule.generation:
        return
    policy, name = schedule.shown["Target"]["RetryPolicy"], schedule.shown["Name"]
    try:
        schedule.started += targets.run(
            world, region, group.shown["Arn"], schedule.shown["Name"], schedule.shown["Target"]
        )
    except AwsError as error:
        waited = RETRY_SECONDS * (attempt + 1)
        if attempt < policy.get("MaximumRetryAttempts", 185) and waited <= policy.get(
            "MaximumEventAgeInSeconds", 86400
        ):
            world.after(RETRY_SECONDS, _invoke, world, region, group, schedule, generation, attempt + 1)
            return
        schedule.dropped.append(f"{error.code}: {error.message}")
        group.dropped.append(f"{name}: {error.code}: {error.message}")
    once = AT.fullmatch(schedule.shown["ScheduleExpression"])
    if once and schedule.shown["ActionAfterCompletion"] == "DELETE":
        group.schedules.pop(name, None)


@bearer
def tagged(world: World, region: str) -> Iterator[tuple[str, Tags]]:
    """Schedule groups; schedules have no tags."""
    for group in world.state["scheduler"].get(region, {}).values():
        yield group.shown["Arn"], plain(group.tags)
