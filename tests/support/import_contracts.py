"""An import-linter contract of our own, for packages that do not exist yet."""

from __future__ import annotations

import grimp
from importlinter import Contract, ContractCheck, fields, output


class ReservedContract(Contract):
    """``modules`` may be imported directly by ``importers`` only, each with everything inside it.

    Like import-linter's own ``protected`` contract, but a module or importer that does not exist (yet) is no error,
    and external packages may be reserved too.
    """

    modules = fields.ListField(subfield=fields.StringField())
    importers = fields.ListField(subfield=fields.StringField())

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:
        """Collect every direct import of a reserved module from elsewhere."""
        illegal: list[tuple[str, str, int]] = []
        for imported in sorted(graph.modules):
            if not _inside(imported, self.modules):
                continue
            for importer in sorted(graph.find_modules_that_directly_import(imported)):
                if not _inside(importer, self.importers):
                    details = graph.get_import_details(importer=importer, imported=imported)
                    illegal += [(importer, imported, detail["line_number"]) for detail in details]
        return ContractCheck(kept=not illegal, metadata={"illegal": illegal})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print one line per illegal import."""
        for importer, imported, line in check.metadata["illegal"]:
            output.print_error(f"{importer} imports {imported} (line {line})", bold=False)
        output.new_line()


def _inside(module: str, packages: object) -> bool:
    assert isinstance(packages, list)
    return any(module == package or module.startswith(f"{package}.") for package in packages)
