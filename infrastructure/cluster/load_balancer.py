"""The Application Load Balancer, in the public subnets or internal, and its listeners; services add their own rules.

What no service answers gets 404. With HTTPS, port 80 only redirects to 443.
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/introduction.html
"""

from typing import Any

from botocore.exceptions import ClientError

import aws
import constants
from aws import Problem, Resource, call, client, code, name, ours, refuse_foreign, resource, tags, tags_of, wait
from console import say
from infrastructure.cluster import certificate, listener_certificates, security_groups
from infrastructure.cluster.network import Network
from infrastructure.cluster.security_groups import SecurityGroups

#: TLS 1.3, and 1.2 for older clients, without CBC suites, with post-quantum key exchange: what AWS recommends
#: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
#: of what another run has deleted meanwhile
GONE = ("RuleNotFound", "ListenerNotFound", "LoadBalancerNotFound", "TargetGroupNotFound")
NOT_FOUND = {"ContentType": "text/plain", "StatusCode": "404", "MessageBody": "nothing is here"}
#: attributes of a new one: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html
DEFAULTS = {
    "deletion_protection.enabled": "false",
    "idle_timeout.timeout_seconds": "60",
    "routing.http.drop_invalid_header_fields.enabled": "false",
    "access_logs.s3.enabled": "false",
}
REDIRECT: Any = {
    "Type": "redirect",
    "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"},
}


def its_name() -> str:
    return name("alb")


@aws.shared_look
def standing() -> Any | None:
    """The load balancer of our name, which is given once, whoever's it is."""
    return read()


def read() -> Any | None:
    found = call(client("elbv2").describe_load_balancers, gone="LoadBalancerNotFound")(Names=[its_name()])
    return next(iter(found["LoadBalancers"]), None) if found else None


@aws.shared_look
def all_listeners() -> list[Any]:
    balancer = standing()
    if not balancer:
        return []
    pages, read = client("elbv2").get_paginator("describe_listeners"), call(aws.every, gone=GONE)
    return read(pages.paginate(LoadBalancerArn=balancer["LoadBalancerArn"]), "Listeners") or []


@aws.shared_look
def tags_by_arn() -> dict[str, Any]:
    """Of the balancer and its listeners: Elastic Load Balancing shows tags apart."""
    balancer = standing()
    arns = [balancer["LoadBalancerArn"], *(each["ListenerArn"] for each in all_listeners())] if balancer else []
    return described_tags(arns)


def described_tags(arns: list[str], at_once: int = 20) -> dict[str, Any]:
    """Of 20 resources at a time; one by one where another run has deleted one of them meanwhile, which has none."""
    found: dict[str, Any] = {}
    read = call(client("elbv2").describe_tags, gone=GONE)
    for number in range(0, len(arns), at_once):
        some = arns[number : number + at_once]
        if described := read(ResourceArns=some):
            found |= {each["ResourceArn"]: each["Tags"] for each in described["TagDescriptions"]}
        elif len(some) > 1:
            found |= described_tags(some, at_once=1)
    return found


def named() -> Any | None:
    """The load balancer of our name with its tags, whoever's it is."""
    balancer = standing()
    return {**balancer, "Tags": tags_by_arn().get(balancer["LoadBalancerArn"], [])} if balancer else None


def listeners() -> dict[int, Any]:
    """Our load balancer's, by port, whoever made them; with their tags."""
    found = all_listeners() if find() else []
    return {each["Port"]: {**each, "Tags": tags_by_arn().get(each["ListenerArn"], [])} for each in found}


@aws.shared_look
def attributes() -> dict[str, str]:
    balancer = standing()
    if not balancer:
        return {}
    read = call(client("elbv2").describe_load_balancer_attributes, gone=GONE)
    found = read(LoadBalancerArn=balancer["LoadBalancerArn"])
    return {each["Key"]: each["Value"] for each in found["Attributes"]} if found else {}


@aws.shared_look
def rules() -> list[Any]:
    """Those of our load balancer but the default ones, whoever's they are: each with its tags and its listener."""
    pages, read = client("elbv2").get_paginator("describe_rules"), call(aws.every, gone="ListenerNotFound")

    def of_listener(arn: str) -> list[Any]:
        listed = read(pages.paginate(ListenerArn=arn), "Rules") or []
        return [{**rule, "ListenerArn": arn} for rule in listed if not rule["IsDefault"]]

    found = aws.side_by_side(of_listener, [listener["ListenerArn"] for listener in all_listeners()])
    return with_tags([rule for rules in found for rule in rules], "RuleArn")


LOOKS = (standing, all_listeners, tags_by_arn, attributes)


def with_tags(things: list[Any], key: str) -> list[Any]:
    found = described_tags([thing[key] for thing in things])
    return [{**thing, "Tags": found.get(thing[key], [])} for thing in things]


