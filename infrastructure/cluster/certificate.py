"""The certificate of the HTTPS listener: CERTIFICATE_ARN, or one of ACM for CERTIFICATE_DOMAINS. Both are free.

ACM issues it once a CNAME in the public DNS proves each name, and renews it by itself while that record stays.
https://docs.aws.amazon.com/acm/latest/userguide/dns-validation.html
"""

from typing import Any

import aws
import constants
from aws import Problem, Resource, call, client, every, ours, resource, tags, token, wait
from console import say
from infrastructure.cluster import hosted_zone

USABLE = ("ISSUED", "PENDING_VALIDATION")
GONE = "ResourceNotFoundException"
#: ACM lists only RSA_1024 and RSA_2048 where no one asks for the others
KEY_TYPES: Any = ["RSA_1024", "RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1"]
#: why delete_cluster.py leaves it
KEPT = "free; to delete it: python delete_certificate.py"


def arns() -> list[str]:
    """Those of the settings, the default one first: CERTIFICATE_ARN's, or the usable one of ours for CERTIFICATE_DOMAINS."""
    return constants.CERTIFICATE_ARNS or [each["CertificateArn"] for each in [find()] if each]


def find() -> Any | None:
    """Ours for exactly CERTIFICATE_DOMAINS; the issued one where a second is not issued yet."""
    wanted, usable = set(constants.CERTIFICATE_DOMAINS), [each for each in all_of_ours() if each["Status"] in USABLE]
    found = [each for each in usable if set(each["SubjectAlternativeNames"]) == wanted]
    issued = [each for each in found if each["Status"] == "ISSUED"]
    if len(issued or found) > 1:
        two = " and ".join(sorted(each["CertificateArn"] for each in issued or found))
        what = f"two certificates for {', '.join(constants.CERTIFICATE_DOMAINS)}"
        raise Problem(f"{what}: {two}. Delete one, or set CERTIFICATE_ARN")
    return next(iter(issued or found), None)


@aws.look
def listed() -> list[Any]:
    """Every certificate of the account in this region."""
    paginator = client("acm").get_paginator("list_certificates")
    return every(paginator.paginate(Includes={"keyTypes": KEY_TYPES}), "CertificateSummaryList")


@aws.look
def tags_by_arn() -> dict[str, list[Any]]:
    """The tags of those that bear ours, whatever their names and their status: ACM tells them one by one."""
    read = call(client("acm").list_tags_for_certificate, gone=GONE)
    arns = [each["CertificateArn"] for each in listed()]
    found = {each: read(CertificateArn=each) for each in arns}
    return {each: answer["Tags"] for each, answer in found.items() if answer and ours(answer)}


LOOKS = (listed, tags_by_arn)


def all_of_ours() -> list[Any]:
    """As ACM describes them, with their tags. Their status and their users change by themselves: no look."""
    found = [(describe(each), its_tags) for each, its_tags in tags_by_arn().items()]
    return [{**detail, "Tags": its_tags} for detail, its_tags in found if detail]


def describe(certificate_arn: str) -> Any | None:
    found = call(client("acm").describe_certificate, gone=GONE)(CertificateArn=certificate_arn)
    return found["Certificate"] if found else None


def covers(host_name: str, detail: Any) -> bool:
    """Whether a certificate is good for a host name; *.example.com is for a.example.com, not for b.a.example.com."""
    wildcard = f"*.{host_name.partition('.')[2]}"
    return bool({host_name, wildcard} & {name.lower() for name in detail["SubjectAlternativeNames"]})


def refuse_uncovered() -> None:
    """Before anything is made: a host name that no browser would trust at this load balancer."""
    if constants.LISTENER_PROTOCOL != "HTTPS" or not constants.HOST_NAMES:
        return
    found = [detail for each in arns() if (detail := describe(each))]
    if not found:
        raise Problem(
            f"there is no certificate for HOST_NAME={constants.HOST_NAME} yet: run create_certificate.py first"
        )
    for host in constants.HOST_NAMES:
        if not any(covers(host, detail) for detail in found):
            way = "or add it to CERTIFICATE_DOMAINS and run create_certificate.py and create_cluster.py"
            uncovered = f"HOST_NAME={host} is not covered by the certificate, which is for {all_names(found)}"
            raise Problem(f"{uncovered}: choose a name of these, {way}")


