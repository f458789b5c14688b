"""Delete the endpoint's ECR repository. While it holds images it stays, and says how many and what they cost.

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
from infrastructure.delivery import repository


@aws.page(changes=True, images="its images too")
def delete_repository(images: bool = False) -> dict[str, Any]:
    name = repository.its_name()
    if not images and (held := repository.held()):
        how = aws.command("delete_repository.py --images")
        raise Problem(f"the repository {name} holds {held}; to delete them too: {how}")
    if not repository.find():
        say("already gone", f"repository {name}")
    repository.delete(images)
    say("next", "python delete_cluster.py")
    return {"repositoryName": name, "left": [] if console.dry_run else [each.what for each in repository.left_over()]}


if __name__ == "__main__":
    sys.exit(aws.main(delete_repository, __doc__))
