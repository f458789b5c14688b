"""Resource Groups Tagging API: an index of what bears tags, which is always one or two minutes behind.

https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError
from moto.backends import get_backend
from moto.core.resource_tagging import TaggableResourcesMixin

from emulator.core import rules
from emulator.core.ask import ask
from emulator.core.implied import TAGGING
from emulator.core.rules import AwsError, Call, Params, on
from emulator.core.tags import BEARERS, Tags, plain
from emulator.core.world import ACCOUNT, World
from emulator.iam import caller
from emulator.iam.requests import context_of, full_action

rules.SENTENCES.update(
    {
        "tag-001": "GetResources shows what is new, and forgets what is gone, only after one or two minutes; what was "
        "tagged once is shown with no tags.",
        "tag-002": "GetResources leaves out IAM, Auto Scaling groups, mount targets and more, and comes in pages whose "
        "token expires after 15 minutes.",
        "tag-003": "TagResources tells what it could not tag in FailedResourcesMap, with HTTP 200.",
    }
)

BETWEEN_LOOKS, SHOWING, TOKEN_LIVES = 60, 60, 15 * 60

#: the emulator's states that are kept by Region, and moto's: where there is one, something may be
REGIONAL = (
    *("ec2", "ecs", "efs", "elbv2", "acm", "codebuild", "codepipeline", "scheduler", "application-autoscaling"),
    "regions",
)
OF_MOTO = ("ecr", "logs", "cloudwatch")
#: moto's services that are not imitated here, but could be used beside
ONLY_MOTOS = ("secretsmanager", "kms", "sns", "sqs", "events")
#: ARNs that do not say of what kind they are -> as ResourceTypeFilters call it
KINDS = {"s3": "bucket", "codepipeline": "pipeline"}
MOST_ARNS, MOST_TAGS = 20, 50

Index = dict[str, dict[str, str]]  # ARN -> tags


@dataclass
class Indexes:
    """The index of all Regions as it is shown, and the looks at the account that are not shown yet."""

    shown: dict[str, Index] = field(default_factory=dict)
    looks: list[tuple[float, dict[str, Index]]] = field(default_factory=list)
    last_look: float = float("-inf")
    last_seen: dict[str, Index] = field(default_factory=dict)
    ever_tagged: set[str] = field(default_factory=set)


@rules.STARTERS.append
def _start(world: World) -> None:
    world.state["tagging"] = Indexes()
    world.tickers.append(_keep_index)


def _keep_index(world: World) -> None:
    """Look at the account's tags, when something has changed, but not more than once a minute; what is new in them is
    shown a minute later."""
    indexes: Indexes = world.state["tagging"]
    now, next_look = world.now(), indexes.last_look + world.clock.delay(BETWEEN_LOOKS)
    if now < next_look:
        world.look_at(next_look)
    else:
        indexes.last_look, before, indexes.last_seen = now, indexes.last_seen, _look(world, indexes)
        if indexes.last_seen != before:
            indexes.looks.append((now + world.clock.delay(SHOWING), indexes.last_seen))
            world.look_at(now + world.clock.delay(SHOWING))
    while indexes.looks and indexes.looks[0][0] <= now:
        indexes.shown = indexes.looks.pop(0)[1]


def _look(world: World, indexes: Indexes) -> dict[str, Index]:
    looked = {}
    for region in _regions(world):
        index = {arn: dict(tags) for arn, tags in _tagged(world, region)}
        indexes.ever_tagged |= {arn for arn, tags in index.items() if tags}
        looked[region] = {arn: tags for arn, tags in index.items() if arn in indexes.ever_tagged}
    return looked


def _regions(world: World) -> set[str]:
    """The Regions in which something may be."""
    regions = {region for name in REGIONAL for region in world.state[name]}
    for service in OF_MOTO:
        regions |= set(_backends(service)) - {"aws"}
    return regions


def _backends(service: str) -> Any:
    """moto's backends of a service, by Region, if it has been used at all."""
    return get_backend(service)[ACCOUNT] if f"moto.{service}.models" in sys.modules else {}  # type: ignore[call-overload]


