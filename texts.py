"""How a text becomes the value of a setting, and a file the names and texts in it. Nothing here knows a setting.

What reads a text raises ValueError with the rest of a sentence that begins with the text. Letters and digits are ASCII's,
as AWS takes them, except where a text is a person's own.
"""

import codecs
import io
import ipaddress
import json
import re
import shlex
import stat
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from dotenv.parser import Binding, parse_stream

T = TypeVar("T")


class WrongSettings(Exception):
    """A sentence, or several lines of them, for the person who wrote the settings: name, and what is wrong."""


# ------------------------------------------------------------------------------------------------------------- numbers


def whole(low: int, high: int, or_empty: bool = False) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text and or_empty:
            return 0
        if not re.fullmatch(r"-?[0-9]{1,18}", text):
            raise ValueError(f"is not a whole number from {low} to {high}")
        if not low <= int(text) <= high:
            raise ValueError(f"is outside {low} to {high}")
        return int(text)

    return parse


def seconds(high: int) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if not re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,30})?(e-[0-9]{1,2})?", text):
            raise ValueError("is not a number of seconds")
        if not 0 <= float(text) <= high:
            raise ValueError(f"is outside 0 to {high} seconds")
        return float(text)

    return parse


def amount(text: str) -> float:
    """Of money: 1, 0.5."""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,4})?", text):
        raise ValueError("is not an amount such as 1 or 0.50")
    return float(text)


def hours(high: int) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if not text:
            return 0
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) or not 0.1 <= float(text) <= high:
            raise ValueError(f"is not a number of hours from 0.1 to {high}")
        return float(text)

    return parse


def instant(text: str) -> datetime | None:
    """In UTC, to the minute: 2026-11-27T02:00Z; seconds may be there, and do not count. None for none."""
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?Z", text):
        raise ValueError("is no instant in UTC, such as 2026-11-27T02:00Z")
    try:
        return datetime.strptime(text[:16], "%Y-%m-%dT%H:%M").replace(tzinfo=timezone.utc)
    except ValueError:
        raise ValueError("is no instant that there is") from None


def age(text: str) -> float:
    """Seconds: 90s, 10m, 2h, 1d."""
    found = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    if not found:
        raise ValueError("is no age such as 30s, 10m, 2h or 1d")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]


# ------------------------------------------------------------------------------------------------------ words and lists


def one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"is unknown: use {' or '.join(word or 'nothing' for word in words)}")
        return text

    return parse


def pattern(expression: str, meaning: str, or_empty: bool = False) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not (or_empty and not text) and not re.fullmatch(expression, text, re.ASCII):
            raise ValueError(f"is not {meaning}")
        return text

    return parse


def words(of: Callable[[str], T]) -> Callable[[str], list[T]]:
    """A list: its members separated by commas, each once."""

    def parse(text: str) -> list[T]:
        found: list[T] = []
        for part in [part.strip() for part in text.split(",") if part.strip()]:
            member = of(part)
            if member in found:
                raise ValueError(f"has {part} twice")
            found.append(member)
        return found

    return parse


