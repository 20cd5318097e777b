"""Measures how good a model is: metrics, the evaluation of an exported model, and its HTML report."""
