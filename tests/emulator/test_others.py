"""The smaller services: parameters, quotas, prices, certificates, DNS, images, alarms, scaling, tags, builds."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator import connections, dns, others
from emulator.wire import Emulator
from emulator.world import Clock

Client = Callable[[str], Any]


def sleep(emulator: Emulator, seconds: float) -> None:
    emulator.world.clock.sleep(seconds)  # type: ignore[attr-defined]


def refused(call: Callable[..., Any], **kwargs: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**kwargs)
    return str(error.value.response["Error"]["Code"])


def role(emulator: Emulator, client: Client, service: str, name: str = "builder") -> str:
    """A role that a service may use, spread already."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    arn = client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    use = {
        "Effect": "Allow",
        "Action": ["codestar-connections:UseConnection", "s3:*", "ecr:*", "codebuild:*"],
        "Resource": "*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [use]})
    client("iam").put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy)
    sleep(emulator, 30)
    return str(arn)


# --- SSM, STS, quotas, prices

GPU = "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended"


def test_the_ami_of_ecs_is_told_as_json_and_as_an_id(client: Client) -> None:
    ssm = client("ssm")
    told = json.loads(ssm.get_parameter(Name=GPU)["Parameter"]["Value"])
    assert told["image_id"].startswith("ami-") and told["ecs_agent_version"]
    assert ssm.get_parameter(Name=f"{GPU}/image_id")["Parameter"]["Value"] == told["image_id"]
    assert refused(ssm.get_parameter, Name=f"{GPU}/imageid") == "ParameterNotFound"
    names = [GPU, GPU.replace("/gpu", ""), GPU.replace("gpu", "arm64"), "/nope"]
    several = ssm.get_parameters(Names=names)
    assert len(several["Parameters"]) == 3 and several["InvalidParameters"] == ["/nope"]
    assert all(json.loads(one["Value"])["image_id"] for one in several["Parameters"])
    bastion = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    assert ssm.get_parameter(Name=bastion)["Parameter"]["Value"].startswith("ami-")


def test_own_parameters_can_be_put_and_deleted(client: Client) -> None:
    ssm = client("ssm")
    ssm.put_parameter(Name="/mine", Value="v", Type="String")
    assert ssm.get_parameter(Name="/mine")["Parameter"]["Value"] == "v"
    ssm.delete_parameter(Name="/mine")
    assert refused(ssm.get_parameter, Name="/mine") == "ParameterNotFound"


def test_the_caller_is_a_user_of_the_account(client: Client) -> None:
    told = client("sts").get_caller_identity()
    assert told["Account"] == "123456789012" and told["Arn"] == "arn:aws:iam::123456789012:user/emulator"


def test_quotas_are_those_of_the_account(emulator: Emulator, client: Client) -> None:
    quotas = client("service-quotas")
    emulator.world.settings.vcpu_quotas["L-DB2E81BA"] = 8.0
    assert quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-DB2E81BA")["Quota"]["Value"] == 8
    assert quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-0263D0A3")["Quota"]["Value"] == 5
    assert quotas.get_service_quota(ServiceCode="vpc", QuotaCode="L-F678F1CE")["Quota"]["Value"] == 5
    spot = {"ServiceCode": "ec2", "QuotaCode": "L-C4BD4855"}
    assert refused(quotas.get_service_quota, **spot) == "NoSuchResourceException"
    assert quotas.get_aws_default_service_quota(**spot)["Quota"]["Value"] == 0
    default = quotas.get_aws_default_service_quota(ServiceCode="ec2", QuotaCode="L-DB2E81BA")
    assert default["Quota"]["Value"] == 0
    unknown = {"ServiceCode": "ec2", "QuotaCode": "L-00000000"}
    assert refused(quotas.get_service_quota, **unknown) == "NoSuchResourceException"
    listed = quotas.get_paginator("list_service_quotas").paginate(ServiceCode="ec2").build_full_result()["Quotas"]
    assert {one["QuotaCode"]: one["Value"] for one in listed}["L-DB2E81BA"] == 8


