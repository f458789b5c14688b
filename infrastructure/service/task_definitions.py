"""The task definition: what runs, in revisions that never change. It costs nothing.

A revision that is already what the settings say is used again; AWS keeps every other one until it is deleted.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definitions.html
"""

import posixpath
import shlex
from typing import Any

import aws
import constants
import definition_file
from aws import Problem, Resource, call, client, every, mine, ours, part, resource, tags_of
from console import say
from definition import mount_points, whole
from infrastructure.cluster import roles, tag_index
from infrastructure.service import access_points

PART = "task"
#: characters of a certificate's common name: https://www.rfc-editor.org/rfc/rfc5280#appendix-A.1
COMMON_NAME = 64
KEPT = "free; they go with all the others of the endpoint"
#: so many revisions are asked about one by one
FEW = 5
#: how AWS says that another run has deleted it
GONE = "task definition does not exist"
#: members that AWS fills in by itself, or that only say who registered the revision
ADDED_BY_AWS = {
    *("taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "placementConstraints"),
    *("registeredAt", "registeredBy", "tags", "volumesFrom", "systemControls", "rootDirectory", "protocol"),
}


@aws.look
def newest() -> Any | None:
    """The newest revision of TASK_FAMILY, whoever's it is."""
    return definition(constants.TASK_FAMILY)


@aws.look
def active() -> list[Any]:
    """Our revisions that can be run: of TASK_FAMILY, and for who has looked at all tags of what it named before."""
    return [each for family in (constants.TASK_FAMILY, *former_families()) for each in of_ours("ACTIVE", family)]


def former_families() -> list[str]:
    """What TASK_FAMILY may have named before, by AWS's index of tags, which lists for a while what is gone too."""
    listed = tag_index.tagged() if tag_index.tagged.remembers() else []
    own = [
        each.arn for each in listed if ":task-definition/" in each.arn and mine(each.tags) and part(each.tags) == PART
    ]
    return sorted({revision(arn).rpartition(":")[0] for arn in own} - {constants.TASK_FAMILY})


def tell_former_families() -> None:
    """Where this is the first revision of TASK_FAMILY: what of ours another family has, by AWS's index and itself."""
    if newest():
        return
    tag_index.tagged()
    families = former_families()
    aws.forget(tag_index.tagged)
    for family in [each for each in families if of_ours("ACTIVE", each)]:
        say("kept", f"task definitions of {family}", KEPT)


LOOKS = (active,)


def definitions(status: Any = "ACTIVE", family: str = "") -> list[str]:
    """The ARNs of a family's revisions, newest first."""
    pages = client("ecs").get_paginator("list_task_definitions")
    found = pages.paginate(familyPrefix=family or constants.TASK_FAMILY, status=status, sort="DESC")
    return every(found, "taskDefinitionArns")


def definition(arn_or_family: str) -> Any | None:
    """One revision with its tags under `tags`, or None."""
    describe_task_definition = call(client("ecs").describe_task_definition, gone="ClientException")
    found = describe_task_definition(taskDefinition=arn_or_family, include=["TAGS"])
    return {**found["taskDefinition"], "tags": found.get("tags", [])} if found else None


def known(arn: str) -> Any | None:
    """A revision never changes: the newest is not read a second time."""
    found = newest()
    return found if found and found["taskDefinitionArn"] == arn else definition(arn)


def of_ours(status: str, family: str) -> list[Any]:
    """Those revisions of the family that this runbook, or its pipeline, registered: another's are left alone.

    A family may have thousands. A revision never changes, nor is its ARN given again: whose it is AWS's index of tags
    knows, a hundred in a call, but of those that are new or bear no tags. They are asked about one by one, and so are few.
    """
    of_newest = family == constants.TASK_FAMILY and not tag_index.tagged.remembers()
    if status == "ACTIVE" and of_newest and not newest():
        return []
    arns = definitions(status, family)
    listed = tag_index.tagged() if len(arns) > FEW or tag_index.tagged.remembers() else []
    indexed = {each.arn: {"taskDefinitionArn": each.arn, "tags": each.tags} for each in listed}
    asked = aws.side_by_side(known, [arn for arn in arns if arn not in indexed])
    described = {**indexed, **{each["taskDefinitionArn"]: each for each in asked if each}}
    return [described[arn] for arn in arns if arn in described and is_ours(described[arn])]


def required() -> Any:
    if found := newest():
        return found
    raise Problem(missing())


def missing() -> str:
    return f"no task definition {constants.TASK_FAMILY} is registered: run register_task_definition.py first"


def revision(arn: str) -> str:
    """As a person is told: gpu:3."""
    return arn.rsplit("/", 1)[-1]


def is_ours(found: Any) -> bool:
    """By its tags, or those of its role: a pipeline's deploy makes revisions that bear none."""
    return mine(owner(found))


def owner(found: Any) -> Any:
    """What bears the tags that say whose a revision is: itself, or where it bears none the task role that it has."""
    its_role = str(found.get("taskRoleArn", "")).rpartition("/")[2]
    untagged = constants.CLUSTER_TAG not in tags_of(found)
    return (untagged and its_role == roles.role_name("task") and roles.role("task")()) or found


def is_pipelines(found: Any) -> bool:
    """Whether the endpoint's pipeline registered a revision, by the role that it had then."""
    return f":assumed-role/{roles.named('pipeline').rpartition('/')[2]}/" in found.get("registeredBy", "")


def names_another_path() -> bool:
    """Whether the newest revision names a role of ours by another path than that of the settings."""
    found, wanted = newest() or {}, (roles.named("task-execution"), roles.named("task"))
    named = [arn for arn in (found.get("executionRoleArn"), found.get("taskRoleArn")) if arn and arn not in wanted]
    return any(arn.rpartition("/")[2] == each.rpartition("/")[2] for arn in named for each in wanted)


def warn_of_host_mode() -> None:
    """A container in host mode is on the host's network: neither the hop limit nor ECS_AWSVPC_BLOCK_IMDS is in its way.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
    """
    if constants.NETWORK_MODE == "host":
        told = (
            "NETWORK_MODE=host: the container reaches the host's instance metadata, and may what the host's role may:"
        )
        say("warning", told, "NETWORK_MODE=bridge or awsvpc keeps it from that")


def changes_network() -> bool:
    """Whether the next revision's containers are reached in another way, or at fewer ports, than the newest one's."""
    found = newest()
    if not found:
        return False
    mapped = [
        each["containerPort"]
        for container in found["containerDefinitions"]
        for each in container.get("portMappings", [])
    ]
    fewer = {*mapped} - {port for _, port in constants.CONTAINER_PORTS}
    return bool(fewer) or found.get("networkMode", "bridge") != constants.NETWORK_MODE


def refuse_other_endpoint() -> None:
    """A revision in another endpoint's family would be deployed there."""
    found = newest()
    if found and ours(found) and not is_ours(found):
        raise Problem(f"TASK_FAMILY={constants.TASK_FAMILY} is another endpoint's: choose another")


def create(image: str) -> Any:
    """The revision with this image that is as the settings say: the newest, or a new one."""
    return register(task_definition(image), PART)


def register(wanted: dict[str, Any], its_part: str) -> Any:
    """The newest revision of a family if it is as wanted; else a new one."""
    found = newest() if wanted["family"] == constants.TASK_FAMILY else definition(wanted["family"])
    if found and is_ours(found) and agree(found, definition_file.as_kept(wanted)):
        say("found", f"task definition {revision(found['taskDefinitionArn'])}", "nothing has changed")
        return found
    its_tags = aws.endpoint_tags(its_part, "key", "value")
    made = client("ecs").register_task_definition(**wanted, tags=its_tags)["taskDefinition"]
    if twin := made_before(made, wanted, after=found["revision"] if found else 0):
        arn = made["taskDefinitionArn"]
        call(client("ecs").deregister_task_definition, of={"tags": its_tags})(taskDefinition=arn)
        say("found", f"task definition {revision(twin['taskDefinitionArn'])}", "made at the same moment")
        return twin
    say("registered", f"task definition {revision(made['taskDefinitionArn'])}")
    return made


def made_before(made: Any, wanted: dict[str, Any], after: int) -> Any | None:
    """One like it that another run, or a call whose answer was lost, made a moment sooner: RegisterTaskDefinition takes
    no token, and makes one each time."""
    if made["revision"] <= after + 1:
        return None
    numbers = {int(arn.rpartition(":")[2]): arn for arn in definitions(family=wanted["family"])}
    between = [arn for number, arn in sorted(numbers.items()) if after < number < made["revision"]]
    described = (definition(arn) for arn in between)
    return next(
        (each for each in described if each and is_ours(each) and agree(each, definition_file.as_kept(wanted))), None
    )


def agree(present: Any, wanted: Any) -> bool:
    """Whether a revision as AWS gives it back is the one that we would register; empty and absent are the same."""
    if isinstance(wanted, dict):
        there = present or {}
        added = [value for key, value in there.items() if key not in wanted and key not in ADDED_BY_AWS]
        return not any(added) and all(agree(there.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        items = present or []
        return len(items) == len(wanted) and all(agree(p, w) for p, w in zip(items, wanted, strict=True))
    return bool(present == wanted)


def task_definition(image: str) -> dict[str, Any]:
    """The whole request: ../../definition.py, with the roles, the file systems and the log group that AWS has of ours."""
    made_roles = roles.find()
    return whole(
        volumes(),
        logs_to(constants.CONTAINER_NAME),
        certificate_container(),
        executionRoleArn=made_roles.task_execution_role_arn,
        taskRoleArn=made_roles.task_role_arn,
        image=image,
    )


def certificate_container() -> list[dict[str, Any]]:
    """A small container that ends before the other starts: it makes the certificate, or a new one 30 days before its end."""
    path = constants.CONTAINER_CERTIFICATE
    if not path:
        return []
    folder, crt, key = (shlex.quote(each) for each in (posixpath.dirname(path), f"{path}.crt", f"{path}.key"))
    subject = shlex.quote(f"/CN={constants.SERVICE_NAME[:COMMON_NAME]}")
    script = (
        f"mkdir -p {folder} && openssl x509 -checkend 2592000 -noout -in {crt} || "
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj {subject} -keyout {key} -out {crt}"
    )
    return [
        {
            "name": "certificate",
            "image": constants.CERTIFICATE_IMAGE,
            "essential": False,
            "entryPoint": ["sh", "-c"],
            "command": [script],
            "memoryReservation": 64,
            "mountPoints": mount_points(),
        }
    ]


def volumes() -> dict[str, dict[str, Any]]:
    """Those of EFS_VOLUMES, by name."""
    points = access_points.find() if constants.EFS_VOLUMES else {}
    names = [volume["name"] for volume in constants.EFS_VOLUMES]
    if lacking := [each for each in names if each not in points]:
        raise Problem(f"EFS_VOLUMES: {', '.join(lacking)} has no access point yet: run create_cluster.py again")
    return {each: volume_of(each, points[each]) for each in names}


def volume_of(its_name: str, point: Any) -> dict[str, Any]:
    """Through its own access point, encrypted on the way, with the task role's right to mount it."""
    configuration = {
        "fileSystemId": point["FileSystemId"],
        "transitEncryption": "ENABLED",
        "authorizationConfig": {"accessPointId": point["AccessPointId"], "iam": "ENABLED"},
    }
    return {"name": its_name, "efsVolumeConfiguration": configuration}


def logs_to(prefix: str) -> dict[str, Any]:
    """The endpoint's log group, which must be there: log_group.py."""
    where = {"awslogs-group": constants.LOG_GROUP, "awslogs-region": aws.region(), "awslogs-stream-prefix": prefix}
    return {"logDriver": "awslogs", "options": {**where, **constants.LOG_OPTIONS}}


def delete(family: str = "", present: list[Any] | None = None) -> None:
    """Deregister our revisions, then delete them: ten in a call, and only what is deregistered."""
    present = active() if present is None else present
    families = [family] if family else [constants.TASK_FAMILY, *former_families()]
    found = [*present, *(each for name in families for each in of_ours("INACTIVE", name))]
    aws.side_by_side(deregister, present)
    aws.side_by_side(delete_ten, [found[start : start + 10] for start in range(0, len(found), 10)])
    if found:
        say("deleted", f"{len(found)} task definitions of {', '.join(families)}")


def deregister(found: Any) -> None:
    arn = found["taskDefinitionArn"]
    call(client("ecs").deregister_task_definition, of=owner(found), gone=GONE)(taskDefinition=arn)
    say("deregistered", f"task definition {revision(arn)}")


def delete_ten(found: list[Any]) -> None:
    foreign_first, arns = min(map(owner, found), key=ours), [each["taskDefinitionArn"] for each in found]
    call(client("ecs").delete_task_definitions, of=foreign_first)(taskDefinitions=arns)


def left_over() -> list[Resource]:
    """Those that can be run; AWS keeps a deleted one for as long as a task or service runs it."""
    return as_resources(active())


def as_resources(found: list[Any]) -> list[Resource]:
    listed = [(each["taskDefinitionArn"], each) for each in found]
    return [resource(f"task definition {revision(arn)}", arn, each) for arn, each in listed]
