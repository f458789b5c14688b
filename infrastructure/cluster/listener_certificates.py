"""The certificates of the HTTPS listener beside its default one, each shown to the clients that ask for its names (SNI).

Certificates that someone added by hand stay: a tag of the listener says which are ours, by the first letters of their ids.
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/https-listener-certificates.html
"""

from typing import Any

import aws
import constants
from aws import Problem, call, client, tags_of
from console import say

#: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
MOST = 25
OURS = "gpu-ecs-certificates"
#: there while they are being changed, so that a run that was killed is gone on with: those that are to go
LEAVING = "gpu-ecs-certificates-leaving"


def short(arn: str) -> str:
    """25 of these, with spaces, find room in the 256 characters of a tag."""
    return arn.rpartition("/")[2][:8]


def noted(listener: Any, tag: str = OURS) -> set[str]:
    return {*tags_of(listener).get(tag, "").split()}


def wanted() -> set[str]:
    return {*map(short, constants.CERTIFICATE_ARNS[1:])}


def leaving(listener: Any) -> set[str]:
    return (noted(listener) | noted(listener, LEAVING)) - wanted()


def settled(listener: Any) -> bool:
    return not listener or (noted(listener) == wanted() and LEAVING not in tags_of(listener))


def refuse_too_many(listener: Any) -> None:
    """For a while the former ones are there too."""
    if (count := len(wanted() | leaving(listener))) > MOST:
        both = f"with those that are at the load balancer now they are {count} beside the first"
        raise Problem(f"CERTIFICATE_ARN: {both}, and it takes {MOST}: change some of them first, then the others")


def add(listener: Any) -> None:
    """Before the default one is changed: so no host name is ever without."""
    if settled(listener):
        return
    elb, noting = client("elbv2"), {OURS: wanted(), LEAVING: leaving(listener)}
    tags: Any = [{"Key": key, "Value": " ".join(sorted(ids))} for key, ids in noting.items()]
    call(elb.add_tags, of=listener)(ResourceArns=[listener["ListenerArn"]], Tags=tags)
    for arn in constants.CERTIFICATE_ARNS[1:]:
        add_it = call(elb.add_listener_certificates, of=listener)
        add_it(ListenerArn=listener["ListenerArn"], Certificates=[{"CertificateArn": arn}])
        say("updated", "listener HTTPS 443", f"certificate {arn}")


def remove_former(listener: Any) -> None:
    """After that. One that is the default now may be refused, and stays in the list to no harm: proven by nothing."""
    if settled(listener):
        return
    elb, former = client("elbv2"), leaving(listener)
    pages = elb.get_paginator("describe_listener_certificates")
    listed = aws.every(pages.paginate(ListenerArn=listener["ListenerArn"]), "Certificates") if former else []
    for each in [each for each in listed if not each["IsDefault"] and short(each["CertificateArn"]) in former]:
        gone = ("CertificateNotFound", "OperationNotPermitted")
        remove = call(elb.remove_listener_certificates, of=listener, gone=gone)
        remove(ListenerArn=listener["ListenerArn"], Certificates=[{"CertificateArn": each["CertificateArn"]}])
        say("updated", "listener HTTPS 443", f"no more certificate {each['CertificateArn']}")
    keys = [LEAVING] if wanted() else [LEAVING, OURS]
    call(elb.remove_tags, of=listener)(ResourceArns=[listener["ListenerArn"]], TagKeys=keys)
