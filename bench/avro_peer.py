"""fastavro's part of bench/avro.bench.ts: reads paths, one a line, up to an empty line; then for each line
"read" or "rewrite" answers with the mean microseconds a packet takes.

"rewrite" is what a broker does that mends schemas by decoding and encoding: the mended schema is
parsed once and kept, which is the best case for it.
"""

import io
import json
import sys
import time

import fastavro

paths = []
for line in sys.stdin:
    if line == "\n":
        break
    paths.append(line.rstrip("\n"))
packets = []
for path in paths:
    with open(path, "rb") as file:
        packets.append(file.read())

mended = {}


def mend(node):
    """Put null first in every union whose default is null."""
    if isinstance(node, list):
        return [mend(branch) for branch in node]
    if not isinstance(node, dict):
        return node
    node = {key: value if key == "default" else mend(value) for key, value in node.items()}
    kind = node.get("type")
    if isinstance(kind, list) and "default" in node and node["default"] is None:
        node["type"] = ["null"] + [branch for branch in kind if branch != "null"]
    return node


def read(packet):
    return list(fastavro.reader(io.BytesIO(packet)))


def rewrite(packet):
    reader = fastavro.reader(io.BytesIO(packet))
    records = list(reader)
    text = reader.metadata["avro.schema"]
    schema = mended.get(text)
    if schema is None:
        schema = mended[text] = fastavro.parse_schema(mend(json.loads(text)))
    out = io.BytesIO()
    fastavro.writer(out, schema, records)
    return out.getvalue()


def measure(work):
    start = time.perf_counter()
    for packet in packets:
        work(packet)
    return (time.perf_counter() - start) / len(packets) * 1e6


print(fastavro.__version__, flush=True)
for line in sys.stdin:
    print(measure({"read": read, "rewrite": rewrite}[line.strip()]), flush=True)
