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
from emulator.core.rules import Call, Params, on
from emulator.core.tags import Tags, bearer
from emulator.core.world import ACCOUNT, World

rules.SENTENCES.update(
    {
        "ssm-001": "AWS's own parameters name the ECS AMIs, as JSON and one value each; a wrong path is "
        "ParameterNotFound.",
    }
)


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
