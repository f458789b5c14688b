"""The emulator speaks AWS's protocols over real HTTP, also where clients do unusual things."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import boto3
import cbor2
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from emulator.core.wire import Emulator
from emulator.server import serve

Served = tuple[str, Emulator]


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve() as (url, emulator):
        yield url, emulator


def session() -> boto3.Session:
    return boto3.Session(region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y")


def client(served: Served, service: str) -> Any:
    create: Any = session().client
    return create(service, endpoint_url=served[0])


def failure(call: Any, **kwargs: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as error:
        call(**kwargs)
    response: Any = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]


def test_errors_have_their_code_status_and_message_in_each_protocol(served: Served) -> None:
    arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/x/0123456789abcdef"
    failures = {
        "ec2": failure(client(served, "ec2").describe_vpcs, VpcIds=["vpc-0123456789abcdef0"])[:2],
        "query": failure(client(served, "elbv2").describe_load_balancers, LoadBalancerArns=[arn])[:2],
        "query 404": failure(client(served, "iam").get_role, RoleName="nobody")[:2],
        "json 1.1": failure(client(served, "logs").delete_log_group, logGroupName="none")[:2],
        "rest-json": failure(client(served, "efs").describe_file_systems, FileSystemId="fs-00000000")[:2],
        "rest-xml": failure(client(served, "route53").get_change, Id="C123")[:2],
        "s3": failure(client(served, "s3").get_object, Bucket="nothing-here", Key="k")[:2],
        "json and cbor": failure(client(served, "codepipeline").get_pipeline, name="none")[:2],
    }
    assert failures == {
        "ec2": ("InvalidVpcID.NotFound", 400),
        "query": ("LoadBalancerNotFound", 400),
        "query 404": ("NoSuchEntity", 404),
        "json 1.1": ("ResourceNotFoundException", 400),
        "rest-json": ("FileSystemNotFound", 404),
        "rest-xml": ("NoSuchChange", 404),
        "s3": ("NoSuchBucket", 404),
        "json and cbor": ("PipelineNotFoundException", 400),
    }
    message = failure(client(served, "efs").describe_file_systems, FileSystemId="fs-00000000")[2]
    assert message == "File system 'fs-00000000' does not exist."


def test_what_is_not_imitated_answers_an_error(served: Served) -> None:
    assert failure(client(served, "bedrock").list_foundation_models)[:2] == ("NotImplemented", 501)
    assert failure(client(served, "braket").search_devices, filters=[])[:2] == ("NotImplemented", 501)
    assert failure(
        client(served, "efs").create_replication_configuration,
        SourceFileSystemId="fs-0123456789abcdef0",
        Destinations=[],
    )[:2] == ("NotImplemented", 501)
    for service in ("nosuchservice", "ecs"):
        assert signed(served, service, "/", {"X-Amz-Target": "Nothing.DoIt"}, b"{}")[0] >= 400


def signed(served: Served, service: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any, bytes]:
    """Send one signed request without boto3: status, headers and body of the answer."""
    request = AWSRequest("POST", served[0] + path, headers, body)
    SigV4Auth(Credentials("x", "y"), service, "us-east-1").add_auth(request)
    connection = http.client.HTTPConnection(served[0].removeprefix("http://"), timeout=10)
    connection.request("POST", path, body, dict(request.headers))
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers, content


def cbor(served: Served, service: str, target: str, operation: str, params: Any) -> tuple[int, Any, Any]:
    headers = {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
    path = f"/service/{target}/operation/{operation}"
    status, told, content = signed(served, service, path, headers, cbor2.dumps(params))
    assert told["smithy-protocol"] == "rpc-v2-cbor" and told["Content-Type"] == "application/cbor"
    return status, told, cbor2.loads(content)


def test_cbor_is_spoken_with_times_and_errors(served: Served) -> None:
    alarm = {
        "AlarmName": "a",
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "MetricName": "m",
        "Namespace": "n",
        "Period": 60,
        "Statistic": "Sum",
        "Threshold": 1.5,
    }
    target = "GraniteServiceVersion20100801"
    assert cbor(served, "monitoring", target, "PutMetricAlarm", alarm)[0] == 200
    [found] = cbor(served, "monitoring", target, "DescribeAlarms", {"AlarmNames": ["a"]})[2]["MetricAlarms"]
    assert found["Threshold"] == 1.5 and isinstance(found["StateUpdatedTimestamp"], datetime)
    since, until = (datetime(2026, 1, day, tzinfo=timezone.utc) for day in (1, 2))
    statistics = {"Namespace": "n", "MetricName": "m", "StartTime": since, "EndTime": until, "Period": 60}
    answer = cbor(served, "monitoring", target, "GetMetricStatistics", {**statistics, "Statistics": ["Sum"]})
    assert answer[0] == 200 and answer[2]["Datapoints"] == []
    status, headers, told = cbor(served, "monitoring", target, "DeleteAlarms", {"AlarmNames": ["x"] * 101})
    assert (status, told["__type"]) == (400, "ValidationError")
    assert headers["x-amzn-query-error"] == "ValidationError;Sender"
    status, _, told = cbor(served, "codepipeline", "CodePipeline_20150709", "GetPipeline", {"name": "none"})
    assert (status, told["__type"]) == (400, "PipelineNotFoundException") and told["message"]
    assert cbor(served, "tagging", "ResourceGroupsTaggingAPI_20170126", "GetResources", {})[0] == 200


def test_connections_are_kept_alive(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", int(served[0].rpartition(":")[2])), timeout=5) as connection:
        for _ in range(3):
            connection.sendall(b"GET /_emulator/time HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200 OK" in connection.recv(65536)


def test_two_clients_at_the_same_time(served: Served) -> None:
    problems: list[Exception] = []

    def work(number: int) -> None:
        logs, ec2 = client(served, "logs"), client(served, "ec2")
        try:
            for n in range(10):
                logs.create_log_group(logGroupName=f"g{number}-{n}")
                ec2.describe_vpcs()
        except Exception as error:  # noqa: BLE001 - to be told by the test, not by the thread
            problems.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    pages = client(served, "logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix="g")
    assert sum(len(page["logGroups"]) for page in pages) == 40


def test_objects_can_be_put_read_and_looked_at(served: Served) -> None:
    s3 = client(served, "s3")
    s3.create_bucket(Bucket="a-bucket")
    s3.put_object(Bucket="a-bucket", Key="k", Body=b"x" * 5000)  # with Expect: 100-continue
    assert s3.get_object(Bucket="a-bucket", Key="k")["Body"].read() == b"x" * 5000
    assert s3.head_object(Bucket="a-bucket", Key="k")["ContentLength"] == 5000
    s3.put_bucket_versioning(Bucket="a-bucket", VersioningConfiguration={"Status": "Enabled"})
    s3.delete_object(Bucket="a-bucket", Key="k")


def test_a_chunked_body_is_read(served: Served) -> None:
    request = AWSRequest("POST", served[0] + "/", {"X-Amz-Target": "Logs_20140328.CreateLogGroup"}, b"")
    SigV4Auth(Credentials("x", "y"), "logs", "us-east-1").add_auth(request)
    headers = {**dict(request.headers), "Content-Type": "application/x-amz-json-1.1"}
    connection = http.client.HTTPConnection(served[0].removeprefix("http://"), timeout=10)
    body = iter([b'{"logGroupName": ', b'"chunked"}'])
    connection.request("POST", "/", body, headers, encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()
    [found] = client(served, "logs").describe_log_groups(logGroupNamePrefix="chunked")["logGroups"]
    assert found["logGroupName"] == "chunked"


# --- the side door


def door(served: Served, method: str, path: str, given: Any = None) -> tuple[int, Any]:
    body = None if given is None else json.dumps(given).encode()
    request = urllib.request.Request(f"{served[0]}/_emulator/{path}", body, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_the_door_plans_faults_and_tells_the_calls(served: Served) -> None:
    door(served, "DELETE", "calls")
    assert door(served, "POST", "faults", {"operation": "ListRoles", "error": "denied"})[0] == 200
    assert failure(client(served, "iam").list_roles)[0] == "AccessDenied"
    assert door(served, "GET", "calls")[1] == [["iam", "ListRoles", "AccessDenied"]]
    assert door(served, "GET", "faults")[1][0]["times"] == 0
    door(served, "DELETE", "faults")
    assert door(served, "GET", "faults")[1] == []
    assert door(served, "POST", "faults", {"no such": "field"})[0] == 400


def test_the_door_changes_settings_that_exist(served: Served) -> None:
    quotas = served[1].world.settings.vcpu_quotas
    status, settings = door(served, "POST", "settings", {"vcpu_quotas": {**quotas, "L-DB2E81BA": 4}})
    assert status == 200 and settings["vcpu_quotas"]["L-DB2E81BA"] == 4
    answer = client(served, "service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode="L-DB2E81BA")
    assert answer["Quota"]["Value"] == 4
    status, told = door(served, "POST", "settings", {"colour": "red"})
    assert status == 400 and "colour" in told["error"]
    assert door(served, "GET", "nowhere")[0] == 404


def test_the_door_does_what_people_do_by_hand(served: Served) -> None:
    client(served, "ecr").create_repository(repositoryName="app")
    status, told = door(served, "POST", "images", {"repository": "app", "tag": "v1"})
    assert status == 200 and told["digest"].startswith("sha256:")
    assert client(served, "ecr").describe_images(repositoryName="app")["imageDetails"][0]["imageTags"] == ["v1"]
    assert door(served, "POST", "images", {"repository": "none"})[0] == 400
    made = client(served, "codeconnections").create_connection(ProviderType="GitHub", ConnectionName="c")
    assert door(served, "POST", "connections", {})[1] == {"available": [made["ConnectionArn"]]}
    arn = client(served, "acm").request_certificate(DomainName="example.com")["CertificateArn"]
    door(served, "POST", "certificates", {"arn": arn})
    status_now = client(served, "acm").describe_certificate(CertificateArn=arn)["Certificate"]["Status"]
    assert status_now == "ISSUED"


# --- the short way within one process


LOOKS: dict[str, dict[str, Any]] = {
    "ec2": {"describe_vpcs": {}, "describe_subnets": {"Filters": []}, "describe_images": {"Owners": ["amazon"]}},
    "iam": {
        "list_roles": {},
        "get_role_policy": {"RoleName": "r", "PolicyName": "p"},
        "get_role": {"RoleName": "none"},
    },
    "ecs": {"describe_clusters": {"clusters": ["c", "none"], "include": ["TAGS"]}, "list_tasks": {"cluster": "none"}},
    "efs": {"describe_file_systems": {}, "describe_mount_targets": {"FileSystemId": "fs-00000000"}},
    "logs": {"describe_log_groups": {}, "list_tags_for_resource": {"resourceArn": "arn:none"}},
    "elbv2": {"describe_load_balancers": {"Names": []}, "describe_target_groups": {"Names": ["none"]}},
    "cloudwatch": {"describe_alarms": {"AlarmNames": ["a"]}, "delete_alarms": {"AlarmNames": ["x"] * 101}},
    "codepipeline": {"list_pipelines": {}, "get_pipeline": {"name": "none"}},
    "route53": {"list_hosted_zones": {}, "get_change": {"Id": "C123"}},
    "autoscaling": {
        "describe_auto_scaling_groups": {},
        "describe_scaling_activities": {"AutoScalingGroupName": "none"},
    },
}


def told(call: Any, request: dict[str, Any]) -> Any:
    """The answer, or the error, but for what says by which way it came."""
    try:
        answer = call(**request)
    except ClientError as error:
        answer = error.response
    status = answer["ResponseMetadata"]["HTTPStatusCode"]
    return {**answer, "ResponseMetadata": status}


@pytest.mark.parametrize("service", LOOKS)
def test_the_short_way_tells_what_the_wire_tells(
    client: Any, emulator: Emulator, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ecs-tasks.amazonaws.com"}}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    policy = trust.replace('"Principal": {"Service": "ecs-tasks.amazonaws.com"}', '"Resource": "*"')
    client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=trust, Tags=[{"Key": "k", "Value": "a = b"}])
    client("iam").put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=policy)
    client("ecs").create_cluster(clusterName="c", tags=[{"key": "k", "value": "a/b"}])
    client("efs").create_file_system(CreationToken="t", Tags=[])
    client("logs").create_log_group(logGroupName="l", tags={"k": "v"})
    client("route53").create_hosted_zone(Name="example.com", CallerReference="x")
    alarm = {"EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold", "MetricName": "m", "Namespace": "n"}
    client("cloudwatch").put_metric_alarm(AlarmName="a", Period=60, Statistic="Sum", Threshold=1.5, **alarm)
    short = {name: told(getattr(client(service), name), request) for name, request in LOOKS[service].items()}
    asked: list[str] = []
    handle = Emulator.handle

    def over_the_wire(self: Emulator, *sent: Any) -> Any:
        asked.append(sent[0])
        return handle(self, *sent)

    monkeypatch.setattr(Emulator, "handle", over_the_wire)
    monkeypatch.setattr(Emulator, "on_the_wire", True)
    assert {name: told(getattr(client(service), name), request) for name, request in LOOKS[service].items()} == short
    assert len(asked) == len(LOOKS[service])
