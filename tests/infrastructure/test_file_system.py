"""The file system: encrypted, with an access point for each volume, owned by the container's user."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.core.faults import Fault
from tests.conftest import Runbook
from tests.examples.test_endpoints import small
from tests.standing import standing

__all__ = ["small"]  # a fixture


def system(runbook: Runbook) -> Any:
    [found] = runbook.aws("efs").describe_file_systems()["FileSystems"]
    return found


def points(runbook: Runbook) -> dict[str, Any]:
    found = runbook.aws("efs").describe_access_points()["AccessPoints"]
    return {point["RootDirectory"]["Path"]: point for point in found}


def test_it_is_encrypted_and_elastic(runbook: Runbook) -> None:
    found = system(runbook.has_run("create_cluster.py"))
    assert found["Encrypted"]
    assert (found["PerformanceMode"], found["ThroughputMode"]) == ("generalPurpose", "elastic")


def test_modes_are_those_that_were_asked_for(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", EFS_PERFORMANCE_MODE="maxIO", EFS_THROUGHPUT_MODE="bursting")
    found = system(runbook)
    assert (found["PerformanceMode"], found["ThroughputMode"]) == ("maxIO", "bursting")


def test_each_volume_has_a_directory_owned_by_the_containers_user(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", EFS_VOLUMES="weights:/w:ro,assets:/a", EFS_UID="1000", EFS_GID="1001")
    found = points(runbook)
    assert sorted(found) == ["/assets", "/weights"]
    for point in found.values():
        assert (point["PosixUser"]["Uid"], point["PosixUser"]["Gid"]) == (1000, 1001)
        owner = point["RootDirectory"]["CreationInfo"]
        assert (owner["OwnerUid"], owner["OwnerGid"], owner["Permissions"]) == (1000, 1001, "755")


def test_file_system_and_access_points_bear_our_tags(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", EXTRA_TAGS="team=ml")
    for item in (system(runbook), *points(runbook).values()):
        assert {"Key": "team", "Value": "ml"} in item["Tags"]
        assert {"Key": "gpu-ecs-cluster", "Value": "gpu"} in item["Tags"]


def test_an_adopted_file_system_is_used_and_none_is_made(runbook: Runbook) -> None:
    efs = runbook.aws("efs")
    system_id = efs.create_file_system(CreationToken="theirs", Encrypted=True)["FileSystemId"]
    runbook.settle(60)
    runbook.settings["FILE_SYSTEM_ID"] = system_id
    ran = runbook.has_run("create_cluster.py", "register_task_definition.py").run("run_task.py")
    assert ran.code == 0, ran.err
    assert system(runbook)["FileSystemId"] == system_id
    definition = runbook.aws("ecs").describe_task_definition(taskDefinition="gpu")["taskDefinition"]
    assert definition["volumes"][0]["efsVolumeConfiguration"]["fileSystemId"] == system_id


def test_a_task_right_after_create_can_mount(fargate: Runbook) -> None:
    """Mount targets are waited for, and their DNS names are given their time."""
    ran = fargate.has_run("create_cluster.py", "register_task_definition.py").run("run_task.py")
    assert (ran.code, ran.result["tasks"][0]["lastStatus"]) == (0, "RUNNING")


def test_a_file_system_that_another_run_made_at_the_same_moment_is_found(runbook: Runbook) -> None:
    runbook.emulator.faults.planned.append(Fault("CreateFileSystem", "cut", when="after"))
    runbook.has_run("create_cluster.py")
    assert system(runbook)["NumberOfMountTargets"] == 1


def test_a_lost_answer_makes_no_second_access_point(runbook: Runbook) -> None:
    runbook.emulator.faults.planned.append(Fault("CreateAccessPoint", "cut", when="after"))
    runbook.has_run("create_cluster.py")
    assert list(points(runbook)) == ["/data"]


@pytest.mark.parametrize("volumes", ["", "data:/data"])
def test_mount_targets_are_only_made_where_there_are_volumes(runbook: Runbook, volumes: str) -> None:
    runbook.has_run("create_cluster.py", EFS_VOLUMES=volumes)
    calls = [operation for _, operation, _ in runbook.emulator.calls]
    assert ("CreateMountTarget" in calls) == bool(volumes)


def test_a_file_system_that_is_being_deleted_is_not_found_but_made_anew(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", EFS_VOLUMES="data:/data")
    runbook.has_run("delete_cluster.py --yes", EFS_DELETION_POLICY="Retain")
    system_id = system(runbook)["FileSystemId"]
    runbook.aws("efs").delete_file_system(FileSystemId=system_id)
    runbook.has_run("create_cluster.py")
    assert system(runbook)["FileSystemId"] != system_id


def test_a_file_system_of_somebody_else_is_refused_before_anything_is_made(runbook: Runbook) -> None:
    theirs = runbook.aws("efs").create_file_system(CreationToken="gpu-file-system", ThroughputMode="bursting")
    runbook.settle(60)
    before = runbook.account()
    ran = runbook.run("create_cluster.py")
    assert ran.code == 1
    assert f"{theirs['FileSystemId']} (gpu-file-system) exists already, and does not bear the tag" in ran.err
    runbook.has_run("delete_cluster.py --yes")
    assert runbook.account() == before


def test_kept_file_systems_are_listed_with_what_they_cost_and_all_else_without(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    modules = ("cluster.file_system", "cluster.mount_targets", "service.access_points")
    [found, target, point] = standing(runbook, *modules, EFS_DELETION_POLICY="Retain").values()
    [shown] = points(runbook).values()
    assert (found["arn"], found["part"]) == (system(runbook)["FileSystemArn"], "file-system")
    assert (point["arn"], point["part"]) == (shown["AccessPointArn"], "volume-data")
    assert "still billed" in found["kept"] and "EFS_DELETION_POLICY=Delete python delete_cluster.py" in found["kept"]
    assert point["kept"] and not target["kept"]
    assert not any(each["kept"] for each in standing(runbook, *modules, EFS_DELETION_POLICY="Delete").values())


def test_of_an_adopted_file_system_the_access_points_go_and_its_own_mount_target_stays(runbook: Runbook) -> None:
    efs, ec2 = runbook.aws("efs"), runbook.aws("ec2")
    system_id = efs.create_file_system(CreationToken="theirs", Encrypted=True)["FileSystemId"]
    runbook.settle(60)
    vpc = next(each for each in ec2.describe_vpcs()["Vpcs"] if each["IsDefault"])
    subnet = next(each for each in ec2.describe_subnets()["Subnets"] if each["VpcId"] == vpc["VpcId"])
    runbook.settings |= {"FILE_SYSTEM_ID": system_id, "VPC_ID": vpc["VpcId"], "SUBNET_IDS": subnet["SubnetId"]}
    efs.create_mount_target(FileSystemId=system_id, SubnetId=subnet["SubnetId"])
    efs.create_access_point(FileSystemId=system_id, RootDirectory={"Path": "/theirs"})
    runbook.settle()
    before = runbook.account()
    runbook.has_run("create_cluster.py")
    assert sorted(points(runbook)) == ["/data", "/theirs"]
    ran = runbook.run("delete_cluster.py", "--yes")
    assert (ran.code, f"its data stays, in /data of {system_id}" in ran.err) == (0, True), ran.err
    runbook.settle(60)
    assert runbook.account() == before


# ------------------------------------------------------------------------------------------- a file system each, shared


def policies(runbook: Runbook) -> set[tuple[Any, ...]]:
    """Throughput mode, lifecycle and backup of each file system."""
    efs = runbook.aws("efs")
    found = set()
    for each in efs.describe_file_systems()["FileSystems"]:
        given = {"FileSystemId": each["FileSystemId"]}
        rules = efs.describe_lifecycle_configuration(**given)["LifecyclePolicies"]
        backup = efs.describe_backup_policy(**given)["BackupPolicy"]["Status"]
        assert each["Encrypted"]
        found.add((each["ThroughputMode"], *(rule["TransitionToIA"] for rule in rules), backup))
    return found


def test_a_file_system_for_each_volume_with_policies_that_follow_the_settings(endpoints: Runbook) -> None:
    endpoints.has_run("create_cluster.py")
    names = [each["Name"] for each in endpoints.aws("efs").describe_file_systems()["FileSystems"]]
    assert sorted(names) == ["ml-file-system-assets", "ml-file-system-weights"]
    assert policies(endpoints) == {("bursting", "AFTER_90_DAYS", "ENABLED")}
    begun = len(endpoints.emulator.calls)
    endpoints.has_run("create_cluster.py")
    assert endpoints.changes(begun) == []
    ran = endpoints.run("create_cluster.py", EFS_INFREQUENT_ACCESS_DAYS="", EFS_BACKUP="disabled")
    assert ran.err.count("Infrequent Access: never") == ran.err.count("daily backups disabled") == 2
    assert policies(endpoints) in ({("bursting", "DISABLED")}, {("bursting", "DISABLING")})
    endpoints.settle()
    endpoints.has_run("create_cluster.py", EFS_INFREQUENT_ACCESS_DAYS="1")
    endpoints.settle()
    assert policies(endpoints) == {("bursting", "AFTER_1_DAY", "ENABLED")}
    before = endpoints.account()
    ran = endpoints.run("create_cluster.py", EFS_FILE_SYSTEMS="one")
    assert (ran.code, endpoints.account()) == (1, before), "the data would stay behind"


def test_two_endpoints_have_directories_of_their_own_on_the_shared_file_systems(small: Runbook) -> None:
    assert small.run("create_cluster.py").result["accessPoints"] == {}
    for endpoint in "ab":
        small.has_run("register_task_definition.py", ENDPOINT=endpoint, EFS_UID={"a": "1000", "b": "2000"}[endpoint])
    assert sorted(points(small)) == ["/a/assets", "/a/weights", "/b/assets", "/b/weights"]
    assert {path: point["PosixUser"]["Uid"] for path, point in points(small).items() if "assets" in path} == {
        "/a/assets": 1000,
        "/b/assets": 2000,
    }
    for volume in ("assets", "weights"):
        assert len({points(small)[f"/{endpoint}/{volume}"]["FileSystemId"] for endpoint in "ab"}) == 1
    assert len({point["FileSystemId"] for point in points(small).values()}) == 2
    begun = len(small.emulator.calls)
    ran = small.run("register_task_definition.py", ENDPOINT="a", EFS_UID="3000")
    assert (ran.code, small.changes(begun)) == (1, [])
    assert "EFS_UID, EFS_GID: 3000:0, but access point" in ran.err
    small.has_run("deregister_task_definition.py", ENDPOINT="b")
    small.settle(60)
    assert sorted(points(small)) == ["/a/assets", "/a/weights"]
