"""What time it is at AWS: this machine's clock, put right by what the last answer says.

Durations are told, and deadlines set, by the clock that AWS's own times are of; it refuses one that is over by it.
The two differ by five minutes at the most, since AWS refuses what was signed so; an emulated AWS may run much faster.
https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
"""

import time
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.hooks import BaseEventHooks

#: seconds that an answer may be on its way, and so tell too little
TOLERATED = 30
#: by how many AWS is ahead
_ahead = [0.0]


def begin() -> None:
    """Nothing has been answered yet."""
    _ahead[0] = 0.0


def attach(events: BaseEventHooks) -> None:
    events.register("after-call.*.*", _note)


def now() -> datetime:
    """In UTC."""
    return datetime.fromtimestamp(time.time() + _ahead[0], timezone.utc)


def this_minute() -> datetime:
    """When it began."""
    return now().replace(second=0, microsecond=0)


def this_hour() -> str:
    """For the token of what may be made again later under the same name, since AWS remembers a token for a day."""
    return f"{now():%Y-%m-%dT%H}"


def _note(http_response: Any, **_: Any) -> None:
    try:
        told = parsedate_to_datetime(http_response.headers["Date"])
    except (KeyError, TypeError, ValueError):  # it tells none, or not AWS has answered
        return
    ahead = told.replace(tzinfo=told.tzinfo or timezone.utc).timestamp() - time.time()
    _ahead[0] = ahead if abs(ahead) > TOLERATED else 0.0
