# The ECS cluster with its hosts, roles, file system and load balancer.

locals {
  host_logs = {
    messages  = ["/var/log/messages", "%b %d %H:%M:%S"]
    dmesg     = ["/var/log/dmesg", ""]
    docker    = ["/var/log/docker", "%Y-%m-%dT%H:%M:%S.%f"]
    ecs-init  = ["/var/log/ecs/ecs-init.log", "%Y-%m-%dT%H:%M:%SZ"]
    ecs-agent = ["/var/log/ecs/ecs-agent.log", "%Y-%m-%dT%H:%M:%SZ"]
    audit     = ["/var/log/ecs/audit.log", "%Y-%m-%dT%H:%M:%SZ"]
  }
  task_trust = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.account.account_id }
        ArnLike      = { "aws:SourceArn" = "arn:aws:ecs:us-east-1:${data.aws_caller_identity.account.account_id}:*" }
      }
    }]
  })
  client_actions = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite", "elasticfilesystem:ClientRootAccess"]
  denied = {
    OnlyOverTls       = { Bool = { "aws:SecureTransport" = "false" } }
    OnlyByMountTarget = { Bool = { "elasticfilesystem:AccessedViaMountTarget" = "false" } }
    OnlyByAccessPoint = {
      StringNotLike = {
        "elasticfilesystem:AccessPointArn" = "arn:aws:elasticfilesystem:us-east-1:${data.aws_caller_identity.account.account_id}:access-point/*"
      }
    }
  }
  host_tags = { gpu-ecs-cluster = local.cluster, Name = "${local.cluster}-host", gpu-ecs-part = "host" }
}

data "aws_ssm_parameter" "image" {
  name = "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"
}

resource "aws_iam_role" "host" {
  name = "${local.cluster}-host-us-east-1"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "ec2.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
  tags = { Name = "${local.cluster}-host", gpu-ecs-part = "host" }
}

resource "aws_iam_role_policy_attachment" "host" {
  for_each   = toset(["service-role/AmazonEC2ContainerServiceforEC2Role", "CloudWatchAgentServerPolicy"])
  role       = aws_iam_role.host.name
  policy_arn = "arn:aws:iam::aws:policy/${each.key}"
}

resource "aws_iam_role_policy" "host" {
  name = "settings"
  role = aws_iam_role.host.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect = "Allow"
      Action = [
        "ssm:UpdateInstanceInformation",
        "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"
      ]
      Resource = "*"
    }]
  })
}

resource "aws_iam_instance_profile" "host" {
  name = "${local.cluster}-host-us-east-1"
  role = aws_iam_role.host.name
  tags = { Name = "${local.cluster}-host", gpu-ecs-part = "host" }
}

resource "aws_iam_role" "task_execution" {
  name               = "${local.cluster}-task-execution-us-east-1"
  assume_role_policy = local.task_trust
  tags               = { Name = "${local.cluster}-task-execution", gpu-ecs-part = "task-execution" }
}

resource "aws_iam_role_policy_attachment" "task_execution" {
  role       = aws_iam_role.task_execution.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

resource "aws_iam_role" "task" {
  name               = "${local.cluster}-task-us-east-1"
  assume_role_policy = local.task_trust
  tags               = { Name = "${local.cluster}-task", gpu-ecs-part = "task" }
}

resource "aws_iam_role_policy" "task" {
  name = "settings"
  role = aws_iam_role.task.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = local.client_actions
      Resource  = [aws_efs_file_system.files.arn]
      Condition = { StringEquals = { "elasticfilesystem:AccessPointArn" = [aws_efs_access_point.workspace.arn] } }
    }]
  })
}

resource "aws_ecs_cluster" "cluster" {
  name = local.cluster
  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_cloudwatch_log_group" "hosts" {
  for_each          = local.host_logs
  name              = "/ecs/${local.cluster}/hosts/${each.key}"
  retention_in_days = 365
}

resource "aws_ssm_parameter" "monitoring" {
  name = "AmazonCloudWatch-${local.cluster}"
  type = "String"
  value = jsonencode({
    logs = {
      force_flush_interval = 5
      logs_collected = { files = { collect_list = [for name in ["messages", "dmesg", "docker", "ecs-init", "ecs-agent", "audit"] : merge(
        {
          file_path       = local.host_logs[name][0]
          log_group_name  = "/ecs/${local.cluster}/hosts/${name}"
          log_stream_name = "{instance_id}"
        },
        local.host_logs[name][1] == "" ? {} : { timestamp_format = local.host_logs[name][1] },
      )] } }
    }
    metrics = {
      append_dimensions = { for key in ["AutoScalingGroupName", "InstanceId", "InstanceType"] : key => "$${aws:${key}}" }
      metrics_collected = {
        mem  = { measurement = ["mem_used_percent"], metrics_collection_interval = 60 }
        disk = { measurement = ["used_percent"], resources = ["/"], metrics_collection_interval = 60 }
        nvidia_gpu = {
          measurement                 = ["utilization_gpu", "utilization_memory", "memory_used", "memory_total", "temperature_gpu"]
          metrics_collection_interval = 60
        }
      }
    }
  })
  tags = { Name = "${local.cluster}-monitoring", gpu-ecs-part = "monitoring" }
}

resource "aws_efs_file_system" "files" {
  encrypted       = true
  throughput_mode = "elastic"
  tags            = { Name = "${local.cluster}-file-system", gpu-ecs-part = "file-system" }
}

