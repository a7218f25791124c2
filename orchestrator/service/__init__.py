"""The use cases of an orchestrator: push, recover, force, read. Each takes a World of ports."""
