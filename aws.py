"""The little that every script needs beside boto3: the session, tags, one way to wait, and the edge where errors end.

A page ends with `sys.exit(aws.main(its_function, __doc__))`: settings are checked first, an AWS error becomes one or
two lines, and the exit code is 0 done, 1 AWS said no, 2 a setting is wrong.
"""

import argparse
import functools
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import boto3
import botocore.exceptions
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

import console
import constants
import dry_run
from console import say
from constants import (
    AWS_REGION,
    CLUSTER_NAME,
    CLUSTER_ONLY,
    CLUSTER_TAG,
    ENDPOINT,
    ENDPOINT_PATH,
    ENDPOINT_TAGS,
    POLL_SECONDS,
    PREFIX,
    TAGS,
    WAIT_TIMEOUT_SECONDS,
)

T = TypeVar("T")
#: AWS throttles the reads of a busy account; 3 attempts, boto3's own, are too few for that
ATTEMPTS = 10
CONFIG = Config(retries={"mode": "standard", "total_max_attempts": ATTEMPTS}, connect_timeout=10, read_timeout=60)
#: boto3's name of a service -> how its actions begin in a policy, where the two differ
ACTION_PREFIXES = {"efs": "elasticfilesystem", "elbv2": "elasticloadbalancing", "service-quotas": "servicequotas"}
_last_call: dict[str, Any] = {"operation": "", "params": {}}


class Problem(Exception):
    """Something that the reader can put right, told in one sentence: what, where, what to do.

    `result` goes to stdout all the same: a task that failed has its exit code.
    """

    def __init__(self, sentence: str, result: dict[str, Any] | None = None) -> None:
        super().__init__(sentence)
        self.result = result


# ------------------------------------------------------------------------------------------------ session and clients


@functools.cache
def session() -> boto3.Session:
    """boto3's own session: profiles, SSO, roles and AWS_ENDPOINT_URL are its business. Settings are checked first."""
    constants.check()
    made = boto3.Session(region_name=AWS_REGION or None)
    made.events.register("provide-client-params.*.*", _remember)
    if console.dry_run:
        dry_run.attach(made)
    return made


@functools.cache
def client(service: str) -> Any:
    try:
        return session().client(service, config=CONFIG)  # type: ignore[call-overload]
    except ValueError as error:  # botocore's answer to an address without http://
        raise Problem(f"{error}: AWS_ENDPOINT_URL must be a URL, for example http://127.0.0.1:5000") from error


def region() -> str:
    return str(client("ecs").meta.region_name)


def partition() -> str:
    """aws, aws-cn or aws-us-gov: the first part of every ARN."""
    return session().get_partition_for_region(region())


@functools.cache
def account() -> str:
    return str(client("sts").get_caller_identity()["Account"])


def _remember(params: dict[str, Any], model: Any, **_: Any) -> None:
    _last_call.update(operation=f"{model.service_model.service_name} {model.name}", params=params)


# ------------------------------------------------------------------------------------------------------- names and tags


def name(suffix: str) -> str:
    return f"{CLUSTER_NAME}-{suffix}"


def endpoint_name(suffix: str) -> str:
    """The name of what belongs to the endpoint; without endpoints that of the cluster."""
    return f"{PREFIX}-{suffix}"