def _tagged(world: World, region: str) -> Iterator[tuple[str, Tags]]:
    """ARN and tags of whatever the API covers."""
    for bearer in BEARERS:
        yield from bearer(world, region)
    for service in ONLY_MOTOS:
        backend = _backends(service).get(region)
        if isinstance(backend, TaggableResourcesMixin):
            for one in backend.iter_tagged_resources():
                yield one.arn, one.tags


# --- the API


def _index(call: Call) -> Index:
    call.world.state["regions"][call.region] = True
    indexes: Indexes = call.world.state["tagging"]
    if call.world.clock.scale == 0:
        indexes.shown = _look(call.world, indexes)
    return indexes.shown.get(call.region, {})


def _token(call: Call) -> int:
    """Where the page of this call begins."""
    token = call.params.get("PaginationToken")
    if not token:
        return 0
    try:
        start, made = json.loads(base64.b64decode(token))
    except ValueError:
        raise AwsError("InvalidParameterException", "The PaginationToken is not valid") from None
    if call.world.now() > made + TOKEN_LIVES:
        message = "A PaginationToken is valid for a maximum of 15 minutes. Your request used one that is expired."
        raise AwsError("PaginationTokenExpiredException", message)
    return int(start)


def _page(call: Call, items: list[Any], size: int) -> tuple[list[Any], str]:
    start = _token(call)
    end = start + size
    more = base64.b64encode(json.dumps([end, call.world.now()]).encode()).decode() if end < len(items) else ""
    return items[start:end], more


def _fits(arn: str, tags: dict[str, str], given: Params) -> bool:
    service = arn.split(":")[2]
    kind = KINDS.get(service) or arn.split(":", 5)[5].partition("/")[0].partition(":")[0]
    types = given.get("ResourceTypeFilters")
    if types and not {service, f"{service}:{kind}"} & set(types):
        return False
    if given.get("ResourceARNList") and arn not in given["ResourceARNList"]:
        return False
    return all(
        wanted["Key"] in tags and (not wanted.get("Values") or tags[wanted["Key"]] in wanted["Values"])
        for wanted in given.get("TagFilters") or []
    )


