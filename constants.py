"""Every setting of this runbook, read from the environment and from a file .env.

The file is $ENV_FILE, or .env beside the scripts, or else .env in the working directory. The environment wins over it.
Where endpoints share a cluster, endpoints/$ENDPOINT.env, beside .env, stands between the two. In each of them a name
may be written with GPU_ECS_ before it, GPU_ECS_IMAGE: so it wins over a plain one, which something else may have set.
AWS_* in a file mean what they mean in the environment.

Nothing here calls AWS. Mistakes are collected, not raised one by one: `check()` tells them all at once, before the first
AWS call; a page then ends with exit code 2. Start from a file of examples/:

    cp examples/gpu-cluster.env .env

Others write `import constants` and `constants.GPU_COUNT`: each page loads them again when it begins, and so sees what
its environment says by then. Those of another endpoint: `with constants.of(ENDPOINT="b"):`.
"""

import contextlib
import importlib
import ipaddress
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import definition_file
import texts
from texts import (
    amount,
    capability,
    cidr_or_empty,
    ecs_config,
    efs_volume,
    every,
    folder,
    health_codes,
    health_command,
    hours,
    image,
    instant,
    log_options,
    one_of,
    pairs,
    pattern,
    port,
    port_range,
    seconds,
    shell_words,
    source,
    tmpfs,
    ulimit,
    vpc_cidr,
    whole,
    words,
)

T = TypeVar("T")
PROBLEMS: dict[str, list[str]] = {}  # setting, or file -> what is wrong with it
ODD: list[str] = []  # what is not wrong, but may not be what its writer expects
KNOWN: dict[str, str] = {}  # setting -> its default as the README shows it
OF_CLUSTER: set[str] = set()  # those that endpoints share
READ: dict[Path, int] = {}  # each file that was looked for -> when it was last written
SAYS: dict[str, tuple[str, Any]] = {}  # what TASK_DEFINITION_FILE says of what settings say too: its place, its value
FROM_FILE: dict[str, str] = {}  # setting -> the place in TASK_DEFINITION_FILE that says it
OURS = "GPU_ECS_"
#: what they hold is never shown
MAY_BE_SECRET = ("CONTAINER_ENVIRONMENT", "CONTAINER_SECRETS", "ECS_CONFIG")


def problem(name: str, sentence: str) -> None:
    """Note a mistake; `check` tells it together with all the others."""
    if name in FROM_FILE:
        name, sentence = "TASK_DEFINITION_FILE", f"{FROM_FILE[name]}: {sentence}"
    told = PROBLEMS.setdefault(texts.visible(name), [])
    told += [each for each in [texts.visible(sentence)] if each not in told]


def shown(path: Path) -> str:
    """As a person knows it: seen from the working directory, where it is inside that."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except (OSError, ValueError):
        return str(path)


def read(path: Path) -> dict[str, str]:
    """What a file says, name -> text; nothing where there is none. What is wrong or odd in it is noted."""
    READ[path], found = texts.written(path), texts.lines(path)
    for sentence in found.wrong:
        problem(shown(path), sentence)
    ODD.extend(texts.visible(f"{shown(path)}, {each}") for each in found.odd)
    return found.texts


def merged(*layers: Mapping[str, str]) -> dict[str, str]:
    """The later layer wins; a name with GPU_ECS_ before it wins in whichever it stands."""
    found = {name: text for layer in layers for name, text in layer.items()}
    return found | {name.removeprefix(OURS): text for name, text in found.items() if name.startswith(OURS)}


def shared_path() -> Path:
    """ENV_FILE, which must be there; else .env beside the scripts, else in the working directory: no other folder's."""
    given = merged(os.environ).get("ENV_FILE")
    if given:
        if not texts.written(Path(given)):
            problem("ENV_FILE", f"{texts.shortened(given)}: there is no such file")
        return Path(given)
    beside, here = Path(__file__).parent / ".env", Path(".env")
    READ.update({path: texts.written(path) for path in (beside, here)})
    if not texts.written(beside):
        return here
    if texts.written(here) and not here.samefile(beside):
        ODD.append(f".env in the working directory is not read, since there is {beside}; ENV_FILE=.env takes it")
    return beside


def lend() -> dict[str, str]:
    """Put the AWS_* of the files where boto3 looks for them. What the environment has wins; a sign-in as a whole."""
    sign_in = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
    signed_in = bool({*sign_in, "AWS_PROFILE"} & os.environ.keys())
    taken = {*os.environ, "AWS_REGION", *(sign_in if signed_in else ())}
    lent = {name: text for name, text in FILE.items() if name.startswith("AWS_") and name not in taken}
    os.environ.update(lent)
    return lent


SHARED_PATH = shared_path()
SHARED_FILE = read(SHARED_PATH)
ENDPOINTS = SHARED_PATH.parent / "endpoints"
ENDPOINT_FORM = pattern(r"[a-z][a-z0-9]{0,11}", "1 to 12 small letters and digits, a letter first", or_empty=True)
_endpoint = merged(SHARED_FILE, os.environ).get("ENDPOINT", "").strip()
ENDPOINT_PATH = ENDPOINTS / f"{_endpoint}.env"
ENDPOINT_NAME = f"endpoints/{_endpoint}.env"  # as sentences call it
ENDPOINT_FILE = read(ENDPOINT_PATH) if re.fullmatch(r"[a-z][a-z0-9]{0,11}", _endpoint) else {}
FILE = SHARED_FILE | ENDPOINT_FILE
LENT = lend()
ENVIRONMENT = dict(os.environ)  # as it was read
TEXTS = merged(SHARED_FILE, ENDPOINT_FILE, os.environ)


def load() -> None:
    """Read everything again, where the environment or a file has changed. A page begins with it."""
    if dict(os.environ) != ENVIRONMENT or any(texts.written(path) != when for path, when in READ.items()):
        for name in [name for name, text in LENT.items() if os.environ.get(name) == text]:
            del os.environ[name]
        importlib.reload(sys.modules[__name__])


@contextlib.contextmanager
def of(**environment: str) -> Iterator[None]:
    """The settings as they are with this in the environment, for as long as the block lasts: of(ENDPOINT="b")."""
    wanted = {OURS + name: text for name, text in environment.items()}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    load()
    try:
        yield
    finally:
        for name, text in before.items():
            os.environ.pop(name)
            if text is not None:
                os.environ[name] = text
        load()


def setting(
    name: str,
    default: str,
    parse: Callable[[str], T],
    *,
    of: str = "",
    required: str = "",
    instead: T | None = None,
    in_file: str = "",
) -> T:
    """The value of one setting. A ValueError of `parse` is a mistake of the user's.

    `of="cluster"`: it is the same for all endpoints. `required`: it has no default; this is an example. `instead`: what
    counts in its place, where that is set. `in_file`: what of TASK_DEFINITION_FILE says the same, and then counts.
    """
    KNOWN[name] = default
    if of == "cluster":
        OF_CLUSTER.add(name)
    text = TEXTS.get(name, default).strip()
    if in_file in SAYS:
        FROM_FILE[name], value = SAYS[in_file]
        if TEXTS.get(name):
            ODD.append(texts.visible(f"{name} is not taken: TASK_DEFINITION_FILE says it, at {FROM_FILE[name]}"))
        return cast(T, value)
    if not text and required:
        problem(name, f"is not set, and has no default; for example {name}={required}")
    try:
        if not texts.sayable(text):
            raise ValueError("is not text in UTF-8")
        value = parse(text)
        return instead or value
    except ValueError as error:
        if not required or text:
            problem(name, f"{error}" if name in MAY_BE_SECRET else f"{texts.shortened(text)} {error}")
        return parse(default) if default else parse_or_empty(parse)


def parse_or_empty(parse: Callable[[str], T]) -> Any:
    """A stand-in after a mistake, so that the other settings can be checked too."""
    try:
        return parse("")
    except ValueError:
        return ""


# How a text is read, where another setting has a part in it: the rest is in texts.py.


def task_definition(text: str) -> dict[str, Any]:
    """The JSON of a file; its path as seen from .env. Roles that bear our names in it are ours to make, as if it were silent."""
    if not text:
        return {}
    path = SHARED_PATH.parent / texts.local(text)
    READ[path] = texts.written(path)
    if not READ[path]:
        raise ValueError(f"is not there: there is no file {shown(path)}")
    own = f"{CLUSTER_NAME}-{ENDPOINT}" if ENDPOINT else CLUSTER_NAME
    ours = {"executionRoleArn": f"{own}-task-execution", "taskRoleArn": f"{own}-task"}
    found = definition_file.read(path)
    return {key: value for key, value in found.items() if not (key in ours and is_of(str(value), ours[key]))}


def is_of(role: str, name: str) -> bool:
    """Whether a role, by its ARN or its name, is the one of this name, which ends with a Region."""
    return bool(re.fullmatch(rf"(.*/)?{re.escape(name)}-[a-z]{{2,5}}(-[a-z]{{2,12}}){{1,2}}-[0-9]{{1,2}}", role))


def gpus(text: str) -> int:
    """ALL counts as one that is asked for: how many there are is the host's.

    ECS takes a fraction too, for g6f, whose GPU the agent of a host does not register: aws/amazon-ecs-agent#4786.
    """
    if text == "ALL" and not GPU_SHARING:
        return 1
    if re.fullmatch(r"0?\.[0-9]+", text):
        raise ValueError(
            "is a part of a GPU, which a host does not register: GPU_SHARING=mps gives a task a part of one"
        )
    if GPU_SHARING and whole(0, 16)(text) > 1:
        raise ValueError(f"does not go with GPU_SHARING={GPU_SHARING}: a task then has a part of one GPU; remove it")
    return whole(0, 16)(text)


def minutes_or_aws(text: str) -> int | None:
    """None: AWS ends idle hosts."""
    return None if text == "aws" else whole(0, 14)(text)


def variables_file(text: str) -> dict[str, str]:
    """The variables of a file, which is read as .env is; its path as seen from there."""
    if not text:
        return {}
    path = SHARED_PATH.parent / texts.local(text)
    found = read(path)
    if not READ[path]:
        raise ValueError(f"is not there: there is no file {shown(path)}")
    wrong = [name for name in found if not re.fullmatch(VARIABLE, name)]
    if wrong:
        raise ValueError(f"names {wrong[0]!r}, which is no name of an environment variable")
    return found


def codes(text: str) -> str:
    return health_codes(*((0, 99) if TARGET_PROTOCOL_VERSION == "GRPC" else (200, 499)))(text) if text else ""


def script(text: str) -> str:
    """The content of a file; its path as seen from .env."""
    if not text:
        return ""
    path = SHARED_PATH.parent / texts.local(text)
    READ[path] = texts.written(path)
    return texts.script(path)


def variables(text: str) -> dict[str, str]:
    found = pairs(VARIABLE)(text)
    for name in found.keys() & CONTAINER_ENVIRONMENT_FILE.keys():
        raise ValueError(f"has {name}, which CONTAINER_ENVIRONMENT_FILE has too")
    return found


