"""Listeners and rules: what a load balancer does with a request, and which target groups and certificates it uses.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-listeners.html
"""

from __future__ import annotations

import re
import uuid
from typing import Any

from moto.elbv2.ssl_policies import SSL_POLICIES
from moto.iam.models import iam_backends

from emulator.acm import certificates as acm_certificates
from emulator.core import partitions
from emulator.core.rules import AwsError, Call, Params, on
from emulator.elbv2.balancers import balancer
from emulator.elbv2.state import Listener, Region, balancers_of, here, invalid, page, settle_use, tell_certificates

#: what a path pattern is made of, besides letters and digits; a backslash takes the meaning of * and ? away
SIGNS = "_-.$/~\"'@:+&?*"
PATH = re.compile(rf"(?:[A-Za-z0-9{re.escape(SIGNS)}]|\\[*?])+")
LISTENERS, RULES, CERTIFICATES = 50, 100, 25
VALUES, WILDCARDS, GROUPS = 5, 5, 5

PROTOCOLS = {"application": ("HTTPS", "HTTP"), "network": ("TCP", "TLS", "UDP", "TCP_UDP")}
SECURE = ("HTTPS", "TLS")
DEFAULT_POLICY = "ELBSecurityPolicy-2016-08"
ROUTES = ("forward", "redirect", "fixed-response")
ACTIONS = (*ROUTES, "authenticate-oidc", "authenticate-cognito", "jwt-validation")
CONTENT_TYPES = ("text/plain", "text/css", "text/html", "application/javascript", "application/json")
ATTRIBUTES = {
    "routing.http.response.server.enabled": "true",
    "routing.http.response.strict_transport_security.header_value": "",
    "routing.http.response.access_control_allow_origin.header_value": "",
    "routing.http.response.access_control_allow_methods.header_value": "",
    "routing.http.response.access_control_allow_headers.header_value": "",
    "routing.http.response.access_control_allow_credentials.header_value": "",
    "routing.http.response.access_control_expose_headers.header_value": "",
    "routing.http.response.access_control_max_age.header_value": "",
    "routing.http.response.content_security_policy.header_value": "",
    "routing.http.response.x_content_type_options.header_value": "",
    "routing.http.response.x_frame_options.header_value": "",
}
#: condition field -> where its values are, how long one may be, and whether it may hold wildcards
CONDITIONS = {
    "host-header": ("HostHeaderConfig", 128, True),
    "path-pattern": ("PathPatternConfig", 128, True),
    "http-header": ("HttpHeaderConfig", 128, True),
    "query-string": ("QueryStringConfig", 128, True),
    "http-request-method": ("HttpRequestMethodConfig", 40, False),
    "source-ip": ("SourceIpConfig", 50, False),
}


def _listener(call: Call, arn: str) -> Listener:
    found = here(call.world, call.region).listeners.get(arn)
    if found is None:
        raise AwsError("ListenerNotFound", "One or more listeners not found")
    return found


def _rule(call: Call, arn: str) -> Params:
    found = here(call.world, call.region).rules.get(arn)
    if found is None:
        raise AwsError("RuleNotFound", "One or more rules not found")
    return found


def _shown_rule(rule: Params) -> Params:
    return {key: value for key, value in rule.items() if key != "ListenerArn"}


# --- listeners


