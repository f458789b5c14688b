"""What is in the emulated account: every resource by a name that does not change from run to run, with its properties.

For the rehearsal's count and for tests that compare two accounts. It asks through boto3, as a user would; what can bear
tags is told with them.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from emulator.core import partitions

Client = Callable[[str], Any]

#: ids and other words that AWS chooses, and times: no part of what a user asked for
CHOSEN = re.compile(
    r"\b(?:vpc|subnet|igw|rtb|rtbassoc|sg|sgr|eni|i|lt|nat|eipalloc|acl|ami|dopt|fs|fsap|fsmt|vol|r|eipassoc|eni-attach|vpce|pl)"
    r"-[0-9a-f]{8,}\b|\b[0-9a-f]{32}\b|\b[0-9a-f]{16}\b|\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"
    r"|\b\d{4}-\d\d-\d\dT\d\d:\d\dZ"
)
VOLATILE = re.compile(
    r"time|date|address|publicip$|dns|uniqueid|roleid|profileid|createdby|registeredby|number|latest|defaultversion|revision"
    r"|sizeinbytes|creationtoken|requestid|ipaddress|statistics|state$|lifecycle|attachmentsstatus|associationid|storedbytes",
    re.IGNORECASE,
)


def resources(client: Client) -> dict[str, Any]:
    """Every resource that a user can make or pay for: kind and name -> properties without ids and times."""
    found: dict[str, Any] = {}
    for kind, name, properties in _walk(client):
        key = CHOSEN.sub("(id)", f"{kind} {name}")
        while key in found:  # a second one of the same name is a difference
            key += " (again)"
        found[key] = properties
    names = {properties["_id"]: key for key, properties in found.items() if properties.get("_id")}
    return {key: _plain({k: v for k, v in value.items() if k != "_id"}, names) for key, value in found.items()}


def _walk(client: Client) -> Iterator[tuple[str, str, dict[str, Any]]]:
    yield from _network(client("ec2"), _of_schedules(client("ecs")))
    yield from _instances(client("ec2"), client("autoscaling"))
    yield from _roles(client("iam"))
    yield from _file_systems(client("efs"))
    yield from _clusters(client("ecs"))
    yield from _load_balancers(client("elbv2"))
    yield from _scaling(client("application-autoscaling"), client("cloudwatch"))
    yield from _names(client("acm"), client("route53"))
    yield from _schedules(client("scheduler"))
    yield from _pipelines(client("codepipeline"), client("codebuild"), client("codeconnections"))
    yield from _stores(client("ecr"), client("s3"))
    for parameter in client("ssm").describe_parameters()["Parameters"]:
        if parameter["Name"].startswith("/aws/"):  # AWS's own, which moto lists too
            continue
        name = parameter["Name"]
        value = client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
        tags = client("ssm").list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"]
        yield "SSM parameter", name, {"value": value, "tags": tags}
    for group in client("logs").describe_log_groups()["logGroups"]:
        arn = group["arn"].removesuffix(":*")
        tags = client("logs").list_tags_for_resource(resourceArn=arn)["tags"]
        yield "log group", group["logGroupName"], {"retention": group.get("retentionInDays"), "tags": _tags(tags)}


def _network(ec2: Any, passing: set[str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    lists = {
        ("VPC", "VpcId"): ec2.describe_vpcs()["Vpcs"],
        ("subnet", "SubnetId"): ec2.describe_subnets()["Subnets"],
        ("internet gateway", "InternetGatewayId"): ec2.describe_internet_gateways()["InternetGateways"],
        ("route table", "RouteTableId"): ec2.describe_route_tables()["RouteTables"],
        ("security group", "GroupId"): ec2.describe_security_groups()["SecurityGroups"],
        ("NAT gateway", "NatGatewayId"): _alive(ec2.describe_nat_gateways()["NatGateways"]),
        ("VPC endpoint", "VpcEndpointId"): _alive(ec2.describe_vpc_endpoints()["VpcEndpoints"]),
        ("Elastic IP", "AllocationId"): ec2.describe_addresses()["Addresses"],
        ("launch template", "LaunchTemplateId"): ec2.describe_launch_templates()["LaunchTemplates"],
    }
    for (kind, key), items in lists.items():
        for item in items:
            yield kind, _named(item) or item.get("GroupName") or "unnamed", {"_id": item[key], **item}
    for template in lists["launch template", "LaunchTemplateId"]:
        name = template["LaunchTemplateName"]
        versions = ec2.describe_launch_template_versions(LaunchTemplateName=name, Versions=["$Latest"])
        yield "launch template data", name, versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    for item in ec2.describe_network_interfaces()["NetworkInterfaces"]:
        if item["NetworkInterfaceId"] in passing:
            continue
        groups = [group["GroupId"] for group in item.get("Groups", [])]
        yield (
            "network interface",
            item.get("Description") or "of a host",
            {"groups": groups, "subnet": item["SubnetId"], "tags": item.get("TagSet", [])},
        )


def _alive(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item for item in items if item["State"].lower() not in ("deleted", "failed")]


def _instances(ec2: Any, autoscaling: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for reservation in ec2.describe_instances()["Reservations"]:
        for instance in reservation["Instances"]:
            if instance["State"]["Name"] != "terminated":
                yield "instance", _named(instance), _kept(instance, "InstanceType KeyName SubnetId Tags SecurityGroups")
    for group in autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]:
        kept = (
            "MinSize",
            "MaxSize",
            "DesiredCapacity",
            "VPCZoneIdentifier",
            "NewInstancesProtectedFromScaleIn",
            "Tags",
        )
        policy = group.get("MixedInstancesPolicy", {"LaunchTemplate": {}, "InstancesDistribution": {}})
        types = [each["InstanceType"] for each in policy["LaunchTemplate"].get("Overrides", [])]
        mixed = {"types": types, "distribution": policy["InstancesDistribution"]} if types else {}
        suspended = sorted(each["ProcessName"] for each in group.get("SuspendedProcesses", []))
        mixed |= {"suspended": suspended} if suspended else {}
        also = [key for key in ("CapacityReservationSpecification",) if key in group]
        yield "Auto Scaling group", group["AutoScalingGroupName"], {key: group[key] for key in (*kept, *also)} | mixed


def _roles(iam: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for role in iam.list_roles()["Roles"]:
        name = role["RoleName"]
        if role["Path"].startswith("/aws-service-role/"):
            continue
        inline = {
            policy: iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
        }
        attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        trust = role["AssumeRolePolicyDocument"]
        more = iam.get_role(RoleName=name)["Role"]  # a list tells neither tags nor a boundary
        yield (
            "role",
            name,
            {
                "trust": trust,
                "inline": inline,
                "attached": attached,
                "tags": more.get("Tags", []),
                "path": role["Path"],
                "limit": more.get("PermissionsBoundary"),
            },
        )
    for profile in iam.list_instance_profiles()["InstanceProfiles"]:
        roles = [role["RoleName"] for role in profile["Roles"]]
        name = profile["InstanceProfileName"]
        tags = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"].get("Tags", [])
        yield "instance profile", name, {"roles": roles, "tags": tags, "path": profile["Path"]}


def _file_systems(efs: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for system in efs.describe_file_systems()["FileSystems"]:
        system_id = system["FileSystemId"]
        moves = efs.describe_lifecycle_configuration(FileSystemId=system_id)["LifecyclePolicies"]
        backups = _or_nothing(efs.describe_backup_policy, FileSystemId=system_id)
        policy = _or_nothing(efs.describe_file_system_policy, FileSystemId=system_id)
        about = {
            "_id": system_id,
            "moves": moves,
            "backups": backups,
            "policy": policy and json.loads(policy["Policy"]),
        }
        yield "file system", _named(system), {**about, **system}
        for target in efs.describe_mount_targets(FileSystemId=system_id)["MountTargets"]:
            groups = efs.describe_mount_target_security_groups(MountTargetId=target["MountTargetId"])["SecurityGroups"]
            yield "mount target", target["AvailabilityZoneName"], {"groups": groups, "subnet": target["SubnetId"]}
        for point in efs.describe_access_points(FileSystemId=system_id)["AccessPoints"]:
            yield "access point", _named(point), point


def _of_schedule(task: dict[str, Any]) -> bool:
    """Started by EventBridge Scheduler: such tasks come and go by the clock, whatever a script does."""
    return (task.get("startedBy") or "").startswith("chronon-schedule/")


def _of_schedules(ecs: Any) -> set[str]:
    """The ids of these tasks' network interfaces."""
    found: set[str] = set()
    for cluster in ecs.list_clusters()["clusterArns"]:
        for status in ("RUNNING", "STOPPED"):
            arns = ecs.list_tasks(cluster=cluster, desiredStatus=status)["taskArns"][:100]
            for task in filter(_of_schedule, ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"] if arns else []):
                details = [detail for each in task["attachments"] for detail in each["details"]]
                found |= {each["value"] for each in details if each["name"] == "networkInterfaceId"}
    return found


def _clusters(ecs: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for arn in ecs.list_clusters()["clusterArns"]:
        [cluster] = ecs.describe_clusters(clusters=[arn], include=["TAGS", "SETTINGS"])["clusters"]
        if cluster["status"] == "INACTIVE":
            continue
        kept = "settings capacityProviders defaultCapacityProviderStrategy tags"
        yield "cluster", cluster["clusterName"], _kept(cluster, kept)
        for task in ecs.list_tasks(cluster=arn)["taskArns"]:
            [described] = ecs.describe_tasks(cluster=arn, tasks=[task], include=["TAGS"])["tasks"]
            if not _of_schedule(described):
                yield "task", described["taskDefinitionArn"].rsplit("/", 1)[-1], _kept(described, "launchType tags")
        for service in ecs.list_services(cluster=arn)["serviceArns"]:
            [described] = ecs.describe_services(cluster=arn, services=[service], include=["TAGS"])["services"]
            kept = "desiredCount loadBalancers deploymentConfiguration healthCheckGracePeriodSeconds tags"
            kept += " networkConfiguration enableExecuteCommand capacityProviderStrategy availabilityZoneRebalancing"
            yield "service", described["serviceName"], _kept(described, kept)
    for provider in ecs.describe_capacity_providers(include=["TAGS"])["capacityProviders"]:
        if provider["name"] not in ("FARGATE", "FARGATE_SPOT") and provider["status"] != "INACTIVE":
            yield "capacity provider", provider["name"], _kept(provider, "autoScalingGroupProvider tags")
    for arn in ecs.list_task_definitions(status="ACTIVE")["taskDefinitionArns"]:
        described = ecs.describe_task_definition(taskDefinition=arn, include=["TAGS"])
        definition, tags = described["taskDefinition"], described.get("tags", [])
        about = _kept(definition, "networkMode cpu memory volumes executionRoleArn taskRoleArn requiresCompatibilities")
        containers = definition["containerDefinitions"]
        yield "task definition", arn.rsplit("/", 1)[-1], {**about, "containers": containers, "tags": tags}


def _schedules(scheduler: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for group in scheduler.list_schedule_groups()["ScheduleGroups"]:
        name = group["Name"]
        if name == "default":
            continue
        yield "schedule group", name, scheduler.list_tags_for_resource(ResourceArn=group["Arn"])
        once = []
        for schedule in scheduler.list_schedules(GroupName=name)["Schedules"]:
            described = scheduler.get_schedule(GroupName=name, Name=schedule["Name"])
            if described["ScheduleExpression"].startswith("at("):
                once.append(_once(described))
            else:
                yield "schedule", f"{name}/{schedule['Name']}", _kept(described, "ScheduleExpression State Target")
        for api, alike in itertools.groupby(sorted(once, key=str), lambda each: each[0]):
            for number, (_, shown) in enumerate(alike):
                yield "schedule", f"{name}/{api} {number}", shown


def _once(schedule: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """What it calls, and how; its instant, and its name, are others each time."""
    target = schedule["Target"]
    target = {**target, "Input": re.sub(r"[0-9a-f]{32}", "ID", target.get("Input", ""))}
    return target["Arn"].rpartition("aws-sdk:")[2], {**_kept(schedule, "State ActionAfterCompletion"), "target": target}


def _load_balancers(elb: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    def tags(arn: str) -> Any:
        return elb.describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"]

    for group in elb.describe_target_groups()["TargetGroups"]:
        arn = group["TargetGroupArn"]
        attributes = elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
        kept = _kept(group, "Protocol ProtocolVersion VpcId TargetType Matcher")
        kept |= _kept(group, "HealthCheckPath HealthCheckPort HealthCheckProtocol")
        kept |= {"checks": [f"{key}: {value}" for key, value in group.items() if key.endswith(("Seconds", "Count"))]}
        yield "target group", group["TargetGroupName"], {**kept, "attributes": attributes, "tags": tags(arn)}
    for balancer in elb.describe_load_balancers()["LoadBalancers"]:
        name, arn = balancer["LoadBalancerName"], balancer["LoadBalancerArn"]
        attributes = elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
        kept = _kept(balancer, "Scheme VpcId SecurityGroups")
        subnets = [zone["SubnetId"] for zone in balancer["AvailabilityZones"]]
        yield "load balancer", name, {**kept, "subnets": subnets, "attributes": attributes, "tags": tags(arn)}
        for listener in elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]:
            port, arn = f"{name}:{listener['Port']}", listener["ListenerArn"]
            more = elb.describe_listener_certificates(ListenerArn=arn)["Certificates"]
            beside = [each["CertificateArn"] for each in more if not each["IsDefault"]]
            kept = {**_kept(listener, "Protocol SslPolicy Certificates"), "tags": tags(arn)}
            yield "listener", port, {**kept, **({"more certificates": sorted(beside)} if beside else {})}
            for rule in elb.describe_rules(ListenerArn=arn)["Rules"]:
                paths = [value for each in rule["Conditions"] for value in each.get("Values", [])]
                kept = {"priority": rule["Priority"], "tags": [] if rule["IsDefault"] else tags(rule["RuleArn"])}
                kept |= _kept(rule, "Actions Conditions")
                yield "listener rule", f"{port} {','.join(paths) or 'default'}", kept


def _names(acm: Any, route53: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Certificates, zones and their records; a load balancer's name without the number that AWS gives it."""
    for each in acm.list_certificates()["CertificateSummaryList"]:
        names = ",".join(each["SubjectAlternativeNameSummaries"])
        tags = acm.list_tags_for_certificate(CertificateArn=each["CertificateArn"])["Tags"]
        yield "certificate", names, {"status": each["Status"], "tags": tags}
    for zone in route53.list_hosted_zones()["HostedZones"]:
        about = {"ResourceType": "hostedzone", "ResourceId": zone["Id"].rpartition("/")[2]}
        tags = route53.list_tags_for_resource(**about)["ResourceTagSet"]["Tags"]
        yield "hosted zone", zone["Name"], {"private": zone["Config"]["PrivateZone"], "tags": tags}
        for record in route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]:
            if record["Type"] not in ("NS", "SOA"):
                values = [each["Value"] for each in record.get("ResourceRecords", [])]
                alias = re.sub(r"-\d+\.", ".", record.get("AliasTarget", {}).get("DNSName", ""))
                yield "DNS record", f"{record['Name']} {record['Type']}", {"values": values, "alias": alias}


def _pipelines(pipelines: Any, builds: Any, connections: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for each in pipelines.list_pipelines()["pipelines"]:
        found = pipelines.get_pipeline(name=each["name"])
        arn = found["metadata"]["pipelineArn"]
        tags = pipelines.list_tags_for_resource(resourceArn=arn)["tags"]
        states = pipelines.get_pipeline_state(name=each["name"])["stageStates"]
        kept = _kept(found["pipeline"], "roleArn artifactStore pipelineType executionMode stages triggers")
        kept["closed"] = [state["inboundTransitionState"].get("disabledReason") for state in states]
        yield "pipeline", each["name"], {**kept, "tags": tags}
    for name in builds.list_projects()["projects"]:
        [project] = builds.batch_get_projects(names=[name])["projects"]
        yield "build project", name, _kept(project, "source artifacts environment serviceRole logsConfig tags")
    there = not partitions.lacks("codeconnections", connections.meta.region_name)
    for each in connections.list_connections()["Connections"] if there else ():
        arn = each["ConnectionArn"]
        tags = connections.list_tags_for_resource(ResourceArn=arn)["Tags"]
        kept = _kept(each, "ProviderType ConnectionStatus")
        yield "connection", each["ConnectionName"], {"_id": arn.rpartition("/")[2], **kept, "tags": tags}


def _stores(ecr: Any, s3: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Repositories and buckets; not what is in them, which no script of the runbook makes by itself."""
    for each in ecr.describe_repositories()["repositories"]:
        tags = ecr.list_tags_for_resource(resourceArn=each["repositoryArn"])["tags"]
        kept = _kept(each, "imageTagMutability imageScanningConfiguration encryptionConfiguration")
        try:
            text = ecr.get_lifecycle_policy(repositoryName=each["repositoryName"])["lifecyclePolicyText"]
        except ecr.exceptions.LifecyclePolicyNotFoundException:
            text = "{}"
        yield "repository", each["repositoryName"], {**kept, "tags": tags, "policy": json.loads(text)}
    for bucket in s3.list_buckets()["Buckets"]:
        name = bucket["Name"]
        parts = {
            "policy": s3.get_bucket_policy,
            "access": s3.get_public_access_block,
            "encryption": s3.get_bucket_encryption,
            "rules": s3.get_bucket_lifecycle_configuration,
        }
        tags = _or_nothing(s3.get_bucket_tagging, Bucket=name)
        about = {part: _or_nothing(look, Bucket=name) for part, look in parts.items()} if tags else {}
        yield "bucket", name, {"tags": tags, **about} if tags else {}  # without tags it is the user's own


def _or_nothing(look: Callable[..., dict[str, Any]], **request: Any) -> dict[str, Any]:
    try:
        return {key: value for key, value in look(**request).items() if key != "ResponseMetadata"}
    except ClientError:  # S3's word for "not configured"
        return {}


def _scaling(scaling: Any, cloudwatch: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for target in scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]:
        tags = scaling.list_tags_for_resource(ResourceARN=target["ScalableTargetARN"])["Tags"]
        kept = _kept(target, "MinCapacity MaxCapacity SuspendedState")
        yield "scalable target", target["ResourceId"], {**kept, "tags": _tags(tags)}
    for policy in scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]:
        keys = "PolicyType ResourceId StepScalingPolicyConfiguration TargetTrackingScalingPolicyConfiguration"
        yield "scaling policy", policy["PolicyName"], _kept(policy, keys)
    for alarm in cloudwatch.describe_alarms()["MetricAlarms"]:
        tags = cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
        kept = _kept(alarm, "Threshold EvaluationPeriods Dimensions")
        yield "alarm", alarm["AlarmName"], {**kept, "tags": tags}


def _tags(tags: dict[str, str]) -> list[dict[str, str]]:
    """Tags as most services tell them: a tag whose own name sounds like a time is no time."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _kept(item: dict[str, Any], keys: str) -> dict[str, Any]:
    return {key: item.get(key) for key in keys.split()}


def _named(item: dict[str, Any]) -> str:
    tags = {tag["Key"]: tag["Value"] for tag in item.get("Tags") or []}
    return tags.get("Name") or item.get("LaunchTemplateName") or ""


def _plain(properties: Any, names: dict[str, str]) -> Any:
    """Ids become the names of what they mean, lists are sorted, and what changes from run to run is left out."""
    if isinstance(properties, dict):
        return {key: _plain(value, names) for key, value in properties.items() if not _is_volatile(key)}
    if isinstance(properties, list):
        plain = [_plain(item, names) for item in properties]
        return sorted(plain, key=_written) if len(plain) > 1 else plain
    if isinstance(properties, str):
        return CHOSEN.sub(lambda match: names.get(match[0], "(id)"), properties)
    return properties


@functools.cache
def _is_volatile(key: str) -> bool:
    return bool(VOLATILE.search(key))


def _written(item: Any) -> str:
    return json.dumps(item, default=str, sort_keys=True)
