"""Explores a data set before training: measurements, duplicates, doubtful labels, outliers, a report."""