def test_the_price_of_a_gpu_instance(client: Client) -> None:
    filters = {"instanceType": "g4dn.xlarge", "regionCode": "us-east-1", "operatingSystem": "Linux"}
    exact = {**filters, "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"}

    def products(wanted: dict[str, str]) -> list[Any]:
        terms = [{"Type": "TERM_MATCH", "Field": key, "Value": value} for key, value in wanted.items()]
        return [
            json.loads(one)
            for one in client("pricing").get_products(ServiceCode="AmazonEC2", Filters=terms)["PriceList"]
        ]

    [one] = products(exact)
    [term] = one["terms"]["OnDemand"].values()
    [dimension] = term["priceDimensions"].values()
    assert float(dimension["pricePerUnit"]["USD"]) == 0.526 and dimension["unit"] == "Hrs"
    assert len(products(filters)) > 1
    assert products({**exact, "instanceType": "g9.huge"}) == []
    by_place = {key: value for key, value in exact.items() if key != "regionCode"} | {"location": "EU (Ireland)"}
    assert len(products(by_place)) == 1


# --- certificates and DNS


@pytest.fixture
def zone(client: Client) -> str:
    made = client("route53").create_hosted_zone(Name="example.com", CallerReference="1")
    return str(made["HostedZone"]["Id"])


def change(client: Client, zone: str, *changes: tuple[str, Any]) -> Any:
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": record} for action, record in changes]}
    return client("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)["ChangeInfo"]


def record(name: str, value: str, kind: str = "A", ttl: int = 60) -> Any:
    return {"Name": name, "Type": kind, "TTL": ttl, "ResourceRecords": [{"Value": value}]}


def names_in(client: Client, zone: str) -> list[str]:
    found = client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    return [one["Name"] for one in found if one["Type"] not in ("SOA", "NS")]


def test_a_certificate_is_issued_once_its_records_are_public(emulator: Emulator, client: Client, zone: str) -> None:
    acm = client("acm")
    arn = acm.request_certificate(
        DomainName="example.com", SubjectAlternativeNames=["*.example.com"], ValidationMethod="DNS"
    )["CertificateArn"]

    def detail() -> Any:
        return acm.describe_certificate(CertificateArn=arn)["Certificate"]

    assert all("ResourceRecord" not in option for option in detail()["DomainValidationOptions"])
    sleep(emulator, 9)
    records = [option["ResourceRecord"] for option in detail()["DomainValidationOptions"]]
    assert records[0] == records[1]
    sleep(emulator, 3600)
    assert detail()["Status"] == "PENDING_VALIDATION"
    change(client, zone, ("UPSERT", record(records[0]["Name"], records[0]["Value"], "CNAME")))
    sleep(emulator, 10)
    assert detail()["Status"] == "PENDING_VALIDATION"
    sleep(emulator, 301)
    assert detail()["Status"] == "ISSUED"
    assert acm.list_certificates(CertificateStatuses=["ISSUED"])["CertificateSummaryList"][0]["CertificateArn"] == arn


def test_a_certificate_that_nobody_proves_times_out(emulator: Emulator, client: Client) -> None:
    acm = client("acm")
    arn = acm.request_certificate(DomainName="example.com", ValidationMethod="DNS")["CertificateArn"]
    sleep(emulator, 72 * 3600 + 1)
    assert acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "VALIDATION_TIMED_OUT"
    acm.delete_certificate(CertificateArn=arn)
    assert refused(acm.describe_certificate, CertificateArn=arn) == "ResourceNotFoundException"


def test_an_idempotency_token_lives_for_an_hour(emulator: Emulator, client: Client) -> None:
    def request(**more: Any) -> str:
        return str(client("acm").request_certificate(DomainName="example.com", **more)["CertificateArn"])

    first = request(IdempotencyToken="t")
    assert request(IdempotencyToken="t") == first
    assert request() != request()
    sleep(emulator, 3601)
    assert request(IdempotencyToken="t") != first


def test_an_idempotency_token_counts_although_no_wait_takes_time(emulator: Emulator, client: Client) -> None:
    emulator.world.clock = Clock(0)
    request = client("acm").request_certificate
    made = [request(DomainName="example.com", IdempotencyToken="t")["CertificateArn"] for _ in range(2)]
    assert made[0] == made[1]


def test_a_batch_of_record_changes_is_all_or_nothing(client: Client, zone: str) -> None:
    a, b = record("a.example.com", "192.0.2.1"), record("b.example.com", "192.0.2.2")
    change(client, zone, ("CREATE", a))
    for wrong in (
        [("UPSERT", b), ("CREATE", a)],
        [("UPSERT", b), ("DELETE", {**a, "TTL": 61})],
        [("UPSERT", b), ("DELETE", record("c.example.com", "192.0.2.3"))],
        [("UPSERT", b), ("CREATE", record("a.example.org", "192.0.2.3"))],
    ):
        with pytest.raises(ClientError) as error:
            change(client, zone, *wrong)
        assert error.value.response["Error"]["Code"] == "InvalidChangeBatch"
    assert names_in(client, zone) == ["a.example.com."]
    change(client, zone, ("UPSERT", b), ("DELETE", a))
    assert names_in(client, zone) == ["b.example.com."]


def test_a_change_is_pending_for_a_minute(emulator: Emulator, client: Client, zone: str) -> None:
    made = change(client, zone, ("CREATE", record("a.example.com", "192.0.2.1")))
    assert made["Status"] == "PENDING"
    assert client("route53").get_change(Id=made["Id"])["ChangeInfo"]["Status"] == "PENDING"
    sleep(emulator, 61)
    assert client("route53").get_change(Id=made["Id"])["ChangeInfo"]["Status"] == "INSYNC"


def test_name_servers_answer_with_a_change_once_it_is_in_sync(emulator: Emulator, client: Client, zone: str) -> None:
    change(client, zone, ("CREATE", record("a.example.com", "b.example.org", "CNAME")))
    assert names_in(client, zone) == ["a.example.com."]
    assert dns.leads_to(emulator.world, "a.example.com") is None
    sleep(emulator, 61)
    client("route53").list_hosted_zones()
    assert dns.leads_to(emulator.world, "A.example.com.") == "b.example.org"
    assert zone.startswith("/hostedzone/Z")


def test_an_alias_names_the_zone_of_its_load_balancer(client: Client, zone: str, emulator: Emulator) -> None:
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    sleep(emulator, 10)
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"us-east-1{letter}")["Subnet"]
        for n, letter in enumerate("ab")
    ]
    sleep(emulator, 10)
    made = client("elbv2").create_load_balancer(
        Name="web", Scheme="internal", Subnets=[subnet["SubnetId"] for subnet in subnets]
    )["LoadBalancers"][0]

    def alias(hosted_zone: str) -> Any:
        target = {"HostedZoneId": hosted_zone, "DNSName": made["DNSName"], "EvaluateTargetHealth": False}
        return {"Name": "www.example.com", "Type": "A", "AliasTarget": target}

    with pytest.raises(ClientError) as error:
        change(client, zone, ("CREATE", alias("Z00000000000000000000")))
    assert error.value.response["Error"]["Code"] == "InvalidChangeBatch"
    change(client, zone, ("CREATE", alias(made["CanonicalHostedZoneId"])))
    client("elbv2").delete_load_balancer(LoadBalancerArn=made["LoadBalancerArn"])
    assert names_in(client, zone) == ["www.example.com."]  # left dangling
    change(client, zone, ("DELETE", alias(made["CanonicalHostedZoneId"])))


