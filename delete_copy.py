"""Delete what copy_data.py made: a copy that runs, the task definition and its role, the bucket of one that was cut short.

What was copied stays, on the volume and in the bucket that was named.

    python delete_copy.py             next: python deregister_task_definition.py
    python delete_copy.py --dry-run   what would be deleted
"""

import sys
from typing import Any

import aws
from console import say
from infrastructure import parts
from infrastructure.weights import copies, transfer_bucket


@aws.page(changes=True)
def delete_copy() -> dict[str, Any]:
    """The task first: it would go on to write to the bucket that is being taken away."""
    made = (transfer_bucket, copies)
    parts.look(made)
    copies.delete()
    transfer_bucket.delete()
    say("next", aws.command("deregister_task_definition.py"))
    return {"left": [each.what for each in parts.left_over(made)]}


if __name__ == "__main__":
    sys.exit(aws.main(delete_copy, __doc__))
