"""The rules of real AWS that the emulator knows of: the numbers of all, and of those that it does not hold, why not.

`python -m emulator --rules` lists both kinds. A rule that is held is named where it is held (rules.on, rules.held).
"""

from __future__ import annotations

from collections.abc import Iterator

#: series -> first and last number of each run of ids
SERIES = {
    "aas": ((1, 6),),
    "acm": ((1, 4),),
    "asg": ((1, 17),),
    "cb": ((1, 4),),
    "cc": ((1, 3),),
    "cp": ((1, 4),),
    "cw": ((1, 2),),
    "ec2": ((1, 33),),
    "ecr": ((1, 2),),
    "ecs": ((1, 17), (20, 23), (30, 40), (50, 62), (70, 93)),
    "efs": ((1, 16),),
    "elb": ((1, 17),),
    "iam": ((1, 12),),
    "logs": ((1, 4),),
    "quota": ((1, 1),),
    "r53": ((1, 4),),
    "sdk": ((1, 6),),
    "ssm": ((1, 1),),
    "tag": ((1, 5),),
}

#: id -> what AWS does, and why the emulator does not do it
NOT_HELD: dict[str, tuple[str, str]] = {
    "ec2-032": ("What ECS Managed Instances run is hidden unless asked for.", "no Managed Instances are started"),
    "sdk-003": ("boto3 has no waiter for groups, EFS, providers, builds and logs.", "boto3's, not AWS's"),
}


def ids() -> Iterator[str]:
    """All rules, held or not."""
    for series, runs in SERIES.items():
        for first, last in runs:
            yield from (f"{series}-{number:03}" for number in range(first, last + 1))
