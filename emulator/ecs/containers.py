"""What a container does once it runs: a small, fixed idea of a few commands, so that one-shot tasks can be rehearsed.

No container is run. A command that is not known here runs on until it is stopped, as a server does. Known are

    sleep N    exit N    true    false    echo TEXT    nvidia-smi [-L]    env    :    cd    export    set    mkdir
    touch      rm        ls      cat      date    hostname    out-of-memory    openssl x509|req
    test A = B, test A -eq B, and !=, -ne; and the PROGRAMS, such as aws s3 sync; echo TEXT > FILE, touch, rm and other
    tests see the files of EFS volumes

of those that are in the image, also inside `sh -c "..."` or `bash -c "..."`, joined by && || ; and new lines, with
$NAME taken from the environment. A shell that is given nothing to do ends at once. What they write goes to the
container's log. nvidia-smi needs a GPU: without one the command is not found (127), and out-of-memory takes more memory
than the container has.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field

from emulator.core.world import World
from emulator.ecs.state import Item, Task

SHELLS = {"sh", "bash", "ash", "/bin/sh", "/bin/bash", "/usr/bin/bash"}
QUIET = {":", "cd", "export", "set", "mkdir", "touch", "rm", "ls", "cat", "test", "date", "chmod", "chown"}
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass
class Outcome:
    """What a command comes to: lines with the second in which they are written, and how and when it ends."""

    lines: list[tuple[float, str]] = field(default_factory=list)
    seconds: float = 0.0
    code: int | None = 0  # None: it runs until it is stopped
    killed: str = ""  # why it was killed, if it was
    deaf: bool = False  # as process 1 it does not listen to SIGTERM: it has to be killed


@dataclass
class Place:
    """Where a command runs."""

    environment: dict[str, str]
    gpus: list[str]  # the ids of the container's GPUs
    gpu_name: str = "Tesla T4"
    gpu_memory: int = 15360
    gpu_percent: float = 0.0  # how busy they are
    hostname: str = "localhost"
    programs: dict[str, Callable[[list[str]], Outcome]] = field(
        default_factory=dict
    )  # those that need a task to run in
    has: Callable[[str], bool] = lambda _: True  # whether the image has such a program
    runs: bool = True  # whether what is in the image is for this machine's CPU
    handed_over: tuple[str, ...] = ()  # an entry point that ends with exec "$@"


#: programs that reach out of their container: name -> what becomes of a task's container that runs it with these words.
#: Each puts itself here.
PROGRAMS: dict[str, Callable[[World, Task, Item, list[str]], Outcome]] = {}


def outcome(container: Item, place: Place) -> Outcome:
    """What a container's entry point and command come to."""
    words = [*(container.get("entryPoint") or []), *(container.get("command") or [])]
    if not place.runs:
        return Outcome([(0.0, f"exec {words[0]}: exec format error")], code=1)
    if place.handed_over and tuple(words[: len(place.handed_over)]) == place.handed_over:
        words = words[len(place.handed_over) :]
    result = _run(words, place)
    init = (container.get("linuxParameters") or {}).get("initProcessEnabled")
    result.deaf = bool(words) and (words[0] in SHELLS or words[0].rpartition("/")[2] == "sleep") and not init
    return result


def _run(words: list[str], place: Place) -> Outcome:
    if not words:
        return Outcome(code=None)
    if words[0] in SHELLS:
        flag = next((at for at, word in enumerate(words) if re.fullmatch(r"-[a-z]*c", word)), None)
        if flag is None or flag + 1 >= len(words):
            return Outcome(code=None) if words[1:] else Outcome()
        return _script(words[flag + 1], place)
    return _command(words, place)


def _script(text: str, place: Place) -> Outcome:
    """A shell script: its commands one after the other, until one runs on, or exits."""
    total = Outcome()
    for operator, words in _commands(text):
        if operator == "&&" and total.code != 0:
            continue
        if operator == "||" and total.code == 0:
            continue
        words = [_expanded(word, place, total.code or 0) for word in words]
        last = bool(words) and words[0] == "exec"  # the command takes the shell's place
        words = words[1:] if last else words
        if not words:
            continue
        done = _command(words, place) if words[0] not in SHELLS else _run(words, place)
        total.lines += [(total.seconds + at, line) for at, line in done.lines]
        total.seconds += done.seconds
        total.code, total.killed = done.code, done.killed
        if done.code is None or words[0] == "exit" or last:
            break
    return total


def _commands(text: str) -> list[tuple[str, list[str]]]:
    """(what stands before it, its words) for each command of a script."""
    lexer = shlex.shlex(text.replace("\\\n", " ").replace("\n", " ; "), posix=True, punctuation_chars=";&|<>")
    lexer.whitespace_split = True
    lexer.commenters = ""
    commands: list[tuple[str, list[str]]] = [("", [])]
    try:
        tokens = list(lexer)
    except ValueError:
        return [("", ["a-script-that-can-not-be-read"])]
    for token in tokens:
        if token and set(token) <= set(";&|"):
            commands.append((token, []))
        else:
            commands[-1][1].append(token)
    return [(operator, words) for operator, words in commands if words and operator != "|"]


