"""HTTP routes: a typed signature and one service call each.

Nothing is imported here: a router is loaded by the first request for a path that begins as its paths do.
"""

ROUTERS = {
    "datasets": ("datasets", "recipes"),
    "pipelines": ("pipelines",),
    "training": ("training",),
    "models": ("models",),
    "inference": ("inference",),
    "dashboard": ("dashboard",),
    "monitoring": ("monitoring",),
    "health": ("health",),
    **dict.fromkeys(("", "ui", "docs", "favicon.ico"), ("pages",)),
}
"""How paths begin -> the modules of this package that have them. A test compares it with their routes."""

ALL = tuple(dict.fromkeys(name for names in ROUTERS.values() for name in names))
"""Every module, in the order of the schema."""


def routers_of(path: str) -> tuple[str, ...]:
    """The modules that may have a route for this path."""
    return ROUTERS.get(path.split("/", 2)[1], ()) if path.startswith("/") else ()