def all_names(details: list[Any]) -> str:
    return ", ".join(map(names, details))


def create() -> str:
    """Ask for the certificate where there is none that can be used. The ARN."""
    found, domains = find(), constants.CERTIFICATE_DOMAINS
    if found:
        say("found", f"certificate for {names(found)}", f"{found['Status']}  {found['CertificateArn']}")
        return str(found["CertificateArn"])
    dead = [each["CertificateArn"] for each in all_of_ours() if each["Status"] not in USABLE]
    made = client("acm").request_certificate(
        DomainName=domains[0],
        SubjectAlternativeNames=domains,
        ValidationMethod="DNS",
        IdempotencyToken=token(constants.CLUSTER_NAME, *domains, *sorted(dead)),
        Tags=tags("certificate"),
    )["CertificateArn"]
    say("created", f"certificate for {', '.join(domains)}", f"asked for  {made}")
    return made


def validation_records(certificate_arn: str) -> list[Any]:
    """The CNAMEs that prove its names. ACM tells them some seconds after the request; a name and its wildcard share one."""

    def look() -> list[Any]:
        options = alive(certificate_arn).get("DomainValidationOptions", [])
        told = [record_of(each["ResourceRecord"]) for each in options if "ResourceRecord" in each]
        return [each for n, each in enumerate(told) if each not in told[:n]] if len(told) == len(options) else []

    return wait("ACM to tell the validation records", look, lambda: "it has not told them yet")


def record_of(told: dict[str, str]) -> dict[str, Any]:
    """As Route 53 takes it."""
    values = [{"Value": told["Value"]}]
    return {"Name": told["Name"], "Type": told["Type"], "TTL": hosted_zone.TTL, "ResourceRecords": values}


def create_record(zone: Any, record: Any) -> None:
    name, target = hosted_zone.plain(record["Name"]), hosted_zone.value(record)
    present = [each for each in hosted_zone.records(zone, record["Name"]) if each["Type"] == record["Type"]]
    if [hosted_zone.plain(hosted_zone.value(each)) for each in present] == [hosted_zone.plain(target)]:
        say("found", f"DNS record {name}")
        return
    hosted_zone.change(zone, ("UPSERT", record))
    say("updated" if present else "created", f"DNS record {name}", f"CNAME {target}")


def wait_issued(certificate_arn: str, zones: list[Any]) -> None:
    """Some minutes after its records are in the public DNS."""

    def why() -> str:
        detail = describe(certificate_arn) or {}
        options = detail.get("DomainValidationOptions", [])
        open_names = [each["DomainName"] for each in options if each.get("ValidationStatus") != "SUCCESS"]
        served = ", ".join(hosted_zone.plain(zone["Name"]) for zone in zones)
        hint = f"; do the domain's name servers lead to the zone {served}?" if served else "; its records are missing"
        return f"the certificate is {detail.get('Status')}, not proved: {', '.join(open_names)}{hint}"

    wait("ACM to issue the certificate", lambda: alive(certificate_arn).get("Status") == "ISSUED", why)


def alive(certificate_arn: str) -> Any:
    """As ACM describes it now, or {}; one that it will never issue is refused."""
    detail = describe(certificate_arn) or {}
    status = detail.get("Status") or "PENDING_VALIDATION"  # a dry run's certificate has none
    if status not in USABLE:
        failed = f"the certificate {certificate_arn} is {status} {detail.get('FailureReason', '')}".rstrip()
        raise Problem(f"{failed}: put that right, and run create_certificate.py again, which asks for a new one")
    return detail


