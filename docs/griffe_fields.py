"""griffe's extension for the API reference: the description of a pydantic field is its docstring."""

import ast
from typing import Any

import griffe


class PydanticFields(griffe.Extension):
    """Takes the docstring of a field from the `description` of its `Field`, and its value from `default`."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Changes an attribute that is a field.

        Args:
            attr: The attribute.
        """
        call = attr.value
        if not isinstance(call, griffe.ExprCall) or str(call.function) != "Field":
            return
        given = {each.name: each.value for each in call.arguments if isinstance(each, griffe.ExprKeyword)}
        if "description" in given:
            text = ast.literal_eval(str(given["description"]))
            attr.docstring = griffe.Docstring(text, lineno=attr.lineno, parent=attr)
        attr.value = given.get("default")
