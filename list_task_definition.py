"""List the revisions of the family, newest first; where there is none it ends with exit code 1.

python list_task_definition.py           next: python run_task.py
"""

import sys
from typing import Any

import aws
import constants
from aws import Problem
from infrastructure.service import task_definitions


@aws.page()
def list_task_definition() -> dict[str, Any]:
    told = {"family": constants.TASK_FAMILY, "taskDefinitionArns": task_definitions.definitions()}
    if not told["taskDefinitionArns"]:
        raise Problem(task_definitions.missing(), told)
    return told


if __name__ == "__main__":
    sys.exit(aws.main(list_task_definition, __doc__))
