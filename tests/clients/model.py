"""Amazon's own model of the service, as botocore carries it: whether a value keeps to it, and every rule that it sets for requests."""

import base64
import re
import struct
import unicodedata
from dataclasses import dataclass

from botocore.loaders import Loader

# Not the default paths: a model of the same service that lies in somebody's home folder would be taken first.
_LOADER = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
MODEL = _LOADER.load_service_model("rekognition", "service-2", "2016-06-27")
SHAPES = MODEL["shapes"]

OPERATIONS = (
    ["CreateCollection", "DescribeCollection", "ListCollections", "DeleteCollection", "IndexFaces", "ListFaces", "DeleteFaces"]
    + ["SearchFaces", "SearchFacesByImage", "DetectFaces", "CompareFaces", "CreateUser", "DeleteUser", "ListUsers", "AssociateFaces"]
    + ["DisassociateFaces", "SearchUsers", "SearchUsersByImage", "TagResource", "UntagResource", "ListTagsForResource"]
)

# Rules of the model that the service itself does not keep in its replies, by the place of the value.
NOT_KEPT_IN_REPLIES = {
    ("DeleteFacesResponse.DeletedFaces", "min"): "empty when no face was deleted; the list's shape is shared with the request's FaceIds, "
    "which must not be empty",
}

# What shapes may say: a word that is not here is a rule that nobody checks.
RULES = {"min", "max", "pattern", "enum"}
_KNOWN = RULES | {"type", "members", "member", "key", "value", "required", "documentation", "exception", "fault"}


def input_of(operation):
    return MODEL["operations"][operation]["input"]["shape"]


def output_of(operation):
    return MODEL["operations"][operation]["output"]["shape"]


def errors_of(operation):
    """The errors that the model declares for an operation."""
    return [error["shape"] for error in MODEL["operations"][operation]["errors"]]


def status_of(error):
    return 500 if SHAPES[error].get("fault") else 400


def members_of(shape_name, without=(), seen=None):
    """Every (structure, member) that a value of the shape may hold, however deep, but nothing within the members `without`."""
    seen = set() if seen is None else seen
    shape = SHAPES[shape_name]
    for name, member in shape.get("members", {}).items():
        if (shape_name, name) not in seen:
            seen.add((shape_name, name))
            if (shape_name, name) not in without:
                members_of(member["shape"], without, seen)
    for part in ("member", "key", "value"):
        if part in shape:
            members_of(shape[part]["shape"], without, seen)
    return seen


def matches(pattern, text):
    """Whether the whole text matches. Python's expressions have no words for Unicode's categories: where a pattern names one, its
    characters beyond ASCII are taken for one of those within."""
    standing_for = {}
    for category, within, one in (("L", "a-zA-Z", "x"), ("N", "0-9", "0"), ("Z", " ", " ")):
        if rf"\p{{{category}}}" in pattern:
            pattern = pattern.replace(rf"\p{{{category}}}", within)
            standing_for[category] = one
    folded = (c if c.isascii() else standing_for.get(unicodedata.category(c)[0], c) for c in text)
    return re.fullmatch(pattern, "".join(folded)) is not None


def problems(value, shape_name, place=None, seen=None):
    """What breaks the shape in a value on the wire, in words. `seen` gets every (structure, member) that the value holds."""
    place = place or shape_name
    seen = set() if seen is None else seen
    shape = _shape(shape_name)
    kind = shape["type"]
    if not _TYPES[kind](value):
        return [f"{place}: {repr(value):.99} is no {kind}"]
    found = [f"{place}: {repr(value):.99} breaks {rule} {shape[rule]!r}" for rule in _broken(value, shape, place)]
    if kind == "structure":
        found += [f"{place}: {name} is missing" for name in shape.get("required", []) if name not in value]
        for name, member in value.items():
            if name in shape["members"]:
                seen.add((shape_name, name))
                found += problems(member, shape["members"][name]["shape"], f"{place}.{name}", seen)
            else:
                found.append(f"{place}: the model has no member {name}")
    elif kind == "list":
        found += [problem for item in value for problem in problems(item, shape["member"]["shape"], f"{place}[]", seen)]
    elif kind == "map":
        for key, item in value.items():
            found += problems(key, shape["key"]["shape"], f"{place} key", seen)
            found += problems(item, shape["value"]["shape"], f"{place} value", seen)
    return found


