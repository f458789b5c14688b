"""Which container instance takes a task: what it asks for, what is still free, constraints and strategies.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-placement.html
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from emulator.ecs.state import (
    Cluster,
    Held,
    Instance,
    Item,
    Task,
    definition_name,
    invalid,
)

RESERVED_TCP = {22, 2375, 2376, 51678, 51679, 51680}
FIRST_DYNAMIC_PORT = 32768


@dataclass
class Demand:
    """What one task asks of an instance."""

    cpu: int = 0
    memory: int = 0
    gpus: dict[str, int] = field(default_factory=dict)  # container -> how many whole GPUs
    all_gpus: list[str] = field(default_factory=list)  # containers that ask for ALL of them
    gpu_memory: dict[str, int] = field(default_factory=dict)  # container -> MiB of one shared GPU
    tcp: set[int] = field(default_factory=set)
    udp: set[int] = field(default_factory=set)
    interfaces: int = 0
    attributes: list[Item] = field(default_factory=list)
    constraints: list[Item] = field(default_factory=list)
    architecture: str = ""


def overridden(definition: Item, overrides: Item) -> list[Item]:
    """The container definitions of a task, with what its overrides put in their place."""
    changes = {change.get("name"): change for change in overrides.get("containerOverrides") or []}
    containers = []
    for container in definition["containerDefinitions"]:
        change = changes.get(container["name"], {})
        merged = {**container, **{key: value for key, value in change.items() if key not in ("name", "environment")}}
        if change.get("environment"):
            environment = {pair["name"]: pair.get("value", "") for pair in container.get("environment", [])}
            environment.update({pair["name"]: pair.get("value", "") for pair in change["environment"]})
            merged["environment"] = [{"name": name, "value": value} for name, value in environment.items()]
        containers.append(merged)
    return containers


def demand_of(definition: Item, overrides: Item, constraints: list[Item] | None = None) -> Demand:
    containers = overridden(definition, overrides)
    demand = Demand(
        cpu=size(overrides.get("cpu") or definition.get("cpu"), 1024),
        memory=size(overrides.get("memory") or definition.get("memory"), 1024),
        interfaces=int(definition.get("networkMode") == "awsvpc"),
        attributes=definition.get("requiresAttributes", []),
        constraints=[*definition.get("placementConstraints", []), *(constraints or [])],
        architecture=(definition.get("runtimePlatform") or {}).get("cpuArchitecture", ""),
    )
    demand.cpu = demand.cpu or sum(container.get("cpu") or 0 for container in containers)
    demand.memory = demand.memory or sum(
        container.get("memoryReservation") or container.get("memory") or 0 for container in containers
    )
    for container in containers:
        _add_gpus(demand, container)
        if definition.get("networkMode") != "awsvpc":
            for mapping in container.get("portMappings", []):
                if mapping.get("hostPort"):
                    ports = demand.udp if mapping.get("protocol") == "udp" else demand.tcp
                    ports.add(mapping["hostPort"])
    return demand


def _add_gpus(demand: Demand, container: Item) -> None:
    for requirement in container.get("resourceRequirements", []):
        if requirement["type"] != "GPU":
            continue
        value = requirement.get("value", "")
        if sharing := (requirement.get("sharingStrategy") or {}).get("nvidiaMps"):
            demand.gpu_memory[container["name"]] = sharing["memory"]
        elif value == "ALL":
            demand.all_gpus.append(container["name"])
        else:
            demand.gpus[container["name"]] = max(1, int(float(value)))


def size(value: Any, unit: int) -> int:
    """CPU units or MiB from what a task definition may say: 256, "256", ".25 vCPU", "1 GB"."""
    text = str(value or "").strip().lower()
    match = re.fullmatch(r"([\d.]+)\s*(vcpu|gb|mb|mib)?", text)
    if not match:
        return 0
    number = float(match[1])
    return int(number * unit) if match[2] in ("vcpu", "gb") else int(number)


# ------------------------------------------------------------------------------------------------ what is free


def free_gpus(instance: Instance) -> dict[str, int]:
    """GPU id -> MiB of its memory that can still be shared out; whole GPUs in use are not among them."""
    free = dict.fromkeys(instance.gpus, instance.gpu_memory)
    for held in instance.held.values():
        for gpu, memory in held.gpus.items():
            if memory == 0:
                free.pop(gpu, None)
            elif gpu in free:
                free[gpu] -= memory
    return free


def free_cpu(instance: Instance) -> int:
    return instance.cpu - sum(held.cpu for held in instance.held.values())


def free_memory(instance: Instance) -> int:
    return instance.memory - sum(held.memory for held in instance.held.values())


def used_ports(instance: Instance) -> tuple[set[int], set[int]]:
    tcp, udp = set(RESERVED_TCP), set()
    for held in instance.held.values():
        tcp |= held.tcp
        udp |= held.udp
    return tcp, udp


def obstacle(cluster: Cluster, instance: Instance, demand: Demand, group: str = "") -> str | None:
    """Why a task can not go to an instance, as it stands in `failures`; None if it can."""
    if instance.status != "ACTIVE" or not instance.connected:
        return "AGENT"
    if not has_attributes(instance, demand):
        return "ATTRIBUTE"
    for constraint in demand.constraints:
        if constraint["type"] == "memberOf" and not matches(constraint.get("expression", ""), cluster, instance):
            return "MemberOf placement constraint unsatisfied."
        if constraint["type"] == "distinctInstance" and any(
            task.instance is instance and task.group == group for task in cluster.active_tasks()
        ):
            return "DistinctInstance placement constraint unsatisfied."
    return lacking(instance, demand)


def lacking(instance: Instance, demand: Demand) -> str | None:
    """The resource that is short on this instance."""
    if pick_gpus(instance, demand) is None:
        return "RESOURCE:GPU"
    if demand.memory > free_memory(instance):
        return "RESOURCE:MEMORY"
    if demand.cpu > free_cpu(instance):
        return "RESOURCE:CPU"
    tcp, udp = used_ports(instance)
    if demand.tcp & tcp or demand.udp & udp:
        return "RESOURCE:PORTS"
    if demand.interfaces + sum(held.interfaces for held in instance.held.values()) > instance.interfaces:
        return "RESOURCE:ENI"
    return None


def has_attributes(instance: Instance, demand: Demand) -> bool:
    wanted = {"X86_64": "x86_64", "ARM64": "arm64"}.get(demand.architecture)
    if wanted and instance.attributes.get("ecs.cpu-architecture") != wanted:
        return False
    return all(attribute["name"] in instance.attributes for attribute in demand.attributes)


def pick_gpus(instance: Instance, demand: Demand) -> dict[str, dict[str, int]] | None:
    """Container -> its GPUs (id -> MiB, 0 for the whole GPU); None if they are not free."""
    free = free_gpus(instance)
    idle = [gpu for gpu in free if free[gpu] == instance.gpu_memory]
    if demand.all_gpus:
        whole = len(idle) == len(instance.gpus) > 0
        return {name: dict.fromkeys(idle, 0) for name in demand.all_gpus} if whole else None
    if demand.gpu_memory:
        return _pick_shared(free, demand)
    picked: dict[str, dict[str, int]] = {}
    for name, count in demand.gpus.items():
        if len(idle) < count:
            return None
        picked[name] = dict.fromkeys(idle[:count], 0)
        idle = idle[count:]
    return picked


def _pick_shared(free: dict[str, int], demand: Demand) -> dict[str, dict[str, int]] | None:
    """All containers of a task that share a GPU share the same one; the fullest that fits is taken."""
    needed = sum(demand.gpu_memory.values())
    fitting = sorted((memory, gpu) for gpu, memory in free.items() if memory >= needed)
    if not fitting:
        return None
    return {name: {fitting[0][1]: memory} for name, memory in demand.gpu_memory.items()}


def book(task: Task, instance: Instance, demand: Demand) -> dict[str, dict[str, int]]:
    """Take what the task needs; it is given back when the task is STOPPED. Answers the GPUs of each container."""
    gpus = pick_gpus(instance, demand) or {}
    total: Counter[str] = Counter()
    for picked in gpus.values():
        total.update(picked)
    held = Held(demand.cpu, demand.memory, dict(total), set(demand.tcp), set(demand.udp), demand.interfaces)
    instance.held[task.id] = held
    instance.version += 1
    task.instance = instance
    task.zone = instance.zone
    return gpus


def dynamic_port(instance: Instance, held: Held, udp: bool) -> int:
    """A free host port of the range that Docker takes for hostPort 0 in bridge mode."""
    used = used_ports(instance)[1 if udp else 0]
    port = next(port for port in range(FIRST_DYNAMIC_PORT, 61000) if port not in used)
    (held.udp if udp else held.tcp).add(port)
    return port


# ------------------------------------------------------------------------------------------------ strategies


def ranked(cluster: Cluster, instances: list[Instance], strategy: list[Item], group: str) -> list[Instance]:
    """The instances that fit, the best first. Without a strategy tasks are spread over the zones."""
    keys: list[Callable[[Instance], Any]] = []
    for rule in strategy or [{"type": "spread", "field": "attribute:ecs.availability-zone"}]:
        if rule["type"] == "random":
            keys.append(lambda _: random.random())
        elif rule["type"] == "binpack":
            keys.append(free_memory if rule.get("field", "").lower() == "memory" else free_cpu)
        else:
            counts = _spread_counts(cluster, rule.get("field", "instanceId"), group)
            keys.append(lambda one, counts=counts: counts(one))  # type: ignore[misc]
    return sorted(instances, key=lambda one: [key(one) for key in keys])


def _spread_counts(cluster: Cluster, name: str, group: str) -> Callable[[Instance], int]:
    """How many tasks of the same group are already where this instance is."""

    def place(instance: Instance) -> str | None:
        if name in ("instanceId", "host"):
            return instance.id
        return instance.attributes.get(name.removeprefix("attribute:"))

    counts = Counter(place(task.instance) for task in cluster.active_tasks() if task.instance and task.group == group)
    return lambda instance: counts[place(instance)]


# ------------------------------------------------------------------------------------------------ query language

WORDS = re.compile(r"\s*(\[|\]|\(|\)|,|==|!=|=~|!~|>=|<=|>|<|&&|\|\||!|\"[^\"]*\"|'[^']*'|[^\s,\[\]()=!<>&\"']+)")
COMPARISONS: dict[str, str] = {
    "==": "==",
    "equals": "==",
    "!=": "!=",
    "not_equals": "!=",
    "=~": "=~",
    "matches": "=~",
    "!~": "!~",
    "not_matches": "!~",
    ">": ">",
    ">=": ">=",
    "<": "<",
    "<=": "<=",
    "in": "in",
    "not_in": "not_in",
    "exists": "exists",
    "not_exists": "not_exists",
    "!in": "not_in",
    "!exists": "not_exists",
}


def matches(expression: str, cluster: Cluster, instance: Instance) -> bool:
    """Does an instance answer to an expression of the cluster query language?

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cluster-query-language.html
    """
    return _Query(expression, cluster, instance).result()


class _Query:
    """A reader of one expression, left to right: or, and, not, parentheses, comparisons."""

    def __init__(self, expression: str, cluster: Cluster, instance: Instance) -> None:
        self.words = _words(expression)
        self.at = 0
        self.cluster = cluster
        self.instance = instance

    def result(self) -> bool:
        answer = self._either()
        if self.at < len(self.words):
            raise self._wrong()
        return answer

    def _either(self) -> bool:
        answer = self._both()
        while self._take("or", "||"):
            answer = self._both() or answer
        return answer

    def _both(self) -> bool:
        answer = self._one()
        while self._take("and", "&&"):
            answer = self._one() and answer
        return answer

    def _one(self) -> bool:
        if self._take("not", "!"):
            return not self._one()
        if self._take("("):
            answer = self._either()
            self._need(")")
            return answer
        subject = self._next()
        operator = self._next().lower()
        if operator == "!":
            operator += self._next().lower()
        if operator not in COMPARISONS:
            raise self._wrong()
        return self._compare(subject, COMPARISONS[operator])

    def _compare(self, subject: str, operator: str) -> bool:
        found = self._values(subject)
        if operator in ("exists", "not_exists"):
            return bool(found) == (operator == "exists")
        if operator in ("in", "not_in"):
            listed = self._list()
            return any(value in listed for value in found) == (operator == "in")
        wanted = self._next().strip("\"'")
        if operator in ("=~", "!~"):
            try:
                return any(re.fullmatch(wanted, value) for value in found) == (operator == "=~")
            except re.error:
                raise self._wrong() from None
        if operator in ("==", "!="):
            return any(value.lower() == wanted.lower() for value in found) == (operator == "==")
        return any(_ordered(value, operator, wanted) for value in found)

    def _list(self) -> list[str]:
        self._need("[")
        items = [self._next().strip("\"'")]
        while self._take(","):
            items.append(self._next().strip("\"'"))
        self._need("]")
        return items

    def _values(self, subject: str) -> list[str]:
        """What the instance has under a subject: attribute:name, task:group, or one of its own fields."""
        kind, _, name = subject.partition(":")
        if kind == "attribute":
            return [self.instance.attributes[name]] if name in self.instance.attributes else []
        tasks = [task for task in self.cluster.active_tasks() if task.instance is self.instance]
        if kind == "task":
            texts: dict[str, Callable[[Task], str]] = {
                "group": lambda task: task.group,
                "family": lambda task: str(task.definition["family"]),
                "definition": lambda task: definition_name(task.definition),
                "arn": lambda task: task.arn,
                "id": lambda task: task.id,
            }
            if name not in texts:
                raise self._wrong()
            return [texts[name](task) for task in tasks]
        fields = {
            "agentConnected": str(self.instance.connected).lower(),
            "ec2InstanceId": self.instance.ec2_id,
            "status": self.instance.status,
            "runningTasksCount": str(sum(task.last == "RUNNING" for task in tasks)),
            "pendingTasksCount": str(sum(task.last == "PENDING" for task in tasks)),
            "tasksCount": str(len(tasks)),
            "registeredAt": self.instance.registered.isoformat(),
            "agentVersion": "1.106.2",
        }
        if kind not in fields:
            raise self._wrong()
        return [fields[kind]]

    def _next(self) -> str:
        if self.at >= len(self.words):
            raise self._wrong()
        self.at += 1
        return self.words[self.at - 1]

    def _take(self, *words: str) -> bool:
        if self.at < len(self.words) and self.words[self.at].lower() in words:
            self.at += 1
            return True
        return False

    def _need(self, word: str) -> None:
        if not self._take(word):
            raise self._wrong()

    def _wrong(self) -> Exception:
        return invalid("Invalid expression: the expression cannot be parsed.")


def _words(expression: str) -> list[str]:
    words, at = [], 0
    while at < len(expression.rstrip()):
        match = WORDS.match(expression, at)
        if not match:
            raise invalid("Invalid expression: the expression cannot be parsed.")
        words.append(match[1])
        at = match.end()
    return words


def _ordered(value: str, operator: str, wanted: str) -> bool:
    try:
        left: Any = float(value)
        right: Any = float(wanted)
    except ValueError:
        left, right = value, wanted
    answer: bool = {">": left > right, ">=": left >= right, "<": left < right, "<=": left <= right}[operator]
    return answer


def check_constraints(constraints: list[Item] | None, strategy: list[Item] | None, cluster: Cluster) -> None:
    """Placement constraints and strategies of a call, before anything is placed."""
    if len(constraints or []) > 10:
        raise invalid("A maximum of 10 placement constraints can be specified.")
    if len(strategy or []) > 5:
        raise invalid("A maximum of 5 placement strategies can be specified.")
    for constraint in constraints or []:
        if constraint.get("type") == "memberOf":
            if not constraint.get("expression"):
                raise invalid("memberOf constraint requires an expression.")
            for instance in list(cluster.instances.values())[:1]:
                matches(constraint["expression"], cluster, instance)
        elif constraint.get("type") != "distinctInstance":
            raise invalid("Invalid placement constraint type.")
        elif constraint.get("expression"):
            raise invalid("Expression is not supported for the distinctInstance constraint.")
    for rule in strategy or []:
        kind, name = rule.get("type"), rule.get("field", "")
        if kind not in ("random", "spread", "binpack"):
            raise invalid("Invalid placement strategy type.")
        if kind == "binpack" and name.lower() not in ("cpu", "memory"):
            raise invalid("Placement strategy binpack requires the field cpu or memory.")
        if kind == "spread" and name not in ("instanceId", "host") and not name.startswith("attribute:"):
            raise invalid("Placement strategy spread requires the field instanceId, host or attribute:name.")
