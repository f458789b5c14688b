"""Delete the endpoint's ECR repository. While it holds images it stays, and says how many and what they cost.

What push_image.py has built with goes too (build project, bucket, role, logs), unless a pipeline stands that needs it.

    python delete_repository.py             next: python delete_cluster.py
    python delete_repository.py --images    its images too; they can't be had back
    python delete_repository.py --dry-run   what would be deleted

To make it again, empty: python create_repository.py
"""

import sys
from typing import Any

import aws
import console
from aws import Problem
from console import say
from infrastructure import parts
from infrastructure.delivery import artifact_bucket, build_logs, build_project, image_build, pipeline, repository


@aws.page(changes=True, images="its images too")
def delete_repository(images: bool = False) -> dict[str, Any]:
    parts.look((repository, build_logs, artifact_bucket, build_project, pipeline))
    name = repository.its_name()
    if not images and (held := repository.held()):
        how = aws.command("delete_repository.py --images")
        raise Problem(f"the repository {name} holds {held}; to delete them too: {how}")
    if not repository.find():
        say("already gone", f"repository {name}")
    image_build.delete()
    repository.delete(images)
    say("next", "python delete_cluster.py")
    return {"repositoryName": name, "left": [] if console.dry_run else [each.what for each in repository.left_over()]}


if __name__ == "__main__":
    sys.exit(aws.main(delete_repository, __doc__))
