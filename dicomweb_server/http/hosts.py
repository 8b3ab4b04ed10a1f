"""Names of hosts: what may stand in a URL, and which of them are this machine."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?")


@lru_cache(maxsize=256)
def is_host(text: str) -> bool:
    """Whether a text is a host with or without port, and nothing that could change a URL."""
    return len(text) <= 255 and _HOST.fullmatch(text) is not None


@lru_cache(maxsize=256)
def has_no_port(host: str) -> bool:
    """Whether a host stands without port."""
    match = _HOST.fullmatch(host)
    return match is not None and match.group(2) is None


@lru_cache(maxsize=256)
def is_loopback_name(host: str) -> bool:
    """Whether a `Host` header names this machine: `localhost`, 127.0.0.0/8 or `[::1]`."""
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = match.group(1).strip("[]").lower()
    return name == "localhost" or name.endswith(".localhost") or is_loopback_address(name)


@lru_cache(maxsize=256)
def is_loopback_address(address: str) -> bool:
    """Whether an IP address is of this machine; a Unix socket has no address and counts."""
    if not address:
        return True
    try:
        parsed = ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback
