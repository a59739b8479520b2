"""JSON Schema of our structs, as OpenAPI and AsyncAPI take it: components with every field's text.

msgspec knows types and limits; what a field means stands below it in the source, and is taken from
there, so that nothing is written twice.
"""

import ast
import inspect
import re
from collections.abc import Iterable, Iterator
from types import ModuleType, UnionType
from typing import Any, TypeAlias, Union, get_args, get_origin

import msgspec

Schema: TypeAlias = dict[str, Any]
"""One JSON Schema (2020-12), or a part of an OpenAPI or AsyncAPI document."""


def components(types: Iterable[Any]) -> tuple[list[Schema], dict[str, Schema]]:
    """The schemas of some types.

    Args:
        types: Structs, lists of them, and unions, which need no tags here.

    Returns:
        A reference for each, in their order, and the schemas that they lead to, by name.
    """
    choices = [_alternatives(one) for one in types]
    wanted = [one for choice in choices for one in choice]
    found, named = msgspec.json.schema_components(
        wanted, ref_template="#/components/schemas/{name}"
    )
    remaining = iter(found)
    for module in dict.fromkeys(_modules(wanted)):
        for name, texts in _documented(module):
            properties = named.get(name, {}).get("properties", {})
            for field, text in texts.items():
                # A reference may carry a text of its own beside it since 2020-12.
                properties.get(field, {}).setdefault("description", text)
    references = []
    for choice in choices:
        some = [next(remaining) for _ in choice]
        references.append(some[0] if len(some) == 1 else {"anyOf": some})
    return references, named


def _alternatives(one: Any) -> tuple[Any, ...]:  # noqa: ANN401 - a type
    """The members of a union, else the type alone."""
    return get_args(one) if get_origin(one) in {Union, UnionType} else (one,)


def _modules(types: Iterable[Any]) -> Iterator[ModuleType]:
    """Where the structs under these types are written."""
    pending = [msgspec.inspect.type_info(one) for one in types]
    seen: set[type] = set()
    while pending:
        node = pending.pop()
        cls = getattr(node, "cls", None)
        if isinstance(node, msgspec.inspect.StructType):
            if node.cls in seen:
                continue
            seen.add(node.cls)
            pending += [field.type for field in node.fields]
        for name in ("type", "item_type", "key_type", "value_type"):
            child = getattr(node, name, None)
            if isinstance(child, msgspec.inspect.Type):
                pending.append(child)
        for name in ("types", "item_types"):
            pending += getattr(node, name, ())
        module = inspect.getmodule(cls) if cls is not None else None
        if module is not None and module.__name__.startswith("volgauge."):
            yield module


def _documented(module: ModuleType) -> Iterator[tuple[str, dict[str, str]]]:
    """Every class of a module with the text below each of its fields."""
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ClassDef):
            texts = {}
            for field, text in zip(node.body, node.body[1:], strict=False):
                if (
                    isinstance(field, ast.AnnAssign)
                    and isinstance(field.target, ast.Name)
                    and isinstance(text, ast.Expr)
                    and isinstance(text.value, ast.Constant)
                    and isinstance(text.value.value, str)
                ):
                    texts[field.target.id] = re.sub(r"\s+", " ", text.value.value)
            yield node.name, texts
