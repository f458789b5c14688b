"""Show the IAM policies with which a person, or a role, can run these scripts: for our names and our tag, and no more.

Nothing is made or asked but who you are: give them to who is in charge of the account. Each document is one managed
policy, short enough for IAM. They have names, Region, account and partition as the settings say.

    python show_policy.py                all scripts
    python show_policy.py --for run      run, stop, look, logs, a shell: what a colleague needs
    python show_policy.py --for look     also create and delete
    python show_policy.py | jq '.documents[0]' > policy-1.json

What stands beside ours, and where AWS lets us say no less than everything, is told in docs/permissions.md.
"""

import sys
from typing import Any

import aws
import constants
from aws import Problem
from console import say
from infrastructure.preflight import policy


@aws.page(of="either", for_=("USE", f"for {', '.join(policy.USES)} or all"))
def show_policy(for_: str = "") -> dict[str, Any]:
    use = for_ or "all"
    if use not in (*policy.USES, "all"):
        raise Problem(f"--for {use} is none of {', '.join(policy.USES)}, all", exit_code=aws.WRONG_SETTING)
    found = policy.documents(use)
    for number, document in enumerate(found, 1):
        say("found", f"policy {number}", f"{policy.size(document)} characters of {policy.MOST_CHARACTERS}")
    return {"for": use, "clusterName": constants.CLUSTER_NAME, "documents": found}


if __name__ == "__main__":
    sys.exit(aws.main(show_policy, __doc__))
