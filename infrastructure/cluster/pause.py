"""Whether the cluster is paused: a tag of the cluster says since when, and an SSM parameter what ran, until it runs again.

The tag comes before the parameter, and goes after it; nothing is changed without the parameter. It holds the environments
of runs, so AWS encrypts it (SecureString), with the key that each account has for that. Up to 4096 characters it is free.
https://docs.aws.amazon.com/systems-manager/latest/userguide/systems-manager-parameter-store.html
"""

import base64
import json
import zlib
from typing import Any

from botocore.exceptions import ClientError

import aws
import constants
from aws import Problem, Resource, call, client, ours, resource, tags, tags_of
from console import say
from infrastructure.cluster import cluster

#: of a parameter of the larger kind: https://docs.aws.amazon.com/general/latest/gr/ssm.html#limits_ssm
MOST_CHARACTERS = 8192
NOT_THERE = "ParameterNotFound"


def its_name() -> str:
    """A name that begins with the cluster's could begin with aws or ssm, which AWS takes for itself."""
    return f"{constants.PAUSED_TAG}-{constants.CLUSTER_NAME}"


def what() -> str:
    return f"SSM parameter {its_name()}"


def since() -> str:
    """When the pause began, in UTC; "" where there is none."""
    return tags_of(cluster.of_ours() or {}).get(constants.PAUSED_TAG, "")


def told() -> dict[str, str]:
    """For a page's result, while it is so."""
    return {"pausedSince": since()} if since() else {}


def tell() -> dict[str, str]:
    """By a page that looks: since when, and what ends it. For its result."""
    if since():
        say("paused", f"since {since()}", "python resume_cluster.py brings back what ran")
    return told()


def refuse() -> None:
    """What is changed or started in a cluster that is paused would be neither as it ran nor as the settings say."""
    if since():
        way = "run resume_cluster.py, which brings back what ran, and then this again"
        raise Problem(f"the cluster {constants.CLUSTER_NAME} is paused since {since()}: {way}")


@aws.look
def its_tags() -> Any | None:
    """The parameter's; without a pause there is none, and AWS is not asked."""
    return read_tags() if since() else None


def read_tags() -> Any | None:
    list_tags = call(client("ssm").list_tags_for_resource, gone="InvalidResourceId")
    found = list_tags(ResourceType="Parameter", ResourceId=its_name())
    return {"TagList": found["TagList"]} if found else None


LOOKS = (its_tags,)


def record() -> dict[str, Any] | None:
    """What ran when the pause began."""
    aws.refuse_foreign(what(), its_tags())
    read = call(client("ssm").get_parameter, gone=NOT_THERE)
    found = read(Name=its_name(), WithDecryption=True) if since() else None
    if not found:
        return None
    read_back: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(found["Parameter"]["Value"])))
    return read_back


def create(ran: dict[str, Any]) -> dict[str, Any]:
    """Remember what ran, before any of it ends. Where another run was first its memory counts: it saw all of it."""
    value = encoded(ran)
    aws.refuse_foreign(what(), read_tags())
    marked = not since()
    if marked:
        its_cluster = cluster.required()
        mark = call(client("ecs").tag_resource, f"cluster {constants.CLUSTER_NAME}", of=its_cluster)
        now = f"{aws.now():%Y-%m-%dT%H:%MZ}"
        mark(resourceArn=its_cluster["clusterArn"], tags=[{"key": constants.PAUSED_TAG, "value": now}])
        aws.forget(cluster.describe, its_tags)
    try:
        made = put(value, Tags=tags("pause"))
    except ClientError as error:
        if not aws.refused(error) or not marked:
            raise
        unmark()  # what is not paused is not to look so
        raise Problem(f"{aws.explain(error)}\nnothing was paused") from error
    say("created" if made else "found", what(), "what ran, for resume_cluster.py")
    return (None if made else record()) or ran


def add(ran: dict[str, Any], **more: Any) -> dict[str, Any]:
    """More that the pause takes, before it does."""
    wanted = {**ran, **more}
    if wanted != ran:
        put(encoded(wanted), Overwrite=True)
    return wanted


def put(value: str, **how: Any) -> Any | None:
    """AWS takes tags of a new one only, and no more than 4096 characters without a charge: it chooses the kind."""
    of = its_tags() or aws.NOTHING
    put_parameter = call(client("ssm").put_parameter, what(), of=of, there="ParameterAlreadyExists")
    return put_parameter(Name=its_name(), Type="SecureString", Tier="Intelligent-Tiering", Value=value, **how)


def encoded(ran: dict[str, Any]) -> str:
    value = base64.b64encode(zlib.compress(json.dumps(ran).encode(), 9)).decode()
    if len(value) > MOST_CHARACTERS:
        many = f"too much runs to remember it all: {len(value)} characters, {MOST_CHARACTERS} at most"
        raise Problem(f"{many}: stop some of the tasks first, with stop_task.py --task ID")
    return value


def delete() -> None:
    """The memory first: a cluster that bears the tag alone runs as it ran."""
    found, its_cluster = its_tags(), cluster.of_ours()
    if found and not aws.spare_foreign(what(), found):
        call(client("ssm").delete_parameter, what(), of=found, gone=NOT_THERE)(Name=its_name())
        say("deleted", what())
    if since() and its_cluster:
        unmark()


def unmark() -> None:
    its_cluster = cluster.required()
    untag = call(client("ecs").untag_resource, f"cluster {constants.CLUSTER_NAME}", of=its_cluster)
    untag(resourceArn=its_cluster["clusterArn"], tagKeys=[constants.PAUSED_TAG])


def left_over() -> list[Resource]:
    found = its_tags()
    return [resource(what(), aws.arn("ssm", f"parameter/{its_name()}"), found)] if found and ours(found) else []
