"""The hosts: their launch template, their group, and the provider by which ECS scales them."""

from __future__ import annotations

import base64

from tests.conftest import Runbook
from tests.pages.test_create_cluster import group, provider, template


def test_the_provider_scales_drains_and_protects(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", MAX_INSTANCES="4")
    found = provider(runbook)
    assert (found["managedScaling"]["status"], found["managedScaling"]["targetCapacity"]) == ("ENABLED", 100)
    assert (found["managedDraining"], found["managedTerminationProtection"]) == ("ENABLED", "ENABLED")
    [cluster] = runbook.aws("ecs").describe_clusters(clusters=["gpu"])["clusters"]
    assert cluster["capacityProviders"] == ["gpu-capacity"]
    assert [each["capacityProvider"] for each in cluster["defaultCapacityProviderStrategy"]] == ["gpu-capacity"]


def test_imdsv2_is_required_and_containers_do_not_reach_it(runbook: Runbook) -> None:
    options = template(runbook.has_run("create_cluster.py"))["MetadataOptions"]
    assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 1)


def test_the_root_disk_has_100_gib_on_the_amis_own_root_device(runbook: Runbook) -> None:
    data = template(runbook.has_run("create_cluster.py"))
    [image] = runbook.aws("ec2").describe_images(ImageIds=[data["ImageId"]])["Images"]
    [disk] = data["BlockDeviceMappings"]
    assert disk["DeviceName"] == image["RootDeviceName"]
    assert (disk["Ebs"]["VolumeSize"], disk["Ebs"]["VolumeType"], disk["Ebs"]["Encrypted"]) == (100, "gp3", True)


def test_a_host_has_one_disk_of_that_size_and_all_our_tags(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", MIN_INSTANCES="1", EXTRA_TAGS="team=ml")
    ec2 = runbook.aws("ec2")
    [reservation] = ec2.describe_instances()["Reservations"]
    [host] = reservation["Instances"]
    [disk] = ec2.describe_volumes()["Volumes"]
    assert disk["Size"] == 100
    for tagged in (host["Tags"], disk["Tags"]):
        tags = {tag["Key"]: tag["Value"] for tag in tagged}
        assert (tags["team"], tags["gpu-ecs-cluster"]) == ("ml", "gpu")


def test_the_user_data_joins_the_cluster_with_gpu_support(runbook: Runbook) -> None:
    text = base64.b64decode(template(runbook.has_run("create_cluster.py"))["UserData"]).decode()
    assert "ECS_CLUSTER=gpu" in text
    assert "ECS_ENABLE_GPU_SUPPORT=true" in text
    assert "SPOT" not in text


def test_spot_hosts_are_asked_for_and_drained(runbook: Runbook) -> None:
    runbook.settings["CAPACITY_TYPE"] = "spot"
    runbook.has_run("create_cluster.py", "register_task_definition.py", "run_task.py")
    text = base64.b64decode(template(runbook)["UserData"]).decode()
    assert "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true" in text
    [reservation] = runbook.aws("ec2").describe_instances()["Reservations"]
    assert reservation["Instances"][0]["InstanceLifecycle"] == "spot"


def test_with_no_minimum_nothing_runs_until_a_task_wants_it(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py").settle(1200)
    assert runbook.aws("ec2").describe_instances()["Reservations"] == []
    assert (group(runbook)["MinSize"], group(runbook)["DesiredCapacity"]) == (0, 0)


def test_hosts_are_protected_from_scale_in(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", MIN_INSTANCES="1")
    [host] = group(runbook)["Instances"]
    assert host["ProtectedFromScaleIn"]


def test_hosts_have_public_addresses(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", MIN_INSTANCES="1")
    [reservation] = runbook.aws("ec2").describe_instances()["Reservations"]
    assert reservation["Instances"][0]["PublicIpAddress"]


def test_ami_id_chooses_the_ami(runbook: Runbook) -> None:
    parameter = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
    image_id = runbook.aws("ssm").get_parameter(Name=parameter)["Parameter"]["Value"]
    runbook.has_run("create_cluster.py", AMI_ID=image_id)
    assert template(runbook)["ImageId"] == image_id


def test_a_cluster_on_fargate_has_no_hosts_and_aws_own_providers(fargate: Runbook) -> None:
    fargate.has_run("create_cluster.py")
    [cluster] = fargate.aws("ecs").describe_clusters(clusters=["api"])["clusters"]
    assert sorted(cluster["capacityProviders"]) == ["FARGATE", "FARGATE_SPOT"]
    assert fargate.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"] == []
    assert fargate.aws("ec2").describe_launch_templates()["LaunchTemplates"] == []


def test_cluster_size_is_minimum_and_maximum(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", CLUSTER_SIZE="2")
    found = group(runbook)
    assert (found["MinSize"], found["MaxSize"], len(found["Instances"])) == (2, 2, 2)


def test_a_former_provider_that_aws_fails_to_delete_makes_room_for_the_new_group(runbook: Runbook) -> None:
    """Someone has deleted the group, whose provider AWS then fails to delete the first time."""
    runbook.has_run("create_cluster.py")
    runbook.aws("autoscaling").delete_auto_scaling_group(AutoScalingGroupName="gpu-hosts", ForceDelete=True)
    runbook.settle()
    ran = runbook.run("create_cluster.py")
    assert ran.code == 0, ran.err
    assert provider(runbook)["autoScalingGroupArn"] == group(runbook)["AutoScalingGroupARN"]
