"""What the policies that show_policy.py shows allow, of all that AWS asked in the walks, and of what stands beside ours.

All of it is judged by the emulator's own evaluator, on the record of tests/documents.py: no walk is run for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from emulator.core.rules import Params
from emulator.iam.policies import decide
from infrastructure.preflight import policy
from tests import scopes

TAG = "ResourceTag/gpu-ecs-cluster"
#: what changes something and can't be limited to ours: AWS knows no resource, or no name and no tag of it
UNLIMITED = {
    "acm:AddTagsToCertificate": "a certificate's ARN tells nothing, and whether it is just being made is not told either",
    "application-autoscaling:RegisterScalableTarget": "the same, of a target that is there already",
    "application-autoscaling:TagResource": "the same",
    "codeconnections:TagResource": "the same",
    "ec2:CreateFleet": "asked in an Auto Scaling group's name, of anything; ec2:RunInstances is limited, and asked too",
    "ec2:CreateNetworkInterface": "asked in EFS's name, in a subnet that may be of a network that was there before",
    "ec2:DeleteNetworkInterface": "EFS's network interfaces bear no tag",
    "ec2:RunInstances": "only from a launch template of ours; in which subnet is not limited",
    "ecs:DeregisterTaskDefinition": "AWS knows no resource for it",
    "route53:ChangeResourceRecordSets": "a zone is not ours, and has no name in its ARN",
    "tag:TagResources": "AWS knows no resource for it; the action of the resource's own service is limited, and asked too",
    "tag:UntagResources": "the same",
}


class Asked(NamedTuple):
    """What AWS asked, with those keys of the request that our policies look at."""

    action: str
    arn: str
    context: tuple[tuple[str, str], ...]


Held = list[tuple[list[Any], set[Asked]]]


def allowed(documents: list[Any], asked: Asked) -> bool:
    return bool(decide(asked.action, asked.arn, dict(asked.context), identity=documents))


def refused(held: Held) -> list[Asked]:
    """What the walks needed, and their policies do not allow."""
    return sorted(each for documents, found in held for each in found if not allowed(documents, each))


def needless(held: Held) -> set[str]:
    """The actions without which all that the walks needed is still allowed; but those of settings that no walk has."""
    unseen = {action for action, about in policy.table().items() if about.get("unseen")}
    listed = {action for documents, _ in held for action in actions(documents)} - unseen
    needed = {
        action
        for documents, found in held
        for action in listed
        if any(each.action == action and not allowed(without(documents, action), each) for each in found)
    }
    return listed - needed


def actions(documents: list[Any]) -> Iterator[str]:
    for document in documents:
        for statement in document["Statement"]:
            yield from statement["Action"]


def without(documents: list[Any], action: str) -> list[Params]:
    return [
        {
            "Statement": [
                {**each, "Action": [one for one in each["Action"] if one != action]} for each in held["Statement"]
            ]
        }
        for held in documents
    ]


def changes(action: str) -> bool:
    """Whether it changes something, or hands out what is stored."""
    return scopes.known(action)["access_level"] not in ("Read", "List") or action in scopes.CONTENT


def reached(held: Held) -> set[str]:
    """The actions that would do to a stranger's resource what they did to ours: of another name, with another's tag or none,
    and whatever tag the request itself brings."""
    found: set[str] = set()
    for documents, asked in held:
        ours = next(iter({name for each in asked for name in tag_of(each)}), "")
        for each in asked:
            if each.action not in found and changes(each.action):
                found |= {each.action for other in strangers(each, ours) if allowed(documents, other)}
    return found


def tag_of(asked: Asked) -> list[str]:
    return [text for key, text in asked.context if key.endswith(TAG)]


def strangers(asked: Asked, ours: str) -> Iterator[Asked]:
    """The same request, about a resource that is not ours, or is another Region's; none where it makes one."""
    keys = {key for key, _ in asked.context}
    tagging = scopes.known(asked.action)["access_level"] == "Tagging"
    arn = asked.arn.replace(ours, "stranger") if ours else asked.arn
    if not any(key.endswith(TAG) for key in keys) and arn == asked.arn:
        makes = "aws:RequestTag/gpu-ecs-cluster" in keys and not tagging
        if arn.endswith("*") and (makes or (":ec2:" in arn and "/" in arn)):
            return
        arn = arn.replace("*", "stranger") if arn.endswith("*") else f"{arn.partition('/')[0]}/stranger"
    if region := "".join(asked.arn.split(":")[3:4]):
        yield asked._replace(arn=asked.arn.replace(region, "ap-east-1", 1))
    bare = tuple((key, text) for key, text in asked.context if not key.endswith((TAG, "CreateAction")))
    brought = (*bare, ("aws:RequestTag/gpu-ecs-cluster", ours))
    for context in (bare, brought, (*bare, (f"aws:{TAG}", "stranger")), (*brought, (f"aws:{TAG}", "stranger"))):
        yield Asked(asked.action, arn, context)
