"""Exported models: writes a SavedModel, checks it in a fresh process, describes it and runs it."""
