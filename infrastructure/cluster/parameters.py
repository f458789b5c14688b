"""SSM parameters, all read in one call: where AWS publishes its AMIs, and ours for the hosts' CloudWatch agent.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/retrieve-ecs-optimized_AMI.html
"""

from typing import Any

import aws
import constants
from aws import client
from infrastructure.cluster.container_instances import described_type

OF_HOSTS = "/aws/service/ecs/optimized-ami/amazon-linux-2023/{kind}recommended/image_id"
OF_BASTION = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"


@aws.look
def values() -> dict[str, str]:
    """Name -> value, of those that there are."""
    names = [agent(), *([OF_BASTION] if constants.BASTION_KEY_NAME else [])]
    if constants.LAUNCH_TYPE == "EC2" and not constants.AMI_ID and described_type():
        names.append(of_hosts())
    found = client("ssm").get_parameters(Names=names)["Parameters"]
    return {each["Name"]: each["Value"] for each in found}


def agent() -> str:
    """The agent's own policy, CloudWatchAgentServerPolicy, lets a host read names that begin so."""
    return f"AmazonCloudWatch-{constants.CLUSTER_NAME}"


def of_hosts() -> str:
    kind = "gpu/" if constants.GPU_COUNT else "arm64/" if on_arm(described_type()) else ""
    return OF_HOSTS.format(kind=kind)


def on_arm(described: Any) -> bool:
    return "arm64" in described["ProcessorInfo"]["SupportedArchitectures"]
