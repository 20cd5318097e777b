from .config import Settings


def openapi_document(settings: Settings) -> dict[str, object]:
    return {}
