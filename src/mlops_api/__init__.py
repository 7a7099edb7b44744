"""An MLOps platform: one API in two modes, local and aws. See docs/adr/ for the lasting choices."""
