"""Ask the service over its URL, as a client would: HEALTH_CHECK_PATH, then CHECK_PATHS. Exit code 1 if one fails.

The URL is that of HOST_NAME, which must lead to the load balancer: create_dns_record.py; without HOST_NAME the load
balancer's own. Prints status and seconds of each. A certificate that your machine does not know: --ca FILE, or
--insecure. Proxies are taken from the environment, as everywhere.

    ENDPOINT=a python check_service.py   an endpoint
    python check_service.py              next: python delete_service.py
    python check_service.py --insecure   the load balancer's own name is not in your certificate
"""

import ssl
import sys
import time
import urllib.error
import urllib.request
from typing import Any

import aws
import constants
from aws import Problem
from console import say
from infrastructure.cluster import load_balancer, pause
from infrastructure.service import deadlines, dns_record

TIMEOUT_SECONDS = 30
#: what a load balancer answers a client of HTTP/1.1, as this one, where TARGET_PROTOCOL_VERSION is another: the way is open
#: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html#http-464-issues
WRONG_VERSION = 464


@aws.page(insecure="do not verify the certificate", ca=("FILE", "verify it with this CA certificate"))
def check_service(insecure: bool = False, ca: str = "") -> dict[str, Any]:
    urls = load_balancer.urls()
    if not urls:
        pause.refuse()
        raise Problem("there is no load balancer to ask: set LISTENER_PROTOCOL, and run create_cluster.py")
    try:
        context = ssl.create_default_context(cafile=ca or None)
    except OSError as error:
        raise Problem(f"--ca {ca} is not a file of certificates: {error}") from error
    if insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    where = "".join(map(name_leads, constants.HOST_NAMES)) + inside()
    paths = dict.fromkeys([constants.HEALTH_CHECK_PATH, *constants.CHECK_PATHS])
    checks = [ask(url + path, context) for url in urls for path in paths]
    failed = [f"{check['url']}: {check['status']}" for check in checks if not check["ok"]]
    if failed:
        raise Problem(f"{len(failed)} of {len(checks)} checks failed: {'; '.join(failed)}{where}")
    deadlines.tell()
    return {"url": urls[0], "checks": checks}


def inside() -> str:
    internal = constants.LOAD_BALANCER_SCHEME == "internal"
    return ". LOAD_BALANCER_SCHEME=internal: it answers inside its VPC alone; run this there" if internal else ""


def name_leads(host: str) -> str:
    """Where a name leads if not to the load balancer, as far as Route 53 tells: the end of a sentence."""
    balancer = load_balancer.find()
    if not balancer:
        return ""
    places, here = dns_record.places(host), balancer["DNSName"].lower()
    if places == [here]:
        return ""
    if places is None:
        return f". The DNS of {host} is not in this account: does it lead to {here}? create_dns_record.py says how"
    if not places:
        return f". {host} does not lead to the load balancer yet: run create_dns_record.py"
    leads = f"{host} leads to {', '.join(places)},"
    say("warning", leads, "not to the load balancer: the answers may be another's")
    return f". {leads} not to the load balancer"


def ask(url: str, context: ssl.SSLContext) -> dict[str, Any]:
    """One request: its HTTP status, or in words why there was none."""
    begun = time.monotonic()
    status: int | str
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS, context=context) as answer:
            status = answer.status
    except urllib.error.HTTPError as error:
        status = error.code
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = str(getattr(error, "reason", error))
        hint = " (--insecure or --ca FILE)" if "CERTIFICATE_VERIFY_FAILED" in reason else ""
        status = f"no answer: {reason}{hint}"
    seconds = round(time.monotonic() - begun, 3)
    other = status == WRONG_VERSION and constants.TARGET_PROTOCOL_VERSION != "HTTP1"
    ok = other or (isinstance(status, int) and 200 <= status < 400)
    told = f"{status} in {seconds:.3f} s"
    say("checked", url, f"{told}: as to all of HTTP/1.1; of the tasks describe_service.py tells" if other else told)
    return {"url": url, "status": status, "seconds": seconds, "ok": ok}


if __name__ == "__main__":
    sys.exit(aws.main(check_service, __doc__))
