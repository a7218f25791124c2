"""
Power loss under SQLite itself: the real store on a disk that forgets what was not synced.

kill -9 never shows a missing sync, since the page cache survives it. Here SQLite's own file calls
go through a virtual file system (apsw) into memory, where a power cut leaves of the sectors that
were written since the last sync any subset, as a drive may.
"""

from drone_sim.power.disk import PowerCut, PowerDisk
from drone_sim.power.medium import PowerMedium

__all__ = ["PowerCut", "PowerDisk", "PowerMedium"]
