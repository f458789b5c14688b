"""What the quick start builds and what is built here, property by property, compared with AWS after create.

python -m tests.examples.test_clara_train     prints the README's table
"""

from __future__ import annotations

import json
from typing import Any

from tests.conftest import Runbook

SERVED = ("create_cluster.py", "register_task_definition.py", "create_service.py")

STEPS = "+1 above 90 % for 3 min, -1 below 70 % for 10 min, cooldown 1800 s"
#: property, what the quick start builds, what is built here, why it differs (empty: it does not)
TABLE = [
    ("VPC", "10.0.0.0/16", "10.0.0.0/16", ""),
    ("private subnets", "10.0.0.0/19, 10.0.32.0/19", "10.0.0.0/19, 10.0.32.0/19", ""),
    ("public subnets", "10.0.128.0/20, 10.0.144.0/20", "10.0.128.0/20, 10.0.144.0/20", ""),
    ("NAT gateways", "2, one in each zone", "2, one in each zone", ""),
    ("S3 endpoint", "none", "Gateway", "free, and image layers then pass no NAT gateway"),
    ("hosts", "1 p3.2xlarge", "2 g4dn.2xlarge", "P3 is no longer offered; a deploy finds a free GPU, a zone may fail"),
    ("made from", "launch configuration", "launch template", "AWS takes launch configurations of new accounts no more"),
    ("AMI", "ECS GPU, Amazon Linux 2", "ECS GPU, Amazon Linux 2023", "Amazon Linux 2 is at its end"),
    ("hosts are", "private", "private", ""),
    (
        "SSH to the hosts",
        "from the bastion",
        "none",
        "Session Manager needs no open port; a bastion is made when asked for",
    ),
    (
        "instance metadata",
        "IMDSv1 and v2",
        "IMDSv2 required",
        "a request forged through a container gets no credentials",
    ),
    ("roles", "1 host role with inline actions", "host, task, task-execution", "each has only what it needs"),
    ("file system", "encrypted, generalPurpose", "encrypted, generalPurpose", ""),
    ("mount targets", "2, one in each private subnet", "2, one in each private subnet", ""),
    ("NFS from", "the whole VPC", "the hosts' group", "nothing else needs it"),
    (
        "ports of the hosts",
        "80, 443, 32768-65535",
        "32768-65535",
        "tasks have dynamic ports, nothing listens on 80 or 443",
    ),
    ("load balancer", "internet-facing", "internet-facing", ""),
    ("ports of the load balancer", "443", "80, 443", "80 redirects to 443"),
    (
        "TLS policy",
        "ELBSecurityPolicy-2016-08",
        "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
        "TLS 1.0 and 1.1 are broken",
    ),
    ("default action", "forward to an empty group", "404", "the answer is the same for all, without a group"),
    ("target group", "HTTPS 443", "HTTPS 443", ""),
    ("health check", "/docs/ every 30 s, 5 s, 2, 200-299", "/docs/ every 30 s, 5 s, 2, 200-299", ""),
    ("listener rule", "/*", "/*", ""),
    ("tasks", "1", "1", ""),
    ("memory", "24576 MiB", "24576 MiB", ""),
    ("GPUs of a task", "1", "1", ""),
    ("grace period", "180 s", "180 s", ""),
    ("volume", "/workspace, NFS in the clear", "/workspace, EFS over TLS", "encrypted on the way, by an access point"),
    (
        "certificate of the container",
        "the host's boot script",
        "a container of the task",
        "made anew 30 days before its end",
    ),
    ("deployment", "100/200, no circuit breaker", "100/200, rollback", "a bad revision goes back by itself"),
    ("log retention", "365 days", "365 days", ""),
    ("scaling", "1 to 1", "1 to 2", "from 1 to 1 nothing ever scales"),
    ("steps", STEPS, STEPS, ""),
]


def markdown() -> str:
    rows = ["| property | quick start | here | why it differs |", "| --- | --- | --- | --- |"]
    return "\n".join([*rows, *("| " + " | ".join(row) + " |" for row in TABLE)]) + "\n"


