"""
A fleet that does not exist: the real cores in simulated worlds, over a simulated or a real broker.

The theory of operation is in README.md.
"""
