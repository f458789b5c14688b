"""TASK_DEFINITION_FILE: what it says counts, settings fill in the rest, and each mistake bears its place, before any call."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

from aws import definition_model
from tests.conftest import FARGATE, Runbook

SECRET = "hf-QX81zk-q7"
IMAGE = "nvidia/cuda:12.8.1-base-ubuntu24.04"
MAIN = {"name": "train", "image": IMAGE, "command": ["sleep", "infinity"], "memory": 1024}
SIDECAR = {"name": "metrics", "image": "busybox:1", "command": ["sleep", "infinity"], "memory": 64, "essential": False}
PLAIN: dict[str, Any] = {"family": "own", "containerDefinitions": [MAIN]}


@pytest.fixture
def own(runbook: Runbook, tmp_path: Path) -> Any:
    """Writes a definition to the file of the settings, and answers the runbook."""
    file = tmp_path / "taskdef.json"
    runbook.settings |= {"TASK_DEFINITION_FILE": str(file), "COMMAND": "", "IMAGE": ""}
    del runbook.settings["COMMAND"], runbook.settings["IMAGE"]

    def write(definition: Any) -> Runbook:
        file.write_text(definition if isinstance(definition, str) else json.dumps(definition))
        return runbook

    return write


def changed(*path: Any, to: Any, of: Any = None) -> dict[str, Any]:
    """PLAIN, or another definition, with another value at this place."""
    found = copy.deepcopy(of or {"family": "own", "containerDefinitions": [MAIN, SIDECAR]})
    inner = found
    for at, key in enumerate(path[:-1]):
        if isinstance(inner, dict) and key not in inner:
            inner[key] = [{}] if isinstance(path[at + 1], int) else {}
        inner = inner[key]
    inner[path[-1]] = to
    return dict(found)


def registered(runbook: Runbook, **settings: str) -> dict[str, Any]:
    runbook.settings |= settings
    runbook.has_run("create_cluster.py", "register_task_definition.py")
    found: dict[str, Any] = runbook.aws("ecs").describe_task_definition(taskDefinition="own")["taskDefinition"]
    return found


# ---------------------------------------------------------------------------------------------------- what is filled in


def test_ours_is_filled_in_only_where_the_file_is_silent(own: Any) -> None:
    [container] = registered(own(PLAIN))["containerDefinitions"]
    assert container["logConfiguration"]["options"]["awslogs-group"] == "/ecs/gpu"
    assert container["resourceRequirements"] == [{"type": "GPU", "value": "1"}]
    assert (container["memory"], container.get("memoryReservation")) == (1024, None)
    assert container["command"] == ["sleep", "infinity"]
    assert container["mountPoints"] == [{"sourceVolume": "data", "containerPath": "/data", "readOnly": False}]


def test_a_setting_that_the_file_says_too_is_not_taken_and_that_is_told(own: Any) -> None:
    runbook = own({**PLAIN, "cpu": "1024", "memory": "2 GB"}).has_run("create_cluster.py")
    ran = runbook.run("register_task_definition.py", TASK_CPU="512")
    assert ran.code == 0, ran.err
    assert "TASK_CPU is not taken: TASK_DEFINITION_FILE says it, at cpu" in ran.err
    found = runbook.aws("ecs").describe_task_definition(taskDefinition="own")["taskDefinition"]
    assert (found["cpu"], found["memory"]) == ("1024", "2048")


def test_what_describe_task_definition_answers_can_be_registered_again(own: Any) -> None:
    """Also another cluster's: its tags, which say whose it was, are left where they are."""
    found = registered(own(PLAIN))
    ecs = own(PLAIN).aws("ecs")
    answer = ecs.describe_task_definition(taskDefinition="own", include=["TAGS"])
    text = json.dumps({"taskDefinition": found, "tags": [{"key": "gpu-ecs-cluster", "value": "theirs"}]}, default=str)
    ran = own(text).run("register_task_definition.py")
    assert (ran.code, ran.result["revision"]) == (0, 1), ran.err
    assert {each["key"]: each["value"] for each in answer["tags"]}["gpu-ecs-cluster"] == "gpu"


