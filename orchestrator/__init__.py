"""
Atomic configuration of a fleet: two-phase commit over MQTT, with locks that name their owner.

The story and the words are in README.md; the theory of operation is in protocol/README.md.
"""

__version__ = "0.1.0"
