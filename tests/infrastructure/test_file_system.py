"""The file system: encrypted, with an access point for each volume, owned by the container's user."""

from __future__ import annotations

import json
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


# --------------------------------------------------------------------------------------------------------- who may mount


def policy(runbook: Runbook, system_id: str) -> Any:
    return json.loads(runbook.aws("efs").describe_file_system_policy(FileSystemId=system_id)["Policy"])


def test_no_file_system_of_ours_is_mounted_without_tls_a_mount_target_and_an_access_point(endpoints: Runbook) -> None:
    endpoints.has_run("create_cluster.py")
    for each in endpoints.aws("efs").describe_file_systems()["FileSystems"]:
        statements = policy(endpoints, each["FileSystemId"])["Statement"]
        assert {(one["Effect"], one["Principal"]["AWS"], one["Resource"]) for one in statements} == {
            ("Deny", "*", each["FileSystemArn"])
        }
        keys = {key for one in statements for test in one["Condition"].values() for key in test}
        assert keys == {"aws:SecureTransport", *(f"elasticfilesystem:{key}" for key in ("AccessPointArn", VIA))}
        assert all(len(one["Action"]) == 3 for one in statements)
    begun = len(endpoints.emulator.calls)
    endpoints.has_run("create_cluster.py")
    assert endpoints.changes(begun) == []


VIA = "AccessedViaMountTarget"


def test_the_policy_is_there_before_anybody_can_reach_the_file_system(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    calls = [operation for _, operation, _ in runbook.emulator.calls]
    assert calls.index("PutFileSystemPolicy") < calls.index("CreateMountTarget")


@pytest.mark.parametrize("how", ["deleted", "opened"])
def test_a_policy_that_somebody_changed_is_put_right(runbook: Runbook, how: str) -> None:
    runbook.has_run("create_cluster.py")
    efs, its = runbook.aws("efs"), {"FileSystemId": system(runbook)["FileSystemId"]}
    before = policy(runbook, its["FileSystemId"])
    if how == "deleted":
        efs.delete_file_system_policy(**its)
    else:
        everybody = {"Effect": "Allow", "Principal": "*", "Action": "elasticfilesystem:Client*"}
        opened = {**before, "Statement": [*before["Statement"], everybody]}
        efs.put_file_system_policy(**its, Policy=json.dumps(opened))
    ran = runbook.run("create_cluster.py")
    assert f"updated file system {its['FileSystemId']}  mounted over TLS" in ran.err
    assert policy(runbook, its["FileSystemId"]) == before


def volumes(runbook: Runbook, endpoint: str) -> dict[str, Any]:
    """The efsVolumeConfiguration of each volume of an endpoint's task."""
    found = runbook.aws("ecs").describe_task_definition(taskDefinition=f"ml-{endpoint}")["taskDefinition"]
    return {each["name"]: each["efsVolumeConfiguration"] for each in found["volumes"]}


def ends(runbook: Runbook, endpoint: str, mounted: Any) -> str:
    """How a task with this endpoint's role ends, in its words, that mounts this; "" if it runs."""
    ecs = runbook.aws("ecs")
    present = ecs.describe_task_definition(taskDefinition=f"ml-{endpoint}")["taskDefinition"]
    kept = ("cpu", "memory", "networkMode", "executionRoleArn", "taskRoleArn", "requiresCompatibilities")
    container: Any = {"name": "a", "image": "example.com/ml:v1"}
    container["mountPoints"] = [{"sourceVolume": "a", "containerPath": "/a"}]
    named = {"volumes": [{"name": "a", "efsVolumeConfiguration": mounted}], "family": "tried"}
    made = ecs.register_task_definition(
        containerDefinitions=[container], **named, **{key: present[key] for key in kept}
    )
    [service] = ecs.describe_services(cluster="ml", services=[f"ml-{endpoint}"])["services"]
    request = {"cluster": "ml", "taskDefinition": made["taskDefinition"]["taskDefinitionArn"], "launchType": "FARGATE"}
    [task] = ecs.run_task(**request, networkConfiguration=service["networkConfiguration"])["tasks"]
    runbook.settle(300)
    [found] = ecs.describe_tasks(cluster="ml", tasks=[task["taskArn"]])["tasks"]
    return str(found.get("stoppedReason", ""))


def test_a_container_mounts_by_its_own_access_point_and_in_no_other_way(small: Runbook) -> None:
    for endpoint in "ab":
        small.has_run("register_task_definition.py", "create_service.py", ENDPOINT=endpoint)
    mine, other = volumes(small, "a")["weights"], volumes(small, "b")["weights"]
    assert mine["fileSystemId"] == other["fileSystemId"]
    by_role = {"fileSystemId": mine["fileSystemId"], "transitEncryption": "ENABLED"}
    tried: dict[str, Any] = {
        "its own access point": mine,
        "the other's": other,
        "the root, over TLS and with its role": {**by_role, "authorizationConfig": {"iam": "ENABLED"}},
        "the root, over TLS and as nobody": by_role,
        "the root, in the clear": {"fileSystemId": mine["fileSystemId"]},
        "its own access point, as nobody": {
            **mine,
            "authorizationConfig": {**mine["authorizationConfig"], "iam": "DISABLED"},
        },
    }
    ended = {name: ends(small, "a", each) for name, each in tried.items()}
    assert ended.pop("its own access point") == ""
    assert [name for name, why in ended.items() if "access denied by server while mounting" not in why] == [], ended
    assert ends(small, "b", other) == ""


@pytest.fixture
def theirs(runbook: Runbook) -> str:
    """The id of a file system that the user has, and the settings name."""
    its_id = runbook.aws("efs").create_file_system(CreationToken="theirs", Encrypted=True)["FileSystemId"]
    runbook.settle(60)
    runbook.settings["FILE_SYSTEM_ID"] = its_id
    return str(its_id)


def test_that_an_adopted_file_system_has_no_policy_is_told_and_left_as_it_is(runbook: Runbook, theirs: str) -> None:
    ran = runbook.run("create_cluster.py")
    assert f"warning file system {theirs}  has no policy: whoever reaches a mount target mounts it all" in ran.err
    assert "PutFileSystemPolicy" not in [operation for _, operation, _ in runbook.emulator.calls]


CLIENT = "elasticfilesystem:Client"
POINTS = "elasticfilesystem:AccessPointArn"
#: what the user's policy has besides -> what is told to be denied; the rest is not certain, or not so
DENIED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "everything": ({"Action": "*"}, ["Mount", "Write", "RootAccess"]),
    "root": ({"Action": [f"{CLIENT}RootAccess"]}, ["RootAccess"]),
    "what is encrypted": (
        {"Action": f"{CLIENT}Mount", "Condition": {"Bool": {"aws:SecureTransport": True}}},
        ["Mount"],
    ),
    "other access points": (
        {"Action": f"{CLIENT}*", "Condition": {"StringNotEquals": {POINTS: "arn:aws:elasticfilesystem:theirs"}}},
        ["Mount", "Write", "RootAccess"],
    ),
    "what has an access point": (
        {"Action": f"{CLIENT}Write", "Condition": {"Null": {POINTS: ["false"]}}},
        ["Write"],
    ),
    "what is not encrypted": ({"Action": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}, []),
    "no access point": ({"Action": "*", "Condition": {"StringNotLike": {POINTS: "arn:aws:elasticfilesystem:*"}}}, []),
    "some addresses": ({"Action": "*", "Condition": {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}}, []),
    "somebody": ({"Action": "*", "Principal": {"AWS": "arn:aws:iam::123456789012:role/theirs"}}, []),
    "all but somebody": ({"Action": "*", "NotPrincipal": {"AWS": "arn:aws:iam::123456789012:role/theirs"}}, []),
    "another file system": ({"Action": "*", "Resource": "arn:aws:elasticfilesystem:us-east-1:1:file-system/fs-1"}, []),
    "deletion": ({"Action": "elasticfilesystem:DeleteFileSystem"}, []),
}


