"""What ecs-ml-deploy-system builds for endpoints A and B and what is built here, compared with AWS after the whole walk.

python -m tests.examples.test_ml_endpoints     prints the table
"""

from __future__ import annotations

import json
from typing import Any

from emulator.codestar_connections import connections
from tests.conftest import Runbook
from tests.examples import originals
from tests.examples.test_endpoints import ALL, rules, weights
from tests.zones import certificates, ml_endpoints, records


def markdown() -> str:
    """The table, of a walk in an account of its own."""
    return originals.table("ml-endpoints", built(walked(originals.account("ml-endpoints"))))


def built(ml: Runbook) -> dict[str, str]:
    """What is built here, after the whole walk."""
    found: dict[str, str] = {}
    for part in (network, balancing, storage, roles, services, scaling, delivery):
        found |= part(ml)
    return found


def both(values: list[str]) -> str:
    """What both endpoints have alike."""
    assert len(values) > 1 and len(set(values)) == 1, values
    return values[0]


def network(runbook: Runbook) -> dict[str, str]:
    ec2 = runbook.aws("ec2")
    ours = [{"Name": "tag:gpu-ecs-cluster", "Values": ["ml"]}]
    subnets = ec2.describe_subnets(Filters=ours)["Subnets"]
    blocks = {
        public: sorted(s["CidrBlock"] for s in subnets if s["MapPublicIpOnLaunch"] == public) for public in (0, 1)
    }
    [vpc] = ec2.describe_vpcs(Filters=ours)["Vpcs"]
    groups = {each["GroupName"]: each for each in ec2.describe_security_groups(Filters=ours)["SecurityGroups"]}
    way_in = groups["ml-load-balancer"]["IpPermissions"]
    interfaces = ec2.describe_network_interfaces()["NetworkInterfaces"]
    of_tasks = [each for each in interfaces if any(g["GroupName"].endswith("-tasks") for g in each["Groups"])]
    from_balancer = {
        f"{rule['FromPort']} from the load balancer"
        for endpoint in "ab"
        for rule in groups[f"ml-{endpoint}-tasks"]["IpPermissions"]
        if [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [groups["ml-load-balancer"]["GroupId"]]
        and not rule["IpRanges"]
    }
    [nfs] = groups["ml-file-system"]["IpPermissions"]
    sources = {pair["GroupId"] for pair in nfs["UserIdGroupPairs"]}
    each_endpoints = sources == {groups[f"ml-{endpoint}-tasks"]["GroupId"] for endpoint in "ab"} and not nfs["IpRanges"]
    one = {groups[f"ml-{endpoint}-tasks"]["VpcId"] for endpoint in "ab"} == {vpc["VpcId"]}
    instances = ec2.describe_instances()["Reservations"]
    return {
        "VPC": vpc["CidrBlock"],
        "public subnets": ", ".join(blocks[1]),
        "private subnets": ", ".join(blocks[0]),
        "NAT gateways": str(len(ec2.describe_nat_gateways(Filters=ours)["NatGateways"])),
        "S3 endpoint": ec2.describe_vpc_endpoints(Filters=ours)["VpcEndpoints"][0]["VpcEndpointType"],
        "B finds the network of A": "by CLUSTER_NAME, which both share" if one else "",
        "open to": ", ".join(sorted({block["CidrIp"] for rule in way_in for block in rule["IpRanges"]})),
        "ports of the load balancer": ", ".join(sorted(str(rule["FromPort"]) for rule in way_in)[::-1]),
        "the tasks' ports": ", ".join(from_balancer),
        "NFS from": "each endpoint's tasks, by its script" if each_endpoints and nfs["FromPort"] == 2049 else "",
        "public addresses": "none" if len(of_tasks) >= 4 and not any("Association" in e for e in of_tasks) else "some",
        "bastion": str(len(instances)) if instances else "none",
    }


def balancing(runbook: Runbook) -> dict[str, str]:
    elb = runbook.aws("elbv2")
    [balancer] = elb.describe_load_balancers()["LoadBalancers"]
    arn = balancer["LoadBalancerArn"]
    told = elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
    attributes = {each["Key"]: each["Value"] for each in told}
    listeners = {each["Port"]: each for each in elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]}
    to = listeners[80]["DefaultActions"][0]["RedirectConfig"]
    groups = {each["TargetGroupName"]: each for each in elb.describe_target_groups()["TargetGroups"]}
    checks = {}
    delays = []
    for endpoint in "ab":
        group = groups[f"ml-{endpoint}-tg"]
        numbers = (
            f"{group['HealthyThresholdCount']}, {group['UnhealthyThresholdCount']}, {group['Matcher']['HttpCode']}"
        )
        times = f"{group['HealthCheckIntervalSeconds']} s, {group['HealthCheckTimeoutSeconds']} s"
        checks[endpoint] = f"{group['HealthCheckPath']}: {times}, {numbers}"
        found = elb.describe_target_group_attributes(TargetGroupArn=group["TargetGroupArn"])["Attributes"]
        delays += [f"{each['Value']} s" for each in found if each["Key"] == "deregistration_delay.timeout_seconds"]
    found = {rule["Host"]: rule["Priority"] for rule in rules(runbook)}
    hosts = {"a.ml.example.com": {"ml-a-tg": 1}, "b.ml.example.com": {"ml-b-tg": 1}}
    own = {host: weights(runbook, host[0]) for host in found} == hosts
    [certificate] = certificates(runbook)
    used = listeners[443]["Certificates"] == [{"CertificateArn": certificate["CertificateArn"]}]
    proved = used and certificate["Status"] == "ISSUED" and any(kind == "CNAME" for _, kind, _ in records(runbook))
    aliases = [name for name, kind, value in records(runbook) if kind == "A" and balancer["DNSName"] in value]
    return {
        "HTTP": f"{to['StatusCode'].removeprefix('HTTP_')} to {to['Protocol']}",
        "default answer": listeners[443]["DefaultActions"][0]["FixedResponseConfig"]["StatusCode"],
        "idle timeout": f"{attributes['idle_timeout.timeout_seconds']} s",
        "TLS policy": listeners[443]["SslPolicy"],
        "malformed headers": "dropped"
        if attributes["routing.http.drop_invalid_header_fields.enabled"] == "true"
        else "passed on",
        "certificate": "a script asks, proves the names and waits" if proved else "",
        "DNS records": "an alias each, by a script" if aliases == [f"{host}." for host in hosts] else "",
        "target groups": both([f"{g['Protocol']} {g['Port']}, type {g['TargetType']}" for g in groups.values()]),
        "health check of A": checks["a"],
        "health check of B": checks["b"],
        "deregistration delay": both(delays),
        "rules": "one host name each" if own else str(found),
        "priority of B's rule": f"{found['b.ml.example.com']}, the next free one",
    }


