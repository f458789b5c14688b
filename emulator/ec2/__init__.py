"""EC2: moto with AWS's own delays, orders and refusals in front of it.

region (what the others share), network (VPCs to NAT gateways), addresses, security_groups, interfaces (who holds what),
templates (launch templates), types (instance types and images), instances and run (instances, and the calls for them).
"""
