"""SSM: moto's Parameter Store, with the names of the ECS AMIs as AWS publishes them.

https://docs.aws.amazon.com/systems-manager/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from typing import Any

from moto.ssm.models import ssm_backends

from emulator.core import partitions, rules
from emulator.core.rules import AwsError, Call, Params, on
from emulator.core.tags import Tags, bearer
from emulator.core.world import ACCOUNT, World

rules.SENTENCES.update(
    {
        "ssm-001": "AWS's own parameters name the ECS AMIs, as JSON and one value each; a wrong path is "
        "ParameterNotFound.",
        "ssm-002": "A parameter holds 4096 characters, of the Advanced tier 8192; Intelligent-Tiering chooses, and none "
        "goes back to Standard. A SecureString is told in the clear to who asks WithDecryption only.",
    }
)

#: https://docs.aws.amazon.com/general/latest/gr/ssm.html#limits_ssm
LONGEST = {"Standard": 4096, "Advanced": 8192}


@on("ssm", "PutParameter", rules="ssm-002")
def put_parameter(call: Call) -> Params:
    """https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html"""
    size, asked = len(call.params.get("Value") or ""), call.params.get("Tier") or "Standard"
    found: Any = ssm_backends[ACCOUNT][call.region]
    former = found.get_parameter(call.params["Name"]) if call.params["Name"] in found._parameters else None
    advanced = "Advanced" in (asked, former.tier if former else "")
    tier = "Advanced" if advanced or (asked == "Intelligent-Tiering" and size > LONGEST["Standard"]) else "Standard"
    if size > LONGEST[tier]:
        upgrade = " To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier."
        told = f"{tier} tier parameters support a maximum parameter value of {LONGEST[tier]} characters."
        raise AwsError("ValidationException", told + (upgrade if tier == "Standard" else ""))
    return {**call.proceed(Tier=tier), "Tier": tier}


def _as_json(parameter: Params) -> None:
    """moto holds the JSON parameters of the ECS AMIs as Python writes them."""
    if parameter["Name"].startswith("/aws/service/ecs/") and parameter["Value"].startswith("{'"):
        parameter["Value"] = json.dumps(ast.literal_eval(parameter["Value"]))


@on("ssm", "DescribeParameters")
def describe_parameters(call: Call) -> Params:
    """The account's own parameters: AWS's thousands of public ones are found by their path, and not listed here."""
    if call.params.get("Filters") or call.params.get("ParameterFilters"):
        return call.proceed()
    backend: Any = ssm_backends[ACCOUNT][call.region]
    own = [backend.get_parameter(name) for name in list(backend._parameters) if not name.startswith("/aws/")]
    return {
        "Parameters": [
            {"Name": each.name, "Type": each.parameter_type, "Version": each.version, "Tier": each.tier or "Standard"}
            for each in own
        ]
    }


@on("ssm", "GetParameter", rules="ssm-001")
def get_parameter(call: Call) -> Params:
    """https://docs.aws.amazon.com/AmazonECS/latest/developerguide/retrieve-ecs-optimized_AMI.html"""
    answer = call.proceed()
    _as_json(answer["Parameter"])
    return answer


@on("ssm", "GetParameters", "GetParametersByPath", rules="ssm-001")
def get_parameters(call: Call) -> Params:
    answer = call.proceed()
    for parameter in answer["Parameters"]:
        _as_json(parameter)
    return answer


@bearer
def tagged(world: World, region: str) -> Iterator[tuple[str, Tags]]:
    """Parameters by their tags: there are thousands of public ones, which have none."""
    found: Any = ssm_backends[ACCOUNT].get(region)
    for name, tags in found._resource_tags.get("Parameter", {}).items() if found else ():
        yield f"arn:{partitions.here()}:ssm:{region}:{ACCOUNT}:parameter/{name.lstrip('/')}", tags