def delete_superseded(certificate_arn: str) -> None:
    """Ours for other names, and dead ones. What the listener still uses is named."""
    for detail in [each for each in all_of_ours() if each["CertificateArn"] != certificate_arn]:
        what, used_by = f"certificate for {names(detail)}", users(detail)
        if used_by:
            later = "create_cluster.py puts the new one there, and create_certificate.py then deletes it"
            say("kept", what, f"free; {', '.join(used_by)} uses it: {later}")
        elif detail["InUseBy"]:
            say("kept", what, "ACM says for some minutes more that it is in use: run this again to delete it")
        else:
            remove(detail)


def names(detail: Any) -> str:
    return ", ".join(detail["SubjectAlternativeNames"])


def delete() -> None:
    """Every certificate of ours with the records that prove it, once nothing uses it."""
    found = all_of_ours()
    for detail in found:
        if used_by := ", ".join(users(detail)):
            sentence = f"the certificate for {names(detail)} is used by {used_by}: that must go first"
            raise Problem(f"{sentence}; delete_cluster.py takes its load balancer away")
    for detail in found:
        remove(detail)


def users(detail: Any) -> list[str]:
    """What really uses a certificate. ACM names load balancers for minutes after they, or their listeners, have let go."""
    return [user for user in detail.get("InUseBy", []) if ":loadbalancer/" not in user or balancer_uses(user, detail)]


def balancer_uses(balancer_arn: str, detail: Any) -> bool:
    """Any load balancer of the account, ours or not."""
    elb = client("elbv2")
    pages = elb.get_paginator("describe_listeners").paginate(LoadBalancerArn=balancer_arn)
    of_listener = elb.get_paginator("describe_listener_certificates")
    for listener in call(every, gone="LoadBalancerNotFound")(pages, "Listeners") or []:
        certificates = call(every, gone="ListenerNotFound")
        shown = certificates(of_listener.paginate(ListenerArn=listener["ListenerArn"]), "Certificates") or []
        if detail["CertificateArn"] in [each["CertificateArn"] for each in shown]:
            return True
    return False


def remove(detail: Any) -> None:
    """The records first: only the certificate tells what they are."""
    acm, what, busy = client("acm"), f"certificate for {names(detail)}", "ResourceInUseException"
    for record in records_of_its_own(detail):
        delete_record(record)
    delete_it = call(acm.delete_certificate, f"{what} to be free", of=detail, gone=GONE, busy=busy)
    delete_it(CertificateArn=detail["CertificateArn"])
    say("deleted", what, detail["CertificateArn"])


def records_of_its_own(detail: Any) -> list[Any]:
    """Its validation records, but for those that another certificate of the account needs for its renewal: a name has
    the same record in each."""
    others = [each for each in listed() if each["CertificateArn"] != detail["CertificateArn"]]
    needed = {
        name.removeprefix("*.")
        for each in others
        if each.get("Status", "ISSUED") in USABLE
        for name in each.get("SubjectAlternativeNameSummaries") or [each["DomainName"]]
    }
    found = []
    for option in detail.get("DomainValidationOptions", []):
        told = option.get("ResourceRecord")
        if not told or (record := record_of(told)) in found:
            continue
        if option["DomainName"].removeprefix("*.") in needed:
            say("kept", f"DNS record {hosted_zone.plain(told['Name'])}", "another certificate needs it for its renewal")
        else:
            found.append(record)
    return found


def delete_record(record: Any) -> None:
    """Where it is in Route 53 and still has the value that ACM told; a DELETE names the record as it is."""
    zone, wanted = hosted_zone.find(record["Name"]), hosted_zone.plain(hosted_zone.value(record))
    for present in hosted_zone.records(zone, record["Name"]) if zone else []:
        if present["Type"] == "CNAME" and hosted_zone.plain(hosted_zone.value(present)) == wanted:
            hosted_zone.change(zone, ("DELETE", present))
            say("deleted", f"DNS record {hosted_zone.plain(record['Name'])}")


def left_over() -> list[Resource]:
    """It outlives its cluster, whose successor may have it."""
    return [resource(f"certificate for {names(each)}", each["CertificateArn"], each, KEPT) for each in all_of_ours()]
