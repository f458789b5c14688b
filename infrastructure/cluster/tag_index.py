"""What bears our tag, as AWS's two indexes of tags know it: few calls for all of it, and where to look for the rest.

Neither tells that nothing is there: what is new is in them late, what is gone for a while more. So they say where each
service's own Describe is to be asked.
"""

import aws
import constants
from aws import Resource, client, every, tags_of


@aws.shared_look
def tagged() -> list[Resource]:
    """Everything, whatever it is, as far as the Resource Groups Tagging API knows it; one or two minutes late.

    It lists no roles and no Auto Scaling groups.
    https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
    """
    filters = [{"Key": constants.CLUSTER_TAG, "Values": [constants.CLUSTER_NAME]}]
    paginator, size = client("resourcegroupstaggingapi").get_paginator("get_resources"), {"PageSize": 100}
    pages = paginator.paginate(TagFilters=filters, PaginationConfig=size)  # type: ignore[arg-type]
    listed = every(pages, "ResourceTagMappingList")
    return [Resource(arn, arn, tags_of(each)) for each in listed for arn in [each["ResourceARN"]]]


def other_clusters() -> list[str]:
    """The other names of clusters that tags in this region bear; those of one that has just gone too, for some minutes."""
    paginator, size = client("resourcegroupstaggingapi").get_paginator("get_resources"), {"PageSize": 100}
    pages = paginator.paginate(TagFilters=[{"Key": constants.CLUSTER_TAG}], PaginationConfig=size)  # type: ignore[arg-type]
    names = {tags_of(each).get(constants.CLUSTER_TAG, "") for each in every(pages, "ResourceTagMappingList")}
    return sorted(names - {constants.CLUSTER_NAME, ""})


def in_ec2() -> set[tuple[str, str]]:
    """Kind and id of everything in EC2, some seconds late, as EC2 is with all that is new; what has ended stays for an hour.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeTags.html
    """
    filters = [
        {"Name": "key", "Values": [constants.CLUSTER_TAG]},
        {"Name": "value", "Values": [constants.CLUSTER_NAME]},
    ]
    listed = every(client("ec2").get_paginator("describe_tags").paginate(Filters=filters), "Tags")  # type: ignore[arg-type]
    return {(each["ResourceType"], each["ResourceId"]) for each in listed}
