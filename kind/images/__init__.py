"""Builds the container images of the operator, the gateway, the model server and models.

`kind/build_images.py` is the command. Pure functions decide the contents and the names of the images
(`recipes`, `trees`, `layout`). `packages` and `docker` build them, and `load_into_nodes` loads them into a
Kind cluster.
"""
