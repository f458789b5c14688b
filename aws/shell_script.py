"""What a run did as a shell script: each change as a command of the AWS CLI, in order, and what it waited for.

Names of commands and options are those that the AWS CLI derives from botocore's models, as is done here. An id that an
earlier line's answer gives is a shell variable; one that was found stands as it is. A value of an environment is never
printed: it is the variable ENV_NAME, which whoever runs the script sets.
https://docs.aws.amazon.com/cli/latest/userguide/cli-usage-parameters.html
"""

import functools
import itertools
import json
import math
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import jmespath
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape

from aws import fresh
from aws.record import ID, SECRET, SECRET_ENDS, Call, Record, Told, Wait, strings
from console import NEW, NEW_ID

#: botocore's name of a service -> the CLI's, where the two differ
COMMANDS = {"s3": "s3api"}
#: options that the CLI calls otherwise: aws ecs update-service --disable-execute-command
RENAMED = {("ecs", "no-enable-execute-command"): "disable-execute-command"}
RENAMED |= {("ecs", "no-interactive"): "non-interactive"}
#: members that only make a call that is made twice make one thing, here one that was made before
TOKENS = ("clienttoken", "clientrequesttoken", "idempotencytoken")
#: how the members are called whose words are waited for
STATES = (
    "attachmentsStatus",
    "LifeCycleState",
    "State",
    "Status",
    "LifecycleState",
    "lifecycleState",
    "status",
    "lastStatus",
    "updateStatus",
)
#: the words that mean that it is there
READY = ("available", "active", "ACTIVE", "running", "RUNNING", "InService", "ISSUED", "INSYNC", "AVAILABLE", "ENABLED")
#: parameters that choose what is in a state
OF_STATE = ("status", "desiredStatus")
#: how AWS's codes say that there is no such thing
UNKNOWN = re.compile(r"NotFound|NoSuch")
#: words of what we say that we wait for, where that is an end
ENDS = re.compile(r"\b(gone|end|stop|terminated|nothing|empty|let the hosts go)\b")
#: how the CLI's waiters for either end with their names
THERE = ("Available", "Active", "Running", "Stable", "Issued", "Ok", "RecordSetsChanged")
GONE = ("Deleted", "Terminated", "Stopped", "Inactive", "NotExists")
#: what is told that is no step
ASIDES = ("account", "environment", "costs", "deadline", "event", "warning", "next", "kept")
#: words that need no quotes
PLAIN = re.compile(r"[\w@%+=:,./-]+", re.ASCII)
WIDTH = 100
HEADER = """#!/bin/sh
# {page}.py, as commands of the AWS CLI{about}
set -eu
export AWS_PAGER= AWS_REGION={region} AWS_DEFAULT_REGION={region}{profile}
"""
AGAIN = """
# AWS knows for some seconds nothing of what is new, and takes time for what is busy: try for up to 10 minutes; a wait, which
# lasts 10 minutes itself, 6 times, but for the end of a task
again() {
    tries=120
    case "$3 ${4-}" in "wait tasks-stopped") ;; wait*) tries=6 ;; esac
    until answer=$("$@") && case $3 in describe-* | get-* | list-* | run-*) [ "$answer" != None ] ;; esac; do
        case $? in 2 | 252 | 253) return 1 ;; esac # no command of the CLI's, or no credentials
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 5
    done
    printf '%s\\n' "$answer"
}
"""
UNTIL = """
# until WANTED COMMAND: ask for up to 30 minutes, until all that it answers is WANTED; what is not found counts as 0
until_is() {
    wanted=$1 tries=360
    shift
    while :; do
        answer=$("$@" --output text 2>&1) || case $answer in
            *NotFound* | *NoSuch* | *"not found"* | *"not exist"*) answer=0 ;;
            *) printf '%s\\n' "$answer" >&2 ;;
        esac
        [ "$(printf '%s\\n' "$answer" | tr '\\t' '\\n' | sort -u)" != "$wanted" ] || return 0
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 5
    done
}
"""
SECRETS = """
# values of containers' environments, and secrets, are not printed here: set them before, ENV_NAME for that of NAME
"""
#: they stand in JSON
ESCAPED = r"""
: "${ENV_NAME?}"
ENV_NAME=$(printf '%s\n' "$ENV_NAME" |
    awk '{ gsub(/[\\"]/, "\\\\&"); gsub(/\t/, "\\t"); printf "%s%s", ends, $0; ends = "\\n" }')
""".lstrip()