def find() -> Any | None:
    """Ours, with its tags."""
    balancer = named()
    return balancer if balancer and ours(balancer) else None


def required() -> Any:
    if balancer := find():
        return balancer
    raise Problem(f"there is no load balancer {its_name()}: run create_cluster.py first")


def service_port() -> int:
    """Where services are asked for; with HTTPS 80 only redirects."""
    return 443 if constants.LISTENER_PROTOCOL == "HTTPS" else 80


def service_listener_arn() -> str:
    """The listener to which services add their rules."""
    port = service_port()
    listener, what = listeners().get(port), f"load balancer {its_name()} with a listener on port {port}"
    if not listener:
        raise Problem(f"there is no {what}: run create_cluster.py first")
    return str(listener["ListenerArn"])


def urls() -> list[str]:
    """Where the load balancer answers: at each of HOST_NAME, or by its own name, which no certificate is for."""
    balancer, scheme = standing() if constants.LISTENER_PROTOCOL else None, constants.LISTENER_PROTOCOL.lower()
    return [f"{scheme}://{host}" for host in constants.HOST_NAMES or [balancer["DNSName"]]] if balancer else []


def url() -> str:
    """The first of them."""
    return next(iter(urls()), "")


def refuse_changes() -> None:
    """What a load balancer serves is not taken away with it, nor one that is protected; its scheme is as it was made."""
    balancer = find()
    if balancer and constants.LISTENER_PROTOCOL:
        refuse_scheme(balancer)
        refuse_versions(balancer)
        return
    if not balancer:
        return
    none, what = "LISTENER_PROTOCOL is not set", f"the load balancer {its_name()}"
    if attributes().get("deletion_protection.enabled") == "true":
        raise Problem(f"{none}, but {what} is protected: set it back and run this with LOAD_BALANCER_PROTECTION=off")
    served = sorted({tags_of(rule).get(constants.ENDPOINT_TAG, "") for rule in rules() if ours(rule)})
    if served:
        pages = ", ".join(f"{f'ENDPOINT={each} ' if each else ''}python delete_service.py" for each in served)
        raise Problem(f"{none}, but services are asked for at {what}: set it back, or run {pages} first")


