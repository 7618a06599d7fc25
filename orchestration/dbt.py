"""dbt in this process: the manifest, one build, and its events as Dagster events.

Which models there are is the dbt project's business; which builds a refresh makes is decided in
`orchestration.assets.transforms`. The exact pin of dagster-dbt exists for this module: two of its imports are not
public.
"""

import gc
import os
import queue
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings
from dagster_dbt.asset_utils import get_updated_cli_invocation_params_for_context
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

from orchestration.figures import key_figures, page_link
from orchestration.gate import judged_by
from orchestration.lock import WriterLock
from orchestration.partial import part_of, refusal
from orchestration.preview import PREVIEW_ROWS, preview_markdown
from orchestration.published import PERSONAL, quoted
from orchestration.settings import Settings

_RESULTS = ("LogModelResult", "LogSeedResult", "LogSnapshotResult", "LogTestResult")
_EXAMPLES = 3


class DbtError(Exception):
    """dbt could not read the project; the message is dbt's own."""


class PulseTranslator(DagsterDbtTranslator):
    """Puts each dbt node into the group of its folder, with an owner and its kind."""

    def __init__(self) -> None:
        super().__init__(settings=DagsterDbtTranslatorSettings(enable_source_tests_as_checks=True))

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: Any) -> dg.AssetSpec:
        """The asset of a dbt node."""
        node = self.get_resource_props(manifest, unique_id)
        folders = node["fqn"][1:-1]
        group = folders[1] if folders[:1] == ["marts"] and len(folders) > 1 else (folders[:1] or ["seeds"])[0]
        if node["resource_type"] == "source":
            group = "raw" if node["source_name"] != "ml" else "ml"
        spec = super().get_asset_spec(manifest, unique_id, project)
        return spec.replace_attributes(group_name=group, owners=["team:analytics-engineering"])

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: Any
    ) -> dg.AssetCheckSpec | None:
        """The check of a dbt test, described as its YAML describes it."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        description = self.get_resource_props(manifest, unique_id).get("description")
        return spec and spec._replace(description=description or spec.description)


@contextmanager
def _variables(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for a while: dbt's profile and sources read the process's environment."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """No search for garbage where thousands of objects are made to stay: it takes a quarter of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _flags(project: str, home: str) -> list[str]:
    folder = Path(home) / "dbt"
    return [
        *("--project-dir", project, "--profiles-dir", project),
        *("--target-path", str(folder / "target"), "--log-path", str(folder)),
        # What matters of dbt's output arrives as events.
        *("--log-level", "none", "--log-level-file", "warn"),
        # Writing manifest and results after every build takes longer than building a dozen models; nobody reads them.
        "--no-write-json",
    ]


def load_manifest(settings: Settings) -> Mapping[str, Any]:
    """Parse the dbt project.

    Raises:
        DbtError: The project cannot be parsed.
    """
    from dbt.cli.main import dbtRunner

    flags = _flags(str(settings.dbt_project), str(settings.home))
    with _variables(settings.environment()), _nothing_collected():
        result = dbtRunner().invoke(["--quiet", "parse", *flags])
    if not result.success:
        raise DbtError(f"the dbt project in {settings.dbt_project} cannot be parsed: {result.exception}")
    parsed: Any = result.result
    return parsed.writable_manifest().to_dict(omit_none=False)


