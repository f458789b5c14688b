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
from console import say
from infrastructure.delivery import repository


@aws.page(changes=True, images="its images too")
def delete_repository(images: bool = False) -> dict[str, Any]:
    repository.delete(with_images=images)
    say("next", "python delete_cluster.py")
    return {"repositoryName": repository.NAME, "left": [] if console.dry_run else repository.left_over()}


if __name__ == "__main__":
    sys.exit(aws.main(delete_repository, __doc__))
