"""Between HTTP and handlers: decodes a request with botocore's own service models, runs it, encodes the answer."""

from __future__ import annotations

import functools
import io
import json
import os
import re
import threading
import traceback
import uuid
import warnings
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any
from xml.sax.saxutils import escape

import boto3
import cbor2
from botocore import handlers
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ParamValidationError
from botocore.session import Session as BotocoreSession
from moto.core import responses
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.exceptions import ServiceException
from moto.core.exceptions import _RESTError as MotoError
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.serialize import SerializationContext, get_serializer_class
from moto.core.utils import get_service_model

from emulator.core import rules, services
from emulator.core.faults import ConnectionCut, Faults
from emulator.core.rules import AwsError, Call
from emulator.core.world import ACCOUNT, Clock, World

Answer = tuple[int, dict[str, str], bytes]

#: signing name in the credential scope -> botocore's service name, where the two differ
SERVICES = {
    "elasticloadbalancing": "elbv2",
    "elasticfilesystem": "efs",
    "monitoring": "cloudwatch",
    "tagging": "resourcegroupstaggingapi",
    "servicequotas": "service-quotas",
}
CBOR_PATH = re.compile(r"/service/[^/]+/operation/(\w+)")
STUBBER = BotocoreStubber()
STUBBER.enabled = True
#: moto looks through the methods of a service at every call
responses.method_names_from_class = functools.cache(responses.method_names_from_class)
warnings.filterwarnings("ignore", message=r".*does not match an error shape.*")  # AWS's common errors are in no model


class Emulator:
    """One emulated AWS: `handle` takes a request in any of AWS's protocols and gives the answer."""

    def __init__(self, clock: Clock | None = None) -> None:
        services.load()
        services.reset_moto()
        self.world = World(clock)
        self.faults = Faults()
        self.calls: list[tuple[str, str, str]] = []  # service, operation, and "" or the error code
        #: set while it is served: the proxy through which load balancers are reached, and the PEM file to trust there
        self.front_door_url = ""
        self.certificate_authority = ""
        self._lock = threading.RLock()
        for start in services.starters():
            start(self.world)

    def handle(self, method: str, url: str, headers: Any, body: bytes) -> Answer:
        """Answer one HTTP request. An error of ours is told as an InternalFailure, never as a dropped connection."""
        request = Request.from_primitives(method, url, headers, body)
        scope = _credential_scope(request.headers.get("Authorization", ""))
        service = SERVICES.get(scope[1], scope[1])
        if scope[0] not in _regions():
            raise ConnectionCut(f"there is no region {scope[0]}, and so no such host")
        moto = functools.partial(_moto, scope[0])
        with self._lock:
            try:
                operation, protocol, params = _decode(service, request)
            except LookupError:
                operation, protocol, params = request.method, "moto's own", {}
            call = Call(self.world, service, operation, params, scope[0], ACCOUNT, moto)
            return self._answer(call, protocol, request)

    def _answer(self, call: Call, protocol: str, request: Request) -> Answer:
        outcome, decoded = "", protocol != "moto's own"
        encode_error = functools.partial(_encode_error, call.service, call.operation, protocol)
        try:
            self.world.advance()
            self.faults.before(call)
            result = self._run(call) if decoded else {}
            passed = None if decoded else _undecoded(call, request)
            self.faults.after(call)
            return passed or _encode(call.service, call.operation, protocol, result)
        except AwsError as error:
            outcome = error.code
            return encode_error(error)
        except ConnectionCut:
            outcome = "cut"
            raise
        except Exception as error:  # noqa: BLE001 - a fault of the emulator's own: told to the caller, and shown
            traceback.print_exc()
            outcome = "InternalFailure"
            return encode_error(AwsError("InternalFailure", repr(error), 500))
        finally:
            self.calls.append((call.service, call.operation, outcome))

    def _run(self, call: Call) -> dict[str, Any]:
        call._next = [*rules.HANDLERS[call.service, call.operation], _ask_moto]
        try:
            return call.proceed()
        except ClientError as error:  # from moto, through call.moto(...)
            told = error.response["Error"]
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
            extra = {k: v for k, v in error.response.items() if k not in ("Error", "ResponseMetadata", "message")}
            if told["Code"] == "404" and told.get("Message") == "Not yet implemented":
                raise _not_imitated(call) from error
            raise AwsError(told["Code"], told.get("Message", ""), status, **extra) from error
        except MotoError as error:  # from one of moto's backends, used directly
            raise AwsError(error.error_type, error.message, int(error.code or 400)) from error
        except ServiceException as error:
            raise AwsError(error.code, error.message) from error
        except ParamValidationError as error:  # moto would not even be asked: AWS refuses such a call too
            raise AwsError("ValidationException", str(error)) from error


