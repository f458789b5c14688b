"""Why a task does not run, in words: the first broken link between RunTask and RUNNING, as AWS tells it.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html
"""

from collections.abc import Iterable
from typing import Any

import constants
from infrastructure.cluster import auto_scaling_group, container_instances
from infrastructure.service import log_group, task_definitions, tasks

#: reasons of RunTask's `failures`: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html
FAILURES = {
    "RESOURCE:GPU": "no host has a free GPU",
    "RESOURCE:MEMORY": "no host has that much memory left",
    "RESOURCE:CPU": "no host has that many CPU units left",
    "RESOURCE:PORTS": "the host port is taken on every host",
    "RESOURCE:ENI": "no host can take another network interface",
    "ATTRIBUTE": "no host has what the task definition demands",
    "AGENT": "the ECS agent of the host is not connected",
}


def why_not_started(failures: list[Any]) -> str:
    """RunTask answers 200 and yet starts nothing: its failures in words."""
    told = []
    for failure in failures:
        reason = failure.get("reason", "")
        words = [f"({text})" for key, text in FAILURES.items() if reason.startswith(key)][:1]
        told.append(" ".join(filter(None, [reason, *words, failure.get("detail")])))
    return "; ".join(dict.fromkeys(told)) or "RunTask started nothing, and gave no reason"


def why(task: Any, log: Iterable[str] = ()) -> str:
    """One sentence or two about a task that is not RUNNING; empty for one that is. Of its log only what to do is taken."""
    status = task["lastStatus"]
    if status == "RUNNING":
        return ""
    if status == "STOPPED":
        return why_stopped(task, log)
    if task.get("desiredStatus") == "STOPPED":
        return f"it is stopping ({status}), and holds its GPU and its memory until it is STOPPED"
    if status == "PENDING" and (waits := waits_for_others(task)):
        return waits
    if status == "PROVISIONING" and on_host(task):
        return why_waiting(asks_for_gpu(task)) + own_sizes(task)
    return {
        "PROVISIONING": "AWS is preparing its network interface",
        "PENDING": "the image is being pulled, or a volume is being mounted",
        "ACTIVATING": "its containers have started, and it is being connected",
    }.get(status, f"its status is {status}")


def on_host(task: Any) -> bool:
    """Where this one task is: a copy of data runs on Fargate in any cluster."""
    return constants.LAUNCH_TYPE == "EC2" and task.get("launchType") != "FARGATE"


def waits_for_others(task: Any) -> str:
    """Some of its containers run, or have ended, and others wait for them: dependsOn."""
    seen = {each["name"]: each.get("lastStatus", "PENDING") for each in task.get("containers", [])}
    waiting = [name for name, status in seen.items() if status == "PENDING"]
    before = [f"{name} ({status})" for name, status in seen.items() if status != "PENDING"]
    return (
        f"the container {', '.join(waiting)} waits, by dependsOn, for {', '.join(before)}" if before and waiting else ""
    )


def asks_for_gpu(task: Any) -> bool:
    """By its own definition: a sync of weights asks for none."""
    definition = task_definitions.definition(task["taskDefinitionArn"])
    containers = definition["containerDefinitions"] if definition else []
    return any(container.get("resourceRequirements") for container in containers)


def own_sizes(task: Any) -> str:
    """What the run asks for in place of what the settings say."""
    asked = task.get("overrides", {})
    containers = asked.get("containerOverrides", [])
    gpus = [
        each["value"] for one in containers for each in one.get("resourceRequirements", []) if each["type"] == "GPU"
    ]

    def size(name: str) -> Any:
        return next((one[name] for one in containers if name in one), "")

    told = {
        "--gpus": "".join(gpus[:1]),
        "--memory": asked.get("memory") or size("memory") or size("memoryReservation"),
        "--cpu": asked.get("cpu") or size("cpu"),
    }
    words = [f"{flag} {value}" for flag, value in told.items() if value]
    return f"; this run asks for {' '.join(words)}" if words else ""


