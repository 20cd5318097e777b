"""Environment variables that remember which of them a program reads."""

from collections.abc import Iterator, Mapping


class RecordingEnvironment(Mapping[str, str]):
    """`read` has the names of all variables that were asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._variables, self.read = dict(values), set[str]()

    def __getitem__(self, name: str) -> str:
        self.read.add(name)
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)
