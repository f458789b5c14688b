"""What cloud-init makes of a host's user data, as far as the agent depends on it. No script is run: their texts are read.

https://docs.cloud-init.io/en/latest/explanation/format.html
"""

from __future__ import annotations

import email
import re
from typing import Any

from emulator.core.rules import SENTENCES, held
from emulator.ec2.region import backend_of
from emulator.ec2.types import instance_type

Item = dict[str, Any]

SENTENCES.update(
    {
        "ecs-user-data": "Only user data that begins as a kind that cloud-init knows is run; the agent starts when it has "
        "ended, with whatever code, and never where a script waits for the agent to start.",
        "ecs-host-disk": "An image that is larger than the disk under Docker, root or instance store, is not pulled.",
    }
)
held("ecs-user-data ecs-host-disk", "ecs.user_data: the boot of a host")

KINDS = ("#!", "#cloud-boothook")
#: the agent's unit comes after cloud-final: https://github.com/aws/amazon-ecs-agent/issues/1707
WAITS = re.compile(
    r"^[^#\n]*\bsystemctl\b(?!.*--no-block).*(\bstart\b|\brestart\b|--now\b).*\becs(\.service)?\b", re.MULTILINE
)
MOUNTS = re.compile(r"^[^#\n]*\bmount\b.*\s/var/lib/docker\b", re.MULTILINE)
GIB = 2**30


def scripts(user_data: str) -> list[str]:
    """The texts that run, in their order."""
    if not re.match(r"(MIME-Version|Content-Type):", user_data, re.IGNORECASE):
        return [user_data] if user_data.startswith(KINDS) else []
    parts = [part for part in email.message_from_string(user_data).walk() if not part.is_multipart()]
    kinds = ("text/x-shellscript", "text/cloud-boothook")
    hooks = [part for part in parts if part.get_content_type() == kinds[1]]
    ordered = [*hooks, *(part for part in parts if part.get_content_type() == kinds[0])]
    return [text for part in ordered if (text := str(part.get_payload())).startswith(KINDS)]


def never_ends(user_data: str) -> bool:
    """Does a script wait for the agent, which waits for the script?"""
    return any(WAITS.search(text) for text in scripts(user_data))


def disk(region: str, machine: Item) -> float:
    """GiB of the disk under Docker: the instance store where a script mounts it, else the root disk."""
    store = (instance_type(machine["InstanceType"]) or {}).get("InstanceStorageInfo", {})
    if store and any(MOUNTS.search(text) for text in scripts(machine.get("UserData") or "")):
        return float(store["TotalSizeInGB"]) * 1e9 / GIB
    volumes, devices = backend_of(region).volumes, machine.get("BlockDeviceMappings", [])
    roots = [each["Ebs"]["VolumeId"] for each in devices if each["DeviceName"] == machine.get("RootDeviceName")]
    return float(max((volumes[each].size for each in roots if each in volumes), default=0))
