"""Show the endpoint's pipeline: its stages, and its last five runs with what was built, by which push.

For a run that failed: the stage, AWS's message, and the end of the log.

    python describe_pipeline.py
    python describe_pipeline.py | jq '.executions[0]'

To make it: python create_pipeline.py
"""

import sys
from typing import Any

import aws
from aws import Problem
from infrastructure.delivery import executions, pipeline
from infrastructure.service import deadlines

LAST = 5


@aws.page()
def describe_pipeline() -> dict[str, Any]:
    if not pipeline.find():
        raise Problem(f"there is no pipeline {pipeline.its_name()} in this region: run create_pipeline.py first")
    deadlines.tell()
    return {
        "pipelineName": pipeline.its_name(),
        "url": pipeline.console_url(),
        "stages": pipeline.stages(),
        "executions": [executions.described(each) for each in executions.newest_first(LAST)],
    }


if __name__ == "__main__":
    sys.exit(aws.main(describe_pipeline, __doc__))
