"""What lies downstream of each task of a run, from the version of the DAG that Airflow runs it on."""

from __future__ import annotations

from typing import Any, Optional

from xcomctl.airflow_compat import loading, xcom_class
from xcomctl.model.downstream import Structure
from xcomctl.model.phases import Line


class Structures:
    """The structures of runs. Airflow's own bag keeps the DAGs that it read."""

    def __init__(self) -> None:
        xcom_class.resolved_class()  # the models import it: without it there is one clear sentence
        module = loading.module("airflow.models.dagbag")
        if loading.line() is Line.AF2:
            self._bag: Any = module.DagBag(read_dags_from_db=True)
        elif hasattr(module, "DBDagBag"):
            self._bag = module.DBDagBag(load_op_links=False)
        else:  # 3.0
            self._bag = module.SchedulerDagBag()

    def of_run(self, dag_id: str, run_id: str) -> Optional[Structure]:
        """The structure of a run's DAG; ``None`` for a run that is not there, and where Airflow has no such DAG any more."""
        dag_run_class = loading.module("airflow.models.dagrun").DagRun
        create_session = loading.module("airflow.utils.session").create_session
        select = loading.module("sqlalchemy").select
        with create_session() as session:
            run = session.scalars(
                select(dag_run_class).where(dag_run_class.dag_id == dag_id, dag_run_class.run_id == run_id)
            ).one_or_none()
            dag = None if run is None else self._dag(run, session)
            return None if dag is None else _structure(dag)

    def _dag(self, run: Any, session: Any) -> Any:
        if loading.line() is Line.AF2:
            return self._bag.get_dag(run.dag_id, session=session)
        if hasattr(self._bag, "get_dag_for_run"):
            return self._bag.get_dag_for_run(dag_run=run, session=session)
        return self._bag.get_dag(dag_run=run, session=session)


def _structure(dag: Any) -> Structure:
    groups = {}
    for task_id, task in dag.task_dict.items():
        group = getattr(task, "task_group", None)
        mapped = None if group is None else next(group.iter_mapped_task_groups(), None)
        if mapped is not None:
            groups[task_id] = str(mapped.group_id)
    downstream = {task_id: tuple(sorted(task.downstream_task_ids)) for task_id, task in dag.task_dict.items()}
    return Structure(downstream, groups)
