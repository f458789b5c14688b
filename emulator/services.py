"""Imports every module that holds handlers, and starts moto with an empty account."""

from __future__ import annotations

import importlib
from typing import Any

MODULES = (
    *("ec2", "autoscaling", "iam", "efs", "elbv2"),
    *("ecs", "ecs_services", "ecs_instances", "ecs_exec"),
    *("elbv2_groups", "elbv2_balancers", "elbv2_listeners", "logs"),
    *(
        "others",
        "quotas",
        "pricing",
        "dns",
        "connections",
        "scaling",
        "tagging",
        "builds",
        "pipelines",
        "scheduler",
        "s3",
    ),
)


def load() -> None:
    for name in MODULES:
        importlib.import_module(f"emulator.{name}")


def reset_moto() -> None:
    """An empty account: moto keeps its state in globals, so there is one at a time in a process."""
    from moto.core.base_backend import BackendDict
    from moto.core.model_instances import reset_model_data

    backends: Any = BackendDict._instances
    for backend in backends:
        backend.reset()
    reset_model_data()


load()
