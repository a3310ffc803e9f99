"""Who may ask: pages of this server alone, under a name that is its own; and what answers tell the browser.

A page elsewhere can send a browser's requests here, and by a name that it lets point to this machine (DNS
rebinding) make them look like its own. So the name in `Host` has to be one of ours, and what changes or
computes anything has to come from our page.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

#: No frames, no other places, no script or style but our files.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
#: What Sec-Fetch-Site says of a request of our own page, or of none.
OWN_SITE = (None, "same-origin", "none")


@dataclass(frozen=True)
class Guard:
    """What requests may call this server.

    Attributes:
        loopback: it listens to this machine alone, so that other addresses are not its own.
        names: host names besides localhost, in lower case.
    """

    loopback: bool = True
    names: Collection[str] = ()

    def knows(self, host: str | None) -> bool:
        """Whether the header `Host` names this server: by an address, or by a name that is its own."""
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        if not name or not host or "@" in host or "/" in host:
            return False
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name == "localhost" or name in self.names
        return address.is_loopback or not self.loopback

    def trusts(self, host: str | None, origin: str | None, site: str | None) -> bool:
        """Whether a request that asks for work is from our page, or from no page at all.

        Args:
            host, origin, site: the headers Host, Origin and Sec-Fetch-Site.
        """
        if site not in OWN_SITE:
            return False
        return origin is None or origin in (f"http://{host}", f"https://{host}")


def is_loopback(host: str) -> bool:
    """Whether a server that listens on `host` is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
