"""The way in from outside: load balancers that really answer HTTP and HTTPS, so that a service's URL can be tried.

It is an HTTP proxy on 127.0.0.1, since every HTTP client obeys http_proxy and https_proxy: a script that asks for
https://api.example.com/ is rehearsed unchanged. Public container registries answer there too. The proxy never passes a
request on to the real internet. What AWS would refuse or drop before HTTP (an unknown name, a closed port) is told as
the proxy's own 502 or 504; what a load balancer answers itself bears "Server: awselb/2.0". X-Emulator-Reason says why it
is no 200.
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
"""

from __future__ import annotations

import email.utils
import ipaddress
import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from emulator.acm import certificates
from emulator.core.http import LocalServer, read_body
from emulator.core.rules import Params
from emulator.core.wire import Emulator
from emulator.core.world import World
from emulator.ec2.region import backend_of
from emulator.ecs.targets import reply
from emulator.elbv2 import metrics
from emulator.elbv2.state import Listener, LoadBalancer, Region, TargetGroup, here, state_of
from emulator.front_door.authority import Authority
from emulator.registry import http as registries
from emulator.route53 import records

BY_ITSELF = "awselb/2.0"
PORTS = {"http": 80, "https": 443}
TLS_HANDSHAKE = 0x16
PHRASES = {503: "Service Temporarily Unavailable", 504: "Gateway Time-out", 302: "Found", 464: "Incompatible Protocol"}


@dataclass
class Request:
    """One request, as a load balancer sees it."""

    method: str
    scheme: str
    to: str  # where the connection goes
    port: int
    host: str  # whom the Host header names; mostly the same
    path: str = "/"
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)  # names in lower case
    client: str = "127.0.0.1"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes = b""


