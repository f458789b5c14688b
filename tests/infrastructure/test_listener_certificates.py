"""Several certificates at one listener: each for its own names, and those of others left alone."""

from __future__ import annotations

from typing import Any

from emulator.elbv2.state import here
from emulator.front_door.proxy import Request, certificate_names, route
from tests.conftest import Runbook, issued
from tests.zones import zone

SERVED = ("create_cluster.py", "register_task_definition.py", "create_service.py")


def listener(runbook: Runbook) -> Any:
    [found] = [
        one for one in here(runbook.emulator.world, "us-east-1").listeners.values() if one.shown["Protocol"] == "HTTPS"
    ]
    return found


def shown_to(runbook: Runbook, host: str) -> list[str]:
    return certificate_names(runbook.emulator, "us-east-1", listener(runbook), host)


def test_each_client_is_shown_the_certificate_of_the_name_that_it_asks_for(clara: Runbook) -> None:
    first, second = issued(clara, "a.example.com"), issued(clara, "b.example.org")
    clara.has_run("create_cluster.py", CERTIFICATE_ARN=f"{first},{second}")
    assert [each["CertificateArn"] for each in listener(clara).shown["Certificates"]] == [first]
    assert shown_to(clara, "a.example.com") == ["a.example.com"]
    assert shown_to(clara, "b.example.org") == ["b.example.org"]
    assert shown_to(clara, "other.example.net") == ["a.example.com"], "the default one"
    assert "nothing changed" in clara.run("create_cluster.py", CERTIFICATE_ARN=f"{first},{second}").err


def test_a_certificate_that_someone_added_by_hand_stays(clara: Runbook) -> None:
    first, second = issued(clara, "a.example.com"), issued(clara, "b.example.org")
    theirs = issued(clara, "theirs.example.net")
    clara.has_run("create_cluster.py", CERTIFICATE_ARN=first)
    elb, arn = clara.aws("elbv2"), listener(clara).shown["ListenerArn"]
    elb.add_listener_certificates(ListenerArn=arn, Certificates=[{"CertificateArn": theirs}])
    begun = len(clara.emulator.calls)
    ran = clara.run("create_cluster.py", "--dry-run", CERTIFICATE_ARN=f"{second},{first}")
    assert (ran.code, clara.changes(begun)) == (0, []), ran.err
    clara.has_run("create_cluster.py", CERTIFICATE_ARN=f"{first},{second}")
    assert {*listener(clara).certificates} == {theirs, second}
    clara.has_run("create_cluster.py", CERTIFICATE_ARN=first)
    assert listener(clara).certificates == [theirs]


def test_no_name_is_without_its_certificate_while_the_default_one_changes(clara: Runbook) -> None:
    first, second = issued(clara, "a.example.com"), issued(clara, "b.example.org")
    clara.has_run("create_cluster.py", CERTIFICATE_ARN=f"{first},{second}")
    seen = []

    def watch(when: str) -> None:
        clara.watch = None
        seen.append((shown_to(clara, "a.example.com"), shown_to(clara, "b.example.org")))
        clara.watch = watch

    clara.watch = watch
    ran = clara.run("create_cluster.py", CERTIFICATE_ARN=f"{second},{first}")
    clara.watch = None
    assert ran.code == 0, ran.err
    assert {repr(each) for each in seen} == {repr((["a.example.com"], ["b.example.org"]))}


def test_each_of_several_certificates_must_be_issued(clara: Runbook) -> None:
    request = {"DomainName": "b.example.org", "ValidationMethod": "DNS"}
    pending = clara.aws("acm").request_certificate(**request)["CertificateArn"]
    ran = clara.run("create_cluster.py", CERTIFICATE_ARN=f"{clara.settings['CERTIFICATE_ARN']},{pending}")
    assert (ran.code, "CERTIFICATE_ARN is PENDING_VALIDATION, not ISSUED" in ran.err) == (1, True), ran.err


