"""List the revisions of the family, newest first.

python list_task_definition.py           next: python run_task.py
"""

import sys
from typing import Any

import aws
import constants
from infrastructure.service import task_definitions


@aws.page()
def list_task_definition() -> dict[str, Any]:
    return {"family": constants.TASK_FAMILY, "taskDefinitionArns": task_definitions.definitions()}


if __name__ == "__main__":
    sys.exit(aws.main(list_task_definition, __doc__))
