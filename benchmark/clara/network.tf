# The VPC with two public and two private subnets, a NAT gateway in each zone, a free S3 endpoint, and security groups.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.0"
    }
  }
}

provider "aws" {
  region                  = "us-east-1"
  skip_metadata_api_check = true
  default_tags {
    tags = { gpu-ecs-cluster = local.cluster }
  }
}

variable "certificate_arn" {
  type        = string
  description = "ACM certificate of the HTTPS listener: issued, and in this region."
}

locals {
  cluster = "clara-train"
  private = { "1" = "10.0.0.0/19", "2" = "10.0.32.0/19" }
  public  = { "1" = "10.0.128.0/20", "2" = "10.0.144.0/20" }
  zones   = { for number in keys(local.private) : number => sort(data.aws_ec2_instance_type_offerings.zones.locations)[tonumber(number) - 1] }
}

data "aws_caller_identity" "account" {}

data "aws_ec2_instance_type_offerings" "zones" {
  location_type = "availability-zone"
  filter {
    name   = "instance-type"
    values = ["g4dn.2xlarge"]
  }
}

resource "aws_vpc" "vpc" {
  cidr_block           = "10.0.0.0/16"
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = { Name = "${local.cluster}-vpc", gpu-ecs-part = "vpc" }
}

resource "aws_internet_gateway" "gateway" {
  vpc_id = aws_vpc.vpc.id
  tags   = { Name = "${local.cluster}-internet-gateway", gpu-ecs-part = "internet-gateway" }
}

resource "aws_subnet" "public" {
  for_each                = local.public
  vpc_id                  = aws_vpc.vpc.id
  cidr_block              = each.value
  availability_zone       = local.zones[each.key]
  map_public_ip_on_launch = true
  tags                    = { Name = "${local.cluster}-public-${each.key}", gpu-ecs-part = "public-${each.key}" }
}

resource "aws_subnet" "private" {
  for_each          = local.private
  vpc_id            = aws_vpc.vpc.id
  cidr_block        = each.value
  availability_zone = local.zones[each.key]
  tags              = { Name = "${local.cluster}-private-${each.key}", gpu-ecs-part = "private-${each.key}" }
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.vpc.id
  tags   = { Name = "${local.cluster}-public", gpu-ecs-part = "public" }
}

resource "aws_route_table" "private" {
  for_each = local.private
  vpc_id   = aws_vpc.vpc.id
  tags     = { Name = "${local.cluster}-private-${each.key}", gpu-ecs-part = "private-${each.key}" }
}

resource "aws_route" "public" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.gateway.id
}

resource "aws_route" "private" {
  for_each               = local.private
  route_table_id         = aws_route_table.private[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.nat[each.key].id
}

resource "aws_route_table_association" "public" {
  for_each       = local.public
  subnet_id      = aws_subnet.public[each.key].id
  route_table_id = aws_route_table.public.id
}

resource "aws_route_table_association" "private" {
  for_each       = local.private
  subnet_id      = aws_subnet.private[each.key].id
  route_table_id = aws_route_table.private[each.key].id
}

resource "aws_eip" "nat" {
  for_each = local.public
  domain   = "vpc"
  tags     = { Name = "${local.cluster}-nat-${each.key}", gpu-ecs-part = "nat-${each.key}" }
}

resource "aws_nat_gateway" "nat" {
  for_each      = local.public
  subnet_id     = aws_subnet.public[each.key].id
  allocation_id = aws_eip.nat[each.key].id
  tags          = { Name = "${local.cluster}-nat-${each.key}", gpu-ecs-part = "nat-${each.key}" }
  depends_on    = [aws_internet_gateway.gateway]
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id          = aws_vpc.vpc.id
  service_name    = "com.amazonaws.us-east-1.s3"
  route_table_ids = concat([aws_route_table.public.id], [for table in aws_route_table.private : table.id])
  tags            = { Name = "${local.cluster}-s3", gpu-ecs-part = "s3" }
}

resource "aws_security_group" "load_balancer" {
  name        = "${local.cluster}-load-balancer"
  description = "Load balancer in front of the ECS cluster"
  vpc_id      = aws_vpc.vpc.id
  tags        = { Name = "${local.cluster}-load-balancer", gpu-ecs-part = "load-balancer" }
}

resource "aws_security_group" "hosts" {
  name        = "${local.cluster}-hosts"
  description = "Hosts of the ECS cluster"
  vpc_id      = aws_vpc.vpc.id
  tags        = { Name = "${local.cluster}-hosts", gpu-ecs-part = "hosts" }
}

resource "aws_security_group" "file_system" {
  name        = "${local.cluster}-file-system"
  description = "EFS mount targets"
  vpc_id      = aws_vpc.vpc.id
  tags        = { Name = "${local.cluster}-file-system", gpu-ecs-part = "file-system" }
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each          = toset(["443", "80"])
  security_group_id = aws_security_group.load_balancer.id
  ip_protocol       = "tcp"
  from_port         = tonumber(each.key)
  to_port           = tonumber(each.key)
  cidr_ipv4         = "203.0.113.0/24"
  description       = "clients"
}

resource "aws_vpc_security_group_ingress_rule" "containers" {
  security_group_id            = aws_security_group.hosts.id
  ip_protocol                  = "tcp"
  from_port                    = 32768
  to_port                      = 65535
  referenced_security_group_id = aws_security_group.load_balancer.id
  description                  = "container port"
}

resource "aws_vpc_security_group_ingress_rule" "nfs" {
  security_group_id            = aws_security_group.file_system.id
  ip_protocol                  = "tcp"
  from_port                    = 2049
  to_port                      = 2049
  referenced_security_group_id = aws_security_group.hosts.id
  description                  = "NFS"
}

# the provider takes away the rule with which EC2 lets everything out of a new group
resource "aws_vpc_security_group_egress_rule" "all" {
  for_each = {
    load_balancer = aws_security_group.load_balancer.id
    hosts         = aws_security_group.hosts.id
    file_system   = aws_security_group.file_system.id
  }
  security_group_id = each.value
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
}
