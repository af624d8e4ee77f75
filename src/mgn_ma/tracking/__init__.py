"""MLflow: runs, the served model, promotion. The only room that knows MLflow."""