def refuse_scheme(balancer: Any) -> None:
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html"""
    if balancer["Scheme"] != constants.LOAD_BALANCER_SCHEME:
        undo = "run delete_service.py, then LISTENER_PROTOCOL= python create_cluster.py, which takes it away, and this again"
        scheme = f"LOAD_BALANCER_SCHEME={constants.LOAD_BALANCER_SCHEME}"
        aws.refuse_change(scheme, f"the load balancer {its_name()} is {balancer['Scheme']}", undo)


def refuse_versions(balancer: Any) -> None:
    """With HTTP no service could be reached any more that speaks HTTP2 or GRPC with its load balancer."""
    if constants.LISTENER_PROTOCOL == "HTTPS" or 443 not in listeners():
        return
    pages = client("elbv2").get_paginator("describe_target_groups")
    groups = aws.every(pages.paginate(LoadBalancerArn=balancer["LoadBalancerArn"]), "TargetGroups")
    for group in [group for group in groups if group.get("ProtocolVersion", "HTTP1") != "HTTP1"]:
        speaks = f"the target group {group['TargetGroupName']} speaks {group['ProtocolVersion']}"
        aws.refuse_change("LISTENER_PROTOCOL=HTTP", f"{speaks}, for HTTPS alone", "run delete_service.py of it first")


def create(net: Network, groups: SecurityGroups) -> None:
    """Ask for the balancer; active after two to three minutes. It costs by the hour, used or not.

    Without LISTENER_PROTOCOL one that stands goes; `wait_ready` waits for that too.
    """
    protocol, what, balancer = constants.LISTENER_PROTOCOL, f"load balancer {its_name()}", named()
    if not protocol:
        delete()
        return
    if protocol == "HTTP":
        say("warning", "LISTENER_PROTOCOL=HTTP:", "what passes the load balancer is not encrypted")
    refuse_foreign(what, balancer)
    present, is_new = ({}, True) if not balancer else (listeners(), False)
    if balancer:
        say("found", what)
        set_subnets(balancer, net)
    else:
        balancer = make(net, groups)
    set_attributes(balancer, DEFAULTS if is_new else attributes())
    set_listeners(balancer, present)


def set_listeners(balancer: Any, present: dict[int, Any]) -> None:
    """As the settings say. What is served is so all the while, also where it moves from one port to the other.

    First the rules of services come to where they are to be; then port 80 redirects, or 443 goes; then the former go.
    """
    wanted, serving = wanted_listeners(), service_port()
    for port in wanted:
        refuse_foreign(f"listener {wanted[port]['Protocol']} {port} of {its_name()}", present.get(port))
    changed = [port for port in present if port not in wanted or different(present[port], wanted[port])]
    for port in [port for port in wanted if port not in present]:
        make_listener(balancer, port, wanted[port])
    if changed:
        copy_rules(serving)
    secure = present.get(443) or (listeners().get(443) if constants.CERTIFICATE_ARNS[1:] else None)
    secure = secure if 443 in wanted else None
    listener_certificates.add(secure)
    for port in [port for port in wanted if port in present]:
        update_listener(port, present[port], wanted[port])
    listener_certificates.remove_former(secure)
    for each in [each for port, each in present.items() if port not in wanted and ours(each)]:
        what = f"listener {each['Protocol']} {each['Port']}"
        call(client("elbv2").delete_listener, what, of=each, gone="ListenerNotFound")(ListenerArn=each["ListenerArn"])
        say("deleted", what, f"LISTENER_PROTOCOL={constants.LISTENER_PROTOCOL}")
    if changed:
        delete_former_rules(serving)


def make(net: Network, groups: SecurityGroups) -> Any:
    what = f"load balancer {its_name()}"
    scheme: Any = constants.LOAD_BALANCER_SCHEME
    request: Any = {"Name": its_name(), "Scheme": scheme, "Type": "application", "Tags": tags("alb")}
    create = call(client("elbv2").create_load_balancer, what)
    made = create(**request, Subnets=its_subnets(net), SecurityGroups=groups.load_balancer_ids)
    say("created", what)
    return {"LoadBalancerArn": made["LoadBalancers"][0]["LoadBalancerArn"], "Tags": tags("alb")}


def set_subnets(balancer: Any, net: Network) -> None:
    """In a zone that stays it answers all the while: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-subnets.html"""
    present, wanted = {zone["SubnetId"] for zone in balancer["AvailabilityZones"]}, its_subnets(net)
    what = f"load balancer {its_name()}"
    if wanted and present != {*wanted}:
        set_them = call(client("elbv2").set_subnets, what, of=balancer)
        set_them(LoadBalancerArn=balancer["LoadBalancerArn"], Subnets=wanted)
        say("updated", what, f"in {', '.join(wanted)}")


def its_subnets(net: Network) -> list[str]:
    """What is internal is beside hosts and tasks: AWS takes any subnets for it, and private ones are no way in."""
    return net.subnet_ids if constants.LOAD_BALANCER_SCHEME == "internal" else net.public_subnet_ids


def set_attributes(balancer: Any, present: dict[str, str]) -> None:
    wanted = {
        "deletion_protection.enabled": str(constants.LOAD_BALANCER_PROTECTION == "on").lower(),
        "idle_timeout.timeout_seconds": str(constants.IDLE_TIMEOUT),
        "routing.http.drop_invalid_header_fields.enabled": "true",
        "access_logs.s3.enabled": str(bool(constants.ACCESS_LOGS_BUCKET)).lower(),
    }
    if constants.ACCESS_LOGS_BUCKET:
        wanted["access_logs.s3.bucket"] = constants.ACCESS_LOGS_BUCKET
    what = f"load balancer {its_name()}"
    changes: Any = [{"Key": key, "Value": value} for key, value in wanted.items() if present.get(key) != value]
    if changes:
        modify = call(client("elbv2").modify_load_balancer_attributes, what, of=balancer)
        modify(LoadBalancerArn=balancer["LoadBalancerArn"], Attributes=changes)
        say("updated", what, ", ".join(f"{each['Key']} {each['Value']}" for each in changes))


def wanted_listeners() -> dict[int, Any]:
    """Port -> what it is to be. Only HTTPS reaches services where there is a certificate."""
    not_found = [{"Type": "fixed-response", "FixedResponseConfig": NOT_FOUND}]
    if constants.LISTENER_PROTOCOL == "HTTP":
        return {80: {"Protocol": "HTTP", "DefaultActions": not_found}}
    secure = {"Certificates": [{"CertificateArn": each} for each in certificate.arns()[:1]], "SslPolicy": TLS_POLICY}
    return {
        80: {"Protocol": "HTTP", "DefaultActions": [REDIRECT]},
        443: {"Protocol": "HTTPS", "DefaultActions": not_found, **secure},
    }


def make_listener(balancer: Any, port: int, wanted: Any) -> None:
    """A port is given once: where another run was first, AWS says so."""
    what, request = f"listener {wanted['Protocol']} {port}", {"LoadBalancerArn": balancer["LoadBalancerArn"], **wanted}
    create = call(client("elbv2").create_listener, what, there="DuplicateListener")
    say("created" if create(**request, Port=port, Tags=tags(f"listener-{port}")) else "found", what)


def different(listener: Any, wanted: Any) -> list[str]:
    """What of it is not as wanted."""
    return [key for key in wanted if not aws.holds(listener.get(key), wanted[key])]


def update_listener(port: int, listener: Any, wanted: Any) -> None:
    what, changes = f"listener {wanted['Protocol']} {port}", different(listener, wanted)
    if changes:
        modify = call(client("elbv2").modify_listener, what, of=listener)
        modify(ListenerArn=listener["ListenerArn"], Port=port, **wanted)
    say("updated" if changes else "found", what, ", ".join(changes))


def copy_rules(port: int) -> None:
    """Our services' rules at another port come to this one too; there they only redirect from now on, with HTTPS."""
    elb, to = client("elbv2"), listeners().get(port)
    former = [rule for rule in rules() if ours(rule) and to and rule["ListenerArn"] != to["ListenerArn"]]
    beside = [rule for rule in rules() if to and rule["ListenerArn"] == to["ListenerArn"]]
    taken = {int(rule["Priority"]) for rule in beside}
    for rule in former:
        asked = [condition(each) for each in rule["Conditions"]]
        what = f"listener rule {words(rule)} at port {port}"
        if to and not any(ours(each) and aws.holds(list(map(condition, each["Conditions"])), asked) for each in beside):
            free = next(n for n in (int(rule["Priority"]), *range(1, 50001)) if n not in taken)
            taken.add(free)
            actions = [{key: value for key, value in each.items() if key != "Order"} for each in rule["Actions"]]
            request: Any = {"Conditions": asked, "Actions": actions, "Tags": rule["Tags"]}
            create_it = call(elb.create_rule, what, there="PriorityInUse")
            say("created" if create_it(ListenerArn=to["ListenerArn"], Priority=free, **request) else "found", what)
        if port == 443:
            modify = call(elb.modify_rule, what, of=rule, gone="RuleNotFound")
            modify(RuleArn=rule["RuleArn"], Actions=[REDIRECT])


