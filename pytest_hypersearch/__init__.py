"""Hyperparameter sweeps as pytest tests."""
