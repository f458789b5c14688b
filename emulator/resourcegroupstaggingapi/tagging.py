"""Resource Groups Tagging API: an index of what bears tags, which is always one or two minutes behind.

https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError
from moto.backends import get_backend
from moto.core.resource_tagging import TaggableResourcesMixin
from moto.ec2.models import ec2_backends
from moto.ecr.models import ecr_backends

from emulator.core import rules
from emulator.core.ask import ask
from emulator.core.rules import AwsError, Call, Params, on
from emulator.core.world import ACCOUNT, World

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

#: moto's services whose tags are shown; those that the emulator keeps itself are walked below
OF_MOTO = ("logs", "ssm", "cloudwatch", "secretsmanager", "kms", "sns", "sqs", "events", "scheduler", "s3")
EC2_TYPES = {
    "vpc": "vpc",
    "subnet": "subnet",
    "igw": "internet-gateway",
    "rtb": "route-table",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "eipalloc": "elastic-ip",
    "nat": "natgateway",
    "lt": "launch-template",
    "i": "instance",
    "vol": "volume",
    "eni": "network-interface",
    "vpce": "vpc-endpoint",
    "ami": "image",
    "snap": "snapshot",
    "acl": "network-acl",
    "dopt": "dhcp-options",
    "key": "key-pair",
    "sir": "spot-instances-request",
    "pl": "prefix-list",
}

Index = dict[str, dict[str, str]]  # ARN -> tags


@dataclass
class Indexes:
    """The index of all Regions as it is shown, and the looks at the account that are not shown yet."""

    shown: dict[str, Index] = field(default_factory=dict)
    looks: list[tuple[float, dict[str, Index]]] = field(default_factory=list)
    last_look: float = float("-inf")
    last_request: float = float("-inf")
    ever_tagged: set[str] = field(default_factory=set)


@rules.STARTERS.append
def _start(world: World) -> None:
    world.state["tagging"] = Indexes()
    world.tickers.append(_keep_index)


def _keep_index(world: World) -> None:
    """Look at the account's tags once a minute. What this request finds was so since the one before."""
    indexes: Indexes = world.state["tagging"]
    now, between = world.now(), world.clock.delay(BETWEEN_LOOKS)
    look = max(indexes.last_look + between, indexes.last_request)
    if look <= now and indexes.last_request != float("-inf"):
        indexes.looks.append((look + world.clock.delay(SHOWING), _look(world, indexes)))
        indexes.last_look = max(look, now - between)
    indexes.last_request = now
    while indexes.looks and indexes.looks[0][0] <= now:
        indexes.shown = indexes.looks.pop(0)[1]


def _look(world: World, indexes: Indexes) -> dict[str, Index]:
    regions = {region for name in ("ec2", "ecs", "efs", "elbv2", "acm", "regions") for region in world.state[name]}
    looked = {}
    for region in regions:
        index = {arn: dict(tags) for arn, tags in _tagged(world, region)}
        indexes.ever_tagged |= {arn for arn, tags in index.items() if tags}
        looked[region] = {arn: tags for arn, tags in index.items() if arn in indexes.ever_tagged}
    return looked


def _tagged(world: World, region: str) -> Iterator[tuple[str, dict[str, str]]]:
    """ARN and tags of whatever the API covers."""
    yield from _ec2(region)
    yield from _ecs(world, region)
    if file_systems := world.state["efs"].get(region):
        for one in file_systems.file_systems.values():
            yield one.shown["FileSystemArn"], _plain(one.shown["Tags"])
        for point in file_systems.access_points.values():
            yield point["AccessPointArn"], _plain(point["Tags"])
    if balancers := world.state["elbv2"].get(region):
        yield from balancers.tags.items()
    for arn, certificate in world.state["acm"].get(region, {}).items():
        yield arn, certificate.tags
    registry: Any = ecr_backends[ACCOUNT][region]
    for repository in registry.repositories.values():
        yield repository.arn, registry.tagger.get_tag_dict_for_resource(repository.arn)
    for service in OF_MOTO:
        yield from _of_moto(service, region)


def _plain(tags: list[dict[str, str]]) -> dict[str, str]:
    """Tags as a dict, whichever way a service spells them."""
    return {(tag.get("Key") or tag.get("key", "")): (tag.get("Value") or tag.get("value", "")) for tag in tags}


def _ec2(region: str) -> Iterator[tuple[str, dict[str, str]]]:
    backend: Any = ec2_backends[ACCOUNT][region]
    for name, tags in backend.tags.items():
        if kind := EC2_TYPES.get(name.rpartition("-")[0]):
            yield f"arn:aws:ec2:{region}:{ACCOUNT}:{kind}/{name}", tags


