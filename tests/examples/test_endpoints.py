"""Endpoints side by side: no name clashes, no script of one changes another, and a part of the traffic can be shared."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from emulator.codepipeline import pipelines
from emulator.codestar_connections import connections
from emulator.ecr import repositories
from emulator.front_door.proxy import Request, route
from tests.conftest import READS, ROOT, Runbook
from tests.zones import zone

EXAMPLE = ROOT / "examples" / "ml-endpoints"
#: all that is made for one endpoint, in its order
ALL = (
    "create_repository.py",
    "create_pipeline.py",
    "register_task_definition.py",
    "create_service.py",
    "sync_weights.py",
    "create_dns_record.py",
)
SERVED = ("register_task_definition.py", "create_service.py")
#: for tests that need no pipeline: an image from elsewhere, one task, no scaling
SMALL = {"IMAGE_TAG": "", "IMAGE": "example.com/ml:v1", "DESIRED_COUNT": "1", "SCALING": "none", "POLL_SECONDS": "15"}


@pytest.fixture
def small(endpoints: Runbook) -> Runbook:
    """A cluster for endpoints A and B, each with one task."""
    endpoints.settings |= SMALL
    return endpoints.has_run("create_cluster.py")


@pytest.fixture
def three(small: Runbook, tmp_path: Path) -> Runbook:
    """The same, with an endpoint C too."""
    (tmp_path / "endpoints").mkdir()
    for endpoint in "abc":
        (tmp_path / "endpoints" / f"{endpoint}.env").write_text(f"HOST_NAME={endpoint}.ml.example.com\n")
    (tmp_path / ".env").write_text((EXAMPLE / ".env").read_text())
    small.settings["ENV_FILE"] = str(tmp_path / ".env")
    return small


def with_everything(runbook: Runbook) -> Runbook:
    """What the whole walk needs beside the settings: a zone, weights in a bucket, and a connection to the Git host."""
    zone(runbook, "ml.example.com")
    s3 = runbook.aws("s3")
    s3.create_bucket(Bucket="example-ml-weights")
    for endpoint in "ab":
        s3.put_object(Bucket="example-ml-weights", Key=f"{endpoint}/model.bin", Body=b"weights")
    request = {"ProviderType": "GitHub", "ConnectionName": "ours"}
    runbook.settings["CONNECTION_ARN"] = runbook.aws("codeconnections").create_connection(**request)["ConnectionArn"]
    runbook.settings["POLL_SECONDS"] = "15"
    connections.finish_handshakes(runbook.emulator.world)
    return runbook


def account(runbook: Runbook) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(runbook.account(), default=str))
    return found


def of(endpoint: str, found: dict[str, Any]) -> dict[str, Any]:
    """The part of an account that bears an endpoint's names."""
    name = re.compile(rf"\bml-{endpoint}(?![a-z0-9])|\b{endpoint}\.ml\.example\.com")
    return {key: value for key, value in found.items() if name.search(key)}


def names_of(runbook: Runbook, endpoint: str) -> re.Pattern[str]:
    """Whatever names a resource of an endpoint: its names, and the ids and ARNs that hold no name."""
    tag = {"Name": "tag:gpu-ecs-endpoint", "Values": [endpoint]}
    ec2, ecs = runbook.aws("ec2"), runbook.aws("ecs")
    ids = [each["GroupId"] for each in ec2.describe_security_groups(Filters=[tag])["SecurityGroups"]]
    found = ec2.describe_security_group_rules(Filters=[tag])["SecurityGroupRules"]
    ids += [each["SecurityGroupRuleId"] for each in found]
    points = runbook.aws("efs").describe_access_points()["AccessPoints"]
    ids += [each["AccessPointId"] for each in points if {"Key": "gpu-ecs-endpoint", "Value": endpoint} in each["Tags"]]
    ids += [rule["RuleArn"] for rule in rules(runbook) if rule["Host"] == f"{endpoint}.ml.example.com"]
    ids += [arn.rpartition("/")[2] for arn in ecs.list_tasks(cluster="ml", serviceName=f"ml-{endpoint}")["taskArns"]]
    assert len(ids) >= 7, ids
    names = [rf"\bml-{endpoint}(?![a-z0-9])", rf"\b{endpoint}\.ml\.example\.com"]
    return re.compile("|".join([*names, *map(re.escape, ids)]))