def test_null_says_nothing(own: Any) -> None:
    found = registered(own({**PLAIN, "cpu": None, "volumes": None, "networkMode": None}))
    assert (found["networkMode"], [each["name"] for each in found["volumes"]]) == ("bridge", ["data"])


def test_the_main_container_is_the_named_one_or_the_first_essential_one(own: Any) -> None:
    both = {"family": "own", "containerDefinitions": [SIDECAR, MAIN]}
    first, second = registered(own(both))["containerDefinitions"]
    assert (first.get("resourceRequirements"), bool(second["resourceRequirements"])) == (None, True)
    assert first["logConfiguration"] == second["logConfiguration"]
    runbook = own(changed("containerDefinitions", 1, "essential", to=True, of=both))
    ran = runbook.run("register_task_definition.py", MAIN_CONTAINER="metrics")
    assert ran.code == 0, ran.err
    found = runbook.aws("ecs").describe_task_definition(taskDefinition="own")["taskDefinition"]
    assert [bool(each.get("resourceRequirements")) for each in found["containerDefinitions"]] == [True, False]


def test_a_container_that_ends_first_is_added_beside_the_file_s_own_order(own: Any) -> None:
    first = {**SIDECAR, "name": "first", "command": ["true"]}
    main = {**MAIN, "dependsOn": [{"containerName": "first", "condition": "SUCCESS"}]}
    runbook = own({"family": "own", "containerDefinitions": [main, first]})
    found = registered(runbook, CONTAINER_CERTIFICATE="/data/ours")
    named = {each["name"]: each for each in found["containerDefinitions"]}
    assert [each["containerName"] for each in named["train"]["dependsOn"]] == ["first", "certificate"]


def test_the_log_of_a_task_that_failed_is_found_where_its_definition_sends_it(own: Any) -> None:
    options = {"awslogs-group": "theirs", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "mine"}
    main = {**MAIN, "command": ["sh", "-c", "echo out of luck; exit 3"]}
    main["logConfiguration"] = {"logDriver": "awslogs", "options": options}
    runbook = own({**PLAIN, "containerDefinitions": [main]}).has_run("create_cluster.py")
    ran = runbook.run("register_task_definition.py")
    place = "containerDefinitions[0].logConfiguration.options.awslogs-group: there is no log group theirs in us-east-1"
    assert (ran.code, place in ran.err) == (1, True), ran.err
    runbook.aws("logs").create_log_group(logGroupName="theirs")
    ran = runbook.has_run("register_task_definition.py").run("run_task.py", RUN_UNTIL="STOPPED")
    assert (ran.code, "log: out of luck" in ran.err) == (4, True), ran.err


def test_an_image_of_a_sidecar_is_asked_about_too(own: Any) -> None:
    runbook = own(changed("containerDefinitions", 1, "image", to="docker.io/library/nginx:none"))
    ran = runbook.has_run("create_cluster.py").run("register_task_definition.py")
    assert (ran.code, "TASK_DEFINITION_FILE: containerDefinitions[1].image docker.io" in ran.err) == (1, True), ran.err


def test_a_part_of_a_gpu_in_the_file_counts_as_the_settings_would(own: Any) -> None:
    share = [{"type": "GPU", "sharingStrategy": {"nvidiaMps": {"memory": 4000, "maxComputePercent": 50}}}]
    runbook = own(changed("containerDefinitions", 0, "resourceRequirements", to=share))
    [first, _] = registered(runbook)["containerDefinitions"]
    assert first["resourceRequirements"] == share
    assert runbook.run("run_task.py").code == 0


# ------------------------------------------------------------------------------------------------------- what is wrong

