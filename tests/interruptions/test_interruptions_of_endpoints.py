"""The same for the scripts of endpoints: each may die at any call, and be run again, or be undone."""

from __future__ import annotations

import json

import pytest

from emulator.codestar_connections import connections
from tests.conftest import ROOT, Runbook, issued
from tests.interruptions.test_interruptions import deaths_of, differences, has_run, now
from tests.pictures import put_back, take
from tests.zones import ml_endpoints

REPOSITORY = ("ENDPOINT=a create_repository.py",)
PIPELINE = (*REPOSITORY, "ENDPOINT=a create_pipeline.py")
REGISTERED = ("create_cluster.py", "ENDPOINT=a register_task_definition.py")
SERVED = (*REGISTERED, "ENDPOINT=a create_service.py")
PAUSED = (*REGISTERED, "ENDPOINT=a DESIRED_COUNT=0 create_service.py")
#: by CodeBuild; this folder's own text serves as a Dockerfile
PUSH = f"ENDPOINT=a PATH=/nowhere push_image.py --dockerfile {ROOT / 'tests' / 'app'}"
#: script -> what a user has run before it, and what undoes it
BEFORE = {
    "create_certificate.py": ((), "delete_certificate.py"),
    "ENDPOINT=a create_repository.py": ((), "ENDPOINT=a delete_repository.py"),
    PUSH: ((), "ENDPOINT=a delete_endpoint.py --yes --images"),
    "ENDPOINT=a create_pipeline.py": (REPOSITORY, "ENDPOINT=a delete_pipeline.py"),
    "ENDPOINT=a register_task_definition.py": (("create_cluster.py",), "ENDPOINT=a deregister_task_definition.py"),
    "ENDPOINT=a create_service.py": (REGISTERED, "ENDPOINT=a delete_service.py"),
    "ENDPOINT=a sync_weights.py": (PAUSED, "ENDPOINT=a delete_sync.py"),
    "ENDPOINT=a copy_data.py s3://example-ml-weights/a weights:/in": (PAUSED, "ENDPOINT=a delete_copy.py"),
    f"ENDPOINT=a copy_data.py {ROOT / 'LICENSE'} weights:/in": (PAUSED, "ENDPOINT=a delete_copy.py"),
    "ENDPOINT=a create_dns_record.py": (PAUSED, "ENDPOINT=a delete_dns_record.py"),
    "ENDPOINT=b TRAFFIC_FROM=a TRAFFIC_WEIGHT=10 create_service.py": (
        (*SERVED, "ENDPOINT=b register_task_definition.py"),
        "ENDPOINT=b delete_service.py",
    ),
}
#: and those that delete, which are run again only
BEFORE_DELETE = {
    "delete_certificate.py": (("create_certificate.py",), ""),
    "ENDPOINT=a delete_repository.py --images": (REPOSITORY, ""),
    "ENDPOINT=a delete_pipeline.py": (PIPELINE, ""),
    "ENDPOINT=a delete_dns_record.py": ((*PAUSED, "ENDPOINT=a create_dns_record.py"), ""),
    "ENDPOINT=a delete_copy.py": ((*PAUSED, "ENDPOINT=a copy_data.py s3://example-ml-weights/a weights:/in"), ""),
    "ENDPOINT=a delete_endpoint.py --yes --images": (
        (*SERVED, "ENDPOINT=a create_dns_record.py", "ENDPOINT=a sync_weights.py", *REPOSITORY),
        "",
    ),
}


@pytest.fixture
def account(runbook: Runbook) -> Runbook:
    """A user with a zone, a bucket of weights and a finished connection."""
    ml_endpoints(runbook, "example.com")
    s3 = runbook.aws("s3")
    s3.create_bucket(Bucket="example-ml-weights")
    s3.put_object(Bucket="example-ml-weights", Key="a/model.bin", Body=b"weights")
    made = runbook.aws("codeconnections").create_connection(ProviderType="GitHub", ConnectionName="theirs")
    connections.finish_handshakes(runbook.emulator.world)
    runbook.settings |= {
        "CONNECTION_ARN": made["ConnectionArn"],
        "IMAGE": "nginx:1.27",
        "IMAGE_TAG": "",
        "DESIRED_COUNT": "1",
        "MIN_TASKS": "1",
        "POLL_SECONDS": "30",
    }
    return runbook


def a_certificate(runbook: Runbook) -> None:
    """One that is there already: scripts but those of the certificate need not wait for it."""
    runbook.settings |= {"CERTIFICATE_DOMAINS": "", "CERTIFICATE_ARN": issued(runbook, "*.ml.example.com")}


@pytest.mark.parametrize(
    ("command", "then"),
    [(command, then) for command in BEFORE for then in ("again", "undone")]
    + [(each, "again") for each in BEFORE_DELETE],
)
def test_a_script_of_an_endpoint_that_died_at_any_call_can_be_run_again_or_undone(
    account: Runbook, command: str, then: str
) -> None:
    if "certificate" not in command:
        a_certificate(account)
    earlier, undo = (BEFORE | BEFORE_DELETE)[command]
    has_run(account, earlier)
    before = take(account.emulator)
    deaths = deaths_of(account, command)
    expected = deaths.undisturbed
    if then == "undone":
        put_back(account.emulator, before)
        expected = now(account)
    answers = deaths.then(account, command if then == "again" else undo)
    wrong = {point: found for point, answer in answers.items() if (found := differences(expected, answer))}
    assert not wrong, json.dumps(wrong, indent=1)[:4000]
    assert len(answers) > 1