@on("elbv2", "CreateListener", rules="elb-006 elb-007 elb-014")
def create_listener(call: Call) -> Params:
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateListener.html"""
    state, given = here(call.world, call.region), call.params
    owner = balancer(call).shown
    arn, kind = given["LoadBalancerArn"], owner["Type"]
    port, protocol = given.get("Port"), given.get("Protocol")
    if port is None:
        raise invalid("A listener port must be specified")
    if protocol is None:
        raise invalid("A listener protocol must be specified")
    shown = {"LoadBalancerArn": arn, "Port": port, "Protocol": protocol}
    shown |= _secured(call, kind, protocol, given.get("Certificates"), given.get("SslPolicy"))
    shown["DefaultActions"] = _actions(call, owner, protocol, given["DefaultActions"])
    others = [one for one in state.listeners.values() if one.shown["LoadBalancerArn"] == arn]
    for other in others:
        if other.shown["Port"] == port:
            if {key: value for key, value in other.shown.items() if key != "ListenerArn"} != shown:
                message = f"A listener already exists on this port for this load balancer '{arn}'"
                raise AwsError("DuplicateListener", message)
            return {"Listeners": [dict(other.shown)]}
    if len(others) >= LISTENERS:
        raise AwsError("TooManyListeners", f"The maximum number of listeners on load balancer '{arn}' has been reached")
    return {"Listeners": [_make_listener(call, state, shown)]}


def _make_listener(call: Call, state: Region, shown: Params) -> Params:
    identifier = uuid.uuid4().hex[:16]
    arn = f"{shown['LoadBalancerArn'].replace(':loadbalancer/', ':listener/')}/{identifier}"
    made = state.listeners[arn] = Listener({"ListenerArn": arn, **shown}, dict(ATTRIBUTES))
    _add_rule(state, arn, "default", [], shown["DefaultActions"])
    state.tags[arn] = {tag["Key"]: tag.get("Value", "") for tag in call.params.get("Tags") or []}
    settle_use(call.world, call.region)
    return dict(made.shown)


def _add_rule(state: Region, listener_arn: str, priority: str, conditions: list[Params], actions: list[Params]) -> str:
    arn = f"{listener_arn.replace(':listener/', ':listener-rule/')}/{uuid.uuid4().hex[:16]}"
    state.rules[arn] = {
        "RuleArn": arn,
        "Priority": priority,
        "Conditions": conditions,
        "Actions": actions,
        "IsDefault": priority == "default",
        "ListenerArn": listener_arn,
    }
    return arn


def _secured(call: Call, kind: str, protocol: str, certificates: list[Params] | None, policy: str | None) -> Params:
    """Certificate and TLS policy of a listener; only one that speaks TLS has them."""
    if protocol not in PROTOCOLS[kind]:
        raise invalid(f"Listener protocol '{protocol}' must be one of '{', '.join(PROTOCOLS[kind])}'")
    if protocol not in SECURE:
        if certificates:
            raise invalid(f"A certificate cannot be specified for {protocol} listeners")
        if policy:
            raise invalid(f"An SSL policy cannot be specified for {protocol} listeners")
        return {}
    if not certificates:
        raise invalid(f"A certificate must be specified for {protocol} listeners")
    if len(certificates) > 1:
        raise invalid("You must provide a list containing exactly one certificate")
    if policy and policy not in SSL_POLICIES:
        raise AwsError("SSLPolicyNotFound", f"SSL policy '{policy}' not found")
    arn = certificates[0]["CertificateArn"]
    _check_certificate(call, arn)
    return {"Certificates": [{"CertificateArn": arn}], "SslPolicy": policy or DEFAULT_POLICY}


def _check_certificate(call: Call, arn: str) -> None:
    if ":iam:" in arn:
        iam: Any = iam_backends[call.account][partitions.here()]
        status = "ISSUED" if iam.get_certificate_by_arn(arn) else None
    else:
        same_region = arn.startswith(f"arn:{partitions.here()}:acm:{call.region}:")
        status = acm_certificates.certificate_status(call.world, call.region, arn) if same_region else None
    if status is None:
        raise AwsError("CertificateNotFound", f"Certificate '{arn}' not found")
    if status != "ISSUED":
        raise AwsError(
            "UnsupportedCertificate",
            f"The certificate '{arn}' must have a fully-qualified domain name, a supported signature, "
            "and a supported key size.",
        )


@on("elbv2", "DescribeListeners")
def describe_listeners(call: Call) -> Params:
    given, state = call.params, here(call.world, call.region)
    if bool(given.get("LoadBalancerArn")) == bool(given.get("ListenerArns")):
        raise invalid("You must specify either listener ARNs or a load balancer ARN")
    if given.get("ListenerArns"):
        found = [_listener(call, arn) for arn in given["ListenerArns"]]
    else:
        arn = balancer(call).shown["LoadBalancerArn"]
        found = [one for one in state.listeners.values() if one.shown["LoadBalancerArn"] == arn]
    items, more = page(call, [one.shown for one in found])
    return {"Listeners": items, **more}


@on("elbv2", "ModifyListener", rules="elb-006 elb-007")
def modify_listener(call: Call) -> Params:
    state, given = here(call.world, call.region), call.params
    found = _listener(call, given["ListenerArn"])
    shown = found.shown
    owner = state.balancers[shown["LoadBalancerArn"]].shown
    changed = {key: shown[key] for key in ("ListenerArn", "LoadBalancerArn", "Port", "Protocol", "DefaultActions")}
    changed |= {key: given[key] for key in ("Port", "Protocol") if given.get(key) is not None}
    for other in state.listeners.values():
        if other is not found and (other.shown["LoadBalancerArn"], other.shown["Port"]) == (
            shown["LoadBalancerArn"],
            changed["Port"],
        ):
            raise AwsError("DuplicateListener", "A listener already exists on this port for this load balancer")
    keeps_tls = changed["Protocol"] in SECURE
    certificates = given.get("Certificates") or (shown.get("Certificates") if keeps_tls else None)
    policy = given.get("SslPolicy") or (shown.get("SslPolicy") if keeps_tls else None)
    changed |= _secured(call, owner["Type"], changed["Protocol"], certificates, policy)
    if given.get("DefaultActions"):
        changed["DefaultActions"] = _actions(call, owner, changed["Protocol"], given["DefaultActions"])
        default = next(
            rule for rule in state.rules.values() if rule["ListenerArn"] == given["ListenerArn"] and rule["IsDefault"]
        )
        default["Actions"] = changed["DefaultActions"]
    found.shown = changed
    settle_use(call.world, call.region)
    return {"Listeners": [dict(changed)]}


@on("elbv2", "DeleteListener", rules="elb-009")
def delete_listener(call: Call) -> Params:
    state, arn = here(call.world, call.region), call.params["ListenerArn"]
    _listener(call, arn)
    del state.listeners[arn]
    for name in [name for name, rule in state.rules.items() if rule["ListenerArn"] == arn]:
        del state.rules[name]
        state.tags.pop(name, None)
    state.tags.pop(arn, None)
    settle_use(call.world, call.region)
    return {}


@on("elbv2", "DescribeListenerAttributes", "ModifyListenerAttributes")
def listener_attributes(call: Call) -> Params:
    attributes = _listener(call, call.params["ListenerArn"]).attributes
    for attribute in call.params.get("Attributes") or []:
        if attribute["Key"] not in attributes:
            raise invalid(f"Listener attribute key '{attribute['Key']}' is not recognized")
        attributes[attribute["Key"]] = attribute.get("Value", "")
    return {"Attributes": [{"Key": key, "Value": value} for key, value in attributes.items()]}


# --- certificates beside a listener's default one


@on("elbv2", "AddListenerCertificates", rules="elb-007 elb-certificates")
def add_listener_certificates(call: Call) -> Params:
    found = _listener(call, call.params["ListenerArn"])
    added = [certificate["CertificateArn"] for certificate in call.params["Certificates"]]
    if found.shown["Protocol"] not in SECURE:
        raise invalid(f"A certificate cannot be specified for {found.shown['Protocol']} listeners")
    if len(added) != 1:
        raise invalid("You must provide a list containing exactly one certificate")
    _check_certificate(call, added[0])
    state = here(call.world, call.region)
    balancer_arn, listed = found.shown["LoadBalancerArn"], dict.fromkeys([*found.certificates, *added])
    others = [one for one in state.listeners.values() if one is not found]
    beside = [arn for one in others if one.shown["LoadBalancerArn"] == balancer_arn for arn in one.certificates]
    if len(listed) + len(beside) > CERTIFICATES:
        raise AwsError("TooManyCertificates", "The maximum number of certificates has been reached")
    found.certificates = list(listed)
    tell_certificates(call.world, call.region)
    return {"Certificates": [{"CertificateArn": arn, "IsDefault": False} for arn in added]}


@on("elbv2", "RemoveListenerCertificates")
def remove_listener_certificates(call: Call) -> Params:
    found = _listener(call, call.params["ListenerArn"])
    default = [one["CertificateArn"] for one in found.shown.get("Certificates", [])]
    removed = [certificate["CertificateArn"] for certificate in call.params["Certificates"]]
    if set(default) & set(removed) - set(
        found.certificates
    ):  # in the list too: that AWS takes it off is proven by nothing
        raise AwsError("OperationNotPermitted", "The default certificate of a listener cannot be removed")
    found.certificates = [arn for arn in found.certificates if arn not in removed]
    tell_certificates(call.world, call.region)
    return {}


@on("elbv2", "DescribeListenerCertificates")
def describe_listener_certificates(call: Call) -> Params:
    found = _listener(call, call.params["ListenerArn"])
    default = [{**one, "IsDefault": True} for one in found.shown.get("Certificates", [])]
    return {"Certificates": [*default, *({"CertificateArn": arn, "IsDefault": False} for arn in found.certificates)]}


# --- actions


def _actions(call: Call, owner: Params, protocol: str, wanted: list[Params]) -> list[Params]:
    """Actions as a listener or rule keeps them: checked, and forwards in both of the forms in which AWS shows them."""
    if not wanted:
        raise invalid("Actions must be specified")
    routes = [action for action in wanted if action["Type"] in ROUTES]
    for number, action in enumerate(wanted, 1):
        if action["Type"] not in ACTIONS:
            raise invalid(
                f"1 validation error detected: Value '{action['Type']}' at 'actions.{number}.member.type' failed to "
                f"satisfy constraint: Member must satisfy enum value set: [{', '.join(ACTIONS)}]"
            )
    if len(routes) != 1:
        message = "The last action must be one of the following: forward, redirect, fixed-response"
        raise AwsError("InvalidLoadBalancerAction", message)
    return [_action(call, owner, protocol, action) for action in wanted]


def _action(call: Call, owner: Params, protocol: str, action: Params) -> Params:
    if action["Type"] == "fixed-response":
        config = action.get("FixedResponseConfig") or {}
        if not re.fullmatch(r"[245]\d\d", config.get("StatusCode", "")):
            raise invalid(f"The fixed response status code '{config.get('StatusCode', '')}' must be 2XX, 4XX or 5XX")
        if config.get("ContentType") not in (None, *CONTENT_TYPES):
            raise invalid(f"The content type must be one of '{', '.join(CONTENT_TYPES)}'")
    elif action["Type"] == "redirect":
        config = action.get("RedirectConfig") or {}
        if config.get("StatusCode") not in ("HTTP_301", "HTTP_302"):
            raise invalid("The redirect status code must be one of 'HTTP_301, HTTP_302'")
        shown = {
            "Protocol": "#{protocol}",
            "Port": "#{port}",
            "Host": "#{host}",
            "Path": "/#{path}",
            "Query": "#{query}",
        }
        if all(config.get(key, value) == value for key, value in shown.items() if key != "Query"):
            message = "You must specify at least one of the following: protocol, host, port or path, to avoid a loop"
            raise AwsError("InvalidLoadBalancerAction", message)
        return {**action, "RedirectConfig": {**shown, "Query": "#{query}", **config}}
    elif action["Type"] == "forward":
        return _forward(call, owner, protocol, action)
    return dict(action)


def _forward(call: Call, owner: Params, protocol: str, action: Params) -> Params:
    single = action.get("TargetGroupArn")
    config = action.get("ForwardConfig") or {}
    groups = config.get("TargetGroups") or ([{"TargetGroupArn": single}] if single else [])
    arns = [group["TargetGroupArn"] for group in groups]
    if not groups:
        raise invalid("A target group ARN must be specified")
    if single and arns != [single]:
        raise invalid("You cannot specify both a target group ARN and a forward configuration that differs from it")
    if len(groups) > GROUPS:
        raise invalid(f"A forward action can have at most '{GROUPS}' target groups")
    if len(set(arns)) < len(arns):
        raise invalid("A target group can be named only once in a forward action")
    for arn in arns:
        _check_group(call, owner, protocol, arn)
    weighted = [{**group, "Weight": group.get("Weight", 1)} for group in groups]
    if any(not 0 <= group["Weight"] <= 999 for group in weighted):
        raise invalid("The weight of a target group must be between '0' and '999' inclusive")
    stickiness = config.get("TargetGroupStickinessConfig") or {"Enabled": False}
    shown: Params = {key: action[key] for key in ("Type", "Order") if key in action}
    if len(arns) == 1:
        shown["TargetGroupArn"] = arns[0]
    return {**shown, "ForwardConfig": {"TargetGroups": weighted, "TargetGroupStickinessConfig": stickiness}}


def _check_group(call: Call, owner: Params, listener: str, arn: str) -> None:
    """A target group fits a load balancer: it exists, speaks its kind of protocol, is in its VPC, and no other's."""
    state = here(call.world, call.region)
    group = state.groups.get(arn)
    if group is None:
        raise AwsError("TargetGroupNotFound", f"Target group '{arn}' not found")
    protocol = group.shown.get("Protocol")
    if (protocol in ("HTTP", "HTTPS", None)) != (owner["Type"] == "application"):
        message = f"The target group protocol '{protocol}' is not compatible with {owner['Type']} load balancers"
        raise AwsError("IncompatibleProtocols", message)
    version = group.shown.get("ProtocolVersion", "HTTP1")
    if version != "HTTP1" and listener != "HTTPS":
        # https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/2214
        supported = f"is not supported with a target group with the protocol-version '{version}'"
        raise AwsError("InvalidLoadBalancerAction", f"Listener protocol '{listener}' {supported}")
    if group.shown.get("VpcId", owner["VpcId"]) != owner["VpcId"]:
        message = f"The following target groups are not in the same VPC as the load balancer: '{arn}'"
        raise AwsError("InvalidConfigurationRequest", message)
    if any(other != owner["LoadBalancerArn"] for other in balancers_of(state, arn)):
        message = f"The following target groups cannot be associated with more than one load balancer: {arn}"
        raise AwsError("TargetGroupAssociationLimit", message)


