"""Route 53: zones and records."""