def attach(session: boto3.Session, emulator: Emulator) -> Callable[[], None]:
    """Let every client that `session` makes from now on talk to `emulator`, without HTTP. Returns the way back."""

    def send(request: Any, **_: Any) -> Any:
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else body.read()
        try:
            status, headers, content = emulator.handle(request.method, request.url, request.headers, body)
        except ConnectionCut as error:
            raise ConnectionClosedError(endpoint_url=request.url) from error
        return AWSResponse(request.url, status, HTTPHeaders.from_dict(headers), _Raw(content))

    session.events.register_first("before-send.*.*", send, unique_id="emulator")
    return lambda: session.events.unregister("before-send.*.*", send, unique_id="emulator")


class _Raw(io.BytesIO):
    def stream(self, **_: Any) -> Any:
        yield self.read()


def _credential_scope(authorization: str) -> tuple[str, str]:
    """Region and signing name from `Credential=AKIA…/20261121/eu-west-1/ecs/aws4_request`."""
    match = re.search(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/aws4_request", authorization)
    return (match[1], match[2]) if match else ("us-east-1", "s3")


def _decode(service: str, request: Request) -> tuple[str, str, dict[str, Any]]:
    """The operation, the protocol to answer in, and the parameters. LookupError: not decoded here, moto's own affair."""
    if service == "s3":
        raise LookupError(service)
    try:
        model = get_service_model(service)
    except Exception as error:
        raise LookupError(service) from error
    if cbor := CBOR_PATH.search(request.path):
        operation = cbor[1]
        return operation, "cbor", cbor2.loads(request.data) if request.data else {}
    protocol = determine_request_protocol(model, request.content_type)
    try:
        operation_model, uri_params = get_service_router(service).match(request)
    except Exception as error:
        raise LookupError(service) from error
    parser = PROTOCOL_PARSERS[protocol](operation_model)
    params = parser.parse(
        {
            "method": request.method,
            "values": request.values,
            "headers": request.headers,
            "body": request.data,
            "url_path": request.path,
            "url_params": uri_params,
        }
    )
    return operation_model.name, protocol, params or {}


def _encode(service: str, operation: str, protocol: str, result: dict[str, Any]) -> Answer:
    result = {name: value for name, value in (result or {}).items() if name != "ResponseMetadata"}
    if protocol == "cbor":
        return 200, _cbor_headers(), cbor2.dumps(result, timezone=timezone.utc, datetime_as_timestamp=True)
    model = get_service_model(service)
    serializer = get_serializer_class(service, protocol)
    answer = serializer(model.operation_model(operation), SerializationContext(str(uuid.uuid4()))).serialize(result)
    return _answer(answer)


def _encode_error(service: str, operation: str, protocol: str, error: AwsError) -> Answer:
    if protocol == "cbor":
        return error.status, _cbor_error_headers(error), cbor2.dumps({"__type": error.code, "message": error.message})
    if protocol == "moto's own":
        return _undecoded_error(service, error)
    model = get_service_model(service)
    serializer = get_serializer_class(service, protocol)
    answer = serializer(model.operation_model(operation), SerializationContext(str(uuid.uuid4()))).serialize(error)
    if error.status != 400:
        answer["status_code"] = error.status
    return _answer(answer)


def _cbor_error_headers(error: AwsError) -> dict[str, str]:
    """CloudWatch's errors bear the code that they had in its older protocol; elsewhere the header is not looked at."""
    return {**_cbor_headers(), "x-amzn-query-error": f"{error.code};{'Sender' if error.status < 500 else 'Receiver'}"}


def _undecoded_error(service: str, error: AwsError) -> Answer:
    """An error outside of every model: as S3 words it, or as JSON for a service that botocore does not know."""
    if service == "s3":
        told = f"<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>"
        return error.status, {"Content-Type": "application/xml"}, told.encode()
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": error.code}
    return error.status, headers, json.dumps({"__type": error.code, "message": error.message}).encode()


def _cbor_headers() -> dict[str, str]:
    return {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor", "x-amzn-RequestId": str(uuid.uuid4())}


def _answer(answer: Any) -> Answer:
    body = answer["body"]
    headers = {name: str(value) for name, value in answer["headers"].items()}
    if headers.get("Content-Type") == "text":  # the serializer's word for JSON of a service that speaks CBOR too
        headers["Content-Type"] = "application/x-amz-json-1.1"
    headers.setdefault("x-amzn-RequestId", str(uuid.uuid4()))
    headers["Date"] = datetime.now(timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
    return int(answer["status_code"]), headers, body.encode() if isinstance(body, str) else body


def _undecoded(call: Call, request: Request) -> Answer:
    """What is not decoded goes through handlers too: those of any operation, which get the request as it came."""

    def pass_on(inner: Call) -> dict[str, Any]:
        return {"answer": _pass_through(inner.service, inner.region, request)}

    chain = [*rules.HANDLERS[call.service, rules.ANY], pass_on]
    params = {"request": request}
    inner = Call(call.world, call.service, call.operation, params, call.region, call.account, call.moto, chain)
    answer: Answer = inner.proceed()["answer"]
    return answer


def _pass_through(service: str, region: str, request: Request) -> Answer:
    """What is not decoded here (S3's many shapes) goes to moto as it came."""
    url = f"https://{service}.{region}.amazonaws.com{request.raw_path}"
    if request.query_string:
        url += "?" + request.query_string.decode()
    passed = AWSPreparedRequest(request.method, url, request.headers, request.data, False)
    answer = STUBBER.process_request(passed)
    if answer is None:
        raise AwsError(
            "NotImplemented", f"the emulator does not imitate {service} {request.method} {request.path}", 501
        )
    status, headers, body = answer
    return int(status), {k: str(v) for k, v in headers.items()}, body.encode() if isinstance(body, str) else body


def _ask_moto(call: Call) -> dict[str, Any]:
    """The end of every chain: the same call, made with boto3 on bare moto."""
    client = call.moto(call.service)
    method = client.meta.method_to_api_mapping
    [name] = [python_name for python_name, operation in method.items() if operation == call.operation]
    try:
        answer: dict[str, Any] = getattr(client, name)(**call.params)
    except NotImplementedError as error:
        raise _not_imitated(call) from error
    return answer


def _not_imitated(call: Call) -> AwsError:
    return AwsError("NotImplemented", f"the emulator does not imitate {call.service} {call.operation}", 501)


@functools.cache
def _moto(region: str, service: str) -> Any:
    """A boto3 client of bare moto, in this process."""
    retries = {"mode": "standard", "total_max_attempts": 1}
    options: dict[str, Any] = {"retries": retries, "ignore_configured_endpoint_urls": True}
    make: Any = _moto_session().client
    return make(service, region_name=region, config=Config(**options))


@functools.cache
def _regions() -> frozenset[str]:
    """Every region that botocore knows: in any other one a client finds no host to talk to."""
    partitions = ("aws", "aws-cn", "aws-us-gov")
    return frozenset(r for p in partitions for r in _moto_session().get_available_regions("ec2", partition_name=p))


@functools.cache
def _moto_session() -> boto3.Session:
    os.environ.setdefault("MOTO_ACCOUNT_ID", ACCOUNT)
    core = BotocoreSession()
    core.set_credentials("AKIAEMULATOREMULATOR", "emulator", "emulator")
    core.set_config_variable("region", "us-east-1")
    session = boto3.Session(botocore_session=core)
    session.events.register_first("before-send.*.*", _to_moto, unique_id="moto")
    # what boto3 does to please its user would be done twice: once here, once in the user's own client
    session.events.unregister("after-call.iam", handlers.json_decode_policies)
    session.events.unregister("after-call.ec2.GetConsoleOutput", handlers.decode_console_output)
    session.events.unregister("before-parameter-build.ec2.RunInstances", handlers.base64_encode_user_data)
    return session


def _to_moto(event_name: str, request: Any, **_: Any) -> Any:
    """moto's answer; a service that it does not have must not be looked for on the real AWS."""
    answer = STUBBER(event_name, request)
    if answer is None:
        raise NotImplementedError(request.url)
    return answer
