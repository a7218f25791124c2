"""
What others do, on the same seeds: how often their fleets end up mixed.

Two scripts play the story that a seed draws, with the same devices, links, crashes and operators:

``retained``  takes a lock file, publishes each device's configuration as a retained message, one
              after the other, and removes the lock file. It is how most fleets are configured
              over MQTT.
``deleted``   two-phase commit with votes, durable yeses and a retained decision for each device,
              whose lock is merely deleted by a forced unlock, as Terraform's is: nobody resolves
              what was open, and nobody fences who held it.

Both are given the benefit of the doubt:

- What a link loses is sent again as soon as TCP would, and in order; a device that was away has a
  session that was kept for it, and is given what was retained too. Only a broker that forgets, or
  drops from a full queue, loses anything.
- A script that is cut off, or whose broker is down, waits and goes on where it was.
- What a device can't take now it takes when it can. A unit without a configuration operates
  nothing, and so is never mixed with anybody; a device that is retired is out of the fleet.
- Stores, clocks, words of people and disks that lie do them no harm: what is beyond our design
  is not held against theirs. A file that was damaged is noticed, and right again after the boot.
- A push that leaves devices out leaves none out.
"""

from drone_sim.baseline.play import Mixed, play
from drone_sim.baseline.scripts import SCRIPTS

__all__ = ["SCRIPTS", "Mixed", "play"]
