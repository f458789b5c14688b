"""Delete the endpoint's pipeline: what runs of it, the build project, the bucket with its artifacts, roles and logs.

The repository with its images, the service, and the connection, which endpoints share, stay.

    python delete_pipeline.py             next: python delete_repository.py
    python delete_pipeline.py --dry-run   what would be deleted

To make it again: python create_pipeline.py
"""

import sys
from typing import Any

import aws
import console
from console import say
from infrastructure import parts
from infrastructure.delivery import artifact_bucket, build_logs, build_project, pipeline


@aws.page(changes=True)
def delete_pipeline() -> dict[str, Any]:
    """The log groups last: with the roles gone nothing can make them again."""
    made = (build_logs, artifact_bucket, build_project, pipeline)
    parts.look(made)
    if not pipeline.find():
        say("already gone", f"pipeline {pipeline.its_name()}")
    pipeline.delete()
    build_project.delete()
    artifact_bucket.delete()
    build_logs.delete()
    say("next", aws.command("delete_repository.py"))
    left = [] if console.dry_run else [each.what for each in parts.left_over(made)]
    return {"pipelineName": pipeline.its_name(), "left": left}


if __name__ == "__main__":
    sys.exit(aws.main(delete_pipeline, __doc__))
