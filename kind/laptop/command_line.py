"""The command line of `python3 kind/tool.py`: its help, and the message for a wrong argument."""

import argparse
from collections.abc import Collection, Sequence
from typing import NoReturn

_DESCRIPTION = """\
The laptop cluster: installs what is missing, creates Kind clusters, and runs the demo. `make help` lists the
usual ways to call it. It needs Python 3.11 or newer, and Docker or root on Debian or Ubuntu.

commands that do work:
  demo                  create a cluster, install the operator, roll out models
  train-demo            train on images, and roll out the champion on the cluster of the demo
  cluster               create or repair the cluster imageclassifier
  cluster-with-workers  create or repair a second cluster with two workers
  without-workers       delete that second cluster
  engine                start a Docker Engine if none answers
  kubernetes            build Kubernetes, KWOK and the OpenTelemetry Collector, for tests
  install-checkers      build Helm and the other checkers, and unpack Prometheus, for tests
  venv                  create the Python environment .venv
  down                  remove our containers, networks and processes; keep the caches
  clean                 like down, and also remove the caches and logs

commands that print one path or name, after building what is missing:
  kind-binary, kubectl-binary, kubernetes-binary, kwok-binary, cyclonus-binary, helm-binary,
  versitygw-binary, collector-binary, traefik-binary, base-image"""
_EPILOG = """\
settings (environment variables):
  DATA                         train-demo: folder of images, one subfolder for each class (default: drawn)
  MINUTES                      train-demo: minutes for the search (default: 10)
  NODE_IMAGE                   image of the cluster's nodes (default: pulled, else made here)
  BASE_IMAGE                   image below our images (default: pulled, else made here)
  SERVING_IMAGE                image of the model server (default: pulled, else made here)
  XDG_CACHE_HOME               folder above the caches (default: ~/.cache)
  XDG_STATE_HOME               folder above logs and records (default: ~/.local/state)
  IMAGECLASSIFIER_DOCKER_DATA  data of an engine that we start (default: /var/lib/imageclassifier/docker)

example:
  python3 kind/tool.py cluster
  $(python3 kind/tool.py kubectl-binary) --context kind-imageclassifier get nodes

exit codes:
  0    done
  1    a step failed; its message names the log
  2    an argument is invalid
  130  interrupted; the same command continues
"""


class Parser(argparse.ArgumentParser):
    """Reports a wrong argument in one line, with exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Print the message and end."""
        self.exit(2, f"{self.prog}: {message}. Run `{self.prog} --help`.\n")


def parse(arguments: Sequence[str], commands: Collection[str]) -> str:
    """The command that the command line names."""
    parser = Parser(
        prog="kind/tool.py",
        usage="python3 kind/tool.py COMMAND",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("command", metavar="COMMAND", help=argparse.SUPPRESS)
    name: str = parser.parse_args(arguments).command
    if name not in commands:
        parser.error(f"unknown command '{name}'")
    return name
