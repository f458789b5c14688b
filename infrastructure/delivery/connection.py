"""CodeConnections: the connection to the Git host, through which pipelines see pushes and read the source.

Endpoints share one, which goes with the cluster. AWS makes it PENDING, and only a person can finish its handshake, in
the console. It costs nothing.
https://docs.aws.amazon.com/codeconnections/latest/APIReference/API_Connection.html
"""

from typing import Any

import aws
import console
import constants
from aws import Problem, Resource, call, client, mine, name, only, ours, partition, region
from aws.clients import made_once
from console import NEW, say
from infrastructure.cluster.regions import offered

CONSOLES = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}
NOT_THERE = "ResourceNotFoundException"


def its_name() -> str:
    return name("git")


@aws.look
def connections() -> list[Any]:
    """All of this name, with their tags: AWS makes another one at each CreateConnection."""
    service = client("codeconnections")
    found: list[Any] = []
    request: Any = {} if offered("codeconnections") else None
    while request is not None:
        page = service.list_connections(**request)
        for each in [each for each in page["Connections"] if each["ConnectionName"] == its_name()]:
            its_tags = service.list_tags_for_resource(ResourceArn=each["ConnectionArn"])["Tags"]
            found.append({**each, "Tags": its_tags})
        request = {"NextToken": page["NextToken"]} if page.get("NextToken") else None
    return found


LOOKS = (connections,)


def find() -> Any | None:
    """The connection that was made here."""
    return only([each for each in connections() if ours(each)], f"connection {its_name()}", "ConnectionArn")


def refuse_not_offered() -> None:
    """China has no CodeConnections, and so no pipeline sees a push there."""
    for service, its_name in {"codeconnections": "CodeConnections", "codepipeline": "CodePipeline"}.items():
        if not offered(service):
            way = "build the image elsewhere, push it to the repository, and set IMAGE_TAG"
            raise Problem(f"{its_name} is not offered in {region()}, and so no pipeline can be made there: {way}")


def create() -> str:
    """The ARN of a connection that can be used; one that waits for its handshake ends the page with a sentence."""
    if constants.CONNECTION_ARN:
        if (own := find()) and own["ConnectionArn"] != constants.CONNECTION_ARN:
            say("kept", f"connection {its_name()}", "free, endpoints share it; delete_cluster.py deletes it")
        return required(constants.CONNECTION_ARN)
    present, what = find(), f"connection {its_name()}"
    if not present:
        aws.refuse_foreign(what, next(iter(connections()), None))
        request: Any = {"ProviderType": constants.CONNECTION_PROVIDER, "ConnectionName": its_name()}
        made = client("codeconnections").create_connection(**request, Tags=aws.tags("git"))
        say("created", what, f"to {constants.CONNECTION_PROVIDER}, shared by endpoints")
        return NEW if console.dry_run else required(made["ConnectionArn"])
    if present["ProviderType"] != constants.CONNECTION_PROVIDER:
        differs = (
            f"CONNECTION_PROVIDER={constants.CONNECTION_PROVIDER}, but the {what} leads to {present['ProviderType']}"
        )
        fixed = "which can't be changed: set it back, or name another connection in CONNECTION_ARN"
        raise Problem(f"{differs}, {fixed}")
    return required(present["ConnectionArn"])


def required(arn: str) -> str:
    """An ARN, after a look at its connection: here, in this region, and AVAILABLE."""
    _, _, service, place, *_ = arn.split(":")  # both services know all connections; the ARN names the one that made it
    if place != region():
        raise Problem(f"CONNECTION_ARN={arn} is of region {place}, not of {region()}: name a connection of this region")
    found = call(made_once(service).get_connection, gone=NOT_THERE)(ConnectionArn=arn)
    if not found:
        raise Problem(f"CONNECTION_ARN={arn}: there is no such connection; {console_url()} lists those that are there")
    connection = found["Connection"]
    if connection["ConnectionStatus"] != "AVAILABLE":
        shown = {"connectionArn": arn, "connectionStatus": connection["ConnectionStatus"], "url": console_url()}
        raise Problem(
            f"the connection {connection['ConnectionName']} is {connection['ConnectionStatus']}, and only a person can "
            f"finish its handshake with {connection['ProviderType']}: open {console_url()}, choose it, and "
            f"'Update pending connection'; then run {aws.command('create_pipeline.py')} again",
            shown,
        )
    say("found", f"connection {connection['ConnectionName']}", "AVAILABLE")
    return arn


def console_url(of: str = "settings/connections") -> str:
    return f"https://{CONSOLES.get(partition(), 'console.aws.amazon.com')}/codesuite/{of}?region={region()}"


def delete() -> None:
    """With the cluster, when no pipeline uses it any more. One that CONNECTION_ARN names is not ours to delete."""
    codeconnections = client("codeconnections")
    for each in filter(ours, connections()):
        call(codeconnections.delete_connection, of=each, gone=NOT_THERE)(ConnectionArn=each["ConnectionArn"])
        say("deleted", f"connection {its_name()}")


def left_over() -> list[Resource]:
    found = filter(mine, connections())
    return [aws.resource(f"connection {its_name()}", each["ConnectionArn"], each) for each in found]