class Dbt(dg.ConfigurableResource):
    """Runs dbt in this process, under the home's writer lock."""

    lock: dg.ResourceDependency[WriterLock]
    variables: dict[str, str]
    """Settings as variables, for dbt's profile and sources."""
    home: str

    def build(
        self, context: dg.AssetExecutionContext, manifest: Mapping[str, Any], *, full_refresh: bool
    ) -> Iterator[Any]:
        """Build and test the selected models, and yield what happened as it happens.

        Raises:
            dagster.Failure: A model or a blocking test failed; the message names it and shows failing rows. Or
                something was chosen that reads what has never been built.
        """
        from dbt.cli.main import dbtRunner
        from dbt_common.events.functions import msg_to_dict

        selection = get_updated_cli_invocation_params_for_context(context, manifest, PulseTranslator())
        self.prepare(selection.manifest, {tuple(key.path) for key in context.selected_asset_keys})
        arguments = [
            "--quiet",
            "build",
            *selection.selection_args,
            *_flags(self.variables["PULSE_DBT_PROJECT"], self.home),
        ]
        if selection.indirect_selection:
            arguments += ["--indirect-selection", selection.indirect_selection]
        if context.is_subset:
            arguments += self._without_unbuilt(context, manifest)
        # Unit tests judge the code, not the data: they run in `dbt build` and in the tests, not in every refresh.
        arguments += ["--exclude-resource-type", "unit_test"]
        if full_refresh:
            arguments.append("--full-refresh")

        events: queue.Queue[Any] = queue.Queue()
        finished = object()
        outcome: dict[str, Any] = {}

        def on_event(event: Any) -> None:
            if event.info.name in _RESULTS:
                message = msg_to_dict(event)
                is_test = event.info.name == "LogTestResult"
                details = {} if is_test else self._describe(message, selection.manifest)
                events.put((message, details))

        def invoke() -> None:
            try:
                outcome["result"] = dbtRunner(callbacks=[on_event]).invoke(arguments)
            except BaseException as error:  # noqa: BLE001 - raised again in the step's own thread
                outcome["error"] = error
            finally:
                self.close()
                events.put(finished)

        with _variables(self.variables):
            thread = threading.Thread(target=invoke, name="dbt")
            thread.start()
            while (item := events.get()) is not finished:
                message, details = item
                translated = DbtCoreCliEventMessage(raw_event=message, event_history_metadata={})
                for event in translated.to_default_asset_events(
                    selection.manifest, selection.dagster_dbt_translator, context
                ):
                    if isinstance(event, dg.Output):
                        context.add_output_metadata(details, output_name=event.output_name)
                    yield event
            thread.join()
            # Whatever came of it: what was built, and how the tests came out, is for the gate to judge.
            self.hand_over(selection.manifest)
        if "error" in outcome:
            raise outcome["error"]
        result = outcome["result"]
        if not result.success:
            hidden = PERSONAL if self.variables["PULSE_PII"] == "keep" else PERSONAL | {"customer_id"}
            raise dg.Failure(description=_explain(result, self.examples, hidden), allow_retries=False)

    def prepare(self, manifest: Mapping[str, Any], selected: Collection[tuple[str, ...]]) -> None:
        """What an engine needs before dbt starts; nothing here.

        Args:
            manifest: dbt's manifest.
            selected: Keys of what is about to be built.
        """

    def close(self) -> None:
        """After dbt ran in this process: close what it holds open, which others may not open till then."""
        close_files()

    def hand_over(self, manifest: Mapping[str, Any]) -> None:
        """Bring what was built into the warehouse; dbt has built it there.

        Args:
            manifest: dbt's manifest.
        """

    @contextmanager
    def opened(self, node: Mapping[str, Any]) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
        """A DuckDB that reads a relation just built, and the relation's name there."""
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager

        handle = DuckDBConnectionManager.env().handle()
        try:
            yield handle.cursor(), node["relation_name"]
        finally:
            handle.close()

    def examples(self, query: str, rows: int) -> list[dict[Any, Any]]:
        """The first rows of a query of dbt's."""
        with duckdb.connect() as connection:
            for name in ("warehouse", "work"):
                path = str(Path(self.home) / f"{name}.duckdb").replace("'", "''")
                connection.execute(f"attach '{path}' as {name} (read_only)")
            return connection.execute(f"select * from ({query}) limit {rows}").df().to_dict("records")

    def built_before(self) -> set[tuple[str, str]]:
        """Schema and name of all that has been built in this home."""
        with duckdb.connect() as connection:
            for name in ("warehouse", "work"):
                file = Path(self.home) / f"{name}.duckdb"
                if file.exists():
                    connection.execute(f"attach {quoted(file)} as {name} (read_only)")
            return set(
                connection.execute(
                    "select table_schema, table_name from information_schema.tables where table_catalog != 'memory'"
                ).fetchall()
            )

    def _describe(self, message: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Row count, columns, preview and key figures of a relation just built."""
        info = message["data"]["node_info"]
        if info.get("node_status") not in ("success", "None") and message["data"].get("status") != "success":
            return {}
        node = manifest["nodes"][info["unique_id"]]
        documented, told = node["columns"], node["config"].get("meta", {})
        rows = told.get("preview_rows", PREVIEW_ROWS)
        with self.opened(node) as (cursor, relation):
            count = cursor.execute(f"select count(*) from {relation}").fetchone()
            described = cursor.execute(f"describe select * from {relation}").fetchall()
            frame = cursor.execute(f"select * from {relation} limit {rows}").df()
            figures = key_figures(cursor, relation, told)
        return {
            "dagster/row_count": int(count[0]) if count else 0,
            "dagster/column_schema": dg.TableSchema(
                columns=[
                    dg.TableColumn(name, kind.lower(), documented.get(name, {}).get("description") or None)
                    for name, kind, *_ in described
                ]
            ),
            "preview": dg.MetadataValue.md(preview_markdown(frame, rows)),
            **figures,
            **page_link(told, Path(self.home)),
        }

    def _without_unbuilt(self, context: dg.AssetExecutionContext, manifest: Mapping[str, Any]) -> list[str]:
        """Arguments that leave out tests which also read what has never been built in this home.

        Raises:
            dagster.Failure: A chosen model itself reads such a thing.
        """
        chosen = {(key.path[0], key.path[-1]) for key in context.selected_asset_keys}
        part = part_of(manifest, chosen, self.built_before())
        if part.unbuilt:
            raise dg.Failure(description=refusal(part.unbuilt), allow_retries=False)
        if not part.left_out:
            return []
        context.log.warning(
            f"{len(part.left_out)} check{'' if len(part.left_out) == 1 else 's'} of what is built now also read tables "
            f"that were never built here, and are left out until they are: {', '.join(part.left_out)}."
        )
        return ["--exclude", " ".join(part.left_out)]


def close_files() -> None:
    """After dbt ran in this process: close the warehouse and its companion, which others may not open till then."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    opened = DuckDBConnectionManager._ENV
    if opened is not None:
        opened.close()
        DuckDBConnectionManager.close_all_connections()


def _explain(result: Any, examples: Callable[[str, int], list[dict[Any, Any]]], hidden: Collection[str]) -> str:
    """Name every failed node and show the rows that failed, without the columns that are hidden."""
    if result.exception is not None and not getattr(result.result, "results", None):
        return f"dbt could not go on: {result.exception}"
    lines = []
    for node_result in result.result.results:
        status, node = str(node_result.status), node_result.node
        if status == "error":
            lines.append(f"{node.name}: {(node_result.message or '').strip()}")
        elif status == "fail" and node.resource_type == "unit_test":
            lines.append(f"unit test {node.name} failed: {(node_result.message or '').strip()}")
        elif status == "fail":
            of = judged_by(getattr(node, "attached_node", None), node.depends_on.nodes)
            rows = f"{node_result.failures} row{'' if node_result.failures == 1 else 's'}"
            shown = _failing_rows(node.compiled_code, examples, hidden)
            lines.append(f"check {node.name} on {of} failed: {rows}{shown}")
    return "\n".join(lines) or str(result.exception)


def _failing_rows(
    query: str | None, examples: Callable[[str, int], list[dict[Any, Any]]], hidden: Collection[str]
) -> str:
    if not query:
        return ""
    shown = [
        ", ".join(f"{column}={value}" for column, value in row.items() if column not in hidden)
        for row in examples(query, _EXAMPLES)
    ]
    return "".join(f"\n    {row}" for row in shown)
