"""The lock of a fleet: who owns it, whether that owner lives, and who keeps it alive."""
