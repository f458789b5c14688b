"""torchrun and ray in emulated containers: how their words are read; how they meet is in infrastructure/test_several_hosts.py."""

from __future__ import annotations

import pytest

from emulator.ecs.containers import Place, outcome
from emulator.programs.launchers import options


def test_flags_are_read_up_to_the_script() -> None:
    words = ["--nnodes=2", "--node_rank", "1", "--standalone", "--master-addr=10.0.0.7", "train.py", "--lr=1"]
    assert options(words) == {"nnodes": "2", "node-rank": "1", "standalone": "", "master-addr": "10.0.0.7"}


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("test $NODE_RANK = 0 || exit 7", 7),
        ("test $NODE_RANK = 1 || exit 7", 0),
        ("test $NODE_RANK -ne 0 || exit 7", 0),
        ("test $NODE_RANK != 1 && exit 7", 1),
        ("test -f /data/model || exit 7", 0),
    ],
)
def test_a_comparison_is_made(script: str, code: int) -> None:
    assert outcome({"command": ["sh", "-c", script]}, Place({"NODE_RANK": "1"}, [])).code == code
