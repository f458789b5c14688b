"""create_certificate.py: a certificate for the host names, proved by DNS, in Route 53 or elsewhere."""

from __future__ import annotations

import pytest

from emulator.acm import certificates as acm_certificates
from tests.conftest import Runbook
from tests.zones import NAMES, certificates, ml_endpoints, record, records, validation, zone


@pytest.fixture
def ml(runbook: Runbook) -> Runbook:
    return ml_endpoints(runbook, "example.com")


# ------------------------------------------------------------------------------------------------- what is made


def test_it_is_asked_for_proved_in_route_53_and_issued(ml: Runbook) -> None:
    before = ml.emulator.world.now()
    ran = ml.run("create_certificate.py")
    made, [found] = ran.result, certificates(ml)
    assert (made["certificateArn"], made["status"]) == (found["CertificateArn"], "ISSUED")
    assert (found["DomainName"], found["SubjectAlternativeNames"]) == (NAMES[0], NAMES)
    assert records(ml) == [validation(found)]  # a name and its wildcard share one
    assert [each["value"] for each in made["recordsInRoute53"]] == [validation(found)[2]]
    assert made["recordsToMake"] == []
    assert ml.emulator.world.now() - before < 420
    tags = ml.aws("acm").list_tags_for_certificate(CertificateArn=found["CertificateArn"])["Tags"]
    assert {"Key": "gpu-ecs-cluster", "Value": "ml"} in tags
    assert "next python create_cluster.py" in ran.err


def test_a_second_run_changes_nothing_and_a_lost_record_is_made_again(ml: Runbook) -> None:
    ml.has_run("create_certificate.py")
    calls = len(ml.emulator.calls)
    ran = ml.run("create_certificate.py")
    assert (ran.code, ml.changes(calls)) == (0, [])
    assert "found certificate for ml.example.com, *.ml.example.com  ISSUED" in ran.err
    [proof] = records(ml)
    route53 = ml.aws("route53")
    [only] = route53.list_hosted_zones()["HostedZones"]
    [there] = [
        each
        for each in route53.list_resource_record_sets(HostedZoneId=only["Id"])["ResourceRecordSets"]
        if each["Type"] == "CNAME"
    ]
    batch = {"Changes": [{"Action": "DELETE", "ResourceRecordSet": there}]}
    route53.change_resource_record_sets(HostedZoneId=only["Id"], ChangeBatch=batch)
    ml.has_run("create_certificate.py")
    assert records(ml) == [proof]


def test_a_dry_run_changes_nothing_on_an_empty_account_and_on_a_made_one(ml: Runbook) -> None:
    for said in ("would have created certificate for ml.example.com", "found certificate for ml.example.com"):
        calls = len(ml.emulator.calls)
        ran = ml.run("create_certificate.py", "--dry-run")
        assert (ran.code, ml.changes(calls), said in ran.err) == (0, [], True), ran.err
        ml.has_run("create_certificate.py")


def test_without_a_wait_it_ends_before_it_is_issued_and_a_later_run_goes_on(ml: Runbook) -> None:
    ran = ml.run("create_certificate.py", WAIT="false")
    assert (ran.code, ran.result["status"]) == (0, "PENDING_VALIDATION")
    ran = ml.run("create_cluster.py")
    assert (
        "the certificate for CERTIFICATE_DOMAINS is PENDING_VALIDATION, not ISSUED: run create_certificate" in ran.err
    )
    assert ml.run("create_certificate.py").result["status"] == "ISSUED"
    assert len(certificates(ml)) == 1


def test_the_listener_gets_it_and_then_the_next_one(ml: Runbook) -> None:
    assert "there is no certificate for CERTIFICATE_DOMAINS=ml.example.com, *.ml.exa" in ml.run("create_cluster.py").err
    ml.has_run("create_certificate.py", "create_cluster.py")
    other = {"CERTIFICATE_DOMAINS": "ml.example.com,*.ml.example.com,www.example.com"}
    ran = ml.run("create_certificate.py", **other)
    first, second = sorted(certificates(ml), key=lambda each: len(each["SubjectAlternativeNames"]))
    assert len(records(ml)) == 2
    assert "kept certificate for ml.example.com, *.ml.example.com" in ran.err
    assert "create_cluster.py puts the new one there" in ran.err
    ml.has_run("create_cluster.py", **other)
    listener = next(
        each
        for balancer in ml.aws("elbv2").describe_load_balancers()["LoadBalancers"]
        for each in ml.aws("elbv2").describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
        if each["Port"] == 443
    )
    assert listener["Certificates"] == [{"CertificateArn": second["CertificateArn"]}]
    ml.settle(120)
    ml.has_run("create_certificate.py", **other)
    assert [each["CertificateArn"] for each in certificates(ml)] == [second["CertificateArn"]] != [first]
    assert len(records(ml)) == 2  # the one of ml.example.com is needed by the new one too


# ------------------------------------------------------------------------------------------------- zones


def test_the_records_are_made_in_the_zone_with_the_longest_name(ml: Runbook) -> None:
    inner = zone(ml, "ml.example.com")
    zone(ml, "ml.example.com", private=True)
    ml.has_run("create_certificate.py", WAIT="false")
    assert [kind for _, kind, _ in records(ml, inner)] == ["CNAME"]


