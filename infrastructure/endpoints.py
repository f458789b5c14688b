"""Which endpoints a cluster has, by the tags of what was made for them; no list of them is kept anywhere.

Their repositories, which may outlive them, do not count.
"""

import aws
import constants
from aws import Problem, Resource, client, every, tags_of
from infrastructure import parts
from infrastructure.cluster import security_groups
from infrastructure.service import access_points, dns_record


@aws.look
def tagged() -> list[Resource]:
    """Everything that bears our tag, whatever it is, as far as the Resource Groups Tagging API knows it.

    It lists no roles and no Auto Scaling groups, new things late, and what is gone for some minutes more: so it tells
    where to look, and never that nothing is there.
    https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
    """
    filters = [{"Key": constants.CLUSTER_TAG, "Values": [constants.CLUSTER_NAME]}]
    pages = client("resourcegroupstaggingapi").get_paginator("get_resources").paginate(TagFilters=filters)  # type: ignore[arg-type]
    return [
        Resource(arn, arn, tags_of(each))
        for each in every(pages, "ResourceTagMappingList")
        for arn in [each["ResourceARN"]]
    ]


def names() -> list[str]:
    """Every endpoint of which there may be something: by tags, and by the files that are here."""
    bearers = [tags_of(each) for each in (*security_groups.all_groups(), *access_points.all_points())]
    found = {tags.get(constants.ENDPOINT_TAG, "") for tags in [*bearers, *(each.tags for each in tagged())]}
    return sorted((found | {path.stem for path in constants.ENDPOINTS.glob("*.env")}) - {""})


def left_over() -> dict[str, list[Resource]]:
    """Endpoint -> what stands of it, as each service's own Describe shows it. Records go with the cluster all the same.

    Also where SHARED_CLUSTER was forgotten, or where an endpoint's file is gone or wrong.
    """
    found, of_endpoint = {}, tuple(part for part in parts.OF_ENDPOINT if part is not dns_record)
    for endpoint in names():
        with constants.of(ENDPOINT=endpoint, SHARED_CLUSTER="true"):
            constants.PROBLEMS.clear()  # whoever runs its own pages is told
            found[endpoint] = parts.left_over(of_endpoint) if endpoint == constants.ENDPOINT else []
    return {endpoint: left for endpoint, left in found.items() if left}


def refuse_left() -> list[Resource]:
    """A cluster from which something still answers is not taken away under it. What outlives an endpoint is told."""
    left = left_over()
    stands = {endpoint: [each.what for each in found if not each.kept] for endpoint, found in left.items()}
    told = [f"  {endpoint}: {', '.join(found)}" for endpoint, found in stands.items() if found]
    if told:
        commands = [f"  ENDPOINT={endpoint} python delete_endpoint.py" for endpoint, found in stands.items() if found]
        first = f"the cluster {constants.CLUSTER_NAME} still has endpoints:"
        last = "or all at once, with their images: python delete_cluster.py --everything"
        raise Problem("\n".join([first, *told, "delete them first:", *commands, last]))
    return [each for found in left.values() for each in found]
