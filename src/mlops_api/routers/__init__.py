"""HTTP routes: a typed signature and one service call each."""
