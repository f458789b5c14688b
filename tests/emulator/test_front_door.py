"""Load balancers answer requests that come through the front door, as the account's rules, targets and records say."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from emulator.acm import certificates
from emulator.core.wire import Emulator
from emulator.front_door import proxy as front_door_proxy
from emulator.front_door.proxy import alike
from emulator.server import serve
from tests.emulator.ecs_account import Account, Client


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


class Site:
    """A load balancer with a listener for HTTP, in an account of which nothing runs yet."""

    def __init__(self, emulator: Emulator, client: Client, door: str) -> None:
        self.emulator, self.elb, self.route53, self.acm = emulator, client("elbv2"), client("route53"), client("acm")
        self.account = account = Account(emulator, client)
        self.door = door
        self.open(80)
        made = self.elb.create_load_balancer(Name="web", Subnets=[account.a, account.b], SecurityGroups=[account.group])
        self.shown = made["LoadBalancers"][0]
        self.host, self.arn = self.shown["DNSName"], self.shown["LoadBalancerArn"]

    def open(self, port: int, **source: Any) -> None:
        rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port}
        rule |= source or {"IpRanges": [{"CidrIp": "203.0.113.0/24"}]}
        self.account.ec2.authorize_security_group_ingress(GroupId=self.account.group, IpPermissions=[rule])

    def sleep(self, seconds: float) -> None:
        self.account.sleep(seconds)

    def listen(self, action: dict[str, Any], port: int = 80, protocol: str = "HTTP", **more: Any) -> str:
        made = self.elb.create_listener(
            LoadBalancerArn=self.arn, Port=port, Protocol=protocol, DefaultActions=[action], **more
        )
        self.sleep(160)
        return str(made["Listeners"][0]["ListenerArn"])

    def rule(self, listener: str, priority: int, action: dict[str, Any], *conditions: dict[str, Any]) -> None:
        self.elb.create_rule(ListenerArn=listener, Priority=priority, Actions=[action], Conditions=list(conditions))

    def group(self, name: str, *addresses: str, **settings: Any) -> str:
        """A target group with targets that were registered by hand, healthy as soon as it is in use for a minute."""
        settings = {"Protocol": "HTTP", "Port": 80, "VpcId": self.account.vpc, "TargetType": "ip", **settings}
        settings |= {"HealthCheckIntervalSeconds": 10, "HealthyThresholdCount": 2}
        arn = str(self.elb.create_target_group(Name=name, **settings)["TargetGroups"][0]["TargetGroupArn"])
        if addresses:
            self.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": address} for address in addresses])
        return arn

    def record(self, name: str, kind: str = "A", **values: Any) -> None:
        if not self.route53.list_hosted_zones()["HostedZones"]:
            self.route53.create_hosted_zone(Name="example.com", CallerReference="1")
        zone = self.route53.list_hosted_zones()["HostedZones"][0]["Id"]
        change = {"Action": "CREATE", "ResourceRecordSet": {"Name": name, "Type": kind, **values}}
        self.route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [change]})
        self.sleep(60)  # until all name servers know it

    def alias(self, name: str) -> None:
        target = {"HostedZoneId": self.shown["CanonicalHostedZoneId"], "DNSName": f"dualstack.{self.host}"}
        self.record(name, AliasTarget={**target, "EvaluateTargetHealth": False})

    def certificate(self, name: str) -> str:
        arn = str(self.acm.request_certificate(DomainName=name, ValidationMethod="DNS")["CertificateArn"])
        certificates.issue(self.emulator.world, "us-east-1", arn)
        return arn

    def ask(self, url: str = "", method: str = "GET", **headers: str) -> tuple[int, Any, bytes]:
        """Status, headers and body of what comes back through the proxy; a redirect is not followed."""
        url = url if "://" in url else f"http://{self.host}{url}"
        proxy = urllib.request.ProxyHandler({"http": self.door, "https": self.door})
        trust = ssl.create_default_context(cafile=self.emulator.certificate_authority)
        opener = urllib.request.build_opener(proxy, Stay, urllib.request.HTTPSHandler(context=trust))
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        body = b"x" * 5000 if method == "POST" else None
        try:
            answer = opener.open(urllib.request.Request(url, body, headers, method=method), timeout=10)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return answer.status, answer.headers, answer.read()

    def status(self, url: str = "", **how: Any) -> int:
        return self.ask(url, **how)[0]

    def told(self, url: str = "/") -> dict[str, Any]:
        status, _, body = self.ask(url)
        assert status == 200, body
        return dict(json.loads(body))


@pytest.fixture
def site(emulator: Emulator, client: Client) -> Iterator[Site]:
    with front_door_proxy.opened(emulator) as url:
        yield Site(emulator, client, url)


def fixed(status: int = 200, text: str = "") -> dict[str, Any]:
    return {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": str(status), "MessageBody": text}}


def forward(**weights: int) -> dict[str, Any]:
    groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
    return {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}


def redirect(**config: str) -> dict[str, Any]:
    return {"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", **config}}


# --- the way to a listener


def test_a_load_balancer_answers_once_it_is_active(site: Site) -> None:
    site.elb.create_listener(LoadBalancerArn=site.arn, Port=80, Protocol="HTTP", DefaultActions=[fixed(200, "hello")])
    assert site.status() == 503
    site.sleep(160)
    status, headers, body = site.ask("/any")
    assert (status, body, headers["Server"]) == (200, b"hello", "awselb/2.0")
    assert headers["Content-Type"] == "text/plain; charset=utf-8" and headers["Date"].endswith("GMT")
    status, headers, body = site.ask(method="HEAD")
    assert (status, headers["Content-Length"], body) == (200, "5", b"")


def test_a_name_of_nothing_and_a_port_without_a_listener_are_not_reached(site: Site) -> None:
    site.listen(fixed())
    status, headers, _ = site.ask("http://www.example.org/")
    assert status == 502 and "no load balancer's name" in headers["X-Emulator-Reason"] and "Server" not in headers
    site.open(8080)
    status, headers, _ = site.ask(f"http://{site.host}:8080/")
    assert status == 502 and "connection refused" in headers["X-Emulator-Reason"]
    site.open(443)
    with pytest.raises(OSError, match="502"):
        site.ask(f"https://{site.host}/")


def test_a_closed_security_group_lets_nobody_in(site: Site) -> None:
    site.listen(fixed(), port=8080)
    assert site.status(f"http://{site.host}:8080/") == 504
    site.open(8080, UserIdGroupPairs=[{"GroupId": site.account.group}])
    assert site.status(f"http://{site.host}:8080/") == 504
    site.open(8080)
    assert site.status(f"http://{site.host}:8080/") == 200


def test_an_internal_load_balancer_is_not_reached_from_outside(site: Site) -> None:
    groups = [site.account.group]
    subnets = [site.account.a, site.account.b]
    made = site.elb.create_load_balancer(Name="in", Subnets=subnets, SecurityGroups=groups, Scheme="internal")
    site.arn = made["LoadBalancers"][0]["LoadBalancerArn"]
    site.listen(fixed())
    assert site.status(f"http://{made['LoadBalancers'][0]['DNSName']}/") == 504


def test_records_of_public_zones_lead_to_the_load_balancer(site: Site) -> None:
    site.listen(fixed())
    site.alias("api.example.com")
    site.record("www.example.com", "CNAME", TTL=60, ResourceRecords=[{"Value": "API.example.com."}])
    site.record("*.dev.example.com", "CNAME", TTL=60, ResourceRecords=[{"Value": site.host}])
    site.record("loop.example.com", "CNAME", TTL=60, ResourceRecords=[{"Value": "loop.example.com"}])
    for name in ("api", "WWW", "x.dev"):
        assert site.status(f"http://{name}.example.com/") == 200
    assert site.status("http://other.example.com/") == site.status("http://loop.example.com/") == 502
    site.elb.delete_load_balancer(LoadBalancerArn=site.arn)
    assert site.status("http://api.example.com/") == 502


def test_a_network_load_balancer_passes_connections_on_and_answers_nothing_itself(site: Site) -> None:
    subnets = [site.account.a, site.account.b]
    made = site.elb.create_load_balancer(Name="net", Type="network", Subnets=subnets)["LoadBalancers"][0]
    site.arn, site.host = made["LoadBalancerArn"], made["DNSName"]
    group = site.group("net", "10.0.0.50", Protocol="TCP", HealthCheckTimeoutSeconds=5)
    site.listen(forward(**{group: 1}), protocol="TCP")
    assert site.told("/")["targetGroup"] == "net"
    site.elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": "10.0.0.50"}])
    status, headers, _ = site.ask()
    assert status == 502 and "Server" not in headers


# --- TLS


def test_https_shows_a_certificate_with_the_names_of_the_listeners(site: Site) -> None:
    site.open(443)
    site.alias("api.example.com")
    site.alias("www.example.com")
    site.alias("example.com")
    arn = site.certificate("*.example.com")
    listener = site.listen(fixed(200, "safe"), 443, "HTTPS", Certificates=[{"CertificateArn": arn}])
    assert site.ask("https://api.example.com/")[2] == site.ask("https://www.example.com/")[2] == b"safe"
    for host in (site.host, "example.com"):
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            site.ask(f"https://{host}/")
    second = {"CertificateArn": site.certificate("example.com")}
    site.elb.add_listener_certificates(ListenerArn=listener, Certificates=[second])
    assert site.status("https://example.com/") == 200
    assert site.status(f"http://{site.host}:443/") == 400


def test_the_certificate_is_chosen_by_the_name_that_the_client_asks_for(site: Site) -> None:
    """As curl's --connect-to does it, to try a load balancer before DNS leads to it."""
    site.open(443)
    default, other = site.certificate("a.example.com"), site.certificate("b.example.com")
    listener = site.listen(fixed(404), 443, "HTTPS", Certificates=[{"CertificateArn": default}])
    site.elb.add_listener_certificates(ListenerArn=listener, Certificates=[{"CertificateArn": other}])
    site.rule(listener, 1, fixed(200), {"Field": "host-header", "Values": ["b.example.com"]})
    trust = ssl.create_default_context(cafile=site.emulator.certificate_authority)
    with socket.create_connection(("127.0.0.1", urlsplit(site.door).port or 0), timeout=5) as connection:
        connection.sendall(f"CONNECT {site.host}:443 HTTP/1.1\r\n\r\n".encode())
        assert b"200" in connection.recv(100)
        with trust.wrap_socket(connection, server_hostname="b.example.com") as secured:
            secured.sendall(b"GET / HTTP/1.1\r\nHost: b.example.com\r\n\r\n")
            assert secured.recv(100).startswith(b"HTTP/1.1 200")


