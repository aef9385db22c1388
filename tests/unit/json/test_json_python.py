#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The JSON codec against Google's json_format (python3-protobuf), both ways.

    test_json_python.py JSON_FILTER SET.binpb [ROUNDS [SEED]]

Random messages of json_test.proto: what we write, Google's parser reads as the
same message; what Google's printer writes, we read as the same message; and both
texts hold the same values. Then numbers as people and machines may write them, in
every numeric field, against Python's exact arithmetic; and texts with some bytes
wrong, against Python's json. Exit 77: no google.protobuf.
"""
import decimal
import json
import math
import random
import struct
import subprocess
import sys

try:
    from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
except ImportError:
    print("SKIPPED: python3-protobuf is not installed")
    sys.exit(77)

INVALID_ARGUMENT = 3


class Filter:
    """A running json_filter."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, way, data):
        self.process.stdin.write(way + struct.pack("<I", len(data)) + data)
        self.process.stdin.flush()
        code, size = struct.unpack("<BI", self.process.stdout.read(5))
        return code, self.process.stdout.read(size)

    def close(self):
        self.process.stdin.close()
        return self.process.wait(timeout=30)


def classes(descriptors):
    """Message classes by full name, in a pool of their own."""
    pool = descriptor_pool.DescriptorPool()
    files = descriptor_pb2.FileDescriptorSet.FromString(descriptors).file
    for file in files:
        pool.Add(file)
    if hasattr(message_factory, "GetMessageClass"):
        make = message_factory.GetMessageClass
    else:
        make = message_factory.MessageFactory(pool).GetPrototype
    names = [f"{file.package}.{message.name}" for file in files for message in file.message_type]
    return pool, {name: make(pool.FindMessageTypeByName(name)) for name in names}


# ---- random messages ----

def random_double(rng):
    kind = rng.randrange(7)
    if kind == 0:
        return struct.unpack("<d", rng.randbytes(8))[0]
    if kind == 1:
        return rng.choice([0.0, -0.0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308,
                           math.inf, -math.inf, math.nan, 0.1, 1 / 3, 1e21, 1e-7, 2.0**53, 2.0**63])
    if kind == 2:
        return float(rng.randrange(-10**6, 10**6))
    if kind == 3:
        return rng.randrange(-10**9, 10**9) / 10 ** rng.randrange(0, 9)
    if kind == 4:
        return math.ldexp(rng.randrange(1, 1 << 53), rng.randrange(-1074, 970))
    if kind == 5:
        return math.nextafter(10.0 ** rng.randrange(-300, 300), rng.choice([0.0, math.inf]))
    return rng.random()


def random_float(rng):
    if rng.randrange(2):
        return struct.unpack("<f", rng.randbytes(4))[0]
    value = random_double(rng)
    if math.isfinite(value) and abs(value) > 3.4e38:
        # Not FLT_MAX: json_format writes 3.4028235e+38, which it does not read.
        value = rng.choice([3.4028232635611926e38, 1.1754943508222875e-38, 1.401298464324817e-45])
    return struct.unpack("<f", struct.pack("<f", value))[0]


def one_nan(value):
    """JSON has one NaN; the bits of a message's may differ."""
    return math.nan if math.isnan(value) else value


