"""Every mistake in the settings is told in a sentence, all at once, with exit code 2, before the first AWS call."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Runbook
from tests.everything import WORDS

#: a load balancer, in front of one port
BEHIND = {"LISTENER_PROTOCOL": "HTTP", "ALLOWED_CIDR": "198.51.100.0/24", "CONTAINER_PORTS": "80"} | {
    "PUBLIC_SUBNET_CIDRS": "10.0.0.0/24,10.0.1.0/24"
}
MISTAKES = {
    "CLUSTER_NAME is missing": ({"CLUSTER_NAME": "(unset)"}, "CLUSTER_NAME: is not set"),
    "CLUSTER_NAME is too long": ({"CLUSTER_NAME": "a" * 29}, "has 29 characters; 28 at most"),
    "CLUSTER_NAME has odd characters": ({"CLUSTER_NAME": "a_b!"}, "is not letters, digits and hyphens"),
    "CLUSTER_NAME begins with ecs": ({"CLUSTER_NAME": "ecs-demo"}, "which AWS keeps for itself"),
    "not a CIDR": ({"VPC_CIDR": "10.0.0.0"}, "VPC_CIDR: '10.0.0.0' is outside /16 to /28"),
    "not a CIDR at all": ({"VPC_CIDR": "here"}, "VPC_CIDR: 'here' is not a CIDR block"),
    "CIDR with host bits": ({"ALLOWED_CIDR": "10.0.0.5/16"}, "ALLOWED_CIDR: '10.0.0.5/16' is not a CIDR block"),
    "CIDR of no host": ({"VPC_CIDR": "127.0.0.0/16"}, "VPC_CIDR: '127.0.0.0/16' holds addresses that no host can have"),
    "CIDR too large": ({"VPC_CIDR": "10.0.0.0/15"}, "is outside /16 to /28"),
    "subnet outside the VPC": (
        {"PUBLIC_SUBNET_CIDRS": "10.1.0.0/24"},
        "10.1.0.0/24 is not inside VPC_CIDR=10.0.0.0/16",
    ),
    "subnets overlap": ({"PUBLIC_SUBNET_CIDRS": "10.0.0.0/24,10.0.0.0/25"}, "overlap"),
    "no subnet": ({"PUBLIC_SUBNET_CIDRS": ""}, "PUBLIC_SUBNET_CIDRS: is empty"),
    "zones do not match": ({"AVAILABILITY_ZONES": "us-east-1a,us-east-1b"}, "names 2 zones for 1"),
    "a Fargate pair that does not exist": (
        {"LAUNCH_TYPE": "FARGATE", "GPU_COUNT": "0", "TASK_CPU": "256", "TASK_MEMORY": "8192"},
        "TASK_MEMORY: 8192 does not go with TASK_CPU=256 on Fargate: 512 to 2048",
    ),
    "a Fargate size that does not exist": (
        {"LAUNCH_TYPE": "FARGATE", "GPU_COUNT": "0", "TASK_CPU": "300"},
        "TASK_CPU: 300 is not a Fargate size",
    ),
    "GPUs on Fargate": ({"LAUNCH_TYPE": "FARGATE", "GPU_COUNT": "1"}, "Fargate has no GPUs"),
    "port out of range": ({"CONTAINER_PORTS": "70000"}, "has a port out of range"),
    "port of the ECS agent": ({"CONTAINER_PORTS": "51678:80"}, "takes host port 51678"),
    "port without an allowed CIDR": ({"CONTAINER_PORTS": "9090"}, "ALLOWED_CIDR: is not set"),
    "unknown launch type": ({"LAUNCH_TYPE": "LAMBDA"}, "LAUNCH_TYPE: 'LAMBDA' is unknown: use EC2 or FARGATE"),
    "a volume that can't be read": ({"EFS_VOLUMES": "data"}, "has a volume that can't be read: 'data'"),
    "a volume twice": ({"EFS_VOLUMES": "a:/x,a:/y"}, "EFS_VOLUMES: has the name a twice"),
    "not a number": ({"MAX_INSTANCES": "many"}, "MAX_INSTANCES: 'many' is not a whole number"),
    "minimum over maximum": ({"MIN_INSTANCES": "3"}, "MIN_INSTANCES: 3 is more than MAX_INSTANCES=1"),
    "an image without a tag": ({"IMAGE": "nvidia/cuda"}, "names no tag and no digest"),
    "retention that Logs does not know": ({"LOG_RETENTION_DAYS": "42"}, "LOG_RETENTION_DAYS: 42 is not one"),
    "environment that can't be read": (
        {"CONTAINER_ENVIRONMENT": "A"},
        "CONTAINER_ENVIRONMENT: is not NAME=value in its part 1",
    ),
    "a secret in plain text": ({"CONTAINER_SECRETS": "KEY=hunter2"}, "is not the ARN of a Secrets Manager secret"),
    "SSH without a CIDR": ({"KEY_NAME": "mine"}, "SSH_ALLOWED_CIDR: is not set, but KEY_NAME is"),
    "subnets without their VPC": ({"SUBNET_IDS": "subnet-0a1b2c3d"}, "VPC_ID: is empty, but SUBNET_IDS is set"),
    "maxIO with elastic": ({"EFS_PERFORMANCE_MODE": "maxIO"}, "elastic does not go with EFS_PERFORMANCE_MODE=maxIO"),
    "a misspelt setting": ({"INSTNACE_TYPE": "g5.xlarge"}, "INSTNACE_TYPE: is no setting; did you mean INSTANCE_TYPE?"),
    "a tag of AWS's own": ({"EXTRA_TAGS": "aws:x=1"}, "the tag 'aws:x' can't be set"),
    "a tag that an access point has": ({"EXTRA_TAGS": "Volume=1"}, "the tag 'Volume' can't be set"),
    "a tag with odd characters": ({"EXTRA_TAGS": "team=a&b"}, "the tag 'team' has more than letters, digits, spaces"),
    "a tag with a long value": ({"EXTRA_TAGS": f"team={'x' * 257}"}, "a value that begins with aws:, or of more than"),
    "a value of AWS's own": ({"EXTRA_TAGS": "team=AWS:x"}, "the tag 'team' has a value that begins with aws:"),
    "tags that IAM takes for one": ({"EXTRA_TAGS": "team=a,Team=b"}, "EXTRA_TAGS: has team twice"),
    "a tag twice": ({"EXTRA_TAGS": "team=a,team=b"}, "EXTRA_TAGS: 'team=a,team=b' has team twice"),
    "too many tags": ({"EXTRA_TAGS": ",".join(f"t{n}=x" for n in range(41))}, "has 41 tags; 40 at most"),
    "a comma in a value": (
        {"CONTAINER_ENVIRONMENT": 'CONFIG={"url": "http://x/?a=1", "opts": "k=v"},MODE=fast'},
        """is not NAME=value in its part 2; a comma inside a value is written \\,""",
    ),
    "a variable twice": ({"CONTAINER_ENVIRONMENT": "A=1,B=2,A=3"}, "CONTAINER_ENVIRONMENT: has A twice"),
    "no name of a variable": ({"CONTAINER_ENVIRONMENT": "A-B=1"}, "is not NAME=value in its part 1"),
    "a secret's name": ({"CONTAINER_SECRETS": "1=arn:aws:ssm:us-east-1:123456789012:parameter/x"}, "is not NAME=value"),
    "a secret with a wildcard": (
        {"CONTAINER_SECRETS": "T=arn:aws:secretsmanager:us-east-1:123456789012:secret:*"},
        "CONTAINER_SECRETS: T is not the ARN of a Secrets Manager secret",
    ),
    "no JSON": ({"COMMAND": "[echo a]"}, "COMMAND: '[echo a]' begins with [ and is not a JSON array of texts"),
    "JSON of numbers": ({"ENTRY_POINT": "[1]"}, "ENTRY_POINT: '[1]' begins with [ and is not a JSON array of texts"),
    "JSON with half a character": ({"COMMAND": r'["\ud800"]'}, "is not a JSON array of texts"),
    "JSON without an end": ({"COMMAND": "[" * 100_000}, "is not a JSON array of texts"),
    "an open quote": ({"COMMAND": "sh -c 'x"}, "can't be split into words (No closing quotation)"),
    "not UTF-8": ({"COMMAND": "caf\udce9"}, "is not text in UTF-8"),
    "an image of no kind": ({"IMAGE": "Nvidia CUDA:12"}, "IMAGE: 'Nvidia CUDA:12' is no image such as"),
    "not a number of seconds": ({"POLL_SECONDS": "nan"}, "POLL_SECONDS: 'nan' is not a number of seconds"),
    "no end of seconds": ({"WAIT_TIMEOUT_SECONDS": "inf"}, "WAIT_TIMEOUT_SECONDS: 'inf' is not a number of seconds"),
    "seconds without a bound": ({"POLL_SECONDS": "99999"}, "POLL_SECONDS: '99999' is outside 0 to 3600 seconds"),
    "a number without a bound": ({"MAX_INSTANCES": "9" * 5000}, "MAX_INSTANCES: '999"),
    "Arabic digits": ({"CONTAINER_PORTS": "٨٠٨٠"}, "is not a list of ports such as"),
    "a port twice": ({"CONTAINER_PORTS": "8080:80,8080:81", "ALLOWED_CIDR": "10.0.0.0/8"}, "has port 8080 twice"),
    "a port twice in the task": ({"CONTAINER_PORTS": "80,80"}, "CONTAINER_PORTS: '80,80' has 80 twice"),
    "a port that the host has taken": (
        {"CONTAINER_PORTS": "51679", "NETWORK_MODE": "host", "ALLOWED_CIDR": "10.0.0.0/8"},
        "takes host port 51679, which SSH, Docker or the ECS agent uses",
    ),
    "a volume at the root": ({"EFS_VOLUMES": "a:/"}, "has a volume at '/', which is no folder below /"),
    "a volume above": ({"EFS_VOLUMES": "a:/data/../etc"}, "has a volume at '/data/../etc', which is no folder below /"),
    "a certificate above": ({"CONTAINER_CERTIFICATE": "/data/../etc/x"}, "is not an absolute path without . and .."),
    "codes that no load balancer takes": ({"HEALTH_CHECK_CODES": "200-599"}, "is not a list of codes from 200 to 499"),
    "codes the wrong way round": ({"HEALTH_CHECK_CODES": "299-200"}, "is not a list of codes from 200 to 499"),
    "codes of HTTP for gRPC": (
        {"TARGET_PROTOCOL_VERSION": "GRPC", "HEALTH_CHECK_CODES": "200"},
        "is not a list of codes from 0 to 99, such as 0 or 0-99",
    ),
    "gRPC over HTTP": (
        {**BEHIND, "TARGET_PROTOCOL_VERSION": "GRPC"},
        "LISTENER_PROTOCOL: HTTP, but TARGET_PROTOCOL_VERSION=GRPC: AWS takes that from HTTPS listeners only",
    ),
    "HTTP/2 over HTTP": ({**BEHIND, "TARGET_PROTOCOL_VERSION": "HTTP2"}, "AWS takes that from HTTPS listeners only"),
    "a path where gRPC has methods": (
        {"TARGET_PROTOCOL_VERSION": "GRPC", "HEALTH_CHECK_PATH": "/ping"},
        "HEALTH_CHECK_PATH: /ping is no method such as /package.service/method",
    ),
    "a slow start beside another algorithm": (
        {"SLOW_START": "60", "ALGORITHM": "least_outstanding_requests"},
        "SLOW_START: 60 does not go with ALGORITHM=least_outstanding_requests",
    ),
    "a slow start that is too quick": ({"SLOW_START": "29"}, "SLOW_START: '29' is outside 30 to 900"),
    "stickiness at random": (
        {"STICKINESS_SECONDS": "60", "ALGORITHM": "weighted_random"},
        "STICKINESS_SECONDS: 60 does not go with ALGORITHM=weighted_random",
    ),
    "a health check at a port that is closed": (
        {"HEALTH_CHECK_PORT": "9091", "CONTAINER_PORTS": "8080:80", "ALLOWED_CIDR": "10.0.0.0/8"},
        "HEALTH_CHECK_PORT: 9091 is no port of CONTAINER_PORTS that can be asked: 8080",
    ),
    "a health check at a port that Docker chooses": (
        {"HEALTH_CHECK_PORT": "80", "CONTAINER_PORTS": "80", "ALLOWED_CIDR": "10.0.0.0/8"},
        "80 is no port of CONTAINER_PORTS that can be asked: none that is known before",
    ),
    "internal without private subnets": (
        {**BEHIND, "LOAD_BALANCER_SCHEME": "internal"},
        "PRIVATE_SUBNET_CIDRS: has 0 subnet, but a load balancer needs two, in two zones: private ones",
    ),
    "too many host names and paths": (
        {"HOST_NAME": "a.example.com,b.example.com,c.example.com", "LISTENER_PATH": "/a,/b,/c"},
        "LISTENER_PATH: makes 6 host names and paths; a load balancer's rule takes 5 at most",
    ),
    "hours that are none": (
        {"MAX_RUN_HOURS": "a day"},
        "MAX_RUN_HOURS: 'a day' is not a number of hours from 0.1 to 8760",
    ),
    "an instant in another time zone": (
        {"STOP_AT": "2026-11-27T02:00+01:00"},
        "STOP_AT: '2026-11-27T02:00+01:00' is no instant in UTC, such as 2026-11-27T02:00Z",
    ),
    "a day that there is not": ({"STOP_AT": "2026-02-30T02:00Z"}, "is no instant that there is"),
    "two ends": (
        {"MAX_CLUSTER_HOURS": "0.5", "STOP_AT": "2026-11-27T02:00Z"},
        "STOP_AT: and MAX_CLUSTER_HOURS=0.5 do not go together",
    ),
    "no path": ({"LISTENER_PATH": ""}, "LISTENER_PATH: is empty: /* is every path"),
    "more certificates than a load balancer takes": (
        {**BEHIND, "LISTENER_PROTOCOL": "HTTPS"}
        | {"CERTIFICATE_ARN": ",".join(f"arn:aws:acm:us-east-1:123456789012:certificate/{n}" for n in range(27))},
        "CERTIFICATE_ARN: has 27; a load balancer takes 25 beside the first",
    ),
    "no block and no group": ({"ALLOWED_CIDRS": "everyone"}, "ALLOWED_CIDRS: 'everyone' is not a CIDR block"),
    "more callers than a group has rules": (
        {**BEHIND, "ALLOWED_CIDRS": ",".join(f"10.0.{n}.0/24" for n in range(60))},
        "ALLOWED_CIDRS: with ALLOWED_CIDR has 61 members, which make 61 rules; a security group takes 60",
    ),
    "a path with too many wildcards": (
        {"LISTENER_PATH": "/*/*/*/*/*/*"},
        "has 6 wildcards; a load balancer's rule takes 5",
    ),
    "a bucket that is an address": ({"TASK_S3_BUCKETS": "10.0.0.1"}, "is not a list of bucket names"),
    "a folder above": ({"WEIGHTS_PREFIX": "a/../b"}, "is not a folder without a slash at its start"),
    "a folder of no one": ({"WEIGHTS_FOLDER": "~no-one-of-this-name/x"}, "is no path here"),
    "a folder that can't be": ({"WEIGHTS_FOLDER": "x" * 5000}, "can't be looked at: File name too long"),
    "no region": ({"AWS_REGION": "us east"}, "AWS_REGION: 'us east' is not a region such as us-east-1"),
    "a zone twice": ({"AVAILABILITY_ZONES": "us-east-1a,us-east-1a"}, "has us-east-1a twice"),
    "a schedule of Arabic digits": ({"SYNC_SCHEDULE": "every ٣ minutes"}, "is no schedule"),
    "a name of ours that is none": ({"GPU_ECS_IMAGES": "x"}, "GPU_ECS_IMAGES: is no setting; did you mean IMAGE"),
    "a name of ours near nothing": ({"GPU_ECS_QQ": "x"}, "GPU_ECS_QQ: is no setting"),
    "a file system's token": (
        {"EFS_FILE_SYSTEMS": "per-volume", "EFS_VOLUMES": f"{'v' * 50}:/data"},
        f"EFS_VOLUMES: a file system's token would have 66 characters, 64 at most: 'gpu-file-system-{'v' * 50}'",
    ),
    "a role in a long region": (
        {"CLUSTER_NAME": "c" * 28, "AWS_REGION": "us-isobxxxxx-northeast-11"},
        "CLUSTER_NAME: a role's name would have 69 characters, 64 at most: 'cccc",
    ),
    "more than a task definition holds": ({"COMMAND": "x" * 60_001}, "the task definition would have 60001 characters"),
    "more than a policy holds": (
        {"TASK_S3_BUCKETS": ",".join(f"bucket-{number}" for number in range(60))},
        "TASK_S3_BUCKETS: the policy with TASK_DYNAMODB_TABLES and TASK_SQS_QUEUES would have",
    ),
}


@pytest.mark.parametrize(("settings", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_gets_a_sentence_and_exit_code_2_and_no_call(
    runbook: Runbook, settings: dict[str, str], sentence: str
) -> None:
    ran = runbook.run("create_cluster.py", **settings)
    assert (ran.code, ran.out) == (2, "")
    assert sentence in ran.err
    assert not runbook.emulator.calls


def test_all_mistakes_are_told_at_once(runbook: Runbook) -> None:
    ran = runbook.run("run_task.py", CLUSTER_NAME="(unset)", MAX_INSTANCES="x", LAUNCH_TYPE="y", IMAGE="z")
    assert ran.code == 2
    assert [line.split(":")[0] for line in ran.err.splitlines()] == [
        "CLUSTER_NAME",
        "LAUNCH_TYPE",
        "MAX_INSTANCES",
        "IMAGE",
    ]


def test_help_needs_no_settings(runbook: Runbook) -> None:
    ran = runbook.run("create_cluster.py", "--help", CLUSTER_NAME="(unset)")
    assert ran.code == 0
    assert "--dry-run" in ran.out


# ------------------------------------------------------------------------------------------------- settings in layers

Folder = Callable[..., Runbook]


@pytest.fixture
def folder(endpoints: Runbook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A working directory with the example as .env, endpoints/a.env, and what a test adds to the two."""

    def make(shared: str = "", a: str = "", **others: str) -> Runbook:
        (tmp_path / "endpoints").mkdir()
        (tmp_path / ".env").write_text((ROOT / "examples" / "ml-endpoints" / ".env").read_text() + shared)
        for name, text in {"a": f"HOST_NAME=a.ml.example.com\n{a}", **others}.items():
            (tmp_path / "endpoints" / f"{name}.env").write_text(text)
        monkeypatch.chdir(tmp_path)
        endpoints.settings["ENV_FILE"] = ".env"
        return endpoints

    return make


