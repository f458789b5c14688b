"""The index of tags, and tagging by ARN."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.core.wire import Emulator
from emulator.core.world import Clock
from tests.emulator.common import Client, action, alarm, project, refused, role, sleep
from tests.emulator.ecs_account import Account


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


# --- every kind that the API covers

HERE = "arn:aws:{}:us-east-1:123456789012:{}".format


class Everything:
    """An account with one of each kind of resource that bears tags: their ARNs, by kind."""

    def __init__(self, emulator: Emulator, client: Client) -> None:
        self.client, self.account = client, Account(emulator, client)
        self.arns = self.network() | self.ecs() | self.balancer() | self.small() | self.delivery()

    def network(self) -> dict[str, str]:
        ec2, account = self.client("ec2"), self.account
        account.instance()
        address = ec2.allocate_address(Domain="vpc")["AllocationId"]
        account.sleep(10)
        nat = ec2.create_nat_gateway(SubnetId=account.a, AllocationId=address)["NatGateway"]["NatGatewayId"]
        data = {"ImageId": account.image(), "InstanceType": "t3.medium"}
        template = ec2.create_launch_template(LaunchTemplateName="template", LaunchTemplateData=data)["LaunchTemplate"]
        service = "com.amazonaws.us-east-1.s3"
        endpoint = ec2.create_vpc_endpoint(VpcId=account.vpc, ServiceName=service)["VpcEndpoint"]["VpcEndpointId"]
        account.sleep(10)
        rule = ec2.describe_security_group_rules()["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        ids = {
            "vpc": account.vpc,
            "subnet": account.a,
            "internet-gateway": ec2.describe_internet_gateways()["InternetGateways"][0]["InternetGatewayId"],
            "route-table": ec2.describe_route_tables()["RouteTables"][0]["RouteTableId"],
            "security-group": account.group,
            "security-group-rule": rule,
            "natgateway": nat,
            "elastic-ip": address,
            "launch-template": template["LaunchTemplateId"],
            "instance": ec2.describe_instances()["Reservations"][0]["Instances"][0]["InstanceId"],
            "volume": ec2.describe_volumes()["Volumes"][0]["VolumeId"],
            "vpc-endpoint": endpoint,
            "network-interface": ec2.describe_network_interfaces()["NetworkInterfaces"][0]["NetworkInterfaceId"],
        }
        return {f"ec2:{kind}": HERE("ec2", f"{kind}/{name}") for kind, name in ids.items()}

    def ecs(self) -> dict[str, str]:
        account, ecs = self.account, self.client("ecs")
        account.provider()
        definition = account.register()
        service = ecs.create_service(cluster="main", serviceName="web", taskDefinition=definition, desiredCount=0)
        target = {"ServiceNamespace": "ecs", "ResourceId": "service/main/web"}
        account.sleep(60)
        scalable = self.client("application-autoscaling").register_scalable_target(
            **target, ScalableDimension="ecs:service:DesiredCount", MinCapacity=0, MaxCapacity=1
        )
        providers = ecs.describe_capacity_providers(capacityProviders=["workers"])["capacityProviders"]
        return {
            "ecs:cluster": HERE("ecs", "cluster/main"),
            "ecs:capacity-provider": providers[0]["capacityProviderArn"],
            "ecs:service": service["service"]["serviceArn"],
            "ecs:task-definition": definition,
            "ecs:task": account.run(launchType="EC2"),
            "application-autoscaling:scalable-target": scalable["ScalableTargetARN"],
        }

    def balancer(self) -> dict[str, str]:
        elb, account = self.client("elbv2"), self.account
        subnets = [account.a, account.b]
        balancer = elb.create_load_balancer(Name="b", Subnets=subnets, SecurityGroups=[account.group])["LoadBalancers"]
        arn = balancer[0]["LoadBalancerArn"]
        group = elb.create_target_group(Name="g", Protocol="HTTP", Port=80, VpcId=account.vpc, TargetType="ip")
        to = [{"Type": "forward", "TargetGroupArn": group["TargetGroups"][0]["TargetGroupArn"]}]
        made = elb.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=80, DefaultActions=to)["Listeners"]
        listener = made[0]["ListenerArn"]
        paths = [{"Field": "path-pattern", "Values": ["/a"]}]
        rule = elb.create_rule(ListenerArn=listener, Priority=1, Conditions=paths, Actions=to)["Rules"][0]
        return {
            "elasticloadbalancing:loadbalancer": arn,
            "elasticloadbalancing:targetgroup": to[0]["TargetGroupArn"],
            "elasticloadbalancing:listener": listener,
            "elasticloadbalancing:listener-rule": rule["RuleArn"],
        }

    def small(self) -> dict[str, str]:
        system = self.client("efs").create_file_system(CreationToken="t")
        self.account.sleep(30)
        point = self.client("efs").create_access_point(FileSystemId=system["FileSystemId"], ClientToken="t")
        self.client("logs").create_log_group(logGroupName="/ecs/main")
        self.client("ssm").put_parameter(Name="/main/key", Value="v", Type="String")
        alarm(self.client, "high")
        domain = {"DomainName": "a.example.com", "ValidationMethod": "DNS"}
        self.client("s3").create_bucket(Bucket="weights")
        return {
            "elasticfilesystem:file-system": system["FileSystemArn"],
            "elasticfilesystem:access-point": point["AccessPointArn"],
            "logs:log-group": HERE("logs", "log-group:/ecs/main"),
            "ssm:parameter": HERE("ssm", "parameter/main/key"),
            "cloudwatch:alarm": HERE("cloudwatch", "alarm:high"),
            "acm:certificate": self.client("acm").request_certificate(**domain)["CertificateArn"],
            "s3:bucket": "arn:aws:s3:::weights",
        }

    def delivery(self) -> dict[str, str]:
        repository = self.client("ecr").create_repository(repositoryName="app")["repository"]
        builder = self.account.role("builder", "codebuild.amazonaws.com")
        mover = self.account.role("mover", "codepipeline.amazonaws.com")
        self.account.sleep(30)
        build = self.client("codebuild").create_project(**project(builder))["project"]
        stages = [(name, [action(name, "S3")]) for name in ("Source", "Deploy")]
        self.client("codepipeline").create_pipeline(
            pipeline={
                "name": "p",
                "roleArn": mover,
                "artifactStore": {"type": "S3", "location": "weights"},
                "stages": [{"name": name, "actions": actions} for name, actions in stages],
            }
        )
        connections = self.client("codestar-connections")
        return {
            "ecr:repository": repository["repositoryArn"],
            "codebuild:project": build["arn"],
            "codepipeline:pipeline": HERE("codepipeline", "p"),
            "codestar-connections:connection": connections.create_connection(ProviderType="GitHub", ConnectionName="c")[
                "ConnectionArn"
            ],
            "scheduler:schedule-group": self.client("scheduler").create_schedule_group(Name="n")["ScheduleGroupArn"],
        }


def in_twenties(every: list[str]) -> list[list[str]]:
    return [every[n : n + 20] for n in range(0, len(every), 20)]


def test_every_kind_is_tagged_found_and_untagged_by_its_arn(emulator: Emulator, client: Client) -> None:
    everything, tagging = Everything(emulator, client), client("resourcegroupstaggingapi")
    every, mine = sorted(everything.arns.values()), {"TagFilters": [{"Key": "gpu-ecs-cluster", "Values": ["main"]}]}
    for some in in_twenties(every):
        tags = {"gpu-ecs-cluster": "main", "team": "ml"}
        assert tagging.tag_resources(ResourceARNList=some, Tags=tags)["FailedResourcesMap"] == {}
    assert arns(client, **mine) == [], "the index is late"
    everything.account.sleep(130)
    pages = tagging.get_paginator("get_resources").paginate(ResourcesPerPage=10, **mine)
    assert [one["ResourceARN"] for page in pages for one in page["ResourceTagMappingList"]] == every
    for kind, arn in everything.arns.items():
        assert arns(client, ResourceTypeFilters=[kind], **mine) == [arn], kind
    for some in in_twenties(every):
        assert tagging.untag_resources(ResourceARNList=some, TagKeys=["gpu-ecs-cluster"])["FailedResourcesMap"] == {}
    assert arns(client, ResourcesPerPage=100, **mine) == every, "late this way too"
    everything.account.sleep(130)
    assert arns(client, **mine) == []
    assert arns(client, ResourcesPerPage=100, TagFilters=[{"Key": "team"}]) == every, "the other tag has stayed"


def test_where_time_does_not_count_the_index_is_not_late(emulator: Emulator, client: Client) -> None:
    emulator.world.clock = Clock(0)
    made = client("ec2").create_vpc(
        CidrBlock="10.0.0.0/16",
        TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "gpu-ecs-cluster", "Value": "main"}]}],
    )["Vpc"]["VpcId"]
    mine = {"TagFilters": [{"Key": "gpu-ecs-cluster", "Values": ["main"]}]}
    assert arns(client, **mine) == [HERE("ec2", f"vpc/{made}")]
    client("ec2").delete_vpc(VpcId=made)
    assert arns(client, **mine) == []


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:iam::123456789012:role/builder",
        "arn:aws:iam::123456789012:instance-profile/builder",
        HERE("autoscaling", "autoScalingGroup:0:autoScalingGroupName/workers"),
        HERE("elasticfilesystem", "mount-target/fsmt-0123456789abcdef0"),
        HERE("scheduler", "schedule/n/s"),
        "arn:aws:route53:::hostedzone/Z0123",
        HERE("logs", "log-group:none"),
        HERE("ssm", "parameter/none"),
        HERE("ecr", "repository/none"),
        HERE("cloudwatch", "alarm:none"),
        HERE("codebuild", "project/none"),
        HERE("ec2", "vpc/vpc-0123456789abcdef0"),
        "arn:aws:s3:::none",
        "arn:aws:ecs:eu-west-1:123456789012:cluster/main",
    ],
)
def test_what_is_not_covered_or_not_there_fails_with_success(emulator: Emulator, client: Client, arn: str) -> None:
    role(emulator, client, "ecs-tasks.amazonaws.com")
    tagging = client("resourcegroupstaggingapi")
    for answer in (
        tagging.tag_resources(ResourceARNList=[arn], Tags={"k": "v"}),
        tagging.untag_resources(ResourceARNList=[arn], TagKeys=["k"]),
    ):
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert answer["FailedResourcesMap"][arn]["ErrorCode"] == "InvalidParameterException"
    sleep(emulator, 130)
    assert arns(client) == []


def test_twenty_resources_at_a_time(client: Client) -> None:
    many = [f"arn:aws:ecr:us-east-1:123456789012:repository/r{n}" for n in range(21)]
    tag = client("resourcegroupstaggingapi").tag_resources
    assert refused(tag, ResourceARNList=many, Tags={"k": "v"}) == "InvalidParameterException"


def test_a_bucket_is_in_the_index_of_its_own_region(emulator: Emulator, client: Client) -> None:
    place = {"LocationConstraint": "eu-west-1"}
    client("s3").create_bucket(Bucket="far", CreateBucketConfiguration=place)
    client("s3").put_bucket_tagging(Bucket="far", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    client("ec2").describe_vpcs()
    sleep(emulator, 130)
    assert arns(client) == []
