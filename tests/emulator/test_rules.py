"""Each rule of real AWS that the emulator knows of is held, and says by what; or it is not, and says why."""

from __future__ import annotations

import pytest

from emulator.__main__ import listed, main
from emulator.core import rules, services
from emulator.core.not_held import NOT_HELD, ids


def test_every_rule_is_either_held_or_not() -> None:
    services.load()
    numbered = set(ids())
    assert numbered - rules.HELD.keys() - NOT_HELD.keys() == set(), "neither held nor told as not held"
    assert rules.HELD.keys() & NOT_HELD.keys() == set(), "held: take these lines out of not_held.py"
    assert NOT_HELD.keys() - numbered == set(), "no such rule"


def test_every_rule_says_what_aws_does_in_one_sentence() -> None:
    services.load()
    sentences = {rule: rules.SENTENCES.get(rule, "") for rule in rules.HELD} | {
        k: does for k, (does, _) in NOT_HELD.items()
    }
    assert [rule for rule, sentence in sentences.items() if not sentence.endswith(".")] == []
    assert [rule for rule, (_, why) in NOT_HELD.items() if not why] == []


def test_all_rules_are_listed_held_or_not(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["emulator", "--rules"])
    assert main() == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed == listed()
    assert {line.split()[0] for line in printed[:-1]} == {*ids(), *rules.HELD}
    assert [line for line in printed[:-1] if not line.endswith("]")] == []
    assert printed[-1].startswith(f"held: {len(set(ids()) & rules.HELD.keys())} of {len(set(ids()))} rules")