@pytest.mark.parametrize("what", DENIED)
def test_what_an_adopted_file_systems_policy_denies_is_told_before_a_task_fails_on_it(
    runbook: Runbook, theirs: str, what: str
) -> None:
    statement, denied = DENIED[what]
    people = {} if "NotPrincipal" in statement else {"Principal": {"AWS": "*"}}
    text = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Deny", **people, **statement}})
    runbook.aws("efs").put_file_system_policy(FileSystemId=theirs, Policy=text)
    before = policy(runbook, theirs)
    told = [f"its policy denies tasks {', '.join(f'{CLIENT}{each}' for each in denied)} by"] if denied else []
    for page in ("create_cluster.py", "register_task_definition.py"):
        ran = runbook.run(page)
        assert ran.code == 0, ran.err
        assert all(f"warning file system {theirs}  {each}" in ran.err for each in told), ran.err
        assert ran.err.count("its policy denies") == len(told)
    assert policy(runbook, theirs) == before


def test_an_adopted_policy_that_nobody_may_read_is_told_and_hinders_nothing(runbook: Runbook, theirs: str) -> None:
    runbook.emulator.faults.planned.append(Fault("DescribeFileSystemPolicy", "AccessDenied"))
    ran = runbook.run("create_cluster.py")
    assert (ran.code, f"warning file system {theirs}  its policy could not be read: access denied" in ran.err) == (
        0,
        True,
    )


def test_an_adopted_role_is_told_what_it_must_have_to_mount(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    iam, trust = runbook.aws("iam"), {"RoleName": "gpu-task-us-east-1"}
    document = json.dumps(iam.get_role(**trust)["Role"]["AssumeRolePolicyDocument"])
    arn = iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    ran = runbook.run("register_task_definition.py", TASK_ROLE_ARN=arn, EFS_UID="0")
    [point] = points(runbook).values()
    rights = ", ".join(f"{CLIENT}{each}" for each in ("Mount", "Write", "RootAccess"))
    on = f"{rights} on {point['FileSystemId']} by access point {point['AccessPointId']}, of volume data"
    assert f"found role theirs  adopted; its tasks mount only where it has {on}" in ran.err