def seen(runbook: Runbook, **settings: str) -> Any:
    """The settings as a script sees them, which no test has to wait for."""
    runbook.run("list_tasks.py", **settings)
    import constants

    return constants


def test_an_endpoints_file_wins_over_env_and_the_environment_over_both(folder: Folder) -> None:
    made = folder(shared="MAX_TASKS=9\n", a="DESIRED_COUNT=3\nMAX_TASKS=8\nWEIGHTS_PREFIX=from-file\n")
    assert (seen(made).DESIRED_COUNT, seen(made).MAX_TASKS) == (2, 9)
    found = seen(made, ENDPOINT="a")
    assert (found.DESIRED_COUNT, found.MAX_TASKS, found.WEIGHTS_PREFIX) == (3, 8, "from-file")
    found = seen(made, ENDPOINT="a", MAX_TASKS="7", WEIGHTS_PREFIX="")
    assert (found.DESIRED_COUNT, found.MAX_TASKS, found.WEIGHTS_PREFIX) == (3, 7, "")
    assert (found.PREFIX, found.LOG_GROUP) == ("ml-a", "/ecs/ml-a")
    assert (found.SERVICE_NAME, found.TASK_FAMILY) == ("ml-a", "ml-a")


def test_a_name_with_gpu_ecs_before_it_wins_wherever_it_stands(folder: Folder) -> None:
    made = folder(shared="GPU_ECS_MAX_TASKS=5\nIMAGES_KEPT=5\n", a="MAX_TASKS=8\nGPU_ECS_DESIRED_COUNT=3\n")
    found = seen(made, ENDPOINT="a", MAX_TASKS="7", GPU_ECS_IMAGES_KEPT="6")
    assert (found.MAX_TASKS, found.DESIRED_COUNT, found.IMAGES_KEPT) == (5, 3, 6)
    assert seen(made, GPU_ECS_ENDPOINT="a", ENDPOINT="b").ENDPOINT == "a"
    assert seen(made, GPU_ECS_ENDPOINT="a", GPU_ECS_MAX_TASKS="9").MAX_TASKS == 9
    with found.of(ENDPOINT="a", MAX_TASKS="4"):
        assert (found.ENDPOINT, found.MAX_TASKS) == ("a", 4)


