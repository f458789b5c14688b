"""Why a task can not start, in ECS's own words: roles, network, images, log groups, secrets, EFS.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html
"""

from __future__ import annotations

import json
import re
from typing import Any

from moto.ec2.models import ec2_backends

from emulator.core import partitions, rules
from emulator.core.rules import held
from emulator.core.world import ACCOUNT, World
from emulator.ec2.instances import instance, interfaces_of
from emulator.ec2.region import find_group, region_of
from emulator.ecr.repositories import find_image, repository_policy
from emulator.ecs import secrets, start_up
from emulator.ecs.state import FARGATE, Item, Task
from emulator.efs import file_systems
from emulator.iam import roles as iam_roles
from emulator.iam.policies import decide_for_role, may, refusal
from emulator.logs import log_groups
from emulator.registry import images
from emulator.registry.http import REGISTRIES
from emulator.registry.images import DOCKER_HUB, Image

rules.SENTENCES["ecs-061"] = (
    "Image, role, log, secret and EFS errors show only in a task that is STOPPED with TaskFailedToStart and a reason."
)
rules.SENTENCES["ecs-085"] = (
    "What AWS does in a role's name (pull, log, read secrets, build, deploy, run on a schedule) needs the action on that "
    "very resource."
)
rules.SENTENCES["logs-004"] = (
    "The awslogs driver makes a missing log group only with awslogs-create-group and a role that may create it."
)
rules.SENTENCES["ec2-033"] = (
    "A route to an internet gateway is a way out only for an interface with a public address: an instance without one "
    "never joins its cluster, unless the VPC has ECS's three endpoints."
)
rules.SENTENCES["ecs-089"] = (
    "On EC2 an awsvpc task's interface gets no public address: images, secrets and logs go by the host's interface, what "
    "runs in the task (ECS Exec, S3) by its own, and in a public subnet reaches nothing but endpoints."
)
held("ecs-061 ecs-085 logs-004", "ecs.problems: what stands in a starting task's way")
rules.SENTENCES["ecs-087"] = (
    "A container reaches its host's metadata, and the host's role, in host mode always; in bridge mode with a hop limit of "
    "2 or without IMDSv2; in awsvpc without ECS_AWSVPC_BLOCK_IMDS."
)
held("ecs-087", "ecs.problems: whose rights what runs in a task has")
held("ec2-033 ecs-089", "ecs.problems: whether a host, and what runs in a task, reach AWS")

held("ecs-090 ecs-091 ecs-092", "ecs.problems: the images and commands of a starting task")

ECR = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/(.+)")


# ------------------------------------------------------------------------------------------------ roles


def role_problem(world: World, role: str | None) -> str | None:
    """What is said of a role that ECS can not take on: unknown, not known everywhere yet, or of another trust."""
    if not role:
        return None
    if iam_roles.role_usable(world, role):
        document = iam_roles.find_role(role).assume_role_policy_document
        text = document if isinstance(document, str) else json.dumps(document)
        if "ecs-tasks.amazonaws.com" in text:
            return None
    arn = role if role.startswith("arn:") else f"arn:{partitions.here()}:iam::{ACCOUNT}:role/{role}"
    return (
        f"ECS was unable to assume the role '{arn}' that was provided for this task. Please verify that the role being "
        "passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this "
        "role."
    )


def role_within(world: World, task: Task) -> str:
    """Whose rights what runs in a task has: the task role's, without one the host's where the metadata is open to it; or ""."""
    role = task.overrides.get("taskRoleArn") or task.definition.get("taskRoleArn")
    if role:
        return str(role).rpartition("/")[2]
    return (task.instance.role or "") if task.instance and _reaches_metadata(world, task) else ""


def _reaches_metadata(world: World, task: Task) -> bool:
    """https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html"""
    machine = instance(world, task.region, task.instance.ec2_id) if task.instance else {}
    options, mode = machine.get("MetadataOptions") or {}, task.definition.get("networkMode") or "bridge"
    if options.get("HttpEndpoint") == "disabled" or mode == "none":
        return False
    if mode == "bridge":
        return options.get("HttpTokens") != "required" or int(options.get("HttpPutResponseHopLimit", 1)) > 1
    return mode == "host" or "ECS_AWSVPC_BLOCK_IMDS=true" not in machine.get("UserData", "")