def storage(runbook: Runbook) -> dict[str, str]:
    efs, ecs = runbook.aws("efs"), runbook.aws("ecs")
    systems = efs.describe_file_systems()["FileSystems"]
    ids = [each["FileSystemId"] for each in systems]
    policies = [
        ", ".join(
            [
                "encrypted" if system["Encrypted"] else "plain",
                system["ThroughputMode"],
                "backed up"
                if efs.describe_backup_policy(FileSystemId=system["FileSystemId"])["BackupPolicy"]["Status"]
                == "ENABLED"
                else "not backed up",
                *(
                    f"IA {each['TransitionToIA'].lower().replace('_', ' ')}"
                    for each in efs.describe_lifecycle_configuration(FileSystemId=system["FileSystemId"])[
                        "LifecyclePolicies"
                    ]
                ),
            ]
        )
        for system in systems
    ]
    points = {
        each["AccessPointId"]: each["RootDirectory"]["Path"] for each in efs.describe_access_points()["AccessPoints"]
    }
    wanted = {f"/{endpoint}/{volume}" for endpoint in "ab" for volume in ("assets", "weights")}
    volumes = []
    for endpoint in "ab":
        task = ecs.describe_task_definition(taskDefinition=f"ml-{endpoint}")["taskDefinition"]
        made = [each["efsVolumeConfiguration"] for each in task["volumes"]]
        paths = sorted(each["containerPath"] for each in task["containerDefinitions"][0]["mountPoints"])
        assert {points[each["authorizationConfig"]["accessPointId"]] for each in made} == {
            path for path in wanted if path.startswith(f"/{endpoint}/")
        }
        over = "TLS" if all(each["transitEncryption"] == "ENABLED" for each in made) else "nothing"
        by = " and by IAM" if all(each["authorizationConfig"]["iam"] == "ENABLED" for each in made) else ""
        volumes.append(f"{', '.join(paths)}, over {over}{by}")
    return {
        "file systems": f"{len(systems)}, shared",
        "a file system": both(policies),
        "mount targets": str(sum(len(efs.describe_mount_targets(FileSystemId=each)["MountTargets"]) for each in ids)),
        "access points": "one for each volume of each endpoint" if {*points.values()} == wanted else str(points),
        "volumes": both(volumes),
        "mount paths of B": f"as A's: {volumes[1].partition(', over')[0]}",
    }