def rules(runbook: Runbook) -> list[dict[str, Any]]:
    """The rules of the HTTPS listener, each with its host name, path, and target group -> weight."""
    elb = runbook.aws("elbv2")
    [found] = elb.describe_load_balancers()["LoadBalancers"]
    listeners = elb.describe_listeners(LoadBalancerArn=found["LoadBalancerArn"])["Listeners"]
    [https] = [each["ListenerArn"] for each in listeners if each["Port"] == 443]
    found = [rule for rule in elb.describe_rules(ListenerArn=https)["Rules"] if not rule["IsDefault"]]
    told = []
    for rule in found:
        fields = {
            each["Field"]: next(v for k, v in each.items() if k.endswith("Config")) for each in rule["Conditions"]
        }
        groups = rule["Actions"][0]["ForwardConfig"]["TargetGroups"]
        told.append(
            {
                **rule,
                "Host": ",".join(fields.get("host-header", {}).get("Values", [])),
                "Path": ",".join(fields.get("path-pattern", {}).get("Values", [])),
                "Weights": {each["TargetGroupArn"].split("/")[-2]: each["Weight"] for each in groups},
            }
        )
    return told


def weights(runbook: Runbook, endpoint: str) -> dict[str, int]:
    [rule] = [rule for rule in rules(runbook) if rule["Host"] == f"{endpoint}.ml.example.com"]
    found: dict[str, int] = rule["Weights"]
    return found


def priorities(runbook: Runbook) -> dict[str, int]:
    return {rule["Host"] + rule["Path"]: int(rule["Priority"]) for rule in rules(runbook)}


def balancer(runbook: Runbook) -> str:
    [found] = runbook.aws("elbv2").describe_load_balancers()["LoadBalancers"]
    return str(found["DNSName"])


def who_answers(runbook: Runbook, endpoint: str, times: int = 1, to: str = "") -> Counter[str]:
    """Which target groups answer requests for an endpoint's host name; a status where none does."""
    request = Request("GET", "https", to or balancer(runbook), 443, f"{endpoint}.ml.example.com", "/ping")
    answers = [route(runbook.emulator, request) for _ in range(times)]
    return Counter(json.loads(each.body)["targetGroup"] if each.status == 200 else str(each.status) for each in answers)


def outages(runbook: Runbook, endpoint: str) -> list[str]:
    """After which calls of a script, from here on, a request for an endpoint's host name was not answered."""
    found: list[str] = []
    to = balancer(runbook)

    def watch(when: str) -> None:
        if when == "after" and any(name.isdigit() for name in who_answers(runbook, endpoint, 4, to)):
            found.append(":".join(runbook.emulator.calls[-1][:2]))

    runbook.watch = watch
    return found