def test_two_zones_of_one_name_are_told_and_a_setting_chooses(ml: Runbook) -> None:
    second = zone(ml, "example.com")
    ran = ml.run("create_certificate.py")
    assert ran.code == 1
    assert "two public zones example.com: Z" in ran.err
    assert second in ran.err
    assert "HOSTED_ZONE_ID" in ran.err
    assert certificates(ml) == []
    ml.has_run("create_certificate.py", HOSTED_ZONE_ID=second)
    assert len(records(ml, second)) == 1


def test_a_zone_that_can_not_be_used_is_refused_before_anything_is_made(ml: Runbook) -> None:
    private, other = zone(ml, "ml.example.com", private=True), zone(ml, "example.org")
    for zone_id, sentence in {
        "Z0000000000000": "there is no such zone in this account",
        private: "is a private zone",
        other: "is the zone example.org, and ml.example.com is not in it",
    }.items():
        ran = ml.run("create_certificate.py", HOSTED_ZONE_ID=zone_id)
        assert (ran.code, sentence in ran.err) == (1, True), ran.err
    assert certificates(ml) == []


def test_without_a_zone_the_records_are_told_to_be_made_elsewhere(runbook: Runbook) -> None:
    ml = ml_endpoints(runbook, "unrelated.org", "le.com")
    ran = ml.run("create_certificate.py", WAIT="false")
    [found] = certificates(ml)
    name, kind, value = validation(found)
    assert (ran.code, ran.result["recordsToMake"]) == (0, [{"name": name, "type": kind, "value": value}])
    assert f"  {name} 300 IN CNAME {value}" in ran.err
    ran = ml.run("create_certificate.py", WAIT_TIMEOUT_SECONDS="60")
    assert (ran.code, ran.result["recordsToMake"][0]["name"]) == (3, name)
    assert "the certificate is PENDING_VALIDATION, not proved: ml.example.com, *.ml.example.com; its records" in ran.err
    record(ml, zone(ml, "example.com"), name, kind, value)
    ml.settle()
    assert ml.run("create_certificate.py").result["status"] == "ISSUED"


# ------------------------------------------------------------------------------------------------- what goes wrong


def test_a_certificate_that_timed_out_is_asked_for_anew_and_the_dead_one_deleted(runbook: Runbook) -> None:
    ml = ml_endpoints(runbook)
    ml.has_run("create_certificate.py", WAIT="false")
    [dead] = certificates(ml)
    ml.settle(73 * 3600)
    assert certificates(ml)[0]["Status"] == "VALIDATION_TIMED_OUT"
    zone(ml, "example.com")
    ml.has_run("create_certificate.py")
    [found] = certificates(ml)
    assert (found["Status"], found["CertificateArn"] != dead["CertificateArn"]) == ("ISSUED", True)
    assert records(ml) == [validation(found)]


def test_a_certificate_that_fails_is_told_with_its_reason_and_asked_for_anew(ml: Runbook) -> None:
    def forbid(when: str) -> None:
        if (when, ml.emulator.calls[-1][1]) == ("after", "ChangeResourceRecordSets"):
            acm_certificates.fail(ml.emulator.world, "us-east-1", certificates(ml)[0]["CertificateArn"], "CAA_ERROR")

    ml.watch = forbid
    ran = ml.run("create_certificate.py")
    assert ran.code == 1
    assert "is FAILED CAA_ERROR: put that right, and run create_certificate.py again, which asks for" in ran.err
    ml.watch = lambda when: None
    assert ml.run("create_certificate.py").result["status"] == "ISSUED"
    assert [each["Status"] for each in certificates(ml)] == ["ISSUED"]


def test_a_certificate_of_somebody_else_is_left_alone(ml: Runbook) -> None:
    other = ml.aws("acm").request_certificate(
        DomainName=NAMES[0], SubjectAlternativeNames=NAMES, ValidationMethod="DNS"
    )["CertificateArn"]
    made = ml.run("create_certificate.py").result
    assert made["certificateArn"] != other
    assert len(certificates(ml)) == 2


@pytest.mark.parametrize(
    ("settings", "sentence", "code"),
    [
        (
            {"CERTIFICATE_DOMAINS": "", "CERTIFICATE_ARN": "arn:aws:acm:us-east-1:123456789012:certificate/x"},
            "is there already",
            1,
        ),
        ({"CERTIFICATE_DOMAINS": "", "LISTENER_PROTOCOL": "HTTP"}, "CERTIFICATE_DOMAINS is not set", 1),
        ({"CERTIFICATE_DOMAINS": "*.*.example.com"}, "CERTIFICATE_DOMAINS: '*.*.example.com' is not a list of host", 2),
        ({"ENDPOINT": "a"}, "ENDPOINT: a, but create_certificate.py is about the cluster", 2),
    ],
)
def test_bad_settings_are_refused(ml: Runbook, settings: dict[str, str], sentence: str, code: int) -> None:
    ran = ml.run("create_certificate.py", **settings)
    assert (ran.code, sentence in ran.err) == (code, True), ran.err
    assert certificates(ml) == []
