"""AWS on this machine: moto, and the parts of AWS that moto leaves out.

`python -m emulator` serves it; `emulator.server.serve` starts it from a program; `emulator.core.wire.attach` connects
a boto3 session in the same process, without HTTP. The product never imports this package: AWS_ENDPOINT_URL is the
whole of the switch.

There is a package for each service, named as botocore names it, and the core on which they stand. A service imports the
core, and may import other services, never in a circle (tests/emulator/test_layers.py).
"""

#: the packages beside the core, in the order in which their clocks tick; core.services loads them, and wants them all
SERVICES = (
    *("ec2", "autoscaling", "iam", "efs", "elbv2", "ecs", "logs", "ecr", "ssm", "kms", "secretsmanager", "sts"),
    *("cloudwatch", "service_quotas", "pricing", "ce", "acm", "route53", "codestar_connections"),
    *("application_autoscaling", "resourcegroupstaggingapi", "codebuild", "codepipeline", "scheduler", "s3"),
    *("programs", "registry"),  # no services: what runs in containers, and the registries of others
    "front_door",  # the way in from outside
)
