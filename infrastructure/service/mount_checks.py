"""What tasks need, to mount, of what is the user's: an adopted file system's policy, an adopted role. Both stay as they are.

Reads only, and tells what is certain. A role of ours allows what is needed, so that of the file system's policy only what
it denies counts.
https://docs.aws.amazon.com/efs/latest/ug/iam-access-control-nfs-efs.html
"""

import functools
from fnmatch import fnmatchcase
from typing import Any

import aws
import constants
from console import say
from infrastructure.cluster import file_system
from infrastructure.service import access_points


def tell() -> None:
    """Before a task fails on it."""
    adopted, role = constants.FILE_SYSTEM_ID, constants.TASK_ROLE_ARN.rpartition("/")[2]
    if not constants.EFS_VOLUMES:
        return
    if adopted:
        tell_policy(f"file system {adopted}")
    elif role:  # IAM is asked nothing about it; and the policy of a file system of ours allows nothing
        for volume, point in volumes():
            rights = f"{', '.join(needs(volume))} on {point['FileSystemId']} {by(volume, point)}"
            say("found", f"role {role}", f"adopted; its tasks mount only where it has {rights}")


def tell_policy(what: str) -> None:
    policy, why = aws.at_best(functools.partial(file_system.read_policy, constants.FILE_SYSTEM_ID))
    if why:
        say("warning", what, f"its policy could not be read: {why}")
        return
    if not policy:
        say("warning", what, "has no policy: whoever reaches a mount target mounts it all, as root and without TLS")
        return
    statements = listed(policy["Statement"])
    for volume, point in volumes():
        arn = point["AccessPointArn"]
        denied = [action for action in needs(volume) if any(denies(each, action, arn) for each in statements)]
        if denied:
            say("warning", what, f"its policy denies tasks {', '.join(denied)} {by(volume, point)}")


def volumes() -> list[tuple[Any, Any]]:
    """Each of EFS_VOLUMES that has an access point, with that."""
    points = access_points.find()
    return [(each, points[each["name"]]) for each in constants.EFS_VOLUMES if each["name"] in points]


def needs(volume: Any) -> list[str]:
    return file_system.CLIENT_ACTIONS[:1] if volume["readOnly"] else file_system.client_actions()


def by(volume: Any, point: Any) -> str:
    return f"by access point {point['AccessPointId']}, of volume {volume['name']}"


def denies(statement: Any, action: str, point_arn: str) -> bool:
    """Whether this statement of the policy certainly denies it to us: to everybody, under conditions that are met."""
    people = statement.get("Principal")
    everybody = "*" in listed(people.get("AWS") if isinstance(people, dict) else people)
    system = aws.arn("elasticfilesystem", f"file-system/{constants.FILE_SYSTEM_ID}")
    return (
        statement["Effect"] == "Deny"
        and everybody
        and any(fnmatchcase(action.lower(), each.lower()) for each in listed(statement.get("Action")))
        and any(fnmatchcase(system, each) for each in listed(statement.get("Resource", "*")))
        and "NotResource" not in statement
        and all(
            is_met(operator.removesuffix("IfExists"), key.lower(), [str(each) for each in listed(wanted)], point_arn)
            for operator, tests in statement.get("Condition", {}).items()
            for key, wanted in tests.items()
        )
    )


def is_met(operator: str, key: str, wanted: list[str], point_arn: str) -> bool:
    """Whether it is certain that a mount of ours meets this condition: over TLS, by this access point.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
    """
    known = {
        "aws:securetransport": "true",
        "elasticfilesystem:accessedviamounttarget": "true",
        "elasticfilesystem:accesspointarn": point_arn,
    }
    if key not in known or any("${" in each for each in wanted):
        return False
    like = any(fnmatchcase(known[key], each) for each in wanted)
    same = {
        "Null": "false" in wanted,
        "Bool": known[key] in [each.lower() for each in wanted],
        "StringEquals": known[key] in wanted,
        **dict.fromkeys(("StringLike", "ArnLike", "ArnEquals"), like),
    }
    positive = operator.replace("Not", "")
    return positive in same and same[positive] != ("Not" in operator)


def listed(value: Any) -> list[Any]:
    """A policy writes one thing as itself, several as a list."""
    return value if isinstance(value, list) else [value]
