"""Parses users' URLs. Refuses a URL that two programs could read differently."""

from __future__ import annotations

import ipaddress
import re
import urllib.parse
from dataclasses import dataclass

#: Presigned URLs with a session token have 1,500 to 4,000 characters.
_MAX_URL_LENGTH = 8192
_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)*\Z"
)
#: If the last label is a number, resolvers read the whole name as an IPv4 address (WHATWG URL, 3.5).
_ENDS_IN_A_NUMBER = re.compile(r"(.*\.)?([0-9]+|0[xX][0-9a-fA-F]*)\Z")


class FetchError(Exception):
    """The picture cannot be fetched. `cause` is one of problems.CAUSES, `outcome` the metric's label."""

    def __init__(self, cause: str, outcome: str, sentence: str) -> None:
        super().__init__(sentence)
        self.cause = cause
        self.outcome = outcome


def refused(sentence: str) -> FetchError:
    """The error for a URL or address from which the gateway must not fetch."""
    return FetchError("url-refused", "refused", sentence)


@dataclass(frozen=True)
class Target:
    """The parts of a valid URL."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The host and the port, also if it is the default one."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def host_header(self) -> str:
        """The value of the Host header, which does not name the default port."""
        return self.authority.removesuffix(":443" if self.scheme == "https" else ":80")

    @property
    def url(self) -> str:
        """The URL in its normal form."""
        return f"{self.scheme}://{self.host_header}{self.path}"


def parse_url(url: str) -> Target:
    """Parse a URL. Raises FetchError if it is invalid, or if two programs could read it differently."""
    # Users copy URLs with the line break behind them. Browsers remove it, and encode spaces in the path.
    url = url.strip(" \t\r\n")
    if len(url) > _MAX_URL_LENGTH:
        raise refused(f"The URL is longer than {_MAX_URL_LENGTH} characters.")
    if any(ord(character) < 32 or ord(character) == 127 or character == "\\" for character in url):
        raise refused("The URL contains a control character or a backslash.")
    if any("\ud800" <= character <= "\udfff" for character in url):
        raise refused("The URL contains an invalid character (a lone surrogate).")
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:
        raise refused("The URL is malformed.") from None
    if parts.scheme not in ("http", "https"):
        raise refused("The URL must begin with http:// or https://.")
    if "@" in parts.netloc:
        raise refused("The URL contains a user name or password, which the gateway does not send. Remove it.")
    if port == 0:
        raise refused("The URL's port is 0.")
    path = urllib.parse.quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    if parts.query:
        path += "?" + urllib.parse.quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
    return Target(
        parts.scheme,
        _host(parts.netloc, parts.hostname),
        port or (443 if parts.scheme == "https" else 80),
        path,
    )


def _host(netloc: str, host: str | None) -> str:
    if not host:
        raise refused("The URL has no host.")
    if netloc.startswith("["):
        try:
            if "%" not in host:  # a zone id, which is valid on one machine only
                return str(ipaddress.IPv6Address(host))
        except ValueError:
            pass
        raise refused("The host in the URL is not a plain IPv6 address.")
    try:
        # This also turns full-width digits and dots into ASCII before the checks below.
        name = host.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        raise refused("The host in the URL is not a valid name.") from None
    try:
        return str(ipaddress.IPv4Address(name))
    except ValueError:
        pass
    if _ENDS_IN_A_NUMBER.match(name) or not _HOST_NAME.match(name):
        raise refused("The host in the URL is neither a valid name nor an address in its usual form.")
    return name