class NotReachedError(Exception):
    """No load balancer has seen the request: what a client without a proxy would learn from DNS or from TCP."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


# --- from a name and a port to a listener


def find_balancer(world: World, host: str) -> tuple[str, LoadBalancer] | None:
    """Region and load balancer that a name leads to: its own name, or a public record of Route 53."""
    name = host.lower().rstrip(".")
    for _ in range(8):
        known = name.removeprefix("dualstack.")
        for region, state in world.state["elbv2"].items():
            for balancer in state.balancers.values():
                if balancer.shown["DNSName"].lower() == known:
                    return region, balancer
        following = records.leads_to(world, name)
        if following is None:
            return None
        name = following
    return None


def find_listener(world: World, host: str, port: int) -> tuple[str, Listener]:
    """The listener, and its Region, that a connection to this name and port reaches."""
    found = find_balancer(world, host)
    if found is None:
        raise NotReachedError(502, f"{host} is no load balancer's name, and no public record leads from it to one")
    region, balancer = found
    shown = balancer.shown
    if shown["State"]["Code"] not in ("active", "active_impaired"):
        raise NotReachedError(503, f"load balancer {shown['LoadBalancerName']} is still {shown['State']['Code']}")
    if shown["Scheme"] == "internal":
        raise NotReachedError(504, f"load balancer {shown['LoadBalancerName']} is internal: no way in from outside")
    groups = shown.get("SecurityGroups") or []
    if groups and not any(_lets_in(region, group, port) for group in groups):
        raise NotReachedError(504, f"no security group of {shown['LoadBalancerName']} lets anyone in on port {port}")
    for listener in here(world, region).listeners.values():
        if (listener.shown["LoadBalancerArn"], listener.shown["Port"]) == (shown["LoadBalancerArn"], port):
            return region, listener
    raise NotReachedError(502, f"connection refused: {shown['LoadBalancerName']} has no listener on port {port}")


def _lets_in(region: str, group_id: str, port: int) -> bool:
    """Does a security group allow this port from any addresses? Another group as the source is no help from outside."""
    groups = (groups[group_id] for groups in backend_of(region).groups.values() if group_id in groups)
    return any(
        str(rule.ip_protocol) == "-1"
        or (str(rule.ip_protocol) in ("tcp", "6") and int(rule.from_port or 0) <= port <= int(rule.to_port or 65535))
        for group in groups
        for rule in group.ingress_rules
        if rule.ip_range or rule.prefix_list_id
    )


# --- what a load balancer answers


def route(emulator: Emulator, request: Request) -> Answer:
    """Answer one request, after time has passed."""
    with emulator._lock:
        emulator.world.advance()
        if registries.serves(request.to):
            return _of_registry(emulator.world, request)
        try:
            found = find_listener(emulator.world, request.to, request.port)
        except NotReachedError as error:
            return not_reached(error)
        answer = _at_listener(emulator.world, request, *found)
        if "Server" in answer.headers and found[1].shown["Protocol"] not in ("HTTP", "HTTPS"):
            return not_reached(NotReachedError(502, answer.headers["X-Emulator-Reason"]))  # it speaks no HTTP itself
        return answer


def _of_registry(world: World, request: Request) -> Answer:
    url = f"https://{request.to}{request.path}{'?' + request.query if request.query else ''}"
    told = registries.answer(world, request.method, url, request.headers)
    return Answer(*told) if told else Answer(404, {})


def not_reached(error: NotReachedError) -> Answer:
    headers = {"Content-Type": "text/plain; charset=utf-8", "X-Emulator-Reason": error.reason}
    return Answer(error.status, headers, f"{error.reason}\n".encode())


def _at_listener(world: World, request: Request, region: str, listener: Listener) -> Answer:
    metrics.count(world, region, listener.shown["LoadBalancerArn"])
    secure = listener.shown["Protocol"] in ("HTTPS", "TLS")
    if secure and request.scheme == "http":
        return _own(400, "plain HTTP was sent to an HTTPS listener")
    if request.method == "TRACE":
        return _own(405, "load balancers do not support TRACE")
    state = here(world, region)
    rules = [rule for rule in state.rules.values() if rule["ListenerArn"] == listener.shown["ListenerArn"]]
    rules.sort(key=lambda rule: 10**6 if rule["IsDefault"] else int(rule["Priority"]))
    rule = next(rule for rule in rules if all(satisfied(one, request) for one in rule["Conditions"]))
    action = sorted(rule["Actions"], key=lambda one: one.get("Order", 0))[0]
    if action["Type"] == "fixed-response":
        return _fixed(action["FixedResponseConfig"])
    if action["Type"] == "redirect":
        return redirect(action["RedirectConfig"], request)
    if action["Type"] == "forward":
        answer = _forward(world, region, state, rule, request)
        if answer.status == HTTPStatus.SERVICE_UNAVAILABLE and answer.headers.get("Server") == BY_ITSELF:
            metrics.count(world, region, listener.shown["LoadBalancerArn"], metrics.REFUSED)
        return answer
    return _own(501, f"the emulator does not imitate the action {action['Type']}")


def _own(status: int, reason: str, **headers: str) -> Answer:
    """A page of the load balancer's own."""
    title = f"{status} {PHRASES.get(status) or HTTPStatus(status).phrase}"
    page = ["<html>", f"<head><title>{title}</title></head>", "<body>", f"<center><h1>{title}</h1></center>"]
    body = "\r\n".join([*page, "</body>", "</html>", ""]).encode()
    why = {"X-Emulator-Reason": reason} if reason else {}
    return Answer(status, {"Server": BY_ITSELF, "Content-Type": "text/html", **why, **headers}, body)


def _fixed(config: Params) -> Answer:
    headers = {"Server": BY_ITSELF, "Content-Type": f"{config.get('ContentType') or 'text/plain'}; charset=utf-8"}
    return Answer(int(config["StatusCode"]), headers, (config.get("MessageBody") or "").encode())


