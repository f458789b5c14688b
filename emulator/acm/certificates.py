"""ACM: certificates, issued when the DNS records that prove them are in public zones of Route 53.

ACM is imitated wholly, since moto issues a certificate without looking for its DNS records.
https://docs.aws.amazon.com/acm/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import copy
import hashlib
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from emulator.core import partitions, rules
from emulator.core.doors import Json, door
from emulator.core.rules import AwsError, Call, Params, on
from emulator.core.tags import Tags, bearer
from emulator.core.wire import Emulator
from emulator.core.world import ACCOUNT, World
from emulator.route53 import records as route53_records

rules.SENTENCES.update(
    {
        "acm-001": "The DNS record that proves a certificate is told only some seconds after the request.",
        "acm-002": "A certificate is issued some minutes after its records are in a public zone, and not without them; "
        "after 72 h it is VALIDATION_TIMED_OUT.",
        "acm-003": "An idempotency token answers the same certificate for an hour; without one each request makes another.",
        "acm-004": "A certificate that a listener uses, or used until a minute ago, is not deleted.",
    }
)

RECORD_TOLD, ISSUING, TIMED_OUT, TOKEN_LIVES, RELEASING = 8, 300, 72 * 3600, 3600, 60
DOMAIN = re.compile(r"(\*\.)?(((?!-)[A-Za-z0-9-]{0,62}[A-Za-z0-9])\.)+((?!-)[A-Za-z0-9-]{1,62}[A-Za-z0-9])")


@dataclass
class Certificate:
    detail: Params
    told: float  # from when on the validation records are shown
    token: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    seen_in_dns: bool = False
    used: bool = False  # by a load balancer, when last looked at
    released: float = float("-inf")  # when the last load balancer let go of it
    body: str = ""


def _certificates(world: World, region: str) -> dict[str, Certificate]:
    state: dict[str, dict[str, Certificate]] = world.state["acm"]
    return state.setdefault(region, {})


def _certificate(call: Call) -> Certificate:
    arn = call.params.get("CertificateArn") or call.params.get("ResourceArn", "")
    found = _certificates(call.world, call.region).get(arn)
    if found is None:
        message = f"Could not find certificate {arn}. in account {call.account}."
        raise AwsError("ResourceNotFoundException", message)
    return found


def _users(world: World, region: str, arn: str) -> list[str]:
    """The load balancers that use a certificate, as ELB has written them down."""
    users: dict[str, list[str]] = world.state["certificate_users"].get(region, {})
    return users.get(arn, [])


def certificate_status(world: World, region: str, arn: str) -> str | None:
    """A certificate's status, or None if the Region has no such certificate."""
    found = _certificates(world, region).get(arn)
    return None if found is None else str(found.detail["Status"])


def certificate_names(world: World, region: str, arn: str) -> list[str]:
    """The names that a certificate is for; none if the Region has no such certificate."""
    found = _certificates(world, region).get(arn)
    return [] if found is None else list(found.detail["SubjectAlternativeNames"])


def issue(world: World, region: str, arn: str) -> None:
    """Issue a certificate now, as when the owner of the domain has confirmed it."""
    found = _certificates(world, region).get(arn)
    if found is None or found.detail["Status"] != "PENDING_VALIDATION":
        return
    now = world.timestamp()
    found.detail |= {"Status": "ISSUED", "IssuedAt": now, "NotBefore": now, "NotAfter": now + timedelta(days=198)}
    found.detail |= {"RenewalEligibility": "INELIGIBLE"}
    for option in found.detail["DomainValidationOptions"]:
        option["ValidationStatus"] = "SUCCESS"


def fail(world: World, region: str, arn: str, reason: str) -> None:
    """Refuse a certificate now, as for a domain whose CAA records forbid Amazon to issue one: CAA_ERROR."""
    _certificates(world, region)[arn].detail |= {"Status": "FAILED", "FailureReason": reason}


@door("POST", "/_emulator/certificates")
def _issue_certificate(emulator: Emulator, given: Json) -> Json:
    """The authority has looked, and issues a certificate: {"arn": "..."}."""
    issue(emulator.world, given["arn"].split(":")[3], given["arn"])
    return {}


