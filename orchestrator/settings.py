"""
Where the program finds its store and its broker, and who said so.

A value comes from the first of these that has it: flag, environment, project file, user file,
default. The project file is ``aimctl.toml`` in the working directory or in one above it, up to
the one that holds ``.git``; the user file is ``config.toml`` in the user's configuration
directory. Both have the same five keys: ``store``, ``broker``, ``output``, ``log_level``,
``no_color``. A relative ``sqlite:///`` path in a file is relative to that file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

from orchestrator.errors import Exit, OperatingError

PROJECT_FILE: Final = "aimctl.toml"
USER_FILE: Final = "config.toml"
FILE_BYTES_MAX: Final = 64 * 1024
VALUE_CHARS_MAX: Final = 1000

OUTPUTS: Final = ("text", "json", "jsonl")
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
STORE_SCHEMES: Final = ("sqlite", "postgresql", "postgres", "memory")
BROKER_SCHEMES: Final = ("mqtt", "mqtts")
BROKER: Final = "mqtt://localhost:1883"

_SQLITE: Final = "sqlite:///"
_LIKE: Final = {"store": "sqlite:////var/lib/aim/journal.sqlite", "broker": BROKER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A value and where it came from; ``shown`` is fit for messages: it holds no password."""

    name: str
    value: str
    origin: str

    @property
    def shown(self) -> str:
        """The value without user and password."""
        return redacted(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings. ``no_color`` is ``"true"`` or ``"false"``."""

    store: Setting
    broker: Setting
    output: Setting
    log_level: Setting
    no_color: Setting

    def all(self) -> tuple[Setting, ...]:
        """Return them in the order of the help."""
        return (self.store, self.broker, self.output, self.log_level, self.no_color)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What is looked at: flags by name, the environment, and directories."""

    flags: Mapping[str, str | None] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path
    user_config: Path
    user_state: Path


def places(flags: Mapping[str, str | None], environment: Mapping[str, str]) -> Places:
    """Return the places of this process and its user."""
    from platformdirs import user_config_path, user_state_path  # noqa: PLC0415 - on demand

    return Places(
        flags=flags,
        environment=environment,
        directory=Path.cwd(),
        user_config=user_config_path("aimctl"),
        user_state=user_state_path("aimctl"),
    )


def load_settings(where: Places) -> Settings:
    """Find every value. Raises OperatingError (wrong use) that names the source and the key."""
    sources = list(_sources(where))
    return Settings(**{name: _find(name, sources) for name in _CHECKS})


def project_file(directory: Path) -> Path | None:
    """Return the project file of ``directory``, if there is one."""
    for place in (directory, *directory.parents):
        candidate = place / PROJECT_FILE
        if candidate.is_file():
            return candidate
        if (place / ".git").exists():
            return None
    return None


def redacted(value: str) -> str:
    """Return a URL without user and password; a path and other text as they are."""
    scheme, separator, rest = value.partition("://")
    if not separator or "@" not in rest or value.startswith(_SQLITE):
        return value
    return f"{scheme}://{rest.rpartition('@')[2]}"  # a password may hold anything


# --- sources ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    name: Callable[[str], str]
    values: Mapping[str, Any]


def _sources(where: Places) -> Iterator[_Source]:
    yield _Source(name=lambda key: f"flag --{key.replace('_', '-')}", values=where.flags)
    yield _Source(name=_variable, values=_environment(where.environment))
    for kind, path in (
        ("project file", project_file(where.directory)),
        ("user file", where.user_config / USER_FILE),
    ):
        if path is not None and path.is_file():
            yield _file_source(f"{kind} {path}", path)
    yield _Source(name=lambda _key: "default", values=_defaults(where.user_state))


def _variable(key: str) -> str:
    return f"environment {'NO_COLOR' if key == 'no_color' else f'AIMCTL_{key.upper()}'}"


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what the environment says; an empty variable is as good as none (no-color.org)."""
    found = {
        name: environment[f"AIMCTL_{name.upper()}"]
        for name in ("store", "broker", "output", "log_level")
        if environment.get(f"AIMCTL_{name.upper()}")
    }
    return found | ({"no_color": "true"} if environment.get("NO_COLOR") else {})


def _defaults(user_state: Path) -> dict[str, str]:
    return {
        "store": f"{_SQLITE}{user_state.absolute() / 'journal.sqlite'}",
        "broker": BROKER,
        "output": "text",
        "log_level": "warning",
        "no_color": "false",
    }


def _file_source(name: str, path: Path) -> _Source:
    values = _read(name, path)
    unknown = sorted(set(values) - set(_CHECKS))
    if unknown:
        _refuse(name, unknown[0], f"unknown key; known are {', '.join(_CHECKS)}")
    store = values.get("store")
    if isinstance(store, str):
        values["store"] = _beside(store, path)
    return _Source(name=lambda _key: name, values=values)


def _read(name: str, path: Path) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - most runs have no file

    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
        if len(data) > FILE_BYTES_MAX:
            _refuse(name, None, f"it has more than {FILE_BYTES_MAX} bytes")
        return tomllib.loads(data.decode())
    except OSError as error:
        _refuse(name, None, f"it can't be read: {error.strerror or error}")
    except ValueError as error:  # neither UTF-8 nor TOML
        _refuse(name, None, f"it is not TOML: {error}")


def _beside(store: str, path: Path) -> str:
    """Make a relative path of a store relative to the file that names it."""
    name = store.removeprefix(_SQLITE)
    if not store.startswith(_SQLITE) or not name or name.startswith(("/", "~", ":")):
        return store
    return f"{_SQLITE}{path.parent.absolute() / name}"


# --- values -----------------------------------------------------------------------------------


def _find(name: str, sources: list[_Source]) -> Setting:
    for source in sources:
        value = source.values.get(name)
        if value is not None:
            origin = source.name(name)
            return Setting(name=name, value=_CHECKS[name](origin, name, value), origin=origin)
    raise AssertionError(name)  # the defaults have every name


def _text(origin: str, name: str, value: Any) -> str:
    if not isinstance(value, str) or not value or len(value) > VALUE_CHARS_MAX:
        _refuse(origin, name, "must be a text")
    if not value.isprintable():
        _refuse(origin, name, "has characters that can't be printed")
    return value


def _one_of(*known: str) -> Callable[[str, str, Any], str]:
    def check(origin: str, name: str, value: Any) -> str:
        if value not in known:
            _refuse(origin, name, f"must be one of {', '.join(known)}")
        return str(value)

    return check


def _url(*schemes: str) -> Callable[[str, str, Any], str]:
    """Check the scheme alone: what else may be wrong with a URL its adapter knows."""

    def check(origin: str, name: str, value: Any) -> str:
        text = _text(origin, name, value)
        scheme = text.partition(":")[0].lower() if ":" in text else ""
        if scheme.partition("+")[0] not in schemes:
            _refuse(origin, name, f"must be a URL such as {_LIKE[name]}")
        return text

    return check


def _flag(origin: str, name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value not in ("true", "false"):
        _refuse(origin, name, "must be true or false")
    return str(value)


_CHECKS: Final[Mapping[str, Callable[[str, str, Any], str]]] = {
    "store": _url(*STORE_SCHEMES),
    "broker": _url(*BROKER_SCHEMES),
    "output": _one_of(*OUTPUTS),
    "log_level": _one_of(*LOG_LEVELS),
    "no_color": _flag,
}


def _refuse(origin: str, key: str | None, why: str) -> NoReturn:
    """Say what is wrong, never the value: it may hold a password."""
    what = origin if key is None else f"{key} ({origin})"
    raise OperatingError(
        f"a setting can't be used: {what}: {why}",
        exit_code=Exit.USAGE,
        next_command="aimctl doctor --help",
    )
