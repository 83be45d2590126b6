"""The addresses by which other machines of the network reach this one."""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import ip_address

__all__ = ["network_addresses"]

# Reserved for documentation: no machine has it, and nothing is sent to it.
SOMEWHERE = ("192.0.2.1", 9)


def network_addresses() -> list[str]:
    """Return the addresses of this machine in its networks, the likeliest first; none without one.

    The likeliest is the one from which this machine would send to another network.
    """
    found = []
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outward:
        outward.connect(SOMEWHERE)
        found.append(outward.getsockname()[0])
    with suppress(OSError):
        found += socket.gethostbyname_ex(socket.gethostname())[2]
    return [address for address in dict.fromkeys(found) if _is_reached(address)]


def _is_reached(address: str) -> bool:
    known = ip_address(address)
    return not (known.is_loopback or known.is_unspecified)
