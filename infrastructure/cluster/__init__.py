"""What endpoints share: network, file systems, load balancer, GPU capacity."""