def redirect(config: Params, request: Request) -> Answer:
    """A redirect, with the request's own parts where #{host}, #{path} and the others stand for them. The port is always told.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-action-types.html"""
    own = {
        "protocol": request.scheme,
        "host": request.host,
        "port": str(request.port),
        "path": request.path.removeprefix("/"),
        "query": request.query,
    }
    scheme, host, port, path, query = (
        re.sub(r"#\{(\w+)\}", lambda match: own.get(match[1], match[0]), config[key])
        for key in ("Protocol", "Host", "Port", "Path", "Query")
    )
    location = f"{scheme.lower()}://{host}:{port}{path}{'?' + query if query else ''}"
    return _own(int(config["StatusCode"].removeprefix("HTTP_")), "", Location=location)


def _forward(world: World, region: str, state: Region, rule: Params, request: Request) -> Answer:
    [config] = [action["ForwardConfig"] for action in rule["Actions"] if action["Type"] == "forward"]
    weights = {group["TargetGroupArn"]: group["Weight"] for group in config["TargetGroups"]}
    arn = take_turn(world, rule["RuleArn"], {name: weight for name, weight in weights.items() if weight})
    if arn is None:
        return _own(503, "every target group of this rule has the weight 0")
    group = state.groups[arn]
    name = group.shown["TargetGroupName"]
    version = group.shown.get("ProtocolVersion", "HTTP1")
    if version != "HTTP1":
        return _own(464, f"HTTP/1.1 was spoken, and target group {name} takes {version} alone")
    able = {f"{target_id} {port}": (target_id, port) for target_id, port in in_service(group)}
    turn = brought(world, group, request, able) or take_turn(world, arn, dict.fromkeys(able, 1))
    if turn is None:
        return _own(503, f"no healthy targets in target group {name}")
    target_id, port = able[turn]
    metrics.count(world, region, state.listeners[rule["ListenerArn"]].shown["LoadBalancerArn"], arn)
    got = reply(world, region, group.shown, target_id, port, request.path)
    if got.status == 502:
        return _own(502, f"nothing listens at {target_id} port {port} (target group {name})")
    if got.status == 504:
        return _own(504, f"{target_id} port {port} (target group {name}) does not let the load balancer in")
    told = {"path": request.path, "targetGroup": name, "target": target_id, "port": port}
    if got.task is not None:
        told |= {"image": got.image, "task": got.task.arn, "taskDefinition": got.task.definition["taskDefinitionArn"]}
    headers = {"Content-Type": "application/json", **cookie(world, group, turn)}
    return Answer(got.status, headers, json.dumps(told).encode() + b"\n")


def cookie(world: World, group: TargetGroup, turn: str) -> dict[str, str]:
    """What a sticky target group gives a client: AWS encrypts it, and here too it means nothing to the client.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/sticky-sessions.html"""
    if group.attributes.get("stickiness.enabled") != "true" or group.attributes["stickiness.type"] != "lb_cookie":
        return {}
    until = world.now() + float(group.attributes["stickiness.lb_cookie.duration_seconds"])
    known: dict[str, tuple[str, str, float]] = world.state["front_door_cookies"]
    value = f"emulated{len(known)}"
    known[value] = (group.shown["TargetGroupArn"], turn, until)
    return {"Set-Cookie": f"AWSALB={value}; Expires={email.utils.formatdate(until, usegmt=True)}; Path=/"}


def brought(world: World, group: TargetGroup, request: Request, able: dict[str, tuple[str, int]]) -> str | None:
    """The target of the cookie that a request brings, while it holds and that one can answer."""
    found = re.search(r"\bAWSALB=(\w+)", request.headers.get("cookie", ""))
    if not found or group.attributes.get("stickiness.enabled") != "true":
        return None
    arn, turn, until = world.state["front_door_cookies"].get(found[1], ("", "", 0.0))
    return turn if arn == group.shown["TargetGroupArn"] and turn in able and world.now() < until else None