def roles(runbook: Runbook) -> dict[str, str]:
    iam = runbook.aws("iam")
    points = {
        each["AccessPointArn"]: each["RootDirectory"]["Path"]
        for each in runbook.aws("efs").describe_access_points()["AccessPoints"]
    }
    execution, own, trust = [], [], []
    for endpoint in "ab":
        role = f"ml-{endpoint}-task-execution-us-east-1"
        attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        execution.append(
            ", ".join([each["PolicyName"] for each in attached] + iam.list_role_policies(RoleName=role)["PolicyNames"])
        )
        role = f"ml-{endpoint}-task-us-east-1"
        [statement] = iam.get_role_policy(RoleName=role, PolicyName="settings")["PolicyDocument"]["Statement"]
        allowed = statement["Condition"]["StringEquals"]["elasticfilesystem:AccessPointArn"]
        mounts = all(action.startswith("elasticfilesystem:Client") for action in statement["Action"])
        only = {points[arn] for arn in allowed} == {f"/{endpoint}/assets", f"/{endpoint}/weights"}
        own.append("one for each, to mount by its own access points" if mounts and only else json.dumps(statement))
        [statement] = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]["Statement"]
        here = statement["Condition"] == {
            "StringEquals": {"aws:SourceAccount": "123456789012"},
            "ArnLike": {"aws:SourceArn": "arn:aws:ecs:us-east-1:123456789012:*"},
        }
        trust.append("ECS tasks of this account and region" if here else json.dumps(statement))
    linked = iam.get_role(RoleName="AWSServiceRoleForApplicationAutoScaling_ECSService")["Role"]
    target = runbook.aws("application-autoscaling").describe_scalable_targets(ServiceNamespace="ecs")[
        "ScalableTargets"
    ][0]
    return {
        "execution role": both(execution),
        "task role": both(own),
        "the task roles trust": both(trust),
        "scaling role": "the service-linked one"
        if target["RoleARN"].endswith(linked["RoleName"])
        else target["RoleARN"],
    }


def services(runbook: Runbook) -> dict[str, str]:
    ecs, logs = runbook.aws("ecs"), runbook.aws("logs")
    told: list[dict[str, str]] = []
    for endpoint in "ab":
        [found] = ecs.describe_services(cluster="ml", services=[f"ml-{endpoint}"])["services"]
        task = ecs.describe_task_definition(taskDefinition=found["taskDefinition"])["taskDefinition"]
        deploy = found["deploymentConfiguration"]
        tag = task["containerDefinitions"][0]["image"].rpartition(":")[2]
        branch = {"a": "main", "b": "develop"}[endpoint]
        commit = connections.head(runbook.emulator.world, "example/ml-endpoints", branch)
        days = {
            kind: logs.describe_log_groups(logGroupNamePrefix=f"{prefix}/ml-{endpoint}")["logGroups"][0][
                "retentionInDays"
            ]
            for kind, prefix in (("tasks", "/ecs"), ("builds", "/aws/codebuild"), ("pipelines", "/aws/codepipeline"))
        }
        on = {each["capacityProvider"] for each in found["capacityProviderStrategy"]}
        told.append(
            {
                "tasks run on": f"{', '.join(each.capitalize() for each in on)}, by capacity provider",
                "platform version": found.get("platformVersion", "LATEST"),
                "name of the container": task["containerDefinitions"][0]["name"],
                "grace period": f"{found['healthCheckGracePeriodSeconds']} s",
                "size of a task": f"{task['cpu']} CPU units, {task['memory']} MiB",
                "tasks": str(found["desiredCount"]),
                "deployment": f"{deploy['minimumHealthyPercent']}/{deploy['maximumPercent']}"
                + (", rollback" if deploy["deploymentCircuitBreaker"]["rollback"] else ""),
                "exec": "on" if found["enableExecuteCommand"] else "off, a setting",
                "log retention": f"{days['tasks']} days, builds too" if len({*days.values()}) == 1 else str(days),
                "image tag": "the commit" if commit and commit.id.startswith(tag) else tag,
            }
        )
    [cluster] = ecs.describe_clusters(clusters=["ml"], include=["SETTINGS"])["clusters"]
    [insights] = [each["value"] for each in cluster["settings"] if each["name"] == "containerInsights"]
    return {key: both([each[key] for each in told]) for key in told[0]} | {"Container Insights": insights}


