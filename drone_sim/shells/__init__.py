"""
The whole program in virtual time: unchanged services and agents over a simulated world.

Read :mod:`.loop` first, then :mod:`.world`.
"""
