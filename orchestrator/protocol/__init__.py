"""The pure core: no I/O, clock, randomness, logging or await. Start with README.md."""