def record(runbook: Runbook, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Each changing call from here on, with all that it says."""
    calls: list[tuple[str, str]] = []
    answer = runbook.emulator._answer

    def noting(call: Any, protocol: str, request: Any) -> Any:
        if not call.operation.startswith(READS):
            said = json.dumps(call.params, default=str) if call.params else f"{request.url} {request.data!r}"
            calls.append((f"{call.service}:{call.operation}", said))
        return answer(call, protocol, request)

    monkeypatch.setattr(runbook.emulator, "_answer", noting)
    return calls


# ------------------------------------------------------------------------------------------------- nothing of A is touched


def test_adding_updating_and_deleting_b_changes_nothing_of_a_which_answers_all_the_time(
    endpoints: Runbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    ml = with_everything(endpoints).has_run("create_cluster.py")
    ml.has_run(*ALL, ENDPOINT="a")
    ml.settle(1200)  # A's pipeline deploys what it has built
    before = account(ml)
    of_a = names_of(ml, "a")
    calls = record(ml, monkeypatch)
    ml.emulator.world.settings.request_cpu_seconds = 0  # so many requests would make A scale out
    lost = outages(ml, "a")
    ml.has_run(*ALL, ENDPOINT="b")
    assert of("b", account(ml)), "there is a B"
    assert of("a", account(ml)) == of("a", before)
    assert who_answers(ml, "b") == {"ml-b-tg": 1}
    repositories.put_image(ml.emulator.world, "us-east-1", "ml-b", "v2")
    ml.has_run("register_task_definition.py", ENDPOINT="b", IMAGE_TAG="v2")
    ml.has_run("update_service.py", ENDPOINT="b", DESIRED_COUNT="3")
    assert of("a", account(ml)) == of("a", before)
    ml.has_run("delete_endpoint.py --yes --images", ENDPOINT="b")
    ml.settle()
    assert account(ml) == before
    assert len(calls) > 60 and any("ml-b" in said for _, said in calls)
    assert [(call, said) for call, said in calls if of_a.search(said)] == []
    assert lost == []


# ---------------------------------------------------------------------------------------------------------------- names

#: kind of resource, as emulator.account names it -> characters of its name at the most
LIMITS = {
    "target group": 32,
    "load balancer": 32,
    "role": 64,
    "bucket": 63,
    "repository": 256,
    "log group": 512,
    "pipeline": 100,
    "build project": 150,
    "schedule group": 64,
    "service": 255,
    "task definition": 255,
    "cluster": 255,
    "security group": 255,
    "scaling policy": 256,
    "access point": 256,
    "file system": 256,
    "connection": 32,
    "capacity provider": 255,
}


def test_the_names_of_two_endpoints_differ_and_the_longest_are_within_the_limits_of_aws(
    endpoints: Runbook, tmp_path: Path
) -> None:
    """The longest CLUSTER_NAME-ENDPOINT that is allowed; both endpoints begin alike."""
    cluster, first, second = "a" * 15, "b" * 12, "b" * 11
    for endpoint, file in ((first, "a"), (second, "b")):
        text = (EXAMPLE / "endpoints" / f"{file}.env").read_text()
        (tmp_path / "endpoints").mkdir(exist_ok=True)
        (tmp_path / "endpoints" / f"{endpoint}.env").write_text(text)
    (tmp_path / ".env").write_text((EXAMPLE / ".env").read_text())
    endpoints.settings["ENV_FILE"] = str(tmp_path / ".env")
    ml = with_everything(endpoints)
    ml.settings |= {"CLUSTER_NAME": cluster, "DESIRED_COUNT": "0", "CONNECTION_ARN": ""}
    ml.settings["WAIT"] = "false"
    ml.has_run("create_cluster.py")
    shared = set(account(ml))
    made: list[set[str]] = []
    for endpoint in (first, second):
        ml.has_run("create_repository.py", ENDPOINT=endpoint)
        ml.run("create_pipeline.py", ENDPOINT=endpoint)  # makes the connection, and stops at its handshake
        connections.finish_handshakes(ml.emulator.world)
        ml.has_run("create_pipeline.py", *SERVED, "sync_weights.py", ENDPOINT=endpoint)
        ml.settle(60)
        made.append({name for name in account(ml) if re.search(rf"-{endpoint}(?![a-z])", name)})
    assert len(made[0]) == len(made[1]) >= 22
    assert not made[0] & made[1]
    lengths: dict[str, int] = {}
    for name in shared.union(*made, account(ml)):
        kind = next((kind for kind in LIMITS if name.startswith(f"{kind} ")), "")
        own = re.sub(r":\d+$", "", name.removeprefix(kind).strip())
        lengths[kind] = max(lengths.get(kind, 0), len(own) if cluster in own else 0)
    assert {kind for kind, length in lengths.items() if kind and length > LIMITS[kind]} == set()
    longest_region = len("ap-northeast-1")
    assert (lengths["target group"], lengths["role"] + longest_region - len("us-east-1")) == (31, 58)
    assert {kind for kind, length in lengths.items() if length} >= LIMITS.keys() - {"capacity provider"}


def test_the_name_of_a_service_or_a_family_can_not_be_that_of_another_endpoint(small: Runbook) -> None:
    """What endpoints can't share is refused where both would have it, and before A's is touched."""
    small.has_run(*SERVED, ENDPOINT="a", SCALING="target-tracking", MIN_TASKS="1")
    before = account(small)
    for script, setting in (("register_task_definition.py", "TASK_FAMILY"), ("update_service.py", "SERVICE_NAME")):
        ran = small.run(script, ENDPOINT="b", **{setting: "ml-a"})
        assert ran.code == 1 and "another endpoint's" in ran.err, ran.err
    small.has_run("register_task_definition.py", ENDPOINT="b")
    ran = small.run("create_service.py", ENDPOINT="b", SERVICE_NAME="ml-a")
    assert "the service ml-a exists already, and is another endpoint's: choose another SERVICE_NAME" in ran.err
    small.has_run("delete_endpoint.py --yes", ENDPOINT="b", SERVICE_NAME="ml-a", TASK_FAMILY="ml-a")
    assert of("a", account(small)) == of("a", before)


# ----------------------------------------------------------------------------------------------------------- rules


def test_each_rule_gets_the_next_free_priority_or_the_one_of_the_settings(three: Runbook) -> None:
    for endpoint in "abc":
        three.has_run(*SERVED, ENDPOINT=endpoint, DESIRED_COUNT="0")
    a, b, c = (f"{endpoint}.ml.example.com" for endpoint in "abc")
    assert priorities(three) == {a: 1, b: 2, c: 3}
    three.has_run("create_service.py", ENDPOINT="b", DESIRED_COUNT="0", RULE_PRIORITY="40")
    assert priorities(three) == {a: 1, b: 40, c: 3}
    begun = len(three.emulator.calls)
    three.has_run("create_service.py", ENDPOINT="b", DESIRED_COUNT="0")
    assert three.changes(begun) == [], "an empty RULE_PRIORITY leaves it where it is"
    for settings, sentence in (
        ({"RULE_PRIORITY": "3"}, "RULE_PRIORITY=3 is taken by the rule to ml-c-tg: choose another, or leave it empty"),
        ({"HOST_NAME": a}, f"HOST_NAME={a} leads to ml-a-tg already: choose another host name"),
        ({"HOST_NAME": a, "LISTENER_PATH": "/b/*"}, f"{a}/b/ would never be asked for: the rule to ml-a-tg, priority"),
    ):
        ran = three.run("create_service.py", ENDPOINT="b", DESIRED_COUNT="0", **settings)
        assert (ran.code, three.changes(begun)) == (1, []) and sentence in ran.err, ran.err
    three.has_run("delete_service.py", ENDPOINT="b")
    begun = len(three.emulator.calls)
    ran = three.run("create_service.py", ENDPOINT="b", DESIRED_COUNT="0", HOST_NAME=c)
    assert (ran.code, three.changes(begun)) == (1, []) and f"HOST_NAME={c} leads to ml-c-tg already" in ran.err
    three.has_run("create_service.py", ENDPOINT="b", DESIRED_COUNT="0")
    assert priorities(three) == {a: 1, b: 2, c: 3}, "the place that became free"


def test_a_path_of_another_endpoints_host_name_needs_an_earlier_rule(small: Runbook) -> None:
    small.has_run(*SERVED, ENDPOINT="a", RULE_PRIORITY="10")
    path = {"HOST_NAME": "a.ml.example.com", "LISTENER_PATH": "/b/*"}
    small.has_run(*SERVED, ENDPOINT="b", **path)
    assert priorities(small) == {"a.ml.example.com": 10, "a.ml.example.com/b/*": 1}
    for asked, group in (("/ping", "ml-a-tg"), ("/b/ping", "ml-b-tg")):
        request = Request("GET", "https", balancer(small), 443, "a.ml.example.com", asked)
        assert json.loads(route(small.emulator, request).body)["targetGroup"] == group
    begun = len(small.emulator.calls)
    small.has_run("create_service.py", ENDPOINT="b", **path)
    assert small.changes(begun) == []
    ran = small.run("create_service.py", ENDPOINT="b", **path, RULE_PRIORITY="11")
    assert "RULE_PRIORITY below that" in ran.err and small.changes(begun) == []
    small.has_run("delete_service.py", ENDPOINT="a")
    begun = len(small.emulator.calls)
    ran = small.run("create_service.py", ENDPOINT="a", RULE_PRIORITY="")
    assert ran.code == 0, ran.err
    assert priorities(small)["a.ml.example.com"] == 2, "after the one that is narrower"


# ------------------------------------------------------------------------------------------------ a part of the traffic


def test_a_part_of_a_comes_to_b_once_b_can_answer_and_goes_back_before_b_can_not(small: Runbook) -> None:
    small.has_run(*SERVED, ENDPOINT="a")
    from_a = {"TRAFFIC_FROM": "a"}
    lost = outages(small, "a")
    small.has_run("register_task_definition.py", ENDPOINT="b")
    ran = small.run("create_service.py", ENDPOINT="b", **from_a, TRAFFIC_WEIGHT="10", WAIT="false")
    assert "warning TRAFFIC_WEIGHT=10:  no task can answer yet, so a keeps all" in ran.err
    ran = small.run("create_service.py", ENDPOINT="b", **from_a, TRAFFIC_WEIGHT="10")
    assert "updated listener rule a.ml.example.com  10 % of its requests come to ml-b-tg" in ran.err
    assert who_answers(small, "a", 200) == {"ml-a-tg": 180, "ml-b-tg": 20}
    assert who_answers(small, "b", 10) == {"ml-b-tg": 10}
    begun = len(small.emulator.calls)
    small.has_run("create_service.py", ENDPOINT="b", **from_a, TRAFFIC_WEIGHT="10")
    small.has_run("create_service.py", ENDPOINT="a")
    assert small.changes(begun) == []
    small.has_run("create_service.py", ENDPOINT="b", **from_a, TRAFFIC_WEIGHT="100")
    assert who_answers(small, "a", 10) == {"ml-b-tg": 10}
    small.has_run("update_service.py", ENDPOINT="b", **from_a, TRAFFIC_WEIGHT="25", DESIRED_COUNT="0")
    assert weights(small, "a").keys() == {"ml-a-tg"}, "paused: nobody is there to answer"
    small.has_run("update_service.py", ENDPOINT="b", **from_a, TRAFFIC_WEIGHT="25")
    assert weights(small, "a") == {"ml-a-tg": 75, "ml-b-tg": 25}
    small.has_run("create_service.py", ENDPOINT="b", **from_a, TRAFFIC_WEIGHT="0")
    assert weights(small, "a").keys() == {"ml-a-tg"}
    small.has_run("create_service.py", ENDPOINT="b", **from_a, TRAFFIC_WEIGHT="50")
    small.has_run("delete_endpoint.py --yes", ENDPOINT="b", **from_a, TRAFFIC_WEIGHT="50")
    assert weights(small, "a").keys() == {"ml-a-tg"}
    assert who_answers(small, "a", 10) == {"ml-a-tg": 10}
    assert lost == []


def test_two_endpoints_take_from_one_and_what_is_too_much_is_refused_first(three: Runbook) -> None:
    for endpoint in "abc":
        three.has_run(*SERVED, ENDPOINT=endpoint)
    begun = len(three.emulator.calls)
    for settings, sentence in (
        ({"TRAFFIC_FROM": "x", "TRAFFIC_WEIGHT": "10"}, "TRAFFIC_FROM=x: no such endpoint is at the load balancer"),
        ({"TRAFFIC_FROM": "a", "TRAFFIC_WEIGHT": "101"}, "TRAFFIC_WEIGHT: '101' is outside 0 to 100"),
    ):
        ran = three.run("create_service.py", ENDPOINT="b", **settings)
        assert ran.code in (1, 2) and sentence in ran.err and three.changes(begun) == [], ran.err
    three.has_run("create_service.py", ENDPOINT="b", TRAFFIC_FROM="a", TRAFFIC_WEIGHT="30")
    three.has_run("create_service.py", ENDPOINT="c", TRAFFIC_FROM="a", TRAFFIC_WEIGHT="20")
    assert weights(three, "a") == {"ml-a-tg": 50, "ml-b-tg": 30, "ml-c-tg": 20}
    begun = len(three.emulator.calls)
    ran = three.run("create_service.py", ENDPOINT="c", TRAFFIC_FROM="a", TRAFFIC_WEIGHT="71")
    assert "TRAFFIC_WEIGHT=71 is too much: of its 100 % a gives 30 to ml-b-tg already" in ran.err
    assert three.changes(begun) == []
    three.has_run("create_service.py", ENDPOINT="c", TRAFFIC_FROM="b", TRAFFIC_WEIGHT="5")
    assert weights(three, "a") == {"ml-a-tg": 70, "ml-b-tg": 30}, "another one gives it now"
    assert weights(three, "b") == {"ml-b-tg": 95, "ml-c-tg": 5}
    three.has_run("delete_endpoint.py --yes", ENDPOINT="a")
    assert {rule["Host"] for rule in rules(three)} == {"b.ml.example.com", "c.ml.example.com"}
    assert who_answers(three, "b", 20) == {"ml-b-tg": 19, "ml-c-tg": 1}
    ran = three.run("create_service.py", ENDPOINT="b", TRAFFIC_FROM="a", TRAFFIC_WEIGHT="30")
    assert (ran.code, "TRAFFIC_FROM=a: no such endpoint" in ran.err) == (1, True)


def test_a_push_deploys_only_the_endpoint_whose_paths_it_touches(endpoints: Runbook) -> None:
    """Both are built from one branch; without SOURCE_PATHS each push would deploy both."""
    with_everything(endpoints).has_run("create_cluster.py")
    for endpoint in "ab":
        its_own = {
            "ENDPOINT": endpoint,
            "SOURCE_BRANCH": "main",
            "SOURCE_PATHS": f"{endpoint}/**,lib/**",
            "WAIT": "false",
        }
        endpoints.has_run("create_repository.py", "create_pipeline.py", **its_own)
    endpoints.settle(900)

    def started(path: str) -> list[str]:
        pushed = pipelines.push(endpoints.emulator.world, "example/ml-endpoints", "main", "A change", {path: "new"}, "")
        return sorted(each["pipelineName"] for each in pushed["executions"])

    assert [started(path) for path in ("b/Dockerfile", "lib/deep/code.py", "README.md")] == [
        ["ml-b"],
        ["ml-a", "ml-b"],
        [],
    ]
    endpoints.has_run("create_pipeline.py", ENDPOINT="a", WAIT="false")
    assert started("b/Dockerfile") == ["ml-a", "ml-b"]


@pytest.mark.parametrize(
    ("paths", "sentence"),
    [
        (
            ",".join(f"{number}/**" for number in range(9)),
            "SOURCE_PATHS: has 9 paths; a pipeline's trigger takes 8 at most",
        ),
        ("/b/**", "SOURCE_PATHS: '/b/**' is not a list of paths such as b/**"),
        ("b/**,b/**", "SOURCE_PATHS: 'b/**,b/**' has b/** twice"),
    ],
)
def test_paths_that_aws_would_not_take_are_told_before_it_is_asked(
    endpoints: Runbook, paths: str, sentence: str
) -> None:
    begun = len(endpoints.emulator.calls)
    ran = endpoints.run("create_pipeline.py", ENDPOINT="a", SOURCE_PATHS=paths)
    assert (ran.code, sentence in ran.err, len(endpoints.emulator.calls) - begun) == (2, True, 0), ran.err
