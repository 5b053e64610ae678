"""Hosts in addresses: their one normal form, and which are this machine itself. Pure; asks no resolver."""

from __future__ import annotations

from ipaddress import ip_address


def normal_host(host: str) -> str:
    """Return a host as it is compared: an IP address in its shortest form (``0:0::1`` is ``::1``), a name as it is."""
    try:
        return str(ip_address(host))
    except ValueError:
        return host


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine itself: ``localhost``, or an address that leads nowhere else."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
