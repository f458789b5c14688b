"""Faults on request: throttle, refuse, let the credentials expire, or cut the connection, at a call of one's choice.

    curl -X POST $AWS_ENDPOINT_URL/_emulator/faults -d '{"operation": "RunTask", "error": "throttle", "times": 2}'

`when` is "before" (AWS never saw the call) or "after" (it took effect, the answer is lost). `error` is a code as it goes
over the wire, or one of "throttle", "denied", "expired", "invalid", "unavailable", which each service words in its way,
or "cut" for a connection that ends without an answer, or "page" for the answer of somebody in between, such as a proxy's
sign-in page, with HTTP 200.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from emulator.core import partitions, rules
from emulator.core.implied import implied
from emulator.core.rules import AwsError, Call

rules.SENTENCES.update(
    {
        "sdk-001": "A throttle can be asked for more often than the two retries of boto3 get over.",
        "sdk-002": "A throttle on request has the code that the service itself uses, so that boto3 knows it as one.",
        "sdk-005": "A token that was used before answers the thing that it made, so that only a repeated token is safe.",
    }
)
rules.SENTENCES["sdk-006"] = "A proxy's page, with HTTP 200, comes in place of an answer as a fault on request."
rules.held("sdk-001 sdk-002 sdk-006", "faults.py")


class ConnectionCut(Exception):
    """The connection ends here: the client sees neither an answer nor an error."""


class OthersAnswer(Exception):
    """It is not AWS that answers: the page of somebody in between is what the client sees."""


PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Sign in to use this network.</body></html>"


@dataclass
class Fault:
    operation: str = (
        "*"  # RunTask, ecs:RunTask, ecs:*, or * for any; with denied also what a call implies: iam:PassRole
    )
    error: str = (
        "cut"  # an error code of AWS's, or one of the words cut, throttle, expired, invalid, denied, unavailable, page
    )
    message: str = ""
    when: str = "before"  # "before" the call takes effect, or "after"
    skip: int = 0  # so many matching calls pass first
    times: int = 1  # so many matching calls fail then; negative: all of them
    status: int = 0  # HTTP status; 0: the usual one


Wording = tuple[str, int, str]

#: protocol, or "service operation" family -> code, HTTP status and message, for each word
THROTTLE: dict[str, Wording] = {
    "ec2": ("RequestLimitExceeded", 503, "Request limit exceeded."),
    "s3": ("SlowDown", 503, "Please reduce your request rate."),
    "efs": ("ThrottlingException", 429, "Rate exceeded"),
    "cloudwatch": ("Throttling", 400, "Rate exceeded"),
    "service-quotas": ("TooManyRequestsException", 400, "Rate exceeded"),
    "resourcegroupstaggingapi": ("ThrottledException", 400, "Rate exceeded"),
    "codeconnections": ("ThrottlingException", 400, "Rate exceeded"),
    "xml": ("Throttling", 400, "Rate exceeded"),
    "rest-json": ("ThrottlingException", 429, "Rate exceeded"),
    "json": ("ThrottlingException", 400, "Rate exceeded"),
}
EXPIRED: dict[str, Wording] = {
    "ec2": ("RequestExpired", 400, "Request has expired."),
    "s3": ("ExpiredToken", 400, "The provided token has expired."),
    "xml": ("ExpiredToken", 403, "The security token included in the request is expired"),
    "rest-json": ("ExpiredTokenException", 403, "The security token included in the request is expired"),
    "json": ("ExpiredTokenException", 400, "The security token included in the request is expired"),
}
INVALID: dict[str, Wording] = {
    "ec2": ("AuthFailure", 401, "AWS was not able to validate the provided access credentials"),
    "s3": ("InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist in our records."),
    "xml": ("InvalidClientTokenId", 403, "The security token included in the request is invalid."),
    "rest-json": ("UnrecognizedClientException", 403, "The security token included in the request is invalid."),
    "json": ("UnrecognizedClientException", 400, "The security token included in the request is invalid."),
}
UNAVAILABLE: dict[str, Wording] = {
    "ec2": ("Unavailable", 503, "The service is unavailable. Please try again shortly."),
    "ecs": ("ServerException", 500, "Service Unavailable. Please try again later."),
    "json": ("ServiceUnavailableException", 503, "Service is unavailable"),
    "xml": ("ServiceUnavailable", 503, "Service is unavailable"),
}
DENIED: dict[str, Wording] = {
    "ec2": ("UnauthorizedOperation", 403, "You are not authorized to perform this operation. "),
    "xml": ("AccessDenied", 403, ""),
    "rest-json": ("AccessDeniedException", 403, ""),
    "json": ("AccessDeniedException", 400, ""),
}
WORDS = {
    "throttle": THROTTLE,
    "denied": DENIED,
    "expired": EXPIRED,
    "invalid": INVALID,
    "unavailable": UNAVAILABLE,
}
#: HTTP status of codes that may be asked for by name, where it is not 400
STATUSES = {code: status for words in WORDS.values() for code, status, _ in words.values() if status != 400} | {
    "InternalFailure": 500,
    "InternalError": 500,
    "InternalServerError": 500,
    "PriorRequestNotComplete": 429,
}
XML = ("autoscaling", "elb", "elbv2", "iam", "sts", "cloudformation", "sns", "rds", "route53", "s3")
REST_JSON = ("efs", "lambda", "eks", "batch", "backup", "scheduler", "apigateway")
#: boto3's service name -> the prefix of its actions in policies, where the two differ
ACTION_PREFIXES = {
    "elbv2": "elasticloadbalancing",
    "efs": "elasticfilesystem",
    "service-quotas": "servicequotas",
    "resourcegroupstaggingapi": "tag",
}
#: parameter -> how the ARN of what it names ends
RESOURCES = {
    "cluster": "ecs:{region}:{account}:cluster/{value}",
    "clusterName": "ecs:{region}:{account}:cluster/{value}",
    "RoleName": "iam::{account}:role/{value}",
    "InstanceProfileName": "iam::{account}:instance-profile/{value}",
    "PolicyName": "iam::{account}:policy/{value}",
    "FileSystemId": "elasticfilesystem:{region}:{account}:file-system/{value}",
    "logGroupName": "logs:{region}:{account}:log-group:{value}",
    "repositoryName": "ecr:{region}:{account}:repository/{value}",
    "VpcId": "ec2:{region}:{account}:vpc/{value}",
    "SubnetId": "ec2:{region}:{account}:subnet/{value}",
    "AutoScalingGroupName": "autoscaling:{region}:{account}:autoScalingGroup:*:autoScalingGroupName/{value}",
}


def worded(call: Call, word: str, action: str = "") -> Wording:
    """Code, HTTP status and message with which the service of the call says "throttle", "denied" and so on. `action` is
    what is denied, if it is not the call's own."""
    table = WORDS[word]
    family = "xml" if call.service in XML else "rest-json" if call.service in REST_JSON else "json"
    code, status, message = table.get(call.service) or table.get(family) or table["json"]
    return code, status, message + _not_authorized(call, action) if word == "denied" else message