# --- ECR


def test_a_repository_with_images_is_deleted_by_force_only(emulator: Emulator, client: Client) -> None:
    ecr = client("ecr")
    ecr.create_repository(repositoryName="app")
    assert refused(ecr.create_repository, repositoryName="app") == "RepositoryAlreadyExistsException"
    assert refused(ecr.create_repository, repositoryName="App") == "InvalidParameterException"
    digest = others.put_image(emulator.world, "us-east-1", "app", "v1")
    assert others.repository_has_image(emulator.world, "us-east-1", "app", "v1")
    assert others.repository_has_image(emulator.world, "us-east-1", "app", digest)
    assert not others.repository_has_image(emulator.world, "us-east-1", "app", "v2")
    assert refused(ecr.delete_repository, repositoryName="app") == "RepositoryNotEmptyException"
    ecr.delete_repository(repositoryName="app", force=True)
    assert not others.repository_has_image(emulator.world, "us-east-1", "app", "v1")


def test_immutable_tags_and_scans_on_push(emulator: Emulator, client: Client) -> None:
    ecr = client("ecr")
    ecr.create_repository(
        repositoryName="app",
        imageTagMutability="IMMUTABLE",
        imageScanningConfiguration={"scanOnPush": True},
    )
    others.put_image(emulator.world, "us-east-1", "app", "v1")
    sleep(emulator, 1)
    with pytest.raises(Exception, match="v1"):
        others.put_image(emulator.world, "us-east-1", "app", "v1")
    findings = ecr.describe_image_scan_findings(repositoryName="app", imageId={"imageTag": "v1"})
    assert findings["imageScanStatus"]["status"] == "COMPLETE"