def test_a_listener_for_http_speaks_no_tls(site: Site) -> None:
    site.listen(fixed())
    with pytest.raises(OSError, match=r"EOF|reset"):
        site.ask(f"https://{site.host}:80/")
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(site.door).port or 0, timeout=5)
    connection.set_tunnel(site.host, 80)
    connection.request("GET", "/")
    assert connection.getresponse().status == 200
    connection.close()


# --- rules and their actions


def test_rules_are_tried_by_priority_and_the_default_one_last(site: Site) -> None:
    listener = site.listen(fixed(404))
    site.rule(listener, 20, fixed(202), {"Field": "path-pattern", "Values": ["/api/*"]})
    site.rule(listener, 9, fixed(201), {"Field": "path-pattern", "Values": ["/api/v?/*", "/exact"]})
    found = [site.status(path) for path in ("/api/v1/x", "/exact", "/api/x", "/API/x", "/exact/not", "/")]
    assert found == [201, 201, 202, 404, 404, 404]


def test_conditions_look_at_host_method_header_query_and_address(site: Site) -> None:
    site.alias("api.example.com")
    listener = site.listen(fixed(404))
    conditions: list[dict[str, Any]] = [
        {"Field": "host-header", "Values": ["*.Example.com"]},
        {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["POST", "PUT"]}},
        {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Color", "Values": ["*blue*"]}},
        {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "v", "Value": "2*"}, {"Value": "beta"}]}},
        {"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/8"]}},
    ]
    for number, condition in enumerate(conditions, 1):
        site.rule(listener, number, fixed(200 + number), condition)
    assert site.status("http://api.example.com/") == 201
    assert site.status(Host="API.example.com") == 201
    assert site.status(method="POST") == 202
    assert site.status(X_Color="Light Blue") == 203
    assert site.status("/?v=21") == site.status("/?any=BETA") == 204
    assert site.status("/?v=1") == site.status() == 404


