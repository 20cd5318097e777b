"""Container images of the operator, the gateway, the model server and models, and their way into a Kind
cluster.

`kind/build_images.py` is the command. What goes into an image and what it is called is decided by pure
functions (`recipes`, `trees`, `layout`); `packages`, `docker` and `nodes` do the work.
"""
