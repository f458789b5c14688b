"""A page as a command: flags, settings, the first lines, its result, and its end, as a sentence and an exit code."""

import argparse
import contextlib
import functools
import os
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec

from botocore.exceptions import BotoCoreError, ClientError

import console
import constants
import texts
from aws import clients, clock, definition_model, dry_run, interrupts, record, shell_script, timeline
from aws.clients import account, caller, client, dns_suffix, region, session
from aws.failures import DONE, EXIT_CODES, FAILED, WRONG_SETTING, Problem, explain, is_expired, of_call
from aws.looks import beside, forget_all, from_one_look
from console import say

P = ParamSpec("P")


@dataclass(frozen=True)
class _Page:
    """What a page says of itself, for its command line and for the sentences about it."""

    of: str
    changes: bool
    undo: str
    unlisted: bool
    lines: bool
    mistakes: Callable[[], dict[str, str]]
    flags: "dict[str, Flag]"


#: what a flag means; for one that takes a value the value's name before it; REPEATED or REST behind it
Flag = str | tuple[str, str] | tuple[str, str, str]
#: a flag that may be given several times, and what stands behind `--`: their values are lists
REPEATED, REST = "repeated", "rest"
_pages: dict[str, _Page] = {}
#: the flags of every page about its calls: the name of the value, and what it means
RECORDED = {
    "show_calls": ("", "print its calls as a shell script of the AWS CLI's commands, in place of the result"),
    "timeline": ("FILE", "draw what took how long, as SVG; - for bars on the terminal"),
    "record": ("FILE", "add a line of JSON for each change: when, who, page, call, ids; and how it ended"),
}