def why_stopped(task: Any, log: Iterable[str] = ()) -> str:
    """stopCode, stoppedReason, and each container's exit code and reason. A task that never ran has no containers."""
    told = [f"{task.get('stopCode', '')}: {task.get('stoppedReason', 'no reason given')}".lstrip(": ")]
    for container in task.get("containers", []):
        parts = [f"exit code {container['exitCode']}"] if "exitCode" in container else []
        if container.get("reason") and container["reason"] not in task.get("stoppedReason", ""):
            parts.append(container["reason"])
        if parts:
            told.append(f"container {container['name']}: {', '.join(parts)}")
    if not task.get("containers") or (on_host(task) and not task.get("containerInstanceArn")):
        told.append("it was never placed")
        if on_host(task) and task.get("stopCode") != "UserInitiated":
            told.append(f"now {why_waiting(asks_for_gpu(task))}{own_sizes(task)}")
    text = "; ".join(each.rstrip(". ") for each in told)
    hint = next((hint for words, hint in hints(on_host(task)).items() if words in "; ".join([text, *log])), "")
    return f"{text}. {hint}".rstrip(". ") + "."


OTHER_CPU = "The image is for another CPU than the host has: build it for that one, docker build --platform"
PRIVATE = "The registry has no such image, or wants other credentials: REGISTRY_CREDENTIALS names a secret with them"
UNREACHED = "The nodes of a job reach each other on NODE_PORTS only: let node 0 listen at the first of these"
NO_COMMAND = "The image has no such program: look at ENTRY_POINT and COMMAND; with sh -c all of a script is one word"


def hints(of_host: bool) -> dict[str, str]:
    """Words in a stopped task's reasons or log -> what to do about it, by the launch type's settings; the first found counts.

    Fargate's disk: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-storage.html
    """
    spot = constants.CAPACITY_TYPE != "on-demand"
    given = f"Fargate gives a task {constants.EPHEMERAL_STORAGE_GIB or 20} GiB of disk"
    disk = f"{given}, the image included: raise EPHEMERAL_STORAGE_GIB, or write to EFS_VOLUMES"
    memory = "Raise TASK_MEMORY" if constants.TASK_MEMORY else "Take an INSTANCE_TYPE with more memory"
    cuda = "The image wants a newer CUDA than the AMI's driver has: use an older image, or a newer AMI_ID"
    taken = "AWS took its Spot capacity back: RETRIES=2 starts it again, CAPACITY_TYPE=on-demand keeps it"
    makes_roles = "register_task_definition.py" if constants.ENDPOINT else "create_cluster.py"
    return {
        **dict.fromkeys(("SpotInterruption", "TerminationNotice") if spot else (), taken),
        "no space left on device": "Raise ROOT_VOLUME_GIB; update_cluster.py brings hosts with it" if of_host else disk,
        **dict.fromkeys(("no matching manifest", "descriptor matching platform", "exec format error"), OTHER_CPU),
        "toomanyrequests": "The registry has had too many pulls from this address: wait, or push a copy to ECR",
        **dict.fromkeys(("unauthorized", "401 Unauthorized", "pull access denied"), PRIVATE),
        **dict.fromkeys(("executable file not found in $PATH", "exit code 127"), NO_COMMAND),
        **dict.fromkeys(("while trying to connect to (", "clients joined", "Failed to connect to GCS"), UNREACHED),
        "CannotPullContainer": "Look at IMAGE, and at the task's way to the registry",
        "unsatisfied condition: cuda": cuda,
        "access denied by server while mounting": "The task role's policy, or the file system's, does not let it mount: what is "
        "ours create_cluster.py puts right, and with an endpoint register_task_definition.py",
        "EFS": "Look at the mount targets, and at the security group that lets NFS in: create_cluster.py puts both right",
        "log group": "create_cluster.py makes the log group",
        "registry credentials": f"{makes_roles} gives the role the right to the secret that REGISTRY_CREDENTIALS names",
        "download env files": f"Look whether they are in S3; {makes_roles} gives the role its rights to ENVIRONMENT_FILES",
        "unable to retrieve secret": f"{makes_roles} gives the role the rights that CONTAINER_SECRETS needs",
        "is not authorized to perform": "Give the role that is named there this right",
        "OutOfMemory": memory,
        "Capacity is unavailable": f"Try again, or use other zones{' or CAPACITY_TYPE=on-demand' if spot else ''}",
    }


