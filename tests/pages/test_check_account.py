"""check_account.py says before anything is made what the account can't have, row by row, and makes nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from emulator.core.doors import DOORS
from emulator.core.faults import Fault
from emulator.ec2 import capacity_blocks, reservations
from emulator.registry import images
from infrastructure.preflight import rows
from tests.conftest import GPU, ROOT, Runbook, issued

EXAMPLES = ("gpu-cluster.env", "training.env", "apiserver.env", "clara-train.env", "ml-endpoints/.env")
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
MOST_CALLS = 40


def of_example(runbook: Runbook, example: str) -> Runbook:
    """Its settings, with a certificate that is issued."""
    runbook.settings = {"ENV_FILE": str(ROOT / "examples" / example)}
    if example in ("clara-train.env", "ml-endpoints/.env"):
        runbook.settings |= {"CERTIFICATE_ARN": issued(runbook), "CERTIFICATE_DOMAINS": ""}
    return runbook


def states(told: dict[str, Any]) -> dict[str, str]:
    return {each["row"]: each["state"] for each in told["rows"]}


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_new_account_can_have_what_the_examples_ask_for(runbook: Runbook, example: str) -> None:
    of_example(runbook, example)
    before, begun = runbook.look(), len(runbook.emulator.calls)
    ran = runbook.run("check_account.py")
    made = runbook.emulator.calls[begun:]
    assert (ran.code, {*states(ran.result).values()}) == (0, {"ok"}), ran.err
    assert (len(made) <= MOST_CALLS, runbook.changes(begun), runbook.look()) == (True, [], before)
    told = ran.err.splitlines()
    assert [line.split()[0] for line in told if line.startswith(("ok ", "warning ", "stop "))] == ["ok"] * len(
        ran.result["rows"]
    )


def test_no_row_is_about_what_the_settings_do_not_want(runbook: Runbook) -> None:
    on_hosts, on_fargate = (
        {*states(of_example(runbook, example).run("check_account.py").result)}
        for example in ("gpu-cluster.env", "apiserver.env")
    )
    of_hosts = {"instance type", "vCPUs", "zones", "AMI"}
    assert on_hosts - on_fargate == of_hosts
    assert on_fargate - on_hosts == {"vCPUs of Fargate"}
    assert not (on_hosts | on_fargate) & {"load balancers", "NAT gateways", "Spot", "certificate", "DNS", "addresses"}


# ------------------------------------------------------------------------------------------------- what turns each row


def door(runbook: Runbook, **given: Any) -> None:
    DOORS["POST", "/_emulator/caller"](runbook.emulator, given)


def denies(action: str) -> Callable[[Runbook], None]:
    denial = {"Effect": "Deny", "Action": action, "Resource": "*"}
    return lambda runbook: door(runbook, policy={"Statement": [EVERYTHING, denial]})


def forbids(action: str) -> Callable[[Runbook], None]:
    denial = {"Effect": "Deny", "Action": action, "Resource": "*"}
    return lambda runbook: door(runbook, scp={"Statement": [EVERYTHING, denial]})


def quota(code: str, value: float) -> Callable[[Runbook], None]:
    return lambda runbook: runbook.emulator.world.settings.quotas.update({code: value})


def sets(**settings: str) -> Callable[[Runbook], None]:
    return lambda runbook: runbook.settings.update(settings)


def account(**settings: Any) -> Callable[[Runbook], None]:
    return lambda runbook: vars(runbook.emulator.world.settings).update(settings)


def image(**about: Any) -> Callable[[Runbook], None]:
    return lambda runbook: images.add(runbook.emulator.world, GPU["IMAGE"], **about)


def ends_in(minutes: float, **settings: str) -> Callable[[Runbook], None]:
    def turn(runbook: Runbook) -> None:
        end = datetime.now(timezone.utc) + timedelta(minutes=minutes)
        runbook.settings |= {"AWS_CREDENTIAL_EXPIRATION": f"{end:%Y-%m-%dT%H:%M:%SZ}", **settings}

    return turn


def without_linked_roles(runbook: Runbook) -> None:
    runbook.emulator.world.settings.service_linked_roles = False
    denies("iam:CreateServiceLinkedRole")(runbook)


def another_s_cluster(runbook: Runbook) -> None:
    runbook.aws("ecs").create_cluster(clusterName="gpu-demo")
    runbook.settle()


def another_s_gpus(runbook: Runbook) -> None:
    runbook.emulator.world.settings.vcpu_quotas["L-DB2E81BA"] = 6
    name = "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"
    image_id = runbook.aws("ssm").get_parameter(Name=name)["Parameter"]["Value"]
    runbook.aws("ec2").run_instances(ImageId=image_id, InstanceType="g4dn.xlarge", MinCount=1, MaxCount=1)
    runbook.settle(60)


def small_subnet(runbook: Runbook) -> None:
    ec2 = runbook.aws("ec2")
    vpc_id = ec2.create_vpc(CidrBlock="172.21.0.0/16")["Vpc"]["VpcId"]
    runbook.settle(60)
    subnet = {"VpcId": vpc_id, "CidrBlock": "172.21.0.0/28", "AvailabilityZone": "us-east-1a"}
    subnet_id = ec2.create_subnet(**subnet)["Subnet"]["SubnetId"]
    runbook.settle(60)
    runbook.settings |= {"VPC_ID": vpc_id, "SUBNET_IDS": subnet_id, "MAX_INSTANCES": "12"}


def certificate_of_no_one(runbook: Runbook) -> None:
    request = {"DomainName": "clara.example.com", "ValidationMethod": "DNS"}
    runbook.settings["CERTIFICATE_ARN"] = runbook.aws("acm").request_certificate(**request)["CertificateArn"]


def certificate_near_its_end(runbook: Runbook) -> None:
    runbook.emulator.world.clock.skip(180 * 86400)


def another_s_record(runbook: Runbook) -> None:
    route53 = runbook.aws("route53")
    zone_id = route53.create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"]
    record = {"Name": "clara.example.com", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}
    batch = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
    route53.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch=batch)
    runbook.settings["HOST_NAME"] = "clara.example.com"


def a_pause(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", "pause_cluster.py")


def dry_run_denied(runbook: Runbook) -> None:
    runbook.emulator.faults.planned.append(Fault("RunInstances", "denied", times=-1))


def vcpus(code: str, value: float, **settings: str) -> Callable[[Runbook], None]:
    def turn(runbook: Runbook) -> None:
        quotas = runbook.emulator.world.settings.vcpu_quotas
        quotas |= {**dict.fromkeys(quotas, 960.0), code: value}
        runbook.settings |= settings

    return turn


def denies_host(kind: str, market: str) -> Callable[[Runbook], None]:
    """RunInstances is denied for these alone."""

    def turn(runbook: Runbook) -> None:
        terms = {"StringEquals": {"ec2:InstanceType": kind, "ec2:InstanceMarketType": market}}
        denial = {"Effect": "Deny", "Action": "ec2:RunInstances", "Resource": "*", "Condition": terms}
        door(runbook, policy={"Statement": [EVERYTHING, denial]})
        runbook.settings |= BOTH_TERMS if market == "spot" else SEVERAL

    return turn


def reserved(state: str = "", **more: Any) -> Callable[[Runbook], None]:
    """A reservation of one g4dn.xlarge in us-east-1a, or as it is said; `state`: what has become of it."""

    def turn(runbook: Runbook) -> None:
        request = {"InstanceType": "g4dn.xlarge", "AvailabilityZone": "us-east-1a", "InstanceCount": 1, **more}
        made = runbook.aws("ec2").create_capacity_reservation(
            InstancePlatform="Linux/UNIX", InstanceMatchCriteria="targeted", **request
        )
        its_id = made["CapacityReservation"]["CapacityReservationId"]
        kept = reservations.find(runbook.emulator.world, "us-east-1", its_id)
        kept["State"] = state or kept["State"]
        runbook.settings["CAPACITY_RESERVATION"] = its_id

    return turn


def subnets_in(*zones: str) -> Callable[[Runbook], None]:
    """Both types, in subnets of the user's own: us-east-1f has no P4d, us-east-1e neither."""

    def turn(runbook: Runbook) -> None:
        subnets = {each["AvailabilityZone"]: each for each in runbook.aws("ec2").describe_subnets()["Subnets"]}
        ids = ",".join(subnets[f"us-east-1{zone}"]["SubnetId"] for zone in zones)
        runbook.settings |= {"VPC_ID": subnets["us-east-1a"]["VpcId"], "SUBNET_IDS": ids, **SEVERAL}

    return turn


