"""Which endpoints a cluster has, by the tags of what was made for them; no list of them is kept anywhere.

Their repositories, which may outlive them, do not count.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import constants
from aws import Problem, account, client, missing, ours, partition, region, tag_filters
from infrastructure.cluster import cluster, file_system
from infrastructure.delivery import repository


def mine(tags: list[dict[str, str]]) -> bool:
    """Whether tags, as any service spells them, are those of this endpoint; without endpoints of this cluster."""
    return ours(tags) and words_of(tags).get(constants.ENDPOINT_TAG, "") == constants.ENDPOINT


def words_of(tags: list[dict[str, str]]) -> dict[str, str]:
    return {(tag.get("Key") or tag.get("key", "")): (tag.get("Value") or tag.get("value", "")) for tag in tags}


def find() -> dict[str, list[str]]:
    """Endpoint -> what there is of it."""
    found: dict[str, list[str]] = defaultdict(list)
    parts = (groups, services, access_points, log_groups, target_groups, pipelines, schedules, roles, buckets)
    for tags, what in [each for part in parts for each in part()]:
        endpoint = words_of(tags).get(constants.ENDPOINT_TAG)
        if ours(tags) and endpoint:
            found[endpoint].append(what)
    return dict(sorted(found.items()))


def refuse_left() -> None:
    """A cluster from which something still answers is not taken away under it."""
    left = find()
    if left:
        told = "\n".join(f"  {endpoint}: {', '.join(parts)}" for endpoint, parts in left.items())
        commands = "\n".join(f"  ENDPOINT={endpoint} python delete_endpoint.py" for endpoint in left)
        raise Problem(
            f"the cluster {constants.CLUSTER_NAME} still has endpoints:\n{told}\ndelete them first:\n{commands}\n"
            "or all at once, with their images: python delete_cluster.py --everything"
        )


Tagged = Iterator[tuple[list[dict[str, str]], str]]


def groups() -> Tagged:
    filters = [*tag_filters(), {"Name": "tag-key", "Values": [constants.ENDPOINT_TAG]}]
    for group in client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]:
        yield group["Tags"], f"security group {group['GroupId']}"


def services() -> Tagged:
    ecs = client("ecs")
    pages = ecs.get_paginator("list_services").paginate(cluster=constants.CLUSTER_NAME) if cluster.find() else []
    for arn in [arn for page in pages for arn in page["serviceArns"]]:
        for service in ecs.describe_services(cluster=constants.CLUSTER_NAME, services=[arn], include=["TAGS"])[
            "services"
        ]:
            if service["status"] == "ACTIVE":
                yield service.get("tags", []), f"service {service['serviceName']}"


def access_points() -> Tagged:
    efs = client("efs")
    for file_system_id in file_system.ids():
        for page in efs.get_paginator("describe_access_points").paginate(FileSystemId=file_system_id):
            for point in page["AccessPoints"]:
                if point["LifeCycleState"] in ("creating", "available"):
                    yield point["Tags"], f"access point {point['AccessPointId']}"


def log_groups() -> Tagged:
    logs = client("logs")
    prefixes = ("/ecs", "/aws/codebuild", "/aws/codepipeline") if constants.SHARED_CLUSTER else ("/ecs",)
    paginator = logs.get_paginator("describe_log_groups")
    pages = [
        page for each in prefixes for page in paginator.paginate(logGroupNamePrefix=f"{each}/{constants.CLUSTER_NAME}-")
    ]
    for name in [group["logGroupName"] for page in pages for group in page["logGroups"]]:
        arn = f"arn:{partition()}:logs:{region()}:{account()}:log-group:{name}"
        yield listed(logs.list_tags_for_resource(resourceArn=arn)["tags"]), f"log group {name}"


def pipelines() -> Tagged:
    codepipeline = client("codepipeline")
    pages: Any = codepipeline.get_paginator("list_pipelines").paginate() if constants.SHARED_CLUSTER else []
    for name in [pipeline["name"] for page in pages for pipeline in page["pipelines"]]:
        if name.startswith(f"{constants.CLUSTER_NAME}-"):
            arn = f"arn:{partition()}:codepipeline:{region()}:{account()}:{name}"
            yield codepipeline.list_tags_for_resource(resourceArn=arn)["tags"], f"pipeline {name}"


def schedules() -> Tagged:
    scheduler = client("scheduler")
    paginator = scheduler.get_paginator("list_schedule_groups")
    pages: Any = paginator.paginate(NamePrefix=f"{constants.CLUSTER_NAME}-") if constants.SHARED_CLUSTER else []
    for group in [group for page in pages for group in page["ScheduleGroups"]]:
        if group["State"] == "ACTIVE":
            tags = scheduler.list_tags_for_resource(ResourceArn=group["Arn"])["Tags"]
            yield tags, f"schedule group {group['Name']}"


def target_groups() -> Tagged:
    elb = client("elbv2")
    pages = elb.get_paginator("describe_target_groups").paginate()
    for group in [group for page in pages for group in page["TargetGroups"]]:
        if group["TargetGroupName"].startswith(f"{constants.CLUSTER_NAME}-"):
            [found] = elb.describe_tags(ResourceArns=[group["TargetGroupArn"]])["TagDescriptions"]
            yield found["Tags"], f"target group {group['TargetGroupName']}"


def roles() -> Tagged:
    iam = client("iam")
    pages: Any = iam.get_paginator("list_roles").paginate() if constants.SHARED_CLUSTER else []
    for name in [role["RoleName"] for page in pages for role in page["Roles"]]:
        if name.startswith(f"{constants.CLUSTER_NAME}-") and name.endswith(f"-{region()}"):
            yield iam.list_role_tags(RoleName=name)["Tags"], f"role {name}"


def buckets() -> Tagged:
    s3 = client("s3")
    for bucket in s3.list_buckets()["Buckets"] if constants.SHARED_CLUSTER else []:
        if bucket["Name"].startswith(f"{constants.CLUSTER_NAME}-".lower()) and bucket["Name"].endswith(f"-{region()}"):
            found = missing(lambda: s3.get_bucket_tagging(Bucket=bucket["Name"]), "NoSuchTagSet", "NoSuchBucket")
            yield (found or {}).get("TagSet", []), f"bucket {bucket['Name']}"


def repositories() -> dict[str, str]:
    """Endpoint -> its repository, which outlives it while it holds images."""
    ecr = client("ecr")
    pages: Any = ecr.get_paginator("describe_repositories").paginate() if constants.SHARED_CLUSTER else []
    found: dict[str, str] = {}
    for each in [each for page in pages for each in page["repositories"]]:
        if each["repositoryName"].startswith(f"{constants.CLUSTER_NAME}-".lower()):
            tags = ecr.list_tags_for_resource(resourceArn=each["repositoryArn"])["tags"]
            if ours(tags) and constants.ENDPOINT_TAG in words_of(tags):
                found[words_of(tags)[constants.ENDPOINT_TAG]] = each["repositoryName"]
    return dict(sorted(found.items()))


def repositories_kept() -> list[str]:
    """Each with what it holds and costs."""

    def held(name: str) -> str:
        pages = client("ecr").get_paginator("describe_images").paginate(repositoryName=name)
        images = [image for page in pages for image in page["imageDetails"]]
        return repository.in_words(images) if images else "empty"

    return [f"repository {name}, {held(name)}" for name in repositories().values()]


def listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