def _expanded(word: str, place: Place, code: int) -> str:
    def value(match: re.Match[str]) -> str:
        return str(code) if match[0] == "$?" else place.environment.get(match[1] or match[2], "")

    return re.sub(r"\$(?:\?|(\w+)|\{(\w+)\})", value, word)


def _command(words: list[str], place: Place) -> Outcome:
    """One command. Where it writes to a file, only what goes to stderr comes into the log: the AWS CLI's errors.

    On a volume that file is there for others, too.
    """
    redirected = next((at for at, word in enumerate(words) if set(word) <= {"<", ">", "&"} and word), None)
    if redirected is not None:
        done = _command(words[:redirected], place) if redirected else Outcome()
        errors = done.lines if (done.code or 0) > 250 else []
        if words[redirected] == ">" and ">" in place.programs and redirected + 1 < len(words) and not done.code:
            text = "".join(f"{line}\n" for _, line in done.lines)
            written = place.programs[">"]([words[redirected + 1], text])
            return Outcome(written.lines, done.seconds, written.code)
        return Outcome(errors, done.seconds, done.code)
    name, arguments = words[0].rpartition("/")[2], words[1:]
    if not place.has(words[0]):
        return Outcome([(0.0, f"exec: {words[0]}: not found")], code=127)
    if name == "sleep":
        return _sleep(arguments)
    if name == "exit":
        return Outcome(code=int(arguments[0]) % 256 if arguments and arguments[0].isdigit() else 0)
    if name in ("true", "false"):
        return Outcome(code=int(name == "false"))
    if name == "echo":
        return Outcome([(0.0, " ".join(word for word in arguments if word not in ("-n", "-e")))])
    if name in ("env", "printenv"):
        return _environment(arguments, place)
    if name == "hostname":
        return Outcome([(0.0, place.hostname)])
    if name == "test" and len(arguments) == 3 and arguments[1] in ("=", "-eq", "!=", "-ne"):
        return Outcome(code=int((arguments[0] == arguments[2]) is (arguments[1] in ("!=", "-ne"))))
    if name in place.programs:
        return place.programs[name](arguments)
    if name == "nvidia-smi":
        return _nvidia_smi(arguments, place)
    if name == "out-of-memory":
        return Outcome(seconds=5, code=137, killed="OutOfMemoryError: Container killed due to memory usage")
    if name == "openssl" and arguments:  # x509: there is no certificate yet; anything else makes one
        return Outcome(seconds=1, code=int(arguments[0] == "x509"))
    if name in QUIET:
        return Outcome()
    return Outcome(code=None)


def _sleep(arguments: list[str]) -> Outcome:
    match = re.fullmatch(r"([\d.]+)([smhd]?)", arguments[0]) if arguments else None
    return Outcome(seconds=float(match[1]) * UNITS[match[2]]) if match else Outcome(code=None)


def _environment(names: list[str], place: Place) -> Outcome:
    if names:
        known = [name for name in names if name in place.environment]
        return Outcome([(0.0, place.environment[name]) for name in known], code=int(len(known) < len(names)))
    return Outcome([(0.0, f"{name}={value}") for name, value in place.environment.items()])


def _nvidia_smi(arguments: list[str], place: Place) -> Outcome:
    if not place.gpus:
        return Outcome([(0.0, "nvidia-smi: not found")], code=127)
    if "-L" in arguments or "--list-gpus" in arguments:
        return Outcome([(1.0, f"GPU {n}: {place.gpu_name} (UUID: {gpu})") for n, gpu in enumerate(place.gpus)], 1.0)
    query = next((each.partition("=")[2] for each in arguments if each.startswith("--query-gpu=")), "")
    if query:
        return Outcome([(1.0, _queried(query, number, place)) for number in range(len(place.gpus))], 1.0)
    rule = "+" + "-" * 89 + "+"
    table = [
        rule,
        "| {:<88}|".format("NVIDIA-SMI 580.159.03     Driver Version: 580.159.03     CUDA Version: 13.0"),
        "|" + "-" * 41 + "+" + "-" * 24 + "+" + "-" * 22 + "|",
        "| {:<40}| {:<23}| {:<21}|".format("GPU  Name                 Persistence-M", "Bus-Id", "Memory-Usage"),
    ]
    for number, _ in enumerate(place.gpus):
        memory = f"0MiB / {place.gpu_memory}MiB"
        name = f"{number:>3}  {place.gpu_name:<24}  On"
        table.append(f"| {name:<40}| {f'00000000:00:{30 + number:02X}.0 Off':<23}| {memory:<21}|")
    table += [rule, "| {:<88}|".format("Processes: No running processes found"), rule]
    return Outcome([(1.0, line) for line in table], 1.0)


def _queried(query: str, number: int, place: Place) -> str:
    """A line of --format=csv,noheader,nounits: https://docs.nvidia.com/deploy/nvidia-smi/index.html"""
    busy = place.gpu_percent / 100
    known: dict[str, object] = {
        "index": number,
        "name": place.gpu_name,
        "uuid": place.gpus[number],
        "utilization.gpu": int(place.gpu_percent),
        "memory.used": int(busy * place.gpu_memory),
        "memory.total": place.gpu_memory,
        "temperature.gpu": int(30 + 40 * busy),
        "power.draw": f"{9 + 60 * busy:.2f}",
    }
    return ", ".join(str(known.get(each, "[N/A]")) for each in query.split(","))
