"""Parameters: those of AWS itself, and one's own."""

from __future__ import annotations

import json

from tests.emulator.common import Client, refused

GPU = "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended"


def test_the_ami_of_ecs_is_told_as_json_and_as_an_id(client: Client) -> None:
    ssm = client("ssm")
    told = json.loads(ssm.get_parameter(Name=GPU)["Parameter"]["Value"])
    assert told["image_id"].startswith("ami-") and told["ecs_agent_version"]
    assert ssm.get_parameter(Name=f"{GPU}/image_id")["Parameter"]["Value"] == told["image_id"]
    assert refused(ssm.get_parameter, Name=f"{GPU}/imageid") == "ParameterNotFound"
    names = [GPU, GPU.replace("/gpu", ""), GPU.replace("gpu", "arm64"), "/nope"]
    several = ssm.get_parameters(Names=names)
    assert len(several["Parameters"]) == 3 and several["InvalidParameters"] == ["/nope"]
    assert all(json.loads(one["Value"])["image_id"] for one in several["Parameters"])
    bastion = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    assert ssm.get_parameter(Name=bastion)["Parameter"]["Value"].startswith("ami-")


def test_a_parameter_holds_so_much_and_a_secure_one_is_told_in_the_clear_on_request(client: Client) -> None:
    ssm = client("ssm")
    assert refused(ssm.put_parameter, Name="a", Value="v" * 4097, Type="String") == "ValidationException"
    small = {"Name": "b", "Type": "SecureString", "Tier": "Intelligent-Tiering"}
    tiers = [ssm.put_parameter(**small, Value="v" * size, Overwrite=True)["Tier"] for size in (4096, 4097, 1)]
    assert tiers == ["Standard", "Advanced", "Advanced"]
    assert refused(ssm.put_parameter, **small, Value="v" * 8193, Overwrite=True) == "ValidationException"
    assert refused(ssm.put_parameter, **small, Value="w") == "ParameterAlreadyExists"
    values = [ssm.get_parameter(Name="b", WithDecryption=each)["Parameter"]["Value"] for each in (False, True)]
    assert values[0] != "v" == values[1]


def test_own_parameters_can_be_put_and_deleted(client: Client) -> None:
    ssm = client("ssm")
    ssm.put_parameter(Name="/mine", Value="v", Type="String")
    assert ssm.get_parameter(Name="/mine")["Parameter"]["Value"] == "v"
    ssm.delete_parameter(Name="/mine")
    assert refused(ssm.get_parameter, Name="/mine") == "ParameterNotFound"