# --- rules


@on("elbv2", "CreateRule", rules="elb-008 elb-017")
def create_rule(call: Call) -> Params:
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateRule.html"""
    state, given = here(call.world, call.region), call.params
    listener = _listener(call, given["ListenerArn"]).shown
    arn, owner = listener["LoadBalancerArn"], state.balancers[listener["LoadBalancerArn"]].shown
    conditions = _conditions(given.get("Conditions") or [])
    _check_priority(given["Priority"])
    if str(given["Priority"]) in _priorities(state, given["ListenerArn"]).values():
        raise AwsError("PriorityInUse", f"Priority '{given['Priority']}' is currently in use")
    own = [name for name, one in state.listeners.items() if one.shown["LoadBalancerArn"] == arn]
    if sum(1 for rule in state.rules.values() if rule["ListenerArn"] in own and not rule["IsDefault"]) >= RULES:
        raise AwsError("TooManyRules", f"The maximum number of rules on load balancer '{arn}' has been reached")
    actions = _actions(call, owner, listener["Protocol"], given["Actions"])
    made = _add_rule(state, given["ListenerArn"], str(given["Priority"]), conditions, actions)
    state.tags[made] = {tag["Key"]: tag.get("Value", "") for tag in given.get("Tags") or []}
    settle_use(call.world, call.region)
    return {"Rules": [_shown_rule(state.rules[made])]}


def _check_priority(priority: int) -> None:
    if not 1 <= priority <= 50000:
        raise invalid(f"The priority '{priority}' must be between '1' and '50000' inclusive")


def _priorities(state: Region, listener_arn: str) -> dict[str, str]:
    return {arn: rule["Priority"] for arn, rule in state.rules.items() if rule["ListenerArn"] == listener_arn}


def _conditions(wanted: list[Params]) -> list[Params]:
    """Conditions as a rule keeps them. The limits hold for the whole rule.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html"""
    if not wanted:
        raise invalid("A condition must be specified")
    shown, total, wildcards = [], 0, 0
    for condition in wanted:
        field, values, kept = _condition(condition)
        total += len(values)
        wildcards += sum(len(re.findall(r"(?<!\\)[*?]", value)) for value in values if CONDITIONS[field][2])
        shown.append(kept)
    fields = [condition["Field"] for condition in shown]
    for field in ("host-header", "path-pattern", "http-request-method", "source-ip"):
        if fields.count(field) > 1:
            raise invalid(f"A rule can only have one '{field}' condition")
    if total > VALUES:
        raise invalid(f"A rule can only have '{VALUES}' condition values")
    if wildcards > WILDCARDS:
        raise invalid(f"A rule can only have '{WILDCARDS}' condition wildcards")
    return shown


def _condition(condition: Params) -> tuple[str, list[str], Params]:
    """Field and values of one condition, and the condition as AWS shows it."""
    field = condition.get("Field", "")
    if field not in CONDITIONS:
        raise invalid(f"Condition field '{field}' must be one of '[{', '.join(CONDITIONS)}]'")
    where, longest, _ = CONDITIONS[field]
    config = condition.get(where) or {}
    old = field in ("host-header", "path-pattern")
    if old and condition.get("Values") and config:
        raise invalid("You cannot specify both a value list and a configuration for one condition")
    values: list[Any] = (condition.get("Values") if old else None) or config.get("Values") or []
    texts = [value if isinstance(value, str) else value.get("Value", "") for value in values]
    regexes = config.get("RegexValues") or condition.get("RegexValues") or []
    if not texts and not regexes:
        raise invalid("A condition value must be specified")
    for text in [*texts, *regexes]:
        if len(text) > longest:
            raise invalid(f"The condition value '{text}' cannot be longer than '{longest}' characters")
    for text in texts:
        if field == "host-header":
            _check_host(text)
        if field == "path-pattern" and not PATH.fullmatch(text):
            raise invalid(f"The path pattern '{text}' can only have letters, digits and {SIGNS}")
    kept: Params = {"Field": field, where: {**config, **({"Values": values} if values else {})}}
    if old and values:
        kept["Values"] = values
    return field, [*texts, *regexes], kept


def _check_host(name: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9.*?-]+", name) or "." not in name:
        raise invalid(
            f"The host header value '{name}' must contain at least one '.' and only letters, digits, '-', '.', '*', '?'"
        )
    if not re.fullmatch(r"[A-Za-z*?]+", name.rpartition(".")[2]):
        raise invalid(f"The host header value '{name}' can only have alphabetical characters after the final '.'")


@on("elbv2", "DescribeRules")
def describe_rules(call: Call) -> Params:
    given, state = call.params, here(call.world, call.region)
    if bool(given.get("ListenerArn")) == bool(given.get("RuleArns")):
        raise invalid("You must specify either listener rule ARNs or a listener ARN")
    if given.get("RuleArns"):
        found = [_rule(call, arn) for arn in given["RuleArns"]]
    else:
        _listener(call, given["ListenerArn"])
        found = [rule for rule in state.rules.values() if rule["ListenerArn"] == given["ListenerArn"]]
    found.sort(key=lambda rule: 10**6 if rule["IsDefault"] else int(rule["Priority"]))
    items, more = page(call, [_shown_rule(rule) for rule in found])
    return {"Rules": items, **more}


def _own_rule(call: Call, arn: str) -> Params:
    """A rule that may be changed or deleted: not the default one of its listener."""
    rule = _rule(call, arn)
    if rule["IsDefault"]:
        done = {"DeleteRule": "deleted", "SetRulePriorities": "re-prioritized"}.get(call.operation, "modified")
        raise AwsError("OperationNotPermitted", f"Default rule '{arn}' cannot be {done}")
    return rule


@on("elbv2", "ModifyRule", rules="elb-008 elb-017")
def modify_rule(call: Call) -> Params:
    state, given = here(call.world, call.region), call.params
    rule = _own_rule(call, given["RuleArn"])
    if not any(given.get(key) for key in ("Conditions", "Actions", "Transforms", "ResetTransforms")):
        raise invalid("Either conditions or actions must be specified")
    if given.get("Conditions"):
        rule["Conditions"] = _conditions(given["Conditions"])
    if given.get("Actions"):
        listener = state.listeners[rule["ListenerArn"]].shown
        owner = state.balancers[listener["LoadBalancerArn"]].shown
        rule["Actions"] = _actions(call, owner, listener["Protocol"], given["Actions"])
        settle_use(call.world, call.region)
    return {"Rules": [_shown_rule(rule)]}


@on("elbv2", "SetRulePriorities", rules="elb-008")
def set_rule_priorities(call: Call) -> Params:
    state = here(call.world, call.region)
    wanted = {pair["RuleArn"]: pair["Priority"] for pair in call.params["RulePriorities"]}
    changed = [_own_rule(call, arn) for arn in wanted]
    for number in wanted.values():
        _check_priority(number)
        if list(wanted.values()).count(number) > 1:
            raise invalid(f"Priority '{number}' was provided multiple times")
    for rule in changed:
        number = str(wanted[rule["RuleArn"]])
        others = _priorities(state, rule["ListenerArn"])
        if any(priority == number and arn not in wanted for arn, priority in others.items()):
            raise AwsError("PriorityInUse", f"Priority '{number}' is currently in use")
    for rule in changed:
        rule["Priority"] = str(wanted[rule["RuleArn"]])
    return {"Rules": [_shown_rule(rule) for rule in changed]}


@on("elbv2", "DeleteRule", rules="elb-009")
def delete_rule(call: Call) -> Params:
    state, arn = here(call.world, call.region), call.params["RuleArn"]
    _own_rule(call, arn)
    del state.rules[arn]
    state.tags.pop(arn, None)
    settle_use(call.world, call.region)
    return {}
