"""Linux 4.14's huge pages, on 3.8: a huge page migrates whole, with one flush

A page directory can hold a migration entry (616b8371539a), so move_pages(2) need not split a huge page first: one walk
to unmap it, one flush for all its small pages, one walk to map its copy (:mod:`sim.kernel.v414`).  The rest is as in
3.8, the defects of 3.8 too.
"""

from __future__ import annotations

from sim.kernel.v414 import memory, migrate, rmap

BASE = "rwsem_v38"

PATCH = {
    "memory.follow_page": migrate.follow_page,
    "memory._handle_huge": memory._handle_huge,
    "migrate.migrate_page_copy": migrate.migrate_page_copy,
    "migrate.new_page_node": migrate.new_page_node,
    "migrate.remove_migration_pte": migrate.remove_migration_pte,
    "rmap.try_to_unmap_one": rmap.try_to_unmap_one,
}

VERDICTS = {
    "huge_page_remapped": "safe",
}