def tags(suffix: str = "", key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """The tags of one resource, as a list; ECS spells the two words `key` and `value`."""
    named = {**TAGS, "Name": name(suffix)} if suffix else TAGS
    return [{key: tag, value: text} for tag, text in named.items()]


def endpoint_tags(suffix: str = "", key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """The same for what belongs to the endpoint."""
    named = {**ENDPOINT_TAGS, "Name": endpoint_name(suffix)} if suffix else ENDPOINT_TAGS
    return [{key: tag, value: text} for tag, text in named.items()]


def tag_specification(resource_type: str, suffix: str) -> list[dict[str, Any]]:
    """TagSpecifications of EC2's create calls: a resource tagged later can be orphaned by a crash in between."""
    return [{"ResourceType": resource_type, "Tags": tags(suffix)}]


def ours(found: Iterable[dict[str, str]] | None) -> bool:
    """Whether tags, as any service spells them, say that a resource belongs to this CLUSTER_NAME."""
    return any(
        (tag.get("Key") or tag.get("key") or tag.get("TagKey")) == CLUSTER_TAG
        and (tag.get("Value") or tag.get("value") or tag.get("TagValue")) == CLUSTER_NAME
        for tag in found or ()
    )


def tag_filters(suffix: str = "") -> list[dict[str, Any]]:
    """Filters with which EC2's Describe calls find what bears our tag, and the name made with `suffix`."""
    filters = [{"Name": f"tag:{CLUSTER_TAG}", "Values": [CLUSTER_NAME]}]
    return [*filters, {"Name": "tag:Name", "Values": [name(suffix)]}] if suffix else filters


def only(found: list[T], what: str, identify: Callable[[T], str]) -> T | None:
    """The one match, or None; two are a problem that a person must look at."""
    if len(found) > 1:
        raise Problem(
            f"two matches for {what}: {' and '.join(sorted(identify(item) for item in found))}. "
            f"Delete the one that is not wanted, or remove its tag {CLUSTER_TAG}"
        )
    return found[0] if found else None


def token(*parts: object) -> str:
    """A client token that is the same whenever the same thing is asked for: 32 characters."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:32]


# ------------------------------------------------------------------------------------------------------------- waiting


def wait(what: str, look: Callable[[], T | None], why: Callable[[], str], seconds: float = 0) -> T | None:
    """Look again until `look` answers something true, and return that.

    The one way to wait: every POLL_SECONDS, up to `seconds` or WAIT_TIMEOUT_SECONDS. When the time is over `why` says
    what AWS says. Under --dry-run nothing is waited for, and the answer is None.
    """
    if console.dry_run:
        return None
    limit = seconds or WAIT_TIMEOUT_SECONDS
    deadline = time.monotonic() + limit
    looks = 0
    while not (answer := look()):
        if time.monotonic() >= deadline:
            raise Problem(f"gave up waiting for {what} after {limit:.0f} s: {why()}")
        looks += 1
        if looks == 2:  # most things are there at the second look
            progress = console.Progress(what, limit)
        elif looks > 2:
            progress.show(why)
        time.sleep(POLL_SECONDS)
    return answer


def insist(
    what: str, call: Callable[[], T], *refusals: str, seconds: float = 0, why: Callable[[], str] | None = None
) -> T:
    """Make a call that AWS refuses for a while: again while the error's code, or a part of its text, is among these.

    For what is eventually consistent: fresh roles, new ids, network interfaces that linger after their owner.
    """
    refusal = ""

    def attempt() -> list[T] | None:
        nonlocal refusal
        try:
            return [call()]
        except ClientError as error:
            refusal = f"{code(error)}: {message(error)}"
            if not any(text == code(error) or (" " in text and text in message(error)) for text in refusals):
                raise
            return None

    if console.dry_run:
        return call()
    answer = wait(what, attempt, lambda: " ".join([refusal, why() if why else ""]).strip(), seconds)
    assert answer is not None  # only a dry run waits for nothing
    return answer[0]


def holds(present: Any, wanted: Any) -> bool:
    """Whether what AWS shows has all that we want. It may show more, and a list in another order; empty is as absent."""
    if isinstance(wanted, dict) and isinstance(present, dict):
        return all(holds(present.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(present, list):
        return len(wanted) == len(present) and all(any(holds(p, w) for p in present) for w in wanted)
    return bool(present == wanted or (not present and not wanted))


def pause() -> None:
    """Let AWS and other runs catch up, for as long as between two looks."""
    if not console.dry_run:
        time.sleep(POLL_SECONDS)


def code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def message(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message", ""))


def missing(call: Callable[[], T], *codes: str) -> T | None:
    """The answer of a look-up, or None where AWS says with one of these codes that there is no such thing."""
    try:
        return call()
    except ClientError as error:
        if code(error) in codes:
            return None
        raise


def accepted(call: Callable[[], Any], *codes: str) -> bool:
    """Make a call; False where AWS says with one of these codes that it is done already, or that another run did it."""
    try:
        call()
    except ClientError as error:
        if code(error) not in codes:
            raise
        return False
    return True


# ------------------------------------------------------------------------------------------------------------ the edge


def main(
    page: Callable[..., dict[str, Any]],
    manual: str | None,
    changes: bool = False,
    shared: bool = False,
    unlisted: bool = False,
    **flags: str,
) -> int:
    """Run one page as a command: flags, settings, banner, the page, its result; errors end here, as sentences.

    `changes`: it has --dry-run. `shared`: it is about the cluster, which endpoints share. `unlisted`: it can do without
    the endpoint's file. `flags`: more flags with their meaning, "VALUE|meaning" for one that takes a value.
    """
    options = vars(_parser(manual or "", changes, flags).parse_args())
    console.dry_run = options.pop("dry_run", False)
    constants.check(_wrong_scope(page.__name__, shared, unlisted))
    console.endpoint = ENDPOINT
    try:
        endpoint = f"  endpoint {ENDPOINT}" if ENDPOINT else ""
        say("account", account(), f"region {region()}  cluster {CLUSTER_NAME}{endpoint}")
        console.result(page(**options))
        return 0
    except Problem as problem:
        if problem.result:
            console.result(problem.result)
        return _fail(str(problem))
    except KeyboardInterrupt:
        made = console.changes and page.__name__.startswith(("create", "run", "register", "sync"))
        undo = re.search(r"(?:To undo|until):\s+(?:python )?(\w+\.py)", manual or "")
        stays = f"; what it made so far stays, and may cost, until python {undo[1]}" if made and undo else ""
        _fail(f"interrupted; run it again, it goes on where it stopped{stays}")
        return 130
    except (BotoCoreError, ClientError) as error:
        if os.environ.get("DEBUG"):
            raise
        return _fail(explain(error))


def _wrong_scope(page: str, shared: bool, unlisted: bool) -> str:
    """A page about the cluster takes no endpoint; where endpoints share one, every other page needs one."""
    if shared and ENDPOINT:
        return f"ENDPOINT: {ENDPOINT}, but {page}.py is about the cluster: run it without ENDPOINT"
    if CLUSTER_ONLY and not shared:
        return f"ENDPOINT: is not set: which endpoint? {constants.endpoint_files()}"
    if ENDPOINT and not shared and not unlisted and not ENDPOINT_PATH.is_file():
        return f"ENDPOINT: {ENDPOINT}: there is no {ENDPOINT_PATH}; {constants.endpoint_files()}"
    return ""


def _fail(sentence: str) -> int:
    say("failed:", sentence)
    return 1


def _parser(manual: str, changes: bool, flags: dict[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=manual,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="exit: 0 done, 1 AWS said no, 2 a setting is wrong",
    )
    if changes:
        parser.add_argument("--dry-run", action="store_true", help="say what would be changed, and change nothing")
    for flag, meaning in flags.items():
        value, _, text = meaning.rpartition("|")
        if value:
            parser.add_argument(f"--{flag}", metavar=value, default="", help=text)
        else:
            parser.add_argument(f"--{flag}", action="store_true", help=text)
    return parser


def explain(error: BotoCoreError | ClientError) -> str:
    """An AWS error in one or two lines: which call, on what, AWS's reason, and what to change."""
    if not isinstance(error, ClientError):
        return _explain_botocore(error)
    reason, text = code(error), message(error)
    call = f"{_last_call['operation']} on {_subject()}" if _subject() else _last_call["operation"]
    if reason in ("ExpiredToken", "ExpiredTokenException", "RequestExpired"):
        return f"the credentials have expired ({call}): sign in again, for example with aws sso login"
    if reason in ("InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure", "SignatureDoesNotMatch"):
        return f"AWS does not accept these credentials ({reason} in {call}): look at aws sts get-caller-identity"
    if reason in ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation"):
        service, _, operation = _last_call["operation"].partition(" ")
        action = f"{ACTION_PREFIXES.get(service, service)}:{operation}"
        return f"access denied: your credentials may not {action}\n{text}"
    if "Throttl" in reason or reason in ("RequestLimitExceeded", "TooManyRequestsException", "SlowDown"):
        return f"AWS throttles {call} ({reason}), after {ATTEMPTS} attempts: run it again in some minutes"
    if "LimitExceeded" in reason or "QuotaExceeded" in reason or reason in ("AddressLimitExceeded", "VpcLimitExceeded"):
        return f"a quota of the account is used up ({reason} in {call}): {text}\nraise it in the Service Quotas console"
    return f"{call}: {text} ({reason})"


def _subject() -> str:
    """The resource that the last call was about: the first of its parameters that names one."""
    for key, value in _last_call["params"].items():
        if (
            key.lower().endswith(("name", "id", "arn", "cluster", "family", "names", "ids", "arns"))
            and "oken" not in key
        ):
            return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return ""


def _explain_botocore(error: BotoCoreError) -> str:
    kinds = botocore.exceptions
    if isinstance(error, kinds.NoCredentialsError | kinds.PartialCredentialsError | kinds.CredentialRetrievalError):
        return f"no credentials: {error}. Set AWS_PROFILE, or sign in with aws configure or aws sso login"
    if isinstance(error, kinds.NoRegionError):
        return "no region: set AWS_REGION, for example AWS_REGION=us-east-1"
    if isinstance(error, kinds.ProfileNotFound):
        return f"{error}: look at aws configure list-profiles"
    if isinstance(error, kinds.SSOError | kinds.TokenRetrievalError):
        return f"not signed in: {error}. Sign in with aws sso login"
    if isinstance(error, kinds.ConnectionError | kinds.HTTPClientError):
        return f"can't reach AWS: {error}. Look at the region, the network, and AWS_ENDPOINT_URL"
    return f"{_last_call['operation']}: {error}"