#: how AWS spells its own names and ids; letters and digits are ASCII's
VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
HOST = r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?"  # with at least one dot
HOSTS = words(pattern(rf"(\*\.)?{HOST}", "a list of host names"))
REGION = pattern(r"[a-z]{2,5}(-[a-z]{2,12}){1,2}-[0-9]{1,2}", "a region such as us-east-1", or_empty=True)
TYPE = pattern(r"[a-z][a-z0-9-]*\.[a-z0-9-]+", "an instance type such as g4dn.xlarge")
RESERVATION = r"cr-[0-9a-f]{8,17}|arn:aws[\w-]*:resource-groups:[\w-]+:\d{12}:group/[\w.-]{1,300}"
KEY = pattern(r"[ -~]{1,255}", "the name of a key pair, of 255 ASCII characters at most", or_empty=True)
VPC = pattern(r"vpc-[0-9a-f]{8,17}", "a VPC id such as vpc-0abc1234", or_empty=True)
SUBNETS = words(pattern(r"subnet-[0-9a-f]{8,17}", "a list of subnet ids"))
GROUPS = words(pattern(r"sg-[0-9a-f]{8,17}", "a list of group ids"))
GROUP = pattern(r"sg-[0-9a-f]{8,17}", "a security group id", or_empty=True)
ZONES = words(pattern(r"[a-z]{2}[a-z0-9-]+[a-z]", "a list of zones"))
FILE_SYSTEM = pattern(r"fs-[0-9a-f]{8,40}", "a file system id", or_empty=True)
ACM_ARN = pattern(r"arn:aws[\w-]*:acm:[\w-]+:\d{12}:certificate/[\w-]+", "an ACM ARN", or_empty=True)
ROLE_ARN = pattern(r"arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]{1,512}", "the ARN of a role", or_empty=True)
#: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html#reference_iam-quotas-names
IAM_PATH = pattern(r"/(?!aws-)([\w+=,.@-]{1,100}/){0,5}", "a path such as /team/")
PROFILE = r"(arn:aws[\w-]*:iam::\d{12}:instance-profile/([\w+=,.@-]+/)*)?[\w+=,.@-]{1,128}"
BOUNDARY = r"arn:aws[\w-]*:iam::(\d{12}|aws):policy/[\w+=,.@/-]{1,512}"
LINK = r"arn:aws[\w-]*:(codestar-connections|codeconnections):[\w-]+:\d{12}:connection/[\w-]+"
#: a secret's, with none or all three of JSON key, stage and version, or a parameter's: without * and ?, since a role is given it
SECRET = r"secretsmanager:[\w-]+:\d{12}:secret:[\w/+=.@!-]+((:[!-)+-9;->@-~]*){3})?"
SECRET_ARN = rf"arn:aws[\w-]*:({SECRET}|ssm:[\w-]+:\d{{12}}:parameter/[\w./-]+)|/[\w./-]+"
REGISTRY_SECRET = pattern(
    r"arn:aws[\w-]*:secretsmanager:[\w-]+:\d{12}:secret:[\w/+=.@!-]+", "the ARN of a secret", or_empty=True
)
S3_OBJECT = pattern(
    r"arn:aws[\w-]*:s3:::[a-z0-9.-]{3,63}/[!-~]{1,800}\.env", "an ARN such as arn:aws:s3:::bucket/a.env"
)
ZONE_ID = pattern(r"Z[A-Z0-9]{1,31}", "the id of a hosted zone", or_empty=True)
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
BUCKET_NAME = r"(?!.*\.\.)(?!\d+\.\d+\.\d+\.\d+\Z)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
BUCKET = pattern(BUCKET_NAME, "a bucket name", or_empty=True)
QUEUE = r"(?=.{1,80}\Z)[\w-]+(\.fifo)?"
GIT = pattern(r"(?!.*\.\.)[\w.-]{1,100}/[\w./-]{1,200}", "a repository such as team/endpoint-a", or_empty=True)
GIT_PATH = r"(?!/)[\w.*?/@+-]{1,255}"
EFS_MODE = one_of("generalPurpose", "maxIO")
BUILD_SIZE = pattern(r"BUILD_GENERAL1_[A-Z0-9]+", "one of CodeBuild's sizes")
DAYS_UNREAD = one_of("", "1", "7", "14", "30", "60", "90", "180", "270", "365")
#: a part of an object's key, in which any character may stand but those that no one sees
PREFIX_FORM = r"(?!/)(?!.*(^|/)\.\.?(/|\Z))[^\x00-\x1f\x7f]{1,800}"
S3_FOLDER = pattern(PREFIX_FORM, "a folder without a slash at its start, . and ..", or_empty=True)
VOLUME = pattern(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}", "the name of a volume")
#: https://www.rfc-editor.org/rfc/rfc3986#section-3.3
PATH_PATTERN = r"/[\w/*?$.~\"'@:+&-]{0,127}"
URL_PATH = r"/[\w.~:/?#\[\]@!$&'()*+,;=%-]{0,1023}"
#: https://git-scm.com/docs/git-check-ref-format
BRANCH = r"(?![-./])(?!.*(\.\.|//|/\.|\.lock(/|\Z)|[./]\Z))[\w./-]{1,255}"
CERTIFICATE_PATH = pattern(r"(/(?!\.\.?(/|\Z))[\w.-]+)+", "an absolute path without . and ..", or_empty=True)


# ---------------------------------------------------------------------------------------------------------------------
# The form. One setting each: meaning, unit, default. The order is that in which the README needs them.
# ---------------------------------------------------------------------------------------------------------------------

# -- The cluster, and whose it is

# Prefix of every name, and value of the tag CLUSTER_TAG on everything that is made. Required.
CLUSTER_NAME = setting("CLUSTER_NAME", "", str, required="gpu-demo", of="cluster")
# Region; empty: the one of boto3's own configuration (AWS_DEFAULT_REGION, the profile).
AWS_REGION = setting("AWS_REGION", "", REGION, of="cluster")
# More tags for everything that is made, also later: team=ml,owner=ann. Hosts and tasks that run keep what they have.
EXTRA_TAGS = setting("EXTRA_TAGS", "", pairs(r"[^=]+"), of="cluster")

# Path in IAM of the roles and the instance profile that are made. It can't be changed later, while one of them is there.
ROLE_PATH = setting("ROLE_PATH", "/", IAM_PATH, of="cluster")
# ARN of a policy that limits what each role may that is made, its permissions boundary; empty: none.
ROLE_PERMISSIONS_BOUNDARY = setting(
    "ROLE_PERMISSIONS_BOUNDARY", "", pattern(BOUNDARY, "the ARN of a policy", or_empty=True), of="cluster"
)

# Whether endpoints share this cluster, each with what belongs to it in endpoints/NAME.env: true or false.
# It can be changed only before the cluster has a log group for tasks of its own, or its first endpoint.
SHARED_CLUSTER = setting("SHARED_CLUSTER", "false", one_of("true", "false"), of="cluster") == "true"
# The endpoint that a script is about: endpoints/$ENDPOINT.env is read between .env and the environment.
ENDPOINT = setting("ENDPOINT", "", ENDPOINT_FORM, of="cluster")

# What an hour may cost, in the currency of AWS's price list: create_cluster.py, run_task.py and create_service.py ask a person
# at a terminal before they start more. --yes goes on without; where there is no terminal it is told.
CONFIRM_ABOVE = setting("CONFIRM_ABOVE", "1", amount)

# -- A task definition of your own

# A task definition as JSON, as the console, the AWS CLI or a repository has it; its path as seen from .env. What it says
# counts; settings fill in what it does not say, of its main container too. Sidecars stay as they are.
TASK_DEFINITION_FILE = setting("TASK_DEFINITION_FILE", "", task_definition)
# Its container that settings are about: GPU, ports, command, health. Empty: its first essential one.
MAIN_CONTAINER = setting("MAIN_CONTAINER", "", pattern(r"[\w-]{1,255}", "a container's name", or_empty=True))
SAYS.update(definition_file.says(TASK_DEFINITION_FILE, MAIN_CONTAINER))

# -- Where containers run

# Where containers run: EC2 (the only one with GPUs) or FARGATE. It can't be changed later.
LAUNCH_TYPE = setting("LAUNCH_TYPE", "EC2", one_of("EC2", "FARGATE"), of="cluster")
# on-demand, or spot: cheaper, and AWS may take it back at two minutes' notice. spot-first: run_task.py takes a Spot host, and
# where there is none one on demand, from a group and a capacity provider of its own; services run on demand then.
CAPACITY_TYPE = setting("CAPACITY_TYPE", "on-demand", one_of("on-demand", "spot", "spot-first"), of="cluster")
# Several instance types in order of preference, in place of INSTANCE_TYPE: g5.xlarge,g6.xlarge,g6e.xlarge. A host is of the
# first that AWS has. Each has as many GPUs as the first, of at least its memory, its architecture, and room for the task.
INSTANCE_TYPES = setting("INSTANCE_TYPES", "", words(TYPE), of="cluster")
# Instance type of the hosts (EC2). Hosts that run keep their type, disk, AMI and key until update_cluster.py.
INSTANCE_TYPE = setting("INSTANCE_TYPE", "g4dn.xlarge", TYPE, of="cluster", instead=next(iter(INSTANCE_TYPES), None))
# mps: tasks share a GPU by NVIDIA MPS, each with GPU_MEMORY_MIB of its memory, in place of GPU_COUNT. Empty: whole GPUs.
GPU_SHARING = setting("GPU_SHARING", "", one_of("", "mps"), in_file="gpu sharing")
# A reservation for the hosts, and for no other: cr-..., an On-Demand Capacity Reservation or a Capacity Block, or the ARN of a
# resource group of them. It is looked at, and never bought or ended. Set or emptied later: hosts that run stay where they are.
CAPACITY_RESERVATION = setting(
    "CAPACITY_RESERVATION", "", pattern(RESERVATION, "cr-... or a resource group's ARN", or_empty=True), of="cluster"
)
# GPUs for each task; 0 for none, ALL for those of its host. Whole GPUs of one instance (g6f and gr6f have but a part of
# one); with GPU_SHARING it counts as 1.
GPU_COUNT = setting("GPU_COUNT", "1", gpus, instead=1 if GPU_SHARING else None, in_file="gpus")
# GPU memory of each task, MiB, with GPU_SHARING=mps.
GPU_MEMORY_MIB = setting("GPU_MEMORY_MIB", "", whole(1, 1048576, or_empty=True), in_file="gpu memory")
# Percent of a GPU's compute that a task may use at most, with GPU_SHARING=mps; empty: all that is free.
GPU_COMPUTE_PERCENT = setting("GPU_COMPUTE_PERCENT", "", whole(1, 100, or_empty=True), in_file="gpu percent")
# CPU of the tasks: X86_64 or ARM64, which has no GPUs. Empty: on hosts that of INSTANCE_TYPE, on Fargate X86_64.
CPU_ARCHITECTURE = setting(
    "CPU_ARCHITECTURE", "", one_of("", "X86_64", "ARM64"), in_file="runtimePlatform.cpuArchitecture"
)
# Hosts, always so many: sets MIN_INSTANCES and MAX_INSTANCES both. Empty: those two count.
CLUSTER_SIZE = setting("CLUSTER_SIZE", "", whole(1, 100, or_empty=True), of="cluster")
# Hosts kept even when nothing runs. 0: a GPU is paid for only while tasks run, and the first task waits for its host.
MIN_INSTANCES = setting("MIN_INSTANCES", "0", whole(0, 100), of="cluster", instead=CLUSTER_SIZE)
# Hosts at the most: the limit of what a mistake can cost.
MAX_INSTANCES = setting("MAX_INSTANCES", "1", whole(1, 100), of="cluster", instead=CLUSTER_SIZE)
# Minutes for which a host stays on which no task is any more, once a run with RUN_UNTIL=STOPPED has ended, a sweep, or
# stop_task.py --all: 0 to 14, for which that script waits before it ends the host. aws: AWS ends it after 15 idle minutes, as
# it does with every other host that is idle.
KEEP_HOSTS = setting("KEEP_HOSTS", "0", minutes_or_aws, of="cluster")
# Root disk of a host, GiB. CUDA images are large; the AMI's own 30 GiB are soon full.
ROOT_VOLUME_GIB = setting("ROOT_VOLUME_GIB", "100", whole(30, 16384), of="cluster")
# AMI of the hosts; empty: the current ECS-optimized Amazon Linux 2023, with the NVIDIA driver where the type has GPUs.
AMI_ID = setting("AMI_ID", "", pattern(r"ami-[0-9a-f]{8,17}", "an AMI id", or_empty=True), of="cluster")
# An existing instance profile for the hosts, by its name or ARN; empty: one is made, with its role. With HOST_MONITORING
# theirs needs CloudWatchAgentServerPolicy too; a bastion has no role then. Set later: what was made goes once no host has it.
# Where no role of these scripts' own is needed, since every one is named, IAM is asked nothing: what they made before stays.
HOST_ROLE = setting("HOST_ROLE", "", pattern(PROFILE, "an instance profile's name or ARN", or_empty=True), of="cluster")
# A script on this machine that hosts run at their first boot, after ours: it begins with #!, such as #!/bin/bash. Its path
# as seen from .env. A host joins the cluster also where it fails. All of user data has 16 KiB at most.
HOST_USER_DATA = setting("HOST_USER_DATA", "", script, of="cluster")
# More lines for /etc/ecs/ecs.config of the hosts: NAME=value;NAME=value, such as ECS_IMAGE_PULL_BEHAVIOR=prefer-cached.
ECS_CONFIG = setting("ECS_CONFIG", "", ecs_config, of="cluster")
# docker: Docker's images and containers are on the instance store of INSTANCE_TYPE, all its NVMe disks as one. What is
# there goes with its host. Empty: they are on the root disk.
INSTANCE_STORE = setting("INSTANCE_STORE", "", one_of("", "docker"), of="cluster")
# EC2 key pair for SSH to the hosts; empty: none. It needs SSH_ALLOWED_CIDR.
KEY_NAME = setting("KEY_NAME", "", KEY, of="cluster")
# Who may reach port 22 of the hosts: one CIDR block.
SSH_ALLOWED_CIDR = setting("SSH_ALLOWED_CIDR", "", cidr_or_empty, of="cluster")
# CloudWatch Container Insights for the cluster: enabled, enhanced or disabled.
CONTAINER_INSIGHTS = setting("CONTAINER_INSIGHTS", "enabled", one_of("enabled", "enhanced", "disabled"), of="cluster")

