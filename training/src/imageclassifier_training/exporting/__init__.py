"""Exported models: writing a SavedModel, checking it in a fresh process, describing and running it."""