resource "aws_efs_file_system_policy" "files" {
  file_system_id = aws_efs_file_system.files.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for sid, condition in local.denied : {
      Sid       = sid
      Effect    = "Deny"
      Principal = { AWS = "*" }
      Action    = local.client_actions
      Resource  = aws_efs_file_system.files.arn
      Condition = condition
    }]
  })
}

resource "aws_efs_mount_target" "files" {
  for_each        = local.private
  file_system_id  = aws_efs_file_system.files.id
  subnet_id       = aws_subnet.private[each.key].id
  security_groups = [aws_security_group.file_system.id]
}

resource "aws_efs_access_point" "workspace" {
  file_system_id = aws_efs_file_system.files.id
  posix_user {
    uid = 0
    gid = 0
  }
  root_directory {
    path = "/workspace"
    creation_info {
      owner_uid   = 0
      owner_gid   = 0
      permissions = "755"
    }
  }
  tags = { Name = "${local.cluster}-volume-workspace", gpu-ecs-part = "volume-workspace", volume = "workspace" }
}

resource "aws_lb" "balancer" {
  name                       = "${local.cluster}-alb"
  load_balancer_type         = "application"
  subnets                    = [for subnet in aws_subnet.public : subnet.id]
  security_groups            = [aws_security_group.load_balancer.id]
  idle_timeout               = 60
  drop_invalid_header_fields = true
  tags                       = { Name = "${local.cluster}-alb", gpu-ecs-part = "alb" }
  depends_on                 = [aws_internet_gateway.gateway]
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.balancer.arn
  port              = 80
  protocol          = "HTTP"
  default_action {
    type = "redirect"
    redirect {
      protocol    = "HTTPS"
      port        = "443"
      status_code = "HTTP_301"
    }
  }
  tags = { Name = "${local.cluster}-listener-80", gpu-ecs-part = "listener-80" }
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.balancer.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
  certificate_arn   = var.certificate_arn
  default_action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/plain"
      status_code  = "404"
      message_body = "nothing is here"
    }
  }
  tags = { Name = "${local.cluster}-listener-443", gpu-ecs-part = "listener-443" }
}

resource "aws_launch_template" "hosts" {
  name                   = "${local.cluster}-hosts"
  image_id               = data.aws_ssm_parameter.image.insecure_value
  instance_type          = "g4dn.2xlarge"
  vpc_security_group_ids = [aws_security_group.hosts.id]
  iam_instance_profile {
    name = aws_iam_instance_profile.host.name
  }
  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size           = 100
      volume_type           = "gp3"
      encrypted             = true
      delete_on_termination = true
    }
  }
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  dynamic "tag_specifications" {
    for_each = ["instance", "volume", "network-interface"]
    content {
      resource_type = tag_specifications.value
      tags          = local.host_tags
    }
  }
  user_data = base64encode(<<-SCRIPT
    #!/bin/bash
    cat >> /etc/ecs/ecs.config <<'END'
    ECS_CLUSTER=${local.cluster}
    ECS_AWSVPC_BLOCK_IMDS=true
    ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM=ec2_instance
    ECS_ENABLE_GPU_SUPPORT=true
    END
    dnf install -y amazon-cloudwatch-agent rsyslog && systemctl enable --now rsyslog
    /opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl -a fetch-config -m ec2 -s -c ssm:${aws_ssm_parameter.monitoring.name}
  SCRIPT
  )
  tags = { Name = "${local.cluster}-hosts", gpu-ecs-part = "hosts" }
}

# hosts need the way out at their first boot, their role's rights, and the log groups that they write to
resource "aws_autoscaling_group" "hosts" {
  name                      = "${local.cluster}-hosts"
  min_size                  = 2
  max_size                  = 2
  desired_capacity          = 2
  vpc_zone_identifier       = [for subnet in aws_subnet.private : subnet.id]
  health_check_grace_period = 0
  protect_from_scale_in     = true
  force_delete              = true
  wait_for_capacity_timeout = "0"
  launch_template {
    name    = aws_launch_template.hosts.name
    version = "$Latest"
  }
  dynamic "tag" {
    for_each = merge(local.host_tags, { AmazonECSManaged = "" })
    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }
  depends_on = [
    aws_route.private, aws_route_table_association.private, aws_iam_role_policy_attachment.host,
    aws_cloudwatch_log_group.hosts, aws_ecs_cluster.cluster, aws_vpc_security_group_egress_rule.all,
  ]
}

resource "aws_ecs_capacity_provider" "hosts" {
  name = "${local.cluster}-capacity"
  auto_scaling_group_provider {
    auto_scaling_group_arn         = aws_autoscaling_group.hosts.arn
    managed_termination_protection = "ENABLED"
    managed_draining               = "ENABLED"
    managed_scaling {
      status                    = "ENABLED"
      target_capacity           = 100
      instance_warmup_period    = 300
      minimum_scaling_step_size = 1
      maximum_scaling_step_size = 2
    }
  }
  tags = { Name = "${local.cluster}-capacity", gpu-ecs-part = "capacity" }
}

resource "aws_ecs_cluster_capacity_providers" "hosts" {
  cluster_name       = aws_ecs_cluster.cluster.name
  capacity_providers = [aws_ecs_capacity_provider.hosts.name]
  default_capacity_provider_strategy {
    capacity_provider = aws_ecs_capacity_provider.hosts.name
    weight            = 1
    base              = 0
  }
}