AT_MAIN = ("containerDefinitions", 0)
ON_FARGATE = {**FARGATE, "CONTAINER_PORTS": "", "IMAGE": IMAGE}
#: place -> the definition, and other settings
WRONG: dict[str, tuple[Any, dict[str, str]]] = {
    "containerDefinitions[1].portMappings[0].containerPort": (
        changed("containerDefinitions", 1, "portMappings", 0, "containerPort", to=70000),
        {},
    ),
    "containerDefinitions[0].comand": (changed(*AT_MAIN, "comand", to=["ls"]), {}),
    "containerDefinitions[0].environment[0].value": (
        changed(*AT_MAIN, "environment", to=[{"name": "TOKEN", "value": 17}]),
        {},
    ),
    "containerDefinitions[0].essential": (changed(*AT_MAIN, "essential", to="true"), {}),
    "containerDefinitions[0].command": (changed(*AT_MAIN, "command", to=SECRET), {}),
    "networkMode": (changed("networkMode", to="awsvcp"), {}),
    "ContainerDefinitions": ({"family": "own", "ContainerDefinitions": [MAIN]}, {}),
    "containerDefinitions[0].ulimits[0].hardLimit": (
        changed(*AT_MAIN, "ulimits", to=[{"name": "nofile", "softLimit": 1}]),
        {},
    ),
    "containerDefinitions[0].mountPoints[0].sourceVolume": (
        changed(*AT_MAIN, "mountPoints", 0, to={"sourceVolume": "no", "containerPath": "/x"}),
        {},
    ),
    "containerDefinitions[0].dependsOn[0].condition": (
        changed(*AT_MAIN, "dependsOn", 0, to={"containerName": "metrics", "condition": "HEALTHY"}),
        {},
    ),
    "containerDefinitions[0].dependsOn[0].containerName": (
        changed(*AT_MAIN, "dependsOn", 0, to={"containerName": "none", "condition": "START"}),
        {},
    ),
    "containerDefinitions[1].memory": (
        {**PLAIN, "containerDefinitions": [MAIN, {"name": "b", "image": "busybox:1"}]},
        {},
    ),
    "containerDefinitions[0].healthCheck.interval": (
        changed(*AT_MAIN, "healthCheck", to={"command": ["CMD", "true"], "interval": 1}),
        {},
    ),
    "containerDefinitions[0].resourceRequirements[0].value": (
        changed(*AT_MAIN, "resourceRequirements", 0, to={"type": "GPU", "value": "0.25"}),
        {},
    ),
    "requiresCompatibilities": (changed("requiresCompatibilities", to=["FARGATE"]), {}),
    "ephemeralStorage.sizeInGiB": (changed("ephemeralStorage", to={"sizeInGiB": 300}), ON_FARGATE),
    "containerDefinitions[0].privileged": (changed(*AT_MAIN, "privileged", to=True), ON_FARGATE),
    "containerDefinitions[0].linuxParameters.sharedMemorySize": (
        changed(*AT_MAIN, "linuxParameters", "sharedMemorySize", to=64),
        ON_FARGATE,
    ),
    "cpu": (changed("cpu", to="3000"), ON_FARGATE),
    "runtimePlatform.cpuArchitecture": (changed("runtimePlatform", "cpuArchitecture", to="ARM64"), {}),
}


@pytest.mark.parametrize("place", WRONG)
def test_a_mistake_is_told_with_its_place_before_any_call(place: str, own: Any) -> None:
    definition, settings = WRONG[place]
    runbook = own(definition)
    ran = runbook.run("register_task_definition.py", **settings)
    assert ran.code == 2, ran.err
    assert f"TASK_DEFINITION_FILE: {place}: " in ran.err
    assert (SECRET in ran.err, runbook.emulator.calls) == (False, [])


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '"x"', "\0", '{"containerDefinitions": {}}', '{"taskDefinition": 3}', "[" * 9999]
)
def test_what_is_no_task_definition_is_told_as_that(text: str, own: Any) -> None:
    ran = own(text).run("register_task_definition.py")
    assert (ran.code, "TASK_DEFINITION_FILE: " in ran.err, "Traceback" in ran.err) == (2, True, False), ran.err


ODD: tuple[Any, ...] = (None, 7, "x", [], {}, [None], [7], [[]], [{}], {"x": {}}, True)


def test_whatever_stands_at_whatever_place_ends_as_a_sentence(own: Any) -> None:
    """Of each member, on each level, a value of another kind."""
    whole = {
        **changed(*AT_MAIN, "portMappings", 0, "containerPort", to=80),
        **{"networkMode": "host", "cpu": "1024", "memory": "2048", "volumes": [{"name": "data"}]},
    }
    for key in whole:
        for value in ODD:
            ran = own({**whole, key: value}).run("list_task_definition.py")
            assert ran.code in (0, 2) and "Traceback" not in ran.err, (key, value, ran.err)
    for key in ("name", "image", "portMappings", "mountPoints", "dependsOn", "resourceRequirements", "linuxParameters"):
        for value in ODD:
            ran = own(changed(*AT_MAIN, key, to=value, of=whole)).run("list_task_definition.py")
            assert ran.code in (0, 2) and "Traceback" not in ran.err, (key, value, ran.err)


