"""Hosts that are asked for by name of their group and at once: they come within seconds, or AWS says why they do not.

Managed scaling, in place of it, looks once a minute, and from no host starts two where two may be.
https://docs.aws.amazon.com/autoscaling/ec2/userguide/launch-instances-synchronously.html
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

import aws
import console
import constants
from aws import call, client, code, token
from console import say
from infrastructure.cluster import auto_scaling_group, instance_types

#: of a quota: no other zone helps
QUOTA = ("VcpuLimitExceeded", "MaxSpotInstanceCountExceeded")
DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
#: with which AWS refuses the call itself: no permission, a group that it is not for, or a partition that does not have it
UNABLE = (*DENIED, "ValidationError", "UnsupportedOperation", "InvalidAction", "UnknownOperation")
BUSY = (*auto_scaling_group.BUSY, "IdempotentCallInProgress")


@dataclass
class Launched:
    """What has become of one wish for hosts."""

    ids: list[str] = field(default_factory=list)
    refusals: list[Any] = field(default_factory=list)  # AWS's, one for each zone and type


def launch(group: Any, subnet_ids: list[str], count: int, about: object, together: bool = False) -> Launched:
    """So many hosts of this group, as it describes itself: zone by zone, in the order of the subnets.

    They are spread over the zones, as the group would; `together`: all in the first zone that has them. The token is made
    of `about`, what they are for: a call whose answer was lost, and another run of the same at the same moment, start no
    second host. For eight hours AWS answers a token as it did before: what has ended since is not told as started.
    """
    found, zones, instances = Launched(), deque(subnet_ids), list[Any]()
    while zones and sum(len(those["InstanceIds"]) for those in instances) < count:
        subnet_id, missing = zones.popleft(), count - sum(len(those["InstanceIds"]) for those in instances)
        asked = missing if together else -(-missing // (len(zones) + 1))
        answer = ask(group, subnet_id, asked, (about, missing))
        instances += answer["Instances"]
        found.refusals += answer["Errors"]
        if of_quota(answer["Errors"]) or (together and instances):
            break
        if sum(len(those["InstanceIds"]) for those in answer["Instances"]) >= asked:
            zones.append(subnet_id)
    over = ended(group) if instances else set()
    for those in instances:
        terms = instance_types.terms(those["InstanceType"], those.get("MarketType", ""))
        told = f"{those['InstanceType']} in {those['AvailabilityZone']}, {terms}, by LaunchInstances"
        for each in [each for each in those["InstanceIds"] if each not in over]:
            say("started", f"host {each}", told)
            found.ids.append(each)
    others = sorted({those["InstanceType"] for those in instances} - {*constants.TYPES})
    if others and not console.dry_run:
        settings = ", ".join(constants.TYPES)
        way = "python create_cluster.py changes that for hosts to come"
        say("warning", f"{', '.join(others)} is what the cluster's hosts are, the settings say {settings}:", way)
    if instances:
        aws.forget(auto_scaling_group.groups)
    return found


def ask(group: Any, subnet_id: str, count: int, about: object, attempt: int = 0) -> Any:
    """One call. A token that had another meaning is given up for another. What may not be done may not in any zone."""
    its_name = group["AutoScalingGroupName"]
    launch_instances = call(
        client("autoscaling").launch_instances, f"Auto Scaling group {its_name}", of=group, busy=BUSY
    )
    its_token = token(group["AutoScalingGroupARN"], subnet_id, count, about, attempt)
    where: Any = {"SubnetIds": [subnet_id], "RetryStrategy": "none"}
    try:
        answer = launch_instances(
            AutoScalingGroupName=its_name, RequestedCapacity=count, ClientToken=its_token, **where
        )
    except ClientError as error:
        if code(error) != "IdempotentParameterMismatch" or attempt:
            raise
        return ask(group, subnet_id, count, about, attempt + 1)
    for each in [each for each in answer["Errors"] if each["ErrorCode"] in DENIED]:
        told: Any = {"Error": {"Code": each["ErrorCode"], "Message": each.get("ErrorMessage", "")}}
        raise ClientError(told, "LaunchInstances")
    return answer


def ended(group: Any) -> set[str]:
    """The hosts whose end the group tells."""
    found = auto_scaling_group.activities(group["AutoScalingGroupName"])
    texts = [each["Description"].partition(": ") for each in found]
    return {host_id for what, _, host_id in texts if what == "Terminating EC2 instance"}


def of_quota(refusals: list[Any]) -> bool:
    return any(each["ErrorCode"] in QUOTA for each in refusals)


def in_words(refusals: list[Any]) -> str:
    """no g5.xlarge: us-east-1a InsufficientInstanceCapacity, us-east-1b InsufficientInstanceCapacity. And what to do."""
    types: dict[str, list[str]] = {}
    for each in refusals:
        why = each["ErrorCode"]
        if why in QUOTA:
            why = f"{why}: {each.get('ErrorMessage', '')}".removesuffix(".")
        kind = each.get("InstanceType") or constants.INSTANCE_TYPE
        types.setdefault(kind, []).append(f"{each.get('AvailabilityZone', 'its zone')} {why}")
    told = "; ".join(f"no {kind}: {', '.join(dict.fromkeys(zones))}" for kind, zones in types.items())
    return f"{told}. {auto_scaling_group.advice('vCPU' if of_quota(refusals) else 'capacity')}" if told else ""


def zones_in_order(group: Any, count: int, together: bool) -> list[str]:
    """The group's subnets: those with the fewest of its hosts first; `together`, those with the most.

    Of Spot, those where AWS sees the best chance.
    """
    subnet_ids: list[str] = group["VPCZoneIdentifier"].split(",")
    if len(subnet_ids) == 1:
        return subnet_ids
    hosts = [each["AvailabilityZone"] for each in group["Instances"]]
    subnets = {each["SubnetId"]: each for each in client("ec2").describe_subnets(SubnetIds=subnet_ids)["Subnets"]}
    spot = auto_scaling_group.is_on_spot(group)
    scores = spot_scores(count) if spot and not (together and hosts) else {}

    def rank(subnet_id: str) -> tuple[int, int]:
        subnet = subnets[subnet_id]
        crowd = hosts.count(subnet["AvailabilityZone"])
        return -scores.get(subnet["AvailabilityZoneId"], 0), -crowd if together else crowd

    return sorted(subnet_ids, key=rank)


def spot_scores(count: int) -> dict[str, int]:
    """Zone id -> 1 to 10; {} where AWS does not tell it, or the credentials may not ask.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-placement-score.html
    """

    def read() -> dict[str, int]:
        found = client("ec2").get_spot_placement_scores(
            InstanceTypes=constants.TYPES,
            TargetCapacity=count,
            SingleAvailabilityZone=True,
            RegionNames=[aws.region()],
        )
        return {each["AvailabilityZoneId"]: each["Score"] for each in found["SpotPlacementScores"]}

    return aws.at_best(read)[0] or {}


def protect(group: Any) -> None:
    """ECS ends its hosts itself, and protects them from scale-in by the group. Whether LaunchInstances does what the group
    says, no page of AWS tells: it is looked at."""
    bare = [
        host["InstanceId"]
        for host in group["Instances"]
        if host["LifecycleState"] == "InService" and not host["ProtectedFromScaleIn"]
    ]
    if bare and group["NewInstancesProtectedFromScaleIn"]:
        protect_them = call(client("autoscaling").set_instance_protection, of=group, gone="ValidationError")
        protect_them(
            AutoScalingGroupName=group["AutoScalingGroupName"], InstanceIds=bare[:50], ProtectedFromScaleIn=True
        )
