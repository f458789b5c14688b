"""What bears tags, for the Resource Groups Tagging API: each service says it of its own resources, beside its handlers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from emulator.core.world import World

Tags = dict[str, str]
#: the ARNs of a service's resources in a Region, with the tags of each; also of those that have none
Bearer = Callable[[World, str], Iterator[tuple[str, Tags]]]

#: to look at for whatever bears tags in a Region
BEARERS: list[Bearer] = []


def bearer(found: Bearer) -> Bearer:
    """Let the Tagging API know of these resources."""
    BEARERS.append(found)
    return found


def plain(tags: Iterable[dict[str, str]]) -> Tags:
    """Tags as a dict, whichever way a service spells them."""
    return {(tag.get("Key") or tag.get("key", "")): (tag.get("Value") or tag.get("value", "")) for tag in tags}
