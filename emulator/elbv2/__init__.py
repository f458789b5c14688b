"""Elastic Load Balancing.

moto forgives too much here (one subnet, any listener twice, every target healthy at once) and refuses what AWS allows
(the same target group again, several host names), so all of it is imitated: load balancers in balancers, target groups
in target_groups, listeners and rules in listeners; what they share is in state.
https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/Welcome.html
"""
