"""What bench.py measures: processes, calls and AWS's own times, on an emulated AWS."""
