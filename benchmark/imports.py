"""What Terraform says of an account that the pages have made: its twin of the Clara example, with all of it imported.

Where the two mean the same, Terraform plans no change. Nothing is applied.
https://developer.hashicorp.com/terraform/language/import
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from benchmark import clara, terraform
from benchmark.ids import ids
from benchmark.measured import measured

SCALE = 0.01
PLAN, SHOW = "plan -out=planned", "show -json planned"
#: arguments that tell the provider how to work: AWS holds none of them, so what is imported has none
OWN = {"force_delete", "wait_for_capacity_timeout", "wait_for_steady_state"}
#: what differs, and is to
MEANT = {"aws_vpc_security_group_egress_rule.all": "EC2's own rule of a new group bears no tags; the provider's does"}


@dataclass
class Planned:
    """What Terraform would do to a resource of the twin, and where the two differ in what they mean."""

    address: str
    changes: bool
    places: list[str]

    @property
    def meant(self) -> str:
        """Why it differs, where it is to."""
        return MEANT.get(self.address.partition("[")[0], "")


def told(found: list[Planned]) -> str:
    """The counts, and each resource that Terraform would change, with the places that differ."""
    changed = [each for each in found if each.changes]
    differing = sum(bool(each.places) for each in found)
    lines = [
        f"{len(found)} resources of the twin, imported from what the pages have made: {len(found) - len(changed)} planned "
        f"without a change, {len(changed) - differing} with one of words only, {differing} differ"
    ]
    for each in changed:
        why = each.meant or ("" if each.places else "the provider's own arguments, or the same JSON in other words")
        lines += [f"  {each.address}{why and f': {why}'}", *(f"    {place}" for place in each.places)]
    return "\n".join(lines)


def planned(plugins: str) -> list[Planned]:
    """The pages, then a plan of Terraform's that imports what they have made: each of the twin's resources."""
    with measured(SCALE, latency=0) as account:
        environment = clara.environment(account)
        for command in clara.CREATE:
            clara.page(command, environment)
        found = ids(account.client)
        with terraform.twin(environment, plugins) as (folder, do):
            blocks = [f"import {{\n  to = {to}\n  id = {json.dumps(each)}\n}}\n" for to, each in found.items()]
            (folder / "imports.tf").write_text("".join(blocks))
            do(PLAN)
            changes = json.loads(do(SHOW).out)["resource_changes"]
    return [of_change(each["address"], each["change"]) for each in changes if each["mode"] == "managed"]


def of_change(address: str, change: dict[str, Any]) -> Planned:
    """What is known only after an apply is left out: it follows from another difference, which is told."""
    changes, made = change["actions"] != ["no-op"], change["before"]
    if not made:
        return Planned(address, changes, ["not made by the pages"])
    here, there = (
        {key: plain(value) for key, value in each.items() if key not in OWN} for each in (made, change["after"] or {})
    )
    places = clara.differences(here, {**here, **there})
    return Planned(address, changes, places or (["made anew"] if "delete" in change["actions"] else []))


def plain(value: Any) -> Any:
    """JSON in a text is read; and what is empty is left out: of what is not given the provider says one or the other."""
    value = clara.parsed(value)
    if isinstance(value, list):
        return [plain(each) for each in value] or None
    if isinstance(value, dict):
        return {key: kept for key, each in value.items() if (kept := plain(each)) is not None} or None
    return None if value == "" or value is False else value