def test_every_setting_may_be_written_with_gpu_ecs_before_it(runbook: Runbook) -> None:
    known = seen(runbook).KNOWN
    assert len(known) > 100
    told = runbook.run("list_tasks.py", **{f"GPU_ECS_{name}": "\x7f" for name in known}).err
    assert "is no setting" not in told and "CLUSTER_NAME: '\\x7f' is not letters" in told


def test_what_the_environment_says_in_place_of_a_file_is_told_by_name(folder: Folder) -> None:
    made = folder(shared="COMMAND=ours\n")
    made.settings = {name: text for name, text in made.settings.items() if name == "ENV_FILE"}
    given = {"COMMAND": "of-a-shell", "IMAGES_KEPT": "7", "CLUSTER_NAME": "ml", "GPU_ECS_WAIT": "true"}
    [_, second, *_] = made.run("describe_clusters.py", **given).err.splitlines()
    assert second == "environment COMMAND (in place of the file's), IMAGES_KEPT, WAIT"
    assert "\nenvironment" not in made.run("describe_clusters.py", GPU_ECS_COMMAND="ours").err


@pytest.mark.parametrize("file", [".env", "endpoints/a.env"])
@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LOAD_BALANCER_IP_ADDRESS_TYPE", ""),
        ("LOAD_BALANCER_PROTECT", "; did you mean LOAD_BALANCER_PROTECTION?"),
        ("INSTANCE_TYP", "; did you mean INSTANCE_TYPE?"),
        ("image", "; did you mean IMAGE?"),
        ("CLUSTER_NAMES", "; did you mean CLUSTER_NAME?"),
        ("ENV_FILE", ""),
        ("TIMEZONE", ""),
        ("é", ""),
    ],
)
def test_a_name_in_a_file_that_is_no_setting_is_told(folder: Folder, file: str, name: str, meant: str) -> None:
    line = f"{name}=x\nAWS_PROFILE=\n"
    ran = (folder(shared=line) if file == ".env" else folder(a=line)).run("list_tasks.py", ENDPOINT="a")
    assert (ran.code, ran.err.splitlines()) == (2, [f"{name}: is no setting{meant}"])