@on("resourcegroupstaggingapi", "GetResources", rules="tag-001 tag-002")
def get_resources(call: Call) -> Params:
    given = call.params
    if given.get("ResourceARNList") and (given.get("TagFilters") or given.get("ResourceTypeFilters")):
        raise AwsError("InvalidParameterException", "ResourceARNList cannot be combined with other filters")
    size = given.get("ResourcesPerPage", 50)
    if not 1 <= size <= 100:
        raise AwsError("InvalidParameterException", "ResourcesPerPage must be between 1 and 100")
    found = [(arn, tags) for arn, tags in sorted(_index(call).items()) if _fits(arn, tags, given)]
    items, more = _page(call, found, size)
    mappings = [
        {"ResourceARN": arn, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
        for arn, tags in items
    ]
    return {"PaginationToken": more, "ResourceTagMappingList": mappings}


@on("resourcegroupstaggingapi", "GetTagKeys", "GetTagValues", rules="tag-001")
def get_tag_keys_and_values(call: Call) -> Params:
    tags = [pair for tags in _index(call).values() for pair in tags.items()]
    if call.operation == "GetTagKeys":
        items, more = _page(call, sorted({key for key, _ in tags}), 100)
        return {"PaginationToken": more, "TagKeys": items}
    items, more = _page(call, sorted({value for key, value in tags if key == call.params["Key"]}), 100)
    return {"PaginationToken": more, "TagValues": items}


# --- tagging by ARN


@on("resourcegroupstaggingapi", "TagResources", "UntagResources", rules="tag-002 tag-003 tag-004")
def tag_resources(call: Call) -> Params:
    """https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_TagResources.html"""
    given = call.params
    if len(given["ResourceARNList"]) > MOST_ARNS:
        raise AwsError("InvalidParameterException", f"ResourceARNList cannot have more than {MOST_ARNS} items")
    if max(len(given.get("Tags") or {}), len(given.get("TagKeys") or [])) > MOST_TAGS:
        raise AwsError("InvalidParameterException", f"More than {MOST_TAGS} tags cannot be changed at once")
    failed: Params = {}
    for arn in given["ResourceARNList"]:
        if not arn.startswith("arn:") or arn.count(":") < 5:
            raise AwsError("InvalidParameterException", f"{arn} is not a valid ARN")
        try:
            failed.update(_change(call, arn))
        except (AwsError, ClientError) as error:
            denied = getattr(error, "code", "") == "AccessDeniedException"
            code = "AccessDeniedException" if denied else "InvalidParameterException"
            failed[arn] = {"StatusCode": 400, "ErrorCode": code, "ErrorMessage": str(error)}
    return {"FailedResourcesMap": failed}


#: what is asked of the caller besides, for the sake of the service whose resource it is
TAGS = {full_action(each).partition(":")[0]: full_action(each) for each in TAGGING.values()}
UNTAGS = {"CreateTags": "DeleteTags", "AddTags": "RemoveTags"}
UNTAGS |= {f"AddTagsTo{kind}": f"RemoveTagsFrom{kind}" for kind in ("Certificate", "Resource")}


def _demand(call: Call, service: str, arn: str) -> None:
    """tag-004"""
    prefix, _, name = TAGS.get(service, "").partition(":")
    if call.operation == "UntagResources":
        name = UNTAGS.get(name, "UntagResource")
    if prefix:
        caller.demand(call, f"{prefix}:{name}", arn, context_of(call, caller.user()))


def _change(call: Call, arn: str) -> Params:
    """Let the owner of a resource tag it, or take its tags: what the owner says when it can't."""
    service, region = arn.split(":")[2:4]
    _demand(call, service, arn)
    if region not in ("", call.region):
        raise AwsError("InvalidParameterException", f"{arn} is not a resource of {call.region}")
    if service in ONLY_MOTOS:
        client = call.moto("resourcegroupstaggingapi")
        if call.operation == "TagResources":
            answer = client.tag_resources(ResourceARNList=[arn], Tags=call.params["Tags"])
        else:
            answer = client.untag_resources(ResourceARNList=[arn], TagKeys=call.params["TagKeys"])
        return dict(answer.get("FailedResourcesMap") or {})
    if service not in WAYS:  # IAM, Auto Scaling and others
        raise AwsError("InvalidParameterException", f"{arn} is of a service that is not supported")
    WAYS[service](call, arn, call.params.get("Tags") or {}, list(call.params.get("TagKeys") or []))
    return {}


#: add tags to a resource, or take those of some keys
Way = Callable[[Call, str, Tags, list[str]], None]


#: how some services spell a tag
SMALL = ("key", "value")


def _pairs(tags: Tags, key: str = "Key", value: str = "Value") -> list[Tags]:
    return [{key: name, value: text} for name, text in tags.items()]


def _known(call: Call, arn: str) -> None:
    """moto tags also what is not there."""
    if all(arn != one for one, _ in _tagged(call.world, call.region)):
        raise AwsError("InvalidParameterException", f"{arn} does not exist")


def _calls(named: str, service: str, spelled: tuple[str, str] | None = ("Key", "Value")) -> Way:
    """The way of a service whose TagResource and UntagResource name one resource by its ARN. `named` tells how it writes
    its parameters, `spelled` its tags: None is as a map."""
    tags_word, keys_word = ("tags", "tagKeys") if named[0].islower() else ("Tags", "TagKeys")

    def change(call: Call, arn: str, tags: Tags, keys: list[str]) -> None:
        if tags:
            ask(call, service, "TagResource", **{named: arn, tags_word: _pairs(tags, *spelled) if spelled else tags})
        if keys:
            ask(call, service, "UntagResource", **{named: arn, keys_word: keys})

    return change


def _ec2(call: Call, arn: str, tags: Tags, keys: list[str]) -> None:
    name = arn.rpartition("/")[2]
    if tags:
        ask(call, "ec2", "CreateTags", Resources=[name], Tags=_pairs(tags))
    if keys:
        ask(call, "ec2", "DeleteTags", Resources=[name], Tags=[{"Key": key} for key in keys])


def _elbv2(call: Call, arn: str, tags: Tags, keys: list[str]) -> None:
    if tags:
        ask(call, "elbv2", "AddTags", ResourceArns=[arn], Tags=_pairs(tags))
    if keys:
        ask(call, "elbv2", "RemoveTags", ResourceArns=[arn], TagKeys=keys)


def _acm(call: Call, arn: str, tags: Tags, keys: list[str]) -> None:
    if tags:
        ask(call, "acm", "AddTagsToCertificate", CertificateArn=arn, Tags=_pairs(tags))
    if keys:
        ask(call, "acm", "RemoveTagsFromCertificate", CertificateArn=arn, Tags=[{"Key": key} for key in keys])


def _logs(call: Call, arn: str, tags: Tags, keys: list[str]) -> None:
    _known(call, arn)
    _calls("resourceArn", "logs", None)(call, arn, tags, keys)


def _ssm(call: Call, arn: str, tags: Tags, keys: list[str]) -> None:
    """A parameter's ARN does not tell whether its name begins with a slash."""
    bare = arn.partition(":parameter/")[2]
    found = ask(call, "ssm", "GetParameters", Names=[f"/{bare}"] if "/" in bare else [bare, f"/{bare}"])["Parameters"]
    if not found:
        raise AwsError("InvalidParameterException", f"{arn} does not exist")
    named = {"ResourceType": "Parameter", "ResourceId": found[0]["Name"]}
    if tags:
        ask(call, "ssm", "AddTagsToResource", **named, Tags=_pairs(tags))
    if keys:
        ask(call, "ssm", "RemoveTagsFromResource", **named, TagKeys=keys)


def _s3(call: Call, arn: str, tags: Tags, keys: list[str]) -> None:
    """S3 only replaces all the tags of a bucket."""
    present = dict(_tagged(call.world, call.region)).get(arn)
    if present is None:
        raise AwsError("InvalidParameterException", f"{arn} does not exist")
    wanted = {key: value for key, value in {**present, **tags}.items() if key not in keys}
    name = arn.rpartition(":")[2]
    if wanted:
        ask(call, "s3", "PutBucketTagging", Bucket=name, Tagging={"TagSet": _pairs(wanted)})
    else:
        ask(call, "s3", "DeleteBucketTagging", Bucket=name)


def _codebuild(call: Call, arn: str, tags: Tags, keys: list[str]) -> None:
    """CodeBuild has no call for tags: they are one of a project's settings."""
    [project] = ask(call, "codebuild", "BatchGetProjects", names=[arn.rpartition("/")[2]])["projects"] or [None]
    if project is None or project["arn"] != arn:
        raise AwsError("InvalidParameterException", f"{arn} does not exist")
    wanted = {key: value for key, value in {**plain(project["tags"]), **tags}.items() if key not in keys}
    ask(call, "codebuild", "UpdateProject", name=project["name"], tags=_pairs(wanted, *SMALL))


#: service in the ARN -> its way; who is not here is not covered
WAYS: dict[str, Way] = {
    "ec2": _ec2,
    "ecs": _calls("resourceArn", "ecs", SMALL),
    "elasticloadbalancing": _elbv2,
    "elasticfilesystem": _calls("ResourceId", "efs"),
    "acm": _acm,
    "ecr": _calls("resourceArn", "ecr"),
    "logs": _logs,
    "ssm": _ssm,
    "cloudwatch": _calls("ResourceARN", "cloudwatch"),
    "s3": _s3,
    "codebuild": _codebuild,
    "codepipeline": _calls("resourceArn", "codepipeline", SMALL),
    "codestar-connections": _calls("ResourceArn", "codestar-connections"),
    "codeconnections": _calls("ResourceArn", "codeconnections"),
    "scheduler": _calls("ResourceArn", "scheduler"),
    "application-autoscaling": _calls("ResourceARN", "application-autoscaling", None),
}
