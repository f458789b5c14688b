"""Connections."""

from __future__ import annotations

import pytest

from emulator.codestar_connections import connections
from emulator.core.wire import Emulator
from tests.emulator.common import Client, refused, sleep


@pytest.mark.parametrize("name", ["codeconnections", "codestar-connections"])
def test_a_connection_waits_for_a_person(emulator: Emulator, client: Client, name: str) -> None:
    service = client(name)
    made = service.create_connection(ProviderType="GitHub", ConnectionName="c", Tags=[{"Key": "k", "Value": "v"}])
    arn = made["ConnectionArn"]
    assert arn.startswith(f"arn:aws:{name}:us-east-1:123456789012:connection/")
    sleep(emulator, 86400)
    assert service.get_connection(ConnectionArn=arn)["Connection"]["ConnectionStatus"] == "PENDING"
    other = service.create_connection(ProviderType="GitHub", ConnectionName="c")["ConnectionArn"]
    assert other != arn and len(service.list_connections()["Connections"]) == 2
    connections.finish_handshakes(emulator.world, arn)
    assert service.get_connection(ConnectionArn=arn)["Connection"]["ConnectionStatus"] == "AVAILABLE"
    assert service.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "k", "Value": "v"}]
    service.delete_connection(ConnectionArn=arn)
    assert refused(service.get_connection, ConnectionArn=arn) == "ResourceNotFoundException"
