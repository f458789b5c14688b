"""What the quick start builds and what is built here, property by property, compared with AWS after create.

python -m tests.examples.test_clara_train     prints the table
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from tests.conftest import ROOT, Runbook, issued
from tests.examples import originals

SERVED = ("create_cluster.py", "register_task_definition.py", "create_service.py")
BASTION = {"BASTION_KEY_NAME": "ops", "BASTION_ALLOWED_CIDR": "198.51.100.7/32", "KEY_NAME": "ops"}
OURS = [{"Name": "tag:gpu-ecs-cluster", "Values": ["clara-train"]}]
DEFAULT_KEEPS = re.compile(r'setting\("EFS_DELETION_POLICY", "(\w+)"')


def markdown() -> str:
    """The table, of a run in an account of its own."""
    runbook = originals.account("clara-train")
    runbook.settings["CERTIFICATE_ARN"] = issued(runbook)
    return originals.table("clara-train", built(runbook))


def built(clara: Runbook) -> dict[str, str]:
    """What is built here: of the example as it is, then with a bastion, with its hosts replaced, and at its end."""
    clara.aws("ec2").create_key_pair(KeyName="ops")
    clara.has_run(*SERVED)
    found: dict[str, str] = {}
    for part in (network, hosts, joining, roles, monitoring, storage, balancing, service, container, scaling):
        found |= part(clara)
    clara.has_run("create_cluster.py", **BASTION).settle(300)
    found |= bastion(clara)
    clara.has_run("update_cluster.py", ROOT_VOLUME_GIB="120", **BASTION)
    found |= replacing(clara)
    clara.has_run("delete_service.py", "delete_cluster.py --yes", **BASTION)
    return found | ending(clara)


def network(runbook: Runbook) -> dict[str, str]:
    ec2 = runbook.aws("ec2")
    subnets = ec2.describe_subnets(Filters=OURS)["Subnets"]
    blocks = {
        public: sorted(s["CidrBlock"] for s in subnets if s["MapPublicIpOnLaunch"] == public) for public in (0, 1)
    }
    gateways = ec2.describe_nat_gateways(Filters=OURS)["NatGateways"]
    zones = {each["SubnetId"]: each["AvailabilityZone"] for each in subnets}
    in_each = len({zones[gateway["SubnetId"]] for gateway in gateways}) == len(gateways)
    [vpc] = ec2.describe_vpcs(Filters=OURS)["Vpcs"]
    tables = ec2.describe_route_tables(Filters=OURS)["RouteTables"]
    through = [{key for route in table["Routes"] for key in route} for table in tables]
    private = sum("NatGatewayId" in keys for keys in through)
    [endpoint] = ec2.describe_vpc_endpoints(Filters=OURS)["VpcEndpoints"]
    every = {*endpoint["RouteTableIds"]} == {table["RouteTableId"] for table in tables}
    dns = [
        ec2.describe_vpc_attribute(VpcId=vpc["VpcId"], Attribute=name)[name[0].upper() + name[1:]]["Value"]
        for name in ("enableDnsSupport", "enableDnsHostnames")
    ]
    groups = ec2.describe_security_groups(Filters=OURS)["SecurityGroups"]
    ours = all(each["GroupName"].startswith("clara-train-") for each in groups)
    return {
        "VPC": vpc["CidrBlock"],
        "DNS": "support and host names" if all(dns) else str(dns),
        "DHCP options": "AWS's own" if vpc["DhcpOptionsId"] == "default" else vpc["DhcpOptionsId"],
        "private subnets": ", ".join(blocks[0]),
        "public subnets": ", ".join(blocks[1]),
        "NAT gateways": f"{len(gateways)}, {'one in each zone' if in_each else 'not in each zone'}",
        "route tables": f"{len(tables) - private} public, {private} private",
        "S3 endpoint": f"{endpoint['VpcEndpointType']}, for {'all subnets' if every else 'some subnets'}",
        "flow logs": str(len(ec2.describe_flow_logs()["FlowLogs"]) or "none"),
        "names": "clara-train-..." if ours else "",
        "tags of the VPC": ", ".join(sorted(tag["Key"] for tag in vpc["Tags"])),
    }


def rules(runbook: Runbook, name: str) -> list[Any]:
    filters = [{"Name": "group-name", "Values": [f"clara-train-{name}"]}]
    [group] = runbook.aws("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]
    return sorted(group["IpPermissions"], key=lambda rule: int(rule["FromPort"]))


def ports(found: list[Any]) -> str:
    pairs = [(rule["FromPort"], rule["ToPort"]) for rule in found]
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in pairs) or "none"


def bastions(runbook: Runbook) -> list[Any]:
    return instances(runbook, "bastion")


def instances(runbook: Runbook, part: str = "host") -> list[Any]:
    filters = [{"Name": "tag:gpu-ecs-part", "Values": [part]}, {"Name": "instance-state-name", "Values": ["running"]}]
    found = runbook.aws("ec2").describe_instances(Filters=filters)["Reservations"]
    return [instance for reservation in found for instance in reservation["Instances"]]


def template(runbook: Runbook, name: str) -> Any:
    """What the latest version of a launch template says; its user data as text."""
    described = runbook.aws("ec2").describe_launch_template_versions
    [version] = described(LaunchTemplateName=f"clara-train-{name}", Versions=["$Latest"])["LaunchTemplateVersions"]
    data = version["LaunchTemplateData"]
    return {**data, "UserData": base64.b64decode(data.get("UserData", "")).decode()}


def kind_of_image(runbook: Runbook, instance: Any) -> str:
    [image] = runbook.aws("ec2").describe_images(ImageIds=[instance["ImageId"]])["Images"]
    kind = "ECS GPU, " if "ecs-gpu" in image["Name"] else "ECS, " if "ecs" in image["Name"] else ""
    return f"{kind}Amazon Linux 2023" if "al2023" in image["Name"] else str(image["Name"])


def disk(found: Any) -> str:
    disks = [each["Ebs"] for each in found.get("BlockDeviceMappings", [])]
    told = [
        f"{ebs['VolumeSize']} GiB {ebs['VolumeType']}{', encrypted' if ebs.get('Encrypted') else ''}" for ebs in disks
    ]
    return "; ".join(told) or "as the AMI has it"


def group_of_hosts(runbook: Runbook) -> Any:
    named = {"AutoScalingGroupNames": ["clara-train-hosts"]}
    return runbook.aws("autoscaling").describe_auto_scaling_groups(**named)["AutoScalingGroups"][0]


def hosts(runbook: Runbook) -> dict[str, str]:
    group, found, launched = group_of_hosts(runbook), instances(runbook), template(runbook, "hosts")
    balancer = [rule for rule in rules(runbook, "hosts") if rule["FromPort"] not in (22, 2049)]
    detailed = found[0]["Monitoring"]["State"] == "enabled"
    return {
        "hosts": f"{len(found)} {found[0]['InstanceType']}",
        "size of their group": f"{group['MinSize']} to {group['MaxSize']}",
        "made from": "launch template" if "LaunchTemplate" in group else "launch configuration",
        "AMI": kind_of_image(runbook, found[0]),
        "disk": disk(launched),
        "hosts are": "public" if any("PublicIpAddress" in host for host in found) else "private",
        "key pair of the hosts": found[0].get("KeyName", "none"),
        "SSH to the hosts": ports([rule for rule in rules(runbook, "hosts") if rule["FromPort"] == 22]),
        "NFS to the hosts": ports([rule for rule in rules(runbook, "hosts") if rule["FromPort"] == 2049]),
        "ports of the hosts for the load balancer": ports(balancer),
        "instance metadata": f"IMDSv2 {found[0]['MetadataOptions']['HttpTokens']}",
        "EC2's own metrics": "each minute" if detailed else "every 5 minutes",
        "bastion": str(len(bastions(runbook)) or "none"),
    }


def joining(runbook: Runbook) -> dict[str, str]:
    group, script, ecs = group_of_hosts(runbook), template(runbook, "hosts")["UserData"], runbook.aws("ecs")
    joined = ecs.list_container_instances(cluster="clara-train", status="ACTIVE")["containerInstanceArns"]
    [cluster] = ecs.describe_clusters(clusters=["clara-train"], include=["SETTINGS"])["clusters"]
    [provider] = ecs.describe_capacity_providers(capacityProviders=cluster["capacityProviders"])["capacityProviders"]
    scaling = provider["autoScalingGroupProvider"]["managedScaling"]
    [insights] = [each["value"] for each in cluster["settings"] if each["name"] == "containerInsights"]
    return {
        "a host joins by": "its user data" if "ECS_CLUSTER=clara-train" in script else "",
        "create waits": f"until {len(joined)} hosts have joined the cluster",
        "file system on the hosts": "mounted" if "mount" in script else "not mounted",
        "protection from scale-in": "on, by ECS" if group["NewInstancesProtectedFromScaleIn"] else "none",
        "capacity provider": f"managed scaling to {scaling['targetCapacity']} %",
        "Container Insights": insights,
    }


def replacing(runbook: Runbook) -> dict[str, str]:
    """After a refresh of the hosts."""
    named = {"AutoScalingGroupName": "clara-train-hosts"}
    [refresh] = runbook.aws("autoscaling").describe_instance_refreshes(**named)["InstanceRefreshes"]
    healthy, size = refresh["Preferences"]["MinHealthyPercentage"], group_of_hosts(runbook)["DesiredCapacity"]
    suspended = [each["ProcessName"] for each in group_of_hosts(runbook)["SuspendedProcesses"]]
    return {
        "hosts are replaced": f"1 at a time, {size * healthy // 100} of {size} in service",
        "suspended meanwhile": ", ".join(suspended) or "none",
    }


def roles(runbook: Runbook) -> dict[str, str]:
    iam, ecs = runbook.aws("iam"), runbook.aws("ecs")
    ours = [role["RoleName"] for role in iam.list_roles()["Roles"] if "clara" in role["RoleName"]]
    task = ecs.describe_task_definition(taskDefinition="clara")["taskDefinition"]
    own = iam.get_role_policy(RoleName=task["taskRoleArn"].rpartition("/")[2], PolicyName="settings")
    actions = {action for statement in own["PolicyDocument"]["Statement"] for action in statement["Action"]}
    [found] = ecs.describe_services(cluster="clara-train", services=["clara"])["services"]
    [target] = runbook.aws("application-autoscaling").describe_scalable_targets(ServiceNamespace="ecs")[
        "ScalableTargets"
    ]
    mounts = all(action.startswith("elasticfilesystem:Client") for action in actions)
    linked = [arn.rpartition("/")[2] for arn in (found["roleArn"], target["RoleARN"]) if "/aws-service-role/" in arn]
    return {
        "roles": ", ".join(sorted(r.removeprefix("clara-train-").removesuffix("-us-east-1") for r in ours)),
        "host role": rights(runbook, "clara-train-host-us-east-1"),
        "images are pulled by": "the execution role" if "task-execution" in task["executionRoleArn"] else "",
        "role of the containers": "one of its own, to mount" if mounts else ", ".join(sorted(actions)),
        "role of the service": linked[0],
        "role of the scaling": linked[1],
    }


def monitoring(runbook: Runbook) -> dict[str, str]:
    read = runbook.aws("ssm").get_parameter
    agent = json.loads(read(Name="AmazonCloudWatch-clara-train")["Parameter"]["Value"])
    files = [each["file_path"] for each in agent["logs"]["logs_collected"]["files"]["collect_list"]]
    groups = runbook.aws("logs").describe_log_groups(logGroupNamePrefix="/ecs/clara-train/hosts")["logGroups"]
    script = template(runbook, "hosts")["UserData"]
    return {
        "CloudWatch agent": "configured, installed at boot" if "install -y amazon-cloudwatch-agent" in script else "",
        "metrics of the hosts": ", ".join(sorted(agent["metrics"]["metrics_collected"])),
        "logs of the hosts": ", ".join(sorted(file.rpartition("/")[2] for file in files)),
        "retention of the hosts' logs": ", ".join(sorted({f"{each['retentionInDays']} days" for each in groups})),
    }


def storage(runbook: Runbook) -> dict[str, str]:
    efs = runbook.aws("efs")
    [system] = efs.describe_file_systems()["FileSystems"]
    targets = efs.describe_mount_targets(FileSystemId=system["FileSystemId"])["MountTargets"]
    backup = efs.describe_backup_policy(FileSystemId=system["FileSystemId"])["BackupPolicy"]["Status"]
    [point] = efs.describe_access_points()["AccessPoints"]
    private = {target["SubnetId"] for target in targets} == {*group_of_hosts(runbook)["VPCZoneIdentifier"].split(",")}
    nfs = rules(runbook, "file-system")
    from_hosts = [len(rule["UserIdGroupPairs"]) for rule in nfs] == [1] and not nfs[0]["IpRanges"]
    return {
        "file system": f"{'encrypted' if system['Encrypted'] else 'plain'}, {system['PerformanceMode']}",
        "throughput": system["ThroughputMode"],
        "backups": "none" if backup == "DISABLED" else backup,
        "mount targets": f"{len(targets)}, {'one in each private subnet' if private else 'elsewhere'}",
        "NFS from": "the hosts' group" if from_hosts else json.dumps(nfs),
        "access point": f"{point['RootDirectory']['Path']}, uid {point['PosixUser']['Uid']}",
    }


def ending(runbook: Runbook) -> dict[str, str]:
    """After delete_cluster.py."""
    left = runbook.aws("efs").describe_file_systems()["FileSystems"]
    default = DEFAULT_KEEPS.search((ROOT / "constants.py").read_text())
    told = {"Retain": "kept", "Delete": "deleted"}[default[1]] if default else ""
    return {"file system at the end": f"{'kept' if left else 'deleted'}; {told}, by default"}


def balancing(runbook: Runbook) -> dict[str, str]:
    elb = runbook.aws("elbv2")
    [balancer] = elb.describe_load_balancers()["LoadBalancers"]
    [group] = elb.describe_target_groups()["TargetGroups"]
    arn = balancer["LoadBalancerArn"]
    listeners = {each["Port"]: each for each in elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]}
    https, to = listeners[443], listeners[80]["DefaultActions"][0]["RedirectConfig"]
    [rule] = [each for each in elb.describe_rules(ListenerArn=https["ListenerArn"])["Rules"] if not each["IsDefault"]]
    told = elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
    told += elb.describe_target_group_attributes(TargetGroupArn=group["TargetGroupArn"])["Attributes"]
    attributes = {each["Key"]: each["Value"] for each in told}
    dropped = attributes["routing.http.drop_invalid_header_fields.enabled"] == "true"
    times = f"every {group['HealthCheckIntervalSeconds']} s, {group['HealthCheckTimeoutSeconds']} s"
    counts = f"{group['HealthyThresholdCount']} good, {group['UnhealthyThresholdCount']} bad"
    blocks = {block["CidrIp"] for rule in rules(runbook, "load-balancer") for block in rule["IpRanges"]}
    asked = "ALLOWED_CIDR=" + ",".join(blocks) in (ROOT / "examples" / "clara-train.env").read_text().splitlines()
    [path] = rule["Conditions"][0]["PathPatternConfig"]["Values"]
    return {
        "load balancer": balancer["Scheme"],
        "open to": "a network that is asked for" if asked else ", ".join(sorted(blocks)),
        "ports of the load balancer": ports(rules(runbook, "load-balancer")),
        "HTTP": f"{to['StatusCode'].removeprefix('HTTP_')} to {to['Protocol']}",
        "TLS policy": https["SslPolicy"],
        "malformed headers": "dropped" if dropped else "passed on",
        "idle timeout": f"{attributes['idle_timeout.timeout_seconds']} s",
        "default action": https["DefaultActions"][0]["FixedResponseConfig"]["StatusCode"],
        "target group": f"{group['Protocol']} {group['Port']}, type {group['TargetType']}, "
        f"checked over {group['HealthCheckProtocol']}",
        "health check": f"{group['HealthCheckPath']} {times}, {counts}, {group['Matcher']['HttpCode']}",
        "deregistration delay": f"{attributes['deregistration_delay.timeout_seconds']} s",
        "listener rule": f"{path} at {rule['Priority']}",
    }


def service(runbook: Runbook) -> dict[str, str]:
    [found] = runbook.aws("ecs").describe_services(cluster="clara-train", services=["clara"])["services"]
    deploy, strategy = found["deploymentConfiguration"], found.get("capacityProviderStrategy")
    undo = ", rollback" if deploy["deploymentCircuitBreaker"]["rollback"] else ""
    return {
        "tasks": str(found["desiredCount"]),
        "placed by": "capacity provider" if strategy else f"launch type {found['launchType']}",
        "deployment": f"{deploy['minimumHealthyPercent']}/{deploy['maximumPercent']}{undo}",
        "grace period": f"{found['healthCheckGracePeriodSeconds']} s",
        "exec": "on" if found["enableExecuteCommand"] else "off",
    }


def container(runbook: Runbook) -> dict[str, str]:
    task = runbook.aws("ecs").describe_task_definition(taskDefinition="clara")["taskDefinition"]
    [main] = [each for each in task["containerDefinitions"] if each["name"] == "main"]
    [log] = runbook.aws("logs").describe_log_groups(logGroupNamePrefix="/ecs/clara-train", limit=1)["logGroups"]
    [port] = main["portMappings"]
    encrypted = task["volumes"][0]["efsVolumeConfiguration"]["transitEncryption"] == "ENABLED"
    waits_for = [each["containerName"] for each in main["dependsOn"]]
    units = task.get("cpu") or main.get("cpu") or "no"
    return {
        "family and container": f"{task['family']}, {main['name']}",
        "image": main["image"],
        "command": " ".join([*main["entryPoint"], *main["command"]]),
        "network": f"{task['networkMode']}, {port['containerPort']} on "
        f"{'port ' + str(port['hostPort']) if port['hostPort'] else 'a dynamic port'}",
        "size": f"{task['memory']} MiB for the task, {units} CPU units",
        "GPUs of a task": main["resourceRequirements"][0]["value"],
        "shared memory": f"{main['linuxParameters']['sharedMemorySize']} MiB",
        "volume": f"{main['mountPoints'][0]['containerPath']}, {'EFS over TLS' if encrypted else 'in the clear'}",
        "certificate of the container": "a container of the task" if waits_for == ["certificate"] else "",
        "log streams": f"begin with {main['logConfiguration']['options']['awslogs-stream-prefix']}",
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
    looks = {f"the {alarm['Statistic']}, each {alarm['Period']} s" for alarm in alarms.values()}
    return {
        "scaling": f"{target['MinCapacity']} to {target['MaxCapacity']}",
        "steps": f"{', '.join(told)}, cooldown {cooldown} s",
        "alarms look at": ", ".join(looks),
    }


def bastion(runbook: Runbook) -> dict[str, str]:
    """Where one is asked for."""
    ec2, launched = runbook.aws("ec2"), template(runbook, "bastion")
    [found] = bastions(runbook)
    fixed = [each for each in ec2.describe_addresses()["Addresses"] if each.get("InstanceId") == found["InstanceId"]]
    profile = found.get("IamInstanceProfile", {}).get("Arn", "").rpartition("/")[2]
    logs = [each["logGroupName"] for each in runbook.aws("logs").describe_log_groups()["logGroups"]]
    return {
        "bastion: type": found["InstanceType"],
        "bastion: AMI": kind_of_image(runbook, found),
        "bastion: address": "an Elastic IP" if fixed else "a public one" if found.get("PublicIpAddress") else "none",
        "bastion: open": ports(rules(runbook, "bastion")),
        "bastion: role": of_profile(runbook, profile) if profile else "none",
        "bastion: disk": disk(launched),
        "bastion: metadata": f"IMDSv2 {found['MetadataOptions']['HttpTokens']}",
        "bastion: log of commands": ", ".join(name for name in logs if "bastion" in name) or "none",
        "bastion: boot script": launched["UserData"] or "none",
    }


def of_profile(runbook: Runbook, profile: str) -> str:
    [role] = runbook.aws("iam").get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]["Roles"]
    return rights(runbook, role["RoleName"])


def rights(runbook: Runbook, role: str) -> str:
    """The policies that a role has, and the services of which its inline ones speak."""
    iam = runbook.aws("iam")
    told = [policy["PolicyName"] for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]]
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        statements = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]["Statement"]
        listed = [each["Action"] if isinstance(each["Action"], list) else [each["Action"]] for each in statements]
        actions = [action for each in listed for action in each]
        told.append("inline " + ", ".join(sorted({action.partition(":")[0] for action in actions})))
    return "; ".join(told)


def test_the_table_tells_what_is_built(clara: Runbook) -> None:
    originals.check("clara-train", built(clara))


def test_each_value_of_the_quick_start_has_its_place() -> None:
    originals.check_places("clara-train")


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