def test_all_conditions_of_a_rule_must_hold(site: Site) -> None:
    listener = site.listen(fixed(404))
    put = {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["PUT"]}}
    site.rule(listener, 1, fixed(200), {"Field": "path-pattern", "Values": ["/a"]}, put)
    assert [site.status("/a", method="PUT"), site.status("/a"), site.status("/b", method="PUT")] == [200, 404, 404]


def test_patterns_know_wildcards_and_escaped_ones() -> None:
    assert alike("a*c?", "abbbcd") and not alike("a*c?", "abbbc")
    assert alike(r"what\?", "what?") and not alike(r"what\?", "whats") and alike("[x].", "[X].")


def test_redirects_keep_what_they_do_not_change(site: Site) -> None:
    listener = site.listen(redirect(Protocol="HTTPS", Port="443"))
    status, headers, _ = site.ask("/a/b?c=d")
    assert (status, headers["Location"]) == (301, f"https://{site.host}:443/a/b?c=d")
    moved = redirect(Host="new.#{host}", Path="/v2/#{path}", Query="from=#{port}&#{query}", StatusCode="HTTP_302")
    site.rule(listener, 1, moved, {"Field": "path-pattern", "Values": ["/old/*"]})
    status, headers, _ = site.ask("/old/x?y=1")
    assert (status, headers["Location"]) == (302, f"http://new.{site.host}:80/v2/old/x?from=80&y=1")
    assert site.ask("/")[1]["Location"] == f"https://{site.host}:443/"