def _shape(name):
    shape = SHAPES[name]
    assert set(shape) <= _KNOWN, f"{name} says what this test does not check: {set(shape) - _KNOWN}"
    return shape


def _broken(value, shape, place):
    """The rules of a shape that a value breaks, without those that the service does not keep either."""
    if shape["type"] == "boolean":
        return []
    size = value if _is_number(value) else len(base64.b64decode(value)) if shape["type"] == "blob" else len(value)
    tests = {
        "min": lambda: size < shape["min"],
        "max": lambda: size > shape["max"],
        "pattern": lambda: not matches(shape["pattern"], value),
        "enum": lambda: value not in shape["enum"],
    }
    return [rule for rule, broken in tests.items() if rule in shape and broken() and (place, rule) not in NOT_KEPT_IN_REPLIES]


def _whole(bits):
    return lambda value: type(value) is int and -(2 ** (bits - 1)) <= value < 2 ** (bits - 1)


def _is_number(value):
    return type(value) in (int, float)


# How the types look on the wire. Floats have 32 bits and are printed as the doubles that they widen to; times are seconds, of which
# 1e11 would be in the year 5138, and milliseconds in 1973.
_TYPES = {
    "structure": lambda value: isinstance(value, dict),
    "map": lambda value: isinstance(value, dict),
    "list": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "blob": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": _whole(32),
    "long": _whole(64),
    "float": lambda value: _is_number(value) and struct.unpack("f", struct.pack("f", value))[0] == value,
    "timestamp": lambda value: _is_number(value) and 0 < value < 1e11,
}


# What is in a list or a map, as a part of a rule's place, and how the service introduces the rules that it breaks.
ITEMS = {
    "[]": "Member must satisfy constraint: ",
    "key": "Map keys must satisfy constraint: ",
    "value": "Map value must satisfy constraint: ",
}


@dataclass(frozen=True)
class Rule:
    """A rule that the model sets for a value of a request."""

    operation: str
    # The members on the way to the value, and ITEMS.
    place: tuple
    # `required`, or one of RULES.
    name: str
    # The value's own.
    shape_name: str

    def __str__(self):
        return f"{self.operation}-{'.'.join(self.place)}-{self.name}"

    @property
    def shape(self):
        return SHAPES[self.shape_name]

    @property
    def path(self):
        """The place as the service names it: what an item breaks is reported of its list or map."""
        return ".".join(name[0].lower() + name[1:] for name in self.place if name not in ITEMS)

    @property
    def words(self):
        """The service's words for the rule."""
        if self.name == "required":
            return "Member must not be null"
        given = self.shape[self.name]
        if self.name == "pattern":
            return f"Member must satisfy regular expression pattern: {given}"
        if self.name == "enum":
            return f"Member must satisfy enum value set: [{', '.join(given)}]"
        measure = "value" if self.shape["type"] in ("integer", "float") else "length"
        return f"Member must have {measure} {'less' if self.name == 'max' else 'greater'} than or equal to {given}"


def rules_of(operation):
    """Every rule that the model sets for a request of the operation."""
    return list(_rules(operation, (), input_of(operation)))


def _rules(operation, place, shape_name):
    shape = _shape(shape_name)
    yield from (Rule(operation, place, name, shape_name) for name in sorted(RULES & set(shape)))
    for name, member in shape.get("members", {}).items():
        if name in shape.get("required", []):
            yield Rule(operation, (*place, name), "required", member["shape"])
        yield from _rules(operation, (*place, name), member["shape"])
    for part, marker in (("member", "[]"), ("key", "key"), ("value", "value")):
        if part in shape:
            yield from _rules(operation, (*place, marker), shape[part]["shape"])