def network(runbook: Runbook) -> dict[str, str]:
    ec2 = runbook.aws("ec2")
    ours = [{"Name": "tag:gpu-ecs-cluster", "Values": ["clara-train"]}]
    subnets = ec2.describe_subnets(Filters=ours)["Subnets"]
    blocks = {
        public: sorted(s["CidrBlock"] for s in subnets if s["MapPublicIpOnLaunch"] == public) for public in (0, 1)
    }
    gateways = ec2.describe_nat_gateways(Filters=ours)["NatGateways"]
    zones = {each["SubnetId"]: each["AvailabilityZone"] for each in subnets}
    in_each = len({zones[gateway["SubnetId"]] for gateway in gateways}) == len(gateways)
    return {
        "VPC": ec2.describe_vpcs(Filters=ours)["Vpcs"][0]["CidrBlock"],
        "private subnets": ", ".join(blocks[0]),
        "public subnets": ", ".join(blocks[1]),
        "NAT gateways": f"{len(gateways)}, {'one in each zone' if in_each else 'not in each zone'}",
        "S3 endpoint": ec2.describe_vpc_endpoints(Filters=ours)["VpcEndpoints"][0]["VpcEndpointType"],
    }


def rules(runbook: Runbook, name: str) -> list[Any]:
    filters = [{"Name": "group-name", "Values": [f"clara-train-{name}"]}]
    [group] = runbook.aws("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]
    return sorted(group["IpPermissions"], key=lambda rule: int(rule["FromPort"]))


def ports(found: list[Any]) -> str:
    pairs = [(rule["FromPort"], rule["ToPort"]) for rule in found]
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in pairs)


def hosts(runbook: Runbook) -> dict[str, str]:
    ec2 = runbook.aws("ec2")
    [group] = runbook.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    found = [i for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]]
    [image] = ec2.describe_images(ImageIds=[found[0]["ImageId"]])["Images"]
    roles = [role["RoleName"] for role in runbook.aws("iam").list_roles()["Roles"] if "clara" in role["RoleName"]]
    ssh = [rule for rule in rules(runbook, "hosts") if rule["FromPort"] <= 22]
    return {
        "hosts": f"{len(found)} {found[0]['InstanceType']}",
        "made from": "launch template" if "LaunchTemplate" in group else "launch configuration",
        "AMI": "ECS GPU, Amazon Linux 2023" if "al2023-ami-ecs-gpu" in image["Name"] else image["Name"],
        "hosts are": "public" if any("PublicIpAddress" in host for host in found) else "private",
        "SSH to the hosts": ports(ssh) or "none",
        "instance metadata": f"IMDSv2 {found[0]['MetadataOptions']['HttpTokens']}",
        "roles": ", ".join(sorted(r.removeprefix("clara-train-").removesuffix("-us-east-1") for r in roles)),
        "ports of the hosts": ports(rules(runbook, "hosts")),
    }


def storage(runbook: Runbook) -> dict[str, str]:
    efs = runbook.aws("efs")
    [system] = efs.describe_file_systems()["FileSystems"]
    targets = efs.describe_mount_targets(FileSystemId=system["FileSystemId"])["MountTargets"]
    [group] = runbook.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    private = {target["SubnetId"] for target in targets} == set(group["VPCZoneIdentifier"].split(","))
    nfs = rules(runbook, "file-system")
    from_hosts = [len(rule["UserIdGroupPairs"]) for rule in nfs] == [1] and not nfs[0]["IpRanges"]
    return {
        "file system": f"{'encrypted' if system['Encrypted'] else 'plain'}, {system['PerformanceMode']}",
        "mount targets": f"{len(targets)}, {'one in each private subnet' if private else 'elsewhere'}",
        "NFS from": "the hosts' group" if from_hosts else json.dumps(nfs),
    }


def balancing(runbook: Runbook) -> dict[str, str]:
    elb = runbook.aws("elbv2")
    [balancer] = elb.describe_load_balancers()["LoadBalancers"]
    [group] = elb.describe_target_groups()["TargetGroups"]
    listeners = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    [https] = [listener for listener in listeners if listener["Port"] == 443]
    found = elb.describe_rules(ListenerArn=https["ListenerArn"])["Rules"]
    times = f"every {group['HealthCheckIntervalSeconds']} s, {group['HealthCheckTimeoutSeconds']} s"
    return {
        "load balancer": balancer["Scheme"],
        "ports of the load balancer": ports(rules(runbook, "load-balancer")),
        "TLS policy": https["SslPolicy"],
        "default action": https["DefaultActions"][0]["FixedResponseConfig"]["StatusCode"],
        "target group": f"{group['Protocol']} {group['Port']}",
        "health check": f"{group['HealthCheckPath']} {times}, {group['HealthyThresholdCount']}, {group['Matcher']['HttpCode']}",
        "listener rule": ", ".join(v for r in found for c in r["Conditions"] for v in c["PathPatternConfig"]["Values"]),
    }


