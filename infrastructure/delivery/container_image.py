"""Which image the task runs: IMAGE as it stands, or with IMAGE_TAG one of the endpoint's own repository.

IMAGE_TAG=current leaves to the pipeline what it has deployed, so that registering anew for another setting does not
bring back an older image.
"""

from typing import Any

import constants
from aws import Problem, command
from infrastructure.delivery import repository
from infrastructure.service import images, service, task_definitions, tasks

#: the tag of a first revision, before there is an image
NOT_BUILT_YET = "not-built-yet"


def wanted() -> str:
    """The image to register, once it is sure that it is there, as far as that can be learned."""
    image = constants.IMAGE
    if constants.IMAGE_TAG:
        image = f"{repository.uri()}:{wanted_tag()}"
    unknown = constants.IMAGE_TAG and not image.endswith(f":{NOT_BUILT_YET}")
    images.check(image if unknown else "")
    return image


def wanted_tag() -> str:
    """Deployed is what the service runs: the newest revision may be one that was rolled back."""
    if not repository.find():
        missing = f"IMAGE_TAG={constants.IMAGE_TAG}: there is no repository {repository.its_name()}"
        raise Problem(f"{missing}: run create_repository.py first")
    if constants.IMAGE_TAG != "current":
        refuse_missing_tag(constants.IMAGE_TAG)
        return constants.IMAGE_TAG
    running = service.find()
    tag = deployed_tag(task_definitions.definition(running["taskDefinition"] if running else constants.TASK_FAMILY))
    return tag if tag and repository.has_tag(tag) else repository.newest_tag() or NOT_BUILT_YET


def deployed_tag(definition: dict[str, Any] | None) -> str:
    """The tag of the endpoint's repository that a revision runs; empty where it runs another image."""
    containers = (definition or {}).get("containerDefinitions", [])
    images = [each["image"] for each in containers if each["name"] == constants.CONTAINER_NAME]
    address, _, tag = next(iter(images), "").rpartition(":")
    return tag if address == repository.uri() else ""


def refuse_missing(definition: dict[str, Any]) -> None:
    """Before anything is made: tasks that could never pull their image. With no tasks there is nothing to pull."""
    tag = deployed_tag(definition)
    if constants.IMAGE_TAG not in ("", "current", tag):
        refuse_missing_tag(constants.IMAGE_TAG)
        differs = f"{tasks.task_id(definition['taskDefinitionArn'])} has {tag or 'another image'}"
        raise Problem(f"IMAGE_TAG={constants.IMAGE_TAG}, but {differs}: run register_task_definition.py")
    if tag == NOT_BUILT_YET and constants.DESIRED_COUNT and (newest := repository.newest_tag()):
        raise Problem(f"the task definition is from before {newest} was built: run register_task_definition.py again")
    if tag and constants.DESIRED_COUNT:
        refuse_missing_tag(tag)


def refuse_missing_tag(tag: str) -> None:
    if repository.has_tag(tag):
        return
    paused = f"DESIRED_COUNT=0 {command('create_service.py')}"
    held = ", ".join(repository.image_tags(10))
    builds = f"{command('push_image.py')} builds one; until a pipeline has, {paused} is right"
    there = f"it has {held}" if held else f"it is empty: {builds}"
    raise Problem(f"the tag {tag} is not in the repository {repository.its_name()}: {there}")
