"""Why a task ended that did not do its work, in one word, and whether it is started again for that.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html (stopCode)
"""

from typing import Any

import aws
import constants
from console import say
from infrastructure.cluster import cluster, pause
from infrastructure.service import tasks

#: looks of POLL_SECONDS before the first new attempt, so 30 seconds; before each further one twice as many
FIRST_PAUSE = 6
WORDS = {
    "spot": "AWS took its Spot capacity back",
    "host": "its host ended",
    "pull": "its image could not be pulled",
    "exit": "it ended with another exit code than 0",
}


def cause(task: Any) -> str:
    """One of RETRY_ON's words for a stopped task that failed; "" for any other cause.

    A host that AWS takes back ends its tasks as any host does that ends: by TerminationNotice.
    """
    code, reasons = task.get("stopCode", ""), [each.get("reason", "") for each in task.get("containers", [])]
    if code == "SpotInterruption" or (code == "TerminationNotice" and constants.CAPACITY_TYPE != "on-demand"):
        return "spot"
    if code == "TerminationNotice":
        return "host"
    if "CannotPull" in " ".join([task.get("stoppedReason", ""), *reasons]):
        return "pull"
    ended = any(each.get("exitCode") for each in task.get("containers", []))
    return "exit" if code == "EssentialContainerExited" and ended else ""


def wanted(failed: list[Any], before: int) -> bool:
    """Whether all of these are to be started again, after so many attempts again `before`."""
    return before < constants.RETRIES and all(cause(task) in constants.RETRY_ON for task in failed)


def tell(task: Any, before: int, what: str = "") -> None:
    its_name = f"{what} task {tasks.task_id(task['taskArn'])}".strip()
    say(
        "warning",
        f"{its_name}: {WORDS[cause(task)]}",
        f"again in {seconds(before):.0f} s, {before + 1} of RETRIES={constants.RETRIES}",
    )


def seconds(before: int) -> float:
    """Until the next attempt."""
    return float(FIRST_PAUSE * 2**before * constants.POLL_SECONDS)


def wait(before: int) -> None:
    """Somebody may have paused the cluster meanwhile."""
    aws.pause(seconds(before))
    aws.forget(cluster.describe)
    pause.refuse()
