"""What a person, or a role, needs to run these scripts, as IAM policies: for our names and our tag, and no more.

permissions.json holds which actions each script needs and how far each can be limited; it is made from runs of all scripts,
and of what AWS says of its actions: https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import aws
import constants
from aws import account, partition, region
from infrastructure.cluster import roles

TABLE = Path(__file__).with_name("permissions.json")
#: characters of a managed policy, of which IAM counts no white space:
#: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
MOST_CHARACTERS = 6144
#: who runs what: the first words of the scripts' names
LOOK = ("check", "describe", "draw", "list", "show")
USES = {
    "run": ("run", "stop", "execute", *LOOK),
    "create": ("create", "register", "update", "push", "copy", "sync", "pause", "resume"),
    "delete": ("delete", "deregister"),
    "look": LOOK,
}
#: services that tell a policy in which call something is tagged
KNOW_CREATIONS = ("ec2", "ecs", "elasticfilesystem", "elasticloadbalancing")
Statement = dict[str, Any]


def table() -> dict[str, Any]:
    """Action -> its scopes, how far it can be limited, and for each the scripts that need it so ("*": whichever). `unseen`
    is what only settings need that no example has."""
    found: dict[str, Any] = json.loads(TABLE.read_text())
    return found


def actions(use: str) -> list[str]:
    """Of all scripts that one needs for a use; "all": of every script."""
    return [action for action, about in table().items() if scopes(about, use)]


def scopes(about: dict[str, Any], use: str) -> list[str]:
    """Those that the scripts of a use need."""
    verbs = (*USES.get(use, ()), "*")
    found = about["scopes"].items()
    return [scope for scope, its in found if use == "all" or any(page.split("_")[0] in verbs for page in its)]


def pages(about: dict[str, Any]) -> set[str]:
    return {page for its in about["scopes"].values() for page in its}


def samples(action: str) -> list[str]:
    """Resources of ours by which it can be asked whether an action is allowed at all: * in the place of a number."""
    its_scopes = (scope.partition(" ") for scope in table()[action]["scopes"])
    found = {arn for kind, _, ending in its_scopes for arn in arns(kind, action.partition(":")[0], ending)}
    launched = launches([action])[0]["Resource"] if "template" in table()[action]["scopes"] else []
    return sorted({each.replace("*", "0") for each in (*found, *launched)} - {"0"})


def documents(use: str) -> list[dict[str, Any]]:
    """As few as hold them, each short enough for a managed policy."""
    found: list[dict[str, Any]] = []
    for statement in statements(use):
        for part in divided(statement):
            fitting = (
                each for each in found if size({**each, "Statement": [*each["Statement"], part]}) < MOST_CHARACTERS
            )
            document = next(fitting, None)
            if document is None:
                document = {"Version": "2012-10-17", "Statement": []}
                found.append(document)
            document["Statement"].append(part)
    return found


def size(document: Any) -> int:
    return len(json.dumps(document, separators=(",", ":")))


def divided(statement: Statement) -> list[Statement]:
    """In halves, where one is too long for a document of its own."""
    if size(statement) < MOST_CHARACTERS - 100:
        return [statement]
    half = len(statement["Action"]) // 2
    parts = [{**statement, "Action": some} for some in (statement["Action"][:half], statement["Action"][half:])]
    return [each for part in parts for each in divided(part)]


def statements(use: str) -> list[Statement]:
    """One for each kind of scope, with all actions that can be limited so."""
    grouped: dict[tuple[str, str], set[str]] = defaultdict(set)
    resources: dict[tuple[str, str], set[str]] = defaultdict(set)
    known = table()
    for action in actions(use):
        for kind, _, ending in (scope.partition(" ") for scope in scopes(known[action], use)):
            service = action.partition(":")[0]
            if ending == "vpc/{vpc}" and not constants.VPC_ID:
                continue
            group = (kind, kind_of_group(kind, ending, service))
            grouped[group].add(action)
            resources[group].update(arns(kind, service, ending))
    return [
        statement
        for group in sorted(grouped)
        for statement in worded(*group, sorted(grouped[group]), sorted(resources[group]), use)
    ]


def kind_of_group(kind: str, ending: str, service: str) -> str:
    """What may not stand in one statement: each service has its own key for a creation, and "*" is more than a name."""
    return service if kind == "creation" else ending if ending in ("*", "cluster") else ""


def worded(kind: str, more: str, its_actions: list[str], resources: list[str], use: str) -> list[Statement]:
    """A scope as IAM's grammar says it."""
    tag, of_request = constants.CLUSTER_TAG, f"aws:RequestTag/{constants.CLUSTER_TAG}"
    conditions: dict[str, Any] = {}
    if kind == "ours":
        conditions = {"StringEquals": {f"aws:ResourceTag/{tag}": constants.CLUSTER_NAME}}
    if kind.startswith("new") or kind == "creation":
        conditions = {"StringEquals": {of_request: constants.CLUSTER_NAME}}
    if kind == "creation":
        conditions["Null"] = {f"{more}:CreateAction": "false"}
    if more == "cluster":
        conditions["ArnEquals"] = {"ecs:cluster": aws.arn("ecs", f"cluster/{constants.CLUSTER_NAME}")}
    if kind in ("pass", "linked"):
        services = {scope.partition(" ")[2] for scope in scopes(table()[its_actions[0]], use)}
        key = "iam:PassedToService" if kind == "pass" else "iam:AWSServiceName"
        conditions = {"StringEquals": {key: sorted(map(roles.principal, services))}}
    if kind == "template":
        return launches(its_actions)
    statement = {"Effect": "Allow", "Action": its_actions, "Resource": resources}
    return [{**statement, "Condition": conditions} if conditions else statement]