def test_what_shells_and_containers_set_is_no_misspelling(runbook: Runbook) -> None:
    """Docker sets HOSTNAME, which is nearly HOST_NAME."""
    others = (
        "HOSTNAME",
        "HOME",
        "USER",
        "LANG",
        "SHELL",
        "TERM",
        "CI",
        "HOST",
        "SERVICE",
        "PORT",
        "IMAGE_NAME",
        "JOB_NAME",
    )
    assert runbook.run("list_tasks.py", **dict.fromkeys(others, "x")).code == 1


ACCOUNT, CALLER = "account 123456789012  region us-east-1", "caller user/emulator"


def test_the_first_line_tells_account_region_cluster_and_endpoint(folder: Folder) -> None:
    made = folder()
    [first, *_] = made.run("list_tasks.py", ENDPOINT="a").err.splitlines()
    assert first == f"{ACCOUNT}  cluster ml  endpoint a  {CALLER}  settings .env, endpoints/a.env"
    [first, *_] = made.run("describe_clusters.py").err.splitlines()
    assert first == f"{ACCOUNT}  cluster ml  {CALLER}  settings .env"


#: what is in .env beside the example, in endpoints/a.env, in the environment; and what is told
LAYERS: dict[str, tuple[str, str, dict[str, str], list[str]]] = {
    "no file": (
        "",
        "",
        {"ENDPOINT": "x"},
        ["ENDPOINT: x: there is no endpoints/x.env; there is a"],
    ),
    "no shared cluster": (
        "",
        "",
        {"SHARED_CLUSTER": "false"},
        ["SHARED_CLUSTER: is not true, but ENDPOINT=a: endpoints need a cluster that they share"],
    ),
    "too long": (
        "",
        "",
        {"ENDPOINT": "a123456789012"},
        ["ENDPOINT: 'a123456789012' is not 1 to 12 small letters and digits, a letter first"],
    ),
    "a host name that no rule takes": (
        "",
        f"HOST_NAME={'a.' * 60}example.com\n",
        {},
        ["HOST_NAME: has 131 characters; a load balancer's rule takes 128 at most"],
    ),
    "a hyphen": ("", "", {"ENDPOINT": "a-b"}, ["ENDPOINT: 'a-b' is not 1 to 12 small letters and digits"]),
    "a path": ("", "", {"ENDPOINT": "../.env"}, ["ENDPOINT: '../.env' is not 1 to 12 small letters and digits"]),
    "too long together": (
        "",
        "",
        {"CLUSTER_NAME": "c" * 27},
        ["ENDPOINT: 'ccccccccccccccccccccccccccc-a' has 29 characters; 28 at most"],
    ),
    "the cluster's": (
        "",
        "IDLE_TIMEOUT=30\nCERTIFICATE_ARN=\n",
        {},
        [
            "CERTIFICATE_ARN: is set in endpoints/a.env, but belongs to the cluster, which endpoints share: put it into",
            "IDLE_TIMEOUT: is set in endpoints/a.env, but belongs to the cluster",
        ],
    ),
    "another endpoint": ("", "ENDPOINT=b\n", {}, ["ENDPOINT: is set in endpoints/a.env, but belongs to the cluster"]),
    "for all endpoints": (
        "SERVICE_NAME=api\nTASK_FAMILY=api\n",
        "",
        {},
        [
            "TASK_FAMILY: is set for all endpoints, but each has its own: put it into endpoints/a.env",
            "SERVICE_NAME: is set for all endpoints, but each has its own",
        ],
    ),
    "no host name": ("", "HOST_NAME=\n", {}, ["HOST_NAME: is not set: say in endpoints/a.env which host name leads"]),
    "odd host name": ("", "HOST_NAME=*.example.com\n", {}, ["HOST_NAME: '*.example.com' is not a host name"]),
    "network mode": (
        "LAUNCH_TYPE=EC2\nNETWORK_MODE=bridge\n",
        "",
        {},
        ["NETWORK_MODE: is bridge, but endpoints need addresses of their own: NETWORK_MODE=awsvpc"],
    ),
    "traffic of nobody": (
        "",
        "TRAFFIC_WEIGHT=10\n",
        {},
        ["TRAFFIC_FROM: is not set, but TRAFFIC_WEIGHT=10: say of which endpoint's requests"],
    ),
    "its own traffic": (
        "",
        "TRAFFIC_WEIGHT=10\nTRAFFIC_FROM=a\n",
        {},
        ["TRAFFIC_FROM: a is the endpoint itself"],
    ),
    "two ways to have file systems": (
        "FILE_SYSTEM_ID=fs-0123456789abcdef0\n",
        "",
        {},
        ["EFS_FILE_SYSTEMS: per-volume does not go with FILE_SYSTEM_ID=fs-0123456789abcdef0: use one"],
    ),
    "a schedule": (
        "",
        "SYNC_SCHEDULE=*/3 * * * *\n",
        {},
        ["SYNC_SCHEDULE: '*/3 * * * *' is no schedule: write every 3 minutes, every hour, every 2 days"],
    ),
    "never": ("", "SYNC_SCHEDULE=every 0 minutes\n", {}, ["SYNC_SCHEDULE: 'every 0 minutes' is no schedule"]),
    "misspelt": ("", "WEIGHT_BUCKET=x\n", {}, ["WEIGHT_BUCKET: is no setting; did you mean WEIGHTS_BUCKET?"]),
}