# --- targets


def test_requests_are_shared_out_by_weight_and_among_healthy_targets(site: Site) -> None:
    blue, green = site.group("blue", "10.0.0.50", "10.0.0.51"), site.group("green", "10.0.1.50")
    off = site.group("off")
    site.listen(forward(**{blue: 3, green: 1, off: 0}))
    seen = [site.told() for _ in range(8)]
    assert [one["targetGroup"] for one in seen].count("blue") == 6 and seen[0] != seen[1]
    addresses = [one["target"] for one in seen if one["targetGroup"] == "blue"]
    assert addresses.count("10.0.0.50") == addresses.count("10.0.0.51") == 3


def test_without_registered_targets_the_service_is_unavailable(site: Site) -> None:
    group = site.group("app")
    site.listen(forward(**{group: 1}))
    status, headers, body = site.ask()
    assert status == 503 and b"503 Service Temporarily Unavailable" in body and headers["Server"] == "awselb/2.0"
    assert "no healthy targets in target group app" in headers["X-Emulator-Reason"]
    site.elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "10.0.0.50"}])
    assert site.status() == 503, "its registration is in progress"
    site.sleep(30)
    assert site.status(method="POST") == 200
    site.elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": "10.0.0.50"}])
    assert site.status() == 503, "a draining target gets nothing new"


def run(site: Site, image: str = "nginx:1", path: str = "/") -> str:
    """A service of one task behind the load balancer: its target group."""
    site.account.instance()
    container = {"image": image, "portMappings": [{"containerPort": 80}]}
    site.account.register(container=container)
    group = site.group("app", TargetType="instance", HealthCheckPath=path)
    site.listen(forward(**{group: 1}))
    balancer = {"targetGroupArn": group, "containerName": "main", "containerPort": 80}
    service = {"cluster": "main", "serviceName": "web", "taskDefinition": "work", "desiredCount": 1}
    site.account.ecs.create_service(**service, loadBalancers=[balancer], healthCheckGracePeriodSeconds=3600)
    site.sleep(200)
    return group


def health(site: Site, group: str) -> tuple[str, str, str]:
    [found] = site.elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    told = found["TargetHealth"]
    return told["State"], told.get("Reason", ""), told.get("Description", "")


def open_hosts(site: Site) -> None:
    rule = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": site.account.group}]}
    vpc = [{"Name": "vpc-id", "Values": [site.account.vpc]}, {"Name": "group-name", "Values": ["default"]}]
    [default] = site.account.ec2.describe_security_groups(Filters=vpc)["SecurityGroups"]
    site.account.ec2.authorize_security_group_ingress(GroupId=default["GroupId"], IpPermissions=[rule])