@dataclass
class Variable:
    """A value that a line's answer gives, and where in the answer it stands; or the end of an ARN, `of` which it is."""

    name: str
    value: str
    source: Call
    key: str = ""
    path: str = ""
    of: "Variable | None" = None


@dataclass
class Script:
    """What is known while the lines are written."""

    record: Record
    region: str
    reads: bool = False  # whether reads are lines too
    variables: dict[str, Variable] = field(default_factory=dict)  # by value
    needed: dict[int, list[Variable]] = field(default_factory=dict)  # by the number of the call that gives them
    written: set[int] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)


def script(record: Record, reads: bool = False, profile: str = "") -> str:
    """The whole. `reads`: of a page that changes nothing, its reads. `profile`: that with which it ran."""
    regions = [call.region for call in record.calls if not call.region.endswith("-global")]
    made = Script(record, max(regions, key=regions.count, default=""), reads)
    find_variables(made)
    changes = [call for call in once(succeeded(record), record.dry_run) if call.changes or reads]
    looks = {wait.number: looks_of(made, wait) for wait in waited(record)}
    for call in [*changes, *itertools.chain(*looks.values())]:
        need(made, call.params)
    told = comments(made)
    comment = ""
    everything: list[Call | Wait] = [*changes, *waited(record)]
    for each in sorted(everything, key=lambda each: each.number):
        if isinstance(each, Wait):
            write_wait(made, each, looks[each.number])
            continue
        write_reads(made, each)
        if (said := told.get(each.number, "")) != comment:
            comment = said
            made.lines += ["", *([f"# {in_comment(made, said)}"] if said else [])]
        write_call(made, each)
    return with_header(made, f" AWS_PROFILE={shlex.quote(profile)}" if profile else "")


def write_reads(made: Script, call: Call) -> None:
    for each in reads_for(made, call.params):
        write_call(made, each)


def with_header(made: Script, profile: str) -> str:
    body, record = "\n".join(made.lines), made.record
    about = "; a dry run: nothing was changed" if record.dry_run else ""
    about += f"; it ended with exit code {record.exit}, and this is what it did until then" if record.exit else ""
    text = HEADER.format(page=record.page, region=shlex.quote(made.region), about=about, profile=profile)
    if made.secrets:
        text += SECRETS + "".join(ESCAPED.replace("NAME", name) for name in sorted(made.secrets))
    text += AGAIN if re.search(r"(^|\()again ", body, re.MULTILINE) else ""
    text += UNTIL if re.search(r"^until_is ", body, re.MULTILINE) else ""
    nothing = "" if body.strip() else "\n# it changed nothing"
    return f"{text}{nothing}{body}\n"


def succeeded(record: Record) -> list[Call]:
    """In the order in which they began. One that AWS refused for now and that was made again is here once."""
    return sorted((call for call in record.calls if not call.error), key=lambda call: call.number)


def once(calls: list[Call], dry_run: bool) -> list[Call]:
    """What a dry run takes away stays there, and is taken away again."""
    first = {f"{call.service} {call.operation} {call.params}": call.number for call in reversed(calls)}
    repeated = [
        call for call in calls if call.number not in first.values() and call.operation.startswith(fresh.UNMAKES)
    ]
    return [call for call in calls if not (dry_run and call in repeated)]


def waited(record: Record) -> list[Wait]:
    """Those that only look, the outermost of each."""
    changing = {number for call in record.calls if call.changes for number in call.waits}
    return [wait for wait in record.waits if wait.number not in changing and not set(wait.waits) - changing]


def comments(made: Script) -> dict[int, str]:
    """A call's number -> the step that was told of it: the first that names what it made, or the next of its thread."""
    found: dict[int, str] = {}
    after: dict[int, str] = {}
    later: list[str] = []
    made_by: dict[int, list[str]] = {}
    for value, variable in made.variables.items():
        if not variable.of:
            made_by.setdefault(variable.source.number, []).append(value)
    everything: list[Call | Told] = [
        *made.record.calls,
        *(each for each in made.record.told if each.verb not in ASIDES),
    ]
    for each in sorted(everything, key=lambda each: each.number, reverse=True):
        if isinstance(each, Told):
            after[each.thread] = f"{each.verb} {each.what}" + (f"  {each.detail}" if each.detail else "")
            later.append(after[each.thread])
        else:
            ids = made_by.get(each.number, [])
            naming = [told for told in reversed(later) if any(value in told for value in ids)]
            found[each.number] = next(iter(naming), after.get(each.thread, ""))
    return found


