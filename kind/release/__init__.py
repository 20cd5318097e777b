"""Cuts a release: images, SBOMs, licences, an installation with pinned digests, provenance and checksums.

`kind/cut_release.py` is the command, and docs/releasing.md describes the results. `contents` and `components`
find out what is in an image. `sbom`, `licences` and `provenance` describe it. All of them are pure functions.
`archive` writes an image as it will lie in a registry, and `cut` has the steps.
"""