def stop_timeout(world: World, task: Task) -> float:
    """ECS_CONTAINER_STOP_TIMEOUT of the host's agent, which counts where a container says nothing; 0 for none.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-config.html
    """
    machine = instance(world, task.region, task.instance.ec2_id) if task.instance else {}
    found = re.findall(
        r"^[^#\n]*?\bECS_CONTAINER_STOP_TIMEOUT=(\d+)(m?)", machine.get("UserData", "").replace("\\n", "\n"), re.M
    )
    return float(found[-1][0]) * (60 if found[-1][1] else 1) if found else 0.0


def roles_problem(world: World, definition: Item, overrides: Item) -> str | None:
    """The first of a task's roles that can not be assumed."""
    for key in ("executionRoleArn", "taskRoleArn"):
        if problem := role_problem(world, overrides.get(key) or definition.get(key)):
            return problem
    return None


def _puller(task: Task) -> str | None:
    """Whose rights count for images and logs: the execution role's, on EC2 without one the instance's."""
    role = task.overrides.get("executionRoleArn") or task.definition.get("executionRoleArn")
    if role:
        return str(role).rpartition("/")[2]
    return task.instance.role if task.instance else None


def _denied(role: str | None, task: Task, action: str, resource: str) -> str:
    decision = decide_for_role(role, action, resource)
    return f"AccessDeniedException: {refusal(decision, iam_roles.session_arn(role, task.id), action, resource)}"


# ------------------------------------------------------------------------------------------------ network


def way_out(world: World, region: str, subnet_id: str, public_ip: bool) -> bool:
    """Can a machine in this subnet reach the internet: a gateway and a public address, or a working NAT?"""
    backend: Any = ec2_backends[ACCOUNT][region]
    route = _default_route(backend, subnet_id)
    if route is None:
        return False
    nat = getattr(route, "nat_gateway", None)
    if nat is not None:
        nat_id = nat if isinstance(nat, str) else nat.id
        gateway = region_of(world, region).nat_gateways.get(nat_id)
        return gateway is not None and gateway.get("State") == "available"
    if getattr(route, "gateway", None) is not None:
        return public_ip
    return getattr(route, "transit_gateway", None) is not None or getattr(route, "instance", None) is not None


def host_connects(world: World, region: str, machine: Item) -> bool:
    """Can an agent reach ECS: by the internet, or by the three endpoints that it needs?

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/vpc-endpoints.html
    """
    by_endpoints = {"ecs", "ecs-agent", "ecs-telemetry"} <= _endpoints(region, machine.get("SubnetId") or "")
    return by_endpoints or _host_way_out(world, region, machine)


def _host_way_out(world: World, region: str, machine: Item) -> bool:
    return way_out(world, region, machine.get("SubnetId") or "", bool(machine.get("PublicIpAddress")))


def reaches(world: World, task: Task, service: str) -> bool:
    """Can what runs in a task reach this service? By the task's own interface; outside awsvpc by its host's.

    What the agent does for a task (images, secrets, logs) goes by the host's interface in any mode; on Fargate too it is
    the task's. https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-networking-awsvpc.html
    """
    if task.interface is not None:
        subnet_id = task.subnet or ""
        out = way_out(world, task.region, subnet_id, bool(task.interface.get("Association")))
    else:
        machine = instance(world, task.region, task.instance.ec2_id) if task.instance else {}
        subnet_id, out = machine.get("SubnetId") or "", _host_way_out(world, task.region, machine)
    return out or service in _endpoints(task.region, subnet_id)


def _default_route(backend: Any, subnet_id: str) -> Any:
    """The 0.0.0.0/0 route of the table that a subnet is in: its own, or the VPC's main one."""
    subnet = next((zone[subnet_id] for zone in backend.subnets.values() if subnet_id in zone), None)
    if subnet is None:
        return None
    tables = [table for table in backend.route_tables.values() if table.vpc_id == subnet.vpc_id]
    own = [table for table in tables if subnet_id in table._associations.values()]
    main = [table for table in tables if table.main_association_id is not None]
    for table in own or main:
        return next((route for route in table.routes if route.destination_cidr_block == "0.0.0.0/0"), None)
    return None