def in_comment(made: Script, text: str) -> str:
    """One line, with variables in place of their values."""
    for value in sorted(made.variables, key=len, reverse=True):
        variable = made.variables[value]
        if (variable.of or variable) in made.needed.get(variable.source.number, []):
            text = text.replace(value, f"${variable.name}")
    return NEW_ID.sub("(new)", " ".join(text.split()))


# ------------------------------------------------------------------------------------------------------------ variables


def find_variables(made: Script) -> None:
    """What an answer tells for the first time, of something that this run made."""
    seen: set[str] = set()
    given_before: set[str] = set()
    ours: set[str] = set()
    taken: dict[str, int] = {}
    changed = False
    for call in succeeded(made.record):
        given = {text for _, text in strings(call.params)}
        changed = changed or call.changes
        if call.operation.startswith(("Create", "Put", "Register")):
            ours |= {text for key, text in strings(call.params) if key.lower().endswith("name")}
        known = "\n".join((*given_before, *given))
        for path, key, text, item in sorted(answers(call.answer), key=lambda each: each[0].count(".")):
            value = text.rpartition("/")[2] if text.startswith("/") else text  # Route 53: /change/C0123
            if value in made.variables or value in seen or value in known or not is_id(key, value):
                continue  # what was given before is a name of ours, or made of one
            if call.changes or (changed and ours & (given | item)):
                name = variable_name(call, key, path)
                taken[name] = taken.get(name, 0) + 1
                name += f"_{taken[name]}" if taken[name] > 1 else ""
                made.variables[value] = Variable(name, value, call, key, path)
        for whole in [each for each in made.variables.values() if each.source is call]:
            for end, name in ends_of(whole).items():
                if is_id("id", end) and not (end in made.variables or end in seen or end in known):
                    made.variables[end] = Variable(name, end, call, of=whole)
        given_before |= given
        seen |= {text for _, text in strings(call.answer)}
        ours |= {value for value, variable in made.variables.items() if variable.source is call}


def ends_of(whole: Variable) -> dict[str, str]:
    """The ends of an ARN that AWS takes in its place, as the shell cuts them off: targetgroup/NAME/ID, app/NAME/ID, ID."""
    if whole.value.count(":") != 5 or not whole.value.startswith("arn:"):
        return {}
    end = whole.value.rpartition(":")[2]
    kind, _, rest = end.partition("/")
    cut = {end: "##*:", rest: f"#*:{kind}/", end.rpartition("/")[2]: "##*/"}
    return {text: f"{{{whole.name}{how}}}" for text, how in cut.items()}


def answers(thing: Any, path: str = "", key: str = "") -> Iterator[tuple[str, str, str, set[str]]]:
    """Every text in an answer: its JMESPath, its member's name, itself, and the texts beside it."""
    if isinstance(thing, dict):
        item = {text for _, text in strings(thing)}
        for name, value in thing.items():
            at = f"{path}.{name}" if path else name
            if isinstance(value, str):
                yield at, name, value, item
            else:
                yield from answers(value, at, name)
    elif isinstance(thing, list):
        for number, value in enumerate(thing):
            if isinstance(value, str):
                yield f"{path}[{number}]", key, value, set(thing)
            else:
                yield from answers(value, f"{path}[{number}]", key)


def is_id(key: str, value: str) -> bool:
    """Whether it is such that AWS chooses it; names, that we choose, stand as they are."""
    named = key.lower().rstrip("s").endswith(("id", "arn", "dnsname", "uri", "url", "address", "publicip"))
    chosen = value.startswith(NEW) or any(letter.isdigit() or letter == ":" for letter in value)
    return named and chosen and len(value) > 6


def variable_name(call: Call, key: str, path: str) -> str:
    """VpcId -> VPC_ID; Role.Arn -> ROLE_ARN"""
    words = key.rstrip("s") if "[" in path.rpartition(".")[2] else key
    if words.lower() in ("id", "arn", "dnsname", "uri", "url"):
        parents = [part for part in re.split(r"\.|\[\d+\]", path) if part][:-1]
        noun = parents[-1].removesuffix("s") if parents else fresh.noun(call.operation)
        words = f"{noun}{words[0].upper()}{words[1:]}"
    return xform_name(words, "_").upper()


