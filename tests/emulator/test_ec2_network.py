"""VPCs, subnets, gateways, addresses and route tables: slow to appear, and gone only in the right order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from emulator.core.wire import Emulator
from emulator.ec2 import interfaces as ec2_interfaces

Client = Callable[[str], Any]


def code(call: Callable[..., Any], **params: Any) -> str:
    """The error code that a call is refused with."""
    with pytest.raises(ClientError) as refused:
        call(**params)
    return str(refused.value.response["Error"]["Code"])


def message(call: Callable[..., Any], **params: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**params)
    return str(refused.value.response["Error"]["Message"])


@pytest.fixture
def ec2(client: Client) -> Any:
    return client("ec2")


@pytest.fixture
def sleep(emulator: Emulator) -> Callable[[float], None]:
    return emulator.world.clock.sleep  # type: ignore[attr-defined, no-any-return]


@pytest.fixture
def vpc(ec2: Any, sleep: Any) -> str:
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    sleep(10)
    return str(vpc_id)


@pytest.fixture
def subnet(ec2: Any, sleep: Any, vpc: str) -> str:
    made = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24", AvailabilityZone="us-east-1a")
    sleep(10)
    return str(made["Subnet"]["SubnetId"])


@pytest.fixture
def gateway(ec2: Any, sleep: Any, vpc: str) -> str:
    gateway_id = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    sleep(10)
    ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc)
    sleep(10)
    return str(gateway_id)


def allocate(ec2: Any, sleep: Any) -> str:
    allocation = ec2.allocate_address(Domain="vpc")["AllocationId"]
    sleep(10)
    return str(allocation)


def nat_state(ec2: Any, nat: str) -> str:
    return str(ec2.describe_nat_gateways(NatGatewayIds=[nat])["NatGateways"][0]["State"])


@pytest.fixture
def nat(ec2: Any, sleep: Any, subnet: str, gateway: str) -> str:
    made = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=allocate(ec2, sleep))
    sleep(100)
    return str(made["NatGateway"]["NatGatewayId"])


def test_a_vpc_is_pending_and_unknown_before_it_is_available(ec2: Any, sleep: Any) -> None:
    """ec2-001, ec2-002"""
    made = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]
    assert made["State"] == "pending"
    assert code(ec2.describe_vpcs, VpcIds=[made["VpcId"]]) == "InvalidVpcID.NotFound"
    assert code(ec2.create_subnet, VpcId=made["VpcId"], CidrBlock="10.0.0.0/24") == "InvalidVpcID.NotFound"
    assert made["VpcId"] not in [one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"]]
    sleep(2.1)
    assert ec2.describe_vpcs(VpcIds=[made["VpcId"]])["Vpcs"][0]["State"] == "pending"
    sleep(1)
    assert ec2.describe_vpcs(VpcIds=[made["VpcId"]])["Vpcs"][0]["State"] == "available"


def test_the_waiter_for_vpcs_gives_up_on_not_found(ec2: Any) -> None:
    """sdk-004"""
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    with pytest.raises(WaiterError):
        ec2.get_waiter("vpc_available").wait(VpcIds=[vpc_id])


def test_tags_in_the_create_call_work_where_create_tags_does_not_yet(ec2: Any, sleep: Any, vpc: str) -> None:
    """ec2-003"""
    tags = [{"Key": "Name", "Value": "x"}]
    specification = [{"ResourceType": "subnet", "Tags": tags}]
    made = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24", TagSpecifications=specification)["Subnet"]
    assert made["State"] == "pending" and made["Tags"] == tags
    assert code(ec2.create_tags, Resources=[made["SubnetId"]], Tags=tags) == "InvalidSubnetID.NotFound"
    sleep(5)
    ec2.create_tags(Resources=[made["SubnetId"]], Tags=[{"Key": "a", "Value": "b"}])
    found = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [made["SubnetId"]]}])["Tags"]
    assert {(tag["Key"], tag["Value"], tag["ResourceType"]) for tag in found} == {
        ("Name", "x", "subnet"),
        ("a", "b", "subnet"),
    }


@pytest.mark.parametrize(
    ("create", "path", "describe", "error"),
    [
        (
            "create_internet_gateway",
            "InternetGateway.InternetGatewayId",
            "InternetGatewayIds",
            "InvalidInternetGatewayID",
        ),
        ("allocate_address", "AllocationId", "AllocationIds", "InvalidAllocationID"),
    ],
)
def test_new_things_are_not_found_for_seconds(
    ec2: Any, sleep: Any, create: str, path: str, describe: str, error: str
) -> None:
    """ec2-002"""
    found: Any = getattr(ec2, create)()
    for step in path.split("."):
        found = found[step]
    look = ec2.describe_addresses if describe == "AllocationIds" else ec2.describe_internet_gateways
    assert code(look, **{describe: [found]}) == f"{error}.NotFound"
    sleep(4)
    assert look(**{describe: [found]})


def test_other_new_things_are_not_found_for_seconds(ec2: Any, vpc: str, subnet: str) -> None:
    """ec2-002"""
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    assert code(ec2.describe_route_tables, RouteTableIds=[table]) == "InvalidRouteTableID.NotFound"
    group = ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]
    assert code(ec2.describe_security_groups, GroupIds=[group]) == "InvalidGroup.NotFound"
    template = ec2.create_launch_template(LaunchTemplateName="abc", LaunchTemplateData={"ImageId": "ami-1"})
    template_id = template["LaunchTemplate"]["LaunchTemplateId"]
    assert code(ec2.describe_launch_templates, LaunchTemplateIds=[template_id]) == "InvalidLaunchTemplateId.NotFound"
    nat = ec2.create_nat_gateway(SubnetId=subnet, ConnectivityType="private")["NatGateway"]["NatGatewayId"]
    assert code(ec2.describe_nat_gateways, NatGatewayIds=[nat]) == "NatGatewayNotFound"


def test_dns_attributes_change_one_at_a_time_and_late(ec2: Any, sleep: Any, vpc: str) -> None:
    """ec2-004"""
    both = {"EnableDnsSupport": {"Value": True}, "EnableDnsHostnames": {"Value": True}}
    assert code(ec2.modify_vpc_attribute, VpcId=vpc, **both) == "InvalidParameterCombination"
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})

    def hostnames() -> bool:
        answer = ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsHostnames")
        return bool(answer["EnableDnsHostnames"]["Value"])

    assert not hostnames()
    sleep(5)
    assert hostnames()


def test_hostnames_need_dns_support(ec2: Any, sleep: Any, vpc: str) -> None:
    """ec2-004"""
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsSupport={"Value": False})
    refused = code(ec2.modify_vpc_attribute, VpcId=vpc, EnableDnsHostnames={"Value": True})
    assert refused == "InvalidParameterCombination"


def test_a_vpc_goes_after_all_that_is_in_it(ec2: Any, sleep: Any, vpc: str, subnet: str, gateway: str) -> None:
    """ec2-005, ec2-009"""
    group = ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    sleep(5)
    for undo, params in (
        (ec2.delete_subnet, {"SubnetId": subnet}),
        (ec2.delete_security_group, {"GroupId": group}),
        (ec2.delete_route_table, {"RouteTableId": table}),
        (ec2.detach_internet_gateway, {"InternetGatewayId": gateway, "VpcId": vpc}),
    ):
        assert message(ec2.delete_vpc, VpcId=vpc) == f"The vpc '{vpc}' has dependencies and cannot be deleted."
        undo(**params)
    ec2.delete_vpc(VpcId=vpc)
    assert ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"], "seen for a moment more"
    assert code(ec2.create_subnet, VpcId=vpc, CidrBlock="10.0.9.0/24") == "InvalidVpcID.NotFound"
    sleep(5)
    assert code(ec2.describe_vpcs, VpcIds=[vpc]) == "InvalidVpcID.NotFound"
    assert code(ec2.delete_vpc, VpcId=vpc) == "InvalidVpcID.NotFound"


def test_a_subnet_waits_for_every_interface_in_it(emulator: Emulator, ec2: Any, subnet: str) -> None:
    """ec2-006"""
    made = ec2_interfaces.create_interface(
        emulator.world, "us-east-1", subnet, [], "ELB app/x/1", requester="amazon-elb"
    )
    text = f"The subnet '{subnet}' has dependencies and cannot be deleted."
    assert message(ec2.delete_subnet, SubnetId=subnet) == text
    ec2_interfaces.delete_interface(emulator.world, "us-east-1", made["NetworkInterfaceId"])
    ec2.delete_subnet(SubnetId=subnet)
    assert code(ec2.describe_subnets, SubnetIds=[subnet]) == "InvalidSubnetID.NotFound"


def test_an_internet_gateway_is_attached_late_and_once(ec2: Any, sleep: Any, vpc: str) -> None:
    """ec2-007"""
    first, second = (ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"] for _ in range(2))
    refused = code(ec2.attach_internet_gateway, InternetGatewayId=first, VpcId=vpc)
    assert refused == "InvalidInternetGatewayID.NotFound"
    sleep(5)
    ec2.attach_internet_gateway(InternetGatewayId=first, VpcId=vpc)

    def state() -> str:
        answer = ec2.describe_internet_gateways(InternetGatewayIds=[first])
        return str(answer["InternetGateways"][0]["Attachments"][0]["State"])

    assert state() == "attaching"
    sleep(3)
    assert state() == "available"
    assert code(ec2.attach_internet_gateway, InternetGatewayId=second, VpcId=vpc) == "InvalidParameterValue"
    assert code(ec2.attach_internet_gateway, InternetGatewayId=first, VpcId=vpc) == "Resource.AlreadyAssociated"


def test_an_internet_gateway_stays_while_public_addresses_are_mapped(
    emulator: Emulator, ec2: Any, vpc: str, subnet: str, gateway: str
) -> None:
    """ec2-008, ec2-009"""
    made = ec2_interfaces.create_interface(emulator.world, "us-east-1", subnet, [], "task", public_ip=True)
    assert made["Association"]["PublicIp"]
    text = message(ec2.detach_internet_gateway, InternetGatewayId=gateway, VpcId=vpc)
    assert text == (
        f"Network {vpc} has some mapped public address(es). Please unmap those public address(es) before detaching "
        "the gateway."
    )
    assert code(ec2.delete_internet_gateway, InternetGatewayId=gateway) == "DependencyViolation"
    ec2_interfaces.delete_interface(emulator.world, "us-east-1", made["NetworkInterfaceId"])
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    assert code(ec2.detach_internet_gateway, InternetGatewayId=gateway, VpcId=vpc) == "Gateway.NotAttached"
    ec2.delete_internet_gateway(InternetGatewayId=gateway)


def test_an_address_is_held_until_its_nat_gateway_is_deleted(ec2: Any, sleep: Any, vpc: str, nat: str) -> None:
    """ec2-008, ec2-010, ec2-014"""
    address = ec2.describe_addresses()["Addresses"][0]
    assert code(ec2.release_address, AllocationId=address["AllocationId"]) == "InvalidIPAddress.InUse"
    assert code(ec2.disassociate_address, AssociationId=address["AssociationId"]) == "AuthFailure"
    ec2.delete_nat_gateway(NatGatewayId=nat)
    assert nat_state(ec2, nat) == "deleting"
    assert code(ec2.release_address, AllocationId=address["AllocationId"]) == "InvalidIPAddress.InUse"
    sleep(61)
    assert nat_state(ec2, nat) == "deleted"
    ec2.release_address(AllocationId=address["AllocationId"])
    assert code(ec2.release_address, AllocationId=address["AllocationId"]) == "InvalidAllocationID.NotFound"
    sleep(3601)
    assert code(ec2.describe_nat_gateways, NatGatewayIds=[nat]) == "NatGatewayNotFound"


def test_there_are_five_addresses(ec2: Any) -> None:
    """ec2-011"""
    for _ in range(5):
        ec2.allocate_address()
    assert code(ec2.allocate_address) == "AddressLimitExceeded"


def test_a_nat_gateway_takes_its_time(ec2: Any, sleep: Any, subnet: str, gateway: str) -> None:
    """ec2-012, sdk-005"""
    wanted = {"SubnetId": subnet, "AllocationId": allocate(ec2, sleep), "ClientToken": "t"}
    made = ec2.create_nat_gateway(**wanted)["NatGateway"]
    assert made["State"] == "pending"
    sleep(10)
    assert ec2.create_nat_gateway(**wanted)["NatGateway"]["NatGatewayId"] == made["NatGatewayId"]
    assert code(ec2.create_nat_gateway, **{**wanted, "ConnectivityType": "private"}) == "IdempotentParameterMismatch"
    assert nat_state(ec2, made["NatGatewayId"]) == "pending"
    sleep(85)
    assert nat_state(ec2, made["NatGatewayId"]) == "available"
    interface = ec2.describe_network_interfaces(Filters=[{"Name": "interface-type", "Values": ["nat_gateway"]}])
    assert interface["NetworkInterfaces"][0]["Description"] == f"Interface for NAT Gateway {made['NatGatewayId']}"


def failure(ec2: Any, sleep: Any, **params: Any) -> str:
    nat = ec2.create_nat_gateway(**params)["NatGateway"]
    assert nat["State"] == "pending"
    sleep(60)
    found = ec2.describe_nat_gateways(NatGatewayIds=[nat["NatGatewayId"]])["NatGateways"][0]
    assert found["State"] == "failed"
    return str(found["FailureCode"])


def test_mistakes_with_a_nat_gateway_show_later(ec2: Any, sleep: Any, subnet: str, nat: str) -> None:
    """ec2-013"""
    used = ec2.describe_addresses()["Addresses"][0]["AllocationId"]
    assert failure(ec2, sleep, SubnetId=subnet, AllocationId=used) == "Resource.AlreadyAssociated"
    assert failure(ec2, sleep, SubnetId=subnet, AllocationId="eipalloc-0") == "InvalidAllocationID.NotFound"


def test_a_nat_gateway_without_an_internet_gateway_fails(ec2: Any, sleep: Any, subnet: str) -> None:
    """ec2-013"""
    assert failure(ec2, sleep, SubnetId=subnet, AllocationId=allocate(ec2, sleep)) == "Gateway.NotAttached"
    assert "AssociationId" not in ec2.describe_addresses()["Addresses"][0]


def test_routes(ec2: Any, sleep: Any, vpc: str, gateway: str, nat: str) -> None:
    """ec2-014, ec2-015, ec2-016"""
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    sleep(5)
    route = {"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0"}
    assert code(ec2.create_route, **route, NatGatewayId="nat-0") == "InvalidNatGatewayID.NotFound"
    assert code(ec2.create_route, **route, GatewayId="igw-0") == "InvalidGatewayID.NotFound"
    ec2.create_route(**route, NatGatewayId=nat)
    assert code(ec2.create_route, **route, GatewayId=gateway) == "RouteAlreadyExists"
    ec2.delete_nat_gateway(NatGatewayId=nat)
    sleep(65)
    [found] = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    assert {one["DestinationCidrBlock"]: one["State"] for one in found["Routes"]} == {
        "10.0.0.0/16": "active",
        "0.0.0.0/0": "blackhole",
    }


def test_a_fresh_nat_gateway_is_no_target_of_a_route_yet(ec2: Any, sleep: Any, vpc: str, subnet: str) -> None:
    """ec2-016"""
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    sleep(5)
    nat = ec2.create_nat_gateway(SubnetId=subnet, ConnectivityType="private")["NatGateway"]["NatGatewayId"]
    route = {"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": nat}
    assert code(ec2.create_route, **route) == "InvalidNatGatewayID.NotFound"


def test_a_route_table_goes_when_its_subnets_have_let_go(ec2: Any, sleep: Any, vpc: str, subnet: str) -> None:
    """ec2-017"""
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    sleep(5)
    association = ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"]
    assert ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"] == association
    assert code(ec2.delete_route_table, RouteTableId=table) == "DependencyViolation"
    ec2.disassociate_route_table(AssociationId=association)
    assert code(ec2.disassociate_route_table, AssociationId=association) == "InvalidAssociationID.NotFound"
    ec2.delete_route_table(RouteTableId=table)
    [main] = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
    assert code(ec2.delete_route_table, RouteTableId=main["RouteTableId"]) == "DependencyViolation"


def test_an_endpoint_for_s3_comes_and_goes_with_its_route(ec2: Any, sleep: Any, vpc: str) -> None:
    [main] = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
    made = ec2.create_vpc_endpoint(
        VpcId=vpc, ServiceName="com.amazonaws.us-east-1.s3", RouteTableIds=[main["RouteTableId"]]
    )["VpcEndpoint"]
    assert made["State"] == "pending"
    sleep(5)
    ids = [made["VpcEndpointId"]]
    assert ec2.describe_vpc_endpoints(VpcEndpointIds=ids)["VpcEndpoints"][0]["State"] == "available"
    assert code(ec2.delete_vpc, VpcId=vpc) == "DependencyViolation"
    assert ec2.delete_vpc_endpoints(VpcEndpointIds=[*ids, "vpce-0"])["Unsuccessful"][0]["ResourceId"] == "vpce-0"
    assert ec2.describe_vpc_endpoints(VpcEndpointIds=ids)["VpcEndpoints"][0]["State"] == "deleting"
    sleep(30)
    assert code(ec2.describe_vpc_endpoints, VpcEndpointIds=ids) == "InvalidVpcEndpointId.NotFound"
    ec2.delete_vpc(VpcId=vpc)


def test_interfaces_of_services_are_theirs(emulator: Emulator, ec2: Any, vpc: str, subnet: str) -> None:
    """ec2-023"""
    made = ec2_interfaces.create_interface(
        emulator.world, "us-east-1", subnet, [], "ELB app/web/0123456789abcdef", requester="amazon-elb"
    )
    interface = made["NetworkInterfaceId"]
    assert code(ec2.delete_network_interface, NetworkInterfaceId=interface) == "AuthFailure"
    attachment = made["Attachment"]["AttachmentId"]
    assert code(ec2.detach_network_interface, AttachmentId=attachment) == "AuthFailure"
    filters = [
        {"Name": "description", "Values": ["ELB app/web/*"]},
        {"Name": "requester-managed", "Values": ["true"]},
        {"Name": "attachment.instance-owner-id", "Values": ["amazon-elb"]},
        {"Name": "status", "Values": ["in-use"]},
        {"Name": "vpc-id", "Values": [vpc]},
        {"Name": "subnet-id", "Values": [subnet]},
    ]
    [found] = ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
    assert found["NetworkInterfaceId"] == interface and found["RequesterId"] == "amazon-elb"
    assert ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["AvailableIpAddressCount"] == 250


def test_an_interface_of_ones_own_is_made_and_deleted(ec2: Any, subnet: str) -> None:
    made = ec2.create_network_interface(SubnetId=subnet, Description="mine")["NetworkInterface"]
    assert made["Status"] == "pending" and not made["RequesterManaged"]
    ec2.delete_network_interface(NetworkInterfaceId=made["NetworkInterfaceId"])
    refused = code(ec2.delete_network_interface, NetworkInterfaceId=made["NetworkInterfaceId"])
    assert refused == "InvalidNetworkInterfaceID.NotFound"


def test_the_default_vpc_has_a_way_out(ec2: Any) -> None:
    [vpc] = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    wanted = [{"Name": "attachment.vpc-id", "Values": [vpc["VpcId"]]}]
    assert len(ec2.describe_internet_gateways(Filters=wanted)["InternetGateways"]) == 1


def test_a_subnet_of_another_regions_zone_is_refused(ec2: Any, vpc: str) -> None:
    params = {"VpcId": vpc, "CidrBlock": "10.0.0.0/24", "AvailabilityZone": "eu-west-1a"}
    assert code(ec2.create_subnet, **params) == "InvalidParameterValue"


def test_a_dry_run_changes_nothing(ec2: Any, vpc: str) -> None:
    assert code(ec2.delete_vpc, VpcId=vpc, DryRun=True) == "DryRunOperation"
    assert ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]


@pytest.mark.parametrize(
    ("call", "name", "filters"),
    [
        ("describe_vpcs", "Vpcs", {"cidr-block-association.cidr-block": "10.0.*", "state": "available"}),
        ("describe_subnets", "Subnets", {"availability-zone": "us-east-1a", "cidr-block": "10.0.1.0/24"}),
        ("describe_route_tables", "RouteTables", {"association.main": "true", "tag:c": "?emo"}),
        ("describe_internet_gateways", "InternetGateways", {"attachment.state": "available", "tag:c": "demo"}),
    ],
)
def test_filters_find_things_by_what_is_shown(
    ec2: Any, vpc: str, subnet: str, gateway: str, call: str, name: str, filters: dict[str, str]
) -> None:
    [main] = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
    ec2.create_tags(Resources=[main["RouteTableId"], gateway], Tags=[{"Key": "c", "Value": "demo"}])
    wanted = [{"Name": key, "Values": ["nothing", value]} for key, value in filters.items()]
    assert len(getattr(ec2, call)(Filters=wanted)[name]) == 1
    unknown = [{"Name": "nonsense", "Values": ["x"]}]
    assert code(getattr(ec2, call), Filters=unknown) == "InvalidParameterValue"
