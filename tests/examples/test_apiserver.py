"""The API server on Fargate: what the scripts that came before build, and what is built here.

python -m tests.examples.test_apiserver     prints the table
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import ROOT, Runbook
from tests.examples import originals

RUN = ("create_cluster.py", "register_task_definition.py", "run_task.py")


@pytest.fixture
def example(runbook: Runbook) -> Runbook:
    runbook.settings = {"ENV_FILE": str(ROOT / "examples" / "apiserver.env")}
    return runbook


def markdown() -> str:
    """The table, of a run in an account of its own."""
    return originals.table("apiserver", built(originals.account("apiserver")))


def built(runbook: Runbook) -> dict[str, str]:
    """What is built here; then with a second task, of which neither is stopped unless it is said which."""
    runbook.has_run(*RUN)
    found = network(runbook) | cluster(runbook) | definition(runbook) | running(runbook)
    runbook.has_run("run_task.py")
    asked = runbook.run("stop_task.py").code != 0 and len(tasks(runbook, "RUNNING")) == 2
    newest = max(tasks(runbook, "RUNNING"), key=lambda each: each["createdAt"])["taskArn"]
    runbook.has_run(f"stop_task.py --task {newest}")
    return found | stopped(runbook, asked)


def network(runbook: Runbook) -> dict[str, str]:
    ec2, iam, ours = runbook.aws("ec2"), runbook.aws("iam"), [{"Name": "tag:gpu-ecs-cluster", "Values": ["apiserver"]}]
    subnets = ec2.describe_subnets(Filters=ours)["Subnets"]
    named = {each["GroupName"]: each for each in ec2.describe_security_groups(Filters=ours)["SecurityGroups"]}
    [rule] = named["apiserver-tasks"]["IpPermissions"]
    blocks = [block["CidrIp"] for block in rule["IpRanges"]]
    roles = {role["RoleName"] for role in iam.list_roles()["Roles"]}
    own = iam.get_role_policy(RoleName="apiserver-task-us-east-1", PolicyName="settings")["PolicyDocument"]
    actions = {action for statement in own["Statement"] for action in statement["Action"]}
    return {
        "network": f"a VPC of its own, {len(subnets)} public subnet",
        "security group": f"one of its own, {rule['FromPort']} open to {', '.join(blocks)}",
        "execution role": "one of its own" if "apiserver-task-execution-us-east-1" in roles else "",
        "task role": "one of its own, to mount" if all("Client" in each for each in actions) else str(actions),
    }


def cluster(runbook: Runbook) -> dict[str, str]:
    [found] = runbook.aws("ecs").describe_clusters(clusters=["apiserver"], include=["SETTINGS"])["clusters"]
    [insights] = [each["value"] for each in found["settings"] if each["name"] == "containerInsights"]
    return {"cluster": f"{', '.join(sorted(found['capacityProviders']))}; Container Insights {insights}"}


def definition(runbook: Runbook) -> dict[str, str]:
    task = runbook.aws("ecs").describe_task_definition(taskDefinition="apiserver")["taskDefinition"]
    [main] = task["containerDefinitions"]
    [log] = runbook.aws("logs").describe_log_groups(logGroupNamePrefix="/ecs/apiserver")["logGroups"]
    [volume] = [each["efsVolumeConfiguration"] for each in task["volumes"]]
    over = "TLS" if volume["transitEncryption"] == "ENABLED" else "nothing"
    variables = {pair["name"]: pair["value"] for pair in main["environment"]}
    return {
        "family": f"{task['family']}, the newest revision",
        "container": main["name"],
        "image": main["image"],
        "size": f"{task['cpu']} CPU units, {task['memory']} MiB",
        "port": ", ".join(str(mapping["containerPort"]) for mapping in main["portMappings"]),
        "logs": f"{log['logGroupName']}, {log['retentionInDays']} days",
        "volume": f"{main['mountPoints'][0]['containerPath']} on EFS, over {over}",
        **variables,
    }


def tasks(runbook: Runbook, status: str) -> list[Any]:
    ecs = runbook.aws("ecs")
    arns = ecs.list_tasks(cluster="apiserver", desiredStatus=status)["taskArns"]
    return list(ecs.describe_tasks(cluster="apiserver", tasks=arns)["tasks"])


def running(runbook: Runbook) -> dict[str, str]:
    found = tasks(runbook, "RUNNING")
    [task] = found
    details = {each["name"]: each["value"] for each in task["attachments"][0]["details"]}
    interfaces = runbook.aws("ec2").describe_network_interfaces(NetworkInterfaceIds=[details["networkInterfaceId"]])
    return {
        "task runs on": f"{task['capacityProviderName'].capitalize()}, by capacity provider",
        "tasks": str(len(found)),
        "public address": "yes" if "Association" in interfaces["NetworkInterfaces"][0] else "no",
        "exec": "on" if task["enableExecuteCommand"] else "off",
        "startedBy": task["startedBy"],
    }


def stopped(runbook: Runbook, asked: bool) -> dict[str, str]:
    [ended] = tasks(runbook, "STOPPED")
    return {"reason of a stop": ended["stoppedReason"], "stopped": "the one that is named" if asked else "any"}


def test_the_table_tells_what_is_built(example: Runbook) -> None:
    originals.check("apiserver", built(example))


def test_each_value_of_the_scripts_has_its_place() -> None:
    originals.check_places("apiserver")


if __name__ == "__main__":
    print(markdown(), end="")