def need(made: Script, thing: Any) -> None:
    """Whatever of it an earlier answer gave is a variable."""
    for variable in used(made, thing):
        needed = made.needed.setdefault(variable.source.number, [])
        if variable not in needed:
            needed.append(variable)
            if not variable.source.changes:
                need(made, variable.source.params)


def used(made: Script, thing: Any) -> list[Variable]:
    texts = "\n".join(text for _, text in strings(thing))
    found = []
    for value in sorted(made.variables, key=len, reverse=True):
        if value in texts:
            found.append(made.variables[value].of or made.variables[value])
            texts = texts.replace(value, "")
    return found


def reads_for(made: Script, thing: Any) -> list[Call]:
    """The reads whose answers it takes, and that are no lines yet."""
    found: list[Call] = []
    for variable in used(made, thing):
        source = variable.source
        if not source.changes and source.number not in made.written and source not in found:
            found += [*reads_for(made, source.params), source]
    return found


# ------------------------------------------------------------------------------------------------------------- commands


def write_call(made: Script, call: Call) -> None:
    """One command; with what later lines need of its answer."""
    if call.number in made.written:
        return
    made.written.add(call.number)
    words = command(made, call)
    variables = made.needed.get(call.number, [])
    patient = call.patient or bool(used(made, call.params)) or not call.changes
    again = "again " if patient and not made.reads else ""
    if not variables:
        made.lines.append(wrapped(f"{again}aws", words))
    elif len(variables) == 1:
        query = ["--query", quoted(made, variables[0].path), "--output text"]
        made.lines.append(f"{variables[0].name}=$({wrapped(f'{again}aws', [*words, ' '.join(query)])})")
    else:
        paths = shlex.quote(f"[{', '.join(variable.path for variable in variables)}]")
        made.lines.append(f"ANSWER=$({wrapped(f'{again}aws', [*words, f'--query {paths} --output text'])})")
        for number, variable in enumerate(variables, 1):
            made.lines.append(f"{variable.name}=$(printf '%s\\n' \"$ANSWER\" | cut -f{number})")


def wrapped(first: str, words: list[str]) -> str:
    """On one line, or with an option on each."""
    line = " ".join([first, *words])
    if len(line) <= WIDTH and "\n" not in line:
        return line
    return " \\\n    ".join([" ".join([first, words[0]]), *words[1:]])


def command(made: Script, call: Call) -> list[str]:
    """The command, then each option with its value: ["ec2 create-vpc", "--cidr-block 10.0.0.0/16"]"""
    model = operation(call.service, call.operation)
    members: dict[str, Shape] = getattr(model.input_shape, "members", {})
    words = [f"{COMMANDS.get(call.service, call.service)} {xform_name(call.operation, '-')}"]
    for name, value in call.params.items():
        if name in members and name.lower() not in TOKENS:  # the CLI fills in those that must be there
            words.append(option(made, call.service, name, value, members[name]))
    elsewhere = call.region != made.region and not call.region.endswith("-global")  # IAM's is aws-global
    return [*words, f"--region {call.region}"] if elsewhere else words


def option(made: Script, service: str, name: str, value: Any, shape: Shape) -> str:
    its_name = xform_name(name, "-")
    if isinstance(value, dict) and list(getattr(shape, "members", {})) == ["Value"]:
        value = value["Value"]  # {"Value": True} of EC2 is a flag too
    if isinstance(value, bool):
        its_name = its_name if value else f"no-{its_name}"
        return f"--{RENAMED.get((service, its_name), its_name)}"
    if shape.type_name in ("structure", "map") or not isinstance(value, list):
        text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
        if text.startswith("-"):
            return f"--{its_name}={quoted(made, text, name)}"
        return f"--{its_name} {quoted(made, text, name)}"
    plain = [each for each in value if isinstance(each, str | int) and re.match(r"[\w(/]", str(each))]
    if plain == value and value:
        return f"--{its_name} {' '.join(quoted(made, str(each), name) for each in value)}"
    return f"--{its_name} {quoted(made, json.dumps(value, ensure_ascii=False), name)}"


def quoted(made: Script, text: str, key: str = "") -> str:
    """As the shell reads it: what is a variable in double quotes, the rest in single ones where it needs them."""
    known = sorted(made.variables, key=len, reverse=True)
    pattern = "|".join([*map(re.escape, known), f"{SECRET}.*?{SECRET_ENDS}", NEW_ID.pattern])
    words, at = "", 0
    for match in re.finditer(pattern, text):
        words += literal(text[at : match.start()]) + f'"${reference(made, match[0], key)}"'
        at = match.end()
    return words + literal(text[at:]) or "''"