def delete_former_rules(port: int) -> None:
    """Those that led to services from another port than this; others' rules stay, and are named."""
    to = listeners().get(port)
    for rule in [rule for rule in rules() if to and rule["ListenerArn"] != to["ListenerArn"]]:
        what = f"listener rule {words(rule)} beside port {port}"
        if not aws.spare_foreign(what, rule):
            call(client("elbv2").delete_rule, what, of=rule, gone="RuleNotFound")(RuleArn=rule["RuleArn"])
            say("deleted", what)


def condition(each: Any) -> Any:
    """As it is asked for: AWS tells the values of a condition twice."""
    return {key: value for key, value in each.items() if key != "Values" or len(each) == 2}


def words(rule: Any) -> str:
    """Host names and paths; `condition` has them inside of the condition's own member."""
    found = [member for each in rule["Conditions"] for member in (each, *each.values()) if "Values" in member]
    return ", ".join(dict.fromkeys(value for member in found for value in member["Values"]))


def wait_ready(groups: SecurityGroups) -> None:
    """Its DNS name answers only when it is active; one that is not wanted any more is gone then, with its group."""

    def state() -> dict[str, str]:
        return (read() or {}).get("State", {"Code": "absent"})  # type: ignore[no-any-return]

    if "load-balancer" in groups.leaving:
        wait_deleted()
        security_groups.remove("load-balancer")
    if constants.LISTENER_PROTOCOL and (standing() or {}).get("State", {}).get("Code") != "active":
        wait(f"load balancer {its_name()}", lambda: state()["Code"] == "active", lambda: " ".join(state().values()))


def delete() -> None:
    """Ask for its end, listeners and rules with it; its network interfaces hold groups and subnets for minutes more."""
    balancer = named()
    if not balancer or aws.spare_foreign(f"load balancer {its_name()}", balancer):
        return
    try:
        call(client("elbv2").delete_load_balancer, of=balancer)(LoadBalancerArn=balancer["LoadBalancerArn"])
    except ClientError as error:
        if code(error) != "OperationNotPermitted":
            raise
        way = "LOAD_BALANCER_PROTECTION=off python create_cluster.py takes that away"
        raise Problem(f"the load balancer {its_name()} is protected from deletion: {way}") from error
    say("deleted", f"load balancer {its_name()}", "asked for")


def wait_deleted() -> None:
    wait(f"load balancer {its_name()} to be gone", lambda: not find(), lambda: "it is still there")


def left_over() -> list[Resource]:
    balancer = find()
    return [resource(f"load balancer {its_name()}", balancer["LoadBalancerArn"], balancer)] if balancer else []


def belonging() -> list[Resource]:
    """Its listeners, but for those that someone added by hand."""
    found = [each for each in listeners().values() if ours(each)]
    what = f"of {its_name()}"
    return [resource(f"listener {each['Protocol']} {each['Port']} {what}", each["ListenerArn"], each) for each in found]
