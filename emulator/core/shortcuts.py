"""What moto does at length at each call, done shortly and with the same result: half of a call's time was that.

tests/emulator/test_shortcuts.py holds each of these against moto's own way.
"""

from __future__ import annotations

import functools
from typing import Any
from urllib.parse import urlparse

from moto.core import base_backend, model_instances, responses, serialize
from moto.core.base_backend import BackendDict, BaseBackend
from moto.core.errors import ErrorLookupFactory
from moto.core.responses import BaseResponse
from moto.iam.models import mark_account_as_visited
from moto.kms import models as kms_models
from moto.s3 import urls as s3_urls
from moto.s3.models import S3Backend
from moto.utilities.utils import get_partition

from emulator.core import xml
from emulator.core.carried import NotCarried
from emulator.core.request import Request

#: moto's own ways: tests compare them with those below
LONG_WAYS: dict[str, Any] = {}
_errors: Any = ErrorLookupFactory
_backends: Any = BackendDict
_response: Any = BaseResponse
_s3: Any = S3Backend
_kms: Any = kms_models


def take() -> None:
    """Let moto go these ways from now on."""
    if LONG_WAYS:
        return
    LONG_WAYS["setup_class"] = BaseResponse.setup_class
    LONG_WAYS["parse_parameters"] = BaseResponse.parse_parameters
    LONG_WAYS["account"] = BackendDict.__getitem__
    LONG_WAYS["private_key"] = _kms.generate_private_key
    # it looks through the methods of a service at every call, and makes a table of a service's errors at every error
    responses.method_names_from_class = functools.cache(responses.method_names_from_class)
    responses.camelcase_to_underscores = functools.cache(responses.camelcase_to_underscores)
    _errors._create_error_lut = staticmethod(functools.cache(ErrorLookupFactory._create_error_lut))
    serialize.xmltodict = xml
    # chooses 52 letters for an id that no one is told: an answer's id is given in wire.py
    _responses: Any = responses
    _responses.gen_amzn_requestid_long = _request_id
    # reads the module of S3's addresses anew at every request, since they might depend on the environment
    _s3._url_module = s3_urls
    # makes an RSA key for each key of KMS, also for the one with which EBS encrypts the first host's disk: a tenth of a second
    _kms.generate_private_key = _private_key
    _backends.__getitem__ = _account
    _response.setup_class = _setup_class
    _response.parse_parameters = _parse_parameters


def reset_moto() -> None:
    """An empty account. moto would make every default VPC anew before it throws them all away."""
    for backend in list(BackendDict._instances):
        for _, _, regional in list(backend.iter_backends()):
            if type(regional).reset is not BaseBackend.reset:  # closes its files
                regional.reset()
        backend.clear()
    with base_backend.backend_lock:
        BackendDict._instances.clear()
    model_instances.reset_model_data()


def _request_id(headers: Any = None) -> str:
    if isinstance(headers, dict):
        headers["x-amzn-requestid"] = "0" * 52
    return "0" * 52


def _private_key(spec: str) -> Any:
    """A symmetric key has none."""
    return None if spec == "SYMMETRIC_DEFAULT" else LONG_WAYS["private_key"](spec)


def _account(self: Any, account: str) -> Any:
    """What has been asked for before is there, and is known as one that is in use."""
    found = self.get(account)
    return LONG_WAYS["account"](self, account) if found is None else found


def _setup_class(self: Any, request: Any, full_url: Any = None, headers: Any = None, use_raw_body: Any = None) -> None:
    """What a response of moto knows of its request, where that is one to a service's one address, made in this process."""
    raw = self.use_raw_body if use_raw_body is None else use_raw_body
    short = type(request) is Request and request.plain and not raw and "key" not in request.form
    if not short or full_url not in (None, request.raw_url) or headers not in (None, request.headers):
        LONG_WAYS["setup_class"](self, request, full_url, headers, use_raw_body)
        return
    url = request.raw_url
    self.is_werkzeug_request = False
    self.normalized_request = request
    self.parsed_url, self.uri, self.path, self.raw_path = _parsed(url), url, request.path, request.raw_path
    self.body, self.raw_body = request.data.decode(), request.data
    self.form_data = request.form
    self.querystring = self.data = {name: [value] for name, value in request.form.items()}
    self.method, self.headers = request.method, request.headers
    self.response_headers = {"server": "amazon.com"}
    self.uri_match = {}
    self.region = self.get_region_from_url(request, url)
    self.partition = get_partition(self.region)
    if self.automated_parameter_parsing and self._get_action():
        self.parse_parameters(request)
    self.access_key, self.current_account = self.get_access_key(), self.get_current_account()
    mark_account_as_visited(self.current_account, self.access_key, self.service_name, self.region)


_parsed = functools.lru_cache(1_000)(urlparse)


def _parse_parameters(self: Any, request: Any) -> None:
    """The parameters as they were before they became a request, if they were."""
    if type(request) is Request and request.parse and self.PROTOCOL_PARSER_MAP_TYPE is dict:
        try:
            self.params = request.parse()
        except NotCarried:
            LONG_WAYS["parse_parameters"](self, request)
    else:
        LONG_WAYS["parse_parameters"](self, request)