def reserved_elsewhere(runbook: Runbook) -> None:
    reserved(AvailabilityZone="us-east-1b")(runbook)
    runbook.settings["AVAILABILITY_ZONES"] = "us-east-1a"


def few_reserved(runbook: Runbook) -> None:
    reserved()(runbook)
    runbook.settings["MAX_INSTANCES"] = "2"


SEVERAL = {"INSTANCE_TYPES": "g5.48xlarge,p4d.24xlarge", "GPU_COUNT": "8"}
BOTH_TERMS = {"CAPACITY_TYPE": "spot-first"}
SHARED_GPU = {"GPU_SHARING": "mps", "GPU_MEMORY_MIB": "2000", "NETWORK_MODE": "awsvpc"}
G, C, A = "gpu-cluster.env", "clara-train.env", "apiserver.env"
#: row, what turns it, the example that has it, and then: its state, and a piece of its sentence
Turn = tuple[str, Callable[[Runbook], None], str, str, str]
TURNS: list[Turn] = [
    ("credentials", ends_in(18), A, "warning", "min are left, and create_cluster.py may take 20"),
    ("credentials", ends_in(90, MAX_RUN_HOURS="6"), "training.env", "warning", "for up to MAX_RUN_HOURS=6"),
    (
        "permissions",
        denies("elasticfilesystem:CreateFileSystem"),
        A,
        "stop",
        "a policy denies elasticfilesystem:CreateFi",
    ),
    ("permissions", forbids("ecs:CreateCluster"), A, "stop", "an SCP of the organisation forbids ecs:CreateCluster"),
    ("permissions", denies("iam:SimulatePrincipalPolicy"), A, "warning", "could not look: access denied"),
    (
        "permissions",
        denies("autoscaling:LaunchInstances"),
        G,
        "warning",
        "autoscaling:LaunchInstances: managed scaling",
    ),
    ("dry run", dry_run_denied, G, "stop", "EC2 would refuse RunInstances: access denied"),
    (
        "dry run",
        denies_host("p4d.24xlarge", "on-demand"),
        G,
        "stop",
        "RunInstances of p4d.24xlarge (on-demand): access",
    ),
    ("dry run", denies_host("g4dn.xlarge", "spot"), G, "stop", "RunInstances of g4dn.xlarge (spot): access denied"),
    ("dry run", forbids("ec2:CreateVpc"), A, "stop", "CreateVpc, an SCP of the organisation forbids it"),
    ("service-linked roles", without_linked_roles, A, "stop", "AWSServiceRoleForECS are missing, and you may not"),
    ("names", another_s_cluster, G, "stop", "the cluster gpu-demo exists already"),
    ("pause", a_pause, G, "stop", "run resume_cluster.py, which brings back what ran, and then this again"),
    ("deadline", sets(MAX_CLUSTER_HOURS="", STOP_AT="2020-01-01T00:00Z"), G, "stop", "is over: set a later one"),
    (
        "Capacity Reservation",
        sets(CAPACITY_RESERVATION="cr-0123456789abcdef0"),
        G,
        "stop",
        "no such Capacity Reservation",
    ),
    ("instance type", sets(INSTANCE_TYPE="p3.2xlarge"), G, "stop", "INSTANCE_TYPE=p3.2xlarge does not exist"),
    ("vCPUs", another_s_gpus, G, "stop", "is 6 vCPUs, of which others use 4, and one g4dn.xlarge"),
    ("vCPUs", vcpus("L-417A185B", 0, **SEVERAL), G, "stop", "L-417A185B is 0 vCPUs, and one p4d.24xlarge (on-demand)"),
    ("vCPUs", vcpus("L-3819A6DF", 0, **BOTH_TERMS), G, "warning", "L-3819A6DF is 0 vCPUs, and one g4dn.xlarge (spot)"),
    ("vCPUs", vcpus("L-DB2E81BA", 0, **BOTH_TERMS), G, "stop", "L-DB2E81BA is 0 vCPUs, and one g4dn.xlarge (on-dem"),
    ("vCPUs of Fargate", quota("L-3032A538", 2), A, "stop", "is 2 vCPUs of Fargate, and one task needs TASK_CPU=4096"),
    ("zones", sets(AVAILABILITY_ZONES="us-east-1z"), G, "stop", "us-east-1z does not offer g4dn.xlarge"),
    ("zones", subnets_in("f"), G, "stop", "p4d.24xlarge is offered in none of the zones of your subnets, us-east-1f,"),
    ("zones", subnets_in("a", "f"), G, "warning", "us-east-1a, us-east-1f only us-east-1a have p4d.24xlarge"),
    ("Capacity Reservation", reserved("expired"), G, "stop", "is expired, not active"),
    ("Capacity Reservation", reserved(InstanceType="g5.xlarge"), G, "stop", "is for g5.xlarge, but INSTANCE_TYPE=g4dn"),
    ("Capacity Reservation", reserved(InstanceCount=0), G, "stop", "has room for 0 hosts, and others have all of it"),
    ("Capacity Reservation", reserved_elsewhere, G, "stop", "is in us-east-1b, and none of our subnets is"),
    ("Capacity Reservation", few_reserved, G, "warning", "has room for 1 host, less than MAX_INSTANCES=2"),
    ("Spot", account(spot_score=2), "training.env", "warning", "unlikely now: the best zone has 2 of 10"),
    ("Spot", account(without_capacity=[f"us-east-1{each}" for each in "abcdef"]), "training.env", "warning", "1 of 10"),
    ("AMI", account(image_gib=200), G, "stop", "ROOT_VOLUME_GIB=100 is less than the 200 GiB"),
    ("AMI", sets(AMI_ID="ami-0123456789abcdef0"), G, "stop", "AMI_ID=ami-0123456789abcdef0: there is no such AMI"),
    (
        "image",
        image(demand="cuda>=13.1 brand=tesla,driver>=570,driver<571"),
        G,
        "stop",
        "demands cuda>=13.1, and the hosts'",
    ),
    ("image", sets(IMAGE="nvidia/cuda:1.0"), G, "stop", "has no such image"),
    ("image", image(size=70_000_000_000), G, "warning", "may not fit"),
    ("image", image(platforms=("linux/arm64",)), G, "stop", "is for linux/arm64"),
    ("interfaces of a host", sets(**SHARED_GPU), G, "stop", "has network interfaces for 2 tasks, and GPUs for 8"),
    ("VPCs", quota("L-F678F1CE", 1), G, "stop", "is 1 VPCs, 1 are there, and 1 more is needed"),
    ("internet gateways", quota("L-A4707A72", 1), A, "stop", "is 1 internet gateways, 1 are there"),
    ("NAT gateways", quota("L-FE5A380F", 0), C, "stop", "is 0 NAT gateways in a zone, 0 are there"),
    ("Elastic IPs", quota("L-0263D0A3", 1), C, "stop", "is 1 Elastic IPs, 0 are there, and 2 more is needed"),
    ("security groups", quota("L-E79EC296", 2), A, "stop", "is 2 security groups, 1 are there"),
    ("network interfaces", quota("L-DF5E4CA3", 1), A, "stop", "is 1 network interfaces, 0 are there"),
    ("load balancers", quota("L-53DA6B97", 0), C, "stop", "is 0 load balancers, 0 are there"),
    ("target groups", quota("L-B22855CB", 0), C, "stop", "is 0 target groups, 0 are there"),
    ("file systems", quota("L-848C634D", 0), A, "stop", "is 0 file systems, 0 are there"),
    ("addresses", small_subnet, G, "stop", "has 11 free addresses, and 13 are needed"),
    ("certificate", certificate_of_no_one, C, "stop", "is PENDING_VALIDATION, not ISSUED"),
    ("certificate", certificate_near_its_end, C, "warning", "ends in 18 days: ACM renews it only while"),
    ("certificate", sets(HOST_NAME="other.example.com"), C, "stop", "is not covered by the certificate"),
    ("DNS", another_s_record, C, "stop", "leads elsewhere already: A 192.0.2.1"),
    ("DNS", sets(HOST_NAME="clara.example.com"), C, "warning", "is in no public zone of this account"),
]


