"""Delete the certificate that create_certificate.py asked for, and the DNS records that proved it.

Needs the load balancer gone, which uses it; ACM says so for some minutes more, and this waits for it. A record that
another certificate of the account needs for its renewal is kept. CERTIFICATE_ARN is never touched.

    python delete_certificate.py             after: python delete_cluster.py
    python delete_certificate.py --dry-run   what would be deleted

Works from any half-made state, and twice.
"""

import sys
from typing import Any

import aws
from console import say
from infrastructure.cluster import certificate


@aws.page(of="cluster", changes=True)
def delete_certificate() -> dict[str, Any]:
    listed = [each.what for each in certificate.left_over()]
    if not listed:
        say("already gone", "certificate")
    certificate.delete()
    say("next", "nothing: the certificate is gone", "to ask for one again: python create_certificate.py")
    return {"deleted": listed, "left": [each.what for each in certificate.left_over()]}


if __name__ == "__main__":
    sys.exit(aws.main(delete_certificate, __doc__))
