"""Trains image classifiers and exports them as SavedModels that describe themselves."""