# --- alarms


def alarm(client: Client, name: str, **changes: Any) -> None:
    settings = {"EvaluationPeriods": 1, "Period": 60, "Threshold": 1.0, "Statistic": "Sum", **changes}
    client("cloudwatch").put_metric_alarm(
        AlarmName=name, ComparisonOperator="GreaterThanThreshold", MetricName="m", Namespace="n", **settings
    )


def test_a_new_alarm_has_insufficient_data(client: Client) -> None:
    alarm(client, "a")
    alarm(client, "a", Threshold=2.0)
    [found] = client("cloudwatch").describe_alarms(AlarmNames=["a"])["MetricAlarms"]
    assert (found["StateValue"], found["Threshold"]) == ("INSUFFICIENT_DATA", 2.0)


def test_alarms_are_deleted_a_hundred_at_a_time(client: Client) -> None:
    alarm(client, "a")
    cloudwatch = client("cloudwatch")
    assert refused(cloudwatch.delete_alarms, AlarmNames=[f"n{n}" for n in range(101)]) == "ValidationError"
    cloudwatch.delete_alarms(AlarmNames=["a", "never there"])
    assert cloudwatch.describe_alarms()["MetricAlarms"] == []


# --- tags


def arns(client: Client, **filters: Any) -> list[str]:
    found = client("resourcegroupstaggingapi").get_resources(**filters)["ResourceTagMappingList"]
    return [one["ResourceARN"] for one in found]


def test_the_index_of_tags_is_late_both_ways(emulator: Emulator, client: Client) -> None:
    efs = client("efs")
    wanted = {"TagFilters": [{"Key": "Project", "Values": ["x"]}]}
    made = efs.create_file_system(CreationToken="t", Tags=[{"Key": "Project", "Value": "x"}])
    sleep(emulator, 30)
    assert arns(client, **wanted) == []
    sleep(emulator, 120)
    assert arns(client, **wanted) == [made["FileSystemArn"]]
    assert arns(client, ResourceTypeFilters=["elasticfilesystem:file-system"]) == [made["FileSystemArn"]]
    assert arns(client, ResourceTypeFilters=["ec2:vpc"]) == []
    efs.untag_resource(ResourceId=made["FileSystemId"], TagKeys=["Project"])
    sleep(emulator, 130)
    assert arns(client, **wanted) == []
    assert arns(client) == [made["FileSystemArn"]]
    efs.delete_file_system(FileSystemId=made["FileSystemId"])
    sleep(emulator, 15)
    assert arns(client) == [made["FileSystemArn"]]
    sleep(emulator, 130)
    assert arns(client) == []


def test_the_index_of_tags_leaves_out_roles_and_comes_in_pages(emulator: Emulator, client: Client) -> None:
    role(emulator, client, "ecs-tasks.amazonaws.com")
    client("iam").tag_role(RoleName="builder", Tags=[{"Key": "Project", "Value": "x"}])
    for n in range(3):
        client("efs").create_file_system(CreationToken=str(n), Tags=[{"Key": "Project", "Value": "x"}])
    sleep(emulator, 130)
    tagging = client("resourcegroupstaggingapi")
    pages = list(tagging.get_paginator("get_resources").paginate(ResourcesPerPage=2))
    assert [len(page["ResourceTagMappingList"]) for page in pages] == [2, 1]
    assert tagging.get_tag_values(Key="Project")["TagValues"] == ["x"]
    token = pages[0]["PaginationToken"]
    sleep(emulator, 901)
    expired = refused(tagging.get_resources, ResourcesPerPage=2, PaginationToken=token)
    assert expired == "PaginationTokenExpiredException"


