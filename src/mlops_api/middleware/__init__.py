"""ASGI layers around the app, outermost first: request log, host check, authentication, body cap."""
