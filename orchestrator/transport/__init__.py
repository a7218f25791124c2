"""
Messages between the orchestrator and the devices, behind :class:`orchestrator.ports.Transport`.

``topics`` says where a message travels and ``codec`` what it looks like: both are pure. ``mqtt``
(any broker) and ``memory`` (tests) are the two transports; ``embedded`` runs a broker for those
who have none. Nothing is re-exported here: importing ``topics`` must not load an MQTT library.
"""
