"""What a host runs at its first boot: it tells the ECS agent which cluster to join, then runs HOST_USER_DATA.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/bootstrap_container_instance.html
"""

import constants
from aws import Problem
from infrastructure.cluster import monitoring

#: bytes, before they are written in base64: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html
MOST = 16 * 1024
BOUNDARY = "==gpu-ecs-part=="
#: Docker's folder on the instance store. A boothook runs at every boot, before Docker starts, which waits for the network; where it
#: ends with an error Docker is on the root disk. That the AMI has mdadm, for more than one disk, is proven by nothing.
#: https://docs.cloud-init.io/en/latest/explanation/format/cloud-boothook.html
INSTANCE_STORE = """#!/bin/bash
set -e
mountpoint -q /var/lib/docker && exit 0
if ! blkid -L docker; then
  set -- $(lsblk -dpno NAME,MODEL | awk '/Amazon EC2 NVMe Instance Storage/ {print $1}')
  disk=$1
  if [ $# -gt 1 ]; then
    command -v mdadm || dnf install -y mdadm
    disk=/dev/md0
    mdadm --create "$disk" --run --level=0 --raid-devices=$# "$@"
  fi
  mkfs.xfs -f -L docker "$disk"
fi
mkdir -p /var/lib/docker
mount -L docker /var/lib/docker
"""


def text() -> str:
    """One script; or several parts in the order in which they run, where there is more than ours."""
    store = [("cloud-boothook", INSTANCE_STORE)] if constants.INSTANCE_STORE else []
    theirs = [("x-shellscript", constants.HOST_USER_DATA)] if constants.HOST_USER_DATA else []
    if not store and not theirs:
        return script()
    head = f'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="{BOUNDARY}"\n\n'
    return head + "".join(map(part, [*store, ("x-shellscript", script()), *theirs])) + f"--{BOUNDARY}--\n"


def part(about: tuple[str, str]) -> str:
    kind, content = about
    return f'--{BOUNDARY}\nContent-Type: text/{kind}; charset="utf-8"\n\n{content.rstrip()}\n'


def script() -> str:
    """https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-config.html"""
    lines = [
        f"ECS_CLUSTER={constants.CLUSTER_NAME}",
        "ECS_AWSVPC_BLOCK_IMDS=true",
        "ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM=ec2_instance",
    ]
    if constants.GPU_COUNT:
        lines.append("ECS_ENABLE_GPU_SUPPORT=true")
    if constants.CAPACITY_TYPE != "on-demand":
        lines.append("ECS_ENABLE_SPOT_INSTANCE_DRAINING=true")
    lines += [f"{name}={value}" for name, value in constants.ECS_CONFIG.items()]
    told = "#!/bin/bash\ncat >> /etc/ecs/ecs.config <<'END'\n" + "\n".join(lines) + "\nEND\n"
    return told + (monitoring.install() if monitoring.wanted() else "")


def refuse_unfit() -> None:
    """Longer than EC2 takes it, or with a line that would end a part of it."""
    if (size := len(text().encode())) > MOST:
        raise Problem(f"HOST_USER_DATA makes user data of {size} bytes, and EC2 takes {MOST}: fetch the rest from S3")
    if BOUNDARY in constants.HOST_USER_DATA:
        raise Problem(f"HOST_USER_DATA has {BOUNDARY} in it, which separates its parts: write that otherwise")
