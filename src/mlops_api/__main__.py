"""`python -m mlops_api` is `mlops`."""

from mlops_api.cli.main import main

if __name__ == "__main__":
    main()
