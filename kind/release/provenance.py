"""The provenance of a release: an unsigned statement of in-toto with the predicate of SLSA."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:imageclassifier:make-release:1"


@dataclass(frozen=True)
class Source:
    """What the release was made from: the commit, and by digest the base image and the lock files."""

    commit: str
    base_image: str
    base_image_digest: str  # sha256:<64 hex digits>
    lock_files: Mapping[str, str]  # path -> 64 hex digits


def statement(
    parameters: Mapping[str, str],
    source: Source,
    builder: str,
    started_at: datetime,
    digests: Mapping[str, str],
) -> str:
    """The statement as JSON.

    Args:
        parameters: the variables that `make release` got.
        source: what the release was made from.
        builder: a URI of who runs the build.
        started_at: when the build began.
        digests: the SHA-256 of each file and image, in hexadecimal, by its name.
    """
    dependencies: list[dict[str, object]] = [
        {"name": "source", "digest": {"gitCommit": source.commit}},
        {"name": source.base_image, "digest": {"sha256": source.base_image_digest.removeprefix("sha256:")}},
    ]
    dependencies += [
        {"name": path, "digest": {"sha256": sha}} for path, sha in sorted(source.lock_files.items())
    ]
    document = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": sha}} for name, sha in sorted(digests.items())],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": dict(parameters),
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": {"id": builder},
                "metadata": {"startedOn": started_at.isoformat()},
            },
        },
    }
    return json.dumps(document, indent=1) + "\n"
