"""Run a function over videos or members: in this process, or on a Ray cluster."""