def pairs(names: str) -> Callable[[str], dict[str, str]]:
    """NAME=value,NAME=value, with names of this form, each once. A comma inside a value is written as \\,

    What is wrong is told by its place: it may be a part of a secret.
    """

    def parse(text: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for number, part in enumerate(re.split(r"(?<!\\),", text), 1):
            if not part.strip():
                continue
            name, equals, value = (each.strip() for each in part.replace("\\,", ",").partition("="))
            if not equals or not re.fullmatch(names, name):
                raise ValueError(f"is not NAME=value in its part {number}; a comma inside a value is written \\,")
            if name in found:
                raise ValueError(f"has {name} twice")
            found[name] = value
        return found

    return parse


def shell_words(text: str) -> list[str]:
    """Words as a shell splits them, in which nothing is expanded; or a JSON array, which says them exactly."""
    if text.startswith("["):
        return json_words(text)
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError(f"can't be split into words ({error})") from None


def json_words(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(each, str) and sayable(each) for each in found):
        array = 'a JSON array of texts, such as ["sh", "-c", "ls"]'
        raise ValueError(f"begins with [ and is not {array}; where it is a word of its own, put quotes around it")
    return found


def sayable(text: str) -> bool:
    """Whether AWS can be told it: no half characters, which stand for bytes that are not UTF-8, and no NUL."""
    return not any(each == "\0" or "\ud800" <= each <= "\udfff" for each in text)


# ----------------------------------------------------------------------------------------------------- what AWS spells


def every(text: str) -> str:
    """A schedule in words, as EventBridge Scheduler spells it: every 3 minutes -> rate(3 minutes).

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
    """
    if not text:
        return ""
    match = re.fullmatch(r"every (?:([0-9]{1,5}) )?(minute|hour|day)s?", text)
    if not match or (match[1] and not int(match[1])):
        raise ValueError("is no schedule: write every 3 minutes, every hour, every 2 days")
    number = int(match[1] or 1)
    return f"rate({number} {match[2]}{'s' if number > 1 else ''})"


def cidr(text: str) -> str:
    try:
        network = ipaddress.ip_network(text, strict=True)
    except ValueError as error:
        raise ValueError(f"is not a CIDR block such as 10.0.0.0/16 ({error})") from None
    if network.version != 4:
        raise ValueError("is not an IPv4 CIDR block")
    return str(network)


#: this network, the host itself, link-local, and what is no unicast: https://www.rfc-editor.org/rfc/rfc6890
OF_NO_HOST = [ipaddress.ip_network(each) for each in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")]


def vpc_cidr(text: str) -> str:
    """A VPC's or a subnet's block: https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html"""
    if not 16 <= ipaddress.ip_network(cidr(text)).prefixlen <= 28:
        raise ValueError("is outside /16 to /28, the sizes that AWS allows for a VPC and its subnets")
    if any(ipaddress.ip_network(cidr(text)).overlaps(each) for each in OF_NO_HOST):
        raise ValueError("holds addresses that no host can have")
    return cidr(text)


def source(text: str) -> str:
    """Who is let in: a CIDR block, or the bearers of a security group."""
    return text if re.fullmatch(r"sg-[0-9a-f]{8,17}", text) else cidr(text)


def cidr_or_empty(text: str) -> str:
    return cidr(text) if text else ""


def ecs_config(text: str) -> dict[str, str]:
    """NAME=value;NAME=value as lines of ecs.config: values that are JSON have commas in them.

    What is wrong is told by its place: a registry's password may be there.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-config.html
    """
    found: dict[str, str] = {}
    for number, part in enumerate(filter(None, map(str.strip, text.split(";"))), 1):
        name, equals, value = part.partition("=")
        if not equals or not re.fullmatch(r"ECS_[A-Z0-9_]+", name) or not value.isprintable():
            raise ValueError(f"is not NAME=value;NAME=value with names such as ECS_LOGLEVEL in its part {number}")
        if name in found:
            raise ValueError(f"has {name} twice")
        found[name] = value
    return found


#: https://pkg.go.dev/github.com/distribution/reference
DOMAIN = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?"
PART = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"


def image(text: str) -> str:
    """An image with its tag or digest; never `latest` silently."""
    if not re.search(rf"(@sha256:[0-9a-f]{{64}}|:{TAG})\Z", text):
        raise ValueError("names no tag and no digest; write the tag, for example nvidia/cuda:12.8.1-base-ubuntu24.04")
    if not is_image(text):
        raise ValueError("is no image such as nvidia/cuda:12.8.1-base-ubuntu24.04, of 255 characters at most")
    return text


def is_image(text: str) -> bool:
    """Whether Docker reads it as an image; without a tag it is the one called latest."""
    return len(text) <= 255 and bool(
        re.fullmatch(rf"({DOMAIN}/)?{PART}(/{PART})*(:{TAG})?(@sha256:[0-9a-f]{{64}})?", text)
    )


def port(text: str) -> tuple[int, int]:
    """[HOST:]CONTAINER as (host port, container port); host port 0: the same as the container's, or a dynamic one."""
    match = re.fullmatch(r"(?:([0-9]{1,9}):)?([0-9]{1,9})", text)
    if not match:
        raise ValueError("is not a list of ports such as 9090 or 8080:80")
    host, container = int(match[1] or 0), int(match[2])
    if host > 65535 or not 1 <= container <= 65535:
        raise ValueError(f"has a port out of range (1 to 65535): {text}")
    return host, container


def port_range(text: str) -> tuple[int, int] | None:
    """FROM-TO, both included; None for none."""
    if not text:
        return None
    match = re.fullmatch(r"([0-9]{1,5})-([0-9]{1,5})", text)
    if not match or not 1024 <= int(match[1]) <= int(match[2]) <= 65535:
        raise ValueError("is no range of ports from 1024 to 65535, such as 29500-65535")
    return int(match[1]), int(match[2])


def health_codes(low: int, high: int) -> Callable[[str], str]:
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Matcher.html"""

    def parse(text: str) -> str:
        for part in text.split(","):
            match = re.fullmatch(r"([0-9]{1,3})(?:-([0-9]{1,3}))?", part)
            first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
            if not match or not low <= first <= last <= high or (match[2] and first == last):
                such = "200-299 or 200,302" if low else "0 or 0-99"
                raise ValueError(f"is not a list of codes from {low} to {high}, such as {such}")
        return text

    return parse


def efs_volume(text: str) -> dict[str, Any]:
    """name:/path or name:/path:ro"""
    match = re.fullmatch(r"([a-zA-Z0-9][a-zA-Z0-9_-]{0,63}):(/[!-9;-~]*?)/?(:ro)?", text)
    if not match:
        raise ValueError(f"has a volume that can't be read: {text!r}; write name:/path or name:/path:ro")
    if {"", ".", ".."} & {*match[2].split("/")[1:]} or match[2] in ("", "/"):
        raise ValueError(f"has a volume at {text.partition(':')[2]!r}, which is no folder below /")
    return {"name": match[1], "path": match[2], "readOnly": bool(match[3])}


# --------------------------------------------------------------------------------- members of a container's definition


#: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Ulimit.html
ULIMITS = (
    *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio"),
    *("rttime", "sigpending", "stack"),
)


def ulimit(text: str) -> dict[str, Any]:
    """NAME:SOFT:HARD, or NAME:BOTH; -1 is unlimited."""
    match = re.fullmatch(r"([a-z]+):(-1|[0-9]{1,18})(?::(-1|[0-9]{1,18}))?", text)
    if not match or match[1] not in ULIMITS:
        raise ValueError(f"has {text!r}; write NAME:SOFT:HARD, such as memlock:-1:-1, with one of {', '.join(ULIMITS)}")
    return {"name": match[1], "softLimit": int(match[2]), "hardLimit": int(match[3] or match[2])}


def tmpfs(text: str) -> dict[str, Any]:
    """PATH:MIB"""
    match = re.fullmatch(r"(/[!-9;-~]+):([1-9][0-9]{0,6})", text)
    if not match or {"", ".", ".."} & {*match[1].split("/")[1:]}:
        raise ValueError(f"has {text!r}; write /path:MIB, such as /tmp:1024")
    return {"containerPath": match[1], "size": int(match[2])}


#: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_KernelCapabilities.html
CAPABILITIES = (
    *("ALL", "AUDIT_CONTROL", "AUDIT_WRITE", "BLOCK_SUSPEND", "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER"),
    *("FSETID", "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD"),
    *("NET_ADMIN", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID"),
    *("SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO"),
    *("SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "SYSLOG", "WAKE_ALARM"),
)


def capability(text: str) -> str:
    """SYS_PTRACE is added, -NET_RAW is dropped."""
    if text.removeprefix("-") not in CAPABILITIES:
        raise ValueError(f"has {text!r}, which is no Linux capability such as SYS_PTRACE, or -NET_RAW to drop one")
    return text


def health_command(text: str) -> list[str]:
    """A line for the container's shell; or a JSON array, which runs without one unless it begins with CMD-SHELL."""
    words = json_words(text) if text.startswith("[") else [text] if text else []
    if not words or words[0] in ("CMD", "CMD-SHELL"):
        return words
    return ["CMD" if text.startswith("[") else "CMD-SHELL", *words]


#: of the awslogs driver: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/specify-log-config.html
LOG_OPTIONS = {
    "mode": r"blocking|non-blocking",
    "max-buffer-size": r"[1-9][0-9]{0,5}[bkmg]?",
    "awslogs-datetime-format": r".+",
    "awslogs-multiline-pattern": r".+",
}


def log_options(text: str) -> dict[str, str]:
    found = pairs(r"[\w-]+")(text)
    for name, value in found.items():
        if name not in LOG_OPTIONS or not re.fullmatch(LOG_OPTIONS[name], value, re.ASCII):
            known = ", ".join(LOG_OPTIONS)
            raise ValueError(f"has {name}={value}; known are {known}, for example mode=blocking, max-buffer-size=25m")
    if found.get("mode") == "blocking" and "max-buffer-size" in found:
        raise ValueError("has max-buffer-size, which mode=blocking does not use")
    return found


# ---------------------------------------------------------------------------------------------------------------- files


def local(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError(f"is no path here: {error}") from None


def folder(text: str) -> str:
    """A path on this machine: whether it is there, is asked when it is needed."""
    try:
        local(text).is_dir()
    except OSError as error:
        raise ValueError(f"can't be looked at: {error.strerror}") from None
    return text


def script(path: Path) -> str:
    """What a file says that a host is to run: cloud-init takes for a script what names in its first line who reads it."""
    if not written(path):
        raise ValueError("is not there: there is no such file")
    try:
        found = decoded(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"can't be read: {getattr(error, 'strerror', '') or error}") from None
    if not found.startswith("#!"):
        raise ValueError("is no script: its first line begins with #!, such as #!/bin/bash")
    return found


def written(path: Path) -> int:
    """When a file was last written; 0 for one that is not there."""
    try:
        found = path.stat()
    except OSError:
        return 0
    return 0 if stat.S_ISDIR(found.st_mode) else found.st_mtime_ns or 1


class Lines(NamedTuple):
    """What a file says: name -> text, what can't be read in it, and what a reader may not expect."""

    texts: dict[str, str]
    wrong: list[str]
    odd: list[str]


def lines(path: Path) -> Lines:
    """The NAME=value lines of a file such as .env, as python-dotenv reads them; ${X} is left as it stands."""
    found = Lines({}, [], [])
    try:
        bindings = list(parse_stream(io.StringIO(decoded(path.read_bytes())))) if written(path) else []
    except (OSError, ValueError) as error:
        found.wrong.append(f"can't be read: {getattr(error, 'strerror', '') or error}; save it as text in UTF-8")
        return found
    for each in bindings:
        original = each.original.string
        line = f"line {each.original.line + original[: len(original) - len(original.lstrip())].count(chr(10))}"
        if each.error or (each.key and each.value is None):
            how = "a text that begins with a quote ends with the same"
            begin = re.match(
                r"\s*(?:export\s+)?([A-Za-z_]+)(?=[\s=]|\Z)", original
            )  # of a name; all else may be a secret
            found.wrong.append(f"{line} is not NAME=value{f': {begin[1]!r}' if begin else ''}; {how}")
        elif each.key:
            found.odd.extend(f"{line}: {each.key} {told}" for told in oddities(each, found.texts))
            found.texts[each.key] = each.value or ""
    return found


def oddities(line: Binding, before: dict[str, str]) -> list[str]:
    """What becomes of a line that does not stand there letter by letter."""
    raw, value, told = line.original.string.partition("=")[2].strip(), line.value or "", []
    if raw[:1] not in ("'", '"') and raw != value:
        told.append("ends before the #, which begins a comment there; put quotes around a text that holds one")
    if re.search(r"\\[\\']" if raw[:1] == "'" else r"\\['abfnrtv]", raw) and raw[:1] in ("'", '"'):
        told.append("has an escape in its quotes: there \\n is read as a new line, and \\\\ as one \\")
    if line.key in before:
        told.append("is there twice; the last counts")
    return told


def decoded(data: bytes) -> str:
    """As an editor saved it: in UTF-8, or in UTF-16 with its mark; its lines ended as on any system."""
    text = data.decode("utf-16" if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig")
    if not sayable(text):
        raise ValueError("it holds NUL, as UTF-16 without its mark does")
    return text.replace("\r\n", "\n")


def visible(text: str) -> str:
    """In one line, without what a terminal would obey."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def shortened(text: str, most: int = 100) -> str:
    return repr(text if len(text) <= most else f"{text[: most - 3]}...")
