"""Whether an address is a venue's own."""

from urllib.parse import urlsplit

HTTPS_PORTS: frozenset[int | None] = frozenset({None, 443})


def is_host_of(
    url: str, scheme: str, hosts: frozenset[str], ports: frozenset[int | None] = HTTPS_PORTS
) -> bool:
    """Whether a URL has the scheme and leads to one of the hosts at one of the ports."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme == scheme and parts.hostname in hosts and port in ports
