"""Which endpoints a cluster has, by the tags of what was made for them; no list of them is kept anywhere.

Their repositories, which may outlive them, do not count. However many there are, AWS is asked for all of them at once.
"""

import re
from types import ModuleType
from typing import Any

import aws
import constants
from aws import Problem, Resource, client, every, tags_of
from infrastructure import parts
from infrastructure.cluster import cluster, log_groups, roles, security_groups, tag_index
from infrastructure.cluster.regions import offered
from infrastructure.delivery import artifact_bucket, build_logs, build_project, pipeline, repository
from infrastructure.service import (
    access_points,
    dns_record,
    listener_rule,
    log_group,
    scaling,
    service,
    target_group,
    task_definitions,
    task_roles,
    task_security_group,
    tasks,
)
from infrastructure.weights import copies, schedule, sync, transfer_bucket

#: parts whose looks see those of all endpoints at once
SEEN_AT_ONCE = (access_points, task_security_group, target_group, listener_rule, service)


def names() -> list[str]:
    """Every endpoint of which there may be something: by tags, and by the files that are here."""
    bearers = [tags_of(each) for each in (*security_groups.all_groups(), *access_points.all_points())]
    found = {tags.get(constants.ENDPOINT_TAG, "") for tags in [*bearers, *(each.tags for each in tag_index.tagged())]}
    return sorted((found | {path.stem for path in constants.ENDPOINTS.glob("*.env")}) - {""})


def left_over() -> dict[str, list[Resource]]:
    """Endpoint -> what stands of it, as each service's own Describe shows it. Records go with the cluster all the same.

    Of one that serves, what is seen of all at once is enough. Also where SHARED_CLUSTER was forgotten, or where an
    endpoint's file is gone or wrong.
    """
    found: dict[str, list[Resource]] = {}
    for endpoint in names():
        with constants.of(ENDPOINT=endpoint, SHARED_CLUSTER="true"):
            constants.PROBLEMS.clear()  # whoever runs its own pages is told
            if endpoint == constants.ENDPOINT:
                found[endpoint] = parts.left_over(SEEN_AT_ONCE) or parts.left_over(of_a_name_that_is_listed())
    return {endpoint: left for endpoint, left in found.items() if left}


def of_a_name_that_is_listed() -> tuple[ModuleType, ...]:
    """The parts of which there may be something of this endpoint: AWS lists a name as they make it."""
    own, family = plain(constants.PREFIX), plain(constants.TASK_FAMILY)
    found = {
        part
        for parts, listed in names_by_parts()
        for part in parts
        if any(own in each or family == each for each in listed)
    }
    if task_definitions.former_families():
        found.add(task_definitions)
    return tuple(part for part in parts.OF_ENDPOINT if part in found and part is not dns_record)


def plain(name: str) -> str:
    """Some services take small letters only, and no two hyphens in a row."""
    return re.sub("-+", "-", name.lower())


#: service, operation, where its answer has the list and there the name, parameters, and the parts that make such names
List = tuple[Any, str, str, str, dict[str, Any], tuple[ModuleType, ...]]


def lists() -> list[List]:
    """With which calls many names are listed at once."""
    kinds = [f"{kind}/{constants.CLUSTER_NAME}" for kind in log_groups.ALL]
    logs = (log_group, build_logs)
    return [
        *(
            ("logs", "describe_log_groups", "logGroups", "logGroupName", {"logGroupNamePrefix": each}, logs)
            for each in kinds
        ),
        (
            "ecs",
            "list_task_definition_families",
            "families",
            "",
            {"status": "ACTIVE"},
            (task_definitions, sync, copies),
        ),
        ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName", {"AlarmNamePrefix": aws.name("")}, (scaling,)),
        ("ecr", "describe_repositories", "repositories", "repositoryName", {}, (repository,)),
        ("s3", "list_buckets", "Buckets", "Name", {}, (artifact_bucket, transfer_bucket)),
        ("codebuild", "list_projects", "projects", "", {}, (build_project,)),
        ("codepipeline", "list_pipelines", "pipelines", "name", {}, (pipeline,)),
        ("scheduler", "list_schedule_groups", "ScheduleGroups", "Name", {}, (schedule,)),
    ]


def listed(one: List) -> list[str]:
    service_name, operation, key, name, parameters, _ = one
    pages = client(service_name).get_paginator(operation).paginate(**parameters) if offered(service_name) else []
    return [plain(each[name] if name else each) for each in every(pages, key)]


@aws.shared_look
def names_by_parts() -> list[tuple[tuple[ModuleType, ...], list[str]]]:
    """What there is in the account by its names, and the parts that make such names."""
    asked = lists()
    found = [(each[-1], names) for each, names in zip(asked, aws.side_by_side(listed, asked), strict=True)]
    started = [plain(task.get("startedBy", "")) for task in (tasks.find() if cluster.of_ours() else [])]
    own_role = (task_roles, build_project, pipeline, sync, schedule, copies)
    return [*found, ((tasks,), started), (own_role, list(map(plain, roles.names())))]


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
