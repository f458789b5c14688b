"""CodeConnections, under both of its names: a connection stays PENDING until a person finishes its handshake.

In the emulator that is `POST /_emulator/connections`. moto has neither service. And the Git host behind them: a
repository begins with one commit, which holds the buildspec/ of this project, and gets more by `POST /_emulator/pushes`.
https://docs.aws.amazon.com/codeconnections/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from emulator.core import partitions, rules
from emulator.core.doors import Json, door
from emulator.core.rules import AwsError, Call, Handler, Params, on
from emulator.core.tags import Tags, bearer
from emulator.core.wire import Emulator
from emulator.core.world import World

rules.SENTENCES.update(
    {
        "cc-001": "A new connection is PENDING, and no API call makes it AVAILABLE.",
        "cc-002": "Each CreateConnection makes another connection, with its own ARN; a name has at most 32 characters.",
        "cc-003": "Connections have ARNs of the service name under which they were made; both services know them all.",
    }
)

BOTH = ("codeconnections", "codestar-connections")
PROVIDERS = ("Bitbucket", "GitHub", "GitHubEnterpriseServer", "GitLab", "GitLabSelfManaged", "AzureDevOps")
LIMIT = 250


def _state(world: World, kind: str) -> dict[str, Params]:
    """All connections, hosts or tags, by ARN."""
    state: dict[str, dict[str, Params]] = world.state["connections"]
    return state.setdefault(kind, {})


def status(world: World, arn: str) -> str | None:
    """PENDING or AVAILABLE, or None if there is no such connection."""
    found = _state(world, "connections").get(arn)
    return None if found is None else str(found["ConnectionStatus"])


def finish_handshakes(world: World, arn: str | None = None) -> list[str]:
    """Do what a person does in the console: one connection, or all of them, becomes AVAILABLE."""
    found = [one for name, one in _state(world, "connections").items() if arn in (None, name)]
    for one in found:
        one["ConnectionStatus"] = "AVAILABLE"
    return [one["ConnectionArn"] for one in found]


@door("POST", "/_emulator/connections")
def _finish_handshakes(emulator: Emulator, given: Json) -> Json:
    """A person finishes the handshake of a connection in the console: {"arn": "..."}; without it of all."""
    return {"available": finish_handshakes(emulator.world, given.get("arn"))}


# --- the Git host


@dataclass
class Commit:
    id: str
    message: str
    files: dict[str, str]
    fails: str = ""  # the phase in which its build fails
    changed: tuple[str, ...] = ()  # the paths that its push touched


def head(world: World, repository: str, branch: str) -> Commit | None:
    """The newest commit of a branch. A repository that no one pushed to has every branch, at its first commit."""
    branches: dict[tuple[str, str], Commit] = world.state["git"]
    if (repository, branch) in branches or any(name == repository for name, _ in branches):
        return branches.get((repository, branch))
    folder = Path(__file__).parents[2] / "examples" / "ml-endpoints" / "buildspec"
    files = {f"buildspec/{path.name}": path.read_text() for path in sorted(folder.glob("*.yml"))}
    return Commit(hashlib.sha1(f"{repository} {branch}".encode()).hexdigest(), "First commit", files)


def push(world: World, repository: str, branch: str, message: str, files: dict[str, str], fails: str) -> Commit:
    """One more commit: these files beside those that were there."""
    before = head(world, repository, branch)
    text = f"{repository} {branch} {message} {before.id if before else ''} {world.now()}"
    known = before.files if before else {}
    made = Commit(hashlib.sha1(text.encode()).hexdigest(), message, {**known, **files}, fails, tuple(files))
    world.state["git"][repository, branch] = made
    return made


# --- connections


def _on(operation: str, rules: str = "") -> Callable[[Handler], Handler]:
    """Put a handler in front of an operation of both services."""

    def register(handler: Handler) -> Handler:
        for service in BOTH:
            on(service, operation, rules=rules)(handler)
        return handler

    return register


def _find(call: Call, kind: str, arn: str) -> Params:
    found = _state(call.world, kind).get(arn)
    if found is None:
        raise AwsError("ResourceNotFoundException", f"[{call.operation}] {arn} not found")
    return found


def _make(call: Call, kind: str, shown: Params) -> str:
    word = {"connections": "connection", "hosts": "host"}[kind]
    arn = f"arn:{partitions.here()}:{call.service}:{call.region}:{call.account}:{word}/{uuid.uuid4()}"
    _state(call.world, kind)[arn] = {**shown, f"{word.capitalize()}Arn": arn}
    tags = {tag["Key"]: tag["Value"] for tag in call.params.get("Tags") or []}
    _state(call.world, "tags")[arn] = tags
    return arn


@_on("CreateConnection", "cc-001 cc-002 cc-003")
def create_connection(call: Call) -> Params:
    given, known = call.params, _state(call.world, "connections")
    name, provider, host = given["ConnectionName"], given.get("ProviderType"), given.get("HostArn")
    if len(name) > 32:
        raise AwsError(
            "ValidationException",
            f"1 validation error detected: Value '{name}' at 'connectionName' failed to satisfy constraint: "
            "Member must have length less than or equal to 32",
        )
    if bool(provider) == bool(host) or (provider and provider not in PROVIDERS):
        raise AwsError("ValidationException", "Specify a known ProviderType, or a HostArn, but not both")
    if len(known) >= LIMIT:
        raise AwsError("LimitExceededException", f"There can be at most {LIMIT} connections in an account")
    shown = {"ConnectionName": name, "OwnerAccountId": call.account, "ConnectionStatus": "PENDING"}
    if host:
        shown |= {"HostArn": host, "ProviderType": _find(call, "hosts", host)["ProviderType"]}
    else:
        shown["ProviderType"] = provider
    return {"ConnectionArn": _make(call, "connections", shown), "Tags": given.get("Tags") or []}


@_on("GetConnection", "cc-001")
def get_connection(call: Call) -> Params:
    return {"Connection": _find(call, "connections", call.params["ConnectionArn"])}


@_on("ListConnections", "cc-002")
def list_connections(call: Call) -> Params:
    found = list(_state(call.world, "connections").values())
    for key, field in (("ProviderTypeFilter", "ProviderType"), ("HostArnFilter", "HostArn")):
        if wanted := call.params.get(key):
            found = [one for one in found if one.get(field) == wanted]
    start = int(call.params.get("NextToken") or 0)
    end = start + (call.params.get("MaxResults") or 100)
    return {"Connections": found[start:end], **({"NextToken": str(end)} if end < len(found) else {})}


@_on("DeleteConnection")
def delete_connection(call: Call) -> Params:
    _find(call, "connections", call.params["ConnectionArn"])
    del _state(call.world, "connections")[call.params["ConnectionArn"]]
    _state(call.world, "tags").pop(call.params["ConnectionArn"], None)
    return {}


@_on("CreateHost")
def create_host(call: Call) -> Params:
    shown = {key: value for key, value in call.params.items() if key != "Tags"}
    return {"HostArn": _make(call, "hosts", {**shown, "Status": "PENDING"}), "Tags": call.params.get("Tags") or []}


@_on("GetHost")
def get_host(call: Call) -> Params:
    return {key: value for key, value in _find(call, "hosts", call.params["HostArn"]).items() if key != "HostArn"}


@_on("ListHosts")
def list_hosts(call: Call) -> Params:
    return {"Hosts": list(_state(call.world, "hosts").values())}


@_on("DeleteHost")
def delete_host(call: Call) -> Params:
    _find(call, "hosts", call.params["HostArn"])
    if any(one.get("HostArn") == call.params["HostArn"] for one in _state(call.world, "connections").values()):
        raise AwsError("ResourceUnavailableException", "The host is used by a connection")
    del _state(call.world, "hosts")[call.params["HostArn"]]
    return {}


@_on("TagResource")
def tag_resource(call: Call) -> Params:
    _find(call, "tags", call.params["ResourceArn"]).update({tag["Key"]: tag["Value"] for tag in call.params["Tags"]})
    return {}


@_on("UntagResource")
def untag_resource(call: Call) -> Params:
    tags = _find(call, "tags", call.params["ResourceArn"])
    for key in call.params["TagKeys"]:
        tags.pop(key, None)
    return {}


@_on("ListTagsForResource")
def list_tags_for_resource(call: Call) -> Params:
    tags = _find(call, "tags", call.params["ResourceArn"])
    return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


@bearer
def tagged(world: World, region: str) -> Iterator[tuple[str, Tags]]:
    for arn, tags in _state(world, "tags").items():
        if arn.split(":")[3] == region:
            yield arn, tags