def launches(its_actions: list[str]) -> list[Statement]:
    """Only from a launch template, and of these only from ours.
    https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html"""
    template = aws.arn("ec2", "launch-template/*")
    kinds = (
        "capacity-reservation",
        "image",
        "instance",
        "key-pair",
        "network-interface",
        "security-group",
        "snapshot",
        "subnet",
        "volume",
    )
    used = [f"arn:{partition()}:ec2:{region()}:*:{kind}/*" for kind in kinds]  # an image and its snapshots are AWS's
    ours = {"StringEquals": {f"aws:ResourceTag/{constants.CLUSTER_TAG}": constants.CLUSTER_NAME}}
    of_template = {"ArnLike": {"ec2:LaunchTemplate": template}}
    return [
        {"Effect": "Allow", "Action": its_actions, "Resource": [template], "Condition": ours},
        {"Effect": "Allow", "Action": its_actions, "Resource": used, "Condition": of_template},
    ]


def arns(kind: str, service: str, ending: str) -> list[str]:
    """The resources of one scope; of a log group also with what AWS puts behind its name."""
    if kind == "pass":
        given = [arn for arn in constants.ADOPTED_ROLES.values() if ":role/" in arn]
        return [*arns("named", "iam", "role{path}{name}-*"), *given]
    if kind == "linked":
        return [f"arn:{partition()}:iam::{account()}:role/aws-service-role/*"]
    if kind == "*" or (kind, ending) == ("new", "*"):
        return ["*"]
    name, family, path = constants.CLUSTER_NAME, constants.TASK_FAMILY, constants.ROLE_PATH
    if "{prefix}" in ending:  # of an endpoint, or of the cluster where there are none
        both = (ending.replace("{prefix}", each) for each in ("{name}", "{name}-*"))
        return [arn for each in both for arn in arns(kind, service, each)]
    words = "*" if ending in ("", "cluster") else ending
    told = words.format(name=name, family=family, path=path, vpc=constants.VPC_ID)
    at = {"iam": f":{account()}", "s3": ":", "route53": ":"}.get(service, f"{region()}:{account()}")
    if told.startswith("parameter/aws/") or (kind, told) == ("named", "*"):
        at = f"{region()}:*"  # AWS's own, as images are too; and subnets may be another account's, which shares them
    whole = f"arn:{partition()}:{service}:{at}:{told}"
    return [whole, f"{whole}:*"] if service == "logs" and not whole.endswith("*") else [whole]
