"""China, GovCloud and all other Regions are partitions: each with accounts, ARNs and a domain of its own.

https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html
"""

from __future__ import annotations

import functools

from botocore.session import Session
from moto.utilities.utils import get_partition

from emulator.core.rules import SENTENCES, AwsError, Call, held

SENTENCES["partition-001"] = (
    "An account is of one partition, and its keys are of no use in another: what it made first says which it is."
)
held("partition-001", "every call")

#: the partition -> the services that it does not have, of those that are emulated: as botocore 1.44 lists them
LACKING = {"aws-cn": ("codeconnections", "codestar-connections"), "aws-us-gov": ("pricing",)}
#: where global services are asked for, and what they made is
HOME = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
#: the partition of the call that is being answered: there is one emulated account at a time in a process
_now = ["aws"]


def here() -> str:
    """The partition of the account."""
    return _now[0]


def home() -> str:
    return HOME[here()]


def enter(call: Call) -> None:
    """Answer this call where its Region is; the account's first change says where the account is."""
    asked = get_partition(call.region)
    if call.world.partition not in ("", asked):
        raise AwsError("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
    _now[0] = asked
    if not call.reads:
        call.world.partition = asked


def lacks(service: str, region: str) -> bool:
    return service in LACKING.get(get_partition(region), ())


@functools.cache
def domain(region: str) -> str:
    """How host names end there."""
    resolver = Session().get_component("endpoint_resolver")
    return str(resolver.get_partition_dns_suffix(get_partition(region)))
