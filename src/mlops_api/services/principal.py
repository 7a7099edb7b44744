"""Who asks. Made by the authentication layer, never from a header or body a client can write freely."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Principal:
    name: str


PLATFORM = Principal("platform")
"""The platform itself, reacting to an event."""
