"""The ML container: train, serve, preprocess and transform, in SageMaker's /opt/ml layout."""