def test_what_can_not_be_tagged_is_told_with_success(emulator: Emulator, client: Client) -> None:
    made = client("efs").create_file_system(CreationToken="t")
    missing = made["FileSystemArn"].replace("/fs-", "/fs-0")
    answer = client("resourcegroupstaggingapi").tag_resources(
        ResourceARNList=[made["FileSystemArn"], missing], Tags={"k": "v"}
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200 and list(answer["FailedResourcesMap"]) == [missing]
    assert client("efs").list_tags_for_resource(ResourceId=made["FileSystemId"])["Tags"] == [{"Key": "k", "Value": "v"}]


# --- Application Auto Scaling


@pytest.fixture
def service(emulator: Emulator, client: Client) -> dict[str, str]:
    """An ECS service with no tasks, known to all by now; the parameters of its scalable target."""
    ecs = client("ecs")
    ecs.create_cluster(clusterName="c")
    sleep(emulator, 60)
    container = {"name": "app", "image": "nginx:1", "memory": 64, "essential": True}
    ecs.register_task_definition(family="f", containerDefinitions=[container])
    ecs.create_service(cluster="c", serviceName="s", taskDefinition="f", desiredCount=0)
    return {"ServiceNamespace": "ecs", "ResourceId": "service/c/s", "ScalableDimension": "ecs:service:DesiredCount"}


def desired(client: Client) -> int:
    return int(client("ecs").describe_services(cluster="c", services=["s"])["services"][0]["desiredCount"])


def test_a_scalable_target_moves_the_service_into_its_bounds(
    emulator: Emulator, client: Client, service: dict[str, str]
) -> None:
    scaling = client("application-autoscaling")
    bounds = {"MinCapacity": 1, "MaxCapacity": 3}
    assert refused(scaling.register_scalable_target, **service, **bounds) == "ValidationException"
    sleep(emulator, 6)
    scaling.register_scalable_target(**service, **bounds)
    assert desired(client) == 1
    client("ecs").update_service(cluster="c", service="s", desiredCount=0)
    scaling.register_scalable_target(**service, MaxCapacity=4)
    assert desired(client) == 1
    sleep(emulator, 3)
    [target] = scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 4)


def test_a_target_takes_its_policies_and_alarms_along(
    emulator: Emulator, client: Client, service: dict[str, str]
) -> None:
    scaling = client("application-autoscaling")
    sleep(emulator, 6)
    scaling.register_scalable_target(**service, MinCapacity=0, MaxCapacity=3)
    metric = {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}
    policy = {
        "PolicyName": "cpu",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 50.0, "PredefinedMetricSpecification": metric},
    }
    assert refused(scaling.put_scaling_policy, **service, **policy) == "ObjectNotFoundException"
    sleep(emulator, 3)
    made = scaling.put_scaling_policy(**service, **policy)
    assert len(made["Alarms"]) == 2
    assert len(client("cloudwatch").describe_alarms(AlarmNamePrefix="TargetTracking-")["MetricAlarms"]) == 2
    scaling.deregister_scalable_target(**service)
    assert client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    assert scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"] == []
    assert refused(scaling.deregister_scalable_target, **service) == "ObjectNotFoundException"


# --- connections, builds, pipelines


@pytest.mark.parametrize("name", ["codeconnections", "codestar-connections"])
def test_a_connection_waits_for_a_person(emulator: Emulator, client: Client, name: str) -> None:
    service = client(name)
    made = service.create_connection(ProviderType="GitHub", ConnectionName="c", Tags=[{"Key": "k", "Value": "v"}])
    arn = made["ConnectionArn"]
    assert arn.startswith(f"arn:aws:{name}:us-east-1:123456789012:connection/")
    sleep(emulator, 86400)
    assert service.get_connection(ConnectionArn=arn)["Connection"]["ConnectionStatus"] == "PENDING"
    other = service.create_connection(ProviderType="GitHub", ConnectionName="c")["ConnectionArn"]
    assert other != arn and len(service.list_connections()["Connections"]) == 2
    connections.finish_handshakes(emulator.world, arn)
    assert service.get_connection(ConnectionArn=arn)["Connection"]["ConnectionStatus"] == "AVAILABLE"
    assert service.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "k", "Value": "v"}]
    service.delete_connection(ConnectionArn=arn)
    assert refused(service.get_connection, ConnectionArn=arn) == "ResourceNotFoundException"


