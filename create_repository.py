"""Make the endpoint's ECR repository: scanned on push, tags given once, the newest IMAGES_KEPT images kept.

Stored images cost by the GB and month. Run it again at any time: it brings what is there into line.

    python create_repository.py             next: python create_pipeline.py
    python create_repository.py --dry-run   what would be created or changed

It stays when the service is deleted. To undo: python delete_repository.py
"""

import sys
from typing import Any

import aws
from console import say
from infrastructure import parts
from infrastructure.delivery import repository

PARTS = (repository,)


@aws.page(changes=True, undo="delete_repository.py")
def create_repository() -> dict[str, Any]:
    made = repository.create()
    parts.retag(PARTS)
    say("next", aws.command("create_pipeline.py"), f"to undo: {aws.command('delete_repository.py')}")
    return {**made, "imageTags": repository.image_tags(10)}


if __name__ == "__main__":
    sys.exit(aws.main(create_repository, __doc__))
