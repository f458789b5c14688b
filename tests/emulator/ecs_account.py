"""An account for tests of ECS: a network, roles, a cluster, and instances on demand."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.core.wire import Emulator

Client = Callable[[str], Any]
AMI = "/aws/service/ecs/optimized-ami/amazon-linux-2023"
TASK_ROLE_POLICY = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
INSTANCE_POLICY = "arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"


def refused(call: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[str, str]:
    """The error code and message with which AWS refuses a call."""
    with pytest.raises(ClientError) as error:
        call(*args, **kwargs)
    told = error.value.response["Error"]
    return told["Code"], told["Message"]


def trust(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class Account:
    """A VPC with public subnets in two zones and a private one, and an ACTIVE cluster called main."""

    def __init__(self, emulator: Emulator, client: Client) -> None:
        self.world, self.client = emulator.world, client
        self.ec2, self.iam, self.ssm = client("ec2"), client("iam"), client("ssm")
        self.ecs, self.asg, self.logs = client("ecs"), client("autoscaling"), client("logs")
        self.make_network()
        self.role("instances", "ec2.amazonaws.com", INSTANCE_POLICY)
        self.iam.create_instance_profile(InstanceProfileName="instances")
        self.iam.add_role_to_instance_profile(InstanceProfileName="instances", RoleName="instances")
        self.execution_role = self.role("execution", "ecs-tasks.amazonaws.com", TASK_ROLE_POLICY)
        self.ecs.create_cluster(clusterName="main")
        self.sleep(30)

    def sleep(self, seconds: float) -> None:
        """Let time pass in small steps, as if someone were asking all the while."""
        while seconds > 0:
            self.world.clock.sleep(min(seconds, 5))  # type: ignore[attr-defined]
            self.world.advance()
            seconds -= 5

    def make_network(self) -> None:
        self.vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.sleep(10)
        self.ec2.modify_vpc_attribute(VpcId=self.vpc, EnableDnsHostnames={"Value": True})
        self.ec2.attach_internet_gateway(VpcId=self.vpc, InternetGatewayId=gateway)
        self.a, self.b, self.private = (
            self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=zone)["Subnet"][
                "SubnetId"
            ]
            for n, zone in enumerate(("us-east-1a", "us-east-1b", "us-east-1a"))
        )
        self.group = self.ec2.create_security_group(VpcId=self.vpc, GroupName="all", Description="all")["GroupId"]
        table = self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        self.sleep(10)
        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        for subnet in (self.a, self.b):
            self.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
            self.ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
        self.sleep(10)

    def role(self, name: str, service: str, *policies: str) -> str:
        made: str = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(service))["Role"]["Arn"]
        for policy in policies:
            self.iam.attach_role_policy(RoleName=name, PolicyArn=policy)
        return f"arn:aws:iam::123456789012:role/{name}" if not made.startswith("arn:") else made

    def image(self, gpu: bool = False) -> str:
        name = f"{AMI}{'/gpu' if gpu else ''}/recommended/image_id"
        found: str = self.ssm.get_parameter(Name=name)["Parameter"]["Value"]
        return found

    def user_data(self, cluster: str) -> str:
        return f"#!/bin/bash\necho ECS_CLUSTER={cluster} >> /etc/ecs/ecs.config\n"

    def instance(self, kind: str = "t3.medium", cluster: str = "main", wait: float = 200, **changes: Any) -> str:
        """One EC2 instance of this type in the first public subnet; with time to register."""
        gpu = kind.split(".")[0] in ("g4dn", "g5", "g6")
        request: dict[str, Any] = {
            "ImageId": self.image(gpu),
            "InstanceType": kind,
            "MinCount": 1,
            "MaxCount": 1,
            "SubnetId": self.a,
            "IamInstanceProfile": {"Name": "instances"},
            "UserData": self.user_data(cluster),
            **changes,
        }
        made: str = self.ec2.run_instances(**request)["Instances"][0]["InstanceId"]
        self.sleep(wait)
        return made

    def auto_scaling_group(
        self, kind: str = "g4dn.xlarge", size: int = 0, most: int = 3, types: list[str] | None = None, **changes: Any
    ) -> str:
        """A group of such instances called workers: its ARN. `types`: several in its place, in their order."""
        data = {
            "ImageId": self.image(kind.startswith("g")),
            "InstanceType": kind,
            "IamInstanceProfile": {"Name": "instances"},
            "UserData": base64.b64encode(self.user_data("main").encode()).decode(),
        }
        self.ec2.create_launch_template(LaunchTemplateName="workers", LaunchTemplateData=data)
        self.sleep(10)
        template = {"LaunchTemplateName": "workers", "Version": "$Latest"}
        source: dict[str, Any] = {"LaunchTemplate": template}
        if types:
            overrides = [{"InstanceType": one} for one in types]
            of_template = {"LaunchTemplateSpecification": template, "Overrides": overrides}
            source = {"MixedInstancesPolicy": {"LaunchTemplate": of_template}}
        self.asg.create_auto_scaling_group(
            AutoScalingGroupName="workers",
            MinSize=0,
            MaxSize=most,
            DesiredCapacity=size,
            **source,
            VPCZoneIdentifier=f"{self.a},{self.b}",
            **changes,
        )
        [group] = self.asg.describe_auto_scaling_groups(AutoScalingGroupNames=["workers"])["AutoScalingGroups"]
        return str(group["AutoScalingGroupARN"])

    def provider(self, name: str = "workers", scaling: str = "ENABLED", attach: bool = True, **changes: Any) -> str:
        """A capacity provider for a new group, attached to the cluster as its default."""
        group = self.auto_scaling_group(**changes)
        self.ecs.create_capacity_provider(
            name=name,
            autoScalingGroupProvider={"autoScalingGroupArn": group, "managedScaling": {"status": scaling}},
        )
        if attach:
            strategy = [{"capacityProvider": name, "weight": 1}]
            self.ecs.put_cluster_capacity_providers(
                cluster="main", capacityProviders=[name], defaultCapacityProviderStrategy=strategy
            )
            self.sleep(30)
        return group

    def desired(self) -> int:
        [group] = self.asg.describe_auto_scaling_groups(AutoScalingGroupNames=["workers"])["AutoScalingGroups"]
        return int(group["DesiredCapacity"])

    def register(self, family: str = "work", **changes: Any) -> str:
        """A task definition of one container; `container` changes that."""
        container = {"name": "main", "image": "nginx:1", "memory": 256, **changes.pop("container", {})}
        made = self.ecs.register_task_definition(**{"family": family, "containerDefinitions": [container], **changes})
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def register_gpu(self, value: str = "1", **changes: Any) -> str:
        requirement = [{"type": "GPU", "value": value}]
        return self.register("gpu", container={"resourceRequirements": requirement, **changes})

    def register_fargate(self, family: str = "fargate", **container: Any) -> str:
        return self.register(
            family,
            container=container,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            executionRoleArn=self.execution_role,
        )

    def network(self, subnet: str = "", public: str = "ENABLED") -> dict[str, Any]:
        vpc = {"subnets": [subnet or self.a], "securityGroups": [self.group], "assignPublicIp": public}
        return {"awsvpcConfiguration": vpc}

    def run(self, definition: str = "work", **changes: Any) -> str:
        """Start one task: its ARN."""
        answer = self.ecs.run_task(**{"cluster": "main", "taskDefinition": definition, **changes})
        assert answer["failures"] == []
        return str(answer["tasks"][0]["taskArn"])

    def run_fargate(self, definition: str = "fargate", **changes: Any) -> str:
        return self.run(definition, launchType="FARGATE", **{"networkConfiguration": self.network(), **changes})

    def task(self, task: str) -> dict[str, Any]:
        [found] = self.ecs.describe_tasks(cluster="main", tasks=[task], include=["TAGS"])["tasks"]
        return dict(found)

    def status(self, task: str) -> str:
        return str(self.task(task)["lastStatus"])

    def wait(self, task: str, status: str, most: float = 1200) -> dict[str, Any]:
        """Poll a task until it has a status, every five seconds."""
        for _ in range(int(most / 5)):
            self.sleep(5)
            found = self.ecs.describe_tasks(cluster="main", tasks=[task])["tasks"]
            if found and found[0]["lastStatus"] == status:
                return dict(found[0])
        raise AssertionError(f"never {status}: {found}")

    def host(self) -> dict[str, Any]:
        """The only container instance."""
        [arn] = self.ecs.list_container_instances(cluster="main")["containerInstanceArns"]
        found = self.ecs.describe_container_instances(cluster="main", containerInstances=[arn])
        return dict(found["containerInstances"][0])

    def free(self, name: str) -> Any:
        """What is left of a resource on the only container instance."""
        return self.resource("remainingResources", name)

    def resource(self, kind: str, name: str) -> Any:
        [found] = [one for one in self.host()[kind] if one["name"] == name]
        return found["stringSetValue"] if found["type"] == "STRINGSET" else found["integerValue"]

    def service(self, name: str = "web") -> dict[str, Any]:
        return dict(self.ecs.describe_services(cluster="main", services=[name])["services"][0])

    def events(self, name: str = "web") -> list[str]:
        return [event["message"] for event in self.service(name)["events"]]
