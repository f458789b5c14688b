"""List the revisions of the family, newest first; where there is none the list is empty.

python list_task_definition.py           next: python run_task.py
"""

import sys
from typing import Any

import aws
import constants
from console import say
from infrastructure.service import deadlines, task_definitions


@aws.page()
def list_task_definition() -> dict[str, Any]:
    found = task_definitions.definitions()
    if not found:
        say("found", task_definitions.missing())
    deadlines.tell()
    return {"family": constants.TASK_FAMILY, "taskDefinitionArns": found}


if __name__ == "__main__":
    sys.exit(aws.main(list_task_definition, __doc__))