def in_service(group: TargetGroup) -> list[tuple[str, int]]:
    """The targets that get requests: the healthy ones, or, with too few of these, the unhealthy ones too (fail open).
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html"""
    states = {key: state_of(group, target)[0] for key, target in group.targets.items()}
    healthy = [key for key, state in states.items() if state == "healthy"]
    both = [key for key, state in states.items() if state in ("healthy", "unhealthy")]
    minimum = "target_group_health.unhealthy_state_routing.minimum_healthy_targets"
    count, percentage = (group.attributes.get(f"{minimum}.{kind}", "off") for kind in ("count", "percentage"))
    few = len(healthy) < int(count if count.isdigit() else 1)
    few = few or (percentage.isdigit() and 100 * len(healthy) < int(percentage) * len(both))
    return both if few else healthy


def take_turn(world: World, what: str, weights: dict[str, int]) -> str | None:
    """Whose turn it is, each as often as its weight says and evenly spread (smooth weighted round robin)."""
    if not weights:
        return None
    before: dict[str, int] = world.state["front_door"].get(what, {})
    credit = {name: before.get(name, 0) + weight for name, weight in weights.items()}
    chosen = max(credit, key=lambda name: credit[name])
    credit[chosen] -= sum(weights.values())
    world.state["front_door"][what] = credit
    return chosen


# --- the conditions of rules


def alike(pattern: str, text: str, *, case: bool = False) -> bool:
    """Does a text match a pattern in which * stands for any characters, ? for one, and a backslash takes that away?"""
    parts = re.findall(r"\\[*?\\]|.", pattern, re.DOTALL)
    wild = {"*": ".*", "?": "."}
    found = "".join(wild.get(part) or re.escape(part[-1]) for part in parts)
    return re.fullmatch(found, text, re.DOTALL | (0 if case else re.IGNORECASE)) is not None


def satisfied(condition: Params, request: Request) -> bool:
    """Does a request satisfy a condition?
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html"""
    kind = condition["Field"]
    config = next(value for key, value in condition.items() if key.endswith("Config"))
    values = config.get("Values") or condition.get("Values") or []
    if kind == "http-request-method":
        return request.method in values
    if kind == "source-ip":
        client = ipaddress.ip_address(request.client)
        return any(client in ipaddress.ip_network(value, strict=False) for value in values)
    if kind == "query-string":
        pairs = parse_qsl(request.query, keep_blank_values=True)
        return any(
            alike(value.get("Key") or "*", name) and alike(value["Value"], text)
            for value in values
            for name, text in pairs
        )
    looked_at = {
        "path-pattern": request.path,
        "host-header": request.host,
        "http-header": request.headers.get(str(config.get("HttpHeaderName", "")).lower()),
    }[kind]
    regexes = config.get("RegexValues") or condition.get("RegexValues") or []
    if looked_at is None:
        return False
    return any(alike(value, looked_at, case=kind == "path-pattern") for value in values) or any(
        re.search(regex, looked_at) for regex in regexes
    )


