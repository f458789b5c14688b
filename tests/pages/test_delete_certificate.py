"""delete_certificate.py: the certificate goes with the records that proved it, once nothing uses it."""

from __future__ import annotations

import pytest

from tests.conftest import Runbook
from tests.zones import certificates, ml_endpoints, record, records, validation, zone


@pytest.fixture
def ml(runbook: Runbook) -> Runbook:
    return ml_endpoints(runbook, "example.com")


def test_the_account_is_as_before_and_a_second_run_finds_nothing(ml: Runbook) -> None:
    before = ml.account()
    ml.has_run("create_certificate.py")
    assert ml.account() != before
    calls = len(ml.emulator.calls)
    ran = ml.run("delete_certificate.py", "--dry-run")
    assert (ran.code, ml.changes(calls)) == (0, []), ran.err
    ran = ml.run("delete_certificate.py")
    assert ran.result == {"deleted": ["certificate for ml.example.com, *.ml.example.com"], "left": []}
    assert ml.account() == before
    ran = ml.run("delete_certificate.py")
    assert (ran.code, "already gone certificate" in ran.err) == (0, True)


def test_one_in_use_is_refused_and_after_the_load_balancer_is_gone_it_waits_for_acm(ml: Runbook) -> None:
    ml.has_run("create_certificate.py", "create_cluster.py")
    before = ml.account()
    ran = ml.run("delete_certificate.py")
    assert ran.code == 1
    assert "is used by arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/ml-alb/" in ran.err
    assert "that must go first; delete_cluster.py takes its load balancer away" in ran.err
    ran = ml.run("delete_certificate.py", "--dry-run")
    assert (ran.code, "that must go first" in ran.err) == (1, True)
    assert ml.account() == before
    elb = ml.aws("elbv2")
    [balancer] = elb.describe_load_balancers()["LoadBalancers"]
    elb.delete_load_balancer(LoadBalancerArn=balancer["LoadBalancerArn"])
    assert ml.has_run("delete_certificate.py") and certificates(ml) == []


def test_a_record_that_another_certificate_needs_is_kept(ml: Runbook) -> None:
    ml.has_run("create_certificate.py")
    other = ml.aws("acm").request_certificate(DomainName="ml.example.com", ValidationMethod="DNS")["CertificateArn"]
    ml.settle(60)
    ran = ml.run("delete_certificate.py")
    [found] = certificates(ml)
    assert found["CertificateArn"] == other
    assert records(ml) == [validation(found)]
    assert "another certificate needs it for its renewal" in ran.err


def test_records_with_another_value_and_dns_elsewhere_are_left_alone(runbook: Runbook) -> None:
    ml = ml_endpoints(runbook)
    ml.has_run("create_certificate.py", WAIT="false")
    name, kind, _ = validation(certificates(ml)[0])
    ml.has_run("delete_certificate.py")
    ml.has_run("create_certificate.py", WAIT="false")
    record(ml, zone(ml, "example.com"), name, kind, "somewhere.else.example.")
    ml.has_run("delete_certificate.py")
    assert (certificates(ml), records(ml)) == ([], [(name, kind, "somewhere.else.example.")])
