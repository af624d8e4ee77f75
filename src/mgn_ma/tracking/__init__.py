"""MLflow: the run of every `kedro run`, live curves of its members, and whether a server is there at all."""