# -- It stops by itself

# Hours after which a task that run_task.py started is stopped, whatever it does, and wherever you are: 12, or 0.5. Empty: never;
# emptied later, create_cluster.py takes away what stands.
MAX_RUN_HOURS = setting("MAX_RUN_HOURS", "", hours(8760), of="cluster")
# Hours after which all stops: hosts end, services have 0 tasks, tasks of run_task.py stop; data stays. They count from the last
# run of create_cluster.py, run_task.py, create_service.py, update_service.py or resume_cluster.py. NAT gateways, load balancer,
# bastion, SYNC_SCHEDULE and what is stored cost on. Empty: never; emptied later, create_cluster.py takes away what stands.
MAX_CLUSTER_HOURS = setting("MAX_CLUSTER_HOURS", "", hours(8760), of="cluster")
# In place of MAX_CLUSTER_HOURS the instant at which all stops, in UTC: 2026-11-27T02:00Z. It is moved by the same scripts.
STOP_AT = setting("STOP_AT", "", instant, of="cluster")
# An existing role with which EventBridge Scheduler does that; empty: one is made. Set later: that one goes.
STOP_ROLE_ARN = setting("STOP_ROLE_ARN", "", ROLE_ARN, of="cluster")

# -- Network

# Who may reach the container's ports: one CIDR block, such as your own address as 203.0.113.7/32. Never guessed.
ALLOWED_CIDR = setting("ALLOWED_CIDR", "", cidr_or_empty, of="cluster")
# Who else may: CIDR blocks and security groups of the same VPC, such as 198.51.100.0/24,sg-0abc1234. Both settings count.
ALLOWED_CIDRS = setting("ALLOWED_CIDRS", "", words(source), of="cluster")
ALLOWED = list(dict.fromkeys(filter(None, [ALLOWED_CIDR, *ALLOWED_CIDRS])))
# An existing VPC to use; empty: one is made. With it, SUBNET_IDS too. It can't be changed later.
VPC_ID = setting("VPC_ID", "", VPC, of="cluster")
# Existing subnets of VPC_ID for hosts, tasks and mount targets: one in each zone. Changed later: mount targets stay.
SUBNET_IDS = setting("SUBNET_IDS", "", SUBNETS, of="cluster")
# Existing private subnets of VPC_ID, in place of SUBNET_IDS, where hosts and tasks are to be behind a load balancer.
PRIVATE_SUBNET_IDS = setting("PRIVATE_SUBNET_IDS", "", SUBNETS, of="cluster")
# Existing public subnets of VPC_ID, for the load balancer and the bastion.
PUBLIC_SUBNET_IDS = setting("PUBLIC_SUBNET_IDS", "", SUBNETS, of="cluster")
# Existing security groups for hosts and tasks, at most 5; empty: one is made. Their rules are left as they are.
# Set later: the one that was made goes once no host and no task bears it, with the next create_cluster.py.
SECURITY_GROUP_IDS = setting("SECURITY_GROUP_IDS", "", GROUPS, of="cluster")
# Address block of the VPC that is made, /16 to /28. It can't be changed later.
VPC_CIDR = setting("VPC_CIDR", "10.0.0.0/16", vpc_cidr, of="cluster")
# Address blocks of its public subnets, one in each zone. Later more can be added, and none changed or removed.
PUBLIC_SUBNET_CIDRS = setting("PUBLIC_SUBNET_CIDRS", "10.0.0.0/24", words(vpc_cidr), of="cluster")
# Address blocks of private subnets, one in each zone, for hosts, tasks and mount targets; empty: all is in the public.
# Later more can be added, and none changed or removed; mount targets that there are stay in the public ones.
PRIVATE_SUBNET_CIDRS = setting("PRIVATE_SUBNET_CIDRS", "", words(vpc_cidr), of="cluster")
# NAT gateways for the private subnets, each paid for by the hour: per-zone, single (cheaper) or none (no way out).
NAT_GATEWAYS = setting("NAT_GATEWAYS", "per-zone", one_of("per-zone", "single", "none"), of="cluster")
# Zones of those subnets, in their order; empty: the first zones that offer INSTANCE_TYPE.
AVAILABILITY_ZONES = setting("AVAILABILITY_ZONES", "", ZONES, of="cluster")

# -- Bastion, monitoring, and failures

# EC2 key pair for a bastion host in the public subnets; empty: no bastion. It needs BASTION_ALLOWED_CIDR.
BASTION_KEY_NAME = setting("BASTION_KEY_NAME", "", KEY, of="cluster")
# Who may reach port 22 of the bastion: one CIDR block. The hosts then accept SSH from the bastion alone.
BASTION_ALLOWED_CIDR = setting("BASTION_ALLOWED_CIDR", "", cidr_or_empty, of="cluster")
# Instance type of the bastion. Another type, or another key, makes a new host, and ends sessions.
BASTION_INSTANCE_TYPE = setting("BASTION_INSTANCE_TYPE", "t3.micro", TYPE, of="cluster")
# Security group of a bastion that is there already; the hosts accept SSH from it.
BASTION_SECURITY_GROUP_ID = setting("BASTION_SECURITY_GROUP_ID", "", GROUP, of="cluster")
# The CloudWatch agent on the hosts, for memory, disk, GPU use and the hosts' logs: enabled or disabled.
# Disabled later: what was logged stays, and costs, until delete_cluster.py; hosts that run log until update_cluster.py.
HOST_MONITORING = setting("HOST_MONITORING", "disabled", one_of("enabled", "disabled"), of="cluster")
# What create_cluster.py does when it fails while it makes a new cluster: keep what there is for a look, or delete what
# this run made.
ON_FAILURE = setting("ON_FAILURE", "keep", one_of("keep", "delete"), of="cluster")

# -- Load balancer

# A load balancer for a service: HTTPS, HTTP (not encrypted), or nothing for none. Changed later: services' rules move
# from one port to the other without an outage; nothing is refused while a service is behind it.
LISTENER_PROTOCOL = setting("LISTENER_PROTOCOL", "", one_of("", "HTTPS", "HTTP"), of="cluster")
# Whom the load balancer faces: internet-facing, or internal, in private subnets and for callers inside the VPC alone.
# It can't be changed later: AWS fixes it in the load balancer.
LOAD_BALANCER_SCHEME = setting(
    "LOAD_BALANCER_SCHEME", "internet-facing", one_of("internet-facing", "internal"), of="cluster"
)
# ACM certificate of the HTTPS listener: issued, and in this region. Several with commas: the first is shown to clients for
# whose host name there is none.
CERTIFICATE_ARNS = setting("CERTIFICATE_ARN", "", words(ACM_ARN), of="cluster")
# Host names of the certificate that create_certificate.py asks for, in place of CERTIFICATE_ARN; *.example.com too.
CERTIFICATE_DOMAINS = setting("CERTIFICATE_DOMAINS", "", HOSTS, of="cluster")
# Route 53 zone of the host names; empty: the public one whose name they end with.
HOSTED_ZONE_ID = setting("HOSTED_ZONE_ID", "", ZONE_ID, of="cluster")
# What the load balancer speaks with the container: HTTP, or HTTPS with a certificate of the container's own.
# It can't be changed while a service is behind it: AWS fixes it in the target group.
TARGET_PROTOCOL = setting("TARGET_PROTOCOL", "HTTP", one_of("HTTP", "HTTPS"), of="cluster")
# S3 bucket for the load balancer's access logs; empty: none.
ACCESS_LOGS_BUCKET = setting("ACCESS_LOGS_BUCKET", "", BUCKET, of="cluster")
# Deletion protection of the load balancer: on or off. delete_cluster.py stops at one that is on.
LOAD_BALANCER_PROTECTION = setting("LOAD_BALANCER_PROTECTION", "off", one_of("on", "off"), of="cluster")
# Seconds for which the load balancer keeps an idle connection.
IDLE_TIMEOUT = setting("IDLE_TIMEOUT", "60", whole(1, 4000), of="cluster")

# -- Data on EFS

# EFS volumes of the container: name:/path, :ro for read-only, several with commas. Empty: no file system.
# The data of one that is no longer named stays, and costs.
EFS_VOLUMES = setting("EFS_VOLUMES", "data:/data", words(efs_volume), of="cluster")
# one file system for all volumes, or one for each of EFS_VOLUMES: one or per-volume. It can't be changed later.
EFS_FILE_SYSTEMS = setting("EFS_FILE_SYSTEMS", "one", one_of("one", "per-volume"), of="cluster")
# An existing file system to use; empty: one is made. It can't be changed later, while volumes are on another one.
# Its policy stays as it is: what that denies our tasks is told.
FILE_SYSTEM_ID = setting("FILE_SYSTEM_ID", "", FILE_SYSTEM, of="cluster")
# User id that owns the files on EFS, whatever user the container runs as. It can't be changed later.
EFS_UID = setting("EFS_UID", "0", whole(0, 4294967295), of="cluster")
# Group id that owns them. It can't be changed later.
EFS_GID = setting("EFS_GID", "0", whole(0, 4294967295), of="cluster")
# generalPurpose, or maxIO (previous generation, not with elastic). It can't be changed later.
EFS_PERFORMANCE_MODE = setting("EFS_PERFORMANCE_MODE", "generalPurpose", EFS_MODE, of="cluster")
# elastic (pay for what is moved) or bursting (grows with what is stored).
EFS_THROUGHPUT_MODE = setting("EFS_THROUGHPUT_MODE", "elastic", one_of("elastic", "bursting"), of="cluster")
# Daily backups by AWS Backup: enabled or disabled. They cost, and outlive the file system.
EFS_BACKUP = setting("EFS_BACKUP", "disabled", one_of("enabled", "disabled"), of="cluster")
# Days after which a file that no one reads moves to Infrequent Access, cheaper to keep; empty: never.
EFS_INFREQUENT_ACCESS_DAYS = setting("EFS_INFREQUENT_ACCESS_DAYS", "", DAYS_UNREAD, of="cluster")
# What delete_cluster.py does with the file system that create_cluster.py made: Retain or Delete.
EFS_DELETION_POLICY = setting("EFS_DELETION_POLICY", "Retain", one_of("Retain", "Delete"), of="cluster")

#: prefix of the names of what belongs to one endpoint; without endpoints the cluster's
PREFIX = f"{CLUSTER_NAME}-{ENDPOINT}" if ENDPOINT else CLUSTER_NAME

# -- The container

