"""Held-out AUC of models trained through the platform, against the data's published references."""

from bench.figure import Row, state_of
from bench.world import ALGORITHMS, PENGUINS, World

NAME = "accuracy"
ABOUT = "held-out AUC on flights and penguins, trained through the platform"
REFERENCE = {"logistic_regression": 0.698, "random_forest": 0.733, "xgboost": 0.731}
TOLERANCE = 0.01
PENGUINS_LEAST = 0.99


def measure(world: World) -> list[Row]:
    return _flights(world) + _penguins(world)


def _flights(world: World) -> list[Row]:
    return [
        at_least(f"flights AUC, {name}", job.metrics["validation:auc"], REFERENCE[name] - TOLERANCE)
        for name, job in world.trained.items()
    ]


def _penguins(world: World) -> list[Row]:
    client = world.client
    dataset = client.datasets.upload(PENGUINS, name="penguins").version
    started = [
        client.training.start(dataset=dataset, target="species", algorithm=name, model="penguins")
        for name in ALGORITHMS
    ]
    ended = [client.training.wait(job.job, timeout=300) for job in started]
    return [at_least(f"penguins AUC, {job.algorithm}", job.metrics["validation:auc"], PENGUINS_LEAST) for job in ended]


def at_least(figure: str, auc: float, least: float) -> Row:
    return Row(figure, "AUC", auc, state_of(auc >= least), limit=least, ratio=auc / least)