@on("acm", "RequestCertificate", rules="acm-001 acm-002 acm-003")
def request_certificate(call: Call) -> Params:
    """https://docs.aws.amazon.com/acm/latest/APIReference/API_RequestCertificate.html"""
    given, world = call.params, call.world
    token, name = given.get("IdempotencyToken"), given["DomainName"]
    names = list(dict.fromkeys([name, *(given.get("SubjectAlternativeNames") or [])]))
    for one in names:
        if not DOMAIN.fullmatch(one) or len(one) > 253:
            raise _invalid(f"Value '{one}' at 'domainName' failed to satisfy constraint: {DOMAIN.pattern}")
    if token is not None and not re.fullmatch(r"\w{1,32}", token):
        raise _invalid(f"Value '{token}' at 'idempotencyToken' failed to satisfy constraint: \\w+, at most 32 long")
    known = _certificates(world, call.region)
    for arn, other in known.items():
        lives = world.now() < other.detail["CreatedAt"].timestamp() + TOKEN_LIVES
        if token and other.token == token and lives and other.detail["SubjectAlternativeNames"] == names:
            return {"CertificateArn": arn}
    arn = f"arn:{partitions.here()}:acm:{call.region}:{call.account}:certificate/{uuid.uuid4()}"
    method = given.get("ValidationMethod") or "EMAIL"
    detail = {
        "CertificateArn": arn,
        "DomainName": name,
        "SubjectAlternativeNames": names,
        "DomainValidationOptions": [_validation(one, method) for one in names],
        "Subject": f"CN={name}",
        "Issuer": "Amazon",
        "CreatedAt": world.timestamp(),
        "Status": "PENDING_VALIDATION",
        "KeyAlgorithm": (given.get("KeyAlgorithm") or "RSA_2048").replace("_", "-"),
        "SignatureAlgorithm": "SHA256WITHRSA",
        "Type": "AMAZON_ISSUED",
        "RenewalEligibility": "INELIGIBLE",
        "Options": given.get("Options") or {"CertificateTransparencyLoggingPreference": "ENABLED"},
    }
    tags = {tag["Key"]: tag.get("Value", "") for tag in given.get("Tags") or []}
    known[arn] = Certificate(detail, world.now() + world.clock.delay(RECORD_TOLD), token, tags)
    if world.clock.scale:
        world.after(TIMED_OUT, _time_out, known[arn])
    return {"CertificateArn": arn}


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationException", f"1 validation error detected: {message}")


def _validation(name: str, method: str) -> Params:
    """How one name is proved. The same name in the same account has the same record each time."""
    domain = name.removeprefix("*.")
    option = {
        "DomainName": name,
        "ValidationDomain": domain,
        "ValidationStatus": "PENDING_VALIDATION",
        "ValidationMethod": method,
    }
    if method == "DNS":
        key, value = (hashlib.md5(f"{ACCOUNT}{part}{domain}".encode()).hexdigest() for part in ("name", "value"))
        record = {"Name": f"_{key}.{domain}.", "Type": "CNAME", "Value": f"_{value}.jkddzztszm.acm-validations.aws."}
        return {**option, "ResourceRecord": record}
    return {**option, "ValidationEmails": [f"{box}@{domain}" for box in ("admin", "hostmaster", "webmaster")]}


def _time_out(certificate: Certificate) -> None:
    if certificate.detail["Status"] == "PENDING_VALIDATION":
        certificate.detail["Status"] = "VALIDATION_TIMED_OUT"
        for option in certificate.detail["DomainValidationOptions"]:
            option["ValidationStatus"] = "FAILED"


@rules.STARTERS.append
def _start(world: World) -> None:
    world.tickers.append(_look_after_certificates)


def _look_after_certificates(world: World) -> None:
    """See which certificates are proved by DNS by now, and which are in use."""
    for region, certificates in world.state["acm"].items():
        for arn, one in certificates.items():
            used = bool(_users(world, region, arn))
            if one.used and not used:
                one.released = world.now()
            one.used = used
            if one.detail["Status"] == "PENDING_VALIDATION" and not one.seen_in_dns and _proved(one):
                one.seen_in_dns = True
                world.after(ISSUING, issue, world, region, arn)


def _proved(certificate: Certificate) -> bool:
    """Are all the validation records in public zones?"""
    records = [option.get("ResourceRecord") for option in certificate.detail["DomainValidationOptions"]]
    public = route53_records.public_cnames()
    return all(record and (record["Name"], record["Value"].rstrip(".")) in public for record in records)


@on("acm", "DescribeCertificate", rules="acm-001 acm-002")
def describe_certificate(call: Call) -> Params:
    found = _certificate(call)
    detail = copy.deepcopy(found.detail)
    detail["InUseBy"] = _users(call.world, call.region, detail["CertificateArn"])
    if call.world.now() < found.told:
        for option in detail["DomainValidationOptions"]:
            option.pop("ResourceRecord", None)
    return {"Certificate": detail}


