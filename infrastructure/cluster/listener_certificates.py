"""The certificates of the HTTPS listener beside its default one, each shown to the clients that ask for its names (SNI).

Certificates that someone added by hand stay: a tag of the listener says which are ours, by the first letters of their ids.
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/https-listener-certificates.html
"""

from typing import Any

import aws
import constants
from aws import call, client, tags_of
from console import say
from infrastructure.cluster import certificate

#: first of all in the tag while they are being changed, so that a run that was killed is gone on with
CHANGING = "changing"


def short(arn: str) -> str:
    """24 of these, with spaces, find room in the 256 characters of a tag."""
    return arn.rpartition("/")[2][:8]


def noted(listener: Any) -> list[str]:
    return tags_of(listener).get(constants.CERTIFICATES_TAG, "").split()


def wanted() -> list[str]:
    return sorted(map(short, certificate.arns()[1:]))


def add(listener: Any) -> None:
    """Before the default one is changed: so no host name is ever without."""
    if not listener or noted(listener) == wanted():
        return
    note(listener, [CHANGING, *sorted({*noted(listener), *wanted()} - {CHANGING})])
    for arn in certificate.arns()[1:]:
        add_it = call(client("elbv2").add_listener_certificates, of=listener)
        add_it(ListenerArn=listener["ListenerArn"], Certificates=[{"CertificateArn": arn}])
        say("updated", "listener HTTPS 443", f"certificate {arn}")


def remove_former(listener: Any) -> None:
    """After that. One that is the default now may be refused, and stays in the list to no harm: proven by nothing."""
    if not listener or noted(listener) == wanted():
        return
    pages = client("elbv2").get_paginator("describe_listener_certificates")
    listed = aws.every(pages.paginate(ListenerArn=listener["ListenerArn"]), "Certificates")
    former = {*noted(listener)} - {*wanted()}
    for each in [each for each in listed if not each["IsDefault"] and short(each["CertificateArn"]) in former]:
        gone = ("CertificateNotFound", "OperationNotPermitted")
        remove = call(client("elbv2").remove_listener_certificates, of=listener, gone=gone)
        remove(ListenerArn=listener["ListenerArn"], Certificates=[{"CertificateArn": each["CertificateArn"]}])
        say("updated", "listener HTTPS 443", f"no more certificate {each['CertificateArn']}")
    note(listener, wanted())


def note(listener: Any, ids: list[str]) -> None:
    elb, arns = client("elbv2"), [listener["ListenerArn"]]
    if ids:
        tag: Any = {"Key": constants.CERTIFICATES_TAG, "Value": " ".join(ids)}
        call(elb.add_tags, of=listener)(ResourceArns=arns, Tags=[tag])
    else:
        call(elb.remove_tags, of=listener)(ResourceArns=arns, TagKeys=[constants.CERTIFICATES_TAG])