def project(role_arn: str, buildspec: str = "version: 0.2", **changes: Any) -> dict[str, Any]:
    environment = {
        "type": "LINUX_CONTAINER",
        "image": "aws/codebuild/standard:7.0",
        "computeType": "BUILD_GENERAL1_SMALL",
        "privilegedMode": True,
        **changes,
    }
    return {
        "name": "app",
        "source": {"type": "NO_SOURCE", "buildspec": buildspec},
        "artifacts": {"type": "NO_ARTIFACTS"},
        "environment": environment,
        "serviceRole": role_arn,
    }


def test_a_fresh_role_can_not_be_assumed_by_codebuild_yet(emulator: Emulator, client: Client) -> None:
    codebuild = client("codebuild")
    missing = "arn:aws:iam::123456789012:role/builder"
    with pytest.raises(ClientError) as error:
        codebuild.create_project(**project(missing))
    told = error.value.response["Error"]
    assert told["Code"] == "InvalidInputException"
    assert told["Message"] == f"CodeBuild is not authorized to perform: sts:AssumeRole on {missing}"
    arn = role(emulator, client, "codebuild.amazonaws.com")
    codebuild.create_project(**project(arn))
    assert refused(codebuild.create_project, **project(arn)) == "ResourceAlreadyExistsException"
    gpu = project(arn, type="LINUX_GPU_CONTAINER", computeType="BUILD_GENERAL1_MEDIUM")
    assert refused(codebuild.create_project, **{**gpu, "name": "gpu"}) == "InvalidInputException"
    assert refused(codebuild.create_project, **{**project(arn), "name": "a b"}) == "InvalidInputException"
    codebuild.delete_project(name="app")
    codebuild.delete_project(name="app")


def test_a_build_walks_through_its_phases_and_pushes(emulator: Emulator, client: Client) -> None:
    codebuild, arn = client("codebuild"), role(emulator, client, "codebuild.amazonaws.com")
    client("ecr").create_repository(repositoryName="app")
    spec = "docker build -t $REPO:$TAG .\ndocker push 123456789012.dkr.ecr.us-east-1.amazonaws.com/$REPO:$TAG"
    codebuild.create_project(**project(arn, spec))
    variables = [{"name": "REPO", "value": "app"}, {"name": "TAG", "value": "v1"}]
    build = codebuild.start_build(projectName="app", environmentVariablesOverride=variables)["build"]
    assert build["buildStatus"] == "IN_PROGRESS"
    sleep(emulator, 40)
    [seen] = codebuild.batch_get_builds(ids=[build["id"]])["builds"]
    assert seen["currentPhase"] == "BUILD" and not seen["buildComplete"]
    sleep(emulator, 100)
    [seen] = codebuild.batch_get_builds(ids=[build["id"]])["builds"]
    assert (seen["currentPhase"], seen["buildStatus"]) == ("COMPLETED", "SUCCEEDED")
    lines = client("logs").get_log_events(
        logGroupName="/aws/codebuild/app", logStreamName=build["id"].partition(":")[2], startFromHead=True
    )["events"]
    assert lines[0]["message"] == "[Container] Entering phase PROVISIONING"
    assert others.repository_has_image(emulator.world, "us-east-1", "app", "v1")
    codebuild.delete_project(name="app")
    assert codebuild.list_builds()["ids"] == [build["id"]]


def test_docker_needs_privileged_mode(emulator: Emulator, client: Client) -> None:
    codebuild, arn = client("codebuild"), role(emulator, client, "codebuild.amazonaws.com")
    codebuild.create_project(**project(arn, "docker build .", privilegedMode=False))
    build = codebuild.start_build(projectName="app")["build"]["id"]
    sleep(emulator, 200)
    assert codebuild.batch_get_builds(ids=[build])["builds"][0]["buildStatus"] == "FAILED"


def action(category: str, provider: str, **configuration: str) -> dict[str, Any]:
    kind = {"category": category, "owner": "AWS", "provider": provider, "version": "1"}
    return {"name": category, "actionTypeId": kind, "configuration": configuration, "runOrder": 1}


def pipeline(role_arn: str, *stages: list[Any]) -> dict[str, Any]:
    return {
        "name": "p",
        "roleArn": role_arn,
        "artifactStore": {"type": "S3", "location": "bucket"},
        "stages": [{"name": f"stage{n}", "actions": actions} for n, actions in enumerate(stages)],
    }


