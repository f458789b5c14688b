"""Describe the service: deployments, counts, target health with reasons, last events, URL, and the EFS DNS name.

python describe_service.py
url=$(python describe_service.py | jq -r .url)
"""

import sys
from typing import Any

import aws
from aws import region
from infrastructure import cluster, file_system, service


def describe_service() -> dict[str, Any]:
    cluster.required()
    file_system_id = file_system.find_id()
    dns_name = f"{file_system_id}.efs.{region()}.amazonaws.com" if file_system_id else None
    return {**service.described(), "fileSystemDnsName": dns_name}


if __name__ == "__main__":
    sys.exit(aws.main(describe_service, __doc__))
