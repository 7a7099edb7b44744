"""From a recipe to the training jobs of one execution. Their names follow from the execution, so none starts twice."""

import hashlib

from mlops_api.domain.errors import Invalid
from mlops_api.domain.names import JOB_LENGTH
from mlops_api.domain.pipelines import Candidate, Recipe
from mlops_api.domain.training import StartTraining
from mlops_api.services.pipeline_records import StoredExecution
from mlops_api.services.principal import Principal
from mlops_api.services.registry import RegistryService
from mlops_api.services.training import TrainingService
from mlops_contracts.hyperparameters import AlgorithmName

_DIGEST_LENGTH = 8


class PipelinePlan:
    def __init__(self, training: TrainingService, registry: RegistryService) -> None:
        self._training = training
        self._registry = registry

    def champion(self, execution: StoredExecution, recipe: Recipe) -> str | None:
        """The version that the candidates will be compared with, if the model has one."""
        found = self._registry.champion(recipe.model or execution.dataset_name)
        return found.version if found else None

    def candidates(self, execution: StoredExecution, recipe: Recipe) -> list[Candidate]:
        """One for each point of the recipe's grid that the table allows; algorithms that were not asked for by name
        are left out when they do not suit the target. Raises Invalid for everything else that does not fit."""
        found: list[Candidate] = []
        unsuited: Invalid | None = None
        for number, (algorithm, values) in enumerate(recipe.grid(), start=1):
            job = candidate_job(execution.execution, algorithm, number)
            candidate = Candidate(job=job, algorithm=algorithm, hyperparameters=values)
            try:
                self._training.check(request_for(execution, recipe, candidate))
            except Invalid as error:
                if recipe.algorithms is not None or not _is_about_algorithm(error):
                    raise
                unsuited = error
                continue
            found.append(candidate)
        if unsuited is not None and not found:
            raise unsuited
        return found

    def record(self, execution: StoredExecution) -> None:
        """Record the planned jobs; those there are left as they are."""
        if execution.recipe is None:
            return
        by = Principal(execution.created_by)
        champion = self._registry.bundle_key(execution.champion) if execution.champion else None
        own = {"execution": execution.execution, "champion": execution.champion, "champion_key": champion}
        for candidate in execution.candidates:
            request = request_for(execution, execution.recipe, candidate)
            self._training.record(by, request, candidate.job, **own)


def request_for(execution: StoredExecution, recipe: Recipe, candidate: Candidate) -> StartTraining:
    return StartTraining(
        dataset=execution.dataset,
        target=recipe.target,
        algorithm=candidate.algorithm,
        model=recipe.model or execution.dataset_name,
        problem_type=recipe.problem_type,
        exclude=recipe.exclude,
        time_column=recipe.time_column,
        split="auto" if recipe.time_column else "hash",  # what was held out once is held out from later versions too
        hyperparameters=candidate.hyperparameters,
        validation_fraction=recipe.validation_fraction,
        seed=recipe.seed,
        instance_type=recipe.instance_type,
        spot=recipe.spot,
        max_runtime_seconds=recipe.max_runtime_seconds,
    )


def candidate_job(execution: str, algorithm: AlgorithmName, number: int) -> str:
    """`flights-v2-xgboost-3`: at most 63 characters, as SageMaker demands; a long name is cut and told apart."""
    tail = f"-{algorithm.replace('_', '-')}-{number}"
    room = JOB_LENGTH - len(tail)
    if len(execution) <= room:
        return execution + tail
    digest = hashlib.sha256(execution.encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{execution[: room - _DIGEST_LENGTH - 1].rstrip('-')}-{digest}{tail}"


def _is_about_algorithm(error: Invalid) -> bool:
    complaints = error.extra.get("errors", [])
    return bool(complaints) and all(item.get("field") == "algorithm" for item in complaints)