def literal(text: str) -> str:
    return text if not text or PLAIN.fullmatch(text) else shlex.quote(text)


def reference(made: Script, value: str, key: str) -> str:
    """The name of the variable that stands for it."""
    if value.startswith(SECRET):
        name = re.sub(r"\W", "_", value.strip(SECRET + SECRET_ENDS))
        made.secrets.add(name)
        return f"ENV_{name}"
    if value in made.variables:
        return made.variables[value].name
    alike = [each for each in made.variables.values() if each.key.lower() == key.lower().rstrip("s")]
    return alike[-1].name if alike else xform_name(key, "_").upper()


@functools.cache
def operation(service: str, name: str) -> OperationModel:
    return model_of(service).operation_model(name)


@functools.cache
def model_of(service: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


# ---------------------------------------------------------------------------------------------------------------- waits


def looks_of(made: Script, wait: Wait) -> list[Call]:
    """What it asked, each once, as it was answered last; but what asks about the answer of another of its looks."""
    looks = [call for call in made.record.calls if wait.number in call.waits and not call.changes]
    changes = [call for call in succeeded(made.record) if call.changes]
    of_changes = {text for call in changes for _, text in (*strings(call.params), *strings(call.answer))}
    newest: dict[str, Call] = {}
    for call in looks:
        others = {text for look in looks if look.operation != call.operation for _, text in strings(look.answer)}
        if not {text for _, text in strings(call.params) if ID.fullmatch(text)} & others - of_changes:
            newest[f"{call.service} {call.operation} {call.params}"] = call
    return [about_ids(made, wait, call) for call in newest.values()]


def about_ids(made: Script, wait: Wait, call: Call) -> Call:
    """The same look, about the ids that were made, or deleted, in place of all that bears a tag."""
    names = [name for name in call.params if name.startswith(("Filter", "Names"))]
    if used(made, call.params) or (call.params and not names):
        return call
    members: dict[str, Shape] = getattr(operation(call.service, call.operation).input_shape, "members", {})
    ids = deleted_ids(made, wait, call) if ends(wait) else made_ids(made, wait, call)
    params: dict[str, Any] = {}
    for key, values in ids.items():
        for name, shape in members.items():
            if shape.type_name == "list" and name.lower() == f"{key.lower()}s":
                params[name] = values
            elif shape.type_name == "string" and name.lower() == key.lower() and len(values) == 1:
                params[name] = values[0]
    kept = {name: value for name, value in call.params.items() if not (params and name in names)}
    return replace(call, params=kept | params)


def made_ids(made: Script, wait: Wait, call: Call) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in made.variables.values():
        source = each.source
        if source.changes and source.number < wait.number and same_kind(source, call):
            found.setdefault(each.key, []).append(each.value)
    return found


def deleted_ids(made: Script, wait: Wait, call: Call) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in succeeded(made.record):
        if each.operation.startswith(fresh.UNMAKES) and each.number < wait.number and same_kind(each, call):
            for key, text in strings(each.params):
                found.setdefault(key, []).append(text)
    return found


def same_kind(change: Call, read: Call) -> bool:
    return change.service == read.service and fresh.noun(change.operation) == fresh.noun(read.operation)


def ends(wait: Wait) -> bool:
    return bool(ENDS.search(wait.what))


def write_wait(made: Script, wait: Wait, looks: list[Call]) -> None:
    """`aws ... wait` where the CLI has it, else a loop over what the page looked at; a pause where it looked at nothing."""
    began = made.record.began
    if ends(wait) and not wait.looks and not any(deleted_ids(made, wait, call) for call in looks):
        return  # there was none
    if made.record.dry_run and "nothing" in wait.what:
        return  # all that it looked at still stands
    for call in looks:
        write_reads(made, call)
    of_each = [way_to_wait(made, wait, call) for call in looks]
    best = min((rank for rank, _ in of_each), default=NONE)
    lines = [line for rank, line in of_each if rank == best < NONE]
    lines = lines[:1] if best == COUNT else lines  # the others tell a person why it takes so long
    if not looks and wait.ended - wait.began >= 1:
        lines = [f"sleep {math.ceil(wait.ended - began) - math.floor(wait.began - began)}"]
    if lines:
        made.lines += ["", f"# wait for {in_comment(made, wait.what)}", *dict.fromkeys(lines)]
    elif wait.looks or (made.record.dry_run and not ends(wait)):
        made.lines += ["", f"# here the page waited for {in_comment(made, wait.what)}"]


#: how well a look says what is waited for
WAITER, STATE, COUNT, NONE = range(4)


def way_to_wait(made: Script, wait: Wait, call: Call) -> tuple[int, str]:
    """Of the looks of a wait, those that say best when it is over are its lines."""
    words, name = command(made, call), waiter_of(call, GONE if ends(wait) else THERE)
    if name and not (ends(wait) and any(each.startswith("Filter") for each in call.params)):
        service, _, _ = words[0].partition(" ")
        return WAITER, wrapped("again aws", [f"{service} wait {xform_name(name, '-')}", *words[1:]])
    if ends(wait):
        return way_to_its_end(made, wait, call, words)
    for path, possible in states_of(operation(call.service, call.operation).output_shape):
        seen = set(flat(jmespath.search(path, call.answer)))
        if ready := [word for word in READY if word in possible and (made.record.dry_run or seen == {word})]:
            return STATE, until_is(words, ready[0], path)
        if not possible and len(seen) == 1 and wait.looks and not made.record.dry_run:
            return STATE, until_is(words, str(*seen), path)
    lists = [key for key, value in (call.answer or {}).items() if isinstance(value, list) and key != "failures"]
    limited = any(name.lower().startswith("max") for name in call.params)  # so many are listed, however many there are
    if made.record.dry_run or limited or len(lists) != 1 or not call.answer[lists[0]]:
        return NONE, ""
    rank = STATE if {*OF_STATE} & {*call.params} else COUNT
    return rank, until_is(words, str(len(call.answer[lists[0]])), f"length({lists[0]})")


def way_to_its_end(made: Script, wait: Wait, call: Call, words: list[str]) -> tuple[int, str]:
    """Until AWS does not find it, or the list in which it stood is empty: that of the groups, or that of their hosts."""
    if UNKNOWN.search(call.error):
        return STATE, until_is(words, "0", "length(@)")
    if call.error:  # it may not be asked, or not now: that says nothing
        return NONE, ""
    paths = [path.split("[]")[:-1] for path, _ in states_of(operation(call.service, call.operation).output_shape)]
    lists = [each[0] if len(each) == 1 else f"{'[]'.join(each)}[]" for each in sorted(paths, key=len) if each]
    if call.service == "ecs":  # for a while ECS lists what is gone
        lists = [f'{each}[?status!=`"INACTIVE"`]' for each in lists]
    if made.record.dry_run:
        empty = lists[:1] if deleted_ids(made, wait, call) else lists[-1:]
    else:
        lists += [key for key in call.answer if {*OF_STATE} & {*call.params}]
        empty = [each for each in lists if not jmespath.search(each, call.answer)]
    known = bool(call.params and empty)  # else it is about something else
    return (STATE, until_is(words, "0", f"length({empty[0]})")) if known else (NONE, "")


def until_is(words: list[str], wanted: str, query: str) -> str:
    return wrapped(f"until_is {literal(wanted)} aws", [*words, f"--query {shlex.quote(query)}"])


def flat(found: Any) -> list[str]:
    return [str(each) for each in (found if isinstance(found, list) else [found]) if each is not None]


def waiter_of(call: Call, wanted: tuple[str, ...]) -> str:
    """The CLI's own waiter, which asks the same."""
    asking = [name for name, its_call in waiters_of(call.service).items() if its_call == call.operation]
    return next((name for ending in wanted for name in asking if name.endswith(ending)), "")


@functools.cache
def waiters_of(service: str) -> dict[str, str]:
    """Waiter -> the operation that it asks."""
    loader = Loader()
    if service not in loader.list_available_services("waiters-2"):
        return {}
    model: dict[str, Any] = loader.load_service_model(service, "waiters-2")
    return {name: each["operation"] for name, each in model["waiters"].items()}


def states_of(shape: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, list[str]]]:
    """The JMESPath of each state in an answer, and the words that it may be where AWS tells them."""
    members: dict[str, Any] = getattr(shape, "members", {})
    for name in [name for name in STATES if name in members and members[name].type_name == "string"]:
        yield f"{path}.{name}".lstrip("."), list(getattr(members[name], "enum", []))
    for name, member in members.items() if depth < 3 else ():
        its_path = f"{path}.{name}".lstrip(".")
        inner, its_path = (member.member, f"{its_path}[]") if member.type_name == "list" else (member, its_path)
        yield from states_of(inner, its_path, depth + 1)
