"""The little that every script needs beside boto3: pages, clients, whose a resource is, one look, one way to call and to wait.

A page is a function with `@aws.page(...)`, which says what it is about, and a last line that runs it as a command:
settings are checked first, an AWS error becomes one or two lines, and the exit code says which of a few ends it was.
"""

from aws import interrupts

# isort: split
from aws.calls import NOTHING, UNTAGGED, at_best, call, holds, listed, pause, wait
from aws.clients import account, arn, caller, changes, client, courtesy, dns_suffix, partition, region, session
from aws.clock import now, this_hour, this_minute
from aws.failures import (
    DONE,
    FAILED,
    FAILURES,
    NOT_READY,
    TASK_FAILED,
    WRONG_SETTING,
    Failure,
    Problem,
    code,
    explain,
    message,
    refused,
)
from aws.looks import (
    beside,
    every,
    forget,
    forget_all,
    from_one_look,
    look,
    look_at,
    shared_look,
    side_by_side,
    steady_look,
    together,
)
from aws.ownership import (
    Resource,
    endpoint_name,
    endpoint_tags,
    mine,
    name,
    only,
    ours,
    part,
    refuse_change,
    refuse_foreign,
    resource,
    spare_foreign,
    tag_filters,
    tag_specification,
    tags,
    tags_of,
    token,
)
from aws.pages import REPEATED, REST, command, main, page
