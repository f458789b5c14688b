"""What every emulated service stands on: the wire, the world and its clock, the tables of handlers and of doors, faults.

Nothing here knows a service: they import the core, and put themselves into its tables.
"""