@pytest.mark.parametrize(("row", "turn", "example", "state", "sentence"), TURNS, ids=[f"{t[0]}: {t[4]}" for t in TURNS])
def test_each_row_is_turned_by_the_account(
    runbook: Runbook, row: str, turn: Callable[[Runbook], None], example: str, state: str, sentence: str
) -> None:
    turn(of_example(runbook, example))
    begun = len(runbook.emulator.calls)
    ran = runbook.run("check_account.py")
    [told] = [each for each in ran.result["rows"] if each["row"] == row]
    assert (told["state"], sentence in told["sentence"]) == (state, True), told
    assert f"{state:7}  {row}" in ran.err and sentence in ran.err
    assert ran.code == int("stop" in states(ran.result).values())
    refused = [each for each in runbook.emulator.calls[begun:] if each[2] == "UnauthorizedOperation"]
    assert len(runbook.changes(begun)) == len(refused)


def test_there_is_something_that_turns_each_row() -> None:
    assert {*rows.ROWS} == {row for row, *_ in TURNS}


# ------------------------------------------------------------------------------------------------------------ rights


def test_the_policies_of_a_role_are_found_by_its_path(runbook: Runbook) -> None:
    trust = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}'
    runbook.aws("iam").create_role(RoleName="Admin", Path="/team/", AssumeRolePolicyDocument=trust)
    runbook.settle(60)
    door(runbook, role="Admin")
    ran = of_example(runbook, A).run("check_account.py")
    assert (ran.code, {*states(ran.result).values()}) == (0, {"ok"}), ran.err
    assert "caller assumed-role/Admin/emulator" in ran.err


