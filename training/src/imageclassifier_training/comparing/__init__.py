"""Compares finished trainings on the same images, and chooses the champion."""
