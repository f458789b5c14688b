"""What one run has in place of what the revision says: the main container's command, environment, GPUs, memory and CPU.

They go along with RunTask; nothing is registered anew. The image, the volumes and the roles are the revision's.
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskOverride.html
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import aws
import constants
import texts
from aws import Problem, tags_of, token

#: of the JSON of all overrides together
MOST_CHARACTERS = 8192


def of_flags(command: str, env: Sequence[str], gpus: str, memory: str, cpu: str, args: Sequence[str]) -> dict[str, Any]:
    """What the flags ask for: words of the command, variables, numbers. One mistake is told at a time, before any call."""
    if command and args:
        raise wrong("--command and -- ARGS do not go together: either says the whole command")
    found: dict[str, Any] = {
        "command": parsed("--command", command, texts.shell_words) if command else [*args],
        "environment": variables(env),
        "gpus": parsed("--gpus", gpus, texts.whole(0, 16)) if gpus else None,
        "memory": parsed("--memory", memory, texts.whole(128, 4194304)) if memory else None,
        "cpu": parsed("--cpu", cpu, texts.whole(128, 196608)) if cpu else None,
    }
    if not all(map(texts.sayable, found["command"])):
        raise wrong("the command is not text in UTF-8")
    if found["gpus"] is not None and (constants.GPU_SHARING or constants.LAUNCH_TYPE == "FARGATE"):
        one = f"GPU_SHARING={constants.GPU_SHARING}" if constants.GPU_SHARING else "LAUNCH_TYPE=FARGATE"
        raise wrong(f"--gpus {gpus}, but {one}: a run takes whole GPUs, of a host, or none")
    if found["gpus"] and not constants.GPU_COUNT:
        raise wrong(f"--gpus {gpus}, but GPU_COUNT=0: the AMI of the hosts is then one without GPUs")
    check_fargate(found["cpu"] or constants.TASK_CPU, found["memory"] or constants.TASK_MEMORY)
    return found


def wrong(sentence: str) -> Problem:
    return Problem(sentence, None, aws.WRONG_SETTING)


def parsed(flag: str, text: str, parse: Any) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise wrong(f"{flag}: {texts.shortened(text)} {error}") from None


def variables(given: Sequence[str]) -> dict[str, str]:
    """NAME=value, each once. A mistake is told by its place: the value may be a secret."""
    found: dict[str, str] = {}
    for number, each in enumerate(given, 1):
        name, equals, value = each.partition("=")
        if not equals:
            raise wrong(f"--env: the {number}. of them is not NAME=value")
        add(found, name, value, f"--env: the {number}. of them")
    return found


def add(variables: dict[str, str], name: str, value: str, what: str) -> None:
    """One more variable; `what` is where it stands."""
    if not re.fullmatch(constants.VARIABLE, name) or not texts.sayable(value):
        raise wrong(f"{what} has no name of an environment variable before its value, or is not text in UTF-8")
    if name in variables or name in constants.CONTAINER_SECRETS:
        twice = "is there twice" if name in variables else "is in CONTAINER_SECRETS too"
        raise wrong(f"{what}: {name} {twice}")
    variables[name] = value


def check_fargate(cpu: int, memory: int) -> None:
    """Fargate has its sizes: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html"""
    if constants.LAUNCH_TYPE == "FARGATE" and memory not in constants.FARGATE_MEMORY.get(cpu, []):
        fitting = {size: [amounts[0], amounts[-1]] for size, amounts in constants.FARGATE_MEMORY.items()}
        sizes = ", ".join(f"{size} with {low} to {high}" for size, (low, high) in fitting.items())
        raise wrong(f"--cpu {cpu} and --memory {memory} are no Fargate size: CPU units with MiB are {sizes}")


def of(definition: Any, wanted: Mapping[str, Any], more: Mapping[str, str] | None = None) -> dict[str, Any]:
    """RunTask's `overrides`; {} where the run is as the revision says. `more`: variables beside those of the flags.

    Where the revision says the size of the task, the task's is overridden; else its main container's: the hard limit where
    it has one, or what it reserves: AWS subtracts that from what a host has, and it may use all that the host has left.
    """
    main = main_container(definition)
    environment = {**wanted["environment"], **(more or {})}
    of_task, of_container = {"cpu": wanted["cpu"], "memory": wanted["memory"]}, {}
    if not definition.get("cpu"):
        of_container["cpu"] = of_task.pop("cpu")
    if not definition.get("memory"):
        of_container["memory" if main.get("memory") else "memoryReservation"] = of_task.pop("memory")
    container = {
        **of_container,
        "command": wanted["command"],
        "environment": [{"name": name, "value": value} for name, value in environment.items()],
        "resourceRequirements": wanted["gpus"] and [{"type": "GPU", "value": str(wanted["gpus"])}],
    }
    container = {key: value for key, value in container.items() if value}
    found: dict[str, Any] = {key: str(value) for key, value in of_task.items() if value}
    if container:
        found["containerOverrides"] = [{"name": constants.CONTAINER_NAME, **container}]
    if container and not main:
        revision = definition["taskDefinitionArn"].rpartition("/")[2]
        raise wrong(f"{revision} has no container {constants.CONTAINER_NAME}: run register_task_definition.py first")
    if wanted["gpus"] == 0 and main.get("resourceRequirements"):  # an override puts a number in a number's place
        how = "register a revision with GPU_COUNT=0"
        raise wrong(f"--gpus 0, but the revision asks for GPUs, and an override can't take them away: {how}")
    if (size := len(json.dumps(found))) > MOST_CHARACTERS:
        raise wrong(
            f"the command and the environment of the run have {size} characters of JSON; {MOST_CHARACTERS} at most"
        )
    return found


def main_container(definition: Any) -> dict[str, Any]:
    """The revision's, {} where it has none of that name: another definition file made it."""
    found = [each for each in definition["containerDefinitions"] if each["name"] == constants.CONTAINER_NAME]
    return dict(found[0]) if found else {}


def key(definition: Any, overrides: Mapping[str, Any], more: str = "") -> str:
    """By what the tasks of one run are found again; "" for a task that is as its revision says.

    It is a hash: of the environment nothing can be read in it.
    """
    if not overrides and not more:
        return ""
    return token(definition["taskDefinitionArn"], json.dumps(overrides, sort_keys=True), more)


def key_of(task: Any) -> str:
    """The key that a task was started with."""
    return tags_of(task).get(constants.RUN_TAG, "")
