# What runs on it: the task definition, and the service with its target group, its rule and its scaling.

locals {
  log_configuration = {
    logDriver = "awslogs"
    options = {
      awslogs-group         = aws_cloudwatch_log_group.containers.name
      awslogs-region        = "us-east-1"
      awslogs-stream-prefix = "main"
    }
  }
  mount_points = [{ sourceVolume = "workspace", containerPath = "/workspace", readOnly = false }]
  steps = {
    scale-out = { change = 1, threshold = 90, comparison = "GreaterThanThreshold", minutes = 3 }
    scale-in  = { change = -1, threshold = 70, comparison = "LessThanThreshold", minutes = 10 }
  }
}

resource "aws_cloudwatch_log_group" "containers" {
  name              = "/ecs/${local.cluster}"
  retention_in_days = 365
}

resource "aws_ecs_task_definition" "clara" {
  family                   = "clara"
  requires_compatibilities = ["EC2"]
  network_mode             = "bridge"
  cpu                      = "7168"
  memory                   = "24576"
  execution_role_arn       = aws_iam_role.task_execution.arn
  task_role_arn            = aws_iam_role.task.arn
  volume {
    name = "workspace"
    efs_volume_configuration {
      file_system_id     = aws_efs_file_system.files.id
      transit_encryption = "ENABLED"
      authorization_config {
        access_point_id = aws_efs_access_point.workspace.id
        iam             = "ENABLED"
      }
    }
  }
  container_definitions = jsonencode([
    {
      name                 = "main"
      image                = "nvcr.io/nvidia/clara-train-sdk:v3.1.01"
      essential            = true
      portMappings         = [{ containerPort = 443, hostPort = 0, protocol = "tcp" }]
      mountPoints          = local.mount_points
      logConfiguration     = local.log_configuration
      entryPoint           = ["sh", "-c"]
      command              = ["start_aas.sh --debug 1 --ssl true --ssl_cert_file /workspace/certs/clara.crt --ssl_pkey_file /workspace/certs/clara.key --workspace /workspace/AIAA"]
      dependsOn            = [{ containerName = "certificate", condition = "SUCCESS" }]
      resourceRequirements = [{ type = "GPU", value = "1" }]
      linuxParameters      = { sharedMemorySize = 6144 }
    },
    {
      name              = "certificate"
      image             = "alpine/openssl:3.3.3"
      essential         = false
      entryPoint        = ["sh", "-c"]
      command           = ["mkdir -p /workspace/certs && openssl x509 -checkend 2592000 -noout -in /workspace/certs/clara.crt || openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=clara -keyout /workspace/certs/clara.key -out /workspace/certs/clara.crt"]
      memoryReservation = 64
      mountPoints       = local.mount_points
      logConfiguration  = local.log_configuration
    },
  ])
  tags = { Name = "${local.cluster}-task", gpu-ecs-part = "task" }
}

resource "aws_lb_target_group" "clara" {
  name                 = "${local.cluster}-tg"
  vpc_id               = aws_vpc.vpc.id
  target_type          = "instance"
  protocol             = "HTTPS"
  port                 = 443
  deregistration_delay = 60
  health_check {
    protocol            = "HTTPS"
    path                = "/docs/"
    matcher             = "200-299"
    interval            = 30
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
  tags = { Name = "${local.cluster}-tg", gpu-ecs-part = "tg" }
}

resource "aws_lb_listener_rule" "clara" {
  listener_arn = aws_lb_listener.https.arn
  priority     = 1
  condition {
    path_pattern {
      values = ["/*"]
    }
  }
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.clara.arn
  }
  tags = { Name = "${local.cluster}-rule", gpu-ecs-part = "rule" }
}

# a task needs its volume's mount targets, its role's rights, and the way in for the health check
resource "aws_ecs_service" "clara" {
  name                               = "clara"
  cluster                            = aws_ecs_cluster.cluster.id
  task_definition                    = "clara:${aws_ecs_task_definition.clara.revision}"
  desired_count                      = 1
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  health_check_grace_period_seconds  = 180
  enable_ecs_managed_tags            = true
  availability_zone_rebalancing      = "ENABLED"
  propagate_tags                     = "SERVICE"
  wait_for_steady_state              = true
  capacity_provider_strategy {
    capacity_provider = aws_ecs_capacity_provider.hosts.name
    weight            = 1
    base              = 0
  }
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
  load_balancer {
    target_group_arn = aws_lb_target_group.clara.arn
    container_name   = "main"
    container_port   = 443
  }
  tags = { Name = "${local.cluster}-service", gpu-ecs-part = "service" }
  depends_on = [
    aws_lb_listener_rule.clara, aws_efs_mount_target.files, aws_iam_role_policy.task,
    aws_iam_role_policy_attachment.task_execution, aws_ecs_cluster_capacity_providers.hosts,
    aws_vpc_security_group_ingress_rule.containers, aws_vpc_security_group_ingress_rule.nfs,
  ]
}

resource "aws_appautoscaling_target" "clara" {
  service_namespace  = "ecs"
  resource_id        = "service/${aws_ecs_cluster.cluster.name}/${aws_ecs_service.clara.name}"
  scalable_dimension = "ecs:service:DesiredCount"
  min_capacity       = 1
  max_capacity       = 2
  tags               = { Name = "${local.cluster}-scaling", gpu-ecs-part = "scaling" }
}

resource "aws_appautoscaling_policy" "clara" {
  for_each           = local.steps
  name               = "${local.cluster}-${each.key}"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.clara.service_namespace
  resource_id        = aws_appautoscaling_target.clara.resource_id
  scalable_dimension = aws_appautoscaling_target.clara.scalable_dimension
  step_scaling_policy_configuration {
    adjustment_type         = "ChangeInCapacity"
    cooldown                = 1800
    metric_aggregation_type = "Average"
    step_adjustment {
      metric_interval_lower_bound = each.value.change > 0 ? "0" : null
      metric_interval_upper_bound = each.value.change < 0 ? "0" : null
      scaling_adjustment          = each.value.change
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "clara" {
  for_each            = local.steps
  alarm_name          = "${local.cluster}-${each.key}"
  alarm_description   = "CPU ${each.value.comparison} ${each.value.threshold} % for ${each.value.minutes} min"
  namespace           = "AWS/ECS"
  metric_name         = "CPUUtilization"
  dimensions          = { ClusterName = aws_ecs_cluster.cluster.name, ServiceName = aws_ecs_service.clara.name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = each.value.minutes
  threshold           = each.value.threshold
  comparison_operator = each.value.comparison
  alarm_actions       = [aws_appautoscaling_policy.clara[each.key].arn]
  tags                = { Name = "${local.cluster}-${each.key}", gpu-ecs-part = each.key }
}
