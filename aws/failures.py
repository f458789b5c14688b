"""How a page ends that does not end well: what a person can put right, exit codes, and AWS's errors in one or two lines."""

import re
import threading
from typing import Any

import botocore.exceptions
from botocore.exceptions import BotoCoreError, ClientError

from aws import answers

#: AWS throttles the reads of a busy account; 3 attempts, boto3's own, are too few for that
ATTEMPTS = 10
#: boto3's own name of a service -> how its actions begin in a policy, where the two differ
ACTION_PREFIXES = {
    "efs": "elasticfilesystem",
    "elbv2": "elasticloadbalancing",
    "service-quotas": "servicequotas",
    "resourcegroupstaggingapi": "tag",
}
#: how a page ends; beside these 128 and the number of the signal that interrupted it
DONE, FAILED, WRONG_SETTING, NOT_READY, TASK_FAILED = range(5)
EXIT_CODES = (
    "exit: 0 done, 1 AWS said no or something failed, 2 a setting is wrong, 3 not ready in time,\n"
    "      4 the task ended with another code than 0, which the result tells; 129, 130 and 143 interrupted"
)
#: how services say that the credentials were good until a while ago
EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired")
#: of this thread: `operation`, its last call; and what it is looking at and waiting for
last = threading.local()  # the last call of this thread, for the sentence about its error


class Problem(Exception):
    """Something that the reader can put right, told in one sentence: what, where, what to do.

    `result` goes to stdout all the same: a task that failed has its exit code.
    """

    def __init__(self, sentence: str, result: dict[str, Any] | None = None, exit_code: int = FAILED) -> None:
        super().__init__(sentence)
        self.result, self.exit_code = result, exit_code


#: what ends a page: `explain` tells any of them
FAILURES = (Problem, BotoCoreError, ClientError)
Failure = Problem | BotoCoreError | ClientError


def of_call(error: Any) -> None:
    """Note at an error which call of this thread it is of: another one may come before it is told."""
    error.operation = getattr(error, "operation", "") or getattr(last, "operation", "")


def code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def message(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message", ""))


Codes = str | tuple[str, ...]


def is_any(error: ClientError, codes: tuple[str, ...]) -> bool:
    """Whether it is of one of these codes, or has one of these words in its text."""
    return any(text == code(error) or (" " in text and text in message(error)) for text in codes)


def as_tuple(codes: Codes) -> tuple[str, ...]:
    return (codes,) if isinstance(codes, str) else codes


def is_expired(error: BotoCoreError | ClientError) -> bool:
    return isinstance(error, ClientError) and code(error) in EXPIRED


def refused(error: Failure) -> bool:
    """Whether AWS has done nothing of what it was asked. After a failure of its own, or without an answer, it may have."""
    if isinstance(error, ClientError):
        return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)) < 500
    return isinstance(error, Problem)


def explain(error: Failure) -> str:
    """An AWS error in one or two lines: which call, on what, AWS's reason, and what to change."""
    if isinstance(error, Problem):
        return str(error)
    operation = str(getattr(error, "operation", "") or getattr(last, "operation", ""))
    if not isinstance(error, ClientError):
        return _explain_botocore(error, operation)
    operation = str(error.response.get("operation", operation))
    reason, text, about = code(error), message(error), getattr(error, "about", "")
    call = f"{operation} for {about}" if about else operation
    if is_expired(error):
        return f"the credentials have expired ({call}): sign in again, for example with aws sso login, and run it again"
    if reason in ("InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure", "SignatureDoesNotMatch"):
        return f"AWS does not accept these credentials ({reason} in {call}): look at aws sts get-caller-identity"
    if reason in ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation"):
        service, _, action = operation.partition(" ")
        lacking = re.search(r"not authorized to perform: ([\w-]+:\w+)", text)  # a call may need iam:PassRole besides
        own = "kms:Decrypt" if "Access to KMS" in text else f"{ACTION_PREFIXES.get(service, service)}:{action}"
        right = lacking[1] if lacking else own
        return f"access denied: your credentials may not {right}\n{text}"
    if "Throttl" in reason or reason in ("RequestLimitExceeded", "TooManyRequestsException", "SlowDown"):
        return f"AWS throttles {call} ({reason}), after {ATTEMPTS} attempts: run it again in some minutes"
    if "LimitExceeded" in reason or "QuotaExceeded" in reason or reason in ("AddressLimitExceeded", "VpcLimitExceeded"):
        return f"a quota of the account is used up ({reason} in {call}): {text}\nraise it in the Service Quotas console"
    if reason.isdigit():  # no code of AWS's, but the HTTP status of whatever stands between
        return f"{error.response.get('where')} does not answer {call} as AWS does: {text} ({reason})"
    return f"{call}: {text} ({reason})"


def _explain_botocore(error: BotoCoreError, operation: str) -> str:
    kinds = botocore.exceptions
    if isinstance(error, kinds.NoCredentialsError | kinds.PartialCredentialsError | kinds.CredentialRetrievalError):
        return f"no credentials: {error}. Set AWS_PROFILE, or sign in with aws configure or aws sso login"
    if isinstance(error, answers.NotAws):
        return str(error)
    if isinstance(error, kinds.NoRegionError):
        return "no region: set AWS_REGION, for example AWS_REGION=us-east-1"
    if isinstance(error, kinds.ProfileNotFound):
        return f"{error}: look at aws configure list-profiles"
    if isinstance(error, kinds.SSOError | kinds.TokenRetrievalError):
        return f"not signed in: {error}. Sign in with aws sso login"
    if isinstance(error, kinds.ConnectionError | kinds.HTTPClientError):
        return f"can't reach AWS: {error}. Look at the region, the network, and AWS_ENDPOINT_URL"
    return f"{operation}: {error}"
