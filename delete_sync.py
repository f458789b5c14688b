"""Delete what sync_weights.py made: the schedule and its role, a sync that runs, the task definition and its role.

The weights stay, in the bucket and on the volume: what runs goes on to serve them.

    python delete_sync.py             next: python delete_service.py
    python delete_sync.py --dry-run   what would be deleted
"""

import sys
from typing import Any

import aws
import constants
from console import say
from infrastructure import parts
from infrastructure.weights import schedule, source_bucket, sync


@aws.page(changes=True)
def delete_sync() -> dict[str, Any]:
    """The schedule first: it would start what is being taken down."""
    made = (sync, schedule)
    parts.look(made)
    if not schedule.find_group():
        say("already gone", f"schedule group {schedule.its_name()}")
    schedule.delete()
    sync.delete()
    say("kept", f"the weights in {source_bucket.source()} and on the volume {constants.WEIGHTS_VOLUME}")
    say("next", aws.command("delete_service.py"))
    return {"left": [each.what for each in parts.left_over(made)]}


if __name__ == "__main__":
    sys.exit(aws.main(delete_sync, __doc__))