def test_the_structure_of_a_pipeline_is_checked(emulator: Emulator, client: Client) -> None:
    codepipeline = client("codepipeline")
    source, deploy = [action("Source", "S3")], [action("Deploy", "S3")]
    fresh = pipeline("arn:aws:iam::123456789012:role/builder", source, deploy)
    with pytest.raises(ClientError) as error:
        codepipeline.create_pipeline(pipeline=fresh)
    assert error.value.response["Error"]["Message"] == (
        "CodePipeline is not authorized to perform AssumeRole on role arn:aws:iam::123456789012:role/builder"
    )
    arn = role(emulator, client, "codepipeline.amazonaws.com")
    right = pipeline(arn, source, deploy)
    both = {**right, "artifactStores": {"us-east-1": right["artifactStore"]}}
    for wrong in (pipeline(arn, source), pipeline(arn, deploy, source), pipeline(arn, source, source), both):
        assert refused(codepipeline.create_pipeline, pipeline=wrong) == "InvalidStructureException"
    codepipeline.create_pipeline(pipeline=right)
    assert refused(codepipeline.create_pipeline, pipeline=right) == "PipelineNameInUseException"


def executions(client: Client) -> list[str]:
    found = client("codepipeline").list_pipeline_executions(pipelineName="p")["pipelineExecutionSummaries"]
    return [one["status"] for one in found]


def test_a_pipeline_runs_by_itself_and_fails_with_a_pending_connection(emulator: Emulator, client: Client) -> None:
    """A PENDING connection is what is told, also when the role may not use it."""
    codepipeline, arn = client("codepipeline"), role(emulator, client, "codepipeline.amazonaws.com")
    allowed = client("iam").get_role_policy(RoleName="builder", PolicyName="p")["PolicyDocument"]
    client("iam").delete_role_policy(RoleName="builder", PolicyName="p")
    connection = client("codeconnections").create_connection(ProviderType="GitHub", ConnectionName="c")
    source = action("Source", "CodeStarSourceConnection", ConnectionArn=connection["ConnectionArn"])
    client("codebuild").create_project(**project(arn))
    build = action("Build", "CodeBuild", ProjectName="app")
    codepipeline.create_pipeline(pipeline=pipeline(arn, [source], [build], [action("Deploy", "S3")]))
    assert executions(client) == ["InProgress"]
    sleep(emulator, 60)
    assert executions(client) == ["Failed"]
    state = codepipeline.get_pipeline_state(name="p")["stageStates"][0]["actionStates"][0]["latestExecution"]
    assert state["errorDetails"]["message"] == f"Connection {connection['ConnectionArn']} is not available"
    connections.finish_handshakes(emulator.world)
    client("iam").put_role_policy(RoleName="builder", PolicyName="p", PolicyDocument=json.dumps(allowed))
    sleep(emulator, 30)
    codepipeline.start_pipeline_execution(name="p")
    for _ in range(60):
        sleep(emulator, 5)
        if executions(client)[0] != "InProgress":
            break
    assert executions(client) == ["Succeeded", "Failed"]
    actions = codepipeline.list_action_executions(pipelineName="p")["actionExecutionDetails"]
    assert [one["status"] for one in actions] == ["Succeeded", "Succeeded", "Succeeded", "Failed"]
    assert codepipeline.get_pipeline_state(name="p")["stageStates"][2]["latestExecution"]["status"] == "Succeeded"


def test_an_approval_waits(emulator: Emulator, client: Client) -> None:
    codepipeline, arn = client("codepipeline"), role(emulator, client, "codepipeline.amazonaws.com")
    codepipeline.create_pipeline(
        pipeline=pipeline(arn, [action("Source", "S3")], [action("Approval", "Manual")], [action("Deploy", "S3")])
    )
    sleep(emulator, 3600)
    assert executions(client) == ["InProgress"]
    stage = codepipeline.get_pipeline_state(name="p")["stageStates"][1]
    codepipeline.put_approval_result(
        pipelineName="p",
        stageName="stage1",
        actionName="Approval",
        token=stage["actionStates"][0]["latestExecution"]["token"],
        result={"summary": "yes", "status": "Approved"},
    )
    sleep(emulator, 100)
    assert executions(client) == ["Succeeded"]