def test_all_that_botocore_would_refuse_is_told() -> None:
    """By its own validation, of the same definitions: where that finds something, ours does."""
    model = botocore.session.get_session().get_service_model("ecs")
    shape: Any = model.operation_model("RegisterTaskDefinition").input_shape
    for place, (definition, _) in WRONG.items():
        theirs = ParamValidator().validate(definition, shape)
        ours = list(definition_model.wrong(definition, shape, ""))
        assert bool(ours) >= theirs.has_errors(), place


def test_main_container_without_a_file_is_refused(runbook: Runbook) -> None:
    ran = runbook.run("register_task_definition.py", MAIN_CONTAINER="train")
    assert (ran.code, "MAIN_CONTAINER: train is no container" in ran.err) == (2, True)


def test_an_image_of_the_file_and_a_tag_of_the_repository_do_not_go_together(own: Any) -> None:
    ran = own(PLAIN).run("register_task_definition.py", IMAGE_TAG="v1")
    assert (ran.code, "IMAGE_TAG: 'v1'" in ran.err or "IMAGE_TAG: v1" in ran.err) == (2, True), ran.err


def test_memory_that_only_the_containers_name_must_fit_on_a_host_too(own: Any) -> None:
    runbook = own(changed("containerDefinitions", 0, "memory", to=24576))
    ran = runbook.run("create_cluster.py", INSTANCE_TYPE="g4dn.xlarge")
    told = "TASK_DEFINITION_FILE: containerDefinitions TASK_MEMORY=24640 does not fit on INSTANCE_TYPE=g4dn.xlarge"
    assert (ran.code, told in ran.err, runbook.changes(0)) == (1, True, []), ran.err


def test_endpoints_do_not_share_a_family_by_sharing_a_file(own: Any, tmp_path: Path) -> None:
    runbook = own(PLAIN)
    (tmp_path / "endpoints").mkdir()
    (tmp_path / "endpoints" / "a.env").touch()
    (tmp_path / ".env").write_text("CLUSTER_NAME=gpu\nSHARED_CLUSTER=true\nTASK_DEFINITION_FILE=taskdef.json\n")
    runbook.settings = {"ENV_FILE": str(tmp_path / ".env"), "ENDPOINT": "a", "NETWORK_MODE": "awsvpc"}
    ran = runbook.run("register_task_definition.py")
    told = "TASK_DEFINITION_FILE: family: is the same for all endpoints: put TASK_DEFINITION_FILE into endpoints/a.env"
    assert (ran.code, told in ran.err) == (2, True), ran.err


def test_a_service_moves_to_the_container_of_a_file(own: Any) -> None:
    """Its load balancer leads to the file's container then, and its shell is opened there."""
    two = {"PUBLIC_SUBNET_CIDRS": "10.0.0.0/24,10.0.1.0/24", "LISTENER_PROTOCOL": "HTTP", "EFS_VOLUMES": ""}
    served = {"containerDefinitions": [{**MAIN, "portMappings": [{"containerPort": 9090}], "memory": 512}, SIDECAR]}
    served["containerDefinitions"][0]["memory"] = 256
    runbook = own(served)
    runbook.settings |= {**FARGATE, **two, "COMMAND": "sleep infinity", "CLUSTER_NAME": "gpu"}
    pages = ("register_task_definition.py", "create_service.py")
    file = runbook.settings.pop("TASK_DEFINITION_FILE")
    runbook.has_run("create_cluster.py", *pages)
    runbook.settings |= {"TASK_DEFINITION_FILE": file}
    for page in pages:
        ran = runbook.run(page)
        assert ran.code == 0, ran.err
    [service] = runbook.aws("ecs").describe_services(cluster="gpu", services=["gpu"])["services"]
    assert [each["containerName"] for each in service["loadBalancers"]] == ["train"]
    before = len(runbook.emulator.calls)
    assert [runbook.run(page).code for page in pages] == [0, 0]
    assert runbook.changes(before) == []


