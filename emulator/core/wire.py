"""Between HTTP and handlers: decodes a request with botocore's own service models, runs it, encodes the answer."""

from __future__ import annotations

import copy
import functools
import io
import json
import os
import random
import re
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timezone
from typing import Any
from xml.sax.saxutils import escape

import boto3
import cbor2
from botocore import handlers
from botocore.awsrequest import AWSResponse, HeadersDict, prepare_request_dict
from botocore.client import BaseClient
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.endpoint import Endpoint
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError, ParamValidationError
from botocore.parsers import create_parser
from botocore.session import Session as BotocoreSession
from botocore.validate import ParamValidator
from moto import backend_index, backends
from moto.core import DEFAULT_ACCOUNT_ID, responses
from moto.core.base_backend import BackendDict
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.exceptions import HTTPException, ServiceException
from moto.core.exceptions import _RESTError as MotoError
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request as FullRequest
from moto.core.request import determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.serialize import SERIALIZERS, SerializationContext, get_serializer_class
from moto.core.utils import get_service_model

from emulator.core import carried, limits, partitions, rules, services, shortcuts, tags, unseen
from emulator.core.faults import PAGE, ConnectionCut, Faults, OthersAnswer
from emulator.core.request import Request
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
shortcuts.take()
warnings.filterwarnings("ignore", message=r".*does not match an error shape.*")  # AWS's common errors are in no model


class Emulator:
    """One emulated AWS: `handle` takes a request in any of AWS's protocols and gives the answer."""

    _still = False

    def __init__(self, clock: Clock | None = None) -> None:
        services.load()
        shortcuts.reset_moto()
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
        request = Request(method, url, headers, body)
        scope = _credential_scope(request.headers.get("Authorization", ""))
        service = SERVICES.get(scope[1], scope[1])
        if scope[0] not in _regions() or partitions.lacks(service, scope[0]):
            raise ConnectionCut(f"there is no {service} in {scope[0]}, and so no such host")
        moto = functools.partial(_moto, scope[0])
        with self._lock:
            try:
                operation, protocol, params = _decode(service, request)
            except LookupError:
                operation, protocol, params = request.method, "moto's own", {}
            call = Call(self.world, service, operation, params, scope[0], ACCOUNT, moto)
            answer: Answer = self._answer(call, protocol, request)
            return answer

    @contextmanager
    def still(self) -> Iterator[None]:
        """Many looks at one moment: what is due happens before the first of them, and then nothing until the last."""
        with self._lock:
            self.world.advance()
            self._still = True
            try:
                yield
            finally:
                del self._still

    @property
    def on_the_wire(self) -> bool:
        """Whether every call must come over the wire, since that is where faults strike."""
        return bool(self.faults.planned)

    def ask(self, service: str, operation: str, protocol: str, params: dict[str, Any], region: str) -> Any:
        """Answer one call that came over no wire: with what its handlers say, an AwsError also, which is not raised."""
        with self._lock:
            call = Call(self.world, service, operation, params, region, ACCOUNT, functools.partial(_moto, region))
            return self._answer(call, protocol, None)

    def _answer(self, call: Call, protocol: str, request: Request | None) -> Any:
        outcome, decoded = "", protocol != "moto's own"
        encode_error = functools.partial(_encode_error, call.service, call.operation, protocol)
        try:
            partitions.enter(call)
            if not self._still:
                self.world.advance()
            self.faults.before(call)
            for guard in rules.GUARDS:
                guard(call, request)
            try:
                result = self._run(call) if decoded else {}
                passed = None if decoded or not request else _undecoded(call, request)
            finally:
                if not call.reads:
                    self.world.changed()
            self.faults.after(call)
            return result if request is None else passed or _encode(call.service, call.operation, protocol, result)
        except AwsError as error:
            outcome = error.code
            return error if request is None else encode_error(error)
        except ConnectionCut:
            outcome = "cut"
            raise
        except OthersAnswer:
            outcome = "page"
            return 200, {"Content-Type": "text/html"}, PAGE
        except Exception as error:  # noqa: BLE001 - a fault of the emulator's own: told to the caller, and shown
            traceback.print_exc()
            outcome = "InternalFailure"
            return encode_error(AwsError("InternalFailure", repr(error), 500))
        finally:
            self.calls.append((call.service, call.operation, outcome))

    def _run(self, call: Call) -> dict[str, Any]:
        call._next = [*rules.HANDLERS[call.service, call.operation], _ask_moto]
        if not call.reads:
            tags.check(call)
            limits.check(call)
        try:
            return unseen.pass_on(call)
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
        told, _told.answer = getattr(_told, "answer", None), None
        try:
            answer = told or emulator.handle(request.method, request.url, request.headers, body)
            status, headers, content = answer
        except ConnectionCut as error:
            raise ConnectionClosedError(endpoint_url=request.url) from error
        return AWSResponse(request.url, status, HTTPHeaders.from_dict(headers), _Raw(content))

    def shorten(class_attributes: dict[str, Any], **_: Any) -> None:
        class_attributes["_make_api_call"] = lambda client, *call: _call(client, emulator, *call)

    def detach() -> None:
        session.events.unregister("before-send.*.*", send, unique_id="emulator")
        session.events.unregister("creating-client-class", shorten, unique_id="emulator's short way")

    session.events.register_first("before-send.*.*", send, unique_id="emulator")
    session.events.register("creating-client-class", shorten, unique_id="emulator's short way")
    return detach


