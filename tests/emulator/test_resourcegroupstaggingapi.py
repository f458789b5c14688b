"""The index of tags, and tagging by ARN."""

from __future__ import annotations

from typing import Any

from emulator.core.wire import Emulator
from tests.emulator.common import Client, refused, role, sleep


def arns(client: Client, **filters: Any) -> list[str]:
    found = client("resourcegroupstaggingapi").get_resources(**filters)["ResourceTagMappingList"]
    return [one["ResourceARN"] for one in found]


def test_the_index_of_tags_is_late_both_ways(emulator: Emulator, client: Client) -> None:
    efs = client("efs")
    wanted = {"TagFilters": [{"Key": "Project", "Values": ["x"]}]}
    made = efs.create_file_system(CreationToken="t", Tags=[{"Key": "Project", "Value": "x"}])
    sleep(emulator, 30)
    assert arns(client, **wanted) == []
    sleep(emulator, 120)
    assert arns(client, **wanted) == [made["FileSystemArn"]]
    assert arns(client, ResourceTypeFilters=["elasticfilesystem:file-system"]) == [made["FileSystemArn"]]
    assert arns(client, ResourceTypeFilters=["ec2:vpc"]) == []
    efs.untag_resource(ResourceId=made["FileSystemId"], TagKeys=["Project"])
    sleep(emulator, 130)
    assert arns(client, **wanted) == []
    assert arns(client) == [made["FileSystemArn"]]
    efs.delete_file_system(FileSystemId=made["FileSystemId"])
    sleep(emulator, 15)
    assert arns(client) == [made["FileSystemArn"]]
    sleep(emulator, 130)
    assert arns(client) == []


def test_the_index_of_tags_leaves_out_roles_and_comes_in_pages(emulator: Emulator, client: Client) -> None:
    role(emulator, client, "ecs-tasks.amazonaws.com")
    client("iam").tag_role(RoleName="builder", Tags=[{"Key": "Project", "Value": "x"}])
    for n in range(3):
        client("efs").create_file_system(CreationToken=str(n), Tags=[{"Key": "Project", "Value": "x"}])
    sleep(emulator, 130)
    tagging = client("resourcegroupstaggingapi")
    pages = list(tagging.get_paginator("get_resources").paginate(ResourcesPerPage=2))
    assert [len(page["ResourceTagMappingList"]) for page in pages] == [2, 1]
    assert tagging.get_tag_values(Key="Project")["TagValues"] == ["x"]
    token = pages[0]["PaginationToken"]
    sleep(emulator, 901)
    expired = refused(tagging.get_resources, ResourcesPerPage=2, PaginationToken=token)
    assert expired == "PaginationTokenExpiredException"


def test_what_can_not_be_tagged_is_told_with_success(emulator: Emulator, client: Client) -> None:
    made = client("efs").create_file_system(CreationToken="t")
    missing = made["FileSystemArn"].replace("/fs-", "/fs-0")
    answer = client("resourcegroupstaggingapi").tag_resources(
        ResourceARNList=[made["FileSystemArn"], missing], Tags={"k": "v"}
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200 and list(answer["FailedResourcesMap"]) == [missing]
    assert client("efs").list_tags_for_resource(ResourceId=made["FileSystemId"])["Tags"] == [{"Key": "k", "Value": "v"}]
