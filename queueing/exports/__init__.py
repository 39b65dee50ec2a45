"""Runs for the tools of others: TensorBoard's event files, MLflow's tracking store."""