@pytest.mark.parametrize(("shared", "a", "settings", "sentences"), LAYERS.values(), ids=LAYERS)
def test_a_mistake_in_any_layer_gets_its_sentence_before_the_first_call(
    folder: Folder, shared: str, a: str, settings: dict[str, str], sentences: list[str]
) -> None:
    made = folder(shared, a)
    begun = len(made.emulator.calls)
    ran = made.run("create_service.py", **{"ENDPOINT": "a", **settings})
    assert (ran.code, ran.out, made.emulator.calls[begun:]) == (2, "", [])
    told = ran.err.splitlines()
    assert len(told) == len(sentences), ran.err
    assert [line for line, sentence in zip(told, sentences, strict=True) if sentence not in line] == []


@pytest.mark.parametrize(
    ("words", "expression"),
    [
        ("every 3 minutes", "rate(3 minutes)"),
        ("every minute", "rate(1 minute)"),
        ("every 1 hours", "rate(1 hour)"),
        ("every 2 days", "rate(2 days)"),
        ("", ""),
    ],
)
def test_a_schedule_is_told_in_words(folder: Folder, words: str, expression: str) -> None:
    assert expression == seen(folder(a=f"SYNC_SCHEDULE={words}\n"), ENDPOINT="a").SYNC_SCHEDULE