def test_what_ec2_is_too_busy_to_tell_is_no_refusal(runbook: Runbook) -> None:
    runbook.emulator.faults.planned.append(Fault("CreateVpc", "RequestLimitExceeded", times=-1))
    ran = of_example(runbook, G).run("check_account.py")
    [told] = [each for each in ran.result["rows"] if each["row"] == "dry run"]
    assert (ran.code, told["state"]) == (0, "warning") and "could not look" in told["sentence"]


def test_a_caller_with_just_the_shown_policies_is_told_so_in_as_few_calls(runbook: Runbook) -> None:
    """IAM's simulation is asked again about names, and so more often."""
    documents = of_example(runbook, C).run("show_policy.py").result["documents"]
    statements = [each for document in documents for each in document["Statement"]]
    DOORS["POST", "/_emulator/caller"](runbook.emulator, {"policy": {"Statement": statements}})
    begun = len(runbook.emulator.calls)
    ran = runbook.run("check_account.py")
    assert (ran.code, {*states(ran.result).values()}) == (0, {"ok"}), ran.err
    assert len(runbook.emulator.calls) - begun <= MOST_CALLS


def test_rights_for_our_names_alone_are_enough(runbook: Runbook) -> None:
    """IAM's simulation of "*" knows nothing of them: it is asked again about the names that are given here."""
    named = [
        "arn:aws:ecs:*:*:cluster/apiserver",
        "arn:aws:iam::*:role/apiserver-*",
        "arn:aws:logs:*:*:log-group:/ecs/apiserver*",
    ]
    services = {"ecs:*": named[0], "iam:Create*": named[1], "iam:Delete*": named[1], "logs:*": named[2]}
    rest = {"Effect": "Allow", "NotAction": [*services], "Resource": "*"}
    some = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in services.items()]
    linked = {"Effect": "Allow", "Action": "iam:CreateServiceLinkedRole", "Resource": "*"}
    door(runbook, policy={"Statement": [rest, linked, *some]})
    ran = of_example(runbook, A).run("check_account.py")
    assert (states(ran.result)["permissions"], ran.code) == ("ok", 0), ran.err