def _endpoints(region: str, subnet_id: str) -> set[str]:
    """The services that the subnet's VPC has endpoints for: ecr.api, ecr.dkr, s3, logs and so on."""
    backend: Any = ec2_backends[ACCOUNT][region]
    subnet = next((zone[subnet_id] for zone in backend.subnets.values() if subnet_id in zone), None)
    return {
        str(endpoint.service_name).partition(f"{region}.")[2]
        for endpoint in backend.vpc_end_points.values()
        if subnet is not None and endpoint.vpc_id == subnet.vpc_id
    }


# ------------------------------------------------------------------------------------------------ images, secrets


def _reference(image: str) -> str:
    """An image as containerd writes it: docker.io/library/nginx:latest."""
    return images.key(*images.parts(image))


def before_pull(world: World, task: Task) -> tuple[float, str] | None:
    """Secrets and registry logins are fetched first: seconds after which it is given up, and why."""
    for container in task.definition["containerDefinitions"]:
        if problem := secrets.problem(_puller(task), task.id, task.region, container):
            return 5, problem
        if problem := start_up.problem(_puller(task), task.id, task.region, container):
            return 5, problem
    if task.launch_type != "FARGATE":
        return None
    connected = reaches(world, task, "")
    for container in task.definition["containerDefinitions"]:
        ecr = ECR.match(container["image"])
        if ecr and not may(_puller(task), "ecr:GetAuthorizationToken"):
            denied = _denied(_puller(task), task, "ecr:GetAuthorizationToken", "*")
            return 5, (
                "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval "
                f"failed: unable to retrieve ecr registry auth: service call has been retried 1 time(s): {denied}"
            )
        if not connected and not (ecr and {"ecr.api", "ecr.dkr", "s3"} <= _endpoints(task.region, task.subnet or "")):
            return 150, _unreachable(task.region, container["image"], ecr is not None)
    return None


def _unreachable(region: str, image: str, ecr: bool) -> str:
    if ecr:
        return (
            "ResourceInitializationError: unable to pull secrets or registry auth: The task cannot pull registry auth "
            "from Amazon ECR: There is a connection issue between the task and Amazon ECR. Check your task network "
            f'configuration. RequestError: send request failed caused by: Post "https://api.ecr.{region}.{partitions.domain(region)}'
            '/": dial tcp 203.0.113.10:443: i/o timeout'
        )
    reference = _reference(image)
    host, _, path = reference.partition("/")
    host = "registry-1.docker.io" if host == "docker.io" else host
    return (
        f"CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref {reference}: "
        f'failed to do request: Head "https://{host}/v2/{path.replace(":", "/manifests/")}": '
        "dial tcp 203.0.113.10:443: i/o timeout"
    )


def _pull_denied(task: Task, region: str, image: str) -> str | None:
    """The puller needs a token of the registry, and the repository's manifest and layers: by its own policies or ECR's."""
    role, (host, name, tag) = _puller(task), images.parts(image)
    arn, policy = f"arn:{partitions.here()}:ecr:{region}:{ACCOUNT}:repository/{name}", repository_policy(region, name)
    if task.launch_type not in FARGATE and not may(role, "ecr:GetAuthorizationToken"):
        return f"CannotPullECRContainerError: {_denied(role, task, 'ecr:GetAuthorizationToken', '*')}"
    for action in ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"):
        decision = decide_for_role(role, action, arn, resource_policy=policy)
        if decision:
            continue
        told = f"denied: {refusal(decision, iam_roles.session_arn(role, task.id), action, arn)}"
        if task.launch_type in FARGATE:
            pulling = f"failed to resolve ref {_reference(image)}: pulling from host {host}"
            return f"{RETRIED} {pulling} failed with status code [manifests {tag}]: 403 Forbidden"
        if action == "ecr:GetDownloadUrlForLayer":
            return (
                f"CannotPullContainerError: error pulling image configuration: download failed after attempts=1: {told}"
            )
        return f"{DAEMON} pull access denied for {host}/{name}, repository does not exist or may require 'docker login': {told}"
    return None


def image_of(world: World, image: str) -> Image | None:
    """What a name leads to: in ECR of this account what was pushed, elsewhere what there is."""
    if ecr := ECR.match(image):
        _, repository, reference = images.parts(image)
        return find_image(world, ecr[2], repository, reference) if ecr[1] == ACCOUNT else None
    return images.find(world, image)