def test_a_cluster_whose_name_leaves_no_room_for_endpoints_is_refused_at_once(folder: Folder) -> None:
    ran = folder().run("create_cluster.py", CLUSTER_NAME="c" * 27)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "leaves no room for the names of endpoints: 26 characters at most" in ran.err


PAGES = sorted(path.name for path in ROOT.glob("*.py") if "aws.main(" in path.read_text())
SHARED = [name for name in PAGES if 'of="cluster"' in (ROOT / name).read_text()]
EITHER = [name for name in PAGES if 'of="either"' in (ROOT / name).read_text()]


def test_a_page_of_the_cluster_takes_no_endpoint_and_any_other_needs_one(folder: Folder) -> None:
    made = folder(b="HOST_NAME=b.ml.example.com\n")
    begun = len(made.emulator.calls)
    assert {"create_cluster.py", "delete_cluster.py", "update_cluster.py", "describe_clusters.py"} <= {*SHARED}
    assert len(PAGES) - len(SHARED) > 20
    for page in [each for each in PAGES if each not in EITHER]:
        ran = made.run(page, *WORDS.get(page, ()), **({"ENDPOINT": "a"} if page in SHARED else {}))
        name = page.removesuffix(".py")
        told = (
            f"ENDPOINT: a, but {name}.py is about the cluster: run it without ENDPOINT"
            if page in SHARED
            else "ENDPOINT: is not set: which endpoint? there is a, b"
        )
        assert (ran.code, ran.out, ran.err.strip()) == (2, "", told), page
    assert made.emulator.calls[begun:] == []


