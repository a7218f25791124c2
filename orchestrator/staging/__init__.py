"""
From files to a plan: load, check, merge overlays, bundle by content, difference, plan.

The path of a configuration: ``load`` (text to a document with positions) → ``overlay`` (what each
device will run) → ``bundle`` (canonical bytes and digests) → ``plan`` (the frozen difference
that is pushed). ``lint`` walks the same path and tells everything it finds; ``checks`` is the
part that a device repeats before it votes: limits of the hardware, and physics.

``kinds`` has the kinds of devices, one file each; ``flight`` what the state of one says against a
change; ``migrations`` how a configuration of an older schema becomes one of the newest.
"""
