"""EFS keeps AWS's states, orders and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.core.wire import Emulator
from emulator.core.world import Clock
from emulator.efs.file_systems import mount_problem, write_problem

Client = Callable[[str], Any]


@dataclass
class Network:
    vpc: str
    a: str  # a subnet in us-east-1a
    b: str  # a subnet in us-east-1b
    group: str


@pytest.fixture
def network(emulator: Emulator, client: Client) -> Network:
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    emulator.world.clock.sleep(10)  # type: ignore[attr-defined]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"][
            "SubnetId"
        ]
        for n, zone in enumerate("ab")
    ]
    group = ec2.create_security_group(VpcId=vpc, GroupName="nfs", Description="nfs")["GroupId"]
    emulator.world.clock.sleep(10)  # type: ignore[attr-defined]
    return Network(vpc, subnets[0], subnets[1], group)


def code(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response: Any = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def sleep(emulator: Emulator, seconds: float) -> None:
    emulator.world.clock.sleep(seconds)  # type: ignore[attr-defined]


def available_file_system(emulator: Emulator, client: Client, **settings: Any) -> str:
    made: str = client("efs").create_file_system(CreationToken="token", **settings)["FileSystemId"]
    sleep(emulator, 10)
    return made


def state(client: Client, file_system: str) -> str:
    found: str = client("efs").describe_file_systems(FileSystemId=file_system)["FileSystems"][0]["LifeCycleState"]
    return found


def test_a_file_system_is_creating_for_some_seconds(emulator: Emulator, client: Client) -> None:
    made = client("efs").create_file_system(CreationToken="t", Encrypted=True, Tags=[{"Key": "Name", "Value": "data"}])
    assert (made["LifeCycleState"], made["Name"], made["ThroughputMode"]) == ("creating", "data", "bursting")
    assert made["SizeInBytes"]["Value"] == 6144 and made["NumberOfMountTargets"] == 0 and "KmsKeyId" in made
    assert state(client, made["FileSystemId"]) == "creating"
    sleep(emulator, 9)
    assert state(client, made["FileSystemId"]) == "available"


def test_nothing_can_be_put_on_a_file_system_that_is_still_creating(client: Client, network: Network) -> None:
    efs = client("efs")
    name = efs.create_file_system(CreationToken="t")["FileSystemId"]
    calls: list[Callable[[], Any]] = [
        lambda: efs.create_mount_target(FileSystemId=name, SubnetId=network.a),
        lambda: efs.create_access_point(FileSystemId=name),
        lambda: efs.put_backup_policy(FileSystemId=name, BackupPolicy={"Status": "ENABLED"}),
        lambda: efs.put_lifecycle_configuration(FileSystemId=name, LifecyclePolicies=[]),
        lambda: efs.put_file_system_policy(FileSystemId=name, Policy="{}"),
    ]
    for call in calls:
        with pytest.raises(ClientError) as error:
            call()
        assert code(error) == ("IncorrectFileSystemLifeCycleState", 409)


def test_a_creation_token_used_before_tells_the_file_system(client: Client) -> None:
    efs = client("efs")
    made = efs.create_file_system(CreationToken="t")["FileSystemId"]
    with pytest.raises(ClientError) as error:
        efs.create_file_system(CreationToken="t")
    assert code(error) == ("FileSystemAlreadyExists", 409)
    assert error.value.response["FileSystemId"] == made  # type: ignore[typeddict-item]
    found = efs.describe_file_systems(CreationToken="t")["FileSystems"]
    assert [one["FileSystemId"] for one in found] == [made]
    assert efs.create_file_system()["FileSystemId"] != made  # boto3's own token is new each time


@pytest.mark.parametrize(
    "settings",
    [
        {"PerformanceMode": "maxIO", "ThroughputMode": "elastic"},
        {"PerformanceMode": "maxIO", "AvailabilityZoneName": "us-east-1a"},
        {"ThroughputMode": "provisioned"},
        {"ProvisionedThroughputInMibps": 10.0},
        {"KmsKeyId": "alias/aws/elasticfilesystem"},
    ],
)
def test_settings_that_do_not_go_together_are_a_bad_request(client: Client, settings: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as error:
        client("efs").create_file_system(CreationToken="t", **settings)
    assert code(error) == ("BadRequest", 400)


def test_the_throughput_mode_changes_once_a_day(emulator: Emulator, client: Client) -> None:
    efs, name = client("efs"), available_file_system(emulator, client)
    assert efs.update_file_system(FileSystemId=name, ThroughputMode="elastic")["LifeCycleState"] == "updating"
    sleep(emulator, 20)
    with pytest.raises(ClientError) as error:
        efs.update_file_system(FileSystemId=name, ThroughputMode="bursting")
    assert code(error) == ("TooManyRequests", 429)
    sleep(emulator, 24 * 3600)
    assert efs.update_file_system(FileSystemId=name, ThroughputMode="bursting")["ThroughputMode"] == "bursting"


def test_the_daily_limit_holds_although_no_wait_takes_time(emulator: Emulator, client: Client) -> None:
    efs, name = client("efs"), available_file_system(emulator, client)
    assert state(client, name) == "available"
    emulator.world.clock = Clock(0)
    efs.update_file_system(FileSystemId=name, ThroughputMode="elastic")
    with pytest.raises(ClientError) as error:
        efs.update_file_system(FileSystemId=name, ThroughputMode="bursting")
    assert code(error) == ("TooManyRequests", 429)


def test_a_mount_target_takes_its_time_and_owns_an_interface(
    emulator: Emulator, client: Client, network: Network
) -> None:
    efs, name = client("efs"), available_file_system(emulator, client)
    made = efs.create_mount_target(FileSystemId=name, SubnetId=network.a, SecurityGroups=[network.group])
    assert (made["LifeCycleState"], made["AvailabilityZoneName"]) == ("creating", "us-east-1a")
    [interface] = client("ec2").describe_network_interfaces(NetworkInterfaceIds=[made["NetworkInterfaceId"]])[
        "NetworkInterfaces"
    ]
    assert interface["Description"] == f"EFS mount target for {name} ({made['MountTargetId']})"
    assert interface["RequesterManaged"] and interface["PrivateIpAddress"] == made["IpAddress"]
    with pytest.raises(ClientError) as error:
        client("ec2").delete_security_group(GroupId=network.group)
    assert code(error)[0] == "DependencyViolation"
    sleep(emulator, 91)
    [found] = efs.describe_mount_targets(FileSystemId=name)["MountTargets"]
    assert found["LifeCycleState"] == "available"
    groups = efs.describe_mount_target_security_groups(MountTargetId=made["MountTargetId"])["SecurityGroups"]
    assert groups == [network.group]


def test_one_mount_target_per_zone_and_one_vpc(emulator: Emulator, client: Client, network: Network) -> None:
    efs, ec2, name = client("efs"), client("ec2"), available_file_system(emulator, client)
    efs.create_mount_target(FileSystemId=name, SubnetId=network.a)
    other_vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    sleep(emulator, 10)
    other = ec2.create_subnet(VpcId=other_vpc, CidrBlock="10.9.0.0/24", AvailabilityZone="us-east-1b")["Subnet"]
    sleep(emulator, 10)
    for subnet in (network.a, other["SubnetId"]):
        with pytest.raises(ClientError) as error:
            efs.create_mount_target(FileSystemId=name, SubnetId=subnet)
        assert code(error) == ("MountTargetConflict", 409)
    efs.create_mount_target(FileSystemId=name, SubnetId=network.b)
    assert efs.describe_file_systems(FileSystemId=name)["FileSystems"][0]["NumberOfMountTargets"] == 2


def test_a_mount_target_needs_a_subnet_and_groups_that_exist(
    emulator: Emulator, client: Client, network: Network
) -> None:
    efs, name = client("efs"), available_file_system(emulator, client)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"SubnetId": "subnet-0123456789abcdef0"}, "SubnetNotFound"),
        ({"SubnetId": network.a, "SecurityGroups": ["sg-0123456789abcdef0"]}, "SecurityGroupNotFound"),
        ({"SubnetId": network.a, "SecurityGroups": [network.group] * 6}, "SecurityGroupLimitExceeded"),
    ]
    for settings, expected in wrong:
        with pytest.raises(ClientError) as error:
            efs.create_mount_target(FileSystemId=name, **settings)
        assert code(error)[0] == expected
    made = efs.create_mount_target(FileSystemId=name, SubnetId=network.a)
    [group] = efs.describe_mount_target_security_groups(MountTargetId=made["MountTargetId"])["SecurityGroups"]
    assert client("ec2").describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["GroupName"] == "default"
    efs.modify_mount_target_security_groups(MountTargetId=made["MountTargetId"], SecurityGroups=[network.group])
    [interface] = client("ec2").describe_network_interfaces(NetworkInterfaceIds=[made["NetworkInterfaceId"]])[
        "NetworkInterfaces"
    ]
    assert [one["GroupId"] for one in interface["Groups"]] == [network.group]


def test_a_deleted_mount_target_lingers_and_blocks_the_file_system(
    emulator: Emulator, client: Client, network: Network
) -> None:
    efs, ec2, name = client("efs"), client("ec2"), available_file_system(emulator, client)
    made = efs.create_mount_target(FileSystemId=name, SubnetId=network.a)
    point = efs.create_access_point(FileSystemId=name)["AccessPointId"]
    sleep(emulator, 91)
    efs.delete_mount_target(MountTargetId=made["MountTargetId"])
    assert efs.describe_mount_targets(FileSystemId=name)["MountTargets"][0]["LifeCycleState"] == "deleting"
    with pytest.raises(ClientError) as error:
        efs.delete_file_system(FileSystemId=name)
    assert code(error) == ("FileSystemInUse", 409)
    with pytest.raises(ClientError) as error:
        ec2.delete_subnet(SubnetId=network.a)
    assert code(error)[0] == "DependencyViolation"
    sleep(emulator, 31)
    with pytest.raises(ClientError) as error:
        efs.describe_mount_targets(MountTargetId=made["MountTargetId"])
    assert code(error) == ("MountTargetNotFound", 404)
    ec2.delete_subnet(SubnetId=network.a)
    efs.delete_file_system(FileSystemId=name)
    assert state(client, name) == "deleting"
    sleep(emulator, 11)
    with pytest.raises(ClientError) as error:
        efs.describe_file_systems(FileSystemId=name)
    assert code(error) == ("FileSystemNotFound", 404)
    with pytest.raises(ClientError) as error:
        efs.describe_access_points(AccessPointId=point)
    assert code(error) == ("AccessPointNotFound", 404)


def test_an_access_point_keeps_its_user_and_its_token(emulator: Emulator, client: Client) -> None:
    efs, name = client("efs"), available_file_system(emulator, client)
    owner = {"OwnerUid": 1000, "OwnerGid": 1000, "Permissions": "0755"}
    settings = {
        "FileSystemId": name,
        "ClientToken": "ap",
        "PosixUser": {"Uid": 1000, "Gid": 1000},
        "RootDirectory": {"Path": "/data", "CreationInfo": owner},
    }
    made = efs.create_access_point(**settings)
    assert made["LifeCycleState"] == "creating"
    with pytest.raises(ClientError) as error:
        efs.create_access_point(**settings)
    assert code(error) == ("AccessPointAlreadyExists", 409)
    assert error.value.response["AccessPointId"] == made["AccessPointId"]  # type: ignore[typeddict-item]
    sleep(emulator, 4)
    [found] = efs.describe_access_points(FileSystemId=name)["AccessPoints"]
    assert found["LifeCycleState"] == "available"
    assert found["PosixUser"] == {"Uid": 1000, "Gid": 1000}
    assert found["RootDirectory"] == {"Path": "/data", "CreationInfo": owner}


def test_each_lifecycle_policy_holds_one_transition(emulator: Emulator, client: Client) -> None:
    efs, name = client("efs"), available_file_system(emulator, client, ThroughputMode="elastic")
    wrong = [
        [{"TransitionToIA": "AFTER_30_DAYS", "TransitionToArchive": "AFTER_90_DAYS"}],
        [{"TransitionToIA": "AFTER_30_DAYS"}, {"TransitionToArchive": "AFTER_7_DAYS"}],
        [{"TransitionToIA": "AFTER_30_DAYS"}, {"TransitionToIA": "AFTER_7_DAYS"}],
    ]
    for policies in wrong:
        with pytest.raises(ClientError) as error:
            efs.put_lifecycle_configuration(FileSystemId=name, LifecyclePolicies=policies)
        assert code(error) == ("BadRequest", 400)
    right = [{"TransitionToIA": "AFTER_30_DAYS"}, {"TransitionToArchive": "AFTER_90_DAYS"}]
    efs.put_lifecycle_configuration(FileSystemId=name, LifecyclePolicies=right)
    assert efs.describe_lifecycle_configuration(FileSystemId=name)["LifecyclePolicies"] == right
    efs.put_lifecycle_configuration(FileSystemId=name, LifecyclePolicies=[])
    assert efs.describe_lifecycle_configuration(FileSystemId=name)["LifecyclePolicies"] == []


def test_archive_needs_elastic_throughput(emulator: Emulator, client: Client) -> None:
    name = available_file_system(emulator, client)
    with pytest.raises(ClientError) as error:
        client("efs").put_lifecycle_configuration(
            FileSystemId=name, LifecyclePolicies=[{"TransitionToArchive": "AFTER_90_DAYS"}]
        )
    assert code(error) == ("BadRequest", 400)


def test_backups_are_enabling_first_and_outlive_the_file_system(emulator: Emulator, client: Client) -> None:
    efs, name = client("efs"), available_file_system(emulator, client)
    assert efs.describe_backup_policy(FileSystemId=name)["BackupPolicy"]["Status"] == "DISABLED"
    put = efs.put_backup_policy(FileSystemId=name, BackupPolicy={"Status": "ENABLED"})
    assert put["BackupPolicy"]["Status"] == "ENABLING"
    sleep(emulator, 11)
    assert efs.describe_backup_policy(FileSystemId=name)["BackupPolicy"]["Status"] == "ENABLED"
    sleep(emulator, 3601)
    efs.delete_file_system(FileSystemId=name)
    sleep(emulator, 60)
    points = client("backup").list_recovery_points_by_backup_vault(BackupVaultName="aws/efs/automatic-backup-vault")
    assert [point["ResourceType"] for point in points["RecoveryPoints"]] == ["EFS"]


def test_a_region_without_aws_backup_refuses_the_backup_policy(emulator: Emulator, client: Client) -> None:
    emulator.world.settings.regions_without_backup = ["us-east-1"]
    name = available_file_system(emulator, client)
    with pytest.raises(ClientError) as error:
        client("efs").put_backup_policy(FileSystemId=name, BackupPolicy={"Status": "ENABLED"})
    assert code(error) == ("ValidationException", 400)


def test_the_policy_of_a_file_system_is_not_there_until_it_is_put(emulator: Emulator, client: Client) -> None:
    efs, name = client("efs"), available_file_system(emulator, client)
    with pytest.raises(ClientError) as error:
        efs.describe_file_system_policy(FileSystemId=name)
    assert code(error) == ("PolicyNotFound", 404)
    with pytest.raises(ClientError) as error:
        efs.put_file_system_policy(FileSystemId=name, Policy="no policy")
    assert code(error) == ("InvalidPolicyException", 400)
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Principal": "*"}]})
    efs.put_file_system_policy(FileSystemId=name, Policy=policy)
    assert efs.describe_file_system_policy(FileSystemId=name)["Policy"] == policy


def test_tags_and_pages(emulator: Emulator, client: Client) -> None:
    efs = client("efs")
    for n in range(3):
        efs.create_file_system(CreationToken=str(n))
    pages = list(efs.get_paginator("describe_file_systems").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["FileSystems"]) for page in pages] == [2, 1]
    name = pages[0]["FileSystems"][0]["FileSystemId"]
    efs.tag_resource(ResourceId=name, Tags=[{"Key": "Name", "Value": "x"}, {"Key": "k", "Value": "v"}])
    efs.untag_resource(ResourceId=name, TagKeys=["k"])
    assert efs.list_tags_for_resource(ResourceId=name)["Tags"] == [{"Key": "Name", "Value": "x"}]
    assert efs.describe_file_systems(FileSystemId=name)["FileSystems"][0]["Name"] == "x"


def mountable(emulator: Emulator, client: Client, network: Network) -> Callable[..., str | None]:
    """A file system with a mount target in zone a; the function asks whether a task there can mount it."""
    efs, name = client("efs"), available_file_system(emulator, client)
    efs.create_mount_target(FileSystemId=name, SubnetId=network.a, SecurityGroups=[network.group])

    def problem(subnet: str = network.a, zone: str = "us-east-1a", role: str = "", **volume: Any) -> str | None:
        emulator.world.advance()
        volume = {"fileSystemId": name, **volume}
        return mount_problem(emulator.world, "us-east-1", volume, subnet, zone, [network.group], role)

    return problem


def open_port(client: Client, group: str) -> None:
    source = [{"GroupId": group}]
    permission = {"IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049, "UserIdGroupPairs": source}
    client("ec2").authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])


def test_a_task_can_mount_only_after_the_dns_name_is_known(
    emulator: Emulator, client: Client, network: Network
) -> None:
    problem = mountable(emulator, client, network)
    open_port(client, network.group)
    assert "Failed to resolve" in (problem() or "")
    sleep(emulator, 91)
    assert "Failed to resolve" in (problem() or "")
    sleep(emulator, 91)
    assert problem() is None
    assert "Failed to resolve" in (problem(network.b, "us-east-1b") or "")
    assert "Failed to resolve" in (problem(fileSystemId="fs-00000000") or "")


def test_a_task_can_mount_only_through_an_open_port(emulator: Emulator, client: Client, network: Network) -> None:
    problem = mountable(emulator, client, network)
    sleep(emulator, 181)
    assert "timed out" in (problem() or "")
    open_port(client, network.group)
    assert problem() is None


def test_a_task_needs_its_access_point_and_tls(emulator: Emulator, client: Client, network: Network) -> None:
    problem = mountable(emulator, client, network)
    open_port(client, network.group)
    sleep(emulator, 181)
    missing = {"accessPointId": "fsap-0123456789abcdef0"}
    assert "access denied" in (problem(authorizationConfig=missing, transitEncryption="ENABLED") or "")
    assert "tls" in (problem(authorizationConfig={"iam": "ENABLED"}) or "")
    assert problem(authorizationConfig={"iam": "ENABLED"}, transitEncryption="ENABLED") is None


def test_tokens_have_64_characters(emulator: Emulator, client: Client) -> None:
    efs = client("efs")
    made = efs.create_file_system(CreationToken="x" * 64)["FileSystemId"]
    sleep(emulator, 10)
    assert efs.create_access_point(FileSystemId=made, ClientToken="x" * 64)
    calls: list[Callable[[], Any]] = [
        lambda: efs.create_file_system(CreationToken="x" * 65),
        lambda: efs.create_access_point(FileSystemId=made, ClientToken="x" * 65),
    ]
    for call in calls:
        with pytest.raises(ClientError) as error:
            call()
        assert code(error) == ("BadRequest", 400)


# ------------------------------------------------------------------------------------------------ who may mount, and write

TLS: Any = {"transitEncryption": "ENABLED"}
IN_THE_CLEAR = "access denied by server while mounting {}.efs.us-east-1.amazonaws.com:/"
OVER_TLS = "access denied by server while mounting 127.0.0.1:/"


@pytest.fixture
def asked(emulator: Emulator, client: Client, network: Network) -> Callable[..., str | None]:
    """The same as `mountable`, when the mount target is ready and its port open."""
    problem = mountable(emulator, client, network)
    open_port(client, network.group)
    sleep(emulator, 181)
    return problem


def only(client: Client) -> str:
    [found] = client("efs").describe_file_systems()["FileSystems"]
    return str(found["FileSystemId"])


def put_policy(client: Client, *statements: dict[str, Any]) -> None:
    text = json.dumps({"Version": "2012-10-17", "Statement": statements})
    client("efs").put_file_system_policy(FileSystemId=only(client), Policy=text)


def deny(**condition: dict[str, str]) -> dict[str, Any]:
    effect: dict[str, Any] = {"Effect": "Deny", "Principal": "*", "Action": "elasticfilesystem:Client*"}
    return {**effect, "Condition": condition}


def role_that_may(client: Client, name: str, *actions: str, **condition: Any) -> str:
    iam, which = client("iam"), [f"elasticfilesystem:Client{each}" for each in actions]
    trust = {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    statement = {"Effect": "Allow", "Action": which, "Resource": "*", "Condition": condition}
    iam.put_role_policy(
        RoleName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    return str(made)


def point_of(emulator: Emulator, client: Client, uid: int, gid: int) -> dict[str, Any]:
    """How a volume names a new access point of this user."""
    user = {"Uid": uid, "Gid": gid}
    made = client("efs").create_access_point(FileSystemId=only(client), ClientToken=f"{uid}{gid}", PosixUser=user)
    sleep(emulator, 4)
    return {**TLS, "authorizationConfig": {"accessPointId": made["AccessPointId"], "iam": "ENABLED"}}


def test_without_a_policy_anybody_mounts_the_root_and_with_one_nobody_who_is_not_allowed(
    client: Client, asked: Callable[..., str | None]
) -> None:
    assert asked() is None
    put_policy(client, deny(Bool={"aws:SecureTransport": "false"}))
    assert IN_THE_CLEAR.format(only(client)) in (asked() or "")
    assert OVER_TLS in (asked(**TLS) or ""), "who is nobody is allowed nothing"
    put_policy(client, {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "elasticfilesystem:ClientMount"})
    assert asked() is None
    client("efs").delete_file_system_policy(FileSystemId=only(client))
    assert asked() is None


def test_a_role_mounts_by_the_access_point_that_its_own_policy_names(
    emulator: Emulator, client: Client, asked: Callable[..., str | None]
) -> None:
    put_policy(client, deny(StringNotLike={"elasticfilesystem:AccessPointArn": "arn:aws:*:access-point/*"}))
    one, other = point_of(emulator, client, 1, 1), point_of(emulator, client, 2, 2)
    arns = [each["AccessPointArn"] for each in client("efs").describe_access_points()["AccessPoints"]]
    role = role_that_may(client, "one", "Mount", StringEquals={"elasticfilesystem:AccessPointArn": arns[0]})
    everywhere = role_that_may(client, "everywhere", "Mount")
    assert [asked(role=role, **volume) is None for volume in (one, other)] == [True, False]
    assert [asked(role=everywhere, **volume) is None for volume in (one, other)] == [True, True]
    assert OVER_TLS in (asked(role=everywhere, authorizationConfig={"iam": "ENABLED"}, **TLS) or "")
    unsigned = {**one, "authorizationConfig": {"accessPointId": one["authorizationConfig"]["accessPointId"]}}
    assert OVER_TLS in (asked(role=role, **unsigned) or ""), "without IAM the role does not count"


@pytest.mark.parametrize("user", [(0, 0), (0, 1000), (1000, 0), (1000, 1000)])
def test_root_is_squashed_where_it_has_no_root_access(
    emulator: Emulator, client: Client, asked: Callable[..., str | None], user: tuple[int, int]
) -> None:
    by_point = {"fileSystemId": only(client), **point_of(emulator, client, *user)}
    in_the_clear = {"fileSystemId": only(client)}
    roles = [role_that_may(client, f"r{n}", *["Mount", "Write", "RootAccess"][: n + 1]) for n in range(3)]
    by_iam = [write_problem(emulator.world, "us-east-1", by_point, role) for role in roles]
    assert (by_iam, write_problem(emulator.world, "us-east-1", in_the_clear, None)) == ([""] * 3, ""), "no policy yet"
    put_policy(client, deny(Bool={"aws:SecureTransport": "false"}))
    squashed = "[Errno 13] Permission denied" if 0 in user else ""
    by_iam = [write_problem(emulator.world, "us-east-1", by_point, role) for role in roles]
    assert by_iam == ["[Errno 30] Read-only file system", squashed, ""]


def test_a_policy_comes_back_in_another_order(emulator: Emulator, client: Client) -> None:
    available_file_system(emulator, client)
    statements = [deny(Bool={"aws:SecureTransport": "false"}), {**deny(), "Action": ["a:b", "c:d"]}]
    put_policy(client, *statements)
    found = json.loads(client("efs").describe_file_system_policy(FileSystemId=only(client))["Policy"])
    assert found["Statement"] == [{**statements[1], "Action": ["c:d", "a:b"]}, statements[0]]
