"""What the original broker does in one step, in a plain loop: fastavro reads each alert, writes it
with every nullable union null-first, and stores the file. Prints alerts a second."""

import io
import os
import sys
import time

import fastavro


def legal(schema):
    if isinstance(schema, list):
        kinds = [legal(branch) for branch in schema]
        return ["null", *[k for k in kinds if k != "null"]] if "null" in kinds else kinds
    if isinstance(schema, dict):
        changed = {k: legal(v) if k in ("type", "items", "values") else v for k, v in schema.items()}
        if "fields" in schema:
            changed["fields"] = [legal(field) for field in schema["fields"]]
        return changed
    return schema


source, target = sys.argv[1:]
os.makedirs(target, exist_ok=True)
files = [
    os.path.join(folder, name)
    for folder, _, names in os.walk(source)
    for name in sorted(names)
    if name.endswith(".avro")
][:2000]
start = time.perf_counter()
for number, path in enumerate(files):
    with open(path, "rb") as file:
        reader = fastavro.reader(file)
        records = list(reader)
        schema = reader.writer_schema
    out = io.BytesIO()
    fastavro.writer(out, legal(schema), records)
    with open(os.path.join(target, f"{number}.avro"), "wb") as file:
        file.write(out.getvalue())
print(len(files) / (time.perf_counter() - start))
