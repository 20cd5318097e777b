"""The SBOM of an image, in CycloneDX, and its validation against the schema of CycloneDX."""

import uuid
from collections.abc import Iterable
from datetime import datetime

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, component
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.license import License
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from release.components import Component

SCHEMA = SchemaVersion.V1_6
_LICENCES = LicenseFactory()


def sbom(name: str, version: str, digest: str, found: Iterable[Component], at: datetime) -> str:
    """The SBOM of the image `name` with the digest `sha256:...` of its manifest, as JSON.

    The same arguments give the same document.
    """
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=digest.removeprefix("sha256:"))]
    purl = PackageURL("oci", None, name, digest)
    image = component.Component(
        name=name,
        version=version,
        bom_ref=str(purl),
        type=component.ComponentType.CONTAINER,
        purl=purl,
        licenses=_licences(("Apache-2.0",)),
        hashes=hashes,
    )
    bom = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, digest),
        metadata=BomMetaData(component=image, timestamp=at),
        components=[_component(each) for each in found],
    )
    bom.register_dependency(image, bom.components)
    text = make_outputter(bom, OutputFormat.JSON, SCHEMA).output_as_string(indent=1)
    return text + "\n"


def objections(text: str) -> list[str]:
    """What the schema of CycloneDX objects to in an SBOM; empty if it is valid."""
    errors = JsonStrictValidator(SCHEMA).validate_str(text, all_errors=True)
    return [str(error) for error in errors or ()]


def _component(each: Component, *, inside: str = "") -> component.Component:
    reference = f"{inside}{each.purl}"
    return component.Component(
        name=each.name,
        version=each.version or None,
        bom_ref=reference,
        purl=PackageURL.from_string(each.purl),
        licenses=_licences(each.licences),
        components=[_component(part, inside=f"{reference}!") for part in dict.fromkeys(each.parts)],
    )


def _licences(names: tuple[str, ...]) -> list[License]:
    """One licence may be an SPDX expression. CycloneDX allows no expression beside other licences."""
    if len(names) == 1:
        return [_LICENCES.make_from_string(names[0])]
    return [_LICENCES.make_with_name(name) for name in names]