@on("acm", "ListCertificates")
def list_certificates(call: Call) -> Params:
    wanted, keys = call.params.get("CertificateStatuses"), (call.params.get("Includes") or {}).get("keyTypes")
    summaries = []
    for arn, one in _certificates(call.world, call.region).items():
        detail, algorithm = one.detail, one.detail["KeyAlgorithm"]
        if wanted and detail["Status"] not in wanted:
            continue
        if algorithm.replace("-", "_") not in (keys or ("RSA_1024", "RSA_2048")):
            continue
        shown = (
            "CertificateArn",
            "DomainName",
            "Status",
            "Type",
            "KeyAlgorithm",
            "CreatedAt",
            "IssuedAt",
            "ImportedAt",
        )
        summary = {key: detail[key] for key in (*shown, "NotBefore", "NotAfter") if key in detail}
        summary["SubjectAlternativeNameSummaries"] = detail["SubjectAlternativeNames"]
        summary["InUse"] = bool(_users(call.world, call.region, arn))
        summaries.append(summary)
    start = int(call.params.get("NextToken") or 0)
    end = start + (call.params.get("MaxItems") or 1000)
    more = {"NextToken": str(end)} if end < len(summaries) else {}
    return {"CertificateSummaryList": summaries[start:end], **more}


@on("acm", "DeleteCertificate", rules="acm-004")
def delete_certificate(call: Call) -> Params:
    found, world = _certificate(call), call.world
    used = _users(world, call.region, call.params["CertificateArn"])
    if used or world.now() < found.released + world.clock.delay(RELEASING):
        message = f"Certificate {call.params['CertificateArn']} in account {call.account} is in use."
        raise AwsError("ResourceInUseException", message)
    del _certificates(world, call.region)[call.params["CertificateArn"]]
    return {}


@on("acm", "ImportCertificate")
def import_certificate(call: Call) -> Params:
    """moto reads the PEM; the certificate is issued at once."""
    arn, known = call.params.get("CertificateArn"), _certificates(call.world, call.region)
    if arn is not None:
        _certificate(call)
    made = call.proceed(CertificateArn=None)["CertificateArn"]
    detail = call.moto("acm").describe_certificate(CertificateArn=made)["Certificate"]
    arn = arn or made
    names = detail.get("SubjectAlternativeNames") or [detail["DomainName"]]
    detail |= {"CertificateArn": arn, "SubjectAlternativeNames": names, "DomainValidationOptions": []}
    detail["KeyAlgorithm"] = detail["KeyAlgorithm"].replace("_", "-")
    body = call.params["Certificate"]
    text = body.decode() if isinstance(body, bytes) else body
    tags = {tag["Key"]: tag.get("Value", "") for tag in call.params.get("Tags") or []}
    known[arn] = Certificate({**detail, "CreatedAt": call.world.timestamp()}, 0, None, tags, body=text)
    return {"CertificateArn": arn}


@on("acm", "GetCertificate")
def get_certificate(call: Call) -> Params:
    found = _certificate(call)
    if found.detail["Status"] != "ISSUED":
        raise AwsError("RequestInProgressException", "The certificate request is in progress.")
    return {"Certificate": found.body or "-----BEGIN CERTIFICATE-----\nMIIEmulator\n-----END CERTIFICATE-----\n"}


@on("acm", "AddTagsToCertificate", "RemoveTagsFromCertificate", "ListTagsForCertificate", "TagResource")
def certificate_tags(call: Call) -> Params:
    tags = _certificate(call).tags
    for tag in call.params.get("Tags") or []:
        if call.operation == "RemoveTagsFromCertificate":
            tags.pop(tag["Key"], None)
        else:
            tags[tag["Key"]] = tag.get("Value", "")
    if call.operation == "ListTagsForCertificate":
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
    return {}


@on("acm", "ResendValidationEmail", "UpdateCertificateOptions")
def certificate_options(call: Call) -> Params:
    found = _certificate(call)
    if call.operation == "UpdateCertificateOptions":
        found.detail["Options"] = call.params["Options"]
    return {}


@bearer
def tagged(world: World, region: str) -> Iterator[tuple[str, Tags]]:
    for arn, certificate in world.state["acm"].get(region, {}).items():
        yield arn, certificate.tags
