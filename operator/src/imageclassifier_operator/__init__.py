"""The ImageClassifier operator: brings up, rolls out and truthfully reports image classifiers."""