# Family of the task definition; empty: CLUSTER_NAME, with an endpoint CLUSTER_NAME-ENDPOINT.
# Changed later: revisions of the former one stay, free, until delete_cluster.py or delete_endpoint.py.
TASK_FAMILY = (
    setting("TASK_FAMILY", "", pattern(r"[\w-]{1,255}", "a family name", or_empty=True), in_file="family") or PREFIX
)
# Container image, with its tag or digest.
IMAGE = setting("IMAGE", "nvidia/cuda:12.8.1-base-ubuntu24.04", image, in_file="image")
# In place of IMAGE: a tag of the repository of create_repository.py, or current, the one that the pipeline deployed last.
IMAGE_TAG = setting("IMAGE_TAG", "", pattern(r"\w[\w.-]{0,127}", "an image tag", or_empty=True))
# Images that the repository keeps; older ones expire.
IMAGES_KEPT = setting("IMAGES_KEPT", "20", whole(1, 1000))
# Entry point of the container, words as in a shell, or a JSON array of them; empty: the image's own.
ENTRY_POINT = setting("ENTRY_POINT", "", shell_words)
# Command of the container, words as in a shell (nothing is expanded), or a JSON array of them; empty: the image's own.
COMMAND = setting("COMMAND", "", shell_words)
# A file of NAME=value lines for the container's environment, written as .env is; its path as seen from .env. Not for secrets.
CONTAINER_ENVIRONMENT_FILE = setting("CONTAINER_ENVIRONMENT_FILE", "", variables_file)
# Environment of the container: NAME=value,NAME=value; a comma in a value is written `\,`. Not for secrets.
CONTAINER_ENVIRONMENT = setting("CONTAINER_ENVIRONMENT", "", variables) | CONTAINER_ENVIRONMENT_FILE
# Secrets of the container: NAME=ARN of a Secrets Manager secret or SSM parameter, or a parameter's name such as /team/token.
# Of a secret that is JSON, NAME=ARN:KEY:: takes the value of one key; ARN:KEY:STAGE:VERSION is the whole form.
CONTAINER_SECRETS = setting("CONTAINER_SECRETS", "", pairs(VARIABLE))
# Ports of the container: 9090, or HOST:CONTAINER. In bridge mode a port without HOST gets a dynamic one.
# The load balancer leads to the first. Changed later: the former is named too, until create_service.py has moved to the new.
CONTAINER_PORTS = setting("CONTAINER_PORTS", "", words(port), in_file="portMappings")
# bridge or host (EC2), awsvpc (Fargate; on EC2 the task then has no public address). Empty: bridge, on Fargate awsvpc.
# It can't be changed while a service is behind a load balancer: AWS fixes the kind of targets, and ports would be closed.
NETWORK_MODE = setting("NETWORK_MODE", "", one_of("", "bridge", "host", "awsvpc"), in_file="networkMode") or (
    "awsvpc" if LAUNCH_TYPE == "FARGATE" else "bridge"
)
# CPU units of the task, 1024 for one vCPU. Needed on Fargate; empty on EC2: no share reserved.
TASK_CPU = setting("TASK_CPU", "", whole(128, 196608, or_empty=True), in_file="cpu")
# Memory of the task, MiB, a hard limit; a host keeps about 5 percent of its own. Needed on Fargate; empty on EC2: 256
# reserved, and all that the host has left.
TASK_MEMORY = setting("TASK_MEMORY", "", whole(128, 4194304, or_empty=True), in_file="memory")
# Disk of a task on Fargate, GiB, the image included: 21 to 200, which cost; empty: the 20 that are free.
EPHEMERAL_STORAGE_GIB = setting(
    "EPHEMERAL_STORAGE_GIB", "", whole(21, 200, or_empty=True), in_file="ephemeralStorage.sizeInGiB"
)
# Shared memory (/dev/shm), MiB, EC2 only; empty: a quarter of TASK_MEMORY, or 1024 with a GPU. PyTorch loaders need it.
SHARED_MEMORY_MIB = setting(
    "SHARED_MEMORY_MIB", "", whole(1, 1048576, or_empty=True), in_file="linuxParameters.sharedMemorySize"
) or (0 if LAUNCH_TYPE == "FARGATE" else TASK_MEMORY // 4 or (1024 if GPU_COUNT else 0))
# Folders of the container in memory, gone with it: /path:MIB, several with commas.
TMPFS = setting("TMPFS", "", words(tmpfs))
# Limits of the container: NAME:SOFT:HARD, -1 for none: memlock:-1:-1,nofile:65536:65536. On Fargate only nofile.
ULIMITS = setting("ULIMITS", "", words(ulimit))
# Linux capabilities that it has more than Docker gives it, and with - before them less: SYS_PTRACE,-NET_RAW. On Fargate
# none but SYS_PTRACE can be added.
CAPABILITIES = setting("CAPABILITIES", "", words(capability))
# User of the container, USER or USER:GROUP, names or numbers; empty: the image's own.
CONTAINER_USER = setting("CONTAINER_USER", "", pattern(r"[\w.-]{1,64}(:[\w.-]{1,64})?", "a user", or_empty=True))
# Folder in which its command begins; empty: the image's own.
WORKING_DIRECTORY = setting("WORKING_DIRECTORY", "", pattern(r"/[!-~]{0,1023}", "an absolute path", or_empty=True))
# Whether its own files can't be written: volumes and TMPFS still can. ECS Exec does not work then. true or false.
READONLY_ROOT = setting("READONLY_ROOT", "false", one_of("true", "false")) == "true"
# Whether a small first process passes signals on and ends what its parent left: true or false. With ECS Exec always.
INIT = setting("INIT", "false", one_of("true", "false")) == "true"
# Seconds between SIGTERM and SIGKILL when it is stopped: to 120 on Fargate; empty: 30, or what the host's ECS agent has.
STOP_TIMEOUT = setting("STOP_TIMEOUT", "", whole(2, 86400, or_empty=True))
# Command in the container that tells by its exit code, 0, that it is healthy: a line for its shell, or a JSON array of
# words. ECS ends a task whose essential container is not; a service starts another. Empty: none.
HEALTH_COMMAND = setting("HEALTH_COMMAND", "", health_command)
# Seconds between two of them.
HEALTH_COMMAND_INTERVAL = setting("HEALTH_COMMAND_INTERVAL", "30", whole(5, 300))
# Seconds after which it has failed.
HEALTH_COMMAND_TIMEOUT = setting("HEALTH_COMMAND_TIMEOUT", "5", whole(2, 60))
# How many in a row must fail.
HEALTH_COMMAND_RETRIES = setting("HEALTH_COMMAND_RETRIES", "3", whole(1, 10))
# Seconds after the start in which failures are not counted.
HEALTH_COMMAND_START_PERIOD = setting("HEALTH_COMMAND_START_PERIOD", "0", whole(0, 300))
# Secret with the username and password of a private registry (NGC, GHCR, Docker Hub): its ARN. ECR needs none.
REGISTRY_CREDENTIALS = setting("REGISTRY_CREDENTIALS", "", REGISTRY_SECRET)
# Files of NAME=value lines in S3 for its environment, by ARN, at most 10; they end with .env. CONTAINER_ENVIRONMENT wins.
ENVIRONMENT_FILES = setting("ENVIRONMENT_FILES", "", words(S3_OBJECT))
# How its output comes into its log. AWS loses lines where they come too fast (mode=non-blocking, max-buffer-size=25m); with
# mode=blocking the container waits instead. Also awslogs-datetime-format and awslogs-multiline-pattern.
LOG_OPTIONS = setting("LOG_OPTIONS", "mode=non-blocking", log_options)
# An existing role with which ECS starts the task (pulls the image, writes logs); empty: one is made.
# Set later: that one stays while a registered revision names it.
TASK_EXECUTION_ROLE_ARN = setting("TASK_EXECUTION_ROLE_ARN", "", ROLE_ARN, in_file="executionRoleArn")
# An existing role for the container itself; empty: one is made. Set later: that one stays likewise.
# It mounts EFS_VOLUMES only if its policy lets it, by their access points: which, and what it needs, is told.
TASK_ROLE_ARN = setting("TASK_ROLE_ARN", "", ROLE_ARN, in_file="taskRoleArn")
# S3 buckets that the container may read and write, by name.
TASK_S3_BUCKETS = setting("TASK_S3_BUCKETS", "", words(pattern(BUCKET_NAME, "a list of bucket names")))
# DynamoDB tables that it may read and write, by name.
TASK_DYNAMODB_TABLES = setting("TASK_DYNAMODB_TABLES", "", words(pattern(r"[\w.-]{3,255}", "a list of table names")))
# SQS queues that it may send to and receive from, by name.
TASK_SQS_QUEUES = setting("TASK_SQS_QUEUES", "", words(pattern(QUEUE, "a list of queue names")))
# Days for which the container's logs are kept.
LOG_RETENTION_DAYS = setting("LOG_RETENTION_DAYS", "30", whole(1, 3653))

# -- Tasks

# How many tasks run_task.py brings up; with --sweep and --nodes it does not count.
TASK_COUNT = setting("TASK_COUNT", "1", whole(1, 1000))
# What run_task.py waits for: RUNNING, or STOPPED for a task that does its work and ends.
RUN_UNTIL = setting("RUN_UNTIL", "RUNNING", one_of("RUNNING", "STOPPED"))
# Tasks of a sweep that run_task.py runs at once at most: as many as the hosts have GPUs. More wait for a host in PROVISIONING,
# and AWS ends them after about 20 minutes without one.
MAX_PARALLEL = setting("MAX_PARALLEL", "1", whole(1, 500))
# Ports on which the nodes of one job (run_task.py --nodes) reach each other, and nobody else them: FROM-TO; MASTER_PORT is the
# first. 29500-65535 has those too that NCCL and Gloo take as they come. It needs NETWORK_MODE=awsvpc. Empty: none.
NODE_PORTS = setting("NODE_PORTS", "", port_range)
# Minutes for which run_task.py asks again for a host, once a minute, where AWS has none of INSTANCE_TYPE in any zone; then it
# ends with exit code 3 and the reason in each zone. create_service.py asks as long, and then makes the service all the same.
WAIT_FOR_CAPACITY = setting("WAIT_FOR_CAPACITY", "0", whole(0, 1440))
# Seconds after which run_task.py gives up waiting for the end of what runs, with RUN_UNTIL=STOPPED, and of a sweep; it goes on.
# Empty: as long as it takes. Until it runs WAIT_TIMEOUT_SECONDS counts.
RUN_TIMEOUT_SECONDS = setting("RUN_TIMEOUT_SECONDS", "", whole(1, 31536000, or_empty=True))
# How often run_task.py starts a task again that ended for one of RETRY_ON, after 30 seconds, then 60, 120 and so on.
RETRIES = setting("RETRIES", "0", whole(0, 10))
# What it starts again for: spot (AWS took Spot capacity back), host (the host ended), pull (the image could not be pulled),
# exit (the task's own exit code was not 0).
RETRY_ON = setting("RETRY_ON", "spot,host,pull", words(one_of("spot", "host", "pull", "exit")))

# -- Service

# Name of the service; empty: TASK_FAMILY. Changed later: a new one starts, then the former one ends, where there is room for
# both; a pipeline needs create_pipeline.py again.
SERVICE_NAME = setting("SERVICE_NAME", "", pattern(r"[\w-]{1,255}", "a service name", or_empty=True)) or TASK_FAMILY
# Tasks that the service keeps running.
DESIRED_COUNT = setting("DESIRED_COUNT", "1", whole(0, 1000))
# Host name that leads to the service, at the load balancer; empty: any. Several with commas: URLs show the first. At most 5
# with those of LISTENER_PATH.
HOST_NAMES = setting("HOST_NAME", "", words(pattern(HOST, "a host name such as a.example.com")))
HOST_NAME = next(iter(HOST_NAMES), "")
# Priority of its listener rule; empty: the next free one. Emptied later: it keeps the number that it has.
RULE_PRIORITY = setting("RULE_PRIORITY", "", whole(1, 50000, or_empty=True))
# Another endpoint, of whose requests this one takes TRAFFIC_WEIGHT percent; empty: none.
TRAFFIC_FROM = setting("TRAFFIC_FROM", "", ENDPOINT_FORM)
# Percent of the requests for TRAFFIC_FROM's host name that come here instead.
TRAFFIC_WEIGHT = setting("TRAFFIC_WEIGHT", "0", whole(0, 100))
# Paths of the load balancer that lead to the service; several with commas.
LISTENER_PATHS = setting("LISTENER_PATH", "/*", words(pattern(PATH_PATTERN, "a path pattern such as /api/*")))
# What it speaks with the container: HTTP1, HTTP2 or GRPC. The last two need LISTENER_PROTOCOL=HTTPS, and clients of HTTP/2.
# It can't be changed while a service is behind it: AWS fixes it in the target group.
TARGET_PROTOCOL_VERSION = setting("TARGET_PROTOCOL_VERSION", "HTTP1", one_of("HTTP1", "HTTP2", "GRPC"))
GRPC = TARGET_PROTOCOL_VERSION == "GRPC"
# How it chooses a task for a request: round_robin, least_outstanding_requests or weighted_random.
ALGORITHM = setting("ALGORITHM", "round_robin", one_of("round_robin", "least_outstanding_requests", "weighted_random"))
# Seconds for which the requests of one client go to the same task, by a cookie; empty: to any.
STICKINESS_SECONDS = setting("STICKINESS_SECONDS", "", whole(1, 604800, or_empty=True))
# Seconds in which a new task is given more and more requests, 30 to 900; empty: its whole part at once. Only with round_robin.
SLOW_START = setting("SLOW_START", "", whole(30, 900, or_empty=True))
# Path that tells whether a task is healthy; empty: /, with GRPC /AWS.ALB/healthcheck. With GRPC a method: /package.service/method.
HEALTH_CHECK_PATH = setting("HEALTH_CHECK_PATH", "", pattern(URL_PATH, "a path", or_empty=True)) or (
    "/AWS.ALB/healthcheck" if GRPC else "/"
)
# Codes that mean healthy: of HTTP, empty for 200-299; with GRPC of gRPC, 0 to 99, empty for 12, not implemented.
HEALTH_CHECK_CODES = setting("HEALTH_CHECK_CODES", "", codes) or ("12" if GRPC else "200-299")
# Port of the task, or of its host, that is asked for it, one of CONTAINER_PORTS; empty: the one of its requests.
HEALTH_CHECK_PORT = setting("HEALTH_CHECK_PORT", "", whole(1, 65535, or_empty=True))
# Seconds between two health checks.
HEALTH_CHECK_INTERVAL = setting("HEALTH_CHECK_INTERVAL", "30", whole(5, 300))
# Seconds after which a health check has failed.
HEALTH_CHECK_TIMEOUT = setting("HEALTH_CHECK_TIMEOUT", "5", whole(2, 120))
# Good checks in a row that make a task healthy.
HEALTHY_THRESHOLD = setting("HEALTHY_THRESHOLD", "2", whole(2, 10))
# Bad checks in a row that make it unhealthy.
UNHEALTHY_THRESHOLD = setting("UNHEALTHY_THRESHOLD", "2", whole(2, 10))
# Seconds after a task's start in which failed health checks do not kill it; models load slowly.
HEALTH_CHECK_GRACE_SECONDS = setting("HEALTH_CHECK_GRACE_SECONDS", "300", whole(0, 2147483647))
# Seconds that a task which leaves is given to finish its requests.
DEREGISTRATION_DELAY = setting("DEREGISTRATION_DELAY", "60", whole(0, 3600))
# Whether a deploy may stop the old task first where no GPU is free for a new one: true or false.
ALLOW_DOWNTIME = setting("ALLOW_DOWNTIME", "true", one_of("true", "false")) == "true"
# ECS Exec, a shell in the running container: true or false.
ENABLE_EXECUTE_COMMAND = setting("ENABLE_EXECUTE_COMMAND", "false", one_of("true", "false")) == "true"
# Whether create_service.py and update_service.py wait until stable, create_pipeline.py for its image: true or false.
WAIT = setting("WAIT", "true", one_of("true", "false")) == "true"
# Paths that check_service.py asks for, after HEALTH_CHECK_PATH.
CHECK_PATHS = setting("CHECK_PATHS", "", words(pattern(URL_PATH, "a list of paths")))
# How the service scales: none; on its CPU, step or target-tracking, which on EC2 needs TASK_CPU; or on its requests.
SCALING = setting("SCALING", "none", one_of("none", "step", "target-tracking", "requests"))
# Tasks at the least, when it scales. 0 only with SCALING=requests: a request wakes it, and gets 503 until a task answers.
MIN_TASKS = setting("MIN_TASKS", "1", whole(0, 1000))
# Tasks at the most, when it scales.
MAX_TASKS = setting("MAX_TASKS", "1", whole(1, 1000))
# CPU percent above which it scales out, for 3 minutes; for target-tracking the percent that it keeps.
SCALE_OUT_CPU = setting("SCALE_OUT_CPU", "90", whole(1, 100))
# CPU percent below which it scales in, for 10 minutes (step).
SCALE_IN_CPU = setting("SCALE_IN_CPU", "70", whole(1, 100))
# Memory percent that target-tracking keeps, beside the CPU's; empty: it looks at the CPU alone.
SCALE_OUT_MEMORY = setting("SCALE_OUT_MEMORY", "", whole(1, 100, or_empty=True))
# Requests a minute that each task is to have (requests).
REQUESTS_PER_TASK = setting("REQUESTS_PER_TASK", "", whole(1, 1000000, or_empty=True))
# Minutes without a request after which it has MIN_TASKS (requests); with 0 more than a task needs to start.
IDLE_MINUTES = setting("IDLE_MINUTES", "15", whole(1, 1440))
# Seconds after it scaled out, before it does so again.
SCALE_OUT_COOLDOWN = setting("SCALE_OUT_COOLDOWN", "1800", whole(0, 86400))
# Seconds after it scaled in, before it does so again.
SCALE_IN_COOLDOWN = setting("SCALE_IN_COOLDOWN", "1800", whole(0, 86400))
# Path, on an EFS volume, of a certificate that is made for the container before it starts (PATH.crt, PATH.key); empty: none.
CONTAINER_CERTIFICATE = setting("CONTAINER_CERTIFICATE", "", CERTIFICATE_PATH)
# Image with sh and openssl that makes it.
CERTIFICATE_IMAGE = setting("CERTIFICATE_IMAGE", "alpine/openssl:3.3.3", image)

# -- Pipeline

# Git repository that the pipeline builds: OWNER/NAME. Emptied later: delete_pipeline.py ends it.
SOURCE_REPOSITORY = setting("SOURCE_REPOSITORY", "", GIT)
# Branch of it; each push to it is built and deployed.
SOURCE_BRANCH = setting("SOURCE_BRANCH", "main", pattern(BRANCH, "a branch"))
# Paths in it, at most 8: only a push that touches one is built and deployed, b/** for a folder. Empty: each push.
SOURCE_PATHS = setting("SOURCE_PATHS", "", words(pattern(GIT_PATH, "a list of paths such as b/**")))
# Connection to the Git host; empty: one is made, and a person finishes its handshake in the console.
# Set later: that one stays, free, since endpoints share it, until delete_cluster.py.
CONNECTION_ARN = setting("CONNECTION_ARN", "", pattern(LINK, "a connection's ARN", or_empty=True))
# Where the repository is, for a connection that is made. It can't be changed then: AWS fixes it in the connection.
CONNECTION_PROVIDER = setting("CONNECTION_PROVIDER", "GitHub", one_of("GitHub", "GitLab", "Bitbucket", "AzureDevOps"))
# Path of the buildspec in that repository.
BUILDSPEC = setting("BUILDSPEC", "buildspec.yml", pattern(r"[\w./-]+", "a path"))
# Build environment of CodeBuild; one with aarch64 in its name builds on ARM, aws/codebuild/amazonlinux-aarch64-standard:3.0.
BUILD_IMAGE = setting("BUILD_IMAGE", "aws/codebuild/standard:8.0", image)
# Size of the build machine, as CodeBuild names it.
BUILD_COMPUTE_TYPE = setting("BUILD_COMPUTE_TYPE", "BUILD_GENERAL1_MEDIUM", BUILD_SIZE)
# An existing role for CodeBuild; empty: one is made. Set later: that one goes, once no build has it.
BUILD_ROLE_ARN = setting("BUILD_ROLE_ARN", "", ROLE_ARN)
# An existing role for the pipeline; empty: one is made. Set later: that one goes likewise.
PIPELINE_ROLE_ARN = setting("PIPELINE_ROLE_ARN", "", ROLE_ARN)
# Days for which the pipeline's artifacts are kept.
ARTIFACT_DAYS = setting("ARTIFACT_DAYS", "30", whole(1, 3650))

# -- Weights

# S3 bucket of the weights, in this region. Emptied later: delete_sync.py ends the sync.
WEIGHTS_BUCKET = setting("WEIGHTS_BUCKET", "", BUCKET)
# Folder in it; empty: the whole bucket.
WEIGHTS_PREFIX = setting("WEIGHTS_PREFIX", "", S3_FOLDER)
# Folder on this machine that sync_weights.py uploads to the bucket first; empty: none.
WEIGHTS_FOLDER = setting("WEIGHTS_FOLDER", "", folder)
# Volume of EFS_VOLUMES that takes them. Changed later: what is on the former one stays, and costs.
WEIGHTS_VOLUME = setting("WEIGHTS_VOLUME", "weights", VOLUME)
# How often the bucket is synced to the volume, such as every 3 minutes; empty: only when sync_weights.py runs.
SYNC_SCHEDULE = setting("SYNC_SCHEDULE", "", every)
# Image with the AWS CLI: it does this, and the copies of copy_data.py.
SYNC_IMAGE = setting("SYNC_IMAGE", "public.ecr.aws/aws-cli/aws-cli:2.31.0", image)

# An existing role for the containers of the sync and of copies; empty: each gets one. Set later: they stay while in use.
SYNC_ROLE_ARN = setting("SYNC_ROLE_ARN", "", ROLE_ARN)
# An existing role for the schedule; empty: one is made. Set later: that one goes.
SCHEDULE_ROLE_ARN = setting("SCHEDULE_ROLE_ARN", "", ROLE_ARN)

# -- Waiting

# Seconds between two looks at something that is being waited for.
POLL_SECONDS = setting("POLL_SECONDS", "5", seconds(3600))
# Seconds that the DNS name of a new EFS mount target takes, on top of its becoming available.
EFS_DNS_SECONDS = setting("EFS_DNS_SECONDS", "90", seconds(3600))
# Seconds after which a wait gives up and says what AWS says.
WAIT_TIMEOUT_SECONDS = setting("WAIT_TIMEOUT_SECONDS", "1800", seconds(604800))

# ---------------------------------------------------------------------------------------------------------------------
# What follows from the form: names, tags, and what must fit together.
# ---------------------------------------------------------------------------------------------------------------------

#: the one tag by which everything is found again
CLUSTER_TAG = "gpu-ecs-cluster"
#: which endpoint it belongs to; what belongs to the cluster does not bear it
ENDPOINT_TAG = "gpu-ecs-endpoint"
#: what it is to us, private-1: beside the Name, which is for people
PART_TAG = "gpu-ecs-part"
#: which run of run_task.py a task belongs to, where it is not just as its revision says
RUN_TAG = "gpu-ecs-run"
#: on the cluster while it is paused: since when
PAUSED_TAG = "gpu-ecs-paused"
#: the names of EXTRA_TAGS as they were given, so that one that goes from there goes from AWS too
EXTRA_TAG = "gpu-ecs-extra-tags"
TAGS = {**EXTRA_TAGS, **({EXTRA_TAG: " ".join(sorted(EXTRA_TAGS))} if EXTRA_TAGS else {}), CLUSTER_TAG: CLUSTER_NAME}
#: a cluster that endpoints share, seen without one of them: nothing of it runs
CLUSTER_ONLY = SHARED_CLUSTER and not ENDPOINT
#: the tags of what belongs to one endpoint; without endpoints the cluster's
ENDPOINT_TAGS = {**TAGS, ENDPOINT_TAG: ENDPOINT} if ENDPOINT else TAGS
#: more of these that something has, or that AWS adds: Name, those above, AmazonECSManaged, an access point's volume
OWN_TAGS = ("name", "volume", "amazonecsmanaged")
MOST_TAGS = 40
#: what shells and containers set, and is near one of ours by chance
NOT_OURS = ("HOSTNAME",)
#: what a host's agent is told by these scripts, and the setting from which it follows
OWN_ECS_CONFIG = {
    "ECS_CLUSTER": ": CLUSTER_NAME says it",
    "ECS_AWSVPC_BLOCK_IMDS": "",
    "ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM": "",
    "ECS_ENABLE_GPU_SUPPORT": ": GPU_COUNT says it",
    "ECS_ENABLE_SPOT_INSTANCE_DRAINING": ": CAPACITY_TYPE says it",
}
#: of the hosts, the preferred one first
TYPES = INSTANCE_TYPES or [INSTANCE_TYPE]
#: whether the Auto Scaling group says what its template says otherwise: of which type, and whether on Spot
MIXED = len(TYPES) > 1 or CAPACITY_TYPE == "spot-first"
SPOT_FIRST = CAPACITY_TYPE == "spot-first"
#: https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-quotas.html
MOST_TYPES = 40
CONTAINER_NAME: str = SAYS["name"][1] if "name" in SAYS else "main"
#: MiB and CPU units that a task takes of its host; 0 where it is not said
HOST_MEMORY: int = TASK_MEMORY or SAYS["containers' memory"][1]
HOST_CPU: int = TASK_CPU or SAYS["containers' cpu"][1]
#: all GPUs of a host for each task, however many it has
ALL_GPUS: bool = SAYS["all gpus"][1] if "gpus" in SAYS else TEXTS.get("GPU_COUNT", "").strip() == "ALL"
LOG_GROUP = f"/ecs/{PREFIX}"
#: where hosts, tasks and mount targets are, in an existing VPC
WORK_SUBNET_IDS = PRIVATE_SUBNET_IDS or SUBNET_IDS
CAPACITY_PROVIDER = f"{CLUSTER_NAME}-capacity"
STARTED_BY = f"{PREFIX}/run_task"
#: what our own role would be called -> the user's in its place
ADOPTED_ROLES = {
    **dict.fromkeys(("host", "bastion"), HOST_ROLE),
    "task-execution": TASK_EXECUTION_ROLE_ARN,
    "task": TASK_ROLE_ARN,
    "build": BUILD_ROLE_ARN,
    "pipeline": PIPELINE_ROLE_ARN,
    **dict.fromkeys(("sync", "copy"), SYNC_ROLE_ARN),
    "schedule": SCHEDULE_ROLE_ARN,
    "stop": STOP_ROLE_ARN,
}
#: those for which there is no need
NOT_NEEDED = (
    *(("host",) if LAUNCH_TYPE == "FARGATE" else ()),
    *(("bastion",) if not BASTION_KEY_NAME else ()),
    *(("build", "pipeline") if not SOURCE_REPOSITORY else ()),
    "copy",  # copy_data.py sees to it by itself
    *(("sync",) if not WEIGHTS_BUCKET else ()),
    *(("schedule",) if not SYNC_SCHEDULE else ()),
    *(("stop",) if not (MAX_RUN_HOURS or MAX_CLUSTER_HOURS or STOP_AT) else ()),
)
#: whether any role is made: else IAM is asked nothing
MAKES_ROLES = any(not arn for each, arn in ADOPTED_ROLES.items() if each not in NOT_NEEDED)
#: the command with which a pipeline starts a service that scales, without what it names
COMMAND_REST = 521

#: vCPU -> MiB: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
FARGATE_MEMORY: dict[int, list[int]] = {
    256: [512, 1024, 2048],
    512: list(range(1024, 4097, 1024)),
    1024: list(range(2048, 8193, 1024)),
    2048: list(range(4096, 16385, 1024)),
    4096: list(range(8192, 30721, 1024)),
    8192: list(range(16384, 61441, 4096)),
    16384: list(range(32768, 122881, 8192)),
}
#: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545),
    *(731, 1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


def check_names() -> None:
    if not CLUSTER_NAME:
        return
    if len(PREFIX) > 28:
        why = "since the names of load balancers and target groups that are made from it end at 32"
        too_long = "ENDPOINT" if len(CLUSTER_NAME) <= 28 else "CLUSTER_NAME"
        problem(too_long, f"{PREFIX!r} has {len(PREFIX)} characters; 28 at most, {why}")
    elif CLUSTER_ONLY and len(CLUSTER_NAME) > 26:
        problem("CLUSTER_NAME", f"{CLUSTER_NAME!r} leaves no room for the names of endpoints: 26 characters at most")
    if not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9-]*[a-zA-Z0-9]", CLUSTER_NAME):
        problem("CLUSTER_NAME", f"{CLUSTER_NAME!r} is not letters, digits and hyphens, beginning with a letter")
    if re.match(r"aws|ecs|fargate|internal-|sg-", CLUSTER_NAME, re.IGNORECASE):
        beginnings = "aws, ecs, fargate, internal- or sg-, which AWS keeps for itself"
        problem("CLUSTER_NAME", f"{CLUSTER_NAME!r} begins with {beginnings}")


def check_tags() -> None:
    """https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-using-tags.html; IAM takes keys without regard to case."""
    for name, text in EXTRA_TAGS.items():
        taken = name.lower().startswith(("aws:", "gpu-ecs-")) or name.lower() in OWN_TAGS
        if taken or len(name) > 128:
            problem("EXTRA_TAGS", f"the tag {name!r} can't be set: AWS or these scripts use it, or it is too long")
        elif " " in name:
            problem("EXTRA_TAGS", f"the tag {name!r} has a space, which these scripts do not allow in a tag's name")
        if not all(each.isalnum() or each in " _.:/=+-@" for each in name + text):
            problem("EXTRA_TAGS", f"the tag {name!r} has more than letters, digits, spaces and _ . : / = + - @")
        if len(text) > 256 or text.lower().startswith("aws:"):
            problem("EXTRA_TAGS", f"the tag {name!r} has a value that begins with aws:, or of more than 256 characters")
    for name, count in Counter(map(str.lower, EXTRA_TAGS)).items():
        if count > 1:
            problem("EXTRA_TAGS", f"has {name} twice, which IAM does not tell apart by its capitals")
    if len(" ".join(EXTRA_TAGS)) > 256:
        problem("EXTRA_TAGS", "has names of more than 256 characters together, which no tag can hold")
    if len(EXTRA_TAGS) > MOST_TAGS:
        problem("EXTRA_TAGS", f"has {len(EXTRA_TAGS)} tags; {MOST_TAGS} at most, since AWS takes 50 with those of ours")


def check_lengths() -> None:
    """What follows from the settings, and how long AWS takes it. A region of the profile's is not known here."""
    region, one = AWS_REGION or os.environ.get("AWS_DEFAULT_REGION", ""), "ENDPOINT" if ENDPOINT else "CLUSTER_NAME"
    volumes = [volume["name"] for volume in EFS_VOLUMES if EFS_FILE_SYSTEMS == "per-volume"]
    variables = [text for pair in (CONTAINER_ENVIRONMENT | CONTAINER_SECRETS).items() for text in pair]
    resources = [2 * (80 * "-" + each) for each in (*TASK_S3_BUCKETS, *TASK_DYNAMODB_TABLES, *TASK_SQS_QUEUES)]  # about
    derived = [
        (one, "a role's name", f"{PREFIX}-task-execution-{region}", 64),
        *(("EFS_VOLUMES", "a file system's token", f"{CLUSTER_NAME}-file-system-{each}", 64) for each in volumes),
        ("CONTAINER_ENVIRONMENT", "the task definition", "".join([*COMMAND, *ENTRY_POINT, *variables]), 60_000),
        ("CONTAINER_SECRETS", "the policy of the role that reads them", "".join(CONTAINER_SECRETS.values()), 9000),
        ("TASK_S3_BUCKETS", "the policy with TASK_DYNAMODB_TABLES and TASK_SQS_QUEUES", "".join(resources), 9000),
    ]
    for name, what, text, most in derived:
        if told := too_long(what, text, most):
            problem(name, told if name in MAY_BE_SECRET else f"{told}: {texts.shortened(text)}")


def too_long(what: str, text: str, most: int) -> str:
    """What is wrong with that, in words; "" where nothing is."""
    size = len(text.encode())
    return f"{what} would have {size} characters, {most} at most" if size > most else ""


def too_long_for_a_pipeline() -> dict[str, str]:
    """The setting -> what is wrong with its length, where a pipeline is made: nobody else minds."""
    region, one = AWS_REGION or os.environ.get("AWS_DEFAULT_REGION", ""), "ENDPOINT" if ENDPOINT else "CLUSTER_NAME"
    command = 3 * f"{SERVICE_NAME}{CLUSTER_NAME}{region}" + COMMAND_REST * "." if SCALING != "none" else ""
    return {
        one: too_long("the name of the pipeline's bucket", f"{PREFIX}-artifacts-{12 * '0'}-{region}", 63),
        "SERVICE_NAME": too_long("a command of the pipeline names it, and", command, 1000),
    }


def check_endpoint() -> None:
    """What belongs to the cluster must be the same for all its endpoints."""
    if ENDPOINT and not SHARED_CLUSTER:
        problem("SHARED_CLUSTER", f"is not true, but ENDPOINT={ENDPOINT}: endpoints need a cluster that they share")
    for name in sorted(merged(ENDPOINT_FILE).keys() & OF_CLUSTER):
        problem(name, f"is set in {ENDPOINT_NAME}, but belongs to the cluster, which endpoints share: put it into .env")
    for name in ("TASK_FAMILY", "SERVICE_NAME", "HOST_NAME") if ENDPOINT else ():
        if merged(SHARED_FILE).get(name) and name not in merged(ENDPOINT_FILE, os.environ):
            problem(name, f"is set for all endpoints, but each has its own: put it into {ENDPOINT_NAME}")
    if ENDPOINT and "TASK_FAMILY" in FROM_FILE and "TASK_DEFINITION_FILE" not in merged(ENDPOINT_FILE, os.environ):
        problem("TASK_FAMILY", f"is the same for all endpoints: put TASK_DEFINITION_FILE into {ENDPOINT_NAME}")
    if SHARED_CLUSTER and NETWORK_MODE != "awsvpc":
        problem("NETWORK_MODE", f"is {NETWORK_MODE}, but endpoints need addresses of their own: NETWORK_MODE=awsvpc")
    if READ.get(ENDPOINT_PATH) and LISTENER_PROTOCOL and not HOST_NAME and "HOST_NAME" not in PROBLEMS:
        problem("HOST_NAME", f"is not set: say in {ENDPOINT_NAME} which host name leads to the endpoint")
    if len(SOURCE_PATHS) > 8:
        problem("SOURCE_PATHS", f"has {len(SOURCE_PATHS)} paths; a pipeline's trigger takes 8 at most")
    for host in [host for host in HOST_NAMES if len(host) > 128]:
        problem("HOST_NAME", f"has {len(host)} characters; a load balancer's rule takes 128 at most")
    if CERTIFICATE_DOMAINS and len(CERTIFICATE_DOMAINS[0]) > 64:
        first = CERTIFICATE_DOMAINS[0]
        problem("CERTIFICATE_DOMAINS", f"{first} is longer than 64 characters: put a shorter name first")
    if TRAFFIC_WEIGHT and not TRAFFIC_FROM:
        problem("TRAFFIC_FROM", f"is not set, but TRAFFIC_WEIGHT={TRAFFIC_WEIGHT}: say of which endpoint's requests")
    if EFS_FILE_SYSTEMS == "per-volume" and FILE_SYSTEM_ID:
        problem("EFS_FILE_SYSTEMS", f"per-volume does not go with FILE_SYSTEM_ID={FILE_SYSTEM_ID}: use one")
    if TRAFFIC_FROM and TRAFFIC_FROM == ENDPOINT:
        problem("TRAFFIC_FROM", f"{TRAFFIC_FROM} is the endpoint itself")


def endpoint_files() -> str:
    """Which endpoints have a file here, in words."""
    found = sorted(path.stem for path in ENDPOINTS.glob("*.env"))
    return f"there is {', '.join(found)}" if found else "there is none in endpoints/"


def check_network() -> None:
    if VPC_ID and not SUBNET_IDS and not PRIVATE_SUBNET_IDS:
        problem("SUBNET_IDS", f"is empty, but VPC_ID={VPC_ID}: name the subnets of that VPC to use")
    of_a_vpc = {
        "PRIVATE_SUBNET_IDS or PUBLIC_SUBNET_IDS": PRIVATE_SUBNET_IDS or PUBLIC_SUBNET_IDS,
        "SUBNET_IDS": SUBNET_IDS,
        "SECURITY_GROUP_IDS": SECURITY_GROUP_IDS,
    }
    for name in [name for name, ids in of_a_vpc.items() if ids and not VPC_ID]:
        problem("VPC_ID", f"is empty, but {name} is set: name the VPC that they belong to")
    if len(SECURITY_GROUP_IDS) > 5:
        problem("SECURITY_GROUP_IDS", f"has {len(SECURITY_GROUP_IDS)} groups; ECS takes 5 at most")
    if not VPC_ID:
        check_subnet_cidrs()
    if CONTAINER_PORTS and not ALLOWED and not SECURITY_GROUP_IDS and "ALLOWED_CIDR" not in PROBLEMS:
        ports, how = ",".join(str(p) for _, p in CONTAINER_PORTS), "for example your own address as 203.0.113.7/32"
        problem("ALLOWED_CIDR", f"is not set, but CONTAINER_PORTS={ports}: say who may reach it, {how}")
    check_allowed()
    check_load_balancer()
    if bool(BASTION_KEY_NAME) != bool(BASTION_ALLOWED_CIDR):
        problem("BASTION_ALLOWED_CIDR", "and BASTION_KEY_NAME go together: a bastion needs both")
    if bool(KEY_NAME) != bool(SSH_ALLOWED_CIDR) and not BASTION_KEY_NAME and not BASTION_SECURITY_GROUP_ID:
        missing, given = ("SSH_ALLOWED_CIDR", "KEY_NAME") if KEY_NAME else ("KEY_NAME", "SSH_ALLOWED_CIDR")
        problem(missing, f"is not set, but {given} is: SSH needs both")


def check_allowed() -> None:
    """https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups"""
    ports = len(CONTAINER_PORTS) if not LISTENER_PROTOCOL else 2 if LISTENER_PROTOCOL == "HTTPS" else 1
    if len(ALLOWED) * ports > 55:
        many = f"with ALLOWED_CIDR has {len(ALLOWED)} members, which make {len(ALLOWED) * ports} rules"
        problem("ALLOWED_CIDRS", f"{many}; a security group takes 60, with those of ours")


def check_load_balancer() -> None:
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html"""
    if not LISTENER_PROTOCOL:
        return
    if LISTENER_PROTOCOL == "HTTPS" and not CERTIFICATE_ARNS and not CERTIFICATE_DOMAINS:
        problem("CERTIFICATE_ARN", "is not set, but LISTENER_PROTOCOL=HTTPS: an issued ACM certificate is needed")
    if CERTIFICATE_ARNS and CERTIFICATE_DOMAINS:
        problem("CERTIFICATE_DOMAINS", "and CERTIFICATE_ARN do not go together: one of them says which certificate")
    if len(CERTIFICATE_ARNS) > 26:
        problem("CERTIFICATE_ARN", f"has {len(CERTIFICATE_ARNS)}; a load balancer takes 25 beside the first")
    if not ALLOWED:
        problem("ALLOWED_CIDR", "is not set, but LISTENER_PROTOCOL is: say who may reach the load balancer")
    if not CONTAINER_PORTS and not CLUSTER_ONLY:
        problem("CONTAINER_PORTS", "is not set, but LISTENER_PROTOCOL is: say which port the service listens on")
    how = ""
    if LOAD_BALANCER_SCHEME == "internal":
        how, name, count = ": private ones, since it is internal", "PRIVATE_SUBNET_CIDRS", len(PRIVATE_SUBNET_CIDRS)
        if VPC_ID:
            name, count = "PRIVATE_SUBNET_IDS" if PRIVATE_SUBNET_IDS else "SUBNET_IDS", len(WORK_SUBNET_IDS)
    else:
        name, count = "PUBLIC_SUBNET_CIDRS", len(PUBLIC_SUBNET_CIDRS)
        if VPC_ID:
            name, count = "PUBLIC_SUBNET_IDS", len(PUBLIC_SUBNET_IDS)
    if count < 2:
        problem(name, f"has {count} subnet, but a load balancer needs two, in two zones{how}")
    if HEALTH_CHECK_TIMEOUT >= HEALTH_CHECK_INTERVAL:
        limit = f"HEALTH_CHECK_INTERVAL={HEALTH_CHECK_INTERVAL}"
        problem("HEALTH_CHECK_TIMEOUT", f"{HEALTH_CHECK_TIMEOUT} is not less than {limit}")


def check_subnet_cidrs() -> None:
    if not PUBLIC_SUBNET_CIDRS and "PUBLIC_SUBNET_CIDRS" not in PROBLEMS:
        problem("PUBLIC_SUBNET_CIDRS", "is empty; a VPC needs a subnet, for example 10.0.0.0/24")
    if not VPC_CIDR or not PUBLIC_SUBNET_CIDRS:
        return
    seen: list[ipaddress.IPv4Network] = []
    for name, blocks in (("PUBLIC_SUBNET_CIDRS", PUBLIC_SUBNET_CIDRS), ("PRIVATE_SUBNET_CIDRS", PRIVATE_SUBNET_CIDRS)):
        for subnet in map(ipaddress.IPv4Network, blocks):
            if not subnet.subnet_of(ipaddress.IPv4Network(VPC_CIDR)):
                problem(name, f"{subnet} is not inside VPC_CIDR={VPC_CIDR}")
            for other in seen:
                if subnet.overlaps(other):
                    problem(name, f"{subnet} and {other} overlap")
            seen.append(subnet)
    private, zones, public = len(PRIVATE_SUBNET_CIDRS), len(AVAILABILITY_ZONES), len(PUBLIC_SUBNET_CIDRS)
    if private and private != public:
        problem("PRIVATE_SUBNET_CIDRS", f"has {private} subnets for {public} public ones")
    if zones and zones != public:
        problem("AVAILABILITY_ZONES", f"names {zones} zones for {public} PUBLIC_SUBNET_CIDRS")


def check_task() -> None:
    check_gpu_sharing()
    check_hosts()
    if LAUNCH_TYPE == "FARGATE":
        check_fargate()
    if MAX_CLUSTER_HOURS and STOP_AT:
        problem(
            "STOP_AT",
            f"and MAX_CLUSTER_HOURS={MAX_CLUSTER_HOURS:g} do not go together: one of them says when all stops",
        )
    if MIN_INSTANCES > MAX_INSTANCES:
        problem("MIN_INSTANCES", f"{MIN_INSTANCES} is more than MAX_INSTANCES={MAX_INSTANCES}")
    if LOG_RETENTION_DAYS not in RETENTION_DAYS:
        problem("LOG_RETENTION_DAYS", f"{LOG_RETENTION_DAYS} is not one that CloudWatch Logs knows: {RETENTION_DAYS}")
    check_definition()
    for name in [name for name in ("MIN_INSTANCES", "MAX_INSTANCES") if CLUSTER_SIZE and TEXTS.get(name)]:
        ODD.append(f"{name} does not count, since CLUSTER_SIZE={CLUSTER_SIZE} is set: CLUSTER_SIZE= empties that")
    check_ports()
    for name in CONTAINER_SECRETS.keys() & CONTAINER_ENVIRONMENT.keys():
        problem("CONTAINER_SECRETS", f"{name} is in CONTAINER_ENVIRONMENT too")
    for name, arn in CONTAINER_SECRETS.items():
        if not re.fullmatch(SECRET_ARN, arn, re.ASCII):
            form = "a key of a secret's JSON is ARN:KEY::"
            problem("CONTAINER_SECRETS", f"{name} is not the ARN of a Secrets Manager secret or SSM parameter; {form}")
    for key in ("name", "path"):
        values = [volume[key] for volume in EFS_VOLUMES]
        for value in sorted({value for value in values if values.count(value) > 1}):
            problem("EFS_VOLUMES", f"has the {key} {value} twice")
    check_target_group()
    check_service()
    if EFS_PERFORMANCE_MODE == "maxIO" and EFS_THROUGHPUT_MODE == "elastic":
        problem("EFS_THROUGHPUT_MODE", "elastic does not go with EFS_PERFORMANCE_MODE=maxIO: use bursting")


def check_definition() -> None:
    """What a rule about the file, or about a container, and another setting say of each other; more in definition.py."""
    names = [str(each.get("name")) for each in definition_file.dicts(TASK_DEFINITION_FILE, "containerDefinitions")]
    if MAIN_CONTAINER and MAIN_CONTAINER not in names:
        there = f"it has {', '.join(names)}" if names else "and TASK_DEFINITION_FILE, which is not set, has none"
        problem("MAIN_CONTAINER", f"{MAIN_CONTAINER} is no container of TASK_DEFINITION_FILE: {there}")
    if (size := len(json.dumps(TASK_DEFINITION_FILE))) > 60_000:
        problem("TASK_DEFINITION_FILE", f"has {size} characters; AWS takes 64 KiB with what is filled in")
    asked = TASK_DEFINITION_FILE.get("requiresCompatibilities")
    if isinstance(asked, list) and LAUNCH_TYPE not in asked:
        place = f"requiresCompatibilities: {', '.join(map(str, asked))}"
        problem("TASK_DEFINITION_FILE", f"{place}, but LAUNCH_TYPE={LAUNCH_TYPE}: set one of them")
    if IMAGE_TAG and "IMAGE" in FROM_FILE:
        problem("IMAGE_TAG", f"{IMAGE_TAG}, but TASK_DEFINITION_FILE says {FROM_FILE['IMAGE']}: take it away there")
    if CONTAINER_CERTIFICATE and "certificate" in names:
        problem("CONTAINER_CERTIFICATE", "makes a container certificate, which TASK_DEFINITION_FILE has: rename that")
    if GPU_COUNT and CPU_ARCHITECTURE == "ARM64":
        problem("CPU_ARCHITECTURE", "ARM64, but AWS has no ECS AMI for ARM with GPUs: use GPU_COUNT=0, or X86_64")
    if READONLY_ROOT and ENABLE_EXECUTE_COMMAND:
        problem("READONLY_ROOT", "does not go with ENABLE_EXECUTE_COMMAND: ECS Exec writes into the container's files")
    if GPU_COMPUTE_PERCENT and not GPU_SHARING:
        problem("GPU_COMPUTE_PERCENT", f"{GPU_COMPUTE_PERCENT}, but GPU_SHARING is not set: it is of a shared GPU")
    if EPHEMERAL_STORAGE_GIB and LAUNCH_TYPE == "EC2" and "EPHEMERAL_STORAGE_GIB" not in FROM_FILE:
        problem("EPHEMERAL_STORAGE_GIB", "is of Fargate: the disk of a host is ROOT_VOLUME_GIB")


def check_ports() -> None:
    """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PortMapping.html"""
    if NODE_PORTS and NETWORK_MODE != "awsvpc":
        problem("NODE_PORTS", f"is set, but NETWORK_MODE={NETWORK_MODE}: nodes need addresses of their own, awsvpc")
    for host, container in CONTAINER_PORTS:
        if NETWORK_MODE != "bridge" and host not in (0, container):
            problem("CONTAINER_PORTS", f"{host}:{container} maps a port, which NETWORK_MODE={NETWORK_MODE} can't")
    taken = [host or (NETWORK_MODE != "bridge" and container) for host, container in CONTAINER_PORTS]
    for number, count in Counter(filter(None, taken)).items():
        if count > 1:
            problem("CONTAINER_PORTS", f"has port {number} twice")
        if number in (22, 2375, 2376, *range(51678, 51681)) and NETWORK_MODE != "awsvpc":
            problem("CONTAINER_PORTS", f"takes host port {number}, which SSH, Docker or the ECS agent uses")


def check_target_group() -> None:
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html"""
    version, algorithm = f"TARGET_PROTOCOL_VERSION={TARGET_PROTOCOL_VERSION}", f"ALGORITHM={ALGORITHM}"
    if TARGET_PROTOCOL_VERSION != "HTTP1" and LISTENER_PROTOCOL == "HTTP":
        problem("LISTENER_PROTOCOL", f"HTTP, but {version}: AWS takes that from HTTPS listeners only")
    if SLOW_START and ALGORITHM != "round_robin":
        problem("SLOW_START", f"{SLOW_START} does not go with {algorithm}: use round_robin, or leave it empty")
    if STICKINESS_SECONDS and ALGORITHM == "weighted_random":
        problem(
            "STICKINESS_SECONDS", f"{STICKINESS_SECONDS} does not go with {algorithm}: use another, or leave it empty"
        )
    if GRPC and not re.fullmatch(r"/[\w.]+/\w+", HEALTH_CHECK_PATH, re.ASCII):
        problem("HEALTH_CHECK_PATH", f"{HEALTH_CHECK_PATH} is no method such as /package.service/method, but {version}")
    ports = [host or (NETWORK_MODE != "bridge" and container) for host, container in CONTAINER_PORTS]
    if HEALTH_CHECK_PORT and not CLUSTER_ONLY and HEALTH_CHECK_PORT not in ports:
        known = ", ".join(str(each) for each in ports if each) or "none that is known before"
        problem("HEALTH_CHECK_PORT", f"{HEALTH_CHECK_PORT} is no port of CONTAINER_PORTS that can be asked: {known}")


def check_service() -> None:
    check_rule()
    check_scaling()
    if SCALING != "none" and DESIRED_COUNT and not MIN_TASKS <= DESIRED_COUNT <= MAX_TASKS:
        problem("DESIRED_COUNT", f"{DESIRED_COUNT} is outside MIN_TASKS={MIN_TASKS} to MAX_TASKS={MAX_TASKS}")
    if CONTAINER_CERTIFICATE and not any(CONTAINER_CERTIFICATE.startswith(f"{v['path']}/") for v in EFS_VOLUMES):
        problem("CONTAINER_CERTIFICATE", f"{CONTAINER_CERTIFICATE} is on none of EFS_VOLUMES, so it would not be kept")
    if TARGET_PROTOCOL == "HTTPS" and not CONTAINER_CERTIFICATE:
        how = "say where the container's certificate is kept"
        problem("CONTAINER_CERTIFICATE", f"is not set, but TARGET_PROTOCOL=HTTPS: {how}")


def check_scaling() -> None:
    """https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-autoscaling-targettracking.html"""
    on_cpu = SCALING in ("step", "target-tracking")
    if on_cpu and LAUNCH_TYPE == "EC2" and not TASK_CPU and not CLUSTER_ONLY:
        why = "without a share of its own a task's CPU reads thousands of percent, so that it always scales out"
        problem("TASK_CPU", f"is not set, but SCALING={SCALING}: {why}; say for example TASK_CPU=4096")
    if on_cpu and not MIN_TASKS:
        why = "at 0 tasks nothing is told of the CPU, so that it would never wake"
        problem("MIN_TASKS", f"0, but SCALING={SCALING}: {why}; use MIN_TASKS=1, or SCALING=requests")
    if SCALING != "requests":
        return
    if not LISTENER_PROTOCOL:
        problem("SCALING", "requests, but LISTENER_PROTOCOL is not set: the load balancer counts them")
    if not REQUESTS_PER_TASK and not CLUSTER_ONLY:
        problem("REQUESTS_PER_TASK", "is not set, but SCALING=requests: say how many a minute one task can answer")
    if SHARED_CLUSTER and not MIN_TASKS:
        why = (
            "endpoints share the load balancer, which does not tell for which of them a request was that found no task"
        )
        problem("MIN_TASKS", f"0, but SHARED_CLUSTER=true: {why}; use MIN_TASKS=1, or DESIRED_COUNT=0 for a pause")


def check_rule() -> None:
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html"""
    paths = "".join(LISTENER_PATHS)
    if not LISTENER_PATHS and "LISTENER_PATH" not in PROBLEMS:
        problem("LISTENER_PATH", "is empty: /* is every path")
    if (wildcards := paths.count("*") + paths.count("?")) > 5:
        problem("LISTENER_PATH", f"has {wildcards} wildcards; a load balancer's rule takes 5 at most")
    count = len(HOST_NAMES) + (0 if "/*" in LISTENER_PATHS else len(LISTENER_PATHS))
    if count > 5:
        longer = "HOST_NAME" if len(HOST_NAMES) > len(LISTENER_PATHS) else "LISTENER_PATH"
        problem(longer, f"makes {count} host names and paths; a load balancer's rule takes 5 at most")


def check_gpu_sharing() -> None:
    """https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-gpu.html"""
    if GPU_SHARING and not GPU_MEMORY_MIB:
        how = "say what each task gets, for example 7000"
        problem("GPU_MEMORY_MIB", f"is not set, but GPU_SHARING={GPU_SHARING}: {how}")
    if GPU_MEMORY_MIB and not GPU_SHARING:
        how = "a part of a GPU needs GPU_SHARING=mps"
        problem("GPU_SHARING", f"is not set, but GPU_MEMORY_MIB={GPU_MEMORY_MIB}: {how}")
    if GPU_SHARING and LAUNCH_TYPE == "FARGATE":
        problem("GPU_SHARING", f"{GPU_SHARING}, but LAUNCH_TYPE=FARGATE: Fargate has no GPUs; use LAUNCH_TYPE=EC2")


def check_hosts() -> None:
    given = {"HOST_USER_DATA": HOST_USER_DATA, "ECS_CONFIG": ECS_CONFIG, "INSTANCE_STORE": INSTANCE_STORE}
    given |= {"INSTANCE_TYPES": INSTANCE_TYPES, "CAPACITY_RESERVATION": CAPACITY_RESERVATION}
    for name in [name for name, value in given.items() if value and LAUNCH_TYPE == "FARGATE"]:
        problem(name, "is set, but LAUNCH_TYPE=FARGATE: there are no hosts of ours; leave it empty, or use EC2")
    if INSTANCE_TYPES and TEXTS.get("INSTANCE_TYPE"):
        ODD.append("INSTANCE_TYPE does not count, since INSTANCE_TYPES is set: INSTANCE_TYPES= empties that")
    if SPOT_FIRST and LAUNCH_TYPE == "FARGATE":
        problem("CAPACITY_TYPE", "spot-first, but LAUNCH_TYPE=FARGATE: use spot or on-demand there")
    if SPOT_FIRST and MIN_INSTANCES:
        why = "what a task gets is decided when it starts, and no host is kept before"
        problem("CAPACITY_TYPE", f"spot-first, but MIN_INSTANCES={MIN_INSTANCES}: {why}; use MIN_INSTANCES=0")
    if CAPACITY_RESERVATION and CAPACITY_TYPE != "on-demand":
        problem(
            "CAPACITY_RESERVATION", f"is set, but CAPACITY_TYPE={CAPACITY_TYPE}: what is reserved is no Spot capacity"
        )
    if CAPACITY_RESERVATION and len(INSTANCE_TYPES) > 1:
        problem("CAPACITY_RESERVATION", "is of one type, but INSTANCE_TYPES names several: use INSTANCE_TYPE")
    if len(INSTANCE_TYPES) > MOST_TYPES:
        problem("INSTANCE_TYPES", f"has {len(INSTANCE_TYPES)} types; an Auto Scaling group takes {MOST_TYPES} at most")
    for name in sorted(ECS_CONFIG.keys() & OWN_ECS_CONFIG.keys()):
        problem("ECS_CONFIG", f"has {name}, which these scripts set{OWN_ECS_CONFIG[name]}")
    if not re.fullmatch(r"[0-9]{1,7}", ECS_CONFIG.get("ECS_RESERVED_MEMORY", "0"), re.ASCII):
        problem("ECS_CONFIG", "has ECS_RESERVED_MEMORY with another value than MiB")


def check_fargate() -> None:
    if GPU_COUNT > 0 and not GPU_SHARING:
        problem("GPU_COUNT", f"{GPU_COUNT}, but LAUNCH_TYPE=FARGATE: Fargate has no GPUs; use GPU_COUNT=0, or EC2")
    if NETWORK_MODE != "awsvpc":
        problem("NETWORK_MODE", f"{NETWORK_MODE} does not exist on Fargate: leave it empty or use awsvpc")
    if TASK_CPU not in FARGATE_MEMORY:
        said = f"{TASK_CPU} is not a Fargate size" if TASK_CPU else "is not set, but Fargate needs a size"
        problem("TASK_CPU", f"{said}: {', '.join(map(str, FARGATE_MEMORY))}")
    elif TASK_MEMORY not in FARGATE_MEMORY[TASK_CPU]:
        least, second, *_, most = FARGATE_MEMORY[TASK_CPU]
        fitting = f"{least} to {most} in steps of {second - least}"
        problem("TASK_MEMORY", f"{TASK_MEMORY or 'nothing'} does not go with TASK_CPU={TASK_CPU} on Fargate: {fitting}")
    if SHARED_MEMORY_MIB:
        problem("SHARED_MEMORY_MIB", "does not exist on Fargate: leave it empty")


def check_misspellings() -> None:
    """In a file nothing but settings may stand. In the environment much else does: there what is nearly one is told."""
    for name in [name for name in {**FILE, **os.environ} if name.removeprefix(OURS) not in KNOWN]:
        if name.startswith(("AWS_", "PYTEST_")) or name in (f"{OURS}ENV_FILE", *NOT_OURS):
            continue
        if name in FILE or name.startswith(OURS):
            problem(name, f"is no setting{nearest(name, 0.7)}")
        elif name.isupper() and any(alike(name, each) for each in KNOWN) and (meant := nearest(name, 0.87)):
            problem(name, f"is no setting{meant}")


def alike(name: str, other: str) -> bool:
    """Whether it is worth a closer look."""
    return abs(len(name) - len(other)) < 4 and len({*name} ^ {*other}) < 4


def nearest(name: str, cutoff: float) -> str:
    """Which setting was meant, in words, where there is one so near."""
    import difflib

    near = difflib.get_close_matches(name.removeprefix(OURS).upper(), KNOWN, 1, cutoff)
    return f"; did you mean {near[0]}?" if near else ""


def spelt(name: str) -> str:
    """How a sentence calls the setting, or what of the file says the same."""
    place = FROM_FILE.get(name, "" if TEXTS.get(name) or not TASK_DEFINITION_FILE else "containerDefinitions")
    return f"TASK_DEFINITION_FILE: {place} {name}" if place else name


def files() -> str:
    """Which files the settings are from, in words."""
    return ", ".join(shown(path) for path in (SHARED_PATH, ENDPOINT_PATH) if READ.get(path)) or "of no file"


def from_environment() -> str:
    """What the environment says where there is a file: a CI and a shell set names like IMAGE and COMMAND too."""
    of_files, of_environment = merged(FILE), merged(os.environ)
    found = {name: of_files.get(name) for name in KNOWN if TEXTS.get(name) == of_environment.get(name, 0)}
    instead = [f"{name} (in place of the file's)" for name, text in found.items() if text not in (None, TEXTS[name])]
    besides = [name for name, text in found.items() if text is None and name not in ("ENDPOINT", "AWS_REGION")]
    return ", ".join(instead + besides) if FILE else ""


def check(**found: str) -> None:
    """texts.WrongSettings, with a sentence for each mistake, if there is one; `found` are those that a page has found."""
    mistakes = {name: [sentence] for name, sentence in found.items() if sentence} | PROBLEMS
    if mistakes:
        raise texts.WrongSettings("\n".join(f"{name}: {each}" for name, told in mistakes.items() for each in told))


check_names()
check_tags()
check_endpoint()
check_network()
check_task()
check_lengths()
check_misspellings()
