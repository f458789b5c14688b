"""Certificates (ACM) and the DNS that proves them (Route 53).

ACM is imitated wholly, since moto issues a certificate without looking for its DNS records. Route 53's zones and
records are moto's; the emulator checks a batch of changes as AWS does and lets it take its time.
"""

from __future__ import annotations

import copy
import hashlib
import re
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from moto.route53.models import RecordSet, route53_backends

from emulator import rules
from emulator.others import ask
from emulator.rules import AwsError, Call, Params, on
from emulator.world import ACCOUNT, World

rules.SENTENCES.update(
    {
        "acm-001": "The DNS record that proves a certificate is told only some seconds after the request.",
        "acm-002": "A certificate is issued some minutes after its records are in a public zone, and not without them; "
        "after 72 h it is VALIDATION_TIMED_OUT.",
        "acm-003": "An idempotency token answers the same certificate for an hour; without one each request makes another.",
        "acm-004": "A certificate that a listener uses, or used until a minute ago, is not deleted.",
        "r53-001": "A batch of record changes is all or nothing; CREATE of what is there, and DELETE of other values, are "
        "InvalidChangeBatch.",
        "r53-002": "A change is PENDING for about 60 s before it is INSYNC.",
        "r53-003": "Throttling and PriorRequestNotComplete of Route 53 come as faults on request.",
        "r53-004": "An alias to a load balancer names the load balancer's own hosted zone, and stays when that is deleted.",
    }
)
rules.held("r53-003", "faults.py")

RECORD_TOLD, ISSUING, TIMED_OUT, TOKEN_LIVES, RELEASING = 8, 300, 72 * 3600, 3600, 60
SYNCING = 60
DOMAIN = re.compile(r"(\*\.)?(((?!-)[A-Za-z0-9-]{0,62}[A-Za-z0-9])\.)+((?!-)[A-Za-z0-9-]{1,62}[A-Za-z0-9])")


# --- ACM


@dataclass
class Certificate:
    detail: Params
    told: float  # from when on the validation records are shown
    token: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    seen_in_dns: bool = False
    last_used: float = float("-inf")
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
    arn = f"arn:aws:acm:{call.region}:{call.account}:certificate/{uuid.uuid4()}"
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
    from emulator.elbv2_listeners import certificate_users

    for region, certificates in world.state["acm"].items():
        for arn, one in certificates.items():
            if certificate_users(world, region, arn):
                one.last_used = world.now()
            if one.detail["Status"] == "PENDING_VALIDATION" and not one.seen_in_dns and _proved(one):
                one.seen_in_dns = True
                world.after(ISSUING, issue, world, region, arn)


def _proved(certificate: Certificate) -> bool:
    """Are all the validation records in public zones?"""
    records = [option.get("ResourceRecord") for option in certificate.detail["DomainValidationOptions"]]
    zones = [zone for zone in _route53().zones.values() if not zone.private_zone]
    public = {
        (rrset.name.lower(), value.rstrip("."))
        for zone in zones
        for rrset in zone.rrsets
        if rrset.type == "CNAME"
        for value in rrset.records or []
    }
    return all(record and (record["Name"], record["Value"].rstrip(".")) in public for record in records)


@on("acm", "DescribeCertificate", rules="acm-001 acm-002")
def describe_certificate(call: Call) -> Params:
    from emulator.elbv2_listeners import certificate_users

    found = _certificate(call)
    detail = copy.deepcopy(found.detail)
    detail["InUseBy"] = certificate_users(call.world, call.region, detail["CertificateArn"])
    if call.world.now() < found.told:
        for option in detail["DomainValidationOptions"]:
            option.pop("ResourceRecord", None)
    return {"Certificate": detail}


@on("acm", "ListCertificates")
def list_certificates(call: Call) -> Params:
    from emulator.elbv2_listeners import certificate_users

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
        summary["InUse"] = bool(certificate_users(call.world, call.region, arn))
        summaries.append(summary)
    start = int(call.params.get("NextToken") or 0)
    end = start + (call.params.get("MaxItems") or 1000)
    more = {"NextToken": str(end)} if end < len(summaries) else {}
    return {"CertificateSummaryList": summaries[start:end], **more}