def image_problem(world: World, task: Task, container: Item) -> str | None:
    """Why an image can not be pulled, in the words of Docker or, on Fargate, of containerd."""
    image = container["image"]
    found, ecr = image_of(world, image), ECR.match(image)
    if found is None:
        return _no_such_image(world, task, image)
    if ecr and (denied := _pull_denied(task, ecr[2], image)):
        return denied
    given = start_up.credentials(_puller(task), task.id, task.region, container)
    if found.access == "private" and not start_up.lets_in(found, given):
        return _private(task, image)
    if found.access == "limited":
        return _limited(task, image)
    if found.is_index and platform_of(task) not in found.platforms:
        if task.launch_type == "FARGATE":
            return f"{RETRIED} image Manifest does not contain descriptor matching platform '{platform_of(task)}'"
        return f"{DAEMON} no matching manifest for {platform_of(task)} in the manifest list entries"
    if task.instance is not None and 0 < task.instance.disk * 2**30 < found.size:
        return "CannotPullContainerError: failed to register layer: write /var/lib/docker: no space left on device"
    return None


DAEMON = "CannotPullContainerError: Error response from daemon:"
RETRIED = "CannotPullContainerError: pull image manifest has been retried 1 time(s):"


def platform_of(task: Task) -> str:
    """What the machine under a task runs."""
    if task.instance is not None:
        arm = task.instance.attributes.get("ecs.cpu-architecture") == "arm64"
    else:
        arm = (task.definition.get("runtimePlatform") or {}).get("cpuArchitecture") == "ARM64"
    return "linux/arm64" if arm else "linux/amd64"


def _no_such_image(world: World, task: Task, image: str) -> str:
    host, repository, tag = images.parts(image)
    if task.launch_type == "FARGATE":
        return f"{RETRIED} failed to resolve ref {_reference(image)}: {_reference(image)}: not found"
    name = image.partition("@")[0].removesuffix(f":{tag}")
    if ECR.match(image) or images.tags_of(world, host, repository):
        return f"{DAEMON} manifest for {name}:{tag} not found: manifest unknown: manifest unknown"
    return _access_denied(name)


def _access_denied(name: str) -> str:
    return (
        f"{DAEMON} pull access denied for {name}, repository does "
        "not exist or may require 'docker login': denied: requested access to the resource is denied"
    )


def _manifest_url(image: str) -> str:
    host, repository, tag = images.parts(image)
    return f"https://{'registry-1.docker.io' if host == DOCKER_HUB else host}/v2/{repository}/manifests/{tag}"


def _private(task: Task, image: str) -> str:
    """Docker Hub says no more than of a repository that is not there."""
    host, repository, tag = images.parts(image)
    if task.launch_type == "FARGATE":
        realm = next((realm for name, realm, _ in REGISTRIES.values() if name == host), f"https://{host}/token")
        asked = f"{realm}?scope=repository%3A{repository.replace('/', '%2F')}%3Apull"
        reason = f"failed to authorize: failed to fetch anonymous token: unexpected status from GET request to {asked}"
        return f"{RETRIED} failed to resolve ref {_reference(image)}: {reason}: 401 Unauthorized"
    if host == DOCKER_HUB:
        return _access_denied(image.removesuffix(f":{tag}"))
    return f'{DAEMON} Head "{_manifest_url(image)}": unauthorized: authentication required'


def _limited(task: Task, image: str) -> str:
    told = "toomanyrequests: You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit"
    if task.launch_type == "FARGATE":
        status = f"unexpected status code {_manifest_url(image)}: 429 Too Many Requests"
        return f"{RETRIED} httpReadSeeker: failed open: {status} - Server message: {told}"
    return f"{DAEMON} {told}"


