"""The read noise of a device of one's own, and the profile that uses it."""
