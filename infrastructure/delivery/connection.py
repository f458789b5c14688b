"""CodeConnections: the connection to the Git host, through which pipelines see pushes and read the source.

Endpoints share one. AWS makes it PENDING, and only a person can finish its handshake, in the console.
https://docs.aws.amazon.com/codeconnections/latest/APIReference/API_Connection.html
"""

from typing import Any

import console
import constants
from aws import Problem, accepted, client, missing, name, only, ours, partition, region, tags
from console import NEW, say

NAME = name("git")
#: whether there may be one: who never had a pipeline needs no permission to look
USED = bool(constants.SHARED_CLUSTER or constants.SOURCE_REPOSITORY)
CONSOLES = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}


def create() -> str:
    """The ARN of a connection that can be used; one that waits for its handshake ends the page with a sentence."""
    if constants.CONNECTION_ARN:
        return required(constants.CONNECTION_ARN)
    connection = find()
    if not connection and any(each["ConnectionName"] == NAME for each in every()):
        raise Problem(f"the connection {NAME} exists already, and is not of this runbook: choose another CLUSTER_NAME")
    if connection and connection["ProviderType"] != constants.CONNECTION_PROVIDER:
        raise Problem(
            f"CONNECTION_PROVIDER={constants.CONNECTION_PROVIDER}, but the connection {NAME} leads to {connection['ProviderType']}, "
            "which can't be changed: set it back, or name another connection in CONNECTION_ARN"
        )
    if not connection:
        request = {"ProviderType": constants.CONNECTION_PROVIDER, "ConnectionName": NAME, "Tags": tags("git")}
        arn = str(client("codeconnections").create_connection(**request)["ConnectionArn"])
        say("created", f"connection {NAME}", f"to {constants.CONNECTION_PROVIDER}, shared by endpoints")
        if console.dry_run:
            return NEW
        return required(arn)
    return required(connection["ConnectionArn"])


def required(arn: str) -> str:
    """An ARN, after a look at its connection: here, in this region, and AVAILABLE."""
    _, _, _, place, *_ = arn.split(":")
    if place != region():
        raise Problem(f"CONNECTION_ARN={arn} is of region {place}, not of {region()}: name a connection of this region")
    connection = describe(arn)
    if not connection:
        raise Problem(f"CONNECTION_ARN={arn}: there is no such connection; {console_url()} lists those that are there")
    if connection["ConnectionStatus"] != "AVAILABLE":
        shown = {"connectionArn": arn, "connectionStatus": connection["ConnectionStatus"], "url": console_url()}
        raise Problem(
            f"the connection {connection['ConnectionName']} is {connection['ConnectionStatus']}, and only a person can "
            f"finish its handshake with {connection['ProviderType']}: open {console_url()}, choose it, and "
            "'Update pending connection'; then run create_pipeline.py again",
            shown,
        )
    say("found", f"connection {connection['ConnectionName']}", "AVAILABLE")
    return arn


def describe(arn: str) -> dict[str, Any] | None:
    """Both services know all connections; the ARN bears the name of the one with which it was made."""
    service = arn.split(":")[2]
    found = missing(lambda: client(service).get_connection(ConnectionArn=arn), "ResourceNotFoundException")
    return found["Connection"] if found else None


def find() -> dict[str, Any] | None:
    """The connection that was made here: by name and tag, since AWS makes another one at each CreateConnection."""
    mine = [each for each in every() if each["ConnectionName"] == NAME and is_ours(each["ConnectionArn"])]
    return only(mine, f"connection {NAME}", "ConnectionArn")


def every() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    request: dict[str, Any] = {}
    while True:
        page = client("codeconnections").list_connections(**request)
        found += page["Connections"]
        if not page.get("NextToken"):
            return found
        request["NextToken"] = page["NextToken"]


def is_ours(arn: str) -> bool:
    return ours(client("codeconnections").list_tags_for_resource(ResourceArn=arn)["Tags"])


def console_url() -> str:
    return f"https://{CONSOLES.get(partition(), 'console.aws.amazon.com')}/codesuite/settings/connections?region={region()}"


def delete() -> None:
    """With the cluster, when no pipeline uses it any more. One that CONNECTION_ARN names is not ours to delete."""
    connection = find() if USED else None
    if not connection:
        return say("already gone", f"connection {NAME}") if USED else None
    accepted(
        lambda: client("codeconnections").delete_connection(ConnectionArn=connection["ConnectionArn"]),
        "ResourceNotFoundException",
    )
    return say("deleted", f"connection {NAME}")


def left_over() -> list[str]:
    return [f"connection {NAME}"] if USED and find() else []
