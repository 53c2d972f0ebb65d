"""What runs and sweeps take on several processes: scripts run by `python -m benchmarks.scale.<name>`."""
