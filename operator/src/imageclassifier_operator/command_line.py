"""The command line of the operator: it has no options, only `--help` and settings from the environment."""

import argparse
import textwrap
from collections.abc import Iterable, Sequence
from typing import NoReturn

from imageclassifier_operator.settings import VARIABLES, Variable

PROGRAM = "imageclassifier-operator"
_DESCRIPTION = """\
The ImageClassifier operator: creates the gateway and the model servers of each ImageClassifier, and rolls
out its versions. It runs in a pod of a Kubernetes cluster; outside of one it uses the kubeconfig. Several
replicas may run: one of them leads. SIGTERM ends it."""
_EXAMPLE = """\
example (outside of a cluster, with your kubeconfig; the CRD must be installed):
  kubectl apply --filename crds/imageclassifiers.yaml
  POD_NAME=local POD_NAMESPACE=default \\
  IMAGECLASSIFIER_GATEWAY_IMAGE=imageclassifier/gateway:dev imageclassifier-operator

exit codes:
  0  stopped by a signal
  1  failed, or lost the Lease, so that another replica may lead
  2  an argument or a setting is invalid
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. Run `{self.prog} --help`.\n")


def parse(arguments: Sequence[str]) -> None:
    """Print the help for `--help`. Raises SystemExit with code 2 for any other argument."""
    _Parser(
        prog=PROGRAM,
        usage="%(prog)s [--help]",
        description=_DESCRIPTION,
        epilog=f"settings (environment variables):\n{_listed(VARIABLES)}\n\n{_EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    ).parse_args(arguments)


def _listed(variables: Iterable[Variable]) -> str:
    lines = []
    for variable in variables:
        text = textwrap.fill(variable.text, 94, initial_indent="      ", subsequent_indent="      ")
        lines.append(f"  {variable.name}\n{text}")
    return "\n".join(lines)