def page(
    *,
    of: str = "endpoint",
    changes: bool = False,
    undo: str = "",
    unlisted: bool = False,
    lines: bool = False,
    mistakes: Callable[[], dict[str, str]] = dict,
    **flags: Flag,
) -> Callable[[Callable[P, dict[str, Any]]], Callable[P, dict[str, Any]]]:
    """Makes a page of a function: its settings are loaded anew and checked, and AWS is looked at anew, whenever it begins.

    `of="cluster"`: it is about what endpoints share; "either": about that, and with ENDPOINT about one of them too.
    `changes`: it has --dry-run. `undo`: the command that takes away what it makes. `unlisted`: it can do without the
    endpoint's file. `lines`: it writes its result to stdout itself, as it comes. `mistakes`: what is wrong with settings
    for this page alone. `flags`: its parameters that the command line takes:
    what each means; for one that takes a value, the value's name too: ("ID", "the task's id or ARN"); with an empty name it
    is a word without a flag; and for one that takes several, how: ("K=V", "a variable", REPEATED), ("ARGS", "the command", REST).
    """

    def of_function(function: Callable[P, dict[str, Any]]) -> Callable[P, dict[str, Any]]:
        about = _pages[function.__name__] = _Page(of, changes, undo, unlisted, lines, mistakes, flags)

        @functools.wraps(function)
        def begun(*args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
            _begin(function.__name__, about)
            try:
                return function(*args, **kwargs)
            finally:
                from_one_look(False)
                forget_all()

        return begun

    return of_function


def _begin(name: str, about: _Page) -> None:
    constants.load()
    definition_model.check()
    its_own = {setting: told for setting, told in about.mistakes().items() if told}
    constants.check(**{"ENDPOINT": _wrong_scope(name, about)} | its_own)
    forget_all()
    clock.begin()


def _wrong_scope(name: str, about: _Page) -> str:
    """A page about the cluster takes no endpoint; where endpoints share one, every other page needs one."""
    endpoint = constants.ENDPOINT
    if about.of == "cluster":
        return f"{endpoint}, but {name}.py is about the cluster: run it without ENDPOINT" if endpoint else ""
    if constants.CLUSTER_ONLY and about.of != "either":
        return f"is not set: which endpoint? {constants.endpoint_files()}"
    if endpoint and not about.unlisted and not constants.ENDPOINT_PATH.is_file():
        return f"{endpoint}: there is no {constants.ENDPOINT_NAME}; {constants.endpoint_files()}"
    return ""


def main(function: Callable[..., dict[str, Any]], manual: str | None) -> int:
    """Run one page as a command; then what the flags about its calls ask for."""
    wanted: dict[str, Any] = {}
    exit_code = _main(function, manual, wanted)
    if recorded := record.end(exit_code):
        _show(recorded, wanted, _pages[function.__name__])
    return exit_code


def _show(recorded: record.Record, wanted: dict[str, Any], about: _Page) -> None:
    with contextlib.suppress(OSError):
        if wanted["show_calls"]:
            profile = str(session().profile or "") if recorded.calls else ""
            console.output(shell_script.script(recorded, not about.changes, profile))
        timeline.show(recorded, wanted["timeline"])
    console.flush_streams()


def _main(function: Callable[..., dict[str, Any]], manual: str | None, wanted: dict[str, Any]) -> int:
    """Flags, settings, banner, the page, its result; errors end here, as sentences."""
    interrupts.listen()
    console.open_streams()
    about, before = _pages[function.__name__], clients.changes()
    try:
        options = _options(_parser(function.__name__, manual or "", about), about)
        console.dry_run = options.pop("dry_run", False)
        dry_run.begin()
        wanted |= {name: options.pop(name) for name in RECORDED}
        console.without_result = wanted["show_calls"]
        if any(wanted.values()):
            record.begin(function.__name__, console.dry_run, wanted["record"], lambda: str(caller()["Arn"]))
        _begin(function.__name__, about)
        beside(caller)  # AWS tells it while the page asks already what else it needs
        console.begin_with(_tell_where)
        result = _run(function, options)
        if not about.lines:
            console.result(result)
        return DONE
    except BrokenPipeError:  # `| head -1` has read what it wanted
        return DONE
    except texts.WrongSettings as wrong:  # before anything else, so without the first line, for which AWS is asked
        console.begin_with()
        console.show(str(wrong))
        return WRONG_SETTING
    except Problem as problem:
        if problem.result:
            console.result(problem.result)
        return _fail(str(problem), problem.exit_code)
    except KeyboardInterrupt as interrupt:
        console.begin_with()  # not even that: AWS would be asked for it
        again = "run it again, it goes on where it stopped"
        return _fail(f"interrupted; {again}{_stays(about, before)}", interrupts.exit_code(interrupt))
    except (BotoCoreError, ClientError) as error:
        if os.environ.get("DEBUG"):
            raise
        return _fail(explain(error) + (_stays(about, before) if is_expired(error) else ""))
    except OSError as error:  # this machine's: no space is left for the result
        return _fail(str(error))
    finally:
        console.flush_streams()
        interrupts.end()


def _stays(about: _Page, before: int) -> str:
    """The end of a sentence about a page that was cut short: what it has made costs on, until it is undone."""
    made = clients.changes() > before and about.undo and not console.dry_run
    return f"; what it made so far stays, and may cost, until {command(about.undo)}" if made else ""


def _run(function: Callable[..., dict[str, Any]], options: dict[str, Any]) -> dict[str, Any]:
    try:
        result = function(**options)
    except (Problem, BotoCoreError, ClientError) as error:
        of_call(error)
        console.first()  # who can't tell the account is told that, and nothing else
        raise
    console.first()
    return result


def _tell_where() -> None:
    """The first lines: whose account, as whom, where, about what, with which settings; and what is odd about these."""
    endpoint = f"  endpoint {constants.ENDPOINT}" if constants.ENDPOINT else ""
    who = str(caller()["Arn"]).split(":", 5)[-1]
    urls = {text for name, text in os.environ.items() if name.startswith("AWS_ENDPOINT_URL") and text}
    urls |= {url for each in ("sts", "ecs") if not (url := client(each).meta.endpoint_url).endswith(dns_suffix())}
    elsewhere = f"  at {', '.join(sorted(urls))}" if urls else ""
    where = f"region {region()}  cluster {constants.CLUSTER_NAME}{endpoint}  caller {who}{elsewhere}"
    say("account", account(), f"{where}  settings {constants.files()}")
    if instead := constants.from_environment():
        say("environment", instead)
    for each in constants.ODD:
        say("warning", each)


#: the pages about what endpoints share: they are run without ENDPOINT
CLUSTER_PAGES = (
    *("create_cluster", "update_cluster", "delete_cluster", "describe_clusters", "describe_costs", "draw_cluster"),
    *("create_certificate", "delete_certificate", "pause_cluster", "resume_cluster"),
)


def command(line: str) -> str:
    """How a page is run, as a person types it: `command("run_task.py")`; one of an endpoint with ENDPOINT in front."""
    script = line.partition(".py")[0]
    endpoint = constants.ENDPOINT and script not in CLUSTER_PAGES
    return f"ENDPOINT={constants.ENDPOINT} python {line}" if endpoint else f"python {line}"


def _fail(sentence: str, exit_code: int = FAILED) -> int:
    say("failed:", sentence)
    return exit_code


def _parser(name: str, manual: str, about: _Page) -> argparse.ArgumentParser:
    as_written = argparse.RawDescriptionHelpFormatter
    undo = f"undo: python {about.undo}\n" if about.undo else ""
    more = undo + EXIT_CODES + (_settings_of(name) if {"-h", "--help"} & {*sys.argv} else "")
    parser = argparse.ArgumentParser(description=manual, formatter_class=as_written, epilog=more)
    for name_of_flag, (value, told) in RECORDED.items():
        how: dict[str, Any] = {"metavar": value, "type": _writable} if value else {"action": "store_true"}
        parser.add_argument(f"--{name_of_flag.replace('_', '-')}", help=told, **how)
    if about.changes:
        parser.add_argument("--dry-run", action="store_true", help="say what would be changed, and change nothing")
    for flag, meaning in about.flags.items():
        if isinstance(meaning, str):
            parser.add_argument(f"--{flag}", action="store_true", help=meaning)
        elif meaning[2:] == (REPEATED,):
            parser.add_argument(f"--{flag}", metavar=meaning[0], action="append", default=[], help=meaning[1])
        elif meaning[2:] == (REST,):
            parser.usage = f"{parser.format_usage().partition(' ')[2].rstrip()} [-- {meaning[0]}]"
            parser.epilog = f"-- {meaning[0]}: {meaning[1]}\n{more}"
        elif not meaning[0]:
            parser.add_argument(flag, metavar=flag.upper(), help=meaning[1])
        else:
            way = f"--{flag.rstrip('_')}"  # a word of Python's, as for_
            parser.add_argument(way, dest=flag, metavar=meaning[0], default="", help=meaning[1])
    return parser


def _writable(path: str) -> str:
    """Looked at before the first call."""
    try:
        if path != "-":
            Path(path).open("a").close()
    except OSError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return path


def _options(parser: argparse.ArgumentParser, about: _Page) -> dict[str, Any]:
    """The page's parameters. What stands behind `--` goes to its REST word by word; a page without one takes none."""
    given = sys.argv[1:]
    rest = [flag for flag, meaning in about.flags.items() if meaning[2:] == (REST,)]
    at = given.index("--") if rest and "--" in given else len(given)
    return {**vars(parser.parse_args(given[:at])), **dict.fromkeys(rest, given[at + 1 :])}


def _settings_of(page: str) -> str:
    """The settings that a page reads, by the table of docs/settings.md."""
    table = Path(__file__).parent.parent / "docs" / "settings.md"
    rows = [row.strip("| ").split(" | ") for row in table.read_text().splitlines()] if table.exists() else []
    read = [row[0].strip("`") for row in rows if len(row) == 4 and {page, "every page"} & {*row[3].split(", ")}]
    lines = textwrap.wrap(", ".join(read), 100, initial_indent="settings: ", subsequent_indent=" " * 10)
    return "\n".join(["", *lines, " " * 10 + "each is explained in docs/settings.md"])
