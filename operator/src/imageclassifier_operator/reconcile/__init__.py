"""One reconciliation of one ImageClassifier: snapshot, decide, write the children, routing and status."""
