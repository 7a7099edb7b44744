# Two images of one code base.
#   docker build --target api .   the API as a Lambda function
#   docker build --target ml .    the ML container: train, serve, preprocess, transform

FROM public.ecr.aws/lambda/python:3.11 AS api
WORKDIR ${LAMBDA_TASK_ROOT}
COPY requirements/api.txt ./
RUN pip install --no-cache-dir --require-hashes --requirement api.txt
COPY src/mlops_contracts mlops_contracts
COPY src/mlops_statistics mlops_statistics
COPY src/mlops_api mlops_api
# Compiled here: a cold start has no time for it, and the file system is read-only then.
RUN python -m compileall -q .
CMD ["mlops_api.lambda_handler.handler"]

FROM python:3.11-slim AS ml
ENV PYTHONUNBUFFERED=1 PYTHONPATH=/opt/program
WORKDIR /opt/program
COPY requirements/ml.txt ./
RUN pip install --no-cache-dir --require-hashes --requirement ml.txt
COPY src/mlops_contracts mlops_contracts
COPY src/mlops_statistics mlops_statistics
COPY training training
RUN python -m compileall -q .
# SageMaker mounts /opt/ml owned by root and writes as root for training, so training cannot run as another user;
# the programs open no port but 8080 and start no shell.
# hadolint ignore=DL3002
USER 0
EXPOSE 8080
ENTRYPOINT ["python", "-m", "training"]
CMD ["serve"]
