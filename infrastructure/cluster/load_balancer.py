"""The Application Load Balancer in the public subnets, its group, and its listeners; services add their own rules.

What no service answers gets 404. With HTTPS, port 80 only redirects to 443.
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/introduction.html
"""

from typing import Any

import constants
from aws import Problem, accepted, client, holds, insist, missing, name, ours, tags, wait
from console import say
from infrastructure.cluster import certificate
from infrastructure.cluster.network import Network
from infrastructure.cluster.security_groups import SecurityGroups

NAME = name("alb")
#: TLS 1.3, and 1.2 for older clients: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"
NOT_FOUND = {"ContentType": "text/plain", "StatusCode": "404", "MessageBody": "nothing is here"}


def create(network: Network, groups: SecurityGroups) -> None:
    """Ask for the balancer; active after two to three minutes. It costs about $0.03 an hour, used or not."""
    if not constants.LISTENER_PROTOCOL:
        return
    if constants.LISTENER_PROTOCOL == "HTTP":
        say("warning", "LISTENER_PROTOCOL=HTTP:", "what passes the load balancer is not encrypted")
    elb = client("elbv2")
    balancer = find()
    if balancer and not is_ours(balancer["LoadBalancerArn"]):
        raise Problem(
            f"the load balancer {NAME} exists already, and is not of this runbook: choose another CLUSTER_NAME"
        )
    if balancer:
        say("found", f"load balancer {NAME}")
    else:
        balancer = insist(
            f"load balancer {NAME}",
            lambda: elb.create_load_balancer(
                Name=NAME,
                Subnets=network.public_subnet_ids,
                SecurityGroups=groups.load_balancer_ids,
                Scheme="internet-facing",
                Type="application",
                Tags=tags("alb"),
            ),
            "SubnetNotFound",
            "InvalidSecurityGroup",
        )["LoadBalancers"][0]
        say("created", f"load balancer {NAME}")
    arn = balancer["LoadBalancerArn"]
    set_attributes(arn)
    if constants.LISTENER_PROTOCOL == "HTTPS":
        redirect = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
        create_listener(arn, 80, "HTTP", {"Type": "redirect", "RedirectConfig": redirect})
        create_listener(arn, 443, "HTTPS", {"Type": "fixed-response", "FixedResponseConfig": NOT_FOUND})
    else:
        create_listener(arn, 80, "HTTP", {"Type": "fixed-response", "FixedResponseConfig": NOT_FOUND})


def set_attributes(arn: str) -> None:
    elb = client("elbv2")
    wanted = {
        "deletion_protection.enabled": str(constants.LOAD_BALANCER_PROTECTION == "on").lower(),
        "idle_timeout.timeout_seconds": str(constants.IDLE_TIMEOUT),
        "routing.http.drop_invalid_header_fields.enabled": "true",
        "access_logs.s3.enabled": str(bool(constants.ACCESS_LOGS_BUCKET)).lower(),
    }
    if constants.ACCESS_LOGS_BUCKET:
        wanted["access_logs.s3.bucket"] = constants.ACCESS_LOGS_BUCKET
    found = elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
    present = {each["Key"]: each["Value"] for each in found}
    changes = {key: value for key, value in wanted.items() if present.get(key) != value}
    if changes:
        attributes = [{"Key": key, "Value": value} for key, value in changes.items()]
        elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=attributes)
        say("updated", f"load balancer {NAME}", ", ".join(f"{key} {value}" for key, value in changes.items()))


def create_listener(arn: str, port: int, protocol: str, action: dict[str, Any]) -> None:
    """A port is given once; what was set otherwise is put right."""
    elb = client("elbv2")
    wanted: dict[str, Any] = {"Port": port, "Protocol": protocol, "DefaultActions": [action]}
    if protocol == "HTTPS":
        wanted |= {"Certificates": [{"CertificateArn": certificate.arn()}], "SslPolicy": TLS_POLICY}
    listener = listeners(arn).get(port)
    if not listener:
        request = {"LoadBalancerArn": arn, **wanted, "Tags": tags(f"listener-{port}")}
        made = accepted(lambda: elb.create_listener(**request), "DuplicateListener")
        return say("created" if made else "found", f"listener {protocol} {port}")
    different: list[str] = [
        key for key in ("Protocol", "SslPolicy") if key in wanted and listener.get(key) != wanted[key]
    ]
    if "Certificates" in wanted and not holds(listener["Certificates"], wanted["Certificates"]):
        different.append("Certificates")
    if different:
        elb.modify_listener(ListenerArn=listener["ListenerArn"], **wanted)
        return say("updated", f"listener {protocol} {port}", ", ".join(different))
    return say("found", f"listener {protocol} {port}")


def listeners(arn: str) -> dict[int, dict[str, Any]]:
    """By port."""
    pages = client("elbv2").get_paginator("describe_listeners").paginate(LoadBalancerArn=arn)
    return {listener["Port"]: listener for page in pages for listener in page["Listeners"]}


def service_listener_arn() -> str:
    """The listener to which services add their rules."""
    balancer = find()
    port = 443 if constants.LISTENER_PROTOCOL == "HTTPS" else 80
    listener = listeners(balancer["LoadBalancerArn"]).get(port) if balancer else None
    if not listener:
        raise Problem(f"there is no load balancer {NAME} with a listener on port {port}: run create_cluster.py first")
    return str(listener["ListenerArn"])


def wait_ready() -> None:
    """Its DNS name answers only when it is active."""

    def state() -> dict[str, Any]:
        return (find() or {}).get("State", {"Code": "absent"})  # type: ignore[no-any-return]

    if constants.LISTENER_PROTOCOL:
        wait(f"load balancer {NAME}", lambda: state()["Code"] == "active", lambda: " ".join(state().values()))


def find() -> dict[str, Any] | None:
    found = missing(lambda: client("elbv2").describe_load_balancers(Names=[NAME]), "LoadBalancerNotFound")
    return found["LoadBalancers"][0] if found else None  # a name is given once


def is_ours(arn: str) -> bool:
    [found] = client("elbv2").describe_tags(ResourceArns=[arn])["TagDescriptions"]
    return ours(found["Tags"])


def url() -> str:
    """Where the load balancer answers: HOST_NAME, or its own name, which no certificate is for."""
    balancer = find()
    return f"{constants.LISTENER_PROTOCOL.lower()}://{constants.HOST_NAME or balancer['DNSName']}" if balancer else ""


def delete() -> None:
    """Ask for its end, listeners and rules with it; its network interfaces hold groups and subnets for minutes more."""
    elb = client("elbv2")
    balancer = find()
    if not balancer:
        return
    arn = balancer["LoadBalancerArn"]
    if not is_ours(arn):
        return say("kept", f"load balancer {NAME}", "not of this runbook")
    attributes = elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
    if {"Key": "deletion_protection.enabled", "Value": "true"} in attributes:
        raise Problem(
            f"the load balancer {NAME} is protected from deletion: "
            "LOAD_BALANCER_PROTECTION=off python create_cluster.py takes that away"
        )
    elb.delete_load_balancer(LoadBalancerArn=arn)
    say("deleted", f"load balancer {NAME}", "asked for")


def left_over() -> list[str]:
    balancer = find()
    return [f"load balancer {NAME}"] if balancer and is_ours(balancer["LoadBalancerArn"]) else []
