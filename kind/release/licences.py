"""The file with the licences of everything that the images contain."""

from collections.abc import Iterator, Mapping, Sequence

from release.components import Component

_BEGIN = """\
Licences of the software in the container images of ImageClassifier {version}

ImageClassifier itself has the licence Apache-2.0, whose text is the first one. The list below names every
other component, its version, the licence that its package declares, and the images that contain it. The
numbers in brackets are those of the texts behind the list, as the packages contain them. Texts of Debian may
refer to a licence below /usr/share/common-licenses/; these are at the end.
"""
_LINE = "=" * 100


def licences(
    version: str, own_text: str, images: Mapping[str, Sequence[Component]], common: Mapping[str, str]
) -> str:
    """The text of the file.

    `images` has the components of each image by its name, `common` the licences that texts refer to by path.
    """
    texts = {own_text.strip(): 1}
    lines = []
    for component, names in _with_images(images):
        numbers = [texts.setdefault(text.strip(), len(texts) + 1) for _, text in component.texts]
        brackets = f" [{', '.join(map(str, dict.fromkeys(numbers)))}]" if numbers else ""
        declared = "; ".join(component.licences) or "see the text"
        lines.append(f"{component.name} {component.version}: {declared}{brackets} ({', '.join(names)})")
        lines += [
            f"    contains {part.name} {part.version}: {'; '.join(part.licences) or 'not declared'}"
            for part in dict.fromkeys(component.parts)
        ]
    titles = {str(number): text for text, number in texts.items()} | {
        f"/{path}": common[path] for path in common
    }
    bodies = (f"\n{_LINE}\n[{title}]\n{_LINE}\n{text.rstrip()}\n" for title, text in titles.items())
    return _BEGIN.format(version=version) + "\n" + "\n".join(lines) + "\n" + "".join(bodies)


def _with_images(images: Mapping[str, Sequence[Component]]) -> Iterator[tuple[Component, list[str]]]:
    """Each component once, sorted, with the names of the images that contain it."""
    holders: dict[Component, list[str]] = {}
    for name, found in images.items():
        for component in found:
            holders.setdefault(component, []).append(name)
    yield from sorted(holders.items(), key=lambda each: (each[0].name, each[0].version))