def start_problem(world: World, task: Task, container: Item) -> str | None:
    """Why a container that was created does not start: nothing to run in it, or no such program in its image.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html
    """
    words = [*(container.get("entryPoint") or []), *(container.get("command") or [])]
    if not words:
        return "CannotCreateContainerError: Error response from daemon: no command specified"
    image = image_of(world, container["image"])
    if image is None or image.has(words[0]):
        return None
    missing = "executable file not found in $PATH"
    if "/" in words[0]:
        missing = f"stat {words[0]}: no such file or directory"
    return (
        "CannotStartContainerError: Error response from daemon: failed to create task for container: failed to create "
        "shim task: OCI runtime create failed: runc create failed: unable to start container process: "
        f'exec: "{words[0]}": {missing}: unknown'
    )


# ------------------------------------------------------------------------------------------------ volumes, logs


def volume_problem(world: World, task: Task) -> str | None:
    """Why one of the task's EFS volumes can not be mounted."""
    mounted = {
        mount["sourceVolume"]
        for container in task.definition["containerDefinitions"]
        for mount in container.get("mountPoints", [])
    }
    for volume in task.definition.get("volumes", []):
        configuration = volume.get("efsVolumeConfiguration")
        if configuration is None or volume["name"] not in mounted:
            continue
        subnet, groups = _network_of(task)
        zone, role = task.zone or "", task.overrides.get("taskRoleArn") or task.definition.get("taskRoleArn")
        problem = file_systems.mount_problem(world, task.region, configuration, subnet, zone, groups, role)
        if problem:
            return f"ResourceInitializationError: {problem}"
    return None


def _network_of(task: Task) -> tuple[str, list[str]]:
    """Subnet and security groups from which the task mounts: on EC2 outside awsvpc those of its instance."""
    subnet = task.subnet if task.interface is not None else task.instance.subnet if task.instance else ""
    return subnet or "", [group.id for group in task_groups(task)]


def task_groups(task: Task) -> list[Any]:
    """The security groups (moto's own) in front of a task."""
    if task.interface is not None:
        return [find_group(task.region, group["GroupId"]) for group in task.interface.get("Groups", [])]
    if task.instance is None:
        return []
    return [group for interface in interfaces_of(task.region, task.instance.ec2_id) for group in interface.group_set]


def log_stream(task: Task, container: Item, runtime_id: str) -> tuple[str, str, str] | None:
    """(region, group, stream) of a container that logs to CloudWatch."""
    logging = container.get("logConfiguration") or {}
    if logging.get("logDriver") != "awslogs":
        return None
    options = logging.get("options") or {}
    prefix = options.get("awslogs-stream-prefix")
    stream = f"{prefix}/{container['name']}/{task.id}" if prefix else runtime_id
    return options.get("awslogs-region") or task.region, options.get("awslogs-group", ""), stream


def may_log(task: Task, place: tuple[str, str, str]) -> bool:
    """Without this right the driver has a stream, and nothing comes into it."""
    region, group, stream = place
    arn = f"arn:{partitions.here()}:logs:{region}:{ACCOUNT}:log-group:{group}:log-stream:{stream}"
    return may(_puller(task), "logs:PutLogEvents", arn)


def log_problem(world: World, task: Task, container: Item, runtime_id: str) -> str | None:
    """Why the awslogs driver can not start; a group that it may make is made here."""
    place = log_stream(task, container, runtime_id)
    if place is None:
        return None
    region, group, stream = place
    role = _puller(task)
    create = str(container["logConfiguration"]["options"].get("awslogs-create-group", "")).lower() == "true"
    resource = f"arn:{partitions.here()}:logs:{region}:{ACCOUNT}:log-group:{group}:log-stream:{stream}"
    group_arn = f"arn:{partitions.here()}:logs:{region}:{ACCOUNT}:log-group:{group}:log-stream:"
    exists = log_groups.group_exists(world, region, group)
    if create and not exists and not may(role, "logs:CreateLogGroup", group_arn):
        reason = "failed to create Cloudwatch log group: " + _denied(role, task, "logs:CreateLogGroup", group_arn)
    elif not create and not exists:
        reason = (
            "failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist."
        )
    elif not may(role, "logs:CreateLogStream", resource):
        reason = "failed to create Cloudwatch log stream: " + _denied(role, task, "logs:CreateLogStream", resource)
    else:
        if not exists:
            log_groups.create(region, group)
        return None
    if task.launch_type == "FARGATE":
        return (
            "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: "
            f"{reason} : exit status 1"
        )
    return f"CannotStartContainerError: Error response from daemon: failed to initialize logging driver: {reason}"
