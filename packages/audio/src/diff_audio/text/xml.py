"""The parsing of XML that comes from users, by expat: no entity is declared, none is fetched."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

__all__ = ["local", "parse", "refuse_entities", "where"]


def refuse_entities(parser: Any) -> None:
    """Make a parser of expat raise ValueError where a document declares an entity.

    Entities of entities are how a small document fills a memory.
    """

    def refuse(name: str, *_: object) -> None:
        raise ValueError(
            f"XML that declares entities ({name!a}, line {parser.CurrentLineNumber}): "
            "write the text itself"
        )

    parser.EntityDeclHandler = refuse


def where(error: expat.ExpatError) -> str:
    """Return the place of a fault and what it is, in words."""
    why = expat.ErrorString(error.code)
    return f"line {error.lineno}, column {error.offset + 1}: {why}"


def parse(document: bytes) -> Element:
    """Return the root of a document. Raises ValueError for one that is broken or declares
    entities.
    """
    builder = TreeBuilder()
    parser = expat.ParserCreate(namespace_separator="}")
    refuse_entities(parser)
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(document, True)
    except expat.ExpatError as error:
        raise ValueError(f"broken XML at {where(error)}") from None
    return builder.close()


def local(name: str) -> str:
    """Return a name of an element or attribute without its namespace."""
    return name.rpartition("}")[2]
