"""EventBridge Scheduler: schedules that really start their ECS task, each time AWS's clock says so.

moto records schedules and runs nothing. Here only recurring rates and ECS targets are imitated.
https://docs.aws.amazon.com/scheduler/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from emulator.core import partitions, rules
from emulator.core.ask import ask, asking
from emulator.core.rules import AwsError, Call, Params, on
from emulator.core.tags import Tags, bearer, plain
from emulator.core.world import ACCOUNT, World
from emulator.iam.policies import may
from emulator.iam.trust import assumable

rules.SENTENCES.update(
    {
        "sch-001": "A schedule's role must exist, have spread, and let Scheduler assume it for the schedule's group.",
        "sch-002": "Names have 1 to 64 characters of a small set, a rate is at least 1 minute, and a group must exist.",
        "sch-003": "A name is taken once in its group: ConflictException.",
        "sch-004": "A schedule starts its target each period, whether or not the one before has ended; what fails is "
        "tried again as its retry policy says, and then dropped.",
        "sch-005": "Groups bear tags, schedules none; a group that is deleted is DELETING for a while, with its "
        "schedules, and can't be used.",
    }
)

NAME = re.compile(r"[0-9a-zA-Z\-_.]{1,64}")
RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
DELETING_SECONDS = 15
PRINCIPAL = "scheduler.amazonaws.com"
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
    expression, target = params["ScheduleExpression"], params["Target"]
    if not (match := RATE.fullmatch(expression)) or int(match[1]) < 1:
        raise _invalid(f"Invalid Schedule Expression {expression}.")
    group = _group(call, group_name)
    if group.shown["State"] == "DELETING":
        raise AwsError("ConflictException", f"Schedule group {group_name} is being deleted.", 409)
    if not re.fullmatch(r"arn:aws[a-z-]*:ecs:[a-z0-9-]+:\d{12}:cluster/[\w-]+", target["Arn"]):
        raise AwsError("NotImplemented", f"the emulator starts no {target['Arn']}", 501)
    if not target.get("EcsParameters"):
        raise _invalid("EcsParameters is required for an ECS target.")
    if not 1 <= target["EcsParameters"].get("TaskCount", 1) <= 10:
        raise _invalid("TaskCount must be between 1 and 10.")
    if target["EcsParameters"].get("LaunchType") and target["EcsParameters"].get("CapacityProviderStrategy"):
        raise _invalid("LaunchType and CapacityProviderStrategy cannot both be specified.")
    if not assumable(call.world, target["RoleArn"], PRINCIPAL, group.shown["Arn"]):
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


@on("scheduler", "CreateSchedule", rules="sch-001 sch-002 sch-003 sch-004")
def create_schedule(call: Call) -> Params:
    group, shown = _checked(call)
    if shown["Name"] in group.schedules:
        raise AwsError("ConflictException", f"Schedule {shown['Name']} already exists.", 409)
    schedule = group.schedules[shown["Name"]] = Schedule({**shown, "CreationDate": shown["LastModificationDate"]})
    _plan(call.world, call.region, group, schedule)
    return {"ScheduleArn": shown["Arn"]}


@on("scheduler", "UpdateSchedule", rules="sch-001 sch-002 sch-004")
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
    return {"Schedules": shown}


@on("scheduler", "DeleteSchedule")
def delete_schedule(call: Call) -> Params:
    group, schedule = _schedule(call)
    schedule.generation += 1
    del group.schedules[call.params["Name"]]
    return {}


# --- as time goes on


def _plan(world: World, region: str, group: Group, schedule: Schedule) -> None:
    """The next run is one period from now; time that stands still would bring them all at once, so then there is none."""
    schedule.generation += 1
    if world.clock.scale and schedule.shown["State"] == "ENABLED":
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
    policy = schedule.shown["Target"]["RetryPolicy"]
    try:
        schedule.started += run_target(world, region, group, schedule)
    except AwsError as error:
        waited = RETRY_SECONDS * (attempt + 1)
        if attempt < policy.get("MaximumRetryAttempts", 185) and waited <= policy.get(
            "MaximumEventAgeInSeconds", 86400
        ):
            world.after(RETRY_SECONDS, _invoke, world, region, group, schedule, generation, attempt + 1)
        else:
            schedule.dropped.append(f"{error.code}: {error.message}")


def run_target(world: World, region: str, group: Group, schedule: Schedule) -> list[str]:
    """RunTask, with what the role may do looked at first: the ARNs of the tasks."""
    target = schedule.shown["Target"]
    if not assumable(world, target["RoleArn"], PRINCIPAL, group.shown["Arn"]):
        raise AwsError("AccessDeniedException", "The execution role cannot be assumed.")
    request = _request(schedule.shown["Name"], target)
    definition = request["taskDefinition"]
    _demand(target["RoleArn"], "ecs:RunTask", definition, {"ecs:cluster": target["Arn"]})
    if request.get("propagateTags") or request.get("tags"):
        created = f"{target['Arn'].replace(':cluster/', ':task/')}/new"
        _demand(target["RoleArn"], "ecs:TagResource", created, {"ecs:CreateAction": "RunTask"})
    described = ask(asking(world, region, "scheduler"), "ecs", "DescribeTaskDefinition", taskDefinition=definition)[
        "taskDefinition"
    ]
    for key in ("taskRoleArn", "executionRoleArn"):
        if described.get(key):
            _demand(
                target["RoleArn"], "iam:PassRole", described[key], {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
            )
    answer = ask(asking(world, region, "scheduler"), "ecs", "RunTask", **request)
    if answer["failures"]:
        raise AwsError("InternalServerException", str(answer["failures"][0].get("reason")))
    return [task["taskArn"] for task in answer["tasks"]]


def _request(name: str, target: Params) -> Params:
    """EcsParameters as RunTask spells them."""
    given = target["EcsParameters"]
    network = (given.get("NetworkConfiguration") or {}).get("awsvpcConfiguration")
    renamed = {
        "taskDefinition": given["TaskDefinitionArn"],
        "count": given.get("TaskCount", 1),
        "launchType": given.get("LaunchType"),
        "capacityProviderStrategy": given.get("CapacityProviderStrategy"),
        "platformVersion": given.get("PlatformVersion"),
        "group": given.get("Group"),
        "enableECSManagedTags": given.get("EnableECSManagedTags"),
        "enableExecuteCommand": given.get("EnableExecuteCommand"),
        "propagateTags": given.get("PropagateTags"),
        "tags": [{"key": k, "value": v} for tag in given.get("Tags") or [] for k, v in [(tag["key"], tag["value"])]],
        "networkConfiguration": network
        and {"awsvpcConfiguration": {key[0].lower() + key[1:]: value for key, value in network.items()}},
        "overrides": json.loads(target["Input"]) if target.get("Input") else None,
    }
    request = {key: value for key, value in renamed.items() if value}
    return {**request, "cluster": target["Arn"], "startedBy": f"chronon-schedule/{name}"[:128]}


def _demand(role_arn: str, action: str, resource: str, context: dict[str, str]) -> None:
    role = role_arn.rpartition("/")[2]
    if not may(role, action, resource, context):
        raise AwsError(
            "AccessDeniedException",
            f"User: arn:{partitions.here()}:sts::{ACCOUNT}:assumed-role/{role} is not authorized to perform: {action} on resource: "
            f"{resource}",
        )


@bearer
def tagged(world: World, region: str) -> Iterator[tuple[str, Tags]]:
    """Schedule groups; schedules have no tags."""
    for group in world.state["scheduler"].get(region, {}).values():
        yield group.shown["Arn"], plain(group.tags)
