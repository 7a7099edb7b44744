"""The file formats that the API and the ML container share, and nothing else.

`mlops_api` and `training` never import each other: they are two images. What one writes and the other
reads is described here once, as pydantic models, so neither side can drift from the other.

    hyperparameters   what each algorithm accepts, with bounds; the JSON Schema clients see
    job               a training job's configuration as SageMaker's string -> string map
    metrics           the `#metric` lines, their regexes, and which way is better
    columns           the types of a table's columns
    codes             of findings about a table
    data_contract     what every version of a dataset must satisfy
    statistics        sketches of the columns: what comparisons of versions are made from
    dataset           what `preprocess` writes about a table: columns, profile, quality, preview
    comparison        what has changed between two versions of a dataset
    bundle            manifest.json of a model bundle: the signature and the hashes
    evaluation        evaluation.json
    transform         what a batch-scoring worker writes while it runs
"""
