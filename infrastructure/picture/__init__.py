"""What draw_cluster.py draws: what stands now, as nested boxes, with what each costs an hour and what is wrong with it."""
