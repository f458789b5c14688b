"""Certificates, and how they are proved."""

from __future__ import annotations

from typing import Any

from emulator.core.wire import Emulator
from emulator.core.world import Clock
from tests.emulator.common import Client, change, record, refused, sleep


def test_a_certificate_is_issued_once_its_records_are_public(emulator: Emulator, client: Client, zone: str) -> None:
    acm = client("acm")
    arn = acm.request_certificate(
        DomainName="example.com", SubjectAlternativeNames=["*.example.com"], ValidationMethod="DNS"
    )["CertificateArn"]

    def detail() -> Any:
        return acm.describe_certificate(CertificateArn=arn)["Certificate"]

    assert all("ResourceRecord" not in option for option in detail()["DomainValidationOptions"])
    sleep(emulator, 9)
    records = [option["ResourceRecord"] for option in detail()["DomainValidationOptions"]]
    assert records[0] == records[1]
    sleep(emulator, 3600)
    assert detail()["Status"] == "PENDING_VALIDATION"
    change(client, zone, ("UPSERT", record(records[0]["Name"], records[0]["Value"], "CNAME")))
    sleep(emulator, 10)
    assert detail()["Status"] == "PENDING_VALIDATION"
    sleep(emulator, 301)
    assert detail()["Status"] == "ISSUED"
    assert acm.list_certificates(CertificateStatuses=["ISSUED"])["CertificateSummaryList"][0]["CertificateArn"] == arn


def test_a_certificate_that_nobody_proves_times_out(emulator: Emulator, client: Client) -> None:
    acm = client("acm")
    arn = acm.request_certificate(DomainName="example.com", ValidationMethod="DNS")["CertificateArn"]
    sleep(emulator, 72 * 3600 + 1)
    assert acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "VALIDATION_TIMED_OUT"
    acm.delete_certificate(CertificateArn=arn)
    assert refused(acm.describe_certificate, CertificateArn=arn) == "ResourceNotFoundException"


def test_an_idempotency_token_lives_for_an_hour(emulator: Emulator, client: Client) -> None:
    def request(**more: Any) -> str:
        return str(client("acm").request_certificate(DomainName="example.com", **more)["CertificateArn"])

    first = request(IdempotencyToken="t")
    assert request(IdempotencyToken="t") == first
    assert request() != request()
    sleep(emulator, 3601)
    assert request(IdempotencyToken="t") != first


def test_an_idempotency_token_counts_although_no_wait_takes_time(emulator: Emulator, client: Client) -> None:
    emulator.world.clock = Clock(0)
    request = client("acm").request_certificate
    made = [request(DomainName="example.com", IdempotencyToken="t")["CertificateArn"] for _ in range(2)]
    assert made[0] == made[1]
