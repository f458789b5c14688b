"""check_service.py asks the service as a client would: over the load balancer's URL, with real requests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from emulator.core.world import VirtualClock
from emulator.server import serve
from tests.conftest import ROOT, Runbook, issued
from tests.zones import record, zone

SERVED = ("create_cluster.py", "register_task_definition.py", "create_service.py")


@dataclass
class Served:
    runbook: Runbook
    url: str

    def check(self, *flags: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """check_service.py as its own process, which finds the load balancer through a proxy."""
        proxy = self.runbook.emulator.front_door_url
        environment = {
            **self.runbook.settings,
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "emulator",
            "AWS_SECRET_ACCESS_KEY": "emulator",
            "AWS_REGION": "us-east-1",
            "http_proxy": proxy,
            "https_proxy": proxy,
            "no_proxy": "127.0.0.1",
            **settings,
        }
        command = [sys.executable, str(ROOT / "check_service.py"), *flags]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """The Clara Train service, up and healthy."""
    with serve() as (url, emulator):
        emulator.world.clock = VirtualClock()
        runbook = Runbook(emulator, {"ENV_FILE": str(ROOT / "examples" / "clara-train.env")})
        runbook.settings["CERTIFICATE_ARN"] = issued(runbook, "*.us-east-1.elb.amazonaws.com")
        yield Served(runbook.has_run(*SERVED), url)


def test_each_path_is_asked_for_and_told_with_status_and_time(served: Served) -> None:
    ran = served.check("--insecure")
    checks = json.loads(ran.stdout)["checks"]
    assert ran.returncode == 0, ran.stderr
    assert [check["url"].partition(".com")[2] for check in checks] == ["/docs/", "/v1/models"]
    assert [(check["status"], check["seconds"] >= 0) for check in checks] == [(200, True), (200, True)]


def test_a_certificate_that_nobody_knows_is_a_failure_with_a_way_out(served: Served) -> None:
    ran = served.check()
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "(--insecure or --ca FILE)" in ran.stderr


def test_a_certificate_authority_of_ones_own_is_accepted(served: Served, tmp_path: Path) -> None:
    with urllib.request.urlopen(f"{served.url}/_emulator/certificate-authority") as answer:
        path = json.load(answer)["path"]
    ran = served.check("--ca", path)
    assert ran.returncode == 0, ran.stderr


def test_a_file_that_holds_no_certificate_is_told_in_a_sentence(served: Served, tmp_path: Path) -> None:
    ran = served.check("--ca", str(tmp_path / "absent.pem"))
    assert ran.returncode == 1
    assert "is not a file of certificates" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_one_failing_path_fails_the_check(served: Served) -> None:
    served.runbook.emulator.world.settings.unknown_paths = ["/v1/models"]
    ran = served.check("--insecure")
    served.runbook.emulator.world.settings.unknown_paths = []
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "1 of 2 checks failed: https://" in ran.stderr
    assert "/v1/models: 404" in ran.stderr


def test_a_host_name_is_asked_once_it_leads_to_the_load_balancer(served: Served) -> None:
    """From no zone at all to a record that leads here; the certificate must be for the name."""
    runbook, named = served.runbook, {"HOST_NAME": "clara.example.com"}
    [balancer] = runbook.aws("elbv2").describe_load_balancers()["LoadBalancers"]
    ran = served.check(**named)
    assert ran.returncode == 1
    assert "https://clara.example.com/docs/: no answer" in ran.stderr
    assert f"is not in this account: does it lead to {balancer['DNSName'].lower()}? create_dns_record" in ran.stderr

    zone_id = zone(runbook, "example.com")
    ran = served.check(**named)
    assert ran.returncode == 1
    assert "clara.example.com does not lead to the load balancer yet: run create_dns_record.py" in ran.stderr

    [listener] = [
        each
        for each in runbook.aws("elbv2").describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
        if each["Port"] == 443
    ]
    arn = issued(runbook, "*.example.com")
    shown = [{"CertificateArn": arn}]
    runbook.aws("elbv2").add_listener_certificates(ListenerArn=listener["ListenerArn"], Certificates=shown)
    runbook.has_run("create_dns_record.py", CERTIFICATE_ARN=arn, **named)
    runbook.settle(60)
    with urllib.request.urlopen(f"{served.url}/_emulator/certificate-authority") as answer:
        path = json.load(answer)["path"]
    ran = served.check("--ca", path, **named)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["checks"][0]["url"] == "https://clara.example.com/docs/"
    assert "warning" not in ran.stderr

    record(runbook, zone_id, "old.example.com", "A", "192.0.2.1")
    ran = served.check("--ca", path, HOST_NAME="old.example.com")
    assert ran.returncode == 1
    assert "old.example.com leads to 192.0.2.1, not to the load balancer" in ran.stderr
    ran = served.check("--ca", path, HOST_NAME="clara.example.com,old.example.com")
    assert ran.returncode == 1, "each name is asked"
    assert "2 of 4 checks failed: https://old.example.com/docs/" in ran.stderr, ran.stderr


def test_where_tasks_speak_grpc_the_answer_tells_that_the_way_is_open(served: Served) -> None:
    grpc = {"TARGET_PROTOCOL_VERSION": "GRPC", "HEALTH_CHECK_PATH": "", "CHECK_PATHS": ""}
    served.runbook.has_run("delete_service.py").has_run("create_service.py", **grpc)
    ran = served.check("--insecure", **grpc)
    assert ran.returncode == 0, ran.stderr
    assert [each["status"] for each in json.loads(ran.stdout)["checks"]] == [464]
    assert "as to all of HTTP/1.1; of the tasks describe_service.py tells" in ran.stderr


def test_without_a_load_balancer_there_is_nothing_to_ask(runbook: Runbook) -> None:
    ran = runbook.run("check_service.py")
    assert (ran.code, "there is no load balancer to ask: set LISTENER_PROTOCOL" in ran.err) == (1, True)