def _not_authorized(call: Call, implied: str) -> str:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html"""
    service, _, operation = (implied or f"{call.service}:{call.operation}").partition(":")
    action = f"{ACTION_PREFIXES.get(service, service)}:{operation}"
    return (
        f"User: arn:{partitions.here()}:iam::{call.account}:user/emulator is not authorized to perform: {action} "
        f"on resource: {_resource(call)} because no identity-based policy allows the {action} action"
    )


def _resource(call: Call) -> str:
    """The ARN that a refusal names: one that the call itself names, or one made of the name in it."""
    values: list[Any] = list(call.params.values())
    for value in values:
        if isinstance(value, str) and value.startswith("arn:"):
            return value
    for key, pattern in RESOURCES.items():
        if isinstance(call.params.get(key), str):
            return f"arn:{partitions.here()}:" + pattern.format(
                region=call.region, account=call.account, value=call.params[key]
            )
    return "*"


@dataclass
class Faults:
    planned: list[Fault] = field(default_factory=list)

    def before(self, call: Call) -> None:
        self._strike("before", call)

    def after(self, call: Call) -> None:
        self._strike("after", call)

    def _strike(self, when: str, call: Call) -> None:
        names = ("*", call.operation, f"{call.service}:{call.operation}", f"{call.service}:*")
        for fault in self.planned:
            if fault.when != when or not (fault.operation in names or _denies_implied(call, fault)):
                continue
            if fault.skip > 0:
                fault.skip -= 1
            elif fault.times != 0:
                fault.times -= 1
                raise _exception(call, fault)


def _denies_implied(call: Call, fault: Fault) -> bool:
    """Does a fault deny an action that the call needs besides its own?"""
    return fault.error == "denied" and fault.operation in implied(call)


def _exception(call: Call, fault: Fault) -> Exception:
    if fault.error == "cut":
        return ConnectionCut(f"{call.service}:{call.operation}")
    if fault.error == "page":
        return OthersAnswer(f"{call.service}:{call.operation}")
    if fault.error in WORDS:
        action = fault.operation if fault.error == "denied" and fault.operation in implied(call) else ""
        code, status, message = worded(call, fault.error, action)
    else:
        code, status = fault.error, STATUSES.get(fault.error, 400)
        message = "a fault on request"
    return AwsError(code, fault.message or message, fault.status or status)
