"""One folder a pipeline; nodes are thin and call the rooms beside this one."""