def random_int(rng, low, high):
    kind = rng.randrange(4)
    if kind == 0:
        return rng.choice([low, high, 0, 1, high - 1, high // 2])
    if kind == 1:
        return max(low, min(high, rng.randrange(-200, 200)))
    if kind == 2:
        return max(low, min(high, (1 << rng.randrange(0, 65)) + rng.randrange(-1, 2)))
    return rng.randrange(low, high + 1)


def random_text(rng):
    alphabet = "abcXYZ_09 \"\\/\b\f\n\r\t\0\x01\x1f\x7f\u00e9\u2028\u4e2d\ufffd\U0001f600<>&'"
    return "".join(rng.choice(alphabet) for _ in range(rng.choice([0, 1, 2, 5, 17, 80])))


def random_words(rng):
    return "".join(rng.choice("abcxyz") for _ in range(rng.randrange(1, 9)))


def fill_node(rng, node, depth=0):
    if rng.randrange(2):
        node.number = random_int(rng, 0, 2**32 - 1)
    if depth < 6 and rng.randrange(2):
        fill_node(rng, node.child, depth + 1)
        node.child.SetInParent()


def fill_value(rng, value, depth=0):
    kind = rng.randrange(6 if depth < 4 else 4)
    if kind == 0:
        value.null_value = 0
    elif kind == 1:
        number = random_double(rng)
        value.number_value = number if math.isfinite(number) else 1.5
    elif kind == 2:
        value.string_value = random_text(rng)
    elif kind == 3:
        value.bool_value = bool(rng.randrange(2))
    elif kind == 4:
        fill_struct(rng, value.struct_value, depth + 1)
        value.struct_value.SetInParent()
    else:
        fill_list(rng, value.list_value, depth + 1)
        value.list_value.SetInParent()


def fill_struct(rng, struct_value, depth=0):
    for _ in range(rng.randrange(4)):
        fill_value(rng, struct_value.fields[random_text(rng)], depth)


def fill_list(rng, list_value, depth=0):
    for _ in range(rng.randrange(4)):
        fill_value(rng, list_value.values.add(), depth)


def fill_time(rng, time):
    time.seconds = random_int(rng, -62135596800, 253402300799)
    time.nanos = rng.choice([0, 1, 999999999, 500000000, 1000, 1000000, rng.randrange(10**9)])


def fill_duration(rng, duration):
    seconds = random_int(rng, -315576000000 + 1, 315576000000 - 1)
    nanos = rng.choice([0, 1, 999999999, 500000000, 1000, rng.randrange(10**9)])
    duration.seconds = seconds
    duration.nanos = -nanos if seconds < 0 else nanos


def fill_any(rng, message, types):
    kind = rng.choice(["tessera.jsontest.Node", "google.protobuf.Duration",
                       "google.protobuf.Struct", "google.protobuf.Int64Value", "none"])
    if kind == "none":
        message.any.SetInParent()
        return
    content = types[kind]()
    if kind == "tessera.jsontest.Node":
        fill_node(rng, content)
    elif kind == "google.protobuf.Duration":
        fill_duration(rng, content)
    elif kind == "google.protobuf.Struct":
        fill_struct(rng, content)
    else:
        content.value = random_int(rng, -2**63, 2**63 - 1)
    message.any.type_url = "type.googleapis.com/" + kind
    message.any.value = content.SerializeToString(deterministic=True)


INTEGERS = {
    "i32": (-2**31, 2**31 - 1), "i64": (-2**63, 2**63 - 1), "u32": (0, 2**32 - 1),
    "u64": (0, 2**64 - 1), "s32": (-2**31, 2**31 - 1), "s64": (-2**63, 2**63 - 1),
    "f32": (0, 2**32 - 1), "f64": (0, 2**64 - 1), "sf32": (-2**31, 2**31 - 1),
    "sf64": (-2**63, 2**63 - 1),
}


def fill(rng, message, types):
    """Each field is there or not."""
    def chosen():
        return rng.randrange(3) == 0

    for name, (low, high) in INTEGERS.items():
        if chosen():
            setattr(message, name, random_int(rng, low, high))
    if chosen():
        message.real32 = one_nan(random_float(rng))
    if chosen():
        message.real64 = one_nan(random_double(rng))
    if chosen():
        message.flag = True
    colors = [0, 1, -7, 5, -2**31, 2**31 - 1]
    if chosen():
        message.color = rng.choice(colors)
    if chosen():
        message.some_text = random_text(rng)
    if chosen():
        message.raw = rng.randbytes(rng.choice([0, 1, 2, 3, 4, 50]))
    if chosen():
        message.numbers.extend(random_int(rng, -2**31, 2**31 - 1) for _ in range(rng.randrange(9)))
    if chosen():
        message.words.extend(random_text(rng) for _ in range(rng.randrange(5)))
    if chosen():
        message.colors.extend(rng.choice(colors) for _ in range(rng.randrange(5)))
    if chosen():
        fill_node(rng, message.node)
        message.node.SetInParent()
    if chosen():
        for _ in range(rng.randrange(4)):
            fill_node(rng, message.nodes.add())
    choice = rng.randrange(6)
    if choice == 0:
        message.choice_text = random_text(rng)
    elif choice == 1:
        fill_node(rng, message.choice_node)
        message.choice_node.SetInParent()
    elif choice == 2:
        message.choice_null = 0
    if chosen():
        for _ in range(rng.choice([1, 3, 40])):
            message.by_name[random_text(rng)] = random_int(rng, -2**31, 2**31 - 1)
    if chosen():
        for _ in range(rng.choice([1, 3, 40])):
            message.by_number[random_int(rng, -2**63, 2**63 - 1)] = random_text(rng)
    if chosen():
        fill_node(rng, message.by_flag[bool(rng.randrange(2))])
    if chosen():
        message.by_u32[random_int(rng, 0, 2**32 - 1)] = rng.choice(colors)
    if chosen():
        message.renamed = random_text(rng)
    if chosen():
        fill_any(rng, message, types)
    if chosen():
        fill_time(rng, message.time)
        message.time.SetInParent()
    if chosen():
        fill_duration(rng, message.duration)
        message.duration.SetInParent()
    if chosen():
        message.mask.SetInParent()
        message.mask.paths.extend(
            ".".join("_".join(random_words(rng) for _ in range(rng.randrange(1, 4)))
                     for _ in range(rng.randrange(1, 3))) for _ in range(rng.randrange(4)))
    if chosen():
        message.object.SetInParent()
        fill_struct(rng, message.object)
    if chosen():
        fill_value(rng, message.value)
    if chosen():
        message.list.SetInParent()
        fill_list(rng, message.list)
    if chosen():
        message.boxed_i64.value = random_int(rng, -2**63, 2**63 - 1)
        message.boxed_i64.SetInParent()
    if chosen():
        message.boxed_text.value = random_text(rng)
        message.boxed_text.SetInParent()
    if chosen():
        message.boxed_flag.value = bool(rng.randrange(2))
        message.boxed_flag.SetInParent()
    if chosen():
        for _ in range(rng.randrange(4)):
            fill_value(rng, message.values.add())


# ---- comparing ----

def canonical(value):
    """What a parsed text means: numbers by value, with their sign."""
    if isinstance(value, dict):
        return {name: canonical(item) for name, item in value.items()}
    if isinstance(value, list):
        return [canonical(item) for item in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return ("number", float(value), math.copysign(1, value))
    return value


def no_duplicates(pairs):
    result = dict(pairs)
    assert len(result) == len(pairs), f"a name comes twice: {pairs}"
    return result


def normal(message, types):
    """Bytes that equal messages share; maps have no order, in an Any neither."""
    name = message.any.type_url.rpartition("/")[2]
    if name:
        content = types[name].FromString(message.any.value)
        message.any.value = content.SerializeToString(deterministic=True)
    return message.SerializeToString(deterministic=True)


def compare_messages(convert, types, pool, rounds, rng):
    make = types["tessera.jsontest.All"]
    for number in range(rounds):
        message = make()
        fill(rng, message, types)
        wire = message.SerializeToString(deterministic=True)
        code, ours = convert(b"p", wire)
        assert code == 0, f"round {number}: {ours}: {message}"
        back = json_format.Parse(ours.decode(), make(), descriptor_pool=pool)
        assert normal(back, types) == wire, \
            f"round {number}: Google reads another message: {ours.decode()}\n{message}\n{back}"
        theirs = json_format.MessageToJson(message, descriptor_pool=pool, ensure_ascii=False,
                                           indent=rng.choice([None, 0, 2]))
        code, proto = convert(b"j", theirs.encode())
        assert code == 0, f"round {number}: {proto}: {theirs}"
        assert normal(make.FromString(proto), types) == wire, f"round {number}: we read another message: {theirs}"
        left = canonical(json.loads(ours, object_pairs_hook=no_duplicates))
        right = canonical(json.loads(theirs))
        assert left == right, f"round {number}:\n{ours.decode()}\n{theirs}"


# ---- numbers ----

def random_number_text(rng):
    """Something like a number; most of them are."""
    digits = "".join(rng.choice("0123456789") for _ in range(rng.choice([1, 1, 2, 5, 17, 19, 20, 25])))
    text = rng.choice(["", "", "-"]) + (digits.lstrip("0") or "0")
    if rng.randrange(8) == 0:
        text = rng.choice(["9223372036854775807", "9223372036854775808", "-9223372036854775808",
                           "-9223372036854775809", "18446744073709551615", "18446744073709551616",
                           "2147483647", "2147483648", "-2147483649", "4294967296",
                           "179769313486231570", "17976931348623158", "-0", "4.9e-324", "2.4e-324"])
    if rng.randrange(3) == 0 and "." not in text:
        text += "." + rng.choice(["0", "5", "00000", digits])
    if rng.randrange(3) == 0 and "e" not in text:
        text += rng.choice("eE") + rng.choice(["", "+", "-"]) + str(rng.choice([0, 1, 2, 18, 30, 291, 308, 400]))
    if rng.randrange(12) == 0:
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice(["-", "+", ".", "e", "0", " ", "x"]) + text[at:]
    return text


def is_json_number(text):
    try:
        json.loads(text, parse_constant=lambda name: 1 / 0)
    except (ValueError, ZeroDivisionError):
        return False
    return text == text.strip()


def wanted_integer(text, low, high):
    """None: to be refused."""
    if not is_json_number(text):
        return None
    try:
        exact = decimal.Decimal(text)
    except decimal.InvalidOperation:  # an exponent beyond all measure
        return None if text.lower().split("e")[0].strip("-0.") else 0
    if exact != 0 and exact.adjusted() > 30:
        return None
    if exact != exact.to_integral_value():
        return None
    return int(exact) if low <= int(exact) <= high else None


def wanted_double(text):
    value = float(text) if is_json_number(text) else math.inf
    return value if math.isfinite(value) else None


def wanted_float(text):
    value = wanted_double(text)
    try:
        return None if value is None else struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return None


def compare_numbers(convert, types, rounds, rng):
    make = types["tessera.jsontest.All"]
    names = list(INTEGERS) + ["real32", "real64"]
    good = 0
    for _ in range(rounds):
        text = random_number_text(rng)
        name = rng.choice(names)
        if name in INTEGERS:
            wanted = wanted_integer(text, *INTEGERS[name])
        else:
            wanted = wanted_double(text) if name == "real64" else wanted_float(text)
        quote = rng.choice(["", '"'])
        if quote == "" and text.strip() != text and is_json_number(text.strip()):
            continue  # white space around a number is no part of it
        code, proto = convert(b"j", f'{{"{name}":{quote}{text}{quote}}}'.encode())
        assert code in (0, INVALID_ARGUMENT), f"{name} {text}: code {code}: {proto}"
        assert (code == 0) == (wanted is not None), f"{name} {quote}{text}{quote}: {code}: {proto}"
        if wanted is None:
            continue
        good += 1
        got = getattr(make.FromString(proto), name)
        assert got == wanted and math.copysign(1, got) == math.copysign(1, wanted), \
            f"{name} {text}: {got!r}, not {wanted!r}"
    assert rounds // 4 < good < rounds, f"{good} numbers of {rounds} are good: a poor test"


# ---- texts ----

def random_json(rng, depth=0):
    kind = rng.randrange(9 if depth < 4 else 6)
    space = rng.choice(["", "", " ", "\n\t", "\r"])
    if kind < 3:
        text = rng.choice(["null", "true", "false", "0", "-1", "1.5e3", "10", '""', "-0.0E-2"])
    elif kind < 6:
        text = json.dumps(random_text(rng), ensure_ascii=rng.choice([True, False]))
    elif kind == 6:
        items = [random_json(rng, depth + 1) for _ in range(rng.randrange(4))]
        text = "[" + ",".join(items) + "]"
    else:
        pairs = [json.dumps(rng.choice("abcdefgh")) + space + ":" + random_json(rng, depth + 1)
                 for _ in range(rng.randrange(4))]
        text = "{" + ",".join(pairs) + "}"
    return space + text + rng.choice(["", space])


def damaged(rng, data):
    """One or two bytes put in, taken out, exchanged or doubled."""
    junk = b'[]{}:,"\\ue0123456789.+-truefalsn \t\n\x00\x0b\x1f/*#\'\x80\xc0\xed\xa0\xff\xf5'
    data = bytearray(data)
    for _ in range(rng.choice([0, 1, 1, 2])):
        at = rng.randrange(len(data) + 1)
        way = rng.randrange(4)
        if way == 0:
            data.insert(at, rng.choice(junk))
        elif way == 1:
            del data[at:at + rng.randrange(1, 4)]
        elif way == 2 and at < len(data):
            data[at] = rng.choice(junk)
        else:
            data[at:at] = data[at:at + rng.randrange(1, 9)]
    return bytes(data)


def refuse(what):
    raise ValueError(what)


def unique(pairs):
    return dict(pairs) if len(dict(pairs)) == len(pairs) else refuse("a name twice")


def finite(text):
    return float(text) if math.isfinite(float(text)) else refuse("out of range")


def wanted_value(data):
    """(True, what the text means), or (False, None): to be refused."""
    try:
        text = data.decode("utf-8", "strict")
        value = json.loads(text, object_pairs_hook=unique, parse_constant=refuse, parse_int=finite,
                           parse_float=finite)
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # no half of a surrogate pair
        return True, value
    except ValueError:
        return False, None


def compare_texts(convert, rounds, rng):
    good = 0
    for _ in range(rounds):
        data = damaged(rng, random_json(rng).encode())
        text = b'{"value":' + data + b"}"
        fine, wanted = wanted_value(text)
        if fine and list(wanted) != ["value"]:
            continue  # a comma made it a message with other fields
        code, proto = convert(b"j", text)
        assert (code == 0) == fine, f"{text!r}: code {code}: {proto}"
        if not fine:
            assert code == INVALID_ARGUMENT, f"{text!r}: code {code}"
            continue
        good += 1
        code, back = convert(b"p", proto)
        assert code == 0, f"{text!r}: {back}"
        got = canonical(json.loads(back))
        assert got == canonical(wanted), f"{text!r}: {back!r}"
    assert rounds // 5 < good < rounds * 4 // 5, f"{good} texts of {rounds} are good: a poor test"


def main():
    filter_program, set_file = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 2000
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else 20260
    decimal.getcontext().prec = 2000
    with open(set_file, "rb") as file:
        pool, types = classes(file.read())
    convert = Filter([filter_program, set_file, "tessera.jsontest.All"])
    rng = random.Random(seed)
    compare_messages(convert, types, pool, rounds, rng)
    compare_numbers(convert, types, 10 * rounds, rng)
    compare_texts(convert, 10 * rounds, rng)
    assert convert.close() == 0
    print(f"{rounds} messages both ways, {10 * rounds} numbers, {10 * rounds} texts: ok")


if __name__ == "__main__":
    main()