def scaling(runbook: Runbook) -> dict[str, str]:
    autoscaling = runbook.aws("application-autoscaling")
    targets = autoscaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    policies = autoscaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]
    found = {each["PolicyName"]: each["TargetTrackingScalingPolicyConfiguration"] for each in policies}
    cooldowns = [f"{each['ScaleOutCooldown']} s out, {each['ScaleInCooldown']} s in" for each in found.values()]
    percent = [
        f"CPU {found[f'ml-{endpoint}-cpu-target']['TargetValue']:.0f} %, "
        f"memory {found[f'ml-{endpoint}-memory-target']['TargetValue']:.0f} %"
        for endpoint in "ab"
    ]
    return {
        "scaling": both([f"{target['MinCapacity']} to {target['MaxCapacity']}" for target in targets]),
        "targets": both(percent),
        "cooldowns": both(cooldowns),
    }


def delivery(runbook: Runbook) -> dict[str, str]:
    ecr, s3, iam = runbook.aws("ecr"), runbook.aws("s3"), runbook.aws("iam")
    told: list[dict[str, str]] = []
    for endpoint in "ab":
        [repository] = ecr.describe_repositories(repositoryNames=[f"ml-{endpoint}"])["repositories"]
        lifecycle = json.loads(ecr.get_lifecycle_policy(repositoryName=f"ml-{endpoint}")["lifecyclePolicyText"])
        final = {"IMMUTABLE": "are final", "MUTABLE": "may move"}[repository["imageTagMutability"]]
        scanned = "scanned" if repository["imageScanningConfiguration"]["scanOnPush"] else "no scan"
        kept = lifecycle["rules"][-1]["selection"]["countNumber"]
        stages = runbook.aws("codepipeline").get_pipeline(name=f"ml-{endpoint}")["pipeline"]["stages"]
        source, deploy = stages[0]["actions"][0]["configuration"], stages[-1]["actions"][0]["actionTypeId"]
        [project] = runbook.aws("codebuild").batch_get_projects(names=[f"ml-{endpoint}-build"])["projects"]
        clone = source["OutputArtifactFormat"] == "CODEBUILD_CLONE_REF" and source["DetectChanges"] == "true"
        bucket = f"ml-{endpoint}-artifacts-123456789012-us-east-1"
        private = all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
        [rule] = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        encrypted = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        policy = iam.get_role_policy(RoleName=f"ml-{endpoint}-build-us-east-1", PolicyName="settings")["PolicyDocument"]
        may_clone = [s["Resource"] for s in policy["Statement"] if "codeconnections:UseConnection" in s["Action"]]
        name = f"ml-{endpoint}-sync"
        schedule = runbook.aws("scheduler").get_schedule(GroupName=name, Name=name)["ScheduleExpression"]
        told.append(
            {
                "repositories": f"tags {final}, {scanned}, {kept} are kept",
                "pipelines": ", ".join(stage["name"] for stage in stages),
                "source": "full clone, on push" if clone else json.dumps(source),
                "build image": project["environment"]["image"],
                "size of a build": project["environment"]["computeType"],
                "Docker in the build": "privileged" if project["environment"]["privilegedMode"] else "none",
                "clone permission": "in the role, for this connection"
                if may_clone == [source["ConnectionArn"]]
                else json.dumps(may_clone),
                "deploy": f"CodePipeline's {deploy['provider']} stage",
                "artifacts": f"a {'private, ' if private else ''}{'encrypted ' if encrypted else ''}bucket, "
                f"{rule['Expiration']['Days']} days",
                "weights": f"a schedule, every {schedule.removeprefix('rate(').removesuffix(')')}",
            }
        )
    return {key: both([each[key] for each in told]) for key in told[0]}


def walked(runbook: Runbook) -> Runbook:
    """The whole walk of the example, with both endpoints."""
    ml = ml_endpoints(runbook, "example.com")
    ml.settings["POLL_SECONDS"] = "15"
    s3: Any = ml.aws("s3")
    s3.create_bucket(Bucket="example-ml-weights")
    for endpoint in "ab":
        s3.put_object(Bucket="example-ml-weights", Key=f"{endpoint}/model.bin", Body=b"weights")
    ml.has_run("create_certificate.py", "create_cluster.py")
    ml.has_run("create_repository.py", ENDPOINT="a")
    assert ml.run("create_pipeline.py", ENDPOINT="a").code == 1, "its handshake must be finished by a person"
    connections.finish_handshakes(ml.emulator.world)
    for endpoint in "ab":
        ml.has_run(*ALL, ENDPOINT=endpoint)
    return ml


def test_the_table_tells_what_is_built(runbook: Runbook) -> None:
    originals.check("ml-endpoints", built(walked(runbook)))


def test_each_value_of_the_original_has_its_place() -> None:
    originals.check_places("ml-endpoints")


if __name__ == "__main__":
    print(markdown(), end="")
