"""What emulated containers can run, beyond what ecs.containers knows: a program puts itself into its table PROGRAMS."""