def test_a_task_of_a_service_answers(site: Site) -> None:
    open_hosts(site)
    group = run(site)
    assert health(site, group) == ("healthy", "", "")
    told = site.told("/any/path?x=1")
    [task] = site.account.ecs.list_tasks(cluster="main")["taskArns"]
    assert (told["task"], told["image"], told["path"]) == (task, "nginx:1", "/any/path")
    assert told["taskDefinition"].endswith("task-definition/work:1") and told["target"].startswith("i-")
    site.emulator.world.settings.unknown_paths = ["/missing"]
    assert (site.status("/missing"), site.status("/")) == (404, 200)


@pytest.mark.parametrize(
    ("image", "path", "answered", "code"),
    [("app:broken-1", "/", 500, 500), ("app:1", "/health", 200, 404), ("unhealthy:1", "/health", 200, 503)],
)
def test_a_task_that_fails_its_health_check_still_gets_requests_if_there_is_no_better_one(
    site: Site, image: str, path: str, answered: int, code: int
) -> None:
    open_hosts(site)
    site.emulator.world.settings.unknown_paths = ["/health"] if code == 404 else []
    group = run(site, image, path)
    ill = ("unhealthy", "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{code}]")
    assert health(site, group) == ill
    assert site.status("/") == answered and site.status(path) == code
    if code == 404:
        site.elb.modify_target_group(TargetGroupArn=group, Matcher={"HttpCode": "200,403-404"})
        site.sleep(60)
        assert health(site, group)[0] == "healthy"


def test_hosts_that_do_not_let_the_load_balancer_in_time_out(site: Site) -> None:
    group = run(site)
    assert health(site, group) == ("unhealthy", "Target.Timeout", "Request timed out")
    status, _, body = site.ask()
    assert status == 504 and b"504 Gateway Time-out" in body


# --- as a user meets it


def test_a_script_is_rehearsed_unchanged() -> None:
    with serve() as (url, emulator):
        door, trust = (door_of(url, path) for path in ("front-door", "certificate-authority"))
        assert door["url"] == emulator.front_door_url
        kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        settings = {"http_proxy": door["url"], "https_proxy": door["url"], "SSL_CERT_FILE": trust["path"]}
        script = "import urllib.request as r; r.urlopen('http://api.example.com/')"
        ran = subprocess.run(
            [sys.executable, "-c", script], env={**kept, **settings}, capture_output=True, text=True, check=False
        )
        assert "HTTP Error 502" in ran.stderr
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", urlsplit(door["url"]).port or 0), timeout=1)


def door_of(url: str, path: str) -> dict[str, str]:
    with urllib.request.urlopen(f"{url}/_emulator/{path}", timeout=5) as answer:
        return dict(json.load(answer))


def test_a_client_that_brings_the_cookie_comes_to_the_same_target_while_it_holds(site: Site) -> None:
    group = site.group("app", "10.0.0.50", "10.0.0.51")
    attributes = {"stickiness.enabled": "true", "stickiness.lb_cookie.duration_seconds": "60"}
    asked = [{"Key": key, "Value": value} for key, value in attributes.items()]
    site.listen(forward(**{group: 1}))
    assert "Set-Cookie" not in site.ask("/")[1]
    site.elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=asked)
    _, headers, body = site.ask("/")
    cookie, first = headers["Set-Cookie"].partition(";")[0], json.loads(body)["target"]
    assert cookie.startswith("AWSALB=")
    assert {json.loads(site.ask("/", Cookie=cookie)[2])["target"] for _ in range(4)} == {first}
    assert len({json.loads(site.ask("/")[2])["target"] for _ in range(4)}) == 2
    site.sleep(61)
    assert len({json.loads(site.ask("/", Cookie=cookie)[2])["target"] for _ in range(4)}) == 2
    site.elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": first}])
    assert json.loads(site.ask("/", Cookie=cookie)[2])["target"] != first


def test_http_1_1_is_no_language_of_a_grpc_group(site: Site) -> None:
    site.open(443)
    site.alias("api.example.com")
    certificate = [{"CertificateArn": site.certificate("api.example.com")}]
    group = site.group("app", "10.0.0.50", ProtocolVersion="GRPC")
    site.listen(forward(**{group: 1}), 443, "HTTPS", Certificates=certificate)
    status, headers, _ = site.ask("https://api.example.com/")
    assert (status, headers["Server"]) == (464, "awselb/2.0")
