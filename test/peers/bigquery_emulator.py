"""Start bqemulator 1.4.0 with four things mended that tables of nested records need: its Storage Write
API forgets the fields of records, it serves only as many connections as there are processors plus
four, a patched schema does not reach the table itself, and its threads use one connection to DuckDB
without a lock, by which an append and a query wait for each other for ever now and then."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from threading import RLock

import grpc
from bqemulator.api.routes.tabledata import _build_arrow_schema
from bqemulator.catalog.memory_repository import MemoryCatalogRepository
from bqemulator.cli import main
from bqemulator.grpc_api import write_servicer
from bqemulator.storage.engine import DuckDBEngine
from bqemulator.storage.sql_identifiers import quoted_table_ref
from bqemulator.storage.type_map import bq_schema_to_duckdb_columns


def fields_of(fields):
    return [
        {"name": f.name, "type": f.type, "mode": f.mode, "fields": fields_of(f.fields)}
        for f in fields
    ]


def update_table(self, table, update=MemoryCatalogRepository.update_table):
    before = self.get_table(table.project_id, table.dataset_id, table.table_id)
    if before is not None and before.schema_ != table.schema_:
        stands = dict(bq_schema_to_duckdb_columns(fields_of(before.schema_.fields)))
        target = quoted_table_ref(table.project_id, table.dataset_id, table.table_id)
        for name, type_ in bq_schema_to_duckdb_columns(fields_of(table.schema_.fields)):
            if name not in stands:
                self._engine.execute(f'ALTER TABLE {target} ADD COLUMN "{name}" {type_}')
            elif stands[name] != type_:
                self._engine.execute(f'ALTER TABLE {target} ALTER COLUMN "{name}" TYPE {type_}')
    return update(self, table)


one_at_a_time = RLock()


def locked(work):
    @wraps(work)
    def within(*args, **kwargs):
        with one_at_a_time:
            return work(*args, **kwargs)

    return within


DuckDBEngine.execute = locked(DuckDBEngine.execute)
DuckDBEngine.fetch_arrow = locked(DuckDBEngine.fetch_arrow)
flush = write_servicer.BigQueryWriteHandler._flush_to_target
write_servicer.BigQueryWriteHandler._flush_to_target = locked(flush)
MemoryCatalogRepository.update_table = update_table
write_servicer._table_arrow_schema = lambda table: _build_arrow_schema(
    fields_of(table.schema_.fields)
)
grpc.aio.server = partial(grpc.aio.server, migration_thread_pool=ThreadPoolExecutor(64))

main()