def test_each_of_several_host_names_leads_to_the_service_with_a_record_and_a_certificate(clara: Runbook) -> None:
    zone(clara, "example.com")
    zone(clara, "example.org")
    first, second = issued(clara, "a.example.com"), issued(clara, "*.example.org")
    clara.settings |= {"CERTIFICATE_ARN": f"{first},{second}", "HOST_NAME": "a.example.com,b.example.org"}
    clara.has_run(*SERVED)
    made = clara.has_run("create_dns_record.py").run("create_dns_record.py")
    assert [each["hostName"] for each in made.result["records"]] == ["a.example.com", "b.example.org"]
    clara.settle(120)
    for host in ("a.example.com", "b.example.org"):
        assert route(clara.emulator, Request("GET", "https", host, 443, host, "/docs/")).status == 200
    assert route(clara.emulator, Request("GET", "https", "a.example.com", 443, "c.example.com")).status == 404
    ran = clara.run("create_service.py", HOST_NAME="a.example.com,c.example.net")
    assert (ran.code, "HOST_NAME=c.example.net is not covered by the certificate" in ran.err) == (1, True)
    clara.has_run("create_service.py", HOST_NAME="b.example.org")
    names = [name for name in clara.account() if name.startswith("DNS record")]
    assert names == ["DNS record b.example.org. A"], "that of the former name is gone"
    clara.has_run("delete_dns_record.py", HOST_NAME="b.example.org")
    assert [name for name in clara.account() if name.startswith("DNS record")] == []


def test_a_name_of_several_that_another_rule_takes_first_is_refused(clara: Runbook) -> None:
    certificate = issued(clara, "*.example.com")
    clara.settings["CERTIFICATE_ARN"] = certificate
    clara.has_run(*SERVED, HOST_NAME="a.example.com")
    elb, arn = clara.aws("elbv2"), listener(clara).shown["ListenerArn"]
    action = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "ContentType": "text/plain"}}
    theirs = {"Field": "host-header", "HostHeaderConfig": {"Values": ["b.example.com"]}}
    own = [rule for rule in elb.describe_rules(ListenerArn=arn)["Rules"] if not rule["IsDefault"]]
    elb.set_rule_priorities(RulePriorities=[{"RuleArn": own[0]["RuleArn"], "Priority": 10}])
    elb.create_rule(ListenerArn=arn, Priority=5, Conditions=[theirs], Actions=[action])
    ran = clara.run("create_service.py", HOST_NAME="a.example.com,b.example.com")
    assert (ran.code, "b.example.com would never be asked for" in ran.err) == (1, True), ran.err


def test_each_of_several_paths_leads_to_the_service(clara: Runbook) -> None:
    clara.has_run(*SERVED, LISTENER_PATH="/docs/*,/v1/*")
    clara.settle(120)
    [balancer] = clara.aws("elbv2").describe_load_balancers()["LoadBalancers"]
    host = balancer["DNSName"]
    statuses = [
        route(clara.emulator, Request("GET", "https", host, 443, host, path)).status
        for path in ("/docs/x", "/v1/models", "/other")
    ]
    assert statuses == [200, 200, 404]


def test_all_of_many_certificates_can_change_at_once(clara: Runbook) -> None:
    """What is noted of them has room in AWS's tags."""
    arns = [issued(clara, f"a{number}.example.com") for number in range(26)]
    clara.has_run("create_cluster.py", CERTIFICATE_ARN=",".join(arns[:13]))
    clara.has_run("create_cluster.py", CERTIFICATE_ARN=",".join(arns[13:]))
    assert {*listener(clara).certificates} == {*arns[14:]}
    others = [each["Value"] for each in tags(clara) if each["Key"].startswith("gpu-ecs-certificates")]
    assert [len(each) for each in others] == [12 * 9 - 1]


def test_more_at_once_than_a_load_balancer_takes_is_refused_before_anything_is_changed(clara: Runbook) -> None:
    arns = [issued(clara, f"a{number}.example.com") for number in range(30)]
    clara.has_run("create_cluster.py", CERTIFICATE_ARN=",".join(arns[:15]))
    begun = len(clara.emulator.calls)
    ran = clara.run("create_cluster.py", CERTIFICATE_ARN=",".join(arns[15:]))
    assert (ran.code, "they are 28 beside the first, and it takes 25" in ran.err) == (1, True), ran.err
    assert clara.changes(begun) == []


def tags(runbook: Runbook) -> list[Any]:
    arn = listener(runbook).shown["ListenerArn"]
    found: list[Any] = runbook.aws("elbv2").describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"]
    return found
