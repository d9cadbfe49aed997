"""The arguments of a user's own redis-py client, as the fields of a `Target`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from dualcache.errors import UsageError
from dualcache.options.target import Target
from dualcache.options.target_options import checked_option, options_of
from dualcache.options.written import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["A_URL", "VERBATIM", "Colour", "followed", "refusal"]

Colour: TypeAlias = Literal["sync", "async"]

A_URL: Final = "give a URL instead: Cache('redis://host:6379/0')"
TAKEN: Final = ("db", "username", "password", "client_name", "protocol", "socket_keepalive")
"""Fields of a `Target`, taken from the client where its owner wrote them."""
TIMES: Final = ("socket_timeout", "socket_connect_timeout")
"""Taken where they are not redis-py's default: 5 s is longer than a caller of a cache waits."""
VERBATIM: Final = frozenset(
    (
        *("credential_provider", "encoding", "encoding_errors"),
        *("socket_keepalive_options", "socket_type"),
        *("ssl_keyfile", "ssl_certfile", "ssl_password", "ssl_cert_reqs", "ssl_check_hostname"),
        *("ssl_ca_certs", "ssl_ca_path", "ssl_ca_data", "ssl_min_version", "ssl_ciphers"),
        *("ssl_include_verify_flags", "ssl_exclude_verify_flags"),
    )
)
"""Passed on to redis-py as they are: both colours spell them alike."""
IMMATERIAL: Final = frozenset(
    (
        *("host", "port", "path", "decode_responses"),  # looked at elsewhere
        *("retry", "retry_on_error", "retry_on_timeout", "health_check_interval"),
        *("socket_read_size", "parser_class", "command_packer", "legacy_responses"),
        *("driver_info", "lib_name", "lib_version", "event_dispatcher", "himport_registry"),
        *("maint_notifications_config", "maint_notifications_pool_handler"),
        *("orig_host_address", "orig_socket_timeout", "orig_socket_connect_timeout"),
        *("cache", "cache_config"),
    )
)
"""Arguments that change neither the server of a connection nor its user."""
OF_THE_PLACE: Final = (
    *("db", "username", "password"),
    *("sentinel_username", "sentinel_password", "sentinel_ssl"),
)


def followed(
    arguments: Mapping[str, Any],
    options: Mapping[str, Any],
    place: Mapping[str, Any],
    default: Any,
    known: Collection[str] = (),
) -> Target:
    """Return the target that a client's arguments and the options beside it make.

    `place` are the fields that say where it is, `default` a connection of redis-py's as it makes
    them unasked, `known` further arguments that are looked at elsewhere. Raises `UsageError` for an
    argument that is not known here.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    for name in given.keys() - VERBATIM - IMMATERIAL - {*TAKEN, *TIMES, *known}:
        if given[name]:
            raise refusal(f"is made with {name}", f"make it without, or {A_URL}")
    fields = _checked(given, default) | _options(options, place["scheme"])
    verbatim = {name: value for name, value in given.items() if name in VERBATIM}
    return Target(kind="redis", redis_arguments=verbatim, **{**place, **fields})


def refusal(what: str, fix: str) -> UsageError:
    """Return the error of a client whose connections ours cannot follow."""
    return UsageError(
        f"the client {what}: the cache cannot connect in the same way", code="DC187", help=fix
    )


def _checked(given: Mapping[str, Any], default: Any) -> dict[str, Any]:
    """Return the arguments that are fields of a `Target`, checked as options of a URL."""
    # redis-py writes its defaults among the client's arguments: they cannot be told from a time-out
    # that the user wrote, but by their value.
    found: dict[str, Any] = {}
    for name in (*TAKEN, *TIMES):
        value = given.get(name)
        is_default = name in TIMES and value == getattr(default, name)
        if value is not None and value != "" and not is_default:
            found[name] = checked_option(name, value)
    return found


def _options(options: Mapping[str, Any], scheme: str) -> dict[str, Any]:
    """Return the options beside a client, checked; those that would lead elsewhere are refused."""
    for name in OF_THE_PLACE:
        if name in options:
            raise UsageError(
                f"{name} of Cache() and a client contradict each other",
                code="DC188",
                help=f"make the client with {name}, or {A_URL}",
            )
    refuse_unknown(options, options_of(scheme), owner="a client's Cache()")
    return {k: checked_option(k, value) for k, value in options.items() if value is not None}