# --- calls within this process: they need not become XML or JSON and be parsed again

#: the answer that the next request over the wire is given: it was made before anyone knew that it must go there
_told = threading.local()
_VALIDATOR = ParamValidator()
_client: Any = BaseClient
_LONG_WAY = _client._make_api_call


@dataclass
class _Way:
    """How the calls of one operation of one client get to their handlers and back."""

    model: Any
    service: str
    protocol: str
    region: str
    take: carried.Carry
    give: carried.Carry

    @property
    def event(self) -> str:
        return f"{self.model.service_model.service_id.hyphenize()}.{self.model.name}"


#: errors after which botocore never tries again
FINAL = re.compile(
    "NotFound|NoSuch|NotExist|Exists|Duplicate|InUse|DependencyViolation|DeleteConflict|Validation|InvalidParameter"
)


@dataclass
class _Told:
    """What botocore's handlers look at in an answer that came over no wire."""

    status_code: int = 200
    headers: Any = field(default_factory=dict)
    raw: Any = None
    content: bytes = b""


def _call(client: Any, emulator: Emulator, operation: str, given: dict[str, Any]) -> Any:
    """One call of a client, with all that botocore does before and after it. The long way is botocore's own, over the
    wire: for what is not carried, for errors, which botocore may want to repeat, and for what it refuses itself."""
    long_way = functools.partial(_LONG_WAY, client, operation, given)
    way = None if emulator.on_the_wire else _way(client, operation)
    if way is None:
        return long_way()
    context = {"client_region": client.meta.region_name, "client_config": client.meta.config}
    params = client._emit_api_params(dict(given), way.model, context)
    if way.model.input_shape and _VALIDATOR.validate(params, way.model.input_shape).has_errors():
        return long_way()
    _, stand_in = client.meta.events.emit_until_response(
        f"before-call.{way.event}", model=way.model, params={"headers": {}}, context=context, request_signer=None
    )
    if stand_in is not None:
        return long_way()
    try:
        carried_params = way.take(params)
    except carried.NotCarried:
        return long_way()
    result = emulator.ask(way.service, operation, way.protocol, carried_params, way.region)
    if isinstance(result, dict):
        try:
            return _given(client, way.model, context, way.give(result))
        except carried.NotCarried:
            result = _encode(way.service, operation, way.protocol, result)
    if isinstance(result, AwsError):
        if FINAL.search(result.code) and result.status < 500:
            http, parsed = _refused(way, result)
            if not _is_repeated(client, way, context, http, parsed):
                client.meta.events.emit(
                    f"after-call.{way.event}", http_response=http, parsed=parsed, model=way.model, context=context
                )
                raise client.exceptions.from_code(parsed["Error"]["Code"])(parsed, operation)
        result = _encode_error(way.service, operation, way.protocol, result)
    _told.answer = result
    return long_way()