@on("acm", "DeleteCertificate", rules="acm-004")
def delete_certificate(call: Call) -> Params:
    from emulator.elbv2_listeners import certificate_users

    found, world = _certificate(call), call.world
    used = certificate_users(world, call.region, call.params["CertificateArn"])
    if used or world.now() < found.last_used + world.clock.delay(RELEASING):
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


# --- Route 53


def _route53() -> Any:
    return route53_backends[ACCOUNT]["aws"]


def leads_to(world: World, host: str) -> str | None:
    """The name that a name's public CNAME or alias record leads to; of weighted records the heaviest.

    Route 53's name servers answer with what they know: the records of a change that is INSYNC by now."""
    name, parent = _name(host), _name(host).partition(".")[2]
    known: dict[str, list[RecordSet]] = world.state["route53_servers"]
    public = [zone for zone in _route53().zones.values() if not zone.private_zone]
    records = [record for zone in public for record in known.get(zone.id, [])]
    for wanted in (name, f"\\052.{parent}"):
        found = [
            record for record in records if record.name.lower() == wanted and record.type in ("A", "AAAA", "CNAME")
        ]
        for record in sorted(found, key=lambda one: (one.type, -int(one.weight or 0))):
            if record.alias_target:
                return str(record.alias_target["DNSName"]).rstrip(".").lower()
            if record.type == "CNAME" and record.records:
                return str(record.records[0]).rstrip(".").lower()
    return None


def _changes(world: World) -> dict[str, Params]:
    state: dict[str, Params] = world.state["route53"]
    return state


def _submit(call: Call, comment: str | None = None) -> Params:
    """A change that takes its time to reach all of Route 53's name servers."""
    shown = {
        "Id": f"/change/C{uuid.uuid4().hex[:20].upper()}",
        "Status": "PENDING",
        "SubmittedAt": call.world.timestamp(),
        **({"Comment": comment} if comment else {}),
    }
    _changes(call.world)[str(shown["Id"])] = shown
    call.world.after(SYNCING, shown.update, {"Status": "INSYNC"})
    return dict(shown)


@on("route53", "CreateHostedZone", "DeleteHostedZone", rules="r53-002")
def change_hosted_zone(call: Call) -> Params:
    answer = call.proceed()
    if call.operation == "CreateHostedZone":  # AWS's ids begin with Z
        made = _route53().zones.pop(answer["HostedZone"]["Id"].rpartition("/")[2])
        made.resource_id = f"Z{made.resource_id[1:]}"
        _route53().zones[made.resource_id] = made
        answer["HostedZone"]["Id"] = made.id
        answer["Location"] = f"https://route53.amazonaws.com/2013-04-01{made.id}"
    answer["ChangeInfo"] = _submit(call)
    return answer


@on("route53", "GetChange", rules="r53-002")
def get_change(call: Call) -> Params:
    name = f"/change/{call.params['Id'].rpartition('/')[2]}"
    found = _changes(call.world).get(name)
    if found is None:
        raise AwsError("NoSuchChange", f"Could not find resource with ID: {name}", 404)
    return {"ChangeInfo": found}


def _name(name: str) -> str:
    """A record's name as Route 53 keeps it: lower case, with the last dot, and * written as \\052."""
    name = name.lower().replace("*", "\\052")
    return name if name.endswith(".") else f"{name}."


def _key(record: Params) -> tuple[str, str, str | None]:
    return _name(record["Name"]), record["Type"], record.get("SetIdentifier")


def _values(record: Params) -> Params:
    """What has to agree, for a record to be deleted."""
    shown = {key: value for key, value in record.items() if key not in ("Name", "Type", "SetIdentifier")}
    if "ResourceRecords" in shown:
        shown["ResourceRecords"] = sorted(one["Value"] for one in shown["ResourceRecords"])
    if alias := shown.get("AliasTarget"):
        shown["AliasTarget"] = {**alias, "DNSName": _name(alias["DNSName"])}
    return shown


