"""Who calls."""

from __future__ import annotations

from tests.emulator.common import Client


def test_the_caller_is_a_user_of_the_account(client: Client) -> None:
    told = client("sts").get_caller_identity()
    assert told["Account"] == "123456789012" and told["Arn"] == "arn:aws:iam::123456789012:user/emulator"
