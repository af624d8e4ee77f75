"""What a process of its own runs: spawned ones import it by name, which a test's module doesn't have for them."""

from mgn_ma.tracking.tracker import MlflowTracker


def write_members(database, experiment_id, parent, first):
    """Three nested runs with a parameter and a curve each."""
    tracker = MlflowTracker(database, experiment_id, parent)
    for index in range(first, first + 3):
        with tracker.member(f"parallel_{index}", {"seed": index}) as log:
            for step in range(1, 11):
                log({"loss": index + 1 / step}, step)