@on("route53", "ChangeResourceRecordSets", rules="r53-001 r53-002 r53-004")
def change_resource_record_sets(call: Call) -> Params:
    """https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html"""
    zone_id = call.params["HostedZoneId"].rpartition("/")[2]
    zone = _route53().get_hosted_zone(zone_id)
    records = {_key(record): record for record in _records(call, zone_id)}
    problems = []
    for change in call.params["ChangeBatch"]["Changes"]:
        problem = _change(call, zone, records, change["Action"], change["ResourceRecordSet"])
        problems += [problem] if problem else []
    if problems:
        raise AwsError("InvalidChangeBatch", f"[{', '.join(problems)}]")
    zone.rrsets[:] = [_as_moto(record) for record in records.values()]
    call.world.after(SYNCING, call.world.state["route53_servers"].update, {zone.id: list(zone.rrsets)})
    return {"ChangeInfo": _submit(call, call.params["ChangeBatch"].get("Comment"))}


def _records(call: Call, zone_id: str) -> list[Params]:
    pages = call.moto("route53").get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone_id)
    return [record for page in pages for record in page["ResourceRecordSets"]]


def _as_moto(record: Params) -> RecordSet:
    values = [one["Value"] for one in record.get("ResourceRecords") or []]
    return RecordSet({**record, "Name": _name(record["Name"]), "ResourceRecords": values})


def _change(
    call: Call, zone: Any, records: dict[tuple[str, str, str | None], Params], action: str, record: Params
) -> str | None:
    """Make one change in `records`, or tell what is wrong with it."""
    key, name, kind = _key(record), _name(record["Name"]), record["Type"]
    known, which = records.get(key), f"resource record set [name='{name}', type='{kind}']"
    if not f".{name}".endswith(f".{_name(zone.name)}"):
        return f"RRSet with DNS name {name} is not permitted in zone {_name(zone.name)}"
    if action == "DELETE":
        if known is None:
            return f"Tried to delete {which} but it was not found"
        if _values(known) != _values(record):
            return f"Tried to delete {which} but the values provided do not match the current values"
        del records[key]
        return None
    if action == "CREATE" and known is not None:
        return f"Tried to create {which} but it already exists"
    others = {other[1] for other in records if other[0] == name and other != key}
    if (kind == "CNAME" and others - {"CNAME"}) or (kind != "CNAME" and "CNAME" in others):
        return (
            f"RRSet of type {kind} with DNS name {name} is not permitted as it conflicts with other records with the "
            f"same DNS name in zone {_name(zone.name)}"
        )
    if alias := record.get("AliasTarget"):
        problem = _alias_problem(call, alias, kind)
        if problem:
            return problem
    records[key] = record
    return None


def _alias_problem(call: Call, alias: Params, kind: str) -> str | None:
    """An alias to a load balancer must name that load balancer's hosted zone."""
    target = _name(alias["DNSName"])
    host = target.rstrip(".").removeprefix("dualstack.")
    match = re.search(r"\.([a-z]+-[a-z]+-\d)\.elb\.amazonaws\.com$", host)
    if match is None:
        return None
    elsewhere = copy.copy(call)
    elsewhere.region = match[1]
    found = [
        one
        for one in ask(elsewhere, "elbv2", "DescribeLoadBalancers")["LoadBalancers"]
        if one["DNSName"].lower() == host
    ]
    zone, start = alias["HostedZoneId"].rpartition("/")[2], "Tried to create an alias that targets"
    if found and found[0]["CanonicalHostedZoneId"] != zone:
        return (
            f"{start} {target}, type {kind} in zone {zone}, "
            "but the alias target name does not lie within the target zone"
        )
    if not found:
        return f"{start} {target}, type {kind} in zone {zone}, but that target was not found"
    return None
