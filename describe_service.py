"""Describe the service: deployments, counts, target health with reasons, last events, URL, and the EFS DNS name.

python describe_service.py
url=$(python describe_service.py | jq -r .url)
"""

import sys
from typing import Any

import aws
from infrastructure.cluster import cluster, file_system, load_balancer
from infrastructure.service import deadlines, service


@aws.page()
def describe_service() -> dict[str, Any]:
    aws.together(cluster.required, service.targets, file_system.volume_ids, load_balancer.url, deadlines.look)
    deadlines.tell()
    return service.described()


if __name__ == "__main__":
    sys.exit(aws.main(describe_service, __doc__))
