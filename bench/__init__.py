"""Figures of this platform, measured: `python -m bench [name ...] [--json] [--verbose]`. docs/bench.md says how."""