def _given(client: Any, model: Any, context: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """An answer as the caller gets it."""
    status = int(model.http.get("responseCode", 200))
    values["ResponseMetadata"] = {
        "RequestId": _request_id(),
        "HTTPStatusCode": status,
        "HTTPHeaders": {},
        "RetryAttempts": 0,
    }
    event = f"after-call.{model.service_model.service_id.hyphenize()}.{model.name}"
    client.meta.events.emit(event, http_response=_Told(), parsed=values, model=model, context=context)
    return values


def _refused(way: _Way, error: AwsError) -> Any:
    """An error as the caller gets it, read once for all of its kind from what would go over the wire."""
    fields = tuple(sorted((name, repr(value)) for name, value in vars(error).items()))
    kind = way.service, way.model.name, way.protocol, fields
    if kind not in _read_errors:
        _read_errors[kind] = _read(way.model, _encode_error(way.service, way.model.name, way.protocol, error))
    http, parsed = copy.deepcopy(_read_errors[kind])
    parsed["ResponseMetadata"].update(RequestId=_request_id(), RetryAttempts=0)
    return http, parsed


def _is_repeated(client: Any, way: _Way, context: dict[str, Any], http: Any, parsed: Any) -> bool:
    """Whether a handler of this client wants to make the call again."""
    answers = client.meta.events.emit(
        f"needs-retry.{way.event}",
        response=(http, parsed),
        endpoint=client._endpoint,
        operation=way.model,
        attempts=1,
        caught_exception=None,
        request_dict={"context": context},
    )
    return any(answer is not None for _, answer in answers)


_read_errors: dict[Any, tuple[_Told, dict[str, Any]]] = {}


def _told_headers(headers: Any) -> dict[str, str]:
    """Without moto's date, which is this machine's: what time it is at AWS the server says."""
    return {name: str(value) for name, value in headers.items() if name.lower() != "date"}


def _read(model: Any, answer: tuple[int, Any, Any]) -> tuple[_Told, dict[str, Any]]:
    """What botocore reads in an answer."""
    status, headers, content = answer
    told = _Told(status, HeadersDict(_told_headers(headers)))
    body = content.encode() if isinstance(content, str) else content or b""
    response = {"headers": told.headers, "status_code": status, "body": body, "context": {}}
    response["context"]["operation_name"] = model.name
    parser = _parser(model.service_model.resolved_protocol)
    parsed = parser.parse(response, model.output_shape)
    if status >= 300:
        _add_error_fields(None, response, parsed, model, parser)
    return told, parsed


_parser: Any = functools.cache(create_parser)
_endpoint: Any = Endpoint
_add_error_fields = _endpoint._add_modeled_error_fields


def _way(client: Any, operation: str) -> _Way | None:
    ways = client.__dict__.setdefault("_ways", {})
    if operation not in ways:
        try:
            ways[operation] = _find_way(client, operation)
        except (carried.NotCarried, BotoCoreError):
            ways[operation] = None
    return ways[operation]  # type: ignore[no-any-return]


def _find_way(client: Any, operation: str) -> _Way | None:
    """The short way, where the client can sign and has a host to talk to, and its protocol is carried."""
    model = client.meta.service_model.operation_model(operation)
    service, signer = client.meta.service_model.service_name, client._request_signer
    protocol = carried.PROTOCOLS.get(model.service_model.resolved_protocol)
    if service == "s3" or not protocol or type(signer._credentials) is not Credentials:
        return None
    context: dict[str, Any] = {"client_config": client.meta.config, "client_region": client.meta.region_name}
    client._resolve_endpoint_ruleset(model, {}, context)
    scope = context.get("signing", {})
    region, name = scope.get("region") or signer.region_name, scope.get("signing_name") or signer.signing_name
    if (
        region not in _regions()
        or partitions.lacks(service, region)
        or SERVICES.get(name, name) != service
        or model.resolved_auth_type == "none"
    ):
        return None
    take, give = carried.request(service, operation, protocol), carried.answer(service, operation, protocol)
    return _Way(model, service, protocol, region, take, give)


def _request_id() -> str:
    """A UUID for each answer. It is no secret, and to ask the kernel for one took a twentieth of a call's time."""
    digits = f"{random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


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
    operation_model, uri_params = _match(service, protocol, request)
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


def _match(service: str, protocol: str, request: Request) -> tuple[Any, dict[str, Any]]:
    """The operation that is asked for, and what the path says: most protocols have one path, and name the operation."""
    named = request.values.get("Action") or request.headers.get("X-Amz-Target", "").rpartition(".")[2]
    if request.path == "/" and protocol in ("ec2", "query", "json") and named in _operations(service):
        return get_service_model(service).operation_model(named), {}
    try:
        matched: tuple[Any, dict[str, Any]] = get_service_router(service).match(request)  # type: ignore[arg-type]
    except Exception as error:
        raise LookupError(service) from error
    return matched


@functools.cache
def _operations(service: str) -> frozenset[str]:
    return frozenset(get_service_model(service).operation_names)


@functools.cache
def _serializer(service: str, protocol: str) -> Any:
    """moto's, which need not search for the members of a dict."""
    kind: Any = get_serializer_class(service, protocol)

    def get_value(self: Any, value: Any, key: str, shape: Any) -> Any:
        return value.get(key) if type(value) is dict else kind.get_value(self, value, key, shape)

    return type(kind.__name__, (kind,), {"get_value": get_value})


def _encode(service: str, operation: str, protocol: str, result: dict[str, Any]) -> Answer:
    result = {name: value for name, value in (result or {}).items() if name != "ResponseMetadata"}
    if protocol == "cbor":
        return 200, _cbor_headers(), cbor2.dumps(result, timezone=timezone.utc, datetime_as_timestamp=True)
    model = get_service_model(service)
    serializer = _serializer(service, protocol)
    answer = serializer(model.operation_model(operation), SerializationContext(_request_id())).serialize(result)
    return _answer(answer)


def _encode_error(service: str, operation: str, protocol: str, error: AwsError) -> Answer:
    if protocol == "cbor":
        return error.status, _cbor_error_headers(error), cbor2.dumps({"__type": error.code, "message": error.message})
    if protocol == "moto's own":
        return _undecoded_error(service, error)
    model = get_service_model(service)
    serializer = _serializer(service, protocol)
    answer = serializer(model.operation_model(operation), SerializationContext(_request_id())).serialize(error)
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
    return {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor", "x-amzn-RequestId": _request_id()}


def _answer(answer: Any) -> Answer:
    body = answer["body"]
    headers = {name: str(value) for name, value in answer["headers"].items()}
    if headers.get("Content-Type") == "text":  # the serializer's word for JSON of a service that speaks CBOR too
        headers["Content-Type"] = "application/x-amz-json-1.1"
    headers.setdefault("x-amzn-RequestId", _request_id())
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
    headers: Any = request.headers
    respond = _responder(url.partition("?")[0])
    if respond is None:
        raise AwsError(
            "NotImplemented", f"the emulator does not imitate {service} {request.method} {request.path}", 501
        )
    asked = FullRequest.from_primitives(request.method, url, headers, request.data)
    try:
        answer = respond(asked, asked.raw_url, asked.headers)
    except HTTPException as error:
        answer = error.code, dict(error.get_headers()), error.get_body()
    status, headers, body = answer
    return int(status), _told_headers(headers), body.encode() if isinstance(body, str) else body


def _ask_moto(call: Call) -> dict[str, Any]:
    """The end of every chain: the same call, made with boto3 on bare moto."""
    try:
        answer: dict[str, Any] = call.moto(call.service)._make_api_call(call.operation, call.params)
    except NotImplementedError as error:
        raise _not_imitated(call) from error
    return answer


def _not_imitated(call: Call) -> AwsError:
    return AwsError("NotImplemented", f"the emulator does not imitate {call.service} {call.operation}", 501)


@functools.cache
def _moto(region: str, service: str) -> Any:
    """A boto3 client of bare moto, in this process."""
    retries = {"mode": "legacy", "total_max_attempts": 1}
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
    session.events.register("creating-client-class", _shorten)
    return session


def _shorten(class_attributes: dict[str, Any], **_: Any) -> None:
    class_attributes["_make_api_call"] = _call_moto


def _call_moto(client: Any, operation: str, given: dict[str, Any]) -> Any:
    """One call of moto: its class for the operation is given the request that botocore writes, without botocore's
    search for an endpoint, its signature and its retries; and what it answers is carried back where it can be."""
    ways = client.__dict__.setdefault("_ways_to_moto", {})
    if operation not in ways:
        ways[operation] = _way_to_moto(client, operation)
    way: _WayToMoto = ways[operation]
    if not way.is_short:
        return _LONG_WAY(client, operation, given)
    context: dict[str, Any] = {"client_config": client.meta.config, "client_region": client.meta.region_name}
    params = dict(given)
    for handler in way.before:
        handler(params=params, model=way.model, context=context)
    asked = client._serializer.serialize_to_request(params, way.model)
    if asked["url_path"] != "/" or asked["query_string"]:
        prepare_request_dict(asked, endpoint_url=way.url, context=context)
    respond = _responder(asked.setdefault("url", way.url).partition("?")[0])
    if respond is None:
        return _LONG_WAY(client, operation, given)
    parse = functools.partial(_carried, way.service, operation, way.protocol, params)
    answer = _answer_of_moto(respond, asked, way.signed, parse)
    if isinstance(answer[2], _Values):
        return _given(client, way.model, context, answer[2].values)
    return _parsed(client, way.model, context, answer)


@dataclass
class _WayToMoto:
    """What is the same for all calls of one operation by one client of moto."""

    model: Any
    service: str
    protocol: str
    is_short: bool
    before: list[Callable[..., Any]] = field(default_factory=list)
    url: str = ""
    signed: str = ""


def _way_to_moto(client: Any, operation: str) -> _WayToMoto:
    model = client.meta.service_model.operation_model(operation)
    service, protocol = client.meta.service_model.service_name, model.service_model.resolved_protocol
    if service == "s3" or protocol not in ("ec2", "query", "json", "rest-json", "rest-xml"):
        return _WayToMoto(model, service, protocol, False)
    events, name = client.meta.events, f"{model.service_model.service_id.hyphenize()}.{operation}"
    before = [
        handler
        for event in ("provide-client-params", "before-parameter-build")
        for handler in events._emitter._handlers.prefix_search(events._alias_event_name(f"{event}.{name}"))
    ]
    return _WayToMoto(model, service, protocol, True, before, *_address(client, model))


def _carried(service: str, operation: str, protocol: str, params: dict[str, Any]) -> Any:
    return carried.request(service, operation, protocol)(params)


def _address(client: Any, model: Any) -> tuple[str, str]:
    """Where a client of moto sends its requests, and what it signs them with."""
    if "_address" not in client.__dict__:
        context: dict[str, Any] = {"client_config": client.meta.config, "client_region": client.meta.region_name}
        url = client._resolve_endpoint_ruleset(model, {}, context)[0]
        url = url.replace(".us-gov.", ".us-gov-west-1.").rstrip("/") + "/"  # by its Region moto knows the partition
        scope, signer = context.get("signing", {}), client._request_signer
        region = scope.get("region") or signer.region_name
        name = scope.get("signing_name") or signer.signing_name
        credential = f"AKIAEMULATOREMULATOR/20260101/{region}/{name}/aws4_request"
        signed = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"
        client.__dict__["_address"] = url, signed
    return client.__dict__["_address"]  # type: ignore[no-any-return]


@functools.lru_cache(10_000)
def _responder(url: str) -> Callable[..., Any] | None:
    """What moto calls for a URL, as its stubber finds it."""
    for service, pattern in backend_index.backend_url_patterns:
        if pattern.match(url):
            found: Any = backends.get_backend(service)  # type: ignore[call-overload, unused-ignore]
            if isinstance(found, BackendDict):
                regions = found[DEFAULT_ACCOUNT_ID]
                backend: Any = regions["us-east-1" if "us-east-1" in regions else "aws"]
            else:
                backend = found["global"]
            for each, respond in backend.urls.items():
                if re.match(each, url):
                    return respond  # type: ignore[no-any-return]
    return None


def _answer_of_moto(
    respond: Callable[..., Any], asked: dict[str, Any], signed: str, parse: Any
) -> tuple[int, Any, Any]:
    request = Request(asked["method"], asked["url"], {**asked["headers"], "Authorization": signed}, asked["body"])
    request.parse = parse
    _direct.append(True)
    try:
        status, told, content = respond(request, request.raw_url, request.headers)
    except HTTPException as error:
        status, told, content = error.code, dict(error.get_headers()), error.get_body()
    finally:
        _direct.pop()
    return int(status or 500), told, content


def _parsed(client: Any, model: Any, context: dict[str, Any], answer: tuple[int, Any, Any]) -> Any:
    """An answer that moto has written itself, and errors: read as botocore reads them."""
    http, parsed = _read(model, answer)
    event = f"after-call.{model.service_model.service_id.hyphenize()}.{model.name}"
    client.meta.events.emit(event, http_response=http, parsed=parsed, model=model, context=context)
    if http.status_code >= 300:
        raise client.exceptions.from_code(parsed.get("Error", {}).get("Code"))(parsed, model.name)
    return parsed


class _Values:
    """In the place of a body: what would be read in it."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values


#: not empty while moto is asked for values and not for a body
_direct: list[bool] = []
_execute = responses.ActionResult.execute_result


def _execute_directly(self: Any, context: Any) -> Any:
    protocol = _PROTOCOL_OF.get(context.serializer_class, "")
    if not _direct or isinstance(self.result, Exception) or protocol not in (*carried.XML, *carried.JSON):
        return _execute(self, context)
    transforms = getattr(context.response, "RESPONSE_KEY_PATH_TO_TRANSFORMER", None) or {}
    try:
        give = carried.answer(context.service_model.service_name, context.operation_model.name, protocol, transforms)
        return 200, {}, _Values(give(self.result))
    except carried.NotCarried:
        return _execute(self, context)


_PROTOCOL_OF = {kind: protocol for protocol, kind in SERIALIZERS.items()}
_moto_results: Any = responses.ActionResult
_moto_results.execute_result = _execute_directly


def _to_moto(event_name: str, request: Any, **_: Any) -> Any:
    """moto's answer; a service that it does not have must not be looked for on the real AWS."""
    answer = STUBBER(event_name, request)
    if answer is None:
        raise NotImplementedError(request.url)
    return answer
