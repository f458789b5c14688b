"""The S3 bucket in which CodePipeline hands one stage's result to the next: private, encrypted, and soon empty again.

https://docs.aws.amazon.com/codepipeline/latest/userguide/welcome-introducing-artifacts.html
"""

import aws
import constants
from infrastructure.cluster import buckets

PART = "artifacts"
LOOKS = (buckets.found(PART),)


def its_name() -> str:
    return buckets.its_name(PART)


def arn() -> str:
    return buckets.arn(its_name())


def refuse_long_name() -> None:
    buckets.refuse_long_name(PART)


def create() -> str:
    """What is in it costs, by the GB and month."""
    days = constants.ARTIFACT_DAYS
    return str(buckets.make(PART, days, f"for the pipeline's artifacts, kept for {days} days")["Name"])


def delete() -> None:
    buckets.remove(PART)


def left_over() -> list[aws.Resource]:
    return buckets.left_over(PART)
