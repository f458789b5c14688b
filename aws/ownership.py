"""Whose a resource is: names, tags and tokens, and what is refused or spared because it is another's."""

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn, TypeVar

import constants
from aws.failures import Problem
from console import say

T = TypeVar("T")


def name(suffix: str) -> str:
    return f"{constants.CLUSTER_NAME}-{suffix}"


def endpoint_name(suffix: str) -> str:
    """The name of what belongs to the endpoint; without endpoints that of the cluster."""
    return f"{constants.PREFIX}-{suffix}"


def tags(part: str = "", key: str = "Key", value: str = "Value", of: str = "cluster") -> list[Any]:
    """The tags of one resource, as a list; ECS spells the two words `key` and `value`.

    `part` is what the resource is to us, `private-1`: it is found again by that. Its Name is for people.
    """
    its_name, given = (name, constants.TAGS) if of == "cluster" else (endpoint_name, constants.ENDPOINT_TAGS)
    named = {**given, constants.PART_TAG: part, "Name": its_name(part)} if part else given
    return [{key: tag, value: text} for tag, text in named.items()]


def endpoint_tags(part: str = "", key: str = "Key", value: str = "Value") -> list[Any]:
    """The same for what belongs to the endpoint."""
    return tags(part, key, value, of="endpoint")


def tag_specification(resource_type: Any, part: str) -> list[Any]:
    """TagSpecifications of EC2's create calls: a resource tagged later can be orphaned by a crash in between."""
    return [{"ResourceType": resource_type, "Tags": tags(part)}]


def tag_filters() -> list[Any]:
    """Filters with which EC2's Describe calls find everything of one kind that bears our tag."""
    return [{"Name": f"tag:{constants.CLUSTER_TAG}", "Values": [constants.CLUSTER_NAME]}]


def tags_of(thing: Any) -> dict[str, str]:
    """The tags of a resource, or a list of them, however the service spells them."""
    found = thing
    if isinstance(thing, Mapping) and (kind := {"Tags", "tags", "TagList", "TagSet"} & thing.keys()):
        found = thing[kind.pop()]
    elif isinstance(thing, Mapping) and not all(isinstance(text, str) for text in thing.values()):
        return {}  # a resource that shows none
    if isinstance(found, Mapping):
        return dict(found)
    spelt = [{word.lower().removeprefix("tag"): text for word, text in tag.items()} for tag in found or ()]
    return {tag["key"]: tag.get("value", "") for tag in spelt}


def ours(thing: Any) -> bool:
    """Whether a resource, or its tags, belongs to this CLUSTER_NAME: the one place where that is asked."""
    return tags_of(thing).get(constants.CLUSTER_TAG) == constants.CLUSTER_NAME


def mine(thing: Any) -> bool:
    """Whether it belongs to this endpoint; without endpoints, to this cluster and none of its endpoints."""
    return ours(thing) and tags_of(thing).get(constants.ENDPOINT_TAG, "") == constants.ENDPOINT


def part(thing: Any) -> str:
    """What a resource is to us: private-1, the rule of an endpoint. Earlier versions said it in the Name alone."""
    found = tags_of(thing)
    prefix = "-".join(filter(None, [constants.CLUSTER_NAME, found.get(constants.ENDPOINT_TAG)]))
    return found.get(constants.PART_TAG) or found.get("Name", "").removeprefix(f"{prefix}-")


def refuse_foreign(what: str, thing: Any) -> None:
    """Something has the name that ours would have, and is another's: told before anything is made."""
    if thing and not ours(thing):
        tag = f"{constants.CLUSTER_TAG}={constants.CLUSTER_NAME}"
        raise Problem(f"the {what} exists already, and does not bear the tag {tag}: choose another CLUSTER_NAME")


def refuse_change(setting: str, found: str, undo: str = "run delete_cluster.py first") -> NoReturn:
    """A setting has been changed that AWS can't change any more on what there is: told before anything is made."""
    raise Problem(f"{setting}, but {found}, which can't be changed: set it back, or {undo}")


def spare_foreign(what: str, thing: Any) -> bool:
    """The same before a deletion: another's stays, and is named."""
    if not thing or ours(thing):
        return False
    say("kept", what, "not of this runbook")
    return True


def only(found: list[T], what: str, key: str) -> T | None:
    """The one match, or None; two are a problem that a person must look at, by their ids."""
    if len(found) > 1:
        ids = sorted(str(dict(each)[key]) for each in found)  # type: ignore[call-overload]
        way = f"Delete the one that is not wanted, or remove its tag {constants.CLUSTER_TAG}"
        raise Problem(f"two matches for {what}: {' and '.join(ids)}. {way}")
    return found[0] if found else None


def token(*parts: object) -> str:
    """A client token that is the same whenever the same thing is asked for: 32 characters."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:32]


class Resource(NamedTuple):
    """Something that stands in the account, as an inventory lists it: made by `resource`."""

    what: str  # as a person is told: subnet subnet-0abc
    arn: str
    tags: dict[str, str]
    part: str = ""
    kept: str = ""  # why a deletion leaves it, what it costs, and how to remove it


def resource(what: str, its_arn: str, thing: Any, kept: str = "") -> Resource:
    """What `left_over` of a part lists, of something with its tags as AWS shows it."""
    return Resource(what, its_arn, tags_of(thing), part(thing), kept)