def test_a_quota_for_which_more_was_asked_is_waited_for(runbook: Runbook) -> None:
    """Else the line that asks is told, and never sent."""
    quota("L-F678F1CE", 1)(of_example(runbook, A))
    line = (
        "aws service-quotas request-service-quota-increase --service-code vpc --quota-code L-F678F1CE --desired-value 2"
    )
    assert line in runbook.run("check_account.py").err
    asked = {"ServiceCode": "vpc", "QuotaCode": "L-F678F1CE"}
    quotas = runbook.aws("service-quotas")
    assert quotas.list_requested_service_quota_change_history_by_quota(**asked)["RequestedQuotas"] == []
    quotas.request_service_quota_increase(**asked, DesiredValue=10)
    told = runbook.run("check_account.py").err
    assert "a request for 10 is open since 20" in told and line not in told


def test_a_cluster_that_stands_needs_nothing_more(runbook: Runbook) -> None:
    """What is ours already is not counted twice: quotas that are just enough stay enough."""
    of_example(runbook, G).has_run("create_cluster.py", "register_task_definition.py", "run_task.py")
    for code, value in {"L-F678F1CE": 2, "L-A4707A72": 2, "L-848C634D": 1}.items():
        quota(code, value)(runbook)
    runbook.emulator.world.settings.vcpu_quotas["L-DB2E81BA"] = 4
    ran = runbook.run("check_account.py")
    assert (ran.code, {*states(ran.result).values()}) == (0, {"ok"}), ran.err


