"""Load balancers, target groups, listeners and rules keep AWS's states, idempotency, limits and order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.core.wire import Emulator
from emulator.core.world import Clock
from emulator.elbv2 import state as elbv2

Client = Callable[[str], Any]


def sleep(emulator: Emulator, seconds: float) -> None:
    emulator.world.clock.sleep(seconds)  # type: ignore[attr-defined]


def refused(call: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """The error code with which AWS refuses a call."""
    with pytest.raises(ClientError) as error:
        call(*args, **kwargs)
    return str(error.value.response["Error"]["Code"])


class Network:
    """A VPC with an internet gateway, public subnets in two zones and a security group."""

    def __init__(self, emulator: Emulator, client: Client) -> None:
        self.ec2 = ec2 = client("ec2")
        self.vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        sleep(emulator, 10)
        ec2.attach_internet_gateway(VpcId=self.vpc, InternetGatewayId=self.gateway)
        self.a, self.b = (self.subnet(n, f"us-east-1{zone}") for n, zone in enumerate("ab"))
        table = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [self.vpc]}])["RouteTables"][0]
        sleep(emulator, 10)
        ec2.create_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", GatewayId=self.gateway)
        self.group = ec2.create_security_group(VpcId=self.vpc, GroupName="alb", Description="alb")["GroupId"]
        sleep(emulator, 10)

    def subnet(self, number: int, zone: str, prefix: int = 24) -> str:
        made = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"10.0.{number}.0/{prefix}", AvailabilityZone=zone)
        return str(made["Subnet"]["SubnetId"])

    def interfaces(self, name: str) -> list[Any]:
        filters = [{"Name": "description", "Values": [f"ELB app/{name}/*"]}]
        found: list[Any] = self.ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
        return found


@pytest.fixture
def network(emulator: Emulator, client: Client) -> Network:
    return Network(emulator, client)


@pytest.fixture
def elb(client: Client) -> Any:
    return client("elbv2")


@pytest.fixture
def balancer(elb: Any, network: Network) -> str:
    made = elb.create_load_balancer(Name="web", Subnets=[network.a, network.b], SecurityGroups=[network.group])
    return str(made["LoadBalancers"][0]["LoadBalancerArn"])


def target_group(elb: Any, network: Network, name: str = "app", **settings: Any) -> str:
    settings = {"Protocol": "HTTP", "Port": 80, "VpcId": network.vpc, "TargetType": "ip", **settings}
    return str(elb.create_target_group(Name=name, **settings)["TargetGroups"][0]["TargetGroupArn"])


def forward(group: str) -> list[Any]:
    return [{"Type": "forward", "TargetGroupArn": group}]


def listener(elb: Any, balancer: str, group: str, port: int = 80) -> str:
    made = elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=port, DefaultActions=forward(group))
    return str(made["Listeners"][0]["ListenerArn"])


# --- load balancers


def test_a_load_balancer_is_provisioning_before_it_is_active(
    emulator: Emulator, elb: Any, balancer: str, network: Network
) -> None:
    [found] = elb.describe_load_balancers(LoadBalancerArns=[balancer])["LoadBalancers"]
    assert found["State"]["Code"] == "provisioning" and found["CanonicalHostedZoneId"] == "Z35SXDOTRQ7X7K"
    assert [zone["SubnetId"] for zone in found["AvailabilityZones"]] == [network.a, network.b]
    sleep(emulator, 151)
    elb.get_waiter("load_balancer_available").wait(LoadBalancerArns=[balancer])


def test_the_same_load_balancer_again_is_the_same_one(elb: Any, balancer: str, network: Network) -> None:
    again = elb.create_load_balancer(Name="web", Subnets=[network.b, network.a], SecurityGroups=[network.group])
    assert again["LoadBalancers"][0]["LoadBalancerArn"] == balancer
    other = {"Name": "web", "Subnets": [network.a, network.b]}
    assert refused(elb.create_load_balancer, **other, Scheme="internal") == "DuplicateLoadBalancerName"


@pytest.mark.parametrize("name", ["x" * 33, "internal-x", "-x", "x-", "a_b"])
def test_names_of_load_balancers(elb: Any, network: Network, name: str) -> None:
    assert refused(elb.create_load_balancer, Name=name, Subnets=[network.a, network.b]) == "ValidationError"


def test_a_load_balancer_needs_two_zones(elb: Any, network: Network, emulator: Emulator) -> None:
    with pytest.raises(ClientError) as error:
        elb.create_load_balancer(Name="x", Subnets=[network.a])
    assert error.value.response["Error"]["Code"] == "ValidationError"
    assert (
        error.value.response["Error"]["Message"]
        == "At least two subnets in two different Availability Zones must be specified"
    )
    twin = network.subnet(7, "us-east-1a")
    small = network.subnet(8, "us-east-1b", 28)
    sleep(emulator, 10)
    create = elb.create_load_balancer
    assert refused(create, Name="x", Subnets=[network.a, twin]) == "InvalidConfigurationRequest"
    assert refused(create, Name="x", Subnets=[network.a, small]) == "InvalidSubnet"
    assert refused(create, Name="x", Subnets=[network.a, "subnet-0123456789abcdef0"]) == "SubnetNotFound"
    wrong = {"Subnets": [network.a, network.b], "SecurityGroups": ["sg-0123456789abcdef0"]}
    assert refused(create, Name="x", **wrong) == "InvalidSecurityGroup"


def test_the_way_to_the_internet_is_needed_by_internet_facing_ones_only(
    emulator: Emulator, elb: Any, client: Client
) -> None:
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    sleep(emulator, 10)
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"][
            "SubnetId"
        ]
        for n, zone in enumerate("ab")
    ]
    sleep(emulator, 10)
    assert refused(elb.create_load_balancer, Name="x", Subnets=subnets) == "InvalidSubnet"
    made = elb.create_load_balancer(Name="x", Subnets=subnets, Scheme="internal")["LoadBalancers"][0]
    assert made["DNSName"].startswith("internal-x-")


def test_a_deleted_load_balancer_leaves_its_interfaces_for_a_while(
    emulator: Emulator, elb: Any, balancer: str, network: Network
) -> None:
    assert len(network.interfaces("web")) == 2
    assert all(one["RequesterId"] == "amazon-elb" and "Association" in one for one in network.interfaces("web"))
    elb.delete_load_balancer(LoadBalancerArn=balancer)
    elb.delete_load_balancer(LoadBalancerArn=balancer)
    assert refused(elb.describe_load_balancers, Names=["web"]) == "LoadBalancerNotFound"
    ec2 = network.ec2
    assert refused(ec2.delete_security_group, GroupId=network.group) == "DependencyViolation"
    assert refused(ec2.delete_subnet, SubnetId=network.a) == "DependencyViolation"
    assert (
        refused(ec2.detach_internet_gateway, InternetGatewayId=network.gateway, VpcId=network.vpc)
        == "DependencyViolation"
    )
    sleep(emulator, 91)
    assert network.interfaces("web") == []
    ec2.delete_security_group(GroupId=network.group)
    ec2.delete_subnet(SubnetId=network.a)


def test_deletion_protection_refuses_the_delete(elb: Any, balancer: str) -> None:
    def protect(value: str) -> None:
        attributes = [{"Key": "deletion_protection.enabled", "Value": value}]
        elb.modify_load_balancer_attributes(LoadBalancerArn=balancer, Attributes=attributes)

    protect("true")
    assert refused(elb.delete_load_balancer, LoadBalancerArn=balancer) == "OperationNotPermitted"
    protect("false")
    elb.delete_load_balancer(LoadBalancerArn=balancer)


def test_groups_and_subnets_of_a_load_balancer_can_change(
    emulator: Emulator, elb: Any, balancer: str, network: Network
) -> None:
    other = network.ec2.create_security_group(VpcId=network.vpc, GroupName="b", Description="b")["GroupId"]
    third = network.subnet(3, "us-east-1c")
    sleep(emulator, 10)
    elb.set_security_groups(LoadBalancerArn=balancer, SecurityGroups=[other])
    assert all(one["Groups"][0]["GroupId"] == other for one in network.interfaces("web"))
    elb.set_subnets(LoadBalancerArn=balancer, Subnets=[network.b, third])
    sleep(emulator, 91)
    assert {one["SubnetId"] for one in network.interfaces("web")} == {network.b, third}


# --- target groups


def test_the_same_target_group_again_is_the_same_one(elb: Any, network: Network) -> None:
    made = target_group(elb, network)
    assert target_group(elb, network) == made
    with pytest.raises(ClientError) as error:
        target_group(elb, network, Port=81)
    assert error.value.response["Error"]["Code"] == "DuplicateTargetGroupName"
    [found] = elb.describe_target_groups(TargetGroupArns=[made])["TargetGroups"]
    assert found["HealthCheckIntervalSeconds"] == 30 and found["HealthyThresholdCount"] == 5
    assert found["Matcher"] == {"HttpCode": "200"} and found["HealthCheckPath"] == "/"


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "x" * 33},
        {"name": "x-"},
        {"HealthCheckIntervalSeconds": 301},
        {"HealthCheckTimeoutSeconds": 121, "HealthCheckIntervalSeconds": 200},
        {"HealthCheckTimeoutSeconds": 30},
        {"HealthyThresholdCount": 11},
        {"UnhealthyThresholdCount": 11},
        {"HealthCheckPath": "health"},
        {"Matcher": {"HttpCode": "600"}},
        {"VpcId": "vpc-0123456789abcdef0"},
        {"Protocol": "SMTP"},
    ],
)
def test_settings_of_target_groups_are_checked(elb: Any, network: Network, settings: dict[str, Any]) -> None:
    assert refused(target_group, elb, network, **settings) == "ValidationError"


def test_a_target_group_in_use_is_not_deleted(emulator: Emulator, elb: Any, balancer: str, network: Network) -> None:
    group = target_group(elb, network)
    made = listener(elb, balancer, group)
    assert elb.describe_target_groups(LoadBalancerArn=balancer)["TargetGroups"][0]["LoadBalancerArns"] == [balancer]
    assert refused(elb.delete_target_group, TargetGroupArn=group) == "ResourceInUse"
    elb.delete_listener(ListenerArn=made)
    assert refused(elb.delete_target_group, TargetGroupArn=group) == "ResourceInUse"
    sleep(emulator, 11)
    elb.delete_target_group(TargetGroupArn=group)
    assert refused(elb.describe_target_groups, TargetGroupArns=[group]) == "TargetGroupNotFound"


def test_attributes_of_target_groups(elb: Any, network: Network) -> None:
    group = target_group(elb, network)

    def change(key: str, value: str) -> Any:
        attributes = [{"Key": key, "Value": value}]
        return elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=attributes)

    change("deregistration_delay.timeout_seconds", "15")
    found = elb.describe_target_group_attributes(TargetGroupArn=group)["Attributes"]
    assert {"Key": "deregistration_delay.timeout_seconds", "Value": "15"} in found
    assert refused(change, "deregistration_delay.timeout_seconds", "3601") == "ValidationError"
    assert refused(change, "no.such.key", "1") == "ValidationError"


# --- targets


def health_of(elb: Any, group: str) -> list[tuple[str, str]]:
    found = elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    return [(one["TargetHealth"]["State"], one["TargetHealth"].get("Reason", "")) for one in found]


def test_a_target_becomes_healthy_after_interval_times_threshold(
    emulator: Emulator, elb: Any, balancer: str, network: Network
) -> None:
    group = target_group(elb, network)
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "10.0.0.50"}])
    assert health_of(elb, group) == [("unused", "Target.NotInUse")]
    listener(elb, balancer, group)
    assert health_of(elb, group) == [("initial", "Elb.RegistrationInProgress")]
    sleep(emulator, 149)
    assert health_of(elb, group) == [("initial", "Elb.RegistrationInProgress")]
    sleep(emulator, 2)
    assert health_of(elb, group) == [("healthy", "")]


def test_a_deregistered_target_drains(emulator: Emulator, elb: Any, balancer: str, network: Network) -> None:
    group = target_group(elb, network)
    listener(elb, balancer, group)
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "10.0.0.50", "Port": 8080}])
    elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": "10.0.0.50", "Port": 8080}])
    assert health_of(elb, group) == [("draining", "Target.DeregistrationInProgress")]
    sleep(emulator, 301)
    assert health_of(elb, group) == []
    asked = elb.describe_target_health(TargetGroupArn=group, Targets=[{"Id": "10.0.0.50", "Port": 8080}])
    assert asked["TargetHealthDescriptions"][0]["TargetHealth"]["Reason"] == "Target.NotRegistered"
    elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": "10.0.0.99"}])


def test_a_target_with_nothing_behind_it_is_unhealthy(
    emulator: Emulator, elb: Any, balancer: str, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elbv2, "ILLNESS", lambda *_: ("Target.Timeout", "Request timed out"))
    group = target_group(elb, network)
    listener(elb, balancer, group)
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "10.0.0.50"}])
    assert health_of(elb, group)[0][0] == "initial"
    sleep(emulator, 61)
    assert health_of(elb, group) == [("unhealthy", "Target.Timeout")]
    monkeypatch.setattr(elbv2, "ILLNESS", lambda *_: None)
    assert health_of(elb, group)[0][0] == "unhealthy"
    sleep(emulator, 151)
    assert health_of(elb, group)[0][0] == "healthy"


def test_what_other_services_ask_for(emulator: Emulator, elb: Any, balancer: str, network: Network) -> None:
    world, region, group = emulator.world, "us-east-1", target_group(elb, network)
    assert elbv2.target_group(world, region, group) and elbv2.target_group(world, region, "arn:x") is None
    assert not elbv2.has_load_balancer(world, region, group)
    listener(elb, balancer, group)
    assert elbv2.has_load_balancer(world, region, group)
    elbv2.register(world, region, group, "10.0.0.5", 80)
    assert elbv2.health(world, region, group, "10.0.0.5", 80) == ("initial", "Elb.RegistrationInProgress")
    elbv2.deregister(world, region, group, "10.0.0.5", 80)
    assert elbv2.health(world, region, group, "10.0.0.5", 80)[0] == "draining"


def test_an_address_outside_the_vpc_or_a_missing_instance_is_refused(elb: Any, network: Network) -> None:
    by_address, by_instance = target_group(elb, network), target_group(elb, network, "i", TargetType="instance")
    register = elb.register_targets
    assert refused(register, TargetGroupArn=by_address, Targets=[{"Id": "192.0.2.1"}]) == "ValidationError"
    missing = [{"Id": "i-0123456789abcdef0"}]
    assert refused(register, TargetGroupArn=by_instance, Targets=missing) == "InvalidTarget"


# --- listeners and certificates


def test_the_same_listener_again_is_the_same_one(elb: Any, balancer: str, network: Network) -> None:
    group, other = target_group(elb, network), target_group(elb, network, "other")
    made = listener(elb, balancer, group)
    assert listener(elb, balancer, group) == made
    assert refused(listener, elb, balancer, other) == "DuplicateListener"
    [found] = elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"]
    assert found["DefaultActions"] == [
        {
            "Type": "forward",
            "TargetGroupArn": group,
            "ForwardConfig": {
                "TargetGroups": [{"TargetGroupArn": group, "Weight": 1}],
                "TargetGroupStickinessConfig": {"Enabled": False},
            },
        }
    ]


def test_a_target_group_serves_one_load_balancer(elb: Any, balancer: str, network: Network) -> None:
    group = target_group(elb, network)
    listener(elb, balancer, group)
    made = elb.create_load_balancer(Name="two", Subnets=[network.a, network.b])["LoadBalancers"][0]
    assert refused(listener, elb, made["LoadBalancerArn"], group) == "TargetGroupAssociationLimit"
    assert refused(listener, elb, balancer, group.replace("/app/", "/none/"), 81) == "TargetGroupNotFound"


def secure(elb: Any, balancer: str, group: str, certificate: str | None, **more: Any) -> Any:
    if certificate:
        more["Certificates"] = [{"CertificateArn": certificate}]
    return elb.create_listener(
        LoadBalancerArn=balancer, Protocol="HTTPS", Port=443, DefaultActions=forward(group), **more
    )


def test_an_https_listener_needs_an_issued_certificate(
    emulator: Emulator, client: Client, elb: Any, balancer: str, network: Network
) -> None:
    from emulator.acm import certificates

    group = target_group(elb, network)
    arn = client("acm").request_certificate(DomainName="example.com", ValidationMethod="DNS")["CertificateArn"]
    assert refused(secure, elb, balancer, group, None) == "ValidationError"
    assert refused(secure, elb, balancer, group, arn[:-4] + "0000") == "CertificateNotFound"
    assert refused(secure, elb, balancer, group, arn.replace("us-east-1", "eu-west-1")) == "CertificateNotFound"
    with pytest.raises(ClientError) as error:
        secure(elb, balancer, group, arn)
    assert error.value.response["Error"]["Code"] == "UnsupportedCertificate"
    assert error.value.response["Error"]["Message"] == (
        f"The certificate '{arn}' must have a fully-qualified domain name, a supported signature, "
        "and a supported key size."
    )
    certificates.issue(emulator.world, "us-east-1", arn)
    assert refused(secure, elb, balancer, group, arn, SslPolicy="no-such-policy") == "SSLPolicyNotFound"
    made = secure(elb, balancer, group, arn, SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06")["Listeners"][0]
    assert made["Certificates"] == [{"CertificateArn": arn}]
    assert client("acm").describe_certificate(CertificateArn=arn)["Certificate"]["InUseBy"] == [balancer]
    assert refused(client("acm").delete_certificate, CertificateArn=arn) == "ResourceInUseException"
    moving, emulator.world.clock = emulator.world.clock, Clock(0)
    assert refused(client("acm").delete_certificate, CertificateArn=arn) == "ResourceInUseException"
    emulator.world.clock = moving
    elb.delete_listener(ListenerArn=made["ListenerArn"])
    assert refused(client("acm").delete_certificate, CertificateArn=arn) == "ResourceInUseException"
    sleep(emulator, 61)
    client("acm").delete_certificate(CertificateArn=arn)


def test_the_tls_policy_that_aws_recommends_is_known_and_has_no_cbc_suites(client: Client) -> None:
    names = ["ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09", "ELBSecurityPolicy-TLS13-1-2-2021-06"]
    recommended, older = client("elbv2").describe_ssl_policies(Names=names)["SslPolicies"]
    assert (recommended["Name"], sorted(recommended["SslProtocols"])) == (names[0], ["TLSv1.2", "TLSv1.3"])
    for policy, has_cbc in ((recommended, False), (older, True)):
        ciphers = [each["Name"] for each in policy["Ciphers"]]
        assert any(each.endswith("SHA256") and "GCM" not in each and "TLS_" not in each for each in ciphers) == has_cbc


# --- rules


def hosts(*names: str) -> list[Any]:
    return [{"Field": "host-header", "HostHeaderConfig": {"Values": list(names)}}]


@pytest.fixture
def rule(elb: Any, balancer: str, network: Network) -> Callable[..., Any]:
    """Makes a rule on one listener."""
    group = target_group(elb, network)
    made = listener(elb, balancer, group)

    def create(priority: int, conditions: list[Any], actions: list[Any] | None = None) -> Any:
        answer = elb.create_rule(
            ListenerArn=made, Priority=priority, Conditions=conditions, Actions=actions or forward(group)
        )
        return answer["Rules"][0]

    return create


def test_a_rule_may_name_five_hosts_and_no_more(rule: Callable[..., Any]) -> None:
    names = [f"h{n}.example.com" for n in range(6)]
    made = rule(1, hosts(*names[:5]))
    assert made["Priority"] == "1" and made["Conditions"][0]["Values"] == names[:5]
    assert rule(2, [{"Field": "host-header", "Values": names[:5]}])["Conditions"][0]["Values"] == names[:5]
    assert refused(rule, 3, hosts(*names)) == "ValidationError"
    path = [{"Field": "path-pattern", "Values": ["/a"]}]
    assert refused(rule, 3, hosts(*names[:5]) + path) == "ValidationError"


@pytest.mark.parametrize("name", ["localhost", "x" * 125 + ".com", "a.b1", "a_b.com"])
def test_host_names_of_rules(rule: Callable[..., Any], name: str) -> None:
    assert refused(rule, 1, hosts(name)) == "ValidationError"


def test_wildcards_and_priorities(rule: Callable[..., Any], elb: Any) -> None:
    assert refused(rule, 1, hosts("*?*.*.*.example.com", "*.example.com")) == "ValidationError"
    first, second = rule(1, hosts("a.example.com")), rule(2, hosts("*.example.com"))
    assert refused(rule, 1, hosts("b.example.com")) == "PriorityInUse"
    assert refused(rule, 50001, hosts("b.example.com")) == "ValidationError"
    swapped = [
        {"RuleArn": first["RuleArn"], "Priority": 2},
        {"RuleArn": second["RuleArn"], "Priority": 1},
    ]
    elb.set_rule_priorities(RulePriorities=swapped)
    listener_arn = first["RuleArn"].replace(":listener-rule/", ":listener/").rpartition("/")[0]
    found = elb.describe_rules(ListenerArn=listener_arn)["Rules"]
    assert [one["RuleArn"] for one in found[:2]] == [second["RuleArn"], first["RuleArn"]]
    assert found[2]["IsDefault"] and found[2]["Priority"] == "default"
    assert refused(elb.delete_rule, RuleArn=found[2]["RuleArn"]) == "OperationNotPermitted"
    elb.delete_rule(RuleArn=first["RuleArn"])
    assert refused(elb.delete_rule, RuleArn=first["RuleArn"]) == "RuleNotFound"


def test_a_load_balancer_has_a_hundred_rules(rule: Callable[..., Any]) -> None:
    for number in range(1, 101):
        rule(number, [{"Field": "path-pattern", "Values": [f"/{number}"]}])
    assert refused(rule, 101, hosts("a.example.com")) == "TooManyRules"


def test_weighted_forwards_have_at_most_five_groups(rule: Callable[..., Any], elb: Any, network: Network) -> None:
    groups = [{"TargetGroupArn": target_group(elb, network, f"g{n}"), "Weight": n} for n in range(6)]

    def weighted(count: int) -> list[Any]:
        return [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups[:count]}}]

    made = rule(1, hosts("a.example.com"), weighted(5))
    assert [one["Weight"] for one in made["Actions"][0]["ForwardConfig"]["TargetGroups"]] == [0, 1, 2, 3, 4]
    assert refused(rule, 2, hosts("b.example.com"), weighted(6)) == "ValidationError"


def test_redirects_and_fixed_responses(rule: Callable[..., Any]) -> None:
    redirect = [{"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}}]
    made = rule(1, hosts("a.example.com"), redirect)
    assert made["Actions"][0]["RedirectConfig"]["Host"] == "#{host}"
    loop = [{"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301"}}]
    assert refused(rule, 2, hosts("a.example.com"), loop) == "InvalidLoadBalancerAction"
    fixed = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain"}}]
    assert rule(3, hosts("a.example.com"), fixed)["Actions"][0]["FixedResponseConfig"]["StatusCode"] == "404"


def test_tags_of_everything(elb: Any, balancer: str, network: Network) -> None:
    group = target_group(elb, network, Tags=[{"Key": "a", "Value": "b"}])
    made = listener(elb, balancer, group)
    elb.add_tags(ResourceArns=[balancer, made], Tags=[{"Key": "k", "Value": "v"}])
    found = elb.describe_tags(ResourceArns=[balancer, group, made])["TagDescriptions"]
    assert [one["Tags"] for one in found] == [
        [{"Key": "k", "Value": "v"}],
        [{"Key": "a", "Value": "b"}],
        [{"Key": "k", "Value": "v"}],
    ]
    elb.remove_tags(ResourceArns=[balancer], TagKeys=["k"])
    assert elb.describe_tags(ResourceArns=[balancer])["TagDescriptions"][0]["Tags"] == []


def test_the_service_linked_role_stays_while_there_is_a_load_balancer(
    emulator: Emulator, client: Client, elb: Any, balancer: str
) -> None:
    """iam-010"""
    iam, role = client("iam"), "AWSServiceRoleForElasticLoadBalancing"

    def outcome() -> Any:
        task = iam.delete_service_linked_role(RoleName=role)["DeletionTaskId"]
        sleep(emulator, 60)
        return iam.get_service_linked_role_deletion_status(DeletionTaskId=task)

    failed = outcome()
    assert failed["Status"] == "FAILED" and failed["Reason"]["RoleUsageList"][0]["Resources"] == [balancer]
    elb.delete_load_balancer(LoadBalancerArn=balancer)
    assert outcome()["Status"] == "SUCCEEDED"


@pytest.mark.parametrize("path", ["/a b", "/ä", "/a#b", "/a%20b", "/a(b)", "/a,b", "/" + "x" * 128])
def test_path_patterns_of_rules(rule: Callable[..., Any], path: str) -> None:
    assert refused(rule, 1, [{"Field": "path-pattern", "Values": [path]}]) == "ValidationError"


def test_a_path_pattern_may_have_all_of_the_signs(rule: Callable[..., Any]) -> None:
    path = "/a_-.$/~\"'@:+&*?" + "x" * 100
    assert rule(1, [{"Field": "path-pattern", "Values": [path]}])["Conditions"][0]["Values"] == [path]


@pytest.mark.parametrize("codes", ["100", "199-299", "200-500", "503", "2xx", ""])
def test_an_application_load_balancer_waits_for_200_to_499(elb: Any, network: Network, codes: str) -> None:
    group = target_group(elb, network, "g")
    wanted = {"TargetGroupArn": group, "Matcher": {"HttpCode": codes}}
    if codes:
        assert refused(elb.modify_target_group, **wanted) == "ValidationError"
    assert elb.modify_target_group(TargetGroupArn=group, Matcher={"HttpCode": "200-499"})


def test_what_a_target_group_was_made_with_stays(elb: Any, network: Network) -> None:
    given = elb.meta.service_model.operation_model("ModifyTargetGroup").input_shape.members
    assert not {"Protocol", "Port", "TargetType", "VpcId", "ProtocolVersion"} & given.keys()


# --- what a target group speaks, how it chooses, and certificates beside the default one


def reason(call: Callable[..., Any], **kwargs: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**kwargs)
    return str(error.value.response["Error"]["Message"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"ProtocolVersion": "HTTP3"},
        {"ProtocolVersion": "GRPC", "HealthCheckPath": "/ping"},
        {"ProtocolVersion": "GRPC", "Matcher": {"HttpCode": "200"}},
        {"ProtocolVersion": "GRPC", "Matcher": {"GrpcCode": "100"}},
        {"Matcher": {"GrpcCode": "0"}},
        {"Protocol": "TCP", "ProtocolVersion": "HTTP2"},
    ],
)
def test_a_target_group_speaks_one_version_and_is_asked_in_it(elb: Any, network: Network, wrong: Any) -> None:
    settings = {"Protocol": "HTTP", "Port": 80, "VpcId": network.vpc, "TargetType": "ip", **wrong}
    assert refused(elb.create_target_group, Name="x", **settings) == "ValidationError"


@pytest.mark.parametrize("version", ["GRPC", "HTTP2"])
def test_http_listeners_forward_to_no_other_version_than_http1(
    emulator: Emulator, client: Client, elb: Any, balancer: str, network: Network, version: str
) -> None:
    plain, other = target_group(elb, network), target_group(elb, network, "other", ProtocolVersion=version)
    told = f"Listener protocol 'HTTP' is not supported with a target group with the protocol-version '{version}'"
    request = {"LoadBalancerArn": balancer, "Protocol": "HTTP", "Port": 80}
    assert reason(elb.create_listener, **request, DefaultActions=forward(other)) == told
    arn = listener(elb, balancer, plain)
    rule = {"Priority": 1, "Conditions": [{"Field": "path-pattern", "Values": ["/"]}]}
    assert reason(elb.create_rule, ListenerArn=arn, **rule, Actions=forward(other)) == told
    made = elb.create_rule(ListenerArn=arn, **rule, Actions=forward(plain))["Rules"][0]["RuleArn"]
    assert reason(elb.modify_rule, RuleArn=made, Actions=forward(other)) == told
    [certificate] = issue(emulator, client, "a.example.com")
    secure(elb, balancer, other, certificate)


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"slow_start.duration_seconds": "29"}, "must be 0 or between '30-900' inclusive"),
        ({"load_balancing.algorithm.type": "random"}, "must be one of 'round_robin, least_outstanding_requests"),
        ({"stickiness.lb_cookie.duration_seconds": "604801"}, "must be between '1-604800' inclusive"),
        (
            {"slow_start.duration_seconds": "60", "load_balancing.algorithm.type": "least_outstanding_requests"},
            "You cannot enable both slow start mode and least outstanding requests",
        ),
        (
            {"slow_start.duration_seconds": "60", "load_balancing.algorithm.type": "weighted_random"},
            "You cannot enable both slow start and weighted random algorithm on a target group",
        ),
        (
            {"stickiness.enabled": "true", "load_balancing.algorithm.type": "weighted_random"},
            "You cannot have both stickiness and weighted random algorithm enabled on the same target group.",
        ),
        ({"load_balancing.algorithm.anomaly_mitigation": "on"}, "only with the weighted random algorithm"),
    ],
)
def test_attributes_have_their_ranges_and_go_together(
    elb: Any, network: Network, attributes: dict[str, str], told: str
) -> None:
    arn = target_group(elb, network)
    before = elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
    asked = [{"Key": key, "Value": value} for key, value in attributes.items()]
    assert told in reason(elb.modify_target_group_attributes, TargetGroupArn=arn, Attributes=asked)
    assert elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"] == before


def issue(emulator: Emulator, client: Client, *names: str) -> list[str]:
    from emulator.acm import certificates

    acm = client("acm")
    arns = [acm.request_certificate(DomainName=name, ValidationMethod="DNS")["CertificateArn"] for name in names]
    for arn in arns:
        certificates.issue(emulator.world, "us-east-1", arn)
    return arns


def test_a_listener_has_twenty_five_certificates_beside_its_default_one(
    emulator: Emulator, client: Client, elb: Any, balancer: str, network: Network
) -> None:
    default, *others = issue(emulator, client, *(f"a{number}.example.com" for number in range(27)))
    arn = secure(elb, balancer, target_group(elb, network), default)["Listeners"][0]["ListenerArn"]
    two = [{"CertificateArn": each} for each in others[:2]]
    assert refused(elb.add_listener_certificates, ListenerArn=arn, Certificates=two) == "ValidationError"
    for each in (*others[:25], others[0]):
        elb.add_listener_certificates(ListenerArn=arn, Certificates=[{"CertificateArn": each}])
    last = [{"CertificateArn": others[25]}]
    assert refused(elb.add_listener_certificates, ListenerArn=arn, Certificates=last) == "TooManyCertificates"
    assert len(elb.describe_listener_certificates(ListenerArn=arn)["Certificates"]) == 26
