"""What has no more than a name in a picture: what AWS's index of tags lists, which is a minute or two late, and roles.

What has ended may stay in the index for a while: so of each kind that is seen in another way nothing is taken from it.
"""

import aws
import constants
from infrastructure.cluster import roles, tag_index
from infrastructure.delivery import build_project, pipeline
from infrastructure.picture import seen, words
from infrastructure.picture.layout import Box
from infrastructure.service import task_roles
from infrastructure.weights import copies, schedule, sync

#: kinds of ARNs that are drawn as they are seen now, or with what they belong to
SEEN = (
    *("cluster", "service", "task", "container-instance", "loadbalancer", "listener", "listener-rule", "targetgroup"),
    *("file-system", "volume", "instance", "network-interface", "vpc", "subnet", "natgateway"),
    "spot-instances-request",
)


def in_vpc() -> list[Box]:
    """Security groups, route tables and the like, as EC2 lists them by their tags. Rules go with their group, but where
    endpoints have their own."""
    left_out = SEEN if constants.SHARED_CLUSTER else (*SEEN, "security-group-rule")
    found = [(kind, its_id) for kind, its_id in seen.in_ec2() if kind not in (*left_out, "launch-template")]
    return boxes({aws.arn("ec2", f"{kind}/{its_id}") for kind, its_id in found})


def others(*services: str) -> list[Box]:
    """Of these services, or of all, but what is in a VPC."""
    found = {each.arn for each in tag_index.tagged()} | {*role_arns()}
    in_ec2 = {aws.arn("ec2", f"{kind}/{its_id}") for kind, its_id in seen.in_ec2() if kind == "launch-template"}
    found = {arn for arn in found if words.service_of(arn) != "ec2"} | in_ec2
    return boxes({arn for arn in found if not services or words.service_of(arn) in services})


def boxes(arns: set[str]) -> list[Box]:
    """One line for each: sorted by what it is, then by the Name that it bears, since most ids differ from run to run."""
    names = {each.arn: words.name_of(each.tags) for each in tag_index.tagged()}
    shown = [arn for arn in arns if words.kind_of(arn) not in SEEN]
    ordered = sorted(
        shown, key=lambda arn: (words.what(arn).partition(" ")[0], words.kind_of(arn), names.get(arn, ""), arn)
    )
    return [Box("item", words.what(arn, names.get(arn, "")), arn, wrong=seen.wrong_with(arn)) for arn in ordered]


def role_arns() -> list[str]:
    """Those that have the names of ours, of the cluster and of each endpoint that the index knows; and the hosts' profile."""
    endpoints = sorted({each.tags.get(constants.ENDPOINT_TAG, "") for each in tag_index.tagged()} | {""})
    suffixes = [*task_roles.SUFFIXES, *(part.ROLE for part in (build_project, pipeline, sync, schedule, copies))]
    names = [f"{aws.name(suffix)}-{aws.region()}" for suffix in roles.OF_CLUSTER]
    for endpoint in endpoints:
        prefix = aws.name(endpoint) if endpoint else constants.CLUSTER_NAME
        names += [f"{prefix}-{suffix}-{aws.region()}" for suffix in suffixes]
    found = [seen.role_arns()[each] for each in names if each in seen.role_arns()]
    return [*found, *seen.profiles()]