# --- HTTP


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True  # else each answer waits 40 ms for the client's acknowledgement
    timeout = 30
    emulator: Emulator
    authority: Authority
    #: inside of a CONNECT: scheme, host and port
    tunnel: tuple[str, str, int] | None = None

    def _serve(self) -> None:
        read_body(self)
        try:
            answer = route(self.emulator, self._request())
        except ValueError as error:
            answer = _own(400, str(error))
        self._send(answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = do_TRACE = _serve  # noqa: N815

    def _request(self) -> Request:
        parts = urlsplit(self.path)
        named = urlsplit(f"//{self.headers.get('Host', '')}")
        if self.tunnel:
            scheme, to, port = self.tunnel
        else:
            scheme = parts.scheme or "http"
            where = parts if parts.netloc else named
            to, port = where.hostname or "", where.port or PORTS.get(scheme, 80)
        headers = {name.lower(): value for name, value in self.headers.items()}
        client = str(self.client_address[0])
        host = named.hostname or to
        return Request(self.command, scheme, to, port, host, parts.path or "/", parts.query, headers, client)

    def _send(self, answer: Answer) -> None:
        self.close_connection = True
        self.send_response_only(answer.status, PHRASES.get(answer.status))
        answer.headers |= {"Date": email.utils.formatdate(usegmt=True), "Connection": "close"}
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD" and answer.status not in (204, 304):
            self.wfile.write(answer.body)

    def do_CONNECT(self) -> None:
        """A tunnel to a listener: one that speaks HTTPS shows its certificate, one that speaks HTTP no TLS at all."""
        host, _, port = self.path.rpartition(":")
        host = host.strip("[]")
        if registries.serves(host):
            return self._tunnel(host, 443, self.authority.context([host]))
        try:
            with self.emulator._lock:
                self.emulator.world.advance()
                region, listener = find_listener(self.emulator.world, host, int(port))
        except NotReachedError as error:
            return self._send(not_reached(error))
        except ValueError:
            return self._send(_own(400, f"{self.path} is no host and port"))
        if listener.shown["Protocol"] not in ("HTTPS", "TLS"):
            return self._tunnel(host, int(port), None)

        def named(connection: ssl.SSLSocket, wanted: str | None, _: ssl.SSLContext) -> None:
            if wanted and wanted != host:
                connection.context = self.authority.context(certificate_names(self.emulator, region, listener, wanted))

        context = self.authority.context(certificate_names(self.emulator, region, listener, host))
        context.sni_callback = named  # type: ignore[assignment]
        return self._tunnel(host, int(port), context)

    def _tunnel(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        self.close_connection = True
        self.send_response_only(200, "Connection established")
        self.end_headers()
        self.wfile.flush()
        with suppress(OSError):  # the client broke off, or did not trust the certificate
            self._inside(host, port, context)

    def _inside(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        """What the tunnel was made for: one request, through TLS if the other end speaks it."""
        wants_tls = self.connection.recv(1, socket.MSG_PEEK)[:1] == bytes([TLS_HANDSHAKE])
        self.tunnel = ("https" if wants_tls else "http", host, port)
        if not wants_tls:
            return self.handle_one_request()
        if context is None:
            return None  # to a listener for HTTP, TLS is a malformed request
        with context.wrap_socket(self.connection, server_side=True) as secured:
            self.rfile, self.wfile = secured.makefile("rb"), secured.makefile("wb")
            self.handle_one_request()
            self.wfile.flush()
            secured.settimeout(1)
            with suppress(OSError):
                secured.unwrap()
        return None

    def log_message(self, format: str, *args: Any) -> None:
        pass


def certificate_names(emulator: Emulator, region: str, listener: Listener, host: str) -> list[str]:
    """The names in the certificate that a listener shows to who asks for this host: a fitting one, or its default one.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/https-listener-certificates.html"""
    arns = [*(one["CertificateArn"] for one in listener.shown.get("Certificates", [])), *listener.certificates]
    with emulator._lock:
        each = [names for arn in arns if (names := certificates.certificate_names(emulator.world, region, arn))]
    fitting = [names for names in each if any(_covers(name, host) for name in names)]
    return [*fitting, *each, [host]][0]


def _covers(name: str, host: str) -> bool:
    return name == host or (name.startswith("*.") and name[2:] == host.partition(".")[2])


@contextmanager
def opened(emulator: Emulator) -> Iterator[str]:
    """The front door of an emulator, for as long as the block lasts: the proxy's URL."""
    with Authority() as authority:
        handler = type("Door", (_Door,), {"emulator": emulator, "authority": authority})
        server = LocalServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        emulator.front_door_url = f"http://127.0.0.1:{server.server_address[1]}"
        emulator.certificate_authority = authority.path
        try:
            yield emulator.front_door_url
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