def service(runbook: Runbook) -> dict[str, str]:
    ecs = runbook.aws("ecs")
    [found] = ecs.describe_services(cluster="clara-train", services=["clara"])["services"]
    task = ecs.describe_task_definition(taskDefinition="clara")["taskDefinition"]
    [main] = [each for each in task["containerDefinitions"] if each["name"] == "main"]
    [log] = runbook.aws("logs").describe_log_groups(logGroupNamePrefix="/ecs/clara-train", limit=1)["logGroups"]
    deploy = found["deploymentConfiguration"]
    encrypted = task["volumes"][0]["efsVolumeConfiguration"]["transitEncryption"] == "ENABLED"
    waits_for = [each["containerName"] for each in main["dependsOn"]]
    return {
        "tasks": str(found["desiredCount"]),
        "memory": f"{task['memory']} MiB",
        "GPUs of a task": main["resourceRequirements"][0]["value"],
        "grace period": f"{found['healthCheckGracePeriodSeconds']} s",
        "volume": f"{main['mountPoints'][0]['containerPath']}, {'EFS over TLS' if encrypted else 'in the clear'}",
        "certificate of the container": "a container of the task" if waits_for == ["certificate"] else "",
        "deployment": f"{deploy['minimumHealthyPercent']}/{deploy['maximumPercent']}"
        + (", rollback" if deploy["deploymentCircuitBreaker"]["rollback"] else ""),
        "log retention": f"{log['retentionInDays']} days",
    }


def scaling(runbook: Runbook) -> dict[str, str]:
    autoscaling = runbook.aws("application-autoscaling")
    [target] = autoscaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    policies = autoscaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]
    alarms = {a["AlarmActions"][0]: a for a in runbook.aws("cloudwatch").describe_alarms()["MetricAlarms"]}
    told = []
    for policy in sorted(policies, key=lambda each: str(each["PolicyName"]), reverse=True):
        [step] = policy["StepScalingPolicyConfiguration"]["StepAdjustments"]
        alarm = alarms[policy["PolicyARN"]]
        side = "above" if alarm["ComparisonOperator"] == "GreaterThanThreshold" else "below"
        minutes = alarm["EvaluationPeriods"] * alarm["Period"] // 60
        told.append(f"{step['ScalingAdjustment']:+d} {side} {alarm['Threshold']:.0f} % for {minutes} min")
    cooldown = policies[0]["StepScalingPolicyConfiguration"]["Cooldown"]
    return {
        "scaling": f"{target['MinCapacity']} to {target['MaxCapacity']}",
        "steps": f"{', '.join(told)}, cooldown {cooldown} s",
    }


def test_what_is_built_is_what_the_table_says(clara: Runbook) -> None:
    clara.has_run(*SERVED)
    built: dict[str, str] = {}
    for part in (network, hosts, storage, balancing, service, scaling):
        built |= part(clara)
    assert built == {name: here for name, _, here, _ in TABLE}


def test_whatever_differs_from_the_quick_start_has_a_reason() -> None:
    assert [row[0] for row in TABLE if (row[1] != row[2]) != bool(row[3])] == []


def test_hosts_that_do_not_join_are_told_and_kept_for_a_look(clara: Runbook) -> None:
    clara.emulator.world.settings.agents_register = False
    ran = clara.run("create_cluster.py", WAIT_TIMEOUT_SECONDS="600")
    assert (ran.code, ran.out) == (3, "")
    assert "its ECS agent has not joined the cluster" in ran.err
    assert "its console ends with: " in ran.err
    assert clara.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]


def test_any_nvidia_type_works(clara: Runbook) -> None:
    clara.has_run(*SERVED, INSTANCE_TYPE="g4dn.2xlarge")
    assert hosts(clara)["hosts"] == "2 g4dn.2xlarge"


if __name__ == "__main__":
    print(markdown(), end="")
