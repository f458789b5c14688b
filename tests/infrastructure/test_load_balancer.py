"""The load balancer: who may reach it, how it speaks, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.front_door.proxy import Request, route
from tests.conftest import Runbook, issued
from tests.standing import standing, tag
from tests.zones import zone

NO_HOSTS = {"CLUSTER_SIZE": ""}
HTTP = {"LISTENER_PROTOCOL": "HTTP", "CERTIFICATE_ARN": "", "TARGET_PROTOCOL": "HTTP"}


def balancer(runbook: Runbook) -> Any:
    [found] = runbook.aws("elbv2").describe_load_balancers()["LoadBalancers"]
    return found


def listeners(runbook: Runbook) -> dict[int, Any]:
    found = runbook.aws("elbv2").describe_listeners(LoadBalancerArn=balancer(runbook)["LoadBalancerArn"])
    return {listener["Port"]: listener for listener in found["Listeners"]}


def attributes(runbook: Runbook) -> dict[str, str]:
    arn = balancer(runbook)["LoadBalancerArn"]
    found = runbook.aws("elbv2").describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
    return {each["Key"]: each["Value"] for each in found}


def open_to(runbook: Runbook) -> list[tuple[int, list[str]]]:
    groups = runbook.aws("ec2").describe_security_groups(GroupIds=balancer(runbook)["SecurityGroups"])
    rules = [rule for group in groups["SecurityGroups"] for rule in group["IpPermissions"]]
    return sorted((rule["FromPort"], [block["CidrIp"] for block in rule["IpRanges"]]) for rule in rules)


def test_it_faces_the_internet_from_both_public_subnets(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", **NO_HOSTS)
    found = balancer(clara)
    zones = [zone["ZoneName"] for zone in found["AvailabilityZones"]]
    assert (found["Scheme"], found["State"]["Code"]) == ("internet-facing", "active")
    assert sorted(zones) == ["us-east-1a", "us-east-1b"]


def test_only_the_allowed_cidr_reaches_it(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", **NO_HOSTS)
    assert open_to(clara) == [(80, ["203.0.113.0/24"]), (443, ["203.0.113.0/24"])]


def test_another_allowed_cidr_takes_the_place_of_the_first(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", **NO_HOSTS)
    clara.has_run("create_cluster.py", ALLOWED_CIDR="198.51.100.0/24", **NO_HOSTS)
    assert open_to(clara) == [(80, ["198.51.100.0/24"]), (443, ["198.51.100.0/24"])]


def test_https_has_a_tls_1_3_policy_and_the_certificate(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", **NO_HOSTS)
    listener = listeners(clara)[443]
    assert (listener["Protocol"], listener["SslPolicy"]) == ("HTTPS", "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09")
    assert [each["CertificateArn"] for each in listener["Certificates"]] == [clara.settings["CERTIFICATE_ARN"]]


def test_a_listener_with_an_older_tls_policy_gets_the_one_that_aws_recommends(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", **NO_HOSTS)
    older = {"ListenerArn": listeners(clara)[443]["ListenerArn"], "SslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06"}
    clara.aws("elbv2").modify_listener(**older)
    clara.has_run("create_cluster.py", **NO_HOSTS)
    assert listeners(clara)[443]["SslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"


def test_port_80_only_redirects_to_https(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", **NO_HOSTS)
    [action] = listeners(clara)[80]["DefaultActions"]
    redirect = action["RedirectConfig"]
    assert (redirect["Protocol"], redirect["Port"], redirect["StatusCode"]) == ("HTTPS", "443", "HTTP_301")


def test_what_no_service_answers_is_not_found(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", **NO_HOSTS)
    [action] = listeners(clara)[443]["DefaultActions"]
    assert action["FixedResponseConfig"]["StatusCode"] == "404"


def test_invalid_header_fields_are_dropped(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", **NO_HOSTS)
    assert attributes(clara)["routing.http.drop_invalid_header_fields.enabled"] == "true"


def test_there_are_no_access_logs_unless_a_bucket_is_named(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", **NO_HOSTS)
    assert attributes(clara)["access_logs.s3.enabled"] == "false"


def test_access_logs_go_to_the_bucket(clara: Runbook) -> None:
    bucket = "clara-access-logs"
    clara.aws("s3").create_bucket(Bucket=bucket)
    clara.has_run("create_cluster.py", ACCESS_LOGS_BUCKET=bucket, **NO_HOSTS)
    found = attributes(clara)
    assert (found["access_logs.s3.enabled"], found["access_logs.s3.bucket"]) == ("true", bucket)


def test_delete_stops_at_a_protected_load_balancer(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", LOAD_BALANCER_PROTECTION="on", **NO_HOSTS)
    ran = clara.run("delete_cluster.py", "--yes", **NO_HOSTS)
    assert ran.code == 1
    assert "clara-train-alb is protected from deletion: LOAD_BALANCER_PROTECTION=off" in ran.err
    assert balancer(clara)["State"]["Code"] == "active"


def test_a_protection_that_is_taken_away_lets_the_load_balancer_go(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", LOAD_BALANCER_PROTECTION="on", **NO_HOSTS)
    clara.has_run("create_cluster.py", "delete_cluster.py --yes", **NO_HOSTS)
    assert clara.aws("elbv2").describe_load_balancers()["LoadBalancers"] == []


def test_http_says_that_it_is_not_encrypted(clara: Runbook) -> None:
    ran = clara.run("create_cluster.py", **HTTP, **NO_HOSTS)
    assert ran.code == 0, ran.err
    assert "warning LISTENER_PROTOCOL=HTTP:  what passes the load balancer is not encrypted" in ran.err
    assert list(listeners(clara)) == [80]
    assert open_to(clara) == [(80, ["203.0.113.0/24"])]


def pending_certificate(runbook: Runbook) -> str:
    request = {"DomainName": "other.example.com", "ValidationMethod": "DNS"}
    return str(runbook.aws("acm").request_certificate(**request)["CertificateArn"])


def test_a_certificate_that_is_not_issued_is_refused_before_anything_is_made(clara: Runbook) -> None:
    arn = pending_certificate(clara)
    before = clara.account()
    ran = clara.run("create_cluster.py", CERTIFICATE_ARN=arn)
    assert ran.code == 1
    assert "CERTIFICATE_ARN is PENDING_VALIDATION, not ISSUED: finish its validation" in ran.err
    assert clara.account() == before


@pytest.mark.parametrize(
    ("arn", "sentence", "code"),
    [
        ("", "CERTIFICATE_ARN: is not set, but LISTENER_PROTOCOL=HTTPS", 2),
        (
            "arn:aws:acm:eu-west-1:123456789012:certificate/x",
            "is of eu-west-1, but the load balancer is to be in us",
            1,
        ),
        ("arn:aws:acm:us-east-1:123456789012:certificate/x", "there is no such certificate in this account and", 1),
    ],
)
def test_a_certificate_that_can_not_be_used_is_refused(clara: Runbook, arn: str, sentence: str, code: int) -> None:
    before = clara.account()
    ran = clara.run("create_cluster.py", CERTIFICATE_ARN=arn)
    assert (ran.code, sentence in ran.err) == (code, True), ran.err
    assert clara.account() == before


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"PUBLIC_SUBNET_CIDRS": "10.0.128.0/20", "PRIVATE_SUBNET_CIDRS": "10.0.0.0/19"}, "a load balancer needs two"),
        ({"PRIVATE_SUBNET_CIDRS": "10.0.0.0/19,10.0.16.0/20"}, "10.0.16.0/20 and 10.0.0.0/19 overlap"),
        ({"PUBLIC_SUBNET_CIDRS": "10.0.0.0/20,10.0.144.0/20"}, "10.0.0.0/19 and 10.0.0.0/20 overlap"),
        ({"ALLOWED_CIDR": ""}, "ALLOWED_CIDR: is not set"),
        ({"HEALTH_CHECK_TIMEOUT": "30"}, "HEALTH_CHECK_TIMEOUT: 30 is not less than HEALTH_CHECK_INTERVAL=30"),
    ],
)
def test_a_network_that_does_not_fit_is_a_wrong_setting(
    clara: Runbook, settings: dict[str, str], sentence: str
) -> None:
    ran = clara.run("create_cluster.py", **settings)
    assert (ran.code, sentence in ran.err) == (2, True), ran.err


# ------------------------------------------------------------------------------------------------------- whose it is


def test_load_balancer_and_listeners_are_listed_with_arn_and_tags_and_retagging_reaches_them(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", **NO_HOSTS)
    found = standing(clara, "cluster.load_balancer", **NO_HOSTS)
    arns = {
        "load balancer clara-train-alb": balancer(clara)["LoadBalancerArn"],
        "listener HTTP 80 of clara-train-alb": listeners(clara)[80]["ListenerArn"],
        "listener HTTPS 443 of clara-train-alb": listeners(clara)[443]["ListenerArn"],
    }
    assert {what: each["arn"] for what, each in found.items()} == arns
    assert [each["part"] for each in found.values()] == ["alb", "listener-80", "listener-443"]
    assert {each["tags"]["gpu-ecs-cluster"] for each in found.values()} == {"clara-train"}
    tag(clara, found, team="ml")
    again = standing(clara, "cluster.load_balancer", **NO_HOSTS)
    assert {each["tags"]["team"] for each in again.values()} == {"ml"}


def test_the_groups_of_load_balancer_and_bastion_are_listed_and_retagging_reaches_them(clara: Runbook) -> None:
    clara.aws("ec2").create_key_pair(KeyName="mine")
    clara.has_run("create_cluster.py", BASTION_KEY_NAME="mine", BASTION_ALLOWED_CIDR="203.0.113.7/32", **NO_HOSTS)
    found = standing(clara, "cluster.security_groups", **NO_HOSTS)
    groups = {each["part"]: each for what, each in found.items() if what.startswith("security group sg-")}
    assert groups.keys() >= {"load-balancer", "bastion", "file-system"}
    rules = [each for what, each in found.items() if what.startswith("security group rule sgr-")]
    assert len(rules) == sum(
        len(rule["IpRanges"]) + len(rule["UserIdGroupPairs"])
        for group in clara.aws("ec2").describe_security_groups()["SecurityGroups"]
        for rule in group["IpPermissions"]
        if group["GroupName"].startswith("clara-train-")
    )
    tag(clara, found, team="ml")
    again = standing(clara, "cluster.security_groups", **NO_HOSTS)
    assert again.keys() == found.keys() and {each["tags"]["team"] for each in again.values()} == {"ml"}


def test_a_listener_of_somebody_else_is_neither_changed_nor_listed(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", LISTENER_PROTOCOL="HTTP", CERTIFICATE_ARN="", **NO_HOSTS)
    elb = clara.aws("elbv2")
    action = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "ContentType": "text/plain"}}
    request = {"LoadBalancerArn": balancer(clara)["LoadBalancerArn"], "Protocol": "HTTP", "DefaultActions": [action]}
    elb.create_listener(**request, Port=443)
    elb.create_listener(**request, Port=8080)
    before = listeners(clara)
    ran = clara.run("create_cluster.py", **NO_HOSTS)
    assert ran.code == 1
    assert "the listener HTTPS 443 of clara-train-alb exists already, and does not bear the tag" in ran.err
    assert {port: listeners(clara)[port] for port in (443, 8080)} == {port: before[port] for port in (443, 8080)}
    assert list(standing(clara, "cluster.load_balancer", **NO_HOSTS)) == [
        "load balancer clara-train-alb",
        "listener HTTP 80 of clara-train-alb",
    ]


def test_a_load_balancer_of_somebody_else_is_neither_changed_nor_deleted(clara: Runbook) -> None:
    ec2, elb = clara.aws("ec2"), clara.aws("elbv2")
    vpc_id = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    subnets = [each["SubnetId"] for each in ec2.describe_subnets()["Subnets"] if each["VpcId"] == vpc_id][:2]
    arn = elb.create_load_balancer(Name="clara-train-alb", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    clara.settle()
    found = attributes(clara)
    ran = clara.run("create_cluster.py", **NO_HOSTS)
    assert ran.code == 1
    assert "the load balancer clara-train-alb exists already, and does not bear the tag" in ran.err
    ran = clara.run("delete_cluster.py", "--yes", **NO_HOSTS)
    assert (ran.code, "kept load balancer clara-train-alb  not of this runbook" in ran.err) == (0, True), ran.err
    assert (balancer(clara)["LoadBalancerArn"], attributes(clara), listeners(clara)) == (arn, found, {})


def test_without_https_the_listener_of_443_goes_and_80_does_not_redirect_any_more(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", **NO_HOSTS)
    clara.has_run("create_cluster.py", **HTTP, **NO_HOSTS)
    assert list(listeners(clara)) == [80]
    assert listeners(clara)[80]["DefaultActions"][0]["FixedResponseConfig"]["StatusCode"] == "404"
    begun = len(clara.emulator.calls)
    clara.has_run("create_cluster.py", **HTTP, **NO_HOSTS)
    assert clara.changes(begun) == []
    clara.has_run("create_cluster.py", **NO_HOSTS)
    assert sorted(listeners(clara)) == [80, 443]
    assert listeners(clara)[80]["DefaultActions"][0]["Type"] == "redirect"


def test_an_internal_load_balancer_is_in_the_private_subnets_and_out_of_reach(clara: Runbook) -> None:
    clara.settings["LOAD_BALANCER_SCHEME"] = "internal"
    zone(clara, "example.com")
    made = clara.run("create_cluster.py")
    assert made.code == 0, made.err
    [balancer] = clara.aws("elbv2").describe_load_balancers()["LoadBalancers"]
    assert (balancer["Scheme"], balancer["DNSName"].startswith("internal-clara-train-alb-")) == ("internal", True)
    assert {each["SubnetId"] for each in balancer["AvailabilityZones"]} == {*made.result["subnetIds"]}
    clara.settings |= {"HOST_NAME": "a.example.com", "CERTIFICATE_ARN": issued(clara, "a.example.com")}
    clara.has_run("create_dns_record.py")
    clara.settle(200)
    asked = route(clara.emulator, Request("GET", "https", "a.example.com", 443, "a.example.com"))
    assert (asked.status, "internal: no way in from outside" in asked.headers["X-Emulator-Reason"]) == (504, True)
    clara.has_run("delete_cluster.py --yes")
    assert [name for name in clara.account() if name.startswith("DNS record")] == [], "found by its name that begins so"


def test_the_check_of_an_internal_load_balancer_says_from_where_it_can_be_asked(clara: Runbook) -> None:
    clara.settings["LOAD_BALANCER_SCHEME"] = "internal"
    ran = clara.has_run("create_cluster.py").run("check_service.py")
    assert (ran.code, "LOAD_BALANCER_SCHEME=internal: it answers inside its VPC alone" in ran.err) == (1, True)


def allowed(runbook: Runbook, group: str) -> set[str]:
    """Who is let in by the rules of a group, at its first port."""
    filters = [{"Name": "group-name", "Values": [group]}]
    [found] = runbook.aws("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]
    rule = found["IpPermissions"][0]
    return {each["CidrIp"] for each in rule["IpRanges"]} | {each["GroupId"] for each in rule["UserIdGroupPairs"]}


def test_several_blocks_and_groups_may_reach_it_and_those_no_longer_named_may_not(clara: Runbook) -> None:
    clara.has_run("create_cluster.py")
    [vpc_id] = [each["VpcId"] for each in clara.aws("ec2").describe_vpcs()["Vpcs"] if not each["IsDefault"]]
    theirs = clara.aws("ec2").create_security_group(GroupName="theirs", Description="theirs", VpcId=vpc_id)["GroupId"]
    clara.settle(60)
    [one] = allowed(clara, "clara-train-load-balancer")
    clara.has_run("create_cluster.py", ALLOWED_CIDRS=f"198.51.100.0/24,{theirs},{one}")
    assert allowed(clara, "clara-train-load-balancer") == {one, "198.51.100.0/24", theirs}
    clara.has_run("create_cluster.py", ALLOWED_CIDR="", ALLOWED_CIDRS=theirs)
    assert allowed(clara, "clara-train-load-balancer") == {theirs}
    clara.has_run("create_cluster.py")
    assert allowed(clara, "clara-train-load-balancer") == {one}


def test_a_group_that_no_rule_can_name_is_refused_before_anything_is_made(clara: Runbook) -> None:
    begun = len(clara.emulator.calls)
    ran = clara.run("create_cluster.py", ALLOWED_CIDRS="sg-0abc12345")
    assert (ran.code, "ALLOWED_CIDRS: sg-0abc12345 can't be in the VPC that is still to be made" in ran.err) == (
        1,
        True,
    )
    assert clara.changes(begun) == []
    default = clara.aws("ec2").describe_security_groups()["SecurityGroups"][0]
    ran = clara.has_run("create_cluster.py").run("create_cluster.py", ALLOWED_CIDRS=default["GroupId"])
    assert (ran.code, f"{default['GroupId']} belongs to {default['VpcId']}, not to vpc-" in ran.err) == (1, True), (
        ran.err
    )


def test_http_is_refused_while_a_service_speaks_what_only_https_takes(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", "register_task_definition.py")
    grpc = {"TARGET_PROTOCOL_VERSION": "GRPC", "HEALTH_CHECK_PATH": "", "HEALTH_CHECK_CODES": "0-99"}
    clara.has_run("create_service.py", **grpc)
    begun = len(clara.emulator.calls)
    ran = clara.run("create_cluster.py", LISTENER_PROTOCOL="HTTP", CERTIFICATE_ARN="")
    assert (ran.code, "LISTENER_PROTOCOL=HTTP, but the target group clara-train-tg speaks GRPC" in ran.err) == (1, True)
    assert clara.changes(begun) == []