def test_a_task_that_waits_for_a_healthy_sidecar_says_so_and_runs(own: Any) -> None:
    check = {"command": ["CMD-SHELL", "true"], "interval": 120}
    main = {**MAIN, "dependsOn": [{"containerName": "metrics", "condition": "HEALTHY"}]}
    runbook = own({"family": "own", "containerDefinitions": [main, {**SIDECAR, "healthCheck": check}]})
    ran = runbook.has_run("create_cluster.py", "register_task_definition.py").run("run_task.py")
    assert (ran.code, "the container train waits, by dependsOn, for metrics (RUNNING)" in ran.err) == (0, True), ran.err
    shown = runbook.run("describe_task.py").result["containers"]
    told = [(each["name"], each["lastStatus"], each.get("healthStatus")) for each in shown]
    assert told == [("train", "RUNNING", None), ("metrics", "RUNNING", "HEALTHY")]


def test_a_sidecar_that_fails_before_the_main_container_is_told_with_its_log(own: Any) -> None:
    main = {**MAIN, "dependsOn": [{"containerName": "metrics", "condition": "SUCCESS"}]}
    failing = {**SIDECAR, "command": ["sh", "-c", "echo no licence; exit 7"]}
    runbook = own({"family": "own", "containerDefinitions": [main, failing]})
    ran = runbook.has_run("create_cluster.py", "register_task_definition.py").run("run_task.py")
    assert ran.code in (1, 4) and "container metrics: exit code 7" in ran.err, ran.err
    assert "log: no licence" in ran.err


FIT = {"networkMode": "awsvpc", "cpu": "256", "memory": "512"}
SMALL = {**MAIN, "memory": 256}
EFS = {"fileSystemId": "fs-0abc1234"}


def with_volume(**volume: Any) -> dict[str, Any]:
    return {**PLAIN, "volumes": [{"name": "v", **volume}]}


#: what RegisterTaskDefinition refuses -> the definition, and other settings
REFUSED_BY_AWS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "containers above the task's memory": ({**PLAIN, "memory": "512"}, {}),
    "containers above it together": (
        {**PLAIN, "memory": "512", "containerDefinitions": [{**SMALL}, {**SIDECAR, "memory": 300}]},
        {},
    ),
    "containers above the task's cpu": (
        {**PLAIN, "memory": "2048", "cpu": "256", "containerDefinitions": [{**MAIN, "cpu": 512}]},
        {},
    ),
    "a size that is none": ({**PLAIN, "memory": "much"}, {}),
    "little memory": ({**PLAIN, "containerDefinitions": [{**MAIN, "memory": 5}]}, {}),
    "a family that is no name": ({**PLAIN, "family": "my family"}, {}),
    "a role that is none": ({**PLAIN, "executionRoleArn": "arn:aws:iam::1:user/x"}, {}),
    "links in awsvpc": ({**PLAIN, **FIT, "containerDefinitions": [{**SMALL, "links": ["x"]}]}, {}),
    "a volume of two kinds": (with_volume(host={"sourcePath": "/x"}, efsVolumeConfiguration=EFS), {}),
    "a volume without a name": ({**PLAIN, "volumes": [{"host": {}}]}, {}),
    "IAM without encryption": (
        with_volume(efsVolumeConfiguration={**EFS, "authorizationConfig": {"iam": "ENABLED"}}),
        {},
    ),
    "a directory below an access point": (
        with_volume(
            efsVolumeConfiguration={
                **EFS,
                **{"transitEncryption": "ENABLED", "rootDirectory": "/x"},
                "authorizationConfig": {"accessPointId": "fsap-0abc1234"},
            }
        ),
        {},
    ),
    "no file system's id": (with_volume(efsVolumeConfiguration={"fileSystemId": "file-system"}), {}),
    "two requirements of GPUs": (changed(*AT_MAIN, "resourceRequirements", to=[{"type": "GPU", "value": "1"}] * 2), {}),
    "a count and a part": (
        changed(
            *AT_MAIN,
            "resourceRequirements",
            to=[{"type": "GPU", "value": "1", "sharingStrategy": {"nvidiaMps": {"memory": 1}}}],
        ),
        {},
    ),
    "a path of the host on Fargate": (with_volume(host={"sourcePath": "/x"}) | FIT, ON_FARGATE),
    "a Docker volume on Fargate": (with_volume(dockerVolumeConfiguration={"scope": "task"}) | FIT, ON_FARGATE),
    "a log driver on Fargate": (
        {**PLAIN, **FIT, "containerDefinitions": [{**SMALL, "logConfiguration": {"logDriver": "syslog"}}]},
        ON_FARGATE,
    ),
    "a log without its prefix on Fargate": (
        {
            **{**PLAIN, **FIT},
            "containerDefinitions": [
                {**SMALL, "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "g"}}}
            ],
        },
        ON_FARGATE,
    ),
    "a log option that is none": (
        changed(*AT_MAIN, "logConfiguration", to={"logDriver": "awslogs", "options": {"awslogs-grup": "g"}}),
        {},
    ),
    "eleven containers": (
        {**PLAIN, "containerDefinitions": [{**MAIN, "name": f"c{number}"} for number in range(11)]},
        {},
    ),
    "two of a name": ({**PLAIN, "containerDefinitions": [MAIN, MAIN]}, {}),
    "a circle": (
        {
            **PLAIN,
            "containerDefinitions": [
                {**MAIN, "dependsOn": [{"containerName": "metrics", "condition": "START"}]},
                {**SIDECAR, "dependsOn": [{"containerName": "train", "condition": "START"}]},
            ],
        },
        {},
    ),
    "nothing essential": ({**PLAIN, "containerDefinitions": [SIDECAR]}, {}),
}