def _ecs(world: World, region: str) -> Iterator[tuple[str, dict[str, str]]]:
    state = world.state["ecs"].get(region)
    if state is None:
        return
    for provider in state.providers.values():
        yield provider.arn, _plain(provider.tags)
    for cluster in state.clusters.values():
        if cluster.status != "INACTIVE":
            yield cluster.arn, _plain(cluster.tags)
        for one in (*cluster.services.values(), *cluster.instances.values(), *cluster.active_tasks()):
            if getattr(one, "status", "") != "INACTIVE":
                yield one.arn, _plain(one.tags)
    for revisions in state.definitions.values():
        for definition in revisions.values():
            arn = definition["taskDefinitionArn"]
            if definition.get("status") != "DELETE_IN_PROGRESS":
                yield arn, _plain(state.definition_tags.get(arn, []))


def _of_moto(service: str, region: str) -> Iterator[tuple[str, dict[str, str]]]:
    """What one of moto's services holds, if it has been used at all."""
    if f"moto.{service}.models" not in sys.modules:
        return
    place = "aws" if service == "s3" else region
    backends: Any = get_backend(service)[ACCOUNT]  # type: ignore[call-overload]
    if place in backends and service == "ssm":  # by its tags: it has thousands of public parameters, which have none
        for name, tags in backends[place]._resource_tags.get("Parameter", {}).items():
            yield f"arn:aws:ssm:{region}:{ACCOUNT}:parameter/{name.lstrip('/')}", tags
    elif place in backends and isinstance(backends[place], TaggableResourcesMixin):
        for one in backends[place].iter_tagged_resources():
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
    service, kind = arn.split(":")[2], arn.split(":", 5)[5].partition("/")[0].partition(":")[0]
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


@on("resourcegroupstaggingapi", "TagResources", "UntagResources", rules="tag-003")
def tag_resources(call: Call) -> Params:
    """https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_TagResources.html"""
    failed: Params = {}
    for arn in call.params["ResourceARNList"]:
        if not arn.startswith("arn:") or arn.count(":") < 5:
            raise AwsError("InvalidParameterException", f"{arn} is not a valid ARN")
        try:
            told = _pass_on(call, arn).get("FailedResourcesMap") or {}
            failed.update(told)
        except (AwsError, ClientError) as error:
            failed[arn] = {"StatusCode": 400, "ErrorCode": "InvalidParameterException", "ErrorMessage": str(error)}
    return {"FailedResourcesMap": failed}


def _pass_on(call: Call, arn: str) -> Params:
    """Let the owner of a resource tag it, or take its tags."""
    service, name = arn.split(":")[2], arn.rpartition("/")[2]
    adds, keys = call.operation == "TagResources", call.params.get("TagKeys") or []
    tags = call.params.get("Tags") or {}
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    small = [{"key": key, "value": value} for key, value in tags.items()]
    ways: dict[str, tuple[str, tuple[str, Params], tuple[str, Params]]] = {
        "ec2": (
            "ec2",
            ("CreateTags", {"Resources": [name], "Tags": pairs}),
            ("DeleteTags", {"Resources": [name], "Tags": [{"Key": key} for key in keys]}),
        ),
        "ecs": (
            "ecs",
            ("TagResource", {"resourceArn": arn, "tags": small}),
            ("UntagResource", {"resourceArn": arn, "tagKeys": keys}),
        ),
        "elasticloadbalancing": (
            "elbv2",
            ("AddTags", {"ResourceArns": [arn], "Tags": pairs}),
            ("RemoveTags", {"ResourceArns": [arn], "TagKeys": keys}),
        ),
        "elasticfilesystem": (
            "efs",
            ("TagResource", {"ResourceId": arn, "Tags": pairs}),
            ("UntagResource", {"ResourceId": arn, "TagKeys": keys}),
        ),
        "acm": (
            "acm",
            ("AddTagsToCertificate", {"CertificateArn": arn, "Tags": pairs}),
            ("RemoveTagsFromCertificate", {"CertificateArn": arn, "Tags": [{"Key": key} for key in keys]}),
        ),
    }
    if service not in ways:
        client = call.moto("resourcegroupstaggingapi")
        if adds:
            return dict(client.tag_resources(ResourceARNList=[arn], Tags=tags))
        return dict(client.untag_resources(ResourceARNList=[arn], TagKeys=keys))
    owner, add, remove = ways[service]
    operation, params = add if adds else remove
    ask(call, owner, operation, **params)
    return {}
