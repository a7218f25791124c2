"""
The face ``aimctl``: parses a command line, asks the services, shows what came of it.

Every command is a function that takes a :class:`~orchestrator.cli.context.Context` and returns
its exit code. Results go to stdout, everything else to stderr; what is shown as text and what as
JSON is one call of a :class:`~orchestrator.cli.view.View`.
"""
