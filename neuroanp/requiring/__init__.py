"""Say what a device must reach: sweep each parameter of its profile, and hold the results to a target."""
