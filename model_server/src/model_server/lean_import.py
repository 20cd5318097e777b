"""TensorFlow without its public Python API, for a process that only runs graphs.

`import tensorflow` takes 12.8 s of one busy core's time and 610 MB here, most of it for thousands of modules
of API and Keras. The runtime itself, with sessions and the SavedModel loader, takes 2.6 s and 400 MB. So the
server puts an empty package of that name in place, before anything imports it: `tensorflow.python...` and
`tensorflow.core...` are then found as always, and `tensorflow/__init__.py` is never run.
"""

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType


def leave_out_public_api() -> None:
    """Let `import tensorflow.x.y` skip `tensorflow/__init__.py` in this process.

    Call it before any import of TensorFlow.
    """
    spec: ModuleSpec | None = importlib.util.find_spec("tensorflow")
    if "tensorflow" in sys.modules or spec is None:
        return
    package = ModuleType("tensorflow")
    package.__spec__ = spec
    package.__path__ = list(spec.submodule_search_locations or [])
    sys.modules["tensorflow"] = package