@pytest.mark.parametrize("what", REFUSED_BY_AWS)
def test_what_aws_would_refuse_is_refused_before_any_call(what: str, own: Any) -> None:
    definition, settings = REFUSED_BY_AWS[what]
    runbook = own(definition)
    runbook.settings["EFS_VOLUMES"] = ""
    ran = runbook.run("register_task_definition.py", **{**settings, "EFS_VOLUMES": ""})
    assert (ran.code, "TASK_DEFINITION_FILE: " in ran.err, runbook.emulator.calls) == (2, True, []), ran.err
    role = {"taskRoleArn": "their-role", "executionRoleArn": "their-role"}
    on = {"requiresCompatibilities": [settings.get("LAUNCH_TYPE", "EC2")]}
    with pytest.raises(ClientError):
        runbook.aws("ecs").register_task_definition(**{**role, **on, **definition})


def test_what_was_ours_in_another_account_is_ours_in_this_one(own: Any) -> None:
    """A definition that these scripts registered, in a file: its roles and its log group are made anew."""
    found = registered(own(PLAIN), EFS_VOLUMES="")
    assert found["taskRoleArn"].endswith("role/gpu-task-us-east-1")
    runbook = own(json.dumps(found, default=str).replace("123456789012", "210987654321"))
    runbook.has_run("delete_cluster.py --yes", "create_cluster.py", "register_task_definition.py", "run_task.py")
    again = runbook.aws("ecs").describe_task_definition(taskDefinition="own")["taskDefinition"]
    assert again["taskRoleArn"] == found["taskRoleArn"]
    assert again["executionRoleArn"] == found["executionRoleArn"]


def test_what_the_file_holds_is_not_printed(own: Any) -> None:
    environment = [{"name": "TOKEN", "value": SECRET}]
    runbook = own({**PLAIN, "containerDefinitions": [{**MAIN, "environment": environment}]})
    for page in ("create_cluster.py", "register_task_definition.py", "run_task.py", "describe_task.py"):
        ran = runbook.run(page, DEBUG="1")
        assert (ran.code, SECRET in ran.err + ran.out) == (0, False), page
    for wrong in ({"name": "TOKEN", "value": 8675309}, {"name": "TOKEN", "valu": SECRET}, SECRET):
        ran = own({**PLAIN, "containerDefinitions": [{**MAIN, "environment": [wrong]}]}).run("run_task.py")
        assert (ran.code, SECRET in ran.err, "8675309" in ran.err) == (2, False, False), ran.err
