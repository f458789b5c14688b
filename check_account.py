"""Check whether the account can have what the settings ask for, before anything is made; nothing is made by this either.

One row for each thing: ok, warning or stop, with what is wrong, where, and what to do: who you are and what you may do,
quotas less what is there, zones, AMI, driver and image, certificate and host name, names that are taken. Prints the rows.
Exit code 1 where one of them says stop: create_cluster.py, or a later script, would end with it.

    python check_account.py              next: python create_cluster.py
    python check_account.py | jq -r '.rows[] | select(.state != "ok") | .sentence'

A GPU is promised by no row: EC2 tells only when it starts a host whether there is one now.
"""

import sys
from typing import Any

import aws
import console
from aws import Problem
from console import say
from infrastructure.preflight import rows


@aws.page(of="either")
def check_account() -> dict[str, Any]:
    found = rows.look()
    width = max(len(each.row) for each in found)
    for each in found:
        console.show(f"{each.state:7}  {each.row:{width}}  {each.sentence}")
    told = {"rows": [each._asdict() for each in found]}
    stops = [each.row for each in found if each.state == rows.STOP]
    if stops:
        raise Problem(f"the account can't have it yet, see {', '.join(stops)}; nothing was made", told)
    say("next", "python create_cluster.py")
    return told


if __name__ == "__main__":
    sys.exit(aws.main(check_account, __doc__))