def why_waiting(of_gpu: bool = True) -> str:
    """What holds a task that is PROVISIONING on EC2: no host yet, or none with room."""
    hosts = [host for host in container_instances.describe() if host["agentConnected"]]
    groups = [group for each in auto_scaling_group.wanted() if (group := auto_scaling_group.find(each))]
    desired, most = (sum(group[key] for group in groups) for key in ("DesiredCapacity", "MaxSize"))
    if not hosts:
        return f"no host has joined the cluster yet: {auto_scaling_group.why_no_host()}"
    if desired > len(hosts):
        return f"another host is on its way: {auto_scaling_group.why_no_host()}"
    full = f"{'the host is' if len(hosts) == 1 else f'all {len(hosts)} hosts are'} full, and MAX_INSTANCES={most}"
    if desired < most:
        full = "managed scaling has not asked for another host yet (it looks once a minute)"
    if constants.GPU_SHARING and of_gpu:
        most = [max((gpu["remainingMemoryInMiB"] for gpu in host.get("gpuDevices", [])), default=0) for host in hosts]
        if max(most) < constants.GPU_MEMORY_MIB:
            needs = f"the task needs GPU_MEMORY_MIB={constants.GPU_MEMORY_MIB}"
            return f"no GPU has enough memory left: {', '.join(map(str, most))} MiB, {needs}; {full}"
    elif constants.GPU_COUNT and of_gpu:
        free = [len(container_instances.gpus(host, "remainingResources")) for host in hosts]
        busy = all(count < len(container_instances.gpus(host)) for count, host in zip(free, hosts, strict=True))
        needed = "all of a host's" if constants.ALL_GPUS else str(constants.GPU_COUNT)
        if max(free) < constants.GPU_COUNT or (constants.ALL_GPUS and busy):
            held = len(tasks.stopping())
            still = f"; {held} stopping tasks still hold theirs" if held else ""
            free_now = ", ".join(map(str, free))
            return f"no free GPU: the hosts have {free_now} free, the task needs {needed}; {full}{still}"
    return f"no host has room for it (TASK_CPU={constants.TASK_CPU}, TASK_MEMORY={constants.TASK_MEMORY}); {full}"


def log_tail(task: Any, group: str) -> list[str]:
    """Of each of its containers, from where its definition sends it; `group`: where that is ours."""
    return [line for place in log_places(task, group) for line in log_group.tail(*place)]


def log_places(task: Any, group: str) -> list[tuple[str, str, str]]:
    """Group, stream and Region of each container's log; without a prefix the stream bears Docker's id of the container.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/specify-log-config.html
    """
    containers, task_id = task.get("containers", []), tasks.task_id(task["taskArn"])
    if not constants.TASK_DEFINITION_FILE:
        names = [each["name"] for each in containers]
        first = constants.CONTAINER_NAME if constants.CONTAINER_NAME in names else ""
        return [(group, f"{first or each}/{each}/{task_id}", "") for each in names]
    found = task_definitions.known(task["taskDefinitionArn"]) or {"containerDefinitions": []}
    logs = {each["name"]: each.get("logConfiguration", {}).get("options", {}) for each in found["containerDefinitions"]}
    places = []
    for each in [each for each in containers if "awslogs-group" in logs.get(each["name"], {})]:
        options = logs[each["name"]]
        prefix = options.get("awslogs-stream-prefix")
        stream = f"{prefix}/{each['name']}/{task_id}" if prefix else each.get("runtimeId", "")
        places.append((options["awslogs-group"], stream, options.get("awslogs-region", "")))
    return [place for place in places if place[1]]
