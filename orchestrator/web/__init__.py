"""The face for other programs: Locksmith as an HTTP API, and what a monitoring scrapes."""
