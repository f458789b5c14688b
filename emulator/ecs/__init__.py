"""ECS. moto's is too far from AWS, so nothing of it is used.

clusters, providers, definitions, tasks, services, instances and execute_command answer calls; state is what they share,
checks what they refuse, views how a cluster is shown. Behind tasks are life (one task's steps), placement, problems (what
keeps it from starting), containers (what runs in it) and targets (its place behind a load balancer). What happens on
instances is in agent, what happens to services in service_scheduler, and how Spot capacity ends in spot.
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/Welcome.html
"""
