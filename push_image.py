"""Build an image of a folder with a Dockerfile, push it to a repository of this account, and say what to put into .env.

Makes the repository where there is none. Docker, podman, finch or nerdctl on this machine builds it; where none of them
runs, CodeBuild does, of a zip of the folder, with a project, a bucket and a log group of its own that cost next to
nothing. The tag is the commit and a hash of the files, never latest: what has been pushed already is not built again.
What .dockerignore names is left out, and .git and .env.

    python push_image.py                                    the Dockerfile of the current folder
    python push_image.py --dockerfile ../app                of another folder
    python push_image.py --dockerfile docker/Dockerfile     this file, of the current folder
    python push_image.py --dry-run

A stored image costs by the GB and month, a build by CodeBuild by the minute. The last line is the
setting IMAGE, or IMAGE_TAG where that is set. To undo: python delete_repository.py --images
"""

import sys
from typing import Any

import aws
import console
import constants
from console import say
from infrastructure import parts
from infrastructure.delivery import (
    artifact_bucket,
    build_context,
    build_logs,
    build_project,
    image_build,
    pipeline,
    repository,
)
from infrastructure.service import images


@aws.page(
    changes=True,
    undo="delete_repository.py --images",
    dockerfile=("PATH", "a Dockerfile, or a folder with one; the current folder"),
)
def push_image(dockerfile: str = "") -> dict[str, Any]:
    context = build_context.find(dockerfile)
    platform = images.platform()
    made = repository.create()
    parts.retag((repository,))
    image = f"{made['repositoryUri']}:{build_context.tag(context, platform)}"
    if repository.has_tag(image.rpartition(":")[2]):
        say("found", f"image {image}", "of these very files")
    elif program := image_build.tool():
        if not console.dry_run:
            image_build.here(program, context, platform, image)
    else:
        say("found", f"none of {', '.join(image_build.TOOLS)} that runs here:", "CodeBuild builds it")
        parts.look((build_logs, artifact_bucket, build_project, pipeline))
        image_build.there(context, platform, image)
    told = {"image": image} if console.dry_run else image_build.pushed(image)
    its_file = constants.ENDPOINT_NAME if constants.ENDPOINT else ".env"
    say("next", aws.command("register_task_definition.py"), f"with this line in {its_file}:")
    console.show(f"IMAGE_TAG={image.rpartition(':')[2]}" if constants.IMAGE_TAG else f"IMAGE={image}")
    return told


if __name__ == "__main__":
    sys.exit(aws.main(push_image, __doc__))