def test_an_endpoint_has_rows_of_its_own(runbook: Runbook, endpoints: Runbook) -> None:
    assert "image" not in states(endpoints.run("check_account.py").result)
    ran = endpoints.run("check_account.py", ENDPOINT="a", IMAGE_TAG="", IMAGE="public.ecr.aws/aws-cli/aws-cli:2.31.0")
    told = states(ran.result)
    assert (told["image"], told["DNS"], told["target groups"]) == ("ok", "warning", "ok"), ran.err


def test_a_reservation_with_room_is_told_with_its_zone_and_its_end(runbook: Runbook) -> None:
    end = runbook.emulator.world.timestamp() + timedelta(hours=12)
    reserved(EndDate=end, EndDateType="limited")(of_example(runbook, G))
    ran = runbook.run("check_account.py")
    told = {each["row"]: each["sentence"] for each in ran.result["rows"]}
    assert (ran.code, {*states(ran.result).values()}) == (0, {"ok"}), ran.err
    assert f"1 of 1 g4dn.xlarge free in us-east-1a; ends {end:%Y-%m-%dT%H:%M}Z; its hosts run on" in str(told)


def test_a_capacity_block_needs_no_vcpus_and_both_terms_of_several_types_are_looked_at(runbook: Runbook) -> None:
    block = capacity_blocks.buy(runbook.emulator, {"type": "g4dn.xlarge", "zone": "us-east-1a", "hours": 24})["id"]
    runbook.emulator.world.settings.vcpu_quotas["L-DB2E81BA"] = 0
    ran = of_example(runbook, G).run("check_account.py", CAPACITY_RESERVATION=str(block))
    assert (ran.code, "vCPUs" in states(ran.result)) == (0, False), ran.err
    runbook.emulator.world.settings.vcpu_quotas["L-DB2E81BA"] = 96
    begun = len(runbook.emulator.calls)
    ran = runbook.run("check_account.py", CAPACITY_TYPE="spot-first", INSTANCE_TYPES="g5.xlarge,g6.xlarge")
    assert (ran.code, {*states(ran.result).values()}) == (0, {"ok"}), ran.err
    told = {each["row"]: each["sentence"] for each in ran.result["rows"]}
    for kind in ("g5.xlarge", "g6.xlarge"):
        assert all(f"RunInstances of {kind} ({terms})" in told["dry run"] for terms in ("spot", "on-demand"))
        assert all(f"{kind} ({terms})" in told["vCPUs"] for terms in ("spot", "on-demand"))
        assert f"{kind} in us-east-1a" in told["zones"]
    assert len(runbook.emulator.calls[begun:]) <= MOST_CALLS


def test_what_could_not_be_asked_is_told_in_one_line_of_its_row(runbook: Runbook) -> None:
    """AWS's own text, which names the caller's ARN, would break the table."""
    denied: Any = {"Effect": "Deny", "Action": ["servicequotas:*", "iam:Simulate*"], "Resource": "*"}
    DOORS["POST", "/_emulator/caller"](runbook.emulator, {"policy": {"Statement": [denied, EVERYTHING]}})
    ran = of_example(runbook, G).run("check_account.py")
    assert (ran.code, {*states(ran.result).values()}) == (0, {"ok", "warning"}), ran.err
    assert [each["row"] for each in ran.result["rows"] if "\n" in each["sentence"]] == []
    assert {line.split()[0] for line in ran.err.splitlines()} <= {"account", "environment", "ok", "warning", "next"}
