"""In the sandbox: Python values as JSON and back, as `comparing.read_value` explains. Put before the text of other drivers."""

import math


def unpack(value):
    if isinstance(value, list):
        return [unpack(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((key, content),) = value.items()
        if key == "$tuple":
            return tuple(unpack(item) for item in content)
        if key == "$set":
            return {unpack(item) for item in content}
        if key == "$dict":
            return {unpack(name): unpack(item) for name, item in content}
        if key in ("$float", "$int"):
            return {"$float": float, "$int": int}[key](content)
        if key == "$bytes":
            return bytes.fromhex(content)
        if key == "$other":
            raise ValueError(f"a {content} has no form in JSON")
    return {key: unpack(item) for key, item in value.items()}


def pack(value):
    if value is None or value is True or value is False:
        return value
    if isinstance(value, int):  # 14,281 bits are at most 4,300 digits, which Python reads; a subclass may have its own method
        return int.__int__(value) if int.bit_length(value) < 14282 else {"$other": "int"}
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": str(float(value))}
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, list):
        return [pack(item) for item in value]
    if isinstance(value, tuple):
        return {"$tuple": [pack(item) for item in value]}
    if isinstance(value, (set, frozenset)):
        return {"$set": [pack(item) for item in value]}
    if isinstance(value, (bytes, bytearray)):
        return {"$bytes": bytes(value).hex()}
    if isinstance(value, dict):
        return {"$dict": [[pack(key), pack(item)] for key, item in value.items()]}
    return {"$other": type(value).__name__}
