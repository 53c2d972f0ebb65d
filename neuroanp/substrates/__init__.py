"""Arrays of devices with their converters, their noise and their books."""