def test_a_page_about_either_takes_both(folder: Folder) -> None:
    made = folder(b="HOST_NAME=b.ml.example.com\n")
    for page in EITHER:
        for environment in ({}, {"ENDPOINT": "b"}):
            assert "ENDPOINT" not in made.run(page, **environment).err.replace("ENDPOINT=b", "")


def test_the_example_and_its_endpoints_are_settings_that_go_together(endpoints: Runbook) -> None:
    """As they are in the repository; and each setting that they name is one."""
    for endpoint in "ab":
        ran = endpoints.run("list_tasks.py", ENDPOINT=endpoint)
        assert (ran.code, "there is no cluster ml" in ran.err) == (1, True), ran.err
    import constants

    for name in (".env", "endpoints/a.env", "endpoints/b.env"):
        named = re.findall(r"^([A-Z_]+)=", (ROOT / "examples" / "ml-endpoints" / name).read_text(), re.MULTILINE)
        assert set(named) <= constants.KNOWN.keys(), name


def test_what_cluster_size_overrides_is_told(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", CLUSTER_SIZE="1")
    ran = runbook.run("create_cluster.py", CLUSTER_SIZE="1", MIN_INSTANCES="0")
    assert "MIN_INSTANCES does not count, since CLUSTER_SIZE=1 is set" in ran.err
