"""Which services this region has: not every one is everywhere, and where one is not its address is unknown to the DNS."""

import socket
from typing import Any
from urllib.parse import urlsplit

from aws import client, partition, region, session

#: boto3's list of regions knows the service by its former name
LISTED_AS = {"codeconnections": "codestar-connections"}


def offered(service: Any) -> bool:
    """Whether there may be something of a service here. AWS_ENDPOINT_URL is an address like another.

    boto3's list may be older than the service's region: what the DNS knows is there all the same. In China and the like a
    service that boto3 knows in none of their regions is not there.
    """
    listed = session().get_available_regions(LISTED_AS.get(service, service), partition())
    if region() in listed or (not listed and partition() != "aws"):
        return bool(listed)
    try:
        return bool(socket.getaddrinfo(urlsplit(client(service).meta.endpoint_url).hostname or "", 443))
    except socket.gaierror as error:
        return error.errno == socket.EAI_AGAIN  # no answer is no "no"
